"""Credentials of bridges, made as each vendor makes them, for posts that are tried."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

USUAL = {
    "perminute": "standard-webhooks",
    "freeswitch": "basic",
    "asterisk": "basic",
    "twilio": "twilio",
    "livekit": "livekit",
    "acs": "bearer",
    "bigbluebutton": "bigbluebutton",
    "jitsi": "bearer",
    "zoom": "zoom",
}
"""The usual scheme of each dialect."""
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Signed:
    """The headers that prove a post, and the URL for which they do."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)


def sign(scheme: str, secret: str, username: str, url: str, body: bytes, kind: str) -> Signed:
    """Sign a post of content type `kind` to `url`. Raises ValueError on an unusable secret."""
    match scheme:
        case "standard-webhooks":
            return Signed(url, _standard_webhooks(secret, body))
        case "basic":
            pair = base64.b64encode(f"{username}:{secret}".encode()).decode()
            return Signed(url, {"Authorization": f"Basic {pair}"})
        case "bearer":
            return Signed(url, {"Authorization": f"Bearer {secret}"})
        case "twilio":
            return _twilio(secret, url, body, kind)
        case "livekit":
            return Signed(url, {"Authorization": _livekit(secret, username, body)})
        case "zoom":
            stamp = str(int(time.time()))
            digest = hmac.digest(secret.encode(), b"v0:%s:%s" % (stamp.encode(), body), "sha256")
            return Signed(
                url,
                {"x-zm-request-timestamp": stamp, "x-zm-signature": f"v0={digest.hex()}"},
            )
        case "bigbluebutton":
            content = url.encode() + body + secret.encode()
            return Signed(_with(url, checksum=hashlib.sha256(content).hexdigest()))
        case _:
            raise ValueError(f"the scheme {scheme} is not known here")


def _standard_webhooks(secret: str, body: bytes) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    name, stamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
    digest = hmac.digest(key, f"{name}.{stamp}.".encode() + body, "sha256")
    return {
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _twilio(secret: str, url: str, body: bytes, kind: str) -> Signed:
    """A form is signed by its sorted fields, any other body by its hash in the URL."""
    signed = ""
    if kind == FORM:
        fields: dict[str, set[str]] = {}
        for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
            fields.setdefault(name, set()).add(value)
        signed = "".join(name + each for name in sorted(fields) for each in sorted(fields[name]))
    else:
        url = _with(url, bodySHA256=hashlib.sha256(body).hexdigest())
    digest = hmac.digest(secret.encode(), (url + signed).encode(), "sha1")
    return Signed(url, {"x-twilio-signature": base64.b64encode(digest).decode()})


def _livekit(secret: str, key: str, body: bytes) -> str:
    """A JWT (HS256) over the hash of the body."""
    now = int(time.time())
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = {"iss": key, "nbf": now - 5, "exp": now + 300, "sha256": digest}
    parts = [_part({"alg": "HS256", "typ": "JWT"}), _part(claims)]
    signature = hmac.digest(secret.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _base64url(signature)])


def _part(document: dict[str, object]) -> str:
    return _base64url(json.dumps(document, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _with(url: str, **query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
