"""Whether this process can do its work: each thing that it needs is asked, really."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain import limits
from shared.domain.errors import PerminuteError
from shared.ports import Clock

type Check = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Health:
    """What each check found: "ok", or the code of what is wrong."""

    checks: Mapping[str, str]

    @property
    def is_ok(self) -> bool:
        """Whether everything is there."""
        return all(outcome == "ok" for outcome in self.checks.values())


class HealthChecks:
    """Asks all at once, each within `HEALTH_SECONDS_MAX`.

    The answer is open to all, so it is kept for a moment: asking often costs nothing.
    """

    def __init__(self, checks: Mapping[str, Check], clock: Clock) -> None:
        self._checks = checks
        self._clock = clock
        self._last: tuple[datetime, Health] | None = None

    async def __call__(self) -> Health:
        """The outcome of every check; raises nothing."""
        now = self._clock.now()
        kept = timedelta(seconds=limits.HEALTH_KEPT_SECONDS)
        if self._last is not None and timedelta(0) <= now - self._last[0] < kept:
            return self._last[1]
        outcomes = await asyncio.gather(*(_outcome(check) for check in self._checks.values()))
        health = Health(dict(zip(self._checks, outcomes, strict=True)))
        self._last = (now, health)
        return health


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(limits.HEALTH_SECONDS_MAX):
            await check()
    except TimeoutError:
        return "timeout"
    except PerminuteError as error:
        return error.code
    return "ok"
