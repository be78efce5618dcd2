"""Counts of a queue or subscription from the broker's management side, and its dead letters.

Counts come from its Atom document (HTTP), which needs the right to manage that entity.
azure-servicebus has a client for it, whose address is always https and whose import takes 0.6 s of
CPU; one GET needs neither.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from shared.adapters.bus.health_check import body_of
from shared.adapters.bus.service_bus import BusConnection
from shared.adapters.credentials import Pipeline, connection_parts
from shared.domain.common import limits
from shared.domain.common.errors import QueueUnavailable
from shared.domain.legs.dead_letters import DeadLetter, QueueCounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusReceiver

API_VERSION = "2021-05"
SCOPE = "https://servicebus.azure.net/.default"
_COUNT = re.compile(r"<(?:\w+:)?(\w+)MessageCount[^>]*>([0-9]+)<")
_TOKEN_SECONDS = 600


class ServiceBusManagement:
    """Implements the port `QueueManagement` for a queue, or for a subscription of a topic.
    `connect` makes a connection, closed after each call; `endpoint` is where the management side
    answers, if not at the namespace itself."""

    def __init__(
        self,
        entity: str,
        connect: Callable[[], BusConnection],
        *,
        subscription: str | None = None,
        connection_string: str | None = None,
        namespace: str | None = None,
        client_id: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        self._entity = entity
        self._subscription = subscription
        self._path = f"{entity}/subscriptions/{subscription}" if subscription else entity
        self._connect = connect
        self._parts = connection_parts(connection_string)
        host = namespace or self._parts.get("Endpoint", "").removeprefix("sb://").rstrip("/")
        self._endpoint = (endpoint or f"https://{host}").rstrip("/")
        seconds = limits.HEALTH_SECONDS_MAX
        self._pipeline = Pipeline(
            scope=SCOPE, client_id=client_id, identify=not self._parts, tries=2, seconds=seconds
        )

    async def counts(self) -> QueueCounts:
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        url = f"{self._endpoint}/{self._path}?api-version={API_VERSION}"
        headers = {"authorization": self._signature()} if self._parts else {}
        try:
            response = await self._pipeline.send(HttpRequest("GET", url, headers=headers))
        except AzureError as error:
            raise QueueUnavailable("The management of the queue does not answer.") from error
        if response.status_code != 200:
            raise QueueUnavailable(f"The management of the queue answers {response.status_code}.")
        counts = {name: int(count) for name, count in _COUNT.findall(response.text())}
        if not {"Active", "DeadLetter"} <= counts.keys():
            raise QueueUnavailable("The management of the queue returned no counts.")
        return QueueCounts(counts["Active"] + counts.get("Scheduled", 0), counts["DeadLetter"])

    async def dead_letters(self, *, first: int, limit: int) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        async with self._receiver() as receiver:
            while len(letters) < limit:
                count = min(limit - len(letters), limits.DEAD_LETTERS_AT_ONCE)
                messages = await receiver.peek_messages(count, sequence_number=first)
                if not messages:
                    break
                letters += map(_dead_letter, messages)
                first = letters[-1].number + 1
        return letters

    async def take(
        self, number: int, forward: Callable[[DeadLetter], Awaitable[None]]
    ) -> DeadLetter | None:
        async with self._receiver() as receiver:
            if not [m for m in await receiver.peek_messages(1, sequence_number=number)
                    if m.sequence_number == number]:  # fmt: skip
                return None
            others: list[ServiceBusReceivedMessage] = []
            try:
                for _ in range(limits.DEAD_LETTER_ROUNDS_MAX):
                    messages = await receiver.receive_messages(
                        limits.DEAD_LETTERS_AT_ONCE, max_wait_time=limits.DEAD_LETTER_WAIT_SECONDS
                    )
                    if not messages:
                        break
                    others += [m for m in messages if m.sequence_number != number]
                    for message in messages:
                        if message.sequence_number == number:
                            letter = _dead_letter(message)
                            try:
                                await forward(letter)
                            except BaseException:
                                others.append(message)
                                raise
                            await receiver.complete_message(message)
                            return letter
            finally:
                for message in others:
                    await receiver.abandon_message(message)
        raise QueueUnavailable(
            "Another process has locked the dead letter. Send the request again in a minute."
        )

    async def close(self) -> None:
        """Close the connection to the management side."""
        await self._pipeline.close()

    @asynccontextmanager
    async def _receiver(self) -> "AsyncIterator[ServiceBusReceiver]":
        from azure.core.exceptions import AzureError
        from azure.servicebus import ServiceBusSubQueue

        connection = self._connect()
        try:
            client = connection.client()
            sub_queue = ServiceBusSubQueue.DEAD_LETTER
            async with (
                client.get_subscription_receiver(
                    self._entity, self._subscription, sub_queue=sub_queue
                )
                if self._subscription
                else client.get_queue_receiver(self._entity, sub_queue=sub_queue)
            ) as receiver:
                yield receiver
        except (AzureError, OSError, ValueError) as error:
            raise QueueUnavailable("The dead-letter queue can't be reached.") from error
        finally:
            await connection.close()

    def _signature(self) -> str:
        """A shared access signature for the entity."""
        place = quote_plus(f"{self._endpoint}/{self._path}".lower())
        until = int(time.time()) + _TOKEN_SECONDS
        key = self._parts.get("SharedAccessKey", "").encode()
        digest = hmac.new(key, f"{place}\n{until}".encode(), hashlib.sha256).digest()
        signature = quote_plus(base64.b64encode(digest))
        name = self._parts.get("SharedAccessKeyName", "")
        return f"SharedAccessSignature sr={place}&sig={signature}&se={until}&skn={name}"


def _dead_letter(message: "ServiceBusReceivedMessage") -> DeadLetter:
    properties = {_text(k): _text(v) for k, v in (message.application_properties or {}).items()}
    return DeadLetter(
        number=message.sequence_number or 0,
        body=body_of(message),
        properties=properties,
        enqueued_at=message.enqueued_time_utc or datetime.now(UTC),
        deliveries=message.delivery_count or 0,
        reason=message.dead_letter_reason,
        detail=message.dead_letter_error_description,
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
