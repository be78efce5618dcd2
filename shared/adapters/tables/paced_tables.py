"""Tables whose reads are counted as work of the request that needs them (shared/pacing.py)."""

from collections.abc import Sequence
from typing import Unpack

from shared import pacing
from shared.ports.tables import Operation, Page, QueryOptions, Row, ScanOptions, TableStore


class PacedTables(TableStore):
    """Another store, of which each read is counted, and a report gives way before it."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        async with pacing.reading():
            row = await self._tables.get(table, partition, key)
        pacing.spent([row] if row else [])
        return row

    async def query(self, table: str, partition: str, **options: Unpack[QueryOptions]) -> list[Row]:
        async with pacing.reading():
            rows = await self._tables.query(table, partition, **options)
        pacing.spent(rows)
        return rows

    async def scan(self, table: str, **options: Unpack[ScanOptions]) -> Page:
        async with pacing.reading():
            page = await self._tables.scan(table, **options)
        pacing.spent(page.rows)
        return page

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        return await self._tables.transact(table, partition, operations)
