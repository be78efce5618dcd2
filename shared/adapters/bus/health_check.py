"""Whether the queue takes messages, and since when the oldest leg waits in it: a sender is opened
and closed, the first messages are peeked at, and nothing is sent or locked.

A separate connection: an old one may be dead without an error yet.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.adapters.bus.service_bus import BusConnection
from shared.domain.common.errors import QueueUnavailable
from shared.domain.legs.leg import read_queued_legs

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusClient

_PEEKED = 10  # scheduled retries stand among them, so the first one need not be the oldest


class QueueCheck:
    """A check of one queue; `connect` makes a connection, which the check closes."""

    def __init__(self, queue: str, connect: Callable[[], BusConnection]) -> None:
        self._queue = queue
        self._connect = connect

    async def __call__(self) -> datetime | None:
        """The time of receipt of the oldest leg among the first of the queue; None for an empty
        queue.

        Raises QueueUnavailable when the broker refuses access.
        """
        from azure.core.exceptions import AzureError

        connection = self._connect()
        try:
            return await self._open(connection.client())
        except (AzureError, OSError, ValueError) as error:
            raise QueueUnavailable("The queue cannot be reached.") from error
        finally:
            await connection.close()

    async def _open(self, client: "ServiceBusClient") -> datetime | None:
        sent, messages = await asyncio.gather(
            self._send_link(client), self._peek(client), return_exceptions=True
        )
        for outcome in (sent, messages):
            if isinstance(outcome, BaseException):
                raise outcome
        return min(map(_received_at, messages), default=None)  # type: ignore[arg-type]

    async def _send_link(self, client: "ServiceBusClient") -> None:
        async with client.get_queue_sender(self._queue) as sender:
            await sender.create_message_batch()  # reads the size limit of the open link

    async def _peek(self, client: "ServiceBusClient") -> "list[ServiceBusReceivedMessage]":
        async with client.get_queue_receiver(self._queue) as receiver:
            return await receiver.peek_messages(_PEEKED)


def _received_at(message: "ServiceBusReceivedMessage") -> datetime:
    """The time at which a bridge posted the leg; for an unreadable body, the time of its
    enqueuing."""
    try:
        return min(leg.received_at for leg in read_queued_legs(body_of(message)))
    except ValueError:
        return message.enqueued_time_utc or datetime.now(UTC)


def body_of(message: "ServiceBusReceivedMessage") -> bytes:
    """The body of a message; of a foreign one without bytes, its text."""
    try:
        return b"".join(message.body)
    except TypeError:
        return str(message).encode()
