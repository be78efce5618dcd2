"""A client of the product as its callers write one: it shares no code with the product.

Only the standard library, and only what the wire contract says: JSON over HTTP, API keys, and
Standard Webhooks signatures made here by `hmac`.
"""

import base64
import hashlib
import hmac
import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

REQUEST_SECONDS_MAX = 90.0
POLL_SECONDS = 0.02
type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem document, "" if this is none."""
        is_problem = self.headers.get("content-type", "").startswith("application/problem+json")
        return str(self.json()["code"]) if is_problem else ""


@dataclass(slots=True)
class Http:
    """Requests to one server, over one kept connection per thread."""

    base_url: str
    _own: threading.local = field(default_factory=threading.local)

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request. A connection that the server closed meanwhile is made again, once."""
        for is_last_try in (False, True):
            connection = self._connection()
            try:
                connection.request(method, path, body, dict(headers or {}))
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # A server that is slow may do it yet: a retry would be another request.
                is_late = isinstance(error, TimeoutError)
                if is_late or is_last_try or not hasattr(self._own, "used"):
                    raise
                del self._own.used
            else:
                self._own.used = True
                fields = {name.lower(): value for name, value in answer.getheaders()}
                return Answer(answer.status, fields, content)
        raise AssertionError("two tries were made")

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(
                self.base_url.removeprefix("http://"), timeout=REQUEST_SECONDS_MAX
            )
        connection: http.client.HTTPConnection = self._own.connection
        return connection


@dataclass(frozen=True, slots=True)
class Admin:
    """An administrator with an API key."""

    http: Http
    key: str

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `path` is what follows `/api/v1/`, `body` is sent as JSON unless bytes."""
        fields = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        if if_match is not None:
            fields["if-match"] = if_match
        if idempotency_key is not None:
            fields["idempotency-key"] = idempotency_key
        fields |= headers or {}
        return self.http.send(method, f"/api/v1/{path}", _bytes(body), fields)

    def get(self, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.request("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.json()

    def put(self, path: str, body: object) -> Any:
        """The JSON of a PUT that must create something."""
        answer = self.request("PUT", path, body)
        assert answer.status == 201, (path, answer)
        return answer.json()

    def items(self, path: str, *, limit: int = 1000) -> list[Json]:
        """All items of a list, page by page."""
        mark = "&" if "?" in path else "?"
        found: list[Json] = []
        cursor = ""
        while True:
            page = self.get(f"{path}{mark}limit={limit}{cursor}")
            found += page["items"]
            if "next" not in page:
                return found
            cursor = f"&cursor={quote(page['next'], safe='')}"


@dataclass(frozen=True, slots=True)
class SigningBridge:
    """A bridge that signs what it posts."""

    http: Http
    name: str
    secret: str

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """A signed POST; `path` is what follows the bridge's own."""
        return self._post(path, body, headers, None)

    def _post(
        self, path: str, body: object, headers: Mapping[str, str] | None, webhook_id: str | None
    ) -> Answer:
        content = _bytes(body)
        fields = signed(self.secret, content, webhook_id=webhook_id)
        fields |= {"content-type": "application/json"} | dict(headers or {})
        return self.http.send("POST", f"/api/v1/bridges/{self.name}/{path}", content, fields)

    def ended(self, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Post one leg or many."""
        return self.post("call-ended", body, headers)

    def authorise(self, question: Json, key: str | None = None) -> Answer:
        """Request a dial-out, under a webhook id of its own unless one is given."""
        return self._post("dial-outs", question, None, key)

    def extend(self, authorization: str, seconds: int) -> Answer:
        """Let a call go on until so many seconds after its answer."""
        path = f"dial-outs/{quote(authorization, safe='')}/extend"
        return self.post(path, {"seconds": seconds, "authorization": authorization})

    def release(self, authorization: str) -> Answer:
        """Give an authorisation back."""
        path = f"dial-outs/{quote(authorization, safe='')}/release"
        return self.post(path, {"authorization": authorization, "release": True})


def signed(
    secret: str, body: bytes, *, at: float | None = None, webhook_id: str | None = None
) -> dict[str, str]:
    """The headers of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, in base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message_id = webhook_id or unique("msg")
    timestamp = str(int(time.time() if at is None else at))
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def basic(username: str, password: str) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


def unique(name: str) -> str:
    """A name that no one else has."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


def at_once[Result](count: int, call: Callable[[int], Result]) -> list[Result]:
    """What `count` threads get that call at the same instant; each is given its number."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Result:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def eventually[Result](probe: Callable[[], Result], seconds: float = 30.0) -> Result:
    """The first result of `probe` that is true; the last one where the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(POLL_SECONDS)


def _bytes(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    return json.dumps(body).encode()


def every(answers: Sequence[Answer], status: int) -> bool:
    """Whether all answers have that status; names those that have not."""
    others = [answer for answer in answers if answer.status != status]
    assert not others, others[:3]
    return True
