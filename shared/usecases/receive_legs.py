"""A bridge posts legs that ended: each is durable before the bridge gets its 2xx (promise 5)."""

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.domain import limits
from shared.domain.errors import QueueUnavailable, StoreError, TooLarge, Unavailable
from shared.domain.legs import EndedLeg, QueuedLeg, queued_leg_bytes, shown_leg
from shared.domain.parking import ParkedLeg, ParkReason, unreadable_id
from shared.domain.posts import Ignored, ParsedLeg, Unreadable
from shared.ports import CallQueue, Clock, Inbox, Message, ParkingLot
from shared.telemetry import event


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one posted leg: `queued`, `ignored` or `parked`."""

    leg: str
    status: str
    reason: str | None = None


class ReceiveLegs:
    """Puts posted legs onto the queue; what can't be read goes to the parking lot.

    While the queue is away legs are kept in the inbox, which a timer sends on.
    """

    def __init__(self, queue: CallQueue, inbox: Inbox, parking: ParkingLot, clock: Clock) -> None:
        self._queue = queue
        self._inbox = inbox
        self._parking = parking
        self._clock = clock

    async def __call__(self, bridge: str, parsed: Sequence[ParsedLeg]) -> list[Received]:
        """One result a leg, in order, once all are durable.

        Raises StoreUnavailable when that is not certain: then the bridge posts again.
        """
        now = self._clock.now()
        queued = [QueuedLeg(item, now) for item in parsed if isinstance(item, EndedLeg)]
        unreadable = [item for item in parsed if isinstance(item, Unreadable)]
        await asyncio.gather(
            self._keep([leg_message(leg) for leg in queued]),
            *(self.park_unreadable(bridge, item) for item in unreadable),
        )
        return [_received(bridge, item) for item in parsed]

    async def _keep(self, messages: Sequence[Message]) -> None:
        try:
            await self._queue.send(messages)
        except QueueUnavailable:
            await self._inbox.keep(messages, self._clock.now())
            event("legs_spilled", legs=len(messages))

    async def park_unreadable(self, bridge: str, item: Unreadable) -> None:
        """Keep what can't be read. Raises TooLarge, StoreUnavailable."""
        if len(item.original) > limits.UNREADABLE_BYTES_MAX:
            raise TooLarge(
                f"What can't be read is kept up to {limits.UNREADABLE_BYTES_MAX} bytes only."
            )
        await self._parking.park(
            ParkedLeg(
                id=unreadable_id(bridge, item.leg_id, item.original),
                leg=f"{bridge}~{item.leg_id or ''}",
                bridge=bridge,
                reason=ParkReason.UNREADABLE,
                detail=item.detail,
                received_at=self._clock.now(),
                original={"base64": base64.b64encode(item.original).decode()},
            )
        )

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
            await self._queue.send([again], at=self._clock.now() + later)


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
            return Received(shown_leg(item.key), "queued")
        case Ignored():
            return Received(shown_leg(f"{bridge}~{item.leg_id}"), "ignored", item.why)
        case Unreadable():
            shown = shown_leg(f"{bridge}~{item.leg_id}") if item.leg_id else ""
            return Received(shown, "parked", ParkReason.UNREADABLE.value)
