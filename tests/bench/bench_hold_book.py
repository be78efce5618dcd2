"""Fifty authorisations at once on one account, beside fifty bare updates of a row each."""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from shared.ports.tables import Upsert
from tests.bench.hold_book_process import AT_ONCE, Process
from tests.bench.records import record, wanted
from tests.support.azurite import ROOT, start_azurite

ALONE = "ledger.authorise_p99"
UNDER_DEBITS = "ledger.authorise_p99_under_debits"
DEBITS = "ledger.debits_beside_authorisations"
PROCESSES = "ledger.authorise_p99_4_processes"
ROUNDS = 12
RATIO_MAX = 2.0
DEBITS_RATIO_MIN = 0.85


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Figures of the hold book."""
    if wanted(ALONE, only):
        with start_azurite() as azurite:
            ours, bare, _ = asyncio.run(_turns(azurite.connection_string, None))
        yield _figure(ALONE, ours, bare)
    if wanted(UNDER_DEBITS, only) or wanted(DEBITS, only):
        with start_azurite() as azurite, _child(azurite.connection_string, "debits") as flood:
            ours, bare, debits = asyncio.run(_turns(azurite.connection_string, flood))
        yield _figure(UNDER_DEBITS, ours, bare)
        yield record(
            DEBITS,
            debits[0],
            "legs/s",
            "the same beside bare updates",
            debits[1],
            "ratio >= 0.85",
            lambda ratio: ratio >= DEBITS_RATIO_MIN,
        )
    if wanted(PROCESSES, only):
        yield _four_processes()


def _figure(name: str, ours: list[float], bare: list[float]) -> dict[str, Any]:
    return record(
        name,
        _p99(ours),
        "ms p99",
        f"{AT_ONCE} bare updates",
        _p99(bare),
        "ratio < 2",
        lambda ratio: ratio < RATIO_MAX,
    )


async def _turns(
    connection: str, flood: "Child | None"
) -> tuple[list[float], list[float], tuple[float, float]]:
    """(ms of authorisations, ms of bare updates, debits a second beside each); they take turns."""
    process = Process(connection)
    await process.open()
    if flood is not None:
        flood.read()
    table = f"t{uuid.uuid4().hex}"

    async def bare() -> list[float]:
        async def one(number: int) -> float:
            start = time.perf_counter()
            row = Upsert(f"row-{number}", {"schema": 1, "data": "x" * 500})
            await process.tables.transact(table, "account", [row])
            return (time.perf_counter() - start) * 1_000

        return list(await asyncio.gather(*(one(number) for number in range(AT_ONCE))))

    times: dict[str, list[float]] = {"ours": [], "bare": []}
    legs: dict[str, list[float]] = {"ours": [], "bare": []}
    calls: dict[str, Callable[[], Awaitable[list[float]]]] = {
        "ours": process.authorise,
        "bare": bare,
    }
    for number in range(ROUNDS + 1):
        for name, call in calls.items():
            before, start = flood.count() if flood else 0, time.perf_counter()
            found = await call()
            seconds = time.perf_counter() - start
            if number:  # the first round warms up
                times[name] += found
                legs[name].append(((flood.count() if flood else 0) - before) / seconds)
    await process.tables.close()
    return (
        times["ours"],
        times["bare"],
        (statistics.median(legs["ours"]), statistics.median(legs["bare"])),
    )


def _four_processes() -> dict[str, Any]:
    """Four processes, fifty questions each at the same instant, on one account."""
    with start_azurite() as azurite, contextlib.ExitStack() as stack:
        connection = azurite.connection_string
        asyncio.run(_opened(connection))
        children = [stack.enter_context(_child(connection, "authorise")) for _ in range(4)]
        for child in children:
            child.read()
        times: list[float] = []
        for number in range(ROUNDS // 2 + 1):
            for child in children:
                child.go()
            found = [json.loads(child.read()) for child in children]
            times += [each for one in found for each in one] if number else []
        _, bare, _ = asyncio.run(_turns(connection, None))
    return record(
        PROCESSES,
        _p99(times),
        "ms p99",
        f"{AT_ONCE} bare updates of one process",
        _p99(bare),
        "stated",
        lambda _: True,
    )


async def _opened(connection: str) -> None:
    process = Process(connection)
    await process.open()
    await process.tables.close()


class Child:
    """A process that reads lines and prints some."""

    def __init__(self, connection: str, what: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.hold_book_process", connection, what],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def count(self) -> int:
        self.go()
        return int(self.read())


@contextlib.contextmanager
def _child(connection: str, what: str) -> Iterator[Child]:
    if what == "debits":
        asyncio.run(_opened(connection))
    child = Child(connection, what)
    try:
        yield child
    finally:
        child.process.communicate()


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]
