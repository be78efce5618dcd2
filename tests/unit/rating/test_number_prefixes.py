"""What a prefix can begin, against libphonenumber itself."""

import random

import phonenumbers
import pytest

from shared.domain.numbers.example_numbers import typical_numbers
from shared.domain.numbers.prefixes import calling_code, can_begin_number, national_prefix


def test_every_known_calling_code_is_found_in_its_numbers() -> None:
    """Codes are free of prefixes: no digits have two."""
    for code in map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE):
        assert calling_code(code) == code
        assert calling_code(f"{code}99") == code
        assert [calling_code(code[:size]) for size in range(len(code))] == [None] * len(code)


@pytest.mark.parametrize("digits", ["", "0", "044", "6", "80", "99"])
def test_digits_that_are_too_few_or_begin_with_zero_have_no_code(digits: str) -> None:
    assert calling_code(digits) is None


def test_every_prefix_of_a_typical_number_can_begin_a_number() -> None:
    for number in typical_numbers():
        for size in range(len(number.digits) + 1):
            assert can_begin_number(number.digits[:size]), number


def test_random_digits_that_are_a_number_can_begin_one() -> None:
    """And all that begins them."""
    rng = random.Random("numbers")
    bases = [number.digits for number in typical_numbers()]
    valid = 0
    for _ in range(3_000):
        digits = list(rng.choice(bases))
        for _ in range(rng.choice((1, 2, 5))):
            digits[rng.randrange(3, len(digits))] = rng.choice("0123456789")
        text = "".join(digits)
        number = phonenumbers.parse(f"+{text}")
        is_normal = (
            text == f"{number.country_code}{phonenumbers.national_significant_number(number)}"
        )
        if is_normal and phonenumbers.is_valid_number(number):
            valid += 1
            assert all(can_begin_number(text[:size]) for size in range(len(text) + 1)), text
    assert valid > 500


@pytest.mark.parametrize("digits", ["44020", "44447", "187612345678", "2100", "99912", "28", "04"])
def test_digits_that_begin_no_number(digits: str) -> None:
    """Trunk prefixes, codes written twice, codes that no one has, a digit too many."""
    assert not can_begin_number(digits)


@pytest.mark.parametrize(
    ("code", "prefix"), [("44", "0"), ("39", ""), ("7", "8"), ("1", "1"), ("883", "")]
)
def test_what_is_dialled_before_a_national_number(code: str, prefix: str) -> None:
    assert national_prefix(code) == prefix
