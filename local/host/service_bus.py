"""Service Bus triggers: batches of locked messages, one after another, settled all or nothing.

The metadata is encoded as Azure's host encodes it, faults included: arrays of strings omit empty
ones, so their entries shift. Only JSON and numbers stay aligned with the bodies.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Protocol

from azure_functions_runtime.bindings.datumdef import Datum

from local.bus.receiver import LockedMessage, QueueReceiver
from local.host.settings import SettingError, app_setting, substitute
from local.host.worker import Binding, Function, Worker, datum

WAIT_SECONDS = 0.5  # how long one question to the queue stays open; a stop waits as long
ABANDON_PAUSE_SECONDS = 0.2  # what is abandoned comes again at once: don't spin


_logger = logging.getLogger("local.host")


class BusReceiver(Protocol):
    """The bus for a pump."""

    async def next_batch(self, max_messages: int, wait_seconds: float) -> list[LockedMessage]: ...
    async def complete(self, messages: Sequence[LockedMessage]) -> int: ...
    async def abandon(self, messages: Sequence[LockedMessage]) -> int: ...
    async def close(self) -> None: ...


def receiver_for(function: Function) -> BusReceiver:
    """A receiver for the queue or subscription of the trigger, by its app settings.

    Raises SettingError if a setting is missing, or if the trigger is of another kind than the one
    that is served here: cardinality MANY with BINARY bodies. Other kinds change the bytes.
    """
    trigger = function.trigger
    if trigger.get("cardinality") != "MANY" or trigger.get("dataType") != "BINARY":
        raise SettingError(
            f"function {function.name}: this host serves Service Bus triggers with "
            "cardinality MANY and data type BINARY"
        )
    return QueueReceiver(app_setting(trigger["connection"]), _entity(trigger))


async def pump(
    worker: Worker,
    function: Function,
    receiver: BusReceiver,
    max_batch_size: int,
    stop: asyncio.Event,
) -> None:
    """Take batches from the receiver to the function until `stop` is set.

    A batch in hand is run and settled before this returns: completed if the function came through,
    else abandoned, to come again with delivery_count + 1.
    """
    try:
        while not stop.is_set():
            messages = await receiver.next_batch(max_batch_size, WAIT_SECONDS)
            if not messages:
                continue
            bodies = SimpleNamespace(bytes=[message.body for message in messages])
            metadata = batch_metadata(messages)
            outcome = await worker.invoke(function, datum(bodies, "collection_bytes"), metadata)
            if outcome.ok:
                completed = await receiver.complete(messages)
                if completed < len(messages):
                    lost = len(messages) - completed
                    _logger.warning("%s: %d locks were lost: they come again", function.name, lost)
            else:
                await receiver.abandon(messages)
                await asyncio.sleep(ABANDON_PAUSE_SECONDS)
    finally:
        await receiver.close()


def batch_metadata(messages: Sequence[LockedMessage]) -> dict[str, Datum]:
    """The trigger metadata of a batch. The library counts the messages by `UserPropertiesArray`."""
    properties = _json([message.application_properties or {} for message in messages])
    return {
        "MessageIdArray": _strings(message.message_id for message in messages),
        "LockTokenArray": _strings(str(message.lock_token) for message in messages),
        "ContentTypeArray": _strings(message.content_type for message in messages),
        "CorrelationIdArray": _strings(message.correlation_id for message in messages),
        "SubjectArray": _strings(message.subject for message in messages),
        "LabelArray": _strings(message.subject for message in messages),
        "SequenceNumberArray": datum(
            SimpleNamespace(sint64=[message.sequence_number for message in messages]),
            "collection_sint64",
        ),
        # The AMQP header counts from 0, Azure Functions from 1.
        "DeliveryCountArray": _json([message.delivery_count + 1 for message in messages]),
        "EnqueuedTimeUtcArray": _json([_dotnet_time(m.enqueued_time) for m in messages]),
        "ApplicationPropertiesArray": properties,
        "UserPropertiesArray": properties,
    }


def _entity(trigger: Binding) -> str:
    if "queueName" in trigger:
        return substitute(trigger["queueName"])
    topic, subscription = substitute(trigger["topicName"]), substitute(trigger["subscriptionName"])
    return f"{topic}/Subscriptions/{subscription}"


def _strings(values: Iterable[str | None]) -> Datum:
    present = [value for value in values if value]
    return datum(SimpleNamespace(string=present), "collection_string")


def _json(values: list[Any]) -> Datum:
    return datum(json.dumps(values, default=str), "json")


def _dotnet_time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}0Z"
