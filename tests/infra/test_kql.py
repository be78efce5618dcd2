"""Every query of alerts and workbooks is executed: on planted incidents, and on a demo's events."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.rate_and_debit import _report_outcome
from local.demo.__main__ import _played, _stopped
from local.demo.check import differences
from local.demo.external_services import ExternalServices
from local.demo.play import DemoResult
from local.stack import Stack
from shared.domain.legs.leg import QueuedLeg
from tests.infra.bicep import INFRA, resources
from tests.infra.logs import Logs, thresholds
from tests.support.charging_app import LONDON, PARIS, ChargingApp

QUERIES = sorted(
    path.relative_to(INFRA / "queries").with_suffix("").as_posix()
    for path in (INFRA / "queries").rglob("*.kql")
)
RULES = resources("prod", "Insights/scheduledQueryRules")
PREFIX = RULES[0]["name"].removesuffix("failures")
THRESHOLDS = thresholds(RULES, PREFIX)
HOUR = 3_600
# The translator is written in Python: half a minute. Any test may be the first, which plays a demo.
pytestmark = [pytest.mark.extended, pytest.mark.timeout(300)]
TICKS = ("low_balance_tick", "inbox_forwarded", "waits_ended", "events_delivered")


def quiet() -> Logs:
    """Two days in which everything went well."""
    logs = Logs()
    for age_seconds in (60, 660, 40 * HOUR):
        for name in TICKS:
            logs.event(name, age_seconds, by="timer", oldest_seconds=0, failed=0, past_due=False)
        logs.event("legs_received", age_seconds, queued=1)
        logs.event("batch_charged", age_seconds - 1, charged=1, oldest_seconds=2.0, later=0)
        logs.event("leg_charged", age_seconds, **CHARGED)
        logs.event("http_request", age_seconds, function="get_health", status=200, duration_ms=3.0)
    logs.event("audit_done", 10 * HOUR, accounts=3, anchored=3, problems=0, missed=0)
    return logs


CHARGED: dict[str, Any] = {
    "leg": "b~1",
    "account": "contoso",
    "organizer": "person-1",
    "conference": "3001",
    "kind": "dial_out",
    "destination": "France",
    "cost_center": "sales",
    "currency": "USD",
    "amount_micros": 250_000,
    "balance_micros": 9_750_000,
    "billed_seconds": 120,
}


def slow_dial_outs(logs: Logs) -> None:
    for _ in range(25):
        logs.event("http_request", function="post_dial_out", status=200, duration_ms=900.0)


def silent_timers(logs: Logs) -> None:
    """The processes of the background are gone for an hour, the API answers."""
    logs.forget("%low_balance_tick%", "%inbox_%", "%waits_ended%", "%events_delivered%")


def no_audit(logs: Logs) -> None:
    logs.forget("%audit_done%")


def half_an_audit(logs: Logs) -> None:
    no_audit(logs)
    logs.event("audit_done", HOUR, accounts=3, anchored=2, problems=0, missed=0)


def no_batches(logs: Logs) -> None:
    logs.forget("%batch_charged%")
    logs.event("legs_received", 1_200, queued=3)


INCIDENTS: dict[str, tuple[str, Callable[[Logs], object]]] = {
    "a stack trace": ("failures", lambda logs: logs.event("unexpected_error", error="KeyError")),
    "a failed invocation": (
        "failures",
        lambda logs: logs.row("AppRequests", Success=False, ResultCode="0", Name="rate_and_debit"),
    ),
    "slow dial-outs": ("dial-out-latency", slow_dial_outs),
    "a parked leg": ("parked-legs", lambda logs: logs.event("leg_parked", leg="b~2")),
    "an old leg": (
        "backlog-age",
        lambda logs: logs.event("batch_charged", charged=1, oldest_seconds=1_000.0),
    ),
    "legs and no batch": ("backlog-age", no_batches),
    "timers that stand still": ("timer-missing", silent_timers),
    "an old event": (
        "outbox-age",
        lambda logs: logs.event("low_balance_tick", oldest_seconds=700.0),
    ),
    "an archive that is away": (
        "archive-failed",
        lambda logs: logs.event("archive_failed", legs=1, why="x"),
    ),
    "no audit": ("anchor-missing", no_audit),
    "an audit that did not anchor all": ("anchor-missing", half_an_audit),
    "a broken chain": ("verification-failed", lambda logs: logs.event("verification_failed")),
    "an overdrawn account": (
        "negative-balances",
        lambda logs: logs.event("leg_charged", 5, **CHARGED | {"balance_micros": -1}),
    ),
    "a queue that is away": ("queue-unreachable", lambda logs: logs.event("legs_spilled", legs=1)),
    "somebody who tries": (
        "unauthorized",
        lambda logs: [logs.event("not_authenticated", why="key") for _ in range(101)],
    ),
}


def test_every_alert_has_an_incident() -> None:
    assert {alert for alert, _ in INCIDENTS.values()} == set(THRESHOLDS)


@pytest.fixture(scope="module")
def calm() -> Logs:
    return quiet()


@pytest.fixture(scope="module")
def empty() -> Logs:
    return Logs()


@pytest.mark.parametrize("alert", sorted(THRESHOLDS))
def test_no_alert_is_raised_while_all_is_well(calm: Logs, alert: str) -> None:
    assert calm.value(alert) <= THRESHOLDS[alert]


@pytest.mark.parametrize("alert", sorted(THRESHOLDS))
def test_no_alert_is_raised_on_the_first_day(empty: Logs, alert: str) -> None:
    """Before there is code nothing is logged; then some minutes, and no night yet."""
    assert empty.value(alert) <= THRESHOLDS[alert]
    with empty.trial():
        empty.event("http_request", 120, function="get_health", status=200, duration_ms=3.0)
        assert empty.value(alert) <= THRESHOLDS[alert]


@pytest.mark.parametrize("incident", sorted(INCIDENTS))
def test_each_incident_raises_its_alert(calm: Logs, incident: str) -> None:
    alert, plant = INCIDENTS[incident]
    with calm.trial():
        plant(calm)
        assert calm.value(alert) > THRESHOLDS[alert]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_executed_without_a_row(empty: Logs, query: str) -> None:
    empty.rows(query)


def test_the_workbooks_show_what_the_events_say(calm: Logs) -> None:
    (destination,) = calm.rows("finance/spend-by-destination")
    (organizer,) = calm.rows("finance/spend-by-organizer")
    (center,) = calm.rows("finance/spend-by-cost-center")
    (meeting,) = calm.rows("finance/top-meetings")
    (forecast,) = calm.rows("finance/credits-and-forecast")

    assert (destination["destination"], destination["amount"]) == ("France", 0.75)
    assert (destination["minutes"], destination["legs"]) == (6.0, 3)
    assert (organizer["organizer"], organizer["amount"]) == ("person-1", 0.75)
    assert (center["cost_center"], center["amount"]) == ("sales", 0.75)
    assert meeting["conference"] == "3001"
    assert forecast["account"] == "contoso"
    assert sum(row["amount"] for row in calm.rows("finance/spend-by-day")) == 0.75


def test_the_status_names_what_is_wrong_first(calm: Logs) -> None:
    well = {row["check"]: row["is_wrong"] for row in calm.rows("operations/status")}
    logs = quiet()
    logs.event("batch_charged", charged=0, oldest_seconds=500.0)
    logs.event("leg_parked", leg="b~2")
    logs.row("AzureMetrics", MetricName="DeadletteredMessages", Maximum=2.0, Resource="bus")
    ill = logs.rows("operations/status")

    assert not any(well.values())
    assert {"queue", "outbox", "timer low_balance", "dead letters"} <= set(well)
    assert [row["check"] for row in ill if row["is_wrong"]] == [
        "dead letters",
        "parked today",
        "queue",
    ]
    assert [row["is_wrong"] for row in ill] == sorted((r["is_wrong"] for r in ill), reverse=True)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, list[str]]:
    """What the demo did, and what its processes logged."""
    data = tmp_path_factory.mktemp("demo") / "data"
    with ExternalServices() as services, _stopped(Stack(data, settings=services.settings)) as stack:
        result = _played(stack, services, lambda _: None)
    texts = [path.read_text("utf-8") for path in (data / "logs").glob("*.log")]
    lines = [line[line.index('{"event"') :] for text in texts for line in text.splitlines()
             if '{"event"' in line]  # fmt: skip
    return result, lines


def test_every_query_answers_on_the_events_of_a_demo(demo: tuple[DemoResult, list[str]]) -> None:
    result, lines = demo
    assert differences(result) == []
    logs = Logs()
    logs.lines(lines)
    found = {query: logs.rows(query) for query in QUERIES}
    charged = [each for each in map(json.loads, lines) if each["event"] == "leg_charged"]
    spent_micros = sum(each["amount_micros"] for each in charged)

    for chart in ("spend-by-day", "spend-by-destination", "spend-by-organizer", "top-meetings"):
        spent = sum(round(row["amount"] * 1_000_000) for row in found[f"finance/{chart}"])
        assert spent == spent_micros > 0, chart
    assert sum(row["legs"] for row in found["finance/spend-by-destination"]) == len(charged)
    assert found["finance/parked-legs"]
    assert found["finance/credit-events"]
    assert found["finance/denied-dial-outs"]
    assert sum(row["charged"] for row in found["operations/legs"]) == len(charged)
    raised = {alert for alert, limit in THRESHOLDS.items() if logs.value(alert) > limit}
    assert raised == {"parked-legs"}


@pytest.fixture(scope="module")
def demo_logs(demo: tuple[DemoResult, list[str]]) -> Logs:
    """The demo's events, after two quiet days."""
    logs = quiet()
    logs.lines(demo[1], 120)
    return logs


@pytest.mark.parametrize("incident", sorted(INCIDENTS))
def test_an_incident_is_found_among_the_events_of_a_demo(demo_logs: Logs, incident: str) -> None:
    alert, plant = INCIDENTS[incident]
    with demo_logs.trial():
        plant(demo_logs)
        assert demo_logs.value(alert) > THRESHOLDS[alert]


def test_finance_agrees_with_usage_on_a_day_with_corrections(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Charges, a reversal and re-ratings, by organizer, cost centre, destination and day."""
    base = "/api/v1/accounts/contoso"
    with caplog.at_level("INFO", "perminute"), ChargingApp() as app:
        app.settle()
        for organizer, center in (("ken", "sales"), ("ann", "ops")):
            app.put(f"{base}/organizers/{organizer}", {"cost_center": center})
        legs = [
            app.ended(to=to, organizer=organizer, talk_seconds=seconds)
            for to in (LONDON, PARIS)
            for organizer in ("ken", "ann")
            for seconds in (61, 600)
        ]
        for leg in legs:
            queued = QueuedLeg(leg, app.clock.now())
            [outcome] = app.run(app.container.charge_legs([queued], seconds=30))
            _report_outcome(outcome, app.clock.now())
        reversal = f"{base}/legs/{legs[0].key}/reversal"
        for _ in range(2):
            assert app.post(reversal, {"reason": "Bad line"}).status == 201
        assert app.cheaper().status == 201
        wanted = {"accounts": ["contoso"], "from": "2026-11-01T00:00:00Z"}
        booked = {**wanted, "dry_run": False, "reason": "Cheaper since May"}
        for _ in range(2):
            assert app.post("/api/v1/reratings", booked).status == 200
        usage = {
            group: {
                (item[group], item["legs"], float(item["amount"]), item["billed_seconds"])
                for item in app.get(f"{base}/usage?group_by={group}").json["items"]
            }
            for group in ("organizer", "cost_center", "day")
        }
    logs = Logs()
    logs.lines(record.getMessage() for record in caplog.records if record.name == "perminute")

    organizers = {  # under other names: the log knows no person
        (row["legs"], row["amount"], round(60 * row["minutes"]))
        for row in logs.rows("finance/spend-by-organizer")
    }

    assert organizers == {each[1:] for each in usage["organizer"]}
    centers = {
        (row["cost_center"], row["legs"], row["amount"])
        for row in logs.rows("finance/spend-by-cost-center")
    }
    assert centers == {each[:3] for each in usage["cost_center"]}
    [(_, _, spent, _)] = usage["day"]
    assert sum(row["amount"] for row in logs.rows("finance/spend-by-day")) == spent
    assert sum(row["amount"] for row in logs.rows("finance/spend-by-destination")) == spent
