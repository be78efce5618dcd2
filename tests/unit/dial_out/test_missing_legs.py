"""A call that was let through and of which nothing was heard for a day is listed as missing."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common import limits
from tests.support.calls import TOLL, Calls
from tests.support.product import Product

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def calls() -> Iterator[Calls]:
    app = Product()
    yield Calls(app)
    app.close()


def later(calls: Calls, span: timedelta, *, written: bool = False) -> None:
    """Time passes; the hold book may be written in between, as other calls do."""
    calls.app.clock.moment += span
    if written:
        calls.release(calls.authorise()["authorization"])


def missing(calls: Calls) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = calls.dial_out_state()["missing"]
    return found


@pytest.mark.parametrize("written", [False, True])
def test_it_is_listed_after_24_hours_not_before(calls: Calls, written: bool) -> None:
    allowed = calls.authorise(conference_id="3001")
    later(calls, timedelta(hours=3), written=written)
    later(calls, DAY - timedelta(hours=3) - MINUTE, written=written)
    assert missing(calls) == []
    later(calls, MINUTE, written=written)
    assert missing(calls) == [
        {
            "authorization": allowed["authorization"],
            "bridge": "pbx",
            "organizer": "ken",
            "conference": "3001",
            "destination": allowed["destination"],
            "placed_at": "2026-11-23T10:00:00Z",
            "granted_seconds": 900,
            "held": "0.20",
        }
    ]


def test_what_ended_was_released_or_denied_is_not_missing(calls: Calls) -> None:
    ended, unanswered, released = (calls.authorise()["authorization"] for _ in range(3))
    calls.authorise("+3312")
    calls.charged(ended)
    calls.app.run(
        calls.app.container.charge_legs([calls.ended(unanswered, answered_at=None)], seconds=10)
    )
    calls.release(released)
    later(calls, 2 * DAY)
    assert missing(calls) == []


def test_a_leg_that_ends_after_all_is_missing_no_more(calls: Calls) -> None:
    by_name, by_leg = (
        calls.authorise()["authorization"],
        calls.authorise(leg_id="leg-x")["authorization"],
    )
    calls.come_in(TOLL, leg_id="leg-in")
    later(calls, DAY + MINUTE, written=True)
    assert {each["authorization"] for each in missing(calls)} > {by_name, by_leg}
    calls.charged(by_name)
    calls.charged(leg_id="leg-x")
    assert [each["leg"] for each in missing(calls)] == ["pbx~leg-in"]


def test_a_leg_that_was_parked_did_end(calls: Calls) -> None:
    allowed = calls.authorise()["authorization"]
    calls.authorise()
    later(calls, MINUTE)
    parked = calls.ended(allowed, to_number="+81312345678")
    calls.app.run(calls.app.container.charge_legs([parked], seconds=10))
    later(calls, 2 * DAY)
    (other,) = missing(calls)
    assert other["authorization"] != allowed


def test_the_list_is_bounded_and_forgets_after_a_month(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UNCONFIRMED_CALLS_KEPT_MAX", 2)
    requested = []
    for _ in range(3):
        requested.append(calls.authorise()["authorization"])
        later(calls, MINUTE)
    later(calls, 2 * DAY, written=True)
    assert [each["authorization"] for each in missing(calls)] == [requested[2], requested[1]]
    later(calls, 30 * DAY)
    assert missing(calls) == []
