"""What is registered, read through a short cache.

A fact lives at most 30 s in this process. Absence is never cached, so what was just registered
holds at once; our own writes drop what was cached. `fresh=True` reads past the cache.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain import limits
from shared.domain.dial_out_facts import OrganizerFacts
from shared.domain.directory import Account, ApiKey, Bridge, Registration
from shared.domain.policy import AccountPolicy
from shared.ports import Clock, Record, RecordStore
from shared.usecases import documents
from shared.usecases.documents import Kind


@dataclass(frozen=True, slots=True)
class WireReaders:
    """How the documents are read that are kept as wire bodies: (id, body) and (body)."""

    organizer: Callable[[str, Mapping[str, object]], OrganizerFacts]
    policy: Callable[[Mapping[str, object]], AccountPolicy]


@dataclass(frozen=True, slots=True)
class _Cached:
    value: object
    read_at: datetime


class Facts:
    """Facts by kind and key. All readers raise StoreUnavailable."""

    def __init__(
        self,
        records: RecordStore,
        clock: Clock,
        readers: WireReaders,
        cache_seconds: float = limits.FACTS_SECONDS_MAX,
    ) -> None:
        self._records = records
        self._clock = clock
        self._readers = readers
        self._cache_life = timedelta(seconds=cache_seconds)
        self._cache: OrderedDict[tuple[Kind, str], _Cached] = OrderedDict()
        self._drops = 0

    async def account(self, account: str, *, fresh: bool = False) -> Account | None:
        """The account, or None."""
        return await self._read(Kind.ACCOUNT, account, documents.account, fresh=fresh)

    async def organizer(
        self, account: str, organizer: str, *, fresh: bool = False
    ) -> OrganizerFacts | None:
        """The organizer of this account, or None."""
        return await self._read(
            Kind.ORGANIZER,
            documents.organizer_key(account, organizer),
            lambda record: self._readers.organizer(organizer, record.document),
            fresh=fresh,
        )

    async def conference(
        self, conference: str, *, known_at: datetime | None = None, fresh: bool = False
    ) -> tuple[Registration, ...]:
        """Its registrations, for `registration_at`; empty if there are none.

        What is asked for a moment `known_at` is never answered from what was read before it, so
        a change from its PUT on is seen by every leg that comes after.
        """
        return await self._history(Kind.CONFERENCE, conference, known_at, fresh=fresh)

    async def service_number(
        self, number: str, *, known_at: datetime | None = None, fresh: bool = False
    ) -> tuple[Registration, ...]:
        """Its registrations, as `conference` gives them."""
        return await self._history(Kind.SERVICE_NUMBER, number, known_at, fresh=fresh)

    async def bridge(self, bridge: str, *, fresh: bool = False) -> Bridge | None:
        """The bridge with its secrets, or None."""
        return await self._read(Kind.BRIDGE, bridge, documents.bridge, fresh=fresh)

    async def api_key(self, key_id: str, *, fresh: bool = False) -> ApiKey | None:
        """The API key, or None."""
        return await self._read(Kind.API_KEY, key_id, documents.api_key, fresh=fresh)

    async def dial_out_policy(self, account: str, *, fresh: bool = False) -> AccountPolicy:
        """The account's own policy; the default one where none was put."""
        found = await self._read(
            Kind.DIAL_OUT_POLICY,
            account,
            lambda record: self._readers.policy(record.document),
            fresh=fresh,
        )
        return found or AccountPolicy()

    def drop(self, kind: Kind, key: str) -> None:
        """Forget what is cached: it was just written."""
        self._drops += 1
        self._cache.pop((kind, key), None)

    async def _history(
        self, kind: Kind, key: str, known_at: datetime | None, *, fresh: bool
    ) -> tuple[Registration, ...]:
        found = await self._read(kind, key, documents.registrations, fresh=fresh, known_at=known_at)
        return found or ()

    async def _read[Fact](
        self,
        kind: Kind,
        key: str,
        make: Callable[[Record], Fact],
        *,
        fresh: bool,
        known_at: datetime | None = None,
    ) -> Fact | None:
        now = self._clock.now()
        cached = None if fresh else self._cache.get((kind, key))
        if cached is not None and self._holds(cached, now, known_at):
            return cached.value  # type: ignore[return-value]  # of the kind that made it
        drops = self._drops
        record = await self._records.get(kind, key)
        if record is None:
            self._cache.pop((kind, key), None)
            return None
        fact = make(record)
        if drops == self._drops:  # nobody wrote while we were reading
            self._cache[kind, key] = _Cached(fact, now)
            if len(self._cache) > limits.FACTS_CACHED_MAX:
                self._cache.popitem(last=False)
        return fact

    def _holds(self, cached: _Cached, now: datetime, known_at: datetime | None) -> bool:
        if not timedelta(0) <= now - cached.read_at < self._cache_life:
            return False
        return known_at is None or known_at < cached.read_at
