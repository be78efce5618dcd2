"""Denied calls in table `notices`, partition = account, row key `denial|{time}|{id}`.

Times count down, so that the newest comes first. Calls are noted in memory and written together,
`DENIALS_LINGER_SECONDS` later: a denial waits for no write. At most `DENIALS_WAITING_MAX` calls
wait; further ones, and those that storage does not take in `DENIALS_TRIES_MAX` tries, are lost and
logged.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched

from shared.adapters.tables.packing import read_values, row_values
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.errors import OutcomeUnknown, PerminuteError
from shared.domain.dial_out.denied_calls import DeniedCall
from shared.pacing import NO_REQUEST
from shared.ports.denials import DenialFilter
from shared.ports.tables import Delete, Operation, Row, TableStore, Upsert, Value
from shared.telemetry import event

TABLE = "notices"
SCHEMA = 1
FIRST, BEFORE = "denial|", "denial}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_TOP = 10**16


class TableDenials:
    """Implements the port `Denials` on a TableStore."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables
        self._waiting: deque[tuple[str, DeniedCall]] = deque()
        self._lost = 0
        self._writing = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None

    def note(self, account: str, denied: DeniedCall) -> None:
        if len(self._waiting) >= limits.DENIALS_WAITING_MAX:
            self._lost += 1
            return
        self._waiting.append((account, denied))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_later(), context=NO_REQUEST())

    async def flush(self) -> None:
        await self._write_waiting()

    async def page(
        self, account: str, filters: DenialFilter, *, limit: int, after: str | None
    ) -> tuple[Sequence[DeniedCall], str | None]:
        await self._write_waiting()
        where = {"reason": filters.reason, "organizer": filters.organizer}
        rows = await self._tables.query(
            TABLE,
            account,
            first=f"{_prefix(filters.until - timedelta(microseconds=1))}|",
            after=after,
            before=f"{_prefix(filters.since)}}}",
            where={name: text for name, text in where.items() if text is not None},
            limit=limit + 1,
        )
        following = rows[limit - 1].key if len(rows) > limit else None
        return [_read(row) for row in rows[:limit]], following

    async def forget(self, account: str, before: datetime) -> int:
        count = 0
        while True:
            rows = await self._tables.query(
                TABLE,
                account,
                first=f"{_prefix(before - timedelta(microseconds=1))}|",
                before=BEFORE,
                limit=limits.TRANSACTION_OPERATIONS_MAX,
            )
            if not rows:
                return count
            await self._tables.transact(TABLE, account, [Delete(row.key) for row in rows])
            count += len(rows)

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(limits.DENIALS_LINGER_SECONDS)
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        async with self._writing:
            await self._write_all()

    async def _write_all(self) -> None:
        by_account: dict[str, dict[str, Operation]] = defaultdict(dict)
        while self._waiting:
            account, denied = self._waiting.popleft()
            row = Upsert(f"{_prefix(denied.at)}|{denied.id}", _values(denied))
            by_account[account][row.key] = row
        for account, rows in by_account.items():
            for part in batched(rows.values(), limits.TRANSACTION_OPERATIONS_MAX, strict=False):
                await self._write(account, part)
        if self._lost:
            event("denials_lost", level=logging.WARNING, denials=self._lost)
            self._lost = 0

    async def _write(self, account: str, rows: Sequence[Operation]) -> None:
        for tries in range(1, limits.DENIALS_TRIES_MAX + 1):
            try:
                await self._tables.transact(TABLE, account, rows)
            except (OutcomeUnknown, PerminuteError):  # an upsert may be written twice
                if tries < limits.DENIALS_TRIES_MAX:
                    await asyncio.sleep(limits.DENIALS_LINGER_SECONDS * tries)
            else:
                return
        self._lost += len(rows)


def _prefix(moment: datetime) -> str:
    return f"{FIRST}{_KEY_TOP - (moment - _EPOCH) // timedelta(microseconds=1):016}"


def _values(denied: DeniedCall) -> dict[str, Value]:
    return {"schema": SCHEMA, **row_values(denied, exclude={"id"}), "at": denied.at}


def _read(row: Row) -> DeniedCall:
    check_schema(row, SCHEMA)
    at = row.values["at"]
    assert isinstance(at, datetime), "a time is stored as one"
    return read_values(DeniedCall, row.values, id=row.key.rsplit("|", 1)[1], at=at)
