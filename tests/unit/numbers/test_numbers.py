"""What a dialled text is."""

import subprocess
import sys

import phonenumbers
import pytest

from shared.domain.common import limits
from shared.domain.numbers.numbers import classify, is_emergency, is_special, look_up, normalize
from shared.domain.numbers.regions import NAMES, country_name


@pytest.mark.parametrize(
    ("text", "region", "number_class"),
    [
        ("+442079460000", "GB", "fixed_line"),
        ("+33612345678", "FR", "mobile"),
        ("+12125551234", "US", "fixed_line_or_mobile"),
        ("+390612345678", "IT", "fixed_line"),  # keeps its leading 0
        ("+18765551234", "JM", "mobile"),
        ("+12423456789", "BS", "fixed_line"),
        ("+17872345678", "PR", "fixed_line_or_mobile"),
        ("+12042345678", "CA", "fixed_line_or_mobile"),
        ("+77011234567", "KZ", "mobile"),
        ("+74951234567", "RU", "fixed_line"),
        ("+441534456789", "JE", "fixed_line"),
        ("+441481256789", "GG", "fixed_line"),
        ("+390669812345", "VA", "fixed_line"),
        ("+4779123456", "SJ", "fixed_line"),
        ("+24764000", "AC", "fixed_line"),
        ("+448432345678", "GB", "shared_cost"),
        ("+448702345678", "GB", "shared_cost"),
        ("+448712345678", "GB", "shared_cost"),
        ("+449012345678", "GB", "premium_rate"),
        ("+443001234567", "GB", "uan"),
        ("+33899123456", "FR", "premium_rate"),
        ("+870773111632", "001", "satellite"),
        ("+881612345678", "001", "satellite"),
        ("+882165111000", "001", "satellite"),
        ("+8823421234", "001", "international_network"),
        ("+883510012345", "001", "international_network"),
        ("+80012345678", "001", "toll_free"),
        ("+979123456789", "001", "premium_rate"),
    ],
)
def test_region_and_class_come_from_the_number_not_from_its_country_code(
    text, region, number_class
):
    found = classify(text)
    assert (found.valid, found.e164, found.digits) == (True, text, text[1:])
    assert (found.region, found.number_class) == (region, number_class)


@pytest.mark.parametrize(
    "text",
    [
        "", "+", "112", "442079460000", "00442079460000", "+44 20 7946 0000", "+44-2079460000",
        " +442079460000", "+442079460000\n", "++442079460000", "+123456", "+1234567890123456",
        "+٤٤٢٠٧٩٤٦٠٠٠٠", "+44２079460000", "＋442079460000", "+33112", "+4490012345678",
        "+0442079460000", "tel:+442079460000", "+442079460000;ext=5", "+1", "+999123456789",
        "+44207946000o", "\0+442079460000", "+442079460000" * 50,
    ],
)  # fmt: skip
def test_what_is_not_plus_and_7_to_15_ascii_digits_of_a_valid_number_is_invalid(text):
    found = classify(text)
    assert (found.valid, found.e164, found.region, found.digits) == (False, None, None, "")
    assert found.number_class == "unknown"


def test_a_trunk_zero_after_the_country_code_is_left_out_of_what_is_dialled():
    found = classify("+4402079460000")
    assert found.e164 == "+442079460000"
    assert classify("+44" + "08712345678").number_class == "shared_cost"


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("112", ()), ("911", ()), ("112", ("ZZ",)), ("1-1-2", ()), ("9 1 1", ("FR",)),
        ("15", ("FR",)), ("999", ("GB",)), ("000", ("AU",)), ("110", ("DE", "CN")),
        ("999", ("FR", "GB")), ("tel:112", ()), ("١١٢", ()), ("９１１", ()),
        ("9116666666", ("US",)),  # the network connects it, whatever follows
    ],
)  # fmt: skip
def test_emergency_numbers_of_any_country_concerned_are_known(text, regions):
    assert is_emergency(text, regions)
    assert not look_up(text, regions).special


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("999", ("FR",)), ("+112", ("FR",)), ("+33112", ("FR",)), ("+911", ()), ("", ("FR",)),
        ("112" * 30, ("FR",)), ("2079460000", ("GB",)), ("0612345678", ("FR", None)),
    ],
)  # fmt: skip
def test_other_texts_are_no_emergency_numbers(text, regions):
    assert not is_emergency(text, regions)


@pytest.mark.parametrize(
    ("text", "region"), [("118000", "FR"), ("411", "US"), ("988", "US"), ("118118", "GB")]
)
def test_short_numbers_are_special_in_their_country(text, region):
    assert is_special(text, (region,))
    assert is_special(text, (None, "NZ", region))
    assert not is_special(f"+{text}", (region,))


@pytest.mark.parametrize("text", ["", "0612345678", "2079460000", "411", "x"])
def test_other_texts_are_not_special(text):
    assert not is_special(text, ("FR", "GB"))


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("00442079460000", "FR", "+442079460000"),
        ("00442079460000", "US", "+442079460000"),
        ("011442079460000", "US", "+442079460000"),
        ("020 7946 0000", "GB", "+442079460000"),
        ("(212) 555-1234", "US", "+12125551234"),
        ("01 70 12 34 56", "FR", "+33170123456"),
        ("+44 (0)20 7946 0000", None, "+442079460000"),
        ("00442079460000", None, "+442079460000"),
        ("sip:00442079460000@example.net", "FR", "+442079460000"),
        ("sip:+442079460000@10.0.0.1", None, "+442079460000"),
        ("tel:+44-20-7946-0000", None, "+442079460000"),
        ("banana", "FR", "banana"),
        ("", "FR", ""),
        ("0044", None, "0044"),
        ("9" * 300, "FR", "9" * 300),
    ],
)
def test_what_is_dialled_in_a_country_is_normalised_on_demand(text, country, number):
    assert normalize(text, country) == number


def test_every_region_of_libphonenumber_has_a_name():
    assert {*phonenumbers.SUPPORTED_REGIONS, "001"} == set(NAMES)
    assert all(len(name) > 3 for name in NAMES.values())
    assert (country_name(None), country_name("ZZ"), country_name("CI")) == (
        "",
        "ZZ",
        "Côte d'Ivoire",
    )


def test_no_lookup_is_remembered_beyond_its_bound():
    from shared.domain.numbers.numbers import _classify

    classify("+442079460123")
    assert _classify.cache_info().currsize <= limits.NUMBER_CACHE_MAX
    assert _classify.cache_parameters()["maxsize"] == limits.NUMBER_CACHE_MAX


def test_libphonenumber_is_not_loaded_before_a_number_is_parsed():
    code = (
        "import sys, shared.domain.dial_out.dial_out_checks, shared.domain.numbers.numbers\n"
        "assert 'phonenumbers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
