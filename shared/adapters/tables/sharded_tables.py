"""Ledgers and hold books spread over several storage accounts; everything else in the first one.

An account gets its shard at creation, permanently; the directory stores it. So the place of an
account's rows is read once in a process, from cached facts: a use of a ledger has read the
account's settings before.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Unpack

from shared.domain.common import limits
from shared.domain.common.errors import StoreUnavailable
from shared.domain.common.opaque import cursor_invalid
from shared.ports.tables import Operation, QueryOptions, Row, RowPage, TableStore

SHARDED = frozenset({"ledger", "holds"})  # their partitions are accounts

type ShardOf = Callable[[str], Awaitable[str | None]]
"""The shard of an account, None while there is no such account. Raises StoreUnavailable."""


class ShardedTables(TableStore):
    """Tables in `stores`, of which the first one has all that is not sharded."""

    def __init__(self, stores: Sequence[TableStore], shard_of: ShardOf) -> None:
        self._stores = stores
        self._shard_of = shard_of
        self._known: OrderedDict[str, TableStore] = OrderedDict()

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        return await (await self._store(table, partition)).get(table, partition, key)

    async def query(self, table: str, partition: str, **options: Unpack[QueryOptions]) -> list[Row]:
        store = await self._store(table, partition)
        return await store.query(table, partition, **options)

    async def scan(
        self,
        table: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> RowPage:
        """Rows of all partitions, shard by shard: in order within each. Raises Invalid
        `cursor_invalid`."""
        if table not in SHARDED:
            return await self._stores[0].scan(table, where=where, limit=limit, cursor=cursor)
        text, _, inner = (cursor or "0.").partition(".")
        if not (text.isascii() and text.isdigit() and int(text) < len(self._stores)):
            raise cursor_invalid()
        shard = int(text)
        page = await self._stores[shard].scan(table, where=where, limit=limit, cursor=inner or None)
        if page.cursor is not None:
            return RowPage(page.rows, f"{shard}.{page.cursor}")
        following = shard + 1
        return RowPage(page.rows, f"{following}." if following < len(self._stores) else None)

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        return await (await self._store(table, partition)).transact(table, partition, operations)

    async def _store(self, table: str, partition: str) -> TableStore:
        if table not in SHARDED:
            return self._stores[0]
        cached = self._known.get(partition)
        if cached is not None:
            return cached
        shard = await self._shard_of(partition)
        if shard is None:  # nothing was written for it yet: its rows are nowhere
            return self._stores[0]
        if not (shard.isascii() and shard.isdigit() and int(shard) < len(self._stores)):
            raise StoreUnavailable(f"The storage of shard {shard} is not set.")
        store = self._stores[int(shard)]
        self._known[partition] = store
        if len(self._known) > limits.SHARDS_CACHED_MAX:
            self._known.popitem(last=False)
        return store
