"""What was accepted, kept for weeks."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Accepted:
    """Something that was accepted at a time: a `leg` as it is queued, an `event` of a
    call, or what is `unreadable`."""

    at: datetime
    kind: str
    body: bytes


class Archive(Protocol):
    """What was accepted, kept for weeks where the loss of a region does not reach it."""

    async def keep(self, items: Sequence[Accepted]) -> None:
        """Returns once all are written. Raises StoreUnavailable when that is not certain."""
        ...

    def read(self, since: datetime, until: datetime) -> AsyncIterator[Accepted]:
        """What was accepted from `since` to before `until`. Raises StoreUnavailable, ValueError."""
        ...
