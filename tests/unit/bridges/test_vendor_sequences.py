"""Sequences of events of real vendors: rejoins, transfers, moves, holds, recordings, other formats
of numbers and times. Each is read in many orders: a leg that could be charged after a part of the
events is the leg that all of them make. Values are invented."""

import base64
import json
import random
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from shared.adapters.bridges import assemble, parse
from shared.domain.legs.assembly import CallEvent, Complete, DialectSettings
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Undecided, Unreadable
from shared.domain.legs.leg import EndedLeg
from tests.unit.bridges.test_vendor_payloads import (
    AUTHORIZATIONS,
    BUSY,
    CALL,
    COMPLETED,
    CONFERENCE,
    CONNECTED,
    CUSTOM,
    EPOCH,
    IN_ROOM,
    INBOUND,
    LONDON,
    MINUTE,
    OURS,
    OUTSIDE,
    OVER,
    PARIS,
    ROOM,
    TO_US,
    USER,
    USUAL,
    Call,
    acs,
    added,
    ami,
    ari,
    at,
    call,
    channel,
    expected,
    failed,
    listed,
    livekit,
    meeting,
    member,
    phone,
    record,
    rfc2822,
    row,
    utc,
    zoom,
    zoom_member,
)

# Zoom


def stay(began: float, ended: float, **more: Any) -> list[dict[str, Any]]:
    return [
        meeting("participant_joined", began, **zoom_member(join_time=utc(began), **more)),
        meeting("participant_left", ended, **zoom_member(leave_time=utc(ended), **more)),
    ]


def callout(seconds: float, what: str = "accepted", number: str = LONDON) -> dict[str, Any]:
    return meeting(f"participant_phone_callout_{what}", seconds, phone_number=number)


IN_ZOOM = "89512345678"
ZOOM: dict[str, Call] = {
    "joins again under the same participant_uuid": (
        "zoom",
        [*stay(7, 67), *stay(100, 220, user_id="16779264")],
        [("dial_in", OURS, IN_ZOOM, 60), ("dial_in", OURS, IN_ZOOM, 120)],
        [],
    ),
    "joins again under the same ids": (
        "zoom",
        [*stay(7, 67), *stay(100, 220)],
        [("dial_in", OURS, IN_ZOOM, 60), ("dial_in", OURS, IN_ZOOM, 120)],
        [],
    ),
    "a call-out, then dials in again": (
        "zoom",
        [callout(0, "ringing"), callout(6), *stay(7, 67), *stay(200, 260, user_id="16779264")],
        [(*MINUTE[:2], IN_ZOOM, 60), ("dial_in", OURS, IN_ZOOM, 60)],
        [],
    ),
    "called out twice": (
        "zoom",
        [
            callout(0, "ringing"),
            callout(6),
            *stay(7, 67),
            callout(80, "ringing"),
            callout(89),
            *stay(90, 150, user_id="16779264"),
        ],
        [("dial_out", LONDON, IN_ZOOM, 60), ("dial_out", LONDON, IN_ZOOM, 60)],
        [],
    ),
    "a webinar, breakout rooms, a waiting room, and other events": (
        "zoom",
        [
            *(
                {**each, "event": each["event"].replace("meeting.", "webinar.")}
                for each in stay(7, 67)
            ),
            *(
                meeting(name, 20, **zoom_member())
                for name in (
                    "participant_joined_breakout_room",
                    "participant_left_breakout_room",
                    "participant_joined_waiting_room",
                    "participant_admitted",
                    "participant_role_changed",
                )
            ),
            zoom("recording.completed", {"id": 89512345678, "uuid": "4444AAAiAAAAAiAiAiiAii=="}),
            zoom("meeting.started", {"id": "89512345678"}),
        ],
        [("dial_in", OURS, IN_ZOOM, 60)],
        [],
    ),
    "a browser has an empty or a null number": (
        "zoom",
        [*stay(7, 67, phone_number=""), *stay(7, 67, phone_number=None, user_id="2")],
        [],
        [],
    ),
    "times with fractions of seconds": (
        "zoom",
        [
            meeting("participant_joined", 7, **zoom_member(join_time=utc(7)[:-1] + ".400Z")),
            meeting("participant_left", 67, **zoom_member(leave_time=utc(67)[:-1] + ".900Z")),
        ],
        [("dial_in", OURS, IN_ZOOM, 60)],
        [],
    ),
    "Zoom Phone, canceled and unanswered": (
        "zoom",
        [
            zoom(
                "phone.caller_ended",
                {"call_id": "c1", "caller": USER, "callee": OUTSIDE, "hangup_result": "No Answer"}
                | {"ringing_start_time": utc(0), "call_end_time": utc(30)},
            ),
            zoom(
                "phone.caller_ended",
                {"call_id": "c2", "caller": USER, "callee": OUTSIDE, "answer_start_time": ""}
                | {"ringing_start_time": utc(0), "call_end_time": utc(30)},
            ),
        ],
        [("dial_out", LONDON, None, 0), ("dial_out", LONDON, None, 0)],
        [],
    ),
    "Zoom Phone with hold, mute and recording": (
        "zoom",
        [
            *(
                zoom(f"phone.{name}", {"call_id": "c3", "caller": USER, "callee": OUTSIDE})
                for name in ("caller_hold", "caller_unhold", "caller_mute", "recording_started")
            ),
            zoom(
                "phone.caller_ended",
                {"call_id": "c3", "caller": USER, "callee": OUTSIDE}
                | {"ringing_start_time": utc(0), "answer_start_time": utc(7)}
                | {"call_end_time": utc(67), "handup_result": "Call connected"},
            ),
        ],
        [("dial_out", LONDON, None, 60)],
        [],
    ),
}

# Twilio

SECOND = {"FriendlyName": "monthly", "ConferenceSid": "CF" + "3" * 32}
LEFT = {"ParticipantCallStatus": "in-progress"}
TWILIO: dict[str, Call] = {
    "moves between conferences": (
        "twilio",
        [
            member("participant-join", 8),
            member("participant-leave", 50, **LEFT),
            member("participant-join", 51, **SECOND),
            call("completed", 127, CallDuration="120"),
        ],
        [("dial_out", LONDON, "weekly", 120)],
        [],
    ),
    "moves, and only the second conference is reported": (
        "twilio",
        [member("participant-join", 51, **SECOND), call("completed", 127, CallDuration="120")],
        [("dial_out", LONDON, "monthly", 120)],
        [],
    ),
    "hold, mute, speaker, announcement and modification": (
        "twilio",
        [
            member("participant-join", 8),
            *(
                member(f"participant-{name}", 20 + index)
                for index, name in enumerate(
                    ("hold", "unhold", "mute", "unmute", "speech-start", "speech-stop", "modify")
                )
            ),
            member("announcement-end", 40, ReasonAnnouncementFailed=""),
            COMPLETED,
        ],
        [MINUTE],
        [],
    ),
    "a caller whose number is withheld": (
        "twilio",
        [
            member("participant-join", 8),
            {**COMPLETED, "Direction": "inbound", "From": "+266696687", "To": OURS},
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "a caller named Anonymous": (
        "twilio",
        [
            member("participant-join", 8),
            {**COMPLETED, "Direction": "inbound", "From": "Anonymous", "To": OURS},
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "a trunk": (
        "twilio",
        [
            {**COMPLETED, "Direction": "trunking-terminating"},
            member("participant-join", 8),
        ],
        [MINUTE],
        [],
    ),
    "over midnight": (
        "twilio",
        [
            member("participant-join", -36_000 - 30),
            call("completed", -36_000 + 30, CallDuration="60"),
        ],
        [MINUTE],
        [],
    ),
    "a local zone": (
        "twilio",
        [
            member("participant-join", 8),
            {**COMPLETED, "Timestamp": "Mon, 23 Nov 2026 05:01:07 -0500"},
        ],
        [MINUTE],
        [],
    ),
    "a browser that joined a conference": (
        "twilio",
        [
            member("participant-join", 8),
            {**COMPLETED, "Direction": "inbound", "From": "client:ann", "To": ""},
        ],
        [("voip", "", "weekly", 60)],
        [],
    ),
    "two calls in one conference": (
        "twilio",
        [
            member("participant-join", 8),
            member("participant-join", 9, CallSid="CA2"),
            call("completed", 40, CallDuration="32", CallSid="CA2", To=PARIS),
            COMPLETED,
        ],
        [MINUTE, ("dial_out", PARIS, "weekly", 32)],
        [],
    ),
    "a queue, a stream and an error of the conference": (
        "twilio",
        [
            {"CallSid": CALL, "StreamSid": "MZ1", "StreamEvent": "stream-started"},
            {**CONFERENCE, "StatusCallbackEvent": "conference-record-start"},
            member("participant-join", 8),
            COMPLETED,
        ],
        [MINUTE],
        [],
    ),
    "an answering machine": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "AnsweredBy": "machine_end_beep"}],
        [MINUTE],
        [],
    ),
}

# LiveKit

LIVEKIT: dict[str, Call] = {
    "a caller with all events, milliseconds too": (
        "livekit",
        [
            livekit("participant_joined", 7, attributes=INBOUND),
            livekit("track_unpublished", 66, attributes=INBOUND),
            livekit(
                "participant_left", 67, attributes=INBOUND, disconnectReason="CLIENT_INITIATED"
            ),
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "joins again as another participant of the same call": (
        "livekit",
        [
            livekit("participant_joined", 7, sid="PA_1", attributes={"sip.callID": "SCL_1"}),
            livekit("participant_left", 67, sid="PA_1", attributes={"sip.callID": "SCL_1"}),
            livekit(
                "participant_joined",
                100,
                sid="PA_2",
                joinedAt=str(EPOCH + 100),
                attributes={"sip.callID": "SCL_2"},
            ),
            livekit(
                "participant_left",
                160,
                sid="PA_2",
                joinedAt=str(EPOCH + 100),
                attributes={"sip.callID": "SCL_2"},
            ),
        ],
        [MINUTE, MINUTE],
        [],
    ),
    "moved to another room": (
        "livekit",
        [
            livekit("participant_joined", 7, sid="PA_1"),
            livekit("participant_left", 67, sid="PA_1", disconnectReason="MIGRATION"),
        ],
        [MINUTE],
        [],
    ),
    "a withheld number": (
        "livekit",
        [livekit("participant_left", 67, attributes=INBOUND | {"sip.phoneNumber": "anonymous"})],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "no number at all": (
        "livekit",
        [
            livekit(
                "participant_left",
                67,
                attributes=INBOUND | {"sip.phoneNumber": ""},
            )
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "automation, then answered": (
        "livekit",
        [
            livekit("participant_joined", 1, attributes={"sip.callStatus": "dialing"}),
            livekit("participant_left", 67, attributes={"sip.callStatus": "hangup"}),
        ],
        [MINUTE],
        [],
    ),
}

# Azure Communication Services

ACS_CALLS: dict[str, Call] = {
    "hold, mute, tones, recording and media": (
        "acs",
        [
            CONNECTED,
            listed(0, 1),
            added(7, AUTHORIZATIONS[0]),
            listed(7, 2, LONDON),
            *(
                acs(name, 20)
                for name in (
                    "ContinuousDtmfRecognitionToneReceived",
                    "RecognizeCompleted",
                    "PlayStarted",
                    "PlayCompleted",
                    "SendDtmfTonesCompleted",
                    "RecordingStateChanged",
                    "MediaStreamingStarted",
                    "CallTransferAccepted",
                    "RemoveParticipantSucceeded",
                    "HoldAudioStarted",
                )
            ),
            listed(30, 3, LONDON),
            listed(67, 4),
            OVER,
        ],
        [("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "a call that dialled one phone": (
        "acs",
        [
            acs("CallConnected", 7, operationContext=AUTHORIZATIONS[0]),
            listed(7, 1, LONDON),
            acs("CallDisconnected", 67),
        ],
        [("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "in one array": (
        "acs",
        [
            json.dumps(
                [
                    CONNECTED,
                    listed(0, 1),
                    added(7, AUTHORIZATIONS[0]),
                    listed(7, 2, LONDON),
                    listed(67, 3),
                    OVER,
                ]
            ).encode()
        ],
        [("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "the sequence begins at zero": (
        "acs",
        [
            CONNECTED,
            listed(0, 0),
            added(7, AUTHORIZATIONS[0]),
            listed(7, 1, LONDON),
            listed(67, 2),
            OVER,
        ],
        [("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "the end of a call for Event Grid": (
        "acs",
        [
            acs("IncomingCall", 0, grid=True, **{"to": phone(OURS), "from": phone(PARIS)}),
            acs("CallStarted", 0, grid=True),
            CONNECTED,
            listed(1, 1, PARIS),
            acs("CallParticipantAdded", 1, grid=True),
            acs("CallParticipantRemoved", 61, grid=True),
            acs("CallEnded", 61, grid=True, durationOfCall=60.5),
            acs("CallDisconnected", 61),
        ],
        [("dial_in", OURS, ROOM, 60)],
        [],
    ),
    "rejected, redialled by the same context": (
        "acs",
        [
            CONNECTED,
            listed(0, 1),
            failed(7, AUTHORIZATIONS[0], PARIS),
            added(27, AUTHORIZATIONS[1]),
            listed(27, 2, LONDON),
            listed(87, 3),
            OVER,
        ],
        [("dial_out", PARIS, ROOM, 0), ("dial_out", LONDON, ROOM, 60)],
        [],
    ),
}

# Asterisk

TALK = {
    "lastapp": "Dial",
    "lastdata": "PJSIP/operator",
    "dstchannel": "PJSIP/operator-0000a2",
    "userfield": "",
}


def part(began: int, ended: int, **changes: Any) -> dict[str, Any]:
    """A record of a part of a channel's time."""
    return record(
        start=at(began).strftime("%Y-%m-%d %H:%M:%S"),
        answer=at(max(began, 7)).strftime("%Y-%m-%d %H:%M:%S"),
        end=at(ended).strftime("%Y-%m-%d %H:%M:%S"),
        duration=ended - began,
        billsec=ended - max(began, 7),
        **changes,
    )


TRANSFERRED = [
    part(0, 47, **TALK | {"userfield": "account=contoso"}),
    part(47, 127, userfield="account=contoso"),
]
AMI_XML = """<ajax-response>
<response type='object' id='unknown'><generic response='Success' message='Waiting' /></response>
{}
<response type='object' id='unknown'><generic event='WaitEventComplete' /></response>
</ajax-response>"""


def as_xml(*events: dict[str, Any]) -> bytes:
    def attributes(event: dict[str, Any]) -> str:
        found = {name.lower(): str(text) for name, text in event.items() if "(" not in name}
        found["chanvariable"] = f"PERMINUTE_AUTHORIZATION={AUTHORIZATIONS[0]}"
        found["chanvariable-2"] = "PERMINUTE_ORGANIZER=ann"
        return " ".join(f"{name}='{text.replace('<', '&lt;')}'" for name, text in found.items())

    inner = "".join(
        f"<response type='object' id='unknown'><generic {attributes(each)} /></response>\n"
        for each in events
    )
    return AMI_XML.format(inner).encode()


def as_text(*events: dict[str, Any]) -> bytes:
    blocks = [
        "\r\n".join(
            [f"{name}: {each}" for name, each in event.items() if "(" not in name]
            + [
                f"ChanVariable: PERMINUTE_AUTHORIZATION={AUTHORIZATIONS[0]}",
                "ChanVariable: PERMINUTE_ORGANIZER=ann",
            ]
        )
        for event in events
    ]
    head = "Response: Success\r\nMessage: Waiting for Event completed.\r\n\r\n"
    tail = "\r\n\r\nEvent: WaitEventComplete\r\n\r\n"
    return (head + "\r\n\r\n".join(blocks) + tail).encode()


AMI_EVENTS = [
    ami("Newstate", 7),
    ami("ConfbridgeJoin", 8, Conference="weekly"),
    ami("MusicOnHoldStart", 20, Class="default"),
    ami("DTMFEnd", 21, Digit="1"),
    ami("ConfbridgeTalking", 22, Conference="weekly", TalkingStatus="on"),
    ami("ConfbridgeLeave", 66, Conference="weekly"),
    ami("Hangup", 67, Cause="16"),
]
ASTERISK: dict[str, Call] = {
    "transferred, the records apart": (
        "asterisk",
        TRANSFERRED,
        [("None", OURS, "weekly", 120)],
        [],
    ),
    "transferred, the records in one post": (
        "asterisk",
        [json.dumps(TRANSFERRED).encode()],
        [("None", OURS, "weekly", 120)],
        [],
    ),
    "the operator did not answer, then the conference": (
        "asterisk",
        [
            part(0, 20, **TALK | {"userfield": "account=contoso"})
            | {"disposition": "NO ANSWER", "answer": "", "billsec": 0},
            part(20, 80, userfield="account=contoso"),
        ],
        [("None", OURS, "weekly", 60)],
        [],
    ),
    "events over HTTP as XML": ("asterisk", [as_xml(*AMI_EVENTS)], [TO_US], []),
    "events over HTTP as XML, apart": (
        "asterisk",
        [as_xml(each) for each in AMI_EVENTS],
        [TO_US],
        [],
    ),
    "events over HTTP as text": ("asterisk", [as_text(*AMI_EVENTS)], [TO_US], []),
    "a document type in XML": (
        "asterisk",
        [b'<!DOCTYPE a [<!ENTITY b "c">]><ajax-response><generic event="Hangup"/></ajax-response>'],
        [],
        ["unreadable"],
    ),
    "a byte order mark before CSV": ("asterisk", [b"\xef\xbb\xbf" + row(USUAL)], [TO_US], []),
    "a quoted line break in a name": (
        "asterisk",
        [row(USUAL, clid=f'"Ann\nLee" <{LONDON}>')],
        [TO_US],
        [],
    ),
    "lines that end in CR": (
        "asterisk",
        [row(USUAL) + b"\r" + row(USUAL, uniqueid=f"ast1-{EPOCH}.99") + b"\r"],
        [TO_US, TO_US],
        [],
    ),
    "linkedid, peeraccount and sequence": (
        "asterisk",
        [row(f"{USUAL} linkedid peeraccount sequence")],
        [TO_US],
        [],
    ),
    "Master.csv with a header": (
        "asterisk",
        [CUSTOM.replace(" ", ",").encode() + b"\n" + row(CUSTOM)],
        [TO_US],
        [],
    ),
    "zero seconds": (
        "asterisk",
        [record(answer=at(67).strftime("%Y-%m-%d %H:%M:%S"), billsec=0)],
        [("dial_out", OURS, "weekly", 0)],
        [],
    ),
    "fractions of seconds": (
        "asterisk",
        [
            record(
                start=f"{EPOCH}.250000",
                answer=f"{EPOCH + 7}.900000",
                end=f"{EPOCH + 67}.100000",
                billsec="59.200000",
            )
        ],
        [("dial_out", OURS, "weekly", 59)],
        [],
    ),
    "ARI with playback, tones, hold and recording": (
        "asterisk",
        [
            ari("ChannelStateChange", 7),
            ari("ChannelVarset", 7, variable="X", value="1"),
            ari("ChannelEnteredBridge", 8, **IN_ROOM),
            ari("ChannelDtmfReceived", 20, digit="1"),
            ari("ChannelHold", 21),
            ari("ChannelUnhold", 22),
            ari("ChannelTalkingStarted", 23),
            {"type": "PlaybackStarted", "playback": {"id": "p1"}, "timestamp": utc(24)},
            {"type": "RecordingFinished", "recording": {"name": "r"}, "timestamp": utc(25)},
            {"type": "BridgeDestroyed", "timestamp": utc(68), **IN_ROOM},
            ari("ChannelDestroyed", 67, cause=16),
        ],
        [("dial_out", LONDON, "weekly", 60)],
        [],
    ),
    "ARI moves a channel between bridges": (
        "asterisk",
        [
            ari("ChannelStateChange", 7),
            ari("ChannelEnteredBridge", 8, **IN_ROOM),
            ari("ChannelLeftBridge", 40, **IN_ROOM),
            ari("ChannelEnteredBridge", 41, bridge={"id": "b-2", "name": "monthly"}),
            ari("ChannelLeftBridge", 66, bridge={"id": "b-2", "name": "monthly"}),
            ari("ChannelDestroyed", 67, cause=16),
        ],
        [("dial_out", LONDON, "weekly", 60)],
        [],
    ),
}

# FreeSWITCH


def as_cdr(found: dict[str, Any], number: str = LONDON) -> str:
    """A record of mod_xml_cdr."""
    variables = "".join(
        f"    <{name}>{quote(str(text), safe='')}</{name}>\n"
        for name, text in found["variables"].items()
    )
    return f"""<?xml version="1.0"?>
<cdr core-uuid="6f0c" switchname="fs1">
  <channel_data>
    <state>CS_REPORTING</state>
    <direction>{found["variables"]["direction"]}</direction>
  </channel_data>
  <variables>
{variables}  </variables>
  <app_log><application app_name="conference" app_data="weekly@default"></application></app_log>
  <callflow dialplan="XML" unique-id="x" profile_index="1">
    <extension name="out" number="1"/>
    <caller_profile>
      <ani>{OURS}</ani>
      <caller_id_name>A &amp; B</caller_id_name>
      <destination_number>{number}</destination_number>
      <uuid>x</uuid>
      <originator><originator_caller_profiles><originator_caller_profile>
        <ani>+33999</ani><destination_number>+33998</destination_number>
      </originator_caller_profile></originator_caller_profiles></originator>
    </caller_profile>
    <times><created_time>{EPOCH}250000</created_time><answered_time>0</answered_time></times>
  </callflow>
</cdr>
"""


XML = as_cdr(channel())
XML_BUSY = as_cdr(channel(**BUSY | {"uuid": "4b7d0e21-0009"}))
FREESWITCH: dict[str, Call] = {
    "XML": ("freeswitch", [XML.encode()], [MINUTE], []),
    "XML after cdr=": ("freeswitch", [b"cdr=" + XML.encode()], [MINUTE], []),
    "XML, encoded": ("freeswitch", [urlencode({"cdr": XML}).encode()], [MINUTE], []),
    "XML, encoded by FreeSWITCH": (
        "freeswitch",
        [b"cdr=" + quote(XML, safe="").encode()],
        [MINUTE],
        [],
    ),
    "XML, in base64": ("freeswitch", [b"cdr=" + base64.b64encode(XML.encode())], [MINUTE], []),
    "XML, two records": (
        "freeswitch",
        [(XML + XML_BUSY).encode()],
        [MINUTE, ("dial_out", LONDON, None, 0)],
        [],
    ),
    "XML of a busy phone": (
        "freeswitch",
        [XML_BUSY.encode()],
        [("dial_out", LONDON, None, 0)],
        [],
    ),
    "XML that is cut off": ("freeswitch", [XML[:-20].encode()], [], ["unreadable"]),
    "XML with a document type": (
        "freeswitch",
        [XML.replace("<cdr", '<!DOCTYPE cdr [<!ENTITY a "b">]><cdr').encode()],
        [],
        ["unreadable"],
    ),
    "JSON, two records": (
        "freeswitch",
        [json.dumps([channel(), channel(**BUSY | {"uuid": "4b7d0e21-0009"})]).encode()],
        [MINUTE, ("dial_out", LONDON, None, 0)],
        [],
    ),
}
FURTHER: dict[str, Call] = {
    "twilio: a call of WhatsApp": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "To": "whatsapp:" + LONDON}],
        [("voip", "whatsapp:" + LONDON, "weekly", 60)],
        [],
    ),
    "twilio: a SIP address in capitals": (
        "twilio",
        [
            member("participant-join", 8),
            {**COMPLETED, "Direction": "inbound", "From": "SIP:ann@x.example", "To": OURS},
        ],
        [("voip", OURS, "weekly", 60)],
        [],
    ),
    "twilio: a tel: address": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "To": "tel:" + LONDON}],
        [("dial_out", "tel:" + LONDON, "weekly", 60)],
        [],
    ),
    "twilio: the action of Dial, with a final status": (
        "twilio",
        [
            {
                "CallSid": CALL,
                "CallStatus": "completed",
                "DialCallSid": "CA9",
                "DialCallStatus": "completed",
                "DialCallDuration": "55",
                "From": LONDON,
                "To": OURS,
                "Direction": "inbound",
                "Timestamp": rfc2822(66),
            },
            member("participant-join", 8),
            {**COMPLETED, "Direction": "inbound", "From": LONDON, "To": OURS},
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "twilio: a request of TwiML with a final status": (
        "twilio",
        [
            {
                "CallSid": CALL,
                "CallStatus": "completed",
                "From": LONDON,
                "To": OURS,
                "Direction": "inbound",
                "Digits": "1",
            },
            member("participant-join", 8),
            {**COMPLETED, "Direction": "inbound", "From": LONDON, "To": OURS},
        ],
        [("dial_in", OURS, "weekly", 60)],
        [],
    ),
    "twilio: completed twice, with another SequenceNumber": (
        "twilio",
        [member("participant-join", 8), COMPLETED, {**COMPLETED, "SequenceNumber": "4"}],
        [MINUTE],
        [],
    ),
    "twilio: a time of ISO 8601": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "Timestamp": utc(67)}],
        [MINUTE],
        [],
    ),
    "twilio: a departure with CallStatus": (
        "twilio",
        [
            member("participant-join", 8),
            COMPLETED,
            member(
                "participant-leave", 67, CallStatus="completed", ParticipantCallStatus="completed"
            ),
        ],
        [MINUTE],
        [],
    ),
    "twilio: busy, then dialled again": (
        "twilio",
        [
            call("busy", 10, CallDuration="0"),
            member("participant-join", 28, CallSid="CA2"),
            call("completed", 87, CallSid="CA2", CallDuration="60"),
        ],
        [("dial_out", LONDON, None, 0), MINUTE],
        [],
    ),
    "twilio: no conference": ("twilio", [COMPLETED], [("dial_out", LONDON, None, 60)], []),
    "twilio: no end": ("twilio", [member("participant-join", 8)], [], ["incomplete"]),
    "twilio: two conferences of one name": (
        "twilio",
        [
            member("participant-join", 8),
            member("participant-leave", 30),
            member("participant-join", 32, ConferenceSid="CF" + "4" * 32),
            COMPLETED,
        ],
        [MINUTE],
        [],
    ),
    "twilio: callbacks in an array of JSON": (
        "twilio",
        [json.dumps([member("participant-join", 8), COMPLETED]).encode()],
        [MINUTE],
        [],
    ),
    "twilio: a duration with a zero before it": (
        "twilio",
        [member("participant-join", 8), {**COMPLETED, "CallDuration": "060"}],
        [MINUTE],
        [],
    ),
    "livekit: the arrival names the trunk": (
        "livekit",
        [
            livekit("participant_left", 67, attributes={"sip.trunkID": None, "sip.ruleID": None}),
            livekit("participant_joined", 7),
        ],
        [MINUTE],
        [],
    ),
    "livekit: two participants": (
        "livekit",
        [
            livekit("participant_joined", 7),
            livekit(
                "participant_joined",
                9,
                sid="PA_2",
                joinedAt=str(EPOCH + 9),
                attributes={"sip.callID": "SCL_2", "sip.phoneNumber": PARIS},
            ),
            livekit("participant_left", 67),
            livekit(
                "participant_left",
                39,
                sid="PA_2",
                joinedAt=str(EPOCH + 9),
                attributes={"sip.callID": "SCL_2", "sip.phoneNumber": PARIS},
            ),
        ],
        [MINUTE, ("dial_out", PARIS, "weekly", 30)],
        [],
    ),
    "livekit: no sid and no call id": (
        "livekit",
        [
            livekit("participant_joined", 7, sid=None, attributes={"sip.callID": None}),
            livekit("participant_left", 67, sid=None, attributes={"sip.callID": None}),
        ],
        [MINUTE],
        [],
    ),
    "livekit: attributes change": (
        "livekit",
        [
            livekit("participant_joined", 7),
            livekit("participant_attributes_changed", 8),
            livekit("participant_left", 67),
        ],
        [MINUTE],
        [],
    ),
    "livekit: the departure has no attributes": (
        "livekit",
        [
            livekit("participant_joined", 7),
            livekit(
                "participant_left",
                67,
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
            ),
        ],
        [MINUTE],
        [],
    ),
    "livekit: times in nanoseconds": (
        "livekit",
        [
            livekit("participant_joined", 7, joinedAt=str((EPOCH + 7) * 10**9)),
            {
                **livekit("participant_left", 67, joinedAt=str((EPOCH + 7) * 10**9)),
                "createdAt": str((EPOCH + 67) * 10**9),
            },
        ],
        [MINUTE],
        [],
    ),
    "livekit: joinedAt is zero": (
        "livekit",
        [
            livekit(
                "participant_left",
                31,
                joinedAt="0",
                joinedAtMs="0",
                disconnectReason="USER_UNAVAILABLE",
            )
        ],
        [("dial_out", LONDON, "weekly", 0)],
        [],
    ),
    "livekit: an agent": (
        "livekit",
        [
            livekit(
                "participant_joined",
                7,
                kind="AGENT",
                sid="PA_A",
                identity="agent",
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
    "acs: the call to a phone is busy": (
        "acs",
        [
            acs(
                "CreateCallFailed",
                9,
                operationContext=AUTHORIZATIONS[0],
                resultInformation={"code": 486, "subCode": 10560486, "message": "busy"},
            )
        ],
        [("dial_out", None, ROOM, 0)],
        [],
    ),
    "acs: the caller leaves first": (
        "acs",
        [
            acs("IncomingCall", 0, **{"to": phone(OURS), "from": phone(PARIS)}),
            CONNECTED,
            listed(0, 1, PARIS),
            added(7, AUTHORIZATIONS[0]),
            listed(7, 2, PARIS, LONDON),
            listed(20, 3, LONDON),
            listed(67, 4),
            OVER,
        ],
        [("dial_in", OURS, ROOM, 20), ("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "acs: the call ends with the phone in it": (
        "acs",
        [
            CONNECTED,
            listed(0, 1),
            added(7, AUTHORIZATIONS[0]),
            listed(7, 2, LONDON),
            acs("CallDisconnected", 67),
        ],
        [("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "acs: the call ends after the last list": (
        "acs",
        [
            CONNECTED,
            listed(0, 1),
            added(7, AUTHORIZATIONS[0]),
            listed(7, 2, LONDON),
            listed(67, 3),
            acs("CallDisconnected", 68),
            acs("CallEnded", 68, grid=True, callDurationInSeconds=68),
        ],
        [("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "acs: times with Z": (
        "acs",
        [
            {**each, "time": each["time"].replace("+00:00", "Z")}
            for each in (
                CONNECTED,
                listed(0, 1),
                added(7, AUTHORIZATIONS[0]),
                listed(7, 2, LONDON),
                listed(67, 3),
                OVER,
            )
        ],
        [("dial_out", LONDON, ROOM, 60)],
        [],
    ),
    "zoom: a number of JSON": (
        "zoom",
        [*stay(7, 67, phone_number=int(LONDON[1:]))],
        [("dial_in", OURS, IN_ZOOM, 60)],
        [],
    ),
    "zoom: the departure twice": (
        "zoom",
        [*stay(7, 67), stay(7, 67)[1]],
        [("dial_in", OURS, IN_ZOOM, 60)],
        [],
    ),
    "zoom: two phones, one of them called out": (
        "zoom",
        [
            callout(5),
            *stay(7, 67),
            *stay(9, 39, user_id="2", participant_uuid="P66", phone_number=PARIS[1:]),
        ],
        [("dial_out", LONDON, IN_ZOOM, 60), ("dial_in", OURS, IN_ZOOM, 30)],
        [],
    ),
    "zoom: one number twice at once": (
        "zoom",
        [
            *stay(0, 100),
            callout(20, "ringing"),
            callout(29),
            *stay(30, 90, user_id="2", participant_uuid="P66"),
        ],
        [("dial_in", OURS, IN_ZOOM, 100), ("dial_out", LONDON, IN_ZOOM, 60)],
        [],
    ),
    "zoom: a masked number": (
        "zoom",
        [*stay(7, 67, phone_number="4420****0011")],
        [("dial_in", OURS, IN_ZOOM, 60)],
        [],
    ),
    "zoom: a withheld number": (
        "zoom",
        [*stay(7, 67, phone_number="Anonymous")],
        [("dial_in", OURS, IN_ZOOM, 60)],
        [],
    ),
    "asterisk: a channel event of AMI": (
        "asterisk",
        [{"Event": "CEL", "EventName": "ANSWER", "UniqueID": "1.2", "Channel": "PJSIP/x"}],
        [],
        [],
    ),
    "asterisk: times in milliseconds": (
        "asterisk",
        [record(start=EPOCH * 1000, answer=(EPOCH + 7) * 1000, end=(EPOCH + 67) * 1000)],
        [TO_US],
        [],
    ),
    "asterisk: times with an offset": (
        "asterisk",
        [
            record(
                start="2026-11-23T11:00:00+01:00",
                answer="2026-11-23T11:00:07+01:00",
                end="2026-11-23T11:01:07+01:00",
            )
        ],
        [TO_US],
        [],
    ),
    "asterisk: NOANSWER": (
        "asterisk",
        [record(disposition="NOANSWER", answer="", billsec=0)],
        [("dial_out", OURS, None, 0)],
        [],
    ),
    "asterisk: small letters": ("asterisk", [record(disposition="answered")], [TO_US], []),
    "asterisk: an empty line": (
        "asterisk",
        [row(USUAL) + b"\n\n" + row(USUAL, uniqueid="1795428000.7") + b"\n"],
        [TO_US, TO_US],
        [],
    ),
    "asterisk: a channel that was never up": (
        "asterisk",
        [ami("Hangup", 9, ChannelStateDesc="Down", Cause="21")],
        [("dial_out", OURS, None, 0)],
        [],
    ),
    "asterisk: two channels": (
        "asterisk",
        [
            ami("Newstate", 7),
            ami("Newstate", 9, Uniqueid=f"ast1-{EPOCH}.62"),
            ami("ConfbridgeJoin", 8, Conference="weekly"),
            ami("ConfbridgeJoin", 9, Conference="weekly", Uniqueid=f"ast1-{EPOCH}.62"),
            ami("Hangup", 67, Cause="16"),
            ami("Hangup", 39, Cause="16", Uniqueid=f"ast1-{EPOCH}.62"),
        ],
        [TO_US, ("dial_out", OURS, "weekly", 30)],
        [],
    ),
    "asterisk: MeetMe": ("asterisk", [record(lastapp="MeetMe", lastdata="weekly,dM")], [TO_US], []),
    "asterisk: answered, outside of a conference": (
        "asterisk",
        [record(lastapp="Hangup", lastdata="")],
        [("dial_out", OURS, None, 60)],
        [],
    ),
    "asterisk: billsec above duration": (
        "asterisk",
        [record(billsec=61)],
        [("dial_out", OURS, "weekly", 61)],
        [],
    ),
    "asterisk: transferred twice": (
        "asterisk",
        [
            json.dumps(
                [
                    part(0, 20, **TALK | {"userfield": "account=contoso"}),
                    part(20, 30, **TALK | {"userfield": "account=contoso"}),
                    part(30, 90, userfield="account=contoso"),
                ]
            ).encode()
        ],
        [("None", OURS, "weekly", 83)],
        [],
    ),
    "freeswitch: JSON after cdr= with &": (
        "freeswitch",
        [b"cdr=" + json.dumps(channel(caller_id_name="A & B")).encode()],
        [MINUTE],
        [],
    ),
    "freeswitch: XML without a direction in channel_data": (
        "freeswitch",
        [
            XML.replace(
                "<direction>outbound</direction>\n  </channel_data>", "</channel_data>"
            ).encode()
        ],
        [MINUTE],
        [],
    ),
    "freeswitch: XML with repeated variables": (
        "freeswitch",
        [
            XML.replace(
                "<duration>67</duration>",
                "<duration>67</duration><duration>68</duration><sip_x>a</sip_x><sip_x>b</sip_x>",
            ).encode()
        ],
        [MINUTE],
        [],
    ),
    "freeswitch: XML with character references": (
        "freeswitch",
        [XML.replace("A &amp; B", "&#65;&lt;&gt;").encode()],
        [MINUTE],
        [],
    ),
    "freeswitch: XML with a byte order mark": (
        "freeswitch",
        [b"\xef\xbb\xbf" + XML.encode()],
        [MINUTE],
        [],
    ),
    "freeswitch: XML in Latin-1": (
        "freeswitch",
        [XML.replace("A &amp; B", "Jürgen").encode("latin1")],
        [MINUTE],
        [],
    ),
    "freeswitch: XML with + for spaces": (
        "freeswitch",
        [b"cdr=" + quote(XML, safe="").replace("%20", "+").encode()],
        [MINUTE],
        [],
    ),
    "freeswitch: XML in a form with other fields": (
        "freeswitch",
        [urlencode({"cdr": XML, "x": "1"}).encode()],
        [MINUTE],
        [],
    ),
    "freeswitch: HTML": ("freeswitch", [b"<html><body>x</body></html>"], [], ["unreadable"]),
    "freeswitch: answered for zero seconds": (
        "freeswitch",
        [channel(billsec="0", end_epoch=str(EPOCH + 7), end_uepoch=f"{EPOCH + 7}480000")],
        [("dial_out", LONDON, "weekly", 0)],
        [],
    ),
}
CALLS: dict[str, Call] = {
    f"{call[0]}: {name}": call
    for calls in (ZOOM, TWILIO, LIVEKIT, ACS_CALLS, ASTERISK, FREESWITCH)
    for name, call in calls.items()
} | FURTHER


def read(dialect: str, event: object) -> list[Any]:
    form = "application/x-www-form-urlencoded"
    if isinstance(event, bytes):
        kind = "application/json" if event[:1] in (b"{", b"[") else form
        return list(parse(dialect, BridgePayload("events", event, kind)))
    if dialect == "twilio":
        body = urlencode(event).encode()  # type: ignore[arg-type]
        return list(parse(dialect, BridgePayload("events", body, form)))
    return list(parse(dialect, BridgePayload("events", json.dumps(event).encode())))


class Bridge:
    """A bridge whose legs are charged when nothing lacks, and the others after all waits."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        number = OURS if dialect == "zoom" else None
        self.settings = DialectSettings("events", service_number=number)
        self.calls: dict[str, list[CallEvent]] = {}
        self.charged: dict[str, EndedLeg] = {}
        self.parked: set[tuple[str, str]] = set()

    def post(self, event: object) -> None:
        calls = set()
        for index, item in enumerate(read(self.dialect, event)):
            if isinstance(item, CallEvent):
                self.calls.setdefault(item.call, []).append(item)
                calls.add(item.call)
            elif isinstance(item, Unreadable):
                self.parked.add((f"{event!r}{index}", "unreadable"))
            elif not isinstance(item, Ignored):
                self.charge(item)
        for each in calls:
            self.assemble(each, is_over=False)

    def assemble(self, call: str, *, is_over: bool) -> None:
        for made in assemble(self.dialect, self.settings, self.calls[call]):
            if not isinstance(made, Complete):
                if is_over:
                    self.parked.add((made.leg_id, "incomplete"))
            elif is_over or not made.lacks:
                self.charge(made.leg)

    def charge(self, leg: EndedLeg | Undecided) -> None:
        if isinstance(leg, Undecided):
            return
        if self.charged.setdefault(leg.leg_id, leg) != leg:
            self.parked.add((leg.leg_id, "conflict"))

    def outcome(self) -> tuple[list[str], list[str]]:
        for each in sorted(self.calls):
            self.assemble(each, is_over=True)
        charges = [
            f"{leg.kind} {leg.to_number} {leg.conference_id} {seconds(leg)}"
            for leg in self.charged.values()
        ]
        return sorted(charges), sorted(reason for _, reason in self.parked)


def seconds(leg: EndedLeg) -> int:
    if leg.talk_seconds is not None:
        return leg.talk_seconds
    return int((leg.ended_at - (leg.answered_at or leg.ended_at)).total_seconds())


def orders(name: str, events: list[Any]) -> Iterable[list[Any]]:
    yield events
    yield events[::-1]
    draw = random.Random(name)
    for _ in range(5 if len(events) > 1 else 0):
        yield [*draw.sample(events, len(events)), *draw.sample(events, 1)]


@pytest.mark.parametrize("name", CALLS)
def test_a_sequence_has_one_outcome_in_every_order(name: str) -> None:
    dialect, events, *_ = CALLS[name]
    for order in orders(name, events):
        bridge = Bridge(dialect)
        for event in order:
            bridge.post(event)
        assert bridge.outcome() == expected(CALLS[name]), order


def test_a_conflicting_event_of_a_participant_makes_no_second_leg() -> None:
    joined, left = stay(7, 67)
    later = meeting("participant_left", 68, **zoom_member(leave_time=utc(68)))
    bridge = Bridge("zoom")
    for event in (callout(6), joined, left, later):
        bridge.post(event)
    assert bridge.outcome() == ([f"dial_out {LONDON} {IN_ZOOM} 60"], ["conflict"])


def test_events_of_an_earlier_version_keep_their_leg_id() -> None:
    def old(event: CallEvent) -> CallEvent:
        facts = {name: each for name, each in event.facts.items() if name != "member"}
        return CallEvent(event.call, str(facts["leg"]), facts, event.ends)

    joined, left = (each for event in stay(7, 67) for each in read("zoom", event))
    for events in ([old(joined), old(left)], [old(joined), left], [old(joined), joined, left]):
        [made] = assemble("zoom", DialectSettings("z", service_number=OURS), events)
        assert made.leg_id == "P55"


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" * 300_000,
        b"<cdr>" + b"<a/>" * 250_000 + b"</cdr>",
        b"<cdr></cdr>" * 90_000,
        b"<cdr>&b;</cdr>",
        b"<" * 1_000_000,
        b"<cdr>\0</cdr>",
    ],
    ids=["deep", "wide", "many", "entity", "open", "NUL"],
)
@pytest.mark.parametrize("dialect", ["freeswitch", "asterisk"])
def test_hostile_xml_is_unreadable(dialect: str, body: bytes) -> None:
    [found] = read(dialect, body)
    assert isinstance(found, Unreadable)
    assert found.original == body


def test_xml_without_an_event_of_asterisk_is_kept() -> None:
    [found] = read("asterisk", XML.encode())
    assert isinstance(found, Unreadable)
