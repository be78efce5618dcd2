"""How fast credits are used, and when they will have run out.

Every full hour that passed is one observation of its hour of the week, in the account's time zone:
168 averages that forget with time (a new week weighs a quarter). Beside them the last days are
weighed against what was expected of them: the trend, with a half-life of five days. Before a
week is known, hours of the day are all that is told apart, before two days not even those. How far
single days strayed from what was expected of them says how sure a forecast is.

All is counted in integer micros, so the same history gives the same forecast everywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, islice
from math import isqrt

from shared.domain import limits
from shared.domain.time_zones import zone

HOURS_PER_DAY = 24
HOURS_PER_WEEK = 168
SECONDS_PER_HOUR = 3600
_WEIGHT = 4  # a new week weighs 1/4
_TREND_HOURS = 168  # what the trend remembers of an hour is 167/168 an hour later
_TREND_MOST = 4  # a trend is believed up to four times, or a quarter of, what was expected
EXTREME_PER_CENT = 128  # 1.28 standard deviations: four days of five lie within
CHANCE = "80 %"  # that what happens lies between the extremes


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the account: what was spent, and the balance at its last movement."""

    ordinal: int
    spent_micros: int
    balance_micros: int


@dataclass(frozen=True, slots=True)
class Burn:
    """What is known of an account's use. `hour` is the hour that is open, in hours since 1970, None
    before the first debit; `hours` counts those that closed. `recent_micros` and `expected_micros`
    are what the trend compares."""

    hour: int | None = None
    open_micros: int = 0
    hours: int = 0
    week: tuple[int, ...] = ()
    recent_micros: int = 0
    expected_micros: int = 0
    days: tuple[Day, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the credits will have run out (None: not within a year, or nobody knows), and between
    which times with four chances of five. `per_day_micros` is what a mean day costs, `stray_micros`
    the standard deviation of a day from what was expected of it."""

    per_day_micros: int
    stray_micros: int
    by: str
    runs_out_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None


def moved(
    burn: Burn, at: datetime, time_zone: str, *, spent_micros: int, balance_micros: int
) -> Burn:
    """The burn after the balance moved; `spent_micros` is what legs cost."""
    days = _with_day(burn.days, at, time_zone, spent_micros, balance_micros)
    if burn.hour is None and not spent_micros:
        return replace(burn, days=days)
    burn = rolled(burn, at, time_zone)
    hour = _hour(at) if burn.hour is None else burn.hour
    return replace(burn, hour=hour, open_micros=burn.open_micros + spent_micros, days=days)


def rolled(burn: Burn, at: datetime, time_zone: str) -> Burn:
    """The burn with every hour closed that is over at that time."""
    now = _hour(at)
    if burn.hour is None or now <= burn.hour:
        return burn
    return _rolled(burn, burn.hour, now, time_zone)


@lru_cache(maxsize=limits.BURN_PROFILES_CACHED_MAX)
def _rolled(burn: Burn, first: int, now: int, time_zone: str) -> Burn:
    """Kept, since one look at an account asks for it several times."""
    if now - first > limits.BURN_GAP_HOURS_MAX:
        return Burn(days=burn.days)  # what was so long ago says nothing about today
    week = list(burn.week or (0,) * HOURS_PER_WEEK)
    recent, expected, spent, hours = (
        burn.recent_micros,
        burn.expected_micros,
        burn.open_micros,
        burn.hours,
    )
    for place in _places_between(first, now, time_zone):
        usual = week[place]
        recent += spent - recent // _TREND_HOURS
        expected += (usual if hours >= HOURS_PER_WEEK else spent) - expected // _TREND_HOURS
        if usual != spent:
            weeks = hours // HOURS_PER_WEEK + 1
            week[place] = usual + (spent - usual) // (weeks if weeks < _WEIGHT else _WEIGHT)
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
    )


def expected_micros(burn: Burn, at: datetime, time_zone: str, hours: int) -> int:
    """What the coming full hours will cost; 0 while too little is known."""
    burn = rolled(burn, at, time_zone)
    if burn.hour is None or burn.hours < limits.BURN_HOURS_MIN:
        return 0
    profile, _ = _profile(burn.week, burn.hours, burn.hour, time_zone)
    most, least = _trend(burn)
    return _sum(profile, _place(burn.hour, time_zone) + 1, hours) * most // least


def forecast(burn: Burn, at: datetime, time_zone: str, credit_micros: int) -> Forecast:
    """When so much credit will have run out at the present burn."""
    burn = rolled(burn, at, time_zone)
    if burn.hour is None or burn.hours < limits.BURN_HOURS_MIN:
        gone = at if credit_micros <= 0 else None
        return Forecast(0, 0, "nothing", gone, gone, gone)
    profile, by = _profile(burn.week, burn.hours, burn.hour, time_zone)
    most, least = _trend(burn)
    profile = tuple(micros * most // least for micros in profile)
    stray = _stray(burn, profile, at, time_zone)
    start = _place(burn.hour, time_zone)
    left = SECONDS_PER_HOUR - int(at.timestamp()) % SECONDS_PER_HOUR

    def reached(deviations: int) -> datetime | None:
        return _reached(profile, start, left, at, credit_micros, stray * deviations)

    return Forecast(
        per_day_micros=sum(profile) // 7,
        stray_micros=stray,
        by=by,
        runs_out_at=reached(0),
        earliest_at=reached(EXTREME_PER_CENT),
        latest_at=reached(-EXTREME_PER_CENT),
    )


def hourly(burn: Burn, at: datetime, time_zone: str, hours: int) -> tuple[int, ...]:
    """What each of the coming full hours will cost."""
    burn = rolled(burn, at, time_zone)
    if burn.hour is None or burn.hours < limits.BURN_HOURS_MIN:
        return (0,) * hours
    profile, _ = _profile(burn.week, burn.hours, burn.hour, time_zone)
    most, least = _trend(burn)
    start = _place(burn.hour, time_zone) + 1
    return tuple(profile[(start + i) % HOURS_PER_WEEK] * most // least for i in range(hours))


def _reached(
    profile: tuple[int, ...],
    start: int,
    seconds_left: int,
    at: datetime,
    credit_micros: int,
    stray_per_cent: int,
) -> datetime | None:
    """When the credit is gone, if days stray so far (in per cent of micros) from the profile: the
    strays of n days add up to sqrt(n) times one."""
    if credit_micros <= 0:
        return at
    spent = gone = 0
    for hour in range(limits.FORECAST_DAYS_MAX * HOURS_PER_DAY):
        seconds = seconds_left if hour == 0 else SECONDS_PER_HOUR
        spent += profile[(start + hour) % HOURS_PER_WEEK] * seconds // SECONDS_PER_HOUR
        days_root_per_cent = isqrt((hour + 1) * 10_000 // HOURS_PER_DAY)
        before, gone = gone, spent + stray_per_cent * days_root_per_cent // 10_000
        if gone >= credit_micros:
            begin = at if hour == 0 else at + timedelta(hours=hour - 1, seconds=seconds_left)
            return begin + timedelta(seconds=seconds * (credit_micros - before) // (gone - before))
    return None


def _stray(burn: Burn, profile: tuple[int, ...], at: datetime, time_zone: str) -> int:
    """The standard deviation of the last full days from what the profile says of them."""
    today = at.astimezone(zone(time_zone)).date().toordinal()
    first = today - min(burn.hours // HOURS_PER_DAY, limits.BURN_DAYS_KEPT - 1)
    spent = {day.ordinal: day.spent_micros for day in burn.days}
    squares = 0
    count = 0
    for ordinal in range(first, today):
        begin = (ordinal - 1) % 7 * HOURS_PER_DAY  # ordinal 1 is a Monday
        usual = sum(profile[begin : begin + HOURS_PER_DAY])
        squares += (spent.get(ordinal, 0) - usual) ** 2
        count += 1
    return isqrt(squares // count) if count else sum(profile) // 7


def _sum(profile: tuple[int, ...], start: int, hours: int) -> int:
    weeks, rest = divmod(hours, HOURS_PER_WEEK)
    return weeks * sum(profile) + sum(profile[(start + i) % HOURS_PER_WEEK] for i in range(rest))


def _trend(burn: Burn) -> tuple[int, int]:
    """The trend as a fraction: what was spent lately over what was expected."""
    if burn.hours < HOURS_PER_WEEK or burn.expected_micros <= 0:
        return 1, 1
    most = burn.expected_micros * _TREND_MOST
    least = burn.expected_micros // _TREND_MOST
    return max(least, min(most, burn.recent_micros)), burn.expected_micros


@lru_cache(maxsize=limits.BURN_PROFILES_CACHED_MAX)
def _profile(
    week: tuple[int, ...], hours: int, open_hour: int, time_zone: str
) -> tuple[tuple[int, ...], str]:
    """What each hour of a week costs, and by what it was told: week, day, or nothing but the mean.

    Less than a week is known in hours that were seen; those are told apart by hour of the day, or
    taken together.
    """
    if hours >= HOURS_PER_WEEK:
        return week, "weekday and hour"
    seen = [_place(hour, time_zone) for hour in range(open_hour - hours, open_hour)]
    if hours < 2 * HOURS_PER_DAY:
        return (sum(week[place] for place in seen) // hours,) * HOURS_PER_WEEK, "mean"
    of_day: list[list[int]] = [[] for _ in range(HOURS_PER_DAY)]
    for place in seen:
        of_day[place % HOURS_PER_DAY].append(week[place])
    day = [sum(micros) // len(micros) if micros else 0 for micros in of_day]
    return tuple(day * 7), "hour"


def _with_day(
    days: tuple[Day, ...], at: datetime, time_zone: str, spent_micros: int, balance_micros: int
) -> tuple[Day, ...]:
    ordinal = at.astimezone(zone(time_zone)).date().toordinal()
    if days and days[-1].ordinal == ordinal:
        day = Day(ordinal, days[-1].spent_micros + spent_micros, balance_micros)
        return (*days[:-1], day)
    kept = tuple(day for day in days if day.ordinal > ordinal - limits.BURN_DAYS_KEPT)
    return (*kept, Day(ordinal, spent_micros, balance_micros))


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // SECONDS_PER_HOUR


def _places_between(first: int, end: int, time_zone: str) -> Iterator[int]:
    days = range(first // HOURS_PER_DAY, (end - 1) // HOURS_PER_DAY + 1)
    places = chain.from_iterable(_places(day, time_zone) for day in days)
    skipped = first % HOURS_PER_DAY
    return islice(places, skipped, skipped + end - first)


def _place(hour: int, time_zone: str) -> int:
    """Which hour of the week an hour is there; Monday's first is 0."""
    day, rest = divmod(hour, HOURS_PER_DAY)
    return _places(day, time_zone)[rest]


@lru_cache(maxsize=limits.BURN_PLACE_DAYS_CACHED_MAX)
def _places(day: int, time_zone: str) -> tuple[int, ...]:
    """The places of a day's hours, in days since 1970: kept, since every account asks for them."""
    here = zone(time_zone)
    places: list[int] = []
    for hour in range(day * HOURS_PER_DAY, (day + 1) * HOURS_PER_DAY):
        local = datetime.fromtimestamp(hour * SECONDS_PER_HOUR, here)
        places.append(local.weekday() * HOURS_PER_DAY + local.hour)
    return tuple(places)
