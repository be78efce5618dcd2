"""The inbox: messages that the queue could not take, kept in table `inbox` until it can."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from itertools import batched

from shared.adapters.tables.packing import joined, split
from shared.adapters.tables.parts import write_parts
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import OutcomeUnknown, StoreUnavailable
from shared.ports.queues import Message
from shared.ports.tables import Delete, Operation, Row, TableStore, Upsert

TABLE = "inbox"

SCHEMA = 1


class TableInbox:
    """Implements the port `Inbox`; messages are spread over a few partitions by their ids."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def keep(self, messages: Sequence[Message], now: datetime) -> None:
        buckets: dict[str, dict[str, Operation]] = {}
        for message in messages:
            values = {
                "schema": SCHEMA,
                "received_at": format_time(now),
                "bridge": message.properties.get("bridge", ""),
                "attempt": message.properties.get("attempt", ""),
                **split("body", message.body),
            }
            operation = Upsert(message.message_id, values)
            buckets.setdefault(_bucket(message.message_id), {})[message.message_id] = operation
        for partition, operations in buckets.items():
            for part in batched(operations.values(), limits.INBOX_ROWS_AT_ONCE, strict=False):
                try:
                    await self._tables.transact(TABLE, partition, part)
                except OutcomeUnknown as unknown:
                    raise StoreUnavailable(
                        "It is unknown whether the legs are stored."
                    ) from unknown

    async def depth(self, *, limit: int) -> tuple[int, datetime | None]:
        count, oldest = 0, None
        for bucket in range(limits.INBOX_BUCKETS):
            rows = await self._tables.query(
                TABLE, f"{bucket:02d}", select=("received_at",), limit=limit - count
            )
            count += len(rows)
            kept = [parse_time(str(row.values["received_at"])) for row in rows]
            oldest = min([*kept, *([oldest] if oldest else [])], default=None)
            if count >= limit:
                break
        return count, oldest

    async def waiting(self, *, limit: int) -> list[Message]:
        messages: list[Message] = []
        for bucket in range(limits.INBOX_BUCKETS):
            if len(messages) >= limit:
                break
            rows = await self._tables.query(TABLE, f"{bucket:02d}", limit=limit - len(messages))
            messages += [_read(row) for row in rows]
        return messages

    async def sent(self, message: Message) -> None:
        """Take one out; another timer may have been faster."""
        key = message.message_id
        await write_parts(self._tables, TABLE, _bucket(key), [Delete(key)])


def _bucket(message_id: str) -> str:
    number = int.from_bytes(hashlib.sha256(message_id.encode()).digest()[:4])
    return f"{number % limits.INBOX_BUCKETS:02d}"


def _read(row: Row) -> Message:
    check_schema(row, SCHEMA)
    return Message(
        message_id=row.key,
        body=joined("body", row.values),
        properties={
            "bridge": str(row.values["bridge"]),
            "attempt": str(row.values["attempt"]),
        },
    )
