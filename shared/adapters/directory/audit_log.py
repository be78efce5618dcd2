"""The audit log in Table storage.

A change must be logged if and only if it happened, and Table storage writes atomically only within
one partition. So a change is written twice:

1. as a row of table `directory`, in the partitions `audit|{account}` (if it has one) and `audit|*`,
   before the setting is written: an invisible proposal;
2. as a marker `~~audit|{key}` in the partition of the setting, in the very transaction that writes
   the setting.

A reader of the log shows the proposals that have their marker. A process that dies between the
two leaves a proposal without a marker: the setting was not written, and the log does not show it.
No outcome of a write needs a repair.

Keys descend with time, so the newest change comes first. Rows and markers are never changed.
"""

import heapq
import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from shared.adapters.tables.packing import pack, unpack
from shared.adapters.tables.schema import refuse_unknown
from shared.domain.common.errors import OutcomeUnknown, StoreUnavailable
from shared.domain.common.opaque import cursor_invalid
from shared.ports.audit import ACTING, Action, Actor, Change, ChangeFilter, LoggedChange
from shared.ports.clock import Clock, Ids
from shared.ports.tables import Operation, Row, TableStore, Upsert, Value

TABLE = "directory"
SCHEMA = 1
MARKERS = "~~audit|"  # behind the rows of every partition that it is written to
PARTITIONS = "audit|"
_EVERY = "*"
_KEY = re.compile(r"[0-9]{16}\|[A-Za-z0-9_-]{1,40}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_TOP = 10**16
_ID_BYTES = 9


class TableAuditLog:
    """Implements the port `AuditLog`, and gives the stores of settings what they write."""

    def __init__(self, tables: TableStore, clock: Clock, ids: Ids) -> None:
        self._tables = tables
        self._clock = clock
        self._ids = ids
        self._last_micros = 0

    async def propose(self, table: str, partition: str, changes: Sequence[Change]) -> Operation:
        """The operations of the transaction that makes the changes, in `partition` of `table`.

        Call this again for each try. The actor is `ACTING`. Raises StoreUnavailable.
        """
        actor, now = ACTING.get(), self._clock.now()
        key = f"{self._descending(now)}|{self._ids.token(_ID_BYTES)}"
        for number, change in enumerate(changes):
            values = _values(change, actor, now, (table, partition, f"{MARKERS}{key}"))
            row = Upsert(f"{key}{number}" if number else key, values)
            await self._write(f"{PARTITIONS}{_EVERY}", row)
            if change.account is not None:
                await self._write(f"{PARTITIONS}{change.account}", row)
        return Upsert(f"{MARKERS}{key}", {"schema": SCHEMA})

    async def page(
        self, filters: ChangeFilter, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[LoggedChange], str | None]:
        if cursor is not None and not _KEY.fullmatch(cursor):
            raise cursor_invalid()
        where = {"actor": filters.actor, "kind": filters.kind}
        names = sorted(set(filters.accounts)) if filters.accounts is not None else [_EVERY]
        pages = [
            await self._tables.query(
                TABLE,
                f"{PARTITIONS}{name}",
                first=f"{_descending(filters.until)}}}" if filters.until else "",
                after=cursor,
                before=f"{_descending(filters.since)}}}" if filters.since else None,
                where={name: text for name, text in where.items() if text is not None},
                limit=limit + 1,
            )
            for name in names
        ]
        rows = list(heapq.merge(*pages, key=lambda row: row.key))
        page = rows[:limit]
        made = await self._made(page)
        changes = [_read(row) for row in page if str(row.values["marker"]) in made]
        return changes, page[-1].key if len(rows) > limit else None

    async def _made(self, rows: Sequence[Row]) -> set[str]:
        """The markers of these rows that are there."""
        places: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in rows:
            table, partition, marker = (
                row.values.get(name) for name in ("table", "partition", "marker")
            )
            if not (table and partition and str(marker).startswith(MARKERS)):
                raise _unreadable(row)
            places[str(table), str(partition)].append(str(marker))
        made: set[str] = set()
        for (table, partition), markers in places.items():
            first, before = min(markers), f"{max(markers)}\x20"
            page = await self._tables.query(table, partition, first=first, before=before)
            made |= {row.key for row in page}
        return made

    async def _write(self, partition: str, row: Upsert) -> None:
        try:
            await self._tables.transact(TABLE, partition, [row])
        except OutcomeUnknown as unknown:  # the setting is not written either
            raise StoreUnavailable("The audit log does not answer.") from unknown

    def _descending(self, now: datetime) -> str:
        """The key's time: changes of one process that happen at the same instant keep their
        order."""
        micros = (now - _EPOCH) // timedelta(microseconds=1)
        self._last_micros = max(micros, self._last_micros + 1)
        return f"{_KEY_TOP - self._last_micros:016}"


def _descending(moment: datetime) -> str:
    return f"{_KEY_TOP - (moment - _EPOCH) // timedelta(microseconds=1):016}"


def _values(
    change: Change, actor: Actor, now: datetime, marker: tuple[str, str, str]
) -> dict[str, Value]:
    table, partition, key = marker
    return {
        "schema": SCHEMA,
        "at": now,
        "actor": actor.name,
        "request_id": actor.request_id or "",
        "action": change.action.value,
        "kind": change.kind,
        "key": change.key,
        "account": change.account or "",
        "table": table,
        "partition": partition,
        "marker": key,
        **pack("before", change.before),
        **pack("after", change.after),
    }


def _read(row: Row) -> LoggedChange:
    values = row.values
    refuse_unknown(row, (SCHEMA,))
    at = values.get("at")
    if not isinstance(at, datetime):
        raise _unreadable(row)
    try:
        return LoggedChange(
            at=at,
            actor=str(values["actor"]),
            request_id=str(values["request_id"]) or None,
            change=Change(
                action=Action(str(values["action"])),
                kind=str(values["kind"]),
                key=str(values["key"]),
                account=str(values["account"]) or None,
                before=cast("dict[str, Any] | None", unpack("before", values)),
                after=cast("dict[str, Any] | None", unpack("after", values)),
            ),
        )
    except (KeyError, ValueError, zlib.error) as error:
        raise _unreadable(row) from error


def _unreadable(row: Row) -> StoreUnavailable:
    return StoreUnavailable(
        f"The row {row.key} of the audit log can't be read.", code="row_unreadable"
    )
