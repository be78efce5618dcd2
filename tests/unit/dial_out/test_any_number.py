"""Whatever text stands for a number: check, hold, quote, charge and display mean one number."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import phonenumbers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.numbers.classes import NumberClass
from tests.support.calls import CARD, Calls, rate
from tests.support.product import Product

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
NUMBERS = sorted(
    {
        phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
        for region in [*REGIONS, "001"]
        for kind in range(11)
        if (
            found := phonenumbers.example_number_for_type(region, kind)
            if region in REGIONS
            else phonenumbers.example_number_for_non_geo_entity(800)
        )
    }
)
CODES = sorted({str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE})
FULL_WIDTH = str.maketrans("0123456789+", "０１２３４５６７８９＋")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
FORMS = (
    *("{}", "{}", "{}", " {} ", "tel:{}", "TEL:{};ext=5", "{};ext=5", "{} ext. 5", "{}x5"),
    *("{};npdi;rn=+33123456789", "{};cpc=ordinary;isub=1", "{};cpc=payphone@gw.example"),
    *("{},,5#", "sip:{}@gw.example", "sips:{};npdi=yes@gw.example;user=phone"),
    '"Ann" <sip:{}@10.0.0.1>;tag=a',
)


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    """Every first three digits after a calling code have a price of their own, so that a number
    that is read in two ways has two prices."""
    app = Product()
    made = Calls(app, top_up="1000000.00")
    prefixes = {*CODES, *(f"{code}{area}" for code in CODES for area in range(10))}
    prefixes |= {f"{code}0{area}" for code in CODES for area in range(10)}
    rates = [
        rate(prefix, f"0.{number:04d}") for number, prefix in enumerate(sorted(prefixes), start=1)
    ]
    version = {"currency": "USD", "time_zone": "UTC", "rates": rates}
    version["rounding"] = {"mode": "half_up", "decimals": 4}
    made.put(f"rate-cards/{CARD}/versions/2026-01-01T00:00:00Z?backdate=true", version)
    made.policy(
        velocity={"concurrent": None, "per_hour": None},
        served_regions=[*REGIONS, "001"],
        allowed_classes=[each.value for each in NumberClass],
    )
    yield made
    app.close()


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A number of some country, with what people, switches and networks make of it."""
    number = draw(st.sampled_from(NUMBERS))[1:]
    code = next(number[:size] for size in (3, 2, 1) if number[:size] in CODES)
    area = number[len(code) :]
    last = draw(st.text("0123456789", max_size=3))
    area = area[: len(area) - len(last)] + last
    trunk = draw(st.sampled_from(["", "", "", "0", "(0)", "8", "1", "15", "06", code]))
    area = draw(st.sampled_from([area, area, area[:-1], area + "0"]))
    separator = draw(st.sampled_from(["", "", " ", "-", ".", "\xa0", "/"]))
    at = draw(st.integers(0, len(area)))
    text = f"+{code}{separator}{trunk}{separator}{area[:at]}{separator}{area[at:]}"
    script = draw(st.sampled_from([None, None, None, FULL_WIDTH, ARABIC]))
    return draw(st.sampled_from(FORMS)).format(text.translate(script) if script else text)


def charged(calls: Calls, text: str, authorization: str | None) -> Any:
    """The leg's charge; None where the leg is parked."""
    queued = calls.ended(authorization, to_number=text, talk_seconds=900)
    (outcome,) = calls.app.run(calls.app.container.charge_legs((queued,), seconds=60))
    if outcome.parked is not None:
        return None
    return calls.app.get(f"/api/v1/accounts/contoso/legs/{queued.leg.key}").json


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=texts())
def test_whatever_text_a_number_has_it_is_one_number_from_check_to_display(
    calls: Calls, text: str
) -> None:
    allowed = calls.authorise(text)
    is_allowed = allowed["decision"] == "allow"
    question = {"account": "contoso", "kind": "dial_out", "to": text, "talk_seconds": 900}
    quoted = calls.app.post("/api/v1/quotes", question)

    charge = charged(calls, text, allowed.get("authorization"))

    if charge is None:
        assert not is_allowed
        assert quoted.status == 422
        return
    shown = charge["to"]
    assert (quoted.json["to"], quoted.json["rate"]) == (shown, charge["rate"])
    assert Decimal(quoted.json["amount"]) == Decimal(charge["amount"])
    assert charge.get("to_received", shown) == text
    parsed = _read_by_libphonenumber(text)
    if parsed is not None:
        assert shown == parsed
    if is_allowed:
        destination = allowed["destination"]
        assert (destination["number"], destination["prefix"]) == (shown, charge["rate"]["prefix"])
        assert (destination["region"], destination["number_class"]) == (
            charge["region"],
            charge["number_class"],
        )
        assert Decimal(allowed["held"]) == Decimal(charge["amount"])
        assert charge["flags"] == []
    again = calls.authorise(shown)
    if again["decision"] == "deny":
        assert parsed is None
        assert not is_allowed
        return
    calls.release(again["authorization"])
    assert again["destination"]["number"] == shown
    assert again["destination"]["prefix"] == charge["rate"]["prefix"]
    assert Decimal(again["held"]) == Decimal(charge["amount"])


def _read_by_libphonenumber(text: str) -> str | None:
    """The valid number that libphonenumber reads in a text, 7 to 15 digits long."""
    if "@" in text:
        return None
    try:
        parsed = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return e164 if 8 <= len(e164) <= 16 else None
