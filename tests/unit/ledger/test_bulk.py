"""Rows read together are those that are read one by one."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.ledger.bulk_reads import rows_of
from shared.domain.common import limits
from shared.ports.tables import Insert, Row
from tests.support.memory_tables import MemoryTables

KEYS = st.integers(0, 60).map(lambda number: f"leg|{number:02d}")


class Counted(MemoryTables):
    reads = 0

    async def query(self, *key: object, **more: object) -> list[Row]:
        self.reads += 1
        return await super().query(*key, **more)  # type: ignore[arg-type]


@given(st.dictionaries(KEYS, st.integers(0, 3)), st.lists(KEYS), st.integers(1, 7))
@settings(max_examples=200)
def test_the_same_rows_are_found_in_fewer_reads(
    stored: dict[str, int], wanted: list[str], page_rows: int
) -> None:
    """A leg has its row and one for each re-rating, also where a page ends between them."""
    tables = Counted()
    expected = {}
    for key, reratings in stored.items():
        keys = [key, *(f"{key}|{number}" for number in range(reratings))]
        rows = [Insert(each, {"schema": 1}) for each in keys]
        asyncio.run(tables.transact("ledger", "contoso", rows))
        if key in wanted:
            expected[key] = keys
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "BULK_PAGE_ROWS", page_rows)
        found = asyncio.run(rows_of(tables, "contoso", wanted, 0))
        rows_in_all = sum(1 + each for each in stored.values())
        assert tables.reads <= rows_in_all // page_rows + 1 + len(set(wanted))
        alone = asyncio.run(rows_of(tables, "contoso", wanted, 10**9))

    assert {key: [row.key for row in rows] for key, rows in found.items()} == expected
    assert {key: [row.key for row in rows] for key, rows in alone.items()} == expected
