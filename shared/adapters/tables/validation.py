"""The limits of Table storage, checked before anything is sent.

The memory twin and the adapter refuse the same things with the same errors. The emulator accepts an
entity of 1.2 MiB and 1,000 properties and answers 101 operations with garbage, so the product
checks the limits.
"""

import re
from collections.abc import Sequence

from shared.adapters.tables.entity_json import encode_row, encode_text, utf16_units
from shared.domain.common import limits
from shared.domain.common.errors import EtagMismatch, RequestTooLarge
from shared.ports.tables import Delete, Operation, Replace

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}", re.ASCII)
_KEY = re.compile(r"[^/\\#?\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
_ETAG = re.compile(r'W/"[\x21\x23-\x7e]{1,200}"', re.ASCII)

# Upper bounds of what the envelopes of a transaction and of one operation take in bytes.
_ENVELOPE_BYTES = 512
_OPERATION_BYTES = 1_024
_KEY_CHARACTER_BYTES = 12  # as percent-encoded UTF-8


def check_table(table: str) -> None:
    """Raises ValueError on a name that no table can have."""
    if not _TABLE.fullmatch(table):
        raise ValueError(f"No table can be called {table!r}.")


def storable_key(key: str) -> bool:
    """True if a row can have this key; reads of any other key are empty."""
    return _KEY.fullmatch(key) is not None and utf16_units(key) <= limits.TABLE_KEY_UTF16_MAX


def check_transaction(
    table: str, partition: str, operations: Sequence[Operation]
) -> tuple[str, ...]:
    """The rows as JSON, "" for a deletion.

    Raises RequestTooLarge beyond a limit, EtagMismatch for an impossible ETag, ValueError or
    TypeError for a programming error: no operation, a row twice, a key, name or value that can't be
    stored.
    """
    check_table(table)
    if not operations:
        raise ValueError("A transaction has at least one operation.")
    if len(operations) > limits.TRANSACTION_OPERATIONS_MAX:
        raise RequestTooLarge(f"{len(operations)} operations in one transaction.")
    if len({operation.key for operation in operations}) < len(operations):
        raise ValueError("A row may be in a transaction once.")
    _check_key(partition)
    partition_text = encode_text("PartitionKey", partition)
    contents: list[str] = []
    total_bytes = _ENVELOPE_BYTES + len(operations) * (_OPERATION_BYTES + len(table))
    for index, operation in enumerate(operations):
        key = operation.key
        _check_key(key)
        total_bytes += _KEY_CHARACTER_BYTES * (len(partition) + len(key))
        if isinstance(operation, Replace | Delete) and operation.etag is not None:
            _check_etag(operation.etag, index)
        content = (
            ""
            if isinstance(operation, Delete)
            else encode_row(partition_text, key, operation.values, index)
        )
        total_bytes += len(content)
        contents.append(content)
    if total_bytes > limits.TRANSACTION_BYTES_MAX:
        raise RequestTooLarge(f"A transaction of about {total_bytes} bytes.")
    return tuple(contents)


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise ValueError(f"No row can have the key {key!r}.")
    if utf16_units(key) > limits.TABLE_KEY_UTF16_MAX:
        raise RequestTooLarge("A key is too long.")


def _check_etag(etag: str, index: int) -> None:
    """A text that is no ETag matches no version; `*` and line breaks must not get into a header."""
    if not _ETAG.fullmatch(etag):
        raise EtagMismatch("The row has another version.", index=index)
