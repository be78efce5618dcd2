"""Settings whose write had no answer: no refusal of what is, or will be, in the table."""

from collections.abc import Sequence

import pytest

from shared.adapters.directory.document_store import DocumentStore
from shared.domain.common.errors import OutcomeUnknown, PreconditionFailed, StoreUnavailable
from shared.ports.tables import Operation, Row, Upsert
from tests.support.memory_tables import MemoryTables


class LateTables(MemoryTables):
    """The next write is on its way; it lands before the nth call after it."""

    def __init__(self) -> None:
        super().__init__()
        self.lands_after: int | None = None
        self._waiting: tuple[str, str, Sequence[Operation]] | None = None

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        await self._land()
        return await super().get(table, partition, key)

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        await self._land()
        if self.lands_after is not None and self._waiting is None:
            self._waiting = (table, partition, operations)
            raise OutcomeUnknown("no answer")
        return await super().transact(table, partition, operations)

    async def _land(self) -> None:
        if self._waiting is None or self.lands_after is None:
            return
        self.lands_after -= 1
        if self.lands_after == 0:
            waiting, self._waiting, self.lands_after = self._waiting, None, None
            await super().transact(*waiting)


@pytest.mark.parametrize("lands_after", [1, 2])
async def test_a_write_that_lands_late_is_not_reported_to_have_failed(lands_after: int) -> None:
    tables = LateTables()
    records = DocumentStore(tables)
    await records.put("account", "contoso", {"limit": 1}, if_match=None)
    tables.lands_after = lands_after
    saved = await records.put("account", "contoso", {"limit": 2}, if_match='"1"')
    assert (saved.created, saved.version) == (False, 2)
    found = await records.get("account", "contoso")
    assert found is not None
    assert (found.document, found.version) == ({"limit": 2}, 2)


@pytest.mark.parametrize("lands_after", [1, 2])
async def test_a_first_write_that_lands_late_is_reported_to_have_created(lands_after: int) -> None:
    tables = LateTables()
    tables.lands_after = lands_after
    saved = await DocumentStore(tables).put("account", "contoso", {"limit": 1}, if_match=None)
    assert (saved.created, saved.version) == (True, 1)


async def test_who_was_overwritten_meanwhile_hears_that_it_is_not_certain() -> None:
    tables = MemoryTables()
    records = DocumentStore(tables)
    await records.put("account", "contoso", {"limit": 1}, if_match=None)
    row = await tables.get("directory", "account", "contoso")
    assert row is not None

    class Overwritten(MemoryTables):
        async def get(self, table: str, partition: str, key: str) -> Row | None:
            return await tables.get(table, partition, key)

        async def transact(
            self, table: str, partition: str, operations: Sequence[Operation]
        ) -> tuple[str, ...]:
            await tables.transact(table, partition, operations)
            await tables.transact(table, partition, [Upsert(row.key, {**row.values, "version": 3})])
            raise OutcomeUnknown("no answer")

    with pytest.raises(StoreUnavailable):
        await DocumentStore(Overwritten()).put("account", "contoso", {"limit": 2}, if_match='"1"')


async def test_a_stale_version_is_still_refused() -> None:
    records = DocumentStore(MemoryTables())
    await records.put("account", "contoso", {"limit": 1}, if_match=None)
    await records.put("account", "contoso", {"limit": 2}, if_match='"1"')
    with pytest.raises(PreconditionFailed):
        await records.put("account", "contoso", {"limit": 3}, if_match='"1"')
