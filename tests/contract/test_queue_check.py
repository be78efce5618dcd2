"""The health check of the queue, against the bus on a real wire."""

import asyncio
from pathlib import Path

import pytest

from shared.adapters.queue_check import QueueCheck
from shared.domain.errors import QueueUnavailable
from tests.contract.bus_process import BusProcess

CONFIG = {"queues": [{"name": "call-ended", "lock_seconds": 30}], "topics": []}


def test_a_queue_is_there_until_its_broker_dies(tmp_path: Path) -> None:
    bus = BusProcess(tmp_path, CONFIG)
    bus.start()
    try:
        check = QueueCheck("call-ended", connection_string=bus.connection_string)
        asyncio.run(check())
    finally:
        bus.kill()
    with pytest.raises(QueueUnavailable):
        asyncio.run(check())
