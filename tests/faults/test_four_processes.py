"""Every fault of Table storage under four processes that debit, credit and authorise at once.

Four processes share ten accounts. Each posts legs (the same ones as the others, now and then with
other content), tops up, corrects, reverses, requests dial-outs, extends and releases them, while a
proxy before Azurite does one thing after the other to their requests. Queue and topic fail now and
then too, sometimes after they took what they were given. Then the faults stop, every operation
that no one knows the outcome of is repeated with the same key, and an independent auditor examines
the answers that the processes got and what a reader sees.

What happens is drawn from a seed, which the failure names: `FAULTS_SEED=7 FAULTS_SECONDS=30 pytest
tests/faults/test_four_processes.py -k late` sends the same requests for longer. How processes and
answers interleave is the machine's affair; the folder that a failure names has the history of
every process and the proxy's decisions. Figures go to `build/faults.jsonl`.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from shared.adapters.tables.azure_tables import AzureTables
from shared.bootstrap import install
from tests.faults.app import AsyncProduct
from tests.faults.audited import (
    final,
    hold_problems,
    landed,
    opened,
    opened_accounts,
    problems,
    write_figures,
)
from tests.faults.ports import FileTopic, LocalQueue, events_of
from tests.faults.records import now_text, read
from tests.faults.workload import account_names
from tests.support.azurite import ROOT, Azurite, start_azurite
from tests.support.client import Json
from tests.support.fault_proxy import (
    Cut,
    Delay,
    DropRequest,
    DropResponse,
    Fault,
    FaultProxy,
    Late,
    Pass,
    Rule,
    Status,
)

PROCESSES = 4
SEED = int(os.environ.get("FAULTS_SEED", "0")) or random.randrange(1, 10**6)
SECONDS = float(os.environ.get("FAULTS_SECONDS", "2"))
ANSWER_SECONDS_MAX = 60.0
BATCH = "$batch"
# Time-outs of the processes are 1 s: what is slower than that is over for them, and lands.
KINDS: dict[str, dict[Fault, float]] = {
    "drop_request": {DropRequest(): 0.2},
    "drop_response": {DropResponse(): 0.2},
    "cut": {Cut(0.0): 0.05, Cut(0.3): 0.08, Cut(0.9): 0.08},
    "delay": {Delay(0.15): 0.15, Delay(1.3): 0.04},
    "late": {Late(0.02): 0.08, Late(0.3): 0.1},
    "503_before": {Status(503): 0.2},
    "503_after": {Status(503, after_commit=True): 0.2},
    "500_before": {Status(500): 0.2},
    "500_after": {Status(500, after_commit=True): 0.2},
    "all": {
        DropRequest(): 0.03,
        DropResponse(): 0.05,
        Cut(0.6): 0.04,
        Delay(1.3): 0.01,
        Late(0.1): 0.05,
        Status(503): 0.03,
        Status(503, after_commit=True): 0.04,
        Status(500, after_commit=True): 0.03,
        Status(429): 0.02,
    },
}
WARM = "warm"
READS_LESS = 0.3  # a read is hit this much more seldom than a transaction: it proves less


@dataclass
class Worker:
    """A process with its own product."""

    process: subprocess.Popen[str]
    log: Path

    def send(self, command: Json) -> None:
        """Send a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Json:
        """The answer to the oldest command."""
        assert self.process.stdout is not None
        line = _within(self.process.stdout)
        assert line, self.log.read_text(encoding="utf-8")[-3000:]
        answer: Json = json.loads(line)
        return answer


def _within(stream: IO[str]) -> str:
    found: Future[str] = Future()
    threading.Thread(target=lambda: found.set_result(stream.readline()), daemon=True).start()
    return found.result(ANSWER_SECONDS_MAX)


class ProxyThread:
    """The proxy in a loop of its own, so that nothing here slows it down."""

    def __init__(self, upstream_port: int, log: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.proxy = FaultProxy(upstream_port, seed=SEED, log=log)
        self.call(self.proxy.__aenter__())

    def call(self, work: Any) -> Any:
        """Run a coroutine there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_SECONDS_MAX)

    def set_rules(self, faults: dict[Fault, float]) -> None:
        """From now on each of these hits its share of the requests."""

        async def change() -> None:
            self.proxy.clear()
            left = 1.0
            for fault, share in faults.items():
                # A rule is evaluated only when those before it did not hit.
                probability = share / left
                self.proxy.add(Rule(fault, path=BATCH, probability=probability))
                self.proxy.add(Rule(fault, method="GET", probability=probability * READS_LESS))
                left -= share

        self.call(change())

    def stop_faults(self) -> None:
        """Everything passes, and what is late has landed."""

        async def change() -> None:
            self.proxy.clear()
            await self.proxy.settled()

        self.call(change())

    def close(self) -> None:
        """Ends proxy and thread."""
        self.call(self.proxy.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Plant:
    """Azurite, the proxy before it, and four processes behind the proxy."""

    azurite: Azurite
    proxy: ProxyThread
    workers: Sequence[Worker]
    folder: Path
    card: list[Json]

    def all(self, command: Json) -> list[Json]:
        """Give every process a command; their answers."""
        for worker in self.workers:
            worker.send(command)
        return [worker.answer() for worker in self.workers]


@contextlib.contextmanager
def _workers(port: int, folder: Path) -> Iterator[list[Worker]]:
    started: list[Worker] = []
    try:
        for number in range(PROCESSES):
            log = folder / f"worker-{number}.log"
            command = [sys.executable, "-m", "tests.faults.worker"]
            options = ["--number", str(number), "--tables", str(port), "--folder", str(folder)]
            process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log.open("w"),
                text=True,
                cwd=ROOT,
            )
            started.append(Worker(process, log))
        yield started
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.communicate()


def _product(azurite: Azurite, folder: Path, run: str) -> tuple[AsyncProduct, AzureTables]:
    """A product that no fault touches."""
    chance = random.Random(SEED)
    tables = AzureTables(connection_string=azurite.connection_string)
    topic = FileTopic(folder / f"{run}.events.jsonl", chance, 0.0)
    return AsyncProduct(tables, LocalQueue(chance, 0.0), topic), tables


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("faults")
    with start_azurite() as azurite:
        proxy = ProxyThread(azurite.port, folder / "proxy.jsonl")
        try:
            with _workers(proxy.proxy.port, folder) as workers:

                async def prepare() -> list[Json]:
                    app, tables = _product(azurite, folder, WARM)
                    made = await opened(app)
                    await opened_accounts(app, WARM)
                    await tables.close()
                    return made

                made = Plant(azurite, proxy, workers, folder, asyncio.run(prepare()))
                logging.getLogger("perminute").setLevel(logging.WARNING)  # thousands of reads
                # What a process does for the first time takes long: imports, connections.
                made.all({"run": WARM, "seconds": 1, "seed": 1, "base": now_text()})
                made.all({"drain": WARM})
                yield made
        finally:
            proxy.close()
            install(None)


@pytest.mark.extended
@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_makes_four_processes_debit_twice_or_lose_a_leg(plant: Plant, kind: str) -> None:
    run = f"{kind.replace('_', '-')}-{SEED}"

    async def prepare() -> list[Json]:
        app, tables = _product(plant.azurite, plant.folder, run)
        made = await opened_accounts(app, run)
        await tables.close()
        return made

    prepared = asyncio.run(prepare())
    first = len(plant.proxy.proxy.decisions)
    plant.proxy.set_rules(KINDS[kind])
    plant.all({"run": run, "seconds": SECONDS, "seed": SEED, "base": now_text()})
    plant.proxy.stop_faults()
    decisions = plant.proxy.proxy.decisions[first:]
    drained = plant.all({"drain": run})

    counts: Counter[str] = Counter()
    for answer in drained:
        counts.update(answer["counts"])
    found = read(sorted(plant.folder.glob(f"{run}.worker-*.jsonl")))
    history = [*plant.card, *prepared, *found.operations]

    async def judge() -> tuple[list[str], tuple[int, int, int], int]:
        app, tables = _product(plant.azurite, plant.folder, run)
        for account in account_names(run):
            await app.container.publish_events(account)
        events = events_of(plant.folder / f"{run}.events.jsonl")
        quiet = await final(app, run, events)
        wrong = [*problems(history, quiet), *await hold_problems(tables, found)]
        writes = await landed(tables, found)
        await tables.close()
        return wrong, writes, quiet.debits

    wrong, (had_landed, had_not, unknown), debits = asyncio.run(judge())
    injected = sum(not isinstance(decision.fault, Pass) for decision in decisions)
    write_figures(
        ROOT / "build/faults.jsonl",
        {
            "kind": kind,
            "seed": SEED,
            "operations": len(found.operations),
            "requests": len(decisions),
            "faults": injected,
            "unknown_writes": unknown,
            "unknown_commits_that_landed": had_landed,
            "unknown_commits_that_did_not": had_not,
            "repeated_with_the_same_key": sum(answer["repeated"] for answer in drained),
            "duplicates_absorbed": counts["leg_repeated"],
            "legs_debited": debits,
            "double_debits": sum("debited 2" in each for each in wrong),
            "hold_commits": sum("hold" in note for note in found.notes),
            "counts": dict(sorted(counts.items())),
        },
    )
    assert [answer["never"] for answer in drained] == [[]] * PROCESSES
    assert not wrong, f"FAULTS_SEED={SEED}, {plant.folder}:\n" + "\n".join(wrong[:20])
    assert injected > 0
    assert debits > 0
