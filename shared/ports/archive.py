"""Accepted legs and events, kept for weeks."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Accepted:
    """A content and the time of its acceptance: a `leg` in its queued form, an `event` of a call,
    or an `unreadable` record."""

    at: datetime
    kind: str
    body: bytes


class Archive(Protocol):
    """Accepted contents, kept for weeks in a place that survives the loss of a region."""

    async def keep(self, items: Sequence[Accepted]) -> None:
        """Returns once all are written. Raises StoreUnavailable when that is not certain."""
        ...

    def read(self, since: datetime, until: datetime) -> AsyncIterator[Accepted]:
        """The contents accepted from `since` to before `until`. Raises StoreUnavailable and
        ValueError."""
        ...
