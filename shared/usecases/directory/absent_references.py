"""Settings with references to absent objects: accepted, with a warning for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.common.errors import FieldError
from shared.domain.common.ids import is_id
from shared.domain.directory.access import ALL_ACCOUNTS
from shared.domain.directory.entities import AccountSettings, Bridge
from shared.domain.legs.assembly import MEETING_DIALECTS
from shared.ports.rate_cards import RateCardStore
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class Absent:
    """Absent references of a setting: a pointer into the setting and a sentence each.

    Everything raises StoreUnavailable.
    """

    facts: DirectoryCache
    rate_cards: RateCardStore

    async def of_account(self, settings: AccountSettings) -> Sequence[FieldError]:
        """The rate cards of an account that have no version."""
        named = [("/rate_card", settings.rate_card, "legs are parked as rate_missing")]
        if settings.carrier_card is not None:
            consequence = "legs are flagged carrier_rate_missing"
            named.append(("/carrier_card", settings.carrier_card, consequence))
        return [
            FieldError(
                pointer, f"There is no rate card {card} yet: {consequence} until it has a version."
            )
            for pointer, card, consequence in named
            if not (is_id(card) and await self.rate_cards.versions(card))
        ]

    async def of_bridge(self, bridge: Bridge) -> Sequence[FieldError]:
        """The accounts of a bridge that do not exist, and the bridge that is to report its
        meetings."""
        named = [
            (f"/accounts/{place}", account)
            for place, account in enumerate(sorted(bridge.accounts))
            if account != ALL_ACCOUNTS
        ]
        if bridge.default_account is not None:
            named.append(("/default_account", bridge.default_account))
        return [*await self._accounts(named), *await self._meetings(bridge.meetings_from)]

    async def _meetings(self, name: str | None) -> Sequence[FieldError]:
        reporter = None if name is None else await self.facts.bridge(name, fresh=True)
        if name is None or (reporter and reporter.dialect in MEETING_DIALECTS):
            return []
        state = f"reports no meetings: it is of dialect {reporter.dialect}" if reporter else None
        detail = (
            f"The bridge {name} {state or 'is not registered yet'}. Legs go without the accounts "
            "and organizers of their meetings until that is changed."
        )
        return [FieldError("/meetings_from", detail)]

    async def of_api_key(self, accounts: Sequence[str]) -> Sequence[FieldError]:
        """The accounts of an API key that do not exist."""
        return await self._accounts(
            (f"/accounts/{place}", account)
            for place, account in enumerate(accounts)
            if account != ALL_ACCOUNTS
        )

    async def of_conference(self, account: str, organizer: str) -> Sequence[FieldError]:
        """The organizer of a conference, where the account has none of that id."""
        if await self.facts.organizer(account, organizer, fresh=True) is not None:
            return []
        detail = (
            f"The account has no organizer {organizer} yet: legs are charged as pay_per_minute "
            "until it is registered."
        )
        return [FieldError("/organizer", detail)]

    async def _accounts(self, named: Iterable[tuple[str, str]]) -> Sequence[FieldError]:
        return [
            FieldError(pointer, f"There is no account {account} yet.")
            for pointer, account in named
            if await self.facts.account(account) is None
        ]
