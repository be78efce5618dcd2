"""Denied calls: noted without a wait, written in the background, listed for some time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.dial_out.denied_calls import DeniedCall


@dataclass(frozen=True, slots=True)
class DenialFilter:
    """From `since` on, before `until`."""

    since: datetime
    until: datetime
    reason: str | None = None
    organizer: str | None = None


class Denials(Protocol):
    """The denied calls of each account."""

    def note(self, account: str, denied: DeniedCall) -> None:
        """Record a denied call: it is written within about a second. Never waits, never raises;
        what a process has not written when it ends, or could not write, is lost."""
        ...

    async def flush(self) -> None:
        """Wait until the denials that this process recorded are written, or given up."""
        ...

    async def page(
        self, account: str, filters: DenialFilter, *, limit: int, after: str | None
    ) -> tuple[Sequence[DeniedCall], str | None]:
        """Denied calls, the newest first, and the place after which more follow.

        Raises StoreUnavailable.
        """
        ...

    async def forget(self, account: str, before: datetime) -> int:
        """Delete the denied calls of before a time; the number of them. Raises StoreUnavailable."""
        ...
