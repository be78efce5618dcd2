"""Forwards legs of the spillover to the queue when the queue is available again."""

from dataclasses import dataclass

from shared.domain.common import limits
from shared.ports.queues import CallQueue, Inbox


@dataclass(frozen=True, slots=True)
class ForwardInbox:
    """Sends what the inbox holds. A crash in between sends again: the guard makes that harmless."""

    inbox: Inbox
    queue: CallQueue

    async def __call__(self) -> int:
        """Forward messages and return their number. Raises QueueUnavailable if the queue is
        unavailable."""
        waiting = await self.inbox.waiting(limit=limits.INBOX_FORWARD_MAX)
        await self.queue.send(waiting)
        for message in waiting:
            await self.inbox.sent(message)
        return len(waiting)
