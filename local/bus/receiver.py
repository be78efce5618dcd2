"""A receiver for the local Functions host: locked messages in batches, within milliseconds.

The Python SDK waits 0.2 s after the first message of a batch. In Azure the trigger's receiver is
not the Python SDK either, so the laptop's host reads the queue with proton directly.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from proton import Delivery, Link, Message
from proton.reactor import ApplicationEvent, Container, EventInjector

from local.bus.guard import Guard

RECONNECT_SECONDS = 0.2
GOODBYE_SECONDS = 1.0

logger = logging.getLogger("local.bus")


@dataclass(frozen=True, slots=True)
class LockedMessage:
    """One delivery that is locked for this receiver until it is completed or abandoned.

    `lock_token` names the delivery to this receiver alone. `delivery_count` is the AMQP header's: 0 at the first delivery (Azure Functions shows it
    plus 1). Times are aware UTC. Keys of `application_properties` are `str`.
    """

    body: bytes
    sequence_number: int
    lock_token: UUID
    delivery_count: int
    enqueued_time: datetime
    locked_until: datetime
    application_properties: dict[str, Any]
    message_id: str | None = None
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
        settings = dict(part.split("=", 1) for part in connection_string.split(";") if part)
        host = settings["Endpoint"].removeprefix("sb://").rstrip("/")
        self._pump = _Pump(f"amqp://{host}", entity)
        self._thread = threading.Thread(target=self._pump.run, name=f"bus {entity}", daemon=True)

    async def start(self) -> None:
        """Starts the thread; returns at once, whether or not the bus is there yet."""
        self._thread.start()

    async def next_batch(self, max_messages: int, wait_seconds: float) -> list[LockedMessage]:
        """Returns as soon as one message is there, with all that are there up to the limit.

        Empty after `wait_seconds` without a message, or when the bus went away meanwhile. No more
        messages are locked than are returned.
        """
        batch = _Batch(max_messages, time.monotonic() + wait_seconds)
        self._pump.post(lambda: self._pump.begin(batch))
        return await asyncio.wrap_future(batch.future)

    async def complete(self, messages: Sequence[LockedMessage]) -> int:
        """Removes them from the queue; returns how many the bus confirmed.

        Fewer than `len(messages)` means that locks were lost: those messages come again.
        """
        return await self._settle(messages, Delivery.ACCEPTED)

    async def abandon(self, messages: Sequence[LockedMessage]) -> int:
        """Gives them back, to come again at once with delivery_count + 1; returns how many."""
        return await self._settle(messages, Delivery.MODIFIED)

    async def close(self) -> None:
        """Stops the thread and the connection; messages still held come again after their lock."""
        self._pump.post(self._pump.stop)
        await asyncio.to_thread(self._thread.join)

    async def _settle(self, messages: Sequence[LockedMessage], state: Any) -> int:
        group = _Group({message.lock_token for message in messages}, state)
        self._pump.post(lambda: self._pump.settle(group))
        return await asyncio.wrap_future(group.future)


class _Batch:
    """One call of `next_batch`."""

    def __init__(self, max_messages: int, deadline: float) -> None:
        self.max_messages, self.deadline = max_messages, deadline
        self.messages: list[LockedMessage] = []
        self.future: Future[list[LockedMessage]] = Future()


class _Group:
    """One call of `complete` or `abandon`: answered when each outcome is known."""

    def __init__(self, tokens: set[UUID], state: Any) -> None:
        self.waiting, self.state, self.confirmed_count = tokens, state, 0
        self.future: Future[int] = Future()

    def resolve(self, token: UUID, *, confirmed: bool) -> None:
        """Notes one outcome."""
        self.waiting.discard(token)
        self.confirmed_count += confirmed
        self.finish_if_done()

    def finish_if_done(self) -> None:
        """Answers once nothing is awaited."""
        if not self.waiting and not self.future.done():
            self.future.set_result(self.confirmed_count)


class _Pump:
    """The thread's side: everything but `post` runs in the thread."""

    def __init__(self, url: str, entity: str) -> None:
        self._url, self._entity = url, entity
        self._injector = EventInjector()
        self._commands: deque[Callable[[], None]] = deque()
        self._container = Container(Guard(self))
        self._connection: Any = None
        self._link: Any = None
        self._batch: _Batch | None = None
        self._draining = False
        self._timer: Any = None
        self._held: dict[UUID, Any] = {}
        self._groups: dict[UUID, _Group] = {}
        self._stopping = False

    def post(self, command: Callable[[], None]) -> None:
        """Runs the command in the thread; may be called from anywhere."""
        self._commands.append(command)
        self._injector.trigger(ApplicationEvent("command"))

    def run(self) -> None:
        """The thread."""
        self._container.selectable(self._injector)
        self._container.schedule(0, self)
        self._container.run()

    def begin(self, batch: _Batch) -> None:
        """Asks for messages: credit for the whole batch; the first arrival makes it a drain."""
        self._batch = batch
        wait_seconds = max(batch.deadline - time.monotonic(), 0)
        self._timer = self._container.schedule(wait_seconds, _Deadline(self, batch))
        self._ask()

    def expire(self, batch: _Batch) -> None:
        """The wait is over: takes back the credit, or answers at once if nothing is asked."""
        if self._batch is batch and not batch.messages:
            if self._link is None:
                self._answer()
            else:
                self._drain()

    def settle(self, group: _Group) -> None:
        """Sends the outcome of each message that is still held."""
        for token in list(group.waiting):
            delivery = self._held.pop(token, None)
            if delivery is None:
                group.resolve(token, confirmed=False)
            else:
                self._groups[token] = group
                if group.state == Delivery.MODIFIED:
                    delivery.local.failed = True
                delivery.update(group.state)
        group.finish_if_done()

    def stop(self) -> None:
        """Ends the thread, after the bus has said goodbye or does not answer."""
        self._stopping = True
        if self._connection is not None:
            self._connection.close()
        self._container.schedule(GOODBYE_SECONDS if self._connection is not None else 0, self)
        self._lose()

    def on_command(self, _event: Any) -> None:
        """Runs what was posted."""
        while self._commands:
            self._commands.popleft()()

    def on_timer_task(self, _event: Any) -> None:
        """Connects, at first and after a loss; or ends the thread."""
        if self._stopping:
            self._injector.close()
            self._container.stop()
        elif self._connection is None:
            self._connection = self._container.connect(self._url, reconnect=False)

    def on_connection_remote_open(self, event: Any) -> None:
        """Attaches the link, with the settle modes of a peek-lock receiver."""
        session = event.connection.session()
        session.open()
        link = session.receiver(f"receiver-{self._entity}")
        link.source.address = self._entity
        link.rcv_settle_mode = Link.RCV_SECOND
        link.open()

    def on_link_remote_open(self, event: Any) -> None:
        """The link is there: gives credit for the batch that waits."""
        if event.link.remote_source.address is not None:
            self._link = event.link
            self._ask()

    def on_link_remote_close(self, event: Any) -> None:
        """The bus refused or ended the link."""
        condition = event.link.remote_condition
        logger.warning("the bus closed the link to %s: %s", self._entity, condition)
        event.connection.close()

    def on_connection_remote_close(self, event: Any) -> None:
        """The bus ends the connection."""
        event.connection.close()

    def on_transport_closed(self, event: Any) -> None:
        """The connection is gone: connects again, for ever, unless it was ours to end."""
        self._lose()
        self._container.schedule(0 if self._stopping else RECONNECT_SECONDS, self)

    def on_delivery(self, event: Any) -> None:
        """A message, or the bus's answer to an outcome."""
        delivery, link = event.delivery, event.link
        if delivery.readable and not delivery.partial:
            data = link.recv(delivery.pending)
            link.advance()
            self._take(delivery, data)
        elif delivery.updated and delivery.settled:
            token = getattr(delivery, "lock_token", None)
            group = self._groups.pop(token, None) if token else None
            if token and group is not None:
                group.resolve(token, confirmed=delivery.remote_state == group.state)
            delivery.settle()

    def on_link_flow(self, event: Any) -> None:
        """The bus answered the drain: there was nothing more."""
        if self._link is not None and event.link == self._link:
            self._answer_if_drained()

    def _take(self, delivery: Any, data: bytes) -> None:
        batch = self._batch
        message = _decoded(data)
        delivery.lock_token = message.lock_token
        if batch is None:
            self._give_back([delivery])
            return
        self._held[message.lock_token] = delivery
        batch.messages.append(message)
        if len(batch.messages) == batch.max_messages:
            self._answer()
        elif not self._draining:
            self._drain()
        else:
            self._answer_if_drained()

    def _ask(self) -> None:
        if self._link is not None and self._batch is not None:
            self._link.flow(self._batch.max_messages)

    def _drain(self) -> None:
        if not self._draining:
            self._draining = True
            self._link.drain(0)

    def _answer_if_drained(self) -> None:
        if self._draining and self._link.credit == 0:
            self._answer()

    def _answer(self) -> None:
        batch, self._batch, self._draining = self._batch, None, False
        if batch is not None:
            self._timer.cancel()
            try:
                batch.future.set_result(batch.messages)
            except InvalidStateError:  # the caller has gone: the messages shall not wait for it
                self._give_back([self._held.pop(m.lock_token) for m in batch.messages])

    def _give_back(self, deliveries: list[Any]) -> None:
        for delivery in deliveries:
            delivery.update(Delivery.RELEASED)

    def _lose(self) -> None:
        """Forgets all that belonged to the connection; callers learn it."""
        self._link = self._connection = None
        self._held.clear()
        for token, group in list(self._groups.items()):
            group.resolve(token, confirmed=False)
        self._groups.clear()
        if self._batch is not None:
            self._batch.messages.clear()
            self._answer()


class _Deadline:
    """The end of one batch's wait."""

    def __init__(self, pump: _Pump, batch: _Batch) -> None:
        self._pump, self._batch = pump, batch

    def on_timer_task(self, _event: Any) -> None:
        """Tells the pump."""
        self._pump.expire(self._batch)


def _decoded(data: bytes) -> LockedMessage:
    message: Any = Message()
    message.decode(data)
    annotations = message.annotations or {}
    scheduled_ms = annotations.get("x-opt-scheduled-enqueue-time")
    body = message.body
    content_type = str(message.content_type)  # proton makes a symbol of None
    return LockedMessage(
        body=body.encode() if isinstance(body, str) else bytes(body or b""),
        sequence_number=annotations["x-opt-sequence-number"],
        lock_token=uuid4(),
        delivery_count=message.delivery_count,
        enqueued_time=_time(annotations["x-opt-enqueued-time"]),
        locked_until=_time(annotations["x-opt-locked-until"]),
        application_properties={str(k): v for k, v in (message.properties or {}).items()},
        message_id=None if message.id is None else str(message.id),
        scheduled_enqueue_time=None if scheduled_ms is None else _time(scheduled_ms),
        content_type=None if content_type == "None" else content_type,
        correlation_id=None if message.correlation_id is None else str(message.correlation_id),
        subject=message.subject,
        to=message.address,
        reply_to=message.reply_to,
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
