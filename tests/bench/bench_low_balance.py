"""The low-balance timer and the nightly audit: requests counted in memory, time on Azurite.

Of many accounts a hundred are due: a commit with an event left its mark, and a timer checks
whether the process that made it published everything. `…_telling` counts the same when each of
the hundred has an alert to repeat, which takes a commit, a record and a publication.
"""

import asyncio
import logging
import statistics
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.tables.azure_tables import AzureTables
from shared.bootstrap.composition import Container
from shared.domain.credits.alerts import AlertRule
from shared.domain.credits.lots import LotKind
from shared.domain.directory.entities import AccountSettings
from shared.domain.ledger.effects import ALERT_DUE
from shared.domain.ledger.model import Adjust, TopUp
from shared.ports.notices import DueMark
from shared.ports.tables import Insert, TableStore
from tests.bench.cost import CountingTables
from tests.bench.records import record, wanted
from tests.support.azurite import start_azurite
from tests.support.memory_bus import MemoryTopic
from tests.support.product import SETTINGS, START, CountedIds, ManualClock

TICK, REPORTING = "low_balance.tick", "low_balance.tick_telling"
TICK_MS, AUDIT = "low_balance.tick_ms", "low_balance.audit"
MANY, FEW, DUE = 100_000, 2_000, 100
AUDITED = 100
AUDIT_READS = 20  # of an account whose ledger was never verified before
UNIT = 1_000_000
AT_ONCE = 16
REQUESTS_MAX = 300
REPORTING_MAX = 12  # requests for each account
TICKS = 7
BARE_RATIO_MAX = 2.0
AUDIT_RATIO_MIN = 0.4


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Figures of the timer and of the audit."""
    logging.getLogger("perminute").setLevel(logging.WARNING)
    if wanted(TICK, only) or wanted(REPORTING, only):
        reading, reporting = asyncio.run(_requests())
        yield record(
            TICK,
            reading,
            "requests",
            f"{MANY} accounts, {DUE} due; what is allowed",
            REQUESTS_MAX,
            "ratio < 1",
            lambda ratio: ratio < 1,
        )
        yield record(
            REPORTING,
            reporting,
            "requests",
            "accounts with an event to publish",
            DUE,
            f"ratio <= {REPORTING_MAX}",
            lambda ratio: ratio <= REPORTING_MAX,
        )
    if wanted(TICK_MS, only) or wanted(AUDIT, only):
        with start_azurite() as azurite:
            found = asyncio.run(_on_azurite(azurite.connection_string))
        tick_ms, bare_ms, audited, bare_audited = found
        yield record(
            TICK_MS,
            tick_ms,
            "ms",
            f"{FEW} accounts, {DUE} due; as many bare queries",
            bare_ms,
            f"ratio <= {BARE_RATIO_MAX:.0f}",
            lambda ratio: ratio <= BARE_RATIO_MAX,
        )
        yield record(
            AUDIT,
            audited,
            "accounts/s",
            f"{AUDIT_READS} bare reads an account",
            bare_audited,
            f"ratio >= {AUDIT_RATIO_MIN}",
            lambda ratio: ratio >= AUDIT_RATIO_MIN,
        )


class _Process:
    """A process on such tables, with a clock that is moved by hand."""

    def __init__(self, tables: TableStore) -> None:
        self.clock = ManualClock()
        self.container = Container(SETTINGS)
        self.container.tables, self.container.clock = tables, self.clock
        self.container.topic, self.container.ids = MemoryTopic(), CountedIds()

    async def open(self, count: int) -> None:
        """Accounts whose credits are low, with the event published."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with slots:
                await self._open(f"account-{number}")

        await asyncio.gather(*(one(number) for number in range(count)))

    async def _open(self, name: str) -> None:
        app = self.container
        rules = (AlertRule("low", below_micros=20 * UNIT),)
        await app.accounts.put(name, AccountSettings("USD", alerts=rules), None)
        await app.ledger.submit(name, TopUp("k", "d", 21 * UNIT, LotKind.GRANTED))
        await app.ledger.submit(name, Adjust("fee", "d", -2 * UNIT, "a fee"))
        await app.publish_events(name, hold_book=False)

    async def settle(self) -> None:
        """Every mark so far is old enough to go, and gone."""
        self.clock.moment += timedelta(minutes=10)
        while (await self.container.watch_balances()).marks:
            pass

    async def mark(self, count: int) -> None:
        """So many accounts are due."""
        at = self.clock.now() - timedelta(minutes=9)
        marks = [DueMark(f"account-{number}", ALERT_DUE, at) for number in range(count)]
        await self.container.due.mark(marks)


async def _requests() -> tuple[int, int]:
    """(requests of a tick that reads, of one that publishes), in a process with empty caches."""
    tables = CountingTables()
    app = _Process(tables)
    await app.open(DUE)
    later = app.clock.now() + timedelta(days=300)
    others = [DueMark(f"account-{number}", ALERT_DUE, later) for number in range(DUE, MANY)]
    await app.container.due.mark(others)
    ledgers = tables._tables["ledger"]
    for mark in others:  # never to be read, so one for all will do
        ledgers[mark.account] = ledgers["account-0"]
    await app.settle()
    await app.mark(DUE)
    reading = await _counted(tables, app.clock, DUE)
    app.clock.moment += timedelta(days=1, minutes=10)
    reporting = await _counted(tables, app.clock, DUE)
    return reading, reporting


async def _counted(tables: CountingTables, clock: ManualClock, due: int) -> int:
    fresh = _Process(tables)
    fresh.container.clock = clock
    tables.requests.clear()
    watched = await fresh.container.watch_balances()
    assert (watched.marks, watched.failures) == (due, ()), watched
    return sum(tables.requests.values())


async def _on_azurite(connection_string: str) -> tuple[float, float, float, float]:
    """(ms of a tick, ms of as many bare queries, accounts audited a second, and bare).

    All accounts have the rows of a ledger, those that are audited were made by the product.
    """
    tables = AzureTables(connection_string=connection_string, read_seconds=60)
    try:
        app = _Process(tables)
        await app.open(AUDITED)
        await app.settle()
        await _fill(tables)
        ticks, bare = [], []
        for _ in range(TICKS):
            await app.mark(DUE)
            ticks.append(await _ms(app.container.watch_balances()))
            bare.append(await _ms(_bare(tables)))
        audit = await _ms(app.container.audit_ledgers())
        reads = await _ms(_bare(tables, AUDITED, AUDIT_READS // 2))
        tick, queries = statistics.median(ticks), statistics.median(bare)
        return tick, queries, AUDITED * 1_000 / audit, AUDITED * 1_000 / reads
    finally:
        await tables.close()


async def _fill(tables: TableStore) -> None:
    """The rest of the accounts, by copies of one's rows, and a mark far ahead for each."""
    found = await tables.query("ledger", "account-0")
    copies = [Insert(row.key, row.values) for row in found]
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with slots:
            await tables.transact("ledger", f"account-{number}", copies)

    await asyncio.gather(*(one(number) for number in range(AUDITED, FEW)))
    later = START + timedelta(days=300)
    marks = [DueMark(f"account-{number}", ALERT_DUE, later) for number in range(AUDITED, FEW)]
    await TableDueMarks(tables).mark(marks)


async def _ms(work: Any) -> float:
    start = time.perf_counter()
    await work
    return (time.perf_counter() - start) * 1_000


async def _bare(tables: TableStore, accounts: int = DUE, times: int = 1) -> None:
    """A read and a query of each account, as many at once as the timer makes."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with slots:
            for _ in range(times):
                await tables.get("ledger", f"account-{number}", "state")
                await tables.query("ledger", f"account-{number}", first="event|", before="event}")

    await asyncio.gather(*(one(number) for number in range(accounts)))
