"""A payment provider for the laptop: it collects the amounts of recharges, declines, and delays.

The signed webhook `recharge.requested` reports a recharge to it. It answers by the callback, with
an API key of the role `payments`. A repeated recharge gets its first answer again.
"""

import contextlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from local.demo.receiver import WebhookReceiver
from local.demo.wire import Admin, DemoError, Json

WEBHOOK = "payments"
KEY_NAME = "local payment provider"
CALLBACK_TRIES_MAX, CALLBACK_PAUSE_SECONDS = 5, 1.0
SERVER_ERROR = 500
SUCCEEDED, DECLINED, PENDING = "succeeded", "declined", "pending"


@dataclass(frozen=True, slots=True)
class PlannedAnswer:
    """The answer to a recharge; a later one is preceded by pending."""

    status: str = SUCCEEDED
    after_seconds: float = 0.0
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that was made, and how it was answered."""

    recharge: str
    status: str
    amount: str
    answer: int


class PaymentProvider:
    """Answers from the moment that `connect` was called. `plan` has the answers for the recharges
    to come, in order; then the file `behaviour` counts, and without it they succeed at once."""

    def __init__(self, behaviour: Path | None = None) -> None:
        self._behaviour = behaviour
        self.plan: deque[PlannedAnswer] = deque()
        self.callbacks: list[Callback] = []
        self._decided: dict[str, PlannedAnswer] = {}
        self._lock = threading.Lock()
        self._client: Admin | None = None
        self.receiver = WebhookReceiver(self._on_request)

    def connect(self, base_url: str, admin_key: str, accounts: list[str]) -> None:
        """Create a separate key, and the accounts' webhooks: the one-time work of an administrator.

        Raises DemoError when that is refused.
        """
        admin = Admin(base_url, admin_key)
        for key in admin.get("/api/v1/api-keys?limit=1000")["items"]:
            if key["name"] == KEY_NAME:  # of an earlier run, which kept it in memory
                admin.ask("DELETE", f"/api/v1/api-keys/{key['id']}")
        wanted = {"name": KEY_NAME, "roles": ["payments"], "accounts": accounts}
        self._client = Admin(base_url, admin.post("/api/v1/api-keys", wanted)["key"])
        for account in accounts:
            self.receiver.secrets.append(
                subscribe(admin, account, WEBHOOK, self.receiver.url, ["recharge.requested"])
            )

    def close(self) -> None:
        """Listen no longer."""
        self.receiver.close()

    def _on_request(self, event: Json) -> None:
        data = event["data"]
        with self._lock:
            decided = self._decided.get(data["recharge"])
            if decided is None:
                decided = self.plan.popleft() if self.plan else self.usual()
                self._decided[data["recharge"]] = decided
        threading.Thread(target=self._answer, args=(data, decided), daemon=True).start()

    def usual(self) -> PlannedAnswer:
        """The contents of the file."""
        if self._behaviour is None or not self._behaviour.exists():
            return PlannedAnswer()
        return PlannedAnswer(**json.loads(self._behaviour.read_text("utf-8")))

    def _answer(self, data: Json, decided: PlannedAnswer) -> None:
        if decided.after_seconds:
            self._say(data, {"status": PENDING})
            time.sleep(decided.after_seconds)
        reference = f"card 4242, {data['recharge']}"
        hard = {"hard": True} if decided.hard else {}
        self._say(data, {"status": decided.status, "reference": reference, **hard})

    def _say(self, data: Json, answer: Json) -> None:
        """The callback, repeated until it is accepted; at last when the recharge is requested
        again, which is a separate event."""
        body = {"amount": data["amount"], "currency": data["currency"], **answer}
        path = f"/api/v1/recharges/{data['recharge']}/result"
        assert self._client is not None
        status = 0
        for _ in range(CALLBACK_TRIES_MAX):
            with contextlib.suppress(DemoError):
                status = self._client.ask("POST", path, body).status
            if 0 < status < SERVER_ERROR:
                break
            time.sleep(CALLBACK_PAUSE_SECONDS)
        self.callbacks.append(Callback(data["recharge"], answer["status"], data["amount"], status))


def subscribe(admin: Admin, account: str, name: str, url: str, events: list[str]) -> str:
    """Create the account's webhook, or change its URL to this one; returns its new secret.

    Raises DemoError when it is refused.
    """
    path = f"/api/v1/accounts/{account}/webhooks/{name}"
    body = {"url": url, "events": events}
    known = admin.ask("GET", path)
    if known.status == 200:
        again = {**body, "rotate_secret": True}
        answer = admin.ask("PUT", path, again, if_match=known.body["etag"])
        if answer.status != 200:
            raise DemoError(f"PUT {path} was answered {answer.status}: {answer.body}")
        return str(answer.body["secret"])
    return str(admin.put(path, body)["secret"])
