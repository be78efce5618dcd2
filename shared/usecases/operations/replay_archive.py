"""Accepted legs come back from the archive: after the loss of a region, or of a queue.

They go onto the queue again, under message ids of this replay, since the broker drops one that it
has seen. Each leg is still charged once: a leg that was charged before returns its charge.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.common import limits
from shared.domain.legs.assembly import CallEvent, read_event
from shared.domain.legs.leg import read_queued_leg
from shared.ports.archive import Archive
from shared.ports.clock import Ids
from shared.ports.queues import CallQueue, Message
from shared.usecases.legs.receive_legs import ReceiveLegs, leg_message, read_unreadable

RUN_ID_BYTES = 6


@dataclass(frozen=True, slots=True)
class Replayed:
    """Counts of a replay: legs onto the queue, unreadable records into the parking lot, and events
    to their calls, which are assembled again."""

    legs: int
    unreadable: int
    events: int = 0


@dataclass(frozen=True, slots=True)
class ReplayArchive:
    """Puts back the accepted contents of a span of time."""

    archive: Archive
    queue: CallQueue
    receive: ReceiveLegs
    assemble_again: Callable[[str, CallEvent], Awaitable[None]]
    ids: Ids

    async def __call__(self, since: datetime, until: datetime) -> Replayed:
        """Put back the contents accepted from `since` to before `until`; a repetition is safe, also
        after a failure.

        Raises StoreUnavailable, QueueUnavailable, and ValueError for a content that no key opens.
        """
        run = self.ids.token(RUN_ID_BYTES)
        waiting: list[Message] = []
        legs = unreadable = events = 0
        async for item in self.archive.read(since, until):
            if item.kind == "leg":
                message = leg_message(read_queued_leg(item.body))
                waiting.append(replace(message, message_id=f"{message.message_id}.{run}"))
                legs += 1
            elif item.kind == "event":
                await self.assemble_again(*read_event(item.body))
                events += 1
            else:
                await self.receive.park_unreadable(*read_unreadable(item.body))
                unreadable += 1
            if len(waiting) >= limits.REPLAY_LEGS_AT_ONCE:
                await self.queue.send(waiting)
                waiting = []
        await self.queue.send(waiting)
        return Replayed(legs, unreadable, events)
