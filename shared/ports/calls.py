"""Events of calls, kept until their legs are assembled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.legs.assembly import CallEvent


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event as it is kept. What its leg lacks at `due_at` is waited for no longer. `erased`: its
    facts are gone, since they held a person's data."""

    event: CallEvent
    received_at: datetime
    due_at: datetime
    erased: bool = False


@dataclass(frozen=True, slots=True)
class DueCall:
    """A call with a wait that ended."""

    bridge: str
    call: str
    event_ids: frozenset[str]


class CallEvents(Protocol):
    """Events by bridge and call. All raise StoreUnavailable where the outcome is not certain."""

    async def add(
        self, bridge: str, events: Sequence[KeptEvent]
    ) -> tuple[list[KeptEvent], frozenset[str]]:
        """Keep events of one call, one at least; those that are there stay. The mark of an event
        that ends a leg is in the same write, the mark of another one follows soon.

        Returns the events of the call, among them all that were kept before these, and the ids of
        the new ones."""
        ...

    async def of_call(self, bridge: str, call: str) -> list[KeptEvent]:
        """The events of a call, in no order."""
        ...

    async def due(self, now: datetime, *, limit: int) -> list[DueCall]:
        """Calls with marks whose time has come."""
        ...

    def clear_soon(self, bridge: str, events: Sequence[KeptEvent]) -> None:
        """Remove the marks of events of one call within a second or so, as far as the process
        lives; others are due in time, and the timer removes them."""
        ...

    async def clear(self, bridge: str, events: Sequence[KeptEvent]) -> None:
        """Remove the marks of events of one call; those that are gone are passed over."""
        ...
