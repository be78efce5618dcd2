"""Counts of posts in table `backlog`, partition `posts|{bridge}`. A row an hour and process,
`{hour}|{process}`: its process writes the row again every few seconds while something is posted.
The row `last` has the time of the last post, `last_leg` that of the last post with a leg. Rows of
earlier days are removed when an hour begins.
"""

import asyncio
import contextlib
import json
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.adapters.bus.backlog import TABLE
from shared.domain.common import limits
from shared.domain.common.errors import PerminuteError
from shared.pacing import NO_REQUEST
from shared.ports.activity import PostCounts
from shared.ports.clock import Clock, Ids
from shared.ports.tables import Delete, TableStore, Upsert, Value

SCHEMA = 1
_LAST, _LAST_LEG = "last", "last_leg"
_HOUR = "%Y-%m-%dT%H"
_DAY = timedelta(days=1)
_log = logging.getLogger(__name__)


class TableBridgePosts:
    """Implements the port `BridgePosts` on a TableStore."""

    def __init__(self, tables: TableStore, clock: Clock, ids: Ids) -> None:
        self._tables = tables
        self._clock = clock
        self._ids = ids
        self._process = ""
        self._hours: dict[tuple[str, str], _Hour] = {}
        self._flush: asyncio.Task[None] | None = None

    def note(self, bridge: str, counts: PostCounts) -> None:
        place = bridge, self._clock.now().astimezone(UTC).strftime(_HOUR)
        if place not in self._hours and len(self._hours) >= limits.POSTS_COUNTED_BRIDGES_MAX:
            return
        self._hours.setdefault(place, _Hour()).add(counts)
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._write_soon(), context=NO_REQUEST())

    async def _write_soon(self) -> None:
        await asyncio.sleep(limits.POSTS_LINGER_SECONDS)
        await self.flush()

    async def flush(self) -> None:
        self._process = self._process or self._ids.token(limits.COMMIT_ID_BYTES)
        this_hour = self._clock.now().astimezone(UTC).strftime(_HOUR)
        for (bridge, hour), counted in list(self._hours.items()):
            try:
                await self._write(bridge, hour, counted)
            except PerminuteError as error:
                _log.warning("the posts of %s were not counted: %s", bridge, error.detail)
            else:
                if hour != this_hour:
                    self._hours.pop((bridge, hour), None)

    async def _write(self, bridge: str, hour: str, counted: "_Hour") -> None:
        if not counted.is_new:
            return
        values = counted.values()
        rows = [Upsert(f"{hour}|{self._process}", values)]
        if counted.last_post_at is not None:
            rows.append(Upsert(_LAST, {"schema": SCHEMA, "at": counted.last_post_at}))
        if counted.last_leg_at is not None:
            rows.append(Upsert(_LAST_LEG, {"schema": SCHEMA, "at": counted.last_leg_at}))
        counted.is_new = False
        try:
            await self._tables.transact(TABLE, _partition(bridge), rows)
        except PerminuteError:
            counted.is_new = True
            raise
        if not counted.is_written:
            counted.is_written = True
            await self._remove_old(bridge)

    async def _remove_old(self, bridge: str) -> None:
        before = (self._clock.now().astimezone(UTC) - 2 * _DAY).strftime(_HOUR)
        old = await self._tables.query(
            TABLE, _partition(bridge), before=before, limit=limits.TRANSACTION_OPERATIONS_MAX
        )
        if old:
            with contextlib.suppress(PerminuteError):  # another process removes them, too
                await self._tables.transact(
                    TABLE, _partition(bridge), [Delete(row.key) for row in old]
                )

    async def last_day(self, bridge: str) -> PostCounts:
        since = (self._clock.now().astimezone(UTC) - _DAY).strftime(_HOUR)
        rows = await self._tables.query(TABLE, _partition(bridge), first=since)
        last: dict[str, datetime] = {}
        sums: Counter[str] = Counter()
        ignored: Counter[str] = Counter()
        for row in rows:
            at = row.values.get("at")
            if row.key in {_LAST, _LAST_LEG}:
                if isinstance(at, datetime):
                    last[row.key] = at
                continue
            sums.update(legs=_count(row.values, "legs"), parked=_count(row.values, "parked"))
            ignored.update(json.loads(str(row.values.get("ignored") or "{}")))
        counts = sums["legs"], sums["parked"], dict(sorted(ignored.items()))
        return PostCounts(last.get(_LAST), *counts, _last_leg(last, sums))


class _Hour:
    """The counts of this process in an hour of a bridge."""

    def __init__(self) -> None:
        self.last_post_at: datetime | None = None
        self.last_leg_at: datetime | None = None
        self.is_new = True
        self.is_written = False
        self._legs = self._parked = 0
        self._ignored: Counter[str] = Counter()

    def add(self, counts: PostCounts) -> None:
        self.is_new = True
        self._legs += counts.legs
        self._parked += counts.parked
        self.last_post_at = counts.last_post_at or self.last_post_at
        if counts.legs or counts.parked:
            self.last_leg_at = counts.last_post_at or self.last_leg_at
        for reason, count in counts.ignored.items():
            name = reason[: limits.POSTS_REASON_CHARS_MAX]
            if name not in self._ignored and len(self._ignored) >= limits.POSTS_REASONS_MAX:
                name = "other"
            self._ignored[name] += count

    def values(self) -> dict[str, Value]:
        return {
            "schema": SCHEMA,
            "legs": self._legs,
            "parked": self._parked,
            "ignored": json.dumps(self._ignored),
        }


def _last_leg(last: Mapping[str, datetime], sums: Mapping[str, int]) -> datetime | None:
    """The time of the last leg. Earlier versions kept that of the last post only."""
    is_counted = sums.get("legs") or sums.get("parked")
    return last.get(_LAST_LEG) or (last.get(_LAST) if is_counted else None)


def _partition(bridge: str) -> str:
    return f"posts|{bridge}"


def _count(values: Mapping[str, Value], name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) else 0
