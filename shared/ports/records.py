"""The directory: JSON documents with versions."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from shared.domain.common import limits
from shared.domain.common.errors import PreconditionFailed, StoreUnavailable
from shared.domain.common.preconditions import check_etag


async def pages[T](
    fetch: Callable[..., Awaitable[tuple[Sequence[T], str | None]]],
) -> AsyncIterator[Sequence[T]]:
    """Every page of a list: `fetch` takes `limit` and `cursor`, and returns the next cursor too."""
    cursor: str | None = None
    while True:
        page, cursor = await fetch(limit=limits.LIST_ITEMS_MAX, cursor=cursor)
        yield page
        if cursor is None:
            return


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of the directory, in the version that `etag` names."""

    key: str
    document: Mapping[str, object]
    version: int

    @property
    def etag(self) -> str:
        """The quoted version, as HTTP requires."""
        return f'"{self.version}"'


@dataclass(frozen=True, slots=True)
class SavedDocument:
    """A document that was just written; `created`: 201, not 200."""

    created: bool
    version: int

    @property
    def etag(self) -> str:
        """The quoted version, as HTTP requires."""
        return f'"{self.version}"'


async def overwrite(
    records: "RecordStore", kind: str, key: str, document: Mapping[str, object]
) -> None:
    """Write the document over any present version. Raises StoreUnavailable."""
    present = await records.get(kind, key)
    await records.put(kind, key, document, if_match="*" if present else None)


async def retire(
    records: "RecordStore",
    kind: str,
    former_kind: str,
    key: str,
    if_match: str | None,
    former: Callable[[StoredDocument], Mapping[str, object]],
) -> bool:
    """Remove the document, and keep `former(document)` of exactly that version under another kind.

    False if there was none. Raises PreconditionFailed where `if_match` names no current version.
    """
    for _ in range(limits.RECORD_TRIES_MAX):
        record = await records.get(kind, key)
        if record is None:
            return False
        if if_match is not None:
            check_etag(record.etag, if_match)
        await overwrite(records, former_kind, key, former(record))
        try:
            return await records.delete(kind, key, if_match=record.etag)
        except PreconditionFailed:
            continue  # changed since it was read
    raise StoreUnavailable("Other requests change the setting at the same time.")


class RecordStore(Protocol):
    """JSON documents by (kind, key), each with a version that counts up. Raises StoreUnavailable.

    Kinds that can be listed have the product's ids as keys, all others may have any text.
    """

    async def get(self, kind: str, key: str) -> StoredDocument | None:
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
    ) -> SavedDocument:
        """Create, or replace the version that `if_match` names (an `If-Match` header's value).
        `count_max` is the maximum number of documents of the kind, also under concurrent creation.

        Raises PreconditionMissing where there is a document and no `if_match`, PreconditionFailed
        where `if_match` names no current version, KindFull instead of creating one too many.
        """
        ...

    async def delete(self, kind: str, key: str, *, if_match: str | None = None) -> bool:
        """Remove the document, or only the version that `if_match` names; False if there was none.

        Raises PreconditionFailed where `if_match` names no current version.
        """
        ...

    async def list(
        self, kind: str, *, limit: int, cursor: str | None = None, prefix: str = ""
    ) -> tuple[Sequence[StoredDocument], str | None]:
        """Documents of a kind in the order of their keys, those that begin with `prefix`, and the
        cursor of the next page.

        Raises Invalid `cursor_invalid` on a cursor of another list.
        """
        ...

    async def ids_of(
        self, kind: str, account: str, *, prefix: str, limit: int, after: str | None
    ) -> tuple[Sequence[str], str | None]:
        """(ids of an account's organizers, conferences or service numbers, the last of them if
        more follow), in order, those that begin with `prefix`. A document may be gone or ended."""
        ...


async def all_records(records: RecordStore, kind: str) -> list[StoredDocument]:
    """Every document of a kind that can be listed."""
    return [item async for page in pages(partial(records.list, kind)) for item in page]
