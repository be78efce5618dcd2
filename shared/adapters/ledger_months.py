"""Closed months added up: `month|{YYYY-MM}`, a row each, so that their statements read a handful.

As segments do, they add a way to read: the journal stays, and a row that is gone is made again.
"""

from collections.abc import Mapping
from typing import Any, cast

from shared.adapters import ledger_rows as rows
from shared.adapters.packed import fails_closed, pack, unpack
from shared.domain import limits
from shared.domain.errors import LedgerCorrupt, RowExists
from shared.domain.statements import ClosedMonth, Statement, Total, month_span
from shared.ports.ledger import Commit
from shared.ports.tables import Insert, Row, TableStore, Value

_PREFIX = "month|"


def month_key(month: str) -> str:
    """Row key of a month `YYYY-MM`."""
    return f"{_PREFIX}{month}"


async def closed_months(tables: TableStore, account: str) -> list[str]:
    """The months that have a row, in order. They are few; their keys alone are read."""
    found = await tables.query(
        rows.TABLE, account, first=_PREFIX, before="month}", select=["schema"]
    )
    return [row.key.removeprefix(_PREFIX) for row in found]


async def write_month(tables: TableStore, account: str, closed: ClosedMonth) -> None:
    """Insert the row of a month; one that is there already says the same. A month of more
    destinations than an entity holds gets none: its statement is added up each time."""
    values = month_values(closed)
    if sum(len(part) for part in values.values() if isinstance(part, bytes)) > (
        limits.SEGMENT_BYTES_MAX
    ):
        return
    try:
        await tables.transact(
            rows.TABLE, account, [Insert(month_key(closed.statement.month), values)]
        )
    except RowExists:
        return  # another night's run was faster: it added up the same commits


async def closed_month(tables: TableStore, account: str, month: str) -> ClosedMonth | None:
    """The row of a month, held against the journal's rows where it begins and ends; None: no row.

    Raises LedgerCorrupt where it does not re-add, or isn't what the journal says.
    """
    row = await tables.get(rows.TABLE, account, month_key(month))
    if row is None:
        return None
    closed = read_month(row)
    statement = closed.statement
    if not statement.re_adds:
        raise LedgerCorrupt(f"Row {row.key} does not re-add to its closing balance.")
    before = await tables.get(rows.TABLE, account, rows.journal_key(closed.after))
    last = await tables.get(rows.TABLE, account, rows.journal_key(closed.last))
    following = await tables.get(rows.TABLE, account, rows.journal_key(closed.last + 1))
    opening = rows.read_commit(before).balance_micros if before else 0
    if (closed.after and before is None) or opening != statement.opening_micros:
        raise LedgerCorrupt(f"Row {row.key} opens with another balance than the journal.")
    if last is None or rows.read_commit(last).balance_micros != statement.closing_micros:
        raise LedgerCorrupt(f"Row {row.key} closes with another balance than the journal.")
    if last.values.get("hash") != closed.head:
        raise LedgerCorrupt(f"Row {row.key} does not end with the journal's hash.")
    if following is not None:
        end = month_span(month, closed.time_zone)[1]
        if rows.read_commit(following).at < end:
            raise LedgerCorrupt(f"Row {row.key} lacks commit {closed.last + 1}.")
    return closed


def month_values(closed: ClosedMonth) -> dict[str, Value]:
    """The properties of a month's row."""
    statement = closed.statement
    return {
        "schema": rows.SCHEMA,
        "time_zone": closed.time_zone,
        "after": closed.after,
        "last": closed.last,
        "opening": statement.opening_micros,
        "closing": statement.closing_micros,
        "head": closed.head,
        **pack(
            "data",
            {
                "entries": [statement.first_entry, statement.last_entry],
                "by_kind": _totals(statement.by_kind),
                "by_destination": _totals(statement.by_destination),
            },
        ),
    }


@fails_closed
def read_month(row: Row) -> ClosedMonth:
    """A month as its row says. Raises LedgerCorrupt on one that can't be read, or is newer."""
    rows.check_schema(row)
    values = cast("dict[str, Any]", row.values)
    month = row.key.removeprefix(_PREFIX)
    month_span(month, values["time_zone"])
    data = cast("dict[str, Any]", unpack("data", row.values))
    first, last = data["entries"]
    return ClosedMonth(
        Statement(
            month,
            values["opening"],
            values["closing"],
            first,
            last,
            {name: Total(*total) for name, total in data["by_kind"].items()},
            {name: Total(*total) for name, total in data["by_destination"].items()},
        ),
        values["time_zone"],
        values["after"],
        values["last"],
        values["head"],
    )


def _totals(totals: Mapping[str, Total]) -> dict[str, list[int]]:
    return {
        name: [total.count, total.amount_micros, total.seconds] for name, total in totals.items()
    }


class MonthRow:
    """A month's row, what it tells, and what the journal's commits make of the same span."""

    def __init__(self, row: Row, told: ClosedMonth) -> None:
        self.row = row
        self.told = told
        self.made = ClosedMonth.opened(told.statement.month, told.time_zone)
        self._start, self._end = month_span(told.statement.month, told.time_zone)

    def add(self, commit: Commit, head: str) -> None:
        """The next commit of the journal, with its hash."""
        if commit.at >= self._end:
            return
        if commit.at < self._start:
            self.made.begin_after(commit.number, commit.balance_micros)
        else:
            self.made.add(commit.number, commit.entries)
        self.made.head = head
