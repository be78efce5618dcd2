"""Dialect `asterisk`: records and events of real shapes, in any order, make one leg."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from shared.adapters.bridges import assemble, parse
from shared.adapters.bridges.asterisk import FURTHER_RECORDS
from shared.domain.common.kinds import LegKind
from shared.domain.legs.assembly import (
    CONFERENCE,
    Assembled,
    CallEvent,
    Complete,
    DialectSettings,
    Waiting,
)
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Undecided, Unreadable
from shared.domain.legs.leg import EndedLeg

SETTINGS = DialectSettings("pbx", "FR", frozenset({"to-trunk"}))
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EPOCH = int(START.timestamp())
CHANNEL = f"pbx1-{EPOCH}.41"


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


def record(**changes: Any) -> dict[str, Any]:
    """A member of room 7001 who stayed for 40 s."""
    return {
        "accountcode": "",
        "src": "+33170180055",
        "dst": "+4930901820",
        "dcontext": "from-trunk",
        "clid": '"Ann" <+33170180055>',
        "channel": "PJSIP/trunk-000000a1",
        "dstchannel": "",
        "lastapp": "ConfBridge",
        "lastdata": "7001,default_bridge",
        "start": at(0),
        "answer": at(2),
        "end": at(42),
        "duration": "42",
        "billsec": "40",
        "disposition": "ANSWERED",
        "amaflags": "DOCUMENTATION",
        "uniqueid": CHANNEL,
        "userfield": "",
        **changes,
    }


def pairs() -> list[dict[str, Any]]:
    """The records of one member, a record for each other member of the room."""
    return [
        record(dstchannel="PJSIP/trunk-000000a2"),
        record(dstchannel="PJSIP/trunk-000000a3", start=at(10), answer=at(10), billsec="32"),
        record(dstchannel="PJSIP/a4", start=at(20), answer=at(20), end=at(30), billsec="10"),
    ]


def post(value: object, content_type: str = "application/json", **query: str) -> list[Any]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse("asterisk", BridgePayload("pbx", body, content_type, query))


def events(value: object, **query: str) -> list[CallEvent]:
    found = post(value, **query)
    assert all(isinstance(each, CallEvent) for each in found), found
    return found


def made(found: Sequence[CallEvent]) -> Assembled:
    [one] = assemble("asterisk", SETTINGS, found)
    return one


def leg(found: Sequence[CallEvent]) -> EndedLeg:
    one = made(found)
    assert isinstance(one, Complete), one
    assert one.lacks == ()
    assert isinstance(one.leg, EndedLeg)
    return one.leg


def test_a_record_is_a_leg() -> None:
    found = leg(events(record()))
    assert (found.leg_id, found.conference_id, found.kind) == (CHANNEL, "7001", None)
    assert (found.from_number, found.to_number) == ("+33170180055", "+4930901820")
    assert found.answered_at == START + timedelta(seconds=2)
    assert (found.talk_seconds, found.authorization) == (40, None)


def test_all_records_of_a_channel_are_one_leg_for_the_whole_time() -> None:
    whole = leg(events(pairs()))
    assert (whole.answered_at, whole.talk_seconds) == (START + timedelta(seconds=2), 40)
    for order in permutations(pairs()):
        separate = [event for each in order for event in events(each)]
        repeated = [*separate, *reversed(separate), *events(pairs())]
        assert leg(repeated) == whole
        apart = made(separate)
        assert isinstance(apart, Complete)
        assert (apart.leg, apart.lacks) == (whole, (FURTHER_RECORDS,))


def test_a_record_of_a_pair_waits_for_further_ones() -> None:
    one = made(events(pairs()[2]))
    assert isinstance(one, Complete)
    assert one.lacks == (FURTHER_RECORDS,)


def test_records_in_one_post_wait_where_the_first_of_the_channel_is_missing() -> None:
    first, *others = pairs()
    waiting = made(events(others))
    assert isinstance(waiting, Complete)
    assert waiting.lacks == (FURTHER_RECORDS,)
    whole = made([*events(others), *events(first)])
    assert isinstance(whole, Complete)
    assert whole.lacks == ()
    assert whole.leg == made(events(pairs())).leg  # type: ignore[union-attr]


def test_csv_has_the_columns_of_cdr_csv_or_names_them() -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(list(each.values()) for each in pairs())
    plain = post(text.getvalue().encode(), "text/csv")
    assert leg(plain) == leg(events(pairs()))
    assert leg(post(text.getvalue().replace("\r\n", "\r").encode(), "text/csv")) == leg(plain)
    named = io.StringIO()
    writer = csv.DictWriter(named, ["uniqueid", *(k for k in record() if k != "uniqueid")])
    writer.writeheader()
    writer.writerows(pairs())
    assert leg(post(named.getvalue().encode(), "text/csv")) == leg(plain)
    assert leg(post(named.getvalue().encode("utf-8-sig"), "text/csv")) == leg(plain)
    latin = text.getvalue().replace("Ann", "Zoë").encode("latin-1")
    assert leg(post(latin, "text/csv")) == leg(plain)


def test_times_may_be_counted_since_1970_and_billsec_is_cut() -> None:
    counted = record(
        start=f"{EPOCH}.250000", answer=f"{EPOCH + 2}.5", end=f"{EPOCH + 42}.4", billsec="39.9"
    )
    found = leg(events(counted))
    assert (found.talk_seconds, found.answered_at) == (39, START + timedelta(seconds=2.5))


@pytest.mark.parametrize(
    ("changes", "query"),
    [
        ({"dcontext": "to-trunk"}, {}),
        ({"userfield": "au_abc.contoso"}, {}),
        ({"userfield": "authorization=au_abc.contoso;organizer=ann"}, {}),
        ({"perminute_authorization": "au_abc.contoso"}, {}),
        ({}, {"authorization": "au_abc.contoso"}),
    ],
)
def test_a_context_or_an_authorization_makes_a_dial_out(
    changes: dict[str, str], query: dict[str, str]
) -> None:
    found = leg(events(record(**changes), **query))
    assert found.kind is LegKind.DIAL_OUT
    is_named = "dcontext" not in changes
    assert found.authorization == ("au_abc.contoso" if is_named else None)


def test_an_unanswered_channel_is_the_same_leg_whichever_record_comes() -> None:
    dialled = {"dcontext": "to-trunk", "disposition": "BUSY", "answer": "", "billsec": "3"}
    attempts = [
        record(**dialled, lastapp="Dial", end=at(5)),
        record(**dialled, lastapp="Hangup", start=at(5), end=at(5)),
    ]
    [first], [second] = events(attempts[0]), events(attempts[1])
    found = leg([first])
    assert (found.answered_at, found.talk_seconds, found.hangup_cause) == (None, 0, "BUSY")
    assert leg([second]) == leg([first, second]) == leg(events(attempts)) == found


def test_what_reached_no_conference_is_decided_by_its_number() -> None:
    one = made(events(record(lastapp="Dial", lastdata="PJSIP/200")))
    assert isinstance(one, Complete)
    assert isinstance(one.leg, Undecided)


def test_the_first_half_of_a_local_channel_is_ignored() -> None:
    [one] = post(record(channel="Local/+4930901820@to-trunk-00000001;1"))
    assert isinstance(one, Ignored)
    assert leg(events(record(channel="Local/+4930901820@to-trunk-00000001;2"))).conference_id


def test_what_is_no_record_is_ignored_or_kept() -> None:
    assert isinstance(post(["x"])[0], Unreadable)
    assert isinstance(post(record(uniqueid=""))[0], Unreadable)
    cel = ",".join(['"CHAN_START"', '"1"', *['""'] * 18]).encode()
    assert isinstance(post(cel, "text/csv")[0], Ignored)
    assert isinstance(post(b"a,b,c", "text/csv")[0], Unreadable)
    other_columns = ",".join(['"+33170180055"'] * 18).encode()
    assert isinstance(post(other_columns, "text/csv")[0], Unreadable)
    assert isinstance(post(b'a,"b', "text/csv")[0], Unreadable)


def ari(name: str, seconds: float, state: str = "Up", **more: Any) -> dict[str, Any]:
    moment = START + timedelta(seconds=seconds)
    return {
        "type": name,
        "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "+0000"),
        "channel": {
            "id": CHANNEL,
            "name": "PJSIP/trunk-000000a1",
            "state": state,
            "caller": {"name": "Ann", "number": "+33170180055"},
            "connected": {"name": "", "number": ""},
            "dialplan": {"context": "from-trunk", "exten": "+4930901820"},
            "creationtime": "2026-11-23T10:00:00.000+0000",
            **more.pop("channel", {}),
        },
        **more,
    }


def ami(name: str, seconds: float, state: str = "Up", **more: Any) -> dict[str, Any]:
    return {
        "Event": name,
        "Timestamp": f"{EPOCH + seconds:.6f}",
        "Channel": "PJSIP/trunk-000000a1",
        "ChannelStateDesc": state,
        "CallerIDNum": "+33170180055",
        "ConnectedLineNum": "<unknown>",
        "Context": "from-trunk",
        "Exten": "+4930901820",
        "Uniqueid": CHANNEL,
        **more,
    }


ARI = [
    ari("ChannelStateChange", 2),
    ari("ChannelEnteredBridge", 3, bridge={"id": "b1", "name": "7001", "bridge_class": "stasis"}),
    ari("ChannelLeftBridge", 42, bridge={"id": "b1", "name": "7001", "bridge_class": "stasis"}),
    ari("ChannelDestroyed", 42, cause=16, cause_txt="Normal Clearing"),
]
AMI = [
    ami("Newstate", 2),
    ami("ConfbridgeJoin", 3, Conference="7001"),
    ami("ConfbridgeLeave", 42, Conference="7001"),
    ami("Hangup", 42, Cause="16"),
]


@pytest.mark.parametrize("reported", [ARI, AMI], ids=["ari", "ami"])
def test_events_of_a_channel_in_any_order_make_one_leg(reported: list[Any]) -> None:
    whole = leg(events(reported))
    assert (whole.leg_id, whole.conference_id, whole.hangup_cause) == (CHANNEL, "7001", "16")
    assert whole.answered_at == START + timedelta(seconds=2)
    assert whole.ended_at == START + timedelta(seconds=42)
    for order in permutations(reported):
        assert leg(events([*order, order[0]])) == whole


@pytest.mark.parametrize("reported", [ARI, AMI], ids=["ari", "ami"])
def test_the_time_of_the_answer_is_waited_for_and_the_conference_would_be_nice(
    reported: list[Any],
) -> None:
    without_answer = made(events(reported[1:]))
    assert isinstance(without_answer, Waiting)
    assert without_answer.ended_by is not None
    without_conference = made(events([reported[0], reported[3]]))
    assert isinstance(without_conference, Complete)
    assert without_conference.lacks == (CONFERENCE,)
    goes_on = made(events(reported[:2]))
    assert isinstance(goes_on, Waiting)
    assert goes_on.ended_by is None


def test_events_of_the_manager_interface_are_read_as_text() -> None:
    lines = ["\r\n".join(f"{name}: {value}" for name, value in each.items()) for each in AMI]
    body = ("\r\n\r\n".join(lines) + "\r\n\r\n").encode()
    assert leg(post(body, "text/plain")) == leg(events(AMI))


def test_a_channel_that_was_never_up_is_unanswered_at_once() -> None:
    one = made(events(ari("ChannelDestroyed", 20, "Ring", cause=17)))
    assert isinstance(one, Complete)
    assert one.lacks == ()
    assert one.ended_leg.answered_at is None


def test_an_originated_channel_has_its_callee_as_caller_id() -> None:
    dialled = {
        "caller": {"number": "+442079460011"},
        "connected": {"number": "+33170180001"},
        "dialplan": {"context": "to-trunk", "exten": "s"},
        "channelvars": {"PERMINUTE_AUTHORIZATION": "au_abc.contoso"},
    }
    reported = [
        ari("ChannelStateChange", 2, channel=dialled),
        ari("ChannelDestroyed", 42, channel=dialled, cause=16),
        ari("ChannelEnteredBridge", 3, channel=dialled, bridge={"id": "b", "name": "7001"}),
    ]
    found = leg(events(reported))
    assert (found.kind, found.authorization) == (LegKind.DIAL_OUT, "au_abc.contoso")
    assert (found.from_number, found.to_number) == ("+33170180001", "+442079460011")


def test_events_that_make_no_leg_are_ignored() -> None:
    for event in (
        ari("ChannelVarset", 1),
        ari("ChannelEnteredBridge", 1, bridge={"id": "b", "bridge_class": "basic"}),
        ari("ChannelStateChange", 1, "Ringing"),
        ami("Newexten", 1),
        {"Event": "FullyBooted"},
        {"type": "DeviceStateChanged"},
    ):
        assert isinstance(post(event)[0], Ignored), event


def test_times_and_seconds_may_be_numbers_of_json() -> None:
    """With a fraction too, as AMI and scripts write them."""
    found = leg(events(record(start=EPOCH, answer=EPOCH + 2.25, end=EPOCH + 42.75, billsec=40.5)))
    assert found.answered_at == START + timedelta(seconds=2.25)
    assert found.ended_at == START + timedelta(seconds=42.75)
    assert found.talk_seconds == 40


def test_an_unanswered_record_keeps_the_conference_that_it_names_itself() -> None:
    """Not the one of its application: records of one attempt differ there."""
    unanswered = {"answer": "", "billsec": "0", "disposition": "NO ANSWER", "dcontext": "to-trunk"}
    assert leg(events(record(**unanswered, conference="7002"))).conference_id == "7002"
    assert leg(events(record(**unanswered))).conference_id is None
