"""Parsing of a deck's cells in the formats of spreadsheets: prefixes, prices, durations, names.

A cell has one reading, or it is refused: a price that may be a thousand, a prefix that may be two.
Every function raises ValueError with the error, to be read after the cell itself.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from shared.domain.common import limits
from shared.domain.common.money import parse_price
from shared.domain.numbers.prefixes import calling_code, can_begin_number, national_prefix

_SPREADSHEET_TEXT = re.compile(r"=\"([^\"]*)\"|'(.*)", re.DOTALL)
_SPACES = re.compile(r"[^\S\n\r]+")
_DASH = re.compile(r" ?[-\u2010-\u2015\u2212] ?")
_LISTS = re.compile(r"[,;/|\n\r]+")
_PATTERN_ENDS = re.compile(r"(\.\*|\*|\.|X+|x+)\$?$", re.ASCII)
_PLAIN_PREFIX = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_ROUNDED = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+|[0-9]+\.[0-9]+", re.ASCII)
_GROUPED_DIGITS = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3}){1,4}", re.ASCII)
_DATE = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2(?:[0-9]{2}|[0-9]{4})", re.ASCII)
_AREA_AND_EXCHANGE = re.compile(r"[0-9]{3}-[0-9]{3}", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,7})(?:\.0{1,2})?\s*(s|sec|m|min)?", re.ASCII | re.IGNORECASE)
_PRICE = re.compile(r"([^\d.,]*?)\s*([0-9]{0,10})(?:\.([0-9]*))?\s*([^\d.,]*)")
_FACTOR = re.compile(r"(?:[0-9]{1,10}(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_THOUSANDS = re.compile(r"\D*[1-9][0-9]{0,2}(\.[0-9]{3})+,[0-9]*\D*", re.ASCII)
_NOT_IN_NAMES = re.compile(r"[\W_]+")
_CONDITIONS_KEPT_MAX = 10_000
_NORTH_AMERICA = "1"
_MONTHS, _DAYS = 12, 31

LIST_SEPARATORS = (",", ";", "/", "|", " ")
_SEVERAL = (
    "is ambiguous: one prefix or several? The mapping's list_separator can name what separates them"
)

# Signs by the currencies that write them, alone or with letters before
_DOLLARS_TEXT = """
USD AUD CAD NZD SGD HKD TWD MXN ARS CLP COP JMD TTD BBD BSD BZD BMD KYD XCD FJD GYD LRD NAD SBD SRD
BND UYU
"""
_DOLLARS = tuple(_DOLLARS_TEXT.split())
_SIGNS: dict[str, tuple[str, ...]] = {
    "$": _DOLLARS,
    "£": ("GBP", "FKP", "GIP", "SHP", "EGP", "LBP", "SYP"),
    "€": ("EUR",),
    "¥": ("JPY", "CNY"),
    "元": ("CNY",),
    "円": ("JPY",),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "fr": ("CHF",),
    "₹": ("INR",),
    "rs": ("INR", "PKR", "LKR", "NPR", "MUR"),
    "₽": ("RUB",),
    "₩": ("KRW", "KPW"),
    "₪": ("ILS",),
    "₺": ("TRY",),
    "₴": ("UAH",),
    "₫": ("VND",),
    "฿": ("THB",),
    "₦": ("NGN",),
    "₱": ("PHP",),
    "₡": ("CRC",),
    "₵": ("GHS",),
    "₸": ("KZT",),
    "₼": ("AZN",),
    "₾": ("GEL",),
    "zł": ("PLN",),
    "kč": ("CZK",),
    "ft": ("HUF",),
    "lei": ("RON", "MDL"),
    "r": ("ZAR",),
    "r$": ("BRL",),
    "us$": ("USD",),
    "u$s": ("USD",),
    "a$": ("AUD",),
    "au$": ("AUD",),
    "c$": ("CAD",),
    "ca$": ("CAD",),
    "nz$": ("NZD",),
    "s$": ("SGD",),
    "hk$": ("HKD",),
    "nt$": ("TWD",),
    "mx$": ("MXN",),
}


@dataclass(frozen=True, slots=True)
class PrefixRange:
    """Prefixes that follow each other, of one length: E.164 digits of the first and the last."""

    first: str
    last: str

    @property
    def count(self) -> int:
        """The number of prefixes."""
        return int(self.last) - int(self.first) + 1

    def prefixes(self) -> Iterator[str]:
        """Each of them."""
        size = len(self.first)
        return (f"{number:0{size}d}" for number in range(int(self.first), int(self.last) + 1))


@dataclass(frozen=True, slots=True)
class PrefixReader:
    """Reads the prefixes of a cell, perhaps after the country code of another cell.

    `strip` and `international_prefix` are taken off the beginning of each prefix; with a
    `list_separator` nothing else separates prefixes.
    """

    strip: str = ""
    international_prefix: str = ""
    list_separator: str = ""

    def code(self, cell: str) -> str:
        """The country code of a separate cell; digits of an area may follow, as in 1876."""
        digits, _ = self._clean(_plain_text(cell))
        if not digits:
            raise ValueError("is empty: every row needs its own country_code")
        if not _DIGITS.fullmatch(digits) or calling_code(digits) is None:
            raise ValueError(f"is no country code{_why_not(digits)}")
        return digits

    def spans(self, cell: str, code: str = "") -> list[PrefixRange]:
        """The prefixes of a cell: one, a list, a range such as "431-439", a pattern such as
        "^43.*". They share one country calling code.

        After a `code`, digits are those of an area, without a trunk prefix, and an empty cell is
        the country itself.
        """
        if not code and _PLAIN_PREFIX.fullmatch(cell) and not (self.strip or self.list_separator):
            return [PrefixRange(cell, cell)]  # as most cells are
        if len(cell) > limits.DECK_CELL_CHARS_MAX:
            raise ValueError(f"has more than {limits.DECK_CELL_CHARS_MAX} characters")
        text = _SPACES.sub(" ", _plain_text(cell))
        if code and not text:
            return [PrefixRange(code, code)]
        if not self.list_separator and _is_date(text):
            raise ValueError("may be a date: a spreadsheet must treat prefixes as texts")
        ranges = [self._span(piece, code) for piece in self._pieces(_DASH.sub("-", text))]
        if not ranges:
            raise ValueError("is no prefix")
        _check_together(ranges)
        return ranges

    def _pieces(self, text: str) -> Iterator[str]:
        separator = self.list_separator
        if separator:
            yield from text.split() if separator == " " else _filled(text.split(separator))
            return
        digits = len(text) - text.count(",")
        if digits <= limits.PREFIX_DIGITS_MAX and _GROUPED_DIGITS.fullmatch(text):
            raise ValueError(f"may have a thousands separator, and {_SEVERAL}")
        for piece in _filled(_LISTS.split(text)):
            words = piece.split()
            if len(words) > 1 and not all(word.startswith("+") for word in words):
                raise ValueError(_SEVERAL)
            yield from words

    def _span(self, piece: str, code: str) -> PrefixRange:
        if code == _NORTH_AMERICA and _AREA_AND_EXCHANGE.fullmatch(piece):
            raise ValueError("may be a range of area codes, or an area code and an exchange")
        first, dash, last = piece.partition("-")
        begin = self._prefix(first, code)
        if not dash:
            return PrefixRange(begin, begin)
        end = self._prefix(last, code)
        if len(begin) != len(end) or not begin < end:
            raise ValueError("is no range of prefixes")
        span = PrefixRange(begin, end)
        if span.count > limits.DECK_PREFIXES_PER_CELL_MAX:
            raise ValueError(f"has more than {limits.DECK_PREFIXES_PER_CELL_MAX} prefixes")
        return span

    def _prefix(self, text: str, code: str) -> str:
        if len(text) > limits.NUMBER_TEXT_CHARS_MAX:
            raise ValueError("is no prefix")
        digits, is_international = self._clean(text)
        if not _DIGITS.fullmatch(digits):
            raise ValueError(f"is no prefix{_why_not(digits)}")
        if not code:
            return _without_code(digits, is_international=is_international)
        if not is_international:
            digits = _area(code, digits)
        elif not digits.startswith(code):
            raise ValueError(f"is not of the country code {code} in its row")
        if len(digits) > limits.PREFIX_DIGITS_MAX:
            raise ValueError(f"has more than {limits.PREFIX_DIGITS_MAX} digits")
        return digits

    def _clean(self, text: str) -> tuple[str, bool]:
        """The text without what marks it as a pattern or as international, and whether it is the
        latter."""
        text = _plain_text(text).removeprefix(self.strip).removeprefix("^").removeprefix("\\")
        text = _PATTERN_ENDS.sub("", text)
        if text.startswith("+"):
            return text[1:], True
        prefix = self.international_prefix
        return text.removeprefix(prefix), bool(prefix) and text.startswith(prefix)


def cell_price(text: str, currency: str, *, decimal_comma: bool) -> int:
    """Picos of a price, with or without the sign or code of its currency before or after.

    With a decimal comma, dots separate the thousands of a price that has a comma, too.
    """
    text = _plain_text(text)
    if len(text) > limits.NUMBER_TEXT_CHARS_MAX:
        raise ValueError("must be a price, not negative")
    if decimal_comma:
        if "." in text and not _THOUSANDS.fullmatch(text):
            raise ValueError("has a dot where the comma is the decimal sign")
        text = text.replace(".", "").replace(",", ".")
    elif "," in text:
        raise ValueError("has a comma: the mapping's decimal_comma can be true")
    match = _PRICE.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError("must be a price, not negative")
    for mark in (match[1], match[4]):
        if mark.strip() and not _means(mark, currency):
            raise ValueError(f"has {mark.strip()[:20]!r}, but the mapping's currency is {currency}")
    whole, fraction = (match[2] or "").lstrip("0") or "0", (match[3] or "").rstrip("0")
    return parse_price(f"{whole}.{fraction}" if fraction else whole)


def cell_factor(text: str, *, decimal_comma: bool) -> int:
    """Picos of a number that prices are multiplied by: no currency, no thousands."""
    text = _plain_text(text)
    if decimal_comma:
        if "." in text:
            raise ValueError("has a dot where the comma is the decimal sign")
        text = text.replace(",", ".")
    if not _FACTOR.fullmatch(text):
        raise ValueError("must be a number, not negative")
    whole, _, fraction = text.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return parse_price(f"{whole}.{fraction}" if fraction else whole)


def cell_seconds(text: str, least: int = 0) -> int:
    """Seconds of "60", "60s" or "1 min"."""
    match = _DURATION.fullmatch(_plain_text(text))
    if match is None:
        raise ValueError("must be whole seconds")
    seconds = int(match[1]) * (60 if (match[2] or "s").lower().startswith("m") else 1)
    if not least <= seconds <= limits.RATE_SECONDS_MAX:
        raise ValueError(f"must be {least} to {limits.RATE_SECONDS_MAX} seconds")
    return seconds


def cell_name(cell: str) -> str:
    """A name on one line. A cell of several lines is a missing quote: rows would vanish in it."""
    if "\n" in cell or "\r" in cell:
        raise ValueError("runs over the end of the line: is a quote missing?")
    return " ".join(cell.split())


@lru_cache(maxsize=_CONDITIONS_KEPT_MAX)
def cell_condition(cell: str) -> str:
    """A cell in the form for comparison with a condition: without case, surrounding space and
    invisible characters."""
    plain = unicodedata.normalize("NFKC", cell)
    seen = "".join(each for each in plain if unicodedata.category(each) != "Cf")
    return " ".join(seen.split()).casefold()


def comparable(name: str) -> str:
    """A name in the form for comparison: letters and digits, in one case, words in one order."""
    return " ".join(sorted(_NOT_IN_NAMES.sub(" ", name.casefold()).split()))


def _plain_text(cell: str) -> str:
    """The text without a spreadsheet's mark of text digits."""
    cell = cell.strip()
    match = _SPREADSHEET_TEXT.fullmatch(cell)
    return cell if match is None else (match[1] or match[2] or "").strip()


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    first, second = sorted((int(match[1]), int(match[3])))
    return 1 <= first <= _MONTHS and second <= _DAYS


def _filled(pieces: Sequence[str]) -> Iterator[str]:
    return (piece for piece in map(str.strip, pieces) if piece)


def _without_code(digits: str, *, is_international: bool) -> str:
    if digits.startswith("0"):
        way_out = (
            ""
            if is_international
            else ": the mapping's international_prefix can be taken off, or "
            "country_code can be a column"
        )
        raise ValueError(f"begins with 0, as no international number does{way_out}")
    return digits


def _area(code: str, digits: str) -> str:
    """The prefix of an area's digits after a country code: a trunk prefix is left out, and so is a
    repeated country code, where only that can begin a number."""
    readings = {code + digits}
    country = calling_code(code) or code
    trunk = national_prefix(country) if code == country else ""
    again = code.removeprefix(country)
    if digits.startswith(code):
        readings.add(digits)
    if again and digits.startswith(again):
        readings.add(country + digits)
    if trunk and digits.startswith(trunk) and digits != trunk:
        readings.add(code + digits[len(trunk) :])
        if not digits.startswith("0") and can_begin_number(code + digits):
            return code + digits  # where 8 leads out of the area, areas begin with it too
    if len(readings) == 1 and not digits.startswith("0"):
        return code + digits
    possible = [reading for reading in readings if can_begin_number(reading)]
    if len(possible) == 1:
        return possible[0]
    if len(readings) == 1:
        raise ValueError(f"begins no number after the country code {code}")
    listed = " or ".join(sorted(readings))
    raise ValueError(f"after the country code {code} may be {listed}")


def _check_together(spans: Sequence[PrefixRange]) -> None:
    """Raises ValueError unless the prefixes of a cell may share one."""
    if len(spans) == 1 and spans[0].first == spans[0].last:
        return
    codes = {calling_code(end) for span in spans for end in (span.first, span.last)}
    if len(codes) > 1 or None in codes:
        raise ValueError(
            "would be prefixes of several countries: the prefixes of a cell share one country "
            "calling code"
        )
    if sum(span.count for span in spans) > limits.DECK_PREFIXES_PER_CELL_MAX:
        raise ValueError(f"has more than {limits.DECK_PREFIXES_PER_CELL_MAX} prefixes")
    in_order = sorted(spans, key=lambda span: (len(span.first), span.first))
    for one, other in pairwise(in_order):
        if len(one.last) == len(other.first) and other.first <= one.last:
            raise ValueError(f"has the prefix {other.first} twice")
    lead = spans[0].first
    for span in spans[1:] if lead in codes else ():
        if not can_begin_number(span.first) and can_begin_number(lead + span.first):
            raise ValueError(
                f"may be {span.first}, or {lead + span.first} with the digits before it"
            )


def _why_not(digits: str) -> str:
    if _ROUNDED.fullmatch(digits):
        return ": a spreadsheet made a number of it; send it as a text"
    return ""


def _means(mark: str, currency: str) -> bool:
    """True if a sign or code is one by which a currency is written."""
    text = unicodedata.normalize("NFKC", mark).strip().casefold()
    return text == currency.casefold() or currency in _SIGNS.get(text, ())
