"""The demo's bridge as far as it can hang up: it takes signals about its calls."""

import base64
import json
import math
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from local.demo.receiver import WebhookReceiver
from local.demo.wire import Admin, BridgeClient, DemoError, Json

SECRET_BYTES = 32


@dataclass(slots=True)
class DemoCall:
    """A call of the bridge. `began_at` is None while it rings, `ended_by` the event that ended it,
    at `ended` of the monotonic clock."""

    authorization: str
    to: str
    leg_id: str
    requested_at: datetime
    began_at: datetime | None = None
    ended_by: Json = field(default_factory=dict)
    ended: float = 0.0


class HangingUpBridge:
    """Dials, and ends a call at `call.end`: one that rings is given back, one that was answered is
    posted as a leg. Its control URL is on loopback, from the moment it is made."""

    def __init__(self, admin: Admin, bridge: BridgeClient) -> None:
        self._admin, self._bridge = admin, bridge
        self._lock = threading.Lock()
        self.calls: dict[str, DemoCall] = {}
        self.warnings: list[Json] = []
        self._receiver = WebhookReceiver(self._take)
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        self._receiver.secrets.append(secret)
        self._set_control({"url": self._receiver.url, "secrets": [secret]})

    def close(self) -> None:
        """Take no more signals."""
        self._set_control(None)
        self._receiver.close()

    def dial(self, question: Json) -> DemoCall:
        """A call that rings. Raises DemoError unless it is allowed."""
        leg_id = f"call-{secrets.token_hex(6)}"
        with self._lock:  # a signal may come before the answer is read
            answer = self._bridge.ask_dial_out({**question, "leg_id": leg_id})
            if answer["decision"] != "allow":
                raise DemoError(f"a dial-out was denied: {answer}")
            call = DemoCall(answer["authorization"], question["to"], leg_id, datetime.now(UTC))
            self.calls[call.authorization] = call
        return call

    def answer(self, call: DemoCall) -> None:
        """A participant answers, which the bridge reports."""
        call.began_at = datetime.now(UTC)
        self._report(call, "answered", {"answered_at": _text(call.began_at)})

    def _take(self, event: Json) -> None:
        received = time.monotonic()
        with self._lock:
            call = self.calls.get(event["data"]["authorization"])
        if event["type"] == "call.warning":
            self.warnings.append(event)
        elif call is not None and not call.ended_by:
            self._hang_up(call)
            call.ended, call.ended_by = received, event

    def _hang_up(self, call: DemoCall) -> None:
        if call.began_at is None:
            self._report(call, "release", {"release": True})
            return
        ended_at = datetime.now(UTC)
        leg = {
            "leg_id": call.leg_id,
            "kind": "dial_out",
            "to": call.to,
            "started_at": _text(call.requested_at),
            "answered_at": _text(call.began_at),
            "ended_at": _text(ended_at),
            "talk_seconds": math.ceil((ended_at - call.began_at).total_seconds()),
            "authorization": call.authorization,
            "hangup_cause": "ALLOTTED_TIMEOUT",
        }
        self._bridge.post_ended(json.dumps([leg]).encode())

    def _report(self, call: DemoCall, what: str, more: Json) -> None:
        body = {"authorization": call.authorization, **more}
        self._bridge.report(f"dial-outs/{call.authorization}/{what}", body)

    def _set_control(self, control: Json | None) -> None:
        path = f"/api/v1/bridges/{self._bridge.name}"
        answer = self._admin.ask("PATCH", path, {"control": control})
        if answer.status != 200:
            raise DemoError(f"the bridge's control URL was answered {answer.status}")


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
