"""Facts of a region: the offers of Teams there, and for an account, the permission of its policy to
dial it and the prices of its card."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from shared.domain.common import limits
from shared.domain.common.errors import NotFound
from shared.domain.dial_out.dial_out_checks import region_denial
from shared.domain.dial_out.facts import AccountFacts, Denial, DialOutFacts, OrganizerFacts
from shared.domain.dial_out.policy import AccountPolicy
from shared.domain.directory.entities import Account
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.example_numbers import PlanNumber, typical_numbers
from shared.domain.numbers.numbers import look_up
from shared.domain.numbers.regions import NAMES
from shared.domain.rating.rate_card import RateCardVersion
from shared.domain.rating.region_prices import PriceRange, RegionPrices, region_prices
from shared.ports.clock import Clock
from shared.ports.rate_cards import RateCardStore
from shared.usecases.directory.directory_cache import DirectoryCache

_VERSIONS_KEPT = 4


@dataclass(frozen=True, slots=True)
class OfAccount:
    """A region for an account: `denial` is the rule of its policy against it, `prices` are those of
    its card by class of number, None where it has no version in force."""

    denial: Denial | None
    version: RateCardVersion | None
    prices: dict[NumberClass, PriceRange]


@dataclass(frozen=True, slots=True)
class RegionView:
    """A region; `calling_codes` are several for the international networks."""

    region: str
    calling_codes: tuple[str, ...]
    of_account: OfAccount | None = None


@dataclass(frozen=True, slots=True)
class ReadRegions:
    """Reads regions. Everything raises StoreUnavailable, NotFound `account_unknown`."""

    facts: DirectoryCache
    rate_cards: RateCardStore
    clock: Clock

    async def __call__(self, account: str | None) -> Sequence[RegionView]:
        """All regions by code."""
        plan = await asyncio.to_thread(typical_numbers)
        by_region: dict[str, list[PlanNumber]] = {region: [] for region in sorted(NAMES)}
        for number in plan:
            by_region[number.region].append(number)
        views = [
            RegionView(region, tuple(dict.fromkeys(each.calling_code for each in numbers)))
            for region, numbers in by_region.items()
            if numbers
        ]
        if account is None:
            return views
        facts = await self.facts.require_account(account)
        policy = await self.facts.dial_out_policy(account)
        version = await self.rate_cards.version_for(facts.settings.rate_card, self.clock.now())
        prices: RegionPrices = {}
        if version is not None:
            prices = await asyncio.to_thread(_prices, version)

        def shown(view: RegionView) -> RegionView:
            typical = by_region[view.region][0]
            denial = _denial(facts, policy, typical)
            own = OfAccount(denial, version, prices.get(view.region, {}))
            return RegionView(view.region, view.calling_codes, own)

        return await asyncio.to_thread(lambda: list(map(shown, views)))

    async def one(self, region: str, account: str | None) -> RegionView:
        """One region. Raises NotFound `region_unknown`."""
        for view in await self(account):
            if view.region == region:
                return view
        raise NotFound(
            "No country or territory has this code. Send an ISO 3166-1 code such as FR, or 001.",
            code="region_unknown",
        )


def _denial(account: Account, policy: AccountPolicy, typical: PlanNumber) -> Denial | None:
    """The decision for an organizer without own settings."""
    return region_denial(
        DialOutFacts(
            dialled=look_up(f"+{typical.digits}", ()),
            account=AccountFacts(account.id, account.settings.usage_location),
            organizer=OrganizerFacts(""),
            policy=policy,
        )
    )


@lru_cache(maxsize=_VERSIONS_KEPT)
def _prices(version: RateCardVersion) -> RegionPrices:
    return region_prices(version, typical_numbers(), rows_max=limits.REGION_PRICES_RATES_MAX)
