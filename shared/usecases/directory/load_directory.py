"""Many organizers, conferences or service numbers at once: all rows of a file, or none.

First every row is read and compared with the stored one; a wrong row refuses the file. Then the
whole load is written as one record, and from it row by row, many at a time. A process that dies in
between leaves the record: the next list or load of the account, or the nightly job, writes the
rest. A row that was changed since then is not written: that change came after the load.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.documents import from_document, to_document
from shared.domain.common.errors import (
    FieldError,
    NotFound,
    PreconditionFailed,
    PreconditionMissing,
    SettingsUnreadable,
)
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.directory.access import ALL_ACCOUNTS, Principal
from shared.domain.directory.entities import Registration, registration_at
from shared.ports.clock import Clock
from shared.ports.records import RecordStore, all_records
from shared.usecases.directory import codecs
from shared.usecases.directory.codecs import Kind, organizer_key
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.directory.registrations import Registrations

_LOADER = Principal("load", frozenset(), frozenset({ALL_ACCOUNTS}))
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class DocumentTarget:
    """A row of a load: the document to write over the version `etag` (None: over no document)."""

    key: str
    document: Mapping[str, object]
    etag: str | None


@dataclass(frozen=True, slots=True)
class LoadDirectory:
    """Everything raises StoreUnavailable, NotFound `account_unknown`."""

    records: RecordStore
    facts: DirectoryCache
    registrations: Registrations
    clock: Clock

    async def organizers(
        self, account: str, keys: Sequence[str]
    ) -> list[tuple[OrganizerFacts | None, str]]:
        """(organizer or None, ETag or "") of each id; one that can't be read counts as none."""
        await self.finish(account)

        async def read(organizer: str) -> tuple[OrganizerFacts | None, str]:
            record = await self.records.get(Kind.ORGANIZER, organizer_key(account, organizer))
            if record is None:
                return None, ""
            try:
                return codecs.organizer(record), record.etag
            except SettingsUnreadable:
                return None, record.etag

        return await gather_bounded(read, keys, at_once=_AT_ONCE)

    async def registered(
        self, kind: Kind, account: str, keys: Sequence[str]
    ) -> list[tuple[Registration | None, str]]:
        """(the account's registration in force or None, ETag or "") of each key."""
        await self.finish(account)
        now = self.clock.now()

        async def read(key: str) -> tuple[Registration | None, str]:
            try:
                registration = await self.registrations.read(kind, key, account)
            except NotFound:
                return None, ""
            current = registration_at(registration.history, now)
            is_own = current is not None and current.account == account
            return (current if is_own else None), registration.etag

        return await gather_bounded(read, keys, at_once=_AT_ONCE)

    async def save(self, kind: Kind, account: str, rows: Sequence[DocumentTarget]) -> None:
        """Write all rows, or none if the load itself can't be written."""
        if not rows:
            return
        document = {
            "kind": kind.value,
            "at": format_time(self.clock.now()),
            "rows": [[each.key, each.document, each.etag] for each in rows],
        }
        for _ in range(limits.RECORD_TRIES_MAX):
            with suppress(PreconditionMissing):  # another load, which is finished first
                await self.records.put(Kind.LOAD, account, document, if_match=None)
                break
            await self.finish(account)
        await self.finish(account)

    async def finish(self, account: str) -> None:
        """Write the remaining rows of a load of the account."""
        await self.facts.require_account(account)
        record = await self.records.get(Kind.LOAD, account)
        if record is None:
            return
        document = cast("dict[str, Any]", record.document)
        kind, at = Kind(document["kind"]), parse_time(document["at"])

        async def write(row: Sequence[Any]) -> None:
            key, document, etag = row
            if kind is Kind.ORGANIZER:
                place = organizer_key(account, key)
                with suppress(PreconditionFailed, PreconditionMissing):
                    await self.records.put(kind, place, document, if_match=etag)
                self.facts.drop(kind, place)
                return
            registration = from_document(Registration, document)
            for condition in (None, "*"):
                with suppress(PreconditionMissing, PreconditionFailed):
                    await self.registrations.put(
                        kind, key, registration, _LOADER, since=at, if_match=condition
                    )
                    return

        await gather_bounded(write, document["rows"], at_once=_AT_ONCE)
        with suppress(PreconditionFailed):
            await self.records.delete(Kind.LOAD, account, if_match=record.etag)

    async def finish_all(self) -> None:
        """Finish the loads of all accounts."""
        for record in await all_records(self.records, Kind.LOAD):
            await self.finish(record.key)


def registration_document(registration: Registration) -> Mapping[str, object]:
    """A registration as a load keeps it."""
    return to_document(registration)


def stale(line: int, stated: str, present: str) -> list[FieldError]:
    """The error of a row that names another version than the present one."""
    if not stated or stated == present:
        return []
    detail = "was changed since the list was written" if present else "names an absent row"
    return [FieldError(f"/lines/{line}/etag", detail)]
