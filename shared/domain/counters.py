"""Counters of one scope: what its dial-outs were charged, how many were let through, where to.

They hold what is over: the amounts of open holds are added by the hold book, which knows them.
Minutes are counted since 1970; days and months are the account's own, as ISO text.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain import limits
from shared.domain.dial_limits import Period

MINUTES_PER_HOUR = 60
COST_WINDOW_MINUTES = 10
_MONTH_CHARS = len("2026-11")

type Buckets = tuple[tuple[int, int], ...]
"""(minute, count or micros) in order of time."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What one scope spent and dialled; only the newest day and month are kept."""

    day: str = ""
    day_micros: int = 0
    month: str = ""
    month_micros: int = 0
    meeting_minute: int = 0
    meeting_micros: int = 0
    placed: Buckets = ()
    costs: Buckets = ()
    regions: tuple[str, ...] = ()

    def spent_micros(self, period: Period, day: str, minute: int, *, running: bool) -> int:
        """What was charged in the period that `day` is in; of a meeting since it began.

        A meeting is over when nothing was charged for some hours and no call of it is `running`.
        """
        if period is Period.DAY:
            return self.day_micros if self.day == day else 0
        if period is Period.MONTH:
            return self.month_micros if self.month == day[:_MONTH_CHARS] else 0
        return self.meeting_micros if running or not self._meeting_is_over(minute) else 0

    def placed_last_hour(self, minute: int) -> int:
        """Dial-outs let through in the 60 minutes up to this one."""
        return sum(count for at, count in self.placed if at > minute - MINUTES_PER_HOUR)

    def cost_since(self, minute: int) -> int:
        """Micros of the calls granted in this minute or later that are no open hold's."""
        return sum(micros for at, micros in self.costs if at >= minute)

    def with_placed(self, minute: int, region: str | None) -> "Counters":
        """One more dial-out was let through."""
        regions = self.regions
        if region is not None and region not in regions:
            regions = tuple(sorted((*regions, region)))
        oldest = minute - MINUTES_PER_HOUR
        return replace(self, placed=_added(self.placed, minute, 1, oldest), regions=regions)

    def with_cost(self, granted_minute: int, micros: int, minute: int) -> "Counters":
        """What was granted in a minute turned out to cost so much."""
        oldest = minute - COST_WINDOW_MINUTES
        if micros <= 0 or granted_minute <= oldest:
            return self
        return replace(self, costs=_added(self.costs, granted_minute, micros, oldest))

    def with_charge(self, day: str, micros: int, minute: int) -> "Counters":
        """A call that was let through on `day` was charged."""
        counted = self
        month = day[:_MONTH_CHARS]
        if day >= self.day:
            before = self.day_micros if day == self.day else 0
            counted = replace(counted, day=day, day_micros=before + micros)
        if month >= self.month:
            before = self.month_micros if month == self.month else 0
            counted = replace(counted, month=month, month_micros=before + micros)
        before = 0 if self._meeting_is_over(minute) else self.meeting_micros
        return replace(counted, meeting_minute=minute, meeting_micros=before + micros)

    def _meeting_is_over(self, minute: int) -> bool:
        return minute - self.meeting_minute > limits.MEETING_GAP_MINUTES


def minute_of(moment: datetime) -> int:
    """The minute since 1970 that a moment is in."""
    return int(moment.timestamp()) // 60


def _added(buckets: Buckets, minute: int, amount: int, oldest: int) -> Buckets:
    recent = {at: value for at, value in buckets if at > oldest}
    recent[minute] = recent.get(minute, 0) + amount
    return tuple(sorted(recent.items()))
