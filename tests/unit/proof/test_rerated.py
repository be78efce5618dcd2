"""A leg charged anew, as it is stored: once each, provable, restorable, whatever comes again."""

import asyncio
import json
from dataclasses import replace

import pytest

from shared.adapters.ledger.restore import export, restore
from shared.adapters.ledger.rows import TABLE, journal_key, leg_row_key
from shared.domain.common.canonical import content_digest
from shared.domain.credits.lots import Lot
from shared.domain.ledger.model import Entry, EntryKind, RerateLeg, ReverseLeg
from shared.ports.ledger import Clash, LegRecord, Written
from shared.ports.tables import Delete, Upsert
from shared.usecases.ledger.close_months import add_up_month
from tests.unit.proof.house import ACCOUNT, CHAIN_KEY, LedgerHouse, leg, lines

LEG = "local~3"
FIRST = 98_000


async def present(house: LedgerHouse, name: str = LEG) -> LegRecord:
    return (await house.ledger.debits(ACCOUNT, name))[-1]


async def paid(house: LedgerHouse, debit: Entry) -> tuple[Lot, ...]:
    found: list[Lot] = []
    for draw in debit.draws:
        opening = await house.ledger.entry(ACCOUNT, int(draw.lot.removeprefix("lot-")))
        assert opening is not None
        assert opening.lot is not None
        found.append(opening.lot)
    return tuple(found)


async def command(
    house: LedgerHouse, amount_micros: int, target: str = "b|1", name: str = LEG
) -> RerateLeg:
    record = await present(house, name)
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
        paid=await paid(house, record.entry),
        target=target,
        amount_micros=amount_micros,
        charge=charge,
        charge_digest=content_digest(charge),
        reason="a wrong card",
    )


async def entry_of(outcome: object) -> Entry:
    assert isinstance(outcome, Written)
    assert outcome.entry is not None
    return outcome.entry


async def test_the_same_re_rating_again_is_answered_with_its_first_result() -> None:
    house = LedgerHouse()
    await house.lived()
    wanted = await command(house, 50_000)

    first = await house.ledger.submit(ACCOUNT, wanted)
    again = await LedgerHouse(house.tables).ledger.submit(ACCOUNT, wanted)

    assert isinstance(again, Written)
    assert again.repeated
    assert await entry_of(first) == await entry_of(again)
    state = await house.ledger.state(ACCOUNT)
    assert state is not None
    assert state.balance_micros == 104_000_000 - 6 * FIRST - 50_000


async def test_another_re_rating_of_a_debit_that_is_gone_clashes() -> None:
    """Whoever decided on what was present has to look again."""
    house = LedgerHouse()
    await house.lived()
    one, other = await command(house, 50_000), await command(house, 60_000, "c|1")
    reversal = ReverseLeg(LEG, one.debit, one.paid, "a mistake")
    await house.ledger.submit(ACCOUNT, one)

    assert isinstance(await house.ledger.submit(ACCOUNT, other), Clash)
    assert isinstance(await house.ledger.submit(ACCOUNT, reversal), Clash)


async def test_of_ten_that_want_it_at_once_in_two_processes_one_gets_it() -> None:
    """Re-ratings of different cards and plain reversals: one guard for all of them."""
    house = LedgerHouse()
    await house.lived()
    other = LedgerHouse(house.tables)
    record = await present(house)
    lots = await paid(house, record.entry)
    wanted = [await command(house, 1_000 * number, f"b|{number}") for number in range(8)]
    plain = [ReverseLeg(LEG, record.entry, lots, "a mistake") for _ in range(2)]

    outcomes = await asyncio.gather(
        *(
            (house if number % 2 else other).ledger.submit(ACCOUNT, each)
            for number, each in enumerate([*wanted, *plain])
        )
    )

    firsts = [each for each in outcomes if isinstance(each, Written) and not each.repeated]
    assert len(firsts) == 1
    assert (await house.ledger.verify(ACCOUNT)).problems == ()


async def test_a_leg_that_comes_again_is_answered_with_its_first_debit() -> None:
    house = LedgerHouse()
    await house.lived()
    await house.ledger.submit(ACCOUNT, await command(house, 50_000))
    record = await house.ledger.leg(ACCOUNT, LEG)
    assert record is not None

    again = await house.ledger.submit(ACCOUNT, leg(3, at=house.clock.now()))

    assert isinstance(again, Written)
    assert again.repeated
    assert again.entry == record.entry


async def test_a_ledger_with_re_rated_legs_verifies_and_counts_each_leg_once() -> None:
    house = LedgerHouse()
    await house.lived()
    before = await house.ledger.verify(ACCOUNT)
    await house.ledger.submit(ACCOUNT, await command(house, 50_000))
    await house.ledger.submit(ACCOUNT, await command(house, 70_000, "b|2"))
    last = await present(house)
    await house.ledger.submit(
        ACCOUNT, ReverseLeg(LEG, last.entry, await paid(house, last.entry), "a mistake")
    )

    resumed = await house.ledger.verify(ACCOUNT, resume=True)
    whole = await house.ledger.verify(ACCOUNT)

    assert (resumed.problems, whole.problems) == ((), ())
    assert (resumed.legs, whole.legs) == (before.legs, before.legs)
    assert whole.entries == before.entries + 5


async def test_it_is_restored_from_its_journals() -> None:
    house = LedgerHouse()
    await house.lived()
    await house.ledger.submit(ACCOUNT, await command(house, 50_000))
    await house.ledger.submit(ACCOUNT, await command(house, 60_000, "b|2"))
    after = LedgerHouse()

    exported = [line async for line in export(house.tables, ACCOUNT)]
    await restore(after.tables, ACCOUNT, lines(exported), CHAIN_KEY)

    assert await after.ledger.state(ACCOUNT) == await house.ledger.state(ACCOUNT)
    assert (await after.ledger.verify(ACCOUNT)).problems == ()
    assert [(each.charge, each.entry) for each in await after.ledger.debits(ACCOUNT, LEG)] == [
        (each.charge, each.entry) for each in await house.ledger.debits(ACCOUNT, LEG)
    ]


async def test_packed_days_tell_it_too() -> None:
    house = LedgerHouse()
    await house.lived()
    await house.ledger.submit(ACCOUNT, await command(house, 50_000))
    house.clock.advance(days=2)
    await house.ledger.pack_until(ACCOUNT, house.clock.now())

    packed = [e for c in await house.ledger.history(ACCOUNT, after=0) for e in c.entries]

    assert [each.rerates for each in packed if each.rerates] == [6, 6]
    assert (await house.ledger.verify(ACCOUNT)).problems == ()


@pytest.mark.parametrize("what", ["drop", "charge", "leg", "entry", "double"])
async def test_a_re_rated_row_that_was_touched_is_named(what: str) -> None:
    house = LedgerHouse()
    await house.lived()
    await house.ledger.submit(ACCOUNT, await command(house, 50_000))
    key = f"{leg_row_key(LEG)}|{6:020d}"
    row = await house.tables.get(TABLE, ACCOUNT, key)
    assert row is not None
    values = dict(row.values)
    if what == "drop":
        operation = Delete(key)
    elif what == "double":
        operation = Upsert(f"{leg_row_key(LEG)}|{7:020d}", values)
    else:
        values[what] = str(values[what]).replace("0.05", "0.04").replace("~3", "~4")
        operation = Upsert(key, values)
    await house.tables.transact(TABLE, ACCOUNT, [operation])

    problems = (await LedgerHouse(house.tables).ledger.verify(ACCOUNT)).problems

    assert problems
    assert all(problem.startswith(leg_row_key(LEG)) for problem in problems)


async def test_a_debit_without_what_it_replaces_is_named() -> None:
    """Journals that somebody with the key would write: the pair must stand together."""
    house = LedgerHouse()
    await house.lived()
    await house.ledger.submit(ACCOUNT, await command(house, 50_000))
    commits = await house.ledger.journal(ACCOUNT, after=0, limit=100)
    back, anew = commits[-1].entries
    from shared.adapters.ledger.verify import _rerated
    from shared.adapters.ledger.verify_rows import Run

    def problems(*entries: Entry) -> int:
        run = Run()
        _rerated(run, journal_key(1), replace(commits[-1], entries=entries))
        return len(run.problems)

    assert problems(back, anew) == 0
    assert problems(anew) == problems(back) == 1
    assert problems(anew, back) == 2
    assert problems(replace(back, reverses=1), anew) == 1
    assert problems(replace(back, rerates=None), anew) == 1
    assert problems(back, replace(anew, leg="local~4")) == 1


async def test_a_statement_counts_a_re_rated_leg_once_and_still_re_adds() -> None:
    house = LedgerHouse()
    await house.lived()
    await house.ledger.submit(ACCOUNT, await command(house, 50_000))
    await house.ledger.submit(ACCOUNT, await command(house, 60_000, "b|2"))

    statement = (await add_up_month(house.ledger, ACCOUNT, "2026-01", "UTC")).statement

    assert statement.re_adds
    uk, britain = statement.by_destination["United Kingdom"], statement.by_destination["Britain"]
    assert (uk.count, uk.amount_micros, uk.seconds) == (6, 6 * FIRST, 6 * 240)
    assert (britain.count, britain.amount_micros, britain.seconds) == (1, 60_000, 240)
    entries = [e for c in await house.ledger.history(ACCOUNT, after=0) for e in c.entries]
    legs = [each for each in entries if each.kind in {EntryKind.DEBIT, EntryKind.REVERSAL}]
    assert uk.amount_micros + britain.amount_micros == -sum(each.amount_micros for each in legs)


async def test_the_person_stands_in_the_first_row_alone() -> None:
    """So erasing it once is enough."""
    house = LedgerHouse()
    await house.lived()
    await house.ledger.submit(ACCOUNT, await command(house, 50_000))
    first, second = await house.ledger.debits(ACCOUNT, LEG)
    row = await house.tables.get(TABLE, ACCOUNT, f"{leg_row_key(LEG)}|{6:020d}")

    assert row is not None
    assert first.person["to"] == "+442079460000"
    assert second.person == {}
    assert "+44" not in json.dumps({k: str(v) for k, v in row.values.items()})
