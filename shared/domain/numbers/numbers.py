"""The classification of a dialled text: an emergency number, a short number, or an E.164 number of
a region.

libphonenumber's tables decide; they load with the first number, because they are slow to load. A
region is never derived from a country code: +1, +7 and +44 are many countries each.

One number for the check, the hold, the call, the rating and the display: `classify(text).e164` of a
dial-out and `called_number(text)` of a leg give the same number for the same text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from shared.domain.common import limits
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.prefixes import (
    calling_code,
    can_begin_number,
    may_have_national_prefix,
    national_prefix,
)
from shared.domain.numbers.ranges import CLASS_OVERRIDES, HIGH_RISK, longest_prefix
from shared.domain.numbers.regions import INTERNATIONAL

_E164 = re.compile(r"\+[0-9]{7,15}", re.ASCII)
_PLUS_AND_DIGITS = re.compile(r"\+[0-9]{1,15}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_PLUS = re.compile(r"[+\uff0b]")
_PUNCTUATION = re.compile(r"\(0\)|[\s().\-/\u2010-\u2015\u2060]")
_URI = re.compile(r"(?:.*<)?\s*(sips?|tel):([^>]*)>?.*", re.ASCII | re.IGNORECASE | re.DOTALL)
_USER_AT_HOST = re.compile(r"([^@\s<>\"]+)@[^@\s]+", re.ASCII)
_GEOGRAPHIC = frozenset({"FIXED_LINE", "MOBILE", "FIXED_LINE_OR_MOBILE"})
_EMERGENCY_EVERYWHERE = frozenset({"112", "911"})
_DIALLED_DIGITS_MIN = 6  # fewer may end the numbers of two calls
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
    """A text as an international number.

    `e164` is the number as it is to be dialled, None when the text is not a valid number; `digits`
    are its digits for the rate card ("" likewise). `region` is ISO, "001" for international
    networks, None where it is unknown. `high_risk` names the range known for toll fraud, or "".
    `origin` is the region by which a caller is rated: None where the number belongs to no single
    country (a toll-free number of +1, an international network).
    """

    e164: str | None
    valid: bool
    region: str | None
    number_class: NumberClass
    digits: str
    high_risk: str = ""
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class DialledNumber:
    """A dialled text with all that is known of it before any policy is applied."""

    text: str
    emergency: bool
    special: bool
    number: NumberFacts


_FILLINGS = ("234567890123456", "567890123456789", "789012345678901", "1" * 15, "0" * 15)
_NOT_A_NUMBER = NumberFacts(None, False, None, NumberClass.UNKNOWN, "")


def look_up(text: str, regions: Iterable[str | None]) -> DialledNumber:
    """All facts of a dialled text; `regions` are the countries that it may be dialled in."""
    named = tuple(region for region in regions if region)
    emergency = is_emergency(text, named)
    special = not emergency and is_special(text, named)
    return DialledNumber(text, emergency, special, classify(text))


def classify(text: str) -> NumberFacts:
    """The facts of an E.164 number: `+`, 7 to 15 ASCII digits, valid by libphonenumber."""
    return _classify(text) if _E164.fullmatch(text) else _NOT_A_NUMBER


def numbers_beginning_with(prefix: str) -> Iterator[NumberFacts]:
    """A few valid numbers that begin with the digits, where simple endings make some."""
    phonenumbers, code = _library(), calling_code(prefix)
    if code is None:
        return
    for length in _national_lengths(code):
        rest = len(code) + length - len(prefix)
        for filling in _FILLINGS if rest > 0 else ("",):
            digits = prefix + filling[: max(0, rest)]
            if rest >= 0 and phonenumbers.is_possible_number_string(f"+{digits}", None):
                facts = classify(f"+{digits}")
                if facts.valid:
                    yield facts


@lru_cache(maxsize=1_000)
def _national_lengths(code: str) -> tuple[int, ...]:
    """The lengths of national numbers under a calling code, the most usual first."""
    metadata = _library().PhoneMetadata
    lengths: Counter[int] = Counter()
    for region in _library().COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()):
        about = (
            metadata.metadata_for_nongeo_region(int(code), None)
            if region == INTERNATIONAL
            else metadata.metadata_for_region(region, None)
        )
        for kind in (about.fixed_line, about.mobile, about.general_desc):
            lengths.update(each for each in kind.possible_length if each > 0)
    return tuple(length for length, _ in lengths.most_common())


def e164_digits(text: str) -> str:
    """The digits of a text in the form of E.164, whether or not such a number exists; "" of
    another one. Service numbers are rated by it: who sold them knows that they exist."""
    return text[1:] if _E164.fullmatch(text) else ""


def is_international(text: str) -> bool:
    """True if a text is a plus and at most 15 digits, like a normalized number; the rate card
    decides the minimum length."""
    return _PLUS_AND_DIGITS.fullmatch(text) is not None


def called_number(text: str, country: str | None = None) -> str:
    """The E.164 number of a leg's text; the text itself where it is no number.

    International form in any punctuation, with a trunk prefix, as `tel:` or `sip:` URI with or
    without its scheme; and, where
    the bridge's `country` is known, the form in which it is dialled there (`00…`, national). A
    number in international form that libphonenumber does not know keeps its digits.
    """
    user = _user_part(text)
    if _E164.fullmatch(user) and not may_have_national_prefix(user[1:]):
        return user  # as below, without the rest of what libphonenumber knows of the number
    if _PLUS.search(user):
        return classify(user).e164 or _international(user) or text
    number = normalize(user, country) if country else user
    return number if _E164.fullmatch(number) else text


def prefix_digits(digits: str) -> str:
    """A prefix in the form of normalized numbers: the digits of the full number, else without a
    trunk prefix after the country code where only that can begin a number."""
    whole = classify(f"+{digits}").digits
    code = calling_code(digits)
    if whole or code is None:
        return whole or digits
    area = digits.removeprefix(code)
    trunk = national_prefix(code) if area else ""
    shorter = code + area.removeprefix(trunk)
    if trunk and area.startswith(trunk) and area != trunk and not can_begin_number(digits):
        return shorter if can_begin_number(shorter) else digits
    return digits


def caller_number(text: str, country: str | None = None) -> str | None:
    """The E.164 number of a caller, None where it is unknown (withheld, an extension).

    As `called_number`; besides, digits without plus are that number if it is valid with its
    country code.
    """
    user = _user_part(text)
    if not _PLUS.search(user) and _DIGITS.fullmatch(user):
        e164 = classify(f"+{user}").e164
        if e164 is not None or not user.startswith("0"):
            return e164
    number = called_number(text, country)
    return number if is_international(number) else None


def stands_for(text: str, number: str) -> bool:
    """True if a text in a dialled or national form (`00…`, `0…`, no plus) is this E.164 number, if
    it is known that the number was dialled: its digits are the number's last ones."""
    user = _user_part(text)
    if _PLUS.search(user):
        return False
    dialled = _digits(user).lstrip("0")
    return normalize(text, None) == number or (
        len(dialled) >= _DIALLED_DIGITS_MIN and number.endswith(dialled)
    )


def service_number_keys(text: str, number: str) -> tuple[str, ...]:
    """The possible registered forms of a service number, the likeliest first: its `called_number`,
    the digits after a plus that a trunk left out, the number after `00` or `011`, the text itself
    (numbers that were registered before normalization)."""
    user = _user_part(text)
    is_dialled = _DIGITS.fullmatch(user) is not None and number == text
    others = (f"+{user}", normalize(user, None)) if is_dialled else ()
    return tuple(dict.fromkeys((number, *others, text)))


def caller_origin(number: str | None) -> str | None:
    """The region by which callers of a number are rated; None for an unknown caller."""
    return None if number is None else classify(number).origin


def is_emergency(text: str, regions: Iterable[str | None]) -> bool:
    """True if the text reaches emergency services in one of the regions; 112 and 911 everywhere.

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
    """True if the text is a short number (enquiries, helplines…) in one of the regions."""
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
    """The E.164 form of a number dialled in a country as `00…`, `011…` or nationally.

    The text itself where it has no such form. Check emergency and short numbers first.
    """
    if not 0 < len(text) <= limits.NUMBER_TEXT_CHARS_MAX:
        return text
    user = _user_part(text)
    digits = _digits(user)
    prefixed = [digits[len(prefix) :] for prefix in ("00", "011") if digits.startswith(prefix)]
    attempts = [(user, country), *((f"+{rest}", None) for rest in prefixed)]
    readings = (_parsed(attempt, region) for attempt, region in attempts)
    return next((number for number in readings if number), text)


def _user_part(text: str) -> str:
    """The number within a `tel:` or `sip:` URI, with or without a display name, or before the `@`
    of a SIP address without scheme, without parameters (`;npdi;rn=…`, `;cpc=…`); else the text."""
    if len(text) > limits.NUMBER_CHARS_MAX:
        return text.strip()
    uri = _URI.fullmatch(text)
    if uri is None:
        address = _USER_AT_HOST.fullmatch(text.strip())
        user = unquote(address[1]) if address else text.strip()
        return user if "phone-context" in user else user.partition(";")[0].strip()
    scheme, rest = uri[1].lower(), unquote(uri[2])
    if scheme == "tel" and "phone-context" in rest:
        return f"tel:{rest}"
    return re.split("[@;?]", rest, maxsplit=1)[0].strip()


def _international(text: str) -> str | None:
    """The number in a text that has a plus, None where there is none."""
    number = _parsed(text, None)
    if number is not None:
        return number
    plain = _PUNCTUATION.sub("", text[: limits.NUMBER_CHARS_MAX + 1])
    return plain if is_international(plain) else None


def _parsed(text: str, region: str | None) -> str | None:
    """The E.164 form of the number that libphonenumber finds in a text, None where it is no valid
    number."""
    if len(text) > limits.NUMBER_TEXT_CHARS_MAX:
        return None
    phonenumbers = _library()
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    e164 = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return e164 if _E164.fullmatch(e164) else None


@lru_cache(maxsize=limits.NUMBER_CACHE_MAX)
def _classify(text: str) -> NumberFacts:
    phonenumbers = _library()
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return _NOT_A_NUMBER
    kind = phonenumbers.number_type(number)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:  # `is_valid_number`, once
        return _NOT_A_NUMBER
    region = phonenumbers.region_code_for_number(number)
    e164 = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    if not _E164.fullmatch(e164):
        return _NOT_A_NUMBER
    digits = e164[1:]
    own_class = longest_prefix(digits, CLASS_OVERRIDES)
    name = phonenumbers.PhoneNumberType.to_string(kind)
    number_class = (
        CLASS_OVERRIDES[own_class] if own_class else _CLASS_NAMES.get(name, NumberClass.UNKNOWN)
    )
    risk = longest_prefix(digits, HIGH_RISK)
    return NumberFacts(
        e164,
        True,
        region,
        number_class,
        digits,
        HIGH_RISK[risk] if risk else "",
        origin=region if _belongs_to_one_region(number, region, name) else None,
    )


def _belongs_to_one_region(number: Any, region: str | None, type_name: str) -> bool:
    """True if a caller with this number is of one country. Fixed and mobile lines are; other
    numbers (toll-free, personal, …) are if no other region of the country code lists them."""
    if region in {None, INTERNATIONAL}:
        return False
    if type_name in _GEOGRAPHIC:
        return True
    phonenumbers = _library()
    regions = phonenumbers.region_codes_for_country_code(number.country_code)
    valid = [each for each in regions if phonenumbers.is_valid_number_for_region(number, each)]
    return valid == [region]


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
