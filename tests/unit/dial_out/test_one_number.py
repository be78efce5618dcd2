"""One number from check to display: requested, held, quoted, charged and shown over HTTP."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import phonenumbers
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.domain.common.kinds import LegKind
from tests.support.calls import CARD, PARIS, Calls, rate
from tests.support.product import Product

LONDON = "+442079460123"
TOLL_FREE = "+18005550100"
VERSION = {"currency": "USD", "time_zone": "UTC", "rounding": {"mode": "half_up", "decimals": 4}}
RATES = [
    rate("44", "0.50"),
    rate("4420", "0.01"),
    rate("447", "0.80"),
    rate("", "0.30") | {"destination": "elsewhere"},
    *(rate(code, "0.20") for code in ("1", "7", "33", "39", "49", "61", "81")),
    *(rate(f"{code}0", "0.90") for code in ("33", "49", "61", "81")),
    rate("33", "0.007", kind="dial_in"),
]
BY_ORIGIN = [
    rate("1888", "0.02", kind="dial_in", origin="US"),
    rate("1888", "0.05", kind="dial_in", origin="RU"),
    rate("1800", "0.02", kind="dial_in", origin="US"),
    rate("1800", "0.05", kind="dial_in", origin="RU"),
]
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
NUMBERS = [
    phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    for region in REGIONS
    for kind in (0, 1)
    if (found := phonenumbers.example_number_for_type(region, kind)) is not None
]


@pytest.fixture(scope="module")
def app() -> Iterator[Product]:
    made = Product()
    yield made
    made.close()


@pytest.fixture(scope="module")
def calls(app: Product) -> Calls:
    made = Calls(app, top_up="100000.00")
    made.policy(velocity={"concurrent": None, "per_hour": None}, served_regions=REGIONS)
    _card(made, "2026-01-01T00:00:00Z", [*RATES, *BY_ORIGIN, rate("1800", "0.03", kind="dial_in")])
    return made


def _card(calls: Calls, effective_from: str, rates: list[Any]) -> None:
    path = f"/api/v1/rate-cards/{CARD}/versions/{effective_from}?backdate=true"
    answer = calls.app.put(path, {**VERSION, "rates": rates})
    assert answer.status == 201, answer.body


def _quote(calls: Calls, **body: Any) -> Any:
    requested = {"account": "contoso", "kind": "dial_out", "talk_seconds": 900, **body}
    answer = calls.app.post("/api/v1/quotes", requested)
    assert answer.status == 200, answer.body
    return answer.json


def test_a_number_with_a_trunk_prefix_is_held_and_charged_by_the_number_without_it(
    calls: Calls,
) -> None:
    text = "+4402079460123"
    allowed = calls.authorise(text)
    assert allowed["destination"]["number"] == LONDON
    assert (allowed["held"], allowed["destination"]["prefix"]) == ("0.15", "4420")

    charge = calls.charged(allowed["authorization"], to_number=text, talk_seconds=900)

    assert (charge["amount"], charge["rate"]["prefix"], charge["flags"]) == ("0.15", "4420", [])
    assert (charge["to"], charge["to_received"]) == (LONDON, text)
    assert (charge["region"], charge["number_class"]) == ("GB", "fixed_line")
    assert "from_received" not in charge


def test_a_leg_is_not_undercharged_by_its_trunk_prefix(calls: Calls) -> None:
    assert calls.charged(to_number="+4407400123456", talk_seconds=60)["amount"] == "0.80"


_FORMS = (
    lambda number: number,
    lambda number: (
        f"+{(parsed := phonenumbers.parse(number)).country_code}"
        f"{phonenumbers.ndd_prefix_for_region(_main_region(parsed), True) or ''}"
        f"{number.removeprefix(f'+{parsed.country_code}')}"
    ),
)


def _main_region(parsed: Any) -> str:
    return str(phonenumbers.region_code_for_country_code(parsed.country_code))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.sampled_from(NUMBERS), form=st.sampled_from(_FORMS))
@example(number="+442079460123", form=_FORMS[1])
@example(number="+390669812345", form=_FORMS[1])
def test_check_hold_quote_charge_and_display_agree_on_one_number(
    calls: Calls, number: str, form: Any
) -> None:
    text = form(number)
    allowed = calls.authorise(text)
    if allowed["decision"] == "deny":
        assert allowed["reason"] in {"number_invalid", "number_class_blocked"}
        return
    dialled, prefix = allowed["destination"]["number"], allowed["destination"]["prefix"]

    charge = calls.charged(allowed["authorization"], to_number=text, talk_seconds=900)
    quoted = _quote(calls, to=text)
    again = calls.authorise(dialled)
    calls.release(again["authorization"])

    assert (charge["to"], quoted["to"]) == (dialled, dialled)
    assert (charge["rate"]["prefix"], quoted["rate"]["prefix"]) == (prefix, prefix)
    assert (again["destination"]["prefix"], again["held"]) == (prefix, allowed["held"])
    assert charge.get("to_received", dialled) == quoted.get("to_received", dialled) == text
    assert Decimal(charge["amount"]) == Decimal(allowed["held"]) == Decimal(quoted["amount"])
    assert charge["flags"] == []


@pytest.mark.parametrize(
    "text",
    ["+44 (0)20 7946 0123", "tel:+44-20-7946-0123", "sip:+442079460123@10.0.0.1", "00442079460123"],
)
def test_a_leg_s_text_in_any_form_is_charged_as_its_number(calls: Calls, text: str) -> None:
    """By the bridge's country `00` begins an international number."""
    charge = calls.charged(to_number=text, talk_seconds=60)
    assert (charge["to"], charge["to_received"]) == (LONDON, text)
    assert (charge["amount"], charge["rate"]["prefix"]) == ("0.01", "4420")


@pytest.mark.parametrize(
    ("text", "number", "amount"),
    [
        ("12125550123", "+12125550123", "0.02"),
        ("+1 212 555 0123", "+12125550123", "0.02"),
        ("sip:74951234567@carrier.example", "+74951234567", "0.05"),
        ("74951234567", "+74951234567", "0.05"),
        ("+7495 1234567", "+74951234567", "0.05"),
        ("1000", None, "0.03"),
        ("anonymous", None, "0.03"),
        (PARIS, PARIS, "0.03"),
        (None, None, "0.03"),
    ],
)
def test_a_caller_is_rated_by_its_number_in_check_quote_and_charge(
    calls: Calls, text: str | None, number: str | None, amount: str
) -> None:
    who = {} if text is None else {"from": text}
    held = calls.come_in(TOLL_FREE, requested_seconds=60, **who)
    charge = calls.charged(
        held["authorization"], kind=LegKind.DIAL_IN, from_number=text, to_number=TOLL_FREE,
        talk_seconds=60,
    )  # fmt: skip

    assert (held["held"], charge["amount"], charge["from"]) == (amount, amount, number)
    assert charge.get("from_received") == (text if text != number else None)
    if number is not None:
        requested = _quote(calls, kind="dial_in", to=TOLL_FREE, talk_seconds=60, **who)
        assert (requested["amount"], requested["from"]) == (amount, number)


@pytest.mark.parametrize(
    "caller", ["+18005550199", "+18335550100", "+78001234567", "+80012345678", "+881612345678"]
)
def test_a_caller_of_no_single_country_takes_the_rate_without_origin(
    calls: Calls, caller: str
) -> None:
    held = calls.come_in(TOLL_FREE, requested_seconds=60, **{"from": caller})
    charge = calls.charged(
        held["authorization"], kind=LegKind.DIAL_IN, from_number=caller, to_number=TOLL_FREE,
        talk_seconds=60,
    )  # fmt: skip
    assert (held["held"], charge["amount"]) == ("0.03", "0.03")
    assert "origin" not in charge["rate"]


def test_a_service_number_is_one_number_however_a_bridge_writes_it(calls: Calls) -> None:
    """Registered with a trunk prefix, called without a plus."""
    answer = calls.app.put(
        "/api/v1/accounts/contoso/service-numbers/+330199009900", {"kind": "toll"}
    )
    assert (answer.status, answer.json["number"]) == (201, "+33199009900")
    shown = calls.app.get("/api/v1/accounts/contoso/service-numbers/+330199009900")
    assert (shown.status, shown.json["number"]) == (200, "+33199009900")

    for text in ("33199009900", "+33199009900", "+33 (0)1 99 00 99 00"):
        held = calls.come_in(text, requested_seconds=60, account=None)
        assert (held["decision"], held["destination"]["number"]) == ("allow", "+33199009900")
        charge = calls.charged(
            held["authorization"], kind=None, to_number=text, account=None, talk_seconds=60
        )
        assert (charge["kind"], charge["to"]) == ("dial_in", "+33199009900")
        assert charge["amount"] == held["held"] == "0.007"

    gone = calls.app.delete("/api/v1/accounts/contoso/service-numbers/+330199009900")
    assert gone.status == 204
    assert calls.app.get("/api/v1/accounts/contoso/service-numbers/+33199009900").status == 404


@pytest.mark.parametrize("text", ["+4402079460123", "+442079460123", "442079460123"])
def test_a_list_of_a_policy_blocks_a_number_in_every_form(app: Product, text: str) -> None:
    own = f"blocking-{len(text)}{text[1]}"
    app.account(own, rate_card=CARD)
    answer = app.put(f"/api/v1/accounts/{own}/dial-out-policy", {"blocked_prefixes": [text]})
    assert (answer.status, answer.json["blocked_prefixes"]) == (201, ["442079460123"])


@pytest.mark.parametrize("requested", ["+442079460199", "+4402079460199", "+44 (0)20 7946 0199"])
def test_a_person_s_number_is_erased_with_the_text_as_received(
    calls: Calls, requested: str
) -> None:
    charge = calls.charged(to_number="+4402079460199")
    parked = calls.ended(to_number="+4402079460199", kind=LegKind.DIAL_IN)
    calls.app.run(calls.app.container.charge_legs([parked], seconds=10))

    answer = calls.app.post("/api/v1/accounts/contoso/erasures", {"number": requested})

    erased = answer.json["erased"]
    assert (answer.status, erased["legs"], erased["parked"]) == (200, 1, 1)
    shown = calls.app.get(f"/api/v1/accounts/contoso/legs/{charge['leg']}").json
    assert (shown["to"], shown.get("to_received"), shown["amount"]) == (None, None, "0.04")


@pytest.mark.parametrize(
    ("caller", "cause"),
    [
        ({}, "the caller is unknown or of no single country"),
        ({"from": "anonymous"}, "the caller is unknown or of no single country"),
        ({"from": "+18005550199"}, "the caller is unknown or of no single country"),
        ({"from": PARIS}, "the caller is from FR"),
    ],
)
def test_the_denial_of_a_caller_without_a_rate_names_the_callers_with_rates(
    calls: Calls, caller: dict[str, str], cause: str
) -> None:
    number = "+18885550100"
    requested = calls.come_in(number, **caller)
    queued = calls.ended(
        kind=LegKind.DIAL_IN, to_number=number, from_number=caller.get("from"), talk_seconds=60
    )
    outcome = calls.app.run(calls.app.container.charge_legs.charge(queued))
    quoted = {"account": "contoso", "kind": "dial_in", "to": number, "talk_seconds": 60, **caller}
    refused = calls.app.post("/api/v1/quotes", quoted)

    assert (requested["decision"], requested["reason"]) == ("deny", "rate_missing")
    assert outcome.why.reason == "rate_missing"
    reported = [requested["message"], outcome.why.detail]
    if caller.get("from") != "anonymous":  # no number to quote for
        assert (refused.status, refused.json["code"]) == (422, "rate_missing")
        reported.append(refused.json["detail"])
    for text in reported:
        assert "prices callers from RU, US only" in text
        assert cause in text


@pytest.fixture
def abroad() -> Iterator[Calls]:
    """A bridge whose country no one registered, of an account in the United Kingdom."""
    made = Product()
    calls = Calls(made)
    etag = made.get("/api/v1/bridges/pbx").json["etag"]
    auth = {"scheme": "basic", "username": "pbx"}
    body = {"dialect": "perminute", "accounts": ["*"], "auth": auth}
    assert made.put("/api/v1/bridges/pbx", body, etag).status == 200
    calls.organizer("liz", usage_location="GB")
    yield calls
    made.close()


@pytest.mark.parametrize("text", ["00442079460123", "020 7946 0123"])
def test_a_leg_in_the_form_that_was_dialled_is_charged_by_the_number_that_was_allowed(
    abroad: Calls, text: str
) -> None:
    """The text alone does not identify the number, its authorization does."""
    allowed = abroad.authorise(text, normalize=True, organizer_id="liz")
    assert allowed["destination"]["number"] == LONDON

    charge = abroad.charged(allowed["authorization"], to_number=text, organizer="liz")

    assert (charge["to"], charge["to_received"]) == (LONDON, text)
    assert (charge["amount"], charge["flags"]) == ("0.09", [])


@pytest.mark.parametrize(
    "text", ["2079460123", "02079460123", "011442079460123", "sip:2079460123@gw", "7946 0123"]
)
def test_the_number_that_was_allowed_goes_before_the_reading_of_the_bridges_country(
    calls: Calls, text: str
) -> None:
    """`2079460123` would be a number of the United States, where the bridge is."""
    allowed = calls.authorise(LONDON)
    charge = calls.charged(allowed["authorization"], to_number=text, talk_seconds=900)
    assert (charge["to"], charge["amount"], charge["flags"]) == (LONDON, "0.15", [])


@pytest.mark.parametrize("text", ["00442079460124", "0123", "3001"])
def test_a_leg_of_another_number_is_not_charged_by_the_number_that_was_allowed(
    abroad: Calls, text: str
) -> None:
    allowed = abroad.authorise(LONDON)
    queued = abroad.ended(allowed["authorization"], to_number=text)
    outcome = abroad.app.run(abroad.app.container.charge_legs.charge(queued))
    assert outcome.why.reason == "number_invalid"
