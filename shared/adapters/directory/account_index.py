"""The ids of each account's organizers, conferences and service numbers, in order.

Their documents are spread over partitions by the hash of the id. Table `directory`, partition
`index|{kind}|{account}`, has a row for each id, written before the document: a document that is
there is listed, however a write ends. A row stays when its document is deleted or ends, so readers
read the document; an erasure deletes the row.

Documents of releases without this index are found by one scan of the table before the first list.
The row `complete` of partition `index` then records the scan. Each night repeats it, since a
process of an older release may write during a deployment.
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from itertools import batched, takewhile
from typing import Any, cast

from shared.adapters.tables.packing import unpack
from shared.adapters.tables.validation import storable_key
from shared.domain.common import limits
from shared.domain.common.errors import OutcomeUnknown, StoreUnavailable
from shared.ports.tables import Row, TableStore, Upsert, Value

TABLE = "directory"
SCHEMA = 1
PARTITIONS = "index"
_COMPLETE = "complete"
# One character each for what no key can hold, and for the escape itself: prefixes stay prefixes.
_ESCAPES = str.maketrans({"~": "~0", "/": "~1", "\\": "~2", "#": "~3", "?": "~4"})

type Owner = tuple[str, str, str]
"""(kind, account, id)."""


class TableAccountIndex:
    """The index on a TableStore. Everything raises StoreUnavailable."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables
        self._is_complete = False

    async def add(self, entries: set[Owner]) -> None:
        """Write the rows of documents that are about to be written."""
        by_partition: dict[str, list[str]] = defaultdict(list)
        for kind, account, entry in sorted(entries):
            by_partition[partition_of(kind, account)].append(entry)
        for partition, ids in by_partition.items():
            for part in batched(ids, limits.TRANSACTION_OPERATIONS_MAX, strict=False):
                rows = [Upsert(_escaped(each), {"schema": SCHEMA, "id": each}) for each in part]
                await self._write(partition, rows)

    async def page(
        self, kind: str, account: str, *, prefix: str, limit: int, after: str | None
    ) -> tuple[list[str], str | None]:
        """See `RecordStore.ids_of`."""
        first = _escaped(prefix)
        if not storable_key(first):
            return [], None
        if not self._is_complete:
            if await self._tables.get(TABLE, PARTITIONS, _COMPLETE) is None:
                await self.fill()
            self._is_complete = True
        rows = await self._tables.query(
            TABLE,
            partition_of(kind, account),
            first=first,
            after=None if after is None else _escaped(after),
            limit=limit + 1,
        )
        ids = [str(row.values["id"]) for row in takewhile(lambda r: r.key.startswith(first), rows)]
        return ids[:limit], ids[limit - 1] if len(ids) > limit else None

    async def fill(self) -> None:
        """Write the rows of all present documents."""
        cursor: str | None = None
        while True:
            page = await self._tables.scan(TABLE, limit=limits.TABLE_PAGE_ROWS_MAX, cursor=cursor)
            entries: set[Owner] = set()
            for row in page.rows:
                entries |= _owners_of_row(row)
            await self.add(entries)
            cursor = page.cursor
            if cursor is None:
                break
        await self._write(PARTITIONS, [Upsert(_COMPLETE, {"schema": SCHEMA})])

    async def _write(self, partition: str, rows: list[Upsert]) -> None:
        try:
            await self._tables.transact(TABLE, partition, rows)
        except OutcomeUnknown as unknown:  # the document is not written either
            raise StoreUnavailable("The directory does not answer.") from unknown


def partition_of(kind: str, account: str) -> str:
    """The partition of an account's ids of a kind."""
    return f"{PARTITIONS}|{kind}|{account}"


def owners(kind: str, key: str, document: Mapping[str, object]) -> set[Owner]:
    """The accounts in whose lists a document is; none for a kind that is not listed so."""
    match kind.partition("|")[0]:
        case "organizer":
            account, _, organizer = key.partition("|")
            return {(kind, account, organizer)}
        case "conference_of_account":
            return {("conference", key, str(document["conference"]))} if document else set()
        case "conference" | "service_number":
            history = cast("list[dict[str, Any]]", document.get("registrations", []))
            return {(kind, each["account"], key) for each in history if each["account"]}
    return set()


def plain_document(values: Mapping[str, Value]) -> dict[str, Any]:
    """The document of a row that is not sealed. Raises ValueError, zlib.error."""
    text = values.get("document")
    document = json.loads(text) if isinstance(text, str) else unpack("packed", values)
    return cast("dict[str, Any]", document)


def _owners_of_row(row: Row) -> set[Owner]:
    """As `owners`, of a stored row; none where it can't be read."""
    kind = row.partition.partition("|")[0]
    row_owners: set[Owner] = set()
    if kind in {"organizer", "conference_of_account", "conference", "service_number"}:
        with suppress(KeyError, ValueError, TypeError, AttributeError, zlib.error):
            row_owners = owners(kind, str(row.values["id"]), plain_document(row.values))
    return {entry for entry in row_owners if storable_key(entry[1])}


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
