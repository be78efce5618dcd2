"""A bridge posts legs that ended: each is durable before the bridge gets its 2xx (promise 5)."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import QueueUnavailable, StoreError, Unavailable
from shared.domain.legs.bridge_payloads import Ignored, ParsedLeg, Undecided, Unreadable
from shared.domain.legs.leg import EndedLeg, QueuedLeg, encode_leg_key, queued_leg_bytes
from shared.domain.legs.parking import ParkedLeg, ParkReason, unreadable_id
from shared.ports.archive import Accepted, Archive
from shared.ports.clock import Clock
from shared.ports.legs import ParkingLot
from shared.ports.queues import CallQueue, Inbox, Message
from shared.telemetry import event
from shared.usecases.directory.called_numbers import called_service_number
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one posted leg or event: `queued`, `waiting`, `ignored` or `parked`."""

    leg: str
    status: str
    reason: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiveLegs:
    """Puts posted legs onto the queue; what can't be read goes to the parking lot.

    While the queue is away legs are kept in the inbox, which a timer sends on. What is accepted is
    archived in another region besides, as far as that answers: losing both at once is too unlikely
    to turn legs away for.
    """

    queue: CallQueue
    inbox: Inbox
    parking: ParkingLot
    clock: Clock
    archive: Archive | None
    facts: DirectoryCache

    async def __call__(self, bridge: str, parsed: Sequence[ParsedLeg]) -> list[Received]:
        """One result a leg, in order, once all are durable.

        Raises StoreUnavailable when that is not certain: then the bridge posts again.
        """
        parsed = [await self.decided(bridge, item) for item in parsed]
        now = self.clock.now()
        queued = [QueuedLeg(item, now) for item in parsed if isinstance(item, EndedLeg)]
        unreadable = [item for item in parsed if isinstance(item, Unreadable)]
        await asyncio.gather(
            self._keep([leg_message(leg) for leg in queued]),
            self._archive_all(bridge, queued, unreadable),
            *(self.park_unreadable(bridge, item) for item in unreadable),
        )
        return [_received(bridge, item) for item in parsed]

    async def decided(self, bridge: str, item: ParsedLeg) -> ParsedLeg:
        """A leg that reached no conference is one where it called a registered service number of an
        account that the bridge serves."""
        if not isinstance(item, Undecided):
            return item
        known, moment = await self.facts.bridge(bridge), item.leg.answered_at or item.leg.started_at
        found = None
        if known is not None:
            found = await called_service_number(self.facts, item.leg, known, moment)
        if known is not None and found is not None and known.serves(found[1].account):
            return item.leg
        return Ignored(item.leg.leg_id, item.why)

    async def _keep(self, messages: Sequence[Message]) -> None:
        try:
            await self.queue.send(messages)
        except QueueUnavailable:
            await self.inbox.keep(messages, self.clock.now())
            event("legs_spilled", legs=len(messages))

    async def _archive_all(
        self, bridge: str, queued: Sequence[QueuedLeg], unreadable: Sequence[Unreadable]
    ) -> None:
        if self.archive is None:
            return
        now = self.clock.now()
        items = [Accepted(now, "leg", queued_leg_bytes(leg)) for leg in queued]
        items += [
            Accepted(now, "unreadable", unreadable_bytes(bridge, item)) for item in unreadable
        ]
        try:
            await self.archive.keep(items)
        except (Unavailable, TimeoutError) as error:
            event("archive_failed", legs=len(items), why=type(error).__name__)

    async def park_unreadable(self, bridge: str, item: Unreadable) -> None:
        """Keep what can't be read. Raises StoreUnavailable."""
        parked = ParkedLeg(
            id=unreadable_id(bridge, item.leg_id, item.original),
            leg=f"{bridge}~{item.leg_id or ''}",
            bridge=bridge,
            reason=ParkReason.UNREADABLE,
            detail=item.detail,
            received_at=self.clock.now(),
            original={"base64": base64.b64encode(item.original).decode()},
        )
        await self.parking.park(parked)
        event("leg_parked", leg=parked.leg, reason=parked.reason.value, detail=parked.detail)

    async def park_message(self, bridge: str, detail: str, body: bytes, attempt: int) -> None:
        """Keep a queued message that can't be read; what fails for now is sent again, for later.

        Raises QueueUnavailable only when that can't be done: then the message must come again.
        """
        try:
            await self.park_unreadable(bridge, Unreadable(None, detail, body))
        except (Unavailable, StoreError):
            again = Message(
                message_id=f"unreadable.{hashlib.sha256(body).hexdigest()}.{attempt + 1}",
                body=body,
                properties={"bridge": bridge, "attempt": str(attempt + 1)},
            )
            later = timedelta(seconds=limits.RESEND_DELAY_SECONDS_MAX)
            await self.queue.send([again], at=self.clock.now() + later)


def unreadable_bytes(bridge: str, item: Unreadable) -> bytes:
    """What can't be read, as the archive keeps it."""
    return canonical_json(
        {
            "bridge": bridge,
            "leg_id": item.leg_id,
            "detail": item.detail,
            "original": base64.b64encode(item.original).decode(),
        }
    )


def read_unreadable(body: bytes) -> tuple[str, Unreadable]:
    """(bridge, what it posted) from the archive."""
    data = json.loads(body)
    original = base64.b64decode(data["original"])
    return data["bridge"], Unreadable(data["leg_id"], data["detail"], original)


def leg_message(queued: QueuedLeg) -> Message:
    """The message that carries a leg. Its properties let an operator see the leg in the portal."""
    return Message(
        message_id=queued.message_id,
        body=queued_leg_bytes(queued),
        properties={"bridge": queued.leg.bridge, "attempt": str(queued.attempt)},
    )


def _received(bridge: str, item: ParsedLeg) -> Received:
    match item:
        case EndedLeg():
            return Received(encode_leg_key(item.key), "queued")
        case Undecided(leg=leg):
            return Received(encode_leg_key(leg.key), "ignored", item.why)
        case Ignored():
            return Received(encode_leg_key(f"{bridge}~{item.leg_id}"), "ignored", item.why)
        case Unreadable():
            shown = encode_leg_key(f"{bridge}~{item.leg_id}") if item.leg_id else ""
            return Received(shown, "parked", ParkReason.UNREADABLE.value)
