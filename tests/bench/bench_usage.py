"""Reports of an account with 100,000 legs in a month, its days closed: reads, seconds and memory;
its legs reconciled with a file of as many rows."""

import asyncio
import csv
import gc
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from shared.adapters.clock import RandomIds
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.ledger.store import TableLedger
from shared.adapters.legs.parking_store import TableParkingLot
from shared.contracts.usage.legs import LEG_COLUMNS, leg_row
from shared.domain.common.canonical import content_digest, format_time
from shared.domain.common.money import format_amount
from shared.domain.directory.entities import AccountSettings
from shared.domain.ledger.model import Configure, DebitLeg, TopUp
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.leg_list import LegFilter
from shared.domain.usage.leg_selection import LegOrder
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.usage.list_legs import LegQuery, ListLegs
from shared.usecases.usage.read_usage import ReadUsage
from tests.bench.reconcile_process import peak_mb, reset_peak_mb
from tests.bench.records import record, wanted
from tests.support.memory_tables import MemoryTables
from tests.support.product import ManualClock

READS, SECONDS = "usage.month_100k_reads", "usage.month_100k"
FIRST_PAGE, CSV = "legs.first_page_100k", "legs.csv_100k"
CSV_MB = "legs.csv_100k_mb"
NAMES = (READS, SECONDS, FIRST_PAGE, CSV, CSV_MB)
RECONCILE, RECONCILE_MB = "reconcile.100k", "reconcile.100k_mb"
ACCOUNT = "contoso"
LEGS, DAYS, AT_ONCE = 100_000, 30, 388
START = datetime(2026, 11, 1, 0, 10, tzinfo=UTC)
GROUPS = ("organizer", "destination", "day")


class _Counted(MemoryTables):
    """Tables that count requests."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def get(self, table: str, partition: str, key: str) -> Any:
        self.reads += 1
        return await super().get(table, partition, key)

    async def query(self, *args: Any, **words: Any) -> Any:
        self.reads += 1
        return await super().query(*args, **words)


@dataclass
class _Month:
    """A ledger with a month of legs, and the reports of it."""

    tables: _Counted = field(default_factory=_Counted)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.clock.moment = START
        due = TableDueMarks(self.tables)
        self.ledger = TableLedger(self.tables, due, self.clock, RandomIds(), b"k" * 32)
        account = SimpleNamespace(id=ACCOUNT, settings=AccountSettings("USD"))

        async def require_account(_: str) -> Any:
            return account

        facts = cast("DirectoryCache", SimpleNamespace(require_account=require_account))
        self.usage = ReadUsage(facts, self.ledger, self.clock)
        parking = TableParkingLot(self.tables)
        self.legs = ListLegs(facts, self.ledger, parking, self.clock)


async def fill(ledger: TableLedger, clock: ManualClock, start: datetime, legs: int = LEGS) -> None:
    """Legs of a month that begins ten minutes before `start`, in segments and closed days; at its
    end the clock is two hours into the next month."""
    days = ((start + timedelta(days=31)).replace(day=1) - start).days
    await ledger.submit(ACCOUNT, Configure(1, "USD", 0))
    await ledger.submit(ACCOUNT, TopUp("credits", "digest", 10**15))
    of_day = legs // days + 1
    for day in range(days):
        for first in range(day * of_day, min(legs, (day + 1) * of_day), AT_ONCE):
            last = min(first + AT_ONCE, (day + 1) * of_day, legs)
            now = clock.now()
            debits = (month_leg(number, now) for number in range(first, last))
            await asyncio.gather(*(ledger.submit(ACCOUNT, each) for each in debits))
            clock.advance(600)
        clock.moment = start + timedelta(days=day + 1)
    clock.moment = start + timedelta(days=days, hours=2)
    await ledger.pack_until(ACCOUNT, start + timedelta(days=days, minutes=-10))
    await ledger.close_usage_days(ACCOUNT, "UTC", clock.now())


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Figures of reports."""
    if any(wanted(name, only) for name in NAMES):
        found = asyncio.run(_measured())
        yield from (each for each in found if wanted(each["name"], only))
    if wanted(RECONCILE, only) or wanted(RECONCILE_MB, only):
        yield from _reconciled()


def _reconciled() -> Iterator[dict[str, Any]]:
    """In a process of its own, whose peak of memory is its own."""
    command = [sys.executable, "-m", "tests.bench.reconcile_process"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    yield _record(RECONCILE, found["seconds"], "s", 20)
    yield _record(RECONCILE_MB, found["mb"], "MB peak", 500)


async def _measured() -> list[dict[str, Any]]:
    month = _Month()
    await fill(month.ledger, month.clock, START)
    gc.collect()
    gc.freeze()  # rows of a table are in another process, out of the collector's reach
    bounds = (START.replace(minute=0), START.replace(minute=0) + timedelta(days=DAYS))
    month.tables.reads = 0
    started = time.perf_counter()
    usage = await month.usage(ACCOUNT, *bounds, UsageTime.BOOKED, GROUPS)
    seconds = time.perf_counter() - started
    assert usage.totals.total.legs == LEGS
    found = [
        _record(READS, month.tables.reads, "requests", 40),
        _record(SECONDS, seconds, "s", 2),
    ]
    query = LegQuery(bounds, UsageTime.BOOKED, LegFilter(), LegOrder.NEWEST)
    started = time.perf_counter()
    page = await month.legs.page(ACCOUNT, query, 100, None)
    found.append(_record(FIRST_PAGE, time.perf_counter() - started, "s", 1))
    assert len(page.legs) == 100
    before_mb = reset_peak_mb()
    started = time.perf_counter()
    every = await month.legs.every(ACCOUNT, query)
    writer = csv.writer(io.StringIO())
    for leg in every.legs:
        row = leg_row(leg, every.time_zone)
        writer.writerow([row.get(name) for name in LEG_COLUMNS])
    found.append(_record(CSV, time.perf_counter() - started, "s", 10))
    found.append(_record(CSV_MB, peak_mb() - before_mb, "MB more", 300))
    assert len(every.legs) == LEGS
    return found


def _record(name: str, value: float, unit: str, most: float) -> dict[str, Any]:
    met: Callable[[float], bool] = lambda ratio: ratio <= 1  # noqa: E731
    return record(name, value, unit, "the most that is allowed", most, "ratio <= 1", met)


def month_leg(number: int, now: datetime) -> DebitLeg:
    """The leg with this number of a month, which ended now."""
    seconds = 30 + number % 900
    micros = 2_000 + number * 7_919 % 100_003
    amount = format_amount(micros)
    answered_at = now - timedelta(seconds=seconds)
    charge: dict[str, object] = {
        "account": ACCOUNT,
        "bridge": "studio",
        "kind": "dial_out" if number % 3 else "dial_in",
        "conference": f"room-{number // 5}",
        "started_at": format_time(answered_at - timedelta(seconds=7)),
        "answered_at": format_time(answered_at),
        "ended_at": format_time(now),
        "talk_seconds": seconds,
        "currency": "USD",
        "cost_center": f"cc-{number % 40}",
        "region": "GB" if number % 2 else "FR",
        "number_class": "fixed_line",
        "status": "charged",
        "billed_seconds": seconds,
        "amount": amount,
        "rate": {
            "card": "default",
            "version": "2026-01-01T00:00:00Z",
            "prefix": "44" if number % 2 else "33",
            "destination": "United Kingdom" if number % 2 else "France",
        },
        "lines": [
            {
                "kind": "usage",
                "seconds": seconds,
                "price": amount,
                "unit_seconds": seconds,
                "amount": amount,
            }
        ],
        "flags": [],
    }
    person = {
        "from": "+33170180042",
        "to": f"+44794{number % 10**7:07}",
        "organizer": f"user-{number % 500}@contoso.example",
        "salt": f"{number:032x}",
    }
    return DebitLeg(
        leg=f"studio~{number}",
        digest=f"{number:064x}",
        amount_micros=micros,
        answered_at=answered_at,
        authorization=None,
        charge=charge,
        person=person,
        charge_digest=content_digest(charge),
        person_digest=content_digest(person),
    )
