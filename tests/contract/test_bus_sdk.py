"""The bus stand-in behaves as Service Bus does, as far as the unmodified SDK can see."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageSizeExceededError,
    ServiceBusError,
)

from tests.contract.bus_process import WAIT_SECONDS, BusProcess, eventually

LONG_LOCK = {"lock_seconds": 60, "max_delivery_count": 10}
SHORT_LOCK = {"lock_seconds": 0.4, "max_delivery_count": 10}
CONFIG: dict[str, Any] = {
    "queues": [
        {"name": "plain", **LONG_LOCK},
        {"name": "short", **SHORT_LOCK},
        {"name": "strict", "lock_seconds": 60, "max_delivery_count": 2},
        {"name": "unique", **LONG_LOCK, "duplicate_window_seconds": 600},
        {"name": "briefly-unique", **LONG_LOCK, "duplicate_window_seconds": 0.3},
        {"name": "peeked", **LONG_LOCK},
        {"name": "small", **LONG_LOCK, "max_message_bytes": 2_000},
    ],
    "topics": [
        {"name": "news", "subscriptions": [{"name": "all", **LONG_LOCK}, {"name": "Audit"}]},
    ],
}


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusProcess]:
    process = BusProcess(tmp_path_factory.mktemp("bus"), CONFIG)
    process.start()
    yield process
    assert process.is_alive, "nothing that the tests did ended the bus"
    assert process.stop() == 0


@pytest.fixture(scope="module")
def client(bus: BusProcess) -> Iterator[ServiceBusClient]:
    with _client(bus) as client:
        yield client


@pytest.fixture(scope="module")
def ends(client: ServiceBusClient) -> "Iterator[Ends]":
    ends = Ends(client)
    ends.open()
    yield ends
    ends.close()


class Ends:
    """Senders and receivers, each opened once: opening takes the SDK half a second."""

    def __init__(self, client: ServiceBusClient) -> None:
        self._client = client
        self._open: dict[Any, Any] = {}

    def sender(self, name: str) -> Any:
        return self._once(("sender", name), lambda: self._client.get_queue_sender(name))

    def receiver(self, name: str, **options: Any) -> Any:
        key = (name, *options.items())
        return self._once(key, lambda: self._client.get_queue_receiver(name, **options))

    def dead_letters(self, name: str) -> Any:
        return self.receiver(name, sub_queue=ServiceBusSubQueue.DEAD_LETTER)

    def topic_sender(self, name: str) -> Any:
        return self._once(("topic", name), lambda: self._client.get_topic_sender(name))

    def subscription(self, topic: str, name: str, **options: Any) -> Any:
        return self._once(
            (topic, name, *options.items()),
            lambda: self._client.get_subscription_receiver(topic, name, **options),
        )

    def open(self) -> None:
        """Opens all that the tests use, at once."""
        names = [queue["name"] for queue in CONFIG["queues"]]
        for name in names:
            self.sender(name)
        for name in names:
            self.receiver(name)
        for name in ("plain", "strict"):
            self.dead_letters(name)
        self.topic_sender("news")
        self.subscription("news", "all")
        self.subscription("news", "Audit")
        self.subscription("news", "all", sub_queue=ServiceBusSubQueue.DEAD_LETTER)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda one: one.__enter__(), self._open.values()))

    def close(self) -> None:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda one: one.close(), self._open.values()))

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._open:
            self._open[key] = make()
        return self._open[key]


def _client(bus: BusProcess) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(
        bus.connection_string, retry_total=1, retry_backoff_factor=0.1, retry_backoff_max=0.2
    )


def _take(receiver: Any, count: int) -> list[ServiceBusReceivedMessage]:
    """Exactly so many messages."""
    taken: list[ServiceBusReceivedMessage] = []

    def enough() -> bool:
        taken.extend(receiver.receive_messages(count - len(taken), max_wait_time=1.5))
        return len(taken) >= count

    eventually(enough, f"{count} messages")
    return taken


def _complete(receiver: Any, count: int) -> list[str]:
    """The bodies of so many messages, which are completed."""
    messages = _take(receiver, count)
    for message in messages:
        receiver.complete_message(message)
    return [str(message) for message in messages]


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_message_arrives_as_it_was_sent(ends: Ends) -> None:
    """Body bytes, ids and properties of every type come out as they went in."""
    sent = ServiceBusMessage(
        b"\x00Ss\xff body",
        message_id="m-1",
        correlation_id="c-1",
        content_type="application/json",
        subject="leg",
        application_properties={"attempt": 2, "text": "é", "flag": True},
    )

    ends.sender("plain").send_messages(sent)
    (got,) = _take(ends.receiver("plain"), 1)
    locked_until = got.locked_until_utc
    ends.receiver("plain").complete_message(got)

    assert b"".join(got.body) == b"\x00Ss\xff body"
    assert (got.message_id, got.correlation_id, got.subject) == ("m-1", "c-1", "leg")
    assert got.content_type == "application/json"
    assert got.application_properties == {b"attempt": 2, b"text": "é".encode(), b"flag": True}
    assert got.delivery_count == 0
    assert abs(got.enqueued_time_utc - datetime.now(UTC)) < timedelta(seconds=5)
    assert locked_until > _in(50)


def test_a_batch_arrives_whole_and_in_order(ends: Ends) -> None:
    """The sender is offered 256 KiB; numbers grow without repetition."""
    sender, receiver = ends.sender("plain"), ends.receiver("plain")
    batch = sender.create_message_batch()
    for index in range(100):
        batch.add_message(ServiceBusMessage(f"leg {index}"))

    sender.send_messages(batch)
    messages = _take(receiver, 100)
    for message in messages:
        receiver.complete_message(message)

    assert batch.max_size_in_bytes == 256 * 1024
    assert [str(message) for message in messages] == [f"leg {index}" for index in range(100)]
    numbers = [message.sequence_number for message in messages]
    assert numbers == sorted(set(numbers))


def test_an_abandoned_message_comes_again_with_its_count(ends: Ends) -> None:
    sender, receiver = ends.sender("plain"), ends.receiver("plain")
    sender.send_messages(ServiceBusMessage("again"))

    (first,) = _take(receiver, 1)
    receiver.abandon_message(first)
    (second,) = _take(receiver, 1)
    receiver.complete_message(second)

    assert (first.delivery_count, second.delivery_count) == (0, 1)
    assert first.sequence_number == second.sequence_number
    assert receiver.receive_messages(1, max_wait_time=0.2) == []


def test_peeking_shows_locked_and_scheduled_messages_and_locks_nothing(ends: Ends) -> None:
    sender, receiver = ends.sender("peeked"), ends.receiver("peeked")
    sender.send_messages(ServiceBusMessage("locked"))
    (locked,) = _take(receiver, 1)
    sender.send_messages(ServiceBusMessage("free"))
    (number,) = sender.schedule_messages(ServiceBusMessage("later"), _in(600))

    peeked = receiver.peek_messages(10, sequence_number=locked.sequence_number)
    receiver.complete_message(locked)

    assert [str(message) for message in peeked] == ["locked", "free", "later"]
    assert [message.state.name for message in peeked] == ["ACTIVE", "ACTIVE", "SCHEDULED"]
    assert peeked[-1].sequence_number == number
    assert _complete(receiver, 1) == ["free"]


def test_when_a_lock_ends_the_message_comes_again_and_the_old_holder_gets_an_error(
    ends: Ends,
) -> None:
    sender, receiver = ends.sender("short"), ends.receiver("short")
    sender.send_messages(ServiceBusMessage("slow"))

    (first,) = _take(receiver, 1)
    (second,) = _take(receiver, 1)

    assert second.delivery_count == 1
    with pytest.raises(MessageLockLostError):
        receiver.complete_message(first)
    receiver.complete_message(second)


def test_dead_lettered_messages_carry_reason_and_their_own_properties(ends: Ends) -> None:
    sender, receiver = ends.sender("plain"), ends.receiver("plain")
    sender.send_messages(ServiceBusMessage("bad", application_properties={"k": "v"}))

    (message,) = _take(receiver, 1)
    receiver.dead_letter_message(message, reason="unreadable", error_description="no JSON")
    (dead,) = _take(ends.dead_letters("plain"), 1)
    ends.dead_letters("plain").complete_message(dead)

    assert str(dead) == "bad"
    assert (dead.dead_letter_reason, dead.dead_letter_error_description) == (
        "unreadable",
        "no JSON",
    )
    assert dead.application_properties[b"k"] == b"v"


def test_after_too_many_deliveries_a_message_is_dead_lettered(ends: Ends) -> None:
    sender, receiver = ends.sender("strict"), ends.receiver("strict")
    sender.send_messages(ServiceBusMessage("poison"))

    for _ in range(2):
        (message,) = _take(receiver, 1)
        receiver.abandon_message(message)
    (dead,) = _take(ends.dead_letters("strict"), 1)
    ends.dead_letters("strict").complete_message(dead)

    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert receiver.receive_messages(1, max_wait_time=0.2) == []


def test_a_scheduled_message_appears_at_its_time_in_both_ways_to_schedule(ends: Ends) -> None:
    """By the management operation, and by the annotation on a message in a batch."""
    sender, receiver = ends.sender("plain"), ends.receiver("plain")
    due = _in(0.6)
    sender.schedule_messages(ServiceBusMessage("operation"), due)
    sender.send_messages([ServiceBusMessage("annotation", scheduled_enqueue_time_utc=due)])

    early = receiver.receive_messages(2, max_wait_time=0.2)
    messages = _take(receiver, 2)
    for message in messages:
        receiver.complete_message(message)

    assert early == []
    assert sorted(str(message) for message in messages) == ["annotation", "operation"]
    assert datetime.now(UTC) >= due
    assert all(m.enqueued_time_utc >= due - timedelta(milliseconds=1) for m in messages)


def test_a_repeated_message_id_is_accepted_and_dropped(ends: Ends) -> None:
    """Inside one batch, in a later send, when scheduled, and after the first was completed."""
    sender, receiver = ends.sender("unique"), ends.receiver("unique")
    sender.send_messages([ServiceBusMessage("1", message_id="x") for _ in range(2)])
    sender.send_messages(ServiceBusMessage("2", message_id="x"))
    sender.schedule_messages(ServiceBusMessage("3", message_id="x"), _in(0.01))
    sender.send_messages(ServiceBusMessage("other", message_id="y"))

    assert _complete(receiver, 2) == ["1", "other"]

    sender.send_messages(ServiceBusMessage("4", message_id="x"))

    assert receiver.receive_messages(1, max_wait_time=0.3) == []


def test_a_message_id_may_return_after_the_window(ends: Ends) -> None:
    sender, receiver = ends.sender("briefly-unique"), ends.receiver("briefly-unique")
    sender.send_messages([ServiceBusMessage("m", message_id="x") for _ in range(2)])
    assert len(receiver.peek_messages(10)) == 1

    def arrives_again() -> bool:
        sender.send_messages(ServiceBusMessage("m", message_id="x"))
        return len(receiver.peek_messages(10, sequence_number=1)) == 2

    eventually(arrives_again, "a second message of the same id")

    assert _complete(receiver, 2) == ["m", "m"]


def test_every_subscription_gets_its_own_copy(ends: Ends) -> None:
    """Settled each for itself, dead letters included."""
    ends.topic_sender("news").send_messages(ServiceBusMessage("low"))

    (for_all,) = _take(ends.subscription("news", "all"), 1)
    ends.subscription("news", "all").dead_letter_message(for_all, reason="r")
    dead = ends.subscription("news", "all", sub_queue=ServiceBusSubQueue.DEAD_LETTER)

    assert _complete(ends.subscription("news", "Audit"), 1) == ["low"]
    assert _complete(dead, 1) == ["low"]


def test_a_message_over_the_limit_is_refused_and_the_sender_stays_usable(ends: Ends) -> None:
    sender = ends.sender("small")

    with pytest.raises(MessageSizeExceededError):
        sender.send_messages(ServiceBusMessage("x" * 2_001))
    sender.send_messages(ServiceBusMessage("fits"))

    assert _complete(ends.receiver("small"), 1) == ["fits"]


def test_what_is_not_there_is_refused(bus: BusProcess) -> None:
    with ServiceBusClient.from_connection_string(bus.connection_string, retry_total=0) as client:
        sender = client.get_queue_sender("nowhere")

        with pytest.raises(ServiceBusError):
            sender.send_messages(ServiceBusMessage("?"))


def test_a_receiver_that_closes_keeps_its_locks_until_they_end(
    client: ServiceBusClient, ends: Ends
) -> None:
    ends.sender("short").send_messages(ServiceBusMessage("held"))
    with client.get_queue_receiver("short") as receiver:
        (held,) = _take(receiver, 1)
        held_until = held.locked_until_utc
    (again,) = _take(ends.receiver("short"), 1)
    again_at = datetime.now(UTC)
    ends.receiver("short").complete_message(again)

    assert (held.sequence_number, again.delivery_count) == (again.sequence_number, 1)
    assert again_at >= held_until


def test_garbage_on_the_wire_ends_only_its_own_connection(bus: BusProcess, ends: Ends) -> None:
    open_frame = bytes.fromhex("414d515000010000")
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", open_frame + b"\xff" * 64, b"\x00" * 200):
        with socket.create_connection(("127.0.0.1", bus.port), timeout=2) as connection:
            connection.sendall(garbage)
            with suppress(TimeoutError, ConnectionError):
                while connection.recv(4096):
                    pass

    ends.sender("plain").send_messages(ServiceBusMessage("still here"))

    assert _complete(ends.receiver("plain"), 1) == ["still here"]


@pytest.mark.extended
def test_everything_is_found_again_after_kill_9(tmp_path: Path) -> None:
    """Waiting, locked, scheduled and dead messages, ids seen, numbers; the locks are gone."""
    bus = BusProcess(tmp_path, CONFIG)
    bus.start()
    try:
        with _client(bus) as client:
            with client.get_queue_sender("unique") as sender:
                bodies = ("locked", "dead", "abandoned", "waiting")
                sender.send_messages([ServiceBusMessage(b, message_id=b) for b in bodies])
                (later,) = sender.schedule_messages(ServiceBusMessage("later"), _in(600))
                sender.schedule_messages(ServiceBusMessage("soon"), _in(1))
            receiver = client.get_queue_receiver("unique")
            _, dead, abandoned = _take(receiver, 3)
            receiver.dead_letter_message(dead, reason="r")
            receiver.abandon_message(abandoned)
            bus.kill()
            with suppress(ServiceBusError):
                receiver.close()
        bus.start()
        with _client(bus) as client:
            receiver = client.get_queue_receiver("unique")
            messages = _take(receiver, 4)
            for message in messages:
                receiver.complete_message(message)
            with client.get_queue_sender("unique") as sender:
                sender.send_messages(ServiceBusMessage("waiting", message_id="waiting"))
                sender.send_messages(ServiceBusMessage("new", message_id="new"))
            (new,) = _take(receiver, 1)
            dead_letters = client.get_queue_receiver("unique", sub_queue="deadletter")
            assert _complete(dead_letters, 1) == ["dead"]

        counts = {str(message): message.delivery_count for message in messages}
        assert counts == {"locked": 1, "abandoned": 1, "waiting": 0, "soon": 0}
        assert str(new) == "new"
        assert new.sequence_number > later
    finally:
        bus.kill()


def test_what_was_accepted_survives_kill_9_in_the_middle_of_sending(tmp_path: Path) -> None:
    bus = BusProcess(tmp_path, CONFIG)
    bus.start()
    accepted: list[str] = []
    many = threading.Event()

    def kill() -> None:
        many.wait(WAIT_SECONDS)
        bus.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with _client(bus) as client, suppress(ServiceBusError):
            sender = client.get_queue_sender("plain")
            for index in range(100_000):
                sender.send_messages([ServiceBusMessage(f"{index}-{half}") for half in "ab"])
                accepted += [f"{index}-a", f"{index}-b"]
                if index == 50:
                    many.set()
        killer.join()
        bus.start()
        with _client(bus) as client, client.get_queue_receiver("plain") as receiver:
            found: list[str] = []
            while page := receiver.peek_messages(250, sequence_number=len(found) + 1):
                found += [str(message) for message in page]
    finally:
        many.set()
        killer.join()
        bus.kill()

    assert len(accepted) > 100
    assert found[: len(accepted)] == accepted
