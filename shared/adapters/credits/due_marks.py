"""Due marks in table `due`: what the timer has to act on, written before the commit that needs it.

A mark's row key begins with its time, so that the timer reads a range, not all accounts. Accounts
are spread over a few partitions.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.domain.common import limits
from shared.domain.common.errors import RowMissing
from shared.ports.notices import DueMark
from shared.ports.tables import Delete, Operation, TableStore, Upsert

TABLE = "due"
DELIVERIES_TABLE = "deliverydue"
_TIME = "%Y%m%dT%H%M%S.%fZ"


class TableDueMarks:
    """Implements the port `DueMarks` on a TableStore."""

    def __init__(self, tables: TableStore, table: str = TABLE) -> None:
        self._tables = tables
        self._table = table

    async def mark(self, marks: Sequence[DueMark]) -> None:
        buckets: dict[str, list[Operation]] = {}
        for mark in marks:
            buckets.setdefault(_bucket(mark.account), []).append(Upsert(_key(mark), {"schema": 1}))
        for partition, operations in buckets.items():
            for start in range(0, len(operations), limits.TRANSACTION_OPERATIONS_MAX):
                part = operations[start : start + limits.TRANSACTION_OPERATIONS_MAX]
                await self._tables.transact(self._table, partition, part)

    async def due(self, now: datetime, *, limit: int) -> list[DueMark]:
        """Marks whose time has come, the oldest of each partition first."""
        found: list[DueMark] = []
        before = now.strftime(_TIME) + "}"
        for bucket in range(limits.DUE_BUCKETS):
            rows = await self._tables.query(
                self._table,
                f"{bucket:02d}",
                before=before,
                limit=limit - len(found),
            )
            found += [_mark(row.key) for row in rows]
            if len(found) >= limit:
                break
        return found

    async def clear(self, marks: Sequence[DueMark]) -> None:
        """Delete marks that were acted upon; another timer may have been faster."""
        buckets: dict[str, list[Operation]] = {}
        for mark in marks:
            buckets.setdefault(_bucket(mark.account), []).append(Delete(_key(mark)))
        for partition, operations in buckets.items():
            for start in range(0, len(operations), limits.TRANSACTION_OPERATIONS_MAX):
                part = operations[start : start + limits.TRANSACTION_OPERATIONS_MAX]
                try:
                    await self._tables.transact(self._table, partition, part)
                except RowMissing:
                    await self._clear_singly(partition, part)

    async def _clear_singly(self, partition: str, operations: Sequence[Operation]) -> None:
        for operation in operations:
            try:
                await self._tables.transact(self._table, partition, [operation])
            except RowMissing:
                continue


def _bucket(account: str) -> str:
    number = int.from_bytes(hashlib.sha256(account.encode()).digest()[:4]) % limits.DUE_BUCKETS
    return f"{number:02d}"


def _key(mark: DueMark) -> str:
    return f"{mark.at.astimezone(UTC).strftime(_TIME)}|{mark.account}|{mark.kind}"


def _mark(key: str) -> DueMark:
    time, account, kind = key.split("|")
    return DueMark(account, kind, datetime.fromisoformat(time))
