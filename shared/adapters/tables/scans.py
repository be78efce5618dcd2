"""Scans of whole tables."""

from collections.abc import AsyncIterator, Mapping
from itertools import count

from shared.domain.common import limits
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
