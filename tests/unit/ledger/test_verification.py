"""What verification resumes from, and what only an anchor can prove."""

import asyncio
from datetime import date, timedelta

import pytest

from shared.adapters.ledger.anchors import BlobAnchors
from shared.adapters.ledger.rows import TABLE, VERIFIED, journal_key
from shared.domain.common import limits
from shared.ports.proofs import Anchor
from shared.ports.tables import Delete, Upsert
from tests.support.memory_blobs import MemoryBlobs
from tests.support.stored_ledger import ACCOUNT, CountedTables, StoredLedger, all_rows, leg

DAY = date(2026, 1, 16)


async def test_a_resumed_verification_reads_only_what_came_since() -> None:
    tables = CountedTables()
    app = StoredLedger(tables)
    await app.lived()
    full = await app.ledger.verify(ACCOUNT)
    await app.ledger.submit(ACCOUNT, leg(70, at=app.clock.now()))
    tables.rows_read = 0

    resumed = await app.ledger.verify(ACCOUNT, resume=True)

    assert tables.rows_read <= 5  # checkpoint, journal row, leg row, head of the days, state
    assert resumed.problems == ()
    assert (resumed.commits, resumed.legs) == (full.commits + 1, full.legs + 1)
    assert resumed == await app.ledger.verify(ACCOUNT)


async def test_a_verification_gives_others_a_turn_between_commits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also while it compares a segment: a process that verifies serves calls."""
    app = StoredLedger()
    await app.lived()
    await app.ledger.pack_until(ACCOUNT, app.clock.now() + timedelta(days=1))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(limits, "SLICE_SECONDS", 0)
    others = asyncio.create_task(count())
    found = await app.ledger.verify(ACCOUNT)
    others.cancel()
    assert found.problems == ()
    assert turns > 3 * found.commits  # its journal row, in its segment, and both compared


async def test_a_verification_with_problems_is_no_place_to_resume_from() -> None:
    app = StoredLedger()
    await app.lived()
    await app.tables.transact(TABLE, ACCOUNT, [Delete(journal_key(4))])

    assert (await app.ledger.verify(ACCOUNT)).problems
    assert await app.tables.get(TABLE, ACCOUNT, VERIFIED) is None


async def test_an_unreadable_checkpoint_means_from_the_beginning() -> None:
    app = StoredLedger()
    await app.lived()
    await app.tables.transact(TABLE, ACCOUNT, [Upsert(VERIFIED, {"schema": 1, "data0": b"x"})])

    (problem,) = (await app.ledger.verify(ACCOUNT, resume=True)).problems
    assert problem.startswith("verified: seal:")
    assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()


async def test_the_newest_anchor_of_an_account_is_found() -> None:
    anchors = BlobAnchors(MemoryBlobs())
    await anchors.write(date(2026, 1, 14), [Anchor("contoso", 3, "old"), Anchor("other", 1, "x")])
    await anchors.write(date(2026, 1, 15), [Anchor("contoso", 5, "new")])

    assert await anchors.latest("contoso", DAY) == Anchor("contoso", 5, "new")
    assert await anchors.latest("other", DAY) == Anchor("other", 1, "x")
    assert await anchors.latest("nobody", DAY) is None


async def test_the_first_anchor_of_a_day_stays() -> None:
    anchors = BlobAnchors(MemoryBlobs())
    assert await anchors.write(DAY, [Anchor("contoso", 5, "first")]) == 1

    assert await anchors.write(DAY, [Anchor("contoso", 6, "second")]) == 0
    assert await anchors.latest("contoso", DAY) == Anchor("contoso", 5, "first")


async def test_a_ledger_rolled_back_as_a_whole_verifies_but_its_anchored_commit_is_gone() -> None:
    app = StoredLedger()
    await app.lived()
    old = {row.key: row for row in all_rows(app.tables, TABLE)}
    await app.ledger.submit(ACCOUNT, leg(80, at=app.clock.now()))
    state = await app.ledger.state(ACCOUNT)
    assert state is not None
    for row in all_rows(app.tables, TABLE):
        back = old.get(row.key)
        operation = Upsert(row.key, back.values) if back else Delete(row.key)
        await app.tables.transact(TABLE, ACCOUNT, [operation])

    rolled_back = await StoredLedger(app.tables).ledger.verify(ACCOUNT)

    assert rolled_back.problems == ()
    assert await app.ledger.head_at(ACCOUNT, state.commit) is None
