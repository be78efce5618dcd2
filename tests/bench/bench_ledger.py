"""Debits through the whole committer, beside bare transactions of the same rows."""

import asyncio
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters.clock import RandomIds, SystemClock
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.ledger.store import TableLedger
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common.canonical import content_digest
from shared.domain.common.limits import FULL_SPEED_LEGS_MAX
from shared.domain.ledger.decide import decide
from shared.domain.ledger.model import Configure, DebitLeg, HoldEffect, LedgerState, TopUp
from shared.pacing import BulkPace
from shared.ports.tables import Insert, Operation, Replace
from tests.bench.cost import count
from tests.bench.records import record, wanted
from tests.support.azurite import start_azurite
from tests.support.memory_tables import MemoryTables

ONE = "ledger.debits_per_second"
HUNDRED = "ledger.debits_per_second_100_accounts"
ROWS_PER_LEG = "ledger.rows_per_leg"
ROWS_PER_AUTHORIZED_LEG = "ledger.rows_per_leg_authorized"
REQUESTS_PER_LEG = "ledger.requests_per_leg"
BYTES_PER_LEG = "ledger.bytes_per_leg"
FULL_RATE, LONE_RATE = 40.0, 0.05  # legs/s of one account: batches of 40, and a leg at a time
DECIDE = "ledger.decide"
LEGS = 20 * FULL_SPEED_LEGS_MAX
ROUNDS = 5
IN_FLIGHT = 4 * FULL_SPEED_LEGS_MAX  # of one account: a group is on its way, others wait
CHAIN_KEY = b"k" * 32


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Figures of the ledger."""
    if wanted(ONE, only) or wanted(HUNDRED, only):
        with start_azurite() as azurite:
            for name, accounts in ((ONE, 1), (HUNDRED, 100)):
                if wanted(name, only):
                    yield _debits(name, accounts, azurite.connection_string)
    if wanted(ROWS_PER_LEG, only):
        yield _rows_per_leg(ROWS_PER_LEG, leg, rows=1, goal=1.05)
    if wanted(ROWS_PER_AUTHORIZED_LEG, only):
        yield _rows_per_leg(ROWS_PER_AUTHORIZED_LEG, authorized_leg, rows=2, goal=1.05)
    if wanted(REQUESTS_PER_LEG, only) or wanted(BYTES_PER_LEG, only):
        yield from (each for each in _per_leg() if wanted(each["name"], only))
    if wanted(DECIDE, only):
        yield _decide()


class _Kept:
    """Tables that keep what was written, in front of those that write it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.written: list[tuple[str, str, Sequence[Operation]]] = []

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        self.written.append((table, partition, operations))
        return await super().transact(table, partition, operations)  # type: ignore[misc]


class _KeptInMemory(_Kept, MemoryTables): ...


class _KeptInAzurite(_Kept, AzureTables): ...


def _debits(name: str, accounts: int, connection_string: str) -> dict[str, Any]:
    rounds = [asyncio.run(_debit_round(accounts, connection_string)) for _ in range(ROUNDS)]
    return record(
        name,
        statistics.median(ours for ours, _ in rounds),
        "legs/s",
        "the same rows, bare",
        statistics.median(bare for _, bare in rounds),
        "ratio >= 0.8",
        lambda ratio: ratio >= 0.8,
    )


async def _debit_round(accounts: int, connection_string: str) -> tuple[float, float]:
    """(legs a second through the committer, legs a second of the same rows written bare)."""
    store = _KeptInAzurite(connection_string=connection_string, read_seconds=60)
    prefix = uuid.uuid4().hex
    names = [f"{prefix}-{number}" for number in range(accounts)]
    try:
        ours = await _through_committer(store, names)
        bare = await _bare(store, [*store.written], uuid.uuid4().hex)
    finally:
        await store.close()
    return ours, bare


async def _through_committer(
    store: _KeptInAzurite | _KeptInMemory,
    names: Sequence[str],
    make: Callable[[int], DebitLeg] | None = None,
) -> float:
    """Legs a second, with as many on the way as a busy process has; a caller with its result brings
    the next leg."""
    clock, ids = SystemClock(), RandomIds()
    # No bridge requests calls: groups have their full size.
    pace = BulkPace(clock, full_until=clock.now() + timedelta(hours=1))
    ledger = TableLedger(store, TableDueMarks(store), clock, ids, CHAIN_KEY, pace=pace)
    for name in names:
        await ledger.submit(name, Configure(1, "USD", 0))
        await ledger.submit(name, TopUp("credits", "digest", 10**12))
    store.written.clear()
    legs = iter([(names[number % len(names)], (make or leg)(number)) for number in range(LEGS)])

    async def bring() -> None:
        for name, each in legs:
            await ledger.submit(name, each)

    start = time.perf_counter()
    await asyncio.gather(*(bring() for _ in range(min(LEGS, IN_FLIGHT * len(names)))))
    return LEGS / (time.perf_counter() - start)


async def _bare(
    store: AzureTables, written: Sequence[tuple[str, str, Sequence[Operation]]], prefix: str
) -> float:
    """Write the same rows with the state row's ETag, as the committer does, and nothing else."""
    by_partition: dict[str, list[Sequence[Operation]]] = {}
    for table, partition, operations in written:
        if table == "ledger":
            by_partition.setdefault(f"{prefix}-{partition}", []).append(operations)
    etags: dict[str, str] = {}
    for partition, transactions in by_partition.items():
        first = transactions[0][0]
        (etags[partition],) = await store.transact(
            "ledger", partition, [Insert(first.key, getattr(first, "values", {}))]
        )

    async def write(partition: str, transactions: Sequence[Sequence[Operation]]) -> None:
        etag = etags[partition]
        for first, *rest in transactions:
            state = Replace(first.key, getattr(first, "values", {}), etag)
            etag, *_ = await store.transact("ledger", partition, [state, *rest])

    start = time.perf_counter()
    await asyncio.gather(*(write(*each) for each in by_partition.items()))
    return LEGS / (time.perf_counter() - start)


def _rows_per_leg(
    name: str, bring: Callable[[int], DebitLeg], rows: int, goal: float
) -> dict[str, Any]:
    """Guard and journal rows a leg in full batches, claims left out. A leg of an authorized call
    has two guards (docs/adr/0032-one-leg-settles-an-authorization.md)."""

    async def count() -> float:
        recorded = _KeptInMemory()
        await _through_committer(recorded, ["contoso"], bring)
        keys = [
            operation.key
            for table, _, operations in recorded.written
            if table == "ledger"
            for operation in operations
        ]
        return sum(key.startswith(("authorization|", "leg|", "journal|")) for key in keys) / LEGS

    return record(
        name,
        asyncio.run(count()),
        "rows/leg",
        f"guards a leg: {rows}",
        rows,
        f"ratio <= {goal}",
        lambda ratio: ratio <= goal,
    )


def _per_leg() -> Iterator[dict[str, Any]]:
    """Table requests and bytes kept on a leg's whole way, its claim and its share of the questions
    included; counted as `make cost` counts."""
    full, lone = asyncio.run(count(FULL_RATE)), asyncio.run(count(LONE_RATE))
    for name, unit, ours, theirs in (
        (REQUESTS_PER_LEG, "requests/leg", full.requests, lone.requests),
        (BYTES_PER_LEG, "bytes/leg", full.bytes_kept, lone.bytes_kept),
    ):
        yield record(name, ours, unit, "a leg at a time", theirs, "stated", lambda _: True)


def _decide() -> dict[str, Any]:
    """The pure decision alone, compared with a dictionary lookup of a leg."""
    now = datetime.now(UTC)
    opened = decide(None, Configure(1, "USD", 0), now)
    state: LedgerState = decide(opened.state, TopUp("k", "d", 10**12), now).state  # type: ignore[union-attr]
    legs = [leg(number) for number in range(20_000)]
    start = time.perf_counter()
    for each in legs:
        state = decide(state, each, now).state  # type: ignore[union-attr]
    micros = (time.perf_counter() - start) / len(legs) * 1e6
    start = time.perf_counter()
    for each in legs:
        content_digest(each.charge)
    baseline = (time.perf_counter() - start) / len(legs) * 1e6
    return record(
        DECIDE,
        micros,
        "us/leg",
        "SHA-256 of its charge",
        baseline,
        "ratio <= 4",
        lambda ratio: ratio <= 4,
    )


def leg(number: int) -> DebitLeg:
    """A rated leg as the pipeline makes it."""
    charge: dict[str, object] = {
        "account": "contoso",
        "bridge": "local",
        "kind": "dial_out",
        "conference": f"{3000 + number % 50}",
        "started_at": "2026-11-23T10:00:00Z",
        "answered_at": "2026-11-23T10:00:07Z",
        "ended_at": "2026-11-23T10:03:10Z",
        "talk_seconds": 183,
        "currency": "USD",
        "authorization": None,
        "hangup_cause": "NORMAL_CLEARING",
        "status": "charged",
        "billed_seconds": 240,
        "amount": "0.098",
        "rate": {
            "card": "default",
            "version": "2026-01-01T00:00:00Z",
            "prefix": "44",
            "destination": "United Kingdom",
        },
        "lines": [
            {"kind": "connection_fee", "amount": "0.05"},
            {
                "kind": "usage",
                "amount": "0.048",
                "from_second": 0,
                "seconds": 240,
                "increments": 4,
                "price": "0.012",
                "unit_seconds": 60,
            },
        ],
        "rounding": {"mode": "half_up", "decimals": 4, "unrounded": "0.098"},
        "flags": [],
    }
    person = {
        "from": "+33170000000",
        "to": f"+4420794{number:05d}",
        "organizer": "ken@contoso.com",
        "salt": f"{number:022d}",
    }
    return DebitLeg(
        leg=f"local~{uuid.uuid4().hex}",
        digest=f"{number:064x}",
        amount_micros=98_000,
        answered_at=datetime.now(UTC),
        authorization=None,
        charge=charge,
        person=person,
        charge_digest=content_digest(charge),
        person_digest=content_digest(person),
    )


def authorized_leg(number: int) -> DebitLeg:
    """A rated leg that settles the authorization of its call."""
    return replace(
        leg(number), authorization=f"au_contoso.{uuid.uuid4().hex}", hold=HoldEffect.SETTLES
    )
