"""Transactions of 50 rows through our codec, beside the SDK's `submit_transaction`."""

import asyncio
import itertools
import statistics
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from shared.adapters.tables import AzureTables
from shared.ports import Insert
from tests.bench.records import record, wanted
from tests.support.azurite import start_azurite

CPU = "ledger.batch_codec_cpu"
ROWS = "ledger.batch_rows_per_second"
ROWS_PER_TRANSACTION = 50
CONCURRENT = 8
CPU_RATIO_MAX = 1 / 15
ROWS_RATIO_MIN = 4
ROUNDS = 5


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """CPU per transaction, and rows per second with eight at a time."""
    if not (wanted(CPU, only) or wanted(ROWS, only)):
        return
    with start_azurite() as azurite:
        ours, sdk = _measured(azurite.connection_string)
    if wanted(CPU, only):
        yield record(
            CPU,
            statistics.median(cpu_ms for cpu_ms, _ in ours),
            "ms CPU/tx",
            "SDK submit_transaction",
            statistics.median(cpu_ms for cpu_ms, _ in sdk),
            "ratio <= 1/15",
            lambda ratio: ratio <= CPU_RATIO_MAX,
        )
    if wanted(ROWS, only):
        yield record(
            ROWS,
            statistics.median(rows for _, rows in ours),
            "rows/s",
            "SDK submit_transaction",
            statistics.median(rows for _, rows in sdk),
            "ratio >= 4",
            lambda ratio: ratio >= ROWS_RATIO_MIN,
        )


def _measured(
    connection_string: str,
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(ms of CPU per transaction, rows per second) of each round; the two take turns."""
    ours, sdk = [], []
    for _ in range(ROUNDS):
        ours.append(asyncio.run(_round(connection_string, sdk_transactions=False, each=20)))
        sdk.append(asyncio.run(_round(connection_string, sdk_transactions=True, each=4)))
    return ours, sdk


async def _round(
    connection_string: str, *, sdk_transactions: bool, each: int
) -> tuple[float, float]:
    """Eight writers, each on a partition of its own, `each` transactions one after the other."""
    store = AzureTables(
        connection_string=connection_string, sdk_transactions=sdk_transactions, read_seconds=60
    )
    table = f"t{uuid.uuid4().hex}"
    numbers = itertools.count()
    batches = [[_rows(numbers) for _ in range(each)] for _ in range(CONCURRENT)]

    async def write(writer: int) -> None:
        for rows in batches[writer]:
            await store.transact(table, f"account-{writer}", rows)

    try:
        await asyncio.gather(
            *(store.transact(table, f"warm-{n}", _rows(numbers)) for n in range(CONCURRENT))
        )
        cpu_start, start = time.process_time(), time.perf_counter()
        await asyncio.gather(*(write(writer) for writer in range(CONCURRENT)))
        cpu_seconds, seconds = time.process_time() - cpu_start, time.perf_counter() - start
    finally:
        await store.close()
    transactions = each * CONCURRENT
    return cpu_seconds * 1_000 / transactions, transactions * ROWS_PER_TRANSACTION / seconds


def _rows(numbers: Iterator[int]) -> list[Insert]:
    """Rows in the shape of a charged leg."""
    return [
        Insert(
            f"leg|{number:064x}",
            {
                "schema": 1,
                "sequence": number,
                "digest": f"{number:064x}",
                "charge": bytes(220),
                "person": bytes(120),
                "at": datetime.now(UTC),
            },
        )
        for number in itertools.islice(numbers, ROWS_PER_TRANSACTION)
    ]
