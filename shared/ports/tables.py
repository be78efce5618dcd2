"""Table storage as the product uses it: rows, operations, transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired, Protocol, TypedDict

type Value = str | int | bool | bytes | datetime
"""A property of a row. Integers are stored as Int64, times as aware UTC."""


@dataclass(frozen=True, slots=True)
class Row:
    """A stored row. `values` never holds keys or system properties."""

    partition: str
    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Insert:
    """Insert a row that must not exist."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace a whole row that must have this ETag."""

    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Upsert:
    """Insert a row, or replace all of it."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a row; with an ETag, only that version."""

    key: str
    etag: str | None = None


type Operation = Insert | Replace | Upsert | Delete


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows in key order; `cursor` is None on the last page, else opaque."""

    rows: tuple[Row, ...]
    cursor: str | None


class QueryOptions(TypedDict, total=False):
    """The options of `TableStore.query`, for a store that passes them on."""

    first: str
    after: str | None
    before: str | None
    where: Mapping[str, str] | None
    select: Sequence[str] | None
    limit: int | None


class ScanOptions(TypedDict):
    """The options of `TableStore.scan`, for a store that passes them on."""

    where: NotRequired[Mapping[str, str] | None]
    limit: int
    cursor: NotRequired[str | None]


class TableStore(Protocol):
    """Table storage: rows in partitions, a transaction within one partition.

    Reads raise StoreUnavailable. Keys are compared by code point.
    """

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None."""
        ...

    async def query(
        self,
        table: str,
        partition: str,
        *,
        first: str = "",
        after: str | None = None,
        before: str | None = None,
        where: Mapping[str, str] | None = None,
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Rows of one partition in key order: key >= first, > after, < before, string properties
        equal to `where`; at most `limit` of them, all pages read until then."""
        ...

    async def scan(
        self,
        table: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> RowPage:
        """Rows of all partitions, a page at a time, ordered by (partition, key).

        A page may be short or empty and still carry a cursor. Raises Invalid `cursor_invalid` on
        a cursor of another list."""
        ...

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        """All of the operations, or none; the new ETags in their order ("" for a deletion).

        Raises RowExists, EtagMismatch, RowMissing (nothing was written; `index` names the
        operation), RequestTooLarge (refused before sending), StoreUnavailable (proof that nothing
        was written) and OutcomeUnknown (no proof either way). Never retries by itself.
        """
        ...
