"""Receives `call.warning` and `call.end` of Perminute and acts on the bridge's calls.

`serve(calls)` is the whole program of an adapter, where `calls` has

    end(call) -> bool                  hang up; False where there is no such call
    elapsed(call) -> float | None      seconds since the answer; None where there is no such call or
                                       its end can't be moved; OSError while it rings
    set_end(call, seconds) -> bool     the call ends so many seconds from now

and `call` is the event's data: authorization, leg_id, conference, seconds_left, reason. The URL of
this server and its secret are the bridge's `control` settings.

Events come at least once, in any order: acting twice changes nothing. A request with a wrong or old
signature is answered 401; where the bridge does not answer after three tries, 503, and Perminute
sends the event again. The environment supplies CONTROL_LISTEN (127.0.0.1:8090), CONTROL_SECRETS
(`whsec_…`; two of them with a space between while they change) and EXTEND_SECONDS (900; 0 extends
nothing). Python 3.9 or later.
"""

import hmac
import json
import os
import sys
import threading
import time
import urllib.error
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from perminute import Perminute, signature_of

TIMESTAMP_SECONDS_MAX = 300
BODY_BYTES_MAX = 65_536
EVENTS_REMEMBERED = 10_000
LOCKS = 64
TRIES = 3
PAUSE_SECONDS = 0.2
WARNING, END = "call.warning", "call.end"


class Control:
    """Acts once on each event; `calls` is the bridge, `perminute` None extends nothing."""

    def __init__(
        self,
        calls: Any,
        secrets: "list[str]",
        perminute: "Perminute | None" = None,
        extend_seconds: int = 0,
    ) -> None:
        self._calls = calls
        self._secrets = secrets
        self._perminute = perminute
        self._extend_seconds = extend_seconds
        self._done: OrderedDict[str, None] = OrderedDict()
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def handle(self, headers: "dict[str, str]", body: bytes) -> int:
        """The HTTP status for a request; names of headers are in lower case."""
        if not self._is_authentic(headers, body):
            return 401
        try:
            event = json.loads(body)
            kind, call = event["type"], event["data"]
            event_id = str(event["id"])
            call["authorization"]
        except (ValueError, KeyError, TypeError):
            return 400
        # One event of a call at a time, so that a repetition finds the first one done.
        with self._locks[hash(str(call["authorization"])) % LOCKS]:
            if event_id in self._done:
                return 204
            try:
                self._act(kind, call)
            except (OSError, ValueError, KeyError) as error:
                print(f"{kind} {call['authorization']}: {error}", file=sys.stderr, flush=True)
                return 503
            self._done[event_id] = None
            if len(self._done) > EVENTS_REMEMBERED:
                self._done.popitem(last=False)
        return 204

    def _act(self, kind: str, call: "dict[str, Any]") -> None:
        if kind == END:
            tried(lambda: self._calls.end(call))
        elif kind == WARNING and self._perminute is not None and self._extend_seconds:
            self._extend(self._perminute, call)

    def _extend(self, perminute: Perminute, call: "dict[str, Any]") -> None:
        """Request more seconds, and move the end of the call to the granted time."""
        elapsed = tried(lambda: self._calls.elapsed(call))
        if elapsed is None:
            return
        total = int(elapsed) + self._extend_seconds
        try:
            answer = tried(lambda: perminute.extend(call["authorization"], total))
        except urllib.error.HTTPError as error:
            if error.code in (404, 409, 422):
                return  # the call has ended or is not extended: it ends when it was to end
            raise
        if answer.get("decision") == "allow":
            requested_at = time.monotonic()
            left = answer["granted_seconds"] - elapsed
            tried(lambda: self._calls.set_end(call, left - (time.monotonic() - requested_at)))

    def _is_authentic(self, headers: "dict[str, str]", body: bytes) -> bool:
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not message_id or not (timestamp.isascii() and timestamp.isdecimal()):
            return False
        if len(timestamp) > 12 or abs(time.time() - int(timestamp)) > TIMESTAMP_SECONDS_MAX:
            return False
        given = [
            each[len("v1,") :].encode()
            for each in headers.get("webhook-signature", "").split()
            if each.startswith("v1,")
        ]
        right = [
            signature_of(secret, message_id, timestamp, body).encode() for secret in self._secrets
        ]
        return any(hmac.compare_digest(one, other) for one in given for other in right)


def tried(action: Any) -> Any:
    """The result of an action that is tried again after OSError, unless it is the answer to a
    request that was wrong."""
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            return action()
        except OSError as error:
            is_final = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if not tries_left or (is_final and error.code != 429):
                raise
            time.sleep(PAUSE_SECONDS)
    raise AssertionError("every try ends in one of two ways")


def server(control: Control, address: str) -> ThreadingHTTPServer:
    """An HTTP server on `host:port` that hands each POST to `control`."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
                status = 413
                self.close_connection = True
            else:
                body = self.rfile.read(int(length))
                fields = {name.lower(): value for name, value in self.headers.items()}
                status = control.handle(fields, body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing: the vendor's side logs calls."""

    host, _, port = address.rpartition(":")
    return ThreadingHTTPServer((host, int(port)), Handler)


def serve(calls: Any) -> None:
    """Serve until the process is ended."""
    seconds = int(os.environ.get("EXTEND_SECONDS", "900"))
    secrets = os.environ["CONTROL_SECRETS"].split()
    control = Control(calls, secrets, Perminute.from_environment(), seconds)
    with server(control, os.environ.get("CONTROL_LISTEN", "127.0.0.1:8090")) as running:
        running.serve_forever()
