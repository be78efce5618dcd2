"""A reader of the product's API, without a network: it calls the functions as the host does."""

import json
import re
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import azure.functions as func

from tests.support.functions import app_functions
from tests.support.product import SETTINGS

type Json = dict[str, Any]


class NotThere(LookupError):
    """404."""


async def get(target: str) -> Json:
    """The body of a GET as an administrator. Raises NotThere, AssertionError on other answers."""
    parts = urlsplit(target)
    function, values = _find(parts.path)
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


def _routes() -> list[tuple[re.Pattern[str], Any]]:
    found: list[tuple[re.Pattern[str], Any]] = []
    for function in app_functions():
        trigger = function.get_trigger()
        if trigger is not None and trigger.type == "httpTrigger":
            names = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", trigger.route)
            if any(str(method.value) == "GET" for method in trigger.methods):
                found.append((re.compile(f"/api/{names}"), function.get_user_function()))
    return sorted(found, key=lambda route: route[0].pattern.count("(?P"))


_ROUTES = _routes()


def _find(path: str) -> tuple[Any, dict[str, str]]:
    for pattern, function in _ROUTES:
        if match := pattern.fullmatch(path):
            return function, match.groupdict()
    raise LookupError(path)
