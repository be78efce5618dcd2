"""API keys: made once, shown once, kept as a hash, taken away."""

from collections.abc import Callable, Sequence
from typing import Protocol

from shared.domain.access import Role
from shared.domain.directory import ApiKey
from shared.domain.errors import NotFound
from shared.ports.records import RecordStore
from shared.ports.world import Clock
from shared.usecases import documents
from shared.usecases.documents import Kind
from shared.usecases.facts import Facts


class NewKey(Protocol):
    """A key just made; `key` is what its holder sends."""

    @property
    def key_id(self) -> str:
        """Under which the hash is kept."""
        ...

    @property
    def key(self) -> str:
        """The whole key, shown once."""
        ...

    @property
    def secret_hash(self) -> str:
        """What is kept."""
        ...


class ApiKeys:
    """Everything raises StoreUnavailable."""

    def __init__(
        self, records: RecordStore, facts: Facts, clock: Clock, new_key: Callable[[], NewKey]
    ) -> None:
        self._records = records
        self._facts = facts
        self._clock = clock
        self._new_key = new_key

    async def create(
        self, name: str, roles: frozenset[Role], accounts: frozenset[str]
    ) -> tuple[ApiKey, str]:
        """The key as it is kept, and as its holder sends it: shown this once."""
        new = self._new_key()
        kept = ApiKey(new.key_id, name, roles, accounts, new.secret_hash, self._clock.now())
        await self._records.put(
            Kind.API_KEY, kept.id, documents.api_key_document(kept), if_match=None
        )
        return kept, new.key

    async def page(self, *, limit: int, cursor: str | None) -> tuple[Sequence[ApiKey], str | None]:
        """All keys. Raises Invalid `cursor_invalid`."""
        found, following = await self._records.list(Kind.API_KEY, limit=limit, cursor=cursor)
        return [documents.api_key(record) for record in found], following

    async def delete(self, key_id: str) -> None:
        """Take a key away; other processes may let it in for 30 s more. Raises NotFound."""
        removed = await self._records.delete(Kind.API_KEY, key_id)
        self._facts.drop(Kind.API_KEY, key_id)
        if not removed:
            raise NotFound("There is no such API key.", code="api_key_unknown")
