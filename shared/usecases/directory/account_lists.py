"""Lists of an account's registrations, in the order of the ids."""

from collections.abc import Awaitable, Callable

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.ports.records import RecordStore


async def present_items[Item](
    records: RecordStore,
    kind: str,
    account: str,
    read: Callable[[str], Awaitable[Item | None]],
    *,
    prefix: str,
    limit: int,
    after: str | None,
) -> tuple[list[Item], str | None]:
    """(the items that `read` returns for the account's ids, the last id if more follow). Deleted
    items are left out, so a page may be short. Raises what `read` raises, StoreUnavailable."""
    present: list[Item] = []
    for _ in range(limits.ENTRY_SCANS_MAX):
        ids, after = await records.ids_of(
            kind, account, prefix=prefix, limit=limit - len(present), after=after
        )
        items = await gather_bounded(read, ids, at_once=limits.BULK_READS_AT_ONCE)
        present += [item for item in items if item is not None]
        if after is None or len(present) >= limit:
            break
    return present, after
