"""In-memory implementations of the ports of queue and topic for tests."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from shared.adapters.bus.validation import check_messages
from shared.domain.common.errors import QueueUnavailable
from shared.domain.legs.dead_letters import DeadLetter, QueueCounts
from shared.ports.clock import Clock
from shared.ports.queues import CallQueue, EventTopic, Message, QueueManagement

DUPLICATE_WINDOW_SECONDS = 600


class MemoryQueue(CallQueue):
    """A queue that drops repeated message ids. While `available` is False every send fails."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[datetime, int, Message]] = []
        self._sent_count = 0
        self._seen: dict[str, datetime] = {}
        self.available = True

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Keeps all of them, or raises QueueUnavailable."""
        check_messages(messages)
        if not self.available:
            raise QueueUnavailable("The queue cannot be reached.")
        now = self._clock.now()
        for message in messages:
            seen_at = self._seen.get(message.message_id)
            if seen_at and now - seen_at < timedelta(seconds=DUPLICATE_WINDOW_SECONDS):
                continue
            self._seen[message.message_id] = now
            self._sent_count += 1
            self._waiting.append((max(at or now, now), self._sent_count, message))

    def take(self, count: int) -> list[Message]:
        """Removes the next messages that are due, at most `count`."""
        now = self._clock.now()
        due = sorted(item for item in self._waiting if item[0] <= now)[:count]
        self._waiting = [item for item in self._waiting if item not in due]
        return [message for _, _, message in due]

    @property
    def messages_count(self) -> int:
        """What waits, scheduled or not."""
        return len(self._waiting)

    @property
    def scheduled(self) -> list[tuple[datetime, Message]]:
        """What waits for a later time, the earliest first."""
        now = self._clock.now()
        return [(at, message) for at, _, message in sorted(self._waiting) if at > now]


class MemoryManagement(QueueManagement):
    """The management side of a `MemoryQueue`; a test buries messages in `dead`."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue
        self.dead: list[DeadLetter] = []

    async def counts(self) -> QueueCounts:
        if not self._queue.available:
            raise QueueUnavailable("The management of the queue does not answer.")
        return QueueCounts(self._queue.messages_count, len(self.dead))

    async def dead_letters(self, *, first: int, limit: int) -> list[DeadLetter]:
        return [each for each in self.dead if each.number >= first][:limit]

    async def take(
        self, number: int, forward: Callable[[DeadLetter], Awaitable[None]]
    ) -> DeadLetter | None:
        found = next((each for each in self.dead if each.number == number), None)
        if found is not None:
            await forward(found)
            self.dead.remove(found)
        return found


class MemoryTopic(EventTopic):
    """A topic that keeps what was published. While `available` is False every publish fails."""

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.available = True

    async def publish(self, messages: Sequence[Message]) -> None:
        """Keeps all of them in order, or raises QueueUnavailable."""
        check_messages(messages)
        if not self.available:
            raise QueueUnavailable("The topic can't be reached.")
        self.published.extend(messages)
