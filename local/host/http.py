"""HTTP triggers: an aiohttp server that hands requests to the worker as Azure's host does.

Kept from Azure on purpose: lower-case header names, repeated headers joined by a comma, empty query
values dropped, 404 for a method without a function, and an empty 500 for a function that raises. A
chunked request has no body at all, since Azure's host reads one only where there is a
Content-Length.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger
from azure_functions_runtime.bindings.datumdef import Datum

from local.host.routes import RouteTable
from local.host.settings import SettingError
from local.host.worker import Function, Worker, datum

MAX_BODY_BYTES = 100 * 1024 * 1024  # Azure's own limit
MAX_HEADER_BYTES = 32 * 1024
MAX_QUERY_FIELDS = 1024
STOP_GRACE_SECONDS = 5.0  # what a running request gets when the host stops


def route_table(functions: Iterable[Function], prefix: str) -> RouteTable[Function]:
    """The routes of all HTTP functions.

    Raises SettingError for a function that requires a function key: there are none here.
    """
    routes: list[tuple[str, Iterable[str], Function]] = []
    for function in functions:
        trigger = function.trigger
        if trigger.get("authLevel", "FUNCTION").upper() != "ANONYMOUS":
            raise SettingError(
                f"function {function.name}: this host has no function keys, use authLevel ANONYMOUS"
            )
        route = trigger.get("route") or function.name
        routes.append((f"{prefix}/{route}", trigger.get("methods") or [], function))
    return RouteTable(routes)


class HttpHost:
    """Serves the HTTP functions on one port of the loopback address."""

    def __init__(self, worker: Worker, routes: RouteTable[Function], port: int) -> None:
        self._worker = worker
        self._routes = routes
        self._port = port
        server = web.Server(
            self._handle,
            access_log=None,
            max_field_size=MAX_HEADER_BYTES,
            auto_decompress=False,  # Azure's host hands the bytes on as they came
        )
        self._runner = web.ServerRunner(server)

    async def start(self) -> None:
        """Bind the port. Raises OSError if it is taken."""
        server_logger.addFilter(_without_needless_trace)
        await self._runner.setup()
        await web.TCPSite(
            self._runner, "127.0.0.1", self._port, shutdown_timeout=STOP_GRACE_SECONDS
        ).start()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; take no more requests then, but let those that run end."""
        await stop.wait()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        target = request.raw_path.partition("#")[0]
        path, _, query_text = target.partition("?")
        found = self._routes.find(request.method, path)
        if found is None:
            return web.Response(status=404)
        function, route_values = found
        try:
            query = _joined(parse_qsl(query_text, max_num_fields=MAX_QUERY_FIELDS))
            body = await _read_body(request)
        except (ValueError, asyncio.IncompleteReadError, ConnectionError):
            return web.Response(status=400)  # too many fields, or less of a body than announced
        if body is None:
            return web.Response(status=413, headers={"connection": "close"})
        headers = _joined(
            (name.lower(), _as_utf8(value)) for name, value in request.headers.items()
        )
        value = {
            "method": _text(request.method),
            "url": _text(f"http://{request.host}{target}"),
            "headers": _texts(headers),
            "query": _texts(query),
            "params": _texts(route_values),
            "body": datum(body, "bytes"),
        }
        trace_parent = headers.get("traceparent", "")
        outcome = await self._worker.invoke(function, datum(value, "http"), {}, trace_parent)
        if not outcome.ok or outcome.value is None:
            return web.Response(status=500)
        return _response(outcome.value)


def _without_needless_trace(record: logging.LogRecord) -> bool:
    """An invalid HTTP request is the caller's mistake and causes a line of the log, no stack
    trace."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.exc_info = None
    return True


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """The body, empty without a Content-Length; None if it is announced to be over the limit."""
    length = request.content_length
    if not length:
        return b""
    if length > MAX_BODY_BYTES:
        return None
    if (
        request.headers.get("expect", "").lower() == "100-continue"
        and request.transport is not None
    ):
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await request.content.readexactly(length)


def _response(result: Datum) -> web.Response:
    if result.type == "string":
        return web.Response(text=result.value)
    value = result.value
    response = web.Response(
        status=int(value["status_code"].value),
        headers={name: header.value for name, header in value["headers"].items()},
        body=value["body"].value,
    )
    for cookie in value["cookies"] or ():
        _add_cookies(response, cookie)
    return response


def _add_cookies(response: web.Response, cookie: SimpleCookie) -> None:
    for morsel in cookie.values():
        response.headers.add("set-cookie", morsel.OutputString())


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _as_utf8(text: str) -> str:
    """Bytes that are no UTF-8 come from aiohttp as lone surrogates, which nothing can encode."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _text(value: str) -> Datum:
    return datum(value, "string")


def _texts(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: _text(value) for name, value in values.items()}
