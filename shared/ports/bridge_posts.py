"""What bridges posted lately, for the status of the product."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PostCounts:
    """What a bridge posted: legs that were queued, legs that were parked, and events that made no
    leg, by reason. What is posted again counts again."""

    last_post_at: datetime | None = None
    legs: int = 0
    parked: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict, hash=False)


class BridgePosts(Protocol):
    """Counts by bridge. They are written within seconds: a process that dies loses those."""

    def note(self, bridge: str, counts: PostCounts) -> None:
        """Add what came of a post, or what was parked later. Never raises."""
        ...

    async def last_day(self, bridge: str) -> PostCounts:
        """The sums of the last 24 hours, to the hour. Raises StoreUnavailable."""
        ...
