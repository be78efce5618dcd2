"""Scans of whole tables, and their cursors: opaque text that is valid for one table and one
condition."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from itertools import count

from shared.domain.common import limits
from shared.domain.common.opaque import from_cursor, to_cursor
from shared.ports.tables import Row, TableStore


async def scan_rows(
    tables: TableStore,
    table: str,
    where: Mapping[str, str] | None = None,
    *,
    pages_max: int | None = None,
) -> AsyncIterator[Row]:
    """The rows that equal `where`, unordered, of all pages or the first `pages_max`."""
    cursor: str | None = None
    for _ in count() if pages_max is None else range(pages_max):
        page = await tables.scan(
            table, where=where, limit=limits.TABLE_PAGE_ROWS_MAX, cursor=cursor
        )
        for row in page.rows:
            yield row
        cursor = page.cursor
        if cursor is None:
            return


def pack_cursor(
    table: str, where: Mapping[str, str] | None, position: tuple[str, str | None]
) -> str:
    """A cursor that is valid for this table and condition only."""
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
