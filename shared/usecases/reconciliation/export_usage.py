"""The answered legs of an account in the shape of Microsoft's reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.common import limits
from shared.domain.common.errors import TooLarge
from shared.domain.ledger.statements import month_of, month_span
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.usecases.charging.answered_legs import AnsweredLegs
from shared.usecases.charging.past_legs import AnsweredSpan
from shared.usecases.directory.directory_cache import DirectoryCache

type RowFormatter = Callable[
    [str, Mapping[str, object], Mapping[str, object], int, str | None, str | None],
    dict[str, object],
]
"""Makes a row of (leg, charge, person, net micros, the organization's country, the user's)."""


@dataclass(frozen=True, slots=True)
class ExportUsage:
    """Reads legs and the locations of their organizers."""

    facts: DirectoryCache
    answered_legs: AnsweredLegs
    clock: Clock

    async def __call__(
        self, account: str, span: tuple[datetime | None, datetime | None], row: RowFormatter
    ) -> Sequence[dict[str, object]]:
        """The rows by the time of the answer; without a span of the present month.

        Raises NotFound `account_unknown`, TooLarge, StoreUnavailable.
        """
        settings = (await self.facts.require_account(account)).settings
        if span == (None, None):
            zone = settings.time_zone
            span = month_span(month_of(self.clock.now(), zone), zone)
        most = limits.RECONCILIATION_LEGS_MAX
        legs, is_complete = await self.answered_legs(account, AnsweredSpan(*span), limit=most)
        if not is_complete:
            raise TooLarge(f"The report has more than {most:,} legs. Choose a shorter span.")
        home = settings.usage_location
        locations: dict[str, str | None] = {"": home}
        rows: list[tuple[object, str, dict[str, object]]] = []
        for leg in legs:
            await yield_to_others()
            person = leg.record.person
            organizer = str(person.get("organizer") or "")
            if organizer not in locations:
                registered = await self.facts.organizer(account, organizer)
                locations[organizer] = (registered and registered.usage_location) or home
            made = row(
                leg.record.leg, leg.charge, person, leg.net_micros, home, locations[organizer]
            )
            rows.append((leg.charge["answered_at"], leg.record.leg, made))
        return [made for _, _, made in sorted(rows, key=lambda each: (str(each[0]), each[1]))]
