"""Reads of a ledger for its administrator: entries, a leg with its charge, the verification."""

import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import Conflict, LedgerCorrupt, NotFound
from shared.domain.common.opaque import from_cursor, to_cursor
from shared.domain.directory.entities import Account
from shared.domain.ledger.model import Entry, EntryKind
from shared.domain.ledger.statements import (
    ClosedMonth,
    PrintedStatement,
    Statement,
    requested_month_span,
)
from shared.domain.legs.leg import decode_leg_key
from shared.domain.legs.parking import ParkedLeg, ParkStatus
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.ports.ledger import (
    Commit,
    Ledger,
    LegRecord,
    Verification,
    commit_before,
)
from shared.ports.legs import ParkingLot
from shared.ports.proofs import Anchors, Proofs
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.ledger.close_months import add_up_month
from shared.usecases.ledger.compare_anchors import anchor_problems


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """A selection of entries: `since` <= at < `until`, of a kind. None: any."""

    since: datetime | None = None
    until: datetime | None = None
    kind: EntryKind | None = None

    def admits(self, entry: Entry) -> bool:
        """True if the entry matches the filter."""
        return (
            (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
            and (self.kind is None or entry.kind is self.kind)
        )


@dataclass(frozen=True, slots=True)
class LegHistory:
    """A charged leg: its debits in order, the last one the present one, and for each the entry
    that took it back, if one did. The person is in the first record."""

    debits: tuple[LegRecord, ...]
    reversals: tuple[Entry | None, ...]

    @property
    def present(self) -> LegRecord:
        """The debit that holds now."""
        return self.debits[-1]

    @property
    def person(self) -> Mapping[str, object]:
        """The personal part; empty once erased."""
        return self.debits[0].person


@dataclass(frozen=True, slots=True)
class ReadLedger:
    """Reads of one account's ledger. All raise NotFound `account_unknown` and StoreUnavailable."""

    facts: DirectoryCache
    ledger: Ledger
    proofs: Proofs
    parking: ParkingLot
    anchors: Anchors | None
    clock: Clock

    async def entries(
        self, account: str, filters: EntryFilter, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Entry], str | None]:
        """(entries in order, the cursor of the next page). A page may be short. Raises Invalid
        `cursor_invalid` on a cursor of another account."""
        await self.facts.require_account(account)
        after, skip = 0, 0
        if cursor is not None:
            pattern = re.compile(rf"{re.escape(account)}\|([0-9]{{1,18}})\|([0-9]{{1,18}})")
            after, skip = map(int, from_cursor(cursor, pattern.fullmatch).groups())
        if cursor is None and filters.since is not None:  # nothing before it is read
            after = await commit_before(self.ledger, account, filters.since)
        entries: list[Entry] = []
        for _ in range(limits.ENTRY_SCANS_MAX):
            commits = await self.ledger.history(account, after=after)
            for commit in commits:
                if filters.until is not None and commit.at >= filters.until:
                    return entries, None
                place = _take(commit, filters, entries, skip, limit)
                if place is not None:
                    return entries, to_cursor(f"{account}|{commit.number - 1}|{place}")
                after, skip = commit.number, 0
            if not commits:
                return entries, None
        return entries, to_cursor(f"{account}|{after}|0")

    async def leg(self, account: str, shown: str) -> LegHistory | ParkedLeg:
        """The charged leg with the history of its charge, or the parked one.

        Raises NotFound `leg_unknown` while it is queued.
        """
        await self.facts.require_account(account)
        key = decode_leg_key(shown)
        if debits := await self.ledger.debits(account, key):
            reversals = [await self.ledger.reversal(account, d.entry.sequence) for d in debits]
            return LegHistory(tuple(debits), tuple(reversals))
        for parked in await self.parking.of_leg(key):
            if parked.account == account and parked.status is ParkStatus.OPEN:
                return parked
        raise NotFound(
            "The account has no leg with this id, or the leg is still queued. "
            "Read the leg again in a moment, or list the legs and the parked legs for the ids.",
            code="leg_unknown",
        )

    async def of_leg(self, account: str, shown: str) -> Sequence[Entry]:
        """The entries of one leg: its debits and their reversals."""
        history = await self.leg(account, shown)
        if isinstance(history, ParkedLeg):
            return ()
        entries = [*(debit.entry for debit in history.debits), *filter(None, history.reversals)]
        return sorted(entries, key=lambda entry: entry.sequence)

    async def balance_at(self, account: str, moment: datetime) -> tuple[int, int | None]:
        """(balance in micros, number of the last entry or None) as of a moment."""
        await self.facts.require_account(account)
        commit = await self.ledger.commit_at(account, moment)
        if commit is None:
            return 0, None
        return commit.balance_micros, commit.first + len(commit.entries) - 1 or None

    async def statement(self, account: str, month: str) -> tuple[Statement, str, int]:
        """(the statement, its currency, the number of open parked legs received in the month); the
        month is in the account's time zone.

        A closed month is read from its row. Raises Invalid `month_invalid`, and LedgerCorrupt where
        that row differs from the journal.
        """
        facts = await self.facts.require_account(account)
        closed, parked = await self._month(facts, month)
        return closed.statement, facts.settings.currency, parked

    async def printed_statement(self, account: str, month: str) -> PrintedStatement:
        """As `statement`, with the movements, corrections and lots that a printed one lists."""
        facts = await self.facts.require_account(account)
        closed, parked = await self._month(facts, month)
        others = await self._others(account, closed)
        movements = [entry for entry in others if entry.leg is None]
        corrections = [
            entry for entry in others if entry.leg is not None and not entry.is_first_debit
        ]
        state = await self.ledger.state(account)
        return PrintedStatement(
            account=account,
            name=facts.settings.name or account,
            currency=facts.settings.currency,
            closed=closed,
            movements=tuple(movements),
            corrections=tuple(corrections),
            open_parked=parked,
            lots=state.lots if state else (),
            now=self.clock.now(),
        )

    async def _others(self, account: str, closed: ClosedMonth) -> list[Entry]:
        """The entries of the month's commits that hold not only first debits of legs."""
        numbers: list[int] = []
        last = closed.after
        async with aclosing(self.ledger.columns(account, after=closed.after)) as history:
            async for columns in history:
                await yield_to_others()
                numbers += [
                    number
                    for number in columns.commits_with_others()
                    if closed.after < number <= closed.last
                ]
                last = columns.last
                if last >= closed.last:
                    break
        if last < closed.last:
            raise LedgerCorrupt("The journal ends before the month.")
        pages = await gather_bounded(
            lambda number: self.ledger.journal(account, after=number - 1, limit=1),
            numbers,
            at_once=limits.STATEMENT_READS_AT_ONCE,
        )
        return [entry for commits in pages for commit in commits for entry in commit.entries]

    async def _month(self, facts: Account, month: str) -> tuple[ClosedMonth, int]:
        """(the statement, the number of open parked legs received in the month)."""
        zone = facts.settings.time_zone
        start, end = requested_month_span(month, zone)
        closed = await self.ledger.closed_month(facts.id, month)
        if closed is None or closed.time_zone != zone:
            closed = await add_up_month(self.ledger, facts.id, month, zone)
        where = {"account": facts.id, "status": ParkStatus.OPEN.value}
        return closed, await self.parking.received(where, start, end)

    async def verify(self, account: str, *, anchored: bool = False) -> Verification:
        """Recompute the ledger from the stored rows; `anchored`: compare it with its newest anchor.

        Raises Conflict `anchors_off` where heads are not anchored.
        """
        await self.facts.require_account(account)
        verification = await self.ledger.verify(account)
        if not anchored:
            return verification
        if self.anchors is None:
            raise Conflict(
                "Heads are not anchored here. Leave anchors=true out, or set ANCHORS_ENDPOINT.",
                code="anchors_off",
            )
        try:
            anchor = await self.anchors.latest(account, self.clock.now().date())
            problems = ["There is no anchor to compare with."]
            if anchor is not None:
                problems = await anchor_problems(anchor, self.anchors, self.ledger, self.proofs)
        except LedgerCorrupt as error:
            problems = [error.detail]
        return replace(verification, problems=(*verification.problems, *problems))


def _take(
    commit: Commit, filters: EntryFilter, entries: list[Entry], skip: int, limit: int
) -> int | None:
    """Add a commit's entries from place `skip` on; the place where the page was full, or None."""
    for place, entry in enumerate(commit.entries[skip:], start=skip):
        if not filters.admits(entry):
            continue
        if len(entries) == limit:
            return place
        entries.append(entry)
    return None
