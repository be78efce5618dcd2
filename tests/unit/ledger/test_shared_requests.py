"""Legs that are charged at the same moment share messages, claims and reads, and nothing else."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.legs.claim_store import TABLE, TableClaims
from shared.adapters.tables.coalescing import Coalescer
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import OutcomeUnknown, StoreUnavailable
from shared.domain.legs.leg import (
    QueuedLeg,
    leg_key_hash,
    queued_leg_bytes,
    queued_legs_bytes,
    read_queued_legs,
)
from shared.ports.legs import Claim
from shared.ports.tables import Insert
from shared.usecases.legs.receive_legs import leg_messages
from tests.bench.cost import CountingTables
from tests.support.charging_app import ChargingApp
from tests.support.ledger import START
from tests.support.product import ManualClock

OURS, OTHERS = Claim("contoso", "ken"), Claim("fabrikam", None)


def _claims(tables: CountingTables) -> TableClaims:
    return TableClaims(tables, ManualClock())


async def _at_once(claims: TableClaims, *legs: str, wanted: Claim = OURS) -> list[Claim]:
    return await asyncio.gather(*(claims.claim(leg, wanted) for leg in legs))


async def test_a_hundred_claims_take_four_transactions_and_one_scan() -> None:
    tables = CountingTables()
    legs = [f"local~{number}" for number in range(100)]
    assert await _at_once(_claims(tables), *legs) == [OURS] * 100
    assert tables.requests == {f"{TABLE} transaction": 4}
    assert [await _claims(tables).find(leg) for leg in legs] == [OURS] * 100


async def test_the_first_claim_holds_whoever_claims_beside_it() -> None:
    tables = CountingTables()
    legs = [f"local~{number}" for number in range(20)]
    await _at_once(_claims(tables), *legs[::3], wanted=OTHERS)
    found = await _at_once(_claims(tables), *legs)
    assert found == [OURS if number % 3 else OTHERS for number in range(20)]


async def test_of_two_claims_of_one_leg_at_once_both_get_the_same() -> None:
    claims = _claims(CountingTables())
    found = await asyncio.gather(claims.claim("local~1", OURS), claims.claim("local~1", OTHERS))
    assert found == [OURS, OURS]


async def test_a_claim_of_an_earlier_version_holds() -> None:
    tables = CountingTables()
    key = leg_key_hash("local~1")
    values = {"schema": 1, "leg": "local~1", "account": "fabrikam", "organizer": ""}
    await tables.transact(TABLE, f"local|{key[:2]}", [Insert(key, values)])
    claims = _claims(tables)
    assert await _at_once(claims, "local~1", "local~2") == [OTHERS, OURS]
    assert await _claims(tables).find("local~1") == OTHERS


async def test_earlier_claims_that_a_running_process_still_writes_are_seen_within_a_minute() -> (
    None
):
    tables, clock = CountingTables(), ManualClock()
    claims = TableClaims(tables, clock)
    await claims.claim("local~0", OURS)
    key = leg_key_hash("local~1")
    values = {"schema": 1, "leg": "local~1", "account": "fabrikam", "organizer": ""}
    await tables.transact(TABLE, f"local|{key[:2]}", [Insert(key, values)])
    clock.moment += timedelta(seconds=limits.CLAIMS_CHECKED_SECONDS)
    assert await claims.claim("local~1", OURS) == OTHERS


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_claim_without_an_answer_is_read_again(is_written: bool) -> None:
    tables = CountingTables()
    claims = _claims(tables)
    tables.inject(1, OutcomeUnknown("no answer"), after=is_written)
    if is_written:
        assert await claims.claim("local~1", OURS) == OURS
    else:
        with pytest.raises(StoreUnavailable):
            await claims.claim("local~1", OURS)
        assert await claims.claim("local~1", OURS) == OURS


def test_legs_of_a_post_share_messages_of_a_bounded_size() -> None:
    with ChargingApp() as app:
        legs = [QueuedLeg(app.ended(leg_id=f"leg-{number}"), START) for number in range(45)]
        messages = leg_messages(legs)
        assert len(messages) == 3
        assert [leg for each in messages for leg in read_queued_legs(each.body)] == legs
        assert leg_messages(legs) == messages
        assert len({each.message_id for each in (*messages, *leg_messages(legs[:7]))}) == 4
        wide = [replace(leg, leg=replace(leg.leg, hangup_cause="x" * 30_000)) for leg in legs[:5]]
        assert [len(read_queued_legs(each.body)) for each in leg_messages(wide)] == [2, 2, 1]


def test_a_leg_alone_is_a_message_as_earlier_versions_wrote_it() -> None:
    with ChargingApp() as app:
        leg = QueuedLeg(app.ended(leg_id="1"), START)
        (message,) = leg_messages([leg])
        assert (message.message_id, message.body) == (leg.message_id, queued_leg_bytes(leg))
        assert queued_legs_bytes([message.body]) == message.body


@pytest.mark.parametrize(
    "content",
    [{"schema": 2}, {"schema": 2, "legs": []}, {"schema": 2, "legs": [1]}, {"schema": 3}, [], 1],
)
def test_what_is_no_queued_leg_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match=r"leg|schema"):
        read_queued_legs(canonical_json(content))


def test_a_leg_that_stands_twice_in_a_post_is_queued_once() -> None:
    with ChargingApp() as app:
        app.settle("contoso")
        leg = app.ended(leg_id="1")
        received = app.run(app.container.receive_legs("local", [leg, leg]))
        assert [each.status for each in received] == ["queued", "queued"]
        (message,) = app.queue.take(10)
        assert len(read_queued_legs(message.body)) == 1


async def test_an_error_of_one_item_is_raised_for_it_alone() -> None:
    async def run(_: str, items: object) -> list[int | BaseException]:
        assert items == [1, 2]
        return [1, ValueError("two")]

    both = Coalescer[int, int](run, items_max=lambda: 10)
    found = await asyncio.gather(both.submit("p", 1), both.submit("p", 2), return_exceptions=True)
    assert found[0] == 1
    assert isinstance(found[1], ValueError)


async def test_an_error_of_the_request_is_raised_for_all_and_the_next_one_goes_on() -> None:
    sizes: list[int] = []

    async def run(_: str, items: list[int]) -> list[int]:
        sizes.append(len(items))
        if len(sizes) == 1:
            raise StoreUnavailable("away")
        return items

    both = Coalescer[int, int](run, items_max=lambda: 2)  # type: ignore[arg-type]
    calls = (both.submit("p", number) for number in range(5))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(each, StoreUnavailable) for each in found] == [True, True, *[False] * 3]
    assert sizes == [2, 2, 1]
