"""The status of the product, and dead letters."""

import json
from datetime import timedelta
from typing import Any

import pytest

from functions.rate_and_debit import rate_and_debit
from shared import bootstrap
from shared.domain.common import limits
from shared.domain.common.errors import QueueUnavailable, StoreUnavailable
from shared.domain.common.kinds import LegKind
from shared.domain.delivery.webhooks import ReceiverResponse
from shared.domain.legs.dead_letters import DeadLetter
from shared.domain.legs.leg import QueuedLeg, queued_leg_bytes
from shared.ports.activity import BEGINNING
from shared.usecases.legs.receive_legs import leg_message
from shared.usecases.operations.read_status import TIMERS
from tests.support.charging_app import LONDON, TOKYO, ChargingApp
from tests.support.processes import FakeMessage

STATUS = "/api/v1/status"
DEAD = "/api/v1/dead-letters"


def codes(app: ChargingApp) -> list[str]:
    return [reason["code"] for reason in app.get(STATUS).json["reasons"]]


def run_timers(app: ChargingApp) -> None:
    for name in TIMERS:
        app.run(app.container.runs.note(name))


@pytest.fixture(autouse=True)
def queue_answers(charging: ChargingApp) -> None:
    async def fine() -> None:
        return None

    charging.container.queue_check = fine  # type: ignore[assignment]


def bury(app: ChargingApp, number: int, body: bytes | None = None, **more: Any) -> DeadLetter:
    leg = QueuedLeg(app.ended(to=LONDON, leg_id=f"dead-{number}"), app.clock.now(), attempt=3)
    letter = DeadLetter(
        number,
        queued_leg_bytes(leg) if body is None else body,
        {"bridge": "studio"},
        app.clock.now(),
        100,
        "MaxDeliveryCountExceeded",
        None,
    )
    app.management.dead.append(letter)
    return letter


def test_a_product_without_work_is_ok(charging: ChargingApp) -> None:
    assert charging.get(STATUS).json == {
        "status": "ok",
        "reasons": [],
        "queue": {"messages": 0, "oldest_seconds": None, "dead_letters": 0},
        "inbox": {"messages": 0, "oldest_seconds": None},
        "outbox": {"oldest_seconds": None},
        "parked": {"open": 0, "by_reason": {}},
        "timers": [
            {"name": name, "last_success_at": None, "late": False, "late_after_seconds": seconds}
            for name, seconds in sorted(TIMERS.items())
        ],
        "last_charge_at": None,
        "webhooks": {"failing": 0},
        "bridges": [
            {
                "bridge": "pbx",
                "last_post_at": None,
                "last_leg_at": None,
                "legs_24h": 0,
                "parked_24h": 0,
                "ignored_24h": {},
            }
        ],
        "version": "9.9.9",
    }


@pytest.mark.parametrize("role", ["reader", "finance", "operator", "payments", "admin"])
def test_every_role_may_read_it_and_no_one_else(charging: ChargingApp, role: str) -> None:
    assert charging.get(STATUS, key=charging.api_key(role)).status == 200
    assert charging.get(STATUS, key=None).status == 401


def test_a_timer_that_stands_still_is_named(charging: ChargingApp) -> None:
    run_timers(charging)
    charging.clock.advance(limits.TIMER_LATE_SECONDS - 1)
    assert charging.get(STATUS).json["status"] == "ok"
    charging.run(charging.container.runs.note("low_balance"))
    charging.clock.advance(1)

    found = charging.get(STATUS).json

    assert found["status"] == "degraded"
    late = [timer["name"] for timer in found["timers"] if timer["late"]]
    assert late == ["end_waits", "forward_inbox", "retry_deliveries"]
    assert codes(charging) == ["timer_late"] * 3


def test_a_timer_that_never_ran_is_late_once_the_records_are_old_enough(
    charging: ChargingApp,
) -> None:
    charging.run(charging.container.runs.note("low_balance"))
    assert not any(timer["late"] for timer in charging.get(STATUS).json["timers"])
    charging.clock.advance(limits.NIGHTLY_LATE_SECONDS)
    assert all(timer["late"] for timer in charging.get(STATUS).json["timers"])
    assert BEGINNING not in {timer["name"] for timer in charging.get(STATUS).json["timers"]}


def test_the_last_charge_is_recorded_by_the_function_of_the_queue(charging: ChargingApp) -> None:
    bootstrap.install(charging.container)
    assert charging.get(STATUS).json["last_charge_at"] is None
    leg = QueuedLeg(charging.ended(), charging.clock.now())
    charging.run(rate_and_debit([FakeMessage(queued_leg_bytes(leg))]))  # type: ignore[list-item]
    assert charging.get(STATUS).json["last_charge_at"] == "2026-11-23T10:00:00Z"


def test_what_waits_in_the_inbox_and_the_parking_lot_is_counted(charging: ChargingApp) -> None:
    queued = QueuedLeg(charging.ended(), charging.clock.now())
    charging.run(charging.container.inbox.keep([leg_message(queued)], charging.clock.now()))
    charging.parked(charging.ended(to=TOKYO, kind=LegKind.DIAL_OUT))
    charging.clock.advance(121)

    found = charging.get(STATUS).json

    assert found["inbox"] == {"messages": 1, "oldest_seconds": 121}
    assert found["parked"] == {"open": 1, "by_reason": {"rate_missing": 1}}
    assert (found["status"], codes(charging)) == ("degraded", ["legs_wait"])


def test_parked_legs_of_others_are_not_counted(charging: ChargingApp) -> None:
    charging.parked(charging.ended(to=TOKYO, kind=LegKind.DIAL_OUT))
    charging.account("fabrikam")
    stranger = charging.api_key("reader", accounts=("fabrikam",))
    owner = charging.api_key("reader", accounts=("contoso",))
    assert charging.get(STATUS, key=stranger).json["parked"]["open"] == 0
    assert charging.get(STATUS, key=owner).json["parked"]["open"] == 1


def test_without_its_management_side_the_counts_of_the_queue_are_null(
    charging: ChargingApp,
) -> None:
    charging.queue.available = False
    found = charging.get(STATUS)
    assert (found.status, found.json["queue"]["messages"]) == (200, None)
    assert found.json["queue"]["dead_letters"] is None


def test_a_queue_that_is_away_is_a_reason(charging: ChargingApp) -> None:
    async def down() -> None:
        raise QueueUnavailable("down")

    charging.container.queue_check = down  # type: ignore[assignment]
    assert codes(charging) == ["queue_unavailable"]


def test_a_dead_letter_makes_health_and_status_degraded(charging: ChargingApp) -> None:
    bury(charging, 7)
    assert codes(charging) == ["dead_letters"]
    health = charging.get("/api/health", key=None)
    assert (health.status, health.json["status"]) == (200, "degraded")
    assert health.json["checks"]["dead_letters"] == "waiting"


def test_dead_letters_are_listed_page_by_page_and_queued_again_once(
    charging: ChargingApp,
) -> None:
    for number in (5, 9, 12):
        bury(charging, number)
    first = charging.get(f"{DEAD}?limit=2").json
    assert [item["id"] for item in first["items"]] == ["5", "9"]
    assert first["items"][0] == {
        "id": "5",
        "source": "queue",
        "leg": f"{charging.ended(leg_id='dead-5').key}",
        "bridge": charging.ended().bridge,
        "received_at": "2026-11-23T10:00:00Z",
        "enqueued_at": "2026-11-23T10:00:00Z",
        "deliveries": 100,
        "reason": "MaxDeliveryCountExceeded",
    }
    (last,) = charging.get(f"{DEAD}?cursor={first['next']}").json["items"]
    assert last["id"] == "12"

    replayed = charging.post(f"{DEAD}/9/replay", None)
    again = charging.post(f"{DEAD}/9/replay", None)

    assert (replayed.status, replayed.json["id"]) == (202, "9")
    assert (again.status, again.code) == (404, "dead_letter_unknown")
    (message,) = charging.queue.take(10)
    assert b"dead-9" in message.body
    assert b'"attempt":4' in message.body


def test_a_dead_letter_that_is_no_leg_is_queued_again_as_it_is(charging: ChargingApp) -> None:
    bury(charging, 1, b"no leg")
    assert "leg" not in charging.get(DEAD).json["items"][0]
    assert charging.post(f"{DEAD}/1/replay", None).status == 202
    (message,) = charging.queue.take(10)
    assert message.body == b"no leg"


def test_a_dead_letter_stays_while_the_queue_is_away(charging: ChargingApp) -> None:
    bury(charging, 1)
    charging.queue.available = False
    assert charging.post(f"{DEAD}/1/replay", None).status == 503
    assert len(charging.management.dead) == 1


@pytest.mark.parametrize(
    "number",
    [
        *(
            "0",
            "x",
            "9" * 30,
            "-1",
            "٣",
            "9223372036854775808",
            "webhooks-1",
            "webhooks-",
            "webhooks",
        ),
        *("queue-1", "webhooks--1", "Webhooks-1", "webhooks-٣", "webhooks-webhooks-1", "1%0A"),
    ],
)
def test_an_unknown_number_is_no_dead_letter(charging: ChargingApp, number: str) -> None:
    answer = charging.post(f"{DEAD}/{number}/replay", None)
    assert (answer.status, answer.code) == (404, "dead_letter_unknown")


def test_dead_letters_need_an_operator_of_all_accounts(charging: ChargingApp) -> None:
    bury(charging, 1)
    for key in (
        charging.api_key("reader"),
        charging.api_key("operator", accounts=("contoso",)),
    ):
        assert charging.get(DEAD, key=key).status == 403
        assert charging.post(f"{DEAD}/1/replay", None, key=key).status == 403


def test_a_run_that_can_not_be_noted_stops_nothing(charging: ChargingApp) -> None:
    charging.tables.inject(1, StoreUnavailable("down"), kind="transact")
    charging.run(charging.container.runs.note("low_balance"))
    assert charging.get(STATUS).json["timers"][2]["last_success_at"] is None
    charging.run(charging.container.runs.note("low_balance"))
    noted_at = charging.get(STATUS).json["timers"][2]["last_success_at"]
    charging.clock.advance(timedelta(seconds=1).total_seconds())
    charging.run(charging.container.runs.note("low_balance"))
    assert charging.get(STATUS).json["timers"][2]["last_success_at"] == noted_at


def bury_event(app: ChargingApp, number: int, body: bytes) -> None:
    letter = DeadLetter(number, body, {}, app.clock.now(), 50, "MaxDeliveryCountExceeded", None)
    app.webhooks_management.dead.append(letter)


EVENT = {
    "specversion": "1.0",
    "id": "contoso:7:1",
    "source": "/accounts/contoso",
    "type": "credits.topped_up",
    "time": "2026-11-23T10:00:00Z",
    "data": {},
}


def test_a_dead_event_makes_the_status_degraded(charging: ChargingApp) -> None:
    bury_event(charging, 3, json.dumps(EVENT).encode())
    found = charging.get(STATUS).json
    assert (found["status"], codes(charging)) == ("degraded", ["dead_letters"])
    assert "webhooks" in found["reasons"][0]["detail"]


def test_dead_events_are_listed_after_dead_legs(charging: ChargingApp) -> None:
    for number in (5, 9):
        bury(charging, number)
        bury_event(charging, number, json.dumps(EVENT).encode())
    pages: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = charging.get(f"{DEAD}?limit=1{cursor and '&cursor=' + cursor}").json
        pages.append(page["items"])
        cursor = page.get("next")
    assert [item["id"] for (item,) in pages] == ["5", "9", "webhooks-5", "webhooks-9"]
    assert pages[2][0] == {
        "id": "webhooks-5",
        "source": "webhooks",
        "account": "contoso",
        "event": EVENT["id"],
        "type": "credits.topped_up",
        "enqueued_at": "2026-11-23T10:00:00Z",
        "deliveries": 50,
        "reason": "MaxDeliveryCountExceeded",
    }
    rows = charging.get(f"{DEAD}?format=csv").body.decode().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", "5", "9", "webhooks-5", "webhooks-9"]


def test_a_dead_event_is_delivered_to_the_webhooks_that_want_it_and_published_to_no_one(
    charging: ChargingApp,
) -> None:
    class Receiver:
        async def post(self, url: str, headers: object, body: bytes) -> ReceiverResponse:
            return ReceiverResponse(200)

    charging.container.webhook_sender = Receiver()
    hook = {"url": "https://receiver.example/hook", "events": [EVENT["type"]]}
    assert charging.put("/api/v1/accounts/contoso/webhooks/books", hook).status == 201
    published = len(charging.topic.published)
    bury_event(charging, 3, json.dumps(EVENT).encode())

    replayed = charging.post(f"{DEAD}/webhooks-3/replay", None)
    again = charging.post(f"{DEAD}/webhooks-3/replay", None)

    assert (replayed.status, replayed.json["event"]) == (202, EVENT["id"])
    assert (again.status, again.code) == (404, "dead_letter_unknown")
    deliveries = charging.get("/api/v1/accounts/contoso/webhooks/books/deliveries").json["items"]
    assert [(each["id"], each["status"]) for each in deliveries] == [(EVENT["id"], "delivered")]
    assert len(charging.topic.published) == published
    assert charging.queue.messages_count == 0


@pytest.mark.parametrize("body", [b"no event", b"[]", b"7", b"[" * 100_000, b"{}", b"\xff"])
def test_a_dead_letter_that_is_no_event_is_listed_and_removed(
    charging: ChargingApp, body: bytes
) -> None:
    bury_event(charging, 3, body)
    (item,) = charging.get(DEAD).json["items"]
    assert (item["id"], "event" in item) == ("webhooks-3", False)
    assert charging.post(f"{DEAD}/webhooks-3/replay", None).status == 202
    assert charging.get(DEAD).json["items"] == []


def test_a_dead_event_stays_while_it_can_not_be_stored(charging: ChargingApp) -> None:
    async def down(bodies: object, *, seconds: float) -> None:
        raise StoreUnavailable("down")

    charging.container.deliver_events = down  # type: ignore[assignment]
    bury_event(charging, 3, json.dumps(EVENT).encode())
    assert charging.post(f"{DEAD}/webhooks-3/replay", None).status == 503
    assert len(charging.webhooks_management.dead) == 1
