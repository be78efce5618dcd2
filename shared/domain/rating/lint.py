"""Suspicious places of a valid rate card: findings for a person, never a refusal."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import combinations, pairwise

from shared.domain.common import limits
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import PICOS_PER_MICRO
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.example_numbers import PlanNumber
from shared.domain.numbers.prefixes import calling_code, can_begin_number
from shared.domain.numbers.regions import INTERNATIONAL, NAMES
from shared.domain.rating.prefix_index import NO_ROW
from shared.domain.rating.rate_card import RateCardVersion
from shared.domain.rating.terms import Band, Terms, minute_picos
from shared.domain.rating.time_bands import spans_on

FAR_CHEAPER = 5  # a prefix that costs less than a fifth of the one that contains it
_ORDINARY = frozenset({NumberClass.FIXED_LINE, NumberClass.MOBILE})
_DEAR = frozenset({NumberClass.PREMIUM_RATE, NumberClass.SHARED_COST})
_EPOCH = date(1970, 1, 1)
_YEARLY_CHARS = len("12-25")
_YEARS = range(2024, 2024 + 28)
_CODES_SHOWN_MAX = 5
_AREA_CODES = "1"  # North America is priced area by area; most digits after 1 are no gap


class LintCode(StrEnum):
    """The kind of a finding."""

    COUNTRY_MISSING = "country_missing"
    PREFIX_GAP = "prefix_gap"
    CHEAPER_THAN_PARENT = "cheaper_than_parent"
    PREMIUM_AS_LANDLINE = "premium_as_landline"
    BANDS_OVERLAP = "bands_overlap"
    SLOT_INSIDE_INCREMENT = "slot_inside_increment"
    DUPLICATE_OF_PARENT = "duplicate_of_parent"
    MANY_DECIMALS = "many_decimals"
    NOT_E164 = "not_e164"
    PREFIX_IMPOSSIBLE = "prefix_impossible"
    PREFIX_OF_MANY_COUNTRIES = "prefix_of_many_countries"
    PRICE_ZERO = "price_zero"
    ORIGIN_ONLY = "origin_only"
    NAME_OF_MANY_COUNTRIES = "name_of_many_countries"


_DETAILS = {
    LintCode.COUNTRY_MISSING: "no rate for typical numbers of these countries",
    LintCode.PREFIX_GAP: "other prefixes of the same country have rates, these have none",
    LintCode.CHEAPER_THAN_PARENT: f"less than 1/{FAR_CHEAPER} of the price of the prefix above it",
    LintCode.PREMIUM_AS_LANDLINE: "special numbers at the price of a landline, or below it",
    LintCode.BANDS_OVERLAP: "two bands of the same weight hold at the same time",
    LintCode.SLOT_INSIDE_INCREMENT: "a slot begins where an increment of the one before may run",
    LintCode.DUPLICATE_OF_PARENT: "has the terms of the prefix above it, and could be left out",
    LintCode.MANY_DECIMALS: "decimals beyond the sixth in a price, or in the rounding",
    LintCode.NOT_E164: "no international number begins so",
    LintCode.PREFIX_IMPOSSIBLE: "no number that libphonenumber knows begins so",
    LintCode.PREFIX_OF_MANY_COUNTRIES: "shorter than a country calling code",
    LintCode.PRICE_ZERO: "a minute costs nothing",
    LintCode.ORIGIN_ONLY: "has rates by origin only: a caller whose country is unknown has none",
    LintCode.NAME_OF_MANY_COUNTRIES: "one name for prefixes of several country calling codes",
}
_WARNINGS = frozenset(
    {
        LintCode.COUNTRY_MISSING,
        LintCode.CHEAPER_THAN_PARENT,
        LintCode.PREMIUM_AS_LANDLINE,
        LintCode.BANDS_OVERLAP,
        LintCode.NOT_E164,
        LintCode.PREFIX_IMPOSSIBLE,
        LintCode.PREFIX_OF_MANY_COUNTRIES,
        LintCode.PRICE_ZERO,
        LintCode.ORIGIN_ONLY,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of finding: its count, and the first places (prefixes, or countries)."""

    code: LintCode
    severity: str
    detail: str
    count: int
    examples: tuple[str, ...]


def lint(version: RateCardVersion, plan: Sequence[PlanNumber]) -> tuple[Finding, ...]:
    """All findings, warnings first; `plan` are typical numbers of all countries.

    Reads every row once: about a second for 200,000 prefixes.
    """
    places: dict[LintCode, list[str]] = {}
    counts: dict[LintCode, int] = {}
    for code, place in _all_findings(version, plan):
        counts[code] = counts.get(code, 0) + 1
        listed = places.setdefault(code, [])
        if len(listed) < limits.LINT_EXAMPLES_MAX:
            listed.append(place)
    return tuple(
        Finding(
            code,
            "warning" if code in _WARNINGS else "info",
            _DETAILS[code],
            counts[code],
            tuple(places[code]),
        )
        for code in sorted(counts, key=lambda each: (each not in _WARNINGS, each))
    )


def _all_findings(
    version: RateCardVersion, plan: Sequence[PlanNumber]
) -> Iterator[tuple[LintCode, str]]:
    if version.rounding.decimals > limits.AMOUNT_DECIMALS_MAX:
        yield LintCode.MANY_DECIMALS, "rounding"
    yield from _row_findings(version)
    yield from _name_findings(version)
    yield from _missing_countries(version, plan)
    yield from _gaps(version, plan)
    yield from _cheap_specials(version, plan)


def _row_findings(version: RateCardVersion) -> Iterator[tuple[LintCode, str]]:
    index = version.index
    terms_findings: dict[int, tuple[LintCode, ...]] = {}
    minutes: dict[int, int] = {}
    for row in range(len(version)):
        kind, prefix, origin = index.describe(row)
        number = version.terms_number(row)
        if number not in minutes:
            terms = version.tariff(row).terms
            terms_findings[number] = tuple(_terms_findings(terms))
            minutes[number] = minute_picos(terms.slots)
        place = prefix if kind is LegKind.DIAL_OUT else f"{kind} {prefix}"
        if origin is not None:
            place += f" from {origin}"
        for code in terms_findings[number]:
            yield code, place
        if finding := _prefix_finding(prefix):
            yield finding, place or "the empty prefix"
        if origin is not None and index.find(kind, prefix, None) == NO_ROW:
            yield LintCode.ORIGIN_ONLY, place
        above = index.parent(row)
        if above == NO_ROW or origin != index.describe(above)[2]:
            continue
        number_above = version.terms_number(above)
        if number == number_above and version.destination(row) == version.destination(above):
            yield LintCode.DUPLICATE_OF_PARENT, place
        elif minutes[number] * FAR_CHEAPER < minutes[number_above]:
            yield LintCode.CHEAPER_THAN_PARENT, place


def _prefix_finding(prefix: str) -> LintCode | None:
    if not prefix or prefix.startswith("0"):
        return LintCode.NOT_E164
    if not can_begin_number(prefix):
        return LintCode.PREFIX_IMPOSSIBLE
    return None if calling_code(prefix) else LintCode.PREFIX_OF_MANY_COUNTRIES


def _name_findings(version: RateCardVersion) -> Iterator[tuple[LintCode, str]]:
    codes_by_name: dict[str, set[str]] = {}
    for row in range(len(version)):
        if code := calling_code(version.index.describe(row)[1]):
            codes_by_name.setdefault(version.destination(row), set()).add(code)
    for name, codes in codes_by_name.items():
        if len(codes) > 1:
            listed = ", ".join(f"+{code}" for code in sorted(codes)[:_CODES_SHOWN_MAX])
            yield LintCode.NAME_OF_MANY_COUNTRIES, f"{name}: {listed}"


def _terms_findings(terms: Terms) -> Iterator[LintCode]:
    if minute_picos(terms.slots) == 0:
        yield LintCode.PRICE_ZERO
    tables = [terms.slots, *(band.slots for band in terms.bands)]
    prices = [terms.connection_fee_picos, *(slot.price_picos for slots in tables for slot in slots)]
    if any(price % PICOS_PER_MICRO for price in prices):
        yield LintCode.MANY_DECIMALS
    if any(
        (later.from_second - slot.from_second) % slot.increment_seconds
        for slots in tables
        for slot, later in pairwise(slots)
    ):
        yield LintCode.SLOT_INSIDE_INCREMENT
    if any(_overlap(one, other) for one, other in combinations(terms.bands, 2)):
        yield LintCode.BANDS_OVERLAP


def _overlap(one: Band, other: Band) -> bool:
    """True if there is a day on which two bands of one weight hold at once."""
    return one.weight == other.weight and any(
        begin < other_end and other_begin < end
        for day in _meeting_days((one, other))
        for begin, end in spans_on(one, day)
        for other_begin, other_end in spans_on(other, day)
    )


def _meeting_days(bands: Sequence[Band]) -> Iterator[int]:
    """Days on which these bands meet if they ever do: a week, and every day that they name (for a
    day of each year, in so many years that it falls on every day of the week) with its morrow."""
    yield from range(7)
    for text in {text for band in bands for text in band.dates}:
        years = [""] if len(text) > _YEARLY_CHARS else [f"{year}-" for year in _YEARS]
        for year in years:
            with suppress(ValueError):  # 29 February
                day = (date.fromisoformat(year + text) - _EPOCH).days
                yield from (day, day + 1)


def _missing_countries(
    version: RateCardVersion, plan: Sequence[PlanNumber]
) -> Iterator[tuple[LintCode, str]]:
    missing: dict[str, PlanNumber] = {}
    for number in plan:
        ordinary = number.number_class in _ORDINARY or number.region == INTERNATIONAL
        if ordinary and version.index.find(LegKind.DIAL_OUT, number.digits, None) == NO_ROW:
            key = number.calling_code if number.region == INTERNATIONAL else number.region
            missing.setdefault(key, number)
    for number in missing.values():
        name = NAMES[number.region]
        yield LintCode.COUNTRY_MISSING, f"{number.region} {name} +{number.calling_code}"


def _gaps(version: RateCardVersion, plan: Sequence[PlanNumber]) -> Iterator[tuple[LintCode, str]]:
    codes = {number.calling_code for number in plan} - {_AREA_CODES}
    begun: dict[str, set[str]] = {}
    for row in range(len(version)):
        kind, prefix, _ = version.index.describe(row)
        if kind is not LegKind.DIAL_OUT:
            break  # dial-out rows stand first
        code = next((prefix[:size] for size in (1, 2, 3) if prefix[:size] in codes), None)
        if code is not None:
            begun.setdefault(code, set()).add(prefix[: len(code) + 1])
    for code, starts in begun.items():
        if version.index.find(LegKind.DIAL_OUT, code, None) == NO_ROW:
            for digit in "0123456789":
                if f"{code}{digit}" not in starts:
                    yield LintCode.PREFIX_GAP, f"{code}{digit}"


def _cheap_specials(
    version: RateCardVersion, plan: Sequence[PlanNumber]
) -> Iterator[tuple[LintCode, str]]:
    landlines: dict[str, int] = {}
    for number in plan:
        row = version.index.find(LegKind.DIAL_OUT, number.digits, None)
        if row == NO_ROW:
            continue
        price = minute_picos(version.tariff(row).terms.slots)
        if number.number_class is NumberClass.FIXED_LINE:
            landlines[number.region] = price
        elif number.number_class in _DEAR and price <= landlines.get(number.region, -1):
            name = number.number_class.value.replace("_", " ")
            yield LintCode.PREMIUM_AS_LANDLINE, f"{number.region} {name} +{number.digits}"
