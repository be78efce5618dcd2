"""The latest activity of timers, bridges and API keys, for the status of the product."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

CHARGE = "charge"
"""The name under which the queue's function notes that it charged a leg."""
BEGINNING = "beginning"
"""When the first process noted anything: the age of the records."""


class Runs(Protocol):
    """The time of the last success of each timer, and of the last charge."""

    async def note(self, name: str) -> None:
        """Record that `name` succeeded now. Never raises; frequent notes of one name are left
        out."""
        ...

    async def last(self) -> Mapping[str, datetime]:
        """The last success by name, and `BEGINNING`. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class PostCounts:
    """Counts of a bridge's posts: legs that were queued, legs that were parked, and events without
    a leg, by reason. A repeated post counts again. `last_leg_at` is the last post of a leg that was
    queued or parked; None in the counts of a single post."""

    last_post_at: datetime | None = None
    legs: int = 0
    parked: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict, hash=False)
    last_leg_at: datetime | None = None


class BridgePosts(Protocol):
    """Counts by bridge. They are written within seconds; a process that crashes loses the last
    ones."""

    def note(self, bridge: str, counts: PostCounts) -> None:
        """Add the outcomes of a post, or of later parking. Never raises."""
        ...

    async def flush(self) -> None:
        """Write the counts now. Never raises; counts that could not be written are kept."""
        ...

    async def last_day(self, bridge: str) -> PostCounts:
        """The sums of the last 24 hours, to the hour. Raises StoreUnavailable."""
        ...


class KeyUses(Protocol):
    """Keeps when each API key was last used, to the hour."""

    def note(self, key_id: str) -> None:
        """Record that the key is used now. The write is in the background; a later use replaces a
        failed write."""
        ...

    async def last(self) -> Mapping[str, datetime]:
        """The time of the last use by key id. Raises StoreUnavailable."""
        ...
