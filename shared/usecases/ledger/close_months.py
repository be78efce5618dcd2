"""Closed months: a row with the sums of each month that is over, so that its statement needs no
other read."""

from contextlib import aclosing
from datetime import datetime, timedelta
from itertools import islice

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.ledger.statements import (
    ClosedMonth,
    Statement,
    month_of,
    month_span,
    months_between,
)
from shared.pacing import yield_to_others
from shared.ports.ledger import Ledger


async def close_months(ledger: Ledger, account: str, time_zone: str, before: datetime) -> int:
    """Write the rows of months that ended an hour or more before a time, and instead of those of an
    earlier schema; the number of rows written.

    The hour is for clocks that differ: later commits count in a later month.
    """
    start = await ledger.journal(account, after=0, limit=1)
    if not start:
        return 0
    over = before - timedelta(seconds=limits.MONTH_CLOSES_AFTER_SECONDS)
    months = months_between(month_of(start[0].at, time_zone), month_of(over, time_zone))
    present = set(await ledger.closed_months(account))
    missing = [month for month in months if month not in present]
    for month in islice(missing, limits.MONTHS_CLOSED_PER_NIGHT_MAX):
        await ledger.close_month(account, await add_up_month(ledger, account, month, time_zone))
    return min(len(missing), limits.MONTHS_CLOSED_PER_NIGHT_MAX)


async def add_up_month(ledger: Ledger, account: str, month: str, time_zone: str) -> ClosedMonth:
    """A month of the ledger, from its commits. Raises ValueError on a text that is no month."""
    start, end = month_span(month, time_zone)
    before = await ledger.commit_at(account, start - timedelta(microseconds=1))
    closed = ClosedMonth.opened(month, time_zone)
    if before is not None:
        closed.begin_after(before.number, before.balance_micros)
    async with aclosing(ledger.columns(account, after=closed.last)) as history:
        async for columns in history:
            await yield_to_others()
            if not closed.add_columns(columns, end):
                break
    closed.head = await ledger.head_at(account, closed.last) or ""
    await _resolve(ledger, account, closed.statement)
    return closed


async def _resolve(ledger: Ledger, account: str, statement: Statement) -> None:
    """Read the charges, from before the month, that reversals of the month take back."""
    reversals = tuple(statement.unresolved)
    histories = await gather_bounded(
        lambda reversal: ledger.debits(account, reversal.leg or ""),
        reversals,
        at_once=limits.STATEMENT_READS_AT_ONCE,
    )
    for reversal, debits in zip(reversals, histories, strict=True):
        for debit in debits:
            if debit.entry.sequence == reversal.reverses:
                statement.take_back(reversal, debit.charge, reversal.organizer)
