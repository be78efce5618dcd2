"""A receiver for the local Functions host: locked messages in batches, within milliseconds.

The Python SDK waits 0.2 s after the first message of a batch. In Azure the trigger's receiver is
not the Python SDK either, so the laptop's host reads the queue with proton directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class LockedMessage:
    """One delivery that is locked for this receiver until it is completed or abandoned.

    `delivery_count` is the AMQP header's: 0 at the first delivery (Azure Functions shows it
    plus 1). Times are aware UTC. Keys of `application_properties` are `str`.
    """

    body: bytes
    sequence_number: int
    lock_token: UUID
    delivery_count: int
    enqueued_time: datetime
    locked_until: datetime
    message_id: str | None = None
    application_properties: dict[str, Any] | None = None
    scheduled_enqueue_time: datetime | None = None
    content_type: str | None = None
    correlation_id: str | None = None
    subject: str | None = None
    to: str | None = None
    reply_to: str | None = None


class QueueReceiver:
    """Reads one queue or subscription over its own connection, in a thread of its own.

    One coroutine calls `next_batch` at a time; `complete` and `abandon` may run beside it.
    The connection is opened again for ever when the bus goes away.
    """

    def __init__(self, connection_string: str, entity: str) -> None:
        """Opens nothing yet. `entity`: `queue` or `topic/Subscriptions/name`."""
        raise NotImplementedError

    async def start(self) -> None:
        """Starts the thread; returns at once, whether or not the bus is there yet."""
        raise NotImplementedError

    async def next_batch(self, max_messages: int, wait_seconds: float) -> list[LockedMessage]:
        """Returns as soon as one message is there, with all that are there up to the limit.

        Empty after `wait_seconds` without a message, or while the bus is away. No more messages
        are locked than are returned.
        """
        raise NotImplementedError

    async def complete(self, messages: Sequence[LockedMessage]) -> int:
        """Removes them from the queue; returns how many the bus confirmed.

        Fewer than `len(messages)` means that locks were lost: those messages come again.
        """
        raise NotImplementedError

    async def abandon(self, messages: Sequence[LockedMessage]) -> int:
        """Gives them back, to come again at once with delivery_count + 1; returns how many."""
        raise NotImplementedError

    async def close(self) -> None:
        """Stops the thread and the connection; messages still held come again after their lock."""
        raise NotImplementedError
