"""The demo's rate card covers all countries but one."""

import json
from datetime import UTC, datetime

import phonenumbers
import pytest

from local.demo.rate_card import MISSING_REGION, missing_rates, rate_card, version_path
from shared.contracts.rate_cards.json_format import parse_rate_card_json
from shared.domain.common.kinds import LegKind
from shared.domain.numbers.numbers import classify
from shared.domain.numbers.regions import NAMES

CARD = rate_card()
RATES = CARD["rates"]
assert isinstance(RATES, list)
OUTWARD = {rate["prefix"]: rate for rate in RATES if rate["kind"] == "dial_out"}


def destination(number: str) -> str | None:
    """The destination of the longest prefix."""
    digits = number.removeprefix("+")
    for length in range(len(digits), 0, -1):
        if digits[:length] in OUTWARD:
            return str(OUTWARD[digits[:length]]["destination"])
    return None


def test_it_has_over_200_destinations_and_no_prefix_twice():
    assert len({rate["destination"] for rate in OUTWARD.values()}) >= 200
    keys = [(rate["kind"], rate["prefix"], rate.get("origin")) for rate in RATES]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_region_but_the_missing_one_has_a_rate_of_its_own_name(region):
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.FIXED_LINE)
    if example is None:
        example = phonenumbers.example_number(region)
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    found = destination(number)
    if region == MISSING_REGION:
        assert found is None
        return
    assert found is not None
    own = {NAMES[region], NAMES[classify(number).region or region]}
    assert found.split(", ")[0] in own


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        ("+18765551234", "Jamaica"),
        ("+17872345678", "Puerto Rico"),
        ("+12042345678", "Canada"),
        ("+12125551234", "United States"),
        ("+77011234567", "Kazakhstan, mobile"),
        ("+74951234567", "Russia"),
        ("+441534456789", "Jersey"),
        ("+447911123456", "Guernsey"),
        ("+447400123456", "United Kingdom, mobile"),
        ("+870773111632", "Inmarsat"),
        ("+88216511100", "Thuraya"),
        ("+19002345678", "North America, premium rate"),
        ("+996312123456", None),
    ],
)
def test_islands_and_dear_ranges_have_rows_of_their_own(number, wanted):
    assert destination(number) == wanted


def test_the_missing_rates_complete_the_card():
    assert [rate["prefix"] for rate in missing_rates()] == ["996"]
    assert "996" not in OUTWARD


def test_all_increments_and_some_connection_fees_occur():
    increments = {
        tuple(slot["increment_seconds"] for slot in rate["slots"]) for rate in OUTWARD.values()
    }
    assert increments == {(60,), (60, 1), (30, 6), (1,)}
    assert len({rate["connection_fee"] for rate in OUTWARD.values()}) >= 4


def test_toll_free_callers_are_rated_by_origin():
    origins = {rate.get("origin") for rate in RATES if rate["prefix"] == "1800"}
    assert origins == {None, "US", "CA", "PR"}


def test_a_version_has_its_path():
    assert version_path("default", datetime(2026, 1, 1, tzinfo=UTC)) == (
        "/api/v1/rate-cards/default/versions/2026-01-01T00:00:00Z"
    )


@pytest.fixture(scope="module")
def version():
    """The card as the product reads it."""
    body = json.dumps(CARD).encode()
    return parse_rate_card_json(body, "default", datetime(2026, 1, 1, tzinfo=UTC))


def test_the_product_reads_the_card_and_finds_its_rates(version):
    assert len(version) == len(RATES)
    found = version.find(LegKind.DIAL_OUT, "18765551234", None)
    assert found is not None
    assert found.destination == "Jamaica"
    assert version.find(LegKind.DIAL_OUT, "996312123456", None) is None


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ("US", "Toll-free from United States"),
        ("CA", "Toll-free from Canada"),
        ("JM", "Toll-free, North America"),
        (None, "Toll-free, North America"),
    ],
)
def test_a_toll_free_call_is_rated_by_where_it_comes_from(version, origin, wanted):
    found = version.find(LegKind.DIAL_IN, "18005550100", origin)
    assert found is not None
    assert found.destination == wanted
