"""The health check of the queue, against the bus on a real wire."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from shared.adapters.bus.health_check import QueueCheck
from shared.adapters.bus.service_bus import BusConnection
from shared.domain.common.errors import QueueUnavailable
from shared.domain.legs.leg import EndedLeg, QueuedLeg, queued_leg_bytes
from tests.contract.bus_process import BusProcess

CONFIG = {"queues": [{"name": "call-ended", "lock_seconds": 30}], "topics": []}


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
        assert asyncio.run(check()) == posted
    finally:
        bus.kill()
    with pytest.raises(QueueUnavailable):
        asyncio.run(check())
