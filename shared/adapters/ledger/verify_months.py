"""The checks of closed months in `verify`: each is added up again from the journal's own rows."""

import contextlib

from shared.adapters.ledger import rows
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.ledger.months import REBUILT, MonthRow, is_outdated, month_values, read_month
from shared.adapters.ledger.verify_rows import UNREADABLE, Run, own_properties
from shared.adapters.tables.packing import holders, unpack
from shared.domain.ledger.model import Entry
from shared.domain.ledger.statements import ClosedMonth, month_span
from shared.ports.ledger import LegRecord
from shared.ports.tables import TableStore


async def month_rows(run: Run, tables: TableStore, account: str) -> None:
    """Read the rows of closed months, before the journal: what they name is all there then. The
    rows after the last verified one; of the journal the part before the verified span."""
    outdated = False
    first = f"month|{run.month}\0" if run.month else "month|"
    async for row in read_range(tables, account, first, "month}"):
        outdated = outdated or is_outdated(row)
        own_properties(run, row, "month|")
        try:
            month_span(row.key.removeprefix("month|"), str(row.values.get("time_zone")))
        except (*UNREADABLE, OSError):
            run.wrong(row.key, "time_zone: is none, or the key no month")
            continue
        try:
            run.months.append(MonthRow(row, read_month(row)))
        except UNREADABLE as error:
            run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
        if not outdated:  # what follows is read again once the night has replaced that row
            run.month = row.key.removeprefix("month|")
    await _verified_commits(run, tables, account)


async def _verified_commits(run: Run, tables: TableStore, account: str) -> None:
    """Give new months their commits that were verified before. Where a row has a wrong beginning,
    it differs from this sum."""
    if not run.commit or not run.months:
        return
    stored = [month.stored.after for month in run.months]
    first = min(after if isinstance(after, int) else 0 for after in stored)
    keys = rows.journal_key(first), rows.journal_key(run.commit + 1)
    async for row in read_range(tables, account, *keys):
        try:
            commit = rows.read_commit(row)
        except UNREADABLE as error:
            run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
            continue
        for month in run.months:
            month.add(commit, str(row.values.get("hash")))


async def compare_months(run: Run, tables: TableStore, account: str) -> None:
    """Once the journal was read: every field of a month's row is what its commits add up to."""
    for month in run.months:
        statement = month.made.statement
        for reversal in tuple(statement.unresolved):
            if debit := await _debit(tables, account, reversal):
                statement.take_back(reversal, debit.charge, reversal.organizer)
        stored, made = (_fields(each) for each in (month.stored, month.made))
        outdated = is_outdated(month.row)
        for name, value in made.items():
            if stored[name] != value and not (outdated and name in REBUILT):
                run.wrong(month.row.key, f"{name}: is not what the journal adds up to")


async def _debit(tables: TableStore, account: str, reversal: Entry) -> LegRecord | None:
    """The parts that a reversal subtracts, which the month does not name."""
    key = rows.leg_row_key(reversal.leg or "")
    for row in await tables.query(rows.TABLE, account, first=key, before=f"{key}}}"):
        with contextlib.suppress(*UNREADABLE):
            if (record := rows.read_leg(row)).entry.sequence == reversal.reverses:
                return record
    return None


def _fields(month: ClosedMonth) -> dict[str, object]:
    values = month_values(month)
    plain = {name: values[name] for name in values.keys() - holders("data", values)}
    content = unpack("data", values)
    return {**plain, **(content if isinstance(content, dict) else {})}
