"""Tables whose reads are counted as work of the request that needs them (shared/pacing.py), and
whose bulk transactions take turns with pauses while bridges request calls."""

import asyncio
import time
from collections.abc import Sequence
from typing import Unpack

from shared import pacing
from shared.domain.common import limits
from shared.ports.tables import Operation, QueryOptions, Row, RowPage, ScanOptions, TableStore


class PacedTables(TableStore):
    """Another store. Each read is counted, and a report gives way before it. While the pace gives
    way, only a few transactions of many operations run at a time, and after each the store is free
    for a share of the time that it took."""

    def __init__(self, tables: TableStore, pace: pacing.BulkPace) -> None:
        self._tables = tables
        self._pace = pace
        self._bulk_after = 0.0
        self._bulk = asyncio.Semaphore(limits.BULK_TRANSACTIONS_AT_ONCE)

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

    async def scan(self, table: str, **options: Unpack[ScanOptions]) -> RowPage:
        async with pacing.reading():
            page = await self._tables.scan(table, **options)
        pacing.spent(page.rows)
        return page

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        if len(operations) < limits.BULK_OPERATIONS_MIN or not self._pace.gives_way:
            return await self._tables.transact(table, partition, operations)
        async with self._bulk:
            await asyncio.sleep(self._bulk_after - time.monotonic())
            began = time.monotonic()
            try:
                return await self._tables.transact(table, partition, operations)
            finally:
                ended = time.monotonic()
                pause_seconds = (ended - began) * limits.BULK_PAUSE_RATIO
                self._bulk_after = ended + min(pause_seconds, limits.BULK_PAUSE_SECONDS_MAX)
