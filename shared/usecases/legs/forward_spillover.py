"""Legs that were kept while the queue was away go onto it, as soon as it is there again."""

from shared.domain.common import limits
from shared.ports.queues import CallQueue, Inbox


class ForwardInbox:
    """Sends what the inbox holds. A crash in between sends again: the guard makes that harmless."""

    def __init__(self, inbox: Inbox, queue: CallQueue) -> None:
        self._inbox = inbox
        self._queue = queue

    async def __call__(self) -> int:
        """The number of legs sent on. Raises QueueUnavailable while the queue is away."""
        waiting = await self._inbox.waiting(limit=limits.INBOX_FORWARD_MAX)
        await self._queue.send(waiting)
        for message in waiting:
            await self._inbox.sent(message)
        return len(waiting)
