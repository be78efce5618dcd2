"""What the broker counts of the queue of legs, and the messages that it gave up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.legs.leg import QueuedLeg, read_queued_legs


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Messages of a queue: those that wait or are scheduled, and those in its dead-letter queue."""

    messages: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that the broker gave up. `number` is its sequence number, which never repeats."""

    number: int
    body: bytes
    properties: Mapping[str, str]
    enqueued_at: datetime
    deliveries: int
    reason: str | None
    detail: str | None

    @property
    def queued(self) -> list[QueuedLeg]:
        """The legs that the message carries; none where its body can't be read."""
        try:
            return read_queued_legs(self.body)
        except ValueError:
            return []
