"""IANA time zones by name, cached: the days and months of every account need theirs."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.domain.common import limits

_MONTH_CHARS = len("2026-11")


def month_of(day: str) -> str:
    """The month of a day, both ISO text."""
    return day[:_MONTH_CHARS]


def local_day(moment: datetime, time_zone: str) -> str:
    """The date of a moment in a time zone, as ISO text; seven characters of it are the month."""
    return moment.astimezone(zone(time_zone)).date().isoformat()


def day_start(day: str, time_zone: str) -> datetime:
    """The first instant of a local day."""
    each = date.fromisoformat(day)
    return datetime(each.year, each.month, each.day, tzinfo=zone(time_zone))


def day_end(day: str, time_zone: str) -> datetime:
    """The first instant of the next local day."""
    following = date.fromisoformat(day) + timedelta(days=1)
    return day_start(following.isoformat(), time_zone)


@lru_cache(maxsize=limits.TIME_ZONES_CACHED_MAX)
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises ZoneInfoNotFoundError or ValueError for an unknown name."""
    return ZoneInfo(name)
