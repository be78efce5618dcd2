"""Answered and ended within the same second: free, and the charge says so."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.bridges import parse
from shared.domain.common.kinds import LegKind
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.domain.legs.leg import EndedLeg, QueuedLeg
from tests.support.calls import TOLL, Calls
from tests.support.product import Product


@pytest.fixture
def app() -> Iterator[Product]:
    made = Product()
    yield made
    made.close()


@pytest.fixture
def calls(app: Product) -> Calls:
    made = Calls(app, subscription_licenses=1)
    made.organizer("ann", license="subscription")
    return made


def _shown(calls: Calls, leg: EndedLeg) -> Any:
    queued = QueuedLeg(leg, calls.app.clock.now())
    outcome = calls.app.run(calls.app.container.charge_legs.charge(queued))
    assert outcome.status == "charged", outcome
    return calls.app.get(f"/api/v1/accounts/contoso/legs/{leg.key}").json


def _lasting(calls: Calls, milliseconds: int, **changes: Any) -> EndedLeg:
    """A leg that says when it was answered and ended, and not how long it lasted."""
    answered_at = calls.app.clock.now() - timedelta(milliseconds=milliseconds)
    started_at = answered_at - timedelta(seconds=7)
    leg = calls.ended(started_at=started_at, answered_at=answered_at, **changes).leg
    return replace(leg, talk_seconds=None)


@pytest.mark.parametrize("milliseconds", [0, 1, 200, 900, 999])
@pytest.mark.parametrize("organizer", ["ken", "ann"])
def test_an_answered_leg_of_less_than_a_second_is_zero_duration(
    calls: Calls, milliseconds: int, organizer: str
) -> None:
    leg = _shown(calls, _lasting(calls, milliseconds, organizer=organizer))

    assert (leg["status"], leg["zero_reason"], leg["amount"]) == ("zero", "zero_duration", "0.00")
    assert leg["talk_seconds"] == leg["billed_seconds"] == 0
    assert leg["rate"]["destination"] == "44"
    assert "was answered" in leg["sentence"]
    assert "not answered" not in leg["sentence"]


@pytest.mark.parametrize(("milliseconds", "seconds"), [(1000, 1), (1999, 1), (59_900, 59)])
def test_fractions_of_a_second_are_dropped_where_talk_seconds_is_left_out(
    calls: Calls, milliseconds: int, seconds: int
) -> None:
    leg = _shown(calls, _lasting(calls, milliseconds))
    assert (leg["talk_seconds"], leg["status"]) == (seconds, "charged")


def test_a_leg_of_zero_seconds_needs_no_rate_and_is_not_rated_again(calls: Calls) -> None:
    leg = calls.charged(to_number="+81312345678", talk_seconds=0)
    assert leg["zero_reason"] == "zero_duration"
    assert "rate" not in leg
    body = {"accounts": ["contoso"], "legs": [leg["leg"]], "rate_card": "card"}
    answer = calls.app.post("/api/v1/reratings", body).json
    assert [each["reason"] for each in answer["items"]] == ["zero_duration"]


def test_unanswered_and_included_legs_keep_their_reasons(calls: Calls) -> None:
    assert calls.charged(answered_at=None, talk_seconds=0)["zero_reason"] == "unanswered"
    calls.put(f"accounts/contoso/service-numbers/{TOLL}", {"kind": "toll"})
    included = calls.charged(kind=LegKind.DIAL_IN, to_number=TOLL, organizer="ann")
    assert included["zero_reason"] == "included"


def test_a_freeswitch_record_answered_and_ended_in_one_second_is_zero_duration(
    calls: Calls,
) -> None:
    record = {
        "channel_data": {"direction": "outbound"},
        "variables": {
            "uuid": "zero",
            "start_epoch": "1763892000",
            "answer_epoch": "1763892007",
            "end_epoch": "1763892007",
            "billsec": "0",
            "conference_name": "3001",
            "perminute_account": "contoso",
            "sip_to_user": "%2B442079460123",
        },
    }
    (leg,) = parse("freeswitch", BridgePayload("pbx", json.dumps(record).encode()))
    assert isinstance(leg, EndedLeg)
    assert _shown(calls, leg)["zero_reason"] == "zero_duration"
