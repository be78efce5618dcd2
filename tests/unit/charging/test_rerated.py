"""A re-rated leg, as it is stored: once each, provable, restorable, whatever comes again."""

import asyncio
import json
from dataclasses import replace

import pytest

from shared.adapters.ledger.restore import export, restore
from shared.adapters.ledger.rows import TABLE, journal_key, leg_row_key
from shared.domain.common.canonical import content_digest
from shared.domain.credits.lots import Lot
from shared.domain.ledger.model import Entry, EntryKind, RerateLeg, ReverseLeg
from shared.ports.ledger import CommitResult, IdempotencyConflict, LegRecord
from shared.ports.tables import Delete, Upsert
from shared.usecases.ledger.close_months import add_up_month
from tests.support.stored_ledger import ACCOUNT, CHAIN_KEY, StoredLedger, leg, lines

LEG = "local~3"
FIRST = 98_000


async def present(app: StoredLedger, name: str = LEG) -> LegRecord:
    return (await app.ledger.debits(ACCOUNT, name))[-1]


async def paid(app: StoredLedger, debit: Entry) -> tuple[Lot, ...]:
    found: list[Lot] = []
    for draw in debit.draws:
        opening = await app.ledger.entry(ACCOUNT, int(draw.lot.removeprefix("lot-")))
        assert opening is not None
        assert opening.lot is not None
        found.append(opening.lot)
    return tuple(found)


async def command(
    app: StoredLedger, amount_micros: int, target: str = "b|1", name: str = LEG
) -> RerateLeg:
    record = await present(app, name)
    charge = {
        **record.charge,
        "amount": f"{amount_micros / 1_000_000:.6f}",
        "rate": {"card": "b", "destination": "Britain", "prefix": "44"},
        "replaces": {
            "entry": record.entry.sequence,
            "amount": record.charge["amount"],
            "billed_seconds": record.charge["billed_seconds"],
            "rate": record.charge["rate"],
        },
    }
    return RerateLeg(
        leg=name,
        debit=record.entry,
        paid=await paid(app, record.entry),
        target=target,
        amount_micros=amount_micros,
        charge=charge,
        charge_digest=content_digest(charge),
        reason="a wrong card",
    )


async def entry_of(outcome: object) -> Entry:
    assert isinstance(outcome, CommitResult)
    assert outcome.entry is not None
    return outcome.entry


async def test_the_same_re_rating_again_is_answered_with_its_first_result() -> None:
    app = StoredLedger()
    await app.lived()
    wanted = await command(app, 50_000)

    first = await app.ledger.submit(ACCOUNT, wanted)
    again = await StoredLedger(app.tables).ledger.submit(ACCOUNT, wanted)

    assert isinstance(again, CommitResult)
    assert again.repeated
    assert await entry_of(first) == await entry_of(again)
    state = await app.ledger.state(ACCOUNT)
    assert state is not None
    assert state.balance_micros == 104_000_000 - 6 * FIRST - 50_000


async def test_another_re_rating_of_a_debit_that_is_gone_clashes() -> None:
    """A decision on rows that have changed must read again."""
    app = StoredLedger()
    await app.lived()
    one, other = await command(app, 50_000), await command(app, 60_000, "c|1")
    reversal = ReverseLeg(LEG, one.debit, one.paid, "a mistake")
    await app.ledger.submit(ACCOUNT, one)

    assert isinstance(await app.ledger.submit(ACCOUNT, other), IdempotencyConflict)
    assert isinstance(await app.ledger.submit(ACCOUNT, reversal), IdempotencyConflict)


async def test_of_ten_that_want_it_at_once_in_two_processes_one_gets_it() -> None:
    """Re-ratings of different cards and plain reversals: one guard for all of them."""
    app = StoredLedger()
    await app.lived()
    other = StoredLedger(app.tables)
    record = await present(app)
    lots = await paid(app, record.entry)
    wanted = [await command(app, 1_000 * number, f"b|{number}") for number in range(8)]
    plain = [ReverseLeg(LEG, record.entry, lots, "a mistake") for _ in range(2)]

    outcomes = await asyncio.gather(
        *(
            (app if number % 2 else other).ledger.submit(ACCOUNT, each)
            for number, each in enumerate([*wanted, *plain])
        )
    )

    firsts = [each for each in outcomes if isinstance(each, CommitResult) and not each.repeated]
    assert len(firsts) == 1
    assert (await app.ledger.verify(ACCOUNT)).problems == ()


async def test_a_leg_that_comes_again_is_answered_with_its_first_debit() -> None:
    app = StoredLedger()
    await app.lived()
    await app.ledger.submit(ACCOUNT, await command(app, 50_000))
    record = await app.ledger.leg(ACCOUNT, LEG)
    assert record is not None

    again = await app.ledger.submit(ACCOUNT, leg(3, at=app.clock.now()))

    assert isinstance(again, CommitResult)
    assert again.repeated
    assert again.entry == record.entry


async def test_a_ledger_with_re_rated_legs_verifies_and_counts_each_leg_once() -> None:
    app = StoredLedger()
    await app.lived()
    before = await app.ledger.verify(ACCOUNT)
    await app.ledger.submit(ACCOUNT, await command(app, 50_000))
    await app.ledger.submit(ACCOUNT, await command(app, 70_000, "b|2"))
    last = await present(app)
    await app.ledger.submit(
        ACCOUNT, ReverseLeg(LEG, last.entry, await paid(app, last.entry), "a mistake")
    )

    resumed = await app.ledger.verify(ACCOUNT, resume=True)
    whole = await app.ledger.verify(ACCOUNT)

    assert (resumed.problems, whole.problems) == ((), ())
    assert (resumed.legs, whole.legs) == (before.legs, before.legs)
    assert whole.entries == before.entries + 5


async def test_it_is_restored_from_its_journals() -> None:
    app = StoredLedger()
    await app.lived()
    await app.ledger.submit(ACCOUNT, await command(app, 50_000))
    await app.ledger.submit(ACCOUNT, await command(app, 60_000, "b|2"))
    after = StoredLedger()

    exported = [line async for line in export(app.tables, ACCOUNT)]
    await restore(after.tables, ACCOUNT, lines(exported), CHAIN_KEY)

    assert await after.ledger.state(ACCOUNT) == await app.ledger.state(ACCOUNT)
    assert (await after.ledger.verify(ACCOUNT)).problems == ()
    assert [(each.charge, each.entry) for each in await after.ledger.debits(ACCOUNT, LEG)] == [
        (each.charge, each.entry) for each in await app.ledger.debits(ACCOUNT, LEG)
    ]


async def test_packed_days_report_it_too() -> None:
    app = StoredLedger()
    await app.lived()
    await app.ledger.submit(ACCOUNT, await command(app, 50_000))
    app.clock.advance(days=2)
    await app.ledger.pack_until(ACCOUNT, app.clock.now())

    packed = [e for c in await app.ledger.history(ACCOUNT, after=0) for e in c.entries]

    assert [each.rerates for each in packed if each.rerates] == [6, 6]
    assert (await app.ledger.verify(ACCOUNT)).problems == ()


@pytest.mark.parametrize("what", ["drop", "charge", "leg", "entry", "double"])
async def test_a_re_rated_row_that_was_touched_is_named(what: str) -> None:
    app = StoredLedger()
    await app.lived()
    await app.ledger.submit(ACCOUNT, await command(app, 50_000))
    key = f"{leg_row_key(LEG)}|{6:020d}"
    row = await app.tables.get(TABLE, ACCOUNT, key)
    assert row is not None
    values = dict(row.values)
    if what == "drop":
        operation = Delete(key)
    elif what == "double":
        operation = Upsert(f"{leg_row_key(LEG)}|{7:020d}", values)
    else:
        values[what] = str(values[what]).replace("0.05", "0.04").replace("~3", "~4")
        operation = Upsert(key, values)
    await app.tables.transact(TABLE, ACCOUNT, [operation])

    problems = (await StoredLedger(app.tables).ledger.verify(ACCOUNT)).problems

    assert problems
    assert all(problem.startswith(leg_row_key(LEG)) for problem in problems)


async def test_a_debit_without_what_it_replaces_is_named() -> None:
    """Journals that somebody with the key would write: the pair must stand together."""
    app = StoredLedger()
    await app.lived()
    await app.ledger.submit(ACCOUNT, await command(app, 50_000))
    commits = await app.ledger.journal(ACCOUNT, after=0, limit=100)
    back, rebooked = commits[-1].entries
    from shared.adapters.ledger.verify import _rerated
    from shared.adapters.ledger.verify_rows import Run

    def problems(*entries: Entry) -> int:
        run = Run()
        _rerated(run, journal_key(1), replace(commits[-1], entries=entries))
        return len(run.problems)

    assert problems(back, rebooked) == 0
    assert problems(rebooked) == problems(back) == 1
    assert problems(rebooked, back) == 2
    assert problems(replace(back, reverses=1), rebooked) == 1
    assert problems(replace(back, rerates=None), rebooked) == 1
    assert problems(back, replace(rebooked, leg="local~4")) == 1


async def test_a_statement_counts_a_re_rated_leg_once_and_still_re_adds() -> None:
    app = StoredLedger()
    await app.lived()
    await app.ledger.submit(ACCOUNT, await command(app, 50_000))
    await app.ledger.submit(ACCOUNT, await command(app, 60_000, "b|2"))

    statement = (await add_up_month(app.ledger, ACCOUNT, "2026-01", "UTC")).statement

    assert statement.re_adds
    uk, britain = statement.by_destination["United Kingdom"], statement.by_destination["Britain"]
    assert (uk.count, uk.amount_micros, uk.seconds) == (6, 6 * FIRST, 6 * 240)
    assert (britain.count, britain.amount_micros, britain.seconds) == (1, 60_000, 240)
    entries = [e for c in await app.ledger.history(ACCOUNT, after=0) for e in c.entries]
    legs = [each for each in entries if each.kind in {EntryKind.DEBIT, EntryKind.REVERSAL}]
    assert uk.amount_micros + britain.amount_micros == -sum(each.amount_micros for each in legs)


async def test_the_person_stands_in_the_first_row_alone() -> None:
    """So erasing it once is enough."""
    app = StoredLedger()
    await app.lived()
    await app.ledger.submit(ACCOUNT, await command(app, 50_000))
    first, second = await app.ledger.debits(ACCOUNT, LEG)
    row = await app.tables.get(TABLE, ACCOUNT, f"{leg_row_key(LEG)}|{6:020d}")

    assert row is not None
    assert first.person["to"] == "+442079460000"
    assert second.person == {}
    assert "+44" not in json.dumps({k: str(v) for k, v in row.values.items()})
