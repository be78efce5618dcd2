"""Four processes ask at once against real table storage: what there is for 20 is given to 20."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from shared.adapters.due_marks import TableDueMarks
from shared.adapters.ledger_store import TableLedger
from shared.adapters.system import RandomIds, SystemClock
from shared.adapters.tables import AzureTables
from shared.domain.ledger import Configure, TopUp
from tests.integration.dial_out_process import CHAIN_KEY
from tests.support.azurite import ROOT, Azurite, start_azurite
from tests.unit.holds.cases import CENT
from tests.unit.holds.world import ACCOUNT

PROCESSES, QUESTIONS_EACH, SLICES = 4, 50, 20
REASONS = {
    "credit": "credit_exhausted",
    "budget": "budget_exceeded",
    "velocity": "velocity_exceeded",
    "pool": "credit_exhausted",
}


@pytest.fixture
def azurite() -> Iterator[Azurite]:
    with start_azurite() as running:
        yield running


async def _open(connection: str, limit: str) -> None:
    """Credits for 20 slices where credits are the limit, and plenty where they are not."""
    tables = AzureTables(connection_string=connection)
    ledger = TableLedger(tables, TableDueMarks(tables), SystemClock(), RandomIds(), CHAIN_KEY)
    pool_seconds = SLICES * 900 if limit == "pool" else 0
    await ledger.submit(ACCOUNT, Configure(1, "USD", 0, pool_seconds=pool_seconds))
    micros = SLICES * 15 * CENT if limit == "credit" else 10**6 * CENT
    await ledger.submit(ACCOUNT, TopUp("top-up", "digest", micros))
    await tables.close()


class Asker:
    """One of the processes."""

    def __init__(self, connection: str, name: str, limit: str) -> None:
        module = "tests.integration.dial_out_process"
        arguments = [connection, name, limit, str(QUESTIONS_EACH)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.terminate()
        self.process.wait(10)


@pytest.mark.parametrize("limit", REASONS)
def test_200_questions_at_once_from_four_processes_share_what_there_is_for_20(
    azurite: Azurite, limit: str
) -> None:
    asyncio.run(_open(azurite.connection_string, limit))
    askers = [Asker(azurite.connection_string, str(n), limit) for n in range(PROCESSES)]
    try:
        assert [asker.read() for asker in askers] == ["ready"] * PROCESSES
        for turn in ("at first", "again, after all were released"):
            for asker in askers:
                asker.go()
            answers = [json.loads(asker.read()) for asker in askers]
            allowed = [name for answer in answers for name in answer["allowed"]]
            reasons = sum((Counter(answer["reasons"]) for answer in answers), Counter())
            assert len(set(allowed)) == len(allowed) == SLICES, turn
            assert reasons == {REASONS[limit]: PROCESSES * QUESTIONS_EACH - SLICES}
            for asker in askers:
                asker.go()
            assert [asker.read() for asker in askers] == ["released"] * PROCESSES
    finally:
        for asker in askers:
            asker.stop()
