"""Counts of the broker, and dead letters: messages that the broker gave up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.legs.leg import QueuedLeg, read_queued_legs


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Messages of a queue or subscription: those that wait or are scheduled, and dead letters."""

    messages: int
    dead_letters: int


class DeadLetterSource(StrEnum):
    """The origin of a dead letter: the queue of legs, or the subscription of webhooks."""

    QUEUE = "queue"
    WEBHOOKS = "webhooks"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that the broker gave up. `number` is its sequence number, unique in its source."""

    number: int
    body: bytes
    properties: Mapping[str, str]
    enqueued_at: datetime
    deliveries: int
    reason: str | None
    detail: str | None
    source: DeadLetterSource = DeadLetterSource.QUEUE

    @property
    def id(self) -> str:
        """The id in the API: the number, with the source before it where that is not the queue."""
        is_leg = self.source is DeadLetterSource.QUEUE
        return str(self.number) if is_leg else f"{self.source}-{self.number}"

    @property
    def queued(self) -> list[QueuedLeg]:
        """The legs that the message carries; none where its body can't be read."""
        try:
            return read_queued_legs(self.body)
        except ValueError:
            return []
