"""What every dialect asks of a single field."""

import re
from datetime import UTC, datetime, timedelta

from shared.domain.common.limits import NUMBER_CHARS_MAX

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(\.\d{1,6})?\d{0,12}([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# Wide of every real call, and far from where adding months or zones overflows
_YEAR_MIN = 1970
_YEAR_MAX = 9998


def is_number_text(text: str) -> bool:
    """What may stand where a number belongs: also `anonymous` or an odd one, which is parked later
    rather than lost here."""
    return len(text) <= NUMBER_CHARS_MAX and not _CONTROL.search(text)


def read_rfc3339(text: str) -> datetime | None:
    """Aware UTC, to the microsecond; None if it is not RFC 3339 with a zone."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, time, second, fraction, zone = match.groups()
    leap = second == "60"
    iso = f"{day}T{time}{'59' if leap else second}{fraction or ''}{zone.upper()}"
    try:
        moment = datetime.fromisoformat(iso).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if not is_plausible(moment):
        return None
    return moment + timedelta(seconds=1) if leap else moment


def is_plausible(moment: datetime) -> bool:
    """Whether arithmetic on this time is safe; whether it makes sense is asked later."""
    return _YEAR_MIN <= moment.year <= _YEAR_MAX
