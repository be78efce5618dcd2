"""Reports on rate cards before and after a change: lint, differences, prices."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from shared.domain.charging.rerating import SkipReason, leg_facts
from shared.domain.common import limits
from shared.domain.common.errors import Invalid, NotFound
from shared.domain.directory.access import Principal
from shared.domain.ledger.statements import last_month, requested_month_span
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.numbers.example_numbers import typical_numbers
from shared.domain.rating.diff import ChangeKind, Effect, PastLegFacts, RateChange, changes, effect
from shared.domain.rating.lint import Finding, lint
from shared.domain.rating.price_list import CountryPrices, dial_in_rates, price_list
from shared.domain.rating.rate_card import Rate, RateCardVersion
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.ports.rate_cards import RateCardStore
from shared.usecases.charging.past_legs import AnsweredSpan
from shared.usecases.charging.rerate_legs import RerateLegs
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.rate_cards.manage_rate_cards import RateCardService


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two versions: counts of all, and `items` of one page."""

    before: RateCardVersion
    after: RateCardVersion
    counts: Mapping[ChangeKind, int]
    dearer: int
    cheaper: int
    items: tuple[RateChange, ...]
    following: int | None

    def every(self) -> Iterator[RateChange]:
        """All differences, from the beginning."""
        return changes(self.before, self.after)


@dataclass(frozen=True, slots=True)
class MonthEffect:
    """Legs of a month under two versions; `is_complete` is false where there are too many.
    `before` is the version that the other one is compared with."""

    before: RateCardVersion
    month: str
    effect: Effect
    is_complete: bool


@dataclass(frozen=True, slots=True)
class RateCardReports:
    """Reads versions and reports on them; writes nothing. Everything raises StoreUnavailable."""

    service: RateCardService
    store: RateCardStore
    facts: DirectoryCache
    rerate_legs: RerateLegs
    clock: Clock

    async def lint(self, card: str, effective_from: datetime) -> Sequence[Finding]:
        """The findings of the lint in a version. Raises NotFound `rate_card_version_unknown`."""
        _, version = await self.service.version(card, effective_from)
        return await found_in(version)

    async def compare(
        self,
        before: tuple[str, datetime],
        after: tuple[str, datetime],
        *,
        skip: int,
        limit: int,
    ) -> Comparison:
        """The differences of two versions, each a card and a time at which it is in force.

        Raises NotFound `rate_card_unknown`, `rate_card_version_unknown`, Invalid
        `currencies_differ`.
        """
        old, new = await self._in_force(*before), await self._in_force(*after)
        if old.currency != new.currency:
            raise Invalid(
                f"The versions have prices in {old.currency} and {new.currency}. "
                "Compare versions of one currency.",
                code="currencies_differ",
            )
        return await asyncio.to_thread(_compare, old, new, skip, limit)

    async def effect(
        self,
        before: RateCardVersion | None,
        after: RateCardVersion,
        account: str,
        month: str | None,
        principal: Principal,
    ) -> MonthEffect | None:
        """The cost of an account's legs of a month, by default the last one, under both versions;
        without `before` under the account's present one. None where there is none in the currency
        of `after`.

        Raises NotAllowed, NotFound `account_unknown`, Invalid `month_invalid`.
        """
        principal.require_account(account)
        settings = (await self.facts.require_account(account)).settings
        now, zone = self.clock.now(), settings.time_zone
        before = before or await self.store.version_for(settings.rate_card, now)
        if before is None or before.currency != after.currency:
            return None
        month = month or last_month(now, zone)
        span = AnsweredSpan(*requested_month_span(month, zone))
        legs, is_complete = await self.rerate_legs.records(
            account, span, limit=limits.EFFECT_LEGS_MAX
        )
        rated: list[PastLegFacts] = []
        for debits in legs:
            await yield_to_others()
            facts = leg_facts(ChargeRecord(debits[-1].charge), debits[0].person)
            if not isinstance(facts, SkipReason):
                rated.append(facts)
        result = await asyncio.to_thread(effect, before, after, rated)
        return MonthEffect(before, month, result, is_complete)

    async def price_list(
        self, card: str, at: datetime | None
    ) -> tuple[RateCardVersion, Sequence[CountryPrices], Sequence[Rate]]:
        """The prices in force at a time (default: now): dial-out by country, and the dial-in rates.

        Raises NotFound `rate_card_unknown`, or `rate_card_version_unknown` before its first one.
        """
        version = await self._in_force(card, at or self.clock.now())
        listed = await asyncio.to_thread(lambda: price_list(version, typical_numbers()))
        return version, listed, await asyncio.to_thread(dial_in_rates, version)

    async def _in_force(self, card: str, moment: datetime) -> RateCardVersion:
        await self.service.versions(card)
        version = await self.store.version_for(card, moment)
        if version is None:
            raise NotFound(
                "The rate card has no version in force at that time. "
                "Choose a later time, or put a version with backdate=true.",
                code="rate_card_version_unknown",
            )
        return version


async def found_in(version: RateCardVersion) -> Sequence[Finding]:
    """The findings of lint, made in a thread: a large deck takes a second."""
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
