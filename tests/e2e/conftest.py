"""One stack for all tests here. Each test uses accounts, cards and bridges of its own names."""

from collections.abc import Iterator

import pytest
from azure.servicebus import ServiceBusClient

from local.stack import Stack
from tests.e2e.deployment import CARD, RATES, Deployment, card
from tests.e2e.topic import TopicListener
from tests.support.client import Admin, Http, SigningBridge
from tests.support.traces import unexplained_traces

# Short enough that legs in the hands of a killed process come again soon, and long enough for a
# batch on a busy machine.
SETTINGS = {"CALL_ENDED_LOCK_SECONDS": "20", "LOW_BALANCE_SCHEDULE": "*/5 * * * * *"}


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A stack with the bridge `local` and a rate card."""
    with (
        Stack(tmp_path_factory.mktemp("e2e") / "data", settings=SETTINGS) as stack,
        ServiceBusClient.from_connection_string(stack.service_bus_connection_string) as bus,
        TopicListener(stack.service_bus_connection_string) as topic,
    ):
        http = Http(stack.base_url)
        admin = Admin(http, stack.admin_key)
        admin.put(f"rate-cards/{CARD}/versions/2020-01-01T00:00:00Z", card(*RATES))
        bridge = SigningBridge(http, "local", stack.bridge_secret)
        yield Deployment(stack, http, admin, bridge, bus, topic)


@pytest.fixture(scope="module", autouse=True)
def no_stack_trace(deployment: Deployment) -> Iterator[None]:
    """Whatever a module does, no process of the product prints a stack trace. But for batches that
    an outage outlasts: a function gives one back by failing, which Microsoft's library logs so."""
    lengths = [log.stat().st_size for log in deployment.logs]
    yield
    for log, length in zip(deployment.logs, lengths, strict=True):
        text = log.read_bytes()[length:].decode("utf-8", "replace")
        traces = unexplained_traces(text, deployment.outages)
        assert not traces, f"{log.name}: {len(traces)} stack traces:\n{traces[0][-3000:]}"
