"""Tables whose reads are counted as work of the request that asked for them (shared/pacing.py)."""

from collections.abc import Mapping, Sequence

from shared import pacing
from shared.ports.tables import Operation, Page, Row, TableStore


class PacedTables(TableStore):
    """Another store, of which each read is counted, and a report gives way before it."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None."""
        async with pacing.reading():
            row = await self._tables.get(table, partition, key)
        pacing.spent([row] if row else [])
        return row

    async def query(
        self,
        table: str,
        partition: str,
        *,
        first: str = "",
        after: str | None = None,
        before: str | None = None,
        where: Mapping[str, str] | None = None,
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Rows of one partition in key order."""
        async with pacing.reading():
            rows = await self._tables.query(
                table,
                partition,
                first=first,
                after=after,
                before=before,
                where=where,
                select=select,
                limit=limit,
            )
        pacing.spent(rows)
        return rows

    async def scan(
        self,
        table: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> Page:
        """Rows of all partitions, a page at a time."""
        async with pacing.reading():
            page = await self._tables.scan(table, where=where, limit=limit, cursor=cursor)
        pacing.spent(page.rows)
        return page

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        """All of the operations, or none."""
        return await self._tables.transact(table, partition, operations)
