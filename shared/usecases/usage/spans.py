"""The span of a report, from the request's parameters."""

from datetime import datetime

from shared.domain.ledger.statements import month_of, month_span
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.usage import UsageSpan
from shared.ports.ledger import Ledger


async def requested_span(
    ledger: Ledger,
    account: str,
    bounds: tuple[datetime | None, datetime | None],
    by: UsageTime,
    time_zone: str,
    now: datetime,
) -> UsageSpan:
    """The span between two bounds: without both of them the present month, without one from the
    first commit on, or until now."""
    since, until = bounds
    if since is None and until is None:
        return UsageSpan(*month_span(month_of(now, time_zone), time_zone), by, time_zone)
    if since is None:
        first = await ledger.journal(account, after=0, limit=1)
        since = first[0].at if first else until
    assert since is not None, "until is given"
    return UsageSpan(since, until or max(now, since), by, time_zone)
