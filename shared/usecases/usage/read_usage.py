"""Usage of an account in a span of time, from its ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.ledger.model import Entry
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.usage import Counted, Grouping, UsageSpan, UsageTotals
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.ports.ledger import Ledger, commit_before, commits_after
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.usage.spans import requested_span


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums by group, of a span, in the account's currency."""

    currency: str
    span: UsageSpan
    totals: UsageTotals


@dataclass(frozen=True, slots=True)
class ReadUsage:
    """Adds charges up. Raises NotFound `account_unknown` and StoreUnavailable."""

    facts: DirectoryCache
    ledger: Ledger
    clock: Clock

    async def __call__(
        self,
        account: str,
        since: datetime | None,
        until: datetime | None,
        by: UsageTime,
        groups: Sequence[str],
    ) -> Usage:
        """The usage of a span; without `since` and `until` of the present month, without one of
        them from the first entry on, or until now."""
        settings = (await self.facts.require_account(account)).settings
        span = await requested_span(
            self.ledger, account, (since, until), by, settings.time_zone, self.clock.now()
        )
        grouping = Grouping(by, groups)
        days = await self.ledger.usage_days(account, span)
        for part in days.parts if days else ():
            await yield_to_others()
            grouping.add_lines(part)
        if days is None or days.after is not None:
            counted = await count(self.ledger, account, span, days.after if days else None)
            grouping.add_cells(counted.cells)
        return Usage(settings.currency, span, grouping.totals())


async def count(ledger: Ledger, account: str, span: UsageSpan, after: int | None = None) -> Counted:
    """The cells of a span, from the journal after a commit, or from the beginning of the span.
    Where the time of the call counts, these are all entries from there on: legs and corrections may
    be booked long after the call."""
    counted = Counted(span.time_zone, span)
    if after is None:
        ahead = timedelta(0)
        if span.by is UsageTime.ANSWERED:  # a bridge's clock may be ahead
            ahead = timedelta(seconds=limits.LEG_FUTURE_SECONDS_MAX)
        after = await commit_before(ledger, account, span.since - ahead)
    async for commit in commits_after(ledger, account, after):
        if span.by is UsageTime.BOOKED and commit.at >= span.until:
            break
        for entry in commit.entries:
            counted.add(entry)
    return await resolved(ledger, account, counted)


async def resolved(ledger: Ledger, account: str, counted: Counted) -> Counted:
    """The usage with the debits of earlier entries reversed. Raises LedgerCorrupt."""
    waiting = tuple(counted.unresolved)
    counted.unresolved.clear()
    debits = await debits_by_number(ledger, account, waiting)
    for reversal in waiting:
        debit = debits.get(reversal.reverses or 0)
        if debit is None:
            raise LedgerCorrupt(f"Entry {reversal.reverses} is reversed, and missing.")
        counted.take_back(reversal, debit, debit.charge or {})
    return counted


async def debits_by_number(
    ledger: Ledger, account: str, corrections: Sequence[Entry]
) -> dict[int, Entry]:
    """The debits of the legs that entries correct, with their charges, by their numbers."""
    legs = sorted({entry.leg for entry in corrections if entry.leg})
    debits: dict[int, Entry] = {}
    for start in range(0, len(legs), limits.LIST_ITEMS_MAX):
        part = legs[start : start + limits.LIST_ITEMS_MAX]
        for records in (await ledger.debits_of(account, part)).values():
            for record in records:
                debits[record.entry.sequence] = replace(record.entry, charge=record.charge)
    return debits
