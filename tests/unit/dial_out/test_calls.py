"""Dial-outs and callers over HTTP: extended, released, within budgets, stopped and let go on."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.dial_out.rows import grant_key
from shared.domain.common.kinds import LegKind
from tests.support.calls import (
    CARD,
    LONDON,
    NEW_YORK,
    PARIS,
    RATES,
    ROME,
    TOLL,
    TOLL_FREE,
    Calls,
    rate,
)
from tests.support.product import Product


@pytest.fixture
def app() -> Iterator[Product]:
    made = Product()
    yield made
    made.close()


@pytest.fixture
def calls(app: Product) -> Calls:
    return Calls(app)


def reason(answer: Any) -> str:
    assert answer["decision"] == "deny", answer
    return str(answer["reason"])


def test_an_allowed_call_is_extended_by_its_total_and_answered_like_an_allow(calls: Calls) -> None:
    allowed = calls.authorise()
    assert (allowed["granted_seconds"], allowed["final"], allowed["held"]) == (900, False, "0.20")

    longer = calls.extend(allowed["authorization"], 1800)

    assert longer.status == 200
    changed = {"granted_seconds", "expires_at", "held"}
    assert {n: v for n, v in longer.json.items() if n not in changed} == {
        name: value for name, value in allowed.items() if name not in changed
    }
    assert (longer.json["granted_seconds"], longer.json["held"]) == (1800, "0.35")
    assert longer.json["expires_at"] == "2026-11-23T10:47:00Z"
    assert calls.account()["held"] == "0.35"
    assert calls.extend(allowed["authorization"], 1800).json == longer.json
    assert calls.extend(allowed["authorization"], 60).json == longer.json


def test_the_same_question_keeps_its_first_answer_after_an_extension(calls: Calls) -> None:
    allowed = calls.authorise(key="k")
    calls.extend(allowed["authorization"], 1800)
    assert calls.authorise(key="k") == allowed
    assert calls.account()["held"] == "0.35"


def test_less_than_a_slice_is_granted_where_less_is_requested_and_extended_all_the_same(
    calls: Calls,
) -> None:
    short = calls.authorise(requested_seconds=61)
    assert (short["granted_seconds"], short["final"]) == (61, False)
    assert "ends_by" not in short
    longer = calls.extend(short["authorization"], 1200).json
    assert (longer["granted_seconds"], longer["final"]) == (1200, False)
    long = calls.authorise(requested_seconds=3600)
    assert (long["granted_seconds"], long["final"]) == (900, False)


def test_credit_that_ends_within_the_call_makes_the_answer_final(app: Product) -> None:
    calls = Calls(app, "0.08")
    allowed = calls.authorise()
    assert (allowed["granted_seconds"], allowed["final"], allowed["ends_by"]) == (
        180,
        True,
        "credit",
    )
    longer = calls.extend(allowed["authorization"], 900).json
    assert (longer["granted_seconds"], longer["final"], longer["ends_by"]) == (180, True, "credit")
    calls.top_up("5.00")
    longer = calls.extend(allowed["authorization"], 900).json
    assert (longer["granted_seconds"], longer["final"]) == (900, False)
    assert "ends_by" not in longer


def test_an_extension_that_grants_nothing_writes_no_grant(calls: Calls, app: Product) -> None:
    allowed = calls.authorise()
    adjusted = app.post(
        "/api/v1/accounts/contoso/adjustments",
        {"amount": "-9.95", "reason": "paid back"},
        headers={"idempotency-key": "paid-back"},
    )
    assert adjusted.status == 201, adjusted.body
    longer = calls.extend(allowed["authorization"], 1800).json
    assert (longer["granted_seconds"], longer["ends_by"]) == (900, "credit")
    keys = [row.key for row in app.run(app.tables.query("holds", "contoso"))]
    assert grant_key(allowed["authorization"]) not in keys
    calls.top_up("5.00")
    calls.extend(allowed["authorization"], 1800)
    keys = [row.key for row in app.run(app.tables.query("holds", "contoso"))]
    assert grant_key(allowed["authorization"]) in keys


def test_an_authorisation_that_is_over_is_not_extended(calls: Calls, app: Product) -> None:
    released, expired = calls.authorise()["authorization"], calls.authorise()["authorization"]
    assert calls.release(released).status == 200
    assert (calls.extend(released, 1800).status, calls.extend(released, 1800).code) == (
        409,
        "authorization_ended",
    )
    app.clock.advance(900 + 120 + 900)
    assert calls.extend(expired, 1800).code == "authorization_ended"
    assert calls.release(expired).status == 200


@pytest.mark.parametrize("name", ["au_none", "au_none.contoso", "au_none.nobody", "x" * 300])
def test_an_unknown_authorisation_is_not_found(calls: Calls, name: str) -> None:
    assert calls.extend(name, 60).status == calls.release(name).status == 404


@pytest.mark.parametrize("seconds", [0, -1, 86_401, "900", None, 1.5])
def test_an_extension_names_seconds(calls: Calls, seconds: object) -> None:
    authorization = calls.authorise()["authorization"]
    answer = calls.send(f"dial-outs/{authorization}/extend", {"seconds": seconds})
    assert answer.status == 422


def test_a_denied_question_can_be_neither_extended_nor_released(app: Product) -> None:
    calls = Calls(app, "")
    assert reason(calls.authorise(key="k")) == "credit_exhausted"
    from shared.domain.dial_out.authorization_ids import authorization_of

    name = authorization_of("contoso", "pbx", "k")
    assert calls.extend(name, 60).code == "authorization_unknown"
    assert calls.release(name).code == "authorization_unknown"


def test_a_bridge_that_authorises_once_is_granted_what_its_calls_are_assumed_to_last(
    calls: Calls,
) -> None:
    shown = calls.app.get("/api/v1/bridges/pbx")
    calls.app.put(
        "/api/v1/bridges/pbx",
        {
            "dialect": "perminute",
            "accounts": ["*"],
            "auth": {"scheme": "basic", "username": "pbx"},
            "assumed_seconds": 3600,
        },
        shown.etag,
    )
    assert calls.authorise()["granted_seconds"] == 3600
    assert calls.come_in()["granted_seconds"] == 3600
    assert calls.authorise(requested_seconds=7200)["granted_seconds"] == 3600


# Numbers


@pytest.mark.parametrize(
    ("to", "dialled"),
    [("011442079460123", LONDON), ("00442079460123", LONDON), ("2125550123", NEW_YORK)],
)
def test_a_number_is_normalised_only_on_request(calls: Calls, to: str, dialled: str) -> None:
    assert reason(calls.authorise(to)) == "number_invalid"
    allowed = calls.authorise(to, normalize=True)
    assert allowed["destination"]["number"] == dialled


@pytest.mark.parametrize("to", ["911", "112", "9116666"])
def test_an_emergency_number_is_never_normalised(calls: Calls, to: str) -> None:
    assert reason(calls.authorise(to, normalize=True)) == "emergency_number"


def test_a_short_number_is_never_normalised(calls: Calls) -> None:
    assert reason(calls.authorise("411", normalize=True)) == "special_number"


# Budgets


@pytest.mark.parametrize("period", ["day", "month"])
def test_the_accounts_budget_bounds_all_its_dial_outs(calls: Calls, period: str) -> None:
    calls.policy(budgets={period: {"amount": "0.25"}})
    assert calls.authorise()["granted_seconds"] == 900
    assert reason(calls.authorise()) == "budget_exceeded"
    assert calls.come_in()["decision"] == "allow"


def test_an_organizers_budget_is_its_own(calls: Calls) -> None:
    calls.organizer("ann", budgets={"day": {"amount": "0.10"}})
    allowed = calls.authorise(organizer_id="ann")
    assert (allowed["granted_seconds"], allowed["ends_by"]) == (300, "budget")
    assert reason(calls.authorise(organizer_id="ann")) == "budget_exceeded"
    assert calls.authorise(organizer_id="ken")["granted_seconds"] == 900


def test_organizers_of_a_cost_centre_share_its_budget(calls: Calls) -> None:
    calls.policy(cost_centers={"sales": {"month": {"amount": "0.20"}}})
    for name in ("ann", "bob"):
        calls.organizer(name, cost_center="sales")
    assert calls.authorise(organizer_id="ann")["granted_seconds"] == 900
    assert reason(calls.authorise(organizer_id="bob")) == "budget_exceeded"


@pytest.mark.parametrize("where", ["account", "organizer", "cost_center"])
def test_every_meeting_has_a_budget(calls: Calls, where: str) -> None:
    budgets = {"meeting": {"amount": "0.20"}}
    calls.policy(
        budgets=budgets if where == "account" else {},
        cost_centers={"sales": budgets if where == "cost_center" else {}},
    )
    own = budgets if where == "organizer" else {}
    calls.organizer("ann", cost_center="sales", budgets=own)
    for room in ("3001", "3002"):
        calls.put(f"accounts/contoso/conferences/{room}", {"organizer": "ann"})
    assert calls.authorise(conference_id="3001")["granted_seconds"] == 900
    assert reason(calls.authorise(conference_id="3001")) == "budget_exceeded"
    assert calls.authorise(conference_id="3002")["granted_seconds"] == 900


def test_a_budget_that_warns_is_explained_and_lets_ring(calls: Calls) -> None:
    calls.policy(budgets={"day": {"amount": "0.01", "mode": "warn"}})
    allowed = calls.authorise(explain=True)
    lines = {line["check"]: line for line in allowed["checks"]}
    assert "warning" in lines["budget"]["detail"]


# Velocity and the switches


def test_velocity_comes_from_the_policy(calls: Calls, app: Product) -> None:
    calls.policy(velocity={"concurrent": 2, "per_hour": 3})
    first = calls.authorise()["authorization"]
    calls.authorise()
    assert reason(calls.authorise()) == "velocity_exceeded"
    calls.release(first)
    third = calls.authorise()["authorization"]
    calls.release(third)
    assert reason(calls.authorise()) == "velocity_exceeded"
    app.clock.advance(3660)
    assert calls.authorise()["decision"] == "allow"


def test_a_dry_run_counts_nothing(calls: Calls) -> None:
    calls.policy(velocity={"concurrent": 1, "per_hour": 1}, budgets={"day": {"amount": "0.20"}})
    for _ in range(3):
        assert calls.authorise(dry_run=True)["decision"] == "allow"
    assert calls.dial_out_state()["open"] == []
    calls.authorise()
    assert reason(calls.authorise(dry_run=True)) == "budget_exceeded"


def test_the_breaker_stops_dial_out_and_a_person_lets_it_go_on(calls: Calls) -> None:
    calls.policy(velocity={"cost_per_ten_minutes": "0.40"})
    first = calls.authorise()["authorization"]
    calls.authorise()
    assert reason(calls.authorise()) == "dial_out_stopped"
    longer = calls.extend(first, 1800).json
    assert (longer["granted_seconds"], longer["ends_by"]) == (900, "stopped")
    state = calls.dial_out_state()
    assert state["stopped"]
    assert "ten minutes" in state["reason"]
    assert calls.come_in()["decision"] == "allow"

    assert calls.control("restart").json == {"stopped": False}

    assert calls.authorise()["decision"] == "allow"
    assert not calls.dial_out_state()["stopped"]


def test_a_person_stops_dial_out_and_states_the_reason(calls: Calls) -> None:
    assert calls.control("stop", {"reason": "we look into it"}).status == 200
    denied = calls.authorise()
    assert reason(denied) == "dial_out_stopped"
    assert "we look into it" in denied["message"]
    assert calls.control("stop", {"reason": ""}).status == 422


def test_a_suspended_account_neither_dials_out_nor_lets_callers_in(calls: Calls) -> None:
    put = calls.policy(suspended=True)
    assert reason(calls.authorise()) == reason(calls.come_in()) == "account_suspended"
    assert calls.dial_out_state()["suspended"]
    calls.policy(put["etag"], suspended=False)
    assert calls.authorise()["decision"] == "allow"


@pytest.mark.parametrize("what", ["stop", "restart"])
def test_only_operators_turn_the_switches(calls: Calls, app: Product, what: str) -> None:
    path = f"/api/v1/accounts/contoso/dial-out-policy/{what}"
    for role, status in (("reader", 403), ("finance", 403), ("operator", 200)):
        key = app.api_key(role)
        assert app.post(path, {"reason": "r"}, key=key).status == status


# Dial-in


def test_a_caller_is_let_in_at_the_price_of_the_service_number(calls: Calls) -> None:
    answer = calls.come_in()
    assert answer["decision"] == "allow"
    assert (answer["held"], answer["price_per_minute"]) == ("0.075", "0.005")
    assert answer["destination"]["prefix"] == "49"
    assert calls.account()["held"] == "0.075"
    assert calls.extend(answer["authorization"], 1800).json["held"] == "0.15"
    assert calls.release(answer["authorization"]).status == 200


def test_the_service_number_names_the_account_and_the_conference_the_organizer(
    calls: Calls,
) -> None:
    calls.put(f"accounts/contoso/service-numbers/{TOLL}", {"kind": "toll"})
    calls.put("accounts/contoso/conferences/3001", {"organizer": "ken"})
    answer = calls.come_in(account=None, organizer_id=None, conference_id="3001")
    assert answer["decision"] == "allow"


@pytest.mark.parametrize("registered", [False, True])
def test_toll_free_is_switched_off_for_an_organizer(calls: Calls, registered: bool) -> None:
    number = NEW_YORK if registered else TOLL_FREE
    if registered:
        calls.put(f"accounts/contoso/service-numbers/{number}", {"kind": "toll_free"})
    calls.organizer("ann", toll_free_dial_in=False)
    assert reason(calls.come_in(number, organizer_id="ann")) == "toll_free_disabled"
    assert calls.come_in(number, organizer_id="ken")["decision"] == "allow"
    assert calls.come_in(TOLL, organizer_id="ann")["decision"] == "allow"


def test_a_service_number_that_no_table_knows_is_let_in_at_the_price_that_its_legs_cost(
    calls: Calls,
) -> None:
    unlisted = "+4900000000"
    assert calls.come_in(unlisted)["price_per_minute"] == "0.005"
    assert calls.charged(kind=LegKind.DIAL_IN, to_number=unlisted)["amount"] == "0.02"


def test_callers_are_refused_for_the_reasons_of_their_own(app: Product) -> None:
    calls = Calls(app, "")
    calls.organizer("bob", license="none")
    assert reason(calls.come_in(account="nobody")) == "account_unknown"
    assert reason(calls.come_in(organizer_id="nobody")) == "organizer_unknown"
    assert reason(calls.come_in(organizer_id="bob")) == "license_missing"
    assert reason(calls.come_in(ROME)) == "rate_missing"
    assert reason(calls.come_in()) == "credit_exhausted"
    explained = calls.come_in(explain=True)
    assert [line["check"] for line in explained["checks"]][-1] == "credit"


def test_toll_dial_in_is_included_in_a_subscription_and_toll_free_is_not(app: Product) -> None:
    calls = Calls(app, "")
    calls.organizer("ann", license="subscription")
    answer = calls.come_in(organizer_id="ann")
    assert (answer["decision"], answer["held"], answer["price_per_minute"]) == (
        "allow",
        "0.00",
        "0",
    )
    assert answer["granted_seconds"] == 900
    assert calls.extend(answer["authorization"], 1800).json["granted_seconds"] == 1800
    assert reason(calls.come_in(TOLL_FREE, organizer_id="ann")) == "credit_exhausted"


def test_the_same_caller_authorised_twice_has_one_hold(calls: Calls) -> None:
    assert calls.come_in(key="k") == calls.come_in(key="k")
    assert calls.account()["held"] == "0.075"
    other = calls.send("dial-ins", {"to": TOLL, "account": "contoso"}, "k")
    assert other.code == "idempotency_key_reused"
    as_dial_out = {"to": TOLL, "account": "contoso", "organizer_id": "ken"}
    assert calls.send("dial-outs", as_dial_out, "k").code == "idempotency_key_reused"


def test_a_dry_admission_holds_nothing(calls: Calls) -> None:
    answer = calls.come_in(dry_run=True)
    assert answer["decision"] == "allow"
    assert "authorization" not in answer
    assert calls.account()["held"] == "0.00"


def test_a_price_that_rises_while_it_rings_is_held_and_extended_at_the_dearer(
    calls: Calls, app: Product
) -> None:
    """A leg is charged by the version in force when it was answered."""
    rises_at = app.clock.now() + timedelta(minutes=6)
    dearer = {"currency": "USD", "time_zone": "UTC", "rates": [rate("442", "0.03", "0.06")]}
    dearer["rounding"] = {"mode": "half_up", "decimals": 4}
    calls.put(f"rate-cards/{CARD}/versions/{rises_at:%Y-%m-%dT%H:%M:%SZ}", dearer)
    app.clock.advance(6 * 60 - 121)
    before = calls.authorise()
    app.clock.advance(60)
    ringing = calls.authorise()
    assert [answer["held"] for answer in (before, ringing)] == ["0.20", "0.51"]
    assert [answer["price_per_minute"] for answer in (before, ringing)] == ["0.01", "0.03"]
    assert [answer["connection_fee"] for answer in (before, ringing)] == ["0.05", "0.06"]
    assert calls.extend(ringing["authorization"], 1800).json["held"] == "0.96"
    app.clock.advance(61 + 1800)
    leg = calls.charged(ringing["authorization"], talk_seconds=1800)
    assert (leg["amount"], leg["flags"]) == ("0.96", [])


def test_prices_of_different_places_hold_different_amounts(calls: Calls) -> None:
    assert [calls.authorise(to)["held"] for to in (LONDON, PARIS, NEW_YORK)] == [
        "0.20",
        "0.30",
        "1.50",
    ]


@pytest.mark.parametrize("person", [{"number": LONDON}, {"organizer": "ann@contoso.example"}])
def test_an_erased_person_is_in_no_row_of_the_hold_book(
    calls: Calls, app: Product, person: dict[str, str]
) -> None:
    """Questions, answers, their explanations and counters: of calls that were allowed or denied."""
    name = "ann@contoso.example"
    budgets = {"day": {"amount": "0.25"}}
    calls.organizer(name, budgets=budgets, policy="DialoutCPCandPSTNInternational")
    calls.policy(organizer_velocity={"concurrent": 5, "per_hour": 50})
    for _ in range(2):
        calls.authorise(organizer_id=name, explain=True)
    calls.come_in(organizer_id=name, explain=True)
    app.clock.advance(4000)
    text = next(iter(person.values()))

    answer = app.post("/api/v1/accounts/contoso/erasures", person)

    assert answer.status == 200, answer.body
    rows = app.run(app.tables.query("holds", "contoso"))
    assert rows
    assert [row.key for row in rows if text in str(row.values)] == []
    if "organizer" in person:
        assert [row.key for row in rows if row.key.startswith("spend|organizer")] == []


def test_a_card_in_another_currency_is_named_as_the_cause(calls: Calls, app: Product) -> None:
    """Not as a number that has no price."""
    version = {"currency": "EUR", "time_zone": "UTC", "rates": RATES}
    version["rounding"] = {"mode": "half_up", "decimals": 4}
    calls.put("rate-cards/euros/versions/2020-01-01T00:00:00Z", version)
    app.account("fabrikam", rate_card="euros", usage_location="FR")
    calls.put("accounts/fabrikam/organizers/ken", {})
    app.account("nocard", rate_card="absent", usage_location="FR")
    calls.put("accounts/nocard/organizers/ken", {})
    for answer in (calls.authorise(account="fabrikam"), calls.come_in(account="fabrikam")):
        assert reason(answer) == "rate_missing"
        assert answer["message"] == "The rate card euros is in EUR, the account in USD."
    for answer in (calls.authorise(account="nocard"), calls.come_in(account="nocard")):
        assert reason(answer) == "rate_missing"
        assert answer["message"] == "The rate card absent has no version in force."
    explained = calls.authorise(account="fabrikam", explain=True)["checks"]
    assert "EUR" in next(line["detail"] for line in explained if line["check"] == "rate")


def test_at_zero_credit_toll_callers_are_let_in_only_where_a_subscription_pays(
    app: Product,
) -> None:
    calls = Calls(app, "")
    calls.organizer("ann", license="subscription")
    assert calls.come_in(organizer_id="ann")["decision"] == "allow"
    assert reason(calls.come_in(organizer_id="ken")) == "credit_exhausted"


def test_an_open_call_shows_number_organizer_and_bridge(calls: Calls) -> None:
    calls.authorise(leg_id="leg/1", conference_id="3001")
    calls.come_in()
    dial_out, dial_in = sorted(calls.dial_out_state()["open"], key=lambda each: each["direction"])[
        ::-1
    ]
    shown = {name: dial_out[name] for name in ("direction", "to", "region", "organizer")}
    assert shown == {"direction": "dial_out", "to": LONDON, "region": "GB", "organizer": "ken"}
    assert (dial_out["bridge"], dial_out["leg_id"]) == ("pbx", "leg/1")
    assert dial_out["conference"] == "3001"
    assert (dial_in["direction"], dial_in["to"], dial_in["bridge"]) == ("dial_in", TOLL, "pbx")
    assert "leg_id" not in dial_in
