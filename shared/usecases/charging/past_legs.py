"""The legs of an account that were answered in a span of time, read from its journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.domain.common import limits
from shared.domain.common.canonical import parse_time
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.ledger.model import Entry
from shared.ports.ledger import Ledger, commit_before


class JournalPosition(NamedTuple):
    """A position in a journal: all commits up to one, and a number of entries of the next."""

    commit: int
    skip: int


@dataclass(frozen=True, slots=True)
class DebitsPage:
    """First debits of legs, in the order of the journal; `place` is None at its end."""

    entries: Sequence[Entry]
    place: JournalPosition | None


@dataclass(frozen=True, slots=True)
class AnsweredSpan:
    """`since` <= answered < `until`; None: any time."""

    since: datetime | None = None
    until: datetime | None = None

    def has(self, entry: Entry) -> bool:
        """True if the leg that an entry debits was answered in the span."""
        text = (entry.charge or {}).get("answered_at")
        if not isinstance(text, str):
            return False
        moment = parse_time(text)
        return (self.since is None or moment >= self.since) and (
            self.until is None or moment < self.until
        )


ANY_TIME = AnsweredSpan()


@dataclass(frozen=True, slots=True)
class PastLegs:
    """Reads journals page by page; a leg may be debited long after it was answered, so a span is
    read from its beginning to the end of the journal."""

    ledger: Ledger

    async def __call__(
        self, account: str, span: AnsweredSpan, *, place: JournalPosition | None, limit: int
    ) -> DebitsPage:
        """At most `limit` first debits; a page may be short, or empty, and not the last one."""
        state = await self.ledger.state(account)
        last = state.commit if state else 0
        after, skip = place or JournalPosition(await self._start(account, span, last), 0)
        debits: list[Entry] = []
        for _ in range(limits.ENTRY_SCANS_MAX):
            if after >= last:
                return DebitsPage(debits, None)
            commits = await self.ledger.history(account, after=after)
            for commit in commits:
                for at, entry in enumerate(commit.entries[skip:], start=skip):
                    if not (entry.is_first_debit and span.has(entry)):
                        continue
                    if len(debits) == limit:
                        return DebitsPage(debits, JournalPosition(commit.number - 1, at))
                    debits.append(entry)
                after, skip = commit.number, 0
            if not commits:
                raise LedgerCorrupt("The journal ends before the ledger's state.")
        return DebitsPage(debits, JournalPosition(after, 0))

    async def _start(self, account: str, span: AnsweredSpan, last: int) -> int:
        """The commit after which a leg of the span can be debited: not before its answer, but for a
        bridge whose clock is ahead. An account with one page of commits is read rather than
        searched."""
        if span.since is None or last <= limits.JOURNAL_PAGE_ROWS:
            return 0
        ahead = timedelta(seconds=limits.LEG_FUTURE_SECONDS_MAX)
        return await commit_before(self.ledger, account, span.since - ahead)
