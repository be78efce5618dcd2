"""Forwards legs of the spillover to the queue when the queue is available again."""

from dataclasses import dataclass

from shared.domain.common import limits
from shared.ports.queues import CallQueue, Inbox


@dataclass(frozen=True, slots=True)
class ForwardInbox:
    """Sends the messages of the inbox. After a crash a message is sent again; the guard prevents a
    second charge."""

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
