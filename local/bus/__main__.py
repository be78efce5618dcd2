"""`python -m local.bus --port N --data DIR [--config FILE.json]`: runs until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

from proton.reactor import Container

from local.bus.guard import Guard
from local.bus.server import BusHandler


def default_config() -> dict[str, Any]:
    """The entities of the product, with the laptop's short lock."""
    call_ended = {
        "name": "call-ended",
        "lock_seconds": float(os.environ.get("CALL_ENDED_LOCK_SECONDS", "30")),
        "max_delivery_count": 100,
        "duplicate_window_seconds": 600,
    }
    events = {
        "name": "credit-events",
        "subscriptions": [{"name": "all"}, {"name": "webhooks", "lock_seconds": 120.0}],
        "duplicate_window_seconds": 600,
    }
    return {"queues": [call_ended], "topics": [events]}


def main() -> None:
    """Reads the arguments and runs the bus in this thread."""
    parser = argparse.ArgumentParser(prog="local.bus", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the SQLite file")
    parser.add_argument("--management-port", type=int, help="where counts are answered over HTTP")
    parser.add_argument("--config", type=Path, help="JSON file with queues and topics")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("proton").setLevel(logging.CRITICAL)  # disconnected clients are not logged
    config = json.loads(arguments.config.read_text()) if arguments.config else default_config()
    handler = BusHandler(arguments.port, arguments.data, config, arguments.management_port)

    def stop(_signal: int, _frame: object) -> None:
        handler.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    Container(Guard(handler)).run()
    handler.close()


if __name__ == "__main__":
    main()
