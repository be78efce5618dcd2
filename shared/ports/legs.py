"""Claims of legs, parked legs, and the stored events of calls whose legs are not assembled yet."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.legs.assembly import CallEvent
from shared.domain.legs.parking import ParkedLeg


@dataclass(frozen=True, slots=True)
class Claim:
    """The facts that are pinned for a leg at its first delivery (docs/architecture.md)."""

    account: str
    organizer: str | None


class Claims(Protocol):
    """Claims of legs, pinned before their first commit."""

    async def claim(self, leg: str, claim: Claim) -> Claim:
        """The claim for the leg key: the first one that was stored."""
        ...

    async def find(self, leg: str) -> Claim | None:
        """The claim that was made for the leg key, if any."""
        ...


class ParkingLot(Protocol):
    """Parked legs: legs that could not be charged."""

    async def park(self, parked: ParkedLeg) -> ParkedLeg:
        """Store a parked leg. One with the same id stays unchanged and is returned."""
        ...

    async def get(self, parked_id: str) -> ParkedLeg | None:
        """The parked leg with this id, or None."""
        ...

    async def of_leg(self, leg: str) -> list[ParkedLeg]:
        """All parked legs with a leg key."""
        ...

    async def update(self, parked: ParkedLeg, *, unpin: bool = False) -> ParkedLeg:
        """Write its status, attempts and reason, unless it has a later status meanwhile: open,
        dismissed, replayed. Its pin stays, unless `unpin`. Returns the stored leg."""
        ...

    async def pin(self, parked_id: str, leg: str) -> ParkedLeg:
        """Pin the leg under which it is charged, unless it has a pin or is closed. Returns the
        stored leg."""
        ...

    async def announced(self, parked_id: str) -> None:
        """Note that the leg was announced to the account."""
        ...

    async def counts(
        self, where: Mapping[str, str], accounts: Collection[str] | None = None
    ) -> Mapping[str, int]:
        """The number of parked legs that equal `where`, by reason; of these accounts only, unless
        None."""
        ...

    def every(self, where: Mapping[str, str]) -> AsyncGenerator[ParkedLeg]:
        """Parked legs that equal `where`, in no order."""
        ...

    async def received(self, where: Mapping[str, str], since: datetime, until: datetime) -> int:
        """How many parked legs equal `where` and were received in a span."""
        ...

    async def oldest_open(self) -> datetime | None:
        """The time of receipt of the oldest open leg, among a limited number of the first open
        ones."""
        ...

    async def page(
        self, *, where: Mapping[str, str], limit: int, cursor: str | None
    ) -> tuple[list[ParkedLeg], str | None]:
        """Parked legs whose `account`, `reason` or `status` equal `where`, and the next cursor."""
        ...


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """A stored event. At `due_at`, the wait for missing facts of its leg ends. `erased`: its facts
    are deleted, since they held a person's data."""

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
        """Store events of one call, one at least; present ones stay. The mark of an event that ends
        a leg is in the same write; other marks follow soon.

        Returns the events of the call, among them all that were kept before these, and the ids of
        the new ones.
        """
        ...

    def known(self, bridge: str, call: str, now: datetime) -> tuple[KeptEvent, ...]:
        """The events of a call as this process knows them; others may be kept."""
        ...

    async def of_call(self, bridge: str, call: str) -> list[KeptEvent]:
        """The events of a call, in no order."""
        ...

    async def due(self, now: datetime, *, limit: int) -> list[DueCall]:
        """Calls with marks whose time has come."""
        ...

    def clear_soon(self, bridge: str, events: Sequence[KeptEvent]) -> None:
        """Remove the marks of events of one call within about a second, if the process does not
        stop; a timer removes the others when they are due."""
        ...

    async def clear(self, bridge: str, events: Sequence[KeptEvent]) -> None:
        """Remove the marks of events of one call; missing ones are ignored."""
        ...
