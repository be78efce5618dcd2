"""The rows of a deck, one after the other: fields by column name, and where the row stands."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from shared.domain import limits
from shared.domain.errors import BadRequest, FieldError, Invalid
from shared.domain.strict_json import loads


class DeckRow(NamedTuple):
    """A row: `place` is a pointer such as `/lines/7`, `problem` why it has no fields."""

    place: str
    fields: Mapping[str, str]
    problem: str = ""


class CsvShape(Protocol):
    """What the CSV reader wants to know of a mapping."""

    @property
    def encoding(self) -> str: ...
    @property
    def delimiter(self) -> str: ...
    @property
    def comment(self) -> str: ...


def csv_rows(
    body: bytes, shape: CsvShape, needed: set[str], what: str = "deck"
) -> Iterator[DeckRow]:
    """The rows of a table with a header, read as they are asked for.

    Blank lines and comments are passed over; a header may itself begin like a comment.
    Raises BadRequest when the bytes are no such table, Invalid when a column that is needed is
    missing or there twice.
    """
    encoding = "utf-8-sig" if shape.encoding == "utf-8" else shape.encoding
    text = io.TextIOWrapper(io.BytesIO(body), encoding=encoding, newline="")
    reader = csv.reader(text, delimiter=shape.delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if shape.comment and header:
            header[0] = header[0].removeprefix(shape.comment).strip()
        if not 1 <= len(header) <= limits.DECK_COLUMNS_MAX:
            raise BadRequest(
                f"The {what} needs a header of 1 to {limits.DECK_COLUMNS_MAX} columns."
            )
        _check_columns(header, needed, "/lines/1", what)
        line = reader.line_num + 1
        for fields in reader:
            place, line = f"/lines/{line}", reader.line_num + 1
            if not any(fields) or (shape.comment and fields[0].startswith(shape.comment)):
                continue
            if len(fields) > len(header) and not any(fields[len(header) :]):
                del fields[len(header) :]
            if len(fields) == len(header):
                yield DeckRow(place, dict(zip(header, fields, strict=True)))
            else:
                problem = f"has {len(fields)} fields, the header has {len(header)}"
                yield DeckRow(place, {}, problem)
    except (csv.Error, UnicodeError) as error:
        detail = f"The {what} can't be read after line {reader.line_num}: {error}"
        raise BadRequest(detail) from None


def json_rows(body: bytes, needed: set[str]) -> Iterator[DeckRow]:
    """The objects of a list; `a.b` is the column of a field within a field.

    Raises BadRequest when it is no list, Invalid when no object has a field that is needed.
    """
    items = loads(body)
    if not isinstance(items, list):
        raise BadRequest("The deck must be a list of objects.")
    rows = [dict(_flat(item, "")) if isinstance(item, dict) else None for item in items]
    if rows:
        _check_columns(sorted({name for row in rows for name in row or ()}), needed, "", "deck")
    for at, row in enumerate(rows):
        yield DeckRow(f"/{at}", {}, "must be an object") if row is None else DeckRow(f"/{at}", row)


def _check_columns(header: Sequence[str], needed: set[str], place: str, what: str) -> None:
    counts = Counter(header)
    problems = [
        f"has {'no column' if not counts[name] else 'the column'} {name[:80]!r}"
        + (" twice" if counts[name] else "")
        for name in sorted(needed)
        if counts[name] != 1
    ]
    if problems:
        errors = tuple(FieldError(place, problem) for problem in problems)
        raise Invalid(f"The {what} is not valid.", errors)


def _flat(item: Mapping[str, object], path: str) -> Iterator[tuple[str, str]]:
    for name, value in item.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        elif isinstance(value, Decimal):
            yield f"{path}{name}", f"{value:f}"
        else:
            yield f"{path}{name}", "" if value is None else str(value)
