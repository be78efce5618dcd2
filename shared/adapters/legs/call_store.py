"""Events of calls in table `calls`: `event|{call}|{event}` and `due|{time}|{call}|{event}`, where
call and event are hashes. An event and its mark are one transaction: no event waits without a mark.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from shared.adapters.tables.packing import pack, unpack
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import OutcomeUnknown, RowExists, RowMissing, StoreUnavailable
from shared.domain.legs.assembly import CallEvent
from shared.ports.calls import DueCall, KeptEvent
from shared.ports.tables import Delete, Insert, Operation, Row, TableStore, Upsert, Value

TABLE = "calls"
SCHEMA = 1
_TIME = "%Y%m%dT%H%M%S.%fZ"


class TableCallEvents:
    """Implements the port `CallEvents` on a TableStore; calls are spread over a few partitions."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

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
            operations.append(Upsert(_due_key(call, kept), {**place, "event": event.id}))
        try:
            await self._tables.transact(TABLE, call[:1], operations)
        except RowExists:
            return False
        except OutcomeUnknown as unknown:
            raise StoreUnavailable("It is not certain that the event is kept.") from unknown
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

    async def clear(self, bridge: str, events: Sequence[KeptEvent]) -> None:
        """Remove the marks of events of one call."""
        if not events:
            return
        call = _call_key(bridge, events[0].event.call)
        keys = [_due_key(call, each) for each in events]
        for start in range(0, len(keys), limits.TRANSACTION_OPERATIONS_MAX):
            part = keys[start : start + limits.TRANSACTION_OPERATIONS_MAX]
            for group in (part, *([key] for key in part)):
                try:
                    await self._tables.transact(TABLE, call[:1], [Delete(key) for key in group])
                except RowMissing:
                    continue
                except OutcomeUnknown as unknown:
                    raise StoreUnavailable("It is not certain that marks are gone.") from unknown
                if group is part:
                    break


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
