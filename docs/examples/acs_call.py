"""Azure Communication Services: authorize a phone before it is added (Call Automation).

ACS has no limit for the length of a call: the grant is enforced by `call.end`, which acs_control.py
acts on. Both share the folder of `Calls`, which has the call of each authorization.
Python 3.9 or later, standard library only.
"""

import base64
import hashlib
import hmac
import json
import os
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from perminute import Perminute
from vendor_api import request

API_VERSION = "2023-10-15"
RING_SECONDS = 90  # within the 120 that a hold allows for


class Acs:
    """Call Automation of one resource, with its access key."""

    def __init__(self, endpoint: str, access_key: str) -> None:
        """The two parts of the connection string."""
        self._endpoint = endpoint.rstrip("/")
        self._key = base64.b64decode(access_key)

    def post(self, path: str, body: "dict[str, Any]") -> "dict[str, Any] | None":
        """The answer; None where the call is not there any more. Raises OSError."""
        url = f"{self._endpoint}{path}?api-version={API_VERSION}"
        content = json.dumps(body).encode()
        return request("POST", url, content, self._headers("POST", url, content))

    def _headers(self, method: str, url: str, content: bytes) -> "dict[str, str]":
        """The signature of a request: HMAC-SHA256 over method, path, date, host and hash."""
        parts = urlsplit(url)
        date = formatdate(usegmt=True)
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        text = f"{method}\n{parts.path}?{parts.query}\n{date};{parts.netloc};{digest}"
        signature = base64.b64encode(hmac.new(self._key, text.encode(), hashlib.sha256).digest())
        names = "SignedHeaders=x-ms-date;host;x-ms-content-sha256"
        return {
            "x-ms-date": date,
            "x-ms-content-sha256": digest,
            "authorization": f"HMAC-SHA256 {names}&Signature={signature.decode()}",
            "content-type": "application/json",
        }


class Calls:
    """The call of each authorization: a folder with one file per authorization."""

    def __init__(self, folder: "str | os.PathLike[str]") -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def put(self, authorization: str, connection: str, number: str) -> None:
        """Keep it, with the present time. Raises OSError."""
        unfinished = self._folder / f".{quote(authorization, safe='')}"
        unfinished.write_text(json.dumps([connection, number, time.time()]), encoding="utf-8")
        unfinished.replace(self._path(authorization))

    def get(self, authorization: str) -> "tuple[str, str, float] | None":
        """The call connection's id, the number and when it was dialled, in seconds since 1970; None
        where the call is unknown or forgotten."""
        try:
            connection, number, at = json.loads(self._path(authorization).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return connection, number, at

    def forget(self, authorization: str) -> None:
        """The call has ended."""
        self._path(authorization).unlink(missing_ok=True)

    def _path(self, authorization: str) -> Path:
        return self._folder / f"{quote(authorization, safe='')}.json"


def phone_number(number: str) -> "dict[str, Any]":
    """A participant as Call Automation names a phone."""
    return {"kind": "phoneNumber", "phoneNumber": {"value": number}}


def add_participant(
    acs: Acs,
    calls: Calls,
    perminute: Perminute,
    connection: str,
    to: str,
    *,
    caller: str,
    conference: str,
) -> "dict[str, Any]":
    """Dial `to` into the call if that is allowed; the answer has the reason of a denial.

    The authorization travels as `operationContext`, which comes back with AddParticipantSucceeded
    and AddParticipantFailed.
    """
    answer = perminute.dial_out(to, conference_id=conference, **{"from": caller})
    if answer["decision"] != "allow":
        return answer
    authorization = answer.get("authorization", "")
    number = answer.get("destination", {}).get("number", to)
    body = {
        "participantToAdd": phone_number(number),
        "sourceCallerIdNumber": {"value": caller},
        "invitationTimeoutInSeconds": RING_SECONDS,
        "operationContext": authorization,
    }
    path = f"/calling/callConnections/{quote(connection, safe='')}/participants:add"
    try:
        if authorization:
            calls.put(authorization, connection, number)
        if acs.post(path, body) is None:
            raise OSError("The call has ended.")
    except OSError:
        if authorization:
            calls.forget(authorization)
            perminute.release(authorization)
        raise
    return answer
