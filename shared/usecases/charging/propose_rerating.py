"""The legs that a backdated version of a rate card would have charged differently, by account."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.common import limits
from shared.domain.directory.access import Principal
from shared.domain.ledger.model import Entry
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.ports.clock import Clock
from shared.ports.rate_cards import RateCardStore
from shared.usecases.charging.past_legs import AnsweredSpan, JournalPosition, PastLegs
from shared.usecases.directory.accounts import Accounts


@dataclass(frozen=True, slots=True)
class Proposal:
    """The number of legs, by account, that a card charged in a span for which it has a new version.

    `is_complete` is false where so many legs or accounts were read that counting stopped.
    """

    card: str
    since: datetime
    until: datetime
    accounts: Sequence[tuple[str, int]]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class ProposeRerating:
    """Counts in the journals; nothing is rated and nothing is written."""

    store: RateCardStore
    accounts: Accounts
    past_legs: PastLegs
    clock: Clock

    async def __call__(
        self, card: str, effective_from: datetime, principal: Principal
    ) -> Proposal | None:
        """None for a version that begins in the future: it has charged nothing.

        Raises NotAllowed, StoreUnavailable.
        """
        now = self.clock.now()
        later = [
            version.effective_from
            for version in await self.store.versions(card)
            if version.effective_from > effective_from
        ]
        until = min([now, *later])
        if effective_from >= until:
            return None
        counting = _Counting(card, AnsweredSpan(effective_from, until), limits.PROPOSAL_LEGS_MAX)
        changes: list[tuple[str, int]] = []
        cursor: str | None = None
        for _ in range(limits.PROPOSAL_ACCOUNTS_MAX // limits.PROPOSAL_ACCOUNTS_AT_ONCE):
            page, cursor = await self.accounts.page(
                principal, limit=limits.PROPOSAL_ACCOUNTS_AT_ONCE, cursor=cursor
            )
            counts = await asyncio.gather(*(self._count(each.id, counting) for each in page))
            charged = zip((each.id for each in page), counts, strict=True)
            changes += [(account, legs) for account, legs in charged if legs]
            if counting.is_cut or cursor is None:
                break
        is_complete = cursor is None and not counting.is_cut
        return Proposal(card, effective_from, until, changes, is_complete)

    async def _count(self, account: str, counting: "_Counting") -> int:
        """Legs that the card charged in the account; not all of them where counting stops."""
        charged = 0
        place: JournalPosition | None = None
        while counting.legs_left > 0:
            limit = min(counting.legs_left, limits.PROPOSAL_PAGE_LEGS)
            page = await self.past_legs(account, counting.span, place=place, limit=limit)
            charged += sum(_is_charged_by(entry, counting.card) for entry in page.entries)
            counting.legs_left -= len(page.entries)
            place = page.place
            if place is None:
                return charged
        counting.is_cut = True
        return charged


@dataclass(slots=True)
class _Counting:
    """The counts of several accounts that are read at once, and the number of legs that may still
    be read. Concurrent reads may exceed it by a few pages."""

    card: str
    span: AnsweredSpan
    legs_left: int
    is_cut: bool = False


def _is_charged_by(entry: Entry, card: str) -> bool:
    rate = ChargeRecord(entry.charge).rated_by if entry.charge else None
    return rate is not None and rate.card == card
