"""Registrations, read through a short cache.

A fact lives at most 30 s in this process. Absence is never cached, so a new registration is
effective at once; the writes of this process drop the cached fact. `fresh=True` reads past the
cache. A fact requested as of `known_at` never comes from a read before that moment: a caller that
passes the time of its request sees all earlier changes of all processes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from shared.domain.common import limits
from shared.domain.common.errors import NotFound
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.dial_out.policy import AccountPolicy
from shared.domain.directory.entities import Account, ApiKey, Bridge, Registration, of_account
from shared.pacing import NO_REQUEST
from shared.ports.clock import Clock
from shared.ports.records import RecordStore, StoredDocument, all_records
from shared.usecases.directory import codecs
from shared.usecases.directory.codecs import Kind


@dataclass(frozen=True, slots=True)
class _Cached:
    value: object
    read_at: datetime  # when the reading began


@dataclass(frozen=True, slots=True)
class _Pending:
    """A read in progress, for which other callers of the same fact wait."""

    task: asyncio.Task[object]
    read_at: datetime


class DirectoryCache:
    """Facts by kind and key. All readers raise StoreUnavailable, SettingsUnreadable among them."""

    def __init__(
        self,
        records: RecordStore,
        clock: Clock,
        cache_seconds: float = limits.FACTS_SECONDS_MAX,
    ) -> None:
        self._records = records
        self._clock = clock
        self._cache_life = timedelta(seconds=cache_seconds)
        self._cache: OrderedDict[tuple[Kind, str], _Cached] = OrderedDict()
        self._pending: dict[tuple[Kind, str], _Pending] = {}

    async def account(
        self, account: str, *, known_at: datetime | None = None, fresh: bool = False
    ) -> Account | None:
        """The account, or None."""
        return await self._read(Kind.ACCOUNT, account, codecs.account, known_at, fresh=fresh)

    async def require_account(self, account: str, *, fresh: bool = False) -> Account:
        """The account. Raises NotFound `account_unknown`."""
        cached = await self.account(account, fresh=fresh)
        if cached is None:
            raise NotFound(
                "No account has this id. Check the id, or create the account with PUT.",
                code="account_unknown",
            )
        return cached

    async def organizer(
        self,
        account: str,
        organizer: str,
        *,
        known_at: datetime | None = None,
        fresh: bool = False,
    ) -> OrganizerFacts | None:
        """The organizer of this account, or None."""
        return await self._read(
            Kind.ORGANIZER,
            codecs.organizer_key(account, organizer),
            codecs.organizer,
            known_at,
            fresh=fresh,
        )

    async def former_organizer(
        self, account: str, organizer: str, moment: datetime, *, known_at: datetime | None = None
    ) -> OrganizerFacts | None:
        """The organizer at `moment`, if it was deleted later."""
        former = await self._read(
            Kind.FORMER_ORGANIZER,
            codecs.organizer_key(account, organizer),
            codecs.former_organizer,
            known_at,
            fresh=False,
        )
        return former[0] if former is not None and moment < former[1] else None

    async def conference(
        self, conference: str, *, known_at: datetime | None = None, fresh: bool = False
    ) -> Mapping[str, Sequence[Registration]]:
        """Its registrations by account, for `claims_at`; empty if there are none."""
        registrations = await self._fact(
            Kind.CONFERENCE,
            conference,
            lambda: self._conference(conference),
            known_at,
            fresh=fresh,
        )
        return registrations or {}

    async def _conference(self, conference: str) -> Mapping[str, Sequence[Registration]] | None:
        shared, documents = await asyncio.gather(
            self._records.get(Kind.CONFERENCE, conference),
            all_records(self._records, codecs.conference_kind(conference)),
        )
        history = codecs.registrations(shared) if shared else ()
        of_all = {item.account: of_account(history, item.account) for item in history}
        own = {record.key: codecs.registrations(record) for record in documents}
        return {account: each for account, each in (of_all | own).items() if account} or None

    async def service_number(
        self, number: str, *, known_at: datetime | None = None, fresh: bool = False
    ) -> tuple[Registration, ...]:
        """Its registrations, for `registration_at`; empty if there are none."""
        registrations = await self._read(
            Kind.SERVICE_NUMBER, number, codecs.registrations, known_at, fresh=fresh
        )
        return registrations or ()

    async def bridge(
        self, bridge: str, *, known_at: datetime | None = None, fresh: bool = False
    ) -> Bridge | None:
        """The bridge with its secrets, or None."""
        return await self._read(Kind.BRIDGE, bridge, codecs.bridge, known_at, fresh=fresh)

    async def former_bridge(
        self, bridge: str, *, known_at: datetime | None = None
    ) -> Bridge | None:
        """A bridge that was deleted, without its secrets."""
        return await self._read(Kind.FORMER_BRIDGE, bridge, codecs.bridge, known_at, fresh=False)

    def remembered_bridge(self, bridge: str) -> tuple[Bridge | None, bool]:
        """(the bridge as this process last read it, True if that read still counts), without a
        read."""
        cached = self._cache.get((Kind.BRIDGE, bridge))
        if cached is None:
            return None, False
        return cast("Bridge", cached.value), self._holds(cached, self._clock.now(), None)

    async def api_key(self, key_id: str, *, fresh: bool = False) -> ApiKey | None:
        """The API key, or None."""
        return await self._read(Kind.API_KEY, key_id, codecs.api_key, None, fresh=fresh)

    async def dial_out_policy(
        self, account: str, *, known_at: datetime | None = None, fresh: bool = False
    ) -> AccountPolicy:
        """The account's own policy; the default one where none was put."""
        policy = await self._read(
            Kind.DIAL_OUT_POLICY, account, codecs.policy, known_at, fresh=fresh
        )
        return policy or AccountPolicy()

    def drop(self, kind: Kind, key: str) -> None:
        """Forget the cached fact and any read in flight: it was just written."""
        self._cache.pop((kind, key), None)
        self._pending.pop((kind, key), None)

    async def _read[Fact](
        self,
        kind: Kind,
        key: str,
        make: Callable[[StoredDocument], Fact],
        known_at: datetime | None,
        *,
        fresh: bool,
    ) -> Fact | None:
        async def load() -> Fact | None:
            record = await self._records.get(kind, key)
            return make(record) if record is not None else None

        return await self._fact(kind, key, load, known_at, fresh=fresh)

    async def _fact[Fact](
        self,
        kind: Kind,
        key: str,
        load: Callable[[], Awaitable[Fact | None]],
        known_at: datetime | None,
        *,
        fresh: bool,
    ) -> Fact | None:
        now = self._clock.now()
        slot = (kind, key)
        if not fresh:
            cached = self._cache.get(slot)
            if cached is not None and self._holds(cached, now, known_at):
                return cast("Fact", cached.value)
            pending = self._pending.get(slot)
            if pending is not None and (known_at is None or known_at <= pending.read_at):
                return cast("Fact | None", await asyncio.shield(pending.task))
        task = asyncio.create_task(self._load(slot, load, now), context=NO_REQUEST())
        # Where all who wait have given up, no one else reads how it failed.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._pending[slot] = _Pending(task, now)
        # Shielded: who gives up waiting takes no one else's answer away.
        return cast("Fact | None", await asyncio.shield(task))

    async def _load(
        self, slot: tuple[Kind, str], load: Callable[[], Awaitable[object]], now: datetime
    ) -> object:
        mine = asyncio.current_task()
        try:
            fact = await load()
        finally:
            pending = self._pending.get(slot)
            is_newest = pending is not None and pending.task is mine
            if is_newest:
                del self._pending[slot]
        if not is_newest:  # written, or requested afresh, since we began
            return fact
        if fact is None:
            self._cache.pop(slot, None)
            return None
        self._cache[slot] = _Cached(fact, now)
        if len(self._cache) > limits.FACTS_CACHED_MAX:
            self._cache.popitem(last=False)
        return fact

    def _holds(self, cached: _Cached, now: datetime, known_at: datetime | None) -> bool:
        if not timedelta(0) <= now - cached.read_at < self._cache_life:
            return False
        return known_at is None or known_at <= cached.read_at
