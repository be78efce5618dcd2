"""Time and randomness."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """The present time, aware, in UTC."""
        ...


class Ids(Protocol):
    """The only source of randomness."""

    def token(self, bytes_count: int) -> str:
        """URL-safe random text of a number of random bytes."""
        ...
