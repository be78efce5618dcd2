"""One case of the oracle through our engine, and whether what comes is right."""

import math
from enum import Enum
from fractions import Fraction

from shared.domain.common.errors import Invalid
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import RoundingMode
from shared.domain.rating.rate_card import RateCardVersion
from shared.domain.rating.rating import Charge, max_usage, rate_leg
from shared.domain.rating.tariff import tariff_of
from tests.oracle.card import Case, digits_of, seconds_of, start_of, version_of

KINDS = ("rate", "error", "max_usage", "debit")
NO_CREDIT = "INSUFFICIENT_CREDIT"
NO_RATE = "no rate"
UNLIMITED = -1
MICRO = Fraction(1, 10**6)
BAD_CASE = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    Invalid,
)


class Outcome(Enum):
    """What became of a case."""

    HELD = "held"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


def run_case(case: Case) -> tuple[Outcome, str]:
    """(outcome, what was expected and what came)."""
    try:
        if reason := _not_applicable(case):
            return Outcome.NOT_APPLICABLE, reason
        expected, got = _expected_and_got(case)
    except BAD_CASE as error:
        return Outcome.FAILED, _message(error)
    if expected == got:
        return Outcome.HELD, ""
    return Outcome.FAILED, f"expected {expected}, got {got}"


def _not_applicable(case: Case) -> str:
    kind = case["kind"]
    if kind in {"max_debit", "rerate"}:
        return f"kind {kind}"
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}, max_debit, rerate")
    if case.get("free_units"):
        return "free units"
    if NO_CREDIT in (case.get("expected_error") or "") and case.get("balance_before") is None:
        return "forced duration"
    if kind != "error" and not case.get("rate_intervals"):
        return "no rate interval"
    return ""


def _expected_and_got(case: Case) -> tuple[str, str]:
    if case["kind"] == "max_usage":
        return _max_usage(case)
    if case["kind"] == "error":
        return _error(case)
    return _charge(case)


def _error(case: Case) -> tuple[str, str]:
    """Refused for want of a rate, or for want of credit for the whole call."""
    version = version_of(case)
    if NO_CREDIT in (case.get("expected_error") or ""):
        paid_seconds, seconds = _paid_seconds(case, version), seconds_of(case)
        short = f"credit for less than {seconds} s"
        too_little = paid_seconds is not None and paid_seconds < seconds
        return short, short if too_little else f"credit for {paid_seconds} s"
    charge = _rated(case, version)
    return NO_RATE, NO_RATE if charge is None else str(_amount(charge))


def _charge(case: Case) -> tuple[str, str]:
    charge = _rated(case, version_of(case))
    if charge is None:
        return "a charge", NO_RATE
    mode = charge.version.rounding.mode
    stated = case.get("exact_rounded_once_at_end") or case["expected_cost"]
    unrounded = case.get("exact_unrounded")
    if mode is RoundingMode.NONE:
        return str(Fraction(unrounded or stated)), str(charge.unrounded)
    if sum(line.amount for line in charge.lines()) != charge.unrounded:
        return f"lines that add up to {charge.unrounded}", f"{charge.lines()}"
    expected = _micros(Fraction(stated), mode)
    got = _amount(charge)
    if case["class"] == "increment_prerounding":
        wrong = _micros(Fraction(case["expected_cost"]), mode)
        return (f"anything but {wrong}" if got == wrong else str(expected)), str(got)
    before, after = case.get("balance_before"), case.get("balance_after")
    if before is not None and after is not None:
        debited = _micros(Fraction(before) - Fraction(after), mode)
        return f"{expected}, {debited} off the balance", f"{got}, {got} off the balance"
    return str(expected), str(got)


def _max_usage(case: Case) -> tuple[str, str]:
    seconds = _paid_seconds(case, version_of(case))
    expected = case.get("expected_max_usage_s")
    if expected is None:
        return NO_RATE, NO_RATE if seconds is None else str(seconds)
    if expected == UNLIMITED:
        expected = seconds_of(case)
    # Where there is no rate, nothing is granted.
    return str(expected), str(seconds or 0)


def _paid_seconds(case: Case, version: RateCardVersion) -> int | None:
    """What the balance pays for; None where there is no rate."""
    rate = version.find(LegKind.DIAL_OUT, digits_of(case["call"]["destination"]), None)
    if rate is None:
        return None
    return max_usage(
        tariff_of(rate.terms, version.rounding, version.time_zone),
        answered_at=start_of(case),
        credit_micros=math.floor(Fraction(case["balance_before"]) / MICRO),
        wanted_seconds=seconds_of(case),
    )


def _rated(case: Case, version: RateCardVersion) -> Charge | None:
    return rate_leg(
        version,
        kind=LegKind.DIAL_OUT,
        to_digits=digits_of(case["call"]["destination"]),
        origin=None,
        answered_at=start_of(case),
        talk_seconds=seconds_of(case),
    )


def _micros(value: Fraction, mode: RoundingMode) -> Fraction:
    """Decimals above 6 count as 6."""
    micros = value / MICRO
    if mode is RoundingMode.UP:
        return math.ceil(micros) * MICRO
    return math.floor(micros if mode is RoundingMode.DOWN else micros + Fraction(1, 2)) * MICRO


def _amount(charge: Charge) -> Fraction:
    return charge.amount_micros * MICRO


def _message(error: Exception) -> str:
    if isinstance(error, Invalid):
        return "; ".join(f"{each.pointer} {each.detail}" for each in error.errors)
    if isinstance(error, KeyError):
        return f"the case has no {error.args[0]}"
    return f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else str(error)
