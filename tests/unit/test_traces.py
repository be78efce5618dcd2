"""The end-to-end tests forgive a stack trace to a batch in an outage, and to nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.traces import unexplained_traces

BEGAN_AT = datetime(2026, 11, 28, 5, 11, 5, tzinfo=UTC)
OUTAGE = (BEGAN_AT, BEGAN_AT + timedelta(seconds=20))
BEFORE = '2026-11-28T05:11:13.006Z WARNING perminute ea8faee8 {"event": "timer_failed"}\n'
AFTER = '2026-11-28T05:11:20.986Z INFO perminute e1cf7bdd {"event": "inbox_forwarded"}\n'
FAILED = """\
2026-11-28T05:11:19.857Z ERROR azure.functions - Native invocation failed
Traceback (most recent call last):
  File "/x/asyncio/timeouts.py", line 116, in __aexit__
    raise TimeoutError from exc_val
TimeoutError

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/x/functions/webhooks.py", line 36, in deliver_events
    _report(await container.deliver_events(bodies, seconds=seconds), "topic")
  File "/x/shared/adapters/tables/azure_tables.py", line 86, in get
    raise _unread(error) from error
shared.domain.common.errors.StoreUnavailable: Table storage can't be read: TimeoutError.
"""


def test_a_batch_that_fails_in_an_outage_since_the_store_is_away_is_explained() -> None:
    assert unexplained_traces(BEFORE + FAILED + AFTER, [OUTAGE]) == []


def test_the_same_without_an_outage_or_after_it_is_not() -> None:
    early = (OUTAGE[0], OUTAGE[0] + timedelta(seconds=14))
    assert unexplained_traces(BEFORE + FAILED + AFTER, []) == [FAILED]
    assert unexplained_traces(BEFORE + FAILED + AFTER, [early]) == [FAILED]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("shared.domain.common.errors.StoreUnavailable: Table", "KeyError: Table"),
        (
            "shared.domain.common.errors.StoreUnavailable: ",
            "shared.domain.common.errors.LedgerCorrupt: ",
        ),
        ("in deliver_events", "in low_balance"),
        ("ERROR azure.functions - Native invocation failed", "ERROR local.host - a timer ended"),
        ("2026-11-28T05:11:19.857Z ERROR", "ERROR"),
    ],
)
def test_another_failure_in_an_outage_is_not(old: str, new: str) -> None:
    log = FAILED.replace(old, new)
    assert old in FAILED
    assert unexplained_traces(log, [OUTAGE]) == [log]
