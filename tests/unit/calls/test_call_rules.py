"""Rules about open calls and about charges: `minutes_left` and `spend`."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.domain.common.kinds import LegKind
from tests.support.calls import LONDON, NEW_YORK, TOLL, Calls, rate
from tests.support.product import Product

BASE = "/api/v1/accounts/contoso"
FIVE = {"name": "five", "minutes_left": 5}
MONTH = {"name": "month", "spend": "1.00", "period": "month", "at_percent": [50, 80, 100]}


@pytest.fixture
def app() -> Iterator[Product]:
    with Product() as product:
        yield product


def watched(app: Product) -> None:
    app.run(app.container.watch_calls("contoso", by_timer=False))


def events(app: Product, kind: str) -> list[dict[str, Any]]:
    found = {message.message_id: json.loads(message.body) for message in app.topic.published}
    return [event["data"] for event in found.values() if event["type"] == kind]


def spent(app: Product) -> list[tuple[str, int, str]]:
    app.run(app.container.watch_spend("contoso"))
    return [(data["rule"], data["percent"], data["spend"]) for data in events(app, "spend.reached")]


def test_at_five_minutes_left_one_event_names_the_calls_in_the_order_of_their_end(
    app: Product,
) -> None:
    calls = Calls(app, "1.00", alerts=[FIVE])
    cheap = calls.authorise(LONDON, requested_seconds=300, leg_id="l 1")["authorization"]
    caller = calls.come_in(TOLL, requested_seconds=600)["authorization"]
    dear = calls.authorise(NEW_YORK, requested_seconds=300)["authorization"]
    # 0.01 + 0.005 + 0.10 a minute, 0.05 for the connection
    left = app.get(f"{BASE}/calls").json["seconds_left"]
    assert left == 495
    watched(app)
    app.clock.advance(seconds=left - 301)
    watched(app)
    assert events(app, "credits.running_out") == []
    app.clock.advance(seconds=1)
    for _ in range(3):
        watched(app)
        app.clock.advance(seconds=5)
    (data,) = events(app, "credits.running_out")
    assert [call["authorization"] for call in data["calls"]] == [dear, cheap, caller]
    assert data["calls"][1] == {
        "authorization": cheap,
        "direction": "dial_out",
        "bridge": "pbx",
        "leg_id": "l 1",
        "region": "GB",
        "price_per_minute": "0.01",
    }
    assert (data["alert"], data["minutes_left"], data["seconds_left"]) == ("five", 5, 300)
    assert (data["burn_per_minute"], data["exhausted_at"]) == ("0.115", "2026-11-23T10:08:15Z")
    assert LONDON not in json.dumps(data)


def test_the_alert_ends_with_its_cause_and_is_raised_again(app: Product) -> None:
    calls = Calls(app, "0.40", alerts=[FIVE])
    first = calls.authorise(NEW_YORK, requested_seconds=60)["authorization"]
    watched(app)
    (alert,) = app.get(f"{BASE}/alerts").json["items"]
    assert (alert["type"], alert["status"]) == ("credits.running_out", "open")
    calls.top_up("0.15")  # 5 minutes and a half: not above the margin
    watched(app)
    assert app.get(f"{BASE}/alerts").json["items"][0]["status"] == "open"
    calls.release(first)
    watched(app)
    assert app.get(f"{BASE}/alerts").json["items"][0]["status"] == "over"
    calls.authorise(NEW_YORK, requested_seconds=60)
    calls.authorise(NEW_YORK, requested_seconds=60)
    watched(app)
    assert len(events(app, "credits.running_out")) == 2
    assert app.get(f"{BASE}/verify").json["ok"]


def test_a_rule_that_is_gone_ends_its_alert_by_the_timer(app: Product) -> None:
    calls = Calls(app, "0.40", alerts=[FIVE])
    calls.authorise(NEW_YORK, requested_seconds=60)
    watched(app)
    app.call("PATCH", BASE, {"alerts": []})
    app.clock.advance(minutes=2)
    app.run(app.container.watch_balances())
    assert app.get(f"{BASE}/alerts").json["items"][0]["status"] == "over"


def test_another_process_raises_by_the_timer_what_a_dead_one_did_not(app: Product) -> None:
    calls = Calls(app, "1.00", alerts=[FIVE])
    calls.authorise(NEW_YORK, requested_seconds=480)
    app.close()
    with Product(app.tables, app.clock, topic=app.topic) as other:
        for _ in range(7):
            other.clock.advance(minutes=1)
            other.run(other.container.watch_balances())
    (data,) = events(app, "credits.running_out")
    assert data["seconds_left"] == 300


def test_two_processes_raise_one_alert(app: Product) -> None:
    calls = Calls(app, "0.40", alerts=[FIVE])
    calls.authorise(NEW_YORK, requested_seconds=60)
    account = app.run(app.container.facts.account("contoso"))
    view = app.run(app.container.holds.view("contoso"))

    async def both() -> None:
        await asyncio.gather(*(app.container.minutes_left(account, view) for _ in range(2)))

    app.run(both())
    assert len(events(app, "credits.running_out")) == 1
    assert len(app.get(f"{BASE}/alerts").json["items"]) == 1


def test_each_step_of_a_spend_rule_is_emitted_once_a_period(app: Product) -> None:
    calls = Calls(app, alerts=[MONTH])
    calls.charged(to_number=NEW_YORK, talk_seconds=240)
    assert spent(app) == []
    calls.charged(to_number=NEW_YORK, talk_seconds=60)
    assert spent(app) == spent(app) == [("month", 50, "0.50")]
    last = calls.charged(to_number=NEW_YORK, talk_seconds=600)
    assert spent(app)[1:] == [("month", 80, "1.50"), ("month", 100, "1.50")]
    app.post(f"{BASE}/legs/{last['leg']}/reversal", {"reason": "Bad line"})
    calls.charged(to_number=NEW_YORK, talk_seconds=600)
    assert len(spent(app)) == 3
    app.clock.advance(days=8)  # December
    assert len(spent(app)) == 3
    calls.charged(to_number=NEW_YORK, talk_seconds=300)
    assert spent(app)[3:] == [("month", 50, "0.50")]
    data = events(app, "spend.reached")[-1]
    assert (data["limit"], data["period"]) == ("1.00", "month")
    assert data["since"] == "2026-12-01T00:00:00Z"
    assert app.get(f"{BASE}/verify").json["ok"]


def test_days_are_those_of_the_accounts_zone(app: Product) -> None:
    day = {"name": "day", "spend": "0.10", "period": "day", "at_percent": [100]}
    calls = Calls(app, alerts=[day], time_zone="Asia/Tokyo")
    calls.charged(to_number=NEW_YORK, talk_seconds=60)
    assert spent(app) == [("day", 100, "0.10")]
    app.clock.advance(hours=5)  # midnight in Tokyo
    calls.charged(to_number=NEW_YORK, talk_seconds=60)
    assert len(spent(app)) == 2
    assert events(app, "spend.reached")[-1]["since"] == "2026-11-23T15:00:00Z"


@pytest.mark.parametrize(
    ("filters", "reached"),
    [
        ({"kind": "dial_out"}, ["0.20"]),
        ({"kind": "dial_in"}, []),
        ({"organizer": "ken"}, ["0.20"]),
        ({"organizer": "maria"}, []),
        ({"cost_center": "sales"}, ["0.20"]),
        ({"cost_center": "ops"}, []),
        ({"kind": "dial_out", "organizer": "ken", "cost_center": "ops"}, []),
    ],
)
def test_filters_choose_the_charges(
    app: Product, filters: dict[str, str], reached: list[str]
) -> None:
    rule = {"name": "some", "spend": "0.20", "period": "month", "at_percent": [100], **filters}
    calls = Calls(app, alerts=[rule])
    app.call("PATCH", f"{BASE}/organizers/ken", {"cost_center": "sales"})
    calls.charged(to_number=NEW_YORK, talk_seconds=120)
    calls.charged(
        kind=LegKind.DIAL_IN, to_number=TOLL, from_number=LONDON, talk_seconds=60, organizer=None
    )
    assert [amount for _, _, amount in spent(app)] == reached


def test_a_charge_from_the_queue_evaluates_the_rules(app: Product) -> None:
    calls = Calls(app, alerts=[{**MONTH, "spend": "0.10"}])
    queued = calls.ended(to_number=NEW_YORK, talk_seconds=60)

    async def charge() -> None:
        await app.container.charge_legs([queued], seconds=10)
        await reached(app, steps=3)

    app.run(charge())
    assert [data["percent"] for data in events(app, "spend.reached")] == [50, 80, 100]


async def reached(app: Product, steps: int = 1) -> None:
    while len(events(app, "spend.reached")) < steps:
        await asyncio.sleep(0.01)


def test_a_rerating_that_costs_more_evaluates_the_rules(app: Product) -> None:
    calls = Calls(app, "100.00", alerts=[{**MONTH, "spend": "10.00"}])
    leg = calls.charged(to_number=NEW_YORK, talk_seconds=60)
    assert spent(app) == []
    dearer = {"currency": "USD", "rounding": {"mode": "half_up", "decimals": 4}}
    dearer |= {"rates": [rate("1", "5.00")]}
    calls.put("rate-cards/dearer/versions/2020-01-01T00:00:00Z", dearer)
    body = {"accounts": ["contoso"], "legs": [leg["leg"]], "rate_card": "dearer"}
    answer = app.post("/api/v1/reratings", {**body, "dry_run": False, "reason": "Wrong card"})
    assert answer.status == 200, answer.body
    app.run(reached(app))
    assert [(data["percent"], data["spend"]) for data in events(app, "spend.reached")] == [
        (50, "5.00")
    ]


def test_a_rule_that_is_set_late_is_evaluated_at_once(app: Product) -> None:
    calls = Calls(app)
    calls.charged(to_number=NEW_YORK, talk_seconds=60)
    rule = {**MONTH, "spend": "0.10", "at_percent": [100]}
    assert app.call("PATCH", BASE, {"alerts": [rule]}).status == 200
    app.run(reached(app))
    assert [data["percent"] for data in events(app, "spend.reached")] == [100]


def test_rules_are_shown_as_they_were_stated(app: Product) -> None:
    rules = [
        {**MONTH, "kind": "dial_out", "organizer": "ken", "cost_center": "sales"},
        {"name": "low", "below": "5.00"},
        FIVE,
    ]
    answer = app.account(alerts=rules)
    assert answer.json["alerts"] == rules
    assert app.call("PATCH", BASE, {"name": "Contoso"}).json["alerts"] == rules
    defaults = [{"name": "month", "spend": "1.00"}]
    assert app.call("PATCH", BASE, {"alerts": defaults}).json["alerts"] == [MONTH]


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "x"},
        {"name": "x", "minutes_left": 0},
        {"name": "x", "minutes_left": 5, "below": "1.00"},
        {"name": "x", "minutes_left": 5, "period": "day"},
        {"name": "x", "minutes_left": 5, "at_percent": [50]},
        {"name": "x", "minutes_left": 1441},
        {"name": "x", "minutes_left": "5"},
        {"name": "x", "spend": "0"},
        {"name": "x", "spend": "-1.00"},
        {"name": "x", "spend": "1.00", "period": "week"},
        {"name": "x", "spend": "1.00", "at_percent": []},
        {"name": "x", "spend": "1.00", "at_percent": [0]},
        {"name": "x", "spend": "1.00", "at_percent": [1001]},
        {"name": "x", "spend": "1.00", "at_percent": list(range(1, 12))},
        {"name": "x", "spend": "1.00", "kind": "voip"},
        {"name": "x", "spend": "1.00", "organizer": ""},
        {"name": "x", "spend": 1.0},
    ],
)
def test_a_rule_that_means_nothing_is_refused(app: Product, rule: dict[str, Any]) -> None:
    answer = app.put(BASE, {"currency": "USD", "alerts": [rule]})
    assert (answer.status, answer.code) == (422, "invalid")


def test_an_erasure_reaches_the_organizer_of_a_rule(app: Product) -> None:
    calls = Calls(app, alerts=[{**MONTH, "organizer": "ken"}])
    assert calls.app.post(f"{BASE}/erasures", {"organizer": "ken"}).status == 200
    assert '"ken"' not in app.get(BASE).body.decode()
    assert '"ken"' not in app.get("/api/v1/audit-log?account=contoso").body.decode()
