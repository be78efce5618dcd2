"""Signals to bridges: a warning before granted seconds end, and the end of calls."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.delivery.webhooks import ReceiverResponse
from shared.ports.tables import Upsert
from shared.usecases.credits.watch_balances import CALLS
from shared.usecases.dial_out.watch_calls import WatchCalls, _WatchedAccount
from tests.support.calls import LONDON, TOLL, Calls
from tests.support.memory_tables import MemoryTables
from tests.support.product import ManualClock, Product

URL = "https://pbx.example.com/control"
BASE = "/api/v1/accounts/contoso"
CONTROL_SECRET = "whsec_" + "C" * 43 + "="


class Bridge:
    """A bridge's control server; `answer` maps the type of an event to the reply."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answer: Callable[[str], ReceiverResponse] = lambda _: ReceiverResponse(204)
        self.clock: ManualClock

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        await asyncio.sleep(0)
        assert url == URL
        event = json.loads(body)
        assert headers["webhook-id"] == event["id"]
        self.got.append(event)
        return self.answer(event["type"])

    @property
    def signals(self) -> list[tuple[str, str, str | None]]:
        return [
            (each["data"]["authorization"], each["type"], each["data"].get("reason"))
            for each in self.got
        ]


class Still(WatchCalls):
    """The test starts each evaluation: timers would follow the real clock."""

    def _set_timer(self, account: str, watch: _WatchedAccount, seconds: float) -> None:
        pass


class App(Product):
    """A product whose bridge takes signals."""

    def __init__(self, tables: MemoryTables | None = None, clock: ManualClock | None = None):
        super().__init__(tables, clock)
        self.bridge = Bridge()
        self.container.webhook_sender = self.bridge
        self.container.watch_calls = Still(
            *(self.container.facts, self.container.holds, self.container.due),
            *(self.bridge, self.container.clock, self.container.minutes_left),
        )

    def settle(self, top_up: str = "10.00", **settings: Any) -> Calls:
        calls = Calls(self, top_up, **settings)
        control = {"url": URL, "secrets": [CONTROL_SECRET]}
        answer = self.call("PATCH", "/api/v1/bridges/pbx", {"control": control})
        assert answer.status == 200, answer.body
        return calls

    def evaluate(self) -> None:
        """What the process does at the moment for which it set its timer."""
        self.run(self.container.watch_calls("contoso", by_timer=False))

    def after(self, **span: float) -> None:
        self.clock.advance(**span)
        self.evaluate()

    def tick(self, **span: float) -> None:
        """The timer, in a process of its own."""
        self.clock.advance(**span)
        self.run(self.container.watch_balances())


@pytest.fixture
def app() -> Iterator[App]:
    with App() as product:
        yield product


def test_a_call_is_warned_a_minute_before_its_grant_ends_and_then_ended(app: App) -> None:
    calls = app.settle()
    authorization = calls.authorise(requested_seconds=300, leg_id="leg 7", conference_id="3001")[
        "authorization"
    ]
    app.after(seconds=239)
    assert app.bridge.got == []
    app.after(seconds=1)
    (warning,) = app.bridge.got
    assert warning == {
        "specversion": "1.0",
        "id": f"{authorization}:300:warning",
        "source": "/accounts/contoso",
        "type": "call.warning",
        "time": "2026-11-23T10:04:00Z",
        "datacontenttype": "application/json",
        "data": {
            "authorization": authorization,
            "leg_id": "leg 7",
            "conference": "3001",
            "seconds_left": 60,
        },
    }
    app.after(seconds=59)
    app.after(seconds=1)
    app.after(seconds=500)
    assert app.bridge.signals == [
        (authorization, "call.warning", None),
        (authorization, "call.end", "grant_ended"),
    ]
    assert app.bridge.got[1]["data"]["seconds_left"] == 0


def test_granted_seconds_count_from_the_answer(app: App) -> None:
    calls = app.settle()
    authorization = calls.authorise(requested_seconds=300)["authorization"]
    app.clock.advance(seconds=45)
    calls.send(f"dial-outs/{authorization}/answered", {})
    app.after(seconds=239)
    assert app.bridge.got == []
    app.after(seconds=1)
    assert app.bridge.signals == [(authorization, "call.warning", None)]


@pytest.mark.parametrize("moment", [100, 239, 245])
def test_an_extension_takes_the_warning_back_or_gives_the_call_another_one(
    app: App, moment: int
) -> None:
    calls = app.settle()
    authorization = calls.authorise(requested_seconds=300)["authorization"]
    app.clock.advance(seconds=moment)
    assert calls.extend(authorization, 600).json["granted_seconds"] == 600
    app.after(seconds=400 - moment)
    assert app.bridge.got == []
    app.after(seconds=140)
    app.after(seconds=60)
    assert [each["id"] for each in app.bridge.got] == [
        f"{authorization}:600:warning",
        f"{authorization}:600:end",
    ]


def test_a_release_and_a_leg_take_signals_back(app: App) -> None:
    calls = app.settle()
    released = calls.authorise(requested_seconds=300)["authorization"]
    charged = calls.authorise(requested_seconds=300)["authorization"]
    app.clock.advance(seconds=200)
    calls.release(released)
    calls.charged(charged)
    app.after(seconds=100)
    assert app.bridge.got == []


def test_credit_that_ends_a_grant_is_the_reason(app: App) -> None:
    calls = app.settle("0.09")
    first = calls.authorise(requested_seconds=900)
    assert (first["granted_seconds"], first["ends_by"]) == (240, "credit")
    app.after(seconds=240)
    assert app.bridge.signals[-1] == (first["authorization"], "call.end", "credit_exhausted")


def test_an_extension_refused_for_lack_of_credit_is_the_reason(app: App) -> None:
    calls = app.settle("0.12")
    first = calls.authorise(requested_seconds=60)
    assert first["final"] is False
    calls.authorise(requested_seconds=60)
    app.clock.advance(seconds=30)
    assert calls.extend(first["authorization"], 900).json["ends_by"] == "credit"
    app.after(seconds=30)
    assert (first["authorization"], "call.end", "credit_exhausted") in app.bridge.signals


def test_a_budget_that_ends_a_grant_is_the_reason(app: App) -> None:
    calls = app.settle()
    calls.policy(budgets={"day": {"amount": "0.07"}})
    first = calls.authorise(requested_seconds=900)
    assert (first["granted_seconds"], first["ends_by"]) == (120, "budget")
    app.after(seconds=120)
    assert app.bridge.signals[-1] == (first["authorization"], "call.end", "credit_exhausted")


def test_included_minutes_that_end_a_grant_are_the_reason(app: App) -> None:
    calls = app.settle("", subscription_licenses=1)
    calls.organizer("sub", license="subscription")
    first = calls.authorise(organizer_id="sub", requested_seconds=900)
    second = calls.extend(first["authorization"], 7200).json
    assert (second["granted_seconds"], second["ends_by"]) == (3600, "pool")
    app.after(seconds=3600)
    assert app.bridge.signals[-1] == (first["authorization"], "call.end", "credit_exhausted")


def test_a_stop_ends_dial_outs_once_and_a_suspension_all_calls(app: App) -> None:
    calls = app.settle()
    out = calls.authorise()["authorization"]
    caller = calls.come_in(TOLL)["authorization"]
    calls.control("stop", {"reason": "odd calls"})
    app.evaluate()
    app.after(seconds=10)
    assert app.bridge.signals == [(out, "call.end", "dial_out_stopped")]
    calls.control("restart")
    app.after(seconds=1)
    calls.control("stop", {"reason": "again"})
    app.evaluate()
    assert app.bridge.signals[1:] == [(out, "call.end", "dial_out_stopped")]
    assert app.bridge.got[0]["id"] != app.bridge.got[1]["id"]
    calls.policy(suspended=True)
    app.evaluate()
    assert sorted(app.bridge.signals[2:]) == sorted(
        [(out, "call.end", "account_suspended"), (caller, "call.end", "account_suspended")]
    )


def test_the_breaker_ends_calls(app: App) -> None:
    calls = app.settle()
    calls.policy(velocity={"cost_per_ten_minutes": "0.30"})
    first, second = (calls.authorise()["authorization"] for _ in range(2))
    app.evaluate()
    assert sorted(app.bridge.signals) == sorted(
        (each, "call.end", "dial_out_stopped") for each in (first, second)
    )


def test_a_signal_is_sent_until_it_is_taken_in_order_with_the_same_id(app: App) -> None:
    calls = app.settle()
    authorization = calls.authorise(requested_seconds=90)["authorization"]
    app.bridge.answer = lambda _: ReceiverResponse(None, "no answer within 10 s")
    app.after(seconds=30)
    app.after(seconds=1)
    app.after(seconds=2)
    assert [each["id"] for each in app.bridge.got] == [f"{authorization}:90:warning"] * 3
    app.after(seconds=60)
    app.bridge.answer = lambda _: ReceiverResponse(200)
    app.after(seconds=30)
    app.after(seconds=30)
    assert [each["type"] for each in app.bridge.got][3:] == ["call.warning", "call.end"] * 2


def test_an_end_does_not_wait_for_a_warning_that_is_refused(app: App) -> None:
    calls = app.settle()
    calls.authorise(requested_seconds=90)
    app.bridge.answer = lambda kind: ReceiverResponse(500 if kind == "call.warning" else 200)
    app.after(seconds=90)
    app.after(seconds=60)
    assert [each["type"] for each in app.bridge.got] == ["call.warning", "call.end"]


def test_another_process_does_by_the_timer_what_a_dead_one_left(app: App) -> None:
    calls = app.settle()
    authorization = calls.authorise(requested_seconds=300)["authorization"]
    app.close()
    with App(app.tables, app.clock) as other:
        other.tick(seconds=120)
        assert other.bridge.got == []
        other.tick(seconds=120)  # the warning is due now, and its process has some seconds for it
        assert other.bridge.got == []
        other.tick(seconds=60)
        assert other.bridge.signals == [(authorization, "call.warning", None)]
        other.tick(seconds=60)
        assert other.bridge.signals[1:] == [(authorization, "call.end", "grant_ended")]
        other.tick(seconds=60)
        assert len(other.bridge.got) == 2


def test_a_stop_of_a_dead_process_reaches_the_bridge_by_the_timer(app: App) -> None:
    calls = app.settle()
    authorization = calls.authorise()["authorization"]
    calls.control("stop", {"reason": "odd calls"})
    app.close()
    with App(app.tables, app.clock) as other:
        other.tick(seconds=60)
        assert other.bridge.signals == [(authorization, "call.end", "dial_out_stopped")]


def test_a_bridge_without_control_costs_no_mark_and_hears_nothing(app: App) -> None:
    calls = Calls(app)
    calls.authorise(requested_seconds=90)
    app.after(seconds=90)
    assert app.bridge.got == []
    marks = app.run(app.container.due.due(app.clock.now() + timedelta(days=1), limit=100))
    assert [mark for mark in marks if mark.kind == CALLS] == []


def test_signals_are_signed_by_each_secret(app: App) -> None:
    calls = app.settle()
    second = "whsec_" + "D" * 43 + "="
    control = {"url": URL, "secrets": [CONTROL_SECRET, second]}
    app.call("PATCH", "/api/v1/bridges/pbx", {"control": control})
    caught: list[tuple[Mapping[str, str], bytes]] = []

    class Catching(Bridge):
        async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
            caught.append((headers, body))
            return ReceiverResponse(200)

    app.container.watch_calls._sender = Catching()
    calls.authorise(requested_seconds=60)
    app.evaluate()
    ((headers, body),) = caught
    assert len(headers["webhook-signature"].split()) == 2
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert json.loads(body)["type"] == "call.warning"


def test_secrets_of_a_control_url_are_made_shown_once_kept_and_never_logged(app: App) -> None:
    Calls(app)
    path = "/api/v1/bridges/pbx"
    made = app.call("PATCH", path, {"control": {"url": URL}})
    secret = made.json["control"]["secrets"][0]
    assert secret.startswith("whsec_")
    assert app.get(path).json["control"] == {"url": URL}
    moved = app.call("PATCH", path, {"control": {"url": f"{URL}?key=hidden"}, "country": "GB"})
    assert moved.json["control"] == {"url": f"{URL}?key=hidden"}
    assert "hidden" not in app.get("/api/v1/audit-log").body.decode()
    stored = app.run(app.container.facts.bridge("pbx", fresh=True))
    assert stored.control.secrets == (secret,)
    assert secret not in app.get("/api/v1/audit-log").body.decode()
    assert secret not in repr(stored)
    assert "control" not in app.call("PATCH", path, {"control": None}).json


@pytest.mark.parametrize(
    ("control", "pointer"),
    [
        ({"url": "http://pbx.example.com/"}, "/control/url"),
        ({"url": "https://10.0.0.1/"}, "/control/url"),
        ({"url": "https://pbx.lan/"}, "/control/url"),
        ({"url": "https://user:secret@pbx.example.com/"}, "/control/url"),
        ({"url": URL, "secrets": ["short"]}, "/control/secrets/0"),
        ({"url": URL, "secrets": []}, "/control/secrets"),
        ({"url": URL, "secrets": [CONTROL_SECRET] * 3}, "/control/secrets"),
        ({"url": URL, "colour": "red"}, "/control/colour"),
        ({"secrets": [CONTROL_SECRET]}, "/control/url"),
        ("https://pbx.example.com/", "/control"),
    ],
)
def test_a_control_url_obeys_the_rules_of_webhooks(app: App, control: Any, pointer: str) -> None:
    Calls(app)
    answer = app.call("PATCH", "/api/v1/bridges/pbx", {"control": control})
    assert (answer.status, answer.pointers()) == (422, [pointer])


def test_a_row_of_before_signals_is_read_and_hears_nothing(app: App) -> None:
    calls = app.settle()
    calls.authorise(LONDON, requested_seconds=90)
    row = app.run(app.tables.get("holds", "contoso", "state"))
    data = json.loads(row.values["data"])
    data["holds"] = [hold[:13] for hold in data["holds"]]
    old = Upsert("state", {**row.values, "schema": 3, "data": json.dumps(data)})
    app.run(app.tables.transact("holds", "contoso", [old]))
    app.after(seconds=90)
    assert app.bridge.got == []
    assert len(app.get(f"{BASE}/calls").json["items"]) == 1


def test_a_call_that_begins_while_the_account_is_read_is_watched_to_the_second(app: App) -> None:
    calls = app.settle()
    first = calls.authorise(requested_seconds=300)["authorization"]
    view, watch = app.container.holds.view, app.container.watch_calls

    async def slow(account: str, **more: Any) -> Any:
        seen = await view(account, **more)
        watch.wake(account, own="au_later.contoso")
        return seen

    app.container.holds.view = slow
    app.evaluate()
    assert watch._watch("contoso").own == {first, "au_later.contoso"}


def test_a_mark_that_hangs_delays_no_answer(app: App) -> None:
    calls = app.settle()

    async def hang(_: object) -> None:
        await asyncio.sleep(3600)

    app.container.due.mark = hang
    assert calls.authorise(requested_seconds=300)["decision"] == "allow"
