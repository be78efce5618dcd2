"""The age of the queue's backlog, written by the processes that read the queue for those that
expire holds.

One row: a process that debits writes the age of the oldest leg of its batch while that is over a
minute, and 0 once it is not. A value that is not repeated for some minutes counts no more.
"""

import logging
from datetime import timedelta

from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import PerminuteError
from shared.ports.clock import Clock
from shared.ports.tables import TableStore, Upsert

TABLE = "backlog"
_PARTITION = "call-ended"
_KEY = "age"
_log = logging.getLogger(__name__)


class TableBacklog:
    """Implements the port `Backlog` on a TableStore; reads and writes at most every 5 s."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        long_ago = clock.now() - timedelta(days=1)
        self._written_at, self._written_seconds = long_ago, 0
        self._read_at, self._seconds = long_ago, 0

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
