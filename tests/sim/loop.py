"""An event loop without I/O: virtual time, no threads, no sockets, always the same order."""

import asyncio
import contextlib
import heapq
from asyncio import Handle, TimerHandle, base_events
from typing import Any


class Deadlock(AssertionError):
    """Nothing is left to run, and the run is not over: someone waits for ever."""


class SimLoop(base_events.BaseEventLoop):
    """Callbacks run in the order in which they were due; time jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self.steps = 0

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Handle:
        """As the base does, without its checks: this is what a run does most."""
        handle = Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> TimerHandle:
        """As the base does, without its checks."""
        timer = TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> TimerHandle:
        """As the base does, without its checks."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        if not ready:
            while scheduled and scheduled[0]._cancelled:
                heapq.heappop(scheduled)._scheduled = False
                self._timer_cancelled_count -= 1
            if not scheduled:
                raise Deadlock
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            self._now = max(self._now, timer._when)
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self.steps += 1
                handle._context.run(handle._callback, *handle._args)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """What the product gives to a thread is done at once: there is no other thread."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 it is handed on as it is
            future.set_exception(error)
        return future

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """Generators of dead processes end with them."""

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""


def run(coroutine: Any) -> Any:
    """The coroutine's result, in a loop of its own; what is left over is dropped."""
    loop = SimLoop()
    loop.set_exception_handler(lambda *_: None)  # tasks of dead processes end without a word
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with contextlib.suppress(RuntimeError):  # who tidies up would wait for ever
                task.get_coro().close()
        asyncio.set_event_loop(None)
        loop.close()
