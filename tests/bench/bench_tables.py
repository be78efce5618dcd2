"""Transactions of 50 rows through our codec, beside the SDK's `submit_transaction`."""

import asyncio
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from azure.data.tables import TableTransactionError
from azure.data.tables.aio import TableServiceClient

from shared.adapters.tables.azure_tables import AzureTables
from shared.ports.tables import Insert
from tests.bench.records import record, wanted
from tests.support.azurite import start_azurite

CPU = "ledger.batch_codec_cpu"
ROWS = "ledger.batch_rows_per_second"
ROWS_PER_TRANSACTION = 50
CONCURRENT = 8
CPU_RATIO_MAX = 1 / 15
ROWS_RATIO_MIN = 4
TRANSACTIONS_EACH = 10  # the emulator gets slower as a table grows, so both write equally many
ROUNDS = 8


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """CPU per transaction, the least of the rounds, since what else the machine does only adds to
    it; and rows per second with eight at a time."""
    if not (wanted(CPU, only) or wanted(ROWS, only)):
        return
    with start_azurite() as azurite:
        ours, sdk = _measured(azurite.connection_string)
    if wanted(CPU, only):
        yield record(
            CPU,
            min(cpu_ms for cpu_ms, _ in ours),
            "ms CPU/tx",
            "SDK submit_transaction",
            min(cpu_ms for cpu_ms, _ in sdk),
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


type Submit = Callable[[str, str], Awaitable[object]]
"""Sends the rows to (table, partition)."""


def _measured(
    connection_string: str,
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(ms of CPU per transaction, rows per second) of each round; the two take turns."""
    ours, sdk = [], []
    for _ in range(ROUNDS):
        ours.append(asyncio.run(_ours(connection_string)))
        sdk.append(asyncio.run(_sdk(connection_string)))
    return ours, sdk


async def _ours(connection_string: str) -> tuple[float, float]:
    store = AzureTables(connection_string=connection_string, read_seconds=60)
    rows = [Insert(key, values) for key, values in _rows()]
    try:
        return await _round(
            lambda table, name: store.transact(table, name, rows), each=TRANSACTIONS_EACH
        )
    finally:
        await store.close()


async def _sdk(connection_string: str) -> tuple[float, float]:
    rows = [
        {
            "RowKey": key,
            **values,
            "schema": (values["schema"], "Edm.Int64"),
            "sequence": (values["sequence"], "Edm.Int64"),
        }
        for key, values in _rows()
    ]
    async with TableServiceClient.from_connection_string(connection_string) as service:

        async def submit(table: str, partition: str) -> object:
            operations = [("create", {"PartitionKey": partition, **row}) for row in rows]
            client = service.get_table_client(table)
            try:
                return await client.submit_transaction(operations, retry_total=0)
            except TableTransactionError:
                await service.create_table_if_not_exists(table)
                return await client.submit_transaction(operations, retry_total=0)

        return await _round(submit, each=TRANSACTIONS_EACH)


async def _round(submit: Submit, *, each: int) -> tuple[float, float]:
    """Eight writers, each transaction in a partition of its own, `each` of them one by one."""
    table = f"t{uuid.uuid4().hex}"

    async def write(writer: int, count: int) -> None:
        for number in range(count):
            await submit(table, f"account-{writer}-{count}-{number}")

    await asyncio.gather(*(write(writer, 1) for writer in range(CONCURRENT)))
    cpu_start, start = time.process_time(), time.perf_counter()
    await asyncio.gather(*(write(writer, each) for writer in range(CONCURRENT)))
    cpu_seconds, seconds = time.process_time() - cpu_start, time.perf_counter() - start
    transactions = each * CONCURRENT
    return cpu_seconds * 1_000 / transactions, transactions * ROWS_PER_TRANSACTION / seconds


def _rows() -> list[tuple[str, dict[str, Any]]]:
    """Keys and values in the shape of charged legs."""
    now = datetime.now(UTC)
    return [
        (
            f"leg|{number:064x}",
            {
                "schema": 1,
                "sequence": number,
                "digest": f"{number:064x}",
                "charge": bytes(220),
                "person": bytes(120),
                "at": now,
            },
        )
        for number in range(ROWS_PER_TRANSACTION)
    ]
