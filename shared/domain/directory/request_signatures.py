"""Authentication of requests: Standard Webhooks, Basic and Bearer. Pure, in constant time.

Every failure is the same NotAuthenticated; the error's notes hold the reason, for the log.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.common.counts import counted
from shared.domain.common.errors import FieldError, Invalid, NotAuthenticated
from shared.domain.common.limits import (
    AUTH_HEADER_CHARS_MAX,
    BRIDGE_SECRETS_MAX,
    WEBHOOK_SECRET_BYTES_MAX,
    WEBHOOK_SECRET_BYTES_MIN,
    WEBHOOK_SIGNATURES_MAX,
    WEBHOOK_TOLERANCE_SECONDS,
)

SECRET_PREFIX = "whsec_"  # noqa: S105 - a public prefix
_WEBHOOK_ID = re.compile(r"[!-~]{1,200}", re.ASCII)
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


class AuthScheme(StrEnum):
    """The authentication of a bridge (docs/access.md)."""

    STANDARD_WEBHOOKS = "standard-webhooks"
    BASIC = "basic"
    BEARER = "bearer"
    TWILIO = "twilio"
    LIVEKIT = "livekit"
    BIGBLUEBUTTON = "bigbluebutton"
    ZOOM = "zoom"

    @property
    def is_vendors(self) -> bool:
        """True if a vendor signs by it, with secrets that the vendor made."""
        return self in _VENDORS

    @property
    def has_username(self) -> bool:
        """True if the scheme names a user or an API key in addition to its secrets."""
        return self in {AuthScheme.BASIC, AuthScheme.LIVEKIT}


_VENDORS = frozenset(
    {AuthScheme.TWILIO, AuthScheme.LIVEKIT, AuthScheme.BIGBLUEBUTTON, AuthScheme.ZOOM}
)
_USUAL = {
    **{scheme.value: scheme for scheme in _VENDORS},
    "freeswitch": AuthScheme.BASIC,
    "asterisk": AuthScheme.BASIC,
    "acs": AuthScheme.BEARER,
    "jitsi": AuthScheme.BEARER,
}


def usual_scheme(dialect: str) -> AuthScheme:
    """The scheme by which bridges of a dialect prove themselves if no other is chosen."""
    return _USUAL.get(dialect, AuthScheme.STANDARD_WEBHOOKS)


@dataclass(frozen=True, slots=True)
class BridgeAuth:
    """A bridge's scheme and its secrets, of which one or two are live. `username`: the user
    of Basic, the API key of LiveKit.

    Secrets of Standard Webhooks are base64, with or without `whsec_`; others are plain text.
    """

    scheme: AuthScheme
    secrets: tuple[str, ...]
    username: str | None = None

    def __repr__(self) -> str:
        return f"BridgeAuth({self.scheme.value}, {counted(len(self.secrets), 'secret')})"


def refused(reason: str) -> NotAuthenticated:
    """The error for every failed authentication; `reason` is a note for the log and is never in a
    response."""
    error = NotAuthenticated(
        "The credentials are missing, wrong or expired. "
        "Check the key or secret and the clock; the log has the reason under the request id."
    )
    error.add_note(reason)
    return error


def check_auth(auth: BridgeAuth) -> None:
    """Passes settings that can authenticate; raises Invalid with pointers into `auth`."""
    errors: list[FieldError] = []
    if not 1 <= len(auth.secrets) <= BRIDGE_SECRETS_MAX:
        errors.append(FieldError("/secrets", f"one to {BRIDGE_SECRETS_MAX} secrets"))
    for index, secret in enumerate(auth.secrets):
        if auth.scheme is AuthScheme.STANDARD_WEBHOOKS:
            sound = _webhook_key(secret) is not None
            rule = (
                f"whsec_ and base64 of {WEBHOOK_SECRET_BYTES_MIN}–{WEBHOOK_SECRET_BYTES_MAX} bytes"
            )
        else:
            least = 1 if auth.scheme.is_vendors else 8  # the vendor chose them
            sound = re.fullmatch(rf"[ -~]{{{least},200}}", secret, re.ASCII) is not None
            rule = f"{least}–200 printable ASCII characters"
        if not sound:
            errors.append(FieldError(f"/secrets/{index}", rule))
    if auth.scheme.has_username:
        if not re.fullmatch(r"[!-9;-~]{1,100}", auth.username or "", re.ASCII):
            errors.append(FieldError("/username", "1–100 printable ASCII characters, no colon"))
    elif auth.username is not None:
        errors.append(FieldError("/username", "belongs to the schemes 'basic' and 'livekit'"))
    if errors:
        raise Invalid("These credentials can't be used.", tuple(errors))


def _webhook_key(secret: str) -> bytes | None:
    """The key behind a `whsec_` secret, or None if it is not one of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX).encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if WEBHOOK_SECRET_BYTES_MIN <= len(key) <= WEBHOOK_SECRET_BYTES_MAX else None


def _signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> bytes:
    message = b".".join((webhook_id.encode("ascii"), timestamp.encode("ascii"), body))
    return hmac.digest(key, message, "sha256")


def sign_webhook(secret: str, webhook_id: str, timestamp_seconds: int, body: bytes) -> str:
    """One `v1,<base64>` signature of `id.timestamp.body`. Raises Invalid on an unusable secret."""
    key = _webhook_key(secret)
    if key is None:
        raise Invalid("The webhook secret can't be used.")
    digest = _signature(key, webhook_id, str(timestamp_seconds), body)
    return "v1," + base64.b64encode(digest).decode("ascii")


def verify_webhook(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime
) -> str:
    """The `webhook-id` of a request that one of `secrets` signed within the last five minutes.

    Header names are lower case; `webhook-signature` may hold several signatures, of which one must
    be right. Raises NotAuthenticated.
    """
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not _WEBHOOK_ID.fullmatch(webhook_id) or not _TIMESTAMP.fullmatch(timestamp):
        raise refused("webhook-id or webhook-timestamp is missing or malformed")
    age_seconds = now.timestamp() - int(timestamp)
    candidates = _candidates(signatures)
    right = False
    for secret in secrets:
        key = _webhook_key(secret)
        if key is None:
            continue
        expected = _signature(key, webhook_id, timestamp, body)
        for candidate in candidates:
            right |= hmac.compare_digest(candidate, expected)
    if not right:
        raise refused(f"none of {counted(len(candidates), 'signature')} is right")
    if abs(age_seconds) > WEBHOOK_TOLERANCE_SECONDS:
        raise refused(f"signed {age_seconds:.0f} s ago")
    return webhook_id


def _candidates(header: str) -> list[bytes]:
    """The decoded `v1` signatures of a header; other ones are ignored."""
    if len(header) > AUTH_HEADER_CHARS_MAX:
        return []
    result: list[bytes] = []
    for part in header.split(" ")[:WEBHOOK_SIGNATURES_MAX]:
        version, _, encoded = part.partition(",")
        if version != "v1":
            continue
        try:
            result.append(base64.b64decode(encoded.encode("ascii"), validate=True))
        except (binascii.Error, ValueError):
            continue
    return result


def verify_basic(username: str | None, secrets: Sequence[str], headers: Mapping[str, str]) -> None:
    """Passes an `Authorization: Basic` that names the user and one of `secrets`.

    Raises NotAuthenticated."""
    encoded = authorization(headers, "basic")
    try:
        pair = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise refused("the Basic credentials are no base64") from None
    user, _, password = pair.partition(b":")
    right_user = same_secret(user, (username or "").encode())
    right = False
    for secret in secrets:
        right |= same_secret(password, secret.encode())
    if not (right and right_user and secrets and username):
        raise refused("wrong user or password")


def verify_bearer(secrets: Sequence[str], headers: Mapping[str, str]) -> None:
    """Passes an `Authorization: Bearer` with one of `secrets`. Raises NotAuthenticated."""
    token = authorization(headers, "bearer").encode("utf-8", "backslashreplace")
    right = False
    for secret in secrets:
        right |= same_secret(token, secret.encode())
    if not right:
        raise refused("wrong bearer token")


def authorization(headers: Mapping[str, str], scheme: str) -> str:
    """The text after `scheme` (lower case) in the Authorization header. Raises NotAuthenticated."""
    header = headers.get("authorization", "")
    if len(header) > AUTH_HEADER_CHARS_MAX:
        raise refused("the Authorization header is too long")
    name, _, credentials = header.partition(" ")
    if name.lower() != scheme or not credentials.strip():
        raise refused(f"no {scheme} credentials")
    return credentials.strip()


def same_secret(left: bytes, right: bytes) -> bool:
    """Compares digests: neither content nor length shows in the time that it takes."""
    return hmac.compare_digest(hashlib.sha256(left).digest(), hashlib.sha256(right).digest())
