"""What a backdated version of a rate card would have charged otherwise: whose legs, how many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain import limits
from shared.domain.access import Principal
from shared.domain.ledger import Entry
from shared.domain.rerating import rated_by
from shared.ports.rate_cards import RateCardStore
from shared.ports.world import Clock
from shared.usecases.accounts import Accounts
from shared.usecases.past_legs import PastLegs, Place, Span


@dataclass(frozen=True, slots=True)
class Proposal:
    """Legs that a card charged in a span for which it has a new version: (account, how many).

    `is_complete` is false where so many legs or accounts were looked at that counting stopped.
    """

    card: str
    since: datetime
    until: datetime
    accounts: Sequence[tuple[str, int]]
    is_complete: bool


class ProposeRerating:
    """Counts in the journals; nothing is rated and nothing is written."""

    def __init__(
        self, store: RateCardStore, accounts: Accounts, past_legs: PastLegs, clock: Clock
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._past_legs = past_legs
        self._clock = clock

    async def __call__(
        self, card: str, effective_from: datetime, principal: Principal
    ) -> Proposal | None:
        """None for a version that begins in the future: it has charged nobody.

        Raises NotAllowed, StoreUnavailable.
        """
        now = self._clock.now()
        later = [
            version.effective_from
            for version in await self._store.versions(card)
            if version.effective_from > effective_from
        ]
        until = min([now, *later])
        if effective_from >= until:
            return None
        span = Span(effective_from, until)
        found: list[tuple[str, int]] = []
        cursor: str | None = None
        looked_at = 0
        for _ in range(limits.PROPOSAL_ACCOUNTS_MAX):
            page, cursor = await self._accounts.page(principal, limit=1, cursor=cursor)
            for account in page:
                left = limits.PROPOSAL_LEGS_MAX - looked_at
                charged, seen, is_whole = await self._count(account.id, span, card, left)
                looked_at += seen
                if charged:
                    found.append((account.id, charged))
                if not is_whole:
                    return Proposal(card, effective_from, until, found, is_complete=False)
            if cursor is None:
                return Proposal(card, effective_from, until, found, is_complete=True)
        return Proposal(card, effective_from, until, found, is_complete=False)

    async def _count(self, account: str, span: Span, card: str, left: int) -> tuple[int, int, bool]:
        """(legs that the card charged, legs looked at, whether these are all of the account)."""
        charged = seen = 0
        place: Place | None = None
        while True:
            page = await self._past_legs(account, span, place=place, limit=left - seen)
            charged += sum(_is_charged_by(entry, card) for entry in page.entries)
            seen += len(page.entries)
            place = page.place
            if place is None or seen >= left:
                return charged, seen, place is None


def _is_charged_by(entry: Entry, card: str) -> bool:
    rate = rated_by(entry.charge or {})
    return rate is not None and rate.card == card
