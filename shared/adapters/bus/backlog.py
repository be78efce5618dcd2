"""Two rows with which processes inform each other.

`age`: the age of the queue's backlog, for those that expire holds. A process that debits writes the
age of the oldest leg of its batch while that is over a minute, and 0 once it is not. A value that
is not repeated for some minutes counts no more.

`calls`: the time of the last request of a call, for those that debit.
"""

import asyncio
import logging
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import PerminuteError
from shared.pacing import NO_REQUEST
from shared.ports.clock import Clock
from shared.ports.tables import TableStore, Upsert

TABLE = "backlog"
_PARTITION = "call-ended"
_KEY = "age"
_CALLS_KEY = "calls"
_log = logging.getLogger(__name__)


class TableBacklog:
    """Implements the port `Backlog` on a TableStore; reads and writes at most every 5 s."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        long_ago = clock.now() - timedelta(days=1)
        self._written_at, self._written_seconds = long_ago, 0
        self._read_at, self._seconds = long_ago, 0
        self._called_at = long_ago
        self._noting: asyncio.Task[None] | None = None

    async def seen(self, oldest_seconds: float) -> None:
        age = int(oldest_seconds) if oldest_seconds >= limits.BACKLOG_SECONDS_MIN else 0
        now = self._clock.now()
        is_behind = age or self._written_seconds
        if not is_behind or (
            age and now - self._written_at < timedelta(seconds=limits.BACKLOG_WRITE_SECONDS)
        ):
            return
        row = Upsert(_KEY, {"schema": 1, "age_seconds": age, "at": format_time(now)})
        try:
            await self._tables.transact(TABLE, _PARTITION, [row])
        except PerminuteError as error:
            _log.warning("the backlog's age was not written: %s", error.detail)
            return
        self._written_at, self._written_seconds = now, age

    async def seconds(self) -> int:
        """The age of the legs that are processed now. Raises StoreUnavailable."""
        now = self._clock.now()
        if now - self._read_at >= timedelta(seconds=limits.BACKLOG_READ_SECONDS):
            self._read_at = now
            row = await self._tables.get(TABLE, _PARTITION, _KEY)
            self._seconds = 0
            if row is not None:
                at = parse_time(str(row.values["at"]))
                if now - at < timedelta(seconds=limits.BACKLOG_KEPT_SECONDS):
                    self._seconds = int(str(row.values["age_seconds"]))
        return self._seconds

    def call_requested(self) -> None:
        now = self._clock.now()
        if now - self._called_at >= timedelta(seconds=limits.BACKLOG_WRITE_SECONDS):
            self._called_at = now
            self._noting = asyncio.create_task(self._note_call(now), context=NO_REQUEST())

    async def _note_call(self, now: datetime) -> None:
        row = Upsert(_CALLS_KEY, {"schema": 1, "at": now})
        try:
            await self._tables.transact(TABLE, _PARTITION, [row])
        except PerminuteError as error:
            _log.warning("the request of a call was not noted: %s", error.detail)

    async def are_calls_requested(self) -> bool:
        row = await self._tables.get(TABLE, _PARTITION, _CALLS_KEY)
        at = row and row.values["at"]
        since = self._clock.now() - timedelta(seconds=limits.CALLS_REQUESTED_SECONDS)
        return isinstance(at, datetime) and at >= since
