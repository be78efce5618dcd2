"""The ledger of an account's credits."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.credits.alerts import Event
from shared.domain.ledger.entry_columns import EntryColumns
from shared.domain.ledger.model import (
    Command,
    Entry,
    LedgerState,
    RulesChange,
    SettingsChange,
    SettledDebit,
)
from shared.domain.ledger.statements import ClosedMonth
from shared.domain.proof.commits import PublicCommit
from shared.domain.usage.usage import UsageLines, UsageSpan
from shared.pacing import yield_to_others


@dataclass(frozen=True, slots=True)
class CommitResult:
    """The result of a ledger command. `repeated`: the command was carried out before, and this is
    the first result. `events`: the commit put events into the outbox."""

    entry: Entry | None
    repeated: bool = False
    events: bool = False


@dataclass(frozen=True, slots=True)
class IdempotencyConflict:
    """The key was used before, for another command; `entry` is that command's entry."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class LegRecord:
    """A debited leg in storage: its guard, charge, erasable person's part, entry and commit."""

    leg: str
    digest: str
    charge: Mapping[str, object]
    person: Mapping[str, object]
    entry: Entry
    commit: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AuthorizationUse:
    """The effect of debits on the hold of an authorization: the leg that settled it, the entry, and
    whether an unanswered leg freed it."""

    settled_by: str | None = None
    entry: int = 0
    is_freed: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """One journal row: the entries that were written together, the number of the `first` one.
    `events_digest` is the digest of the events that it put into the outbox, if any."""

    number: int
    at: datetime
    balance_micros: int
    first: int
    entries: tuple[Entry, ...]
    settings: tuple[SettingsChange, ...] = ()
    events_digest: str | None = None
    rules: RulesChange | None = None

    def public(self, account: str, previous: str) -> PublicCommit:
        """The commit as others can check it, after the one with the public hash `previous`."""
        return PublicCommit(
            account, self.number, self.at, self.balance_micros, self.first, self.entries, previous
        )


@dataclass(frozen=True, slots=True)
class Outbox:
    """The events of one commit, not yet published."""

    commit: int
    at: datetime
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of recomputing an account's ledger; `problems` is empty for a sound ledger."""

    commits: int
    entries: int
    legs: int
    balance_micros: int
    head: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UsageDays:
    """The cells of closed days, and the commit after which the journal continues; None where all
    days of the span are closed."""

    parts: Sequence[UsageLines]
    after: int | None


class Ledger(Protocol):
    """The ledger of an account's credits (docs/ledger.md). The account is the partition."""

    async def state(self, account: str) -> LedgerState | None:
        """The stored state; None before the ledger is opened."""
        ...

    async def submit(self, account: str, command: Command) -> CommitResult | IdempotencyConflict:
        """The durable outcome of a command. Raises the refusal of the decision; Conflict
        `authorization_used` for a leg whose authorization another leg has settled; Unavailable when
        the outcome is uncertain (repeat the command with the same key); Conflict `ledger_not_open`
        before the first Configure.
        """
        ...

    async def leg(self, account: str, leg: str) -> LegRecord | None:
        """The debited leg with this key, or None."""
        ...

    async def use_of(self, account: str, authorization: str) -> AuthorizationUse:
        """The effect of debits on the hold of an authorization."""
        ...

    async def debits(self, account: str, leg: str) -> list[LegRecord]:
        """The leg's debit and its re-ratings, in order; the last one is the present one."""
        ...

    async def debits_of(self, account: str, legs: Sequence[str]) -> dict[str, list[LegRecord]]:
        """The debits of each of many legs, as `debits` returns them; a leg without debits has no
        item."""
        ...

    async def persons_of(
        self, account: str, legs: Sequence[str]
    ) -> dict[str, Mapping[str, object]]:
        """The personal parts of many legs; an erased part is empty; an unknown leg has no item."""
        ...

    async def reversals_of(self, account: str, debits: Sequence[int]) -> dict[int, Entry]:
        """The reversals of many debits, by the debits' numbers; a debit without a reversal has no
        item."""
        ...

    async def journal(self, account: str, *, after: int, limit: int) -> list[Commit]:
        """At most `limit` commits with numbers above `after`, in order."""
        ...

    async def posted(self, account: str, *, after: int, until: int) -> list[SettledDebit]:
        """The first debits of legs in the commits above `after`, up to `until`, each with its hold,
        and the changes of such charges by reversals and re-ratings. Raises LedgerCorrupt when a
        commit is missing."""
        ...

    async def history(self, account: str, *, after: int) -> list[Commit]:
        """The next commits after a number, many at a time; empty when there are none."""
        ...

    def columns(self, account: str, *, after: int) -> AsyncGenerator[EntryColumns]:
        """The entries of the commits after a number in columns, in order. The first columns may
        begin with earlier commits."""
        ...

    async def pack_until(self, account: str, before: datetime) -> int:
        """Pack the commits before a time into segments, and put them into columns; the number of
        new segments."""
        ...

    async def close_usage_days(self, account: str, time_zone: str, before: datetime) -> int:
        """Store the usage of local days that ended before a time; returns the number of new
        days."""
        ...

    async def usage_days(self, account: str, span: UsageSpan) -> UsageDays | None:
        """The usage of the closed days of a span; None if the journal must be read."""
        ...

    async def closed_months(self, account: str) -> list[str]:
        """The closed months `YYYY-MM`, in order, except those in rows of an earlier schema."""
        ...

    async def closed_month(self, account: str, month: str) -> ClosedMonth | None:
        """A closed month, compared with the journal at its begin and end; None: not closed.

        Raises LedgerCorrupt where its sums are wrong, or differ from the journal.
        """
        ...

    async def close_month(self, account: str, closed: ClosedMonth) -> None:
        """Store a closed month; no effect if it is stored already in the present schema."""
        ...

    async def commit_at(self, account: str, moment: datetime) -> Commit | None:
        """The last commit at or before a moment, or None."""
        ...

    async def commit_of(self, account: str, sequence: int) -> Commit | None:
        """The commit that wrote the entry with this number, or None."""
        ...

    async def public_head(self, account: str) -> str | None:
        """The public hash of the last commit; None while those of earlier versions are not
        computed, or before the ledger is opened."""
        ...

    async def public_hashes(
        self, account: str, *, after: int, until: int | None = None
    ) -> list[str] | None:
        """The public hashes of the commits after a number, or up to another one, in order; None
        where rows have none."""
        ...

    async def begin_public_chain(self, account: str, commit: int, public: str) -> bool:
        """Let commits after number `commit`, whose public hash this is, have public hashes too;
        False if that is not the last commit."""
        ...

    async def entry(self, account: str, sequence: int) -> Entry | None:
        """The entry with this number, or None."""
        ...

    async def reversal(self, account: str, debit: int) -> Entry | None:
        """The reversal of the debit with this number, or None."""
        ...

    async def outbox(self, account: str, *, limit: int) -> list[Outbox]:
        """The oldest unpublished events, in order."""
        ...

    async def published(self, account: str, commit: int) -> None:
        """Delete a commit's events from the outbox; no effect if they are deleted already."""
        ...

    async def head_at(self, account: str, commit: int) -> str | None:
        """The hash of a commit's journal row, or None."""
        ...

    async def verify(self, account: str, *, resume: bool = False) -> Verification:
        """Recompute chain, numbers, balances, lots and guards from the stored rows; with `resume`
        from the end of the last sound verification."""
        ...


async def commits_after(
    ledger: Ledger, account: str, after: int, last: int | None = None
) -> AsyncIterator[Commit]:
    """The commits after a number, in order, up to commit `last` or all."""
    while last is None or after < last:
        page = await ledger.history(account, after=after)
        for commit in page:
            if last is not None and commit.number > last:
                return
            await yield_to_others()
            yield commit
        if not page:
            return
        after = page[-1].number


async def commit_before(ledger: Ledger, account: str, moment: datetime) -> int:
    """The number of the last commit before a moment, 0 without one."""
    before = await ledger.commit_at(account, moment - timedelta(microseconds=1))
    return before.number if before else 0
