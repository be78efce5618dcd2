"""Writes of more operations than a transaction may have."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import batched

from shared.domain.common import limits
from shared.domain.common.errors import RowMissing
from shared.ports.tables import Operation, TableStore


async def write_parts(
    tables: TableStore, table: str, partition: str, operations: Sequence[Operation]
) -> None:
    """Write operations of one partition, none of which depends on another. Rows to delete that are
    gone are passed over. Raises what `TableStore.transact` raises, but for RowMissing."""
    for part in batched(operations, limits.TRANSACTION_OPERATIONS_MAX, strict=False):
        try:
            await tables.transact(table, partition, part)
        except RowMissing:
            for each in part if len(part) > 1 else ():
                with suppress(RowMissing):
                    await tables.transact(table, partition, [each])
