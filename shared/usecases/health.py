"""Whether this process can do its work: each thing that it needs is asked, really."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain import limits
from shared.domain.errors import PerminuteError
from shared.ports.legs import ParkingLot
from shared.ports.world import Clock

type Check = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Health:
    """What each check found: "ok", or the code of what is wrong; and for how many seconds the
    oldest open parked leg waits, None while there is none or nobody knows."""

    checks: Mapping[str, str]
    parked_seconds: int | None = None

    @property
    def is_ok(self) -> bool:
        """Whether everything is there that is needed to serve."""
        return all(outcome == "ok" for outcome in self.checks.values())

    @property
    def has_forgotten_legs(self) -> bool:
        """Whether a leg is parked for so long that somebody should look."""
        return (self.parked_seconds or 0) >= limits.PARKED_AGE_SECONDS_MAX


class HealthChecks:
    """Asks all at once, each within `HEALTH_SECONDS_MAX`.

    The answer is open to all, so it is kept for a moment: asking often costs nothing.
    """

    def __init__(self, checks: Mapping[str, Check], parking: ParkingLot, clock: Clock) -> None:
        self._checks = checks
        self._parking = parking
        self._clock = clock
        self._last: tuple[datetime, Health] | None = None
        self._parked: tuple[datetime, datetime | None] | None = None

    async def __call__(self) -> Health:
        """The outcome of every check; raises nothing."""
        now = self._clock.now()
        kept = timedelta(seconds=limits.HEALTH_KEPT_SECONDS)
        if self._last is not None and timedelta(0) <= now - self._last[0] < kept:
            return self._last[1]
        outcomes = await asyncio.gather(*(_outcome(check) for check in self._checks.values()))
        parked_at = await self._oldest_parked(now)
        parked = None if parked_at is None else max(0, (now - parked_at) // timedelta(seconds=1))
        health = Health(dict(zip(self._checks, outcomes, strict=True)), parked)
        self._last = (now, health)
        return health

    async def _oldest_parked(self, now: datetime) -> datetime | None:
        """When the oldest open parked leg came; looked up once in a while, since that is a scan."""
        kept = timedelta(seconds=limits.PARKED_AGE_KEPT_SECONDS)
        if self._parked is None or not timedelta(0) <= now - self._parked[0] < kept:
            try:
                async with asyncio.timeout(limits.HEALTH_SECONDS_MAX):
                    self._parked = (now, await self._parking.oldest_open())
            except (PerminuteError, TimeoutError):
                self._parked = None  # the checks say what is away
        return self._parked[1] if self._parked else None


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(limits.HEALTH_SECONDS_MAX):
            await check()
    except TimeoutError:
        return "timeout"
    except PerminuteError as error:
        return error.code
    return "ok"
