"""The queue of ended calls, its inbox and backlog, and the topic of events."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.legs.dead_letters import DeadLetter, QueueCounts


@dataclass(frozen=True, slots=True)
class Message:
    """A message for the queue or the topic."""

    message_id: str
    body: bytes
    properties: Mapping[str, str]
    content_type: str = "application/json"


class CallQueue(Protocol):
    """The queue `call-ended`."""

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Returns once the broker has stored all messages; `at` schedules them for later. Raises
        QueueUnavailable when the outcome is uncertain.
        """
        ...


class QueueManagement(Protocol):
    """The management side of a queue or subscription, and its dead-letter queue."""

    async def counts(self) -> QueueCounts:
        """The counts that the broker keeps. Raises QueueUnavailable."""
        ...

    async def dead_letters(self, *, first: int, limit: int) -> list[DeadLetter]:
        """Dead letters from the sequence number `first` on, in order. Raises QueueUnavailable."""
        ...

    async def take(
        self, number: int, forward: Callable[[DeadLetter], Awaitable[None]]
    ) -> DeadLetter | None:
        """Lock a dead letter, pass it to `forward`, then remove it; None if there is none.

        It stays if `forward` raises. Raises QueueUnavailable.
        """
        ...


class Inbox(Protocol):
    """The spillover: legs that the queue could not take (docs/architecture.md)."""

    async def depth(self, *, limit: int) -> tuple[int, datetime | None]:
        """(number of messages, when the oldest was kept), of at most `limit` messages."""
        ...

    async def keep(self, messages: Sequence[Message], now: datetime) -> None:
        """Returns once all are durable. Raises StoreUnavailable when that is not certain."""
        ...

    async def waiting(self, *, limit: int) -> list[Message]:
        """At most `limit` of the stored messages."""
        ...

    async def sent(self, message: Message) -> None:
        """Delete a message; no effect if it is deleted already."""
        ...


class Backlog(Protocol):
    """The age of the oldest queued leg, and whether bridges request calls. While the queue is
    behind, no hold expires: its leg may be in the queue. While bridges request calls, a backlog is
    charged at a pace that leaves the store free for them."""

    async def seen(self, oldest_seconds: float) -> None:
        """Record a batch with the age of its oldest leg. Never raises."""
        ...

    async def seconds(self) -> int:
        """The age of the leg that is processed now; 0 when the queue keeps up or none is known."""
        ...

    def call_requested(self) -> None:
        """A bridge requests a call now: noted soon, without errors; frequent ones are left out."""
        ...

    async def are_calls_requested(self) -> bool:
        """Whether a call was requested in the last minute or so. Raises StoreUnavailable."""
        ...


class EventTopic(Protocol):
    """The topic `credit-events`."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Returns once the broker has stored all events, in order. Raises QueueUnavailable."""
        ...
