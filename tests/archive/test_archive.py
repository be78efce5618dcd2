"""The archive: sealed, complete, and no obstacle when it is away."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.adapters.legs.leg_archive import BlobArchive
from shared.domain.common import limits
from shared.domain.common.kinds import LegKind
from shared.domain.legs.bridge_payloads import Unreadable
from shared.domain.legs.leg import EndedLeg
from shared.ports.archive import Accepted
from shared.ports.clock import Ids
from shared.settings import Settings, SettingsError
from shared.usecases.operations.replay_archive import ReplayArchive
from tests.support.azurite import Azurite, start_azurite
from tests.support.memory_blobs import MemoryBlobs
from tests.support.product import CountedIds, ManualClock, Product
from tests.support.vendors import twilio_call
from tests.unit.directory.test_settings import GOOD

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
LEG = EndedLeg(
    bridge="studio",
    leg_id="1",
    conference_id="3001",
    kind=LegKind.DIAL_OUT,
    from_number="+33170180042",
    to_number="+442079460123",
    started_at=NOW,
    answered_at=NOW,
    ended_at=NOW + timedelta(minutes=1),
    talk_seconds=60,
    account="contoso",
    organizer=None,
    authorization=None,
    hangup_cause=None,
)
TOKEN = "a-token-of-the-tests-" + "x" * 24
ODD = Unreadable("2", "no JSON", b"\xff{")


class ArchivedIntake(Product):
    """A product with an archive, whose blobs are in memory."""

    def __init__(self, *keys: bytes, ids: Ids | None = None) -> None:
        super().__init__(clock=ManualClock(NOW), ids=ids)
        self.blobs = MemoryBlobs()
        self.archive = BlobArchive(self.blobs, keys or (KEY,), self.clock, self.container.ids)
        self.container.__dict__["archive"] = self.archive
        self.receive = self.container.receive_legs
        self.replay = ReplayArchive(
            self.archive,
            self.queue,
            self.receive,
            self.container.assemble_calls.again,
            self.container.ids,
        )

    async def read(self, since: datetime = NOW - timedelta(hours=1)) -> list[Accepted]:
        return [item async for item in self.archive.read(since, NOW + timedelta(hours=3))]


async def test_events_of_a_call_come_back_and_make_their_leg() -> None:
    """The region was lost between the events and the end of the wait."""
    lost, app = ArchivedIntake(), ArchivedIntake()
    bridge = {
        "dialect": "twilio",
        "auth": {"scheme": "bearer", "secrets": [TOKEN]},
        "accounts": ["contoso"],
        "default_account": "contoso",
    }
    joined, completed = twilio_call(
        "CA1",
        caller="+33170180055",
        to="+442079460123",
        talk_seconds=60,
        ended_at=NOW.isoformat(),
    )
    for each in (lost, app):
        answer = await each.send("PUT", "/api/v1/bridges/tw", bridge)
        assert answer.status == 201
    answer = await lost.send("POST", "/api/v1/bridges/tw/call-ended", completed, key=TOKEN)
    assert answer.json["legs"][0]["status"] == "waiting"
    app.blobs.blobs.update(lost.blobs.blobs)

    replayed = await app.replay(NOW, NOW + timedelta(seconds=1))
    again = await app.replay(NOW, NOW + timedelta(seconds=1))

    assert (replayed.legs, replayed.events) == (0, 1)
    assert again == replayed
    answer = await app.send("POST", "/api/v1/bridges/tw/call-ended", joined, key=TOKEN)
    assert answer.json["legs"][0]["status"] == "queued"
    (message,) = app.queue.take(10)
    assert b'"3001"' in message.body


async def test_what_was_accepted_comes_back_as_it_was() -> None:
    """In a region that has nothing but the archive."""
    lost, app = ArchivedIntake(), ArchivedIntake()
    await lost.receive("studio", [LEG, ODD])
    app.blobs.blobs.update(lost.blobs.blobs)

    replayed = await app.replay(NOW, NOW + timedelta(seconds=1))

    assert (replayed.legs, replayed.unreadable) == (1, 1)
    (message,) = app.queue.take(10)
    (parked,) = await app.container.parking.of_leg("studio~2")
    assert b'"+442079460123"' in message.body
    assert (parked.reason, parked.detail) == ("unreadable", "no JSON")


async def test_what_can_t_be_read_is_reported_when_it_is_parked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The alert on parked legs counts these events."""
    with caplog.at_level(logging.INFO, "perminute"):
        await ArchivedIntake().receive("studio", [ODD])

    (reported,) = (json.loads(record.getMessage()) for record in caplog.records)
    assert reported == {
        "event": "leg_parked",
        "leg": "studio~2",
        "reason": "unreadable",
        "detail": "no JSON",
    }


async def test_a_replay_uses_message_ids_of_its_own() -> None:
    """The broker would drop the first id: it has seen it."""
    app = ArchivedIntake()
    await app.receive("studio", [LEG])
    await app.replay(NOW, NOW + timedelta(seconds=1))
    await app.replay(NOW, NOW + timedelta(seconds=1))

    sent = app.queue.take(10)
    assert len({message.message_id for message in sent}) == 3
    assert len({message.body for message in sent}) == 1
    assert all(len(m.message_id) <= limits.MESSAGE_ID_CHARS_MAX for m in sent)


async def test_numbers_are_sealed() -> None:
    app = ArchivedIntake()
    await app.receive("studio", [LEG])
    (content,) = app.blobs.blobs.values()

    assert b"442079460123" not in content
    assert b"contoso" not in content


async def test_what_is_accepted_at_once_shares_a_blob() -> None:
    app = ArchivedIntake()
    await asyncio.gather(*(app.receive("studio", [LEG]) for _ in range(20)))

    assert len(app.blobs.blobs) == 1
    assert len(await app.read()) == 20


async def test_legs_are_taken_while_the_archive_is_away() -> None:
    """It is reported in an event; the leg is on the queue."""
    app = ArchivedIntake()
    app.blobs.available = False
    (received,) = await app.receive("studio", [LEG])

    assert received.status == "queued"
    assert len(app.queue.take(10)) == 1


async def test_only_the_wanted_span_is_read() -> None:
    app = ArchivedIntake()
    for hour in range(3):
        app.clock.moment = NOW + timedelta(hours=hour, minutes=30)
        await app.receive("studio", [LEG])

    assert len(await app.read(NOW + timedelta(minutes=30))) == 3
    assert len(await app.read(NOW + timedelta(minutes=31))) == 2
    assert len(await app.read(NOW + timedelta(hours=2, minutes=31))) == 0


async def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    old = ArchivedIntake()
    await old.receive("studio", [LEG])
    new = ArchivedIntake(OTHER_KEY, KEY, ids=CountedIds("new"))
    new.blobs.blobs.update(old.blobs.blobs)
    await new.receive("studio", [LEG])
    assert len(await new.read()) == 2

    alone = ArchivedIntake(OTHER_KEY)
    alone.blobs.blobs.update(old.blobs.blobs)
    with pytest.raises(ValueError, match="another key"):
        await alone.read()


@pytest.mark.parametrize("cut", [slice(0, -1), slice(0, 20), slice(0, 0)])
async def test_a_bent_blob_is_reported_and_never_read(cut: slice) -> None:
    app = ArchivedIntake()
    await app.receive("studio", [LEG])
    ((name, content),) = app.blobs.blobs.items()
    app.blobs.blobs[name] = content[cut]
    with pytest.raises(ValueError, match=name):
        await app.read()


async def test_a_blob_under_another_name_is_not_read() -> None:
    """Its name has its time: legs can't be moved to another day."""
    app = ArchivedIntake()
    await app.receive("studio", [LEG])
    ((_, content),) = app.blobs.blobs.items()
    app.blobs.blobs = {"2026-11-23/11/0000-x": content}

    with pytest.raises(ValueError, match="differs from the written content"):
        await app.read()


@pytest.mark.parametrize("key", ["", " ", "c2hvcnQ=", "no base64!", "QUFB " * 2])
def test_an_archive_needs_a_key_that_is_one(key: str) -> None:
    wanted = {"ARCHIVE_ENDPOINT": "https://x.test", "PERMINUTE_ARCHIVE_KEY": key}
    with pytest.raises(SettingsError, match="PERMINUTE_ARCHIVE_KEY"):
        Settings.from_environment(GOOD | wanted)
    assert Settings.from_environment(GOOD).archive_keys == ()


@pytest.fixture(scope="module")
def blob_service() -> Iterator[Azurite]:
    with start_azurite("blob") as running:
        yield running


async def test_names_are_listed_page_by_page(blob_service: Azurite) -> None:
    """Against Azurite's blob service: more blobs than a page holds, and none of another prefix."""
    from tests.contract.test_blobs import _container

    blobs = await _container(blob_service)
    try:
        wanted = [f"2026-11-23/10/{number:04d}-{uuid4().hex[:4]}" for number in range(12)]
        for name in [*wanted, "2026-11-23/11/0000-other"]:
            assert await blobs.put_once(name, b"x")
        assert await blobs.names("2026-11-23/10/", page_names=5) == wanted
        assert await blobs.names("2026-11-23/10/") == wanted
        assert await blobs.names("2026-11-24/") == []
    finally:
        await blobs.close()
