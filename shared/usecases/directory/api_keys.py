"""API keys: created, displayed once, stored as a hash, revoked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.common.errors import Invalid, NotFound
from shared.domain.directory.access import Role
from shared.domain.directory.credentials import new_api_key
from shared.domain.directory.entities import ApiKey
from shared.ports.activity import KeyUses
from shared.ports.audit import NOBODY
from shared.ports.clock import Clock, Ids
from shared.ports.records import RecordStore, all_records
from shared.usecases.directory import codecs
from shared.usecases.directory.authenticate_admin import BOOTSTRAP
from shared.usecases.directory.codecs import Kind
from shared.usecases.directory.directory_cache import DirectoryCache

_RESERVED = frozenset({BOOTSTRAP.name, NOBODY.name})
_ENTRA = "entra:"


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """Everything raises StoreUnavailable."""

    records: RecordStore
    facts: DirectoryCache
    uses: KeyUses
    clock: Clock
    ids: Ids

    async def create(
        self,
        name: str,
        roles: frozenset[Role],
        accounts: frozenset[str],
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """The stored key, and the key that its holder sends: shown once.

        Raises Invalid for an expiry in the past, and for a name that the ledger and the audit log
        reserve.
        """
        now = self.clock.now()
        if expires_at is not None and expires_at <= now:
            raise Invalid.field("/expires_at", "must be in the future")
        if name in _RESERVED or name.startswith(_ENTRA):
            raise Invalid.field(
                "/name", f"must not be {', '.join(sorted(_RESERVED))} or begin with {_ENTRA}"
            )
        new = new_api_key(self.ids.token)
        others = await all_records(self.records, Kind.API_KEY)
        taken = {codecs.api_key(record).actor for record in others}
        kept = ApiKey(
            id=new.key_id,
            name=name,
            roles=roles,
            accounts=accounts,
            secret_hash=new.secret_hash,
            created_at=now,
            expires_at=expires_at,
            actor=f"{name} ({new.key_id})" if name in taken else name,
        )
        await self.records.put(Kind.API_KEY, kept.id, codecs.api_key_document(kept), if_match=None)
        return kept, new.key

    async def page(
        self, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[tuple[ApiKey, datetime | None]], str | None]:
        """All keys, each with the time of its last use. Raises Invalid `cursor_invalid`."""
        records, following = await self.records.list(Kind.API_KEY, limit=limit, cursor=cursor)
        last = await self.uses.last()
        return [(codecs.api_key(each), last.get(each.key)) for each in records], following

    async def delete(self, key_id: str) -> None:
        """Revoke a key. Every process refuses it from the next request on. Raises NotFound."""
        removed = await self.records.delete(Kind.API_KEY, key_id)
        self.facts.drop(Kind.API_KEY, key_id)
        if not removed:
            raise NotFound(
                "No API key has this id. List the API keys for the ids.", code="api_key_unknown"
            )
