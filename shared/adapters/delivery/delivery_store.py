"""Deliveries in table `deliveries`, partition = account and target.

| row key                     | what                                                         |
| --------------------------- | ------------------------------------------------------------ |
| `event|{counted down}`      | a delivery with the event's body, the newest first           |
| `pending|{commit}|{n}`      | that it waits, in the order of the account's events          |
| `state`                     | who is at work here, and until when; whether it was stopped  |

Both rows of a delivery are written in one transaction, so what waits is never forgotten.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.adapters.tables.packing import joined, read_values, row_values, split
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import EtagMismatch, RowExists, RowMissing
from shared.domain.common.opaque import from_cursor, to_cursor
from shared.domain.delivery.webhooks import Delivery, DeliveryStatus, place_of
from shared.ports.clock import Ids
from shared.ports.tables import Delete, Insert, Operation, Replace, Row, TableStore, Upsert, Value

TABLE = "deliveries"
SCHEMA = 1
STATE = "state"
_COMMITS = 10**20 - 1
_NUMBERS = 10**4 - 1
_KEY = re.compile(r"event\|[0-9]{20}\|[0-9]{4}", re.ASCII)
_LEASE_ID_BYTES = 12


class TableDeliveries:
    """Implements the port `Deliveries` on a TableStore."""

    def __init__(self, tables: TableStore, ids: Ids) -> None:
        self._tables = tables
        self._ids = ids

    async def accept(self, delivery: Delivery) -> bool:
        place = place_of(delivery.event)
        operations = [
            Insert(_event_key(place), _values(delivery)),
            Insert(_pending_key(place), {"schema": SCHEMA, "event": delivery.event}),
        ]
        try:
            await self._tables.transact(TABLE, _partition(delivery), operations)
        except RowExists:
            return False
        return True

    async def waiting(self, account: str, target: str, *, limit: int) -> list[str]:
        rows = await self._tables.query(
            TABLE, f"{account}|{target}", first="pending|", before="pending}", limit=limit
        )
        return [str(row.values["event"]) for row in rows]

    async def get(self, account: str, target: str, event: str) -> Delivery | None:
        try:
            key = _event_key(place_of(event))
        except ValueError:
            return None
        row = await self._tables.get(TABLE, f"{account}|{target}", key)
        delivery = _read(account, target, row) if row else None
        return delivery if delivery and delivery.event == event else None

    async def update(self, delivery: Delivery) -> None:
        place = place_of(delivery.event)
        operations: list[Operation] = [Upsert(_event_key(place), _values(delivery))]
        if delivery.status is DeliveryStatus.PENDING:
            operations.append(
                Upsert(_pending_key(place), {"schema": SCHEMA, "event": delivery.event})
            )
        else:
            operations.append(Delete(_pending_key(place)))
        try:
            await self._tables.transact(TABLE, _partition(delivery), operations)
        except RowMissing:  # it waited no longer
            await self._tables.transact(TABLE, _partition(delivery), operations[:1])

    async def page(
        self, account: str, target: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Delivery], str | None]:
        """The newest deliveries first. Raises Invalid `cursor_invalid`."""
        rows = await self._tables.query(
            TABLE,
            f"{account}|{target}",
            first="event|",
            after=from_cursor(cursor, _KEY.fullmatch)[0] if cursor is not None else None,
            before="event}",
            limit=limit + 1,
        )
        page = rows[:limit]
        following = to_cursor(page[-1].key) if len(rows) > limit else None
        return [_read(account, target, row) for row in page], following

    async def lease(self, account: str, target: str, now: datetime) -> str | None:
        """Take the right to send, so that events are sent in order; its token, or None while
        another process has it."""
        partition = f"{account}|{target}"
        row = await self._tables.get(TABLE, partition, STATE)
        token = self._ids.token(_LEASE_ID_BYTES)
        until = format_time(now + timedelta(seconds=limits.WEBHOOK_LEASE_SECONDS))
        values: dict[str, Value] = {"schema": SCHEMA, "token": token, "until": until}
        if row is not None:
            check_schema(row, SCHEMA)
            held_until = str(row.values["until"])
            if held_until and parse_time(held_until) > now:
                return None
            values["stopped"] = row.values.get("stopped", "")
        operation = Replace(STATE, values, row.etag) if row else Insert(STATE, values)
        try:
            await self._tables.transact(TABLE, partition, [operation])
        except (RowExists, EtagMismatch, RowMissing):
            return None
        return token

    async def release(self, account: str, target: str, token: str) -> None:
        await self._set(account, target, token, stopped=None)

    async def stop(self, account: str, target: str, token: str, at: datetime) -> None:
        await self._set(account, target, token, stopped=format_time(at))

    async def stopped_at(self, account: str, target: str) -> datetime | None:
        row = await self._tables.get(TABLE, f"{account}|{target}", STATE)
        text = str(row.values.get("stopped", "")) if row else ""
        return parse_time(text) if text else None

    async def restart(self, account: str, target: str) -> None:
        partition = f"{account}|{target}"
        row = await self._tables.get(TABLE, partition, STATE)
        if row is not None and row.values.get("stopped"):
            await self._tables.transact(
                TABLE, partition, [Upsert(STATE, {**row.values, "stopped": ""})]
            )

    async def _set(self, account: str, target: str, token: str, stopped: str | None) -> None:
        partition = f"{account}|{target}"
        row = await self._tables.get(TABLE, partition, STATE)
        if row is None or row.values.get("token") != token:
            return
        values = {**row.values, "until": ""}
        if stopped is not None:
            values["stopped"] = stopped
        try:
            await self._tables.transact(TABLE, partition, [Replace(STATE, values, row.etag)])
        except (EtagMismatch, RowMissing):
            return  # our time was over


def _partition(delivery: Delivery) -> str:
    return f"{delivery.account}|{delivery.target}"


def _event_key(place: tuple[int, int]) -> str:
    commit, number = place
    return f"event|{_COMMITS - commit:020d}|{_NUMBERS - number:04d}"


def _pending_key(place: tuple[int, int]) -> str:
    commit, number = place
    return f"pending|{commit:020d}|{number:04d}"


def _values(delivery: Delivery) -> dict[str, Value]:
    return {
        "schema": SCHEMA,
        **row_values(delivery, exclude={"account", "target", "body"}),
        "answer": delivery.answer or 0,
        **split("body", delivery.body),
    }


def _read(account: str, target: str, row: Row) -> Delivery:
    check_schema(row, SCHEMA)
    values = row.values
    body, answer = joined("body", values), values["answer"] or None
    return read_values(Delivery, values, account=account, target=target, body=body, answer=answer)
