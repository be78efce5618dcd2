"""The product's own code on storage, queue and topic that fail as a seed says.

Processes die between any two calls to the outside: then their tasks never go on, and what they had
asked for may still happen. Whatever waits goes through `Scheduler.pause`, so that one seed gives
one order of things.
"""

import asyncio
import contextlib
import contextvars
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from functions.rate_and_debit import rate_and_debit
from shared import bootstrap
from shared.adapters.memory_tables import MemoryTables
from shared.adapters.message_checks import check_messages
from shared.bootstrap import Container
from shared.domain.errors import (
    EtagMismatch,
    OutcomeUnknown,
    QueueUnavailable,
    StoreError,
    StoreUnavailable,
)
from shared.ports.queues import Message
from shared.ports.tables import Operation, Page, Replace, Row
from tests.sim.faults import CALM, Rates
from tests.support import crash_points
from tests.unit.ledger.world import SETTINGS, FakeMessage

START = datetime.fromisoformat("2026-11-23T10:00:00+00:00")
DUPLICATE_WINDOW_SECONDS = 600.0
LOCK_SECONDS = 30.0
LATE_SECONDS_MAX = 20.0


class Scheduler:
    """Time, chance and the log of a run."""

    def __init__(self, seed: int, log: Callable[[str], None] | None = None) -> None:
        self.rng = random.Random(seed)
        self.rates: Rates = CALM
        self.labels: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()
        self.target: tuple[str, int] | None = None
        """A point at which a process dies for certain, and how often it is passed before."""
        self._log = log

    def seconds(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds())

    def note(self, text: str) -> None:
        if self._log is not None:
            self._log(f"{self.seconds():12.4f} {text}")

    def happens(self, fault: str) -> bool:
        """Whether this fault is due now; counted and logged if it is."""
        rate = getattr(self.rates, fault)
        if not rate or self.rng.random() >= rate:
            return False
        self.faults[fault] += 1
        self.note(f"  fault {fault}")
        return True

    async def pause(self, label: str, process: "Process", point: str | None = None) -> None:
        """Something on the way to or from the outside: others go on meanwhile, or we die.

        `point` is the crash point that this is, if it is one.
        """
        self.labels[label] += 1
        seconds = self.rng.expovariate(200.0)
        if self.happens("slow"):
            seconds += self.rng.uniform(0.5, 8.0)
        await process.alive()
        await asyncio.sleep(seconds)
        if not process.is_dead and (self._is_target(point) or self.happens("crash")):
            self.die(process, point or label)
        await process.alive()

    def die(self, process: "Process", where: str) -> None:
        """A process ends here and now."""
        self.crashes[where] += 1
        self.note(f"{process.name} dies at {where}")
        process.die()

    def dies_at(self, process: "Process", point: str | None) -> bool:
        """Whether a process ends at this very point, between two others that cost no time."""
        if process.is_dead or not self._is_target(point):
            return False
        self.die(process, str(point))
        return True

    def _is_target(self, point: str | None) -> bool:
        if self.target is None or point != self.target[0]:
            return False
        name, passes = self.target
        self.target = (name, passes - 1) if passes else None
        return not passes


class Process:
    """One process of the product, with caches of its own. `kind` is `web` or `worker`."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.is_dead = False
        self.died = asyncio.Event()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.skew = timedelta(0)
        self.house = Container(SETTINGS)
        self.house.clock = self
        self.house.ids = SeededIds(random.Random(world.scheduler.rng.getrandbits(64)))
        self.house.tables = SimTables(world, self)  # type: ignore[assignment]
        self.house.queue = SimQueueClient(world, self)
        self.house.topic = SimTopicClient(world, self)
        if world.scheduler.happens("clock_skewed"):
            self.skew = timedelta(seconds=world.scheduler.rng.uniform(-300, 300))

    def now(self) -> datetime:
        """The clock of this process."""
        return self.world.scheduler.now() + self.skew

    def die(self) -> None:
        self.is_dead = True
        self.died.set()

    async def alive(self) -> None:
        """Returns at once, or never."""
        if self.is_dead:
            await asyncio.get_running_loop().create_future()

    def spawn(self, act: str, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that runs in this process; `act` is what it does, for the crash points."""
        context = contextvars.copy_context()
        context.run(_CURRENT.set, self)
        context.run(_ACT.set, act)
        task = asyncio.get_running_loop().create_task(coroutine, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


_CURRENT: contextvars.ContextVar[Process] = contextvars.ContextVar("process")
_ACT: contextvars.ContextVar[str] = contextvars.ContextVar("act", default="")


class _CurrentHouse:
    """The house of whichever process is running."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_CURRENT.get().house, name)


class SeededIds:
    """Tokens out of the seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def token(self, bytes_count: int) -> str:
        return f"{self._rng.getrandbits(bytes_count * 8):0{bytes_count * 2}x}"


class SimTables:
    """Table storage as one process meets it."""

    def __init__(self, world: "World", process: Process) -> None:
        self._world = world
        self._scheduler = world.scheduler
        self._process = process

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        return await self._read(table, lambda: self._world.tables.get(table, partition, key))

    async def query(self, table: str, partition: str, **words: Any) -> list[Row]:
        return await self._read(table, lambda: self._world.tables.query(table, partition, **words))

    async def scan(self, table: str, **words: Any) -> Page:
        return await self._read(table, lambda: self._world.tables.scan(table, **words))

    async def _read[Found](self, table: str, read: Callable[[], Awaitable[Found]]) -> Found:
        point = crash_points.at_read(_ACT.get())
        await self._scheduler.pause(f"{table}.read", self._process, point)
        if self._scheduler.happens("read_busy"):
            raise StoreUnavailable("busy")
        return await read()

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        scheduler = self._scheduler

        def point(when: str) -> str | None:
            return crash_points.at_write(_ACT.get(), table, operations, when)

        await scheduler.pause(f"{table}.before_write", self._process, point("before"))
        if scheduler.happens("busy"):
            raise StoreUnavailable("busy")
        if scheduler.happens("lost_request"):
            raise OutcomeUnknown("no answer")
        if any(isinstance(each, Replace) for each in operations) and scheduler.happens(
            "stale_etag"
        ):
            raise EtagMismatch("the row has another version")
        if scheduler.happens("late_landing"):
            self._world.land_later(table, partition, operations)
            raise OutcomeUnknown("no answer")
        try:
            etags = await self._world.tables.transact(table, partition, operations)
        except StoreError as refused:
            scheduler.note(f"{self._process.name} {table} {type(refused).__name__}")
            if scheduler.happens("lost_reply"):
                raise OutcomeUnknown("no answer") from None
            raise
        keys = [each.key[:28] for each in operations]
        scheduler.note(f"{self._process.name} writes {table} {partition} {keys}")
        if scheduler.dies_at(self._process, point("landed")):
            await self._process.alive()
        if scheduler.happens("lost_reply"):
            raise OutcomeUnknown("no answer")
        await scheduler.pause(f"{table}.after_write", self._process, point("after"))
        return etags


@dataclass
class _Queued:
    message: Message
    visible_at: float
    number: int
    deliveries: int = 0


def shortened(message: Message) -> str:
    """Enough of a message's id to find it in the log: leg, content, attempt."""
    return ".".join(part[:8] for part in message.message_id.split("."))


class Broker:
    """Queue and topic: at least once, with duplicate detection and locks."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._seen: dict[str, float] = {}
        self.waiting: list[_Queued] = []
        self.published: list[Message] = []
        self.dropped = 0
        self._news = asyncio.Event()

    def is_due(self, now: float) -> bool:
        """Whether there is a message that can be had."""
        return any(each.visible_at <= now for each in self.waiting)

    async def something(self, until: float) -> None:
        """Returns when a message can be had, or it is that late."""
        self._news.clear()
        next_at = min([until, *(each.visible_at for each in self.waiting)])
        seconds = next_at - self._world.scheduler.seconds()
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)

    def accept(self, messages: Sequence[Message], at: datetime | None) -> None:
        now = self._world.scheduler.seconds()
        for message in messages:
            last = self._seen.get(message.message_id)
            if last is not None and now - last < DUPLICATE_WINDOW_SECONDS:
                self.dropped += 1
                self._world.scheduler.note(f"  dropped {shortened(message)}")
                continue
            self._seen[message.message_id] = now
            due = now if at is None else (at - START).total_seconds()
            self.waiting.append(_Queued(message, max(now, due), len(self._seen)))
            self._news.set()
            self._world.scheduler.note(f"  queued {shortened(message)}")

    def lock(self, count: int) -> list[_Queued]:
        """The next messages that can be had, out of sight of others for the time of a lock."""
        now = self._world.scheduler.seconds()
        found = sorted(
            (each for each in self.waiting if each.visible_at <= now), key=lambda each: each.number
        )[:count]
        for each in found:
            each.visible_at = now + LOCK_SECONDS
            each.deliveries += 1
            self._world.scheduler.note(f"  locked {shortened(each.message)}")
        return found

    def complete(self, batch: Sequence[_Queued]) -> None:
        for each in batch:
            if each in self.waiting:
                self.waiting.remove(each)

    def abandon(self, batch: Sequence[_Queued]) -> None:
        for each in batch:
            each.visible_at = self._world.scheduler.seconds()
        self._news.set()


class SimQueueClient:
    """The queue as one process meets it."""

    def __init__(self, world: "World", process: Process) -> None:
        self._world = world
        self._process = process

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        check_messages(messages)
        scheduler = self._world.scheduler
        before, after = (
            crash_points.at_queue(_ACT.get(), when) if messages else None
            for when in ("before", "after")
        )
        await scheduler.pause("queue.before_send", self._process, before)
        if scheduler.happens("queue_lost_request"):
            raise QueueUnavailable("no answer")
        if messages and scheduler.happens("queue_lost_reply"):
            part = scheduler.rng.randint(0, len(messages))
            self._world.broker.accept(messages[:part], at)
            raise QueueUnavailable("no answer")
        self._world.broker.accept(messages, at)
        await scheduler.pause("queue.after_send", self._process, after)


class SimTopicClient:
    """The topic as one process meets it."""

    def __init__(self, world: "World", process: Process) -> None:
        self._world = world
        self._process = process

    async def publish(self, messages: Sequence[Message]) -> None:
        check_messages(messages)
        scheduler = self._world.scheduler
        await scheduler.pause("topic.before_publish", self._process)
        if scheduler.happens("topic_lost_request"):
            raise QueueUnavailable("no answer")
        self._world.broker.published.extend(messages)
        if scheduler.happens("topic_lost_reply"):
            raise QueueUnavailable("no answer")
        await scheduler.pause("topic.after_publish", self._process, crash_points.at_topic("after"))


@dataclass
class World:
    """Everything that outlives a process."""

    scheduler: Scheduler
    tables: MemoryTables = field(default_factory=MemoryTables)
    webs: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    escaped: list[str] = field(default_factory=list)
    landing: set[asyncio.Task[None]] = field(default_factory=set)
    batches: int = 0

    def __post_init__(self) -> None:
        self.broker = Broker(self)
        self._made = 0
        bootstrap.install(_CurrentHouse())  # type: ignore[arg-type]

    def process(self, kind: str) -> Process:
        self._made += 1
        return Process(self, f"{kind}{self._made}")

    def start(self, webs: int, workers: int) -> None:
        self.webs = [self.process("web") for _ in range(webs)]
        self.workers = [self.process("worker") for _ in range(workers)]

    def revive(self) -> None:
        """Processes that died are started again, with nothing in mind."""
        for kind, processes in (("web", self.webs), ("worker", self.workers)):
            for place, process in enumerate(processes):
                if process.is_dead:
                    processes[place] = self.process(kind)

    def land_later(self, table: str, partition: str, operations: Sequence[Operation]) -> None:
        async def land() -> None:
            await asyncio.sleep(self.scheduler.rng.uniform(0.01, LATE_SECONDS_MAX))
            try:
                await self.tables.transact(table, partition, operations)
                self.scheduler.note(f"lands late: {table} {[each.key for each in operations][:3]}")
            except StoreError as refused:
                self.scheduler.note(f"refused late: {type(refused).__name__}")

        task = asyncio.get_running_loop().create_task(land())
        self.landing.add(task)
        task.add_done_callback(self.landing.discard)

    # The host of the worker processes

    async def deliver(self) -> None:
        """Take a batch from the queue and give it to a worker; settle it by how that ends."""
        scheduler = self.scheduler
        batch = self.broker.lock(scheduler.rng.randint(1, 20))
        if not batch:
            return
        alive = [each for each in self.workers if not each.is_dead]
        if not alive:
            return
        process = scheduler.rng.choice(alive)
        messages = [_delivered(each.message) for each in batch]
        if scheduler.happens("delivered_twice"):
            messages.append(scheduler.rng.choice(messages))
        self.batches += 1
        scheduler.note(f"{process.name} gets {len(messages)} messages")
        task = process.spawn("rate_and_debit", rate_and_debit(messages))  # type: ignore[arg-type]
        if not await finished(task, process, 240.0):
            return  # the locks end by themselves
        error = task.exception()
        if error is not None:
            scheduler.note(f"{process.name} raises {type(error).__name__}")
            if not isinstance(error, QueueUnavailable):
                self.escaped.append(f"rate_and_debit: {error!r}")
            self.broker.abandon(batch)
        elif not scheduler.happens("settle_lost"):
            self.broker.complete(batch)

    async def tick(self, name: str, act: Callable[[Container], Awaitable[object]]) -> None:
        """One run of a timer in a worker."""
        alive = [each for each in self.workers if not each.is_dead]
        if not alive:
            return
        process = self.scheduler.rng.choice(alive)

        async def run() -> None:
            await act(process.house)

        task = process.spawn(name, run())
        if await finished(task, process, 240.0):
            error = task.exception()
            if error and not isinstance(error, StoreUnavailable | QueueUnavailable | StoreError):
                self.escaped.append(f"{name}: {error!r}")


def _delivered(message: Message) -> FakeMessage:
    properties: Mapping[str, Any] = dict(message.properties)
    return FakeMessage(message.body, properties)


async def finished(task: asyncio.Task[Any], process: Process, seconds: float) -> bool:
    """Whether a task of a process came to its end before the process died or time was up."""
    death = asyncio.get_running_loop().create_task(process.died.wait())
    try:
        await asyncio.wait({task, death}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        death.cancel()
    return task.done()
