"""The cells of a deck, as people and spreadsheets leave them: prefixes, prices, durations, names.

What can be read in two ways is refused: a price that may be a thousand, a prefix that may be two.
Every function raises ValueError with what is wrong.
"""

import re
from collections.abc import Callable, Iterator

from shared.domain import limits
from shared.domain.money import parse_price

_SPREADSHEET_TEXT = re.compile(r"=\"([^\"]*)\"|'(.*)")
_DASH = re.compile(r"\s*[-\u2013\u2014]\s*")
_LISTS = re.compile(r"[,;/|]+")
_PATTERN_ENDS = re.compile(r"(\.\*|\*|\.|X+|x+)\$?$", re.ASCII)
_RANGE = re.compile(r"([0-9]{1,15})-([0-9]{1,15})", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,7})(?:\.0+)?\s*(s|sec|m|min)?", re.ASCII | re.IGNORECASE)
_PRICE = re.compile(r"[$€£]?\s*([0-9]{0,10})(?:\.([0-9]*))?\s*[$€£]?", re.ASCII)
_THOUSANDS = re.compile(r"\D*[1-9][0-9]{0,2}(\.[0-9]{3})+,[0-9]*\D*", re.ASCII)
_NOT_IN_NAMES = re.compile(r"[\W_]+")


def cell_prefixes(cell: str, clean: Callable[[str], str]) -> list[str]:
    """The prefixes of a cell: one, a list, a range such as "431-439", a pattern such as "^43.*".

    `clean` is the mapping's `prefix_cleaner`. A list may be separated by spaces, unless only its
    beginning has a "+": "+44 20" is one number or two prefixes, nobody can know.
    """
    found: list[str] = []
    for piece in _pieces(_DASH.sub("-", _plain_text(cell))):
        found += _expanded(clean(piece))
        if len(found) > limits.DECK_PREFIXES_PER_CELL_MAX:
            raise ValueError(f"has more than {limits.DECK_PREFIXES_PER_CELL_MAX} prefixes")
    return found


def prefix_cleaner(strip: str, international_prefix: str) -> Callable[[str], str]:
    """What makes the digits of a prefix: without what marks it as a pattern or as international."""

    def clean(text: str) -> str:
        text = _plain_text(text).removeprefix(strip).removeprefix("^")
        text = _PATTERN_ENDS.sub("", text)
        return text[1:] if text.startswith("+") else text.removeprefix(international_prefix)

    return clean


def cell_price(text: str, *, decimal_comma: bool) -> int:
    """Picos of a price, with or without the sign of a currency.

    With a decimal comma, dots stand between thousands of a price that has a comma too.
    """
    if decimal_comma:
        if "." in text and not _THOUSANDS.fullmatch(text):
            raise ValueError("has a dot where the comma is the decimal sign")
        text = text.replace(".", "").replace(",", ".")
    match = _PRICE.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        raise ValueError("must be a price, not negative")
    whole, fraction = (match[1] or "").lstrip("0") or "0", (match[2] or "").rstrip("0")
    return parse_price(f"{whole}.{fraction}" if fraction else whole)


def cell_seconds(text: str) -> int:
    """Seconds of "60", "60s" or "1 min"."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be whole seconds")
    return int(match[1]) * (60 if (match[2] or "s").lower().startswith("m") else 1)


def cell_name(cell: str) -> str:
    """A name on one line. A cell of several lines is a missing quote: rows would vanish in it."""
    if "\n" in cell or "\r" in cell:
        raise ValueError("runs over the end of the line: is a quote missing?")
    return " ".join(cell.split())


def comparable(name: str) -> str:
    """A name as it is compared: letters and digits, in one case, words in one order."""
    return " ".join(sorted(_NOT_IN_NAMES.sub(" ", name.casefold()).split()))


def _plain_text(cell: str) -> str:
    """Without what tells a spreadsheet that digits are a text."""
    cell = cell.strip()
    match = _SPREADSHEET_TEXT.fullmatch(cell)
    return cell if match is None else (match[1] or match[2] or "").strip()


def _pieces(cell: str) -> Iterator[str]:
    lists = [text.split() for text in _LISTS.split(cell)]
    if not any(lists):
        raise ValueError(f"{cell[:40]!r} is no prefix")
    for pieces in lists:
        international = [piece.startswith("+") for piece in pieces]
        if any(international) and not all(international):
            raise ValueError(f"{' '.join(pieces)[:40]!r} may be one prefix or several")
        yield from pieces


def _expanded(text: str) -> Iterator[str]:
    """The prefixes of "431" or of "431-439"."""
    match = _RANGE.fullmatch(text)
    if match is None:
        if not _DIGITS.fullmatch(text):
            raise ValueError(f"{text[:40]!r} is no prefix")
        yield text
        return
    first, last = match[1], match[2]
    count = int(last) - int(first) + 1
    if len(first) != len(last) or not 0 < count <= limits.DECK_PREFIXES_PER_CELL_MAX:
        raise ValueError(f"{text!r} is no range of prefixes")
    for number in range(int(first), int(last) + 1):
        yield f"{number:0{len(first)}d}"
