"""The accounts of conferences and service numbers, over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.common import limits
from shared.domain.common.errors import NotFound, PreconditionFailed, StoreUnavailable
from shared.domain.common.preconditions import check_etag
from shared.domain.directory.access import Principal
from shared.domain.directory.entities import Registration, accounts_from, end, of_account, register
from shared.ports.clock import Clock
from shared.ports.records import RecordStore, SavedDocument
from shared.usecases.directory import codecs
from shared.usecases.directory.account_lists import present_items
from shared.usecases.directory.codecs import Kind
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class Registered:
    """The registrations of a number, or of a conference in one account, with their ETag."""

    history: Sequence[Registration]
    etag: str


@dataclass(frozen=True, slots=True)
class _StoredRegistration:
    """A stored registration: `etag` is "" without one, `is_shared` where it is still in a document
    that accounts share."""

    history: Sequence[Registration] = ()
    etag: str = ""
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Registrations:
    """Registers conferences and service numbers. Everything raises StoreUnavailable.

    An account registers a conference for itself, and learns nothing of the others that do; a
    service number belongs to one account at a time, to which it is assigned.
    """

    records: RecordStore
    facts: DirectoryCache
    clock: Clock

    async def put(
        self,
        kind: Kind,
        key: str,
        registration: Registration,
        principal: Principal,
        *,
        since: datetime | None,
        if_match: str | None,
        take_over: bool = False,
    ) -> tuple[Registered, SavedDocument]:
        """Register from `since` (default: now) on; the first registration of a key holds for all
        time.

        With `take_over` the registrations of a conference by the principal's other accounts end at
        that time. A number of another account is assigned to this one from then on. Neither needs
        `If-Match`, since the registration is new for this account. Raises NotFound
        `account_unknown`, NotAllowed `account_not_allowed`, Conflict `too_many_registrations`, and
        what `RecordStore.put` raises.
        """
        account = registration.account
        await self.facts.require_account(account)
        for _ in range(limits.RECORD_TRIES_MAX):
            now = self.clock.now()
            start = since or now
            kept = await self._kept(kind, key, account)
            if kind is Kind.SERVICE_NUMBER:
                for owner in sorted(accounts_from(kept.history, min(start, now))):
                    principal.require_account(owner)
            others = await self._others(key, account, principal, start) if take_over else []
            is_own = account in accounts_from(kept.history, now)
            if if_match is not None and not is_own:
                raise PreconditionFailed(
                    "The registration does not exist, so If-Match cannot match. "
                    "Leave If-Match out to create it."
                )
            if kept.is_shared and is_own:
                check_etag(kept.etag, if_match)
            changed = register(kept.history, registration, start, is_taken_over=bool(others))
            condition = if_match if is_own else kept.etag or None
            try:
                saved = await self._save(kind, key, account, changed, kept, condition)
            except PreconditionFailed:
                if condition == if_match:
                    raise
                continue  # someone else took it over meanwhile: read it again
            for other in others:
                await self.end(kind, key, other, None, at=start)
            return Registered(changed, saved.etag), SavedDocument(not is_own, saved.version)
        raise StoreUnavailable("This registration changes too often right now.")

    async def end(
        self,
        kind: Kind,
        key: str,
        account: str,
        if_match: str | None,
        *,
        at: datetime | None = None,
    ) -> None:
        """End a registration at `at` (default: now); the time before stays registered. Raises
        NotFound, PreconditionFailed, StoreUnavailable."""
        for _ in range(limits.RECORD_TRIES_MAX):
            kept = await self._kept(kind, key, account)
            if account not in accounts_from(kept.history, at or self.clock.now()):
                raise _unknown(kind)
            if if_match is not None:
                check_etag(kept.etag, if_match)
            changed = end(kept.history, account, at or self.clock.now())
            try:
                await self._save(kind, key, account, changed, kept, kept.etag)
            except PreconditionFailed:
                continue
            return
        raise StoreUnavailable("This registration changes too often at present.")

    async def read(self, kind: Kind, key: str, account: str, *, ended: bool = False) -> Registered:
        """The registration, if it belongs to this account now or later; with `ended` also if it
        belonged to it before. Raises NotFound.
        """
        kept = await self._kept(kind, key, account)
        owners = accounts_from(kept.history, self.clock.now())
        if ended:
            owners = frozenset(item.account for item in kept.history)
        if account not in owners:
            raise _unknown(kind)
        return Registered(kept.history, kept.etag)

    async def page(
        self, kind: Kind, account: str, *, prefix: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[tuple[str, Registered]], str | None]:
        """((id, registrations) that are the account's now or later, the last id if more follow).

        Raises NotFound `account_unknown`.
        """
        await self.facts.require_account(account)

        async def read(key: str) -> tuple[str, Registered] | None:
            try:
                return key, await self.read(kind, key, account)
            except NotFound:
                return None

        return await present_items(
            self.records, kind, account, read, prefix=prefix, limit=limit, after=cursor
        )

    async def _kept(self, kind: Kind, key: str, account: str) -> _StoredRegistration:
        record = await self.records.get(*_place(kind, key, account))
        if record is not None:
            return _StoredRegistration(codecs.registrations(record), record.etag)
        shared = await self.records.get(kind, key) if kind is Kind.CONFERENCE else None
        history = of_account(codecs.registrations(shared), account) if shared else ()
        return (
            _StoredRegistration(history, shared.etag, is_shared=True)
            if shared and history
            else _StoredRegistration()
        )

    async def _save(
        self,
        kind: Kind,
        key: str,
        account: str,
        history: Sequence[Registration],
        kept: _StoredRegistration,
        condition: str | None,
    ) -> SavedDocument:
        """Write the history; a registration of a shared document gets a separate document."""
        document = codecs.registrations_document(history)
        if kind is Kind.CONFERENCE:
            document = codecs.conference_document(key, history)
        saved = await self.records.put(
            *_place(kind, key, account), document, if_match=None if kept.is_shared else condition
        )
        self.facts.drop(kind, key)
        return saved

    async def _others(
        self, conference: str, account: str, principal: Principal, start: datetime
    ) -> list[str]:
        """The principal's other accounts that have the conference at `start` or later."""
        registrations = await self.facts.conference(conference, fresh=True)
        return [
            other
            for other, history in sorted(registrations.items())
            if other != account and principal.sees(other) and accounts_from(history, start)
        ]


def _place(kind: Kind, key: str, account: str) -> tuple[str, str]:
    """(kind, key) of the record that a registration is written to."""
    if kind is Kind.CONFERENCE:
        return codecs.conference_kind(key), account
    return kind, key


def _unknown(kind: Kind) -> NotFound:
    return NotFound(
        "The id is not registered for the account. List the registrations for the ids.",
        code=f"{kind}_unknown",
    )
