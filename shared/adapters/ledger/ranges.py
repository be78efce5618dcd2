"""Ranges of a ledger's rows, however many they are."""

from collections.abc import AsyncIterator

from shared.adapters.ledger.rows import TABLE
from shared.domain.common import limits
from shared.pacing import yield_to_others
from shared.ports.tables import Row, TableStore


async def read_range(
    tables: TableStore, account: str, first: str, before: str, *, table: str = TABLE
) -> AsyncIterator[Row]:
    """A range of an account's rows, those of its ledger by default, a bounded page at a time."""
    after: str | None = None
    while True:
        page = await tables.query(
            table,
            account,
            first=first,
            after=after,
            before=before,
            limit=limits.TABLE_PAGE_ROWS_MAX,
        )
        for row in page:
            await yield_to_others()
            yield row
        if len(page) < limits.TABLE_PAGE_ROWS_MAX:
            return
        after = page[-1].key
