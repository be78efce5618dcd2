"""The product inside this process: its own functions, called as Azure's host would call them.

Only what lies outside is handed in: tables, queue, topic. So a test decides what storage and bus do
to the product, and still talks to it as its callers do: in JSON, with signatures and keys.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

import azure.functions as func

from shared.bootstrap import install
from shared.bootstrap.composition import Container
from shared.ports.queues import CallQueue, EventTopic
from shared.ports.tables import TableStore
from shared.settings import Settings
from tests.support.client import Answer, Json, signed
from tests.support.functions import app_functions

BRIDGE = "pbx"
BRIDGE_SECRET = "whsec_" + base64.b64encode(b"a bridge signs with these bytes.").decode()
ADMIN_KEY = "an-administrator-of-these-tests"
ENVIRONMENT = {
    "TABLES_CONNECTION_STRING": "not used: the tables are handed in",
    "ServiceBus": "not used: queue and topic are handed in",
    "CALL_ENDED_QUEUE": "call-ended",
    "CREDIT_EVENTS_TOPIC": "credit-events",
    "CALL_ENDED_LOCK_SECONDS": "20",
    "PERMINUTE_CHAIN_KEY": base64.b64encode(b"k" * 32).decode(),
    "PERMINUTE_BOOTSTRAP_ADMIN_KEY": ADMIN_KEY,
}
LIST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message as the trigger hands it to its function."""

    body: bytes
    application_properties: Mapping[str, Any]

    def get_body(self) -> bytes:
        """The body."""
        return self.body


@dataclass(frozen=True, slots=True)
class _Context:
    invocation_id: str


@dataclass(frozen=True, slots=True)
class _Timer:
    past_due: bool = False


class Product:
    """One product, installed as this process's only one. `container` is what it is made of."""

    def __init__(self, tables: TableStore, queue: CallQueue, topic: EventTopic) -> None:
        self.container = Container(Settings.from_environment(ENVIRONMENT))
        self.container.tables = tables
        self.container.queue = queue
        self.container.topic = topic
        self.container.__dict__["anchors"] = None
        install(self.container)

    async def admin(
        self, method: str, path: str, body: object = None, *, key: str = "", if_match: str = ""
    ) -> Answer:
        """A request of the bootstrap administrator; `path` is what follows `/api/v1/`."""
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        if key:
            headers["idempotency-key"] = key
        if if_match:
            headers["if-match"] = if_match
        return await _send(method, f"v1/{path}", _bytes(body), headers)

    async def bridge(self, path: str, body: object, *, key: str = "") -> Answer:
        """A signed POST of the bridge; `path` is what follows its name, `key` its webhook id."""
        content = _bytes(body)
        headers = signed(BRIDGE_SECRET, content, webhook_id=key or None)
        return await _send("POST", f"v1/bridges/{BRIDGE}/{path}", content, headers)

    async def get(self, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = await self.admin("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.json()

    async def found(self, path: str) -> Json | None:
        """The JSON of a GET, None for 404."""
        answer = await self.admin("GET", path)
        assert answer.status in {200, 404}, (path, answer)
        return answer.json() if answer.status == 200 else None

    async def items(self, path: str) -> list[Json]:
        """All items of a list."""
        mark = "&" if "?" in path else "?"
        found: list[Json] = []
        cursor = ""
        while True:
            page = await self.get(f"{path}{mark}limit={LIST_PAGE}{cursor}")
            found += page["items"]
            if "next" not in page:
                return found
            cursor = f"&cursor={quote(page['next'], safe='')}"

    async def put(self, path: str, body: object) -> None:
        """A PUT that must create something."""
        answer = await self.admin("PUT", path, body)
        assert answer.status == 201, (path, answer)

    async def deliver(self, messages: Sequence[Delivered]) -> None:
        """A batch of the queue. Raises what the function raises: then the batch comes again."""
        await _functions()["rate_and_debit"](messages)

    async def tick(self, timer: str) -> None:
        """One tick of a timer's function."""
        await _functions()[timer](_Timer())


def opened_bridge() -> Json:
    """The bridge that `Product.bridge` signs for. It serves all accounts: its legs are claimed."""
    return {
        "dialect": "perminute",
        "auth": {"scheme": "standard-webhooks", "secrets": [BRIDGE_SECRET]},
        "accounts": ["*"],
    }


async def _send(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    function, names = _routed(method, path.partition("?")[0])
    request = func.HttpRequest(
        method=method,
        url=f"http://localhost/api/{path}",
        headers={"content-type": "application/json", **headers},
        route_params=names,
        body=body,
    )
    response = await function(request, _Context(uuid.uuid4().hex))
    fields = {name.lower(): value for name, value in response.headers.items()}
    fields["content-type"] = response.mimetype
    return Answer(response.status_code, fields, response.get_body())


def _routed(method: str, path: str) -> tuple[Any, dict[str, str]]:
    for taken, template, name in _routes():
        match = template.fullmatch(path) if taken == method else None
        if match:
            names = {key: unquote(value) for key, value in match.groupdict().items()}
            return _functions()[name], names
    raise LookupError(f"no function takes {method} {path}")


@cache
def _functions() -> dict[str, Any]:
    return {each.get_function_name(): each.get_user_function() for each in app_functions()}


@cache
def _routes() -> list[tuple[str, re.Pattern[str], str]]:
    found = []
    for each in app_functions():
        route = each.get_trigger().get_dict_repr()
        if route.get("route") and "*" not in route["route"]:
            pattern = re.sub(
                r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route["route"].removeprefix("api/"))
            )
            found.append((route["methods"][0].value, re.compile(pattern), each.get_function_name()))
    return found


def _bytes(body: object) -> bytes:
    return b"" if body is None else json.dumps(body).encode()
