"""Four processes authorise at once on real table storage: credits for 20 are given to 20."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from shared.adapters.clock import RandomIds, SystemClock
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.ledger.store import TableLedger
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.ledger.model import Configure, TopUp
from shared.ports.holds import DialOutControl
from tests.integration.dial_out_process import CHAIN_KEY, SLICE_MICROS, SLICES, book_on
from tests.support.azurite import ROOT, Azurite, start_azurite
from tests.support.hold_cases import SLICE

PROCESSES, QUESTIONS_EACH = 4, 50
pytestmark = [pytest.mark.extended, pytest.mark.timeout(300)]  # on a machine that is busy
REASONS = {
    "credit": "credit_exhausted",
    "budget": "budget_exceeded",
    "velocity": "velocity_exceeded",
    "breaker": "dial_out_stopped",
    "pool": "credit_exhausted",
}


class Process:
    """One of the processes."""

    def __init__(self, connection: str, name: str) -> None:
        module = "tests.integration.dial_out_process"
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, connection, name, str(QUESTIONS_EACH)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send_line(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.terminate()
        self.process.wait(60)


class Processes:
    """The four, which do everything at the same time."""

    def __init__(self, azurite: Azurite) -> None:
        self.azurite = azurite
        self.each = [Process(azurite.connection_string, str(n)) for n in range(PROCESSES)]
        assert [process.read() for process in self.each] == ["ready"] * PROCESSES

    def all(self, line: str) -> list[str]:
        """The answers of all to a line that was sent to all."""
        for process in self.each:
            process.send_line(line)
        return [process.read() for process in self.each]


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with start_azurite() as azurite:
        started = Processes(azurite)
        yield started
        for process in started.each:
            process.stop()


async def _open(connection: str, limit: str) -> None:
    """Credits for 20 slices where credits are the limit, and plenty where they are not."""
    tables = AzureTables(connection_string=connection)
    ledger = TableLedger(tables, TableDueMarks(tables), SystemClock(), RandomIds(), CHAIN_KEY)
    pool_seconds = SLICES * SLICE if limit == "pool" else 0
    await ledger.submit(limit, Configure(1, "USD", 0, pool_seconds=pool_seconds))
    micros = SLICES * SLICE_MICROS * (1 if limit == "credit" else 1_000)
    await ledger.submit(limit, TopUp("top-up", "digest", micros))
    await tables.close()


async def _restart(connection: str, limit: str) -> bool:
    """A person lets dial-out go on; whether it was stopped."""
    tables = AzureTables(connection_string=connection)
    restarted = await book_on(tables).switch(limit, DialOutControl(stop=""))
    await tables.close()
    return restarted


@pytest.mark.parametrize("limit", REASONS)
def test_200_questions_at_once_from_four_processes_share_what_there_is_for_20(
    processes: Processes, limit: str
) -> None:
    """Twice, for all that was allowed is released; the breaker has to be reset by a person too."""
    connection = processes.azurite.connection_string
    asyncio.run(_open(connection, limit))
    assert processes.all(f"open {limit}") == ["open"] * PROCESSES
    for turn in ("at first", "again, after all were released"):
        answers = [json.loads(line) for line in processes.all("authorise")]
        allowed = [name for answer in answers for name in answer["allowed"]]
        reasons = sum((Counter(answer["reasons"]) for answer in answers), Counter())
        assert len(set(allowed)) == len(allowed) == SLICES, turn
        assert reasons == {REASONS[limit]: PROCESSES * QUESTIONS_EACH - SLICES}
        assert processes.all("release") == ["released"] * PROCESSES
        assert asyncio.run(_restart(connection, limit)) is (limit == "breaker")
