"""The denied calls of an account: listed, or counted by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import Invalid
from shared.domain.dial_out.denied_calls import DenialGroup, DeniedCall, counted
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.ports.denials import DenialFilter, Denials
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class ReadDenials:
    """Reads denials of the last `DENIALS_KEPT_DAYS`. Raises NotFound `account_unknown`,
    StoreUnavailable."""

    facts: DirectoryCache
    denials: Denials
    clock: Clock

    async def page(
        self,
        account: str,
        span: tuple[datetime | None, datetime | None],
        reason: str | None,
        organizer: str | None,
        *,
        limit: int,
        cursor: str | None,
    ) -> tuple[Sequence[DeniedCall], str | None]:
        """Denied calls, the newest first."""
        await self.facts.require_account(account)
        filters = self._filter(span, reason, organizer)
        return await self.denials.page(account, filters, limit=limit, after=cursor)

    async def count(
        self,
        account: str,
        span: tuple[datetime | None, datetime | None],
        reason: str | None,
        organizer: str | None,
        group: DenialGroup,
    ) -> list[tuple[str | None, int]]:
        """(group, number of denials), the most first. Raises Invalid `result_too_large`."""
        zone = (await self.facts.require_account(account)).settings.time_zone
        filters = self._filter(span, reason, organizer)
        denials: list[DeniedCall] = []
        after: str | None = None
        while True:
            page, after = await self.denials.page(
                account, filters, limit=limits.LIST_ITEMS_MAX, after=after
            )
            denials += page
            if after is None:
                return counted(denials, group, zone)
            if len(denials) >= limits.DENIALS_COUNTED_MAX:
                detail = f"More than {limits.DENIALS_COUNTED_MAX:,} denials match. Narrow the span."
                raise Invalid(detail, code="result_too_large")
            await yield_to_others()

    def _filter(
        self,
        span: tuple[datetime | None, datetime | None],
        reason: str | None,
        organizer: str | None,
    ) -> DenialFilter:
        now = self.clock.now()
        kept = now - timedelta(days=limits.DENIALS_KEPT_DAYS)
        since, until = span
        latest = now + timedelta(seconds=limits.LEG_FUTURE_SECONDS_MAX)
        since = max(kept, since or kept)
        return DenialFilter(since, max(since, min(until or latest, latest)), reason, organizer)
