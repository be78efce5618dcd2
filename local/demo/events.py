"""The topic `credit-events`, read as a subscriber reads it: with Microsoft's own SDK."""

import contextlib
import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from azure.servicebus import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusError

from local.demo.wire import DemoError, Json

TOPIC, SUBSCRIPTION = "credit-events", "all"
WAIT_SECONDS = 0.5  # how long one receive may wait for the first message
MESSAGES_MAX = 20


class Subscription:
    """The events that were published, in their order; a message taken is completed."""

    def __init__(self, connection_string: str) -> None:
        self._open = contextlib.ExitStack()
        client = ServiceBusClient.from_connection_string(connection_string)
        self._open.enter_context(client)
        receiver = client.get_subscription_receiver(TOPIC, SUBSCRIPTION)
        self._receiver = self._open.enter_context(receiver)
        self.deliveries: list[Json] = []

    def wait_for(self, what: str, is_it: Callable[[Json], bool], seconds_max: float) -> Json:
        """The first delivered event that is it. Raises DemoError when none comes in time."""
        deadline = time.monotonic() + seconds_max
        while True:
            for event in self.deliveries:
                if is_it(event):
                    return event
            if time.monotonic() > deadline:
                raise DemoError(f"{what} did not come within {seconds_max:.0f} s")
            self._receive()

    def _receive(self) -> None:
        try:
            messages = self._receiver.receive_messages(
                max_message_count=MESSAGES_MAX, max_wait_time=WAIT_SECONDS
            )
            for message in messages:
                self.deliveries.append(json.loads(b"".join(message.body)))
                self._receiver.complete_message(message)
        except ServiceBusError as error:
            raise DemoError(f"the subscription can't be read: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
