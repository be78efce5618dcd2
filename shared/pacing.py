"""The share of a caller in this process, and the order of work.

Each caller has a budget of requests and a budget of work. Work is counted in units: a unit is a
stored row, or a KiB of it. Calls in progress are served first: a report takes a turn, of which only
a few exist, works in short slices, and gives way between them. All of it is per process.
"""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import RateLimited
from shared.ports.clock import Clock
from shared.ports.tables import Row
from shared.telemetry import event


@dataclass(slots=True)
class Bucket:
    """A token bucket: `per_second` tokens come in, up to `burst`. It may owe tokens."""

    per_second: float
    burst: float
    tokens: float
    at: float

    def fill(self, now: float) -> None:
        """Add what came in since the last time."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.per_second)
        self.at = now

    def seconds_until(self, tokens: float) -> float:
        """The seconds until the bucket has a number of tokens."""
        return max(0.0, (tokens - self.tokens) / self.per_second)


@dataclass(frozen=True, slots=True)
class RequestQuota:
    """The share of a caller per second; `BUDGET_BURST_SECONDS` of it at once."""

    requests_per_second: int
    work_per_second: int


class CallerBudgets:
    """The budgets of the callers that authenticated lately. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._callers: OrderedDict[str, tuple[Bucket, Bucket]] = OrderedDict()

    def admit(self, caller: str, allowance: RequestQuota) -> None:
        """Take one request of the caller's budget. Raises RateLimited."""
        requests, work = self._of(caller, allowance)
        now = self._monotonic()
        requests.fill(now)
        work.fill(now)
        wait_seconds = max(requests.seconds_until(1), work.seconds_until(1))
        if wait_seconds:
            used = "requests" if requests.tokens < 1 else "work"
            raise RateLimited(
                f"The caller's budget of {used} is used up.",
                retry_after_seconds=math.ceil(wait_seconds),
            )
        requests.tokens -= 1

    def spend(self, caller: str, units: int) -> None:
        """Take work off the caller's budget; what exceeds it delays the next request."""
        buckets = self._callers.get(caller)
        if buckets is not None:
            buckets[1].tokens -= units

    def _of(self, caller: str, allowance: RequestQuota) -> tuple[Bucket, Bucket]:
        buckets = self._callers.get(caller)
        if buckets is None:
            now = self._monotonic()
            requests, work = (
                Bucket(each, burst, burst, now)
                for each in (allowance.requests_per_second, allowance.work_per_second)
                for burst in (each * limits.BUDGET_BURST_SECONDS,)
            )
            buckets = self._callers[caller] = requests, work
            if len(self._callers) > limits.BUDGET_CALLERS_MAX:
                self._callers.popitem(last=False)
        self._callers.move_to_end(caller)
        return buckets


@dataclass(slots=True)
class WorkScheduler:
    """The order of work: calls in progress at once, reports a few at a time, callers in
    rotation."""

    calls: int = 0
    reports: int = 0
    called_at: float = -math.inf
    is_reading: bool = False
    read_after: float = -math.inf
    _waiting: OrderedDict[str, deque[asyncio.Future[None]]] = field(default_factory=OrderedDict)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Context manager around a request of a call in progress."""
        self.calls += 1
        self.called_at = time.monotonic()
        try:
            yield
        finally:
            self.calls -= 1
            self.called_at = time.monotonic()

    @property
    def are_calls_served(self) -> bool:
        """True if a call is served, or was a moment ago."""
        return bool(self.calls) or (time.monotonic() - self.called_at < limits.CALLS_SERVED_SECONDS)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[None]:
        """Context manager around the reads of a report: one report at a time and, while calls are
        served, for a share of the time only. Storage and its client are shared with the calls."""
        # What is waited for is mostly a time, not an event.
        while self.is_reading or (  # noqa: ASYNC110
            self.are_calls_served and time.monotonic() < self.read_after
        ):
            await asyncio.sleep(limits.GIVE_WAY_STEP_SECONDS)
        self.is_reading = True
        began = time.monotonic()
        try:
            yield
        finally:
            self.is_reading = False
            ended = time.monotonic()
            pause_seconds = (ended - began) * limits.READ_PAUSE_RATIO
            self.read_after = ended + min(pause_seconds, limits.READ_PAUSE_SECONDS_MAX)

    @asynccontextmanager
    async def report(self, caller: str) -> AsyncIterator[None]:
        """Context manager around a report: enters at the caller's turn.

        Raises RateLimited when too many wait, or the turn does not come in time.
        """
        if self.reports < limits.REPORTS_AT_ONCE:
            self.reports += 1
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, caller: str) -> None:
        mine = self._waiting.get(caller, ())
        waiting = sum(len(each) for each in self._waiting.values())
        if len(mine) >= limits.REPORTS_WAITING_PER_CALLER_MAX or (
            waiting >= limits.REPORTS_WAITING_MAX
        ):
            raise _busy()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            async with asyncio.timeout(limits.REPORT_WAIT_SECONDS_MAX):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # the turn came, and no one is there to take it
            else:
                self._forget(caller, turn)
            if isinstance(error, TimeoutError):
                raise _busy() from None
            raise

    def _forget(self, caller: str, turn: asyncio.Future[None]) -> None:
        mine = self._waiting.get(caller)
        if mine is not None and turn in mine:
            mine.remove(turn)
            if not mine:
                del self._waiting[caller]

    def _pass_on(self) -> None:
        """Give the turn to the next caller; a caller that waits with more goes to the end."""
        while self._waiting:
            caller, mine = self._waiting.popitem(last=False)
            turn = mine.popleft()
            if mine:
                self._waiting[caller] = mine
            if not turn.done():
                turn.set_result(None)
                return
        self.reports -= 1


def _busy() -> RateLimited:
    return RateLimited(
        "Too many reports are in progress.",
        retry_after_seconds=limits.REPORT_WAIT_SECONDS_MAX,
    )


@dataclass(slots=True)
class BulkPace:
    """The pace of bulk transactions in this process: short ones with pauses, so that calls find a
    free store; full speed for a moment after it was certain that no bridge requests calls."""

    clock: Clock
    full_until: datetime | None = None

    def run_at_full_speed(self) -> None:
        """No bridge requests calls at present."""
        self.full_until = self.clock.now() + timedelta(seconds=limits.BULK_FULL_SPEED_SECONDS)

    @property
    def gives_way(self) -> bool:
        """True if bridges may request calls."""
        return self.full_until is None or self.clock.now() >= self.full_until

    @property
    def legs_max(self) -> int:
        """The legs or claims of one transaction."""
        if self.gives_way:
            return limits.GROUP_COMMIT_LEGS_MAX
        return limits.FULL_SPEED_LEGS_MAX


@dataclass(slots=True)
class RefusalLog:
    """The number of refused requests that were logged in this minute. Since anyone can send any
    number, one line counts the omitted ones."""

    minute: int = 0
    seen: int = 0

    @property
    def are_logged(self) -> bool:
        """True if another refusal has its own lines."""
        self._turn()
        return self.seen < limits.REFUSALS_LOGGED_PER_MINUTE

    def take(self) -> bool:
        """Count a refusal; whether it is logged."""
        logged = self.are_logged
        self.seen += 1
        return logged

    def _turn(self) -> None:
        minute = int(time.monotonic() // 60)
        if minute == self.minute:
            return
        left_out = self.seen - limits.REFUSALS_LOGGED_PER_MINUTE
        self.minute, self.seen = minute, 0
        if left_out > 0:
            event("refusals_left_out", requests=left_out)


@dataclass(slots=True)
class Work:
    """The work of one request. `deadline` (monotonic seconds) is None where there is none: only
    reports have one, and only they give way."""

    budgets: CallerBudgets
    caller: str
    turns: WorkScheduler
    deadline: float | None = None
    units: int = 0

    async def give_way(self) -> None:
        """Wait a moment while a call in progress is served. Raises RateLimited past the deadline:
        the next try may find less traffic."""
        if self.deadline is None:
            return
        for _ in range(limits.GIVE_WAY_STEPS_MAX):
            if not self.turns.calls:
                break
            await asyncio.sleep(limits.GIVE_WAY_STEP_SECONDS)
        if time.monotonic() > self.deadline:
            raise RateLimited(
                f"The report takes longer than {limits.REPORT_SECONDS_MAX} s; "
                "request a shorter span.",
                retry_after_seconds=limits.REPORT_WAIT_SECONDS_MAX,
            )


_WORK: ContextVar[Work | None] = ContextVar("work", default=None)


def NO_REQUEST() -> Context:  # noqa: N802
    """The context of a task that serves several requests: none of them pays for it."""
    context = copy_context()
    context.run(_WORK.set, None)
    return context


_slice_began = 0.0


@contextmanager
def working(work: Work) -> Iterator[None]:
    """Reads inside are the work of this request."""
    token = _WORK.set(work)
    try:
        yield
    finally:
        _WORK.reset(token)


async def yield_to_others() -> None:
    """Yield to other tasks in long loops once the slice of time is used up.

    Raises RateLimited past the deadline of a report.
    """
    global _slice_began  # noqa: PLW0603 - there is one event loop a process
    if time.perf_counter() - _slice_began < limits.SLICE_SECONDS:
        return
    await asyncio.sleep(0)
    work = _WORK.get()
    if work is not None:
        await work.give_way()
    _slice_began = time.perf_counter()


@asynccontextmanager
async def reading() -> AsyncIterator[None]:
    """Around a read of rows: a report waits for its share. Raises RateLimited past its deadline."""
    work = _WORK.get()
    if work is None or work.deadline is None:
        yield
        return
    async with work.turns.read():
        await work.give_way()
        yield


def spent(rows: Sequence[Row]) -> None:
    """Rows were read: count them as work of the request."""
    work = _WORK.get()
    if work is None:
        return
    units = max(1, sum(map(_units, rows)))
    work.units += units
    work.budgets.spend(work.caller, units)


def _units(row: Row) -> int:
    size = sum(len(value) for value in row.values.values() if isinstance(value, str | bytes))
    return max(1, size // 1024)
