"""The directory: JSON documents with versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.common import limits


@dataclass(frozen=True, slots=True)
class Record:
    """A document of the directory, in the version that `etag` names."""

    key: str
    document: Mapping[str, object]
    version: int

    @property
    def etag(self) -> str:
        """The quoted version, as HTTP wants it."""
        return f'"{self.version}"'


@dataclass(frozen=True, slots=True)
class Saved:
    """A document that was just written; `created` tells 201 from 200."""

    created: bool
    version: int

    @property
    def etag(self) -> str:
        """The quoted version, as HTTP wants it."""
        return f'"{self.version}"'


async def overwrite(
    records: "RecordStore", kind: str, key: str, document: Mapping[str, object]
) -> None:
    """Write the document, whatever is there. Raises StoreUnavailable."""
    present = await records.get(kind, key)
    await records.put(kind, key, document, if_match="*" if present else None)


class RecordStore(Protocol):
    """JSON documents by (kind, key), each with a version that counts up. Raises StoreUnavailable.

    Kinds that can be listed have ids of our own as keys, all others may have any text.
    """

    async def get(self, kind: str, key: str) -> Record | None:
        """The document, or None."""
        ...

    async def put(
        self,
        kind: str,
        key: str,
        document: Mapping[str, object],
        *,
        if_match: str | None,
        count_max: int | None = None,
    ) -> Saved:
        """Create, or replace the version that `if_match` names (an `If-Match` header's value).
        `count_max`: how many documents the kind may have, however many are created at once.

        Raises PreconditionMissing where there is a document and no `if_match`, PreconditionFailed
        where `if_match` names no current version, KindFull instead of creating one too many.
        """
        ...

    async def delete(self, kind: str, key: str) -> bool:
        """Remove the document; False if there was none."""
        ...

    async def list(
        self, kind: str, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[Record], str | None]:
        """Documents of a kind in the order of their keys, and the cursor of the next page.

        Raises Invalid `cursor_invalid` on a cursor that is not ours.
        """
        ...


async def all_records(records: RecordStore, kind: str) -> list[Record]:
    """Every document of a kind that can be listed."""
    found: list[Record] = []
    cursor: str | None = None
    while True:
        page, cursor = await records.list(kind, limit=limits.LIST_ITEMS_MAX, cursor=cursor)
        found += page
        if cursor is None:
            return found
