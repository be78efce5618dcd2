"""Alerts: once per crossing, told again while nobody acknowledges them, over when they are over."""

from datetime import timedelta

import pytest

from tests.unit.credits.world import ACCOUNT, PATH, World, day

LOW = {"name": "low", "below": "20.00"}
QUIET = "credits.topped_up"


def test_a_thousand_debits_a_cent_around_a_threshold_are_one_alert(world: World) -> None:
    world.open(balance="20.01", alerts=[LOW])
    for number in range(500):
        world.spend("0.02")
        world.post(
            f"{PATH}/adjustments",
            {"amount": "0.02", "reason": "back"},
            headers={"idempotency-key": f"back-{number}"},
        )
    assert world.types(QUIET) == ["credits.low"]
    assert len(world.items("alerts")) == 1


def test_empty_and_overdrawn_are_told_without_any_rule_once_each(world: World) -> None:
    world.open(balance="5.00", credit_limit="10.00")
    world.spend("4.99")
    assert world.types(QUIET) == []
    world.spend("0.01")
    assert world.types(QUIET) == ["credits.empty"]
    world.spend("10.00")
    assert world.types(QUIET) == ["credits.empty"]
    for _ in range(10):
        world.spend("0.01")
    assert world.types(QUIET) == ["credits.empty", "credits.overdrawn"]
    (event,) = world.of_type("credits.overdrawn")
    assert event["data"]["threshold"] == "-10.00"
    assert event["data"]["balance"] == "-10.01"


def test_what_was_overdrawn_is_armed_again_by_a_rise_above_the_margin(world: World) -> None:
    world.open(balance="5.00")
    world.spend("6.00")
    world.top_up("5.00")  # 4.00: above zero, within the last charge
    world.spend("4.50")
    assert world.types(QUIET) == ["credits.empty", "credits.overdrawn"]
    world.top_up("20.00")
    world.spend("20.00")
    assert world.types(QUIET) == ["credits.empty", "credits.overdrawn"] * 2


def test_days_left_looks_ahead_by_weekday_and_hour(world: World) -> None:
    """10.00 an hour from nine to five on weekdays: two days ahead of a Saturday cost nothing."""
    world.clock.moment = day(2026, 6, 1)  # a Monday
    world.open(balance="2000.00", alerts=[{"name": "soon", "days_left": 2}])
    for number in range(26):  # to Friday evening of the fourth week: 20 working days
        moment = day(2026, 6, 1) + timedelta(days=number)
        if moment.weekday() < 5:
            for hour in range(9, 17):
                world.clock.moment = moment + timedelta(hours=hour, minutes=30)
                world.spend("10.00")
    world.post(
        f"{PATH}/adjustments",
        {"amount": "-310.00", "reason": "a fee, no use"},
        headers={"idempotency-key": "fee"},
    )
    assert world.shown_balance == "90.00"
    assert world.types(QUIET) == []  # the two days to come are Saturday and Sunday
    world.clock.moment = day(2026, 6, 28, 23)  # Sunday evening: Monday and Tuesday come
    world.spend("0.01")
    (event,) = world.of_type("credits.low")
    assert event["data"]["alert"] == "soon"
    assert 155 < float(event["data"]["threshold"]) < 165


def test_the_timer_finds_that_the_days_run_out_where_nothing_else_happens(world: World) -> None:
    world.clock.moment = day(2026, 6, 1)
    world.open(
        balance="170.00",
        alerts=[{"name": "soon", "hours_left": 12}, {"name": "deep", "below": "1.00"}],
    )
    for number in range(14):
        world.clock.moment = day(2026, 6, 1) + timedelta(days=number, hours=10)
        world.spend("11.00")
    assert world.shown_balance == "16.00"
    world.clock.moment = day(2026, 6, 14, 20)
    world.spend("10.50")  # 5.50 left, half of what tomorrow at ten will cost
    assert world.types(QUIET) == []
    world.tick(hours=5)
    world.run(world.container.watch_balances.do_what_is_due(ACCOUNT, world.state))
    world.run(world.container.publish_events(ACCOUNT))
    assert world.types(QUIET) == ["credits.low"]


def test_an_alert_is_told_again_until_somebody_acknowledges_it(world: World) -> None:
    world.open(balance="21.00", alerts=[LOW])
    world.spend("2.00")
    start = world.clock.now()
    world.tick_until(start + timedelta(days=3, minutes=10), timedelta(minutes=10))
    told = world.of_type("credits.low")
    assert [event["data"].get("repeat", 0) for event in told] == [0, 1, 2]
    assert [event["data"].get("escalated", False) for event in told] == [False, False, True]
    assert {event["data"]["alert_id"] for event in told} == {"1"}
    assert len({event["id"] for event in told}) == 3

    seen = world.post(f"{PATH}/alerts/1/acknowledge", {})
    again = world.post(f"{PATH}/alerts/1/acknowledge", {}, key=world.api_key("operator"))

    assert seen.status == again.status == 200
    assert seen.json == again.json
    assert (seen.json["status"], seen.json["repeats"]) == ("acknowledged", 2)
    assert seen.json["acknowledged_by"] == "bootstrap"
    world.forget()
    world.tick_until(start + timedelta(days=30), timedelta(hours=3))
    assert world.events == []


def test_repeats_end_by_themselves(world: World) -> None:
    world.open(balance="21.00", alerts=[LOW])
    world.spend("2.00")
    world.tick_until(world.clock.now() + timedelta(days=60), timedelta(hours=6))
    assert len(world.of_type("credits.low")) == 4


def test_an_alert_is_over_when_the_balance_has_risen(world: World) -> None:
    world.open(balance="21.00", alerts=[LOW])
    world.spend("2.00")
    world.top_up("50.00")
    (alert,) = world.items("alerts")
    assert (alert["status"], alert["over_at"]) == ("over", "2026-11-23T10:00:00Z")
    world.forget()
    world.tick_until(world.clock.now() + timedelta(days=10), timedelta(hours=6))
    assert world.events == []
    world.spend("50.00")
    assert [each["status"] for each in world.items("alerts")] == ["open", "over"]


def test_an_alert_whose_rule_was_taken_away_is_over(world: World) -> None:
    world.open(balance="21.00", alerts=[LOW, {"name": "other", "below": "20.00"}])
    world.spend("2.00")
    world.change(alerts=[{"name": "low", "below": "19.50"}, {"name": "other", "below": "20.00"}])
    world.tick()
    assert [(each["data"]["alert"], each["status"]) for each in world.items("alerts")] == [
        ("other", "open"),
        ("low", "over"),
    ]


def test_the_list_goes_page_by_page_the_newest_first(world: World) -> None:
    rules = [{"name": f"below {amount}", "below": f"{amount}.00"} for amount in range(1, 8)]
    world.open(balance="9.00", alerts=rules)
    world.spend("8.50")
    shown, cursor = [], ""
    while True:
        page = world.get(f"{PATH}/alerts?limit=3{cursor}").json
        shown += [each["id"] for each in page["items"]]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert shown == ["7", "6", "5", "4", "3", "2", "1"]
    assert world.get(f"{PATH}/alerts?cursor=bm9uc2Vuc2U").code == "cursor_invalid"
    assert world.get(f"{PATH}/recharges?cursor={cursor.rpartition('=')[2]}").code


@pytest.mark.parametrize("number", ["0", "2", "-1", "1.0", "one", "9" * 30])
def test_an_unknown_alert_is_not_found(world: World, number: str) -> None:
    world.open(balance="21.00", alerts=[LOW])
    world.spend("2.00")
    answer = world.post(f"{PATH}/alerts/{number}/acknowledge", {})
    assert (answer.status, answer.code) == (404, "alert_unknown")


def test_readers_see_alerts_and_acknowledge_none(world: World) -> None:
    world.open(balance="21.00", alerts=[LOW])
    world.spend("2.00")
    key = world.api_key("reader")
    assert world.get(f"{PATH}/alerts", key=key).status == 200
    assert world.post(f"{PATH}/alerts/1/acknowledge", {}, key=key).code == "role_missing"


def test_a_stop_of_dial_out_is_an_event_of_the_account_in_its_one_order(world: World) -> None:
    """The hold book has events too; they go through the ledger, which numbers them all."""
    world.open(balance="21.00", alerts=[LOW])
    world.spend("2.00")
    world.run(world.container.dial_out_settings.stop(ACCOUNT, "a person"))
    world.run(world.container.publish_events(ACCOUNT))
    world.spend("20.00")
    assert world.types() == [
        *("credits.topped_up", "credits.low", "dial_out.stopped"),
        *("credits.empty", "credits.overdrawn"),
    ]
    commits = [int(event["id"].split(":")[1]) for event in world.events]
    assert commits == sorted(commits)
    (stopped,) = [each for each in world.items("alerts") if each["type"] == "dial_out.stopped"]
    seen = world.post(f"{PATH}/alerts/{stopped['id']}/acknowledge", {}).json
    assert seen["status"] == "over"


def test_a_rule_that_makes_no_sense_is_refused(world: World) -> None:
    wrong: list[dict[str, object]] = [
        {"name": "x"},
        {"name": "x", "below": "1.00", "days_left": 1},
        {"name": "x", "days_left": 0},
        {"name": "x", "hours_left": 9000},
        {"name": "x", "days_left": "5"},
    ]
    for rule in wrong:
        assert world.put(PATH, {"currency": "USD", "alerts": [rule]}).status == 422
    shown = {"name": "a", "days_left": 5}, {"name": "b", "hours_left": 30}
    world.open(balance=None, alerts=list(shown))
    assert world.get(PATH).json["alerts"] == list(shown)
