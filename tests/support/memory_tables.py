"""In-memory implementation of the port `TableStore` for tests and the simulator."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shared.adapters.tables.entity_json import check_property, plain
from shared.adapters.tables.scans import pack_cursor, unpack_cursor
from shared.adapters.tables.validation import check_table, check_transaction
from shared.domain.common import limits
from shared.domain.common.errors import EtagMismatch, PerminuteError, RowExists, RowMissing
from shared.ports.tables import Delete, Insert, Operation, Replace, Row, RowPage, TableStore, Value

type CallKind = Literal["get", "query", "scan", "transact"]


@dataclass(slots=True)
class _Partition:
    rows: dict[str, Row] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def put(self, row: Row) -> None:
        if row.key not in self.rows:
            insort(self.keys, row.key)
        self.rows[row.key] = row

    def drop(self, key: str) -> None:
        del self.rows[key]
        del self.keys[bisect_left(self.keys, key)]


@dataclass(slots=True)
class _Fault:
    kind: CallKind
    calls_left: int
    error: PerminuteError
    after: bool


class MemoryTables(TableStore):
    """Rows in this process. Every call lets other tasks run first, then happens at one instant."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, _Partition]] = {}
        self._writes = 0
        self._faults: list[_Fault] = []

    def inject(
        self,
        nth: int,
        error: PerminuteError,
        *,
        kind: CallKind = "transact",
        after: bool = False,
    ) -> None:
        """Let the nth call of this kind from now on (1 = the next) raise `error`.

        With `after` the call is carried out first, so its effect is there and its answer is lost.
        """
        if nth < 1:
            raise ValueError("Calls are counted from 1.")
        self._faults.append(_Fault(kind, nth, error, after))

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None."""
        check_table(table)
        late = await self._enter("get")
        row = self._partition(table, partition).rows.get(key)
        _raise(late)
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
        """Rows of one partition in key order, as the port says."""
        check_table(table)
        for name in (*(where or ()), *(select or ())):
            check_property(name)
        late = await self._enter("query")
        stored = self._partition(table, partition)
        start = bisect_left(stored.keys, first)
        if after is not None:
            start = max(start, bisect_right(stored.keys, after))
        end = len(stored.keys) if before is None else bisect_left(stored.keys, before)
        rows: list[Row] = []
        for at in range(start, end):
            if limit is not None and len(rows) >= limit:
                break
            row = stored.rows[stored.keys[at]]
            if where is None or _matches(row, where):
                rows.append(row if select is None else _selected(row, select))
        _raise(late)
        return rows

    async def scan(
        self,
        table: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> RowPage:
        """Rows of all partitions, a page at a time."""
        check_table(table)
        for name in where or ():
            check_property(name)
        if limit < 1:
            raise ValueError("A page has room for a row at least.")
        start = unpack_cursor(table, where, cursor) if cursor is not None else ("", "")
        late = await self._enter("scan")
        page_rows = min(limit, limits.TABLE_PAGE_ROWS_MAX)
        rows: list[Row] = []
        position: tuple[str, str] | None = None
        for row in self._rows_from(table, start[0], start[1] or ""):
            if len(rows) == page_rows:
                position = (row.partition, row.key)
                break
            if where is None or _matches(row, where):
                rows.append(row)
        _raise(late)
        return RowPage(tuple(rows), pack_cursor(table, where, position) if position else None)

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        """All of the operations, or none."""
        check_transaction(table, partition, operations)
        late = await self._enter("transact")
        stored = self._tables.setdefault(table, {}).setdefault(partition, _Partition())
        for index, operation in enumerate(operations):
            _check_condition(stored.rows.get(operation.key), operation, index)
        etags = tuple(self._apply(stored, partition, operation) for operation in operations)
        _raise(late)
        return etags

    def _apply(self, stored: _Partition, partition: str, operation: Operation) -> str:
        if isinstance(operation, Delete):
            stored.drop(operation.key)
            return ""
        self._writes += 1
        etag = f'W/"{self._writes}"'
        values: dict[str, Value] = {name: plain(value) for name, value in operation.values.items()}
        stored.put(Row(partition, operation.key, values, etag))
        return etag

    async def _enter(self, kind: CallKind) -> PerminuteError | None:
        """Raises a fault that is due before the call; returns the one that is due after it."""
        await asyncio.sleep(0)
        due: _Fault | None = None
        for fault in [fault for fault in self._faults if fault.kind == kind]:
            fault.calls_left -= 1
            if fault.calls_left == 0:
                self._faults.remove(fault)
                due = due or fault
        if due is None:
            return None
        if due.after:
            return due.error
        raise due.error

    def _partition(self, table: str, partition: str) -> _Partition:
        return self._tables.get(table, {}).get(partition) or _Partition()

    def _rows_from(self, table: str, partition: str, key: str) -> Iterator[Row]:
        partitions = self._tables.get(table, {})
        for name in sorted(name for name in partitions if name >= partition):
            stored = partitions[name]
            start = bisect_left(stored.keys, key) if name == partition else 0
            for row_key in stored.keys[start:]:
                yield stored.rows[row_key]


def _raise(error: PerminuteError | None) -> None:
    if error is not None:
        raise error


def _check_condition(row: Row | None, operation: Operation, index: int) -> None:
    match operation:
        case Insert():
            if row is not None:
                raise RowExists("The row exists already.", index=index)
        case Replace(etag=etag) | Delete(etag=etag):
            if row is None:
                raise RowMissing("The row does not exist.", index=index)
            if etag is not None and row.etag != etag:
                raise EtagMismatch("The row has another version.", index=index)


def _matches(row: Row, where: Mapping[str, str]) -> bool:
    return all(row.values.get(name) == value for name, value in where.items())


def _selected(row: Row, select: Sequence[str]) -> Row:
    values = {name: row.values[name] for name in select if name in row.values}
    return Row(row.partition, row.key, values, row.etag)
