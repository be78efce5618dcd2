"""Legs on their way: delivered any number of times, in any order, by anybody, and charged once."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from functions.forward_spillover import forward_inbox
from functions.low_balance import low_balance
from functions.webhooks import retry_deliveries
from shared import bootstrap
from shared.adapters.ledger.rows import STATE, TABLE
from shared.domain.common import limits
from shared.domain.common.errors import OutcomeUnknown, QueueUnavailable, StoreUnavailable
from shared.domain.directory.entities import AccountSettings
from shared.domain.legs.leg import QueuedLeg, read_queued_leg
from shared.domain.legs.parking import ParkReason
from shared.ports.queues import Message
from shared.ports.tables import Operation, Upsert
from shared.usecases.charging.charge_legs import ChargeLegs, ChargeStatus
from shared.usecases.legs.receive_legs import leg_message
from tests.support.ledger import DAY, START, UNIT
from tests.support.memory_tables import MemoryTables
from tests.support.processes import (
    CARD,
    FR,
    JP,
    Deployment,
    FakeMessage,
    card_bytes,
    leg_json,
)
from tests.support.product import SETTINGS

PRICE = 86_000


async def test_a_leg_is_posted_queued_rated_and_debited() -> None:
    process = Deployment().process()
    await process.set_up()
    (received,) = await process.receive(leg_json("1"))
    assert (received.leg, received.status) == ("local~1", "queued")
    assert await process.drain() == 1
    record = await process.record("1")
    assert record is not None
    assert record.charge["amount"] == "0.086"
    assert await process.balance() == 100 * UNIT - PRICE
    await process.sound()


async def test_the_broker_drops_what_was_posted_twice_and_keeps_other_content() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    await process.receive(leg_json("1"))
    await process.receive(leg_json("1"), leg_json("1", hangup_cause="says nothing of the call"))
    await process.receive(leg_json("1", conference_id="another"))
    assert len(deployment.queue.take(100)) == 2


async def test_a_redelivery_a_year_later_changes_nothing() -> None:
    deployment = Deployment()
    first = deployment.process()
    await first.set_up()
    await first.receive(leg_json("1"))
    (message,) = deployment.queue.take(100)
    await first.work([message])
    record, balance = await first.record("1"), await first.balance()
    deployment.clock.advance(days=400)
    later = deployment.process()
    await later.work([message])
    await later.work([message, message])
    assert await later.record("1") == record
    assert await later.balance() == balance
    assert await later.parked() == []
    await later.sound()


async def _another_card(deployment: Deployment) -> None:
    """The account is moved to a card that has no rate for the leg."""
    process = deployment.process()
    rates = [rate for rate in CARD["rates"] if rate["prefix"] == "33"]
    await process.put_card(card_bytes(rates=rates), START - 400 * DAY, card="poor")
    await process.container.accounts.put("contoso", AccountSettings("USD", rate_card="poor"), '"1"')


async def _another_currency(deployment: Deployment) -> None:
    """The card is in euros from before the leg on."""
    process = deployment.process()
    await process.put_card(card_bytes(currency="EUR"), START - DAY)


async def _another_owner(deployment: Deployment) -> None:
    """The meeting belongs to someone else."""
    process = deployment.process()
    await process.container.accounts.put("fabrikam", AccountSettings("USD"), None)
    await process.register("3001", "fabrikam")


async def _bridge_narrowed(deployment: Deployment) -> None:
    """The bridge acts for another account only, from now on."""
    process = deployment.process()
    await process.container.accounts.put("fabrikam", AccountSettings("USD"), None)
    view = await process.container.bridges.read("local")
    await process.put_bridge("local", frozenset({"fabrikam"}), "fabrikam", view.etag)


async def test_a_bridge_that_served_one_account_only_pins_its_legs_too() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up("contoso", "fabrikam")
    etag = await process.put_bridge("solo", frozenset({"contoso"}), "contoso")
    await process.receive(leg_json("1", account=None), bridge="solo")
    (message,) = deployment.queue.take(100)
    await process.work([message])
    await process.put_bridge("solo", frozenset({"fabrikam"}), "fabrikam", etag)
    await deployment.process().work([message])
    assert await process.balance("contoso") == 100 * UNIT - PRICE
    assert await process.balance("fabrikam") == 100 * UNIT


@pytest.mark.parametrize(
    "change", [_another_card, _another_currency, _another_owner, _bridge_narrowed]
)
@pytest.mark.parametrize("named", [{"account": "contoso"}, {"account": None}])
async def test_a_redelivery_is_charged_nowhere_else_and_parked_nowhere_whatever_changed(
    change: Callable[[Deployment], Any], named: dict[str, Any]
) -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    await process.register("3001", "contoso")
    await process.receive(leg_json("1", **named))
    (message,) = deployment.queue.take(100)
    await process.work([message])
    deployment.clock.advance(minutes=10)
    await change(deployment)
    later = deployment.process()
    await later.work([message])
    assert await later.balance("contoso") == 100 * UNIT - PRICE
    assert await later.balance("fabrikam") == 0
    assert await later.parked() == []


async def test_two_processes_that_see_different_owners_charge_one_account() -> None:
    """The claim decides: its first writer pins the account for ever."""
    deployment = Deployment()
    old, new = deployment.process(), deployment.process()
    await old.set_up("contoso", "fabrikam")
    await old.register("3001", "contoso")
    await old.receive(leg_json("1", account=None, answered_at=None))  # unanswered: as of its start
    (message,) = deployment.queue.take(100)
    queued = read_queued_leg(message.body)
    await asyncio.gather(*(each.container.facts.conference("3001") for each in (old, new)))
    await old.register("3001", "fabrikam")
    outcomes = await asyncio.gather(
        *(each.container.charge_legs.charge(queued) for each in (old, new))
    )
    accounts = {outcome.account for outcome in outcomes}
    assert len(accounts) == 1


async def test_conflicting_content_is_parked_once_and_debited_never() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    await process.receive(leg_json("1"))
    await process.drain()
    for _ in range(3):
        deployment.clock.advance(hours=1)
        await process.receive(leg_json("1", to=FR))
        await process.drain()
    (parked,) = await process.parked()
    assert (parked.reason, parked.account, parked.leg) == (
        ParkReason.CONFLICT,
        "contoso",
        "local~1",
    )
    assert await process.balance() == 100 * UNIT - PRICE


async def test_two_contents_in_one_batch_are_one_debit_and_one_conflict() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    await process.receive(leg_json("1"), leg_json("1", talk_seconds=181), leg_json("2"))
    await process.drain()
    assert len(await process.parked(reason="conflict")) == 1
    assert await process.balance() == 100 * UNIT - await _charged(process, "1") - PRICE


async def _charged(process: Any, leg_id: str) -> int:
    record = await process.record(leg_id)
    assert record is not None
    return -record.entry.amount_micros


@pytest.mark.parametrize(
    ("leg", "reason"),
    [
        (leg_json("1", to=JP), ParkReason.RATE_MISSING),
        (leg_json("1", to="not a number"), ParkReason.NUMBER_INVALID),
        (leg_json("1", to="+3317018004²"), ParkReason.NUMBER_INVALID),
        (leg_json("1", to="0033170180042"), ParkReason.NUMBER_INVALID),
        (leg_json("1", to="33170180042"), ParkReason.NUMBER_INVALID),
        (leg_json("1", account="nobody"), ParkReason.ACCOUNT_UNKNOWN),
        (leg_json("1", account=None), ParkReason.ACCOUNT_UNKNOWN),
        (leg_json("1", kind=None), ParkReason.KIND_UNKNOWN),
        (leg_json("1", talk_seconds=300), ParkReason.INCONSISTENT),
        (leg_json("1", talk_seconds=10**9), ParkReason.INCONSISTENT),
        (leg_json("1", ended_at="2026-11-23T10:05:01Z"), ParkReason.INCONSISTENT),
        (leg_json("1", started_at="2026-11-21T09:00:00Z", answered_at="2026-11-22T09:59:59Z"),
         ParkReason.INCONSISTENT),
    ],
)  # fmt: skip
async def test_what_can_not_be_charged_is_parked_once_and_its_neighbours_are_charged(
    leg: dict[str, Any], reason: ParkReason
) -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    await process.receive(leg_json("before"), leg, leg_json("after"))
    messages = deployment.queue.take(100)
    await process.work(messages)
    await process.work(messages)
    (parked,) = await process.parked()
    assert (parked.reason, parked.leg) == (reason, "local~1")
    known = None if reason is ParkReason.ACCOUNT_UNKNOWN else "contoso"
    assert parked.account == known
    assert await process.balance() == 100 * UNIT - 2 * PRICE
    await process.sound()


@pytest.mark.parametrize(
    "other",
    [{"talk_seconds": 300}, {"ended_at": "2026-11-23T10:05:01Z"}, {"kind": None}, {"to": JP}],
    ids=str,
)
async def test_other_content_of_a_charged_leg_is_a_conflict_even_if_it_could_not_be_charged(
    other: dict[str, Any],
) -> None:
    process = Deployment().process()
    await process.set_up()
    await process.receive(leg_json("1"))
    await process.drain()
    await process.receive(leg_json("1", **other))
    await process.drain()
    (parked,) = await process.parked()
    assert (parked.reason, parked.account) == (ParkReason.CONFLICT, "contoso")
    assert await process.balance() == 100 * UNIT - PRICE


@pytest.mark.parametrize("stalled", ["topic", "backlog"])
async def test_a_batch_ends_by_its_deadline_whatever_it_has_to_report(
    stalled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the host ends it, it comes again, and so on for ever."""
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    await process.receive(leg_json("1"), leg_json("2", to=JP))

    async def no_answer(_: object) -> None:
        await asyncio.Event().wait()

    place, name = (
        (deployment.topic, "publish") if stalled == "topic" else (process.container.backlog, "seen")
    )
    monkeypatch.setattr(place, name, no_answer)
    process.container.settings = replace(SETTINGS, call_ended_lock_seconds=1)
    async with asyncio.timeout(30):
        await process.work(deployment.queue.take(100))
    assert await process.balance() == 100 * UNIT - PRICE
    assert len(await process.parked()) == 1
    assert not deployment.queue.scheduled


@pytest.mark.parametrize("is_call_requested", [False, True])
async def test_many_legs_are_charged_at_full_speed_unless_a_call_was_requested(
    is_call_requested: bool,
) -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    if is_call_requested:
        process.container.backlog.call_requested()
    legs = [leg_json(f"{number}") for number in range(limits.GROUP_COMMIT_LEGS_MAX + 1)]
    await process.receive(*legs[1:])
    await process.drain()
    assert process.container.pace.gives_way  # few legs: it was not evaluated
    await process.receive(*legs)
    await process.drain()
    assert process.container.pace.gives_way == is_call_requested


# What fails for now


async def _one_message(deployment: Deployment) -> tuple[Any, Message]:
    process = deployment.process()
    await process.set_up()
    await process.receive(leg_json("1"))
    (message,) = deployment.queue.take(100)
    return process, message


async def test_what_fails_for_now_comes_again_later_and_later() -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    delays = []
    for attempt in range(1, 12):
        process.deployment.tables.inject(1, StoreUnavailable("busy"), kind="get")
        await process.work([message])
        ((at, message),) = deployment.queue.scheduled
        delays.append((at - deployment.clock.now()).total_seconds())
        assert read_queued_leg(message.body).attempt == attempt
        deployment.clock.moment = at
        assert deployment.queue.take(100) == [message]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert len({read_queued_leg(message.body).received_at}) == 1
    await process.work([message])
    assert await process.balance() == 100 * UNIT - PRICE


async def test_ten_minutes_without_storage_lose_nothing_and_dead_letter_nothing() -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    down = True

    async def busy(*_: Any, **__: Any) -> Any:
        if down:
            raise StoreUnavailable("busy")
        return await MemoryTables.get(deployment.tables, *_, **__)

    deployment.tables.get = busy  # type: ignore[method-assign]
    await process.work([message])
    started = deployment.clock.now()
    while deployment.clock.now() - started < timedelta(minutes=10):
        deployment.clock.advance(seconds=1)
        if batch := deployment.queue.take(100):
            await process.work(batch)
    down = False
    deployment.clock.advance(minutes=6)
    await process.drain()
    assert await process.balance() == 100 * UNIT - PRICE


async def test_two_attempts_in_one_batch_go_on_as_the_later_one() -> None:
    """A batch that was sent on and came again all the same: the next id must be a new one, or the
    broker drops it and the leg is lost."""
    for order in (1, -1):
        deployment = Deployment()
        process, message = await _one_message(deployment)
        for _ in range(3):
            deployment.tables.inject(1, StoreUnavailable("busy"), kind="get")
            await process.work([message])
            deployment.clock.advance(minutes=1)
        (again,) = deployment.queue.take(100)
        deployment.tables.inject(1, StoreUnavailable("busy"), kind="get")
        await process.work([message, again][::order])
        ((at, last),) = deployment.queue.scheduled
        assert read_queued_leg(last.body).attempt == 2
        deployment.clock.moment = at
        await process.drain()
        assert await process.balance() == 100 * UNIT - PRICE


async def test_when_even_sending_again_fails_the_whole_batch_comes_again() -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    deployment.tables.inject(1, StoreUnavailable("busy"), kind="get")
    deployment.queue.available = False
    with pytest.raises(QueueUnavailable):
        await process.work([message])
    deployment.queue.available = True
    await process.work([message])
    assert await process.balance() == 100 * UNIT - PRICE


@pytest.mark.parametrize("nth", range(1, 5))
@pytest.mark.parametrize("after", [True, False])
async def test_a_transaction_without_an_answer_anywhere_on_the_way_charges_once(
    nth: int, after: bool
) -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    deployment.tables.inject(nth, OutcomeUnknown("no answer"), after=after)
    await process.work([message])
    deployment.clock.advance(minutes=5)
    await deployment.process().drain()
    assert await process.balance() == 100 * UNIT - PRICE


async def test_a_leg_that_runs_out_of_time_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    queued = read_queued_leg(message.body)
    stuck = asyncio.Event()

    async def never(*_: Any, **__: Any) -> Any:
        await stuck.wait()

    monkeypatch.setattr(deployment.tables, "get", never)
    (outcome,) = await process.container.charge_legs([queued], seconds=0.01)
    assert outcome.status is ChargeStatus.LATER
    monkeypatch.undo()
    stuck.set()
    deployment.clock.advance(minutes=5)
    await process.drain()
    assert await process.balance() == 100 * UNIT - PRICE


async def test_a_ledger_that_halts_does_not_stop_the_legs_of_others() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up("contoso", "fabrikam")
    row = await deployment.tables.get(TABLE, "contoso", STATE)
    assert row is not None
    newer: Operation = Upsert(STATE, {**row.values, "schema": 99})
    await deployment.tables.transact(TABLE, "contoso", [newer])
    await process.receive(leg_json("1"), leg_json("2", account="fabrikam"))
    await process.drain()
    assert await process.balance("fabrikam") == 100 * UNIT - PRICE
    assert len(deployment.queue.scheduled) == 1
    await deployment.tables.transact(TABLE, "contoso", [Upsert(STATE, row.values)])
    deployment.clock.advance(minutes=1)
    await deployment.process().drain()
    assert await process.balance("contoso") == 100 * UNIT - PRICE


async def test_an_error_of_ours_with_one_leg_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    charge = process.container.charge_legs.charge

    async def broken(queued: QueuedLeg, **more: Any) -> Any:
        if queued.leg.leg_id == "1":
            raise ZeroDivisionError
        return await charge(queued, **more)

    monkeypatch.setattr(ChargeLegs, "charge", staticmethod(broken))
    await process.receive(leg_json("1"), leg_json("2"))
    await process.drain()
    assert await process.balance() == 100 * UNIT - PRICE
    assert len(deployment.queue.scheduled) == 1


async def test_an_attempt_that_no_one_counted_is_no_reason_to_reckon_for_ever() -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    queued = read_queued_leg(message.body)
    deployment.tables.inject(1, StoreUnavailable("busy"), kind="get")
    await process.work([leg_message(QueuedLeg(queued.leg, queued.received_at, 10**15))])
    ((at, _),) = deployment.queue.scheduled
    assert at - deployment.clock.now() == timedelta(seconds=limits.RESEND_DELAY_SECONDS_MAX)


# What can't be read


def _poison() -> list[bytes]:
    leg = {
        "account": "contoso", "answered_at": None, "authorization": None, "conference": None,
        "ended_at": "2026-11-23T10:00:00Z", "from": None, "kind": "voip", "organizer": None,
        "started_at": "2026-11-23T09:59:00Z", "talk_seconds": None, "to": None,
        "bridge": "local", "leg_id": "x", "hangup_cause": None,
    }  # fmt: skip
    whole = {"schema": 1, "received_at": "2026-11-23T10:00:00Z", "attempt": 0, "leg": leg}

    def with_leg(**changes: object) -> dict[str, object]:
        return {**whole, "leg": {**leg, **changes}}

    documents: list[object] = [
        [],
        "text",
        1,
        None,
        {},
        {**whole, "schema": 2},
        {**whole, "schema": "1"},
        {**whole, "received_at": "2026-11-23T10:00:00"},
        {**whole, "received_at": 5},
        {**whole, "attempt": "many"},
        {**whole, "attempt": float("inf")},
        {**whole, "leg": []},
        with_leg(leg_id=7),
        with_leg(bridge=None),
        with_leg(kind="fax"),
        with_leg(started_at="2026-11-23"),
        with_leg(ended_at=None),
        with_leg(talk_seconds=float("inf")),
        with_leg(talk_seconds=float("nan")),
        with_leg(talk_seconds=[]),
        with_leg(leg_id="\ud800"),
        with_leg(conference="\udfff"),
    ]
    return [
        b"",
        b"\xff\xfe",
        b"{",
        b"[" * 100_000,
        b'{"schema": 1, "schema": 1}',
        *(json.dumps(document).encode() for document in documents),
    ]


@pytest.mark.parametrize("body", _poison(), ids=range(len(_poison())))
async def test_a_message_that_can_not_be_read_is_parked_and_the_batch_goes_on(body: bytes) -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    poison = FakeMessage(body, {"bridge": "local", "attempt": "0"})
    fine = FakeMessage(message.body)
    await process.work([fine, poison, fine, poison])
    (parked,) = await process.parked()
    assert (parked.reason, parked.bridge) == (ParkReason.UNREADABLE, "local")
    assert await process.balance() == 100 * UNIT - PRICE


async def test_a_leg_of_a_thousand_years_is_parked_not_an_error() -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    data = json.loads(message.body)
    data["leg"]["talk_seconds"] = 10**30
    await process.work([FakeMessage(json.dumps(data).encode())])
    (parked,) = await process.parked()
    assert parked.reason is ParkReason.INCONSISTENT


async def test_an_unreadable_message_waits_too_while_storage_is_away() -> None:
    deployment = Deployment()
    process, message = await _one_message(deployment)
    poison = FakeMessage(b"{", {"bridge": "local", "attempt": "3"})
    deployment.tables.inject(1, StoreUnavailable("busy"))
    await process.work([poison, FakeMessage(message.body)])
    assert await process.balance() == 100 * UNIT - PRICE
    ((_, again),) = deployment.queue.scheduled
    assert (again.body, again.properties["attempt"]) == (b"{", "4")
    deployment.clock.advance(minutes=5)
    await process.drain()
    assert len(await process.parked(reason="unreadable")) == 1


# The inbox


async def test_while_the_queue_is_away_legs_wait_in_the_inbox_and_go_on_once() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    deployment.queue.available = False
    await process.receive(*(leg_json(str(number)) for number in range(70)))
    with pytest.raises(QueueUnavailable):
        await process.container.forward_inbox()
    deployment.queue.available = True
    assert await process.container.forward_inbox() == 4  # messages of up to 20 legs
    assert await process.container.forward_inbox() == 0
    await process.drain()
    assert await process.balance() == 100 * UNIT - 70 * PRICE


@pytest.mark.parametrize("timer", [forward_inbox, low_balance, retry_deliveries])
async def test_a_timer_that_meets_an_outage_reports_it_in_a_line_and_goes_on_later(
    timer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    process = Deployment().process()
    await process.set_up()
    bootstrap.install(process.container)
    tick = timer._function.get_user_function()
    process.deployment.tables.inject(1, StoreUnavailable("No answer."), kind="query")
    caplog.clear()  # what the set-up logged, if an earlier test imported the application
    with caplog.at_level("WARNING", logger="perminute"):
        await tick(SimpleNamespace(past_due=False))
    (reported,) = [json.loads(record.message) for record in caplog.records]
    assert reported == {
        "event": "timer_failed",
        "function": tick.__name__,
        "detail": "No answer.",
    }


async def test_a_crash_between_sending_on_and_deleting_sends_twice_and_charges_once() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    deployment.queue.available = False
    await process.receive(leg_json("1"))
    deployment.queue.available = True
    deployment.tables.inject(1, StoreUnavailable("crash"))
    with pytest.raises(StoreUnavailable):
        await process.container.forward_inbox()
    deployment.clock.advance(hours=1)  # the broker has forgotten the id
    assert await deployment.process().container.forward_inbox() == 1
    await process.drain()
    assert await process.balance() == 100 * UNIT - PRICE


async def test_two_timers_forward_the_same_inbox_at_once() -> None:
    deployment = Deployment()
    one, two = deployment.process(), deployment.process()
    await one.set_up()
    deployment.queue.available = False
    await one.receive(*(leg_json(str(number)) for number in range(9)))
    deployment.queue.available = True
    await asyncio.gather(one.container.forward_inbox(), two.container.forward_inbox())
    assert await one.container.forward_inbox() == 0
    await one.drain()
    assert await one.balance() == 100 * UNIT - 9 * PRICE


async def test_a_post_is_refused_when_neither_queue_nor_inbox_has_it() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    deployment.queue.available = False
    for fault in (StoreUnavailable("busy"), OutcomeUnknown("no answer")):
        deployment.tables.inject(1, fault)
        with pytest.raises(StoreUnavailable):
            await process.receive(leg_json("1"))


async def test_a_leg_that_the_queue_took_without_saying_so_is_charged_once() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    queued = QueuedLeg(read_queued_leg(await _body(process, deployment)).leg, START)
    await process.container.inbox.keep([leg_message(queued)], START)
    deployment.clock.advance(hours=1)
    await process.container.forward_inbox()
    await process.drain()
    assert await process.balance() == 100 * UNIT - PRICE


async def _body(process: Any, deployment: Deployment) -> bytes:
    await process.receive(leg_json("1"))
    (message,) = deployment.queue.take(100)
    await process.work([message])
    return message.body


async def test_an_hour_of_clock_going_back_stops_no_leg() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up()
    await process.receive(leg_json("1"))
    await process.drain()
    deployment.clock.advance(hours=-1)
    stated = datetime.fromisoformat("2026-11-23T09:00:00+00:00")
    early = {
        "started_at": (stated - timedelta(minutes=4)).isoformat(),
        "answered_at": (stated - timedelta(minutes=3)).isoformat(),
        "ended_at": stated.isoformat(),
    }
    await process.receive(leg_json("2", **early))
    await process.drain()
    assert await process.balance() == 100 * UNIT - 2 * PRICE
    commits = await process.container.ledger.journal("contoso", after=0, limit=9)
    entries = [entry for commit in commits for entry in commit.entries]
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    await process.sound()
