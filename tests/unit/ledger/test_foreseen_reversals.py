"""`POST …/legs/{leg}/reversal` with `dry_run`: the entry that would be booked, and nothing is."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.charging_app import ChargingApp
from tests.support.product import Answer


def reversal(charging: ChargingApp, leg: str, **more: Any) -> Answer:
    return charging.post(f"/api/v1/accounts/contoso/legs/{leg}/reversal", more)


def top_up(charging: ChargingApp, amount: str, **more: Any) -> None:
    key = {"idempotency-key": f"more-{amount}"}
    body = {"amount": amount, **more}
    assert charging.post("/api/v1/accounts/contoso/top-ups", body, headers=key).status == 201


def ended_now(charging: ChargingApp, minutes: int) -> str:
    answered_at = charging.clock.now() - timedelta(minutes=minutes)
    return charging.leg(answered_at=answered_at, talk_seconds=60 * minutes)


def plain(charging: ChargingApp) -> str:
    return charging.leg()


def paid_by_two_lots(charging: ChargingApp) -> str:
    top_up(charging, "5.00", kind="granted", expires_at="2027-06-01T00:00:00Z")
    return ended_now(charging, 120)


def overdrawn(charging: ChargingApp) -> str:
    ended_now(charging, 90)
    return ended_now(charging, 60)


def paid_by_a_lot_that_expired(charging: ChargingApp) -> str:
    leg = charging.leg()
    charging.clock.advance(days=400)
    return leg


@pytest.mark.parametrize("case", [plain, paid_by_two_lots, overdrawn, paid_by_a_lot_that_expired])
def test_what_is_foreseen_is_what_is_booked(charging: ChargingApp, case: Any) -> None:
    leg = case(charging)
    before = charging.get("/api/v1/accounts/contoso/entries").json["items"]

    foreseen = reversal(charging, leg, dry_run=True, reason="Bad line")
    unchanged = charging.get("/api/v1/accounts/contoso/entries").json["items"]
    booked = reversal(charging, leg, reason="Bad line")

    assert unchanged == before
    assert (foreseen.status, booked.status) == (200, 201), foreseen.body
    assert foreseen.json == {**booked.json, "dry_run": True}
    assert booked.json["dry_run"] is False
    assert booked.json["lots"] or booked.json["owed"] != "0.00"
    assert charging.sound("contoso")


def test_the_answer_adds_up(charging: ChargingApp) -> None:
    found = reversal(charging, overdrawn(charging), dry_run=True).json
    assert (found["balance_before"], found["entry"]["amount"], found["balance"]) == (
        "-5.00",
        "6.00",
        "1.00",
    )
    assert (found["owed"], [each["amount"] for each in found["lots"]]) == ("5.00", ["1.00"])


def test_a_lot_that_expired_is_replaced_by_a_new_one(charging: ChargingApp) -> None:
    leg = paid_by_a_lot_that_expired(charging)
    (lot,) = reversal(charging, leg, dry_run=True).json["lots"]
    assert lot["expires_at"] > "2027-12"


def test_a_leg_that_is_reversed_answers_with_its_entry(charging: ChargingApp) -> None:
    leg = charging.leg()
    booked = reversal(charging, leg, reason="Bad line")
    again = reversal(charging, leg, dry_run=True)
    assert again.json == {**booked.json, "dry_run": True}
    assert again.headers["idempotency-hit"] == "true"


def test_a_reader_may_foresee_and_not_book(charging: ChargingApp) -> None:
    leg, reader = charging.leg(), charging.api_key("reader", accounts=("contoso",))
    path = f"/api/v1/accounts/contoso/legs/{leg}/reversal"
    assert charging.post(path, {"dry_run": True}, key=reader).status == 200
    refused = charging.post(path, {"reason": "Bad line"}, key=reader)
    assert (refused.status, refused.code) == (403, "role_missing")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid"),
        ({"dry_run": False}, 422, "invalid"),
        ({"dry_run": "yes"}, 422, "invalid"),
        ({"dry_run": True, "reason": ""}, 422, "invalid"),
        ({"dry_run": True}, 404, "leg_unknown"),
    ],
)
def test_what_is_refused(
    charging: ChargingApp, body: dict[str, Any], status: int, code: str
) -> None:
    found = reversal(charging, "pbx~nothing", **body)
    assert (found.status, found.code) == (status, code)
