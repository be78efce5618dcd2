"""Closes the days of an account that are over: adds them up, and signs their roots."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from shared.domain.common import limits
from shared.domain.common.calendar import day_end, local_day
from shared.domain.common.canonical import parse_time
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.common.kinds import LegKind
from shared.domain.directory.entities import Account
from shared.domain.proof.commits import GENESIS
from shared.domain.proof.days import DayTree, ProvenDay
from shared.domain.proof.rates import RateName, rate_document
from shared.domain.proof.roots import SignedRoot
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.ports.ledger import Commit, Ledger, commits_after
from shared.ports.proofs import Proofs
from shared.ports.rate_cards import RateCardStore
from shared.usecases.proof.proof_keys import ProofKeys


@dataclass(frozen=True, slots=True)
class UsedRates:
    """Rates in provable form, by name; each is read once."""

    rate_cards: RateCardStore
    known: dict[RateName, Mapping[str, Any]] = field(default_factory=dict)

    async def named(self, names: set[RateName]) -> tuple[Mapping[str, Any], ...]:
        """The rates with these names. Raises LedgerCorrupt where a card does not have one."""
        for name in names - self.known.keys():
            self.known[name] = await self._read(name)
        return tuple(self.known[name] for name in sorted(names))

    async def _read(self, name: RateName) -> Mapping[str, Any]:
        stored = await self.rate_cards.version(name.card, parse_time(name.version))
        if stored is not None:
            version = stored[1]
            for row, prefix, origin in version.index.matches(LegKind(name.kind), name.prefix):
                if (prefix, origin or "") == (name.prefix, name.origin):
                    return rate_document(version, version.rate(row))
        raise LedgerCorrupt(
            f"Rate card {name.card}, version {name.version}, has no rate for prefix {name.prefix},"
            " although legs were charged by it."
        )


@dataclass(frozen=True, slots=True)
class CloseDays:
    """Closes days; running it twice changes nothing."""

    ledger: Ledger
    proofs: Proofs
    rate_cards: RateCardStore
    keys: ProofKeys
    clock: Clock

    async def __call__(self, account: Account) -> list[SignedRoot]:
        """The roots of the days that were closed now; none where nothing is signed. Raises what
        `ProofKeys.current` raises, and LedgerCorrupt.

        Commits of versions without public hashes get theirs with their days; then those of the
        open day are computed, so that all later commits have them.
        """
        over = self.clock.now() - timedelta(seconds=limits.PROOF_DAY_CLOSES_AFTER_SECONDS)
        zone = account.settings.time_zone
        last = await self.proofs.last(account.id)
        if self.keys.signer is None:
            await self._begin_chain(account.id, last)
            return []
        rates = UsedRates(self.rate_cards)
        closed: list[SignedRoot] = []
        commits = _Commits(self.ledger, account.id, last.root.last if last else 0)
        day = await self._first_day(account, last, commits)
        while day is not None and len(closed) < limits.PROOF_DAYS_CLOSED_PER_RUN_MAX:
            until = day_end(day, zone)
            if until > over:
                break
            made = DayTree(account.id, last)
            async for commit in commits.before(until):
                made.add(commit.public(account.id, made.head))
            named = await rates.named(made.names)
            key = await self.keys.current()
            root = made.root(
                named,
                currency=account.settings.currency,
                time_zone=zone,
                day=day,
                until=until,
                signed_at=self.keys.signing_time(key),
                key=key.id,
            )
            last = self.keys.sign(root)
            if not await self.proofs.close(account.id, ProvenDay(last, tuple(made.leaves), named)):
                return closed  # another run closes the same days
            closed.append(last)
            day = following(day)
        await self._begin_chain(account.id, last)
        return closed

    async def _first_day(
        self, account: Account, last: SignedRoot | None, commits: "_Commits"
    ) -> str | None:
        if last is not None:
            return following(last.root.day)
        first = await commits.peek()
        return local_day(first.at, account.settings.time_zone) if first else None

    async def _begin_chain(self, account: str, last: SignedRoot | None) -> None:
        """Compute the public hashes that rows of earlier versions lack."""
        if await self.ledger.public_head(account) is not None:
            return
        number, public = (last.root.last, last.root.head) if last else (0, GENESIS)
        while page := await self.ledger.history(account, after=number):
            for commit in page:
                await yield_to_others()
                number, public = commit.number, commit.public(account, public).public_hash()
            if await self.ledger.begin_public_chain(account, number, public):
                return


class _Commits:
    """The commits of an account after a number, in order."""

    def __init__(self, ledger: Ledger, account: str, after: int) -> None:
        self._rest = commits_after(ledger, account, after)
        self._next: Commit | None = None

    async def peek(self) -> Commit | None:
        """The next commit, or None."""
        if self._next is None:
            self._next = await anext(self._rest, None)
        return self._next

    async def before(self, moment: datetime) -> AsyncIterator[Commit]:
        """The next commits, up to the first one at or after a moment."""
        while (commit := await self.peek()) is not None and commit.at < moment:
            self._next = None
            yield commit


def following(day: str) -> str:
    """The day after."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
