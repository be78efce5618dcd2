"""Requests a call from Perminute and reports its end: Python 3.9 or later, standard library
only. Copy the file into a bridge.

No answer within two seconds is a denial, unless `on_outage` is "allow".
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

ANSWER_SECONDS_MAX = float(os.environ.get("PERMINUTE_ANSWER_SECONDS", "2"))
PATIENT_SECONDS_MAX = 10.0  # of requests for which no caller waits
OUTAGE_SECONDS = 900  # what a call may last that was dialled without an answer


@dataclass(frozen=True)
class Perminute:
    """One bridge. A secret that begins with `whsec_` signs requests (Standard Webhooks); any other
    is the password of `username`."""

    base_url: str  # such as https://perminute.example/api/v1
    bridge: str
    username: str
    secret: str
    on_outage: str = "deny"

    @classmethod
    def from_environment(cls) -> "Perminute":
        """The bridge that PERMINUTE_URL, PERMINUTE_BRIDGE, PERMINUTE_USER, PERMINUTE_SECRET and
        PERMINUTE_ON_OUTAGE name."""
        return cls(
            os.environ["PERMINUTE_URL"],
            os.environ["PERMINUTE_BRIDGE"],
            os.environ.get("PERMINUTE_USER", ""),
            os.environ["PERMINUTE_SECRET"],
            os.environ.get("PERMINUTE_ON_OUTAGE", "deny"),
        )

    def dial_out(self, to: str, **question: Any) -> "dict[str, Any]":
        """The answer to a dial-out; `question` as in the API: conference_id, account, …

        The key is made once, so that a repeated request after a lost answer never holds twice.
        Without an answer it is in `key`: a request that did arrive may have placed a hold, which
        `spool.py` releases.
        """
        key = str(uuid.uuid4())
        for is_last in (False, True):
            try:
                return self.post("dial-outs", {"to": to, **question}, key)
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise  # our own mistake: asking again would not help
            except OSError:
                pass
            if is_last:
                break
        if self.on_outage == "allow":
            return {"decision": "allow", "granted_seconds": OUTAGE_SECONDS, "final": True}
        message = "Perminute does not answer."
        return {"decision": "deny", "reason": "unavailable", "message": message, "key": key}

    def extend(self, authorization: str, seconds: int) -> "dict[str, Any]":
        """Request a total of seconds, counted from the answer."""
        body = {"seconds": seconds, "authorization": authorization}
        path = f"dial-outs/{quote(authorization, safe='')}/extend"
        return self.post(path, body, seconds=PATIENT_SECONDS_MAX)

    def release(self, authorization: str) -> None:
        """The call did not happen. Raises OSError."""
        self.post(*release_of(authorization), seconds=PATIENT_SECONDS_MAX)

    def ended(self, leg: "dict[str, Any]") -> None:
        """A leg ended, in the dialect of the bridge. Raises OSError: then keep the leg and post it
        again, as `spool.py` does."""
        self.post("call-ended", leg, seconds=PATIENT_SECONDS_MAX)

    def post(
        self, path: str, body: Any, key: str = "", seconds: float = ANSWER_SECONDS_MAX
    ) -> "dict[str, Any]":
        """The answer of one route of the bridge within some seconds. Raises OSError, as HTTPError
        where the status is 400 or more."""
        content = json.dumps(body).encode()
        headers = {"content-type": "application/json", **self._proof(content, key)}
        request = urllib.request.Request(
            f"{self.base_url}/bridges/{self.bridge}/{path}", data=content, headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                found = json.loads(answer.read() or b"{}")
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(f"The answer broke off or is no JSON: {error}") from error
        return dict(found)

    def _proof(self, content: bytes, key: str) -> "dict[str, str]":
        if not self.secret.startswith("whsec_"):
            login = base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()
            proof = {"authorization": f"Basic {login}"}
            return {**proof, "idempotency-key": key} if key else proof
        return signed(self.secret, content, key or str(uuid.uuid4()))


def release_of(authorization: str) -> "tuple[str, dict[str, Any]]":
    """Path and body of a release."""
    body = {"authorization": authorization, "release": True}
    return f"dial-outs/{quote(authorization, safe='')}/release", body


def answered_of(authorization: str, at_epoch: float) -> "tuple[str, dict[str, Any]]":
    """Path and body that report when a call was answered, in seconds since 1970."""
    at = datetime.fromtimestamp(at_epoch or time.time(), timezone.utc)
    body = {"authorization": authorization, "answered_at": at.isoformat().replace("+00:00", "Z")}
    return f"dial-outs/{quote(authorization, safe='')}/answered", body


def signed(secret: str, content: bytes, message_id: str) -> "dict[str, str]":
    """The headers of Standard Webhooks for a content that is sent now."""
    timestamp = str(int(time.time()))
    signature = signature_of(secret, message_id, timestamp, content)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def signature_of(secret: str, message_id: str, timestamp: str, content: bytes) -> str:
    """HMAC-SHA256 over `id.timestamp.content` in base64; the secret is `whsec_` and base64."""
    key = base64.b64decode(secret[len("whsec_") :])
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + content, hashlib.sha256)
    return base64.b64encode(digest.digest()).decode()
