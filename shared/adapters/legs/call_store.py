"""Events of calls in table `calls`: `event|{call}|{slot}` and `due|{time}|{call}|{event}`, where
call and event are hashes and slots count from 1. A process inserts an event into the first slot
that is free as far as it knows; where another process was faster it reads the call and goes on
behind it. So a process that inserted an event knows all those before it without reading. An event
that ends a leg and its mark are one transaction: no leg waits without a mark. The marks of other
events, a day ahead, and marks that are done with are written together, a moment later: they cost
little more than none. Earlier versions kept an event under its own id in place of a slot.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import cast

from shared.adapters.tables.coalescing import Coalescer
from shared.adapters.tables.packing import pack, unpack
from shared.adapters.tables.parts import write_parts
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import (
    OutcomeUnknown,
    RowExists,
    StoreError,
    StoreUnavailable,
    Unavailable,
)
from shared.domain.legs.assembly import CallEvent
from shared.pacing import NO_REQUEST
from shared.ports.legs import DueCall, KeptEvent
from shared.ports.tables import Delete, Insert, Operation, Row, TableStore, Upsert, Value

TABLE = "calls"
SCHEMA = 2
"""1 had an event under its id in place of a slot."""
MARK_SCHEMA = 1
_EVENTS_AT_ONCE = limits.TRANSACTION_OPERATIONS_MAX // 2
_TIME = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class _StoredCall:
    """The events of a call in slots 1 to `slots`, and those of earlier versions; their ids, also
    of those whose facts are erased."""

    events: tuple[KeptEvent, ...]
    ids: frozenset[str]
    slots: int
    at: datetime

    def with_events(self, added: Sequence[KeptEvent]) -> "_StoredCall":
        """The call once these are in its next slots."""
        ids = self.ids | {each.event.id for each in added}
        return _StoredCall((*self.events, *added), ids, self.slots + len(added), self.at)


class TableCallEvents:
    """Implements the port `CallEvents` on a TableStore; calls are spread over a few partitions."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables
        self._calls: OrderedDict[str, _StoredCall] = OrderedDict()
        self._arrivals = Coalescer(self._add, items_max=lambda: _EVENTS_AT_ONCE)
        self._later: dict[tuple[str, str], dict[str, Value] | None] = {}
        self._flush: asyncio.Task[None] | None = None

    async def add(
        self, bridge: str, events: Sequence[KeptEvent]
    ) -> tuple[list[KeptEvent], frozenset[str]]:
        """Store events of one call (see the port)."""
        call = _call_key(bridge, events[0].event.call)
        results = [
            await self._arrivals.submit(call, (bridge, part))
            for part in batched(events, _EVENTS_AT_ONCE, strict=False)
        ]
        return results[-1][0], frozenset().union(*(added for _, added in results))

    async def _add(
        self, call: str, arrivals: Sequence[tuple[str, Sequence[KeptEvent]]]
    ) -> list[tuple[list[KeptEvent], frozenset[str]]]:
        """The events of a call with those that arrived, as of the write; the new ones of each
        arrival. Parts that do not fit into one transaction are written in several."""
        bridge = arrivals[0][0]
        now = arrivals[0][1][0].received_at
        distinct = {each.event.id: each for _, events in arrivals for each in events}
        stored, is_read = self._known(call, now), False
        if stored is None and any(each.event.ends for each in distinct.values()):
            stored, is_read = await self._read(call, now), True  # seldom the first of its call
        stored = stored or _StoredCall((), frozenset(), 0, now)
        added: set[str] = set()
        while fresh := [each for each in distinct.values() if each.event.id not in stored.ids]:
            part = fresh[:_EVENTS_AT_ONCE]
            if await self._insert(bridge, call, stored.slots, part):
                added |= {each.event.id for each in part}
                stored = stored.with_events(part)
            else:
                stored, is_read = await self._read(call, now), True
        if not (added or is_read):
            stored = await self._read(call, now)
        self._calls[call] = stored
        self._calls.move_to_end(call)
        if len(self._calls) > limits.CALLS_CACHED_MAX:
            self._calls.popitem(last=False)
        return [
            (list(stored.events), frozenset(each.event.id for each in events) & added)
            for _, events in arrivals
        ]

    def known(self, bridge: str, call: str, now: datetime) -> tuple[KeptEvent, ...]:
        """The events of a call as this process knows them (see the port)."""
        stored = self._known(_call_key(bridge, call), now)
        return stored.events if stored else ()

    def _known(self, call: str, now: datetime) -> "_StoredCall | None":
        """The events of a call as this process last knew them. An erasure reaches it in time."""
        cached = self._calls.get(call)
        age_max = timedelta(seconds=limits.CALL_CACHED_SECONDS)
        return cached if cached and timedelta(0) <= now - cached.at < age_max else None

    async def _read(self, call: str, now: datetime) -> "_StoredCall":
        self._calls.pop(call, None)
        rows = await self._rows(call)
        names = [(row, row.key.rpartition("|")[2]) for row in rows]
        ids = [str(row.values.get("id", name)) for row, name in names]
        slots = max((int(name) for row, name in names if "id" in row.values), default=0)
        return _StoredCall(tuple(map(_read, rows)), frozenset(ids), slots, now)

    async def _insert(
        self, bridge: str, call: str, slots: int, events: Sequence[KeptEvent]
    ) -> bool:
        operations: list[Operation] = []
        marks: dict[str, dict[str, Value]] = {}
        for slot, kept in enumerate(events, slots + 1):
            event = kept.event
            place: dict[str, Value] = {"bridge": bridge, "call": event.call}
            values = {
                **place,
                "schema": SCHEMA,
                "id": event.id,
                "leg_id": event.leg_id,
                "ends": event.ends,
                "received_at": format_time(kept.received_at),
                "due_at": format_time(kept.due_at),
                **pack("facts", event.facts),
            }
            operations.append(Insert(f"event|{call}|{slot:06d}", values))
            mark: dict[str, Value] = {**place, "schema": MARK_SCHEMA, "event": event.id}
            if event.ends:
                operations.append(Upsert(_due_key(call, kept), mark))
            else:
                marks[_due_key(call, kept)] = mark
        try:
            await self._tables.transact(TABLE, call[:1], operations)
        except RowExists:
            return False
        except OutcomeUnknown as unknown:
            self._calls.pop(call, None)
            raise StoreUnavailable("It is unknown whether the event is stored.") from unknown
        self._write_soon({(call[:1], key): values for key, values in marks.items()})
        return True

    async def of_call(self, bridge: str, call: str) -> list[KeptEvent]:
        """The events of a call, in no order."""
        return [_read(row) for row in await self._rows(_call_key(bridge, call))]

    async def _rows(self, call: str) -> list[Row]:
        return await self._tables.query(
            TABLE, call[:1], first=f"event|{call}|", before=f"event|{call}}}"
        )

    async def due(self, now: datetime, *, limit: int) -> list[DueCall]:
        """Calls with marks whose time has come."""
        calls: dict[tuple[str, str], set[str]] = {}
        before = f"due|{now.astimezone(UTC).strftime(_TIME)}}}"
        for bucket in "0123456789abcdef":
            rows = await self._tables.query(TABLE, bucket, first="due|", before=before, limit=limit)
            for row in rows:
                check_schema(row, MARK_SCHEMA)
                place = str(row.values["bridge"]), str(row.values["call"])
                calls.setdefault(place, set()).add(str(row.values["event"]))
            if len(calls) >= limit:
                break
        return [DueCall(bridge, call, frozenset(ids)) for (bridge, call), ids in calls.items()]

    def clear_soon(self, bridge: str, events: Sequence[KeptEvent]) -> None:
        """Remove the marks of events of one call within a second or so."""
        changes: dict[tuple[str, str], dict[str, Value] | None] = {}
        for each in events:
            call = _call_key(bridge, each.event.call)
            place = call[:1], _due_key(call, each)
            if self._later.pop(place, None) is None:
                changes[place] = None
        self._write_soon(changes)

    async def clear(self, bridge: str, events: Sequence[KeptEvent]) -> None:
        """Remove the marks of events of one call. Raises StoreUnavailable."""
        calls = [_call_key(bridge, each.event.call) for each in events]
        keys = [_due_key(call, each) for call, each in zip(calls, events, strict=True)]
        deletes: list[Operation] = [Delete(key) for key in keys]
        try:
            for call in set(calls):
                await write_parts(self._tables, TABLE, call[:1], deletes)
        except OutcomeUnknown as unknown:
            raise StoreUnavailable("It is unknown whether the marks are deleted.") from unknown

    def _write_soon(self, changes: Mapping[tuple[str, str], dict[str, Value] | None]) -> None:
        self._later.update(changes)
        if self._later and (self._flush is None or self._flush.done()):
            self._flush = asyncio.create_task(self._write_later(), context=NO_REQUEST())

    async def _write_later(self) -> None:
        """Write the collected counts; failed ones are tried again with the next ones."""
        await asyncio.sleep(limits.CALL_MARKS_LINGER_SECONDS)
        changes, self._later = self._later, {}
        by_partition: dict[str, list[Operation]] = {}
        for (partition, key), values in changes.items():
            operation = Delete(key) if values is None else Upsert(key, values)
            by_partition.setdefault(partition, []).append(operation)
        for partition, operations in by_partition.items():
            try:
                await write_parts(self._tables, TABLE, partition, operations)
            except (Unavailable, StoreError):
                marks = {(partition, each.key): changes[partition, each.key] for each in operations}
                self._later = {**marks, **self._later}


def _call_key(bridge: str, call: str) -> str:
    return hashlib.sha256(f"{bridge}~{call}".encode()).hexdigest()[:40]


def _due_key(call: str, kept: KeptEvent) -> str:
    return f"due|{kept.due_at.astimezone(UTC).strftime(_TIME)}|{call}|{kept.event.id[:32]}"


def _read(row: Row) -> KeptEvent:
    check_schema(row, SCHEMA)
    values = row.values
    facts = cast("dict[str, object]", unpack("facts", values))
    event = CallEvent(
        call=str(values["call"]),
        leg_id=str(values["leg_id"]),
        facts=facts,
        ends=values["ends"] is True,
    )
    return KeptEvent(
        event,
        parse_time(str(values["received_at"])),
        parse_time(str(values["due_at"])),
        erased=values.get("erased") is True,
    )
