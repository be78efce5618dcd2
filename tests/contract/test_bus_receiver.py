"""The Functions host's receiver gets its batches from the bus within milliseconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.bus.receiver import LockedMessage, QueueReceiver
from tests.contract.bus_process import BusProcess

CONFIG: dict[str, Any] = {
    "queues": [
        {"name": "work", "lock_seconds": 60, "max_delivery_count": 10},
        {"name": "hasty", "lock_seconds": 0.3, "max_delivery_count": 10},
    ],
    "topics": [{"name": "news", "subscriptions": [{"name": "all"}]}],
}


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusProcess]:
    process = BusProcess(tmp_path_factory.mktemp("bus"), CONFIG)
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def sender(bus: BusProcess) -> Iterator[Any]:
    with _sender(bus, "work") as sender:
        yield sender


@contextmanager
def _sender(bus: BusProcess, queue: str) -> Iterator[Any]:
    with (
        ServiceBusClient.from_connection_string(bus.connection_string) as client,
        client.get_queue_sender(queue) as sender,
    ):
        yield sender


@asynccontextmanager
async def _receiver(bus: BusProcess, entity: str = "work") -> AsyncIterator[QueueReceiver]:
    receiver = QueueReceiver(bus.connection_string, entity)
    try:
        yield receiver
    finally:
        await receiver.close()


async def _take(receiver: QueueReceiver, count: int) -> list[LockedMessage]:
    taken: list[LockedMessage] = []
    deadline = time.monotonic() + 40
    while len(taken) < count:
        assert time.monotonic() < deadline, f"{len(taken)} of {count} messages"
        taken += await receiver.next_batch(count - len(taken), 1)
    return taken


def test_a_batch_holds_all_that_waits_up_to_the_limit(bus: BusProcess, sender: Any) -> None:
    async def scenario() -> None:
        sender.send_messages([ServiceBusMessage(f"{index}") for index in range(25)])
        async with _receiver(bus) as receiver:
            batches = [await receiver.next_batch(10, 30) for _ in range(3)]
            confirmed_counts = [await receiver.complete(batch) for batch in batches]

            bodies = [message.body for batch in batches for message in batch]
            assert bodies == [f"{index}".encode() for index in range(25)]
            assert confirmed_counts == [10, 10, 5]

    asyncio.run(scenario())


def test_a_message_shows_all_that_its_sender_gave(bus: BusProcess, sender: Any) -> None:
    async def scenario() -> None:
        sent = ServiceBusMessage(
            b'{"amount": 1.10}',
            message_id="m-1",
            content_type="application/json",
            correlation_id="c-1",
            subject="leg",
            application_properties={"attempt": 1, "bridge": "local"},
        )
        sender.send_messages([sent, ServiceBusMessage(b"bare", message_id="m-2")])
        async with _receiver(bus) as receiver:
            full, bare = await _take(receiver, 2)
            await receiver.complete([full, bare])

            assert (full.body, full.message_id) == (b'{"amount": 1.10}', "m-1")
            assert (full.content_type, full.correlation_id) == ("application/json", "c-1")
            assert full.subject == "leg"
            assert full.application_properties == {"attempt": 1, "bridge": "local"}
            assert full.delivery_count == 0
            assert abs((full.enqueued_time - datetime.now(UTC)).total_seconds()) < 5
            assert bare.content_type is None
            assert bare.application_properties == {}

    asyncio.run(scenario())


def test_waiting_ends_without_a_message_and_at_once_with_one(bus: BusProcess, sender: Any) -> None:
    async def scenario() -> None:
        async with _receiver(bus) as receiver:
            began_s = time.monotonic()
            assert await receiver.next_batch(10, 0.3) == []
            assert time.monotonic() - began_s >= 0.3

            waiting = asyncio.create_task(receiver.next_batch(10, 60))
            await asyncio.sleep(0)
            await asyncio.to_thread(sender.send_messages, ServiceBusMessage("now"))
            (message,) = await asyncio.wait_for(waiting, 30)
            assert await receiver.complete([message]) == 1

    asyncio.run(scenario())


def test_abandoned_messages_come_again_and_no_others_are_held(bus: BusProcess, sender: Any) -> None:
    """A second receiver gets what the first did not take."""

    async def scenario() -> None:
        sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
        async with _receiver(bus) as first, _receiver(bus) as second:
            (a,) = await first.next_batch(1, 30)
            (b,) = await second.next_batch(5, 30)
            assert (await first.abandon([a]), await second.complete([b])) == (1, 1)
            (again,) = await first.next_batch(5, 30)
            await first.complete([again])

            assert (a.body, b.body, again.body) == (b"a", b"b", b"a")
            assert (a.delivery_count, again.delivery_count) == (0, 1)

    asyncio.run(scenario())


def test_a_completion_after_the_lock_is_not_confirmed(bus: BusProcess) -> None:
    async def scenario() -> None:
        with _sender(bus, "hasty") as hasty:
            hasty.send_messages(ServiceBusMessage("late"))
        async with _receiver(bus, "hasty") as receiver:
            late = await _take(receiver, 1)
            again = await _take(receiver, 1)

            assert await receiver.complete(late) == 0
            assert await receiver.complete(again) == 1

    asyncio.run(scenario())


def test_it_connects_again_for_ever_and_nothing_is_lost(tmp_path: Path) -> None:
    """It starts before the bus, and sees it die with messages locked and while it waits."""
    bus = BusProcess(tmp_path, CONFIG)

    async def scenario() -> None:
        async with _receiver(bus) as receiver:
            assert await receiver.next_batch(1, 0.3) == []
            bus.start()
            with _sender(bus, "work") as sender:
                sender.send_messages([ServiceBusMessage("kept"), ServiceBusMessage("too")])
            held = await _take(receiver, 2)
            bus.kill()
            assert await receiver.complete(held) == 0
            bus.start()
            again = await _take(receiver, 2)

            assert [message.body for message in again] == [b"kept", b"too"]
            assert [message.delivery_count for message in again] == [1, 1]
            assert await receiver.complete(again) == 2

            waiting = asyncio.create_task(receiver.next_batch(1, 30))
            await asyncio.sleep(0.05)
            bus.kill()
            assert await asyncio.wait_for(waiting, 30) == []

    try:
        asyncio.run(scenario())
    finally:
        bus.kill()


def test_closing_ends_a_wait(bus: BusProcess) -> None:
    async def scenario() -> None:
        receiver = QueueReceiver(bus.connection_string, "news/Subscriptions/all")
        waiting = asyncio.create_task(receiver.next_batch(1, 60))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(receiver.close(), 30)

        assert await waiting == []

    asyncio.run(scenario())
