"""Parked legs: corrected, replayed by several people at once, and charged once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from shared.domain.common.errors import (
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    OutcomeUnknown,
    StoreUnavailable,
    Unavailable,
)
from shared.domain.directory.access import Principal, Role
from shared.domain.legs.bridge_payloads import Unreadable
from shared.domain.legs.leg import QueuedLeg, read_leg_document
from shared.domain.legs.parking import ParkedLeg, ParkReason, ParkStatus
from shared.ports.tables import Operation
from shared.usecases.charging.charge_legs import ChargeLegs
from tests.support.ledger import START, UNIT
from tests.support.processes import ADMIN, CARD, JP, Deployment, Process, card_bytes, leg_json

PRICE = 86_000
JAPAN_PRICE = 3 * 200_000
CORRECTED = {**leg_json("1"), "account": "contoso"}
SMALL = Principal("small", frozenset({Role.OPERATOR}), frozenset({"contoso"}))


async def _parked(leg: dict[str, Any] | None = None) -> tuple[Process, ParkedLeg]:
    """A deployment whose one leg is parked: there is no rate for Japan."""
    process = Deployment().process()
    await process.set_up("contoso", "fabrikam")
    await process.receive(leg or leg_json("1", to=JP))
    await process.drain()
    (parked,) = await process.parked()
    return process, parked


async def _correct_card(process: Process) -> None:
    japan = {**CARD["rates"][0], "prefix": "81", "connection_fee": "0", "destination": "Japan"}
    slot = {"from_second": 0, "price": "0.2", "unit_seconds": 60, "increment_seconds": 60}
    rates = [*CARD["rates"], {**japan, "slots": [slot]}]
    await process.put_card(card_bytes(rates=rates), START - timedelta(days=1))


async def test_a_leg_without_a_rate_is_replayed_once_there_is_one() -> None:
    process, parked = await _parked()
    again = await process.container.parked_legs.replay(ADMIN, parked.id)
    assert (again.status, again.attempts, again.reason) == (
        ParkStatus.OPEN,
        2,
        ParkReason.RATE_MISSING,
    )
    await _correct_card(process)
    done = await process.container.parked_legs.replay(ADMIN, parked.id)
    assert (done.status, done.actor, done.account) == (ParkStatus.REPLAYED, "admin", "contoso")
    assert await process.balance() == 100 * UNIT - JAPAN_PRICE
    assert await process.container.parked_legs.replay(ADMIN, parked.id) == done


async def test_a_post_of_over_twelve_properties_is_parked_in_two_rows() -> None:
    process = Deployment().process()
    text = "".join(sha256(b"%d" % number).hexdigest() for number in range(28_000))
    original = {"text": text}  # over 720 KiB, even deflated
    long = ParkedLeg("0" * 32 + "." + "0" * 32, "local~1", "local", ParkReason.UNREADABLE, "x",
                     START, original=original)  # fmt: skip

    await process.container.parking.park(long)

    found = await process.container.parking.get(long.id)
    assert found is not None
    assert found.original == original
    assert await process.tables.get("parked", "00", f"{long.id}|more")


async def test_two_contents_of_one_leg_are_two_parked_legs() -> None:
    """Neither can be charged; which of them is true is for a person to say."""
    process, first = await _parked()
    for _ in range(2):
        await process.receive(leg_json("1", to=JP, conference_id="another"))
        await process.drain()
    parked = await process.parked()
    assert [(each.leg, each.reason) for each in parked] == [
        ("local~1", ParkReason.RATE_MISSING)
    ] * 2
    conferences = [each.original.get("conference") for each in parked]
    assert sorted(map(str, conferences)) == ["3001", "another"]
    assert first in parked


async def test_a_hundred_replays_at_once_are_one_debit() -> None:
    process, parked = await _parked()
    await _correct_card(process)
    other = process.deployment.process()
    done = await asyncio.gather(
        *(each.container.parked_legs.replay(ADMIN, parked.id) for each in [process, other] * 50)
    )
    assert {one.status for one in done} == {ParkStatus.REPLAYED}
    assert await process.balance() == 100 * UNIT - JAPAN_PRICE
    await process.sound()


async def test_one_leg_corrected_in_two_ways_at_once_is_charged_once_and_stays_replayed() -> None:
    process, parked = await _parked()
    other = process.deployment.process()
    for order in ([process, other], [other, process]):
        bodies = ({**CORRECTED}, {**CORRECTED, "conference_id": "another"})
        await asyncio.gather(
            *(
                each.container.parked_legs.replay(ADMIN, parked.id, body)
                for each, body in zip(order, bodies, strict=True)
            )
        )
        (kept,) = await process.parked()
        assert kept.status is ParkStatus.REPLAYED
        assert await process.balance() == 100 * UNIT - PRICE


async def test_a_corrected_leg_keeps_its_id() -> None:
    process, parked = await _parked()
    with pytest.raises(Invalid) as refused:
        await process.container.parked_legs.replay(ADMIN, parked.id, {**CORRECTED, "leg_id": "2"})
    assert refused.value.errors[0].pointer == "/leg/leg_id"
    assert await process.balance() == 100 * UNIT


async def test_a_corrected_leg_stays_with_the_account_that_it_is_pinned_to() -> None:
    process, parked = await _parked()
    body = {**CORRECTED, "account": "fabrikam"}
    with pytest.raises(NotAllowed):
        await process.container.parked_legs.replay(SMALL, parked.id, body)
    with pytest.raises(Invalid) as refused:
        await process.container.parked_legs.replay(ADMIN, parked.id, body)
    assert [error.pointer for error in refused.value.errors] == ["/leg/account"]
    for account in ("contoso", "fabrikam"):
        assert await process.balance(account) == 100 * UNIT


@pytest.mark.parametrize("why", [{"to": JP}, {"kind": None}, {"talk_seconds": 999}], ids=str)
async def test_no_one_charges_an_account_that_is_not_theirs(why: dict[str, Any]) -> None:
    process, parked = await _parked(leg_json("1", **why))
    queued = QueuedLeg(read_leg_document(parked.original), START)
    stranger = Principal("other", frozenset({Role.OPERATOR}), frozenset({"fabrikam"}))
    with pytest.raises(NotAllowed):
        await process.container.charge_legs.charge(queued, on_behalf_of=stranger)


async def test_someone_elses_parked_leg_is_not_found() -> None:
    process, parked = await _parked(leg_json("1", to=JP, account="fabrikam"))
    for act in (process.container.parked_legs.replay, process.container.parked_legs.dismiss):
        with pytest.raises(NotFound):
            await act(SMALL, parked.id)


async def test_a_dismissed_leg_is_not_replayed_and_a_replayed_one_not_dismissed() -> None:
    process, parked = await _parked()
    service = process.container.parked_legs
    dismissed = await service.dismiss(ADMIN, parked.id)
    assert await service.dismiss(ADMIN, parked.id) == dismissed
    with pytest.raises(Conflict):
        await service.replay(ADMIN, parked.id, CORRECTED)
    process, parked = await _parked()
    await process.container.parked_legs.replay(ADMIN, parked.id, CORRECTED)
    with pytest.raises(Conflict):
        await process.container.parked_legs.dismiss(ADMIN, parked.id)


async def test_dismissed_while_it_is_replayed_it_is_charged_and_states_it() -> None:
    process, parked = await _parked()
    other = process.deployment.process()
    outcomes = await asyncio.gather(
        process.container.parked_legs.replay(ADMIN, parked.id, CORRECTED),
        other.container.parked_legs.dismiss(ADMIN, parked.id),
        return_exceptions=True,
    )
    (kept,) = await process.parked()
    assert kept.status is ParkStatus.REPLAYED
    assert await process.balance() == 100 * UNIT - PRICE
    assert not isinstance(outcomes[0], BaseException)


async def test_a_failed_replay_does_not_open_what_was_dismissed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, parked = await _parked()
    charge = process.container.charge_legs.charge

    async def slow(*args: Any, **more: Any) -> Any:
        outcome = await charge(*args, **more)
        await process.deployment.process().container.parked_legs.dismiss(ADMIN, parked.id)
        return outcome

    monkeypatch.setattr(ChargeLegs, "charge", staticmethod(slow))
    after = await process.container.parked_legs.replay(ADMIN, parked.id)
    assert after.status is ParkStatus.DISMISSED


@pytest.mark.parametrize("after", [True, False])
async def test_a_replay_whose_answer_is_lost_is_safe_to_repeat(after: bool) -> None:
    process, parked = await _parked()
    for nth in (1, 2, 3):
        process.deployment.tables.inject(nth, OutcomeUnknown("no answer"), after=after)
    for _ in range(5):
        try:
            await process.container.parked_legs.replay(ADMIN, parked.id, CORRECTED)
        except Unavailable:
            continue
        break
    (kept,) = await process.parked()
    assert kept.status is ParkStatus.REPLAYED
    assert await process.balance() == 100 * UNIT - PRICE


async def test_a_parked_leg_that_is_posted_again_is_charged_and_replaying_it_charges_nothing() -> (
    None
):
    process, parked = await _parked()
    await _correct_card(process)
    process.deployment.clock.advance(hours=1)
    await process.receive(leg_json("1", to=JP))
    await process.drain()
    assert await process.balance() == 100 * UNIT - JAPAN_PRICE
    done = await process.container.parked_legs.replay(ADMIN, parked.id)
    assert done.status is ParkStatus.REPLAYED
    assert await process.balance() == 100 * UNIT - JAPAN_PRICE


async def test_what_could_not_be_read_is_corrected_by_hand_and_charged_once() -> None:
    process = Deployment().process()
    await process.set_up()
    await process.container.receive_legs.park_unreadable("local", Unreadable("1", "no JSON", b"{"))
    (parked,) = await process.parked()
    with pytest.raises(Invalid) as refused:
        await process.container.parked_legs.replay(ADMIN, parked.id)
    assert refused.value.code == "leg_needed"
    for _ in range(2):
        await process.container.parked_legs.replay(ADMIN, parked.id, CORRECTED)
    assert await process.balance() == 100 * UNIT - PRICE


async def test_parking_is_certain_or_reported_as_uncertain() -> None:
    process = Deployment().process()
    await process.set_up()
    await process.receive(leg_json("1", to=JP))
    (message,) = process.deployment.queue.take(1)

    async def lost(table: str, partition: str, operations: Sequence[Operation]) -> Any:
        if table == "parked":
            raise OutcomeUnknown("no answer")
        return await transact(table, partition, operations)

    transact = process.deployment.tables.transact
    process.deployment.tables.transact = lost  # type: ignore[method-assign]
    await process.work([message])
    process.deployment.tables.transact = transact  # type: ignore[method-assign]
    assert await process.parked() == []
    process.deployment.clock.advance(minutes=5)
    await process.drain()
    assert len(await process.parked()) == 1


async def test_an_update_that_no_one_can_confirm_is_not_claimed() -> None:
    process, parked = await _parked()
    process.deployment.tables.inject(1, OutcomeUnknown("no answer"))
    with pytest.raises(StoreUnavailable):
        await process.container.parked_legs.dismiss(ADMIN, parked.id)
    assert (await process.container.parked_legs.dismiss(ADMIN, parked.id)).actor == "admin"
