"""Credentials of callers: bridges prove themselves by their scheme, administrators by API key."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.common.errors import NotAuthenticated
from shared.domain.directory.request_signatures import (
    SECRET_PREFIX,
    AuthScheme,
    BridgeAuth,
    authorization,
    refused,
    same_secret,
    verify_basic,
    verify_bearer,
    verify_webhook,
)
from shared.domain.directory.vendor_signatures import (
    verify_bigbluebutton,
    verify_livekit,
    verify_twilio,
    verify_zoom,
)

type Token = Callable[[int], str]
"""URL-safe random text made of so many random bytes."""

_API_KEY = re.compile(r"pm_([0-9a-f]{16})_([A-Za-z0-9_-]{16,200})", re.ASCII)
# What an unknown bridge is checked against: its refusal takes as long as a known one's.
_NOBODY = BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (SECRET_PREFIX + "A" * 44,))


@dataclass(frozen=True, slots=True)
class Verified:
    """A request that its bridge sent. `webhook_id`: Standard Webhooks only."""

    webhook_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A new key: `key` is shown once, `secret_hash` is stored under `key_id`."""

    key_id: str
    key: str = field(repr=False)
    secret_hash: str


def verify_bridge(
    auth: BridgeAuth | None,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    url: str = "",
    *,
    is_event: bool = True,
) -> Verified:
    """Proof that the bridge with `auth` sent these bytes; `auth` is None for an unknown bridge.

    Header names are lower case; `url` is as the vendor calls it, with its query. Where the scheme
    is a vendor's, a secret is also accepted as a bearer token. Without `is_event` only the token is
    accepted, since a vendor signs nothing but events. Raises NotAuthenticated, always with the same
    words, or ChecksumWrong.
    """
    if auth is None:
        verify_webhook(_NOBODY.secrets, headers, body, now)
        raise refused("no such bridge")
    match auth.scheme:
        case AuthScheme.STANDARD_WEBHOOKS:
            return Verified(verify_webhook(auth.secrets, headers, body, now))
        case AuthScheme.BASIC:
            verify_basic(auth.username, auth.secrets, headers)
        case AuthScheme.BEARER:
            verify_bearer(auth.secrets, headers)
        case vendor if not _is_bearer(auth, headers):
            if not is_event:
                raise refused("the vendor signs events only: other requests need a bearer token")
            match vendor:
                case AuthScheme.TWILIO:
                    verify_twilio(auth.secrets, headers, url, body)
                case AuthScheme.LIVEKIT:
                    verify_livekit(auth.username, auth.secrets, headers, body, now)
                case AuthScheme.ZOOM:
                    verify_zoom(auth.secrets, headers, body, now)
                case AuthScheme.BIGBLUEBUTTON:
                    verify_bigbluebutton(auth.secrets, url, body)
    return Verified()


def _is_bearer(auth: BridgeAuth, headers: Mapping[str, str]) -> bool:
    try:
        verify_bearer(auth.secrets, headers)
    except NotAuthenticated:
        return False
    return True


def new_webhook_secret(token: Token) -> str:
    """A fresh `whsec_` secret of 32 bytes."""
    key = hashlib.sha256(token(32).encode()).digest()
    return SECRET_PREFIX + base64.b64encode(key).decode("ascii")


def new_api_key(token: Token) -> NewApiKey:
    """A fresh key, `pm_{id}_{secret}`; the id is 16 hex digits."""
    key_id = hashlib.sha256(token(16).encode()).hexdigest()[:16]
    secret = token(32)
    return NewApiKey(key_id, f"pm_{key_id}_{secret}", hash_secret(secret))


def hash_secret(secret: str) -> str:
    """SHA-256, hex. A fast hash is sufficient, because the secret is 32 random bytes and no
    password."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PresentedApiKey:
    """A key as a caller sent it: read `key_id`, then call `matches`."""

    key_id: str
    secret: str = field(repr=False)

    def matches(self, secret_hash: str | None) -> bool:
        """True if the text is the key whose hash is stored; None (no such key) takes as long."""
        same = same_secret(hash_secret(self.secret).encode(), (secret_hash or "").encode())
        return same and secret_hash is not None


def presented_api_key(headers: Mapping[str, str]) -> PresentedApiKey:
    """The key in `Authorization: Bearer pm_…`; header names are lower case.

    Raises NotAuthenticated.
    """
    match = _API_KEY.fullmatch(authorization(headers, "bearer"))
    if match is None:
        raise refused("the bearer token is no API key")
    return PresentedApiKey(match[1], match[2])
