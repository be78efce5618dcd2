"""HTTP as bridges and administrators speak it; shares no code with the product.

All that is known here is the wire: JSON, API keys, Standard Webhooks signatures, basic auth.
"""

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.parts import StackError

REQUEST_SECONDS_MAX = 30.0
JSON_TYPE = "application/json"
type Json = dict[str, Any]
type Credentials = Callable[[bytes], dict[str, str]]


class DemoError(StackError):
    """An answer that the demo can't go on from; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Response:
    """The response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Server:
    """The product, behind its base URL."""

    base_url: str

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """One request on a separate connection. Raises DemoError when nothing comes back."""
        address = urlsplit(self.base_url).netloc
        connection = http.client.HTTPConnection(address, timeout=REQUEST_SECONDS_MAX)
        try:
            connection.request(method, path, body or None, dict(headers))
            answer = connection.getresponse()
            text = answer.read()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, names, json.loads(text) if text else None)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DemoError(f"{method} {path} got no answer in JSON: {error!r}") from error
        finally:
            connection.close()


class Admin:
    """An administrator with an API key."""

    def __init__(self, base_url: str, key: str) -> None:
        self._server = Server(base_url)
        self._key = key

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Response:
        """Any answer; `headers` have underscores for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fields = {"authorization": f"Bearer {self._key}", "content-type": JSON_TYPE, **named}
        text = b"" if body is None else json.dumps(body).encode()
        return self._server.send(method, path, text, fields)

    def get(self, path: str) -> Json:
        """The existing object. Raises DemoError unless it is answered 200."""
        return _wanted(self.ask("GET", path), f"GET {path}", 200)

    def put(self, path: str, body: object) -> Json:
        """The created object. Raises DemoError unless it is answered 201."""
        return _wanted(self.ask("PUT", path, body), f"PUT {path}", 201)

    def post(self, path: str, body: object) -> Json:
        """The created object. Raises DemoError unless it is answered 201."""
        return _wanted(self.ask("POST", path, body), f"POST {path}", 201)


class BridgeClient:
    """A conferencing bridge; `credentials` makes the headers that prove who posts a body."""

    def __init__(self, base_url: str, name: str, credentials: Credentials) -> None:
        self.name = name
        self._server = Server(base_url)
        self._credentials = credentials

    def ask_dial_out(self, question: Json) -> Json:
        """The answer, allow or deny. Raises DemoError unless there is one."""
        body = json.dumps(question).encode()
        return _wanted(self._post("dial-outs", body, JSON_TYPE), "a dial-out", 200)

    def report(self, route: str, body: Json) -> Json:
        """The answer to a report about a call. Raises DemoError unless it is answered 200."""
        return _wanted(self._post(route, json.dumps(body).encode(), JSON_TYPE), route, 200)

    def post_ended(self, body: bytes, content_type: str = JSON_TYPE, query: str = "") -> Json:
        """Post a call-ended event. Raises DemoError unless it is answered 202."""
        return _wanted(self._post(f"call-ended{query}", body, content_type), "a call-ended", 202)

    def _post(self, route: str, body: bytes, content_type: str) -> Response:
        proof = self._credentials(body)
        # Dial-outs need a key; that of a signed request is its webhook id.
        key = proof.get("webhook-id") or secrets.token_hex(16)
        headers = {"content-type": content_type, "idempotency-key": key, **proof}
        return self._server.send("POST", f"/api/v1/bridges/{self.name}/{route}", body, headers)


def standard_webhooks(secret: str) -> Credentials:
    """Signs every body: HMAC-SHA256 over `id.timestamp.body` (standardwebhooks.com)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))

    def sign(body: bytes) -> dict[str, str]:
        message, timestamp = f"msg_{secrets.token_hex(12)}", str(int(time.time()))
        signed = f"{message}.{timestamp}.".encode() + body
        signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return {
            "webhook-id": message,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        }

    return sign


def basic(username: str, password: str) -> Credentials:
    """HTTP basic authentication, as FreeSWITCH's mod_json_cdr sends it."""
    coded = base64.b64encode(f"{username}:{password}".encode()).decode()
    return lambda _: {"authorization": f"Basic {coded}"}


def _wanted(answer: Response, what: str, status: int) -> Json:
    if answer.status != status or not isinstance(answer.body, dict):
        detail = answer.body.get("detail", "") if isinstance(answer.body, dict) else ""
        raise DemoError(f"{what} was answered {answer.status} instead of {status}. {detail}")
    return answer.body
