"""A reader of the product's API, without a network: it calls the functions as the host does."""

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import azure.functions as func

from tests.support.product import SETTINGS, find_function

type Json = dict[str, Any]


class NotThere(LookupError):
    """404."""


async def get(target: str) -> Json:
    """The body of a GET as an administrator. Raises NotThere, AssertionError on other answers."""
    parts = urlsplit(target)
    function, values = find_function("GET", parts.path)
    request = func.HttpRequest(
        "GET",
        f"http://127.0.0.1:7071{target}",
        headers={"authorization": f"Bearer {SETTINGS.bootstrap_admin_key}"},
        params=dict(parse_qsl(parts.query)),
        route_params=values,
        body=b"",
    )
    response = await function(request, SimpleNamespace(invocation_id="a-read"))
    if response.status_code == 404:
        raise NotThere(target)
    body: Json = json.loads(response.get_body())
    assert response.status_code == 200, body
    return body


async def items(target: str) -> list[Json]:
    """All items of a list, page after page."""
    found: list[Json] = []
    cursor = ""
    while True:
        page = await get(f"{target}?limit=1000{cursor}")
        found += page["items"]
        if "next" not in page:
            return found
        cursor = f"&cursor={quote(page['next'])}"
