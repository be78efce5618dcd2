"""The last use of each API key: table `directory`, partition `api_key_use`, a row a key.

Each process writes a key's row at most once an hour, so the time is up to an hour too early.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.domain.common.errors import PerminuteError
from shared.pacing import NO_REQUEST
from shared.ports.clock import Clock
from shared.ports.tables import TableStore, Upsert

TABLE = "directory"
PARTITION = "api_key_use"
SCHEMA = 1
KEYS_REMEMBERED_MAX = 10_000
_PAUSE = timedelta(hours=1)


class TableKeyUses:
    """Implements the port `KeyUses` on a TableStore."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._noted: OrderedDict[str, datetime] = OrderedDict()
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, key_id: str) -> None:
        """The key is used now: written in the background, at most once an hour."""
        now = self._clock.now()
        last = self._noted.get(key_id)
        if last is not None and now - last < _PAUSE:
            return
        self._noted[key_id] = now
        if len(self._noted) > KEYS_REMEMBERED_MAX:
            self._noted.popitem(last=False)
        task = asyncio.create_task(self._write(key_id, now), context=NO_REQUEST())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def last(self) -> Mapping[str, datetime]:
        rows = await self._tables.query(TABLE, PARTITION)
        return {row.key: at for row in rows if isinstance(at := row.values.get("at"), datetime)}

    async def _write(self, key_id: str, now: datetime) -> None:
        try:
            row = Upsert(key_id, {"schema": SCHEMA, "at": now})
            await self._tables.transact(TABLE, PARTITION, [row])
        except PerminuteError:
            self._noted.pop(key_id, None)
