"""The real clock and the real randomness."""

import secrets
from datetime import UTC, datetime


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The present time, aware, in UTC."""
        return datetime.now(UTC)


class RandomIds:
    """Tokens from the operating system's generator."""

    def token(self, bytes_count: int) -> str:
        """URL-safe text made of that many random bytes."""
        return secrets.token_urlsafe(bytes_count)
