"""Events of calls in table `calls`: `event|{call}|{event}` and `due|{time}|{call}|{event}`, where
call and event are hashes. An event that ends a leg and its mark are one transaction: no leg waits
without a mark. The marks of other events, a day ahead, and marks that are done with are written
together, a moment later: they cost little more than none.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from shared.adapters.tables.packing import pack, unpack
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import (
    OutcomeUnknown,
    RowExists,
    RowMissing,
    StoreError,
    StoreUnavailable,
    Unavailable,
)
from shared.domain.legs.assembly import CallEvent
from shared.pacing import NO_REQUEST
from shared.ports.calls import DueCall, KeptEvent
from shared.ports.tables import Delete, Insert, Operation, Row, TableStore, Upsert, Value

TABLE = "calls"
SCHEMA = 1
_TIME = "%Y%m%dT%H%M%S.%fZ"


class TableCallEvents:
    """Implements the port `CallEvents` on a TableStore; calls are spread over a few partitions."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables
        self._later: dict[tuple[str, str], dict[str, Value] | None] = {}
        self._flush: asyncio.Task[None] | None = None

    async def add(self, bridge: str, events: Sequence[KeptEvent]) -> frozenset[str]:
        """Keep events of one call; returns the ids of those that are new."""
        if not events:
            return frozenset()
        distinct = list({each.event.id: each for each in events}.values())
        call = _call_key(bridge, distinct[0].event.call)
        added: set[str] = set()
        size = limits.TRANSACTION_OPERATIONS_MAX // 2
        for start in range(0, len(distinct), size):
            part = distinct[start : start + size]
            if await self._insert(bridge, call, part):
                added |= {each.event.id for each in part}
            elif len(part) > 1:
                for each in part:
                    if await self._insert(bridge, call, [each]):
                        added.add(each.event.id)
        return frozenset(added)

    async def _insert(self, bridge: str, call: str, events: Sequence[KeptEvent]) -> bool:
        operations: list[Operation] = []
        marks: dict[str, dict[str, Value]] = {}
        for kept in events:
            event = kept.event
            place: dict[str, Value] = {"schema": SCHEMA, "bridge": bridge, "call": event.call}
            values = {
                **place,
                "leg_id": event.leg_id,
                "ends": event.ends,
                "received_at": format_time(kept.received_at),
                "due_at": format_time(kept.due_at),
                **pack("facts", event.facts),
            }
            operations.append(Insert(f"event|{call}|{event.id}", values))
            mark: dict[str, Value] = {**place, "event": event.id}
            if event.ends:
                operations.append(Upsert(_due_key(call, kept), mark))
            else:
                marks[_due_key(call, kept)] = mark
        try:
            await self._tables.transact(TABLE, call[:1], operations)
        except RowExists:
            return False
        except OutcomeUnknown as unknown:
            raise StoreUnavailable("It is not certain that the event is kept.") from unknown
        self._write_soon({(call[:1], key): values for key, values in marks.items()})
        return True

    async def of_call(self, bridge: str, call: str) -> list[KeptEvent]:
        """The events of a call, in no order."""
        key = _call_key(bridge, call)
        rows = await self._tables.query(
            TABLE, key[:1], first=f"event|{key}|", before=f"event|{key}}}"
        )
        return [_read(row) for row in rows]

    async def due(self, now: datetime, *, limit: int) -> list[DueCall]:
        """Calls with marks whose time has come."""
        found: dict[tuple[str, str], set[str]] = {}
        before = f"due|{now.astimezone(UTC).strftime(_TIME)}}}"
        for bucket in "0123456789abcdef":
            rows = await self._tables.query(TABLE, bucket, first="due|", before=before, limit=limit)
            for row in rows:
                check_schema(row, SCHEMA)
                place = str(row.values["bridge"]), str(row.values["call"])
                found.setdefault(place, set()).add(str(row.values["event"]))
            if len(found) >= limit:
                break
        return [DueCall(bridge, call, frozenset(ids)) for (bridge, call), ids in found.items()]

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
        """Remove the marks of events of one call."""
        calls = [_call_key(bridge, each.event.call) for each in events]
        keys = [_due_key(call, each) for call, each in zip(calls, events, strict=True)]
        deletes: list[Operation] = [Delete(key) for key in keys]
        try:
            for call in set(calls):
                await self._write(call[:1], deletes)
        except OutcomeUnknown as unknown:
            raise StoreUnavailable("It is not certain that marks are gone.") from unknown

    def _write_soon(self, changes: Mapping[tuple[str, str], dict[str, Value] | None]) -> None:
        self._later.update(changes)
        if self._later and (self._flush is None or self._flush.done()):
            self._flush = asyncio.create_task(self._write_later(), context=NO_REQUEST())

    async def _write_later(self) -> None:
        """Write what has gathered; what fails is tried again with the next ones."""
        await asyncio.sleep(limits.CALL_MARKS_LINGER_SECONDS)
        changes, self._later = self._later, {}
        by_partition: dict[str, list[Operation]] = {}
        for (partition, key), values in changes.items():
            operation = Delete(key) if values is None else Upsert(key, values)
            by_partition.setdefault(partition, []).append(operation)
        for partition, operations in by_partition.items():
            try:
                await self._write(partition, operations)
            except (Unavailable, StoreError):
                marks = {(partition, each.key): changes[partition, each.key] for each in operations}
                self._later = {**marks, **self._later}

    async def _write(self, partition: str, operations: Sequence[Operation]) -> None:
        """Write marks, passing over those that are gone."""
        for start in range(0, len(operations), limits.TRANSACTION_OPERATIONS_MAX):
            part = operations[start : start + limits.TRANSACTION_OPERATIONS_MAX]
            try:
                await self._tables.transact(TABLE, partition, part)
            except RowMissing:
                for each in part:
                    with contextlib.suppress(RowMissing):
                        await self._tables.transact(TABLE, partition, [each])


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
