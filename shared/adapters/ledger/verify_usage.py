"""The checks of closed days in `verify`: each is added up again from the journal."""

from collections.abc import Iterable
from datetime import datetime

from shared.adapters.ledger import rows
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.ledger.usage_days import (
    HEAD,
    PREFIX,
    ClosedDay,
    ClosedUsage,
    days,
    read_head,
    read_lines,
)
from shared.adapters.ledger.verify_rows import UNREADABLE, Run, own_properties
from shared.domain.common.calendar import local_day
from shared.domain.usage.usage import Cells, UsageCell, UsageTotal
from shared.ports.tables import Row, TableStore


async def usage_rows(run: Run, tables: TableStore, account: str, since: datetime | None) -> None:
    """Compare the rows of closed days with the journal: of all days, or of those from the day of
    `since` on."""
    row = await tables.get(rows.TABLE, account, HEAD)
    if row is None:
        return
    own_properties(run, row, HEAD)
    expected: set[str] = set()
    try:
        head = await read_head(tables, account)
        if head is None:
            return
        after = await _after(tables, account, head, since)
        if after is None:
            return
        last = ClosedDay("", "", 0, 0, {})
        async for last in days(tables, account, head.time_zone, after, last=head.last):
            for prefix, cells in last.parts():
                expected.add(prefix)
                await _compare(run, tables, account, last, prefix, cells)
    except (*UNREADABLE, OSError) as error:
        run.wrong(HEAD, f"the days can't be added up ({type(error).__name__})")
        return
    if (last.day, last.last) != (head.through, head.last):
        run.wrong(HEAD, "through: is not the day of the last commit")
    if since is None:
        await _unexpected_rows(run, tables, account, head, expected)


async def _after(
    tables: TableStore, account: str, head: ClosedUsage, since: datetime | None
) -> int | None:
    """The commit before the first day to compare; None where there is no such day."""
    if since is None:
        return 0
    first = f"{PREFIX}{local_day(since, head.time_zone)}"
    async for row in read_range(tables, account, first, HEAD):
        if len(row.key.split("|")) == len(("usage", "day", "part")):
            after = row.values["after"]
            if not isinstance(after, int):
                raise TypeError("a number was expected")
            return after
    return None


async def _compare(
    run: Run, tables: TableStore, account: str, made: ClosedDay, prefix: str, cells: Cells
) -> None:
    stored: Cells = {}
    day_rows: list[Row] = [
        row
        async for row in read_range(tables, account, prefix, f"{prefix[:-1]}}}")
        if row.key.removeprefix(prefix).isdigit()
    ]
    if not day_rows:
        run.wrong(f"{prefix}000", "the row of the day is missing")
        return
    for row in day_rows:
        own_properties(run, row, PREFIX)
        plain = {name: row.values.get(name) for name in ("time_zone", "day", "after", "last")}
        for name, value in plain.items():
            if value != getattr(made, name):
                run.wrong(row.key, f"{name}: is not what the journal adds up to")
        try:
            _merge(stored, read_lines(row).cells())
        except UNREADABLE as error:
            run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
            return
    if stored != cells:
        run.wrong(day_rows[0].key, "data: is not what the journal adds up to")


async def _unexpected_rows(
    run: Run, tables: TableStore, account: str, head: ClosedUsage, expected: set[str]
) -> None:
    """Rows of days that the journal does not have."""
    async for row in read_range(tables, account, PREFIX, "usage}"):
        prefix, _, part = row.key.rpartition("|")
        booked = prefix.rpartition("|")[2]
        is_ours = row.key == HEAD or (f"{prefix}|" in expected and part.isdigit())
        if not is_ours and booked <= head.through:
            run.wrong(row.key, "no commit of the journal leads to it")


def _merge(merged: Cells, cells: Iterable[tuple[UsageCell, UsageTotal]]) -> None:
    for cell, total in cells:
        merged.setdefault(cell, UsageTotal()).add(total)
