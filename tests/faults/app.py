"""The product inside this process, on the tables, queue and topic of a test, in real time.

A test decides what storage and bus do to the product, and still sends what its callers send: JSON,
with signatures and keys.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from shared.adapters.clock import RandomIds, SystemClock
from shared.bootstrap import install
from shared.ports.queues import CallQueue, EventTopic
from shared.ports.tables import TableStore
from tests.support.client import Json, signed
from tests.support.functions import app_functions
from tests.support.product import Answer, Product, to_bytes

BRIDGE = "pbx"
BRIDGE_SECRET = "whsec_" + base64.b64encode(b"a bridge signs with these bytes.").decode()
LIST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message as the trigger hands it to its function."""

    body: bytes
    application_properties: Mapping[str, Any]

    def get_body(self) -> bytes:
        """The body."""
        return self.body


class AsyncProduct(Product):
    """A product whose requests are awaited; it is installed as this process's only one."""

    def __init__(self, tables: TableStore, queue: CallQueue, topic: EventTopic) -> None:
        super().__init__(tables, SystemClock(), queue=queue, topic=topic, ids=RandomIds())
        self.container.__dict__["anchors"] = None
        install(self.container)

    async def admin(
        self, method: str, path: str, body: object = None, *, key: str = "", if_match: str = ""
    ) -> Answer:
        """A request of the bootstrap administrator; `path` is what follows `/api/v1/`."""
        named = {"idempotency-key": key, "if-match": if_match}
        headers = {name: value for name, value in named.items() if value}
        return await self.send(method, f"/api/v1/{path}", body, headers=headers)

    async def bridge(self, path: str, body: object, *, key: str = "") -> Answer:
        """A signed POST of the bridge; `path` is what follows its name, `key` its webhook id."""
        content = to_bytes(body)
        headers = signed(BRIDGE_SECRET, content, webhook_id=key or None)
        target = f"/api/v1/bridges/{BRIDGE}/{path}"
        return await self.send("POST", target, content, key=None, headers=headers)

    async def read(self, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = await self.admin("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.json

    async def items(self, path: str) -> list[Json]:
        """All items of a list."""
        mark = "&" if "?" in path else "?"
        found: list[Json] = []
        cursor = ""
        while True:
            page = await self.read(f"{path}{mark}limit={LIST_PAGE}{cursor}")
            found += page["items"]
            if "next" not in page:
                return found
            cursor = f"&cursor={quote(page['next'], safe='')}"

    async def create(self, path: str, body: object) -> None:
        """A PUT that must create something."""
        answer = await self.admin("PUT", path, body)
        assert answer.status == 201, (path, answer)

    async def deliver(self, messages: Sequence[Delivered]) -> None:
        """A batch of the queue. Raises what the function raises: then the batch comes again."""
        await _functions()["rate_and_debit"](messages)

    async def tick(self, timer: str) -> None:
        """One tick of a timer's function."""
        await _functions()[timer](SimpleNamespace(past_due=False))


def opened_bridge() -> Json:
    """The bridge that `AsyncProduct.bridge` signs for. It serves all accounts."""
    return {
        "dialect": "perminute",
        "auth": {"scheme": "standard-webhooks", "secrets": [BRIDGE_SECRET]},
        "accounts": ["*"],
    }


@cache
def _functions() -> dict[str, Any]:
    return {each.get_function_name(): each.get_user_function() for each in app_functions()}
