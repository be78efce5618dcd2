"""Alerts and recharges for display, in table `notices`, partition = account.

| row key                            | what                                                     |
| ---------------------------------- | -------------------------------------------------------- |
| `alert|{number}|{part}`            | raised `0`, reminded `1`, …, acknowledged `a`, over `o`  |
| `recharge|{number}|{commit}|{n}`   | a recharge as a commit left it; the last one is current  |

Numbers are counted down, so that the newest comes first. The publisher writes these rows from the
outbox, before the events go out and before the outbox row is deleted; each row is written with the
same content however often, so publishers may do it twice, and in any order.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from typing import Any, cast

from shared.adapters.tables.packing import pack, unpack
from shared.adapters.tables.parts import write_parts
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import RowExists
from shared.domain.common.opaque import from_cursor, to_cursor
from shared.domain.credits.alerts import ALERT_OVER, RECHARGE_CHANGED, Alert, Event
from shared.domain.credits.recharge import Recharge, read_recharge
from shared.ports.ledger import Outbox
from shared.ports.tables import Insert, Operation, Row, TableStore, Upsert, Value

TABLE = "notices"
SCHEMA = 1
_NUMBERS = 10**20 - 1


class TableNotices:
    """Implements the port `Notices` on a TableStore."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def keep(self, account: str, row: Outbox) -> None:
        operations = [
            operation
            for place, event in enumerate(row.events)
            if (operation := _operation(event, row, place))
        ]
        await write_parts(self._tables, TABLE, account, operations)

    async def alerts(
        self, account: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Alert], str | None]:
        """The newest alerts first. Raises Invalid `cursor_invalid`."""
        groups, following = await self._groups(account, "alert", limit, cursor)
        return [_alert(rows) for rows in groups], following

    async def alert(self, account: str, number: int) -> Alert | None:
        rows = await self._parts(account, "alert", number)
        return _alert(rows) if rows else None

    async def acknowledge(self, account: str, number: int, actor: str, at: datetime) -> None:
        await self._insert(account, f"{_prefix('alert', number)}|a", at, actor=actor)

    async def end(self, account: str, number: int, at: datetime) -> None:
        await self._insert(account, f"{_prefix('alert', number)}|o", at)

    async def _insert(self, account: str, key: str, at: datetime, **more: Value) -> None:
        """The first row with this key stays."""
        row = Insert(key, {"schema": SCHEMA, "at": format_time(at), **more})
        with suppress(RowExists):
            await self._tables.transact(TABLE, account, [row])

    async def recharges(
        self, account: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Recharge], str | None]:
        """The newest recharges first. Raises Invalid `cursor_invalid`."""
        groups, following = await self._groups(account, "recharge", limit, cursor)
        return [_recharge(rows) for rows in groups], following

    async def recharge(self, account: str, number: int) -> Recharge | None:
        rows = await self._parts(account, "recharge", number)
        return _recharge(rows) if rows else None

    async def _parts(self, account: str, kind: str, number: int) -> list[Row]:
        prefix = _prefix(kind, number)
        return await self._tables.query(
            TABLE, account, first=f"{prefix}|", before=f"{prefix}}}", limit=limits.NOTICE_PARTS_MAX
        )

    async def _groups(
        self, account: str, kind: str, limit: int, cursor: str | None
    ) -> tuple[list[list[Row]], str | None]:
        """The rows of the next alerts and recharges, in groups; the last group is complete."""
        key = re.compile(rf"{kind}\|[0-9]{{20}}")
        after = f"{from_cursor(cursor, key.fullmatch)[0]}}}" if cursor is not None else None
        most = (limit + 1) * limits.NOTICE_PARTS_MAX
        rows = await self._tables.query(
            TABLE, account, first=f"{kind}|", after=after, before=f"{kind}}}", limit=most
        )
        groups = [(key, list(group)) for key, group in groupby(rows, key=_thing)]
        page = groups[:limit]
        more = len(groups) > limit
        return [group for _, group in page], to_cursor(page[-1][0]) if more else None


def _operation(event: Event, row: Outbox, place: int) -> Operation | None:
    if event.type == RECHARGE_CHANGED and event.recharge is not None:
        key = f"{_prefix('recharge', event.recharge)}|{row.commit:020d}|{place:04d}"
        return Upsert(key, {"schema": SCHEMA, **pack("data", event.data)})
    if event.alert is None:
        return None
    prefix = _prefix("alert", event.alert)
    values: dict[str, Value] = {"schema": SCHEMA, "at": format_time(row.at)}
    if event.type == ALERT_OVER:
        return Upsert(f"{prefix}|o", values)
    emitted = {"type": event.type, "data": event.data, "recharge": event.recharge}
    return Upsert(f"{prefix}|{event.repeat}", values | pack("data", emitted))


def _alert(rows: Sequence[Row]) -> Alert:
    """An alert from its parts; `o` may be older than the alert that it ends."""
    parts = {row.key.rsplit("|", 1)[1]: row for row in rows}
    emitted = sorted((part for part in parts if part.isdecimal()), key=int)
    for row in rows:
        check_schema(row, SCHEMA)
    data = cast("dict[str, Any]", unpack("data", parts[emitted[-1]].values)) if emitted else {}
    seen, over = parts.get("a"), parts.get("o")
    return Alert(
        number=_NUMBERS - int(rows[0].key.split("|")[1]),
        type=data.get("type", ""),
        data=data.get("data", {}),
        recharge=data.get("recharge"),
        raised_at=_at(parts[emitted[0]]) if emitted else _at(rows[0]),
        repeats=int(emitted[-1]) if emitted else 0,
        acknowledged_at=_at(seen) if seen else None,
        acknowledged_by=str(seen.values["actor"]) if seen else None,
        over_at=_at(over) if over else None,
    )


def _recharge(rows: Sequence[Row]) -> Recharge:
    check_schema(rows[-1], SCHEMA)
    return read_recharge(cast("dict[str, Any]", unpack("data", rows[-1].values)))


def _at(row: Row) -> datetime:
    return parse_time(str(row.values["at"]))


def _prefix(kind: str, number: int) -> str:
    return f"{kind}|{_NUMBERS - number:020d}"


def _thing(row: Row) -> str:
    return "|".join(row.key.split("|")[:2])
