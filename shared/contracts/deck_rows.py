"""The rows of a deck, one after the other: fields by column name, and where the row stands."""

import csv
import io
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple, Protocol

from shared.domain import limits
from shared.domain.errors import BadRequest, FieldError, Invalid
from shared.domain.strict_json import loads


class DeckRow(NamedTuple):
    """A row: `place` is a pointer such as `/lines/7`."""

    place: str
    fields: Mapping[str, str]


class CsvShape(Protocol):
    """What the CSV reader wants to know of a mapping."""

    @property
    def encoding(self) -> str: ...
    @property
    def delimiter(self) -> str: ...
    @property
    def comment(self) -> str: ...


def csv_rows(body: bytes, shape: CsvShape) -> Iterator[DeckRow]:
    """The rows of a table with a header, read as they are asked for.

    Blank lines and comments are passed over; a header may itself begin like a comment.
    Raises BadRequest when the bytes are no such table, Invalid when a row is too short.
    """
    encoding = "utf-8-sig" if shape.encoding == "utf-8" else shape.encoding
    text = io.TextIOWrapper(io.BytesIO(body), encoding=encoding, newline="")
    reader = csv.reader(text, delimiter=shape.delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
        if shape.comment and header:
            header[0] = header[0].removeprefix(shape.comment).strip()
        if not 1 <= len(header) <= limits.DECK_COLUMNS_MAX:
            raise BadRequest(f"The deck needs a header of 1 to {limits.DECK_COLUMNS_MAX} columns.")
        for fields in reader:
            if not any(fields) or (shape.comment and fields[0].startswith(shape.comment)):
                continue
            place = f"/lines/{reader.line_num}"
            if len(fields) > len(header) and not any(fields[len(header) :]):
                del fields[len(header) :]
            if len(fields) != len(header):
                detail = f"has {len(fields)} fields, the header has {len(header)}"
                raise Invalid("The deck is not valid.", (FieldError(place, detail),))
            yield DeckRow(place, dict(zip(header, fields, strict=True)))
    except (csv.Error, UnicodeError) as error:
        raise BadRequest(f"The deck can't be read after line {reader.line_num}: {error}") from None


def json_rows(body: bytes) -> Iterator[DeckRow]:
    """The objects of a list; `a.b` is the column of a field within a field."""
    items = loads(body)
    if not isinstance(items, list):
        raise BadRequest("The deck must be a list of objects.")
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise Invalid("The deck is not valid.", (FieldError(f"/{at}", "must be an object"),))
        yield DeckRow(f"/{at}", dict(_flat(item, "")))


def _flat(item: Mapping[str, object], path: str) -> Iterator[tuple[str, str]]:
    for name, value in item.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        elif isinstance(value, Decimal):
            yield f"{path}{name}", f"{value:f}"
        elif value is not None:
            yield f"{path}{name}", str(value)
