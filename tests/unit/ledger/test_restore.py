"""Journals alone rebuild a ledger: state, guards and all."""

import json

import pytest

from shared.adapters.ledger.restore import export, restore
from shared.domain.common.errors import Conflict, LedgerCorrupt
from shared.domain.ledger.model import ReverseLeg, TopUp
from tests.support.stored_ledger import ACCOUNT, CHAIN_KEY, StoredLedger, leg, lines


async def _exported(app: StoredLedger) -> list[bytes]:
    return [line async for line in export(app.tables, ACCOUNT)]


async def test_a_dropped_ledger_is_restored_and_verifies() -> None:
    app = StoredLedger()
    await app.lived()
    record = await app.ledger.leg(ACCOUNT, "local~3")
    assert record is not None
    opened = await app.ledger.entry(ACCOUNT, 1)
    assert opened is not None
    assert opened.lot is not None
    await app.ledger.submit(
        ACCOUNT, ReverseLeg("local~3", record.entry, (opened.lot,), "a mistake")
    )
    after = StoredLedger()

    await restore(after.tables, ACCOUNT, lines(await _exported(app)), CHAIN_KEY)

    assert await after.ledger.state(ACCOUNT) == await app.ledger.state(ACCOUNT)
    verified = await after.ledger.verify(ACCOUNT)
    assert verified.problems == ()
    assert verified == await app.ledger.verify(ACCOUNT)


async def test_the_restored_guards_still_refuse_a_second_debit() -> None:
    app = StoredLedger()
    await app.lived()
    after = StoredLedger()
    await restore(after.tables, ACCOUNT, lines(await _exported(app)), CHAIN_KEY)
    before = await after.ledger.state(ACCOUNT)

    again = await after.ledger.submit(ACCOUNT, leg(3, at=after.clock.now()))
    topped_up = await after.ledger.submit(ACCOUNT, TopUp("first", "digest", 100_000_000))

    assert again.repeated
    assert topped_up.repeated
    assert await after.ledger.state(ACCOUNT) == before


async def test_a_restore_that_was_broken_off_is_finished_by_the_next_one() -> None:
    app = StoredLedger()
    await app.lived()
    exported = await _exported(app)
    after = StoredLedger()
    await restore(after.tables, ACCOUNT, lines(exported[:4]), CHAIN_KEY)

    await restore(after.tables, ACCOUNT, lines(exported), CHAIN_KEY)

    assert (await after.ledger.verify(ACCOUNT)).problems == ()


async def test_a_ledger_that_has_gone_on_is_not_overwritten() -> None:
    app = StoredLedger()
    await app.lived()
    exported = await _exported(app)
    await app.ledger.submit(ACCOUNT, leg(99, at=app.clock.now()))

    with pytest.raises(Conflict) as refused:
        await restore(app.tables, ACCOUNT, lines(exported), CHAIN_KEY)

    assert refused.value.code == "ledger_not_empty"


@pytest.mark.parametrize("field", ["balance", "at", "hash", "previous", "data0"])
async def test_an_edited_export_is_refused(field: str) -> None:
    app = StoredLedger()
    await app.lived()
    exported = await _exported(app)
    document = json.loads(exported[3])
    value = document["values"][field]
    edited = {"base64": "AAAA"} if isinstance(value, dict) else f"{value}1"
    document["values"][field] = int(edited) if isinstance(value, int) else edited
    exported[3] = json.dumps(document).encode()

    with pytest.raises(LedgerCorrupt):
        await restore(StoredLedger().tables, ACCOUNT, lines(exported), CHAIN_KEY)
