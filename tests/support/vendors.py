"""Requests as vendors sign them, by code that shares nothing with the product."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl

FORM = "application/x-www-form-urlencoded"
USER = "u"
"""The user of Basic, and the API key of LiveKit."""


def twilio_call(
    call: str,
    *,
    caller: str,
    to: str,
    talk_seconds: int,
    ended_at: str,
    joined_at: str | None = None,
) -> tuple[dict[str, str], dict[str, str]]:
    """The callbacks of a dial-out into conference 3001: it joined, at its answer by default, and it
    ended. `ended_at` is a time of RFC 3339 or RFC 2822."""
    if joined_at is None:
        if ended_at[0].isdigit():
            end = datetime.fromisoformat(ended_at)
        else:
            end = parsedate_to_datetime(ended_at)
        joined_at = (end - timedelta(seconds=talk_seconds)).isoformat()
    joined = {
        "CallSid": call,
        "ConferenceSid": "CF1",
        "FriendlyName": "3001",
        "StatusCallbackEvent": "participant-join",
        "Timestamp": joined_at,
    }
    completed = {
        "CallSid": call,
        "From": caller,
        "To": to,
        "Direction": "outbound-api",
        "CallStatus": "completed",
        "CallDuration": str(talk_seconds),
        "Timestamp": ended_at,
    }
    return joined, completed


def jwt(secret: str, claims: Mapping[str, object], algorithm: str = "HS256") -> str:
    """A token signed by HMAC-SHA256."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    head = json.dumps({"alg": algorithm, "typ": "JWT"}).encode()
    text = f"{part(head)}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def bigbluebutton_checksum(callback: str, body: bytes, secret: str, algorithm: str) -> str:
    """The hash of the callback URL, the body and the secret, hex."""
    return hashlib.new(algorithm, callback.encode() + body + secret.encode()).hexdigest()


def sign(
    scheme: str, secret: str, at: int, url: str, body: bytes, content_type: str = FORM
) -> tuple[dict[str, str], str]:
    """(headers, URL) of a request that the vendor of `scheme` makes at `at`, seconds since 1970."""
    headers = {"content-type": content_type}
    match scheme:
        case "standard-webhooks":
            digest = hmac.digest(base64.b64decode(secret), b"m1.%d." % at + body, "sha256")
            headers |= {"webhook-id": "m1", "webhook-timestamp": str(at)}
            headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
        case "basic":
            pair = base64.b64encode(f"{USER}:{secret}".encode()).decode()
            headers["authorization"] = f"Basic {pair}"
        case "bearer":
            headers["authorization"] = f"Bearer {secret}"
        case "twilio":
            signed = ""
            if content_type == FORM:
                fields = set(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
                signed = "".join(name + value for name, value in sorted(fields))
            else:
                url += f"?bodySHA256={hashlib.sha256(body).hexdigest()}"
            digest = hmac.digest(secret.encode(), (url + signed).encode(), "sha1")
            headers["x-twilio-signature"] = base64.b64encode(digest).decode()
        case "livekit":
            claim = base64.b64encode(hashlib.sha256(body).digest()).decode()
            token = jwt(secret, {"iss": USER, "exp": at + 240, "sha256": claim})
            headers["authorization"] = token
        case "bigbluebutton":
            url += f"?checksum={bigbluebutton_checksum(url, body, secret, 'sha256')}"
        case "zoom":
            digest = hmac.digest(secret.encode(), b"v0:%d:" % at + body, "sha256")
            headers |= {"x-zm-request-timestamp": str(at), "x-zm-signature": f"v0={digest.hex()}"}
    return headers, url
