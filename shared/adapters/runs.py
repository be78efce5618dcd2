"""The last success of each timer and of the last charge: table `backlog`, partition `runs`, a row a
name."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.adapters.bus.backlog import TABLE
from shared.domain.common import limits
from shared.domain.common.errors import PerminuteError, RowExists
from shared.ports.activity import BEGINNING
from shared.ports.clock import Clock
from shared.ports.tables import Insert, TableStore, Upsert, Value

PARTITION = "runs"
SCHEMA = 1
_PAUSE = timedelta(seconds=limits.BACKLOG_WRITE_SECONDS)
_log = logging.getLogger(__name__)


class TableRuns:
    """Implements the port `Runs`; a process writes a name's row at most every 5 s."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._noted: dict[str, datetime] = {}
        self._has_begun = False

    async def note(self, name: str) -> None:
        now = self._clock.now()
        if name in self._noted and now - self._noted[name] < _PAUSE:
            return
        values: dict[str, Value] = {"schema": SCHEMA, "at": now}
        try:
            await self._tables.transact(TABLE, PARTITION, [Upsert(name, values)])
            self._noted[name] = now
            if not self._has_begun:
                await self._tables.transact(TABLE, PARTITION, [Insert(BEGINNING, values)])
                self._has_begun = True
        except RowExists:
            self._has_begun = True
        except PerminuteError as error:
            _log.warning("the run of %s was not noted: %s", name, error.detail)

    async def last(self) -> Mapping[str, datetime]:
        rows = await self._tables.query(TABLE, PARTITION)
        return {row.key: at for row in rows if isinstance(at := row.values.get("at"), datetime)}
