"""Due marks in table `due`: what the timer has to act on, written before the commit that needs it.

A mark's row key begins with its time, so that the timer reads a range, not all accounts. Accounts
are spread over a few partitions.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.adapters.tables.parts import write_parts
from shared.domain.common import limits
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
        await self._write([(mark.account, Upsert(_key(mark), {"schema": 1})) for mark in marks])

    async def due(self, now: datetime, *, limit: int) -> list[DueMark]:
        """Marks whose time has come, the oldest of each partition first."""
        marks: list[DueMark] = []
        before = now.strftime(_TIME) + "}"
        for bucket in range(limits.DUE_BUCKETS):
            rows = await self._tables.query(
                self._table,
                f"{bucket:02d}",
                before=before,
                limit=limit - len(marks),
            )
            marks += [_mark(row.key) for row in rows]
            if len(marks) >= limit:
                break
        return marks

    async def clear(self, marks: Sequence[DueMark]) -> None:
        """Delete marks that were acted upon; another timer may have been faster."""
        await self._write([(mark.account, Delete(_key(mark))) for mark in marks])

    async def _write(self, changes: Sequence[tuple[str, Operation]]) -> None:
        buckets: dict[str, list[Operation]] = {}
        for account, operation in changes:
            buckets.setdefault(_bucket(account), []).append(operation)
        for partition, operations in buckets.items():
            await write_parts(self._tables, self._table, partition, operations)


def _bucket(account: str) -> str:
    number = int.from_bytes(hashlib.sha256(account.encode()).digest()[:4]) % limits.DUE_BUCKETS
    return f"{number:02d}"


def _key(mark: DueMark) -> str:
    return f"{mark.at.astimezone(UTC).strftime(_TIME)}|{mark.account}|{mark.kind}"


def _mark(key: str) -> DueMark:
    time, account, kind = key.split("|")
    return DueMark(account, kind, datetime.fromisoformat(time))
