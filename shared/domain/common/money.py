"""Money is integers: amounts in micros (10^-6 of the currency unit), prices in picos (10^-12).

No float and no Decimal arithmetic: a charge is summed as one rational and rounded once, at the end.
"""

import re
from enum import StrEnum
from fractions import Fraction
from math import gcd

from shared.domain.common import limits

MICROS_PER_UNIT = 10**6
PICOS_PER_UNIT = 10**12
PICOS_PER_MICRO = PICOS_PER_UNIT // MICROS_PER_UNIT
_AMOUNT = re.compile(r"-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?", re.ASCII)
_BALANCE = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]{2,6}", re.ASCII)
_PRICE = re.compile(r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,12})?", re.ASCII)
_DECIMAL_DIGITS_MAX = 18
_DECIMAL_SCALE = 10**_DECIMAL_DIGITS_MAX


class RoundingMode(StrEnum):
    """The mode of the one rounding at the end of a charge."""

    HALF_UP = "half_up"
    UP = "up"
    DOWN = "down"
    HALF_EVEN = "half_even"
    NONE = "none"


def parse_amount(text: str) -> int:
    """Micros of a decimal string with up to six decimals, e.g. "-3.20" → -3200000.

    Raises ValueError when it is anything else, or beyond ±1,000,000,000 units.
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError('must be a decimal string with up to 6 decimals, such as "12.50"')
    micros = _scaled(text, limits.AMOUNT_DECIMALS_MAX)
    if abs(micros) > limits.AMOUNT_UNITS_MAX * MICROS_PER_UNIT:
        raise ValueError("is beyond 1000000000 units")
    return micros


def parse_balance(text: str) -> int:
    """Micros of a decimal string that `format_amount` wrote, however large."""
    if not _BALANCE.fullmatch(text):
        raise ValueError("must be a decimal string with two to six decimals")
    return _scaled(text, limits.AMOUNT_DECIMALS_MAX)


def parse_price(text: str) -> int:
    """Picos of a decimal string with up to twelve decimals, never negative.

    Raises ValueError when it is anything else.
    """
    if not _PRICE.fullmatch(text):
        raise ValueError("must be a decimal string, not negative, with up to 12 decimals")
    return _scaled(text, limits.PRICE_DECIMALS_MAX)


def format_amount(micros: int) -> str:
    """The decimal string of an amount: as many decimals as it needs, at least two."""
    return _decimal(micros, limits.AMOUNT_DECIMALS_MAX, 2)


def format_price(picos: int) -> str:
    """The decimal string of a price: as many decimals as it needs."""
    return _decimal(picos, limits.PRICE_DECIMALS_MAX, 0)


def format_fraction(value: Fraction) -> str:
    """A decimal if it ends within 18 digits, else a fraction such as "7/15" (docs/rating.md)."""
    return format_ratio(value.numerator, value.denominator)


def format_ratio(numerator: int, denominator: int) -> str:
    """The result of `format_fraction` for the quotient; the denominator is positive."""
    scaled, rest = divmod(numerator * _DECIMAL_SCALE, denominator)
    if rest:
        common = gcd(numerator, denominator)
        return f"{numerator // common}/{denominator // common}"
    return _decimal(scaled, _DECIMAL_DIGITS_MAX, 0)


def ceil_div(value: int, divisor: int) -> int:
    """The quotient rounded up; both are integers, the divisor positive."""
    return -(-value // divisor)


def round_ratio(numerator: int, denominator: int, mode: RoundingMode) -> int:
    """Numerator/denominator (not negative), rounded to an integer in the given mode.

    NONE keeps a whole value and otherwise rounds up: a fraction of a micro is never given away.
    """
    quotient, rest = divmod(numerator, denominator)
    if rest == 0 or mode is RoundingMode.DOWN:
        return quotient
    if mode is RoundingMode.UP or mode is RoundingMode.NONE:
        return quotient + 1
    twice = 2 * rest
    if twice == denominator:
        return quotient + (1 if mode is RoundingMode.HALF_UP else quotient % 2)
    return quotient + (twice > denominator)


def largest_rounding_to(quotient: int, denominator: int, mode: RoundingMode) -> int:
    """The largest numerator for which `round_ratio` gives at most `quotient`: its inverse."""
    if mode is RoundingMode.DOWN:
        return (quotient + 1) * denominator - 1
    if mode is RoundingMode.UP or mode is RoundingMode.NONE:
        return quotient * denominator
    tie = (2 * quotient + 1) * denominator
    if mode is RoundingMode.HALF_EVEN and quotient % 2 == 0:
        return tie // 2
    return (tie - 1) // 2


def _scaled(text: str, decimals: int) -> int:
    negative = text.startswith("-")
    whole, _, fraction = text.lstrip("-").partition(".")
    value = int(whole + fraction.ljust(decimals, "0"))
    return -value if negative else value


def _decimal(value: int, decimals: int, decimals_min: int) -> str:
    digits = str(value).zfill(decimals + (2 if value < 0 else 1))
    fraction = digits[-decimals:].rstrip("0")
    if len(fraction) < decimals_min:
        fraction = fraction.ljust(decimals_min, "0")
    return f"{digits[:-decimals]}.{fraction}" if fraction else digits[:-decimals]
