"""A process of the bench of the hold book: `python -m … CONNECTION debits|authorise`.

`debits` charges legs to the account flat out and prints, for every line that it reads, how many it
has charged until then. `authorise` waits for a line, sends 50 requests, releases, and prints
the milliseconds of each question as a JSON list; until its input ends.
"""

import asyncio
import contextlib
import json
import sys
import time

from shared.adapters.bus.backlog import TableBacklog
from shared.adapters.clock import RandomIds, SystemClock
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.dial_out.hold_book_store import TableHoldBook
from shared.adapters.ledger.store import TableLedger
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import Unavailable
from shared.domain.dial_out.budgets import Limit, Scope
from shared.domain.ledger.model import Configure, DebitLeg, TopUp
from shared.ports.holds import StoredDecision
from tests.support.hold_books import ACCOUNT, named, question
from tests.support.hold_cases import CENT, authorise

AT_ONCE = 50
FLOOD = 97
CREDIT_MICROS = 10**9 * CENT
TRIES_MAX = 50
_BOUNDS = (Limit(Scope.ACCOUNT, "", ""),)


class Process:
    """A ledger and a hold book on real tables."""

    def __init__(self, connection: str) -> None:
        self.tables = AzureTables(connection_string=connection, read_seconds=60)
        clock, self.ids = SystemClock(), RandomIds()
        due = TableDueMarks(self.tables)
        self.ledger = TableLedger(self.tables, due, clock, self.ids, b"k" * 32)
        backlog = TableBacklog(self.tables, clock)
        self.book = TableHoldBook(self.tables, self.ledger, due, backlog, clock, self.ids)
        self.debited = 0

    async def open(self) -> None:
        """An account with plenty."""
        await self.ledger.submit(ACCOUNT, Configure(1, "USD", 0))
        await self.ledger.submit(ACCOUNT, TopUp("top-up", "digest", CREDIT_MICROS))

    async def authorise(self) -> list[float]:
        """Milliseconds of each of 50 questions at once; their holds are released again."""
        names = [f"au_{self.ids.token(9)}" for _ in range(AT_ONCE)]

        async def one(name: str) -> float:
            start = time.perf_counter()
            for _ in range(TRIES_MAX):
                try:
                    command = named(authorise(bounds=_BOUNDS), name)
                    answer = await self.book.place(ACCOUNT, question(command))
                except Unavailable:
                    continue
                assert isinstance(answer, StoredDecision), answer
                return (time.perf_counter() - start) * 1_000
            raise AssertionError("never answered")

        times = await asyncio.gather(*(one(name) for name in names))
        await asyncio.gather(*(self._release(name) for name in names))
        return times

    async def _release(self, name: str) -> None:
        for _ in range(TRIES_MAX):
            with contextlib.suppress(Unavailable):
                await self.book.release(ACCOUNT, name)
                return

    async def flood(self) -> None:
        """Debit for ever."""

        async def one() -> None:
            while True:
                leg = self.ids.token(9)
                charge: dict[str, object] = {"leg": leg}
                await self.ledger.submit(
                    ACCOUNT,
                    DebitLeg(
                        leg=leg,
                        digest=leg,
                        amount_micros=CENT,
                        answered_at=SystemClock().now(),
                        authorization=None,
                        charge=charge,
                        person={},
                        charge_digest=content_digest(charge),
                        person_digest=content_digest({}),
                    ),
                )
                self.debited += 1

        await asyncio.gather(*(one() for _ in range(FLOOD)))


async def main(connection: str, what: str) -> None:
    process = Process(connection)
    if what == "authorise":
        await process.book.view(ACCOUNT)
    flood = asyncio.create_task(process.flood()) if what == "debits" else None
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        if flood is not None:
            print(process.debited, flush=True)
        else:
            print(json.dumps(await process.authorise()), flush=True)
    if flood is not None:
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)
        await asyncio.sleep(1)  # what was sent is answered
    await process.tables.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
