"""What an administrator asks of rate cards before and after a change: lint, differences, prices."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from shared.domain.errors import NotFound
from shared.domain.numbering_plan import typical_numbers
from shared.domain.price_list import CountryPrices, price_list
from shared.domain.rate_card_diff import ChangeKind, RateChange, changes
from shared.domain.rate_card_lint import Finding, lint
from shared.domain.rates import RateCardVersion
from shared.ports import Clock, RateCardStore
from shared.usecases.rate_cards import RateCardDesk


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs from one version to another: counts of all, and `items` of one page."""

    before: RateCardVersion
    after: RateCardVersion
    counts: Mapping[ChangeKind, int]
    dearer: int
    cheaper: int
    items: tuple[RateChange, ...]
    following: int | None

    def every(self) -> Iterator[RateChange]:
        """All that differs, again from the beginning."""
        return changes(self.before, self.after)


class RateCardReports:
    """Reads versions and tells about them; writes nothing. Everything raises StoreUnavailable."""

    def __init__(self, desk: RateCardDesk, store: RateCardStore, clock: Clock) -> None:
        self._desk = desk
        self._store = store
        self._clock = clock

    async def lint(self, card: str, effective_from: datetime) -> Sequence[Finding]:
        """What is odd in a version. Raises NotFound `rate_card_version_unknown`."""
        _, version = await self._desk.version(card, effective_from)
        return await found_in(version)

    async def compare(
        self,
        before: tuple[str, datetime],
        after: tuple[str, datetime],
        *,
        skip: int,
        limit: int,
    ) -> Comparison:
        """What differs between two versions, each a card and its time.

        Raises NotFound `rate_card_version_unknown`.
        """
        _, old = await self._desk.version(*before)
        _, new = await self._desk.version(*after)
        return await asyncio.to_thread(_compare, old, new, skip, limit)

    async def price_list(
        self, card: str, at: datetime | None
    ) -> tuple[RateCardVersion, Sequence[CountryPrices]]:
        """The prices in force then, by default now, by country.

        Raises NotFound `rate_card_unknown`, or `rate_card_version_unknown` before its first one.
        """
        await self._desk.versions(card)
        version = await self._store.version_for(card, at or self._clock.now())
        if version is None:
            raise NotFound(
                "The rate card has no version in force then.", code="rate_card_version_unknown"
            )
        return version, await asyncio.to_thread(lambda: price_list(version, typical_numbers()))


async def found_in(version: RateCardVersion) -> Sequence[Finding]:
    """What lint finds, looked for in a thread: a large deck takes a second."""
    return await asyncio.to_thread(lambda: lint(version, typical_numbers()))


def _compare(before: RateCardVersion, after: RateCardVersion, skip: int, limit: int) -> Comparison:
    counts: Counter[ChangeKind] = Counter()
    dearer = cheaper = 0
    for change in changes(before, after):
        counts[change.kind] += 1
        percent = change.percent
        dearer += percent is not None and percent > 0
        cheaper += percent is not None and percent < 0
    items = tuple(islice(changes(before, after), skip, skip + limit))
    following = skip + limit if skip + limit < counts.total() else None
    return Comparison(before, after, counts, dearer, cheaper, items, following)
