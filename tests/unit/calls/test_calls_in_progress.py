"""Calls in progress: what they cost so far, how long credits last, and what a conference costs."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.calls import LONDON, NEW_YORK, ROME, TOLL, Calls, rate
from tests.support.product import Product

BASE = "/api/v1/accounts/contoso"
CARD = "rate-cards/exact/versions/2020-01-01T00:00:00Z"


@pytest.fixture
def app() -> Iterator[Product]:
    with Product() as product:
        yield product


def rates_are(calls: Calls, *rates: dict[str, Any], increment_seconds: int = 1) -> None:
    """The account's rates are those."""
    for each in rates:
        each["slots"][0]["increment_seconds"] = increment_seconds
    rounding = {"mode": "half_up", "decimals": 4}
    version = {"currency": "USD", "time_zone": "UTC", "rounding": rounding, "rates": list(rates)}
    calls.put(CARD, version)
    answer = calls.app.call("PATCH", BASE, {"rate_card": "exact"})
    assert answer.status == 200, answer.body


def now(app: Product) -> Any:
    answer = app.get(f"{BASE}/calls")
    assert answer.status == 200, answer.body
    return answer.json


@pytest.mark.parametrize(("increment_seconds", "so_far"), [(1, "0.075"), (60, "0.10")])
def test_three_legs_at_five_cents_a_minute_last_400_seconds_on_a_dollar(
    app: Product, increment_seconds: int, so_far: str
) -> None:
    calls = Calls(app, "1.00")
    rates_are(calls, rate("44", "0.05"), increment_seconds=increment_seconds)
    for _ in range(3):
        assert calls.authorise(requested_seconds=240)["granted_seconds"] == 240

    body = now(app)
    assert (body["available"], body["burn_per_minute"]) == ("1.00", "0.15")
    assert body["seconds_left"] == 400
    assert body["exhausted_at"] == "2026-11-23T10:06:40Z"
    app.clock.advance(seconds=90)
    body = now(app)
    assert body["seconds_left"] == 310
    assert body["items"][0]["amount_so_far"] == so_far


def test_without_calls_nothing_is_used_up(app: Product) -> None:
    Calls(app)
    body = now(app)
    assert body["items"] == body["shedding_order"] == []
    assert (body["available"], body["burn_per_minute"]) == ("10.00", "0")
    assert body["seconds_left"] is body["exhausted_at"] is None


def test_a_call_counts_from_its_answer(app: Product) -> None:
    calls = Calls(app)
    rates_are(calls, rate("44", "0.60"))
    named = {"leg_id": "leg 7", "conference_id": "3001", "from": "+33170180042"}
    authorization = calls.authorise(**named)["authorization"]
    app.clock.advance(seconds=20)
    answered = calls.send(f"dial-outs/{authorization}/answered", {})
    assert answered.json == {
        "authorization": authorization,
        "answered_at": "2026-11-23T10:00:20Z",
    }
    app.clock.advance(seconds=30)
    assert calls.send(f"dial-outs/{authorization}/answered", {}).json == answered.json

    (item,) = now(app)["items"]
    assert item == {
        "authorization": authorization,
        "direction": "dial_out",
        "to": LONDON,
        "from": "+33170180042",
        "region": "GB",
        "organizer": "ken",
        "conference": "3001",
        "bridge": "pbx",
        "leg_id": "leg 7",
        "since": "2026-11-23T10:00:00Z",
        "answered_at": "2026-11-23T10:00:20Z",
        "granted_seconds": 900,
        "held": "9.00",
        "price_per_minute": "0.6",
        "amount_so_far": "0.30",
    }


@pytest.mark.parametrize("sent", ["2026-11-23T09:00:00Z", "2026-11-23T10:06:00Z", "yesterday", 7])
def test_an_answer_at_no_such_time_is_refused(app: Product, sent: object) -> None:
    calls = Calls(app)
    authorization = calls.authorise()["authorization"]
    answer = calls.send(f"dial-outs/{authorization}/answered", {"answered_at": sent})
    assert (answer.status, answer.pointers()) == (422, ["/answered_at"])


def test_an_answer_of_a_call_that_is_over_or_unknown_is_refused(app: Product) -> None:
    calls = Calls(app)
    authorization = calls.authorise()["authorization"]
    assert calls.send("dial-outs/au_no.contoso/answered", {}).code == "authorization_unknown"
    other = {"authorization": "au_no.contoso"}
    assert calls.send(f"dial-outs/{authorization}/answered", other).status == 422
    calls.release(authorization)
    assert calls.send(f"dial-outs/{authorization}/answered", {}).code == "authorization_ended"


def test_a_call_whose_grant_has_passed_costs_what_it_held(app: Product) -> None:
    calls = Calls(app)
    calls.authorise(requested_seconds=60)
    app.clock.advance(seconds=400)
    body = now(app)
    assert body["items"][0]["amount_so_far"] == body["items"][0]["held"] == "0.06"
    assert (body["available"], body["burn_per_minute"]) == ("9.94", "0")


def test_dearest_first_and_callers_of_toll_numbers_are_shed_last(app: Product) -> None:
    calls = Calls(app, "100.00")
    rates_are(calls, rate("44", "0.01"), rate("1", "0.30"), rate("49", "0.50", kind="dial_in"))
    cheap = calls.authorise(LONDON)["authorization"]
    caller = calls.come_in(TOLL, **{"from": LONDON})["authorization"]
    dear = calls.authorise(NEW_YORK)["authorization"]

    body = now(app)
    assert [item["authorization"] for item in body["items"]] == [caller, dear, cheap]
    assert body["shedding_order"] == [dear, cheap, caller]
    table = app.get(f"{BASE}/calls?format=csv").body.decode().splitlines()
    assert table[0].startswith("authorization,direction,to,from,region")
    assert [line.partition(",")[0] for line in table[1:]] == [caller, dear, cheap]


def test_included_minutes_cover_a_call_before_it_costs(app: Product) -> None:
    calls = Calls(app, "1.00", subscription_licenses=1)
    rates_are(calls, rate("44", "0.10"))
    calls.organizer("sub", license="subscription")
    for _ in range(2):
        granted = calls.authorise(organizer_id="sub", requested_seconds=900)
        assert granted["pool_seconds"] == 900

    body = now(app)
    assert (body["burn_per_minute"], body["shedding_order"]) == ("0", [])
    # An hour of the pool is half an hour of both, then 1.00 pays 5 minutes at 0.20
    assert body["seconds_left"] == 1800 + 300


def test_a_conference_costs_its_open_calls_and_then_its_charges(app: Product) -> None:
    calls = Calls(app)
    rates_are(calls, rate("44", "0.60"), rate("1", "0.30"))
    cost = f"{BASE}/conferences/3001/cost"
    assert app.get(cost).code == "conference_unknown"
    first = calls.authorise(LONDON, conference_id="3001")["authorization"]
    second = calls.authorise(NEW_YORK, conference_id="3001")["authorization"]
    calls.authorise(LONDON, conference_id="elsewhere")
    app.clock.advance(seconds=60)
    body = app.get(cost).json
    assert [call["authorization"] for call in body["open"]] == [first, second]
    assert body["ended"] == {"legs": 0, "amount": "0.00"}
    assert (body["amount_so_far"], body["burn_per_minute"]) == ("0.90", "0.9")

    charged = calls.charged(first, talk_seconds=30, conference_id="3001")
    body = app.get(cost).json
    assert (body["ended"], body["amount_so_far"]) == ({"legs": 1, "amount": "0.30"}, "0.60")
    calls.charged(second, talk_seconds=60, conference_id="3001", to_number=NEW_YORK)
    app.clock.advance(hours=30)
    body = app.get(cost).json
    assert (body["open"], body["seconds_left"]) == ([], None)
    assert (body["ended"], body["amount_so_far"]) == ({"legs": 2, "amount": "0.60"}, "0.60")

    app.post(f"{BASE}/legs/{charged['leg']}/reversal", {"reason": "Bad line"})
    assert app.get(cost).json["amount_so_far"] == "0.30"
    calls.charged(talk_seconds=10, conference_id="3001")
    assert app.get(cost).json["ended"] == {"legs": 1, "amount": "0.10"}  # another meeting
    assert app.get(f"{cost}?month=2026-11").json["ended"] == {"legs": 3, "amount": "0.40"}


def test_a_caller_leaves_the_hold_book_with_an_erasure(app: Product) -> None:
    calls = Calls(app)
    calls.authorise(**{"from": ROME})
    assert now(app)["items"][0]["from"] == ROME
    assert app.post(f"{BASE}/erasures", {"number": ROME}).json["erased"]["holds"] == 1
    assert "from" not in now(app)["items"][0]
