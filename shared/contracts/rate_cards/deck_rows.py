"""The rows of a deck, one after the other: fields by column name, and the position of the row."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import NamedTuple, Protocol

from shared.domain.common import limits
from shared.domain.common.counts import counted
from shared.domain.common.errors import BadRequest, FieldError, Invalid, TooLarge
from shared.domain.common.strict_json import load_items

DECK, RECORDS = "deck", "file"
_MAPPED = frozenset({DECK, RECORDS})
ENCODINGS = ("utf-8", "utf-16", "cp1252")
DELIMITERS = (",", ";", "\t", "|")
_NOTHING: Mapping[str, str] = {}
_COLUMNS_SHOWN_MAX = 30


class DeckRow(NamedTuple):
    """A row: `place` is a pointer such as `/lines/7`, `problem` why it has no fields.

    `not_text` names by column a JSON value that is neither a text nor a whole number.
    """

    place: str
    fields: Mapping[str, str]
    problem: str = ""
    not_text: Mapping[str, str] = _NOTHING


class CsvShape(Protocol):
    """The settings of the CSV reader in a mapping."""

    @property
    def encoding(self) -> str: ...
    @property
    def delimiter(self) -> str: ...
    @property
    def comment(self) -> str: ...


class BoundedLines:
    """The lines of a text for a CSV reader; a quote that is never closed can't gather them all.

    `row_done` is called after each row. Raises csv.Error.
    """

    def __init__(self, body: bytes, encoding: str) -> None:
        self._lines = io.TextIOWrapper(io.BytesIO(body), encoding=encoding, newline="")
        self._row_chars = 0

    def __iter__(self) -> Iterator[str]:
        most = limits.DECK_ROW_CHARS_MAX
        read_line = self._lines.readline
        while line := read_line(most + 1):
            self._row_chars += len(line)
            if self._row_chars > most:
                raise csv.Error(f"a row has more than {most} characters")
            yield line

    def row_done(self) -> None:
        """The next line begins a row."""
        self._row_chars = 0


def check_line_count(body: bytes, what: str) -> None:
    """Check the number of lines. Raises TooLarge for so many lines that most of them can only be
    empty."""
    if body.count(b"\n") > limits.DECK_LINES_MAX or body.count(b"\r") > limits.DECK_LINES_MAX:
        raise TooLarge(
            f"The {what} has more than {limits.DECK_LINES_MAX:,} lines. Send it in parts."
        )


def csv_rows(body: bytes, shape: CsvShape, needed: set[str], what: str = DECK) -> Iterator[DeckRow]:
    """The rows of a table with a header, read on demand.

    Blank lines and comments are passed over; a header may itself begin like a comment.
    Raises BadRequest when the bytes are no such table, TooLarge, Invalid when a column that is
    needed is missing or there twice.
    """
    check_line_count(body, what)
    lines = BoundedLines(body, "utf-8-sig" if shape.encoding == "utf-8" else shape.encoding)
    reader = csv.reader(lines, delimiter=shape.delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if shape.comment and header:
            header[0] = header[0].removeprefix(shape.comment).strip()
        if not 1 <= len(header) <= limits.DECK_COLUMNS_MAX:
            raise BadRequest(
                f"The header of the {what} has {len(header)} columns. "
                f"Send 1 to {limits.DECK_COLUMNS_MAX} columns."
            )
        _check_columns(header, needed, "/lines/1", what)
        line = reader.line_num + 1
        lines.row_done()
        for fields in reader:
            lines.row_done()
            place, line = f"/lines/{line}", reader.line_num + 1
            if not any(fields) or (shape.comment and fields[0].startswith(shape.comment)):
                continue
            if len(fields) > len(header) and not any(fields[len(header) :]):
                del fields[len(header) :]
            if len(fields) == len(header):
                yield DeckRow(place, dict(zip(header, fields, strict=True)))
            else:
                problem = f"has {counted(len(fields), 'field')}, the header has {len(header)}"
                yield DeckRow(place, {}, problem)
    except (csv.Error, UnicodeError) as error:
        detail = f"The {what} can't be read after line {reader.line_num}: {error}"
        if isinstance(error, UnicodeError) and what in _MAPPED:
            detail += f"; the mapping's encoding, {shape.encoding}, can be {listed(ENCODINGS)}"
        raise BadRequest(detail) from None


def json_rows(body: bytes, needed: set[str]) -> Iterator[DeckRow]:
    """The objects of a list; `a.b` is the column of a field within a field.

    Raises BadRequest when it is no list, Invalid when no object has a field that is needed.
    """
    items = load_items(body)
    first = _check_fields(items, needed)
    for at, item in enumerate(chain(first, (item for item, _ in items))):
        place = f"/{at}"
        if not isinstance(item, dict):
            yield DeckRow(place, {}, "must be an object")
            continue
        pairs = list(_flat(item, ""))
        flat = dict(pairs)
        if len(flat) < len(pairs):
            yield DeckRow(place, {}, "has one column in two ways, with a dot and as an object")
            continue
        not_text = {name: kind for name, value in flat.items() if (kind := _kind(value))}
        fields = {name: _text(value) for name, value in flat.items()}
        yield DeckRow(place, fields, "", not_text)


def _check_fields(items: Iterator[tuple[object, int]], needed: set[str]) -> list[object]:
    """The first objects that together contain each required column: most often one object.

    Raises Invalid where a column is missing.
    """
    missing = set(needed)
    seen: dict[str, None] = {}
    first: list[object] = []
    chars = 0
    for item, item_chars in islice(items, limits.DECK_FIELDS_ITEMS_MAX):
        first.append(item)
        chars += item_chars
        for name, _ in _flat(item, "") if isinstance(item, dict) else ():
            missing.discard(name)
            if len(seen) <= _COLUMNS_SHOWN_MAX:
                seen[name] = None
        if not missing or chars > limits.DECK_FIELDS_CHARS_MAX:
            break
    if missing and first:
        _check_columns([*seen, *(needed - missing)], needed, "", DECK)
    return first


def _check_columns(header: Sequence[str], needed: set[str], place: str, what: str) -> None:
    counts = Counter(header)
    names = dict.fromkeys(name for name in header if name)
    shown = ", ".join(repr(name[:80]) for name in list(names)[:_COLUMNS_SHOWN_MAX])
    more = " and others" if len(names) > _COLUMNS_SHOWN_MAX else ""
    there_are = f"; there are {shown}{more}" if shown else ""
    within = [each for each in DELIMITERS if place and len(header) == 1 and each in header[0]]
    if within and what in _MAPPED:
        there_are += f": the mapping's delimiter can be {listed(within)}"
    problems = [
        f"has the column {name[:80]!r} twice"
        if counts[name]
        else f"has no column {name[:80]!r}{there_are}"
        for name in sorted(needed)
        if (place and counts[name] != 1) or not counts[name]
    ]
    if problems:
        errors = tuple(FieldError(place, problem) for problem in problems)
        raise Invalid(f"The {what} is not valid.", errors)


def listed(options: Sequence[str]) -> str:
    """The values of an option, for a message."""
    return " or ".join(map(repr, options))


def _flat(item: Mapping[str, object], path: str) -> Iterator[tuple[str, object]]:
    for name, value in item.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _kind(value: object) -> str:
    """The type of a value that a CSV cell can't have; "" for texts, whole numbers and null."""
    if isinstance(value, bool):
        return "is true or false"
    if isinstance(value, Decimal):
        return "is a number with a point or an exponent"
    return "is a list" if isinstance(value, list) else ""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None or isinstance(value, list) else str(value)
