"""The pool: 60 minutes a month for each subscription license (docs/included-minutes.md).

It pays for dial-outs of subscription organizers to Zone A that are no premium calls, before credits
do. Months are those of the account's time zone.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.domain.common.calendar import local_day, month_of, zone
from shared.domain.credits.alerts import Event

POOL_SECONDS_PER_LICENSE = 60 * 60
POOL_NOTICES_PERCENT = (80, 100)
POOL_MONTHS_KEPT = 2  # this one, and the one of a leg that comes late


@dataclass(frozen=True, slots=True)
class PoolMonth:
    """The used seconds of one month's pool, and the last notice about it, in per cent."""

    month: str
    used_seconds: int = 0
    announced_percent: int = 0


@dataclass(frozen=True, slots=True)
class PoolDraw:
    """Seconds that a leg took of a month's pool; negative where they were given back."""

    month: str
    seconds: int


def left_seconds(pools: tuple[PoolMonth, ...], month: str, size_seconds: int) -> int:
    """The remaining seconds of a month's pool for debits; none for a month that ended long ago."""
    months = [pool.month for pool in pools]
    if month not in months and len(months) == POOL_MONTHS_KEPT and month < months[0]:
        return 0
    used = sum(pool.used_seconds for pool in pools if pool.month == month)
    return max(0, size_seconds - used)


def after_draw(
    pools: tuple[PoolMonth, ...], draw: PoolDraw, size_seconds: int
) -> tuple[tuple[PoolMonth, ...], tuple[Event, ...]]:
    """The pools after a draw, the newest two in order, and a notice for each share that was just
    used up; each notice once a month."""
    by_month = {pool.month: pool for pool in pools}
    pool = by_month.get(draw.month, PoolMonth(draw.month))
    used = max(0, pool.used_seconds + draw.seconds)
    crossed = [
        percent
        for percent in POOL_NOTICES_PERCENT
        if pool.announced_percent < percent and 100 * used >= percent * size_seconds > 0
    ]
    announced = crossed[-1] if crossed else pool.announced_percent
    by_month[draw.month] = replace(pool, used_seconds=used, announced_percent=announced)
    kept = sorted(by_month)[-POOL_MONTHS_KEPT:]
    events = tuple(_used(draw.month, percent, used, size_seconds) for percent in crossed)
    return tuple(by_month[month] for month in kept), events


def _used(month: str, percent: int, used_seconds: int, size_seconds: int) -> Event:
    return Event(
        "pool.used",
        {
            "month": month,
            "percent": percent,
            "used_seconds": used_seconds,
            "pool_seconds": size_seconds,
            "what_to_do": "Credits pay the rest.",
        },
    )


def pool_month(moment: datetime, time_zone: str) -> str:
    """The month that a moment is in, such as "2026-11"."""
    return month_of(local_day(moment, time_zone))


def month_end(moment: datetime, time_zone: str) -> datetime:
    """The end of the month of a moment in a time zone."""
    local = moment.astimezone(zone(time_zone))
    year, month = local.year + local.month // 12, local.month % 12 + 1
    return datetime(year, month, 1, tzinfo=local.tzinfo).astimezone(UTC)
