"""The pytest plugin of `python -m tests.docs.recorder`: adds one row of each form that the product
stores in memory to tests/docs/rows.json, from which the page of the tables is made."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from shared.ports.tables import Delete, Operation
from tests.docs import tables
from tests.schemas.test_schemas import NEWER
from tests.support.memory_tables import MemoryTables

RECORDED: dict[tuple[object, ...], list[Any]] = {}
transact = MemoryTables.transact


async def recorded(
    self: MemoryTables, table: str, partition: str, operations: Sequence[Operation]
) -> tuple[str, ...]:
    """`MemoryTables.transact`, with the forms of the rows that it wrote."""
    etags = await transact(self, table, partition, operations)
    for operation in operations:
        if table in tables.TABLES and not isinstance(operation, Delete):
            row = self._tables[table][partition].rows[operation.key]
            _record([table, partition, operation.key, row.values.get("schema"), _types(row.values)])
    return etags


def pytest_configure() -> None:
    MemoryTables.transact = recorded  # type: ignore[method-assign]
    for row in tables.observed():
        _record(row)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        rows = sorted(RECORDED.values(), key=lambda row: json.dumps(row, sort_keys=True))
        lines = ",\n".join(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)
        tables.OBSERVED.write_text(f"[{lines}]\n", "utf-8")


def _record(row: list[Any]) -> None:
    if row[3] == NEWER:
        return  # a test's row of a later release
    try:
        kind = tables.kind_of(row)
    except LookupError:
        return  # a test's own row
    form = (kind.table, kind.key, row[3], tuple(sorted(row[4].items())))
    RECORDED.setdefault(form, row)


def _types(values: Any) -> dict[str, str]:
    """The types by property; the numbers of the parts of a long content are `…`."""
    return {tables.NUMBER.sub("…", name): type(value).__name__ for name, value in values.items()}
