"""Every fault of the way to Table storage: the right error, the right state, and no second try."""

import asyncio
import contextlib
import json
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common.errors import EtagMismatch, OutcomeUnknown, RowExists, StoreUnavailable
from shared.ports.tables import Insert, Replace, TableStore
from tests.support.azurite import ROOT, Azurite, connection_string, free_port
from tests.support.fault_proxy import (
    Clog,
    Cut,
    Delay,
    DropRequest,
    DropResponse,
    Fault,
    FaultProxy,
    Late,
    Rule,
    Status,
    Trickle,
)
from tests.support.sdk_tables import SdkTables

BATCH = "$batch"


@contextlib.asynccontextmanager
async def stores(
    azurite: Azurite, adapter: type[AzureTables] = AzureTables, *, seconds: float = 0.6
) -> AsyncIterator[tuple[FaultProxy, TableStore, TableStore]]:
    """A proxy, a store behind it with short time-outs, and a store that goes round it."""
    direct = AzureTables(connection_string=azurite.connection_string)
    async with FaultProxy(azurite.port) as proxy:
        faulty = adapter(
            connection_string=connection_string(proxy.port),
            connect_seconds=seconds,
            read_seconds=seconds,
        )
        try:
            yield proxy, faulty, direct
        finally:
            await faulty.close()
            await direct.close()


@pytest.fixture
def table() -> str:
    return f"t{uuid.uuid4().hex}"


@pytest.fixture(
    params=[AzureTables, pytest.param(SdkTables, marks=pytest.mark.extended)], ids=["codec", "sdk"]
)
def adapter(request: pytest.FixtureRequest) -> type[AzureTables]:
    return cast("type[AzureTables]", request.param)


@pytest.mark.parametrize(
    ("fault", "written"),
    [
        (DropRequest(), False),
        (DropResponse(), True),
        (Cut(0.0), True),
        (Cut(0.2), True),
        (Cut(0.5), True),
        (Cut(0.99), True),
        (Status(503), False),
        (Status(503, retry_after_seconds=1), False),
        (Status(503, after_commit=True), True),
        (Status(500), False),
        (Status(500, after_commit=True), True),
        (Status(429), False),
        (Delay(1.5), True),
        (Late(0.3), True),
        (Trickle(100), True),
        (Clog(), True),
    ],
    ids=str,
)
async def test_a_transaction_without_proof_has_an_unknown_outcome_and_is_sent_once(
    azurite: Azurite, table: str, adapter: type[AzureTables], fault: Fault, written: bool
) -> None:
    async with stores(azurite, adapter) as (proxy, faulty, direct):
        (etag,) = await faulty.transact(table, "p", [Insert("state", {"n": 1})])
        proxy.add(Rule(fault, path=BATCH))
        before = proxy.count("POST", BATCH)

        with pytest.raises(OutcomeUnknown):
            await faulty.transact(table, "p", [Replace("state", {"n": 2}, etag), Insert("k", {})])

        assert proxy.count("POST", BATCH) == before + 1
        await proxy.settled()
        await eventually_written(direct, table, written)
        assert proxy.count("POST", BATCH) == before + 1


async def eventually_written(store: TableStore, table: str, written: bool) -> None:
    """Both rows of the transaction are there, or none: at once, or when what is late has landed."""
    async with asyncio.timeout(10):
        while True:
            state, guard = await store.get(table, "p", "state"), await store.get(table, "p", "k")
            assert state is not None
            assert (state.values["n"] == 2) == (guard is not None)
            if (guard is not None) == written:
                return
            assert written
            await asyncio.sleep(0.02)


async def test_a_transaction_that_lands_late_is_refused_by_what_was_written_meanwhile(
    azurite: Azurite, table: str, adapter: type[AzureTables]
) -> None:
    async with stores(azurite, adapter) as (proxy, faulty, direct):
        (etag,) = await faulty.transact(table, "p", [Insert("state", {"n": 1})])
        proxy.add(Rule(Late(0.3), path=BATCH, nth=1))
        with pytest.raises(OutcomeUnknown):
            await faulty.transact(table, "p", [Replace("state", {"n": 2}, etag), Insert("1st", {})])

        await faulty.transact(table, "p", [Replace("state", {"n": 3}, etag), Insert("2nd", {})])
        await proxy.settled()

        rows = await direct.query(table, "p")
        assert [row.key for row in rows] == ["2nd", "state"]


async def test_a_retry_after_a_lost_answer_meets_the_own_first_write(
    azurite: Azurite, table: str, adapter: type[AzureTables]
) -> None:
    async with stores(azurite, adapter) as (proxy, faulty, _):
        (etag,) = await faulty.transact(table, "p", [Insert("state", {})])
        proxy.add(Rule(DropResponse(), path=BATCH, nth=1))
        with pytest.raises(OutcomeUnknown):
            await faulty.transact(table, "p", [Replace("state", {}, etag), Insert("k", {})])
        with pytest.raises(EtagMismatch):
            await faulty.transact(table, "p", [Replace("state", {}, etag), Insert("k", {})])
        with pytest.raises(RowExists):
            await faulty.transact(table, "p", [Insert("k", {})])


async def test_a_short_delay_changes_nothing(azurite: Azurite, table: str) -> None:
    async with stores(azurite, seconds=5) as (proxy, faulty, _):
        proxy.add(Rule(Delay(0.05)))
        (etag,) = await faulty.transact(table, "p", [Insert("k", {})])
        row = await faulty.get(table, "p", "k")
        assert row is not None
        assert row.etag == etag


@pytest.mark.parametrize("fault", [DropResponse(), Status(503), Cut(0.5)], ids=str)
async def test_a_table_that_can_not_be_made_proves_that_nothing_was_written(
    azurite: Azurite, table: str, adapter: type[AzureTables], fault: Fault
) -> None:
    async with stores(azurite, adapter) as (proxy, faulty, direct):
        proxy.add(Rule(fault, path="/Tables"))
        with pytest.raises(StoreUnavailable):
            await faulty.transact(table, "p", [Insert("k", {})])
        assert proxy.count("POST", BATCH) == 1
        assert await direct.query(table, "p") == []


# No connection


async def test_a_refused_connection_proves_that_nothing_was_written(
    table: str, adapter: type[AzureTables]
) -> None:
    store = adapter(connection_string=connection_string(free_port()))
    with pytest.raises(StoreUnavailable):
        await store.transact(table, "p", [Insert("k", {})])
    for read in [store.get(table, "p", "k"), store.query(table, "p"), store.scan(table, limit=1)]:
        with pytest.raises(StoreUnavailable):
            await read
    await store.close()


async def test_a_connection_that_is_never_made_ends_in_time(
    table: str, adapter: type[AzureTables]
) -> None:
    """A listener whose queue is full does not answer to SYN."""
    with contextlib.ExitStack() as held, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        store = adapter(
            connection_string=connection_string(listener.getsockname()[1]),
            connect_seconds=0.2,
            read_seconds=5,
        )
        async with asyncio.timeout(5):
            with pytest.raises(StoreUnavailable):
                await store.transact(table, "p", [Insert("k", {})])
        await store.close()


# Reads


@pytest.mark.parametrize(
    "fault", [DropRequest(), DropResponse(), Cut(0.5), Status(503), Status(500)], ids=str
)
async def test_a_read_survives_two_quick_faults_and_is_not_tried_for_ever(
    azurite: Azurite, table: str, fault: Fault
) -> None:
    """Three tries, each of which the HTTP client may repeat on a new connection."""
    async with stores(azurite, seconds=2) as (proxy, faulty, _):
        await faulty.transact(table, "p", [Insert("k", {"n": 1})])
        # Each rule hits the first request that the ones before it let through.
        for _ in range(2):
            proxy.add(Rule(fault, method="GET", nth=1))
        assert await faulty.get(table, "p", "k") is not None

        proxy.add(Rule(fault, method="GET"))
        before = proxy.count("GET")
        with pytest.raises(StoreUnavailable):
            await faulty.get(table, "p", "k")
        assert proxy.count("GET") - before <= 6


@pytest.mark.extended
@pytest.mark.parametrize("fault", [Status(503, retry_after_seconds=60), Clog(), Trickle(50)])
async def test_a_slow_read_ends_in_time(azurite: Azurite, table: str, fault: Fault) -> None:
    async with stores(azurite) as (proxy, faulty, _):
        await faulty.transact(table, "p", [Insert("k", {"text": "x" * 1000})])
        proxy.add(Rule(fault, method="GET"))
        async with asyncio.timeout(5):
            for read in [
                faulty.get(table, "p", "k"),
                faulty.query(table, "p"),
                faulty.scan(table, limit=1),
            ]:
                with pytest.raises(StoreUnavailable):
                    await read


async def test_a_page_that_fails_is_an_error_and_not_a_short_list(
    azurite: Azurite, table: str
) -> None:
    async with stores(azurite, seconds=5) as (proxy, faulty, direct):
        for hundred in range(11):
            await direct.transact(table, "p", [Insert(f"{hundred}|{n}", {}) for n in range(100)])
        proxy.add(Rule(Status(500), method="GET", path="NextRowKey"))
        with pytest.raises(StoreUnavailable):
            await faulty.query(table, "p")


# The proxy itself


async def test_decisions_are_logged_and_can_be_taken_again(
    azurite: Azurite, table: str, tmp_path: Path
) -> None:
    log = tmp_path / "decisions.jsonl"

    async def outcomes(proxy: FaultProxy) -> list[str]:
        store = AzureTables(
            connection_string=connection_string(proxy.port), connect_seconds=1, read_seconds=1
        )
        names = []
        for n in range(20):
            try:
                await store.transact(f"{table}x{id(proxy)}", "p", [Insert(f"{n}", {})])
                names.append("written")
            except OutcomeUnknown as error:
                names.append(type(error).__name__)
        await store.close()
        return names

    rules = [
        Rule(DropResponse(), path=BATCH, probability=0.3),
        Rule(Status(500, after_commit=True), path=BATCH, probability=0.3),
    ]
    async with FaultProxy(azurite.port, rules, seed=7, log=log) as proxy:
        first = await outcomes(proxy)
    async with FaultProxy(azurite.port, replay=log) as proxy:
        again = await outcomes(proxy)

    assert first == again
    assert {"written", "OutcomeUnknown"} == set(first)
    kinds = {json.loads(line)["fault"]["kind"] for line in log.read_text().splitlines()}
    assert kinds == {"Pass", "DropResponse", "Status"}


async def test_the_proxy_runs_as_a_process_of_its_own(azurite: Azurite, table: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.fault_proxy", str(azurite.port)),
        *("--fault", "drop_response", "--path", BATCH),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        store = AzureTables(connection_string=connection_string(port))
        with pytest.raises(OutcomeUnknown):
            await store.transact(table, "p", [Insert("k", {})])
        await store.close()
    finally:
        process.stdin.close()
        assert await process.wait() == 0
