"""Time, chance and the log of a run, and the place where processes wait, or die."""

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.sim.faults import CALM, Rates

if TYPE_CHECKING:
    from tests.sim.deployment import Process

START = datetime.fromisoformat("2026-11-23T10:00:00+00:00")
ACT: contextvars.ContextVar[str] = contextvars.ContextVar("act", default="")
"""What a task does, for the crash points."""


def nowhere() -> None:
    """No crash point."""


async def _sleep(seconds: float) -> None:
    """As `asyncio.sleep`, without tidying up for who stops waiting: it is called all the time."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    loop.call_later(seconds, _wake, woken)
    await woken


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


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
        self.is_logged = log is not None

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

    async def pause(
        self, label: str, process: "Process", point: Callable[[], str | None] = nowhere
    ) -> None:
        """Something on the way to or from the outside: others go on meanwhile, or we die.

        `point` reports the crash point that this is, if it is one. Where nothing fails, nothing
        waits either: what may come between two calls comes between them while there are faults.
        """
        self.labels[label] += 1
        if process.is_dead:
            await process.alive()
        if self.rates is CALM:
            if self.dies_at(process, point):
                await process.alive()
            return
        seconds = self.rng.expovariate(200.0)
        if self.happens("slow"):
            seconds += self.rng.uniform(0.5, 8.0)
        await _sleep(seconds)
        if process.is_dead:
            await process.alive()
        if not self.dies_at(process, point) and self.happens("crash"):
            self.die(process, point() or label)
        if process.is_dead:
            await process.alive()

    def die(self, process: "Process", where: str) -> None:
        """A process ends here and now."""
        self.crashes[where] += 1
        self.note(f"{process.name} dies at {where}")
        process.die()

    def dies_at(self, process: "Process", point: Callable[[], str | None]) -> bool:
        """Whether a process ends at this very point."""
        if self.target is None or process.is_dead:
            return False
        name, passes = self.target
        if point() != name:
            return False
        self.target = (name, passes - 1) if passes else None
        if passes:
            return False
        self.die(process, name)
        return True
