"""IANA time zones by name, kept: the days and months of every account ask for theirs."""

from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.domain.common import limits


@lru_cache(maxsize=limits.TIME_ZONES_CACHED_MAX)
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises ZoneInfoNotFoundError or ValueError on what is none."""
    return ZoneInfo(name)
