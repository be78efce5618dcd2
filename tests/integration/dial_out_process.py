"""A process that authorises on hold books many times at once: `python -m … CONNECTION NAME COUNT`.

It says `ready` and obeys a line each: `open LIMIT` reads the account that has this limit,
`authorise` sends COUNT requests and prints a JSON line (the authorisations allowed, and the
reasons of the others), `release` gives back what was allowed. After each it prints a line. It ends
with its input.
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

from shared.adapters.bus.backlog import TableBacklog
from shared.adapters.clock import RandomIds, SystemClock
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.dial_out.hold_book_store import TableHoldBook
from shared.adapters.ledger.store import TableLedger
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common.errors import Unavailable
from shared.domain.dial_out.budgets import BudgetPeriod, Limit, Scope
from shared.domain.dial_out.hold_decisions import Authorise
from shared.ports.holds import StoredDecision
from tests.support.hold_books import named, question
from tests.support.hold_cases import ACCOUNT as USUAL
from tests.support.hold_cases import CENT, PerMinute, authorise, budget, velocity

CHAIN_KEY = b"k" * 32
ORGANIZER = "organizer|ken"
SLICES, SLICE_MICROS = 20, 15 * CENT
TRIES_MAX = 20
BOUNDS: dict[str, tuple[Limit, ...]] = {
    "credit": (USUAL,),
    "budget": (budget(SLICES * SLICE_MICROS, BudgetPeriod.DAY, Scope.ORGANIZER, ORGANIZER),),
    "velocity": (velocity(concurrent_max=SLICES),),
    "breaker": (velocity(cost_per_ten_minutes_micros=SLICES * SLICE_MICROS),),
    "pool": (),
}


def book_on(tables: AzureTables) -> TableHoldBook:
    """The product's hold book on real table storage."""
    clock, ids, due = SystemClock(), RandomIds(), TableDueMarks(tables)
    ledger = TableLedger(tables, due, clock, ids, CHAIN_KEY)
    return TableHoldBook(tables, ledger, due, TableBacklog(tables, clock), clock, ids)


def command(limit: str) -> Authorise:
    """A question for a slice of 15 cents, or of 900 pool seconds."""
    month = SystemClock().now().strftime("%Y-%m") if limit == "pool" else None
    price = PerMinute(10**12) if limit == "pool" else PerMinute()
    return authorise(bounds=BOUNDS[limit], pool_month=month, pricing=price)


class Authoriser:
    """Authorises on behalf of one process."""

    def __init__(self, book: TableHoldBook, name: str, count: int) -> None:
        self._book = book
        self._name = name
        self._count = count
        self._limit = ""
        self._turn = 0
        self._allowed: list[str] = []

    async def obey(self, line: str) -> str:
        """What is printed."""
        match line.split():
            case ["open", limit]:
                self._limit = limit
                await _repeated(lambda: self._book.view(limit))
                return "open"
            case ["authorise"]:
                return json.dumps(await self._authorise())
            case ["release"]:
                await asyncio.gather(*(self._release(name) for name in self._allowed))
                return "released"
        raise AssertionError(line)

    async def _authorise(self) -> dict[str, object]:
        self._turn += 1
        names = [f"au_{self._name}_{self._turn}_{number}" for number in range(self._count)]
        answers = await asyncio.gather(*(self._one(name) for name in names))
        self._allowed = [name for name, word in answers if word == "allowed"]
        reasons = Counter(word for _, word in answers if word != "allowed")
        return {"allowed": self._allowed, "reasons": reasons}

    async def _one(self, name: str) -> tuple[str, str]:
        place = question(named(command(self._limit), name))
        answer = await _repeated(lambda: self._book.place(self._limit, place))
        return name, "allowed" if isinstance(answer, StoredDecision) else answer.reason.value

    async def _release(self, name: str) -> None:
        await _repeated(lambda: self._book.release(self._limit, name))


async def _repeated[Result](request: Callable[[], Awaitable[Result]]) -> Result:
    """As a bridge does: the same request again while the book is contended."""
    for _ in range(TRIES_MAX - 1):
        with contextlib.suppress(Unavailable):
            return await request()
    return await request()


async def main(connection: str, name: str, count: int) -> None:
    tables = AzureTables(connection_string=connection)
    process = Authoriser(book_on(tables), name, count)
    try:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(await process.obey(line), flush=True)
    finally:
        await tables.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
