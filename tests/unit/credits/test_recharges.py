"""Recharges: asked for strictly below the trigger, one at a time, within ceilings, paid once."""

from datetime import timedelta

import pytest

from shared.usecases.delivery.publish_events import PublishEvents
from tests.unit.credits.world import ACCOUNT, AUTO, PATH, World, day, recharge_ids

FIRST = f"{ACCOUNT}~1"
REQUESTED, SUSPENDED = "recharge.requested", "recharge.suspended"


def test_the_trigger_itself_is_not_below_it(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("1.00")
    assert world.of_type(REQUESTED) == []
    world.spend("0.000001")
    (event,) = world.of_type(REQUESTED)
    assert event["data"] | {"what_to_do": ""} == {
        "account": ACCOUNT,
        "recharge": FIRST,
        "amount": "50.00",
        "currency": "USD",
        "threshold": "20.00",
        "balance": "19.999999",
        "available": "19.999999",
        "ask": 1,
        "requested_at": "2026-11-23T10:00:00Z",
        "what_to_do": "",
    }


def test_one_is_in_flight_however_often_the_balance_falls(world: World) -> None:
    world.open(balance="25.00", auto_recharge=AUTO)
    for _ in range(20):
        world.spend("1.00")
    assert recharge_ids(world.of_type(REQUESTED)) == [FIRST]


def test_success_is_one_top_up_under_the_recharges_id_however_often_it_is_said(
    world: World,
) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")

    answers = [world.answer(FIRST, "succeeded") for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert answers[0].json == answers[1].json == answers[2].json
    assert answers[0].json["status"] == "succeeded"
    assert world.shown_balance == "69.00"
    (entry,) = [each for each in world.items("entries") if each["amount"] == "50.00"]
    assert (entry["kind"], entry["reference"]) == ("top_up", "p-1")
    assert answers[0].json["entry"] == entry["sequence"]
    assert world.types()[-2:] == ["credits.topped_up", "recharge.succeeded"]
    lots = world.get(PATH).json["lots"]
    assert lots[-1]["expires_at"] == "2027-11-23T10:00:00Z"


def test_a_deep_gap_is_closed_by_one_recharge_of_whole_steps(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("120.00")  # -99.00: three steps would leave 51, two 1
    assert [event["data"]["amount"] for event in world.of_type(REQUESTED)] == ["150.00"]


def test_a_gap_beyond_ten_steps_takes_another_recharge_after_the_first(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("600.00")
    assert world.of_type(REQUESTED)[-1]["data"]["amount"] == "500.00"
    assert world.answer(FIRST, "succeeded", "500.00").status == 200
    assert recharge_ids(world.of_type(REQUESTED)) == [FIRST, f"{ACCOUNT}~2"]
    assert world.of_type(REQUESTED)[-1]["data"]["amount"] == "100.00"


def test_a_new_account_is_not_recharged_before_it_has_credits(world: World) -> None:
    world.open(balance=None, auto_recharge=AUTO)
    world.tick(hours=1)
    assert world.events == []
    world.top_up("5.00")
    assert world.types() == ["credits.topped_up", REQUESTED]


def test_switching_it_on_below_the_trigger_asks_at_once(world: World) -> None:
    world.open(balance="5.00")
    world.change(auto_recharge=AUTO)
    world.tick()
    assert world.types() == ["credits.topped_up", REQUESTED]


# Declines


def test_after_a_decline_it_waits_one_two_four_hours_and_stops_after_the_fourth(
    world: World,
) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    for number, hours in ((1, 1), (2, 2), (3, 4)):
        assert world.answer(f"{ACCOUNT}~{number}", "declined").json["status"] == "declined"
        world.tick(seconds=hours * 3600 - 1)
        world.spend("0.01")
        assert len(world.of_type(REQUESTED)) == number
        world.tick(seconds=1)
        assert len(world.of_type(REQUESTED)) == number + 1
    assert world.of_type(SUSPENDED) == []

    world.answer(f"{ACCOUNT}~4", "declined")

    (suspended,) = world.of_type(SUSPENDED)
    assert suspended["data"]["reason"] == "declined"
    world.forget()
    world.tick(days=30)
    world.spend("0.01")
    assert REQUESTED not in world.types()
    world.change(auto_recharge=AUTO)
    world.tick()
    assert recharge_ids(world.of_type(REQUESTED)) == [f"{ACCOUNT}~5"]


def test_a_hard_decline_stops_at_once(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    world.answer(FIRST, "declined", hard=True)
    assert world.of_type(SUSPENDED)[0]["data"]["reason"] == "hard_decline"
    world.tick(days=2)
    assert len(world.of_type(REQUESTED)) == 1


def test_a_success_forgets_the_declines_before_it(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    for number in (1, 2, 3):
        world.answer(f"{ACCOUNT}~{number}", "declined")
        world.tick(hours=4)
    world.answer(f"{ACCOUNT}~4", "succeeded")
    world.spend("60.00")
    world.answer(f"{ACCOUNT}~5", "declined")
    assert world.state.recharges.declines == 1
    assert world.of_type(SUSPENDED) == []


def test_saying_declined_twice_is_one_decline(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    first, second = (world.answer(FIRST, "declined") for _ in range(2))
    assert (first.status, first.json) == (second.status, second.json)
    assert world.state.recharges.declines == 1


def test_money_that_comes_after_a_decline_is_credited_once(world: World) -> None:
    """The payment side may change its mind: what has moved must not be lost."""
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    world.answer(FIRST, "declined")
    assert [world.answer(FIRST, "succeeded").status for _ in range(2)] == [200, 200]
    assert world.shown_balance == "69.00"
    refused = world.answer(FIRST, "declined")
    assert (refused.status, refused.code) == (409, "recharge_settled")
    assert world.shown_balance == "69.00"


def test_another_amount_after_the_money_came_is_told_from_a_second_payment(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    world.answer(FIRST, "succeeded")
    refused = world.answer(FIRST, "succeeded", amount="5.00")
    assert (refused.status, refused.code) == (409, "recharge_settled")
    assert "another amount" in refused.json["detail"]
    assert world.shown_balance == "69.00"


# Ceilings


def test_the_day_ceiling_suspends_until_the_accounts_next_day_once(world: World) -> None:
    world.open(
        balance="21.00",
        time_zone="Asia/Tokyo",  # 10:00 UTC is 19:00 there
        auto_recharge={**AUTO, "max_per_day": 2},
    )
    for number in (1, 2):
        world.spend("52.00")
        assert world.answer(f"{ACCOUNT}~{number}", "succeeded", _asked(world)).status == 200
    for _ in range(5):
        world.spend("60.00")
    (suspended,) = world.of_type(SUSPENDED)
    assert suspended["data"]["reason"] == "max_per_day"
    assert suspended["data"]["until"] == "2026-11-23T15:00:00Z"
    world.tick(hours=4, minutes=59)
    assert len(world.of_type(REQUESTED)) == 2
    world.tick(minutes=1)
    assert len(world.of_type(REQUESTED)) == 3
    assert len(world.of_type(SUSPENDED)) == 1


def test_the_month_ceilings_hold_by_count_and_by_amount(world: World) -> None:
    auto = {**AUTO, "max_per_month": 3, "max_amount_per_month": "200.00", "max_per_day": 100}
    world.open(balance="21.00", auto_recharge=auto)
    world.spend("120.00")  # three steps, 150.00
    world.answer(FIRST, "succeeded", "150.00")
    world.spend("60.00")  # one step left of the month's amount
    assert world.of_type(REQUESTED)[-1]["data"]["amount"] == "50.00"
    world.answer(f"{ACCOUNT}~2", "succeeded")
    world.spend("60.00")
    (suspended,) = world.of_type(SUSPENDED)
    assert suspended["data"]["reason"] == "max_amount_per_month"
    assert suspended["data"]["until"] == "2026-12-01T00:00:00Z"
    world.change(auto_recharge={**auto, "max_amount_per_month": "1000.00"})
    world.tick()
    world.answer(f"{ACCOUNT}~3", "succeeded", _asked(world))
    world.spend("500.00")
    assert world.of_type(SUSPENDED)[-1]["data"]["reason"] == "max_per_month"


def test_a_decline_gives_its_share_of_the_ceiling_back(world: World) -> None:
    world.open(balance="21.00", auto_recharge={**AUTO, "max_per_day": 1})
    world.spend("2.00")
    world.answer(FIRST, "declined")
    world.tick(hours=1)
    assert recharge_ids(world.of_type(REQUESTED)) == [FIRST, f"{ACCOUNT}~2"]


# Unanswered, pending, mismatched


def test_it_is_asked_again_with_the_same_id_until_there_is_an_answer(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    world.tick_until(world.clock.now() + timedelta(hours=6), timedelta(minutes=1))
    asked = world.of_type(REQUESTED)
    assert set(recharge_ids(asked)) == {FIRST}
    assert [event["data"]["ask"] for event in asked] == [1, 2, 3, 4, 5, 6, 7]
    assert len({event["id"] for event in asked}) == 7
    (unanswered,) = world.of_type("recharge.unanswered")
    assert unanswered["data"]["recharge"] == FIRST
    world.answer(FIRST, "succeeded")
    world.forget()
    world.tick_until(world.clock.now() + timedelta(days=2), timedelta(hours=1))
    assert world.events == []


def test_pending_is_an_answer_it_is_asked_again_after_hours_only(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    assert world.answer(FIRST, "pending").json["status"] == "pending"
    world.tick_until(world.clock.now() + timedelta(hours=5), timedelta(minutes=5))
    assert len(world.of_type(REQUESTED)) == 1
    world.tick(hours=1)
    assert recharge_ids(world.of_type(REQUESTED)) == [FIRST, FIRST]
    assert world.answer(FIRST, "succeeded").json["status"] == "succeeded"


def _open_alerts(world: World) -> list[str]:
    return [alert["type"] for alert in world.items("alerts") if alert["status"] == "open"]


def test_pending_ends_what_was_told_of_silence_and_of_an_answer_that_did_not_fit(
    world: World,
) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    world.tick_until(world.clock.now() + timedelta(hours=6), timedelta(minutes=5))
    assert _open_alerts(world) == ["recharge.unanswered"]
    world.answer(FIRST, "pending")
    assert _open_alerts(world) == []
    world.answer(FIRST, "succeeded", "5.00")
    assert _open_alerts(world) == [SUSPENDED]
    world.answer(FIRST, "pending")
    assert _open_alerts(world) == []


def test_late_money_of_one_recharge_leaves_what_was_told_of_the_next(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    world.answer(FIRST, "declined")
    world.tick(hours=1)
    world.answer(f"{ACCOUNT}~2", "succeeded", "5.00")
    assert sorted(_open_alerts(world)) == ["recharge.declined", SUSPENDED]
    assert world.answer(FIRST, "succeeded").status == 200
    assert _open_alerts(world) == [SUSPENDED]
    assert world.answer(f"{ACCOUNT}~2", "succeeded").status == 200
    assert _open_alerts(world) == []
    assert world.shown_balance == "119.00"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"amount": "5.00"}, "5.00"), ({"currency": "EUR"}, "EUR")],
)
def test_an_answer_that_does_not_fit_is_kept_and_credits_nothing(
    world: World, change: dict[str, str], words: str
) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    body = {"status": "succeeded", "amount": "50.00", "currency": "USD", **change}
    path = f"/api/v1/recharges/{FIRST}/result"
    answers = [world.post(path, body) for _ in range(2)]
    assert [(a.status, a.code) for a in answers] == [(422, "recharge_mismatch")] * 2
    assert world.shown_balance == "19.00"
    (listed,) = world.items("recharges")
    assert listed["status"] == "parked"
    assert words in listed["detail"]
    assert world.of_type(SUSPENDED)[0]["data"]["reason"] == "mismatch"
    world.tick(days=1)
    assert len(world.of_type(REQUESTED)) == 1  # what became of the money must be known first
    assert world.answer(FIRST, "succeeded").status == 200
    assert world.shown_balance == "69.00"


@pytest.mark.parametrize(
    ("said_before", "status"),
    [("50.01", "succeeded"), (None, "succeeded"), (None, "declined")],
)
def test_an_answer_is_answered_by_the_ledger_while_our_records_are_behind(
    world: World, said_before: str | None, status: str
) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    if said_before:
        assert world.answer(FIRST, status, said_before).status == 422
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PublishEvents, "best_effort", staticmethod(unpublished))
        for _ in range(2):
            answer = world.answer(FIRST, status)
            assert (answer.status, answer.json["status"]) == (200, status)
    assert world.shown_balance == ("69.00" if status == "succeeded" else "19.00")


async def unpublished(account: str, *, hold_book: bool = True) -> None:
    """Nothing could be read or told."""


def test_only_the_payment_side_answers_and_only_for_its_accounts(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    body = {"status": "succeeded", "amount": "50.00", "currency": "USD"}
    path = f"/api/v1/recharges/{FIRST}/result"
    payments, other = world.api_key("payments"), world.api_key("payments", accounts=("fabrikam",))
    assert world.post(path, body, key=world.api_key("finance")).code == "role_missing"
    assert world.post(path, body, key=other).code == "account_not_allowed"
    assert world.get(f"{PATH}/recharges", key=payments).code == "role_missing"
    assert world.shown_balance == "19.00"
    assert world.post(path, body, key=payments).status == 200


@pytest.mark.parametrize("name", [f"{ACCOUNT}~2", f"{ACCOUNT}~0", "nobody~1", ACCOUNT, "~1", "x~y"])
def test_an_unknown_recharge_is_not_found(world: World, name: str) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    answer = world.answer(name, "succeeded")
    assert (answer.status, answer.code) == (404, "recharge_unknown")


def test_the_list_shows_each_recharge_with_its_end_the_newest_first(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.spend("2.00")
    world.answer(FIRST, "declined")
    world.tick(hours=1)
    world.answer(f"{ACCOUNT}~2", "succeeded")
    newest, oldest = world.items("recharges")
    assert (newest["id"], newest["status"]) == (f"{ACCOUNT}~2", "succeeded")
    assert (oldest["id"], oldest["status"], oldest["currency"]) == (FIRST, "declined", "USD")
    page = world.get(f"{PATH}/recharges?limit=1").json
    rest = world.get(f"{PATH}/recharges?limit=1&cursor={page['next']}").json
    assert [page["items"], rest["items"]] == [[newest], [oldest]]
    assert "next" not in rest


def test_no_recharge_is_asked_for_after_it_was_switched_off(world: World) -> None:
    world.open(balance="21.00", auto_recharge=AUTO)
    world.change()
    world.spend("5.00")
    world.tick(days=1)
    assert world.of_type(REQUESTED) == []


def test_the_leap_day_and_the_month_after_it_have_ceilings_of_their_own(world: World) -> None:
    world.clock.moment = day(2028, 2, 29, 12)
    world.open(balance="21.00", auto_recharge={**AUTO, "max_per_month": 1})
    world.spend("2.00")
    world.answer(FIRST, "succeeded")
    world.spend("60.00")
    assert world.of_type(SUSPENDED)[0]["data"]["until"] == "2028-03-01T00:00:00Z"
    world.tick(hours=12)
    assert len(world.of_type(REQUESTED)) == 2


def _asked(world: World) -> str:
    return str(world.of_type(REQUESTED)[-1]["data"]["amount"])
