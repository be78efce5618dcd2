"""Reads of many rows of a ledger: a range in pages, or requested rows together.

Requested rows are read by pages of the rows between them instead of one read each.
The row keys of legs and of reversals are hashes, so the requested ones are spread evenly among all.
A page begins at the next requested row, so that there are never more pages than requested rows.
"""

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence

from shared.adapters.ledger import rows
from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.pacing import yield_to_others
from shared.ports.tables import Row, TableStore


async def read_range(
    tables: TableStore, account: str, first: str, before: str, *, table: str = rows.TABLE
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


async def rows_of(
    tables: TableStore,
    account: str,
    keys: Sequence[str],
    entries: int,
    select: Sequence[str] | None = None,
) -> dict[str, list[Row]]:
    """The rows under each of the keys, `{key}` and `{key}|…`, in order; none: no item.

    All keys have the same length. `entries` is about how many rows of that kind there are; with
    `select` the rows have only these properties.
    """
    ordered = sorted(set(keys))
    if not ordered or entries > len(ordered) * limits.BULK_ROWS_PER_KEY_MAX:
        return await _one_by_one(tables, account, ordered, select)
    length, requested = len(ordered[0]), set(ordered)
    rows_by_key: dict[str, list[Row]] = {}
    first, after = ordered[0], None
    while True:
        page = await tables.query(
            rows.TABLE,
            account,
            first=first,
            after=after,
            before=f"{ordered[-1]}}}",
            select=select,
            limit=limits.BULK_PAGE_ROWS,
        )
        for row in page:
            if row.key[:length] in requested:
                rows_by_key.setdefault(row.key[:length], []).append(row)
        if len(page) < limits.BULK_PAGE_ROWS:
            return rows_by_key
        last = page[-1].key
        following = bisect_right(ordered, last)
        if last[:length] in requested:
            after = last  # more rows of this key may follow
        elif following < len(ordered):
            first, after = ordered[following], None
        else:
            return rows_by_key


async def _one_by_one(
    tables: TableStore, account: str, keys: Sequence[str], select: Sequence[str] | None
) -> dict[str, list[Row]]:
    """For few requested rows among many."""
    pages = await gather_bounded(
        lambda key: tables.query(rows.TABLE, account, first=key, before=f"{key}}}", select=select),
        keys,
        at_once=limits.BULK_READS_AT_ONCE,
    )
    return {key: read for key, read in zip(keys, pages, strict=True) if read}
