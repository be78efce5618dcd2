"""Totals of closed months: `month|{YYYY-MM}`, a row each, so that their statements read a handful.

As segments do, they add a way to read: the journal stays, and a row that is gone is made again.
"""

from collections.abc import Mapping
from typing import Any, cast

from shared.adapters.ledger import rows
from shared.adapters.tables.packing import fails_closed, pack, unpack
from shared.domain.common import limits
from shared.domain.common.errors import EtagMismatch, LedgerCorrupt, RowExists
from shared.domain.ledger.statements import ClosedMonth, Statement, Total, month_span
from shared.ports.ledger import Commit
from shared.ports.tables import Insert, Replace, Row, TableStore, Value

SCHEMA = 3  # before, rows were not net of corrections, and had no grouping but destinations
_GROUPINGS = frozenset({"by_leg_kind", "by_destination", "by_organizer", "by_cost_center"})
REBUILT = _GROUPINGS | {"charges", "restored"}
"""The fields that rows of earlier schemas lack, or compute otherwise."""
_PREFIX = "month|"


def month_key(month: str) -> str:
    """Row key of a month `YYYY-MM`."""
    return f"{_PREFIX}{month}"


async def closed_months(tables: TableStore, account: str) -> list[str]:
    """The months that have a row, in order. They are few; their schemas alone are read. One of an
    earlier schema has to be closed again."""
    page = await tables.query(
        rows.TABLE, account, first=_PREFIX, before="month}", select=["schema"]
    )
    return [row.key.removeprefix(_PREFIX) for row in page if not is_outdated(row)]


def is_outdated(row: Row) -> bool:
    """True if a month's row is of an earlier schema, whose contents this version does not read."""
    schema = row.values.get("schema")
    return isinstance(schema, int) and not isinstance(schema, bool) and 1 <= schema < SCHEMA


async def write_month(tables: TableStore, account: str, closed: ClosedMonth) -> None:
    """Write the row of a month, instead of one of an earlier schema; an existing one has the same
    contents. A month of more groups than an entity holds gets none: its statement is added up each
    time."""
    values = month_values(closed)
    if sum(len(part) for part in values.values() if isinstance(part, bytes)) > (
        limits.SEGMENT_BYTES_MAX
    ):
        return
    key = month_key(closed.statement.month)
    present = await tables.get(rows.TABLE, account, key)
    if present is not None and not is_outdated(present):
        return
    try:
        row = Replace(key, values, present.etag) if present else Insert(key, values)
        await tables.transact(rows.TABLE, account, [row])
    except (EtagMismatch, RowExists):
        return  # another night's run was faster: it added up the same commits


async def closed_month(tables: TableStore, account: str, month: str) -> ClosedMonth | None:
    """The row of a month, held against the journal's rows where it begins and ends; None: no row
    of the present schema.

    Raises LedgerCorrupt where it does not re-add, or differs from the journal.
    """
    row = await tables.get(rows.TABLE, account, month_key(month))
    if row is None or is_outdated(row):
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
        "schema": SCHEMA,
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
                "charges": _total(statement.charges),
                "restored": statement.restored_micros,
                **{name: _totals(totals) for name, totals in statement.groupings.items()},
            },
        ),
    }


@fails_closed(SCHEMA)
def read_month(row: Row) -> ClosedMonth:
    """A month as in its row. Raises LedgerCorrupt on one that can't be read, or is newer."""
    values = cast("dict[str, Any]", row.values)
    month = row.key.removeprefix(_PREFIX)
    month_span(month, values["time_zone"])
    data = cast("dict[str, Any]", unpack("data", row.values))
    if is_outdated(row):
        if data.keys() != {"entries", "by_kind", "by_destination"}:
            raise ValueError("its content is not of an earlier schema")
        data |= {"charges": [], "restored": 0} | {name: {} for name in _GROUPINGS}
    first, last = data["entries"]
    return ClosedMonth(
        Statement(
            month,
            values["opening"],
            values["closing"],
            first,
            last,
            by_kind=_read_totals(data["by_kind"]),
            charges=Total(*data["charges"]),
            restored_micros=data["restored"],
            by_leg_kind=_read_totals(data["by_leg_kind"]),
            by_destination=_read_totals(data["by_destination"]),
            by_organizer=_read_totals(data["by_organizer"]),
            by_cost_center=_read_totals(data["by_cost_center"]),
        ),
        values["time_zone"],
        values["after"],
        values["last"],
        values["head"],
    )


def _totals(totals: Mapping[str, Total]) -> dict[str, list[int]]:
    return {name: _total(total) for name, total in totals.items()}


def _total(total: Total) -> list[int]:
    return [total.count, total.amount_micros, total.seconds, total.pool_seconds]


def _read_totals(data: Mapping[str, list[int]]) -> dict[str, Total]:
    return {name: Total(*total) for name, total in data.items()}


class MonthRow:
    """A month's row, its contents, and the sums of the journal's commits over the same span."""

    def __init__(self, row: Row, stored: ClosedMonth) -> None:
        self.row = row
        self.stored = stored
        self.made = ClosedMonth.opened(stored.statement.month, stored.time_zone)
        self._start, self._end = month_span(stored.statement.month, stored.time_zone)

    def add(self, commit: Commit, head: str) -> None:
        """The next commit of the journal, with its hash."""
        if commit.at >= self._end:
            return
        if commit.at < self._start:
            self.made.begin_after(commit.number, commit.balance_micros)
        else:
            self.made.add(commit.number, commit.entries)
        self.made.head = head
