"""Legs of several events: any order, repetition, delay, crash and process; exactly one charge."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.common import limits
from shared.domain.common.errors import StoreUnavailable
from shared.domain.directory.access import ALL_ACCOUNTS
from shared.domain.directory.entities import Bridge, BridgeInput, OnOutage
from shared.domain.directory.request_signatures import AuthScheme
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.domain.legs.parking import ParkStatus
from shared.ports.tables import Delete, Insert, Operation
from shared.usecases.legs.receive_legs import ReceivedLeg
from tests.bench.cost import CountingTables
from tests.support.ledger import START
from tests.support.memory_tables import MemoryTables
from tests.support.processes import ADMIN, FR, GB, Deployment, Process
from tests.support.vendors import twilio_call
from tests.unit.bridges import test_event_dialects as event_dialects

CALL = "CA77"


@pytest.fixture(autouse=True)
def _marks_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALL_MARKS_LINGER_SECONDS", 0)


AT = START.strftime("%a, %d %b %Y %H:%M:%S +0000")
CHARGE = 86_000  # three minutes to London
JOINED, COMPLETED = twilio_call(CALL, caller=FR, to=GB, talk_seconds=180, ended_at=AT)
LEFT = {**JOINED, "StatusCallbackEvent": "participant-leave"}
RINGING = {**COMPLETED, "CallStatus": "ringing", "CallDuration": ""}


class CrashingTables(MemoryTables):
    """The process ends before or after its n-th write of an event or a mark."""

    crash_at: int | None = None
    after: bool = False
    writes: int = 0

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        self.writes += 1
        ends = self.writes == self.crash_at
        if ends and not self.after:
            raise StoreUnavailable("The process ended.")
        written = await super().transact(table, partition, operations)
        if ends:
            raise StoreUnavailable("The process ended.")
        return written


async def turns() -> None:
    """Let tasks run that others do not wait for."""
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class Calls:
    """A bridge of several events for one account."""

    deployment: Deployment
    process: Process
    name: str = "tw"

    @classmethod
    async def open(
        cls, tables: MemoryTables | None = None, dialect: str = "twilio", **settings: Any
    ) -> "Calls":
        deployment = Deployment(tables or MemoryTables())
        process = deployment.process()
        await process.set_up()
        calls = cls(deployment, process)
        await calls.put("tw", dialect, **{"default_account": "contoso", **settings})
        return calls

    async def put(self, name: str, dialect: str, **settings: Any) -> None:
        wanted: dict[str, Any] = {
            "dialect": dialect,
            "scheme": AuthScheme.BEARER,
            "username": None,
            "secrets": ("a-secret-of-the-tests-" + "x" * 22,),
            "accounts": frozenset({ALL_ACCOUNTS}),
            "default_account": None,
            "country": None,
            "on_outage": OnOutage.DENY,
            **settings,
        }
        if_match = "*" if await self.process.container.facts.bridge(name) else None
        await self.process.container.bridges.put(name, BridgeInput(**wanted), if_match)

    async def bridge(self, name: str | None = None) -> Bridge:
        found = await self.process.container.facts.bridge(name or self.name)
        assert found is not None
        return found

    async def post(
        self, *events: object, process: Process | None = None, bridge: str | None = None
    ) -> list[ReceivedLeg]:
        app = (process or self.process).container
        known = await self.bridge(bridge)
        post = BridgePayload(known.id, json.dumps(events).encode())
        return await app.assemble_calls(known, app.parse_post(known.dialect, post))

    async def wait(self, seconds: float) -> None:
        await turns()
        self.deployment.clock.moment += timedelta(seconds=seconds)
        await self.process.container.assemble_calls.end_waits()
        await self.process.drain()

    async def charge(self, leg: str = f"tw~{CALL}") -> dict[str, Any] | None:
        found = await self.process.container.ledger.leg("contoso", leg)
        return dict(found.charge) if found else None

    async def debited(self) -> int:
        return 100_000_000 - await self.process.balance()


def test_each_order_of_a_calls_events_makes_the_same_charge() -> None:
    async def play(order: Sequence[object]) -> None:
        calls = await Calls.open()
        for event in order:
            await calls.post(event)
            await calls.process.drain()
        await calls.wait(121)
        charge = await calls.charge()
        assert charge is not None
        assert (charge["conference"], charge["flags"]) == ("3001", ["organizer_unknown"])
        assert await calls.debited() == CHARGE
        assert await calls.process.parked() == []
        await calls.process.sound()

    for order in permutations([COMPLETED, JOINED, LEFT, RINGING]):
        asyncio.run(play(order))


@settings(max_examples=60, deadline=None)
@given(
    order=st.lists(
        st.tuples(
            st.sampled_from([COMPLETED, JOINED, LEFT, RINGING]),
            st.booleans(),
            st.sampled_from([0, 1, 119]),
        ),
        max_size=10,
    )
)
def test_repetition_delay_and_two_processes_change_nothing(
    order: list[tuple[dict[str, str], bool, int]],
) -> None:
    """Every event comes at least once within the wait of each other."""

    async def play() -> None:
        calls = await Calls.open(wait_seconds=10_000)
        other = calls.deployment.process()
        rest = [(each, False, 0) for each in (JOINED, COMPLETED)]
        for event, is_other, seconds in [*order, *rest]:
            await calls.post(event, process=other if is_other else None)
            await calls.wait(seconds)
        await calls.wait(20_000)
        assert await calls.debited() == CHARGE
        assert await calls.process.parked() == []

    asyncio.run(play())


def test_a_leg_is_queued_while_its_last_event_is_stored() -> None:
    async def play() -> None:
        tables = CrashingTables()
        calls = await Calls.open(tables)
        await calls.post(JOINED)
        tables.writes, tables.crash_at = 0, 1
        with pytest.raises(StoreUnavailable):
            await calls.post(COMPLETED)
        assert await calls.process.drain() == 1
        assert await calls.debited() == CHARGE
        tables.crash_at = None
        await calls.post(COMPLETED)
        await calls.wait(121)
        assert await calls.debited() == CHARGE
        assert await calls.process.parked() == []

    asyncio.run(play())


def test_two_processes_at_once_make_one_charge() -> None:
    async def play() -> None:
        calls = await Calls.open()
        other = calls.deployment.process()
        await asyncio.gather(
            calls.post(COMPLETED), calls.post(JOINED, process=other), calls.post(COMPLETED)
        )
        await calls.process.drain()
        assert await calls.debited() == CHARGE

    asyncio.run(play())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("retries", [False, True], ids=["lost", "sent-again"])
def test_a_crash_between_any_two_writes_loses_and_doubles_nothing(
    *, after: bool, retries: bool
) -> None:
    """Acknowledged events are durable; the bridge may send the others again or not."""

    async def play(crash_at: int) -> bool:
        tables = CrashingTables()
        calls = await Calls.open(tables)
        tables.writes, tables.after, tables.crash_at = 0, after, crash_at
        accepted = {"completed": False, "joined": False}
        for name, event in (("joined", JOINED), ("completed", COMPLETED)):
            for _ in range(2 if retries else 1):
                try:
                    await calls.post(event)
                except StoreUnavailable:
                    calls.process = calls.deployment.process()
                else:
                    accepted[name] = True
                    break
        crashed = tables.writes >= crash_at
        tables.crash_at = None
        await calls.wait(121)
        if accepted["completed"]:
            assert await calls.debited() == CHARGE
        await calls.process.sound()
        return crashed

    for crash_at in range(1, 10):
        if not asyncio.run(play(crash_at)):
            return
    raise AssertionError("there are more writes than were tried")


def test_without_its_conference_a_leg_is_charged_after_the_wait_and_flagged() -> None:
    async def play() -> None:
        calls = await Calls.open()
        [first] = await calls.post(COMPLETED)
        assert (first.status, first.missing) == ("waiting", ("conference",))
        await calls.wait(119)
        assert await calls.charge() is None
        await calls.wait(2)
        charge = await calls.charge()
        assert charge is not None
        assert charge["flags"] == ["conference_unknown", "organizer_unknown"]
        await calls.post(JOINED)
        await calls.process.drain()
        assert await calls.debited() == CHARGE
        [conflict] = await calls.process.parked()
        assert conflict.reason == "conflict"
        assert conflict.original["conference"] == "3001"

    asyncio.run(play())


def test_a_leg_whose_account_only_the_conference_names_is_incomplete_until_it_comes() -> None:
    async def play() -> None:
        calls = await Calls.open(default_account=None)
        await calls.process.register("3001", "contoso")
        await calls.post(COMPLETED)
        await calls.wait(121)
        [parked] = await calls.process.parked()
        assert (parked.reason, parked.detail) == ("incomplete", "Missing: conference, account.")
        assert parked.leg == f"tw~{CALL}"
        await calls.wait(3_600)
        assert len(await calls.process.parked()) == 1
        [answer] = await calls.post(JOINED)
        assert answer.status == "queued"
        await calls.process.drain()
        assert await calls.debited() == CHARGE
        [closed] = await calls.process.parked()
        assert closed.status is ParkStatus.REPLAYED

    asyncio.run(play())


def test_a_leg_that_was_dismissed_as_incomplete_is_not_charged() -> None:
    async def play() -> None:
        calls = await Calls.open(default_account=None)
        await calls.process.register("3001", "contoso")
        await calls.post(COMPLETED)
        await calls.wait(121)
        [parked] = await calls.process.parked()
        await calls.process.container.parked_legs.dismiss(ADMIN, parked.id, "charged by hand")
        [answer] = await calls.post(JOINED)
        assert answer.status == "ignored"
        await calls.process.drain()
        assert await calls.debited() == 0

    asyncio.run(play())


def test_a_call_that_never_ends_is_parked_after_a_day() -> None:
    async def play() -> None:
        calls = await Calls.open()
        await calls.post(JOINED)
        await calls.wait(23 * 3600)
        assert await calls.process.parked() == []
        await calls.wait(3_601)
        [parked] = await calls.process.parked()
        assert parked.detail == "Missing: the callback of the completed call."
        late = {**COMPLETED, "Timestamp": AT}
        await calls.post(late)
        await calls.process.drain()
        assert await calls.debited() == CHARGE

    asyncio.run(play())


def test_an_event_that_changes_a_charged_leg_is_a_conflict() -> None:
    async def play() -> None:
        calls = await Calls.open()
        await calls.post(COMPLETED, JOINED)
        await calls.process.drain()
        await calls.post({**COMPLETED, "CallDuration": "200"})
        await calls.process.drain()
        assert await calls.debited() == CHARGE
        [conflict] = await calls.process.parked()
        assert conflict.reason == "conflict"
        assert conflict.original["talk_seconds"] == 200
        charged = conflict.original["charged"]
        assert isinstance(charged, dict)
        assert (charged["talk_seconds"], charged["to"], charged["conference"]) == (180, GB, "3001")

    asyncio.run(play())


def test_events_and_marks_are_the_rows_of_a_call() -> None:
    async def play() -> None:
        calls = await Calls.open()
        await calls.post(JOINED)
        await calls.post(COMPLETED)
        await turns()
        rows = (await calls.deployment.tables.scan("calls", limit=1_000)).rows
        kinds = [row.key.partition("|")[0] for row in rows]
        assert kinds == ["event", "event"]

    asyncio.run(play())


def test_an_event_in_its_turn_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALL_MARKS_LINGER_SECONDS", 60)

    async def play() -> None:
        tables = CountingTables()
        calls = await Calls.open(tables)
        other = calls.deployment.process()
        await calls.post(JOINED)  # knows the bridge from here on
        await other.container.facts.bridge("tw")
        requests: list[dict[str, int]] = []
        longer, longest = ({**COMPLETED, "CallDuration": text} for text in ("190", "200"))
        posts = ((COMPLETED, None), (COMPLETED, other), (longer, other), (longest, None))
        for event, process in posts:
            tables.requests.clear()
            await calls.post(event, process=process)
            requests.append({k: v for k, v in tables.requests.items() if k.startswith("calls")})
        assert requests == [
            {"calls transaction": 1},  # this process knows the call
            {"calls query": 1},  # what is repeated is not kept again
            {"calls transaction": 1},  # now the other one knows the call
            {"calls transaction": 2, "calls query": 1},  # and this one finds out
        ]
        await calls.process.drain()
        assert await calls.debited() == CHARGE

    asyncio.run(play())


def test_events_that_an_earlier_version_kept_are_events_of_the_call() -> None:
    async def play() -> None:
        calls = await Calls.open()
        await calls.post(JOINED)
        tables = calls.deployment.tables
        rows = (await tables.scan("calls", limit=10)).rows
        [row] = [each for each in rows if each.key.startswith("event|")]
        await tables.transact("calls", row.partition, [Delete(row.key)])
        values = {name: value for name, value in row.values.items() if name != "id"} | {"schema": 1}
        key = row.key.replace("000001", str(row.values["id"]))
        await tables.transact("calls", row.partition, [Insert(key, values)])
        calls.process = calls.deployment.process()
        await calls.post(JOINED)
        await calls.post(COMPLETED)
        await calls.wait(0)
        charge = await calls.charge()
        assert charge is not None
        assert charge["conference"] == "3001"

    asyncio.run(play())


FREESWITCH_LEG = {
    "leg_id": "fs-1",
    "conference_id": "71347",
    "kind": "dial_out",
    "from": FR,
    "to": GB,
    "started_at": (START - timedelta(seconds=187)).isoformat(),
    "answered_at": (START - timedelta(seconds=180)).isoformat(),
    "ended_at": START.isoformat(),
}
MEETING = {
    "data": {
        "type": "event",
        "id": "meeting-created",
        "attributes": {
            "meeting": {
                "internal-meeting-id": "abc-1",
                "voice-conf": "71347",
                "create-time": int((START - timedelta(hours=1)).timestamp() * 1000),
                "metadata": {"perminute-account": "contoso", "perminute-organizer": "ken"},
            }
        },
        "event": {"ts": int(START.timestamp() * 1000)},
    }
}


@pytest.mark.parametrize("meeting_first", [True, False])
def test_a_leg_takes_account_and_organizer_from_its_meeting(*, meeting_first: bool) -> None:
    async def play() -> None:
        calls = await Calls.open()
        await calls.put("bbb1", "bigbluebutton")
        await calls.put("fs1", "perminute", meetings_from="bbb1")
        posts = [("bbb1", MEETING), ("fs1", FREESWITCH_LEG)]
        for name, event in posts if meeting_first else posts[::-1]:
            await calls.post(event, bridge=name)
        await calls.post(FREESWITCH_LEG, bridge="fs1")
        await calls.process.drain()
        record = await calls.process.container.ledger.leg("contoso", "fs1~fs-1")
        assert record is not None
        assert record.person["organizer"] == "ken"
        assert record.charge["conference"] == "71347"
        assert await calls.debited() == CHARGE
        assert await calls.process.parked() == []
        await turns()
        rows = (await calls.deployment.tables.scan("calls", limit=1_000)).rows
        assert len(rows) == (1 if meeting_first else 2)

    asyncio.run(play())


def test_a_leg_whose_meeting_never_comes_is_incomplete_or_flagged() -> None:
    async def play(default: str | None) -> tuple[list[str], dict[str, Any] | None]:
        calls = await Calls.open()
        await calls.put("bbb1", "bigbluebutton")
        await calls.put("fs1", "perminute", meetings_from="bbb1", default_account=default)
        await calls.post(FREESWITCH_LEG, bridge="fs1")
        await calls.wait(121)
        parked = [each.reason.value for each in await calls.process.parked()]
        return parked, await calls.charge("fs1~fs-1")

    parked, charge = asyncio.run(play(None))
    assert (parked, charge) == (["incomplete"], None)
    parked, charge = asyncio.run(play("contoso"))
    assert parked == []
    assert charge is not None
    assert charge["flags"] == ["conference_unknown", "organizer_unknown"]


@pytest.mark.parametrize("number", [FR, GB])
def test_a_person_is_erased_from_events_and_conflicts(number: str) -> None:
    async def play() -> None:
        calls = await Calls.open()
        await calls.post(COMPLETED, JOINED)
        await calls.process.drain()
        await calls.post({**COMPLETED, "CallDuration": "200", "To": "+33170000009"})
        await calls.process.drain()
        await calls.process.container.erase_person("contoso", number=number, organizer=None)
        for table in ("calls", "parked"):
            rows = (await calls.deployment.tables.scan(table, limit=1_000)).rows
            assert rows
            assert not any(number in str(value) for row in rows for value in row.values.values())
        [answer] = await calls.post(JOINED)
        assert answer.status == "ignored"
        await calls.process.drain()
        assert await calls.debited() == CHARGE
        assert len(await calls.process.parked()) == 1
        await calls.process.sound()

    asyncio.run(play())


def test_a_channel_that_is_no_leg_is_ignored_once_its_conference_did_not_come() -> None:
    """An extension calls another one: no service number, no context of dial-outs."""
    channel = {
        "id": "1795428000.7",
        "name": "PJSIP/200-1",
        "state": "Up",
        "caller": {"number": "200"},
        "dialplan": {"context": "internal", "exten": "201"},
    }
    posted = [
        {"type": name, "timestamp": START.isoformat(), "channel": channel}
        for name in ("ChannelStateChange", "ChannelDestroyed")
    ]

    async def play() -> None:
        calls = await Calls.open(dialect="asterisk", default_account=None)
        answers = await calls.post(*posted)
        assert {each.status for each in answers} == {"waiting"}
        await calls.wait(121)
        assert await calls.process.parked() == []
        assert await calls.debited() == 0
        await turns()
        rows = (await calls.deployment.tables.scan("calls", limit=1_000)).rows
        assert {row.key.partition("|")[0] for row in rows} == {"event", "due"}
        await calls.wait(24 * 3_600)
        assert await calls.process.parked() == []
        rows = (await calls.deployment.tables.scan("calls", limit=1_000)).rows
        assert {row.key.partition("|")[0] for row in rows} == {"event"}

    asyncio.run(play())


def test_a_leg_that_is_assembled_joins_its_meeting_too() -> None:
    """Twilio rates the legs of the trunk, BigBlueButton reports the room."""

    async def play(*, is_room_first: bool) -> None:
        calls = await Calls.open()
        await calls.put("events", "bigbluebutton")
        await calls.put("rating", "twilio", meetings_from="events")
        posted = [("rating", COMPLETED), ("rating", {**JOINED, "FriendlyName": "71347"})]
        posted.insert(0 if is_room_first else 2, ("events", MEETING))
        for bridge, event in posted:
            await calls.post(event, bridge=bridge)
        await calls.process.drain()
        record = await calls.process.container.ledger.leg("contoso", f"rating~{CALL}")
        assert record is not None
        assert record.person["organizer"] == "ken"
        assert await calls.debited() == CHARGE
        await calls.wait(200)
        assert await calls.process.parked() == []
        assert await calls.debited() == CHARGE

    for is_room_first in (True, False):
        asyncio.run(play(is_room_first=is_room_first))


@pytest.mark.parametrize("dialect", ["perminute", "twilio", "zoom"])
def test_a_bridge_that_reports_no_meetings_holds_no_leg_up(dialect: str) -> None:
    async def play() -> None:
        calls = await Calls.open()
        await calls.put("events", dialect)
        await calls.put("rating", "perminute", meetings_from="events", default_account="contoso")
        [answer] = await calls.post(FREESWITCH_LEG, bridge="rating")
        assert answer.status == "queued"
        await calls.process.drain()
        assert await calls.debited() == CHARGE

    asyncio.run(play())


def test_events_of_the_dialect_that_a_bridge_had_before_are_parked_once_their_wait_is_over() -> (
    None
):
    async def play() -> None:
        calls = await Calls.open()
        await calls.post(COMPLETED)
        await calls.put("tw", "livekit")
        await calls.wait(121)
        assert [each.reason.value for each in await calls.process.parked()] == ["incomplete"]
        await calls.put("tw", "twilio", default_account="contoso")
        await calls.post(JOINED)
        await calls.process.drain()
        assert await calls.debited() == CHARGE
        assert [each.status for each in await calls.process.parked()] == [ParkStatus.REPLAYED]

    asyncio.run(play())


# Each dialect of several events

FREESWITCH_LEGS = [FREESWITCH_LEG, {**FREESWITCH_LEG, "leg_id": "fs-2", "to": FR, "from": GB}]
ROOM = {
    "event_name": "muc-room-created",
    "room_name": "71347",
    "created_at": int((START - timedelta(hours=1)).timestamp()),
}
SCENES = {
    **{
        name: [("events", event) for event in posted]
        for name, posted in event_dialects.SCENES.items()
    },
    "asterisk records": [("events", record) for record in event_dialects.RECORDS],
    "bigbluebutton": [("events", MEETING), *(("rating", leg) for leg in FREESWITCH_LEGS)],
    "jitsi": [("events", ROOM), *(("rating", leg) for leg in FREESWITCH_LEGS)],
}


async def outcome(
    dialect: str, order: Sequence[tuple[tuple[str, Any], bool, int]]
) -> tuple[list[str], list[tuple[str, str]]]:
    """(charges, parked legs) once all waits are over. Each step: the event and its bridge, whether
    another process takes it, and the seconds until the next one."""
    calls = await Calls.open(wait_seconds=10_000)
    await calls.put(
        "events",
        dialect.split(maxsplit=1)[0],
        default_account="contoso",
        wait_seconds=10_000,
        outbound_contexts=("from-internal",),
    )
    if dialect in {"bigbluebutton", "jitsi"}:
        await calls.put(
            "rating",
            "perminute",
            default_account="contoso",
            meetings_from="events",
            wait_seconds=10_000,
        )
    other = calls.deployment.process()
    for (bridge, event), is_other, seconds in order:
        await calls.post(event, process=other if is_other else None, bridge=bridge)
        await calls.wait(seconds)
    await calls.wait(20_000)
    await calls.wait(limits.LEG_SECONDS_MAX)
    await calls.process.sound()
    ledger = calls.process.container.ledger
    keys = {
        entry.leg
        for commit in await ledger.history("contoso", after=0)
        for entry in commit.entries
        if entry.leg
    }
    charges = []
    for key in sorted(keys):
        record = await ledger.leg("contoso", key)
        assert record is not None
        shown = {name: record.charge[name] for name in sorted(record.charge)}
        person = {name: text for name, text in record.person.items() if name != "salt"}
        charges.append(f"{key} {shown} {sorted(person.items())}")
    parked = [(each.leg, each.reason.value) for each in await calls.process.parked()]
    return charges, sorted(parked)


@pytest.mark.extended
@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("dialect", sorted(SCENES))
def test_every_order_repetition_and_delay_has_the_same_outcome(dialect: str, data: Any) -> None:
    posted = SCENES[dialect]
    once = [(event, False, 0) for event in posted]
    step = st.tuples(st.sampled_from(posted), st.booleans(), st.sampled_from([0, 1, 4_000]))
    order = [
        (event, data.draw(st.booleans()), data.draw(st.sampled_from([0, 1, 900])))
        for event in data.draw(st.permutations(posted))
    ]
    for again in data.draw(st.lists(step, max_size=4)):
        order.insert(data.draw(st.integers(0, len(order))), (*again[:2], min(again[2], 900)))
    expected = asyncio.run(outcome(dialect, once))
    assert any(expected)
    assert asyncio.run(outcome(dialect, order)) == expected
