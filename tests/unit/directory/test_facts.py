"""Facts are cached briefly, never where that would show."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

import pytest

from shared.domain.common.errors import StoreUnavailable
from shared.ports.records import SavedDocument, StoredDocument
from shared.usecases.directory.codecs import Kind
from shared.usecases.directory.directory_cache import DirectoryCache
from tests.support.product import ManualClock

DOCUMENT = {
    "dialect": "perminute",
    "auth": {"scheme": "bearer", "username": None, "secrets": ["a-secret-of-the-tests"]},
    "accounts": ["*"],
    "default_account": None,
    "country": None,
    "on_outage": "deny",
}


class CountingRecords:
    """Records that count how often each was read, and can be held up."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], Mapping[str, object]] = {}
        self.reads: Counter[tuple[str, str]] = Counter()
        self.read_began = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, kind: str, key: str) -> StoredDocument | None:
        self.reads[kind, key] += 1
        self.read_began.set()
        document = self.documents.get((kind, key))
        await self.gate.wait()
        if document == {}:
            raise StoreUnavailable("down")
        return StoredDocument(key, document, 1) if document is not None else None

    async def put(self, *_: object, **__: object) -> SavedDocument:
        raise NotImplementedError

    async def delete(self, *_: object) -> bool:
        raise NotImplementedError

    async def list(self, *_: object, **__: object) -> tuple[list[StoredDocument], str | None]:
        raise NotImplementedError


class CachedDirectory:
    def __init__(self) -> None:
        self.records = CountingRecords()
        self.clock = ManualClock()
        self.facts = DirectoryCache(self.records, self.clock)
        self.records.documents["bridge", "local"] = DOCUMENT

    async def started(self) -> None:
        """Until a read is under way."""
        async with asyncio.timeout(5):
            await self.records.read_began.wait()

    @property
    def reads(self) -> int:
        return self.records.reads["bridge", "local"]


def test_a_fact_is_read_once_in_thirty_seconds() -> None:
    async def scene() -> None:
        directory = CachedDirectory()
        await directory.facts.bridge("local")
        directory.clock.advance(29.9)
        await directory.facts.bridge("local")
        assert directory.reads == 1
        directory.clock.advance(0.1)
        await directory.facts.bridge("local")
        assert directory.reads == 2

    asyncio.run(scene())


def test_absence_is_never_cached() -> None:
    async def scene() -> None:
        directory = CachedDirectory()
        assert await directory.facts.bridge("new") is None
        directory.records.documents["bridge", "new"] = DOCUMENT
        assert await directory.facts.bridge("new") is not None
        del directory.records.documents["bridge", "new"]
        assert await directory.facts.bridge("new", fresh=True) is None
        assert await directory.facts.bridge("new") is None

    asyncio.run(scene())


def test_our_own_writes_drop_what_is_cached() -> None:
    async def scene() -> None:
        directory = CachedDirectory()
        await directory.facts.bridge("local")
        directory.records.documents["bridge", "local"] = {**DOCUMENT, "country": "FR"}
        directory.facts.drop(Kind.BRIDGE, "local")
        found = await directory.facts.bridge("local")
        assert found is not None
        assert found.country == "FR"

    asyncio.run(scene())


def test_a_read_that_began_before_a_write_is_not_cached() -> None:
    async def scene() -> None:
        directory = CachedDirectory()
        directory.records.gate.clear()
        slow = asyncio.create_task(directory.facts.bridge("local"))
        await directory.started()
        directory.records.documents["bridge", "local"] = {**DOCUMENT, "country": "FR"}
        directory.facts.drop(Kind.BRIDGE, "local")
        directory.records.gate.set()
        before, after = await slow, await directory.facts.bridge("local")
        assert before is not None
        assert after is not None
        assert (before.country, after.country) == (None, "FR")

    asyncio.run(scene())


def test_what_was_read_before_a_request_came_does_not_answer_it() -> None:
    async def scene() -> None:
        directory = CachedDirectory()
        await directory.facts.bridge("local")
        read_at = directory.clock.now()
        await directory.facts.bridge("local", known_at=read_at)
        await directory.facts.bridge("local", known_at=read_at - timedelta(hours=1))
        assert directory.reads == 1
        directory.clock.advance(1)
        await directory.facts.bridge("local", known_at=read_at + timedelta(microseconds=1))
        assert directory.reads == 2

    asyncio.run(scene())


def test_many_who_request_at_once_share_one_read() -> None:
    async def scene() -> None:
        directory = CachedDirectory()
        found = await asyncio.gather(*(directory.facts.bridge("local") for _ in range(50)))
        assert len(found) == 50
        assert directory.reads == 1

    asyncio.run(scene())


def test_who_gives_up_waiting_takes_no_one_elses_answer_away() -> None:
    async def scene() -> None:
        directory = CachedDirectory()
        directory.records.gate.clear()
        first = asyncio.create_task(directory.facts.bridge("local"))
        second = asyncio.create_task(directory.facts.bridge("local"))
        await directory.started()
        first.cancel()
        await asyncio.sleep(0)
        directory.records.gate.set()
        assert await second is not None
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(scene())


def test_an_outage_is_not_cached() -> None:
    async def scene() -> None:
        directory = CachedDirectory()
        directory.records.documents["bridge", "local"] = {}
        with pytest.raises(StoreUnavailable):
            await directory.facts.bridge("local")
        directory.records.documents["bridge", "local"] = DOCUMENT
        assert await directory.facts.bridge("local") is not None

    asyncio.run(scene())
