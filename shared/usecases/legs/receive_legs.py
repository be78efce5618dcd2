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
from shared.domain.legs.leg import (
    EndedLeg,
    QueuedLeg,
    encode_leg_key,
    queued_leg_bytes,
    queued_legs_bytes,
)
from shared.domain.legs.parking import ParkedLeg, ParkReason, unreadable_id
from shared.ports.archive import Accepted, Archive
from shared.ports.clock import Clock
from shared.ports.legs import ParkingLot
from shared.ports.queues import CallQueue, Inbox, Message
from shared.telemetry import event
from shared.usecases.directory.called_numbers import called_service_number
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class ReceivedLeg:
    """The outcome of one posted leg or event: `queued`, `waiting`, `ignored` or `parked`."""

    leg: str
    status: str
    reason: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiveLegs:
    """Puts posted legs onto the queue; unreadable records go to the parking lot.

    While the queue is unavailable, legs are stored in the inbox, and a timer sends them later.
    Accepted legs are also archived in another region. Legs are accepted while the archive does not
    answer, since a loss of both regions at once is improbable.
    """

    queue: CallQueue
    inbox: Inbox
    parking: ParkingLot
    clock: Clock
    archive: Archive | None
    facts: DirectoryCache

    async def __call__(self, bridge: str, parsed: Sequence[ParsedLeg]) -> list[ReceivedLeg]:
        """One result a leg, in order, once all are durable.

        Raises StoreUnavailable when that is not certain: then the bridge posts again.
        """
        parsed = [await self.decided(bridge, item) for item in parsed]
        now = self.clock.now()
        ended = {(item.key, item.digest()): item for item in parsed if isinstance(item, EndedLeg)}
        queued = [QueuedLeg(item, now) for item in ended.values()]
        unreadable = [item for item in parsed if isinstance(item, Unreadable)]
        encoded = [queued_leg_bytes(leg) for leg in queued]
        await asyncio.gather(
            self._keep(leg_messages(queued, encoded), len(queued)),
            self._archive_all(bridge, encoded, unreadable),
            *(self.park_unreadable(bridge, item) for item in unreadable),
        )
        return [_received(bridge, item) for item in parsed]

    async def decided(self, bridge: str, item: ParsedLeg) -> ParsedLeg:
        """A call that reached no conference is a leg if it called a registered service number of an
        account that the bridge serves."""
        if not isinstance(item, Undecided):
            return item
        settings, moment = (
            await self.facts.bridge(bridge),
            item.leg.answered_at or item.leg.started_at,
        )
        number = None
        if settings is not None:
            number = await called_service_number(self.facts, item.leg, settings, moment)
        if settings is not None and number is not None and settings.serves(number[1].account):
            return item.leg
        return Ignored(item.leg.leg_id, item.why)

    async def _keep(self, messages: Sequence[Message], legs: int) -> None:
        try:
            await self.queue.send(messages)
        except QueueUnavailable:
            await self.inbox.keep(messages, self.clock.now())
            event("legs_spilled", legs=legs)

    async def _archive_all(
        self, bridge: str, encoded: Sequence[bytes], unreadable: Sequence[Unreadable]
    ) -> None:
        now = self.clock.now()
        items = [Accepted(now, "leg", leg) for leg in encoded]
        items += [
            Accepted(now, "unreadable", unreadable_bytes(bridge, item)) for item in unreadable
        ]
        await self.archive_items(items)

    async def archive_items(self, items: Sequence[Accepted]) -> None:
        """Archive the accepted contents, as long as the archive answers."""
        if self.archive is None or not items:
            return
        try:
            await self.archive.keep(items)
        except (Unavailable, TimeoutError) as error:
            event("archive_failed", legs=len(items), why=type(error).__name__)

    async def park_unreadable(self, bridge: str, item: Unreadable) -> None:
        """Store an unreadable record. Raises StoreUnavailable."""
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
        """Park a queued message that can't be read; after a temporary failure schedule it again.

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
    """An unreadable record, as the archive stores it."""
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
    """The message that carries one leg."""
    return leg_messages([queued])[0]


def leg_messages(
    queued: Sequence[QueuedLeg], encoded: Sequence[bytes] | None = None
) -> list[Message]:
    """The messages that carry legs of one bridge and attempt, several each: a message costs much
    more than a leg in it. The same legs in the same order make the same message ids. `encoded` are
    the legs as bytes. The properties let an operator see in the portal whose legs they are."""
    messages: list[Message] = []
    encoded = encoded or [queued_leg_bytes(leg) for leg in queued]
    start = 0
    while start < len(queued):
        end, size_bytes = start + 1, len(encoded[start])
        while end < min(start + limits.LEGS_PER_MESSAGE_MAX, len(queued)):
            size_bytes += len(encoded[end])
            if size_bytes > limits.LEGS_MESSAGE_BYTES_MAX:
                break
            end += 1
        part, first = queued[start:end], queued[start]
        messages.append(
            Message(
                message_id=_message_id(part),
                body=queued_legs_bytes(encoded[start:end]),
                properties={"bridge": first.leg.bridge, "attempt": str(first.attempt)},
            )
        )
        start = end
    return messages


def _message_id(legs: Sequence[QueuedLeg]) -> str:
    if len(legs) == 1:
        return legs[0].message_id
    ids = "\n".join(leg.message_id for leg in legs)
    return f"legs.{hashlib.sha256(ids.encode()).hexdigest()}.{legs[0].attempt}"


def _received(bridge: str, item: ParsedLeg) -> ReceivedLeg:
    match item:
        case EndedLeg():
            return ReceivedLeg(encode_leg_key(item.key), "queued")
        case Undecided(leg=leg):
            return ReceivedLeg(encode_leg_key(leg.key), "ignored", item.why)
        case Ignored():
            return ReceivedLeg(encode_leg_key(f"{bridge}~{item.leg_id}"), "ignored", item.why)
        case Unreadable():
            shown = encode_leg_key(f"{bridge}~{item.leg_id}") if item.leg_id else ""
            return ReceivedLeg(shown, "parked", ParkReason.UNREADABLE.value)
