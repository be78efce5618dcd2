"""Rate cards by the time from which they hold."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shared.domain.rating.rate_card import RateCardVersion
from shared.domain.rating.versioning import CardVersion, PutRules


class RateCards(Protocol):
    """Rate card versions by the time from which they hold."""

    async def version_for(
        self, card: str, answered_at: datetime, *, known_at: datetime | None = None
    ) -> RateCardVersion | None:
        """The version in force at a time, or None. Absence is reported only after a fresh read. A
        version that any process stored before `known_at` counts."""
        ...


class RateCardStore(RateCards, Protocol):
    """Rate cards with their administration. Every method raises StoreUnavailable."""

    async def put(self, version: RateCardVersion, rules: PutRules) -> CardVersion:
        """Create or replace a version. Raises what `check_put` raises."""
        ...

    async def check(self, card: str, effective_from: datetime, rules: PutRules) -> None:
        """Check a version as `put` does, and write nothing. Raises what `put` would raise."""
        ...

    async def version(
        self, card: str, effective_from: datetime
    ) -> tuple[CardVersion, RateCardVersion] | None:
        """The version that takes effect at a time, with all its rates, or None."""
        ...

    async def versions(self, card: str) -> Sequence[CardVersion]:
        """The versions of a card by the time from which they hold; none: no such card."""
        ...

    async def cards(self, *, limit: int, after: str | None) -> Sequence[str]:
        """Names of cards in order, at most `limit`."""
        ...
