"""Calls as vendors report them, written after their public documentation, in every order: answered
seconds, number, kind and conference of each charge, and the parked entries. Values are invented.
"""

import asyncio
import base64
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from shared.domain.common import limits
from tests.support import vendors
from tests.unit.bridges.test_hostile_posts import SECRET, Vendor, play

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EPOCH = int(START.timestamp())
LONDON, PARIS, OURS = "+442079460011", "+33170180055", "+33170180001"
AUTHORIZATIONS = ("au_abc.contoso", "au_def.contoso")
type Charge = tuple[str, str, str | None, int]
type Call = tuple[str, list[Any], list[Charge], list[str]]


@pytest.fixture(autouse=True)
def _marks_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALL_MARKS_LINGER_SECONDS", 0)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def rfc2822(seconds: float) -> str:
    return at(seconds).strftime("%a, %d %b %Y %H:%M:%S +0000")


def utc(seconds: float) -> str:
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


# Twilio

CALL = "CA" + "7" * 32


def call(status: str, seconds: int, **changes: Any) -> dict[str, Any]:
    """A status callback of a call that Twilio dialled."""
    fields = {
        "Called": LONDON,
        "ToState": "",
        "CallerCountry": "FR",
        "Direction": "outbound-api",
        "Timestamp": rfc2822(seconds),
        "CallbackSource": "call-progress-events",
        "SipResponseCode": "200",
        "SequenceNumber": "3",
        "CallSid": CALL,
        "To": LONDON,
        "ToCountry": "GB",
        "ApiVersion": "2010-04-01",
        "CallStatus": status,
        "CalledCity": "",
        "From": OURS,
        "AccountSid": "AC" + "1" * 32,
        "Caller": OURS,
        **changes,
    }
    return {name: text for name, text in fields.items() if text is not None}


def member(event: str, seconds: int, **changes: Any) -> dict[str, Any]:
    """A conference event about a participant that coaches another one."""
    return {
        "Coaching": "true",
        "CallSidToCoach": "CA" + "8" * 32,
        "FriendlyName": "weekly",
        "SequenceNumber": "2",
        "ConferenceSid": "CF" + "2" * 32,
        "EndConferenceOnExit": "false",
        "CallSid": CALL,
        "StatusCallbackEvent": event,
        "Timestamp": rfc2822(seconds),
        "StartConferenceOnEnter": "true",
        "AccountSid": "AC" + "1" * 32,
        "Hold": "false",
        "Muted": "false",
        **changes,
    }


CONFERENCE = {
    "FriendlyName": "weekly",
    "ConferenceSid": "CF" + "2" * 32,
    "AccountSid": "AC" + "1" * 32,
    "Timestamp": rfc2822(70),
}
ENDED = {
    **CONFERENCE,
    "StatusCallbackEvent": "conference-end",
    "CallSidEndingConference": CALL,
    "ReasonConferenceEnded": "last-participant-left",
}
LEFT = member(
    "participant-leave",
    67,
    ParticipantCallStatus="completed",
    ReasonParticipantLeft="participant_hung_up",
)
COMPLETED = call("completed", 67, CallDuration="60", Duration="1")
MINUTE = ("dial_out", LONDON, "weekly", 60)
TWILIO: dict[str, Call] = {
    "a whole conference": (
        "twilio",
        [
            call("initiated", 0),
            call("ringing", 1, SequenceNumber="1"),
            call("in-progress", 7, SequenceNumber="2"),
            {**CONFERENCE, "StatusCallbackEvent": "conference-start"},
            member("participant-join", 8),
            member("participant-mute", 20, Muted="true"),
            member("participant-speech-start", 21),
            LEFT,
            COMPLETED,
            ENDED,
        ],
        [MINUTE],
        [],
    ),
    "minutes are empty": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "Duration": ""}],
        [MINUTE],
        [],
    ),
    "unusual characters and an empty conference": (
        "twilio",
        [
            member("participant-join", 8, FriendlyName="Rösti & Co=+%"),
            {**COMPLETED, "CallerName": "Ünï  %2B & = ; 'x'", "ConferenceSid": ""},
        ],
        [("dial_out", LONDON, "Rösti & Co=+%", 60)],
        [],
    ),
    "a call-progress event that names its conference": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "ConferenceSid": "CF" + "2" * 32}],
        [MINUTE],
        [],
    ),
    "the duration comes with the second callback": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "CallDuration": ""}, COMPLETED],
        [MINUTE],
        [],
    ),
    "the duration never comes": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "CallDuration": ""}],
        [],
        ["incomplete"],
    ),
    "answered and over at once": (
        "twilio",
        [member("participant-join", 8), call("completed", 8, CallDuration="0", Duration="0")],
        [("dial_out", LONDON, "weekly", 0)],
        [],
    ),
    **{
        status: (
            "twilio",
            [
                call("initiated", 0),
                call(status, 30, CallDuration="0", Duration="0", SipResponseCode="486"),
                member(
                    "participant-leave",
                    30,
                    ParticipantCallStatus=status,
                    ReasonParticipantLeft="participant_add_failed",
                ),
            ],
            [("dial_out", LONDON, None, 0)],
            [],
        )
        for status in ("busy", "no-answer", "failed", "canceled")
    },
    "a caller": (
        "twilio",
        [
            member("participant-join", 8),
            {**COMPLETED, "Direction": "inbound", "From": LONDON, "To": OURS},
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "a browser and a SIP phone are free": (
        "twilio",
        [
            {**COMPLETED, "Direction": "inbound", "From": "client:ann", "To": ""},
            {**COMPLETED, "CallSid": "CA2", "To": "sip:ann@example.sip.twilio.com"},
        ],
        [("voip", "", None, 60), ("voip", "sip:ann@example.sip.twilio.com", None, 60)],
        [],
    ),
    "a child call of Dial and its action": (
        "twilio",
        [
            {"CallSid": CALL, "CallStatus": "in-progress", "DialCallSid": "CA3"}
            | {"DialCallStatus": "completed", "DialCallDuration": "60", "Direction": "inbound"},
            {**COMPLETED, "CallSid": "CA3", "ParentCallSid": CALL, "Direction": "outbound-dial"},
        ],
        [("dial_out", LONDON, None, 60)],
        [],
    ),
    "machine detection and recordings": (
        "twilio",
        [
            {"CallSid": CALL, "AccountSid": "AC1", "AnsweredBy": "machine_start"},
            {"CallSid": CALL, "RecordingSid": "RE1", "RecordingStatus": "completed"},
            {**CONFERENCE, "RecordingSid": "RE2", "RecordingStatus": "completed"},
            member("participant-join", 8),
            COMPLETED,
        ],
        [MINUTE],
        [],
    ),
}


# LiveKit


def livekit(event: str, seconds: int, *, snake: bool = False, **changes: Any) -> dict[str, Any]:
    """A webhook about a SIP participant, in either form of protobuf JSON."""
    attributes = {
        "sip.callID": "SCL_9",
        "sip.callIDFull": "9f0c@203.0.113.5",
        "sip.callStatus": "active",
        "sip.hostname": "sip.example.com",
        "sip.phoneNumber": LONDON,
        "sip.trunkPhoneNumber": OURS,
        "sip.trunkID": "ST_1",
        "sip.ruleID": "",
        **changes.pop("attributes", {}),
    }
    participant = {
        "sid": "PA_9",
        "identity": "sip_442079460011",
        "state": "ACTIVE",
        "kind": "SIP",
        "joinedAt": str(EPOCH + 7),
        "joinedAtMs": str((EPOCH + 7) * 1000 + 250),
        "attributes": {name: text for name, text in attributes.items() if text is not None},
        "permission": {"canSubscribe": True},
        **changes,
    }
    body = {
        "event": event,
        "room": {"sid": "RM_9", "name": "weekly", "creationTime": str(EPOCH)},
        "participant": {name: each for name, each in participant.items() if each is not None},
        "id": f"EV_{event}",
        "createdAt": str(EPOCH + seconds),
    }
    if not snake:
        return body
    names = {"joinedAt": "joined_at", "disconnectReason": "disconnect_reason"}
    found = {names.get(name, name): each for name, each in body["participant"].items()}
    return {
        **{name: each for name, each in body.items() if name != "createdAt"},
        "created_at": body["createdAt"],
        "participant": found,
    }


INBOUND = {"sip.ruleID": "SDR_1"}
LIVEKIT: dict[str, Call] = {
    "a dial-out with all its webhooks": (
        "livekit",
        [
            {"event": "room_started", "room": {"name": "weekly"}, "createdAt": str(EPOCH)},
            livekit("participant_joined", 7),
            livekit("track_published", 8),
            {"event": "egress_started", "egressInfo": {"egressId": "EG_1", "roomName": "weekly"}},
            {"event": "egress_ended", "egressInfo": {"egressId": "EG_1", "status": 3}},
            livekit("participant_left", 67, attributes={"sip.callStatus": "hangup"}),
            {"event": "room_finished", "room": {"name": "weekly"}, "createdAt": str(EPOCH + 90)},
        ],
        [MINUTE],
        [],
    ),
    "names with underscores and enums as numbers": (
        "livekit",
        [
            livekit("participant_joined", 7, snake=True, kind=3),
            livekit("participant_left", 67, snake=True, kind=3, disconnectReason=1),
        ],
        [MINUTE],
        [],
    ),
    "a caller, int64 as numbers": (
        "livekit",
        [livekit("participant_left", 67, attributes=INBOUND, joinedAt=EPOCH + 7)],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "the departure has no numbers": (
        "livekit",
        [
            livekit("participant_joined", 7),
            livekit(
                "participant_left",
                67,
                attributes={"sip.phoneNumber": None, "sip.trunkPhoneNumber": None}
                | {"sip.callStatus": "hangup", "sip.trunkID": None},
            ),
        ],
        [MINUTE],
        [],
    ),
    "departures without an arrival": (
        "livekit",
        [livekit("participant_left", 67, joinedAt=None, joinedAtMs=None)],
        [],
        ["incomplete"],
    ),
    **{
        f"not answered: {reason}": (
            "livekit",
            [
                livekit("participant_joined", 1, attributes={"sip.callStatus": "dialing"}),
                livekit(
                    "participant_left",
                    31,
                    disconnectReason=reason,
                    attributes={"sip.callStatus": "hangup"},
                ),
            ],
            [("dial_out", LONDON, "weekly", 0)],
            [],
        )
        for reason in ("USER_UNAVAILABLE", "USER_REJECTED", "SIP_TRUNK_FAILURE", 12)
    },
    "one phone in two rooms, without ids": (
        "livekit",
        [
            {
                **livekit(
                    "participant_left", 67, sid=None, attributes=INBOUND | {"sip.callID": None}
                ),
                "room": {"name": name},
            }
            for name in ("monthly", "weekly")
        ],
        [("dial_in", OURS, "monthly", 60), ("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "not answered, and never joined": (
        "livekit",
        [
            livekit(
                "participant_left",
                31,
                disconnectReason="USER_UNAVAILABLE",
                joinedAt=None,
                joinedAtMs=None,
            ),
            livekit("participant_joined", 1),
        ],
        [("dial_out", LONDON, "weekly", 0)],
        [],
    ),
    "a connection that was aborted": (
        "livekit",
        [livekit("participant_connection_aborted", 20, joinedAt=None, identity=AUTHORIZATIONS[0])],
        [("dial_out", LONDON, "weekly", 0)],
        [],
    ),
    "numbers in SIP addresses": (
        "livekit",
        [
            livekit(
                "participant_left",
                67,
                attributes=INBOUND
                | {"sip.phoneNumber": None, "sip.from": f"<sip:{LONDON}@203.0.113.5>"}
                | {"sip.trunkPhoneNumber": None, "sip.requestURI": f"sip:{OURS}@203.0.113.9;a=b"},
            )
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "web participants": (
        "livekit",
        [
            livekit(
                "participant_left",
                67,
                kind="STANDARD",
                attributes=dict.fromkeys(
                    (
                        "sip.callID",
                        "sip.callIDFull",
                        "sip.callStatus",
                        "sip.hostname",
                        "sip.phoneNumber",
                        "sip.trunkPhoneNumber",
                        "sip.trunkID",
                        "sip.ruleID",
                    )
                ),
            )
        ],
        [],
        [],
    ),
}


# Azure Communication Services


def acs(name: str, seconds: float, *, grid: bool = False, **data: Any) -> dict[str, Any]:
    """An event of Call Automation as a CloudEvent, or one in the schema of Event Grid."""
    own = {
        "version": "2024-09-15",
        "callConnectionId": "411f0b00-0001",
        "serverCallId": "aHR0cHM6Ly9yb29t",
        "correlationId": "1c5419b7-0001",
        **data,
    }
    kind = f"Microsoft.Communication.{name}"
    time = at(seconds).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0+00:00"
    if grid:
        return {"id": name, "topic": "/x", "eventType": kind, "eventTime": time, "data": own}
    return {
        "id": f"{name}{seconds}",
        "source": "calling/callConnections/411f0b00-0001",
        "type": kind,
        "data": {**own, "publicEventType": kind},
        "time": time,
        "specversion": "1.0",
        "datacontenttype": "application/json",
    }


def phone(number: str, asserted: str | None = None) -> dict[str, Any]:
    raw = f"4:{number}_{asserted}" if asserted else f"4:{number}"
    more = {"assertedId": asserted} if asserted else {}
    value = {"value": number, "isAnonymous": False, **more}
    return {"rawId": raw, "kind": "phoneNumber", "phoneNumber": value}


def listed(seconds: float, sequence: object, *members: Any) -> dict[str, Any]:
    host = {"rawId": "8:acs:1bda_0001", "kind": "communicationUser"}
    each = [phone(one) if isinstance(one, str) else one for one in members]
    participants = [{"identifier": one, "isMuted": False, "isOnHold": False} for one in each]
    return acs(
        "ParticipantsUpdated",
        seconds,
        sequenceNumber=sequence,
        participants=[{"identifier": host, "isMuted": False}, *participants],
    )


def added(seconds: float, context: str, number: str = LONDON) -> dict[str, Any]:
    return acs(
        "AddParticipantSucceeded", seconds, participant=phone(number), operationContext=context
    )


def failed(seconds: float, context: str, number: str = LONDON) -> dict[str, Any]:
    return acs(
        "AddParticipantFailed",
        seconds,
        participant=phone(number),
        operationContext=context,
        resultInformation={"code": 486, "subCode": 560486, "message": "Busy"},
    )


CONNECTED, OVER = acs("CallConnected", 0), acs("CallDisconnected", 300)
ROOM = "aHR0cHM6Ly9yb29t"
ACS: dict[str, Call] = {
    "a caller and a phone that was dialled": (
        "acs",
        [
            acs(
                "IncomingCall",
                0,
                grid=True,
                **{"to": phone(OURS), "from": phone(PARIS), "incomingCallContext": "eyJ"},
            ),
            CONNECTED,
            listed(0, 1, PARIS),
            added(7, AUTHORIZATIONS[0]),
            listed(7, 2, PARIS, LONDON),
            listed(67, 3, PARIS),
            acs("RecordingStateChanged", 8, state="active"),
            listed(90, 4),
            OVER,
        ],
        [("dial_in", OURS, ROOM, 90), ("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "redialled after busy": (
        "acs",
        [
            CONNECTED,
            listed(0, 1),
            failed(7, AUTHORIZATIONS[0]),
            failed(17, AUTHORIZATIONS[1]),
            added(27, "au_ghi.contoso"),
            listed(27, 2, LONDON),
            listed(87, 3),
            OVER,
        ],
        [("dial_out", LONDON, ROOM, seconds) for seconds in (0, 0, 60)],
        [],
    ),
    "the same phone twice, one after another": (
        "acs",
        [
            CONNECTED,
            listed(0, 1),
            added(7, AUTHORIZATIONS[0]),
            listed(7, 2, LONDON),
            listed(67, 3),
            added(107, AUTHORIZATIONS[1]),
            listed(107, 4, LONDON),
            listed(227, 5),
            OVER,
        ],
        [("dial_out", LONDON, ROOM, 60), ("dial_out", LONDON, ROOM, 120)],
        [],
    ),
    "the same phone twice at once": (
        "acs",
        [
            CONNECTED,
            listed(0, 1),
            added(7, AUTHORIZATIONS[0]),
            listed(7, 2, LONDON),
            listed(17, 3, LONDON, phone(LONDON, "45f7")),
            listed(67, 4, phone(LONDON, "45f7")),
            listed(137, 5),
            OVER,
        ],
        [("dial_out", LONDON, ROOM, 60), ("dial_out", LONDON, ROOM, 120)],
        [],
    ),
    "numbers in rawId alone, sequence numbers as texts": (
        "acs",
        [
            CONNECTED,
            listed(0, "1"),
            added(7, json.dumps({"leg_id": "mine", "conference_id": "weekly"})),
            listed(7, "2", {"rawId": f"4:{LONDON}"}),
            listed(67, "3"),
            OVER,
        ],
        [MINUTE],
        [],
    ),
    "a withheld number": (
        "acs",
        [
            acs("IncomingCall", 0, **{"to": phone(OURS), "from": phone("anonymous")}),
            CONNECTED,
            listed(0, 1, phone("anonymous")),
            listed(60, 2),
            OVER,
        ],
        [("dial_in", OURS, ROOM, 60)],
        [],
    ),
    "a participant of another call": (
        "acs",
        [
            CONNECTED,
            listed(0, 1),
            acs(
                "MoveParticipantSucceeded",
                7,
                participant=phone(LONDON),
                fromCall="411f0b00-0002",
                operationContext=AUTHORIZATIONS[0],
            ),
            listed(7, 2, LONDON),
            listed(67, 3),
            OVER,
        ],
        [("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "a caller, a user who did not answer and a canceled invitation": (
        "acs",
        [
            acs("IncomingCall", 0, **{"to": phone(OURS), "from": phone(PARIS)}),
            CONNECTED,
            listed(0, 1, PARIS),
            acs(
                "AddParticipantFailed",
                9,
                participant={"rawId": "8:acs:1bda_0002", "kind": "communicationUser"},
                resultInformation={"code": 408, "subCode": 0},
            ),
            acs("CancelAddParticipantSucceeded", 9, operationContext=AUTHORIZATIONS[0]),
            listed(60, 2),
            OVER,
        ],
        [("dial_in", OURS, ROOM, 60), ("dial_out", "", ROOM, 0)],
        [],
    ),
    "a call that was not answered": (
        "acs",
        [
            acs(
                "CreateCallFailed",
                30,
                operationContext=AUTHORIZATIONS[0],
                resultInformation={"code": 480, "subCode": 0},
            )
        ],
        [("dial_out", "", ROOM, 0)],
        [],
    ),
    "an invitation that was canceled": (
        "acs",
        [
            acs("CancelAddParticipantSucceeded", 9, operationContext=AUTHORIZATIONS[0]),
            acs("CancelAddParticipantSucceeded", 9, operationContext="mine"),
        ],
        [("dial_out", "", ROOM, 0)],
        [],
    ),
    "an unknown source": (
        "acs",
        [CONNECTED, listed(0, 1, LONDON), listed(60, 2), OVER],
        [],
        ["incomplete"],
    ),
    "a list is missing": (
        "acs",
        [CONNECTED, listed(0, 1), added(7, AUTHORIZATIONS[0]), listed(67, 3, LONDON), OVER],
        [],
        ["incomplete"],
    ),
    "the only list with the phone is missing": (
        "acs",
        [CONNECTED, listed(0, 1), added(7, AUTHORIZATIONS[0]), listed(67, 3), OVER],
        [],
        ["incomplete"],
    ),
    "a caller whose call was answered with a context": (
        "acs",
        [
            acs("IncomingCall", 0, **{"to": phone(OURS), "from": phone(PARIS)}),
            acs(
                "CallConnected",
                0,
                operationContext=json.dumps({"conference_id": "weekly", "account": "contoso"}),
            ),
            listed(0, 1, PARIS),
            listed(60, 2),
            OVER,
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "a caller without CallConnected": (
        "acs",
        [
            acs("IncomingCall", 0, **{"to": phone(OURS), "from": phone(PARIS)}),
            listed(0, 1, PARIS),
            listed(60, 2),
        ],
        [("dial_in", OURS, ROOM, 60)],
        [],
    ),
    "no list has the caller": (
        "acs",
        [
            acs("IncomingCall", 0, **{"to": phone(OURS), "from": phone(PARIS)}),
            CONNECTED,
            listed(0, 1),
            OVER,
        ],
        [],
        ["incomplete"],
    ),
    "a caller whose call was not answered": (
        "acs",
        [acs("IncomingCall", 0, **{"to": phone(OURS), "from": phone(PARIS)})],
        [],
        [],
    ),
    "users only": ("acs", [CONNECTED, listed(0, 1), listed(9, 2), OVER], [], []),
}


# Zoom


def zoom(event: str, found: dict[str, Any], seconds: float = 0) -> dict[str, Any]:
    payload = {"account_id": "AbC", "object": found}
    return {"event": event, "event_ts": int((EPOCH + seconds) * 1000), "payload": payload}


def meeting(event: str, seconds: float, **participant: Any) -> dict[str, Any]:
    found = {
        "id": "89512345678",
        "uuid": "4444AAAiAAAAAiAiAiiAii==",
        "host_id": "x1yCzABC",
        "topic": "Weekly",
        "type": 8,
        "start_time": utc(-60),
        "participant": participant,
    }
    return zoom(f"meeting.{event}", found, seconds)


def zoom_member(**more: Any) -> dict[str, Any]:
    common = {"user_id": "16778240", "user_name": "442079460011", "id": "", "email": ""}
    return {**common, "participant_uuid": "P55", "phone_number": LONDON[1:], **more}


JOIN = meeting("participant_joined", 7, **zoom_member(join_time=utc(7)))
LEAVE = meeting(
    "participant_left", 67, **zoom_member(leave_time=utc(67), leave_reason="left the meeting.")
)
USER = {
    "extension_id": "52Od",
    "extension_type": "user",
    "extension_number": 1002,
    "phone_number": OURS,
    "user_id": "DnEop",
    "device_type": "MAC_Client(5.7.5.1123)",
    "connection_type": "voip",
}
OUTSIDE = {"phone_number": LONDON, "extension_type": "pstn", "connection_type": "pstn_off_net"}
TIMES = {
    "ringing_start_time": utc(0),
    "answer_start_time": utc(7),
    "call_end_time": utc(67),
}
ZOOM: dict[str, Call] = {
    "a call-out": (
        "zoom",
        [
            meeting("participant_phone_callout_ringing", 0, invitee_name="J", phone_number=LONDON),
            meeting(
                "participant_phone_callout_accepted",
                7,
                invitee_name="J",
                phone_number=int(LONDON[1:]),
                from_number=int(OURS[1:]),
            ),
            JOIN,
            LEAVE,
            zoom("meeting.ended", {"id": "89512345678", "uuid": "4444AAAiAAAAAiAiAiiAii=="}),
        ],
        [("dial_out", LONDON, "89512345678", 60)],
        [],
    ),
    "a call-out with spaces": (
        "zoom",
        [
            meeting("participant_phone_callout_accepted", 7, phone_number="+44 20 7946-0011"),
            JOIN,
            LEAVE,
        ],
        [("dial_out", LONDON, "89512345678", 60)],
        [],
    ),
    "a caller": ("zoom", [JOIN, LEAVE], [("dial_in", OURS, "89512345678", 60)], []),
    "a call-out without an answer": (
        "zoom",
        [
            meeting("participant_phone_callout_ringing", 0, phone_number=LONDON),
            meeting("participant_phone_callout_missed", 30, phone_number=LONDON),
            meeting("participant_phone_callout_rejected", 31, phone_number=LONDON),
        ],
        [],
        [],
    ),
    "the same member in two meetings, without participant_uuid": (
        "zoom",
        [
            zoom(
                f"meeting.participant_{what}",
                {"id": meeting_id, "uuid": f"{meeting_id}==", "participant": member},
            )
            for meeting_id in (891, 892)
            for what, member in (
                ("joined", {"user_id": 16778240, "phone_number": LONDON, "join_time": utc(7)}),
                ("left", {"user_id": 16778240, "phone_number": LONDON, "leave_time": utc(67)}),
            )
        ],
        [("dial_in", OURS, "891", 60), ("dial_in", OURS, "892", 60)],
        [],
    ),
    "the arrival is lost": ("zoom", [LEAVE], [], ["incomplete"]),
    "a user of Zoom Phone who calls": (
        "zoom",
        [
            zoom("phone.caller_ringing", {"call_id": "7", "caller": USER, "callee": OUTSIDE}),
            zoom("phone.caller_connected", {"call_id": "7", "caller": USER, "callee": OUTSIDE}),
            zoom(
                "phone.caller_ended",
                {"call_id": "7", "caller": USER, "callee": OUTSIDE, **TIMES},
            ),
        ],
        [("dial_out", LONDON, None, 60)],
        [],
    ),
    "a caller of a queue, whom the second user answers": (
        "zoom",
        [
            zoom(
                "phone.callee_missed",
                {"call_id": "8", "caller": OUTSIDE, "callee": USER}
                | {"ringing_start_time": utc(0), "call_end_time": utc(5)},
            ),
            zoom(
                "phone.callee_rejected",
                {"call_id": "8", "caller": OUTSIDE, "callee": {**USER, "user_id": "Other"}}
                | {"ringing_start_time": utc(0), "call_end_time": utc(5)},
            ),
            zoom(
                "phone.callee_ended",
                {"call_id": "8", "caller": {"phone_number": LONDON}, "callee": USER, **TIMES},
            ),
        ],
        [("dial_in", OURS, None, 60)],
        [],
    ),
    "a call between users": (
        "zoom",
        [
            zoom("phone.caller_ended", {"call_id": "9", "caller": USER, "callee": USER, **TIMES}),
            zoom("phone.callee_ended", {"call_id": "9", "caller": USER, "callee": USER, **TIMES}),
        ],
        [],
        [],
    ),
}


# BigBlueButton and Jitsi: the meeting, and the leg of another bridge

RATED = {
    "leg_id": "fs-1",
    "conference_id": "71347",
    "kind": "dial_out",
    "from": OURS,
    "to": LONDON,
    "started_at": utc(0),
    "answered_at": utc(7),
    "ended_at": utc(67),
    "talk_seconds": 60,
}


def bigbluebutton(*events: tuple[str, dict[str, Any]]) -> bytes:
    """A form with an array of events, as the webhooks module posts them."""
    meant = [
        {"data": {"type": "event", "id": name, "attributes": found, "event": {"ts": EPOCH * 1000}}}
        for name, found in events
    ]
    text = json.dumps(meant, separators=(",", ":"))
    return urlencode({"domain": "bbb.example", "event": text, "timestamp": EPOCH * 1000}).encode()


CREATED = {
    "meeting": {
        "internal-meeting-id": "183f0bf3-1",
        "external-meeting-id": "e-1",
        "name": "Weekly",
        "voice-conf": "71347",
        "dial-number": "613-555-1234",
        "create-time": (EPOCH - 60) * 1000,
        "metadata": {"perminute_account": "contoso", "Perminute-Organizer": "ann"},
    }
}
VOICE = {
    "meeting": {"internal-meeting-id": "183f0bf3-1", "external-meeting-id": "e-1"},
    "user": {"internal-user-id": "v_a1", "name": LONDON, "listening-only": False},
}
MEETINGS: dict[str, Call] = {
    "a meeting of BigBlueButton": (
        "bigbluebutton",
        [
            ("events", bigbluebutton(("meeting-created", CREATED), ("user-joined", VOICE))),
            ("events", bigbluebutton(("user-audio-voice-enabled", VOICE))),
            ("events", bigbluebutton(("user-audio-voice-disabled", VOICE), ("user-left", VOICE))),
            ("events", bigbluebutton(("meeting-ended", VOICE))),
            ("rating", RATED),
        ],
        [("dial_out", LONDON, "71347", 60)],
        [],
    ),
    "a room of Jitsi": (
        "jitsi",
        [
            (
                "events",
                {"event_name": "muc-room-created", "room_name": "71347", "created_at": EPOCH}
                | {"room_jid": "71347@muc.example", "is_breakout": False},
            ),
            (
                "events",
                {"event_name": "muc-occupant-joined", "room_name": "71347"}
                | {"occupant": {"occupant_jid": "a@muc", "joined_at": EPOCH}},
            ),
            (
                "events",
                {"event_name": "muc-room-destroyed", "room_name": "71347", "created_at": EPOCH}
                | {"destroyed_at": EPOCH + 70, "all_occupants": []},
            ),
            ("rating", RATED),
        ],
        [("dial_out", LONDON, "71347", 60)],
        [],
    ),
}


# Asterisk


def record(**changes: Any) -> dict[str, Any]:
    fields = {
        "accountcode": "",
        "src": LONDON,
        "dst": OURS,
        "dcontext": "from-trunk",
        "clid": f'"Ann ""A"" B" <{LONDON}>',
        "channel": "PJSIP/trunk-000000a1",
        "dstchannel": "",
        "lastapp": "ConfBridge",
        "lastdata": "weekly,default_bridge,,",
        "start": at(0).strftime("%Y-%m-%d %H:%M:%S"),
        "answer": at(7).strftime("%Y-%m-%d %H:%M:%S"),
        "end": at(67).strftime("%Y-%m-%d %H:%M:%S"),
        "duration": 67,
        "billsec": 60,
        "disposition": "ANSWERED",
        "amaflags": "DOCUMENTATION",
        "uniqueid": f"ast1-{EPOCH}.41",
        "userfield": f"authorization={AUTHORIZATIONS[0]}",
        "linkedid": f"ast1-{EPOCH}.40",
        "sequence": 12,
        **changes,
    }
    return {name: each for name, each in fields.items() if each is not None}


def row(names: str, **changes: Any) -> bytes:
    found = record(**changes)
    cells = (str(found.get(name, "")).replace('"', '""') for name in names.split())
    return ",".join(f'"{cell}"' for cell in cells).encode()


USUAL = (
    "accountcode src dst dcontext clid channel dstchannel lastapp lastdata start answer end "
    "duration billsec disposition amaflags uniqueid userfield"
)
CUSTOM = (
    "clid src dst dcontext channel dstchannel lastapp lastdata start answer end duration billsec "
    "disposition amaflags accountcode uniqueid userfield sequence"
)


def ari(name: str, seconds: float, state: str = "Up", **more: Any) -> dict[str, Any]:
    channel = {
        "id": f"ast1-{EPOCH}.51",
        "name": "PJSIP/trunk-000000b1",
        "state": state,
        "protocol_id": "9f0c",
        "caller": {"name": "", "number": LONDON},
        "connected": {"name": "", "number": OURS},
        "accountcode": "",
        "dialplan": {"context": "default", "exten": "s", "priority": 1, "app_name": "Stasis"},
        "creationtime": at(0).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        "language": "en",
        "channelvars": {"PERMINUTE_AUTHORIZATION": AUTHORIZATIONS[0]},
    }
    time = at(seconds).strftime("%Y-%m-%dT%H:%M:%S.125+0000")
    return {"type": name, "timestamp": time, "channel": channel, "application": "conf", **more}


IN_ROOM = {"bridge": {"id": "b-1", "name": "weekly", "bridge_class": "stasis", "channels": []}}


def ami(name: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "Event": name,
        "Privilege": "call,all",
        "Timestamp": f"{EPOCH + seconds}.125000",
        "Channel": "PJSIP/trunk-000000c1",
        "ChannelState": "6",
        "ChannelStateDesc": "Up",
        "CallerIDNum": LONDON,
        "CallerIDName": "<unknown>",
        "ConnectedLineNum": "<unknown>",
        "Context": "from-trunk",
        "Exten": OURS,
        "Uniqueid": f"ast1-{EPOCH}.61",
        "Linkedid": f"ast1-{EPOCH}.61",
        "ChanVariable(PERMINUTE_AUTHORIZATION)": AUTHORIZATIONS[0],
        **more,
    }


AMI = [
    ami("Newchannel", 0, ChannelState="4", ChannelStateDesc="Ring"),
    ami("Newstate", 7),
    ami("ConfbridgeJoin", 8, Conference="weekly", Admin="No"),
    ami("ConfbridgeLeave", 66, Conference="weekly"),
    ami("Hangup", 67, Cause="16", **{"Cause-txt": "Normal Clearing"}),
]
TO_US = ("dial_out", OURS, "weekly", 60)
ASTERISK: dict[str, Call] = {
    "a record": ("asterisk", [record()], [TO_US], []),
    "a record whose flags are numbers": ("asterisk", [record(amaflags=3)], [TO_US], []),
    "a row of cdr_csv": ("asterisk", [row(USUAL)], [TO_US], []),
    "a row of cdr_custom": ("asterisk", [row(CUSTOM)], [TO_US], []),
    "rows with a header": (
        "asterisk",
        [
            b"calldate,clid,src,dst,dcontext,channel,lastapp,lastdata,duration,billsec,disposition,"
            b"uniqueid,userfield\n"
            + row(
                "start clid src dst dcontext channel lastapp lastdata duration billsec disposition "
                "uniqueid userfield"
            )
        ],
        [TO_US],
        [],
    ),
    "a row of a database": (
        "asterisk",
        [
            {
                name: each
                for name, each in record(calldate=record()["start"]).items()
                if name not in {"start", "answer", "end"}
            }
        ],
        [TO_US],
        [],
    ),
    "a record as an event of AMI": (
        "asterisk",
        [
            {
                "Event": "Cdr",
                "AccountCode": "",
                "Source": LONDON,
                "Destination": OURS,
                "DestinationContext": "from-trunk",
                "CallerID": f'"" <{LONDON}>',
                "Channel": "PJSIP/trunk-1",
                "DestinationChannel": "",
                "LastApplication": "ConfBridge",
                "LastData": "weekly",
                "StartTime": record()["start"],
                "AnswerTime": record()["answer"],
                "EndTime": record()["end"],
                "Duration": "67",
                "BillableSeconds": "60",
                "Disposition": "ANSWERED",
                "AMAFlags": "DOCUMENTATION",
                "UniqueID": f"{EPOCH}.7",
                "UserField": AUTHORIZATIONS[0],
            }
        ],
        [TO_US],
        [],
    ),
    "both halves of a Local channel": (
        "asterisk",
        [
            record(channel="Local/+44@out-00000003;1", uniqueid=f"{EPOCH}.1"),
            record(
                channel="Local/+44@out-00000003;2",
                lastapp="Dial",
                lastdata="PJSIP/x",
                dstchannel="PJSIP/x-1",
                conference="weekly",
            ),
        ],
        [TO_US],
        [],
    ),
    "records of each pair": (
        "asterisk",
        [
            record(dstchannel="PJSIP/a2", end=str(EPOCH + 30), billsec=23),
            record(
                dstchannel="PJSIP/a3", start=str(EPOCH + 20), answer=str(EPOCH + 20), billsec=47
            ),
            record(
                dstchannel="PJSIP/a4", start=str(EPOCH + 30), answer=str(EPOCH + 30), billsec=37
            ),
        ],
        [TO_US],
        [],
    ),
    **{
        disposition: (
            "asterisk",
            [record(disposition=disposition, answer="", billsec=7, lastapp="Dial", lastdata="x")],
            [("dial_out", OURS, None, 0)],
            [],
        )
        for disposition in ("BUSY", "NO ANSWER", "FAILED", "CONGESTION")
    },
    "channel events": (
        "asterisk",
        [b'"CHAN_START","1795428000.1","","","",""'],
        [],
        ["unreadable"],
    ),
    "events of ARI": (
        "asterisk",
        [
            ari("ChannelCreated", 0, "Down"),
            ari("ChannelStateChange", 2, "Ringing"),
            ari("StasisStart", 7, args=[]),
            ari("ChannelStateChange", 7),
            ari("ChannelEnteredBridge", 8, **IN_ROOM),
            ari("ChannelLeftBridge", 66, **IN_ROOM),
            ari("ChannelHangupRequest", 66, cause=16),
            ari("StasisEnd", 66),
            ari("ChannelDestroyed", 67, cause=16, cause_txt="Normal Clearing"),
        ],
        [("dial_out", LONDON, "weekly", 60)],
        [],
    ),
    "a busy phone by ARI": (
        "asterisk",
        [
            ari("ChannelStateChange", 2, "Ringing"),
            ari("ChannelDestroyed", 9, "Ringing", cause=17, cause_txt="User busy"),
        ],
        [("dial_out", LONDON, None, 0)],
        [],
    ),
    "the end of ARI without a state": (
        "asterisk",
        [
            ari("ChannelStateChange", 7),
            ari("ChannelEnteredBridge", 8, **IN_ROOM),
            ari("ChannelDestroyed", 67, "", cause="16"),
        ],
        [("dial_out", LONDON, "weekly", 60)],
        [],
    ),
    "events of AMI": ("asterisk", AMI, [TO_US], []),
    "events of AMI in small letters": (
        "asterisk",
        [{name.lower(): each for name, each in event.items()} for event in AMI],
        [TO_US],
        [],
    ),
    "events of AMI as text": (
        "asterisk",
        ["\r\n".join(f"{name}: {each}" for name, each in event.items()).encode() for event in AMI],
        [TO_US],
        [],
    ),
}


# FreeSWITCH and Perminute


def channel(**changes: Any) -> dict[str, Any]:
    variables = {
        "uuid": "4b7d0e21-0001",
        "direction": "outbound",
        "start_epoch": str(EPOCH),
        "answer_epoch": str(EPOCH + 7),
        "end_epoch": str(EPOCH + 67),
        "start_uepoch": f"{EPOCH}250000",
        "answer_uepoch": f"{EPOCH + 7}120000",
        "end_uepoch": f"{EPOCH + 67}480000",
        "duration": "67",
        "billsec": "60",
        "conference_name": "weekly",
        "hangup_cause": "NORMAL_CLEARING",
        "sip_to_user": quote(LONDON, safe=""),
        "caller_id_name": "J%22o%22se%20100%25",
        **changes,
    }
    return {
        "core-uuid": "6f0c",
        "switchname": "fs1",
        "channel_data": {"state": "CS_REPORTING", "direction": variables["direction"]},
        "variables": {name: each for name, each in variables.items() if each is not None},
        "app_log": {"applications": []},
        "callflow": [
            {
                "profile_index": "1",
                "caller_profile": {"ani": OURS, "destination_number": LONDON, "uuid": "x"},
                "times": {"created_time": f"{EPOCH}250000", "answered_time": "0"},
            }
        ],
    }


BUSY = {
    "answer_epoch": "0",
    "answer_uepoch": "0",
    "billsec": "0",
    "conference_name": None,
    "perminute_authorization": AUTHORIZATIONS[0],
    "hangup_cause": "USER_BUSY",
}
TEXT = json.dumps(channel())
FREESWITCH: dict[str, Call] = {
    "a record": ("freeswitch", [channel()], [MINUTE], []),
    "encoded": ("freeswitch", [b"cdr=" + quote(TEXT, safe="").encode()], [MINUTE], []),
    "in base64": ("freeswitch", [b"cdr=" + base64.b64encode(TEXT.encode())], [MINUTE], []),
    "seconds only": (
        "freeswitch",
        [channel(start_uepoch=None, answer_uepoch="0", end_uepoch="0")],
        [MINUTE],
        [],
    ),
    "a busy phone": ("freeswitch", [channel(**BUSY)], [("dial_out", LONDON, None, 0)], []),
    "a bridged pair": (
        "freeswitch",
        [
            channel(),
            channel(uuid="4b7d0e21-0002", conference_name=None, direction="inbound"),
            channel(uuid="4b7d0e21-0003", is_loopback="1", loopback_leg="B"),
        ],
        [MINUTE],
        [],
    ),
    "no variables": (
        "freeswitch",
        [{"core-uuid": "6f0c", "channel_data": {}, "callflow": []}],
        [],
        ["unreadable"],
    ),
}
PERMINUTE: dict[str, Call] = {
    "a leg": ("perminute", [RATED], [("dial_out", LONDON, "71347", 60)], []),
    "legs in an array, one of them twice": (
        "perminute",
        [[RATED, {**RATED, "leg_id": "fs-2", "talk_seconds": 59}, RATED]],
        [("dial_out", LONDON, "71347", 59), ("dial_out", LONDON, "71347", 60)],
        [],
    ),
    "a busy phone": (
        "perminute",
        [{**RATED, "answered_at": None, "talk_seconds": 0, "hangup_cause": "USER_BUSY"}],
        [("dial_out", LONDON, "71347", 0)],
        [],
    ),
}
CALLS: dict[str, Call] = {
    f"{call[0]}: {name}": call
    for calls in (TWILIO, LIVEKIT, ACS, ZOOM, MEETINGS, ASTERISK, FREESWITCH, PERMINUTE)
    for name, call in calls.items()
}


def posts(call: Call) -> list[tuple[str, Any]]:
    return [each if isinstance(each, tuple) else ("events", each) for each in call[1]]


def played(
    dialect: str, order: list[tuple[str, Any]], processes: int = 1
) -> tuple[list[str], list[str]]:
    """Charges without their legs' ids, and the reasons of parked entries."""
    (charges, parked), vendor = play(dialect, order, processes)
    assert all(status == 202 for status, _ in vendor.answers), vendor.answers
    return (
        sorted(" ".join(each.split(" ")[2:-1]) for each in charges),
        sorted(each.split()[-1] for each in parked),
    )


def expected(call: Call) -> tuple[list[str], list[str]]:
    charges = (
        " ".join((kind, to or "None", conference or "None", str(seconds)))
        for kind, to, conference, seconds in call[2]
    )
    return sorted(charges), sorted(call[3])


@pytest.mark.extended
@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_charged_as_its_vendor_reports_it(name: str) -> None:
    call = CALLS[name]
    assert played(call[0], posts(call)) == expected(call)


@pytest.mark.extended
@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if len(call[1]) > 1])
def test_no_order_and_no_repetition_changes_the_outcome(name: str) -> None:
    call = CALLS[name]
    made = posts(call)
    draw = random.Random(name)
    for order in [made[::-1], *(draw.sample(made, len(made)) for _ in range(4))]:
        again = [*order, *draw.sample(made, min(2, len(made)))]
        assert played(call[0], again, processes=2) == expected(call), again


LATE = {
    "acs": (
        [CONNECTED, listed(0, 1), added(7, AUTHORIZATIONS[0]), listed(67, 3), OVER],
        listed(7, 2, LONDON),
    ),
    "zoom": ([LEAVE], JOIN),
    "livekit": (
        [livekit("participant_left", 67, joinedAt=None, joinedAtMs=None)],
        livekit("participant_joined", 7),
    ),
    "twilio": ([member("participant-join", 8), {**COMPLETED, "CallDuration": ""}], COMPLETED),
    "asterisk": ([ari("ChannelDestroyed", 67, cause=16)], ari("ChannelStateChange", 7)),
}


@pytest.mark.extended
@pytest.mark.parametrize("dialect", LATE)
def test_a_leg_whose_fact_comes_after_the_wait_is_charged_after_all(dialect: str) -> None:
    async def playing() -> None:
        events, late = LATE[dialect]
        vendor = await Vendor.open(dialect)
        for event in events:
            await vendor.post(dialect, "events", event)
        _, parked = await vendor.outcome()
        assert [each.split()[-1] for each in parked] == ["incomplete"]
        await vendor.post(dialect, "events", late)
        [charge], _ = await vendor.outcome()
        assert charge.split()[-2] == "60"
        [entry] = await vendor.process.parked()
        assert entry.status.value == "replayed"
        vendor.process.close()

    asyncio.run(playing())


def tried(vendor: Vendor, bridge: str, body: object) -> list[dict[str, Any]]:
    path = f"/api/v1/bridges/{bridge}/try"
    answer = asyncio.run(vendor.process.send("POST", path, body))
    assert answer.status == 200, answer.body
    return [answer.json, *answer.json.get("others", [])]


@pytest.mark.extended
@pytest.mark.parametrize(
    "name", [name for name, call in CALLS.items() if all(isinstance(e, dict) for e in call[1])]
)
def test_a_trial_of_a_call_shows_what_it_will_be_charged(name: str) -> None:
    dialect, events, *_ = call = CALLS[name]
    vendor = asyncio.run(Vendor.open(dialect))
    found = tried(vendor, "events", events[0] if dialect == "freeswitch" else events)
    shown = [
        " ".join(map(str, (leg["kind"], leg["to"], leg["conference"], charge["talk_seconds"])))
        for each in found
        if (leg := each.get("leg")) and (charge := each.get("charge"))
    ]
    assert sorted(shown) == expected(call)[0]
    assert all(each["steps"] for each in found)
    assert asyncio.run(vendor.outcome()) == ((), ())
    vendor.process.close()


def test_a_trial_of_a_charged_leg_is_a_repetition_or_a_conflict() -> None:
    vendor = asyncio.run(Vendor.open("perminute"))
    asyncio.run(vendor.post("perminute", "events", RATED))
    charged = asyncio.run(vendor.outcome())
    [again] = tried(vendor, "events", RATED)
    assert [each["step"] for each in again["steps"]] == ["read", "resolved", "charged", "rated"]
    assert "would_park" not in again
    [changed] = tried(vendor, "events", {**RATED, "talk_seconds": 59})
    assert changed["would_park"] == "conflict"
    assert "charge" not in changed
    assert asyncio.run(vendor.outcome()) == charged
    vendor.process.close()


def unanswered(authorization: str) -> dict[str, tuple[str, Any]]:
    """Ends of dial-outs that no one answered, as their vendors report them."""
    labelled = {"perminute.authorization": authorization}
    variables = {"PERMINUTE_AUTHORIZATION": authorization}
    found: dict[str, tuple[str, Any]] = {
        "the label of Twilio": (
            "twilio",
            [
                call("busy", 30, CallDuration="0"),
                member("participant-leave", 30, ParticipantLabel=authorization),
            ],
        ),
        "LiveKit while it rings": (
            "livekit",
            livekit("participant_left", 30, attributes=labelled | {"sip.callStatus": "ringing"}),
        ),
        "LiveKit, aborted": (
            "livekit",
            livekit(
                "participant_connection_aborted",
                30,
                joinedAt=None,
                disconnectReason="PARTICIPANT_REMOVED",
                attributes=labelled,
            ),
        ),
        "ACS, canceled": (
            "acs",
            acs("CancelAddParticipantSucceeded", 9, operationContext=authorization),
        ),
        "ARI": (
            "asterisk",
            ari("ChannelDestroyed", 9, "Ringing", cause=17)
            | {"channel": {**ari("x", 9, "Ringing")["channel"], "channelvars": variables}},
        ),
        "AMI": (
            "asterisk",
            ami(
                "Hangup",
                9,
                ChannelStateDesc="Ringing",
                Cause="19",
                **{"ChanVariable(PERMINUTE_AUTHORIZATION)": authorization},
            ),
        ),
        "freeswitch": ("freeswitch", channel(**BUSY | {"perminute_authorization": authorization})),
        "perminute": (
            "perminute",
            {**RATED, "answered_at": None, "talk_seconds": 0, "hangup_cause": "NO_ANSWER"}
            | {"authorization": authorization},
        ),
    }
    for status in ("busy", "no-answer", "canceled"):
        event = call(status, 30, CallDuration="0", perminute_authorization=authorization)
        found[f"Twilio {status}"] = "twilio", event
    for reason in ("USER_UNAVAILABLE", "USER_REJECTED", 11, 12):
        event = livekit("participant_left", 30, disconnectReason=reason, attributes=labelled)
        found[f"LiveKit {reason}"] = "livekit", event
    for code in (404, 408, 480, 486, 487, 603):
        event = failed(30, authorization)
        event["data"]["resultInformation"]["code"] = code
        found[f"ACS {code}"] = "acs", event
    for disposition in ("BUSY", "NO ANSWER"):
        event = record(disposition=disposition, answer="", billsec=0, userfield=authorization)
        found[f"Asterisk {disposition}"] = "asterisk", event
    return found


@pytest.mark.extended
@pytest.mark.parametrize("name", sorted(unanswered("au_abc.contoso")))
def test_a_dial_out_without_an_answer_releases_its_hold(name: str) -> None:
    async def playing() -> tuple[str, str]:
        dialect, _ = unanswered("au_abc.contoso")[name]
        vendor = await Vendor.open(dialect)
        await vendor.put("asks", "freeswitch")
        basic = base64.b64encode(f"{vendors.USER}:{SECRET}".encode()).decode()
        await vendor.process.register("weekly", "contoso")
        await vendor.process.send("PUT", "/api/v1/accounts/contoso/organizers/ken", {})
        question = {"to": LONDON, "conference_id": "weekly"}
        answer = await vendor.process.send(
            "POST",
            "/api/v1/bridges/asks/dial-outs",
            question,
            key=None,
            headers={"authorization": f"Basic {basic}", "idempotency-key": "one"},
        )
        _, events = unanswered(answer.json["authorization"])[name]
        held = []
        for after in (False, True):
            if after:
                for event in events if isinstance(events, list) else [events]:
                    await vendor.post(dialect, "events", event)
                await vendor.process.drain()
            account = await vendor.process.send("GET", "/api/v1/accounts/contoso")
            held.append(account.json["held"])
        for process in vendor.processes:
            process.close()
        return held[0], held[1]

    before, after = asyncio.run(playing())
    assert before != "0.00"
    assert after == "0.00"
