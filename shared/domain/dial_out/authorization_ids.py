"""Authorization ids: each names its account, whose hold book alone knows it."""

import base64
import hashlib


def authorization_of(account: str, bridge: str, key: str) -> str:
    """The authorization that a bridge's idempotency key leads to: always the same one.

    It names its account, whose hold book alone knows it.
    """
    digest = hashlib.sha256(f"{bridge}\n{key}".encode()).digest()
    return f"au_{base64.b32encode(digest[:15]).decode().lower()}.{account}"


def account_of(authorization: str) -> str | None:
    """The account that an authorization names, None for a foreign authorization."""
    return authorization.partition(".")[2] or None
