"""Alerts: once per crossing, repeated while no one acknowledges them, over when they are over."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.common import limits
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.common.kinds import LegKind
from shared.domain.credits import alerts
from shared.domain.credits.alerts import EVENT_TYPES, Event, EventType, OpenAlert
from shared.domain.ledger import alert_evaluation
from shared.domain.ledger.effects import Evaluation
from shared.domain.ledger.model import Announce
from shared.ports.ledger import Outbox
from tests.support.calls import Calls
from tests.support.credits_app import ACCOUNT, PATH, CreditsApp, day

LOW = {"name": "low", "below": "20.00"}
QUIET = "credits.topped_up"


@pytest.mark.parametrize("turns", [50, pytest.param(500, marks=pytest.mark.extended)])
def test_debits_a_cent_around_a_threshold_are_one_alert(app: CreditsApp, turns: int) -> None:
    app.open(balance="20.01", alerts=[LOW])
    for number in range(turns):
        app.spend("0.02")
        app.post(
            f"{PATH}/adjustments",
            {"amount": "0.02", "reason": "back"},
            headers={"idempotency-key": f"back-{number}"},
        )
    assert app.types(QUIET) == ["credits.low"]
    assert len(app.items("alerts")) == 1


def test_empty_and_overdrawn_are_reported_without_any_rule_once_each(app: CreditsApp) -> None:
    app.open(balance="5.00", credit_limit="10.00")
    app.spend("4.99")
    assert app.types(QUIET) == []
    app.spend("0.01")
    assert app.types(QUIET) == ["credits.empty"]
    app.spend("10.00")
    assert app.types(QUIET) == ["credits.empty"]
    for _ in range(10):
        app.spend("0.01")
    assert app.types(QUIET) == ["credits.empty", "credits.overdrawn"]
    (event,) = app.of_type("credits.overdrawn")
    assert event["data"]["threshold"] == "-10.00"
    assert event["data"]["balance"] == "-10.01"


def test_what_was_overdrawn_is_armed_again_by_a_rise_above_the_margin(app: CreditsApp) -> None:
    app.open(balance="5.00")
    app.spend("6.00")
    app.top_up("5.00")  # 4.00: above zero, within the last charge
    app.spend("4.50")
    assert app.types(QUIET) == ["credits.empty", "credits.overdrawn"]
    app.top_up("20.00")
    app.spend("20.00")
    assert app.types(QUIET) == ["credits.empty", "credits.overdrawn"] * 2


def test_days_left_forecasts_by_weekday_and_hour(app: CreditsApp) -> None:
    """10.00 an hour from nine to five on weekdays: two days ahead of a Saturday cost nothing."""
    app.clock.moment = day(2026, 6, 1)  # a Monday
    app.open(balance="2000.00", alerts=[{"name": "soon", "days_left": 2}])
    for number in range(26):  # to Friday evening of the fourth week: 20 working days
        moment = day(2026, 6, 1) + timedelta(days=number)
        if moment.weekday() < 5:
            for hour in range(9, 17):
                app.clock.moment = moment + timedelta(hours=hour, minutes=30)
                app.spend("10.00")
    app.post(
        f"{PATH}/adjustments",
        {"amount": "-310.00", "reason": "a fee, no use"},
        headers={"idempotency-key": "fee"},
    )
    assert app.shown_balance == "90.00"
    assert app.types(QUIET) == []  # the two days to come are Saturday and Sunday
    app.clock.moment = day(2026, 6, 28, 23)  # Sunday evening: Monday and Tuesday come
    app.spend("0.01")
    (event,) = app.of_type("credits.low")
    assert event["data"]["alert"] == "soon"
    assert 155 < float(event["data"]["threshold"]) < 165


def test_the_timer_finds_that_the_days_run_out_where_nothing_else_happens(app: CreditsApp) -> None:
    app.clock.moment = day(2026, 6, 1)
    app.open(
        balance="170.00",
        alerts=[{"name": "soon", "hours_left": 12}, {"name": "deep", "below": "1.00"}],
    )
    for number in range(14):
        app.clock.moment = day(2026, 6, 1) + timedelta(days=number, hours=10)
        app.spend("11.00")
    assert app.shown_balance == "16.00"
    app.clock.moment = day(2026, 6, 14, 20)
    app.spend("10.50")  # 5.50 left, half of what tomorrow at ten will cost
    assert app.types(QUIET) == []
    app.tick(hours=5)
    app.run(app.container.watch_balances.do_what_is_due(ACCOUNT, app.state))
    app.run(app.container.publish_events(ACCOUNT))
    assert app.types(QUIET) == ["credits.low"]


def test_an_alert_is_reported_again_until_someone_acknowledges_it(app: CreditsApp) -> None:
    app.open(balance="21.00", alerts=[LOW])
    app.spend("2.00")
    start = app.clock.now()
    app.tick_until(start + timedelta(days=3, minutes=10), timedelta(minutes=10))
    reported = app.of_type("credits.low")
    assert [event["data"].get("repeat", 0) for event in reported] == [0, 1, 2]
    assert [event["data"].get("escalated", False) for event in reported] == [False, False, True]
    assert {event["data"]["alert_id"] for event in reported} == {"1"}
    assert len({event["id"] for event in reported}) == 3

    seen = app.post(f"{PATH}/alerts/1/acknowledge", {})
    again = app.post(f"{PATH}/alerts/1/acknowledge", {}, key=app.api_key("operator"))

    assert seen.status == again.status == 200
    assert seen.json == again.json
    assert (seen.json["status"], seen.json["repeats"]) == ("acknowledged", 2)
    assert seen.json["acknowledged_by"] == "bootstrap"
    app.forget()
    app.tick_until(start + timedelta(days=30), timedelta(hours=3))
    assert app.events == []


def test_repeats_end_by_themselves(app: CreditsApp) -> None:
    app.open(balance="21.00", alerts=[LOW])
    app.spend("2.00")
    app.tick_until(app.clock.now() + timedelta(days=60), timedelta(hours=6))
    assert len(app.of_type("credits.low")) == 4


def test_an_alert_is_over_when_the_balance_has_risen(app: CreditsApp) -> None:
    app.open(balance="21.00", alerts=[LOW])
    app.spend("2.00")
    app.top_up("50.00")
    (alert,) = app.items("alerts")
    assert (alert["status"], alert["over_at"]) == ("over", "2026-11-23T10:00:00Z")
    app.forget()
    app.tick_until(app.clock.now() + timedelta(days=10), timedelta(hours=6))
    assert app.events == []
    app.spend("50.00")
    assert [each["status"] for each in app.items("alerts")] == ["open", "over"]


def test_an_alert_whose_rule_was_taken_away_is_over(app: CreditsApp) -> None:
    app.open(balance="21.00", alerts=[LOW, {"name": "other", "below": "20.00"}])
    app.spend("2.00")
    app.change(alerts=[{"name": "low", "below": "19.50"}, {"name": "other", "below": "20.00"}])
    app.tick()
    assert [(each["data"]["alert"], each["status"]) for each in app.items("alerts")] == [
        ("other", "open"),
        ("low", "over"),
    ]


def test_the_list_goes_page_by_page_the_newest_first(app: CreditsApp) -> None:
    rules = [{"name": f"below {amount}", "below": f"{amount}.00"} for amount in range(1, 8)]
    app.open(balance="9.00", alerts=rules)
    app.spend("8.50")
    shown, cursor = [], ""
    while True:
        page = app.get(f"{PATH}/alerts?limit=3{cursor}").json
        shown += [each["id"] for each in page["items"]]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert shown == ["7", "6", "5", "4", "3", "2", "1"]
    assert app.get(f"{PATH}/alerts?cursor=bm9uc2Vuc2U").code == "cursor_invalid"
    assert app.get(f"{PATH}/recharges?cursor={cursor.rpartition('=')[2]}").code


@pytest.mark.parametrize("number", ["0", "2", "-1", "1.0", "one", "9" * 30])
def test_an_unknown_alert_is_not_found(app: CreditsApp, number: str) -> None:
    app.open(balance="21.00", alerts=[LOW])
    app.spend("2.00")
    answer = app.post(f"{PATH}/alerts/{number}/acknowledge", {})
    assert (answer.status, answer.code) == (404, "alert_unknown")


def test_readers_see_alerts_and_acknowledge_none(app: CreditsApp) -> None:
    app.open(balance="21.00", alerts=[LOW])
    app.spend("2.00")
    key = app.api_key("reader")
    assert app.get(f"{PATH}/alerts", key=key).status == 200
    assert app.post(f"{PATH}/alerts/1/acknowledge", {}, key=key).code == "role_missing"


def test_a_stop_of_dial_out_is_an_event_of_the_account_in_its_one_order(app: CreditsApp) -> None:
    """The hold book has events too; they go through the ledger, which numbers them all."""
    app.open(balance="21.00", alerts=[LOW])
    app.spend("2.00")
    app.run(app.container.dial_out_settings.stop(ACCOUNT, "a person"))
    app.run(app.container.publish_events(ACCOUNT))
    app.spend("20.00")
    assert app.types() == [
        *("credits.topped_up", "credits.low", "dial_out.stopped"),
        *("credits.empty", "credits.overdrawn"),
    ]
    commits = [int(event["id"].split(":")[1]) for event in app.events]
    assert commits == sorted(commits)
    (stopped,) = [each for each in app.items("alerts") if each["type"] == "dial_out.stopped"]
    seen = app.post(f"{PATH}/alerts/{stopped['id']}/acknowledge", {}).json
    assert seen["status"] == "acknowledged"


def test_a_rule_that_makes_no_sense_is_refused(app: CreditsApp) -> None:
    wrong: list[dict[str, object]] = [
        {"name": "x"},
        {"name": "x", "below": "1.00", "days_left": 1},
        {"name": "x", "days_left": 0},
        {"name": "x", "hours_left": 9000},
        {"name": "x", "days_left": "5"},
    ]
    for rule in wrong:
        assert app.put(PATH, {"currency": "USD", "alerts": [rule]}).status == 422
    shown = {"name": "a", "days_left": 5}, {"name": "b", "hours_left": 30}
    app.open(balance=None, alerts=list(shown))
    assert app.get(PATH).json["alerts"] == list(shown)


# Rules that forecast


def weeks_of_calls(app: CreditsApp, weeks: int, cost: str = "1.00") -> datetime:
    """Calls from nine to five on weekdays from a Monday on; when they end."""
    start = day(2026, 6, 1)
    for number in range(7 * weeks):
        for hour in range(9, 17):
            if (start + timedelta(days=number)).weekday() < 5:
                app.clock.moment = start + timedelta(days=number, hours=hour, minutes=30)
                app.spend(cost)
    return start + timedelta(days=7 * weeks)


def test_a_forecast_rule_is_silent_until_a_week_is_known(app: CreditsApp) -> None:
    """Most of the balance is gone on the first afternoon; the forecast says that it does not know,
    and so does the rule."""
    app.clock.moment = day(2026, 6, 1)
    app.open(balance="50.00", alerts=[{"name": "soon", "days_left": 5}])
    for number in range(7):
        app.clock.moment = day(2026, 6, 1 + number, 12)
        app.spend("6.00")
        app.tick(hours=6)
        assert app.types(QUIET) == []
        assert app.get(f"{PATH}/outlook").json["runs_out"]["known"] is False

    app.clock.moment = day(2026, 6, 8, 13)
    app.spend("6.00")  # 2.00 left
    (event,) = app.of_type("credits.low")
    assert event["data"]["threshold_hours"] == 120
    shown = app.get(f"{PATH}/outlook").json["runs_out"]
    assert event["data"]["runs_out"]["hours_left"] == shown["hours_left"]
    app.verified()


def test_a_forecast_rule_is_raised_once_while_the_balance_falls(app: CreditsApp) -> None:
    """What two days cost is nothing on a Friday evening and much on a Monday: one crossing."""
    app.clock.moment = day(2026, 6, 1)
    app.open(balance="196.00", alerts=[{"name": "soon", "days_left": 2}])
    monday = weeks_of_calls(app, 4)
    assert app.types(QUIET) == []
    for number in range(4):
        for hour in range(9, 17):
            app.clock.moment = monday + timedelta(days=number, hours=hour, minutes=30)
            app.spend("1.00")
    for hours in (114, 120, 140, 166, 177, 190):
        app.clock.moment = monday + timedelta(hours=hours)
        app.spend("0.01")
        app.tick()

    assert app.types(QUIET).count("credits.low") == 1 + len(
        [each for each in app.of_type("credits.low") if "repeat" in each["data"]]
    )
    low = [each for each in app.items("alerts") if each["type"] == "credits.low"]
    assert [each["status"] for each in low] == ["open"]
    app.top_up("100.00")
    low = [each for each in app.items("alerts") if each["type"] == "credits.low"]
    assert [each["status"] for each in low] == ["over"]
    app.verified()


def test_a_forecast_rule_is_over_once_the_use_has_fallen_for_weeks(app: CreditsApp) -> None:
    app.clock.moment = day(2026, 6, 1)
    app.open(balance="195.00", alerts=[{"name": "soon", "days_left": 5}])
    monday = weeks_of_calls(app, 4)
    for number, status in ((0, "open"), (6, "open"), (60, "over")):
        for passed in range(number + 1):
            app.clock.moment = max(app.clock.moment, monday + timedelta(days=passed, hours=10))
            app.spend("0.50" if passed == 0 else "0.01")
        assert [each["status"] for each in app.items("alerts")] == [status]


def test_the_night_finds_a_crossing_ahead_and_no_mark_was_missed(app: CreditsApp) -> None:
    """What two days cost is more on a Sunday than on the Friday before; no one calls in between."""
    app.clock.moment = day(2026, 6, 1)
    app.open(balance="204.00", alerts=[{"name": "soon", "days_left": 2}])
    monday = weeks_of_calls(app, 5)  # 4.00 are left
    assert app.types(QUIET) == []
    app.clock.moment = monday - timedelta(hours=1)

    audited = app.run(app.container.audit_ledgers())
    app.tick(minutes=1)

    assert (audited.missed, audited.problems) == ([], [])
    assert app.types(QUIET) == ["credits.low"]


# An alert ends with its cause


def test_a_restart_ends_the_alert_of_the_stop_and_its_reminders(app: CreditsApp) -> None:
    calls = Calls(app, "21.00")
    for _ in range(2):
        assert calls.control("stop", {"reason": "a person"}).status == 200
        app.run(app.container.publish_events(ACCOUNT))
        assert app.items("alerts")[0]["status"] == "open"
        assert calls.control("restart").status == 200
        assert {each["status"] for each in app.items("alerts")} == {"over"}
    app.forget()
    app.tick_until(app.clock.now() + timedelta(days=10), timedelta(hours=6))
    assert app.events == []
    app.verified()


def test_a_stop_that_goes_on_is_repeated_although_someone_restarted_before(
    app: CreditsApp,
) -> None:
    calls = Calls(app, "21.00")
    for action in ("stop", "restart", "stop"):
        calls.control(action, {"reason": "a person"} if action == "stop" else {})
    app.run(app.container.publish_events(ACCOUNT))
    app.forget()
    app.tick_until(app.clock.now() + timedelta(days=2), timedelta(hours=6))
    assert app.types() == ["dial_out.stopped"]
    assert [each["status"] for each in app.items("alerts")] == ["open", "over"]


def test_an_alert_of_a_stop_that_no_restart_ended_ends_with_the_next_tick(app: CreditsApp) -> None:
    """As ledgers have them from before: restarted, and the ledger did not hear of it."""
    app.open(balance="21.00")
    reported = Announce(
        "holds", 0, alerts.DIAL_OUT_STOPPED, "why", {"reason": "why", "what_to_do": ""}
    )
    app.run(app.container.ledger.submit(ACCOUNT, reported))
    app.forget()
    app.tick_until(app.clock.now() + timedelta(days=10), timedelta(hours=6))
    assert app.types() == ["dial_out.stopped"]  # the stop itself; no reminder
    assert [each["status"] for each in app.items("alerts")] == ["over"]
    app.verified()


def test_a_lot_that_was_used_ends_the_warning_of_its_expiry(app: CreditsApp) -> None:
    app.open(balance=None)
    app.top_up("5.00", expires_at="2026-12-31T00:00:00Z")
    app.top_up("9.00", expires_at="2027-01-02T00:00:00Z")
    app.tick(days=35)
    statuses = [(each["data"]["lot"], each["status"]) for each in app.items("alerts")]
    assert sorted(statuses) == [("lot-1", "open"), ("lot-2", "open")]
    app.spend("6.00")
    ended = {each["data"]["lot"]: each["status"] for each in app.items("alerts")}
    assert ended == {"lot-1": "over", "lot-2": "open"}
    app.verified()


def test_an_expiry_ends_its_warnings_and_a_later_warning_the_one_before(app: CreditsApp) -> None:
    app.open(balance=None)
    app.top_up("5.00", expires_at="2027-01-31T00:00:00Z")
    for until, statuses in (
        (day(2027, 1, 2), ["open"]),
        (day(2027, 1, 25), ["open", "over"]),
        (day(2027, 1, 30), ["open", "over", "over"]),
        (day(2027, 1, 31, 1), ["over", "over", "over"]),
    ):
        app.tick_until(until, timedelta(hours=6))
        warnings = [each for each in app.items("alerts") if each["type"] == "credits.expiring"]
        assert [each["status"] for each in warnings] == statuses
    assert len(app.of_type("credits.expiring")) == 3
    app.verified()


@pytest.mark.parametrize(
    ("zone", "end"), [("UTC", day(2026, 12, 1)), ("America/New_York", day(2026, 12, 1, 5))]
)
def test_a_new_month_ends_the_alert_of_the_pool(app: CreditsApp, zone: str, end: datetime) -> None:
    """The timer ends it, at the account's midnight, where nothing else happens."""
    calls = Calls(app, "100.00", subscription_licenses=1, time_zone=zone)
    calls.organizer("sub", license="subscription")
    calls.charged(organizer="sub", talk_seconds=3000, kind=LegKind.DIAL_OUT)
    app.run(app.container.publish_events(ACCOUNT))
    assert [each["status"] for each in app.items("alerts")] == ["open"]
    app.tick_until(end - timedelta(minutes=1), timedelta(hours=6))
    assert [each["status"] for each in app.items("alerts")] == ["open"]
    app.tick(minutes=2)
    (alert,) = app.items("alerts")
    assert alert["status"] == "over"
    app.verified()


def test_alerts_that_were_only_listed_end_with_the_nightly_audit(app: CreditsApp) -> None:
    """As notices have them from before: never kept as open by the ledger."""
    app.open(balance=None)
    app.top_up("5.00", expires_at="2027-06-30T00:00:00Z")
    state, now = app.state, app.clock.now()
    stored = (
        Event(alerts.EXPIRING, {"lot": "lot-1"}, alert=901),
        Event(alerts.EXPIRING, {"lot": "lot-9"}, alert=902),
        Event(alerts.POOL_USED, {"month": "2026-10"}, alert=903),
        Event(alerts.POOL_USED, {"month": "2026-11"}, alert=904),
    )
    app.run(app.container.notices.keep(ACCOUNT, Outbox(state.commit, now, stored)))
    app.run(
        app.container.ledger.submit(
            ACCOUNT, Announce("holds", 0, alerts.DIAL_OUT_STOPPED, "why", {})
        )
    )
    for _ in range(2):
        assert app.run(app.container.audit_ledgers()).problems == []
    statuses = {each["id"]: each["status"] for each in app.items("alerts")}
    assert {key: statuses[key] for key in ("901", "902", "903", "904")} == {
        "901": "open",
        "902": "over",
        "903": "over",
        "904": "open",
    }


# Types of events


@pytest.mark.parametrize("kind", ["credits.new", "", "~new", "dial_out_stopped"])
def test_an_event_of_an_unknown_type_raises(app: CreditsApp, kind: str) -> None:
    app.open(balance="21.00")
    with pytest.raises(LedgerCorrupt, match="unknown"):
        alert_evaluation.on_announced(
            app.state, Announce("holds", 0, kind, "x", {}), app.clock.now()
        )
    raised = OpenAlert(1, kind, "x", app.clock.now())
    state = replace(app.state, raised=(raised,))
    with pytest.raises(LedgerCorrupt, match="unknown"):
        alert_evaluation.on_timer(state, app.clock.now() + timedelta(days=2))


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_type_that_is_repeated_has_a_reminder_of_its_own(app: CreditsApp, kind: str) -> None:
    record = EVENT_TYPES[kind]
    app.open(balance="21.00", alerts=[LOW], auto_recharge={"trigger": "1.00", "amount": "5.00"})
    raised = OpenAlert(1, kind, "low", app.clock.now())
    state = replace(app.state, raised=(raised,))
    evaluation = alert_evaluation.on_timer(state, app.clock.now() + timedelta(days=2))
    repeated = [each.type for each in evaluation.events if each.repeat] if evaluation else []
    gone = evaluation is not None and not evaluation.state.raised
    assert repeated == ([kind] if record.is_repeated and not gone else [])
    if gone:
        assert kind in {alerts.RECHARGE_UNANSWERED, alerts.POOL_USED}
    if record.is_repeated:
        assert record.is_alert


def test_a_new_type_is_no_alert_and_is_not_repeated_unless_it_states_it() -> None:
    record = EventType("credits.new", "Something new.", required=())
    assert (record.is_alert, record.is_repeated) == (False, False)


def test_of_many_alerts_the_oldest_ends(app: CreditsApp) -> None:
    """No alert stays open because the ledger forgot it."""
    app.open(balance=None)
    app.top_up("1.00")
    state = app.state
    evaluation = Evaluation(state, app.clock.now())
    for number in range(250):
        evaluation.emit(Event(alerts.EXPIRING, {}), f"lot-{number}")
    assert len(evaluation.state.raised) == limits.ALERTS_RAISED_MAX
    over = {each.alert for each in evaluation.events if each.type == alerts.ALERT_OVER}
    assert over | {each.number for each in evaluation.state.raised} == set(range(1, 251))
