"""Authentication of administrators: by API key, Entra token, or the deployment's own key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.domain.directory.access import ALL_ACCOUNTS, Principal, Role
from shared.domain.directory.credentials import presented_api_key
from shared.domain.directory.request_signatures import authorization, refused, same_secret
from shared.ports.activity import KeyUses
from shared.ports.clock import Clock
from shared.usecases.directory.directory_cache import DirectoryCache

BOOTSTRAP = Principal("bootstrap", frozenset({Role.ADMIN}), frozenset({ALL_ACCOUNTS}))


class Tokens(Protocol):
    """Verifies access tokens of an identity provider."""

    def are_meant(self, token: str) -> bool:
        """True if the credential is a JSON Web Token, valid or not, rather than an API key."""
        ...

    async def verify(self, token: str) -> Principal:
        """The principal that it names. Raises NotAuthenticated, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Administrators:
    """Authenticates administrators.

    `bootstrap_key` is the key of a deployment that has no API key yet; None where it was taken
    away. `tokens` is None where no tenant is set.
    """

    facts: DirectoryCache
    bootstrap_key: str | None
    uses: KeyUses
    clock: Clock
    tokens: Tokens | None = None

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """The principal that sent these headers (lower-case names).

        Raises NotAuthenticated, StoreUnavailable, Unavailable.
        """
        token = authorization(headers, "bearer")
        if self.bootstrap_key is not None and same_secret(
            token.encode("utf-8", "backslashreplace"), self.bootstrap_key.encode()
        ):
            return BOOTSTRAP
        if self.tokens is not None and self.tokens.are_meant(token):
            return await self.tokens.verify(token)
        presented = presented_api_key(headers)
        # Always read: a key that was deleted opens nothing from the next request on.
        kept = await self.facts.api_key(presented.key_id, fresh=True)
        if not presented.matches(kept.secret_hash if kept else None) or kept is None:
            raise refused("no such API key")
        if kept.has_expired(self.clock.now()):
            raise refused("the API key has expired")
        self.uses.note(kept.id)
        return Principal(kept.actor, kept.roles, kept.accounts, kept.id)
