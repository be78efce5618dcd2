"""Where rows go: an account's ledger and hold book to its shard, everything else to the first."""

import pytest

from shared.adapters.tables.sharded_tables import SHARDED, ShardedTables
from shared.domain.common.errors import Invalid, StoreUnavailable
from shared.domain.directory.entities import shard_for
from shared.ports.tables import Insert
from tests.support.memory_tables import MemoryTables

PLACES = {"a": "0", "b": "1", "c": "2", "lost": "7", "odd": "x"}


class Stores:
    """Three stores, and what was requested about accounts."""

    def __init__(self) -> None:
        self.stores = [MemoryTables(), MemoryTables(), MemoryTables()]
        self.read_accounts: list[str] = []
        self.tables = ShardedTables(self.stores, self.shard_of)

    async def shard_of(self, account: str) -> str | None:
        self.read_accounts.append(account)
        return PLACES.get(account)


@pytest.mark.parametrize("table", sorted(SHARDED))
async def test_an_accounts_rows_are_in_its_shard_alone(table: str) -> None:
    app = Stores()
    for account in "abc":
        await app.tables.transact(table, account, [Insert("state", {"n": 1})])

    for index, account in enumerate("abc"):
        found = [await store.get(table, account, "state") for store in app.stores]
        assert [row is not None for row in found] == [place == index for place in range(3)]
        assert await app.tables.get(table, account, "state") is not None
        assert len(await app.tables.query(table, account)) == 1


async def test_other_tables_are_in_the_first_account_without_a_read() -> None:
    app = Stores()
    await app.tables.transact("directory", "account", [Insert("b", {})])

    assert await app.stores[0].get("directory", "account", "b") is not None
    assert app.read_accounts == []


async def test_an_account_is_read_once() -> None:
    app = Stores()
    for _ in range(5):
        await app.tables.get("ledger", "b", "state")
        await app.tables.query("holds", "b")

    assert app.read_accounts == ["b"]


async def test_an_account_that_is_not_there_yet_is_read_again() -> None:
    """It may be made at the next moment, in any shard."""
    app = Stores()
    assert await app.tables.get("ledger", "new", "state") is None
    assert await app.tables.get("ledger", "new", "state") is None

    assert app.read_accounts == ["new", "new"]


@pytest.mark.parametrize("account", ["lost", "odd"])
async def test_a_shard_that_is_not_set_is_no_other_shard(account: str) -> None:
    """Better no answer than a second ledger."""
    with pytest.raises(StoreUnavailable):
        await Stores().tables.get("ledger", account, "state")


async def test_a_scan_goes_through_all_shards_page_by_page() -> None:
    app = Stores()
    for account in "abc":
        rows = [Insert(f"k{number}", {}) for number in range(3)]
        await app.tables.transact("ledger", account, rows)
    found, cursor = [], None
    for _ in range(20):
        page = await app.tables.scan("ledger", limit=2, cursor=cursor)
        found += [(row.partition, row.key) for row in page.rows]
        cursor = page.cursor
        if cursor is None:
            break

    assert found == [(account, f"k{number}") for account in "abc" for number in range(3)]
    with pytest.raises(Invalid):
        await app.tables.scan("ledger", limit=2, cursor="9.x")


def test_accounts_are_spread_evenly_and_always_alike() -> None:
    """The directory keeps the answer: later shards take new accounts only."""
    places = [shard_for(f"account-{number}", 3) for number in range(3_000)]

    assert all(900 < places.count(place) < 1_100 for place in "012")
    assert shard_for("contoso", 1) == "0"
    assert shard_for("contoso", 3) == shard_for("contoso", 3)
