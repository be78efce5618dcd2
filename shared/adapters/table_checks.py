"""What Table storage refuses, checked before anything is sent.

The memory twin and the adapter refuse the same things with the same errors. The emulator lets an
entity of 1.2 MiB and 1,000 properties through and answers 101 operations with garbage, so the
limits are ours to keep.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii

from shared.domain import limits
from shared.domain.errors import BadRequest, EtagMismatch, RequestTooLarge
from shared.ports import Delete, Operation, Replace, Value

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}", re.ASCII)
_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_RESERVED = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_KEY = re.compile(r"[^/\\#?\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
_ETAG = re.compile(r'W/"[\x21\x23-\x7e]{1,200}"', re.ASCII)
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_INT64_MIN = -(2**63)
_INT64_MAX = 2**63 - 1
_FIRST_YEAR = 1601  # Edm.DateTime starts here

# Upper bounds of what the envelope of a transaction and of one operation takes in bytes.
_ENVELOPE_BYTES = 512
_OPERATION_BYTES = 1_024
# Quotes, separators, `@odata.type`, the longest type name, and a number, flag or time.
_PROPERTY_BYTES = 48 + 32


def check_table(table: str) -> None:
    """Raises ValueError on a name that no table can have."""
    if not _TABLE.fullmatch(table):
        raise ValueError(f"No table can be called {table!r}.")


def storable_key(key: str) -> bool:
    """Whether a row can have this key; a read of any other finds nothing."""
    return _KEY.fullmatch(key) is not None and _utf16_units(key) <= limits.TABLE_KEY_UTF16_MAX


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
            raise ValueError("An integer must fit into 64 bits.")
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, str):
        _utf16_units(value)
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


def check_transaction(table: str, partition: str, operations: Sequence[Operation]) -> None:
    """Raises RequestTooLarge beyond a limit, EtagMismatch for what can't be an ETag, ValueError or
    TypeError on what is a mistake of ours: no operation, a row twice, a key or name that can't be
    stored."""
    check_table(table)
    if not operations:
        raise ValueError("A transaction has at least one operation.")
    if len(operations) > limits.TRANSACTION_OPERATIONS_MAX:
        raise RequestTooLarge(f"{len(operations)} operations in one transaction.")
    if len({operation.key for operation in operations}) < len(operations):
        raise ValueError("A row may be in a transaction once.")
    _check_key(partition)
    total_bytes = _ENVELOPE_BYTES
    for index, operation in enumerate(operations):
        _check_key(operation.key)
        if isinstance(operation, Replace | Delete) and operation.etag is not None:
            _check_etag(operation.etag, index)
        total_bytes += _OPERATION_BYTES + len(table) + _key_bytes(partition, operation.key)
        if not isinstance(operation, Delete):
            total_bytes += _check_values(partition, operation.key, operation.values, index)
    if total_bytes > limits.TRANSACTION_BYTES_MAX:
        raise RequestTooLarge(f"A transaction of about {total_bytes} bytes.")


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise ValueError(f"No row can have the key {key!r}.")
    if _utf16_units(key) > limits.TABLE_KEY_UTF16_MAX:
        raise RequestTooLarge("A key is too long.")


def _check_etag(etag: str, index: int) -> None:
    """What is no ETag matches no version; `*` and line breaks must not get into a header."""
    if not _ETAG.fullmatch(etag):
        raise EtagMismatch("The row has another version.", index=index)


def _check_values(partition: str, key: str, values: Mapping[str, Value], index: int) -> int:
    """An upper bound of the entity's bytes on the wire; stored bytes are counted as Azure does."""
    if len(values) > limits.ENTITY_PROPERTIES_MAX:
        raise RequestTooLarge(f"{len(values)} properties in one row.", index=index)
    wire_bytes = len(values) * _PROPERTY_BYTES
    stored_bytes = 4 + 2 * (_utf16_units(partition) + _utf16_units(key)) + 16 * len(values)
    for name, value in values.items():
        check_property(name)
        name_chars = len(name)
        wire_bytes += 2 * name_chars
        stored_bytes += 2 * name_chars
        if isinstance(value, str):
            units = _utf16_units(value)
            if units > limits.TABLE_TEXT_UTF16_MAX:
                raise RequestTooLarge(f"The text {name} has {units} characters.", index=index)
            wire_bytes += len(encode_basestring_ascii(value))
            stored_bytes += 2 * units
        elif isinstance(value, bytes):
            data_bytes = len(value)
            if data_bytes > limits.TABLE_BINARY_BYTES_MAX:
                raise RequestTooLarge(f"The binary {name} has {data_bytes} bytes.", index=index)
            wire_bytes += (data_bytes + 2) // 3 * 4
            stored_bytes += data_bytes
        else:
            plain(value)
    if stored_bytes > limits.ENTITY_BYTES_MAX:
        raise RequestTooLarge(f"A row of {stored_bytes} bytes.", index=index)
    return wire_bytes


def _key_bytes(partition: str, key: str) -> int:
    """What the keys take at most: percent-encoded in the address, escaped in the body."""
    return 12 * (len(partition.encode()) + len(key.encode()))


def _utf16_units(text: str) -> int:
    """The length as Azure counts it. Raises ValueError on half a character."""
    if text.isascii():
        return len(text)
    if _SURROGATE.search(text):
        raise ValueError("Text with half a character can't be stored.")
    return len(text) + sum(character > "\uffff" for character in text)


def pack_cursor(
    table: str, where: Mapping[str, str] | None, position: tuple[str, str | None]
) -> str:
    """A cursor that is good for this table and condition only."""
    content = json.dumps([1, _condition_digest(table, where), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def unpack_cursor(
    table: str, where: Mapping[str, str] | None, cursor: str
) -> tuple[str, str | None]:
    """Where the next page starts. Raises BadRequest on a cursor that is not ours."""
    if len(cursor) <= limits.TABLE_CURSOR_CHARS_MAX:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, RecursionError):
            content = None
        match content:
            case [1, str(digest), str(partition), str() | None as key] if (
                digest == _condition_digest(table, where)
            ):
                return partition, key
    raise BadRequest("The cursor is not one that this list gave out.", code="bad_cursor")


def _condition_digest(table: str, where: Mapping[str, str] | None) -> str:
    content = json.dumps([table, sorted((where or {}).items())])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
