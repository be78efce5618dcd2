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

from shared.domain import limits
from shared.domain.errors import RequestTooLarge
from shared.ports import Value

_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_RESERVED = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLAIN_TYPES = frozenset({str, int, bytes, bool})
_INT64_MIN = -(2**63)
_INT64_MAX = 2**63 - 1
_INT64 = "An integer must fit into 64 bits."
_FIRST_YEAR = 1601  # Edm.DateTime starts here
# What Azure counts for a row, and for a property beside its name and content.
_ROW_STORED_BYTES = 4
_PROPERTY_STORED_BYTES = 8 + 8


@lru_cache(maxsize=limits.TABLE_NAMES_CACHED_MAX)
def check_property(name: str) -> None:
    """Raises ValueError on a name that no property of ours can have."""
    if not _PROPERTY.fullmatch(name) or name in _RESERVED:
        raise ValueError(f"No property can be called {name!r}.")


def plain(value: Value) -> Value:
    """The value as it comes back from the store: plain types, times in UTC.

    Raises TypeError and ValueError on what the store can't hold.
    """
    if isinstance(value, int):
        if not _INT64_MIN <= value <= _INT64_MAX:
            raise ValueError(_INT64)
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, str):
        utf16_units(value)
        return str.__str__(value)
    if isinstance(value, bytes):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("A time must carry its zone.")
        moment = value if value.tzinfo is UTC else value.astimezone(UTC)
        if moment.year < _FIRST_YEAR:
            raise ValueError(f"Times before the year {_FIRST_YEAR} can't be stored.")
        return moment
    raise TypeError(f"{type(value).__name__} is no type of a property.")


def encode_row(partition: str, key: str, values: Mapping[str, Value], index: int) -> str:
    """The row as ASCII. `index` is its place in the transaction, for the error.

    Raises RequestTooLarge beyond a limit; ValueError and TypeError on a name or value that can't be
    stored. The types are tested in the order of their frequency: this is a commit's inner loop.
    """
    if len(values) > limits.ENTITY_PROPERTIES_MAX:
        raise RequestTooLarge(f"{len(values)} properties in one row.", index=index)
    pieces = [_text("PartitionKey", partition), _text("RowKey", key)]
    units = utf16_units(partition) + utf16_units(key)
    data_bytes = 0
    for name, given in values.items():
        check_property(name)
        value = given if type(given) in _PLAIN_TYPES else plain(given)
        if type(value) is str:
            text_units = utf16_units(value)
            if text_units > limits.TABLE_TEXT_UTF16_MAX:
                raise RequestTooLarge(f"The text {name} has {text_units} characters.", index=index)
            units += text_units
            pieces.append(_text(name, value))
        elif type(value) is int:
            if not _INT64_MIN <= value <= _INT64_MAX:
                raise ValueError(_INT64)
            pieces.append(f'"{name}": "{value}", "{name}@odata.type": "Edm.Int64"')
        elif type(value) is bytes:
            if len(value) > limits.TABLE_BINARY_BYTES_MAX:
                raise RequestTooLarge(f"The binary {name} has {len(value)} bytes.", index=index)
            data_bytes += len(value)
            data = b2a_base64(value, newline=False).decode("ascii")
            pieces.append(f'"{name}": "{data}", "{name}@odata.type": "Edm.Binary"')
        elif isinstance(value, datetime):
            # `isoformat` is five times as fast as `strftime`; the zone is UTC and is cut off.
            moment = value.isoformat(timespec="microseconds")[:26]
            pieces.append(f'"{name}": "{moment}Z", "{name}@odata.type": "Edm.DateTime"')
        else:
            pieces.append(f'"{name}": {"true" if value else "false"}')
    units += sum(map(len, values))
    stored_bytes = _ROW_STORED_BYTES + len(values) * _PROPERTY_STORED_BYTES + 2 * units + data_bytes
    if stored_bytes > limits.ENTITY_BYTES_MAX:
        raise RequestTooLarge(f"A row of {stored_bytes} bytes.", index=index)
    return f"{{{', '.join(pieces)}}}"


def _text(name: str, text: str) -> str:
    escaped = encode_basestring_ascii(text)
    return f'"{name}": {escaped}, "{name}@odata.type": "Edm.String"'


def utf16_units(text: str) -> int:
    """The length as Azure counts it. Raises ValueError on half a character."""
    if text.isascii():
        return len(text)
    if _SURROGATE.search(text):
        raise ValueError("Text with half a character can't be stored.")
    return len(text) + sum(character > "\uffff" for character in text)
