"""A process that ends in the middle of a commit: its callers learn that nothing is certain."""

import asyncio
import gc
from collections.abc import Sequence

import pytest

from shared.domain.common.errors import Unavailable
from shared.ports.tables import Operation
from tests.support.ledger import UNIT, leg
from tests.support.ledger_processes import ACCOUNT, FaultyTables, LedgerProcess


class SilentTables(FaultyTables):
    """Tables that stop answering transactions."""

    def __init__(self) -> None:
        super().__init__()
        self.is_silent = False

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        if self.is_silent:
            await asyncio.Event().wait()
        return await super().transact(table, partition, operations)


async def _waiting() -> list[asyncio.Task[object]]:
    """Debits of one account whose transaction is not answered."""
    tables = SilentTables()
    app = await LedgerProcess(tables).open(micros=UNIT)
    tables.is_silent = True
    debits = [
        asyncio.ensure_future(app.ledger.submit(ACCOUNT, leg(number, 1, app.clock.now())))
        for number in range(3)
    ]
    await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    return debits


async def test_a_cancelled_commit_leaves_the_outcome_open_for_all_who_wait() -> None:
    debits = await _waiting()
    own = {asyncio.current_task(), *debits}
    for task in asyncio.all_tasks() - own:
        task.cancel()
    outcomes = await asyncio.wait_for(asyncio.gather(*debits, return_exceptions=True), 5)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3


def test_a_commit_whose_loop_is_gone_ends_in_silence(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    debits = loop.run_until_complete(_waiting())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    del debits, task
    gc.collect()
    assert capsys.readouterr().err == ""
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
