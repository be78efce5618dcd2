"""The management side of the bus over HTTP: `GET /{entity}` answers its Atom document with counts.

`POST /{queue}/$deadletterqueue` exists on the laptop alone: the body becomes a dead letter, for
tests and to rehearse the runbook. The store belongs to the thread of the reactor: a request is put
into a queue, which the reactor's timer answers.
"""

from __future__ import annotations

from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from proton import Message

from local.bus import codec
from local.bus.broker import DEAD_LETTERS, Broker

ANSWER_SECONDS_MAX = 5.0
_DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<entry xmlns="http://www.w3.org/2005/Atom"><title type="text">{name}</title>
<content type="application/xml">
<{kind}Description xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">
<MessageCount>{total}</MessageCount>
<CountDetails xmlns:d="http://schemas.microsoft.com/netservices/2011/06/servicebus">
{counts}
</CountDetails></{kind}Description></content></entry>
"""


class ManagementSide:
    """An HTTP server on loopback in separate threads."""

    def __init__(self, port: int) -> None:
        self._requests: SimpleQueue[_Request] = SimpleQueue()
        requests = self._requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("content-length") or 0)))

            def _answer(self, body: bytes | None) -> None:
                request = _Request(unquote(urlsplit(self.path).path).strip("/").lower(), body)
                requests.put(request)
                try:
                    document = request.answer.result(ANSWER_SECONDS_MAX)
                except TimeoutError:
                    self.send_error(503)
                    return
                if document is None:
                    self.send_error(404)
                    return
                content = document.encode()
                self.send_response(200 if body is None else 201)
                self.send_header("content-type", "application/atom+xml;type=entry;charset=utf-8")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Requests are not logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, broker: Broker, now_ms: int) -> None:
        """Answer the requests since the last call."""
        while True:
            try:
                request = self._requests.get_nowait()
            except Empty:
                return
            name = request.path.removesuffix(f"/{DEAD_LETTERS}")
            if name not in broker.sources or (name == request.path) != (request.body is None):
                request.answer.set_result(None)
                continue
            if request.body is not None:
                message: Any = Message(request.body, id=str(uuid4()), inferred=True)
                message.properties = {"DeadLetterReason": "Rehearsal"}
                broker.bury(name, codec.parse(message.encode()), now_ms)
            request.answer.set_result(_document(broker, name, now_ms))


class _Request:
    """A request that waits for the reactor; None as its answer: there is no such entity."""

    def __init__(self, path: str, body: bytes | None) -> None:
        self.path, self.body = path, body
        self.answer: Future[str | None] = Future()


def _document(broker: Broker, name: str, now_ms: int) -> str:
    counts = broker.counts(name, now_ms)
    lines = (f"<d:{kind}MessageCount>{n}</d:{kind}MessageCount>" for kind, n in counts.items())
    kind = "Subscription" if "/subscriptions/" in name else "Queue"
    return _DOCUMENT.format(
        name=name, kind=kind, total=sum(counts.values()), counts="\n".join(lines)
    )
