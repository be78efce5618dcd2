"""A process that asks the hold book many times at once: `python -m … CONNECTION NAME LIMIT COUNT`.

It says `ready`, waits for a line, asks, and prints a JSON line: the authorisations that were
allowed, and the reasons of the others. On a second line it releases what it was allowed, and asks
as often again; on a third one it does nothing more.
"""

import asyncio
import json
import sys
from collections import Counter

from shared.adapters.backlog import TableBacklog
from shared.adapters.due_marks import TableDueMarks
from shared.adapters.hold_store import TableHoldBook
from shared.adapters.ledger_store import TableLedger
from shared.adapters.system import RandomIds, SystemClock
from shared.adapters.tables import AzureTables
from shared.domain.dial_limits import Limit, Period, Scope
from shared.domain.errors import Unavailable
from shared.domain.hold_decide import Authorise
from shared.ports.holds import Answered
from tests.unit.holds.cases import ACCOUNT as USUAL
from tests.unit.holds.cases import CENT, PerMinute, ask, budget, velocity
from tests.unit.holds.world import ACCOUNT, named, question

CHAIN_KEY = b"k" * 32
ORGANIZER = "organizer|ken"
TRIES_MAX = 20
BOUNDS: dict[str, tuple[Limit, ...]] = {
    "credit": (USUAL,),
    "budget": (budget(300 * CENT, Period.DAY, Scope.ORGANIZER, ORGANIZER),),
    "velocity": (velocity(concurrent_max=20),),
    "pool": (),
}


def command(limit: str) -> Authorise:
    """A question for a slice of 15 cents, or of 900 pool seconds."""
    month = SystemClock().now().strftime("%Y-%m") if limit == "pool" else None
    price = PerMinute(10**12) if limit == "pool" else PerMinute()
    return ask(bounds=BOUNDS[limit], pool_month=month, pricing=price)


async def main(connection: str, process: str, limit: str, count: int) -> None:
    tables = AzureTables(connection_string=connection)
    clock, ids = SystemClock(), RandomIds()
    due = TableDueMarks(tables)
    ledger = TableLedger(tables, due, clock, ids, CHAIN_KEY)
    book = TableHoldBook(tables, ledger, due, TableBacklog(tables, clock), clock, ids)

    async def one(name: str) -> tuple[str, str]:
        for _ in range(TRIES_MAX):
            try:
                answer = await book.place(ACCOUNT, question(named(command(limit), name)))
            except Unavailable:
                continue  # as a bridge does: the same key again
            return name, "allowed" if isinstance(answer, Answered) else answer.reason.value
        return name, "unavailable"

    try:
        await book.view(ACCOUNT)
        print("ready", flush=True)
        for turn in range(2):
            await _line()
            names = [f"au_{process}_{turn}_{number}" for number in range(count)]
            answers = await asyncio.gather(*(one(name) for name in names))
            allowed = [name for name, word in answers if word == "allowed"]
            reasons = Counter(word for _, word in answers if word != "allowed")
            print(json.dumps({"allowed": allowed, "reasons": reasons}), flush=True)
            await _line()
            await asyncio.gather(*(book.release(ACCOUNT, name, "local") for name in allowed))
            print("released", flush=True)
    finally:
        await tables.close()


async def _line() -> None:
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
