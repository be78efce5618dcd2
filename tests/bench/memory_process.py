"""`python -m tests.bench.memory_process`: serve account after account and print, as JSON, the peak
of this process in MB after each number of accounts in `STEPS`.

The ledger and the hold book are the real ones. The table forgets what is written: every account
finds the rows of one and the same opened account, so that what grows here is the process, not the
table.
"""

import asyncio
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from shared.adapters.bus.backlog import TableBacklog
from shared.adapters.clock import RandomIds, SystemClock
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.dial_out.hold_book_store import TableHoldBook
from shared.adapters.ledger.store import TableLedger
from shared.domain.common.limits import PARTITIONS_CACHED_MAX
from shared.domain.ledger.model import Configure, TopUp
from shared.ports.holds import StoredDecision
from shared.ports.tables import Operation, Row
from tests.bench.bench_ledger import leg
from tests.support.hold_books import question
from tests.support.hold_cases import authorise
from tests.support.memory_tables import MemoryTables

STEPS = (PARTITIONS_CACHED_MAX, 10_000)
_MODEL = "contoso"
_STATUS = Path("/proc/self/status")
_PEAK_KIB = re.compile(r"^VmHWM:\s+(\d+) kB$", re.ASCII | re.MULTILINE)


class Forgetful(MemoryTables):
    """Once `closed`, every partition reads like the model account, and nothing more is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        row = await super().get(table, _MODEL if self.closed else partition, key)
        return replace(row, partition=partition) if row else None

    async def query(
        self,
        table: str,
        partition: str,
        *,
        first: str = "",
        after: str | None = None,
        before: str | None = None,
        where: Mapping[str, str] | None = None,
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        return await super().query(
            table,
            _MODEL if self.closed else partition,
            first=first,
            after=after,
            before=before,
            where=where,
            select=select,
            limit=limit,
        )

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        if not self.closed:
            return await super().transact(table, partition, operations)
        return tuple(f'W/"{uuid.uuid4().hex}"' for _ in operations)


async def main() -> None:
    """A debit and an authorisation on each account."""
    tables, clock, ids = Forgetful(), SystemClock(), RandomIds()
    due = TableDueMarks(tables)
    ledger = TableLedger(tables, due, clock, ids, b"k" * 32)
    book = TableHoldBook(tables, ledger, due, TableBacklog(tables, clock), clock, ids)
    await ledger.submit(_MODEL, Configure(1, "USD", 0))
    await ledger.submit(_MODEL, TopUp("credits", "digest", 10**12))
    tables.closed = True
    peaks = []
    for number in range(max(STEPS)):
        account = f"account-{number}"
        await ledger.submit(account, leg(number))
        answer = await book.place(account, question(authorise(f"au_{number}", account=account)))
        assert isinstance(answer, StoredDecision), answer
        if number + 1 in STEPS:
            peaks.append(_peak_mb())
    print(json.dumps(peaks))


def _peak_mb() -> float:
    found = _PEAK_KIB.search(_STATUS.read_text("ascii"))
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    asyncio.run(main())
