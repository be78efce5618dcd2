"""The rate at which credits are used, and the time at which they run out (the statistics:
docs/forecast.md).

Every full hour that passed is one observation of its hour of the week, in the account's time zone.
The 168 averages are exponential: a new week has a weight of one quarter. The trend compares the
last days with their expected use; its half-life is five days. A forecast needs a whole week, with
calls on some of its days. The last 24 hours are stored separately, so that a sudden change is
visible before the averages follow. All amounts are integer micros, so the same history gives the
same forecast everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, chain, islice
from math import isqrt

from shared.domain.common import limits
from shared.domain.common.calendar import zone

HOURS_PER_DAY = 24
HOURS_PER_WEEK = 168
SECONDS_PER_HOUR = 3600
_WEIGHT = 4  # a new week weighs 1/4
_TREND_HOURS = 168  # what the trend remembers of an hour is 167/168 an hour later
_TREND_MOST = 4  # a trend is believed up to four times, or a quarter of, what was expected
_QUANTILE_PER_CENT = 128  # 1.28 standard deviations: four of five lie within
# More for few degrees of freedom: Student's t would need 96, days that cost many times as much as
# others for the rest (docs/forecast.md)
_QUANTILE_PER_CENT_BY_FREEDOM = 280
_PRIOR_FREEDOM = (
    3  # what the spread of all working days, and of weekends, weighs beside that by weekday
)
_LEVEL_DAYS_MAX = 7  # what is laid over the pattern forgets: the level is that of so many days
_LEVEL_PER_CENT = 4  # a level drifts
CHANCE = "80 %"  # that what happens lies between the extremes


@dataclass(frozen=True, slots=True)
class SpendDay:
    """A day of the account: the amount spent, and the balance at its last movement."""

    ordinal: int
    spent_micros: int
    balance_micros: int


@dataclass(frozen=True, slots=True)
class Burn:
    """The known use of an account. `hour` is the open hour, in hours since 1970, None before the
    first debit; `hours` is the number of closed hours. The trend compares `recent_micros` with
    `expected_micros`. `last` has the amounts of the last closed hours, the newest at the end."""

    hour: int | None = None
    open_micros: int = 0
    hours: int = 0
    week: tuple[int, ...] = ()
    recent_micros: int = 0
    expected_micros: int = 0
    days: tuple[SpendDay, ...] = ()
    last: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ForecastSpread:
    """The uncertainty of a forecast. `day_micros` is the standard deviation of a day,
    `level_micros` that of the mean day, `quantile_per_cent` how many of them the interval extends
    to each side."""

    day_micros: int
    level_micros: int
    quantile_per_cent: int

    def half_width_micros(self, hours: int) -> int:
        """Half the interval of the cost of a number of hours. Days, also begun ones, vary
        independently; the error of the mean level has the same sign on all days."""
        days = -(-hours // HOURS_PER_DAY) * self.day_micros**2
        level = (hours * self.level_micros // HOURS_PER_DAY) ** 2
        return isqrt(days + level) * self.quantile_per_cent // 100


@dataclass(frozen=True, slots=True)
class Forecast:
    """The time at which the credits run out (None: not within a year), and the interval with a
    probability of four in five. `per_day_micros` is the cost of a mean day."""

    per_day_micros: int
    spread: ForecastSpread
    runs_out_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecentSpend:
    """The recent spend, independent of the pattern: since the begin of the clock hour before the
    present one, and in the last 24 clock hours."""

    since: datetime
    spent_micros: int
    day_micros: int

    def seconds_left(self, credit_micros: int, at: datetime) -> int | None:
        """The duration of the credit at the pace since then; None if nothing was spent."""
        if self.spent_micros <= 0:
            return None
        elapsed = int((at - self.since).total_seconds())
        return max(0, credit_micros) * elapsed // self.spent_micros


def moved(
    burn: Burn, at: datetime, time_zone: str, *, spent_micros: int, balance_micros: int
) -> Burn:
    """The burn after the balance moved; `spent_micros` is the cost of legs."""
    days = _with_day(burn.days, at, time_zone, spent_micros, balance_micros)
    if burn.hour is None and not spent_micros:
        return replace(burn, days=days)
    burn = rolled(burn, at, time_zone)
    hour = _hour(at) if burn.hour is None else burn.hour
    return replace(burn, hour=hour, open_micros=burn.open_micros + spent_micros, days=days)


def rolled(burn: Burn, at: datetime, time_zone: str) -> Burn:
    """The burn with every hour closed that ended before a time."""
    now = _hour(at)
    if burn.hour is None or now <= burn.hour:
        return burn
    return _rolled(burn, burn.hour, now, time_zone)


@lru_cache(maxsize=limits.BURN_PROFILES_CACHED_MAX)
def _rolled(burn: Burn, first: int, now: int, time_zone: str) -> Burn:
    """Cached, since one evaluation of an account needs it several times."""
    if now - first > limits.BURN_GAP_HOURS_MAX:
        return Burn(days=burn.days)  # what was so long ago says nothing about today
    week = list(burn.week or (0,) * HOURS_PER_WEEK)
    last = (*burn.last, burn.open_micros, *(0,) * min(now - first - 1, HOURS_PER_DAY))
    recent, expected, spent, hours = (
        burn.recent_micros,
        burn.expected_micros,
        burn.open_micros,
        burn.hours,
    )
    for hour_of_week in _hours_of_week_between(first, now, time_zone):
        usual = week[hour_of_week]
        recent += spent - recent // _TREND_HOURS
        expected += (usual if hours >= HOURS_PER_WEEK else spent) - expected // _TREND_HOURS
        if usual != spent:
            weeks = hours // HOURS_PER_WEEK + 1
            week[hour_of_week] = usual + (spent - usual) // (weeks if weeks < _WEIGHT else _WEIGHT)
        hours += 1
        spent = 0
    return replace(
        burn,
        hour=now,
        open_micros=0,
        hours=hours,
        week=tuple(week),
        recent_micros=recent,
        expected_micros=expected,
        last=last[-HOURS_PER_DAY:],
    )


def why_unknown(burn: Burn, at: datetime, time_zone: str) -> str | None:
    """The reason for which there is no forecast, as a sentence; None where there is one."""
    burn = rolled(burn, at, time_zone)
    if burn.hour is None:
        return "No call was charged yet, or none for a long time."
    if burn.hours < HOURS_PER_WEEK:
        return (
            f"A forecast needs the calls of a whole week: {burn.hours} of {HOURS_PER_WEEK} hours"
            " are known."
        )
    days = sum(day.spent_micros > 0 for day in burn.days)
    if days < limits.BURN_SPENT_DAYS_MIN:
        return (
            f"A forecast needs {limits.BURN_SPENT_DAYS_MIN} days with calls within five weeks:"
            f" {days} are known."
        )
    return None


def recent(burn: Burn, at: datetime, time_zone: str) -> RecentSpend:
    """The recent spend."""
    burn = rolled(burn, at, time_zone)
    since = datetime.fromtimestamp((_hour(at) - 1) * SECONDS_PER_HOUR, UTC)
    spent = burn.open_micros + sum(burn.last[-1:])
    return RecentSpend(since, spent, burn.open_micros + sum(burn.last[-(HOURS_PER_DAY - 1) :]))


def expected_micros(burn: Burn, at: datetime, time_zone: str, hours: int) -> int:
    """The cost of the coming full hours; 0 while there is no forecast."""
    burn = rolled(burn, at, time_zone)
    if burn.hour is None or why_unknown(burn, at, time_zone) is not None:
        return 0
    return _sum(_profile(burn), _hour_of_week(burn.hour, time_zone) + 1, hours)


def highest_micros(burn: Burn, at: datetime, time_zone: str, hours: int) -> int:
    """The highest cost of a number of consecutive hours within a week."""
    burn = rolled(burn, at, time_zone)
    if burn.hour is None or why_unknown(burn, at, time_zone) is not None:
        return 0
    return _highest(_profile(burn), hours)


@lru_cache(maxsize=limits.BURN_PROFILES_CACHED_MAX)
def _highest(profile: tuple[int, ...], hours: int) -> int:
    weeks, rest = divmod(hours, HOURS_PER_WEEK)
    sums = list(accumulate(profile * 2, initial=0))
    most = max(sums[start + rest] - sums[start] for start in range(HOURS_PER_WEEK))
    return weeks * sums[HOURS_PER_WEEK] + most


def forecast(burn: Burn, at: datetime, time_zone: str, credit_micros: int) -> Forecast | None:
    """The time at which an amount of credit runs out at the present burn rate; None if it is
    unknown."""
    burn = rolled(burn, at, time_zone)
    if burn.hour is None or why_unknown(burn, at, time_zone) is not None:
        return None
    profile = _profile(burn)
    spread = _spread(burn, sum(profile) // 7, at, time_zone)
    start = _hour_of_week(burn.hour, time_zone)
    left = SECONDS_PER_HOUR - int(at.timestamp()) % SECONDS_PER_HOUR

    def exhausted_at(side: int) -> datetime | None:
        return _exhausted_at(profile, start, left, at, credit_micros, spread, side)

    return Forecast(
        per_day_micros=sum(profile) // 7,
        spread=spread,
        runs_out_at=exhausted_at(0),
        earliest_at=exhausted_at(1),
        latest_at=exhausted_at(-1),
    )


def hours_left(at: datetime, runs_out_at: datetime) -> int:
    """Whole hours until a time."""
    return int((runs_out_at - at).total_seconds()) // SECONDS_PER_HOUR


def hourly(burn: Burn, at: datetime, time_zone: str, hours: int) -> tuple[int, ...]:
    """The cost of each of the coming full hours; 0 while there is no forecast."""
    burn = rolled(burn, at, time_zone)
    if burn.hour is None or why_unknown(burn, at, time_zone) is not None:
        return (0,) * hours
    profile = _profile(burn)
    start = _hour_of_week(burn.hour, time_zone) + 1
    return tuple(profile[(start + i) % HOURS_PER_WEEK] for i in range(hours))


def _exhausted_at(
    profile: tuple[int, ...],
    start: int,
    seconds_left: int,
    at: datetime,
    credit_micros: int,
    spread: ForecastSpread,
    side: int,
) -> datetime | None:
    """The time at which the credit is used up: as expected (`side` 0), at the earliest (1), at the
    latest (-1)."""
    if credit_micros <= 0:
        return at
    spent = bound = 0
    for hour in range(limits.FORECAST_DAYS_MAX * HOURS_PER_DAY):
        seconds = seconds_left if hour == 0 else SECONDS_PER_HOUR
        spent += profile[(start + hour) % HOURS_PER_WEEK] * seconds // SECONDS_PER_HOUR
        before, bound = bound, spent + side * spread.half_width_micros(hour + 1)
        if bound >= credit_micros:
            begin = at if hour == 0 else at + timedelta(hours=hour - 1, seconds=seconds_left)
            return begin + timedelta(seconds=seconds * (credit_micros - before) // (bound - before))
    return None


def _spread(burn: Burn, mean_micros: int, at: datetime, time_zone: str) -> ForecastSpread:
    """The deviation of days from those of the same weekday, or, without such data, from all others;
    at least the deviation that the sample size implies."""
    today = at.astimezone(zone(time_zone)).date().toordinal()
    count = min(burn.hours // HOURS_PER_DAY, limits.BURN_DAYS_KEPT - 1)
    spent_by_day = {day.ordinal: day.spent_micros for day in burn.days}
    spent = {ordinal: spent_by_day.get(ordinal, 0) for ordinal in range(today - count, today)}
    weekdays = [[spent[each] for each in spent if each % 7 == weekday] for weekday in range(7)]
    within = sum(_squares(each) for each in weekdays)
    freedom = _PRIOR_FREEDOM + sum(len(each) - 1 for each in weekdays if each)
    apart = _squares(list(chain(*weekdays[1:6]))) + _squares([*weekdays[6], *weekdays[0]])
    prior = _PRIOR_FREEDOM * apart // (count - 2)
    day = max(isqrt((prior + within) // freedom), mean_micros // count)
    drift = mean_micros * _LEVEL_PER_CENT // 100
    level = isqrt(day**2 // min(count, _LEVEL_DAYS_MAX) + drift**2)
    return ForecastSpread(day, level, _QUANTILE_PER_CENT + _QUANTILE_PER_CENT_BY_FREEDOM // freedom)


def _squares(values: Sequence[int]) -> int:
    """The sum of squared differences from the mean."""
    if not values:
        return 0
    mean = sum(values) // len(values)
    return sum((value - mean) ** 2 for value in values)


def _sum(profile: tuple[int, ...], start: int, hours: int) -> int:
    weeks, rest = divmod(hours, HOURS_PER_WEEK)
    return weeks * sum(profile) + sum(profile[(start + i) % HOURS_PER_WEEK] for i in range(rest))


def _trend(burn: Burn) -> tuple[int, int]:
    """The trend as a fraction: recent spend over expected spend."""
    if burn.expected_micros <= 0:
        return 1, 1
    most = burn.expected_micros * _TREND_MOST
    least = burn.expected_micros // _TREND_MOST
    # The averages follow, too: half of the trend is in them already.
    trend = (max(least, min(most, burn.recent_micros)) + burn.expected_micros) // 2
    return trend, burn.expected_micros


def _profile(burn: Burn) -> tuple[int, ...]:
    """The cost of each hour of a week by the present trend."""
    most, least = _trend(burn)
    return tuple(micros * most // least for micros in burn.week)


def _with_day(
    days: tuple[SpendDay, ...], at: datetime, time_zone: str, spent_micros: int, balance_micros: int
) -> tuple[SpendDay, ...]:
    ordinal = at.astimezone(zone(time_zone)).date().toordinal()
    if days and days[-1].ordinal == ordinal:
        day = SpendDay(ordinal, days[-1].spent_micros + spent_micros, balance_micros)
        return (*days[:-1], day)
    kept = tuple(day for day in days if day.ordinal > ordinal - limits.BURN_DAYS_KEPT)
    return (*kept, SpendDay(ordinal, spent_micros, balance_micros))


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // SECONDS_PER_HOUR


def _hours_of_week_between(first: int, end: int, time_zone: str) -> Iterator[int]:
    days = range(first // HOURS_PER_DAY, (end - 1) // HOURS_PER_DAY + 1)
    hours_of_week = chain.from_iterable(_hours_of_week(day, time_zone) for day in days)
    skipped = first % HOURS_PER_DAY
    return islice(hours_of_week, skipped, skipped + end - first)


def _hour_of_week(hour: int, time_zone: str) -> int:
    """The hour of the week in that time zone; Monday's first is 0."""
    day, rest = divmod(hour, HOURS_PER_DAY)
    return _hours_of_week(day, time_zone)[rest]


@lru_cache(maxsize=limits.BURN_PLACE_DAYS_CACHED_MAX)
def _hours_of_week(day: int, time_zone: str) -> tuple[int, ...]:
    """The places of a day's hours, in days since 1970: cached, since every account needs them."""
    here = zone(time_zone)
    hours_of_week: list[int] = []
    for hour in range(day * HOURS_PER_DAY, (day + 1) * HOURS_PER_DAY):
        local = datetime.fromtimestamp(hour * SECONDS_PER_HOUR, here)
        hours_of_week.append(local.weekday() * HOURS_PER_DAY + local.hour)
    return tuple(hours_of_week)
