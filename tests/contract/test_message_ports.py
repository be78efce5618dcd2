"""One suite for the queue and topic in memory and on Service Bus (the stand-in, by the SDK)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.bus.receiver import QueueReceiver
from shared.adapters.bus.service_bus import BusConnection, ServiceBusQueue, ServiceBusTopic
from shared.domain.common import limits
from shared.domain.common.errors import QueueUnavailable, TooLarge
from shared.ports.queues import CallQueue, EventTopic, Message
from tests.contract.bus_process import BusProcess
from tests.support.memory_bus import MemoryQueue, MemoryTopic

CONFIG: dict[str, Any] = {
    "queues": [{"name": "call-ended", "lock_seconds": 30, "duplicate_window_seconds": 600}],
    "topics": [{"name": "credit-events", "subscriptions": [{"name": "all"}]}],
}
UNREACHABLE = "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=x;SharedAccessKey=y;"


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Messaging:
    """A queue and a topic, and a way to see what is in them."""

    queue: CallQueue
    topic: EventTopic

    async def take(self, count: int) -> list[Message]:
        """So many messages from the queue, waiting for them."""
        raise NotImplementedError

    async def published(self, count: int) -> list[Message]:
        """So many messages from the topic."""
        raise NotImplementedError

    async def close(self) -> None:
        """Gives back what was opened."""


class MemoryMessaging(Messaging):
    def __init__(self) -> None:
        self.queue = self._queue = MemoryQueue(RealClock())
        self.topic = self._topic = MemoryTopic()

    async def take(self, count: int) -> list[Message]:
        async def once() -> list[Message]:
            await asyncio.sleep(0.01)
            return self._queue.take(count)

        return await _collect(once, count)

    async def published(self, count: int) -> list[Message]:
        return self._topic.published[:count]


class BusMessaging(Messaging):
    def __init__(self, bus: BusProcess) -> None:
        text = bus.connection_string
        self.queue = self._queue = ServiceBusQueue("call-ended", BusConnection(text))
        self.topic = self._topic = ServiceBusTopic("credit-events", BusConnection(text))
        self._text = text

    async def take(self, count: int) -> list[Message]:
        return await self._read("call-ended", count)

    async def published(self, count: int) -> list[Message]:
        return await self._read("credit-events/Subscriptions/all", count)

    async def close(self) -> None:
        await self._queue.close()
        await self._topic.close()

    async def _read(self, entity: str, count: int) -> list[Message]:
        receiver = QueueReceiver(self._text, entity)

        async def once() -> list[Message]:
            locked = await receiver.next_batch(count, 1)
            await receiver.complete(locked)
            return [
                Message(m.message_id or "", m.body, m.application_properties, m.content_type or "")
                for m in locked
            ]

        try:
            return await _collect(once, count)
        finally:
            await receiver.close()


async def _collect(once: Callable[[], Awaitable[list[Message]]], count: int) -> list[Message]:
    taken: list[Message] = []
    async with asyncio.timeout(40):
        while len(taken) < count:
            taken += await once()
    return taken


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusProcess]:
    process = BusProcess(tmp_path_factory.mktemp("bus"), CONFIG)
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all tests: opening and closing take the SDK half a second each."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def bus_messaging(bus: BusProcess, runner: asyncio.Runner) -> Iterator[Messaging]:
    app = BusMessaging(bus)
    yield app
    runner.run(app.close())


@pytest.fixture
def own_bus(tmp_path: Path) -> Iterator[BusProcess]:
    """A bus to be killed."""
    process = BusProcess(tmp_path, CONFIG)
    process.start()
    yield process
    process.kill()


@asynccontextmanager
async def _messaging(bus: BusProcess) -> AsyncIterator[Messaging]:
    app = BusMessaging(bus)
    try:
        yield app
    finally:
        await app.close()


@pytest.fixture(params=["memory", "bus"])
def app(request: pytest.FixtureRequest) -> Messaging:
    if request.param == "memory":
        return MemoryMessaging()
    app: Messaging = request.getfixturevalue("bus_messaging")
    return app


def _message(message_id: str, body: bytes = b"{}") -> Message:
    return Message(message_id, body, {"bridge": "local", "attempt": "1"})


def test_what_is_sent_is_taken_in_order_and_unchanged(
    app: Messaging, runner: asyncio.Runner
) -> None:
    async def scenario() -> None:
        sent = [_message(f"order-{i}", b'{"amount": 1.10, "n": %d}' % i) for i in range(5)]

        await app.queue.send(sent)

        assert await app.take(5) == sent

    runner.run(scenario())


def test_a_repeated_message_id_is_sent_without_complaint_and_arrives_once(
    app: Messaging, runner: asyncio.Runner
) -> None:
    async def scenario() -> None:
        await app.queue.send([_message("same", b"1"), _message("same", b"2")])
        await app.queue.send([_message("same", b"3"), _message("last", b"4")])

        assert [message.body for message in await app.take(2)] == [b"1", b"4"]

    runner.run(scenario())


def test_what_is_scheduled_arrives_at_its_time(app: Messaging, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        await app.queue.send([_message("first")])  # opening the connection takes its time
        due = datetime.now(UTC) + timedelta(seconds=0.5)
        await app.queue.send([_message("scheduled")], at=due)
        await app.queue.send([_message("at-once")])

        arrived = [message.message_id for message in await app.take(3)]

        assert arrived == ["first", "at-once", "scheduled"]
        assert datetime.now(UTC) >= due

    runner.run(scenario())


def test_events_are_published_in_order(app: Messaging, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        await app.topic.publish([_message("e-1"), _message("e-2")])
        await app.topic.publish([_message("e-3")])

        published = await app.published(3)

        assert [message.message_id for message in published] == ["e-1", "e-2", "e-3"]

    runner.run(scenario())


def test_nothing_to_send_is_nothing_to_do(app: Messaging, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        await app.queue.send([])
        await app.topic.publish([])

    runner.run(scenario())


def test_what_no_broker_takes_is_refused_before_sending(
    app: Messaging, runner: asyncio.Runner
) -> None:
    async def scenario() -> None:
        with pytest.raises(TooLarge):
            await app.queue.send([_message("big", b"x" * (limits.MESSAGE_BODY_BYTES_MAX + 1))])
        for message_id in ("", "x" * 129):
            with pytest.raises(ValueError, match="message id"):
                await app.queue.send([_message(message_id)])

    runner.run(scenario())


def test_a_message_of_the_largest_size_is_sent(app: Messaging, runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        body = b"x" * limits.MESSAGE_BODY_BYTES_MAX
        await app.queue.send([_message("i" * 128, body), _message("second", body)])

        assert [message.body for message in await app.take(2)] == [body, body]

    runner.run(scenario())


def test_the_twin_fails_on_request() -> None:
    async def scenario() -> None:
        queue, topic = MemoryQueue(RealClock()), MemoryTopic()
        queue.available = topic.available = False

        with pytest.raises(QueueUnavailable):
            await queue.send([_message("m")])
        with pytest.raises(QueueUnavailable):
            await topic.publish([_message("m")])
        assert (queue.take(1), topic.published) == ([], [])

    asyncio.run(scenario())


def test_many_callers_at_once_share_batches_and_each_is_answered(
    bus_messaging: Messaging, runner: asyncio.Runner
) -> None:
    """300 webhooks of 1 to 3 legs, all sent at the same moment by one sender."""
    app = bus_messaging

    async def scenario() -> None:
        calls = [[_message(f"{i}-{j}") for j in range(i % 3 + 1)] for i in range(300)]

        await asyncio.gather(*(app.queue.send(call) for call in calls))
        taken = [message.message_id for message in await app.take(600)]

        assert taken == [message.message_id for call in calls for message in call]

    runner.run(scenario())


def test_more_than_one_batch_holds_is_split(
    bus_messaging: Messaging, runner: asyncio.Runner
) -> None:
    """A thousand legs of 1 KiB: four batches of the Standard tier at least."""
    app = bus_messaging

    async def scenario() -> None:
        await app.queue.send([_message(f"leg-{i}", b"x" * 1024) for i in range(1_000)])

        assert len(await app.take(1_000)) == 1_000

    runner.run(scenario())


def test_a_caller_who_gives_up_harms_no_one(
    bus_messaging: Messaging, runner: asyncio.Runner
) -> None:
    app = bus_messaging

    async def scenario() -> None:
        impatient = asyncio.create_task(app.queue.send([_message("impatient")]))
        patient = asyncio.create_task(app.queue.send([_message("patient")]))
        await asyncio.sleep(0)
        impatient.cancel()
        await patient

        assert "patient" in {message.message_id for message in await app.take(2)}

    runner.run(scenario())


@pytest.mark.extended
def test_when_the_bus_is_away_the_sender_states_so_and_recovers(own_bus: BusProcess) -> None:
    """Away at first, killed after a send, and back: the same adapter goes on."""
    own_bus.kill()

    async def scenario() -> None:
        async with _messaging(own_bus) as app:
            with pytest.raises(QueueUnavailable):
                await app.queue.send([_message("before")])
            own_bus.start()
            await app.queue.send([_message("one")])
            own_bus.kill()
            both = await asyncio.gather(
                app.queue.send([_message("two")]),
                app.queue.send([_message("three")]),
                return_exceptions=True,
            )
            own_bus.start()
            await app.queue.send([_message("four")])
            taken = [message.message_id for message in await app.take(2)]

            assert [type(error) for error in both] == [QueueUnavailable, QueueUnavailable]
            assert taken == ["one", "four"]

    asyncio.run(scenario())


def test_a_bus_that_restarts_between_two_sends_is_not_noticed(own_bus: BusProcess) -> None:
    """The broken connection costs the first try; the second opens a new one."""

    async def scenario() -> None:
        async with _messaging(own_bus) as app:
            await app.queue.send([_message("one")])
            own_bus.kill()
            own_bus.start()
            await app.queue.send([_message("two")])

            assert [message.message_id for message in await app.take(2)] == ["one", "two"]

    asyncio.run(scenario())


@pytest.mark.extended
def test_a_bus_that_does_not_answer_costs_a_bounded_time(
    own_bus: BusProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would wait for ever, whatever time-out it is given."""
    monkeypatch.setattr(limits, "SEND_SECONDS_MAX", 4.0)
    monkeypatch.setattr(limits, "SENDER_CLOSE_SECONDS_MAX", 0.3)

    async def scenario() -> None:
        async with _messaging(own_bus) as app:
            await app.queue.send([_message("answered")])
            own_bus.freeze()
            async with asyncio.timeout(60):
                with pytest.raises(QueueUnavailable):
                    await app.queue.send([_message("frozen")])

    asyncio.run(scenario())


@pytest.mark.parametrize("given", [{}, {"connection_string": UNREACHABLE, "namespace": "n"}])
def test_the_adapter_takes_one_way_to_connect(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="connection string or a namespace"):
        BusConnection(**given)


def test_with_a_namespace_the_managed_identity_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent here: only what the SDK is given is examined."""
    import azure.servicebus.aio as sdk
    from azure.identity.aio import ManagedIdentityCredential

    made: list[tuple[str, object]] = []

    class Client:
        def __init__(self, namespace: str, credential: object, **_options: object) -> None:
            made.append((namespace, credential))

        def get_queue_sender(self, _queue: str) -> object:
            raise OSError("no network in tests")

        async def close(self) -> None:
            pass

    monkeypatch.setattr(sdk, "ServiceBusClient", Client)

    async def scenario() -> None:
        queue = ServiceBusQueue(
            "q", BusConnection(namespace="n.servicebus.windows.net", client_id="id")
        )
        with pytest.raises(QueueUnavailable):
            await queue.send([_message("m")])
        await queue.close()

    asyncio.run(scenario())

    assert made[0][0] == "n.servicebus.windows.net"
    assert isinstance(made[0][1], ManagedIdentityCredential)
