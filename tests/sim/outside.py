"""What lies outside of a process, and outlives it: queue, topic, receivers of events, blobs."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.adapters.bus.validation import check_messages
from shared.domain.common.errors import QueueUnavailable, StoreUnavailable
from shared.domain.delivery.webhooks import ReceiverResponse
from shared.ports.queues import Message
from tests.sim.scheduler import ACT, START
from tests.support import crash_points

if TYPE_CHECKING:
    from tests.sim.deployment import Deployment, Process

DUPLICATE_WINDOW_SECONDS = 600.0
LOCK_SECONDS = 30.0
RECEIVER_FAILURES_MAX = 3
"""Of one event: the pauses after more of them would outlast the run."""


@dataclass
class _Queued:
    message: Message
    visible_at: float
    number: int
    deliveries: int = 0


def shortened(message: Message) -> str:
    """Enough of a message's id to find it in the log: leg, content, attempt."""
    return ".".join(part[:8] for part in message.message_id.split("."))


class Broker:
    """Queue and topic: at least once, with duplicate detection and locks."""

    def __init__(self, deployment: "Deployment") -> None:
        self._deployment = deployment
        self._seen: dict[str, float] = {}
        self.waiting: list[_Queued] = []
        self.published: list[Message] = []
        self.undelivered: list[Message] = []
        """What the subscription `webhooks` has not been rid of; nothing where no one wants it."""
        self.subscribers: set[str] = set()
        self.hears: Callable[[Message], None] = lambda _: None
        self.locked_until = 0.0
        self.dropped = 0
        self._changed = asyncio.Event()

    def is_due(self, now: float) -> bool:
        """Whether there is a message that can be had."""
        return any(each.visible_at <= now for each in self.waiting)

    def has_undelivered(self, now: float) -> bool:
        """Whether the subscription has something to hand over."""
        return bool(self.undelivered) and self.locked_until <= now

    async def something(self, until: float) -> None:
        """Returns when a message can be had, or it is that late."""
        self._changed.clear()
        next_at = min([until, *(each.visible_at for each in self.waiting)])
        if self.undelivered:
            next_at = min(next_at, self.locked_until)
        seconds = next_at - self._deployment.scheduler.seconds()
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    def accept(self, messages: Sequence[Message], at: datetime | None) -> None:
        now = self._deployment.scheduler.seconds()
        for message in messages:
            last = self._seen.get(message.message_id)
            if last is not None and now - last < DUPLICATE_WINDOW_SECONDS:
                self.dropped += 1
                self._deployment.scheduler.note(f"  dropped {shortened(message)}")
                continue
            self._seen[message.message_id] = now
            due = now if at is None else (at - START).total_seconds()
            self.waiting.append(_Queued(message, max(now, due), len(self._seen)))
            self._changed.set()
            self._deployment.scheduler.note(f"  queued {shortened(message)}")

    def publish(self, messages: Sequence[Message]) -> None:
        """The topic has them."""
        for message in messages:
            self.published.append(message)
            if message.properties["account"] in self.subscribers:
                self.undelivered.append(message)
                self._changed.set()
            self.hears(message)

    def delivered(self, batch: Sequence[Message]) -> None:
        """The subscription is rid of these."""
        self.undelivered = [
            each for each in self.undelivered if not any(each is done for done in batch)
        ]

    def lock(self, count: int) -> list[_Queued]:
        """The next messages that can be had, out of sight of others for the time of a lock."""
        now = self._deployment.scheduler.seconds()
        found = sorted(
            (each for each in self.waiting if each.visible_at <= now), key=lambda each: each.number
        )[:count]
        for each in found:
            each.visible_at = now + LOCK_SECONDS
            each.deliveries += 1
            self._deployment.scheduler.note(f"  locked {shortened(each.message)}")
        return found

    def complete(self, batch: Sequence[_Queued]) -> None:
        for each in batch:
            if each in self.waiting:
                self.waiting.remove(each)

    def abandon(self, batch: Sequence[_Queued]) -> None:
        for each in batch:
            each.visible_at = self._deployment.scheduler.seconds()
        self._changed.set()


class SimQueueClient:
    """The queue as one process meets it."""

    def __init__(self, deployment: "Deployment", process: "Process") -> None:
        self._deployment = deployment
        self._process = process

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        check_messages(messages)
        scheduler = self._deployment.scheduler

        def point(when: str) -> str | None:
            return crash_points.at_queue(ACT.get(), when) if messages else None

        await scheduler.pause("queue.before_send", self._process, lambda: point("before"))
        if scheduler.happens("queue_lost_request"):
            raise QueueUnavailable("no answer")
        if messages and scheduler.happens("queue_lost_reply"):
            part = scheduler.rng.randint(0, len(messages))
            self._deployment.broker.accept(messages[:part], at)
            raise QueueUnavailable("no answer")
        self._deployment.broker.accept(messages, at)
        await scheduler.pause("queue.after_send", self._process, lambda: point("after"))


class SimTopicClient:
    """The topic as one process meets it."""

    def __init__(self, deployment: "Deployment", process: "Process") -> None:
        self._deployment = deployment
        self._process = process

    async def publish(self, messages: Sequence[Message]) -> None:
        check_messages(messages)
        scheduler = self._deployment.scheduler
        await scheduler.pause("topic.before_publish", self._process)
        if scheduler.happens("topic_lost_request"):
            raise QueueUnavailable("no answer")
        self._deployment.broker.publish(messages)
        if scheduler.happens("topic_lost_reply"):
            raise QueueUnavailable("no answer")
        await scheduler.pause(
            "topic.after_publish",
            self._process,
            lambda: crash_points.at_topic(messages, "after"),
        )


class Receivers:
    """Customers' servers: what they got, and how often they did not take it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.failures: Counter[str] = Counter()

    def audited(self, broker: Broker) -> list[str]:
        """Every event of a subscriber came, and nothing else, each with one content."""
        delivered = {
            each.message_id
            for each in broker.published
            if each.properties["account"] in broker.subscribers
        }
        contents = dict(reversed(self.got))
        return [
            *(f"event {each} reached nobody" for each in sorted(delivered - contents.keys())),
            *(f"event {each} was never published" for each in sorted(contents.keys() - delivered)),
            *(
                f"event {each} was posted with two contents"
                for each, body in self.got
                if contents[each] != body
            ),
        ]


class SimSender:
    """The way to receivers, from one process."""

    def __init__(self, deployment: "Deployment", process: "Process") -> None:
        self._deployment = deployment
        self._process = process

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        scheduler, receivers = self._deployment.scheduler, self._deployment.receivers
        event = str(json.loads(body)["id"])
        await scheduler.pause("receiver.before_post", self._process)
        is_patient = receivers.failures[event] < RECEIVER_FAILURES_MAX
        if is_patient and scheduler.happens("receiver_down"):
            receivers.failures[event] += 1
            return ReceiverResponse(500)
        receivers.got.append((event, body))
        scheduler.note(f"  received {event}")
        if is_patient and scheduler.happens("receiver_lost_reply"):
            receivers.failures[event] += 1
            return ReceiverResponse(None, "no answer")
        await scheduler.pause(
            "receiver.after_post", self._process, lambda: crash_points.at_post("after")
        )
        return ReceiverResponse(200)


class SimBlobs:
    """Blobs that are written once, as one process meets them."""

    def __init__(self, deployment: "Deployment", process: "Process") -> None:
        self._deployment = deployment
        self._process = process

    async def put_once(self, name: str, content: bytes) -> bool:
        scheduler = self._deployment.scheduler
        await scheduler.pause("blobs.before_write", self._process)
        if scheduler.happens("busy"):
            raise StoreUnavailable("busy")
        is_new = name not in self._deployment.blobs
        self._deployment.blobs.setdefault(name, content)
        if scheduler.happens("lost_reply"):
            raise StoreUnavailable("no answer")
        await scheduler.pause(
            "blobs.after_write", self._process, lambda: crash_points.at_blob("after")
        )
        return is_new

    async def get(self, name: str) -> bytes | None:
        await self._deployment.scheduler.pause("blobs.read", self._process)
        return self._deployment.blobs.get(name)
