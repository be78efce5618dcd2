# ruff: noqa: INP001
"""Asks Perminute before a call, with nothing but Python's standard library: copy it into a bridge.

It fails closed: no answer within two seconds is a denial, unless `on_outage` is "allow".
"""

import base64
import json
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

ANSWER_SECONDS_MAX = 2.0
OUTAGE_SECONDS = 900  # what a call may last that nobody could be asked about


@dataclass(frozen=True)
class Perminute:
    """One bridge, which logs in with a name and a secret."""

    base_url: str  # such as https://perminute.example/api/v1
    bridge: str
    username: str
    secret: str
    on_outage: str = "deny"

    def dial_out(self, to: str, **question: Any) -> dict[str, Any]:
        """The answer to a dial-out; `question` as in the API: conference_id, account, …

        The key is made once, so that asking again after a lost answer never holds twice.
        """
        key = str(uuid.uuid4())
        for is_last in (False, True):
            try:
                return self._post("dial-outs", {"to": to, **question}, key)
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise  # our own mistake: asking again would not help
            except OSError:
                pass
            if is_last:
                break
        if self.on_outage == "allow":
            return {"decision": "allow", "granted_seconds": OUTAGE_SECONDS, "final": True}
        return {"decision": "deny", "reason": "unavailable", "message": "Perminute can't be asked."}

    def extend(self, authorization: str, seconds: int) -> dict[str, Any]:
        """Ask for a total of seconds, counted from the answer."""
        body = {"seconds": seconds, "authorization": authorization}
        return self._post(f"dial-outs/{quote(authorization, safe='')}/extend", body)

    def release(self, authorization: str) -> None:
        """The call did not happen."""
        body = {"authorization": authorization, "release": True}
        self._post(f"dial-outs/{quote(authorization, safe='')}/release", body)

    def ended(self, leg: dict[str, Any]) -> None:
        """A leg ended, dialect `perminute`. Raises OSError: then keep it and post it again."""
        self._post("call-ended", leg)

    def _post(self, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        login = base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()
        headers = {"content-type": "application/json", "authorization": f"Basic {login}"}
        if key:
            headers["idempotency-key"] = key
        request = urllib.request.Request(  # noqa: S310 (the operator's own URL)
            f"{self.base_url}/bridges/{self.bridge}/{path}",
            data=json.dumps(body).encode(),
            headers=headers,
        )
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS_MAX) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found
