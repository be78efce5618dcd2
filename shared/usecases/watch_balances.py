"""The low-balance timer: looks at the accounts that a due mark names, never at all of them."""

from dataclasses import dataclass
from datetime import timedelta

from shared.domain import limits
from shared.domain.errors import PerminuteError
from shared.ports import Clock, DueMark, DueMarks
from shared.usecases.publish_events import PublishEvents


@dataclass(frozen=True, slots=True)
class Watched:
    """What a tick did: marks acted upon, events that a dead process had left, failures.

    `oldest_seconds` is the age of the oldest mark: marks live for minutes, unless nothing can be
    published.
    """

    marks: int
    events: int
    failures: tuple[str, ...]
    oldest_seconds: float


class WatchBalances:
    """Acts on due marks. Thresholds are checked at every commit; a tick publishes what is left."""

    def __init__(self, due: DueMarks, publish: PublishEvents, clock: Clock) -> None:
        self._due = due
        self._publish = publish
        self._clock = clock

    async def __call__(self) -> Watched:
        """One tick. A failing account does not stop the others; its mark stays.

        A mark is written before its commit, so it stays until no commit can follow it any more.
        """
        now = self._clock.now()
        settled = now - timedelta(seconds=limits.DUE_MARK_SETTLE_SECONDS)
        marks = await self._due.due(now, limit=limits.DUE_MARKS_MAX)
        by_account: dict[str, list[DueMark]] = {}
        for mark in marks:
            by_account.setdefault(mark.account, []).append(mark)
        events = 0
        failures: list[str] = []
        for account, named in by_account.items():
            try:
                events += await self._publish(account)
                for mark in named:
                    if mark.at <= settled:
                        await self._due.clear(mark)
            except PerminuteError as error:
                failures.append(f"{account}: {error.detail}")
        oldest = max((now - mark.at for mark in marks), default=timedelta(0))
        return Watched(len(marks), events, tuple(failures), oldest.total_seconds())
