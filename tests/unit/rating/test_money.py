"""Decimal strings in and out, and the one rounding: exact, and each other's inverse."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.common.money import (
    RoundingMode,
    ceil_div,
    format_amount,
    format_fraction,
    format_price,
    format_ratio,
    largest_rounding_to,
    parse_amount,
    parse_balance,
    parse_price,
    round_ratio,
)

STEADY = settings(deadline=None)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("1", 1_000_000),
        ("12.5", 12_500_000),
        ("-3.20", -3_200_000),
        ("-0.000001", -1),
        ("0.000001", 1),
        ("1000000000", 10**15),
        ("-1000000000", -(10**15)),
        ("1000000000.000000", 10**15),
    ],
)
def test_amounts_are_read_exactly(text: str, micros: int) -> None:
    """Up to six decimals, both signs, up to a thousand million."""
    assert parse_amount(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", "-", ".5", "5.", "1.0000000", "+1", " 1", "1\n", "01", "1e3", "1,5", "NaN", "٣", "1_0",
     "1000000000.000001", "-1000000001", "10000000000"],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"must be a decimal string|is beyond"):
        parse_amount(text)


@STEADY
@given(st.integers(-(10**40), 10**40))
def test_balances_of_any_size_come_back(micros: int) -> None:
    assert parse_balance(format_amount(micros)) == micros


@pytest.mark.parametrize("text", ["", "1", "1.5", "01.00", "1.0000000", "+1.00", "1.00 ", "1.٠٠"])
def test_a_balance_that_was_not_written_here_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="two to six decimals"):
        parse_balance(text)


@pytest.mark.parametrize(
    ("text", "picos"),
    [
        ("0", 0),
        ("0.012", 12 * 10**9),
        ("0.000000000001", 1),
        ("9999999999", 9_999_999_999 * 10**12),
    ],
)
def test_prices_are_read_exactly(text: str, picos: int) -> None:
    """Up to twelve decimals."""
    assert parse_price(text) == picos


@pytest.mark.parametrize(
    "text", ["", "-1", "-0", "0.0000000000001", "00", "10000000000", "1.", "1\n", "1/2", "٣"]
)
def test_what_is_no_price_is_refused(text: str) -> None:
    """Prices are never negative."""
    with pytest.raises(ValueError, match="must be a decimal string, not negative"):
        parse_price(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (10_000, "0.01"),
        (100_000, "0.10"),
        (99_902_000, "99.902"),
        (-3_200_000, "-3.20"),
        (10**15, "1000000000.00"),
    ],
)
def test_amounts_have_at_least_two_decimals(micros: int, text: str) -> None:
    """As many as they need, no more."""
    assert format_amount(micros) == text


@pytest.mark.parametrize(
    ("picos", "text"), [(0, "0"), (10**12, "1"), (12 * 10**9, "0.012"), (1, "0.000000000001")]
)
def test_prices_have_no_trailing_zeros(picos: int, text: str) -> None:
    """Not even a point."""
    assert format_price(picos) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(7, 15), "7/15"),
        (Fraction(-7, 15), "-7/15"),
        (Fraction(98, 1000), "0.098"),
        (Fraction(0), "0"),
        (Fraction(3), "3"),
        (Fraction(-1, 2), "-0.5"),
        (Fraction(1, 10**18), "0.000000000000000001"),
        (Fraction(1, 10**19), "1/10000000000000000000"),
        (Fraction(1, 2**18), "0.000003814697265625"),
        (Fraction(1, 2**19), "1/524288"),
    ],
)
def test_fractions_are_decimals_where_they_end_within_18_digits(value: Fraction, text: str) -> None:
    """Else a fraction in lowest terms."""
    assert format_fraction(value) == text


@pytest.mark.parametrize("scale", [1, 6, 60, 10**12, 60 * 10**12, 7 * 10**12])
@STEADY
@given(numerator=st.integers(-(10**20), 10**20))
def test_a_ratio_reads_as_its_fraction(scale: int, numerator: int) -> None:
    """Whether it was in lowest terms or not."""
    text = format_ratio(numerator, scale)

    assert Fraction(text) == Fraction(numerator, scale)
    assert text == format_fraction(Fraction(numerator, scale))


@STEADY
@given(st.integers(-(10**15), 10**15))
def test_amounts_come_back(micros: int) -> None:
    """Formatting loses nothing."""
    assert parse_amount(format_amount(micros)) == micros


@STEADY
@given(st.integers(0, 10**22 - 1))
def test_prices_come_back(picos: int) -> None:
    """Formatting loses nothing."""
    assert parse_price(format_price(picos)) == picos


@pytest.mark.parametrize(
    ("mode", "results"),
    [
        # of 0, 1/4, 1/2, 3/4, 1, 5/4, 3/2, 7/4, 2
        ("half_up", (0, 0, 1, 1, 1, 1, 2, 2, 2)),
        ("half_even", (0, 0, 0, 1, 1, 1, 2, 2, 2)),
        ("up", (0, 1, 1, 1, 1, 2, 2, 2, 2)),
        ("none", (0, 1, 1, 1, 1, 2, 2, 2, 2)),
        ("down", (0, 0, 0, 0, 1, 1, 1, 1, 2)),
    ],
)
def test_rounding_modes(mode: str, results: tuple[int, ...]) -> None:
    """Each mode at quarters."""
    assert tuple(round_ratio(each, 4, RoundingMode(mode)) for each in range(9)) == results


@STEADY
@given(
    st.integers(0, 50), st.integers(1, 12).map(lambda half: 2 * half), st.sampled_from(RoundingMode)
)
def test_the_inverse_of_rounding(quotient: int, denominator: int, mode: RoundingMode) -> None:
    """The largest numerator that still rounds to the quotient; one more does not."""
    largest = largest_rounding_to(quotient, denominator, mode)

    assert round_ratio(largest, denominator, mode) == quotient
    assert round_ratio(largest + 1, denominator, mode) == quotient + 1


@STEADY
@given(st.integers(0, 50), st.integers(1, 25), st.sampled_from(RoundingMode))
def test_the_inverse_of_rounding_for_odd_denominators(
    quotient: int, denominator: int, mode: RoundingMode
) -> None:
    """The same where no half exists."""
    largest = largest_rounding_to(quotient, denominator, mode)

    assert round_ratio(largest, denominator, mode) <= quotient
    assert round_ratio(largest + 1, denominator, mode) > quotient


@STEADY
@given(st.integers(-100, 100), st.integers(1, 20))
def test_ceil_div(value: int, divisor: int) -> None:
    """Division that rounds up."""
    assert ceil_div(value, divisor) == math.ceil(Fraction(value, divisor))
