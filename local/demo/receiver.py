"""A server of a third party that receives webhooks, and verifies their sender.

It implements the Standard Webhooks specification and nothing of the product: the signature is
computed again from the received bytes.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.demo.wire import Json
from local.parts import LOOPBACK

CLOCK_SECONDS_MAX = 300  # how far the sender's clock may be off
BODY_BYTES_MAX = 1_000_000
PATH = "/hook"


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """A webhook whose signature is right."""

    headers: Mapping[str, str]
    event: Json


class WebhookReceiver:
    """Receives webhooks on loopback from its creation on, in separate threads.

    The content of a request with a right signature is stored, and passed to `take`, once for each
    id: an event may be repeated. All else is answered 401 and counted in `refused`.
    """

    def __init__(self, take: Callable[[Json], None] = lambda _: None) -> None:
        self.secrets: list[str] = []
        self.received: list[ReceivedEvent] = []
        self.refused = 0
        self._take = take
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}{PATH}"

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def _post(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        if path != PATH:
            return 404
        if not any(is_signed(secret, headers, body) for secret in self.secrets):
            self.refused += 1
            return 401
        with self._lock:
            if headers["webhook-id"] in self._seen:
                return 200
            self._seen.add(headers["webhook-id"])
            event: Json = json.loads(body)
            self.received.append(ReceivedEvent(headers, event))
        self._take(event)
        return 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                status = 413
                if 0 <= size <= BODY_BYTES_MAX:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    status = receiver._post(self.path, headers, self.rfile.read(size))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on the terminal."""

        return Handler


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """True if one of the signatures is HMAC-SHA256 over `id.timestamp.body`, made just now."""
    try:
        message, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        if abs(time.time() - int(timestamp)) > CLOCK_SECONDS_MAX:
            return False
        given = headers["webhook-signature"].split(" ")
    except (KeyError, ValueError):
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message}.{timestamp}.".encode() + body
    right = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(right.encode(), each.encode()) for each in given)
