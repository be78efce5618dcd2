"""A row as the JSON that Table storage takes, measured and checked while it is written.

It is the text that the SDK would send. The memory twin writes it too and throws it away: so both
stores refuse the same rows.
"""

import re
from binascii import b2a_base64
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii

from shared.domain.common import limits
from shared.domain.common.errors import RequestTooLarge
from shared.ports.tables import Value

_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_RESERVED = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLAIN_TYPES = frozenset({str, int, bytes, bool})
_INT64_MIN = -(2**63)
_INT64_MAX = 2**63 - 1
_INT64 = "An integer must fit into 64 bits."
_FIRST_YEAR = 1601  # Edm.DateTime starts here
# What Azure counts for a row, and for a property beside its name and its text or bytes.
_ROW_STORED_BYTES = 4
_PROPERTY_STORED_BYTES = 8 + 8


@lru_cache(maxsize=limits.TABLE_NAMES_CACHED_MAX)
def check_property(name: str) -> int:
    """The bytes that Azure counts for a property of this name in addition to its content.

    Raises ValueError for a name that no property of the product can have.
    """
    if not _PROPERTY.fullmatch(name) or name in _RESERVED:
        raise ValueError(f"No property can be called {name!r}.")
    return _PROPERTY_STORED_BYTES + 2 * len(name)


def plain(value: Value) -> Value:
    """The value as it comes back from the store: plain types, times in UTC.

    Raises TypeError and ValueError for values that the store can't hold.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("A time must carry its zone.")
        moment = value if value.tzinfo is UTC else value.astimezone(UTC)
        if moment.year < _FIRST_YEAR:
            raise ValueError(f"Times before the year {_FIRST_YEAR} can't be stored.")
        return moment
    if isinstance(value, int):
        if not _INT64_MIN <= value <= _INT64_MAX:
            raise ValueError(_INT64)
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, str):
        utf16_units(value)
        return str.__str__(value)
    if isinstance(value, bytes):
        return value
    raise TypeError(f"{type(value).__name__} is no type of a property.")


def encode_text(name: str, text: str) -> str:
    """A text property and its type in JSON. Names need no escape: they are checked."""
    escaped = encode_basestring_ascii(text)
    return f'"{name}": {escaped}, "{name}@odata.type": "Edm.String"'


def encode_row(partition: str, key: str, values: Mapping[str, Value], index: int) -> str:
    """The row as ASCII; `partition` is its property in JSON already.

    Raises RequestTooLarge beyond a limit, with `index`, the row's place in the transaction;
    ValueError and TypeError on a name or value that can't be stored. The types are tested in the
    order of their frequency: this is a commit's inner loop.
    """
    if len(values) > limits.ENTITY_PROPERTIES_MAX:
        raise RequestTooLarge(f"{len(values)} properties in one row.", index=index)
    pieces = [partition, encode_text("RowKey", key)]
    # The partition's JSON is longer than its text: this counts too much rather than too little.
    stored_bytes = _ROW_STORED_BYTES + 2 * len(partition) + 2 * utf16_units(key)
    for name, given in values.items():
        stored_bytes += check_property(name)
        value = given if type(given) in _PLAIN_TYPES else plain(given)
        if type(value) is str:
            units = len(value) if value.isascii() else utf16_units(value)
            if units > limits.TABLE_TEXT_UTF16_MAX:
                raise RequestTooLarge(f"The text {name} has {units} characters.", index=index)
            stored_bytes += 2 * units
            pieces.append(encode_text(name, value))
        elif type(value) is int:
            if not _INT64_MIN <= value <= _INT64_MAX:
                raise ValueError(_INT64)
            pieces.append(f'"{name}": "{value}", "{name}@odata.type": "Edm.Int64"')
        elif type(value) is bytes:
            data_bytes = len(value)
            if data_bytes > limits.TABLE_BINARY_BYTES_MAX:
                raise RequestTooLarge(f"The binary {name} has {data_bytes} bytes.", index=index)
            stored_bytes += data_bytes
            data = b2a_base64(value, newline=False).decode("ascii")
            pieces.append(f'"{name}": "{data}", "{name}@odata.type": "Edm.Binary"')
        elif isinstance(value, datetime):
            # `strftime` would take five times as long; the zone is UTC.
            moment = value.replace(tzinfo=None).isoformat("T", "microseconds")
            pieces.append(f'"{name}": "{moment}Z", "{name}@odata.type": "Edm.DateTime"')
        else:
            pieces.append(f'"{name}": {"true" if value else "false"}')
    if stored_bytes > limits.ENTITY_BYTES_MAX:
        raise RequestTooLarge(f"A row of {stored_bytes} bytes.", index=index)
    return f"{{{', '.join(pieces)}}}"


def utf16_units(text: str) -> int:
    """The length as Azure counts it. Raises ValueError on half a character."""
    if text.isascii():
        return len(text)
    if _SURROGATE.search(text):
        raise ValueError("Text with half of a surrogate pair can't be stored.")
    return len(text) + sum(character > "\uffff" for character in text)
