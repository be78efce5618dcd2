"""A process is killed (SIGKILL) between any two steps of a call's events, or two take them at once:
the leg is charged once, by the timer if no one posts again."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.legs.call_store import TABLE
from shared.adapters.tables.azure_tables import AzureTables
from shared.bootstrap import install
from shared.ports.queues import Message
from shared.ports.tables import Operation
from tests.faults import audited, workload
from tests.faults.app import AsyncProduct
from tests.faults.outlived import FolderQueue, Passage, ScenarioTopic
from tests.faults.ports import Forwarded
from tests.support.azurite import start_azurite
from tests.support.client import Json
from tests.support.memory_bus import MemoryTopic
from tests.support.vendors import twilio_call

TOKEN = "a-token-of-the-tests-" + "x" * 24
STEPS = {
    1: "before the first event is kept",
    2: "the first event is kept",
    # The event that ends the leg is kept while the leg is queued, in either order.
    3: "before one of the two writes",
    4: "one of the two writes has begun, or is done",
    5: "one of the two writes is done",
    6: "both are done, and no process knows",
}
LEG_IS_DURABLE = 5
KILLED = -signal.SIGKILL
WAIT_SECONDS = 1
QUIET_SECONDS_MAX = 60.0
AMOUNT = "-0.11"

pytestmark = [pytest.mark.extended, pytest.mark.timeout(170)]


@dataclass(slots=True)
class Doom:
    """Kills this process at its n-th step; 0 never does."""

    at: int
    steps: int = 0

    def step(self) -> None:
        """Another step begins, or is done."""
        self.steps += 1
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class DoomedTables(Forwarded):
    """Tables whose writes of events are steps; those of marks alone come later."""

    doom: Doom

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        """A transaction."""
        is_step = table == TABLE and operations[0].key.startswith("event|")
        if is_step:
            self.doom.step()
        etags = await super().transact(table, partition, operations)
        if is_step:
            self.doom.step()
        return etags


class DoomedQueue(FolderQueue):
    """A queue whose sends are steps."""

    doom: Doom

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Keeps them."""
        if messages:
            self.doom.step()
        await super().send(messages, at=at)
        if messages:
            self.doom.step()


def events(run: str) -> list[Json]:
    """The callbacks of a call of a minute to London."""
    at = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    return list(
        twilio_call(run, caller=workload.PARIS, to=workload.LONDON, talk_seconds=60, ended_at=at)
    )


async def post(app: AsyncProduct, run: str, posted: Sequence[Json]) -> None:
    """One post an event."""
    for event in posted:
        headers = {"authorization": f"Bearer {TOKEN}"}
        path = f"/api/v1/bridges/{run}/call-ended"
        answer = await app.send("POST", path, event, key=None, headers=headers)
        assert answer.status == 202, answer


def run_process(connection_string: str, folder: str, run: str, posted: Json, doom_at: int) -> None:
    """A process of its own, which is killed at a step."""

    async def playing() -> None:
        tables = DoomedTables(AzureTables(connection_string=connection_string, read_seconds=20))
        queue = DoomedQueue(Path(folder), Passage(Path(folder).with_suffix(".points"), None))
        tables.doom = queue.doom = Doom(doom_at)
        await post(AsyncProduct(tables, queue, MemoryTopic()), run, posted["events"])

    asyncio.run(playing())


@dataclass
class Place:
    """Table storage and a queue that outlive processes, and one product that no one kills."""

    connection_string: str
    folder: Path

    def fork(self, run: str, posted: Sequence[Json], doom_at: int = 0) -> Any:
        """A process that posts events."""
        arguments = (self.connection_string, str(self.folder), run, {"events": posted}, doom_at)
        process = multiprocessing.get_context("forkserver").Process(
            target=run_process, args=arguments
        )
        process.start()
        return process

    def play(self, work: Callable[[AsyncProduct, FolderQueue], Awaitable[None]]) -> None:
        """Work on the product that no one kills."""

        async def playing() -> None:
            tables = AzureTables(connection_string=self.connection_string, read_seconds=20)
            passage = Passage(self.folder.with_suffix(".points"), None)
            queue = FolderQueue(self.folder, passage)
            topic = ScenarioTopic(self.folder.with_suffix(".events"), passage)
            try:
                await work(AsyncProduct(tables, queue, topic), queue)
            finally:
                await tables.close()

        asyncio.run(playing())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    folder = tmp_path_factory.mktemp("queue")
    with start_azurite() as azurite:
        made = Place(azurite.connection_string, folder)

        async def opened(app: AsyncProduct, _: FolderQueue) -> None:
            await audited.opened(app)

        made.play(opened)
        yield made
        install(None)


async def open_run(app: AsyncProduct, run: str) -> None:
    """An account and its bridge, both named as the run."""
    await audited.opened_account(app, run, run)
    bridge = {
        "dialect": "twilio",
        "auth": {"scheme": "bearer", "secrets": [TOKEN]},
        "accounts": [run],
        "default_account": run,
        "wait_seconds": WAIT_SECONDS,
    }
    await app.create(f"bridges/{run}", bridge)


async def quiet(app: AsyncProduct, queue: FolderQueue, run: str) -> list[str]:
    """The amounts of the account's debits once no mark of the run is due within the wait."""
    async with asyncio.timeout(QUIET_SECONDS_MAX):
        while True:
            await app.tick("end_waits")
            batch = queue.take()
            await app.deliver(list(batch.values()))
            queue.complete(list(batch))
            rows = (await app.container.tables.scan(TABLE, where={"bridge": run}, limit=100)).rows
            soon = f"due|{datetime.now(UTC) + timedelta(hours=1):%Y%m%dT%H%M%S}"
            if not any(row.key.startswith("due|") and row.key < soon for row in rows):
                break
    parked = await app.items(f"parked-legs?account={run}")
    assert parked == []
    entries = await app.items(f"accounts/{run}/entries")
    return [entry["amount"] for entry in entries if entry["kind"] == "debit"]


@pytest.mark.parametrize("step", STEPS, ids=STEPS.get)
def test_a_process_that_is_killed_loses_and_doubles_nothing(place: Place, step: int) -> None:
    run = f"killed-at-{step}"
    posted = events(run)

    async def prepare(app: AsyncProduct, _: FolderQueue) -> None:
        await open_run(app, run)

    async def survive(app: AsyncProduct, queue: FolderQueue) -> None:
        rows = (await app.container.tables.scan(TABLE, where={"bridge": run}, limit=100)).rows
        is_durable = bool(queue.take()) or any(row.values.get("ends") for row in rows)
        assert is_durable or step < LEG_IS_DURABLE
        assert await quiet(app, queue, run) == ([AMOUNT] if is_durable else [])
        await post(app, run, posted)
        assert await quiet(app, queue, run) == [AMOUNT]

    place.play(prepare)
    process = place.fork(run, posted, doom_at=step)
    process.join(60)
    assert process.exitcode == KILLED
    place.play(survive)


def test_two_processes_at_once_charge_a_call_once(place: Place) -> None:
    run = "two-at-once"
    joined, completed = events(run)

    async def prepare(app: AsyncProduct, _: FolderQueue) -> None:
        await open_run(app, run)

    async def after(app: AsyncProduct, queue: FolderQueue) -> None:
        assert await quiet(app, queue, run) == [AMOUNT]

    place.play(prepare)
    orders = [[joined, completed, joined], [completed, joined, completed]]
    processes = [place.fork(run, order) for order in orders]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    place.play(after)
