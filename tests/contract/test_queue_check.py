"""The health check of the queue, its counts and dead letters, against the bus on a real wire."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage

from shared.adapters.bus.health_check import QueueCheck
from shared.adapters.bus.management import ServiceBusManagement
from shared.adapters.bus.service_bus import BusConnection
from shared.domain.common.errors import QueueUnavailable
from shared.domain.legs.dead_letters import DeadLetter, QueueCounts
from shared.domain.legs.leg import EndedLeg, QueuedLeg, queued_leg_bytes
from tests.contract.bus_process import BusProcess

CONFIG = {
    "queues": [{"name": "call-ended", "lock_seconds": 30}],
    "topics": [
        {"name": "credit-events", "subscriptions": [{"name": "webhooks"}, {"name": "finance"}]}
    ],
}


def test_a_queue_reports_since_when_legs_wait_until_its_broker_dies(tmp_path: Path) -> None:
    bus = BusProcess(tmp_path, CONFIG)
    bus.start()
    try:
        check = QueueCheck("call-ended", lambda: BusConnection(bus.connection_string))
        assert asyncio.run(check()) is None
        posted = datetime(2026, 11, 20, 10, 0, 7, tzinfo=UTC)
        leg = EndedLeg("pbx", "1", None, None, None, "+442079460000", posted, posted, posted)
        body = queued_leg_bytes(QueuedLeg(leg, posted))
        with (
            ServiceBusClient.from_connection_string(bus.connection_string) as client,
            client.get_queue_sender("call-ended") as sender,
        ):
            sender.send_messages([ServiceBusMessage(b"no leg"), ServiceBusMessage(body)])
            sender.send_messages(AmqpAnnotatedMessage(value_body={"no": "leg"}))
        assert asyncio.run(check()) == posted
    finally:
        bus.kill()
    with pytest.raises(QueueUnavailable):
        asyncio.run(check())


@pytest.mark.extended
@pytest.mark.extended
def test_counts_and_dead_letters_come_from_the_bus_and_one_is_taken_out(tmp_path: Path) -> None:
    bus = BusProcess(tmp_path, CONFIG)
    bus.start()
    management = ServiceBusManagement(
        "call-ended",
        lambda: BusConnection(bus.connection_string),
        connection_string=bus.connection_string,
        endpoint=bus.management_url,
    )
    try:
        with ServiceBusClient.from_connection_string(bus.connection_string) as client:
            with client.get_queue_sender("call-ended") as sender:
                sender.send_messages([ServiceBusMessage(f"m{number}") for number in range(4)])
            with client.get_queue_receiver("call-ended") as receiver:
                for message in receiver.receive_messages(3, max_wait_time=5):
                    receiver.dead_letter_message(message, reason="Test", error_description="why")

        async def use() -> None:
            assert await management.counts() == QueueCounts(messages=1, dead_letters=3)
            first, *_ = letters = await management.dead_letters(first=0, limit=10)
            assert [each.body for each in letters] == [b"m0", b"m1", b"m2"]
            assert (first.reason, first.detail) == ("Test", "why")
            rest = await management.dead_letters(first=first.number + 1, limit=1)
            assert [each.body for each in rest] == [b"m1"]

            async def fail(_: DeadLetter) -> None:
                raise QueueUnavailable("no")

            with pytest.raises(QueueUnavailable):
                await management.take(letters[1].number, fail)
            taken: list[bytes] = []

            async def keep(letter: DeadLetter) -> None:
                taken.append(letter.body)

            assert await management.take(letters[1].number, keep) is not None
            assert taken == [b"m1"]
            assert await management.take(letters[1].number, keep) is None
            assert await management.counts() == QueueCounts(messages=1, dead_letters=2)
            await management.close()

        asyncio.run(use())
    finally:
        bus.kill()
    with pytest.raises(QueueUnavailable):
        asyncio.run(management.counts())


@pytest.mark.extended
def test_dead_letters_of_a_subscription_come_from_the_bus_too(tmp_path: Path) -> None:
    bus = BusProcess(tmp_path, CONFIG)
    bus.start()
    management = ServiceBusManagement(
        "credit-events",
        lambda: BusConnection(bus.connection_string),
        subscription="webhooks",
        connection_string=bus.connection_string,
        endpoint=bus.management_url,
    )
    try:
        with ServiceBusClient.from_connection_string(bus.connection_string) as client:
            with client.get_topic_sender("credit-events") as sender:
                sender.send_messages([ServiceBusMessage(f"e{number}") for number in range(3)])
            with client.get_subscription_receiver("credit-events", "webhooks") as receiver:
                for message in receiver.receive_messages(2, max_wait_time=5):
                    receiver.dead_letter_message(message, reason="Test")

        async def use() -> None:
            assert await management.counts() == QueueCounts(messages=1, dead_letters=2)
            letters = await management.dead_letters(first=0, limit=10)
            assert [each.body for each in letters] == [b"e0", b"e1"]
            taken: list[bytes] = []

            async def keep(letter: DeadLetter) -> None:
                taken.append(letter.body)

            assert await management.take(letters[0].number, keep) is not None
            assert taken == [b"e0"]
            assert await management.counts() == QueueCounts(messages=1, dead_letters=1)
            await management.close()

        asyncio.run(use())
    finally:
        bus.kill()
