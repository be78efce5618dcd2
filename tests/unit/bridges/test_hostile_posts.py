"""Posts of all nine dialects with their vendors' signatures, whole and spoilt: a leg is charged
right, or it is parked or refused with a reason. Nothing is lost, and nothing is an internal error.
"""

import asyncio
import copy
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.adapters.bridges import parse
from shared.domain.common import limits
from shared.domain.legs.bridge_payloads import BridgePayload, Unreadable
from tests.support.memory_tables import MemoryTables
from tests.support.processes import Deployment, Process
from tests.support.vendors import FORM, USER, sign
from tests.unit.bridges import test_event_dialects as event_dialects

NOW = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
SECRET = "c2VjcmV0LW9mLXRvZGF5LS0tMDEyMzQ1"
SCHEMES = {
    "acs": "bearer",
    "asterisk": "basic",
    "bigbluebutton": "bigbluebutton",
    "freeswitch": "basic",
    "jitsi": "bearer",
    "livekit": "livekit",
    "perminute": "standard-webhooks",
    "twilio": "twilio",
    "zoom": "zoom",
}
PRICES = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding": {"mode": "half_up", "decimals": 4},
    "rates": [
        {
            "kind": kind,
            "prefix": prefix,
            "destination": prefix,
            "slots": [
                {"from_second": 0, "price": "0.6", "unit_seconds": 60, "increment_seconds": 1}
            ],
        }
        for kind in ("dial_out", "dial_in")
        for prefix in ("44", "33")
    ],
}
LEG = {
    "leg_id": "sip-1",
    "conference_id": "71347",
    "kind": "dial_out",
    "from": "+33170180001",
    "to": "+442079460011",
    "started_at": "2026-11-23T10:00:00Z",
    "answered_at": "2026-11-23T10:00:07Z",
    "ended_at": "2026-11-23T10:01:07Z",
    "talk_seconds": 60,
}
RECORD = {
    "channel_data": {"direction": "outbound"},
    "variables": {
        "uuid": "fs-1",
        "direction": "outbound",
        "start_uepoch": "1795428000000000",
        "answer_uepoch": "1795428007000000",
        "end_uepoch": "1795428067000000",
        "billsec": "60",
        "conference_name": "3001",
        "hangup_cause": "NORMAL_CLEARING",
        "perminute_account": "contoso",
        "sip_to_user": "+442079460011",
    },
    "callflow": [{"caller_profile": {"ani": "+33170180001", "uuid": "fs-1"}}],
}
MEETING = {
    "data": {
        "id": "meeting-created",
        "attributes": {
            "meeting": {
                "internal-meeting-id": "i-1",
                "voice-conf": "71347",
                "create-time": 1795424400000,
                "metadata": {"perminute-account": "contoso", "perminute-organizer": "ann"},
            }
        },
        "event": {"ts": 1795424400000},
    }
}
ROOM = {"event_name": "muc-room-created", "room_name": "71347", "created_at": 1795424400}
SCENES: dict[str, list[tuple[str, Any]]] = {
    **{
        name: [("events", event) for event in posted]
        for name, posted in event_dialects.SCENES.items()
    },
    "asterisk": [("events", event_dialects.RECORDS[0])],
    "freeswitch": [("events", RECORD)],
    "perminute": [("events", LEG)],
    "bigbluebutton": [("events", MEETING), ("rating", LEG)],
    "jitsi": [("events", ROOM), ("rating", LEG)],
}
type Outcome = tuple[tuple[str, ...], tuple[str, ...]]


class Vendor:
    """A bridge of one dialect on a product of its own, and for dialects of meetings one that rates
    the legs. Its posts go to the processes in turn."""

    def __init__(self, process: Process, *others: Process) -> None:
        self.process = process
        self.processes = (process, *others)
        self.answers: list[tuple[int, Any]] = []

    @classmethod
    async def open(cls, dialect: str, processes: int = 1) -> "Vendor":
        deployment = Deployment(MemoryTables())
        deployment.clock.moment = NOW
        vendor = cls(*(deployment.process() for _ in range(processes)))
        await vendor.process.set_up()
        body = json.dumps(PRICES).encode()
        await vendor.process.put_card(body, NOW - timedelta(days=30))
        await vendor.put("events", dialect)
        if dialect in {"bigbluebutton", "jitsi"}:
            await vendor.put("rating", "perminute", meetings_from="events")
        return vendor

    async def put(self, name: str, dialect: str, **more: Any) -> None:
        scheme = SCHEMES[dialect]
        auth = {"scheme": scheme, "secrets": [SECRET]}
        if scheme in {"basic", "livekit"}:
            auth["username"] = USER
        if dialect == "zoom":
            more["service_number"] = event_dialects.TRUNK
        settings = {"dialect": dialect, "accounts": ["*"], "default_account": "contoso"}
        body = {**settings, "auth": auth, "wait_seconds": 100, **more}
        answer = await self.process.send("PUT", f"/api/v1/bridges/{name}", body)
        assert answer.status == 201, answer.body

    async def post(self, dialect: str, bridge: str, event: object) -> None:
        """Sign and send an event, or bytes as they are."""
        dialect = dialect if bridge == "events" else "perminute"
        content_type = "application/json"
        if isinstance(event, bytes):
            body = event
            starts = event.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            content_type = content_type if starts in (b"{", b"[") else FORM
        elif dialect == "twilio":
            body, content_type = urlencode(event).encode(), FORM  # type: ignore[arg-type]
        else:
            body = json.dumps(event).encode()
        path = f"/api/v1/bridges/{bridge}/call-ended"
        at, host = int(self.process.clock.now().timestamp()), "http://127.0.0.1:7071"
        headers, url = sign(SCHEMES[dialect], SECRET, at, host + path, body, content_type)
        target = url.removeprefix(host)
        process = self.processes[len(self.answers) % len(self.processes)]
        answer = await process.send("POST", target, body, key=None, headers=headers)
        legs = [(each["status"], each.get("reason")) for each in answer.json.get("legs", [])]
        self.answers.append((answer.status, legs or answer.json.get("code")))

    async def outcome(self) -> Outcome:
        """(charges, parked legs) once all waits are over."""
        process = self.process
        for seconds in (0, 120, limits.LEG_SECONDS_MAX + 10):
            for _ in range(5):
                await asyncio.sleep(0)
            process.clock.moment += timedelta(seconds=seconds)
            await process.container.assemble_calls.end_waits()
            await process.drain()
        await process.sound()
        charges = []
        for commit in await process.container.ledger.history("contoso", after=0):
            for key in (entry.leg for entry in commit.entries if entry.leg):
                record = await process.container.ledger.leg("contoso", key)
                assert record is not None
                charge = record.charge
                charges.append(
                    f"{key} {charge['status']} {charge['kind']} {record.person.get('to')} "
                    f"{charge.get('conference')} {charge['talk_seconds']} {charge['amount']}"
                )
        parked = [f"{each.leg} {each.reason.value}" for each in await process.parked()]
        return tuple(sorted(charges)), tuple(sorted(parked))


def play(
    dialect: str, posts: Sequence[tuple[str, object]], processes: int = 1
) -> tuple[Outcome, Vendor]:
    async def playing() -> tuple[Outcome, Vendor]:
        vendor = await Vendor.open(dialect, processes)
        for bridge, event in posts:
            await vendor.post(dialect, bridge, event)
        return await vendor.outcome(), vendor

    outcome, vendor = asyncio.run(playing())
    assert all(status < 500 for status, _ in vendor.answers), vendor.answers
    for process in vendor.processes:
        process.close()
    return outcome, vendor


@pytest.fixture(autouse=True)
def _marks_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALL_MARKS_LINGER_SECONDS", 0)


def changed(dialect: str, index: int, path: str, value: object) -> list[tuple[str, Any]]:
    """The scene of a dialect with another value at a place, `...` for none."""
    scene = copy.deepcopy(SCENES[dialect])
    *way, last = [int(name) if name.isdecimal() else name for name in path.split("/")]
    place = scene[index][1]
    for name in way:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return scene


@pytest.mark.parametrize("dialect", sorted(SCENES))
def test_any_order_and_repetition_has_the_same_outcome(dialect: str) -> None:
    scene = SCENES[dialect]
    expected, _ = play(dialect, scene)
    assert len(expected[0]) == (2 if dialect == "acs" else 1)
    assert expected[1] == ()
    orders = itertools.islice(itertools.permutations(scene), 1, None, 1 + len(scene) ** 3 // 8)
    for order in itertools.islice(orders, 3):
        assert play(dialect, [*order, order[0]])[0] == expected


# A spoilt field, and what becomes of the leg: `charged` in seconds, or the reason of the entry.
CASES: list[tuple[str, int, str, object, str]] = [
    ("asterisk", 0, "end", "60.9", "inconsistent"),
    ("asterisk", 0, "end", "23/11/2026", "incomplete"),
    ("asterisk", 0, "answer", None, "incomplete"),
    ("asterisk", 0, "billsec", "-5", "60"),
    ("asterisk", 0, "billsec", 10**18, "60"),
    ("asterisk", 0, "disposition", "answered", "60"),
    ("asterisk", 0, "disposition", ["ANSWERED"], "unreadable"),
    ("asterisk", 0, "uniqueid", {}, "unreadable"),
    ("asterisk", 0, "dst", "é" * 250, "number_invalid"),
    ("freeswitch", 0, "channel_data/direction", "sideways", "60"),
    ("freeswitch", 0, "variables/end_uepoch", "-1", "unreadable"),
    ("freeswitch", 0, "variables/billsec", 1.5, "unreadable"),
    ("freeswitch", 0, "variables/conference_name", ["3001", "3002"], "unreadable"),
    ("freeswitch", 0, "variables/answer_uepoch", "1795428060", "inconsistent"),
    ("livekit", 1, "createdAt", 1.5, "inconsistent"),
    ("livekit", 1, "createdAt", "1795428063000000000", "60"),
    ("livekit", 1, "createdAt", "1795428063000000", "60"),
    ("livekit", 1, "createdAt", True, "incomplete"),
    ("livekit", 1, "participant/joinedAt", "60.9", "inconsistent"),
    ("livekit", 1, "participant/attributes/sip.trunkPhoneNumber", "+", "number_invalid"),
    ("livekit", 1, "participant", [], "incomplete"),
    ("twilio", 1, "CallDuration", "", "incomplete"),
    ("twilio", 1, "CallDuration", "60.9", "60"),
    ("twilio", 1, "CallDuration", "-5", "incomplete"),
    ("twilio", 1, "Timestamp", "2026-11-23T15:31:00+0530", "60"),
    ("twilio", 1, "Timestamp", "yesterday", "incomplete"),
    ("twilio", 1, "Direction", "", "kind_unknown"),
    ("twilio", 1, "To", "2B442079460011", "60"),
    ("zoom", 0, "payload/object/participant/join_time", "60.9", "inconsistent"),
    ("zoom", 1, "payload/object/participant/leave_time", 0, "incomplete"),
    ("zoom", 1, "payload/object/participant/leave_time", "2026-11-23T15:31:00+05:30", "60"),
    ("zoom", 0, "payload/object/participant/phone_number", 442079460011, "60"),
    ("zoom", 1, "payload", None, "incomplete"),
    ("bigbluebutton", 0, "data/attributes/meeting/create-time", "soon", "60"),
    ("bigbluebutton", 0, "data/attributes/meeting/metadata", [], "60"),
    ("bigbluebutton", 0, "data/attributes/meeting/voice-conf", 71347, "60"),
    ("jitsi", 0, "created_at", "1795424400000", "60"),
    ("jitsi", 0, "room_name", "", "unreadable"),
    ("perminute", 0, "talk_seconds", 0, "inconsistent"),
    ("perminute", 0, "to", "anonymous", "number_invalid"),
]


@pytest.mark.parametrize(("dialect", "index", "path", "value", "expected"), CASES)
def test_a_spoilt_field_is_charged_right_or_parked(
    dialect: str, index: int, path: str, value: object, expected: str
) -> None:
    (charges, parked), vendor = play(dialect, changed(dialect, index, path, value))
    assert all(status == 202 for status, _ in vendor.answers)
    if expected.isdecimal():
        assert [each.split()[-2] for each in charges] == [expected], (charges, parked)
    else:
        assert expected in {each.split()[-1] for each in parked}, (charges, parked)
        assert not charges or dialect == "jitsi"


ODD_BODIES = {
    "nothing": b"",
    "an empty array": b"[]",
    "an empty object": b"{}",
    "null": b"null",
    "a number": b"[1, true, null, 1.5]",
    "a deep array": b"[" * 200 + b"]" * 200,
    "half a character": b'{"type": "\xed\xa0\x80"}',
    "a NUL": b'{"event": "\\u0000", "CallSid": "\\u0000"}',
    "a doubled key": b'{"event": "participant_left", "event": "room_started"}',
    "a form of nothing": b"&&==&%&%zz=%",
    "a form without an end": b"event=%7B%22data%22",
    "a row": b'"a","b","c"\n"d',
}


@pytest.mark.parametrize("dialect", sorted(SCHEMES))
def test_odd_bodies_are_answered_and_kept(dialect: str) -> None:
    _, vendor = play(dialect, [("events", body) for body in ODD_BODIES.values()])
    for name, (status, found) in zip(ODD_BODIES, vendor.answers, strict=True):
        if dialect == "perminute":
            assert status in {400, 422}, (name, status)
        else:
            assert status == 202, (name, status, found)
            assert not any(each[0] == "queued" for each in found or [])


@pytest.mark.parametrize("dialect", ["asterisk", "bigbluebutton", "livekit", "perminute", "zoom"])
def test_a_byte_order_mark_changes_nothing(dialect: str) -> None:
    scene = SCENES[dialect]
    marked = [
        (bridge, b"\xef\xbb\xbf" + json.dumps(event).encode() if bridge == "events" else event)
        for bridge, event in scene
    ]
    assert play(dialect, marked)[0] == play(dialect, scene)[0]


def test_an_unreadable_body_is_kept_with_its_byte_order_mark() -> None:
    body = b"\xef\xbb\xbf{}"
    [found] = parse("livekit", BridgePayload("b", body))
    assert isinstance(found, Unreadable)
    assert found.original == body


def test_a_form_with_repeated_and_unknown_fields_is_read() -> None:
    scene = [*SCENES["twilio"][:1], ("events", urlencode(SCENES["twilio"][1][1]).encode())]
    body = scene[1][1] + b"&CallStatus=completed&ApiVersion=&ApiVersion=2010&=&x"
    expected, _ = play("twilio", scene)
    assert play("twilio", [scene[0], ("events", body)])[0] == expected


def places(value: object, *way: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            if isinstance(name, int) or "/" not in str(name):
                yield "/".join(map(str, (*way, name)))
                yield from places(item, *way, name)


ODD_VALUES = [
    *(None, "", 0, -1, 10**18, 1.5, True, [], {}, ["a"], {"a": 1}, "9" * 30, "x" * 300, "x\ay"),
    *("   ", "null", "-5", "1e9", "2026-99-99T00:00:00Z", "2026-11-23T10:01:00+0530", "au_.", "+"),
    *("Mon, 23 Nov 2026 10:01:00 GMT", "1795428060000", "anonymous", ...),
]


@pytest.mark.extended
@pytest.mark.parametrize("dialect", sorted(SCENES))
def test_no_spoilt_field_loses_a_leg(dialect: str) -> None:
    """Each place once, with values of a seed: the leg is charged, parked, or refused by name."""
    draw = random.Random(dialect)
    for index, (bridge, event) in enumerate(SCENES[dialect]):
        for path in places(event):
            odd = draw.choice(ODD_VALUES)
            if dialect == "twilio" and odd is not ...:
                odd = str(odd)
            (charges, parked), vendor = play(dialect, changed(dialect, index, path, odd))
            logged = [
                reason
                for status, legs in vendor.answers
                for reason in ([legs] if status >= 400 else [each[1] for each in legs])
                if reason
            ]
            assert charges or parked or logged, (bridge, path, odd, vendor.answers)
