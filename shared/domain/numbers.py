"""What a dialled text is: an emergency number, a short number, or an E.164 number of some region.

libphonenumber's tables decide; they are loaded when the first number is looked at, for they are
slow to load. A region is never read off a country code: +1, +7 and +44 are many countries each.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

from shared.domain import limits
from shared.domain.number_classes import NumberClass
from shared.domain.number_ranges import CLASS_OVERRIDES, HIGH_RISK, longest_prefix

_E164 = re.compile(r"\+[0-9]{7,15}", re.ASCII)
_EMERGENCY_EVERYWHERE = frozenset({"112", "911"})
_SHORT_DIGITS_MAX = 8  # longer than any short number in the tables
_CLASS_NAMES = {
    "FIXED_LINE": NumberClass.FIXED_LINE,
    "MOBILE": NumberClass.MOBILE,
    "FIXED_LINE_OR_MOBILE": NumberClass.FIXED_LINE_OR_MOBILE,
    "TOLL_FREE": NumberClass.TOLL_FREE,
    "PREMIUM_RATE": NumberClass.PREMIUM_RATE,
    "SHARED_COST": NumberClass.SHARED_COST,
    "VOIP": NumberClass.VOIP,
    "PERSONAL_NUMBER": NumberClass.PERSONAL,
    "PAGER": NumberClass.PAGER,
    "UAN": NumberClass.UAN,
    "VOICEMAIL": NumberClass.VOICEMAIL,
}


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """What a text is as an international number.

    `e164` is the number as it is to be dialled, None when the text is not a valid number; `digits`
    are its digits for the rate card ("" likewise). `region` is ISO, "001" for international
    networks, None where nobody knows. `high_risk` names the range known for toll fraud, or "".
    """

    e164: str | None
    valid: bool
    region: str | None
    number_class: NumberClass
    digits: str
    high_risk: str = ""


@dataclass(frozen=True, slots=True)
class DialledNumber:
    """A dialled text with all that is known of it before anybody's policy is asked."""

    text: str
    emergency: bool
    special: bool
    number: NumberFacts


_NOT_A_NUMBER = NumberFacts(None, False, None, NumberClass.UNKNOWN, "")


def look_up(text: str, regions: Iterable[str | None]) -> DialledNumber:
    """All facts of a dialled text; `regions` are the countries that it may be dialled in."""
    known = tuple(region for region in regions if region)
    emergency = is_emergency(text, known)
    special = not emergency and is_special(text, known)
    return DialledNumber(text, emergency, special, classify(text))


def classify(text: str) -> NumberFacts:
    """The facts of an E.164 number: `+`, 7 to 15 ASCII digits, valid by libphonenumber."""
    return _classify(text) if _E164.fullmatch(text) else _NOT_A_NUMBER


def e164_digits(text: str) -> str:
    """The digits of a text that looks like E.164, whether or not such a number exists; "" of
    another one. Service numbers are rated by it: who sold them knows that they exist."""
    return text[1:] if _E164.fullmatch(text) else ""


def is_emergency(text: str, regions: Iterable[str | None]) -> bool:
    """Whether the text reaches emergency services in one of the regions; 112 and 911 everywhere.

    Digits after the number are ignored where the country's network ignores them. Nothing that
    starts with `+` is an emergency number.
    """
    if "+" in text or len(text) > limits.NUMBER_TEXT_CHARS_MAX:
        return False
    if _digits(text) in _EMERGENCY_EVERYWHERE:
        return True
    short = _short_numbers()
    return any(short.connects_to_emergency_number(text, region) for region in regions if region)


def is_special(text: str, regions: Iterable[str | None]) -> bool:
    """Whether the text is a short number (enquiries, helplines…) in one of the regions."""
    digits = _digits(text)
    if "+" in text or not 0 < len(digits) <= _SHORT_DIGITS_MAX:
        return False
    phonenumbers, short = _library(), _short_numbers()
    for region in regions:
        if not region:
            continue
        try:
            number = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            continue
        if short.is_valid_short_number_for_region(number, region):
            return True
    return False


def normalize(text: str, country: str | None) -> str:
    """The E.164 form of what is dialled in a country as `00…`, `011…` or nationally.

    The text itself where it has no such form. Ask for emergency and short numbers first.
    """
    if not 0 < len(text) <= limits.NUMBER_TEXT_CHARS_MAX:
        return text
    digits = _digits(text)
    prefixed = [digits[len(prefix) :] for prefix in ("00", "011") if digits.startswith(prefix)]
    attempts = [(text, country), *((f"+{rest}", None) for rest in prefixed)]
    phonenumbers = _library()
    for attempt, region in attempts:
        try:
            number = phonenumbers.parse(attempt, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return text


@lru_cache(maxsize=limits.NUMBER_CACHE_MAX)
def _classify(text: str) -> NumberFacts:
    phonenumbers = _library()
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return _NOT_A_NUMBER
    if not phonenumbers.is_valid_number(number):
        return _NOT_A_NUMBER
    e164 = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    if not _E164.fullmatch(e164):
        return _NOT_A_NUMBER
    digits = e164[1:]
    region = phonenumbers.region_code_for_number(number)
    own_class = longest_prefix(digits, CLASS_OVERRIDES)
    name = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(number))
    number_class = (
        CLASS_OVERRIDES[own_class] if own_class else _CLASS_NAMES.get(name, NumberClass.UNKNOWN)
    )
    risk = longest_prefix(digits, HIGH_RISK)
    return NumberFacts(e164, True, region, number_class, digits, HIGH_RISK[risk] if risk else "")


def _digits(text: str) -> str:
    """The decimal digits of a text, of any script, as ASCII."""
    if len(text) > limits.NUMBER_TEXT_CHARS_MAX:
        return ""
    return "".join(str(int(char)) for char in text if char.isdecimal())


def _library() -> ModuleType:
    import phonenumbers

    return phonenumbers


def _short_numbers() -> ModuleType:
    from phonenumbers import shortnumberinfo

    return shortnumberinfo
