# ruff: noqa: E501 - a table is read by its columns
"""Lint: what is odd in a valid card is found, and what is not is left alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from local.demo.rate_card import rate_card
from shared.contracts.rate_cards.json_format import parse_rate_card_json
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.kinds import LegKind
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.example_numbers import PlanNumber, typical_numbers
from shared.domain.rating.lint import LintCode, lint
from shared.domain.rating.rate_card import Band, Rate, Rounding, RoundingMode, Slot
from tests.unit.rating.cases import card, rate, slot

FIXED, MOBILE = NumberClass.FIXED_LINE, NumberClass.MOBILE
PLAN = (
    PlanNumber("FR", "33", FIXED, "33123456789"),
    PlanNumber("FR", "33", MOBILE, "33612345678"),
    PlanNumber("FR", "33", NumberClass.PREMIUM_RATE, "33891123456"),
    PlanNumber("FR", "33", NumberClass.TOLL_FREE, "33801234567"),
)
FRANCE_MISSING = ["FR France +33"]
FRANCE = rate(slot("60", "1"), prefix="33")
BAND = Band(5, (slot("60", "1"),), from_second_of_day=0, until_second_of_day=7200)
NIGHT = replace(BAND, from_second_of_day=79_200, until_second_of_day=3600)


def found(*rates: Rate, plan: tuple[PlanNumber, ...] = (), **more: object) -> dict[str, list[str]]:
    version = card(*rates, **more)  # type: ignore[arg-type]
    return {finding.code.value: list(finding.examples) for finding in lint(version, plan)}


def test_a_sound_card_has_no_findings() -> None:
    """Dearer children, other names, special numbers dearer than landlines."""
    rates = [
        FRANCE,
        rate(slot("60", "3"), prefix="336"),
        rate(slot("60", "9"), prefix="3389"),
        rate(slot("60", "0.2"), prefix="3380"),
    ]

    assert found(*rates, plan=PLAN) == {}


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([rate(slot("60", "1"), prefix="331")], {"country_missing": FRANCE_MISSING, "prefix_gap": [f"33{digit}" for digit in "023456789"]}),
        ([rate(slot("60", "1"), prefix="49")], {"country_missing": FRANCE_MISSING}),
        ([rate(slot("60", "1"), prefix="3")], {"prefix_of_many_countries": ["3"], "premium_as_landline": ["FR premium rate +33891123456"]}),
        ([FRANCE], {"premium_as_landline": ["FR premium rate +33891123456"]}),
        ([FRANCE, rate(slot("60", "1.1"), prefix="3389")], {}),
    ],
)  # fmt: skip
def test_countries_and_their_special_numbers(
    rates: list[Rate], expected: dict[str, list[str]]
) -> None:
    """Countries without a rate, digits without one, premium numbers at the landline's price."""
    assert found(*rates, plan=PLAN) == expected


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        (rate(slot("60", "0.2"), prefix="331"), {}),
        (rate(slot("60", "0.199999"), prefix="331"), {"cheaper_than_parent": ["331"]}),
        (rate(Slot(0, 10**9, 1, 1), prefix="331"), {"cheaper_than_parent": ["331"]}),
        (rate(slot("60", "0.1"), slot("60+60", "0.3"), prefix="331"), {}),
        (replace(FRANCE, prefix="331"), {"duplicate_of_parent": ["331"]}),
        (replace(FRANCE, prefix="331", destination="Paris"), {}),
        (rate(slot("60", "0.1"), prefix="331", kind=LegKind.DIAL_IN), {}),
        (rate(slot("60", "0.1"), prefix="331", origin="US"), {}),
    ],
)
def test_a_prefix_beside_the_one_above_it(child: Rate, expected: dict[str, list[str]]) -> None:
    """Far cheaper, or the same: of the same kind and origin."""
    assert found(replace(FRANCE, destination="+33"), replace(child)) == expected


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        (BAND, True),
        (replace(BAND, weight=6), False),
        (replace(BAND, from_second_of_day=7200, until_second_of_day=86_400), False),
        (replace(BAND, from_second_of_day=7199, until_second_of_day=86_400), True),
        (replace(BAND, from_second_of_day=80_000, until_second_of_day=1), True),
        (replace(BAND, from_second_of_day=80_000, until_second_of_day=0), False),
        (replace(BAND, weekdays=(1,)), True),
        (replace(BAND, dates=("12-25",)), True),
    ],
)
def test_bands_that_overlap(other: Band, overlap: bool) -> None:
    """Of the same weight, at the same time."""
    expected = {"bands_overlap": ["33"]} if overlap else {}

    assert found(replace(FRANCE, bands=(BAND, other))) == expected


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (replace(BAND, weekdays=(1, 2)), replace(BAND, weekdays=(3,)), False),
        (replace(BAND, weekdays=(1, 2)), replace(BAND, weekdays=(2, 3)), True),
        (replace(BAND, dates=("12-25",)), replace(BAND, dates=("12-26",)), False),
        (replace(BAND, dates=("12-25",)), replace(BAND, dates=("12-26", "12-25")), True),
        # A day of every year, and the same day of one.
        (replace(BAND, dates=("12-25",)), replace(BAND, dates=("2026-12-25",)), True),
        (replace(BAND, dates=("12-25",)), replace(BAND, dates=("2026-12-24",)), False),
        (replace(BAND, dates=("02-29",)), replace(BAND, weekdays=(1,)), True),
        # 25 December 2026 is a Friday.
        (replace(BAND, dates=("2026-12-25",)), replace(BAND, weekdays=(5,)), True),
        (replace(BAND, dates=("2026-12-25",)), replace(BAND, weekdays=(1, 2, 3, 4, 6, 7)), False),
        # A night belongs to the day on which it starts, and reaches into the next.
        (replace(NIGHT, weekdays=(5,)), replace(BAND, weekdays=(6,)), True),
        (replace(NIGHT, weekdays=(5,)), replace(BAND, weekdays=(5,)), False),
        (replace(NIGHT, weekdays=(7,)), replace(BAND, weekdays=(1,)), True),
        (replace(NIGHT, dates=("2026-12-31",)), replace(BAND, dates=("01-01",)), True),
        (replace(NIGHT, weekdays=(5,)), replace(NIGHT, weekdays=(6,)), False),
    ],
)
def test_bands_on_other_days(one: Band, other: Band, overlap: bool) -> None:
    """Whether there is a day on which they meet."""
    expected = {"bands_overlap": ["33"]} if overlap else {}

    assert found(replace(FRANCE, bands=(one, other))) == expected


@pytest.mark.parametrize(
    ("priced", "expected"),
    [
        (rate(slot("60", "1"), slot("60+1", "1")), {}),
        (rate(slot("60", "1"), slot("90+1", "1")), {"slot_inside_increment": ["44"]}),
        (rate(slot("1", "1"), slot("30+60", "1"), slot("90+1", "1")), {}),
        (rate(slot("60", "0.000001")), {}),
        (rate(slot("60", "0.0000001")), {"many_decimals": ["44"]}),
        (rate(slot("60", "1"), fee="0.0000001"), {"many_decimals": ["44"]}),
        (rate(slot("60", "1"), prefix="044"), {"not_e164": ["044"]}),
        (rate(slot("60", "1"), prefix=""), {"not_e164": ["the empty prefix"]}),
        (rate(slot("60", "1"), prefix="0800", kind=LegKind.DIAL_IN, origin="US"), {"not_e164": ["dial_in 0800 from US"], "origin_only": ["dial_in 0800 from US"]}),
    ],
)  # fmt: skip
def test_single_rates(priced: Rate, expected: dict[str, list[str]]) -> None:
    """Slots that begin inside an increment, prices below a micro, prefixes that no number has."""
    assert found(priced) == expected


def test_rounding_beyond_micros_is_odd() -> None:
    """It counts as six decimals, whatever it says."""
    assert found(FRANCE, rounding=Rounding(RoundingMode.UP, 7)) == {"many_decimals": ["rounding"]}
    assert found(FRANCE, rounding=Rounding(RoundingMode.UP, 6)) == {}


def test_findings_count_all_and_show_the_first() -> None:
    """Warnings come first."""
    numbers = (*range(100), *range(4930000, 4930050))
    rates = [rate(slot("60", "0.0000001"), prefix=f"{number:03d}") for number in numbers]
    warning, info = lint(card(*rates), ())

    assert (warning.code, warning.severity, warning.count) == (LintCode.NOT_E164, "warning", 100)
    assert (info.code, info.severity, info.count) == (LintCode.MANY_DECIMALS, "info", 150)
    assert info.examples == tuple(f"{n:03d}" for n in range(limits.LINT_EXAMPLES_MAX))


def test_the_plan_has_every_country_and_network() -> None:
    """Shared codes have a number in each of their countries."""
    plan = typical_numbers()
    by_region = {number.region for number in plan}

    assert len(by_region) > 240
    assert {"US", "CA", "JM", "RU", "KZ", "GB", "GG", "001"} <= by_region
    assert {n.calling_code for n in plan if n.region == "001"} >= {"870", "881", "882", "979"}
    assert {n.digits[:4] for n in plan if n.region == "JM" and n.number_class is FIXED} == {"1876"}


def test_the_demo_card_lacks_only_what_it_leaves_out_on_purpose() -> None:
    """Every other country of the plan has its price."""
    version = parse_rate_card_json(
        canonical_json(rate_card()), "default", datetime(2026, 1, 1, tzinfo=UTC)
    )
    findings = {finding.code: finding for finding in lint(version, typical_numbers())}

    missing = findings[LintCode.COUNTRY_MISSING].examples
    assert [place for place in missing if not place.startswith("001 ")] == ["KG Kyrgyzstan +996"]
    assert LintCode.NOT_E164 not in findings


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([rate(slot("60", "1"), prefix="44020")], {"prefix_impossible": ["44020"]}),
        ([rate(slot("60", "1"), prefix="44447")], {"prefix_impossible": ["44447"]}),
        ([rate(slot("60", "1"), prefix="21012")], {"prefix_impossible": ["21012"]}),
        ([rate(slot("60", "1"), prefix="4420794601234")], {"prefix_impossible": ["4420794601234"]}),
        ([rate(slot("60", "0"), prefix="53", fee="1")], {"price_zero": ["53"]}),
        ([rate(slot("30", "0"), slot("30+60", "1"), prefix="53")], {}),
        ([rate(slot("60", "1"), prefix="6")], {"prefix_of_many_countries": ["6"]}),
        (
            [rate(slot("60", "1"), prefix=prefix, destination="France mobile") for prefix in ("336", "6", "60", "61")],
            {"prefix_of_many_countries": ["6"], "duplicate_of_parent": ["60", "61"], "name_of_many_countries": ["France mobile: +33, +60, +61"]},
        ),
        (
            [rate(slot("60", "1"), prefix="1800", kind=LegKind.DIAL_IN, origin=origin) for origin in ("US", "FR")],
            {"origin_only": ["dial_in 1800 from FR", "dial_in 1800 from US"]},
        ),
        (
            [rate(slot("60", "1"), prefix="1800", kind=LegKind.DIAL_IN, origin="US"),
             rate(slot("60", "1"), prefix="1", kind=LegKind.DIAL_IN)],
            {},
        ),
        (
            [rate(slot("60", "1"), prefix="1800", kind=LegKind.DIAL_IN, origin="US"), rate(slot("60", "1"), prefix="1")],
            {"origin_only": ["dial_in 1800 from US"]},
        ),
    ],
)  # fmt: skip
def test_prefixes_and_prices_that_may_be_misread(
    rates: list[Rate], expected: dict[str, list[str]]
) -> None:
    """No valid number, no price, no country, no caller without a country."""
    assert found(*rates) == expected
