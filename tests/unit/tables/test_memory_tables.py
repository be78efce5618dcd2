"""What the memory twin has beyond the contract: faults on command."""

import pytest

from shared.domain.common.errors import OutcomeUnknown, StoreUnavailable
from shared.ports.tables import Insert
from tests.support.memory_tables import MemoryTables


async def test_a_fault_before_a_call_leaves_nothing_written() -> None:
    store = MemoryTables()
    store.inject(1, StoreUnavailable("busy"))
    with pytest.raises(StoreUnavailable):
        await store.transact("ledger", "p", [Insert("k", {})])
    assert await store.query("ledger", "p") == []


async def test_a_fault_after_a_call_loses_only_the_answer() -> None:
    store = MemoryTables()
    store.inject(1, OutcomeUnknown("no answer"), after=True)
    with pytest.raises(OutcomeUnknown):
        await store.transact("ledger", "p", [Insert("k", {})])
    assert [row.key for row in await store.query("ledger", "p")] == ["k"]


async def test_a_fault_meets_the_call_that_it_is_meant_for_and_no_other() -> None:
    store = MemoryTables()
    store.inject(2, OutcomeUnknown("no answer"), after=True)
    store.inject(3, StoreUnavailable("busy"))
    store.inject(1, StoreUnavailable("busy"), kind="get")
    await store.transact("ledger", "p", [Insert("1", {})])
    with pytest.raises(OutcomeUnknown):
        await store.transact("ledger", "p", [Insert("2", {})])
    with pytest.raises(StoreUnavailable):
        await store.transact("ledger", "p", [Insert("3", {})])
    await store.transact("ledger", "p", [Insert("4", {})])
    assert [row.key for row in await store.query("ledger", "p")] == ["1", "2", "4"]
    with pytest.raises(StoreUnavailable):
        await store.get("ledger", "p", "1")
    assert await store.get("ledger", "p", "1") is not None


async def test_reads_can_fail_too() -> None:
    store = MemoryTables()
    store.inject(1, StoreUnavailable("busy"), kind="query")
    store.inject(1, StoreUnavailable("busy"), kind="scan", after=True)
    with pytest.raises(StoreUnavailable):
        await store.query("ledger", "p")
    with pytest.raises(StoreUnavailable):
        await store.scan("ledger", limit=1)


def test_calls_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        MemoryTables().inject(0, StoreUnavailable("busy"))
