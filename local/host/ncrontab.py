"""NCRONTAB schedules with six fields: second, minute, hour, day, month, day of week; in UTC."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from local.host.settings import SettingError

_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7))  # 0 and 7 are Sunday
_HORIZON_DAYS = 366 * 8 + 1  # from one 29 February to the next, a century included


class ScheduleError(SettingError):
    """A text that is no NCRONTAB schedule, or one that names no instant."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The values that each field allows. A day must fit day, month and day of week."""

    times: tuple[time, ...]  # of a day, ascending
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday

    def next_after(self, moment: datetime) -> datetime:
        """The first instant after `moment` (aware). Raises ScheduleError if there is none."""
        moment = moment.astimezone(UTC)
        for offset in range(_HORIZON_DAYS):
            day = moment.date() + timedelta(days=offset)
            later = bisect_right(self.times, moment.time()) if offset == 0 else 0
            if (
                later < len(self.times)
                and day.day in self.days
                and day.month in self.months
                and day.isoweekday() % 7 in self.weekdays
            ):
                return datetime.combine(day, self.times[later], UTC)
        raise ScheduleError("the schedule never comes due")


def parse_schedule(text: str) -> Schedule:
    """Parse fields of `*`, `n`, `a-b`, each perhaps with `/step`, and lists of them.

    Raises ScheduleError for anything else, names of months and days included.
    """
    fields = text.split()
    if len(fields) != len(_RANGES):
        raise ScheduleError(f"{text!r} does not have six fields")
    seconds, minutes, hours, days, months, weekdays = (
        _parse_field(field, low, high) for field, (low, high) in zip(fields, _RANGES, strict=True)
    )
    times = sorted(time(h, m, s) for h in hours for m in minutes for s in seconds)
    return Schedule(tuple(times), days, months, frozenset(day % 7 for day in weekdays))


def _parse_field(text: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?", part, re.ASCII)
        if match is None:
            raise ScheduleError(f"the field {text!r} is not understood")
        start, end, step = (int(group) if group else None for group in match.groups())
        first = low if start is None else start
        # `5/10` runs from 5 to the end of the field, a bare `5` is itself.
        last = end if end is not None else first if start is not None and step is None else high
        if not low <= first <= last <= high or step == 0:
            raise ScheduleError(f"the field {text!r} is out of range")
        values.update(range(first, last + 1, step or 1))
    return frozenset(values)
