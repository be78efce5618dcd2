"""Azure Service Bus, or the laptop's stand-in, behind the ports `CallQueue` and `EventTopic`.

The SDK's sender is not safe for concurrent use, and sending one by one is slow. So one pump owns
the sender: it takes all waiting messages, sends them as batches, and answers each caller once the
broker has accepted all messages of the call.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from shared.adapters.bus.validation import check_messages
from shared.adapters.credentials import azure_credential
from shared.domain.common import limits
from shared.domain.common.errors import QueueUnavailable
from shared.ports.queues import CallQueue, EventTopic, Message

if TYPE_CHECKING:
    from azure.identity.aio import ChainedTokenCredential, ManagedIdentityCredential
    from azure.servicebus import ServiceBusMessage
    from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

_log = logging.getLogger(__name__)


class BusConnection:
    """Makes the SDK's client when it is first needed: its import takes longer than a request."""

    def __init__(
        self,
        connection_string: str | None = None,
        namespace: str | None = None,
        client_id: str | None = None,
    ) -> None:
        """Either a connection string, or a fully qualified namespace for a managed identity."""
        if bool(connection_string) == bool(namespace):
            raise ValueError("Either a connection string or a namespace is needed.")
        self._connection_string = connection_string
        self._namespace = namespace
        self._client_id = client_id
        self._client: ServiceBusClient | None = None
        self._credential: ManagedIdentityCredential | ChainedTokenCredential | None = None

    def client(self) -> "ServiceBusClient":
        """The one client. It never retries by itself: the pump does, within its own limits."""
        from azure.servicebus.aio import ServiceBusClient

        if self._client is None:
            if self._connection_string:
                self._client = ServiceBusClient.from_connection_string(
                    self._connection_string, retry_total=0
                )
            else:
                self._credential = azure_credential(self._client_id)
                self._client = ServiceBusClient(
                    self._namespace or "", self._credential, retry_total=0
                )
        return self._client

    async def close(self) -> None:
        """Closes the created parts."""
        client, self._client = self._client, None
        credential, self._credential = self._credential, None
        if client is not None:
            await client.close()
        if credential is not None:
            await credential.close()


class ServiceBusQueue(CallQueue):
    """A queue. Opens its connection at the first send; for one event loop."""

    def __init__(self, queue: str, connection: BusConnection) -> None:
        self._pump = _Pump(connection, lambda client: client.get_queue_sender(queue))

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Returns once the broker has all of them. Raises QueueUnavailable, TooLarge."""
        await self._pump.send(messages, at)

    async def close(self) -> None:
        """Sends what waits, then closes the connection."""
        await self._pump.close()


class ServiceBusTopic(EventTopic):
    """A topic. Opens its connection at the first publish; for one event loop."""

    def __init__(self, topic: str, connection: BusConnection) -> None:
        self._pump = _Pump(connection, lambda client: client.get_topic_sender(topic))

    async def publish(self, messages: Sequence[Message]) -> None:
        """Returns once the broker has all of them, in order. Raises QueueUnavailable, TooLarge."""
        await self._pump.send(messages, None)

    async def close(self) -> None:
        """Publishes what waits, then closes the connection."""
        await self._pump.close()


class _PendingSend:
    """One caller's messages, and the awaited answer."""

    def __init__(self, messages: Sequence["ServiceBusMessage"]) -> None:
        self.messages = messages
        self.left_count = len(messages)
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def accepted_one(self) -> None:
        """The broker has one more of the messages."""
        self.left_count -= 1
        if self.left_count == 0 and not self.answer.done():
            self.answer.set_result(None)

    def fail(self) -> None:
        """The broker lacks some of them, or the outcome is unknown."""
        if not self.answer.done():
            self.answer.set_exception(QueueUnavailable("The broker did not confirm the messages."))


class _Pump:
    """The only user of the sender. Its task lives as long as something waits."""

    def __init__(
        self,
        connection: BusConnection,
        open_sender: Callable[["ServiceBusClient"], "ServiceBusSender"],
    ) -> None:
        self._connection = connection
        self._open_sender = open_sender
        self._sender: ServiceBusSender | None = None
        self._waiting: list[_PendingSend] = []
        self._task: asyncio.Task[None] | None = None

    async def send(self, messages: Sequence[Message], at: datetime | None) -> None:
        check_messages(messages)
        if not messages:
            return
        call = _PendingSend([_sdk_message(message, at) for message in messages])
        self._waiting.append(call)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        await call.answer

    async def close(self) -> None:
        if self._task is not None:
            await self._task
        await self._drop_sender()
        await self._connection.close()

    async def _run(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting, []
            rest = deque((call, message) for call in calls for message in call.messages)
            for last in (False,) * (limits.SEND_TRIES_MAX - 1) + (True,):
                try:
                    while rest:
                        await self._send_batch(rest)
                    break
                except Exception as error:  # noqa: BLE001 a broken sender raises anything at all
                    _log.warning("sending to the bus failed: %s", type(error).__name__)
                    await self._drop_sender()
                    if last:
                        for call in calls:
                            call.fail()

    async def _send_batch(self, rest: deque[tuple[_PendingSend, "ServiceBusMessage"]]) -> None:
        """Sends as many as one batch holds. The SDK's own time-out does not end all its waits."""
        seconds = limits.SEND_SECONDS_MAX / limits.SEND_TRIES_MAX
        async with asyncio.timeout(seconds):
            if self._sender is None:
                self._sender = self._open_sender(self._connection.client())
            batch = await self._sender.create_message_batch()
            for _, message in rest:
                try:
                    batch.add_message(message)
                except ValueError:  # full
                    if len(batch) == 0:
                        raise
                    break
            await self._sender.send_messages(batch, timeout=seconds)
        for _ in range(len(batch)):
            rest.popleft()[0].accepted_one()

    async def _drop_sender(self) -> None:
        """Closes the sender; after a failure its state can't be trusted."""
        sender, self._sender = self._sender, None
        if sender is None:
            return
        try:
            async with asyncio.timeout(limits.SENDER_CLOSE_SECONDS_MAX):
                await sender.close()
        except Exception as error:  # noqa: BLE001 it is given up anyway
            _log.info("a sender could not be closed in order: %s", type(error).__name__)


def _sdk_message(message: Message, at: datetime | None) -> "ServiceBusMessage":
    from azure.servicebus import ServiceBusMessage

    properties: dict[str | bytes, int | float | bytes | bool | str | UUID] = {}
    properties.update(message.properties)
    return ServiceBusMessage(
        message.body,
        message_id=message.message_id,
        content_type=message.content_type,
        application_properties=properties,
        scheduled_enqueue_time_utc=at,
    )
