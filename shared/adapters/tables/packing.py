"""Content in a row: canonical JSON, as text while it is short, else deflated in binary properties
of at most 60 KiB. Compressing short content would cost more time than the bytes are worth."""

import json
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import cache, wraps
from types import NoneType
from typing import Any, Concatenate, get_args, get_type_hints

from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.documents import from_document, to_document
from shared.domain.common.errors import LedgerCorrupt
from shared.ports.tables import Row, Value


def pack(name: str, content: object) -> dict[str, Value]:
    """The property `name`, or the properties `{name}0`, `{name}1`, … that hold the content."""
    return pack_json(name, canonical_json(content))


def pack_json(name: str, data: bytes) -> dict[str, Value]:
    """As `pack`, of content that is canonical JSON already."""
    if len(data) <= limits.PACKED_TEXT_BYTES_MAX:
        return {name: data.decode()}
    return split(name, zlib.compress(data, 6))


def split(name: str, data: bytes) -> dict[str, Value]:
    """Properties `{name}0`, `{name}1`, … that hold the bytes as they are."""
    size = limits.PROPERTY_BINARY_BYTES_MAX
    return {
        f"{name}{index}": data[start : start + size]
        for index, start in enumerate(range(0, len(data) or 1, size))
    }


def joined(name: str, values: Mapping[str, Value]) -> bytes:
    """The bytes that `split` laid out; empty when the property is not there."""
    parts: list[bytes] = []
    while isinstance(part := values.get(f"{name}{len(parts)}"), bytes):
        parts.append(part)
    return b"".join(parts)


def unpack(name: str, values: Mapping[str, Value]) -> object:
    """The content that `pack` stored. Raises zlib.error or ValueError when it was tampered with."""
    text = values.get(name)
    if isinstance(text, str):
        return json.loads(text)
    return json.loads(inflated(joined(name, values)))


def inflated(data: bytes) -> bytes:
    """The decompressed content. Raises zlib.error when it was cut, changed or appended to."""
    stream = zlib.decompressobj()
    content = stream.decompress(data)
    if not stream.eof or stream.unused_data:
        raise zlib.error("the deflated content does not end where it should")
    return content


def holders(name: str, values: Mapping[str, Value]) -> set[str]:
    """The names of the properties that hold the content `name`."""
    if isinstance(values.get(name), str):
        return {name}
    held: set[str] = set()
    while isinstance(values.get(part := f"{name}{len(held)}"), bytes):
        held.add(part)
    return held


def without(name: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """The properties less those that hold the content `name`."""
    return {
        each: value
        for each, value in values.items()
        if each != name and not (each.startswith(name) and each.removeprefix(name).isdigit())
    }


def row_values(fact: Any, *, exclude: Collection[str] = ()) -> dict[str, Value]:
    """The properties of a row with the fields of a dataclass, without those in `exclude`: times and
    enumerations as text, "" in place of None."""
    document = to_document(fact, exclude=exclude)
    return {name: "" if value is None else value for name, value in document.items()}


def read_values[Fact](kind: type[Fact], values: Mapping[str, Value], **given: Any) -> Fact:
    """The dataclass that `row_values` wrote, with the fields in `given` added to the row's."""
    plain: Any = kind
    optional = _optional(plain)
    document = {
        name: None if value == "" and name in optional else value for name, value in values.items()
    }
    return from_document(kind, document, **given)


@cache
def _optional(kind: Any) -> frozenset[str]:
    """The fields that may be None."""
    hints = get_type_hints(kind).items()
    return frozenset(name for name, hint in hints if NoneType in get_args(hint))


def fails_closed[**More, Read](
    schema: int,
) -> Callable[
    [Callable[Concatenate[Row, More], Read]],
    Callable[Concatenate[Row, More], Read],
]:
    """A decorator of readers of ledger rows of schemas up to a number. Raises LedgerCorrupt for
    others, and for unreadable content."""

    def reader(
        read: Callable[Concatenate[Row, More], Read],
    ) -> Callable[Concatenate[Row, More], Read]:
        @wraps(read)
        def reading(row: Row, /, *args: More.args, **kwargs: More.kwargs) -> Read:
            check_schema(row, schema)
            try:
                return read(row, *args, **kwargs)
            except (zlib.error, ValueError, LookupError, TypeError, AttributeError) as error:
                raise LedgerCorrupt(f"Row {row.key} can't be read: {error!r}.") from error

        return reading

    return reader
