"""Queues, topics and what happens to messages in them. Knows the store, but nothing of AMQP links.

Nothing here commits: who reads frames does so once per burst, before any answer leaves.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from uuid import UUID, uuid4

from local.bus import codec
from local.bus.store import ACTIVE, DEFERRED, SCHEDULED, Store, Stored

DEAD_LETTERS = "$DeadLetterQueue"
MESSAGE_BYTES_MAX = 256 * 1024


class Consumer(Protocol):
    """A receiving link, as a queue sees it."""

    locks: bool

    def wants(self) -> bool:
        """Whether the link is open and has credit left."""
        ...

    def deliver(self, message: Stored) -> None:
        """Sends one message, which uses one credit."""
        ...

    def nothing_left(self) -> None:
        """The queue has no more for now: answers a drain."""
        ...


class Entity:
    """What can be sent to: duplicate detection and scheduled messages, for queue and topic alike."""

    def __init__(self, store: Store, name: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.message_bytes_max = int(settings.get("max_message_bytes", MESSAGE_BYTES_MAX))
        self._window_ms = int(float(settings.get("duplicate_window_seconds", 0)) * 1000)
        self._store = store
        self._seen: dict[str, int] = {}
        self._schedule: list[tuple[int, int]] = []
        self.messages: dict[int, Stored] = {}

    def accept(self, envelopes: Sequence[codec.Envelope], now_ms: int) -> list[int]:
        """Takes messages in; their sequence numbers. A duplicate is dropped without a word."""
        numbers = []
        for envelope in envelopes:
            number = self._store.next_sequence_number()
            numbers.append(number)
            if self._is_duplicate(envelope.message_id, now_ms):
                continue
            message = Stored(number, envelope, now_ms)
            if (envelope.scheduled_ms or 0) > now_ms:
                message.state = SCHEDULED
                self._store.insert(self.name, message)
                self.restore(message)
            else:
                self._arrive(message)
        return numbers

    def cancel(self, sequence_number: int) -> bool:
        """Removes a scheduled message; False if there is none of this number."""
        message = self.messages.get(sequence_number)
        if message is None or message.state != SCHEDULED:
            return False
        self._remove(message)
        return True

    def restore(self, message: Stored) -> None:
        """Takes a message that the store has."""
        self.messages[message.sequence_number] = message
        due = (message.envelope.scheduled_ms or 0, message.sequence_number)
        heapq.heappush(self._schedule, due)

    def restore_seen(self, message_id: str, until_ms: int) -> None:
        """Takes a message id that the store has; called with the oldest first."""
        self._seen[message_id] = until_ms

    def sweep(self, now_ms: int) -> None:
        """What time alone brings about: scheduled messages appear, old message ids go."""
        while self._schedule and self._schedule[0][0] <= now_ms:
            _, number = heapq.heappop(self._schedule)
            message = self.messages.get(number)
            if message is not None and message.state == SCHEDULED:
                self._remove(message)
                fresh = self._store.next_sequence_number()
                self._arrive(Stored(fresh, message.envelope, now_ms))
        while self._seen and next(iter(self._seen.values())) <= now_ms:
            message_id = next(iter(self._seen))
            del self._seen[message_id]
            self._store.forget(self.name, message_id)

    def _arrive(self, message: Stored) -> None:
        raise NotImplementedError

    def _remove(self, message: Stored) -> None:
        del self.messages[message.sequence_number]
        self._store.delete(message)

    def _is_duplicate(self, message_id: str | None, now_ms: int) -> bool:
        if not self._window_ms or message_id is None:
            return False
        if self._seen.get(message_id, 0) > now_ms:
            return True
        self._seen.pop(message_id, None)  # so that the dict stays ordered by time
        self._seen[message_id] = now_ms + self._window_ms
        self._store.remember(self.name, message_id, now_ms + self._window_ms)
        return False


class Queue(Entity):
    """A queue, a subscription, or the dead-letter queue of one. Locks live here, not in links."""

    def __init__(
        self, store: Store, name: str, settings: dict[str, Any], dead_letters: Queue | None
    ) -> None:
        super().__init__(store, name, settings)
        self._lock_ms = int(float(settings.get("lock_seconds", 60)) * 1000)
        self._deliveries_max = int(settings.get("max_delivery_count", 10)) if dead_letters else None
        self._dead_letters = dead_letters
        self._ready: list[int] = []
        self._locked: dict[UUID, Stored] = {}
        self.consumers: deque[Consumer] = deque()

    def put(self, envelope: codec.Envelope, now_ms: int) -> None:
        """A copy from a topic."""
        self._arrive(Stored(self._store.next_sequence_number(), envelope, now_ms))

    def restore(self, message: Stored) -> None:
        """Takes a message that the store has, also one that was locked when the bus died."""
        if message.state == SCHEDULED:
            super().restore(message)
        else:
            self.messages[message.sequence_number] = message
            if message.state == ACTIVE:
                self._offer(message)

    def sweep(self, now_ms: int) -> None:
        """As for every entity; also, locks run out."""
        super().sweep(now_ms)
        expired = [m for m in self._locked.values() if m.locked_until_ms <= now_ms]
        for message in expired:
            self._unlock(message)
            self._offer(message)

    def pump(self, now_ms: int) -> None:
        """Delivers what is ready to the links that want it, in turn."""
        while any(consumer.wants() for consumer in self.consumers):
            message = self._next_ready()
            if message is None:
                break
            while not self.consumers[0].wants():
                self.consumers.rotate(-1)
            consumer = self.consumers[0]
            self.consumers.rotate(-1)
            message.attempts += 1
            if consumer.locks:
                self._lock(message, now_ms)
            else:
                self._remove(message)
            consumer.deliver(message)
        for consumer in self.consumers:
            consumer.nothing_left()

    def complete(self, token: UUID, now_ms: int) -> bool:
        """Removes a locked message; False if the lock is lost, as for all that follow."""
        message = self._held(token, now_ms)
        if message is None:
            return False
        self._unlock(message)
        self._remove(message)
        return True

    def abandon(self, token: UUID, now_ms: int, *, counted: bool = True) -> bool:
        """Gives a locked message back; without `counted` as if it had never been delivered."""
        message = self._held(token, now_ms)
        if message is None:
            return False
        self._unlock(message)
        if not counted:
            message.attempts -= 1
            self._store.update(message)
        if message.state == ACTIVE:
            self._offer(message)
        return True

    def defer(self, token: UUID, now_ms: int) -> bool:
        """Sets a locked message aside: from now on it is received by its number only."""
        message = self._held(token, now_ms)
        if message is None:
            return False
        self._unlock(message)
        message.state = DEFERRED
        self._store.update(message)
        return True

    def dead_letter(self, token: UUID, now_ms: int, properties: dict[str, str]) -> bool:
        """Moves a locked message to the dead-letter queue, with these properties set."""
        message = self._held(token, now_ms)
        if message is None or self._dead_letters is None:
            return False
        self._unlock(message)
        self._bury(message, properties)
        return True

    def renew(self, token: UUID, now_ms: int) -> int | None:
        """When the lock ends now, in ms; None if it is lost."""
        message = self._held(token, now_ms)
        if message is None:
            return None
        message.locked_until_ms = now_ms + self._lock_ms
        return message.locked_until_ms

    def peek(self, first_number: int, count: int) -> list[Stored]:
        """Messages in order, whatever their state, without locking them."""
        numbers = heapq.nsmallest(count, (n for n in self.messages if n >= first_number))
        return [self.messages[number] for number in numbers]

    def take_deferred(self, number: int, now_ms: int, *, locks: bool) -> Stored | None:
        """A deferred message by its number, locked or removed; None if there is none."""
        message = self.messages.get(number)
        if message is None or message.state != DEFERRED or message.token is not None:
            return None
        message.attempts += 1
        if locks:
            self._lock(message, now_ms)
        else:
            self._remove(message)
        return message

    def _arrive(self, message: Stored) -> None:
        self.messages[message.sequence_number] = message
        self._store.insert(self.name, message)
        heapq.heappush(self._ready, message.sequence_number)

    def _offer(self, message: Stored) -> None:
        """Makes a message available again, unless it was delivered too often."""
        if self._deliveries_max is not None and message.attempts >= self._deliveries_max:
            text = f"delivered {message.attempts} times without being completed"
            reason = "MaxDeliveryCountExceeded"
            self._bury(message, {"DeadLetterReason": reason, "DeadLetterErrorDescription": text})
        elif message.state == ACTIVE:
            heapq.heappush(self._ready, message.sequence_number)

    def _bury(self, message: Stored, properties: dict[str, str]) -> None:
        assert self._dead_letters is not None
        del self.messages[message.sequence_number]
        message.envelope = codec.with_text_properties(message.envelope, properties)
        message.state = ACTIVE
        self._dead_letters._arrive(message)

    def _next_ready(self) -> Stored | None:
        while self._ready:
            message = self.messages.get(heapq.heappop(self._ready))
            if message is not None and message.state == ACTIVE and message.token is None:
                return message
        return None

    def _lock(self, message: Stored, now_ms: int) -> None:
        message.token = uuid4()
        message.locked_until_ms = now_ms + self._lock_ms
        self._locked[message.token] = message
        self._store.update(message)

    def _held(self, token: UUID, now_ms: int) -> Stored | None:
        message = self._locked.get(token)
        return message if message is not None and message.locked_until_ms > now_ms else None

    def _unlock(self, message: Stored) -> None:
        assert message.token is not None
        del self._locked[message.token]
        message.token = None


class Topic(Entity):
    """A topic: what arrives is copied to every subscription that there is at that moment."""

    def __init__(
        self, store: Store, name: str, settings: dict[str, Any], subscriptions: list[Queue]
    ) -> None:
        super().__init__(store, name, settings)
        self._subscriptions = subscriptions

    def _arrive(self, message: Stored) -> None:
        for subscription in self._subscriptions:
            subscription.put(message.envelope, message.enqueued_ms)


class Broker:
    """All entities by address, compared without case, filled from the store."""

    def __init__(self, store: Store, config: dict[str, Any]) -> None:
        self._entities: dict[str, Entity] = {}
        self._store = store
        for settings in config.get("queues", []):
            self._add_queue(settings["name"], settings)
        for settings in config.get("topics", []):
            name = settings["name"]
            subscriptions = [
                self._add_queue(f"{name}/Subscriptions/{inner['name']}", inner)
                for inner in settings.get("subscriptions", [])
            ]
            self._add(Topic(store, name, settings, subscriptions))
        for name, message in list(store.messages()):
            if entity := self.find(name):
                entity.restore(message)
        for name, message_id, until_ms in store.seen():
            if entity := self.find(name):
                entity.restore_seen(message_id, until_ms)
        store.commit()

    def find(self, address: str) -> Entity | None:
        """The entity of this address, or None."""
        return self._entities.get(address.lower().strip("/"))

    def queues(self) -> Iterator[Queue]:
        """All queues, subscriptions and dead-letter queues."""
        return (entity for entity in self._entities.values() if isinstance(entity, Queue))

    def sweep(self, now_ms: int) -> None:
        """What time alone brings about, in all entities."""
        for entity in self._entities.values():
            entity.sweep(now_ms)

    def settle(self, now_ms: int) -> None:
        """Delivers what can be delivered, then makes all that happened durable."""
        for queue in self.queues():
            if queue.consumers:
                queue.pump(now_ms)
        self._store.commit()

    def _add_queue(self, name: str, settings: dict[str, Any]) -> Queue:
        dead_letters = Queue(self._store, f"{name}/{DEAD_LETTERS}", settings, None)
        queue = Queue(self._store, name, settings, dead_letters)
        self._add(dead_letters)
        self._add(queue)
        return queue

    def _add(self, entity: Entity) -> None:
        self._entities[entity.name.lower()] = entity
