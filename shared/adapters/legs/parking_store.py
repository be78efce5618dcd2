"""The parking lot in table `parked`: partition = two digits of the leg key's hash, row key = id.

An unreadable post of up to 1 MiB does not fit into one row: the last properties of its `original`
are in a second row, `{id}|more`, which never changes.
"""

import heapq
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from operator import itemgetter

from shared.adapters.tables.packing import holders, pack, read_values, row_values, unpack
from shared.adapters.tables.scans import scan_rows
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import (
    EtagMismatch,
    LedgerCorrupt,
    OutcomeUnknown,
    RowExists,
    StoreUnavailable,
)
from shared.domain.common.opaque import from_cursor, to_cursor
from shared.domain.legs.leg import leg_key_hash
from shared.domain.legs.parking import ParkedLeg, ParkStatus
from shared.pacing import yield_to_others
from shared.ports.tables import Insert, Replace, Row, TableStore, Value

TABLE = "parked"
SCHEMA = 2  # 1 has no second row
_MORE = "|more"
_ORIGINAL_PROPERTIES_MAX = 12  # of 60 KiB: with all others the row stays under 1 MiB
_ORDER = {ParkStatus.OPEN: 0, ParkStatus.DISMISSED: 1, ParkStatus.REPLAYED: 2}


class TableParkingLot:
    """Implements the port `ParkingLot` on a TableStore."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def park(self, parked: ParkedLeg) -> ParkedLeg:
        values, more = _split(_values(parked))
        rows = [Insert(parked.id, values), *([Insert(f"{parked.id}{_MORE}", more)] if more else [])]
        try:
            await self._tables.transact(TABLE, parked.id[:2], rows)
        except (RowExists, OutcomeUnknown) as error:
            present = await self.get(parked.id)
            if present is None:
                raise StoreUnavailable("It is unknown whether the leg is parked.") from error
            return present
        return parked

    async def get(self, parked_id: str) -> ParkedLeg | None:
        if not _is_id(parked_id):
            return None
        row = await self._tables.get(TABLE, parked_id[:2], parked_id)
        return await self._complete(row) if row else None

    async def of_leg(self, leg: str) -> list[ParkedLeg]:
        prefix = leg_key_hash(leg)[:32]
        rows = await self._tables.query(
            TABLE, prefix[:2], first=f"{prefix}.", before=f"{prefix}/", limit=limits.LIST_ITEMS_MAX
        )
        return [await self._complete(row) for row in rows if not row.key.endswith(_MORE)]

    async def update(self, parked: ParkedLeg, *, unpin: bool = False) -> ParkedLeg:

        def change(kept: ParkedLeg) -> ParkedLeg | None:
            if _ORDER[kept.status] > _ORDER[parked.status]:
                return None
            pin = None if unpin else kept.charged_as
            return replace(parked, charged_as=pin, announced=kept.announced)

        return await self._change(parked.id, change)

    async def pin(self, parked_id: str, leg: str) -> ParkedLeg:

        def change(kept: ParkedLeg) -> ParkedLeg | None:
            is_free = kept.charged_as is None and kept.status is ParkStatus.OPEN
            return replace(kept, charged_as=leg) if is_free else None

        return await self._change(parked_id, change)

    async def announced(self, parked_id: str) -> None:
        await self._change(parked_id, lambda kept: replace(kept, announced=True))

    async def oldest_open(self) -> datetime | None:
        oldest: datetime | None = None
        where = {"status": ParkStatus.OPEN.value}
        async for row in self._scan(where, pages=limits.PARKED_AGE_PAGES_MAX):
            received_at = parse_time(str(row.values["received_at"]))
            oldest = min(received_at, oldest or received_at)
        return oldest

    async def _change(
        self, parked_id: str, change: Callable[[ParkedLeg], ParkedLeg | None]
    ) -> ParkedLeg:
        """The stored one after `change`; None leaves it unchanged."""
        for _ in range(limits.RECORD_TRIES_MAX):
            row = await self._tables.get(TABLE, parked_id[:2], parked_id)
            if row is None:
                raise LedgerCorrupt("A parked leg is missing.")
            kept = await self._complete(row)
            changed = change(kept)
            if changed is None:
                return kept
            operation = Replace(parked_id, _split(_values(changed))[0], row.etag)
            try:
                await self._tables.transact(TABLE, parked_id[:2], [operation])
            except EtagMismatch:
                continue
            except OutcomeUnknown as unknown:
                raise StoreUnavailable("It is unknown whether the change is stored.") from unknown
            return changed
        raise StoreUnavailable("Other requests change the parked leg at the same time.")

    async def page(
        self, *, where: Mapping[str, str], limit: int, cursor: str | None
    ) -> tuple[list[ParkedLeg], str | None]:
        """Parked legs whose `account`, `reason` or `status` equal `where`, the oldest first, and
        the next cursor. Raises Invalid `cursor_invalid`.

        Rows are spread by their hash, so each page reads all that match; parked legs are few.
        """
        after = from_cursor(cursor, _position) if cursor is not None else None
        items: list[tuple[tuple[datetime, str], Row | None]] = []
        async for row in self._scan(where):
            place = parse_time(str(row.values["received_at"])), row.key
            if after is None or place > after:
                items.append((place, None if "original1" in row.values else row))  # small ones only
            if len(items) > 2 * (limit + 1):
                items = heapq.nsmallest(limit + 1, items, key=itemgetter(0))
        items = heapq.nsmallest(limit + 1, items, key=itemgetter(0))
        following = None
        if len(items) > limit:
            moment, last_id = items[limit - 1][0]
            following = to_cursor(f"{format_time(moment)}|{last_id}")
        page = [
            await (self._complete(row) if row else self.get(parked_id))
            for (_, parked_id), row in items[:limit]
        ]
        return [parked for parked in page if parked is not None], following

    async def counts(
        self, where: Mapping[str, str], accounts: Collection[str] | None = None
    ) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        async for row in self._scan(where):
            if accounts is None or row.values.get("account") in accounts:
                counts[str(row.values["reason"])] += 1
        return counts

    async def every(self, where: Mapping[str, str]) -> AsyncGenerator[ParkedLeg]:
        async for row in self._scan(where):
            yield await self._complete(row)

    async def received(self, where: Mapping[str, str], since: datetime, until: datetime) -> int:
        count = 0
        async for row in self._scan(where):
            count += since <= parse_time(str(row.values["received_at"])) < until
        return count

    async def _scan(
        self, where: Mapping[str, str], *, pages: int = limits.PARKED_PAGES_MAX
    ) -> AsyncIterator[Row]:
        """Heads of parked legs that equal `where`, unordered, of a limited number of pages."""
        async for row in scan_rows(self._tables, TABLE, where, pages_max=pages):
            if not row.key.endswith(_MORE):
                await yield_to_others()
                check_schema(row, SCHEMA)
                yield row

    async def _complete(self, row: Row) -> ParkedLeg:
        check_schema(row, SCHEMA)
        if not row.values.get("more"):
            return _read(row)
        more = await self._tables.get(TABLE, row.partition, f"{row.key}{_MORE}")
        if more is None:
            raise LedgerCorrupt("The second row of a parked leg is missing.")
        return _read(replace(row, values={**row.values, **more.values}))


def _position(text: str) -> tuple[datetime, str] | None:
    moment, _, parked_id = text.partition("|")
    return (parse_time(moment), parked_id) if _is_id(parked_id) else None


def _is_id(text: str) -> bool:
    hashes = text.split(".")
    return len(hashes) == 2 and all(len(part) == 32 and part.isalnum() for part in hashes)


def _values(parked: ParkedLeg) -> dict[str, Value]:
    values = row_values(parked, exclude={"id", "original"})
    return {"schema": SCHEMA, **values, **pack("original", parked.original)}


def _split(values: dict[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """The properties of the row and of its second one, which is empty unless it is needed."""
    held = holders("original", values)
    more = {f"original{index}" for index in range(_ORIGINAL_PROPERTIES_MAX, len(held))}
    if not more:
        return values, {}
    first = {name: value for name, value in values.items() if name not in more}
    return {**first, "more": True}, {name: values[name] for name in more}


def _read(row: Row) -> ParkedLeg:
    return read_values(
        ParkedLeg,
        row.values,
        id=row.key,
        original=unpack("original", row.values),
        announced=row.values.get("announced") is not False,
    )
