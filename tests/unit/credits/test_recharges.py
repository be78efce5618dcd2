"""Recharges: requested strictly below the trigger, one at a time, within ceilings, paid once."""

from datetime import timedelta

import pytest

from shared.usecases.delivery.publish_events import PublishEvents
from tests.support.credits_app import ACCOUNT, AUTO, PATH, CreditsApp, day, recharge_ids

FIRST = f"{ACCOUNT}~1"
REQUESTED, SUSPENDED = "recharge.requested", "recharge.suspended"


def test_the_trigger_itself_is_not_below_it(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("1.00")
    assert app.of_type(REQUESTED) == []
    app.spend("0.000001")
    (event,) = app.of_type(REQUESTED)
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


def test_one_is_in_flight_however_often_the_balance_falls(app: CreditsApp) -> None:
    app.open(balance="25.00", auto_recharge=AUTO)
    for _ in range(20):
        app.spend("1.00")
    assert recharge_ids(app.of_type(REQUESTED)) == [FIRST]


def test_success_is_one_top_up_under_the_recharges_id_however_often_it_is_reported(
    app: CreditsApp,
) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")

    answers = [app.answer(FIRST, "succeeded") for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert answers[0].json == answers[1].json == answers[2].json
    assert answers[0].json["status"] == "succeeded"
    assert app.shown_balance == "69.00"
    (entry,) = [each for each in app.items("entries") if each["amount"] == "50.00"]
    assert (entry["kind"], entry["reference"]) == ("top_up", "p-1")
    assert answers[0].json["entry"] == entry["sequence"]
    assert app.types()[-2:] == ["credits.topped_up", "recharge.succeeded"]
    lots = app.get(PATH).json["lots"]
    assert lots[-1]["expires_at"] == "2027-11-23T10:00:00Z"


def test_a_deep_gap_is_closed_by_one_recharge_of_whole_steps(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("120.00")  # -99.00: three steps would leave 51, two 1
    assert [event["data"]["amount"] for event in app.of_type(REQUESTED)] == ["150.00"]


def test_a_gap_beyond_ten_steps_takes_another_recharge_after_the_first(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("600.00")
    assert app.of_type(REQUESTED)[-1]["data"]["amount"] == "500.00"
    assert app.answer(FIRST, "succeeded", "500.00").status == 200
    assert recharge_ids(app.of_type(REQUESTED)) == [FIRST, f"{ACCOUNT}~2"]
    assert app.of_type(REQUESTED)[-1]["data"]["amount"] == "100.00"


def test_a_new_account_is_not_recharged_before_it_has_credits(app: CreditsApp) -> None:
    app.open(balance=None, auto_recharge=AUTO)
    app.tick(hours=1)
    assert app.events == []
    app.top_up("5.00")
    assert app.types() == ["credits.topped_up", REQUESTED]


def test_switching_it_on_below_the_trigger_requests_a_recharge_at_once(app: CreditsApp) -> None:
    app.open(balance="5.00")
    app.change(auto_recharge=AUTO)
    app.tick()
    assert app.types() == ["credits.topped_up", REQUESTED]


# Declines


def test_after_a_decline_it_waits_one_two_four_hours_and_stops_after_the_fourth(
    app: CreditsApp,
) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    for number, hours in ((1, 1), (2, 2), (3, 4)):
        assert app.answer(f"{ACCOUNT}~{number}", "declined").json["status"] == "declined"
        app.tick(seconds=hours * 3600 - 1)
        app.spend("0.01")
        assert len(app.of_type(REQUESTED)) == number
        app.tick(seconds=1)
        assert len(app.of_type(REQUESTED)) == number + 1
    assert app.of_type(SUSPENDED) == []

    app.answer(f"{ACCOUNT}~4", "declined")

    (suspended,) = app.of_type(SUSPENDED)
    assert suspended["data"]["reason"] == "declined"
    app.forget()
    app.tick(days=30)
    app.spend("0.01")
    assert REQUESTED not in app.types()
    app.change(auto_recharge=AUTO)
    app.tick()
    assert recharge_ids(app.of_type(REQUESTED)) == [f"{ACCOUNT}~5"]


def test_a_hard_decline_stops_at_once(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.answer(FIRST, "declined", hard=True)
    assert app.of_type(SUSPENDED)[0]["data"]["reason"] == "hard_decline"
    app.tick(days=2)
    assert len(app.of_type(REQUESTED)) == 1


def test_a_success_forgets_the_declines_before_it(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    for number in (1, 2, 3):
        app.answer(f"{ACCOUNT}~{number}", "declined")
        app.tick(hours=4)
    app.answer(f"{ACCOUNT}~4", "succeeded")
    app.spend("60.00")
    app.answer(f"{ACCOUNT}~5", "declined")
    assert app.state.recharges.declines == 1
    assert app.of_type(SUSPENDED) == []


def test_saying_declined_twice_is_one_decline(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    first, second = (app.answer(FIRST, "declined") for _ in range(2))
    assert (first.status, first.json) == (second.status, second.json)
    assert app.state.recharges.declines == 1


def test_money_that_comes_after_a_decline_is_credited_once(app: CreditsApp) -> None:
    """The payment side may change its mind: what has moved must not be lost."""
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.answer(FIRST, "declined")
    assert [app.answer(FIRST, "succeeded").status for _ in range(2)] == [200, 200]
    assert app.shown_balance == "69.00"
    refused = app.answer(FIRST, "declined")
    assert (refused.status, refused.code) == (409, "recharge_settled")
    assert app.shown_balance == "69.00"


def test_another_amount_after_the_money_came_is_distinguished_from_a_second_payment(
    app: CreditsApp,
) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.answer(FIRST, "succeeded")
    refused = app.answer(FIRST, "succeeded", amount="5.00")
    assert (refused.status, refused.code) == (409, "recharge_settled")
    assert "another amount" in refused.json["detail"]
    assert app.shown_balance == "69.00"


# Ceilings


def test_the_day_ceiling_suspends_until_the_accounts_next_day_once(app: CreditsApp) -> None:
    app.open(
        balance="21.00",
        time_zone="Asia/Tokyo",  # 10:00 UTC is 19:00 there
        auto_recharge={**AUTO, "max_per_day": 2},
    )
    for number in (1, 2):
        app.spend("52.00")
        assert app.answer(f"{ACCOUNT}~{number}", "succeeded", _requested_amount(app)).status == 200
    for _ in range(5):
        app.spend("60.00")
    (suspended,) = app.of_type(SUSPENDED)
    assert suspended["data"]["reason"] == "max_per_day"
    assert suspended["data"]["until"] == "2026-11-23T15:00:00Z"
    app.tick(hours=4, minutes=59)
    assert len(app.of_type(REQUESTED)) == 2
    app.tick(minutes=1)
    assert len(app.of_type(REQUESTED)) == 3
    assert len(app.of_type(SUSPENDED)) == 1


def test_the_month_ceilings_hold_by_count_and_by_amount(app: CreditsApp) -> None:
    auto = {**AUTO, "max_per_month": 3, "max_amount_per_month": "200.00", "max_per_day": 100}
    app.open(balance="21.00", auto_recharge=auto)
    app.spend("120.00")  # three steps, 150.00
    app.answer(FIRST, "succeeded", "150.00")
    app.spend("60.00")  # one step left of the month's amount
    assert app.of_type(REQUESTED)[-1]["data"]["amount"] == "50.00"
    app.answer(f"{ACCOUNT}~2", "succeeded")
    app.spend("60.00")
    (suspended,) = app.of_type(SUSPENDED)
    assert suspended["data"]["reason"] == "max_amount_per_month"
    assert suspended["data"]["until"] == "2026-12-01T00:00:00Z"
    app.change(auto_recharge={**auto, "max_amount_per_month": "1000.00"})
    app.tick()
    app.answer(f"{ACCOUNT}~3", "succeeded", _requested_amount(app))
    app.spend("500.00")
    assert app.of_type(SUSPENDED)[-1]["data"]["reason"] == "max_per_month"


def test_a_decline_gives_its_share_of_the_ceiling_back(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge={**AUTO, "max_per_day": 1})
    app.spend("2.00")
    app.answer(FIRST, "declined")
    app.tick(hours=1)
    assert recharge_ids(app.of_type(REQUESTED)) == [FIRST, f"{ACCOUNT}~2"]


# Unanswered, pending, mismatched


def test_it_is_requested_again_with_the_same_id_until_there_is_an_answer(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.tick_until(app.clock.now() + timedelta(hours=6), timedelta(minutes=1))
    requested = app.of_type(REQUESTED)
    assert set(recharge_ids(requested)) == {FIRST}
    assert [event["data"]["ask"] for event in requested] == [1, 2, 3, 4, 5, 6, 7]
    assert len({event["id"] for event in requested}) == 7
    (unanswered,) = app.of_type("recharge.unanswered")
    assert unanswered["data"]["recharge"] == FIRST
    app.answer(FIRST, "succeeded")
    app.forget()
    app.tick_until(app.clock.now() + timedelta(days=2), timedelta(hours=1))
    assert app.events == []


def test_pending_is_an_answer_it_is_requested_again_after_hours_only(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    assert app.answer(FIRST, "pending").json["status"] == "pending"
    app.tick_until(app.clock.now() + timedelta(hours=5), timedelta(minutes=5))
    assert len(app.of_type(REQUESTED)) == 1
    app.tick(hours=1)
    assert recharge_ids(app.of_type(REQUESTED)) == [FIRST, FIRST]
    assert app.answer(FIRST, "succeeded").json["status"] == "succeeded"


def _open_alerts(app: CreditsApp) -> list[str]:
    return [alert["type"] for alert in app.items("alerts") if alert["status"] == "open"]


def test_pending_ends_what_was_reported_of_silence_and_of_an_answer_that_did_not_fit(
    app: CreditsApp,
) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.tick_until(app.clock.now() + timedelta(hours=6), timedelta(minutes=5))
    assert _open_alerts(app) == ["recharge.unanswered"]
    app.answer(FIRST, "pending")
    assert _open_alerts(app) == []
    app.answer(FIRST, "succeeded", "5.00")
    assert _open_alerts(app) == [SUSPENDED]
    app.answer(FIRST, "pending")
    assert _open_alerts(app) == []


def test_late_money_of_one_recharge_leaves_what_was_reported_of_the_next(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.answer(FIRST, "declined")
    app.tick(hours=1)
    app.answer(f"{ACCOUNT}~2", "succeeded", "5.00")
    assert sorted(_open_alerts(app)) == ["recharge.declined", SUSPENDED]
    assert app.answer(FIRST, "succeeded").status == 200
    assert _open_alerts(app) == [SUSPENDED]
    assert app.answer(f"{ACCOUNT}~2", "succeeded").status == 200
    assert _open_alerts(app) == []
    assert app.shown_balance == "119.00"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"amount": "5.00"}, "5.00"), ({"currency": "EUR"}, "EUR")],
)
def test_an_answer_that_does_not_fit_is_kept_and_credits_nothing(
    app: CreditsApp, change: dict[str, str], words: str
) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    body = {"status": "succeeded", "amount": "50.00", "currency": "USD", **change}
    path = f"/api/v1/recharges/{FIRST}/result"
    answers = [app.post(path, body) for _ in range(2)]
    assert [(a.status, a.code) for a in answers] == [(422, "recharge_mismatch")] * 2
    assert app.shown_balance == "19.00"
    (listed,) = app.items("recharges")
    assert listed["status"] == "parked"
    assert words in listed["detail"]
    assert app.of_type(SUSPENDED)[0]["data"]["reason"] == "mismatch"
    app.tick(days=1)
    assert len(app.of_type(REQUESTED)) == 1  # what became of the money must be known first
    assert app.answer(FIRST, "succeeded").status == 200
    assert app.shown_balance == "69.00"


@pytest.mark.parametrize(
    ("said_before", "status"),
    [("50.01", "succeeded"), (None, "succeeded"), (None, "declined")],
)
def test_an_answer_is_answered_by_the_ledger_while_our_records_are_behind(
    app: CreditsApp, said_before: str | None, status: str
) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    if said_before:
        assert app.answer(FIRST, status, said_before).status == 422
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PublishEvents, "best_effort", staticmethod(unpublished))
        for _ in range(2):
            answer = app.answer(FIRST, status)
            assert (answer.status, answer.json["status"]) == (200, status)
    assert app.shown_balance == ("69.00" if status == "succeeded" else "19.00")


async def unpublished(account: str, *, hold_book: bool = True) -> None:
    """Nothing could be read or reported."""


def test_only_the_payment_side_answers_and_only_for_its_accounts(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    body = {"status": "succeeded", "amount": "50.00", "currency": "USD"}
    path = f"/api/v1/recharges/{FIRST}/result"
    payments, other = app.api_key("payments"), app.api_key("payments", accounts=("fabrikam",))
    assert app.post(path, body, key=app.api_key("finance")).code == "role_missing"
    assert app.post(path, body, key=other).code == "account_not_allowed"
    assert app.get(f"{PATH}/recharges", key=payments).code == "role_missing"
    assert app.shown_balance == "19.00"
    assert app.post(path, body, key=payments).status == 200


@pytest.mark.parametrize("name", [f"{ACCOUNT}~2", f"{ACCOUNT}~0", "nobody~1", ACCOUNT, "~1", "x~y"])
def test_an_unknown_recharge_is_not_found(app: CreditsApp, name: str) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    answer = app.answer(name, "succeeded")
    assert (answer.status, answer.code) == (404, "recharge_unknown")


def test_the_list_shows_each_recharge_with_its_end_the_newest_first(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.answer(FIRST, "declined")
    app.tick(hours=1)
    app.answer(f"{ACCOUNT}~2", "succeeded")
    newest, oldest = app.items("recharges")
    assert (newest["id"], newest["status"]) == (f"{ACCOUNT}~2", "succeeded")
    assert (oldest["id"], oldest["status"], oldest["currency"]) == (FIRST, "declined", "USD")
    page = app.get(f"{PATH}/recharges?limit=1").json
    rest = app.get(f"{PATH}/recharges?limit=1&cursor={page['next']}").json
    assert [page["items"], rest["items"]] == [[newest], [oldest]]
    assert "next" not in rest


def test_no_recharge_is_requested_after_it_was_switched_off(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.change()
    app.spend("5.00")
    app.tick(days=1)
    assert app.of_type(REQUESTED) == []


def test_the_leap_day_and_the_month_after_it_have_ceilings_of_their_own(app: CreditsApp) -> None:
    app.clock.moment = day(2028, 2, 29, 12)
    app.open(balance="21.00", auto_recharge={**AUTO, "max_per_month": 1})
    app.spend("2.00")
    app.answer(FIRST, "succeeded")
    app.spend("60.00")
    assert app.of_type(SUSPENDED)[0]["data"]["until"] == "2028-03-01T00:00:00Z"
    app.tick(hours=12)
    assert len(app.of_type(REQUESTED)) == 2


def _requested_amount(app: CreditsApp) -> str:
    return str(app.of_type(REQUESTED)[-1]["data"]["amount"])
