"""Service Bus batches through the local Functions host behave as in front of Azure's."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender

from tests.integration.hosting import Host, eventually, running_bus, running_host, write_app

APP = """
def notes_of(messages):
    return [
        {
            "body": m.get_body().hex(), "id": m.message_id, "correlation": m.correlation_id,
            "delivery": m.delivery_count, "properties": m.application_properties,
            "sequence": m.sequence_number, "enqueued": m.enqueued_time_utc.isoformat(),
        }
        for m in messages
    ]

@app.function_name("work")
@app.service_bus_queue_trigger(
    arg_name="messages", queue_name="%THE_QUEUE%", connection="TheBus",
    cardinality=func.Cardinality.MANY, data_type=func.DataType.BINARY,
)
async def work(messages: typing.List[func.ServiceBusMessage]) -> None:
    began = time.time()
    first = messages[0]
    if first.get_body() == b"slow":
        await asyncio.sleep(0.3)
    if first.get_body() == b"hangs" and first.delivery_count == 1:
        note(batch=notes_of(messages), began=began, ended=time.time())
        await asyncio.sleep(60)
    note(batch=notes_of(messages), began=began, ended=time.time())
    if first.get_body() == b"fails" and first.delivery_count == 1:
        raise ValueError("not this time")

@app.function_name("page")
@app.route(route="page")
async def page(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("")
"""
HOST_JSON = {
    "functionTimeout": "00:00:01",
    "extensions": {"serviceBus": {"maxMessageBatchSize": 10}},
}

type Running = tuple[Host, Callable[..., None]]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A host that serves one queue, and what sends messages to that queue."""
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(running_bus(tmp_path, "the-queue"))
        client = stack.enter_context(ServiceBusClient.from_connection_string(connection))
        sender: ServiceBusSender = stack.enter_context(client.get_queue_sender("the-queue"))
        settings = {"TheBus": connection, "THE_QUEUE": "the-queue"}
        app = write_app(tmp_path / "app", APP, HOST_JSON)
        host = stack.enter_context(running_host(tmp_path, app, "background", settings))
        yield host, lambda *messages: sender.send_messages(list(messages))


def _batches(host: Host) -> list[list[dict]]:
    return [note["batch"] for note in host.notes()]


def test_a_batch_arrives_whole_and_in_order(running: Running) -> None:
    """Bodies byte for byte; the first delivery counts as 1, as Azure Functions shows it."""
    host, send = running
    bodies = [bytes([0, 255, number]) for number in range(5)]
    send(
        *(ServiceBusMessage(body, application_properties={"n": i}) for i, body in enumerate(bodies))
    )

    (batch,) = eventually(lambda: _batches(host))

    assert [message["body"] for message in batch] == [body.hex() for body in bodies]
    assert [message["properties"] for message in batch] == [{"n": i} for i in range(5)]
    assert [message["delivery"] for message in batch] == [1] * 5
    assert all(message["enqueued"].endswith("+00:00") for message in batch)
    assert batch[0]["sequence"] < batch[-1]["sequence"]


def test_a_batch_that_raises_comes_again_whole_and_then_is_done(running: Running) -> None:
    host, send = running
    send(ServiceBusMessage(b"fails"), ServiceBusMessage(b"beside it"))

    first, second = eventually(lambda: _batches(host)[:2] if len(_batches(host)) > 1 else None)
    send(ServiceBusMessage(b"after"))
    third = eventually(lambda: _batches(host)[2:])

    assert [message["body"] for message in second] == [message["body"] for message in first]
    assert [message["delivery"] for message in second] == [2, 2]
    assert [[message["body"] for message in batch] for batch in third] == [[b"after".hex()]]


@pytest.mark.extended
def test_a_batch_over_its_time_comes_again(running: Running) -> None:
    host, send = running
    send(ServiceBusMessage(b"hangs"))

    deliveries = eventually(lambda: len(_batches(host)) > 1 and _batches(host))

    assert [batch[0]["delivery"] for batch in deliveries] == [1, 2]


@pytest.mark.extended
def test_batches_are_bounded_and_run_one_after_another(running: Running) -> None:
    host, send = running
    send(*(ServiceBusMessage(b"slow") for _ in range(25)))

    eventually(lambda: sum(map(len, _batches(host))) == 25)
    notes = host.notes()

    assert max(len(note["batch"]) for note in notes) <= 10
    for earlier, later in itertools.pairwise(notes):
        assert earlier["ended"] <= later["began"]


@pytest.mark.extended
def test_texts_that_are_missing_shift_the_others_as_in_azure(running: Running) -> None:
    """Azure leaves empty entries out: in a batch only JSON and numbers stay with their message."""
    host, send = running
    send(
        ServiceBusMessage(b"0"),
        ServiceBusMessage(b"1", application_properties={"mine": "1"}),
        ServiceBusMessage(b"2", correlation_id="c2"),
    )

    (batch,) = eventually(lambda: _batches(host))

    assert [message["correlation"] for message in batch] == ["c2", None, None]
    assert [message["properties"] for message in batch] == [{}, {"mine": "1"}, {}]
