"""Counters of one scope: the charges of its dial-outs, their number, and their regions. Counters
have final amounts only; the hold book adds the amounts of open holds. Minutes count since 1970;
days and months are in the account's time zone, as ISO text.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.common import limits
from shared.domain.common.calendar import month_of
from shared.domain.dial_out.budgets import BudgetPeriod

MINUTES_PER_HOUR = 60
COST_WINDOW_MINUTES = 10
_PERIODS_KEPT = 2
_WARNED_KEPT = 2 * len(BudgetPeriod)  # a day and a month, before and after midnight; a meeting

type Buckets = tuple[tuple[int, int], ...]
"""(minute, count or micros) in order of time."""

type Periods = tuple[tuple[str, int], ...]
"""(day or month as ISO text, micros), the newest last."""


@dataclass(frozen=True, slots=True)
class Counters:
    """The spend and the dial-outs of one scope.

    The counters have two days and two months, since a call that was allowed before midnight may be
    charged after midnight. `meeting_since` is the minute of the first charge of the meeting,
    `meeting_minute` that of the last one. `warned` names the periods for whose budget a warning was
    emitted.
    """

    days: Periods = ()
    months: Periods = ()
    meeting_minute: int = 0
    meeting_micros: int = 0
    placed: Buckets = ()
    costs: Buckets = ()
    regions: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    meeting_since: int = 0

    def spent_micros(self, period: BudgetPeriod, day: str, minute: int, *, running: bool) -> int:
        """The charges in the period that contains `day`; of a meeting since it began.

        A meeting is over when nothing was charged for some hours and no call of it is `running`.
        """
        if period is BudgetPeriod.DAY:
            return dict(self.days).get(day, 0)
        if period is BudgetPeriod.MONTH:
            return dict(self.months).get(month_of(day), 0)
        return self.meeting_micros if running or not self._meeting_is_over(minute) else 0

    def placed_last_hour(self, minute: int) -> int:
        """Dial-outs allowed in the last hour, and in the rest of its first minute: a limit holds
        for every 60 minutes, at any begin."""
        return sum(count for at, count in self.placed if at >= minute - MINUTES_PER_HOUR)

    def cost_since(self, minute: int) -> int:
        """Micros of the calls granted in this minute or later that are no open hold's."""
        return sum(micros for at, micros in self.costs if at >= minute)

    def with_placed(self, minute: int, region: str | None) -> "Counters":
        """The counters after an allowed dial-out."""
        regions = self.regions
        if region is not None and region not in regions:
            regions = tuple(sorted((*regions, region)))
        oldest = minute - MINUTES_PER_HOUR - 1
        return replace(self, placed=_added(self.placed, minute, 1, oldest), regions=regions)

    def with_warned(self, mark: str) -> "Counters":
        """The counters after a warning about a period's budget; they contain the newest few
        warnings."""
        return replace(self, warned=(*self.warned, mark)[-_WARNED_KEPT:])

    def with_cost(self, granted_minute: int, micros: int, minute: int) -> "Counters":
        """The counters after the cost of a grant in a minute became known."""
        oldest = minute - COST_WINDOW_MINUTES - 1
        if micros <= 0 or granted_minute <= oldest:
            return self
        return replace(self, costs=_added(self.costs, granted_minute, micros, oldest))

    def with_charge(self, day: str, micros: int, minute: int) -> "Counters":
        """The counters after the charge of a call that was allowed on `day`."""
        is_new = self._meeting_is_over(minute)
        return replace(
            self,
            days=_charged(self.days, day, micros),
            months=_charged(self.months, month_of(day), micros),
            meeting_minute=minute,
            meeting_micros=micros if is_new else self.meeting_micros + micros,
            meeting_since=minute if is_new else self.meeting_since,
        )

    def with_correction(self, day: str, micros: int, placed_minute: int) -> "Counters":
        """Record a changed charge of a call that was allowed on `day`, in a minute; a reversal
        subtracts all of it. Periods that are no longer counted stay unchanged."""
        in_meeting = placed_minute >= self.meeting_since - limits.MEETING_GAP_MINUTES
        meeting_micros = max(0, self.meeting_micros + micros) if in_meeting else self.meeting_micros
        return replace(
            self,
            days=_corrected(self.days, day, micros),
            months=_corrected(self.months, month_of(day), micros),
            meeting_micros=meeting_micros,
        )

    def _meeting_is_over(self, minute: int) -> bool:
        return minute - self.meeting_minute > limits.MEETING_GAP_MINUTES


def minute_of(moment: datetime) -> int:
    """The minute since 1970 that a moment is in."""
    return int(moment.timestamp()) // 60


def _charged(periods: Periods, name: str, micros: int) -> Periods:
    spent = dict(periods)
    spent[name] = spent.get(name, 0) + micros
    return tuple(sorted(spent.items())[-_PERIODS_KEPT:])


def _corrected(periods: Periods, name: str, micros: int) -> Periods:
    return tuple(
        (each, max(0, spent + micros) if each == name else spent) for each, spent in periods
    )


def _added(buckets: Buckets, minute: int, amount: int, oldest: int) -> Buckets:
    recent = {at: value for at, value in buckets if at > oldest}
    recent[minute] = recent.get(minute, 0) + amount
    return tuple(sorted(recent.items()))
