"""Usage totals of closed days: `usage|{day}|{part}`, a few rows for each local day.

As segments and months do, they add a way to read: the journal stays, and rows that are gone are
made again. A leg that was booked on another day than its call is also counted under the day of the
call, `usage|{day of the call}|late|{day}|{part}`, so that a span of calls is one range of rows,
too. `usage|head` holds the last closed day; only days up to there are read.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from shared.adapters.ledger import bulk_reads, rows, segments
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.tables.packing import fails_closed, pack, unpack
from shared.domain.common import limits
from shared.domain.common.calendar import day_end, day_start, local_day
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.usage import (
    LINE_COLUMNS,
    Cells,
    Counted,
    UsageCell,
    UsageLines,
    UsageSpan,
    UsageTotal,
)
from shared.pacing import yield_to_others
from shared.ports.ledger import UsageDays
from shared.ports.tables import Delete, Row, TableStore, Upsert, Value

SCHEMA = 1
PREFIX = "usage|"
HEAD = "usage|head"


@dataclass(frozen=True, slots=True)
class ClosedUsage:
    """The days up to `through` are closed, in a time zone; the last one ends with commit `last`."""

    time_zone: str
    through: str
    last: int


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """A local day: its commits are those after `after` up to `last`."""

    day: str
    time_zone: str
    after: int
    last: int
    cells: Cells

    def parts(self) -> Iterator[tuple[str, Cells]]:
        """The cells of its rows, by the prefixes of their keys."""
        yield f"{PREFIX}{self.day}|", self.cells
        late: dict[str, Cells] = {}
        for cell, total in self.cells.items():
            if cell.called.day != self.day:
                late.setdefault(cell.called.day, {})[cell] = total
        for called_day, cells in sorted(late.items()):
            yield f"{PREFIX}{called_day}|late|{self.day}|", cells


async def close_days(tables: TableStore, account: str, time_zone: str, before: datetime) -> int:
    """Write the rows of days that were over before a time; the number of days. Where the account
    has another time zone than its rows, all days are closed again."""
    head = await read_head(tables, account)
    if head is not None and head.time_zone != time_zone:
        async for row in read_range(tables, account, PREFIX, "usage}"):
            await tables.transact(rows.TABLE, account, [Delete(row.key, row.etag)])
        head = None
    count = 0
    async for closed in days(tables, account, time_zone, head.last if head else 0, before=before):
        for prefix, cells in closed.parts():
            for part, values in enumerate(_values(closed, list(cells.items()))):
                key = f"{prefix}{part:03}"
                await tables.transact(rows.TABLE, account, [Upsert(key, values)])
        values = head_values(ClosedUsage(time_zone, closed.day, closed.last))
        await tables.transact(rows.TABLE, account, [Upsert(HEAD, values)])
        count += 1
        if count == limits.USAGE_DAYS_CLOSED_PER_NIGHT_MAX:
            break
    return count


async def days(
    tables: TableStore,
    account: str,
    time_zone: str,
    after: int,
    *,
    before: datetime | None = None,
    last: int | None = None,
) -> AsyncIterator[ClosedDay]:
    """The days after a commit, from the journal: those that were over `before` a time, or up to
    commit `last`. Days without commits are left out."""
    day, began, counted = "", after, Counted(time_zone)
    while commits := await segments.history(tables, account, after=after):
        for commit in commits:
            await yield_to_others()
            this = local_day(commit.at, time_zone)
            if this != day:
                if day:
                    await _resolve(tables, account, counted)
                    yield ClosedDay(day, time_zone, began, after, counted.cells)
                day, began, counted = this, after, Counted(time_zone)
            if (last is not None and commit.number > last) or (
                before is not None and day_end(this, time_zone) > before
            ):
                return
            for entry in commit.entries:
                counted.add(entry)
            after = commit.number
    if day:
        await _resolve(tables, account, counted)
        yield ClosedDay(day, time_zone, began, after, counted.cells)


async def read_days(tables: TableStore, account: str, span: UsageSpan) -> UsageDays | None:
    """The cells of a span in closed days, and the commit after which the journal goes on; None
    where the span does not begin and end with days, or the days are of another time zone."""
    head = await read_head(tables, account)
    if head is None or head.time_zone != span.time_zone:
        return None
    first, end = (local_day(each, span.time_zone) for each in (span.since, span.until))
    is_whole = day_start(end, span.time_zone) == span.until
    if day_start(first, span.time_zone) != span.since or not (is_whole or end > head.through):
        return None
    parts: list[UsageLines] = []
    until = f"{PREFIX}{end}" if is_whole else HEAD
    async for row in read_range(tables, account, f"{PREFIX}{first}", until):
        _, day, *late = row.key.split("|")
        if str(row.values.get("day")) > head.through or (
            span.by is UsageTime.BOOKED and len(late) > 1
        ):
            continue
        if not is_whole and day >= end:
            return None
        part = read_lines(row)
        parts.append(part if span.by is UsageTime.BOOKED else part.called_on(day))
        await yield_to_others()
    is_closed = span.by is UsageTime.BOOKED and span.until <= day_end(head.through, span.time_zone)
    return UsageDays(parts, None if is_closed else head.last)


async def read_head(tables: TableStore, account: str) -> ClosedUsage | None:
    """The last closed day; None before the first one."""
    row = await tables.get(rows.TABLE, account, HEAD)
    return _read_head(row) if row else None


@fails_closed(SCHEMA)
def _read_head(row: Row) -> ClosedUsage:
    values = cast("dict[str, Any]", row.values)
    return ClosedUsage(values["time_zone"], values["through"], values["last"])


def head_values(head: ClosedUsage) -> dict[str, Value]:
    """The properties of the row with the last closed day."""
    return {
        "schema": SCHEMA,
        "time_zone": head.time_zone,
        "through": head.through,
        "last": head.last,
    }


def _values(
    closed: ClosedDay, cells: Sequence[tuple[UsageCell, UsageTotal]]
) -> Iterator[dict[str, Value]]:
    """The properties of the rows of cells: as many rows as their size needs."""
    values = _row_values(closed, cells)
    size = sum(len(part) for part in values.values() if isinstance(part, bytes))
    if size <= limits.SEGMENT_BYTES_MAX or len(cells) == 1:
        yield values
        return
    half = len(cells) // 2
    yield from _values(closed, cells[:half])
    yield from _values(closed, cells[half:])


def _row_values(
    closed: ClosedDay, cells: Iterable[tuple[UsageCell, UsageTotal]]
) -> dict[str, Value]:
    organizers: dict[str, int] = {}
    texts: dict[str, int] = {}
    lines = [
        [
            organizers.setdefault(cell.groups[0], len(organizers)),
            *(texts.setdefault(name, len(texts)) for name in cell.groups[1:]),
            cell.booked.hour,
            texts.setdefault(cell.called.day, len(texts)),
            cell.called.hour,
            *total.sums(),
        ]
        for cell, total in cells
    ]
    named = rows.organizers_values([name or None for name in organizers])
    return {
        "schema": SCHEMA,
        "time_zone": closed.time_zone,
        "day": closed.day,
        "after": closed.after,
        "last": closed.last,
        **pack("data", {"texts": list(texts), "cells": lines}),
        **named,
    }


@fails_closed(SCHEMA)
def read_lines(row: Row) -> UsageLines:
    """The cells in a row; those of an erased organizer have none."""
    data = cast("dict[str, Any]", unpack("data", row.values))
    columns = list(zip(*data["cells"], strict=True)) or [()] * LINE_COLUMNS
    organizers = rows.read_organizers(row) or [""] * (max(columns[0], default=0) + 1)
    named = [organizer or "" for organizer in organizers]
    part = UsageLines(str(row.values["day"]), named, data["texts"], columns)
    if columns[0]:  # positions that are out of range, and other things than numbers, are found here
        replace(part, columns=[[max(column)] for column in columns]).cells()
        sum(map(sum, columns))
    return part


async def _resolve(tables: TableStore, account: str, counted: Counted) -> None:
    """Take back the debits of earlier days that the day reverses. Raises LedgerCorrupt."""
    waiting = tuple(counted.unresolved)
    counted.unresolved.clear()
    if not waiting:
        return
    keys = {rows.leg_row_key(entry.leg or "") for entry in waiting}
    rows_by_key = await bulk_reads.rows_of(tables, account, sorted(keys), waiting[-1].sequence)
    debits = {
        record.entry.sequence: replace(record.entry, charge=record.charge)
        for stored in rows_by_key.values()
        for record in map(rows.read_leg, stored)
    }
    for reversal in waiting:
        debit = debits.get(reversal.reverses or 0)
        if debit is None:
            raise LedgerCorrupt(f"Entry {reversal.reverses} is reversed, and missing.")
        counted.take_back(reversal, debit, debit.charge or {})
