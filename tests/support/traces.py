"""Stack traces in the logs of a stack: which of them an outage that a test made explains."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

type Outage = tuple[datetime, datetime]

TRACE = "Traceback (most recent call last)"

_RECORD = re.compile(r"^(?=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z )", re.ASCII | re.MULTILINE)
_FAILED = re.compile(
    r"(?P<at>\S{23})Z ERROR azure\.functions - Native invocation failed\n", re.ASCII
)
# These give their batch back by failing when the outage outlasts them.
_BATCHES = re.compile(r"functions/\w+\.py\", line \d+, in (rate_and_debit|deliver_events)\n")
_AWAY = re.compile(
    r"shared\.domain\.common\.errors\.(Store|Queue)?(Unavailable|OutcomeUnknown): .*"
)


def unexplained_traces(log: str, outages: Sequence[Outage]) -> list[str]:
    """The log's records with a stack trace, but for those that say: a function that is called with
    batches failed during one of the outages, since store or queue was away."""
    records = _RECORD.split(log)
    return [one for one in records if TRACE in one and not _is_explained(one, outages)]


def _is_explained(record: str, outages: Sequence[Outage]) -> bool:
    failed = _FAILED.match(record)
    if failed is None or not _BATCHES.search(record):
        return False
    at = datetime.fromisoformat(failed["at"]).replace(tzinfo=UTC)
    is_away = _AWAY.fullmatch(record.rstrip().rpartition("\n")[2]) is not None
    return is_away and any(began_at <= at <= ended_at for began_at, ended_at in outages)
