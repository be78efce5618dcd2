"""The product's own code on storage, queue and topic that fail as a seed says.

Processes die between any two calls to the outside: then their tasks never go on, and what they had
requested may still happen. Whatever waits goes through `Scheduler.pause`, so that one seed gives
one order of things.
"""

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from functions.rate_and_debit import rate_and_debit
from shared import bootstrap
from shared.adapters.ledger.anchors import BlobAnchors
from shared.bootstrap.composition import Container
from shared.domain.common.errors import (
    EtagMismatch,
    OutcomeUnknown,
    QueueUnavailable,
    StoreError,
    StoreUnavailable,
    Unavailable,
)
from shared.ports.queues import Message
from shared.ports.tables import Operation, Replace, Row, RowPage
from tests.sim.outside import (
    LOCK_SECONDS,
    Broker,
    Receivers,
    SimBlobs,
    SimQueueClient,
    SimSender,
    SimTopicClient,
)
from tests.sim.scheduler import ACT, Scheduler
from tests.support import crash_points
from tests.support.memory_tables import CallKind, MemoryTables
from tests.support.processes import FakeMessage
from tests.support.product import Product

LATE_SECONDS_MAX = 20.0
DELIVER_SECONDS = 15.0


class InstantTables(MemoryTables):
    """Tables whose calls take no turn of the loop: `Scheduler.pause` has let others run."""

    async def _enter(self, kind: CallKind) -> None:
        """Nothing is injected here."""


class Process:
    """One process of the product, with caches of its own. `kind` is `web` or `worker`."""

    def __init__(self, deployment: "Deployment", name: str) -> None:
        self.deployment = deployment
        self.name = name
        self.is_dead = False
        self.death: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.skew = timedelta(0)
        self.app = Product(
            SimTables(deployment, self),  # type: ignore[arg-type]
            self,
            queue=SimQueueClient(deployment, self),
            topic=SimTopicClient(deployment, self),
            ids=SeededIds(random.Random(deployment.scheduler.rng.getrandbits(64))),
        ).container
        self.app.webhook_sender = SimSender(deployment, self)
        self.app.__dict__["anchors"] = BlobAnchors(SimBlobs(deployment, self))
        if deployment.scheduler.happens("clock_skewed"):
            self.skew = timedelta(seconds=deployment.scheduler.rng.uniform(-300, 300))

    def now(self) -> datetime:
        """The clock of this process."""
        return self.deployment.scheduler.now() + self.skew

    def die(self) -> None:
        self.is_dead = True
        self.death.set_result(None)

    async def alive(self) -> None:
        """Returns at once, or never."""
        if self.is_dead:
            await asyncio.get_running_loop().create_future()

    def spawn(self, act: str, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that runs in this process; `act` is what it does, for the crash points."""
        context = contextvars.copy_context()
        context.run(_CURRENT.set, self)
        context.run(ACT.set, act)
        task = asyncio.get_running_loop().create_task(coroutine, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


_CURRENT: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


class _CurrentContainer:
    """The container of the process that is running."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_CURRENT.get().app, name)


class SeededIds:
    """Tokens out of the seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def token(self, bytes_count: int) -> str:
        return f"{self._rng.getrandbits(bytes_count * 8):0{bytes_count * 2}x}"


class SimTables:
    """Table storage as one process meets it."""

    def __init__(self, deployment: "Deployment", process: Process) -> None:
        self._deployment = deployment
        self._scheduler = deployment.scheduler
        self._process = process

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        return await self._read(table, lambda: self._deployment.tables.get(table, partition, key))

    async def query(self, table: str, partition: str, **words: Any) -> list[Row]:
        return await self._read(
            table, lambda: self._deployment.tables.query(table, partition, **words)
        )

    async def scan(self, table: str, **words: Any) -> RowPage:
        return await self._read(table, lambda: self._deployment.tables.scan(table, **words))

    async def _read[Found](self, table: str, read: Callable[[], Awaitable[Found]]) -> Found:
        await self._scheduler.pause(
            f"{table}.read", self._process, lambda: crash_points.at_read(ACT.get())
        )
        if self._scheduler.happens("read_busy"):
            raise StoreUnavailable("busy")
        return await read()

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        scheduler = self._scheduler

        def point(when: str) -> str | None:
            return crash_points.at_write(ACT.get(), table, operations, when)

        await scheduler.pause(f"{table}.before_write", self._process, lambda: point("before"))
        if scheduler.happens("busy"):
            raise StoreUnavailable("busy")
        if scheduler.happens("lost_request"):
            raise OutcomeUnknown("no answer")
        if any(isinstance(each, Replace) for each in operations) and scheduler.happens(
            "stale_etag"
        ):
            raise EtagMismatch("the row has another version")
        if scheduler.happens("late_landing"):
            self._deployment.land_later(table, partition, operations)
            raise OutcomeUnknown("no answer")
        try:
            etags = await self._deployment.tables.transact(table, partition, operations)
        except StoreError as refused:
            scheduler.note(f"{self._process.name} {table} {type(refused).__name__}")
            if scheduler.happens("lost_reply"):
                raise OutcomeUnknown("no answer") from None
            raise
        if scheduler.is_logged:
            keys = [each.key[:28] for each in operations]
            scheduler.note(f"{self._process.name} writes {table} {partition} {keys}")
        if scheduler.dies_at(self._process, lambda: point("landed")):
            await self._process.alive()
        if scheduler.happens("lost_reply"):
            raise OutcomeUnknown("no answer")
        await scheduler.pause(f"{table}.after_write", self._process, lambda: point("after"))
        return etags


@dataclass
class Deployment:
    """Everything that outlives a process."""

    scheduler: Scheduler
    tables: MemoryTables = field(default_factory=InstantTables)
    blobs: dict[str, bytes] = field(default_factory=dict)
    receivers: Receivers = field(default_factory=Receivers)
    webs: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    dead: list[Process] = field(default_factory=list)
    """Kept, so that nothing tidies up after them while the run goes on."""
    escaped: list[str] = field(default_factory=list)
    landing: set[asyncio.Task[None]] = field(default_factory=set)
    batches: int = 0
    reports_events: bool = False

    def __post_init__(self) -> None:
        self.broker = Broker(self)
        self._made = 0
        bootstrap.install(_CurrentContainer())  # type: ignore[arg-type]

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
                    self.dead.append(process)
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

    async def relay(self) -> None:
        """Hand over what the topic's subscription has; it keeps what was not completed."""
        alive = [each for each in self.workers if not each.is_dead]
        if not alive:
            return
        process = self.scheduler.rng.choice(alive)
        batch = self.broker.undelivered[: self.scheduler.rng.randint(1, 8)]
        self.broker.locked_until = self.scheduler.seconds() + LOCK_SECONDS
        bodies = [message.body for message in batch]

        async def run() -> None:
            await process.app.deliver_events(bodies, seconds=DELIVER_SECONDS)

        task = process.spawn("deliver_events", run())
        if not await finished(task, process, LOCK_SECONDS):
            return
        error = task.exception()
        if error is None and not self.scheduler.happens("settle_lost"):
            self.broker.delivered(batch)
        if error and not isinstance(error, Unavailable | StoreError):
            self.escaped.append(f"deliver_events: {error!r}")
        self.broker.locked_until = 0.0

    async def tick(self, name: str, act: Callable[[Container], Awaitable[object]]) -> None:
        """One run of a timer in a worker."""
        alive = [each for each in self.workers if not each.is_dead]
        if not alive:
            return
        process = self.scheduler.rng.choice(alive)

        async def run() -> None:
            await act(process.app)

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
    await asyncio.wait({task, process.death}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return task.done()
