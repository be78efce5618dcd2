"""Cursors of a scan: opaque text that is good for one table and one condition."""

import hashlib
import json
from collections.abc import Mapping

from shared.domain.common.opaque import from_cursor, to_cursor


def pack_cursor(
    table: str, where: Mapping[str, str] | None, position: tuple[str, str | None]
) -> str:
    """A cursor that is good for this table and condition only."""
    content = json.dumps([1, _condition_digest(table, where), *position], separators=(",", ":"))
    return to_cursor(content)


def unpack_cursor(
    table: str, where: Mapping[str, str] | None, cursor: str
) -> tuple[str, str | None]:
    """The position at which the next page starts. Raises Invalid `cursor_invalid` for a foreign
    cursor."""
    digest = _condition_digest(table, where)

    def position(text: str) -> tuple[str, str | None] | None:
        match json.loads(text):
            case [1, str(own), str(partition), str() | None as key] if own == digest:
                return partition, key
        return None

    return from_cursor(cursor, position)


def _condition_digest(table: str, where: Mapping[str, str] | None) -> str:
    content = json.dumps([table, sorted((where or {}).items())])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
