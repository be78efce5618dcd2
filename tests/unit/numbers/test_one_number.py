"""A received text stands for one number: the same in check, hold, rate and answer."""

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.numbers.numbers import (
    called_number,
    caller_number,
    caller_origin,
    classify,
    prefix_digits,
)

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
LONDON = "+442079460123"
PARIS = "+33170180042"


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+4402079460123", None, LONDON),
        ("+44 (0)20 7946 0123", None, LONDON),
        ("+44-20-7946-0123", None, LONDON),
        ("tel:+44-20-7946-0123", None, LONDON),
        ("tel:7946-0123;phone-context=+4420", None, LONDON),
        ("sip:+442079460123@10.0.0.1:5060;user=phone", None, LONDON),
        ("sip:%2B442079460123@example.net", None, LONDON),
        ('"Ken" <sip:+442079460123@example.net>;tag=1', None, LONDON),
        ("\uff0b442079460123", None, LONDON),
        ("+٤٤٢٠٧٩٤٦٠١٢٣", None, LONDON),
        ("00442079460123", "FR", LONDON),
        ("+442079460123@10.0.0.1:5060", None, LONDON),
        ("ken@example.com", "FR", "ken@example.com"),
        ("011442079460123", "US", LONDON),
        ("020 7946 0123", "GB", LONDON),
        ("442079460123", "GB", LONDON),
        ("+1 800 FLOWERS", None, "+18003569377"),
        ("+999123", None, "+999123"),  # no number of the tables: the digits are kept
        ("+999 1-23", None, "+999123"),
        ("00442079460123", None, "00442079460123"),  # which country's prefix is unknown
        ("442079460123", None, "442079460123"),
        ("3001", "GB", "3001"),
        ("", None, ""),
        ("+", None, "+"),
        ("sip:3001@example.net", None, "sip:3001@example.net"),
        ("+442079460123;npdi;rn=+441234567890", None, LONDON),
        ("442079460123;cpc=ordinary", None, "442079460123;cpc=ordinary"),
        ("020 7946 0123;cpc=ordinary", "GB", LONDON),
        ("+442079460123;npdi@gw.example", None, LONDON),
        ("020-7946-0123;phone-context=+44", None, LONDON),
    ],
)
def test_the_text_of_a_called_number_stands_for_one_number(text, country, number):
    assert called_number(text, country) == number


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("33170180042", None, PARIS),
        ("33170180042", "US", PARIS),
        ("sip:33170180042@example.net", None, PARIS),
        ("0033170180042", "FR", PARIS),
        ("33170180042@10.0.0.1", None, PARIS),
        ("1001@10.0.0.1", None, None),
        ("0170180042", "FR", PARIS),
        ("+330170180042", None, PARIS),
        ("0170180042", None, None),
        ("0033170180042", None, None),
        ("1000", "FR", None),
        ("2125551234", "US", None),  # digits without plus that are no number with country code
        ("anonymous", None, None),
        ("Restricted", "FR", None),
        ("sip:anonymous@anonymous.invalid", None, None),
        ("", None, None),
        ("+999123", None, "+999123"),
    ],
)
def test_the_text_of_a_caller_stands_for_one_number_or_for_an_unknown_caller(text, country, number):
    assert caller_number(text, country) == number


@pytest.mark.parametrize(
    ("prefix", "digits"),
    [
        ("4402079460123", "442079460123"),
        ("44020", "4420"),
        ("4407", "447"),
        ("4420", "4420"),
        ("440", "440"),
        ("44", "44"),
        ("7800", "7800"),  # 8 is the trunk prefix, and begins numbers too
        ("39066", "39066"),  # 0 begins the numbers
        ("1800", "1800"),
        ("999", "999"),
        ("2", "2"),
    ],
)
def test_a_prefix_is_normalised_as_the_numbers_are_that_it_is_compared_with(prefix, digits):
    assert prefix_digits(prefix) == digits


_NUMBERS = [
    phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    for region in REGIONS
    for kind in range(11)
    if (found := phonenumbers.example_number_for_type(region, kind)) is not None
]


def _with_trunk_prefix(number: str) -> str:
    """The number with its country's trunk prefix after the country code."""
    parsed = phonenumbers.parse(number)
    prefix = phonenumbers.ndd_prefix_for_region(
        phonenumbers.region_code_for_country_code(parsed.country_code), True
    )
    return f"+{parsed.country_code}{prefix or ''}{number.removeprefix(f'+{parsed.country_code}')}"


_FORMS = (
    lambda number: number,
    _with_trunk_prefix,
    lambda number: f"tel:{number}",
    lambda number: f"sip:{number}@example.net",
    *(
        lambda number, form=form: phonenumbers.format_number(phonenumbers.parse(number), form)
        for form in (
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.RFC3966,
        )
    ),
)


@given(st.sampled_from(_NUMBERS), st.sampled_from(_FORMS))
@example("+442079460123", _with_trunk_prefix)
@example("+12025550123", _with_trunk_prefix)
def test_every_form_that_libphonenumber_reads_is_the_number_that_it_reads(number, form):
    """Where two countries' rules differ, libphonenumber's reading decides, not ours."""
    text = form(number)
    if form is not _with_trunk_prefix:
        assert called_number(text) == number
    assert called_number(called_number(text)) == called_number(text)
    checked = classify(text).e164
    if checked is not None:
        assert called_number(text) == checked == caller_number(text)


@given(st.text(alphabet="+0123456789 ()-./;=:@tel", max_size=24))
@example("+4402079460123")
def test_what_libphonenumber_reads_in_a_text_with_a_plus_is_the_number(text):
    try:
        read = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return
    e164 = phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164)
    if phonenumbers.is_valid_number(read) and len(e164) >= 8 and "@" not in text:
        assert called_number(text) == e164
        assert caller_number(text) == e164


@pytest.mark.parametrize(
    ("number", "origin"),
    [
        ("+12125550123", "US"),
        ("+14165550123", "CA"),
        ("+74951234567", "RU"),
        ("+442079460123", "GB"),
        ("+61412345678", "AU"),  # Christmas Island lists the same mobile numbers
        ("+4746123456", "NO"),
        ("+33800123456", "FR"),  # toll-free, of one country
        *(
            (number, None)
            for number in (
                *("+18005550100", "+18335550100", "+78001234567", "+80012345678"),
                *("+881612345678", "+15005550100", "+19005550100", "+999123", "+870773111632"),
            )
        ),
        (None, None),
    ],
)
def test_a_caller_of_no_single_country_has_no_origin(number, origin):
    assert caller_origin(number) == origin


@pytest.mark.parametrize("region", REGIONS)
def test_fixed_and_mobile_callers_of_every_country_have_its_origin(region):
    for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
        found = phonenumbers.example_number_for_type(region, kind)
        if found is not None:
            number = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
            assert caller_origin(number) == phonenumbers.region_code_for_number(found)


def test_a_number_in_e164_is_what_libphonenumber_makes_of_it() -> None:
    """Also where a trunk prefix follows the calling code, under every calling code."""
    endings = ("02079460123", "12079460123", "612345678", "8005550123", "0000000", "9112345678")
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        for ending in endings:
            text = f"+{code}{ending}"
            assert called_number(text) == (classify(text).e164 or text), text
