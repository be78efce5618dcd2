"""One case of the oracle as a rate card of ours, and what our engine makes of it.

Every tariff interval becomes a time band; the one that always holds with the least weight is the
rate's own slots. The maximum charge is that of the interval in force at the answer, the rounding
that of the interval with the most decimals among those that the call touches.
"""

import math
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from fractions import Fraction
from typing import Any

from shared.contracts.rate_cards import read_clock
from shared.domain.errors import Invalid
from shared.domain.legs import LegKind
from shared.domain.money import PICOS_PER_UNIT, RoundingMode
from shared.domain.rates import (
    Band,
    MaximumStrategy,
    Rate,
    RateCardVersion,
    Rounding,
    Slot,
    build_version,
)
from shared.domain.rating import Charge, max_usage, rate_leg
from shared.domain.tariff import tariff_of

type Case = dict[str, Any]

MODES = {
    "*up": RoundingMode.UP,
    "*down": RoundingMode.DOWN,
    "*middle": RoundingMode.HALF_UP,
    "*none": RoundingMode.NONE,
}
STRATEGIES = {"*free": MaximumStrategy.CAP, "*disconnect": MaximumStrategy.STOP}
EXACT = Rounding(RoundingMode.NONE, 6)
NOWHERE = (Slot(0, 0, 1, 1),)
KINDS = {"rate", "error", "max_usage", "debit"}
MICRO = Fraction(1, 10**6)


class Outcome(Enum):
    """What became of a case."""

    HELD = "held"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


def run_case(case: Case) -> tuple[Outcome, str]:
    """(outcome, what was expected and what came)."""
    if reason := _not_applicable(case):
        return Outcome.NOT_APPLICABLE, reason
    try:
        expected, got = _max_usage(case) if case["kind"] == "max_usage" else _charge(case)
    except (LookupError, ValueError, TypeError, ArithmeticError, Invalid) as error:
        return Outcome.FAILED, f"{type(error).__name__}: {error}"
    if expected == got:
        return Outcome.HELD, ""
    return Outcome.FAILED, f"expected {expected}, got {got}"


def _not_applicable(case: Case) -> str:
    if case["kind"] not in KINDS:
        return f"kind {case['kind']}"
    if case.get("free_units"):
        return "free units"
    if "INSUFFICIENT_CREDIT" in (case.get("expected_error") or ""):
        return "forced duration"
    if case["kind"] != "error" and not case["rate_intervals"]:
        return "no rate interval"
    if not all(map(_is_number, [case["call"]["destination"], *case["destination_prefixes"]])):
        return "a destination that is no number"
    return ""


def _charge(case: Case) -> tuple[str, str]:
    charge = _rated(case, _version(case))
    if case["kind"] == "error":
        return "no rate", "no rate" if charge is None else _text(_amount(charge))
    if charge is None:
        return "a charge", "no rate"
    right = case.get("exact_rounded_once_at_end") or case["expected_cost"]
    wrong_on_purpose = case["class"] == "increment_prerounding"
    if charge.version.rounding.mode is RoundingMode.NONE:
        return _text(Fraction(case.get("exact_unrounded") or right)), _text(charge.unrounded)
    expected = _micros(Fraction(right), charge.version.rounding.mode)
    got = _amount(charge)
    if wrong_on_purpose and got == Fraction(case["expected_cost"]):
        return f"anything but {case['expected_cost']}", _text(got)
    if sum(line.amount for line in charge.lines()) != charge.unrounded:
        return f"lines that add up to {charge.unrounded}", f"{charge.lines()}"
    if case.get("balance_after") is not None and not wrong_on_purpose:
        before, after = Fraction(case["balance_before"]), Fraction(case["balance_after"])
        return f"{_text(expected)}, balance {after}", f"{_text(got)}, balance {before - got}"
    return _text(expected), _text(got)


def _max_usage(case: Case) -> tuple[str, str]:
    version = _version(case)
    rate = version.find(LegKind.DIAL_OUT, _digits(case["call"]["destination"]), None)
    if rate is None:
        return str(case["expected_max_usage_s"]), "no rate"
    seconds = max_usage(
        rate,
        version.rounding,
        version.time_zone,
        answered_at=_start(case),
        credit_micros=math.floor(Fraction(case["balance_before"]) / MICRO),
        wanted_seconds=case["call"]["duration_s"],
    )
    return str(case["expected_max_usage_s"]), str(seconds)


def _rated(case: Case, version: RateCardVersion) -> Charge | None:
    return rate_leg(
        version,
        kind=LegKind.DIAL_OUT,
        to_digits=_digits(case["call"]["destination"]),
        origin=None,
        answered_at=_start(case),
        talk_seconds=case["call"]["duration_s"],
    )


def _version(case: Case) -> RateCardVersion:
    """The card of the case, with the maximum and the rounding of the intervals that count."""
    intervals = case["rate_intervals"]
    if not intervals:
        return _card(case, None, EXACT)
    start, seconds = _start(case), max(case["call"]["duration_s"], 1)
    order = _in_order(intervals)
    tariff = tariff_of(_rate(case, "", None).terms, EXACT, "UTC")
    touched = [order[band] for band in tariff.bands_touched(start, seconds)]
    roundings = [each["rounding"] for each in touched if each is not None]
    if len(roundings) < len(touched):  # no interval holds all the time: there is no rate
        return _card({**case, "destination_prefixes": []}, None, EXACT)
    rounding = max(roundings, key=_decimals)
    exact = Rounding(MODES[rounding["method"]], min(_decimals(rounding), 6))
    return _card(case, order[tariff.band_at(start)], exact)


def _card(case: Case, opening: Case | None, rounding: Rounding) -> RateCardVersion:
    digits = dict.fromkeys(map(_digits, case["destination_prefixes"]))
    rates = [_rate(case, prefix, opening) for prefix in digits]
    unused = Rate(LegKind.DIAL_IN, "", "nothing of the case", 0, NOWHERE)
    return build_version(
        card="oracle",
        effective_from=datetime(2000, 1, 1, tzinfo=UTC),
        currency="USD",
        time_zone="UTC",
        rounding=rounding,
        rates=[*rates, unused],
    )


def _rate(case: Case, prefix: str, opening: Case | None) -> Rate:
    *bands, base = _in_order(case["rate_intervals"])
    maximum = _picos((opening or {}).get("max_cost") or "0")
    return Rate(
        LegKind.DIAL_OUT,
        prefix,
        case["id"],
        _fee(case, base),
        _slots(base),
        maximum_charge_picos=maximum or None,
        maximum_charge_strategy=STRATEGIES[(opening or {})["max_cost_strategy"]]
        if maximum
        else None,
        bands=tuple(_band(case, interval) for interval in bands if interval is not None),
    )


def _in_order(intervals: list[Case]) -> list[Case | None]:
    """The intervals that become bands, then the one that always holds (None: there is none)."""
    least = min((each["weight"] for each in intervals), default=0)
    for at, each in enumerate(intervals):
        if each["timing"] is None and each["weight"] == least:
            return [*intervals[:at], *intervals[at + 1 :], each]
    return [*intervals, None]


def _band(case: Case, interval: Case) -> Band:
    timing = interval["timing"] or {}
    weights = sorted({each["weight"] for each in case["rate_intervals"]})
    weekdays = {day or 7 for day in timing.get("weekdays") or ()}
    dates: tuple[str, ...] = ()
    if any(timing.get(part) for part in ("years", "months", "month_days")):
        # A date that never comes stands for "on none of these days".
        dates = tuple(_dates(case, timing)) or ("1900-01-01",)
    return Band(
        weights.index(interval["weight"]) + 1,
        _slots(interval),
        weekdays=tuple(sorted(weekdays)),
        from_second_of_day=read_clock(timing.get("start_time") or "00:00"),
        dates=dates,
        connection_fee_picos=_fee(case, interval),
    )


def _dates(case: Case, timing: Case) -> Iterator[str]:
    first = _start(case).date() - timedelta(days=1)
    for later in range(case["call"]["duration_s"] // 86_400 + 4):
        day: date = first + timedelta(days=later)
        parts = {"years": day.year, "months": day.month, "month_days": day.day}
        if all(not timing.get(part) or value in timing[part] for part, value in parts.items()):
            yield day.isoformat()


def _slots(interval: Case | None) -> tuple[Slot, ...]:
    if interval is None:
        return NOWHERE
    return tuple(
        Slot(slot["start_s"], _picos(slot["rate"]), slot["unit_s"], slot["increment_s"])
        for slot in interval["slots"]
    )


def _fee(case: Case, interval: Case | None) -> int:
    is_first = case.get("first_segment", True)
    return _picos(interval["connect_fee"]) if interval is not None and is_first else 0


def _picos(text: str) -> int:
    picos = Fraction(text) * PICOS_PER_UNIT
    if picos.denominator != 1:
        raise ValueError(f"{text} has more than 12 decimals")
    return picos.numerator


def _micros(value: Fraction, mode: RoundingMode) -> Fraction:
    """Decimals above 6 count as 6."""
    micros = value / MICRO
    if mode is RoundingMode.UP:
        return math.ceil(micros) * MICRO
    return math.floor(micros if mode is RoundingMode.DOWN else micros + Fraction(1, 2)) * MICRO


def _decimals(rounding: Case) -> int:
    return 99 if rounding["decimals"] is None else int(rounding["decimals"])


def _is_number(text: str) -> bool:
    return text == "*any" or re.fullmatch(r"\+?[0-9]+", text, re.ASCII) is not None


def _digits(text: str) -> str:
    return "" if text == "*any" else text.removeprefix("+")


def _start(case: Case) -> datetime:
    return datetime.fromisoformat(case["call"]["start"]).astimezone(UTC)


def _amount(charge: Charge) -> Fraction:
    return charge.amount_micros * MICRO


def _text(value: Fraction) -> str:
    return str(value)
