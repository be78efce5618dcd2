#!/usr/bin/env python3
"""LiveKit: acts on `call.end` by RemoveParticipant of the room service. `max_call_duration` of a
call stays as it is, so that `call.warning` changes nothing: register the bridge with
`assumed_seconds`.

    python3 livekit_control.py

The environment names the bridge (see perminute.py), the address to listen on and its secret (see
control.py), and LIVEKIT_URL (https://… of the server), LIVEKIT_API_KEY and LIVEKIT_API_SECRET. A
call is the participant whose identity is the authorization: livekit_call.py sets it. Python 3.9 or
later.
"""

import base64
import hashlib
import hmac
import json
import os
import time
from typing import Any

from vendor_api import request

TOKEN_SECONDS = 60


class LiveKitCalls:
    """The actions of control.py on calls of LiveKit."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._url = url.rstrip("/").replace("wss://", "https://", 1).replace("ws://", "http://", 1)
        self._key = key
        self._secret = secret

    @classmethod
    def from_environment(cls) -> "LiveKitCalls":
        """From LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET."""
        names = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
        return cls(*(os.environ[name] for name in names))

    def end(self, call: "dict[str, Any]") -> bool:
        """Remove the participant, which hangs up. False where there is none any more."""
        room = call.get("conference")
        if not room:
            return False
        body = json.dumps({"room": room, "identity": call["authorization"]}).encode()
        headers = {
            "authorization": f"Bearer {self._token(room)}",
            "content-type": "application/json",
        }
        url = f"{self._url}/twirp/livekit.RoomService/RemoveParticipant"
        return request("POST", url, body, headers) is not None

    def elapsed(self, call: "dict[str, Any]") -> None:
        """Nothing: the end of a call can't be moved."""

    def set_end(self, call: "dict[str, Any]", seconds: float) -> bool:
        """LiveKit ends a call by the `max_call_duration` that it began with."""
        return False

    def _token(self, room: str) -> str:
        """A JSON Web Token (HS256) that may administer this room for a minute."""
        now = int(time.time())
        claims = {
            "iss": self._key,
            "nbf": now - TOKEN_SECONDS,
            "exp": now + TOKEN_SECONDS,
            "video": {"roomAdmin": True, "room": room},
        }
        parts = [_encoded(json.dumps(each).encode()) for each in ({"alg": "HS256"}, claims)]
        content = ".".join(parts)
        digest = hmac.new(self._secret.encode(), content.encode(), hashlib.sha256).digest()
        return f"{content}.{_encoded(digest)}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


if __name__ == "__main__":
    from control import serve

    serve(LiveKitCalls.from_environment())
