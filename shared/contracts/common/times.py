"""Times as they cross the edge: RFC 3339 with an offset in, aware UTC inside."""

import re
from datetime import UTC, datetime

RULE = "must be an RFC 3339 time with its offset, such as 2026-11-23T10:00:00Z"
# Wide of every real time, and far from where adding to a time overflows
_YEAR_MIN = 1970
_YEAR_MAX = 9998
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def read_time(text: str) -> datetime:
    """The aware UTC time, to the microsecond. Raises ValueError with `RULE`."""
    if not _TIME.fullmatch(text):
        raise ValueError(RULE)
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(RULE) from None
    if not _YEAR_MIN <= moment.year <= _YEAR_MAX:
        raise ValueError(f"must lie between {_YEAR_MIN} and {_YEAR_MAX}")
    return moment
