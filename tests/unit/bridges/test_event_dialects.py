"""Dialects `livekit`, `zoom`, `acs`, `bigbluebutton`, `jitsi`: events in any order, one outcome."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.bridges import assemble, handshakes, parse
from shared.adapters.bridges.acs import LATER_LISTS, SOURCE
from shared.adapters.bridges.fields import end_of, read_time
from shared.adapters.bridges.zoom import CALL_OUT, SERVICE_NUMBER
from shared.domain.common.kinds import LegKind
from shared.domain.directory.entities import Bridge
from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth
from shared.domain.legs.assembly import (
    Assembled,
    CallEvent,
    Complete,
    DialectSettings,
    Posted,
    Waiting,
)
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Unreadable
from shared.domain.legs.leg import EndedLeg

SETTINGS = DialectSettings("b", "FR", service_number="+33170180001")
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EPOCH = int(START.timestamp())
ANN, LONDON, TRUNK = "+33170180055", "+442079460011", "+33170180001"
AUTHORIZATION = "au_abc.contoso"


def post(dialect: str, value: object, **query: str) -> list[Posted]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse(dialect, BridgePayload("b", body, "application/json", query))


def made(
    dialect: str, posted: Sequence[object], settings: DialectSettings = SETTINGS
) -> list[Assembled]:
    found = [event for each in posted for event in post(dialect, each)]
    return assemble(dialect, settings, [each for each in found if isinstance(each, CallEvent)])


def legs(
    dialect: str, posted: Sequence[object], settings: DialectSettings = SETTINGS
) -> list[EndedLeg]:
    found = made(dialect, posted, settings)
    assert all(isinstance(each, Complete) for each in found), found
    return [each.ended_leg for each in found if isinstance(each, Complete)]


# LiveKit


def livekit(event: str, seconds: int, **changes: Any) -> dict[str, Any]:
    attributes = {
        "sip.callID": "SCL_7",
        "sip.phoneNumber": ANN,
        "sip.trunkPhoneNumber": TRUNK,
        "sip.trunkID": "ST_1",
        "sip.ruleID": "SDR_1",
        "sip.callStatus": "active",
        **changes.pop("attributes", {}),
    }
    return {
        "event": event,
        "id": f"EV_{event}",
        "createdAt": str(EPOCH + seconds),
        "room": {"sid": "RM_1", "name": "weekly"},
        "participant": {
            "sid": "PA_1",
            "identity": "sip_ann",
            "kind": "SIP",
            "joinedAt": str(EPOCH + 3),
            "attributes": {name: text for name, text in attributes.items() if text is not None},
            **changes,
        },
    }


LIVEKIT = [livekit("participant_joined", 3), livekit("participant_left", 63)]


def test_a_sip_participant_that_left_is_a_leg() -> None:
    [leg] = legs("livekit", LIVEKIT)
    assert (leg.leg_id, leg.kind, leg.conference_id) == ("SCL_7", LegKind.DIAL_IN, "weekly")
    assert (leg.from_number, leg.to_number) == (ANN, TRUNK)
    assert leg.ended_at - leg.answered_at == timedelta(seconds=60)
    assert legs("livekit", LIVEKIT[1:]) == [leg]


@pytest.mark.parametrize(
    "attributes", [{"sip.ruleID": None}, {"sip.ruleID": "", "perminute.authorization": "au_a.b"}]
)
def test_a_trunk_without_a_rule_or_an_authorization_makes_a_dial_out(
    attributes: dict[str, Any],
) -> None:
    [leg] = legs("livekit", [livekit("participant_left", 63, attributes=attributes)])
    assert (leg.kind, leg.from_number, leg.to_number) == (LegKind.DIAL_OUT, TRUNK, ANN)
    assert leg.authorization == attributes.get("perminute.authorization")


def test_a_participant_that_never_answered_is_unanswered() -> None:
    posted = livekit("participant_left", 33, disconnectReason="USER_REJECTED")
    [leg] = legs("livekit", [posted])
    assert leg.answered_at is None
    ringing = livekit("participant_left", 33, attributes={"sip.callStatus": "ringing"})
    assert legs("livekit", [ringing])[0].answered_at is None


def test_what_the_departure_lacks_is_taken_from_the_arrival() -> None:
    bare = livekit("participant_left", 63, joinedAt=None)
    [waiting] = made("livekit", [bare])
    assert isinstance(waiting, Waiting)
    assert waiting.missing == ("joinedAt",)
    assert legs("livekit", [bare, LIVEKIT[0]]) == legs("livekit", LIVEKIT)
    [goes_on] = made("livekit", LIVEKIT[:1])
    assert isinstance(goes_on, Waiting)
    assert goes_on.ended_by is None


def test_web_participants_and_rooms_make_no_leg() -> None:
    web = livekit("participant_left", 63, kind="STANDARD")
    web["participant"]["attributes"] = {}
    for event in (web, {"event": "room_started"}, {"event": "participant_left"}):
        assert isinstance(post("livekit", event)[0], Ignored)
    assert isinstance(post("livekit", {"x": 1})[0], Unreadable)


# Zoom


def zoom(event: str, **found: Any) -> dict[str, Any]:
    meeting = {"id": "123", "uuid": "mtg==", "host_id": "host1", **found}
    payload = {"account_id": "acc", "object": meeting}
    return {"event": event, "event_ts": (EPOCH - 20) * 1000, "payload": payload}


def member(**times: str) -> dict[str, Any]:
    return {"user_id": "u1", "participant_uuid": "P1", "phone_number": LONDON[1:], **times}


ZOOM_IN = [
    zoom("meeting.participant_joined", participant=member(join_time="2026-11-23T10:00:00Z")),
    zoom("meeting.participant_left", participant=member(leave_time="2026-11-23T10:01:00Z")),
]
ZOOM_OUT = [
    *ZOOM_IN,
    zoom(
        "meeting.participant_phone_callout_ringing", participant={"phone_number": int(LONDON[1:])}
    ),
]


def test_a_phone_participant_called_the_service_number() -> None:
    [found] = made("zoom", ZOOM_IN)
    assert isinstance(found, Complete)
    leg = found.ended_leg
    assert found.lacks == (CALL_OUT,)
    assert (leg.leg_id, leg.kind, leg.organizer) == ("P1.u1", LegKind.DIAL_IN, "host1")
    assert (leg.from_number, leg.to_number) == (LONDON, TRUNK)
    assert leg.ended_at - leg.answered_at == timedelta(seconds=60)


def test_a_call_out_makes_it_a_dial_out() -> None:
    [found] = made("zoom", ZOOM_OUT)
    assert isinstance(found, Complete)
    assert found.lacks == ()
    assert (found.ended_leg.kind, found.ended_leg.to_number) == (LegKind.DIAL_OUT, LONDON)
    other = zoom("meeting.participant_phone_callout_ringing", participant={"phone_number": "331"})
    [dial_in] = made("zoom", [*ZOOM_IN, other])
    assert isinstance(dial_in, Complete)
    assert dial_in.ended_leg.kind is LegKind.DIAL_IN


def test_without_a_service_number_a_dial_in_waits() -> None:
    [found] = made("zoom", ZOOM_IN, DialectSettings("b"))
    assert isinstance(found, Waiting)
    assert found.missing == (SERVICE_NUMBER,)


def test_a_call_of_zoom_phone_is_a_leg_unless_it_is_internal() -> None:
    times = {
        "ringing_start_time": "2026-11-23T10:00:00Z",
        "answer_start_time": "2026-11-23T10:00:10Z",
        "call_end_time": "2026-11-23T10:01:10Z",
    }
    user = {"extension_type": "user", "phone_number": TRUNK}
    call = {"call_id": "99", "caller": user, "callee": {"phone_number": LONDON}, **times}
    [leg] = legs("zoom", [zoom("phone.caller_ended", **call)])
    assert (leg.leg_id, leg.kind, leg.to_number) == ("99", LegKind.DIAL_OUT, LONDON)
    internal = zoom("phone.caller_ended", **{**call, "callee": user})
    assert isinstance(post("zoom", internal)[0], Ignored)


def test_participants_without_a_number_make_no_leg() -> None:
    assert isinstance(post("zoom", zoom("meeting.participant_left", participant={}))[0], Ignored)
    assert isinstance(post("zoom", zoom("meeting.started"))[0], Ignored)


# Azure Communication Services


def acs(name: str, seconds: int, **data: Any) -> dict[str, Any]:
    return {
        "id": f"{name}-{seconds}",
        "type": f"Microsoft.Communication.{name}",
        "time": (START + timedelta(seconds=seconds)).isoformat(),
        "specversion": "1.0",
        "data": {
            "callConnectionId": "conn1",
            "serverCallId": "room1",
            "correlationId": "corr1",
            **data,
        },
    }


def phone(number: str) -> dict[str, Any]:
    return {"rawId": f"4:{number}", "kind": "phoneNumber", "phoneNumber": {"value": number}}


def listed(seconds: int, sequence: int, *numbers: str) -> dict[str, Any]:
    web = {"identifier": {"rawId": "8:acs:x", "kind": "communicationUser"}}
    members = [web, *({"identifier": phone(each)} for each in numbers)]
    return acs("ParticipantsUpdated", seconds, sequenceNumber=sequence, participants=members)


ACS = [
    acs("IncomingCall", 0, **{"from": phone(ANN), "to": phone(TRUNK)}),
    acs("CallConnected", 2),
    listed(2, 1, ANN),
    acs(
        "AddParticipantSucceeded",
        12,
        participant=phone(LONDON),
        operationContext=json.dumps({"leg_id": "mine", "authorization": AUTHORIZATION}),
    ),
    listed(12, 2, ANN, LONDON),
    listed(42, 3, ANN),
    acs("CallDisconnected", 62),
]


def test_phone_participants_are_legs_by_the_lists_that_hold_them() -> None:
    found = {each.leg_id: each for each in made("acs", ACS) if isinstance(each, Complete)}
    out, caller = found["mine"], found["conn1"]
    assert (out.lacks, caller.lacks) == ((), (LATER_LISTS,))
    assert (out.ended_leg.kind, out.ended_leg.to_number) == (LegKind.DIAL_OUT, LONDON)
    assert out.ended_leg.authorization == AUTHORIZATION
    assert out.ended_leg.ended_at - out.ended_leg.answered_at == timedelta(seconds=30)
    leg = caller.ended_leg
    assert (leg.kind, leg.from_number, leg.to_number) == (LegKind.DIAL_IN, ANN, TRUNK)
    assert leg.conference_id == "room1"
    assert leg.ended_at - leg.answered_at == timedelta(seconds=60)


def test_a_call_that_was_made_names_its_authorization() -> None:
    posted = [
        acs("CallConnected", 2, operationContext=AUTHORIZATION),
        listed(2, 1, LONDON),
        acs("CallDisconnected", 62),
    ]
    [found] = made("acs", posted)
    assert isinstance(found, Complete)
    leg = found.ended_leg
    assert (leg.leg_id, leg.authorization) == ("conn1", AUTHORIZATION)
    assert (leg.kind, leg.to_number) == (LegKind.DIAL_OUT, LONDON)


def test_whoever_did_not_answer_is_an_unanswered_leg() -> None:
    failed = acs(
        "AddParticipantFailed",
        30,
        participant=phone(LONDON),
        operationContext=AUTHORIZATION,
        resultInformation={"code": 486, "subCode": 0},
    )
    [leg] = legs("acs", [failed])
    assert (leg.answered_at, leg.hangup_cause) == (None, "SIP 486")
    assert leg.authorization == AUTHORIZATION


def test_a_gap_in_the_lists_and_an_unknown_source_are_waited_for() -> None:
    [gap] = made("acs", [ACS[1], listed(12, 2, ANN), ACS[0], ACS[6]])
    assert isinstance(gap, Waiting)
    assert gap.missing == ("ParticipantsUpdated 1",)
    [unknown] = made("acs", [ACS[1], ACS[2], ACS[6]])
    assert isinstance(unknown, Waiting)
    assert unknown.missing == (SOURCE,)
    [goes_on] = made("acs", ACS[:3])
    assert isinstance(goes_on, Waiting)
    assert goes_on.ended_by is None


def test_a_huge_sequence_number_costs_no_memory() -> None:
    """Ten missing lists are named, and no list of all that are missing is built."""
    posted = [acs("CallConnected", 2), listed(2, 10**18, LONDON)]
    (waits,) = made("acs", posted)
    assert isinstance(waits, Waiting)
    assert waits.missing[:10] == tuple(f"ParticipantsUpdated {number}" for number in range(1, 11))


def test_a_call_without_phones_makes_no_leg() -> None:
    assert made("acs", [acs("CallConnected", 2), listed(2, 1), acs("CallDisconnected", 9)]) == []
    assert isinstance(post("acs", acs("CallParticipantAdded", 1))[0], Ignored)


@pytest.mark.parametrize(
    "written",
    [
        *(1795428060, "1795428060", "1795428060.0", "1795428060000", 1795428060000000),
        *("1795428060000000000", "2026-11-23T10:01:00Z", "2026-11-23 10:01:00"),
        *("2026-11-23T15:31:00.0000000+05:30", "2026-11-23T05:01:00-0500", "2026-11-23t10:00:60z"),
        "Mon, 23 Nov 2026 11:01:00 +0100",
    ],
)
def test_times_are_read_in_each_form_that_vendors_write(written: object) -> None:
    assert read_time(written) == START + timedelta(minutes=1)


@pytest.mark.parametrize(
    "written",
    [
        *(0, -1, True, None, "", "0", "-5", "1e9", "soon", "9" * 20, "2026-99-99T00:00:00Z"),
        *("23/11/2026", [], {}, "2026-11-23", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_other_texts_are_no_times(written: object) -> None:
    assert read_time(written) is None


def test_an_end_before_the_start_remains_unless_the_clocks_are_close() -> None:
    ends = [START - timedelta(seconds=seconds) for seconds in (-5, 0, 1, 2, 3)]
    assert [end_of(START, each) for each in ends] == [ends[0], START, START, START, ends[4]]


# All of them

TWILIO = [
    {
        "CallSid": "CA1",
        "ConferenceSid": "CF1",
        "FriendlyName": "weekly",
        "StatusCallbackEvent": "participant-join",
        "ParticipantLabel": AUTHORIZATION,
        "Timestamp": "Mon, 23 Nov 2026 10:00:00 +0000",
    },
    {
        "CallSid": "CA1",
        "From": TRUNK,
        "To": LONDON,
        "Direction": "outbound-api",
        "CallStatus": "completed",
        "CallDuration": "60",
        "SipResponseCode": "200",
        "Timestamp": "Mon, 23 Nov 2026 10:01:00 +0000",
    },
]
ASTERISK = [
    {
        "type": name,
        "timestamp": (START + timedelta(seconds=seconds)).isoformat(),
        "channel": {
            "id": f"pbx-{EPOCH}.1",
            "name": "PJSIP/trunk-1",
            "state": "Up",
            "caller": {"number": ANN},
            "connected": {"number": ""},
            "dialplan": {"context": "from-trunk", "exten": TRUNK},
            "creationtime": START.isoformat(),
            "channelvars": {"PERMINUTE_ACCOUNT": "contoso"},
        },
        "bridge": {"id": "b1", "name": "weekly", "bridge_class": "stasis"},
        "cause": 16,
    }
    for name, seconds in (
        ("ChannelStateChange", 2),
        ("ChannelEnteredBridge", 3),
        ("ChannelDestroyed", 62),
    )
]
RECORDS = [
    {
        "uniqueid": f"pbx-{EPOCH}.2",
        "src": ANN,
        "dst": TRUNK,
        "dcontext": "from-trunk",
        "clid": f'"Ann" <{ANN}>',
        "channel": "PJSIP/trunk-2",
        "dstchannel": "PJSIP/trunk-3",
        "lastapp": "ConfBridge",
        "lastdata": "weekly",
        "start": f"{EPOCH + start}.5",
        "answer": f"{EPOCH + start}.6",
        "end": f"{EPOCH + 60}.7",
        "billsec": str(60 - start),
        "disposition": "ANSWERED",
        "userfield": f"authorization={AUTHORIZATION};organizer=ann",
    }
    for start in (0, 10, 20)
]
SCENES = {
    "livekit": LIVEKIT,
    "zoom": ZOOM_OUT,
    "acs": ACS,
    "twilio": TWILIO,
    "asterisk": ASTERISK,
}


@settings(max_examples=80, deadline=None)
@given(data=st.data(), dialect=st.sampled_from(sorted(SCENES)))
def test_order_and_repetition_of_events_do_not_matter(data: Any, dialect: str) -> None:
    posted = SCENES[dialect]
    order = data.draw(st.permutations(posted)) + data.draw(st.lists(st.sampled_from(posted)))
    assert made(dialect, order) == made(dialect, posted)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), dialect=st.sampled_from(sorted(SCENES)))
def test_a_complete_leg_is_not_changed_by_what_comes_after_that(data: Any, dialect: str) -> None:
    """What lacks nothing is charged at once: no further event of the call may change it."""
    posted = SCENES[dialect]
    order = data.draw(st.permutations(posted))
    final = {each.leg_id: each.leg for each in made(dialect, posted) if isinstance(each, Complete)}
    for count in range(1, len(order)):
        for each in made(dialect, order[:count]):
            if isinstance(each, Complete) and not each.lacks:
                assert final[each.leg_id] == each.leg


RECORDED: dict[str, list[list[Any]]] = {name: [] for name in SCENES} | {"asterisk": [RECORDS]}


def leaves(value: object) -> list[list[Any]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [[key, *rest] for key, item in items for rest in leaves(item)]
    return [[]]


@settings(max_examples=300, deadline=None)
@given(
    data=st.data(),
    dialect=st.sampled_from(sorted(SCENES)),
    odd=st.sampled_from(
        [
            *(None, "", 0, -1, True, [], {}, "9" * 30, "x" * 300, 1e300, "\x00"),
            *("2026-99-99T00:00:00Z", "au_.", "9999999999999999", 10**18, "é" * 5_000),
        ]
    ),
)
def test_odd_values_are_never_an_unexpected_error(data: Any, dialect: str, odd: object) -> None:
    posted = json.loads(
        json.dumps(data.draw(st.sampled_from([SCENES[dialect], *RECORDED[dialect]])))
    )
    event = data.draw(st.sampled_from(posted))
    *way, last = data.draw(st.sampled_from([each for each in leaves(event) if each]))
    place = event
    for key in way:
        place = place[key]
    place[last] = odd
    for each in posted:
        post(dialect, each)
    for found in made(dialect, posted):
        if isinstance(found, Complete):
            assert len(found.ended_leg.digest()) == 64
            assert found.ended_leg.key.encode()


# Meetings


def test_meetings_of_bigbluebutton_are_read_from_forms_and_json() -> None:
    meeting = {"voice-conf": "71347", "create-time": EPOCH * 1000, "metadata": {}}
    data = {"type": "event", "id": "meeting-created", "attributes": {"meeting": meeting}}
    text = json.dumps([{"data": data}, {"data": {**data, "id": "user-joined"}}])
    form = urlencode({"domain": "d", "event": text, "timestamp": "1"}).encode()
    for body in (form, text.encode()):
        created, other = post("bigbluebutton", body)
        assert isinstance(created, CallEvent)
        assert created.leg_id == "71347"
        assert isinstance(other, Ignored)
    assert isinstance(post("bigbluebutton", b"event=%7B")[0], Unreadable)


def test_rooms_of_jitsi_are_read() -> None:
    room = {"event_name": "muc-room-created", "room_name": "weekly", "created_at": EPOCH}
    [created] = post("jitsi", room)
    [destroyed] = post("jitsi", {**room, "event_name": "muc-room-destroyed"})
    assert isinstance(created, CallEvent)
    assert created == destroyed
    assert isinstance(post("jitsi", {**room, "event_name": "muc-occupant-left"})[0], Ignored)


# Handshakes


def bridge(dialect: str, scheme: AuthScheme) -> Bridge:
    auth = BridgeAuth(scheme, ("new-secret", "old-secret"))
    return Bridge("b", dialect, auth, frozenset({"*"}))


def test_event_grid_gets_its_validation_code() -> None:
    event = {
        "id": "1",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6"},
    }
    known = bridge("acs", AuthScheme.BEARER)
    answer = handshakes.answer(known, {}, json.dumps([event]).encode(), START)
    assert answer == {"validationResponse": "512d38b6"}
    assert handshakes.answer(known, {}, json.dumps(ACS).encode(), START) is None


@pytest.mark.parametrize("secret", ["new-secret", "old-secret"])
def test_zoom_gets_its_token_signed_by_the_secret_that_signed_the_request(secret: str) -> None:
    body = json.dumps(
        {"event": "endpoint.url_validation", "payload": {"plainToken": "plain"}}
    ).encode()
    signed = hmac.new(secret.encode(), f"v0:{EPOCH}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"x-zm-request-timestamp": str(EPOCH), "x-zm-signature": f"v0={signed}"}
    expected = hmac.new(secret.encode(), b"plain", hashlib.sha256).hexdigest()
    answer = handshakes.answer(bridge("zoom", AuthScheme.ZOOM), headers, body, START)
    assert answer == {"plainToken": "plain", "encryptedToken": expected}
