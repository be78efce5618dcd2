"""Dial-outs of one account while another account makes heavy reports, over HTTP.

The accounts' ledgers are in two storage services, as two partitions are in Azure: the emulator
answers one request at a time, and scans a whole table for a page of rows.
"""

import asyncio
import itertools
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from local.stack import Stack
from shared.adapters.clock import RandomIds, SystemClock
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.ledger.store import TableLedger
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common.canonical import content_digest, format_time
from shared.domain.ledger.model import DebitLeg
from tests.bench.records import record, wanted
from tests.support.azurite import start_azurite
from tests.support.client import Admin, Http, SigningBridge, unique

DIAL_OUT = "fairness.dial_out_p99"
BESIDE_REPORTS = "dial_out.p99_beside_reports"
LEGS = 20_000
IN_FLIGHT = 400
REPORTS = 3
CALLERS = 2
REQUESTS = 150  # with those that warm up fewer than an account may have open
WARM_UP = 50
ROUNDS = 3
CALLING, REPORTING = "bench-3", "bench-0"  # in the first and in the second service
WHAT_IF = {"policy": {"default_policy": "DialoutCPCDomesticPSTNInternational"}}
WHAT_IFS = (("POST", "dial-out-policy/what-if", WHAT_IF),)
USAGE = (
    ("GET", "usage?group_by=organizer,destination,day", None),
    ("GET", "legs?format=csv", None),
    ("GET", "legs?order=amount&limit=100", None),
    ("GET", "reports/pstn-usage", None),
)


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Figures of fairness."""
    if wanted(DIAL_OUT, only):
        yield _measure(DIAL_OUT, WHAT_IFS)
    if wanted(BESIDE_REPORTS, only):
        yield _measure(BESIDE_REPORTS, USAGE)


def _measure(name: str, requests: Sequence[tuple[str, str, object]]) -> dict[str, Any]:
    """Quiet rounds and rounds with three reports at a time take turns, on one stack."""
    with (
        tempfile.TemporaryDirectory() as folder,
        start_azurite() as other,
        Stack(Path(folder) / "data", settings={"LEDGER_SHARDS": other.connection_string}) as stack,
    ):
        http = Http(stack.base_url)
        admin = Admin(http, stack.admin_key)
        bridge = SigningBridge(http, "local", stack.bridge_secret)
        _accounts(admin)
        asyncio.run(_charged_legs(other.connection_string))
        question = {"to": "+442079460123", "account": CALLING, "organizer_id": "ken"}

        def dial_out(_: int) -> float:
            start = time.perf_counter()
            answer = bridge.authorise(question)
            assert answer.json()["decision"] == "allow", answer
            return (time.perf_counter() - start) * 1_000

        quiet: list[float] = []
        loaded: list[float] = []
        statuses: Counter[int] = Counter()
        _times(dial_out, WARM_UP)
        for _ in range(ROUNDS):
            quiet += _times(dial_out)
            with _Reports(admin, requests) as reports:
                loaded += _times(dial_out)
            statuses += reports.statuses
    assert set(statuses) <= {200, 429}, statuses
    assert statuses[200], statuses
    return record(
        name,
        _p99(loaded),
        "ms p99",
        f"quiet; reports answered {dict(statuses)}",
        _p99(quiet),
        "ratio <= 2",
        lambda ratio: ratio <= 2,
    )


class _Reports:
    """So many reports at once, again and again, over all legs of an account."""

    def __init__(self, admin: Admin, requests: Sequence[tuple[str, str, object]]) -> None:
        self._requests = itertools.cycle(requests)
        self.statuses: Counter[int] = Counter()
        self._admin = admin
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(REPORTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        time.sleep(0.3)  # the reports are at work
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            method, path, body = next(self._requests)
            answer = self._admin.request(method, f"accounts/{REPORTING}/{path}", body)
            self.statuses[answer.status] += 1


def _accounts(admin: Admin) -> None:
    slot = {"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}
    rate = {"kind": "dial_out", "prefix": "44", "destination": "United Kingdom", "slots": [slot]}
    card = {"currency": "USD", "time_zone": "UTC", "rates": [rate]}
    card["rounding"] = {"mode": "half_up", "decimals": 4}
    admin.put("rate-cards/bench/versions/2020-01-01T00:00:00Z", card)
    for account in (CALLING, REPORTING):
        admin.put(f"accounts/{account}", {"currency": "USD", "rate_card": "bench"})
        admin.put(f"accounts/{account}/organizers/ken", {})
        velocity = {"concurrent": None, "per_hour": None}
        admin.put(f"accounts/{account}/dial-out-policy", {"velocity": velocity})
        money = {"amount": "100000"}
        path = f"accounts/{account}/top-ups"
        answer = admin.request("POST", path, money, idempotency_key=unique("key"))
        assert answer.status == 201, answer


async def _charged_legs(connection_string: str) -> None:
    """Booked by a ledger of our own: the rows are those that the product writes."""
    tables = AzureTables(connection_string=connection_string)
    clock = SystemClock()
    ledger = TableLedger(tables, TableDueMarks(tables), clock, RandomIds(), b"k" * 32)
    begins = datetime.now(UTC) - timedelta(days=1)
    try:
        for first in range(0, LEGS, IN_FLIGHT):
            legs = (_debit(begins, number) for number in range(first, first + IN_FLIGHT))
            await asyncio.gather(*(ledger.submit(REPORTING, leg) for leg in legs))
    finally:
        await tables.close()


def _debit(begins: datetime, number: int) -> DebitLeg:
    at = begins + timedelta(seconds=2 * number)
    to = f"+4420794{number % 100_000:05d}"
    charge = {
        "kind": "dial_out",
        "conference": f"room-{number % 50}",
        "started_at": format_time(at),
        "answered_at": format_time(at),
        "ended_at": format_time(at + timedelta(minutes=1)),
        "talk_seconds": 60,
        "billed_seconds": 60,
        "amount": "0.012",
        "currency": "USD",
        "rate": {
            "card": "bench",
            "version": "2020-01-01T00:00:00Z",
            "prefix": "44",
            "destination": "United Kingdom",
        },
        "lines": [
            {
                "kind": "usage",
                "from_second": 0,
                "seconds": 60,
                "increments": 1,
                "price": "0.012",
                "unit_seconds": 60,
                "amount": "0.012",
            }
        ],
        "flags": [],
    }
    person = {"to": to, "organizer": "ken"}
    digest = content_digest(charge)
    return DebitLeg(f"local~leg-{number}", digest, 12_000, at, None, charge, person)


def _times(call: Callable[[int], float], count: int = REQUESTS) -> list[float]:
    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(call, range(count)))


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]
