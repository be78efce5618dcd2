"""A receiver for the local Functions host: locked messages in batches, within milliseconds.

The Python SDK waits 0.2 s after the first message of a batch. In Azure the trigger's receiver is
not the Python SDK either, so the laptop's host reads the queue with proton directly.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from proton import Delivery, Link, Message
from proton.reactor import Container

from local.bus.guard import Guard

RECONNECT_SECONDS = 0.2
ANSWER_SECONDS = 5.0
SLICE_SECONDS = 0.05

logger = logging.getLogger("local.bus")


@dataclass(frozen=True, slots=True)
class LockedMessage:
    """One delivery that is locked for this receiver until it is completed or abandoned.

    `lock_token` names the delivery to this receiver alone. `delivery_count` is the AMQP header's:
    0 at the first delivery (Azure Functions shows it plus 1). Times are aware UTC.
    """

    body: bytes
    sequence_number: int
    lock_token: UUID
    delivery_count: int
    enqueued_time: datetime
    application_properties: dict[str, Any]
    message_id: str | None = None
    content_type: str | None = None
    correlation_id: str | None = None
    subject: str | None = None


class QueueReceiver:
    """Reads one queue or subscription over its own connection, in a separate thread.

    Calls take turns: while one waits for messages, the others wait too. The connection is opened
    again without end when the bus is away.
    """

    def __init__(self, connection_string: str, entity: str) -> None:
        """Opens nothing yet. `entity`: `queue` or `topic/Subscriptions/name`."""
        settings = dict(part.split("=", 1) for part in connection_string.split(";") if part)
        host = settings["Endpoint"].removeprefix("sb://").rstrip("/")
        self._link = _Link(f"amqp://{host}", entity)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"bus {entity}")

    async def next_batch(self, max_messages: int, wait_seconds: float) -> list[LockedMessage]:
        """Wait for a message; returns all present messages up to the limit.

        Empty after `wait_seconds` without a message, or when the bus goes away meanwhile. No more
        messages are locked than are returned.
        """
        return await self._run(self._link.next_batch, max_messages, wait_seconds)

    async def complete(self, messages: Sequence[LockedMessage]) -> int:
        """Removes them from the queue; returns how many the bus confirmed.

        Fewer than `len(messages)` means that locks were lost: those messages come again.
        """
        return await self._run(self._link.settle, messages, Delivery.ACCEPTED)

    async def abandon(self, messages: Sequence[LockedMessage]) -> int:
        """Gives them back, to come again at once with delivery_count + 1; returns how many."""
        return await self._run(self._link.settle, messages, Delivery.MODIFIED)

    async def close(self) -> None:
        """Ends the connection; messages still held come again after their lock."""
        self._link.closing = True
        await self._run(self._link.close)
        self._thread.shutdown()

    async def _run[*Arguments, Result](
        self, function: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


class _Link:
    """The connection and its one link; proton runs only while a call waits for something."""

    def __init__(self, url: str, entity: str) -> None:
        self._url, self._entity = url, entity
        self._container: Any = None
        self._connection: Any = None
        self._receiver: Any = None
        self._inbox: list[LockedMessage] = []
        self._held: dict[UUID, Any] = {}
        self._next_try_s = 0.0
        self.closing = False

    def connect(self, deadline_s: float = 0.0) -> bool:
        """True if there is a connection, opened if need be until the deadline."""
        while self._receiver is None and not self.closing:
            # The old connection says goodbye first: a bus that only stalled would else go on giving
            # messages to its link.
            self._until(lambda: False, self._next_try_s)
            time.sleep(max(self._next_try_s - time.monotonic(), 0))
            self._next_try_s = time.monotonic() + RECONNECT_SECONDS
            self._container = Container(Guard(self))
            self._container.start()
            self._connection = self._container.connect(self._url, reconnect=False)
            self._until(lambda: self._receiver is not None, time.monotonic() + ANSWER_SECONDS)
            if time.monotonic() >= deadline_s:
                break
        return self._receiver is not None

    def next_batch(self, max_messages: int, wait_seconds: float) -> list[LockedMessage]:
        """As the receiver's. Credit for the whole batch; the first arrival makes it a drain."""
        deadline_s = time.monotonic() + wait_seconds
        if not self.connect(deadline_s):
            return []
        receiver = self._receiver
        receiver.flow(max_messages)
        self._until(lambda: bool(self._inbox) or self.closing, deadline_s)
        if self._receiver is not None and receiver.credit:
            receiver.drain(0)
            if not self._until(lambda: receiver.credit == 0, time.monotonic() + ANSWER_SECONDS):
                self._lose()
        batch, self._inbox = self._inbox, []
        return batch

    def settle(self, messages: Sequence[LockedMessage], state: Any) -> int:
        """Sends an outcome for each message and waits for the bus's answers."""
        tokens = [message.lock_token for message in messages]
        deliveries = [self._held.pop(token) for token in tokens if token in self._held]
        for delivery in deliveries:
            delivery.local.failed = state == Delivery.MODIFIED
            delivery.update(state)
        deadline_s = time.monotonic() + ANSWER_SECONDS
        if not self._until(lambda: all(one.settled for one in deliveries), deadline_s):
            self._lose()
            return 0
        confirmed_count = len([one for one in deliveries if one.remote_state == state])
        for delivery in deliveries:
            delivery.settle()
        return confirmed_count

    def close(self) -> None:
        """Closes the connection and waits until the bus has answered or is gone."""
        self._lose()
        self._until(lambda: False, time.monotonic() + ANSWER_SECONDS)

    def on_connection_remote_open(self, event: Any) -> None:
        """Attaches the link, with the settle modes of a peek-lock receiver."""
        session = event.connection.session()
        session.open()
        link = session.receiver(f"receiver-{self._entity}")
        link.source.address = self._entity
        link.rcv_settle_mode = Link.RCV_SECOND
        link.open()

    def on_link_remote_open(self, event: Any) -> None:
        """True if the link is attached: the bus may open a link only to refuse it."""
        if event.link.remote_condition is None:
            self._receiver = event.link

    def on_link_remote_close(self, event: Any) -> None:
        """The bus refused or ended the link."""
        logger.warning("no link to %s: %s", self._entity, event.link.remote_condition)
        self._lose()

    def on_transport_closed(self, _event: Any) -> None:
        """The connection is gone, and every held message with it."""
        self._lose()

    def on_delivery(self, event: Any) -> None:
        """Takes a message in. Outcomes are read where they are awaited."""
        delivery = event.delivery
        if delivery.readable and not delivery.partial:
            message = _decoded(event.link.recv(delivery.pending))
            event.link.advance()
            self._held[message.lock_token] = delivery
            self._inbox.append(message)

    def _until(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        """Runs proton until the condition holds; False if time or connection ran out before."""
        while not condition():
            left_seconds = deadline_s - time.monotonic()
            if left_seconds <= 0 or self._container is None:
                return False
            self._container.timeout = min(left_seconds, SLICE_SECONDS)
            if not self._container.process():
                self._container = None
        return True

    def _lose(self) -> None:
        """Ends the connection, with which the deliveries that are held can't be settled."""
        if self._connection is not None:
            self._connection.close()
            self._next_try_s = time.monotonic() + RECONNECT_SECONDS
        self._receiver = self._connection = None
        self._inbox.clear()
        self._held.clear()


def _decoded(data: bytes) -> LockedMessage:
    message: Any = Message()
    message.decode(data)
    annotations = message.annotations or {}
    body = message.body
    content_type = str(message.content_type)  # proton makes a symbol of None
    return LockedMessage(
        body=body.encode() if isinstance(body, str) else bytes(body or b""),
        sequence_number=annotations["x-opt-sequence-number"],
        lock_token=uuid4(),
        delivery_count=message.delivery_count,
        enqueued_time=datetime.fromtimestamp(annotations["x-opt-enqueued-time"] / 1000, UTC),
        application_properties={str(k): v for k, v in (message.properties or {}).items()},
        message_id=None if message.id is None else str(message.id),
        content_type=None if content_type == "None" else content_type,
        correlation_id=None if message.correlation_id is None else str(message.correlation_id),
        subject=message.subject,
    )
