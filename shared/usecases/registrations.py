"""Whose a conference or a service number is, from which time on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain import limits
from shared.domain.access import Principal
from shared.domain.directory import Registration, accounts_from, end, register
from shared.domain.errors import NotFound, PreconditionFailed, StoreUnavailable
from shared.domain.preconditions import check_etag
from shared.ports.records import Record, RecordStore, Saved
from shared.ports.world import Clock
from shared.usecases import documents
from shared.usecases.accounts import Accounts
from shared.usecases.documents import Kind
from shared.usecases.facts import Facts


@dataclass(frozen=True, slots=True)
class Registered:
    """The registrations of one conference or number, with the ETag of them all."""

    history: Sequence[Registration]
    etag: str


class Registrations:
    """Registers conferences and service numbers. Everything raises StoreUnavailable."""

    def __init__(
        self, records: RecordStore, facts: Facts, accounts: Accounts, clock: Clock
    ) -> None:
        self._records = records
        self._facts = facts
        self._accounts = accounts
        self._clock = clock

    async def put(
        self,
        kind: Kind,
        key: str,
        wanted: Registration,
        principal: Principal,
        *,
        since: datetime | None,
        if_match: str | None,
    ) -> tuple[Registered, Saved]:
        """`wanted` holds from `since` (default: now) on; the first registration for all time.

        Taking over what belongs to another account needs rights on both, and makes something new
        for this one: `If-Match` may be left out. Raises NotFound `account_unknown`, NotAllowed
        `account_not_allowed`, Conflict `too_many_registrations`, and what `RecordStore.put` raises.
        """
        await self._accounts.known(wanted.account)
        for _ in range(limits.RECORD_TRIES_MAX):
            now = self._clock.now()
            record = await self._records.get(kind, key)
            history = documents.registrations(record) if record else ()
            start = since or now
            for account in sorted(accounts_from(history, min(start, now))):
                principal.require_account(account)
            is_own = wanted.account in accounts_from(history, now)
            changed = register(history, wanted, start)
            condition = if_match
            if record is not None and not is_own and if_match is None:
                condition = record.etag
            try:
                saved = await self._records.put(
                    kind, key, documents.registrations_document(changed), if_match=condition
                )
            except PreconditionFailed:
                if condition == if_match:
                    raise
                continue  # somebody else took it over meanwhile: look at it again
            self._facts.drop(kind, key)
            created = saved.created or condition != if_match
            return Registered(changed, saved.etag), Saved(created, saved.version)
        raise StoreUnavailable("This registration changes too often right now.")

    async def end(self, kind: Kind, key: str, account: str, if_match: str | None) -> None:
        """From now on it is not this account's; what was before stays. Raises NotFound,
        PreconditionFailed."""
        for _ in range(limits.RECORD_TRIES_MAX):
            found = await self.read(kind, key, account)
            if if_match is not None:
                check_etag(found.etag, if_match)
            changed = end(found.history, account, self._clock.now())
            document = documents.registrations_document(changed)
            try:
                await self._records.put(kind, key, document, if_match=found.etag)
            except PreconditionFailed:
                continue
            self._facts.drop(kind, key)
            return
        raise StoreUnavailable("This registration changes too often at present.")

    async def read(self, kind: Kind, key: str, account: str, *, ended: bool = False) -> Registered:
        """What is registered, if it is this account's now or later, or was so where `ended`.

        Raises NotFound.
        """
        record: Record | None = await self._records.get(kind, key)
        history = documents.registrations(record) if record else ()
        owners = accounts_from(history, self._clock.now())
        if ended:
            owners = frozenset(item.account for item in history)
        if record is None or account not in owners:
            raise NotFound("This is not registered for the account.", code=f"{kind}_unknown")
        return Registered(history, record.etag)
