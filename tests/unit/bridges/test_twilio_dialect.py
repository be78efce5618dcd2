"""Dialect `twilio`: callbacks of call and conference, in any order, make one leg."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.adapters.bridges import assemble, parse
from shared.domain.common.kinds import LegKind
from shared.domain.legs.assembly import (
    CONFERENCE,
    Assembled,
    CallEvent,
    Complete,
    DialectSettings,
    Waiting,
)
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Unreadable

SETTINGS = DialectSettings("tw")
CALL, ROOM = "CA" + "5" * 32, "CF" + "6" * 32
ENDED = datetime(2026, 11, 23, 10, 5, 10, tzinfo=UTC)


def call(**changes: Any) -> dict[str, Any]:
    fields = {
        "CallSid": CALL,
        "AccountSid": "AC" + "1" * 32,
        "From": "+33170180055",
        "To": "+442079460011",
        "Direction": "outbound-api",
        "CallStatus": "completed",
        "CallDuration": "183",
        "Duration": "4",
        "Timestamp": "Mon, 23 Nov 2026 10:05:10 +0000",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "3",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def conference(event: str = "participant-join", **changes: Any) -> dict[str, Any]:
    return {
        "ConferenceSid": ROOM,
        "FriendlyName": "weekly",
        "StatusCallbackEvent": event,
        "CallSid": CALL,
        "Timestamp": "Mon, 23 Nov 2026 10:02:07 +0000",
        "SequenceNumber": "1",
        **changes,
    }


def post(fields: dict[str, Any], **query: str) -> Any:
    body = urlencode(fields).encode()
    [one] = parse("twilio", BridgePayload("tw", body, "application/x-www-form-urlencoded", query))
    return one


def made(*fields: dict[str, Any], **query: str) -> list[Assembled]:
    found = [post(each, **query) for each in fields]
    return assemble("twilio", SETTINGS, [each for each in found if isinstance(each, CallEvent)])


def one(*fields: dict[str, Any], **query: str) -> Complete:
    [only] = made(*fields, **query)
    assert isinstance(only, Complete), only
    return only


def test_callbacks_of_call_and_conference_in_any_order_make_one_leg() -> None:
    reported = [
        call(CallStatus="initiated", CallDuration=None),
        call(CallStatus="in-progress", CallDuration=None),
        conference(),
        conference("participant-leave", Timestamp="Mon, 23 Nov 2026 10:05:10 +0000"),
        call(),
    ]
    whole = one(*reported)
    leg = whole.ended_leg
    assert whole.lacks == ()
    assert (leg.leg_id, leg.conference_id, leg.kind) == (CALL, "weekly", LegKind.DIAL_OUT)
    assert (leg.talk_seconds, leg.ended_at) == (183, ENDED)
    assert leg.answered_at == ENDED - timedelta(seconds=183)
    for order in permutations(reported):
        again = one(*order, order[0], order[2])
        assert (again.leg, again.lacks) == (whole.leg, ())


def test_the_conference_is_waited_for_unless_the_address_names_it() -> None:
    assert one(call()).lacks == (CONFERENCE,)
    named = one(call(), conference_id="weekly", authorization="au_abc.contoso", account="contoso")
    assert named.lacks == ()
    leg = named.ended_leg
    assert (leg.conference_id, leg.authorization, leg.account) == (
        "weekly",
        "au_abc.contoso",
        "contoso",
    )


def test_the_call_is_waited_for() -> None:
    [only] = made(conference())
    assert isinstance(only, Waiting)
    assert only.ended_by is None


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
def test_an_unanswered_call_needs_no_conference(status: str) -> None:
    reported = call(CallStatus=status, CallDuration="0", SipResponseCode="404")
    leg = one(reported).ended_leg
    assert (leg.answered_at, leg.conference_id, leg.talk_seconds) == (None, None, 0)
    assert leg.hangup_cause == ("SIP 404" if status == "failed" else status)
    assert one(conference("participant-leave"), reported).leg == leg


def test_the_label_of_an_unanswered_call_frees_its_hold_whenever_it_comes() -> None:
    busy = call(CallStatus="busy", CallDuration="0")
    labelled = conference("participant-leave", ParticipantLabel="au_abc.contoso")
    first, second = made(labelled, busy)
    assert isinstance(first, Complete)
    assert isinstance(second, Complete)
    assert first.leg == one(busy).leg
    assert second.ended_leg.authorization == "au_abc.contoso"


def test_the_label_of_an_answered_call_is_its_authorization() -> None:
    labelled = conference(ParticipantLabel="au_abc.contoso")
    assert one(call(), labelled).ended_leg.authorization == "au_abc.contoso"
    other = conference(ParticipantLabel="Ann. B")
    assert one(call(), other).ended_leg.authorization is None


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"Direction": "inbound"}, LegKind.DIAL_IN),
        ({"Direction": "outbound-dial"}, LegKind.DIAL_OUT),
        ({"Direction": "inbound", "From": "client:Ann"}, LegKind.VOIP),
        ({"Direction": "outbound-api", "To": "sip:ann@example.com"}, LegKind.VOIP),
        ({"Direction": "outbound-api", "From": "client:Ann"}, LegKind.DIAL_OUT),
        ({"Direction": None}, None),
    ],
)
def test_direction_and_address_report_the_kind(
    changes: dict[str, Any], kind: LegKind | None
) -> None:
    assert one(call(**changes), conference()).ended_leg.kind is kind


@pytest.mark.parametrize(
    ("text", "read"), [("2B442079460011", "+442079460011"), (" 442079460011", "+442079460011")]
)
def test_a_mangled_plus_is_put_back(text: str, read: str) -> None:
    assert one(call(To=text)).ended_leg.to_number == read


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 23 Nov 2026 10:05:10 GMT",
        "2026-11-23T10:05:10.000Z",
        "Mond, 23 Nov 2026 10:05:10 +0000",
    ],
)
def test_times_are_read_in_several_forms(text: str) -> None:
    assert one(call(Timestamp=text)).ended_leg.ended_at == ENDED


def test_a_duration_or_a_time_that_is_missing_is_waited_for() -> None:
    for changes, missing in (
        ({"CallDuration": ""}, "CallDuration"),
        ({"Timestamp": "soon"}, "Timestamp"),
    ):
        [only] = made(call(**changes))
        assert isinstance(only, Waiting)
        assert only.missing == (missing,)


def test_without_a_status_a_duration_means_completed() -> None:
    assert one(call(CallStatus=None)).ended_leg.talk_seconds == 183


def test_callbacks_that_contradict_each_other_make_a_leg_each() -> None:
    found = made(call(), call(CallDuration="190"), conference())
    talk = [each.ended_leg.talk_seconds for each in found if isinstance(each, Complete)]
    assert sorted(talk) == [183, 190]


def test_events_without_a_call_are_ignored_or_kept() -> None:
    ended = conference("conference-end", CallSid="")
    assert isinstance(post(ended), Ignored)
    assert isinstance(post({"DialCallSid": "CA2", "DialCallStatus": "completed"}), Ignored)
    assert isinstance(post({"x": "1"}), Unreadable)
