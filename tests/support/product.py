"""The product in this process: its own wiring, called as Azure's host calls it.

`Product` is one process with a clock, counted ids, and tables, queue and topic in memory. A test
of several processes makes several on the same tables, queue, topic and clock
(`tests/support/processes.py`); a test of real storage passes its tables.
"""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import azure.functions as func

from shared import bootstrap
from shared.bootstrap.composition import Container
from shared.ports.clock import Clock, Ids
from shared.ports.queues import CallQueue, EventTopic
from shared.ports.tables import TableStore
from shared.settings import Settings
from tests.support.functions import app_functions
from tests.support.memory_bus import MemoryManagement, MemoryQueue, MemoryTopic
from tests.support.memory_tables import MemoryTables

ADMIN_KEY = "an-admin-key-for-the-tests-only"
RECORD_CODES = "PERMINUTE_RECORD_CODES"
PROBLEM = "application/problem+json"
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SETTINGS = Settings.from_environment(
    {
        "TABLES_CONNECTION_STRING": "UseDevelopmentStorage=true",
        "ServiceBus": "Endpoint=sb://127.0.0.1",
        "CALL_ENDED_QUEUE": "call-ended",
        "CREDIT_EVENTS_TOPIC": "credit-events",
        "CALL_ENDED_LOCK_SECONDS": "30",
        "PERMINUTE_CHAIN_KEY": "A" * 44,
        "PERMINUTE_PROOF_KEY": "A" * 43 + "=",
        "PERMINUTE_BOOTSTRAP_ADMIN_KEY": ADMIN_KEY,
        "PERMINUTE_VERSION": "9.9.9",
    }
)


class ManualClock:
    """A clock that only the test moves."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float = 0.0, **span: float) -> None:
        """Move the clock; `span` holds arguments of a timedelta."""
        self.moment += timedelta(seconds=seconds, **span)


class CountedIds:
    """Unique tokens, the same ones in every run. `name` differs between processes."""

    def __init__(self, name: str = "token") -> None:
        self.name = name
        self.count = 0

    def token(self, bytes_count: int) -> str:
        self.count += 1
        return f"{self.name}-{self.count}-".ljust(bytes_count * 4 // 3, "x")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    media_type: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def etag(self) -> str:
        return self.headers["etag"]

    def pointers(self) -> list[str]:
        return [error["pointer"] for error in self.json["errors"]]


class Product:
    """One process of the product, on storage of its own unless storage is passed.

    As a context manager it uninstalls its container, and ends its tasks and its event loop.
    """

    def __init__(
        self,
        tables: TableStore | None = None,
        clock: Clock | None = None,
        *,
        queue: CallQueue | None = None,
        topic: EventTopic | None = None,
        ids: Ids | None = None,
    ) -> None:
        self.clock: Any = clock or ManualClock()
        self.tables: Any = MemoryTables() if tables is None else tables
        self.queue: Any = MemoryQueue(self.clock) if queue is None else queue
        self.topic: Any = MemoryTopic() if topic is None else topic
        self.container = Container(SETTINGS)
        self.container.tables = self.tables
        self.container.clock = self.clock
        self.container.ids = ids or CountedIds()
        self.container.queue = self.queue
        self.management = MemoryManagement(self.queue)
        self.container.queue_management = self.management
        self.webhooks_management = MemoryManagement(MemoryQueue(self.clock))
        self.container.webhooks_management = self.webhooks_management
        self.container.topic = self.topic

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _runner(self) -> asyncio.Runner:
        return asyncio.Runner(loop_factory=asyncio.new_event_loop)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the synchronous calls."""
        return self._runner.get_loop()

    def run(self, awaitable: Any) -> Any:
        """The result of an awaitable, run in this process's event loop."""
        return self.loop.run_until_complete(awaitable)

    def close(self) -> None:
        """Uninstalls the container; ends the tasks in the background, and the event loop."""
        bootstrap.install(None)
        if "_runner" in self.__dict__:
            self._runner.close()

    def call(self, method: str, target: str, body: object = None, **more: Any) -> Answer:
        """The answer to a request, as `send` sends it."""
        answer: Answer = self.run(self.send(method, target, body, **more))
        return answer

    async def send(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        key: str | None = ADMIN_KEY,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request: `body` is JSON, or bytes as they are; `key` is the API key."""
        bootstrap.install(self.container)
        parts = urlsplit(target)
        function, values = find_function(method, parts.path)
        fields = {name.lower(): value for name, value in (headers or {}).items()}
        if key is not None:
            fields.setdefault("authorization", f"Bearer {key}")
        raw = b"" if body is None else body if isinstance(body, bytes) else to_bytes(body)
        if raw:
            fields.setdefault("content-type", "application/json")
        request = func.HttpRequest(
            method,
            f"http://127.0.0.1:7071{target}",
            headers=fields,
            params=dict(parse_qsl(parts.query)),
            route_params=values,
            body=raw,
        )
        context = SimpleNamespace(invocation_id="an-invocation")
        response = await function(request, context)
        answer = Answer(
            response.status_code, response.headers, response.get_body(), response.mimetype or ""
        )
        if RECORD_CODES in os.environ:
            _record_code(function.__name__, answer)
        return answer

    def get(self, target: str, **more: Any) -> Answer:
        return self.call("GET", target, **more)

    def put(self, target: str, body: object, etag: str | None = None, **more: Any) -> Answer:
        if etag is not None:
            more["headers"] = {**more.get("headers", {}), "if-match": etag}
        return self.call("PUT", target, body, **more)

    def post(self, target: str, body: object, **more: Any) -> Answer:
        return self.call("POST", target, body, **more)

    def delete(self, target: str, **more: Any) -> Answer:
        return self.call("DELETE", target, **more)

    def account(self, name: str = "contoso", /, **settings: object) -> Answer:
        """An account in dollars."""
        answer = self.put(f"/api/v1/accounts/{name}", {"currency": "USD", **settings})
        assert answer.status == 201, answer.body
        return answer

    def api_key(self, *roles: str, accounts: tuple[str, ...] = ("*",)) -> str:
        """A fresh key with these roles."""
        body = {"name": "somebody", "roles": list(roles), "accounts": list(accounts)}
        answer = self.post("/api/v1/api-keys", body)
        assert answer.status == 201, answer.body
        return str(answer.json["key"])


def _record_code(function: str, answer: Answer) -> None:
    """Append the error code of an answer to the file of `python -m tests.docs.recorder`."""
    if answer.status >= 400 and answer.headers.get("Content-Type", "").startswith(PROBLEM):
        with Path(os.environ[RECORD_CODES]).open("a", encoding="utf-8") as lines:
            lines.write(f"{function} {answer.code}\n")


def to_bytes(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _routes() -> list[tuple[str, re.Pattern[str], Any]]:
    found = []
    for function in app_functions():
        trigger = function.get_trigger()
        if trigger is None or trigger.type != "httpTrigger":
            continue
        names = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", trigger.route)
        names = re.sub(r"\{root:.*\}", "", re.sub(r"/\{\*(\w+)\}", r"(?:/(?P<\1>.*))?", names))
        pattern = re.compile(f"/{names}")
        found += [(str(method.value), pattern, function) for method in trigger.methods]
    # As in ASP.NET, the more literal route wins.
    return sorted(
        found, key=lambda route: (".*" in route[1].pattern, route[1].pattern.count("(?P"))
    )


def find_function(method: str, path: str) -> tuple[Any, dict[str, str]]:
    """The function that takes a request, and the values of its path. Raises LookupError."""
    for allowed, pattern, function in _ROUTES:
        match = pattern.fullmatch(path)
        if match and allowed == method:
            values = {name: _decoded(value or "") for name, value in match.groupdict().items()}
            return function.get_user_function(), values
    raise LookupError(f"no function takes {method} {path}")


def _decoded(segment: str) -> str:
    """As Azure's host decodes a segment: all but an encoded slash."""
    return unquote(segment.replace("%2F", "%252F").replace("%2f", "%252f"))


_ROUTES = _routes()
