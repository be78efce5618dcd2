"""Health checks: each dependency of the process is tried."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import PerminuteError
from shared.domain.operations.status import Status
from shared.ports.clock import Clock
from shared.ports.legs import ParkingLot
from shared.ports.queues import Inbox, QueueManagement

type HealthCheck = Callable[[], Awaitable[object]]
type QueueState = Callable[[], Awaitable[datetime | None]]
"""Since when the oldest leg waits in the queue, None: none does; raises like a check."""

WAITING_SECONDS_MAX = 60
"""A leg that waits longer than this to be charged makes the product degraded."""


@dataclass(frozen=True, slots=True)
class Health:
    """The result of each check: "ok", or the code of the fault; the seconds that the oldest leg
    waits to be charged, the oldest message in the queue, and the oldest open parked leg; the number
    of dead letters. None for an absent or unknown value."""

    checks: Mapping[str, str]
    waiting_seconds: int | None = None
    parked_seconds: int | None = None
    queue_seconds: int | None = None
    dead_letters: int | None = None

    @property
    def can_accept_legs(self) -> bool:
        """True if the queue or the tables can accept new legs."""
        return self.checks.get("tables") == "ok"

    @property
    def legs_wait(self) -> bool:
        """True if a leg has waited for its charge for too long."""
        return (self.waiting_seconds or 0) >= WAITING_SECONDS_MAX

    @property
    def has_forgotten_legs(self) -> bool:
        """True if a leg is parked for so long that a person has to act."""
        return (self.parked_seconds or 0) >= limits.PARKED_AGE_SECONDS_MAX

    @property
    def status(self) -> Status:
        """The worst status of all checks."""
        if not self.can_accept_legs:
            return Status.FAILING
        is_ok = all(outcome == "ok" for outcome in self.checks.values())
        has_delay = self.legs_wait or self.has_forgotten_legs or bool(self.dead_letters)
        return Status.OK if is_ok and not has_delay else Status.DEGRADED


class HealthChecks:
    """Runs all checks at once, each within `HEALTH_SECONDS_MAX`.

    The answer is open to all, so it is kept for a moment: frequent requests cost nothing.
    """

    def __init__(
        self,
        tables: HealthCheck,
        queue: QueueState,
        management: QueueManagement,
        inbox: Inbox,
        parking: ParkingLot,
        clock: Clock,
    ) -> None:
        self._tables = tables
        self._queue = queue
        self._management = management
        self._inbox = inbox
        self._parking = parking
        self._clock = clock
        self._last: tuple[datetime, Health] | None = None
        self._scanned: _Scan | None = None

    async def __call__(self) -> Health:
        """The outcome of every check; raises nothing."""
        now = self._clock.now()
        kept = timedelta(seconds=limits.HEALTH_KEPT_SECONDS)
        if self._last is not None and timedelta(0) <= now - self._last[0] < kept:
            return self._last[1]
        (tables, _), (queue, queued_at) = await asyncio.gather(
            _outcome(self._tables), _outcome(self._queue)
        )
        scanned = await self._scan(now)
        waiting_at = min(filter(None, (queued_at, scanned.kept_at)), default=None)
        health = Health(
            checks={"tables": tables, "queue": queue},
            waiting_seconds=_age(now, waiting_at),
            parked_seconds=_age(now, scanned.parked_at),
            queue_seconds=_age(now, queued_at),
            dead_letters=scanned.dead_letters,
        )
        self._last = (now, health)
        return health

    async def _scan(self, now: datetime) -> "_Scan":
        """The figures that take longer to read, refreshed at intervals; the checks report
        faults."""
        kept = timedelta(seconds=limits.PARKED_AGE_KEPT_SECONDS)
        if self._scanned is None or not timedelta(0) <= now - self._scanned.at < kept:
            (_, kept_at), (_, parked_at), (_, counts) = await asyncio.gather(
                _outcome(self._kept_at), _outcome(self._parking.oldest_open),
                _outcome(self._management.counts),
            )  # fmt: skip
            self._scanned = _Scan(now, kept_at, parked_at, counts.dead_letters if counts else None)
        return self._scanned

    async def _kept_at(self) -> datetime | None:
        """The time at which the oldest leg of the spillover was stored."""
        return (await self._inbox.depth(limit=limits.STATUS_INBOX_MESSAGES_MAX))[1]


@dataclass(frozen=True, slots=True)
class _Scan:
    at: datetime
    kept_at: datetime | None
    parked_at: datetime | None
    dead_letters: int | None


def _age(now: datetime, moment: datetime | None) -> int | None:
    return None if moment is None else max(0, (now - moment) // timedelta(seconds=1))


async def _outcome[Found](
    check: Callable[[], Awaitable[Found]],
) -> tuple[str, Found | None]:
    try:
        async with asyncio.timeout(limits.HEALTH_SECONDS_MAX):
            return "ok", await check()
    except TimeoutError:
        return "timeout", None
    except PerminuteError as error:
        return error.code, None
