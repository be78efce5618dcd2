"""The directory: JSON documents by kind and key, each with a version that counts up.

A new document of a kind that can be removed begins with a random version of 48 bits, so that the
ETag of a document that was removed never names the one made again under its key.

Table `directory`. A kind with ids of the product is one partition, so that it can be listed in
order. A kind with foreign ids (conferences, organizers, service numbers) is spread over 256
partitions by the hash of the key, which is the row key; the key itself is the property `id`.

A kind with a maximum has a row `~{n}` for each document, inserted and deleted in the same
transaction: the number of n is limited, so parallel creations can't pass the maximum. Documents
from before these rows have none, and so many n stay unused.

An index (`account_index.py`) contains each account's ids of the kinds that are spread; it is
written before the document.

Bridges and webhooks hold secrets: their documents are sealed, where a key for it is set. Read
access to the table then does not allow signing as a bridge.

Every write and removal is logged in the audit log, in the same transaction (`audit_log.py`).
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence

from shared.adapters.clock import RandomIds
from shared.adapters.directory.account_index import TableAccountIndex, owners, plain_document
from shared.adapters.directory.audit_log import TableAuditLog
from shared.adapters.encryption import Sealing
from shared.adapters.tables.packing import inflated, joined, pack, split
from shared.adapters.tables.schema import refuse_unknown
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import (
    EtagMismatch,
    KindFull,
    OutcomeUnknown,
    PreconditionFailed,
    RowExists,
    RowMissing,
    SettingsUnreadable,
    StoreUnavailable,
)
from shared.domain.common.ids import is_id
from shared.domain.common.opaque import from_cursor, to_cursor
from shared.domain.common.preconditions import check_etag
from shared.ports.audit import Change
from shared.ports.clock import Ids
from shared.ports.records import SavedDocument, StoredDocument
from shared.ports.tables import Delete, Insert, Operation, Replace, Row, TableStore, Value

TABLE = "directory"
SCHEMA = 1
SEALED_SCHEMA = 2
PLACE_SCHEMA = 3  # code from before these rows fails closed on them
EXPIRY_SCHEMA = 4  # an API key that expires: code from before would let it in for ever
_DOCUMENT_SCHEMAS = frozenset({SCHEMA, SEALED_SCHEMA, EXPIRY_SCHEMA})
SEALED_LABEL = b"PMS1"
# Webhooks are listed by account: a kind each, `webhook|{account}`.
WEBHOOKS = "webhook|"
# Registrations of a conference are listed, too: a kind each, `conference_of_account|{hash}`.
CONFERENCES = "conference_of_account|"
_OF_ACCOUNTS = frozenset({"account", "dial_out_policy", "organizer"})
# Of all others a document made again must not have a version that an earlier one had.
_NEVER_REMOVED = frozenset({"account", "dial_out_policy", "service_number", "proof_key"})
_FIRST_VERSION_BYTES = 6
_PLACES = "~"  # sorts behind every id
LISTED_KINDS = frozenset({"account", "api_key", "bridge", "dial_out_policy", "proof_key"})

type Describe = Callable[[str, StoredDocument | None, StoredDocument | None], Sequence[Change]]
"""(kind, before, after) → what a change of a document means for each account that it is about,
without secrets; nothing for a kind that is no setting."""


class DocumentStore:
    """Documents in Table storage; the port `RecordStore`.

    Without `sealing` documents with secrets are kept as they are; without `log` nothing is logged.
    """

    def __init__(
        self,
        tables: TableStore,
        sealing: Sealing | None = None,
        log: tuple[TableAuditLog, Describe] | None = None,
        ids: Ids | None = None,
    ) -> None:
        self._tables = tables
        self._sealing = sealing
        self._log = log
        self._ids = ids or RandomIds()
        self.index = TableAccountIndex(tables)

    async def get(self, kind: str, key: str) -> StoredDocument | None:
        row = await self._row(kind, key)
        return self._record(kind, row) if row else None

    async def put(
        self,
        kind: str,
        key: str,
        document: Mapping[str, object],
        *,
        if_match: str | None,
        count_max: int | None = None,
    ) -> SavedDocument:
        """Create, or replace the version that `if_match` names; see `RecordStore`.

        The change is logged in the same transaction, with who acts (`ports.audit.ACTING`).

        A write without an answer may land later: until its outcome is known, no caller is
        refused. Raises StoreUnavailable.
        """
        unsure: int | None = None
        first = self._first_version(kind)
        for _ in range(limits.RECORD_TRIES_MAX):
            row = await self._row(kind, key)
            current = self._replaced(kind, row) if row else None
            if (
                unsure is not None
                and current is not None
                and (unsure == first or current.version >= unsure)
            ):
                # The same content in the version that we meant is as good as ours.
                if (current.version, current.document) == (unsure, document):
                    return SavedDocument(created=unsure == first, version=unsure)
                raise StoreUnavailable("The outcome of the write is unknown.")
            _check_precondition(current, if_match)
            version = current.version + 1 if current else first
            more: list[Operation] = []
            if current is None and count_max is not None:
                place = await self._free_place(kind, key, count_max)
                more = [Insert(place, {"schema": PLACE_SCHEMA, "id": key})]
            listed = owners(kind, key, current.document) if current else set()
            await self.index.add(owners(kind, key, document) - listed)
            values = self._values(kind, key, document, version)
            write = (
                Replace(row.key, values, row.etag)
                if row
                else Insert(_address(kind, key)[1], values)
            )
            try:
                after = StoredDocument(key, document, version)
                await self._write(kind, key, [write, *more], current, after)
            except (RowExists, EtagMismatch, RowMissing):
                continue  # someone else wrote between our reading and writing
            except OutcomeUnknown:
                unsure = version
                continue
            return SavedDocument(created=current is None, version=version)
        raise StoreUnavailable("Other requests change the directory at the same time.")

    async def delete(self, kind: str, key: str, *, if_match: str | None = None) -> bool:
        """Remove the document, and log that in the same transaction; see `RecordStore`. Raises
        StoreUnavailable."""
        for _ in range(limits.RECORD_TRIES_MAX):
            row = await self._row(kind, key)
            if row is None:
                return False
            if if_match is not None:
                check_etag(f'"{row.values["version"]!s}"', if_match)
            places = [each.key for each in await self._places(kind) if each.values["id"] == key]
            removals = [Delete(row.key, row.etag), *(Delete(each) for each in places)]
            try:
                await self._write(kind, key, removals, self._removed(kind, row), None)
            except RowMissing:
                return False
            except EtagMismatch:
                continue  # what is removed is what the log says
            except OutcomeUnknown as unknown:
                if await self._row(kind, key) is None:
                    return True
                raise StoreUnavailable("The outcome of the deletion is unknown.") from unknown
            return True
        raise StoreUnavailable("Other requests change the directory at the same time.")

    async def list(
        self, kind: str, *, limit: int, cursor: str | None = None, prefix: str = ""
    ) -> tuple[Sequence[StoredDocument], str | None]:
        if not _is_listed(kind):
            raise ValueError(f"the kind {kind} can't be listed")
        if prefix and not is_id(prefix):
            return [], None
        after = from_cursor(cursor, _id) if cursor is not None else None
        before = f"{prefix}{_PLACES}"
        rows = await self._tables.query(
            TABLE, kind, first=prefix, after=after, before=before, limit=limit + 1
        )
        page = rows[:limit]
        more = len(rows) > limit
        return [self._record(kind, row) for row in page], to_cursor(page[-1].key) if more else None

    async def ids_of(
        self, kind: str, account: str, *, prefix: str, limit: int, after: str | None
    ) -> tuple[Sequence[str], str | None]:
        return await self.index.page(kind, account, prefix=prefix, limit=limit, after=after)

    async def _row(self, kind: str, key: str) -> Row | None:
        if _is_listed(kind) and not is_id(key):
            return None  # no such row can have been written, and some can't even be read
        partition, row_key = _address(kind, key)
        return await self._tables.get(TABLE, partition, row_key)

    async def _places(self, kind: str) -> Sequence[Row]:
        """The rows that count the documents of a kind with a maximum."""
        if not kind.startswith(WEBHOOKS):
            return ()
        return await self._tables.query(
            TABLE, kind, first=_PLACES, before=f"{_PLACES}}}", limit=limits.LIST_ITEMS_MAX
        )

    async def _free_place(self, kind: str, key: str, count_max: int) -> str:
        """The row that counts one document more; raises KindFull. The key chooses it, so that
        parallel creations seldom use the same one."""
        rows = await self._tables.query(
            TABLE, kind, before=f"{_PLACES}}}", limit=limits.LIST_ITEMS_MAX
        )
        taken = {row.key: row.values["id"] for row in rows if row.key.startswith(_PLACES)}
        counted = frozenset(taken.values())
        uncounted = sum(
            not row.key.startswith(_PLACES) and row.values["id"] not in counted for row in rows
        )
        places = [f"{_PLACES}{number}" for number in range(count_max - uncounted)]
        free = [place for place in places if place not in taken]
        if not free:
            raise KindFull(f"There are {count_max} already.")
        return free[zlib.crc32(key.encode()) % len(free)]

    async def _write(
        self,
        kind: str,
        key: str,
        operations: Sequence[Operation],
        before: StoredDocument | None,
        after: StoredDocument | None,
    ) -> None:
        partition, _ = _address(kind, key)
        markers: list[Operation] = []
        if self._log is not None:
            log, describe = self._log
            if changes := describe(kind, before, after):
                markers = [await log.propose(TABLE, partition, changes)]
        await self._tables.transact(TABLE, partition, [*operations, *markers])

    def _first_version(self, kind: str) -> int:
        """The version of a new document: 1, or a number that none removed before it had."""
        if kind in _NEVER_REMOVED:
            return 1
        digest = hashlib.sha256(self._ids.token(_FIRST_VERSION_BYTES).encode()).digest()
        return 1 + int.from_bytes(digest[:_FIRST_VERSION_BYTES])

    def _values(
        self, kind: str, key: str, document: Mapping[str, object], version: int
    ) -> dict[str, Value]:
        expires = kind == "api_key" and document.get("expires_at") is not None
        schema = EXPIRY_SCHEMA if expires else SCHEMA
        values: dict[str, Value] = {"schema": schema, "id": key, "version": version}
        data = canonical_json(document)
        if self._sealing is not None and _has_secrets(kind):
            sealed = self._sealing.seal(f"{kind}|{key}", zlib.compress(data))
            return {**values, "schema": SEALED_SCHEMA, **split("sealed", sealed)}
        text = data.decode()
        if len(text) <= limits.PROPERTY_TEXT_CHARS_MAX:
            return {**values, "document": text}
        return {**values, **pack("packed", document)}

    def _replaced(self, kind: str, row: Row) -> StoredDocument:
        """The replaced document: empty where it can't be read, for it can be put again."""
        try:
            return self._record(kind, row)
        except SettingsUnreadable:
            key, version = _identity(row)
            return StoredDocument(key, {}, version)

    def _record(self, kind: str, row: Row) -> StoredDocument:
        refuse_unknown(row, _DOCUMENT_SCHEMAS)
        key, version = _identity(row)
        document = None
        if row.values.get("schema") in _DOCUMENT_SCHEMAS and version:
            document = self._document(kind, key, row.values)
        if not isinstance(document, dict):
            raise SettingsUnreadable(
                f"The row of {kind} {key} in the directory cannot be read. Restore the row.",
                account=key.partition("|")[0] if kind in _OF_ACCOUNTS else None,
                etag=f'"{version}"',
                code="row_unreadable",
            )
        return StoredDocument(key, document, version)

    def _removed(self, kind: str, row: Row) -> StoredDocument:
        """The removed document; an unreadable one can be removed, too."""
        try:
            return self._record(kind, row)
        except StoreUnavailable:
            return StoredDocument(str(row.values.get("id", row.key)), {}, 0)

    def _document(self, kind: str, key: str, values: Mapping[str, Value]) -> object:
        """The document; None where it can't be read, since it was moved or changed. Raises
        StoreUnavailable where it is sealed and this process has no key."""
        sealed = joined("sealed", values)
        if sealed and self._sealing is None:
            raise StoreUnavailable(
                "The row is sealed with another key. Add the key to PERMINUTE_SECRETS_KEY.",
                code="row_unreadable",
            )
        try:
            if self._sealing is not None and sealed:
                return json.loads(inflated(self._sealing.open(f"{kind}|{key}", sealed)))
            return plain_document(values)
        except (ValueError, zlib.error):
            return None


def _identity(row: Row) -> tuple[str, int]:
    """(id, version) of a row; 0 where it has no sound version."""
    key, version = row.values.get("id"), row.values.get("version")
    return (
        key if isinstance(key, str) else row.key,
        version if isinstance(version, int) else 0,
    )


def _check_precondition(current: StoredDocument | None, if_match: str | None) -> None:
    if current is None:
        if if_match is not None:
            raise PreconditionFailed(
                "The resource does not exist, so If-Match cannot match. "
                "Leave If-Match out to create it."
            )
        return
    check_etag(current.etag, if_match)


def _has_secrets(kind: str) -> bool:
    return kind == "bridge" or kind.startswith(WEBHOOKS)


def _is_listed(kind: str) -> bool:
    return kind in LISTED_KINDS or kind.startswith((WEBHOOKS, CONFERENCES))


def _address(kind: str, key: str) -> tuple[str, str]:
    if _is_listed(kind):
        return kind, key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{kind}|{digest[:2]}", digest


def _id(key: str) -> str | None:
    return key if is_id(key) else None
