"""The shipped card prices all countries: codes, islands, satellites, dear numbers."""

import json
import random
import re
from datetime import UTC, datetime

import phonenumbers
import pytest

from local.demo.rate_card import MISSING_REGION, rate_card
from local.demo.special_ranges import HEAD_DIGITS_MAX, heads, special_ranges
from shared.contracts.rate_cards.json_format import parse_rate_card_json
from shared.domain.common.kinds import LegKind
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.example_numbers import typical_numbers
from shared.domain.numbers.regions import INTERNATIONAL, NAMES
from shared.domain.rating.lint import LintCode, lint
from shared.domain.rating.rate_card import Rate
from shared.domain.rating.terms import minute_picos

VERSION = parse_rate_card_json(
    json.dumps(rate_card()).encode(), "default", datetime(2026, 1, 1, tzinfo=UTC)
)
DEAR = {NumberClass.PREMIUM_RATE, NumberClass.SHARED_COST}


def found(digits: str) -> Rate | None:
    return VERSION.find(LegKind.DIAL_OUT, digits, None)


def test_every_calling_code_of_the_numbering_plan_is_priced_but_for_the_missing_one() -> None:
    """ITU's codes as libphonenumber has them, networks without a country included."""
    codes = set(phonenumbers.COUNTRY_CODE_TO_REGION_CODE) - {996}
    unpriced = {
        str(code)
        for code in codes
        if not any(
            found(number.digits) for number in typical_numbers() if number.calling_code == str(code)
        )
    }

    assert len(codes) > 200
    assert unpriced == set()
    assert NAMES[MISSING_REGION] == "Kyrgyzstan"


def test_lint_finds_nothing_but_the_country_that_is_missing_on_purpose() -> None:
    """And Chile, where ordinary and shared-cost numbers begin alike and differ in length, and codes
    that are assigned but have no numbers yet."""
    warnings = {
        finding.code: finding.examples
        for finding in lint(VERSION, typical_numbers())
        if finding.severity == "warning"
    }

    assert warnings.pop(LintCode.COUNTRY_MISSING) == ("KG Kyrgyzstan +996",)
    assert warnings.pop(LintCode.PREMIUM_AS_LANDLINE) == ("CL shared cost +566001234567",)
    assert warnings.pop(LintCode.PREFIX_IMPOSSIBLE) == ("1460", "379", "76")
    assert warnings == {}


def test_every_area_code_of_north_america_is_of_its_country() -> None:
    """New ones are given out; what libphonenumber knows, the card knows."""
    unlike = {}
    for area in range(200, 900):
        digits = f"1{area}2345678"
        region = phonenumbers.region_code_for_number(phonenumbers.parse(f"+{digits}"))
        rate = found(digits)
        if region and (rate is None or rate.destination.split(",")[0] != NAMES[region]):
            unlike[area] = region

    assert unlike == {}


@pytest.mark.parametrize("code", ["1", "7", "44", "47", "61", "212", "262", "290", "358", "599"])
def test_countries_that_share_a_code_have_rows_of_their_own(code: str) -> None:
    """North America and its islands, Russia and Kazakhstan, Britain's islands, and the rest."""
    ordinary = [
        number
        for number in typical_numbers()
        if number.calling_code == code and number.number_class is NumberClass.FIXED_LINE
    ]
    destinations = {}
    for number in ordinary:
        rate = found(number.digits)
        assert rate is not None, number
        destinations[number.region] = rate.destination.split(",")[0]

    assert len(destinations) > 1
    shared = {region for region, name in destinations.items() if name != NAMES[region]}
    assert len(set(destinations.values())) >= len(destinations) - len(shared)
    assert shared <= {"SJ", "AX", "EH", "TA", "CX", "CC"}  # whose example is one of the mainland


def test_networks_of_satellites_and_the_like_are_rows_of_their_own() -> None:
    for number in typical_numbers():
        if number.region == INTERNATIONAL:
            rate = found(number.digits)
            assert rate is not None, number
            assert rate.prefix[:3] == number.calling_code, number


def test_a_premium_number_of_any_country_is_dearer_than_a_landline_there() -> None:
    """It is found by a prefix of its own, never by that of the country."""
    checked = 0
    for number in typical_numbers():
        if number.number_class not in DEAR or number.region in {MISSING_REGION, INTERNATIONAL}:
            continue
        rate = found(number.digits)
        assert rate is not None, number
        words = ("premium rate", "shared cost", "personal")
        assert any(word in rate.destination for word in words), (number, rate.destination)
        assert minute_picos(rate.slots) >= 160_000_000_000, (number, rate)
        checked += 1
    assert checked > 150


def test_ordinary_numbers_are_no_premium_ones() -> None:
    for number in typical_numbers():
        if number.number_class in {NumberClass.FIXED_LINE, NumberClass.MOBILE}:
            rate = found(number.digits)
            if rate is not None and number.region != "CL":
                assert "premium" not in rate.destination, number
                assert "shared cost" not in rate.destination, number


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        (r"90[02]\d{6}", ["900", "902"]),
        (r"(?:90|88)\d{7}|8[0-2]5\d+", ["805", "815", "825", "88", "90"]),
        (r"9[0-9]\d{5}", ["9"]),
        (r"12(?:3\d)?4\d{3}", ["123", "124"]),
        (r"8[2-4]?\d\d", ["8"]),
        (r"1{2}[57-9]\d", ["115", "117", "118", "119"]),
        (r"123456789", ["1234567"]),
        (r"45", ["45"]),
        ("", []),
    ],
)
def test_the_heads_of_a_pattern(pattern: str, wanted: list[str]) -> None:
    assert heads(pattern) == wanted


def test_whatever_a_pattern_matches_begins_with_one_of_its_heads() -> None:
    """Of every country's patterns, with random numbers near their beginnings; and every head is
    the beginning of something."""
    rng = random.Random(11)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
        for numbers in (metadata.premium_rate, metadata.shared_cost):
            if numbers is None or numbers.national_number_pattern is None:
                continue
            pattern, lengths = numbers.national_number_pattern, numbers.possible_length
            begins = heads(pattern)
            hit = set()
            for head in begins:
                for length in lengths:
                    for _ in range(6):
                        stem = head[: rng.randrange(len(head) + 1)]
                        tail = "".join(rng.choices("0123456789", k=max(0, length - len(stem))))
                        if re.fullmatch(pattern, stem + tail):
                            assert any((stem + tail).startswith(each) for each in begins)
                    tail = "".join(rng.choices("0123456789", k=max(0, length - len(head))))
                    if re.fullmatch(pattern, head + tail):
                        hit.add(head)
            assert hit or all(len(each) == HEAD_DIGITS_MAX for each in begins), (region, pattern)


def test_no_range_is_listed_twice() -> None:
    ranges = list(special_ranges(frozenset(NAMES)))

    assert len(ranges) > 800
    assert len({each.prefix for each in ranges}) == len(ranges)
    assert not any(each.prefix.startswith("1") for each in ranges)
