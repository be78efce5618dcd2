"""Starts the Functions host, with apps that tests write, and the bus as processes of their own."""

import contextlib
import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.parts import LOOPBACK, Part, free_port

READY_SECONDS_MAX = 60.0
HEADER = """\
import asyncio, json, os, time, typing
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

def note(**fact):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps(fact) + "\\n")

"""


def eventually[T](probe: Callable[[], T], seconds_max: float = 30.0) -> T:
    """What `probe` returns as soon as that is true; fails after `seconds_max`."""
    deadline = time.monotonic() + seconds_max
    while not (found := probe()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found


def write_app(folder: Path, code: str, host_json: Mapping[str, Any] | None = None) -> Path:
    """A function app in `folder`: the header, then `code`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function_app.py").write_text(HEADER + code, "utf-8")
    document = {"version": "2.0", **(host_json or {})}
    (folder / "host.json").write_text(json.dumps(document), "utf-8")
    return folder


@dataclass
class Answer:
    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Host:
    """A host that runs."""

    part: Part
    port: int
    notes_path: Path

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection(LOOPBACK, self.port, 10)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.getheaders())

    def notes(self) -> list[dict[str, Any]]:
        """What the functions noted so far, in order."""
        if not self.notes_path.exists():
            return []
        return [json.loads(line) for line in self.notes_path.read_text("utf-8").splitlines()]


@contextlib.contextmanager
def running(part: Part) -> Iterator[Part]:
    """Start the part, wait until it is ready, end it afterwards."""
    part.start()
    try:
        eventually(lambda: part.check_ready() or part.has_ended, READY_SECONDS_MAX)
        assert part.is_ready, part.log_tail()
        yield part
    finally:
        part.request_stop()
        part.wait_stopped()


def host_part(folder: Path, app: Path, role: str, port: int, settings: Mapping[str, str]) -> Part:
    """A host for the app that is not started yet; its log and data lie in `folder`."""
    return Part(
        f"{role} host",
        [
            *(sys.executable, "-m", "local.host", "--app", str(app), "--role", role),
            *("--port", str(port), "--data", str(folder / "timers")),
        ],
        environment={**os.environ, "NOTES": str(folder / "notes"), **settings},
        log=folder / f"{role}.log",
    )


@contextlib.contextmanager
def running_host(
    folder: Path, app: Path, role: str, settings: Mapping[str, str] | None = None
) -> Iterator[Host]:
    """A host on a free port, ended afterwards."""
    port = free_port()
    with running(host_part(folder, app, role, port, settings or {})) as part:
        yield Host(part, port, folder / "notes")


@contextlib.contextmanager
def running_bus(folder: Path, queue: str) -> Iterator[str]:
    """A bus with one queue; gives its connection string."""
    port = free_port()
    config = {"queues": [{"name": queue, "lock_seconds": 30, "max_delivery_count": 10}]}
    (folder / "bus.json").write_text(json.dumps(config), "utf-8")
    part = Part(
        "bus",
        [
            *(
                sys.executable,
                "-m",
                "local.bus",
                "--port",
                str(port),
                "--data",
                str(folder / "bus"),
            ),
            *("--config", str(folder / "bus.json")),
        ],
        environment=dict(os.environ),
        log=folder / "bus.log",
        port=port,
    )
    with running(part):
        yield (
            f"Endpoint=sb://localhost:{port};SharedAccessKeyName=x;SharedAccessKey=x;"
            "UseDevelopmentEmulator=true;"
        )
