"""What outlives a killed process: tables that record their call sites; queue, topic, receiver
and blobs in files."""

import contextvars
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.adapters.ledger.anchors import BlobAnchors
from shared.domain.common.errors import QueueUnavailable, StoreUnavailable
from shared.domain.delivery.webhooks import ReceiverResponse
from shared.domain.directory.entities import Account
from shared.ports.clock import Clock
from shared.ports.deliveries import WebhookSender
from shared.ports.queues import CallQueue, EventTopic, Message
from shared.ports.tables import Operation, Row, TableStore
from tests.faults.app import AsyncProduct, Delivered
from tests.faults.ports import Forwarded
from tests.support import crash_points

ACT: contextvars.ContextVar[str] = contextvars.ContextVar("act", default="")


@dataclass(slots=True)
class Passage:
    """The points that a process passes. It is killed at the first one of its name."""

    log: Path
    deadly: str | None

    def at(self, point: str | None) -> None:
        """Here is a point, or none."""
        if point is None:
            return
        with self.log.open("a", encoding="utf-8") as file:
            file.write(point + "\n")
        if point == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)


class ScenarioTables(Forwarded):
    """Table storage that records its call sites. While `refuses`, no leg is claimed."""

    def __init__(self, inner: TableStore, passage: Passage) -> None:
        super().__init__(inner)
        self._passage = passage
        self.refuses = False

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """One row."""
        self._passage.at(crash_points.at_read(ACT.get()))
        return await super().get(table, partition, key)

    async def query(self, table: str, partition: str, **words: Any) -> list[Row]:
        """Rows of a partition."""
        self._passage.at(crash_points.at_read(ACT.get()))
        return await super().query(table, partition, **words)

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        """A transaction."""
        if self.refuses and table == "legs":
            raise StoreUnavailable("busy")
        self._passage.at(crash_points.at_write(ACT.get(), table, operations, "before"))
        etags = await super().transact(table, partition, operations)
        for when in ("landed", "after"):
            self._passage.at(crash_points.at_write(ACT.get(), table, operations, when))
        return etags


class FolderQueue(CallQueue):
    """A queue in a folder, a file a message. A known id is dropped, as the broker does."""

    def __init__(self, folder: Path, passage: Passage) -> None:
        self._folder = folder
        self._passage = passage
        self.refuses = False

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Keeps them, or raises; all are due at once."""
        if messages:
            self._passage.at(crash_points.at_queue(ACT.get(), "before"))
        if self.refuses:
            raise QueueUnavailable("The queue does not confirm.")
        for message in messages:
            path = self._folder / message.message_id
            if path.exists() or path.with_suffix(".done").exists():
                continue
            document = {"body": message.body.decode(), "properties": dict(message.properties)}
            path.with_suffix(".new").write_text(json.dumps(document), "utf-8")
            path.with_suffix(".new").rename(path)
        if messages:
            self._passage.at(crash_points.at_queue(ACT.get(), "after"))

    def take(self) -> dict[Path, Delivered]:
        """All that waits."""
        found: dict[Path, Delivered] = {}
        for path in sorted(self._folder.iterdir()):
            if path.suffix not in {".new", ".done"}:
                document = json.loads(path.read_text("utf-8"))
                found[path] = Delivered(document["body"].encode(), document["properties"])
        return found

    def complete(self, paths: Sequence[Path]) -> None:
        """They are settled."""
        for path in paths:
            path.rename(f"{path}.done")


class ScenarioTopic(EventTopic):
    """Appends to a file."""

    def __init__(self, path: Path, passage: Passage) -> None:
        self._path = path
        self._passage = passage

    async def publish(self, messages: Sequence[Message]) -> None:
        """Appends them in order."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(message.body.decode() + "\n" for message in messages)
        self._passage.at(crash_points.at_topic(messages, "after"))

    def published(self) -> list[bytes]:
        """All of it, in order."""
        return self._path.read_bytes().splitlines() if self._path.exists() else []


class ScenarioReceiver(WebhookSender):
    """A customer's server: writes down what it got, and takes it."""

    def __init__(self, path: Path, passage: Passage) -> None:
        self._path = path
        self._passage = passage

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        """Takes it."""
        with self._path.open("ab") as file:
            file.write(body + b"\n")
        self._passage.at(crash_points.at_post("after"))
        return ReceiverResponse(200)


class FolderBlobs:
    """Blobs in a folder, each written once."""

    def __init__(self, folder: Path, passage: Passage) -> None:
        self._folder = folder
        self._passage = passage

    async def put_once(self, name: str, content: bytes) -> bool:
        """Writes one that is not there yet."""
        path = self._folder / name.replace("/", "-")
        is_new = not path.exists()
        if is_new:
            path.with_suffix(".new").write_bytes(content)
            path.with_suffix(".new").rename(path)
        self._passage.at(crash_points.at_blob("after"))
        return is_new

    async def get(self, name: str) -> bytes | None:
        """One, or None."""
        path = self._folder / name.replace("/", "-")
        return path.read_bytes() if path.exists() else None


@dataclass(frozen=True, slots=True)
class Alone:
    """A directory of one account."""

    account: Account

    async def page(self, *_: object, **__: object) -> tuple[list[Account], None]:
        """It."""
        return [self.account], None


@dataclass(frozen=True, slots=True)
class Ahead(Clock):
    """A clock that is so many seconds ahead."""

    seconds: float

    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC) + timedelta(seconds=self.seconds)


def outside(app: AsyncProduct, folder: Path, passage: Passage) -> None:
    """Hands in a receiver and a store of anchors."""
    app.container.webhook_sender = ScenarioReceiver(folder / "received.jsonl", passage)
    (folder / "anchors").mkdir(exist_ok=True)
    app.container.__dict__["anchors"] = BlobAnchors(FolderBlobs(folder / "anchors", passage))
