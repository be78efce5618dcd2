"""One committer for ledger and hold book.

All that waits for the same partition in this process goes into one transaction.

The state and its ETag stay cached between commits. The store's answer decides the next step:

- written: the waiters get their results, the new state and ETag are cached;
- 412 on the state: another process committed: reload, decide again, after a jittered pause;
- 409 on a guard: some commands were committed before: read which, answer those with their first
  result, commit the rest at once;
- no proof either way: search the commit id in the row that the commit would have written;
- busy, with proof that nothing was written: the waiters get the error and may try again.

A refusal from a cached state is never given: it is decided again on a fresh one. An answer that
builds on another command of its group waits until that is durable. A waiter has its own deadline
and may leave; its command may still be committed, so it comes back with the same key.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.adapters.tables.committable import (
    NOT_YET,
    CommitGroup,
    LoadedPartition,
    NoChange,
    Partition,
    PendingCommand,
    Plan,
)
from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import (
    EtagMismatch,
    LedgerCorrupt,
    OutcomeUnknown,
    PerminuteError,
    RequestTooLarge,
    RowExists,
    Unavailable,
)
from shared.pacing import NO_REQUEST
from shared.ports.clock import Clock, Ids
from shared.ports.tables import TableStore
from shared.telemetry import event


@dataclass(slots=True)
class _PartitionQueue[State, Command, Result]:
    waiting: deque[PendingCommand[Command, Result]] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    cached: LoadedPartition[State] | None = None
    ahead: Plan[State, Command, Result] | None = None


class GroupCommitter[State, Command, Result]:
    """Commits commands to partitions of one book: a lane each, one transaction at a time.

    With `plans_ahead` the next group is decided and encoded while a transaction is on its way, as
    if that had succeeded. The plan is used only on the very state that it builds on, so a book may
    plan ahead whose decisions need nothing but the state.
    """

    def __init__(
        self,
        tables: TableStore,
        book: Partition[State, Command, Result],
        clock: Clock,
        ids: Ids,
        *,
        plans_ahead: bool = False,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._tables = tables
        self._book = book
        self._clock = clock
        self._ids = ids
        self._plans_ahead = plans_ahead
        self._pause = pause
        self._turn = asyncio.Lock()
        self._queues: OrderedDict[str, _PartitionQueue[State, Command, Result]] = OrderedDict()

    async def submit(
        self, partition: str, command: Command, *, seconds: float = limits.COMMIT_SECONDS_MAX
    ) -> Result:
        """The result of the command once it is durable, or its first result if it was durable
        before.

        Raises what the decision refuses with, and Unavailable when the outcome is not certain in
        time: the caller tries again with the same key.
        """
        queue = self._queue(partition)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        queue.waiting.append(PendingCommand(command, self._book.guards(command), future))
        if queue.task is None:
            queue.task = asyncio.create_task(self._drain(partition, queue), context=NO_REQUEST())
        try:
            async with asyncio.timeout(seconds):
                return await future  # cancelled with its caller: then no one waits for an answer
        except TimeoutError:
            raise Unavailable("The outcome of the commit is not known yet.") from None

    def cached(self, partition: str) -> LoadedPartition[State] | None:
        """The state as this process knows it; others may have committed since."""
        queue = self._queues.get(partition)
        return queue.cached if queue else None

    def prime_cache(self, partition: str, loaded: LoadedPartition[State]) -> None:
        """Decide the next commands on a state that was just read, unless the lane is busy."""
        queue = self._queue(partition)
        if queue.task is None:
            queue.cached = loaded

    def _queue(self, partition: str) -> _PartitionQueue[State, Command, Result]:
        queue = self._queues.get(partition)
        if queue is None:
            if len(self._queues) >= limits.PARTITIONS_CACHED_MAX:
                self._drop_idle()
            queue = self._queues[partition] = _PartitionQueue()
        self._queues.move_to_end(partition)
        return queue

    def _drop_idle(self) -> None:
        for partition, queue in self._queues.items():
            if queue.task is None and not queue.waiting:
                del self._queues[partition]
                return

    async def _drain(self, partition: str, queue: _PartitionQueue[State, Command, Result]) -> None:
        try:
            while queue.waiting or queue.ahead:
                ahead, queue.ahead = queue.ahead, None
                group = ahead.group.waiters if ahead else self._take(queue)
                try:
                    await self._commit(partition, queue, group, ahead)
                except PerminuteError as error:
                    queue.cached = None
                    for waiter in group:
                        waiter.resolve(error)
                except GeneratorExit:
                    raise  # the loop is closed: no future can be resolved any more
                except asyncio.CancelledError:
                    self._abandon(queue, group)
                    raise
                except BaseException as error:
                    queue.cached = None
                    for waiter in group:
                        if not waiter.future.done():
                            waiter.future.set_exception(error)
                    if not isinstance(error, Exception):
                        raise
        finally:
            queue.task = None

    def _abandon(
        self,
        queue: _PartitionQueue[State, Command, Result],
        group: Sequence[PendingCommand[Command, Result]],
    ) -> None:
        """The process ends: the outcome of these commands stays unknown."""
        ahead = queue.ahead.group.waiters if queue.ahead else ()
        for waiter in (*group, *ahead, *queue.waiting):
            waiter.resolve(Unavailable("The outcome of the commit is unknown."))
        queue.waiting.clear()
        queue.ahead = queue.cached = None

    def _take(
        self, queue: _PartitionQueue[State, Command, Result]
    ) -> list[PendingCommand[Command, Result]]:
        """The next group: at most what fits, each guard once (a row goes into a transaction once).

        A second command with the same guard waits for the next group, where the guard answers.
        """
        group: list[PendingCommand[Command, Result]] = []
        guards: set[str] = set()
        later: list[PendingCommand[Command, Result]] = []
        rows_left = self._book.commands_max
        while queue.waiting and rows_left >= max(1, len(queue.waiting[0].guards)):
            waiter = queue.waiting.popleft()
            if waiter.future.done():
                continue
            if not guards.isdisjoint(waiter.guards):
                later.append(waiter)
                continue
            guards.update(waiter.guards)
            rows_left -= max(1, len(waiter.guards))
            group.append(waiter)
        queue.waiting.extendleft(reversed(later))
        return group

    async def _commit(
        self,
        partition: str,
        queue: _PartitionQueue[State, Command, Result],
        group: list[PendingCommand[Command, Result]],
        ahead: Plan[State, Command, Result] | None = None,
    ) -> None:
        waiters = group
        clashes = 0
        for attempt in range(limits.COMMIT_TRIES_MAX):
            plan = (ahead.on(queue.cached) if ahead else None) or await self._plan(
                partition, queue, waiters
            )
            ahead = None
            if plan is None:
                return
            try:
                await self._write(partition, queue, plan)
            except RequestTooLarge as too_large:
                sent = plan.group.waiters
                if len(sent) == 1:
                    sent[0].resolve(too_large)  # its neighbours go on without it
                else:
                    await self._commit(partition, queue, sent[: len(sent) // 2])
            except (EtagMismatch, OutcomeUnknown) as lost:
                queue.cached = None
                cause, book = type(lost).__name__, self._book.table
                event("commit_conflict", account=partition, attempt=attempt, book=book, cause=cause)
                await self._back_off_after_conflict(attempt)
            except RowExists as clash:
                queue.cached = None
                if not await self._answer_recorded(partition, plan.group.waiters):
                    # No guard: another process opened the partition (the state, operation 0), or
                    # the journal is ahead of a state that was rolled back: never write over it.
                    clashes += clash.index > 0
                    if clashes > 1:
                        raise LedgerCorrupt("The journal is ahead of the state.") from clash
            waiters = [waiter for waiter in waiters if not waiter.future.done()]
            if not waiters:
                return
        raise Unavailable(
            "Too many requests change the same account.",
            code="contended",
        )

    async def _plan(
        self,
        partition: str,
        queue: _PartitionQueue[State, Command, Result],
        waiters: Sequence[PendingCommand[Command, Result]],
    ) -> Plan[State, Command, Result] | None:
        """The transaction for the commands that change something; None without one."""
        group = await self._decide(partition, queue, waiters, self._clock.now())
        return self._rendered(partition, group) if group.steps else None

    def _rendered(
        self, partition: str, group: CommitGroup[State, Command, Result]
    ) -> Plan[State, Command, Result]:
        commit_id = self._ids.token(limits.COMMIT_ID_BYTES)
        now = self._clock.now()
        after, operations = self._book.render(partition, group.before, group.steps, commit_id, now)
        return Plan(group, commit_id, after, operations)

    async def _write(
        self,
        partition: str,
        queue: _PartitionQueue[State, Command, Result],
        plan: Plan[State, Command, Result],
    ) -> None:
        """One transaction. Raises OutcomeUnknown only when the commit is not in the table (yet): if
        it still lands, If-Match lets one of the two win."""
        group = plan.group
        await self._book.prepare(partition, group.steps, self._clock.now())
        try:
            etags = await self._send(partition, queue, plan)
        except OutcomeUnknown:
            queue.cached = None
            if not await self._book.is_committed(partition, plan.after, plan.commit_id):
                raise
        else:
            queue.cached = LoadedPartition(plan.after, etags[0])
        for waiter, step in zip(group.waiters, group.steps, strict=True):
            waiter.resolve(step.result)
        for waiter, answer in group.answers:
            waiter.resolve(answer)

    async def _send(
        self,
        partition: str,
        queue: _PartitionQueue[State, Command, Result],
        plan: Plan[State, Command, Result],
    ) -> tuple[str, ...]:
        """The new ETags. While the transaction is on its way, the next one is planned."""
        transaction = self._tables.transact(self._book.table, partition, plan.operations)
        if not self._plans_ahead:
            return await transaction
        # Before those who have just got their results go on: the store need not wait for them.
        loop = asyncio.get_running_loop()
        sending = asyncio.Task(transaction, loop=loop, eager_start=True)
        try:
            for _ in range(limits.PLAN_AHEAD_PASSES):
                await asyncio.sleep(0)  # the request goes out first
            # A plan that is there already waits for its turn: this may be another try.
            if queue.waiting and queue.ahead is None and not sending.done():
                self._plan_ahead(partition, queue, plan.after)
        except BaseException:
            sending.cancel()
            raise
        return await sending

    def _plan_ahead(
        self, partition: str, queue: _PartitionQueue[State, Command, Result], after: State
    ) -> None:
        """Plan the next group on a state that is not yet in the table, if all of it changes it."""
        group = CommitGroup[State, Command, Result](
            LoadedPartition(after, NOT_YET), self._take(queue)
        )
        state, now = after, self._clock.now()
        try:
            for waiter in group.waiters:
                decision = self._book.decide(partition, state, waiter.command, now)
                if isinstance(decision, NoChange):
                    return
                state = decision.state
                group.steps.append(decision)
            if group.steps:
                queue.ahead = self._rendered(partition, group)
        except PerminuteError:
            return  # it comes again when they are decided in earnest
        finally:
            if queue.ahead is None:
                queue.waiting.extendleft(reversed(group.waiters))

    async def _decide(
        self,
        partition: str,
        queue: _PartitionQueue[State, Command, Result],
        waiters: Sequence[PendingCommand[Command, Result]],
        now: datetime,
    ) -> CommitGroup[State, Command, Result]:
        """Decide all commands in order. Answer those that change nothing at once, unless the answer
        builds on a step of this group: a step is reported only after it is in the table.

        An answer that a cached state gives is not trusted: it is decided again on a fresh one.
        """
        while True:
            cached = queue.cached
            loaded = cached if cached is not None else await self._book.load(partition)
            viewed = await self._book.view(
                partition, loaded, [waiter.command for waiter in waiters]
            )
            if self._plans_ahead:
                await self._take_turn()
            group = CommitGroup[State, Command, Result](viewed)
            at_once: list[tuple[PendingCommand[Command, Result], Result | PerminuteError]] = []
            state = viewed.state
            for waiter in waiters:
                decision = self._book.decide(partition, state, waiter.command, now)
                if isinstance(decision, NoChange):
                    answers = group.answers if group.steps else at_once
                    answers.append((waiter, decision.result))
                else:
                    state = decision.state
                    group.steps.append(decision)
                    group.waiters.append(waiter)
            if (at_once or group.answers) and cached is not None:
                queue.cached = None
                continue
            # What is refused today may have been carried out before: the guard wins.
            answered = [waiter for waiter, _ in (*at_once, *group.answers)]
            await self._answer_recorded(partition, answered)
            for waiter, answer in at_once:
                waiter.resolve(answer)
            return group

    async def _take_turn(self) -> None:
        """Lanes that are ready at the same instant decide one by one: the requests of one are sent
        before the next one begins, so that the store and this process work at the same time."""
        async with self._turn:
            for _ in range(limits.PLAN_TURN_PASSES):
                await asyncio.sleep(0)

    async def _answer_recorded(
        self, partition: str, waiters: Sequence[PendingCommand[Command, Result]]
    ) -> bool:
        """Resolve the commands that were committed before with their first results; True if there
        was one."""

        async def answer(waiter: PendingCommand[Command, Result]) -> bool:
            if not waiter.guards:
                return False
            first = await self._book.recorded(partition, waiter.command)
            if first is None:
                return False
            waiter.resolve(first)
            return True

        return any(await gather_bounded(answer, waiters, at_once=limits.GUARD_READS_AT_ONCE))

    async def _back_off_after_conflict(self, attempt: int) -> None:
        most = min(limits.COMMIT_BACKOFF_SECONDS * 2**attempt, limits.COMMIT_BACKOFF_SECONDS_MAX)
        await self._pause(random.uniform(0, most))  # noqa: S311 - jitter, no secret
