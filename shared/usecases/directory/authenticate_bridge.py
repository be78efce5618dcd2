"""Authenticates bridges, each by its own scheme and credentials (docs/access.md)."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.common import limits
from shared.domain.common.errors import NotAuthenticated, StoreUnavailable
from shared.domain.directory.credentials import verify_bridge
from shared.domain.directory.entities import Bridge
from shared.domain.directory.request_signatures import refused
from shared.pacing import CallerBudgets, RequestQuota
from shared.ports.clock import Clock
from shared.usecases.directory.directory_cache import DirectoryCache

_UNPROVEN = "unproven"
_UNPROVEN_READS = RequestQuota(limits.UNPROVEN_READS_PER_SECOND, limits.UNPROVEN_READS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class BridgeAuthenticator:
    """Authentication of the bridge that a request's path names.

    Each request costs two verifications and one read, whether there is such a bridge or not. The
    read detects a bridge that any process disabled or deleted, and a secret that any process
    replaced. Reads for requests that the cached credentials do not prove share a budget. While the
    store can't answer, a read of the last 30 s counts.
    """

    facts: DirectoryCache
    clock: Clock
    budgets: CallerBudgets
    allowance: RequestQuota

    async def __call__(
        self,
        name: str,
        headers: Mapping[str, str],
        body: bytes,
        url: str = "",
        *,
        is_event: bool = True,
    ) -> tuple[Bridge, str | None]:
        """(bridge, webhook id where its scheme has one); `url` is as requested. `is_event`: the
        request is an event; vendors sign events only.

        Raises NotAuthenticated, RateLimited, StoreUnavailable.
        """
        came_in = self.clock.now()
        remembered, is_current = self.facts.remembered_bridge(name)
        is_proven = False
        try:
            authenticated = self._authenticated(remembered, headers, body, url, is_event)
            is_proven = True
        except NotAuthenticated:
            self.budgets.admit(_UNPROVEN, _UNPROVEN_READS)
        try:
            present = await self.facts.bridge(name, known_at=came_in, fresh=not is_proven)
        except StoreUnavailable:
            if not (is_proven and is_current):
                raise
        else:
            authenticated = self._authenticated(present, headers, body, url, is_event)
        caller = f"bridge:{authenticated[0].id}"
        self.budgets.admit(caller, self.allowance)
        self.budgets.spend(caller, len(body) // 1024)
        return authenticated

    def _authenticated(
        self,
        bridge: Bridge | None,
        headers: Mapping[str, str],
        body: bytes,
        url: str,
        is_event: bool,
    ) -> tuple[Bridge, str | None]:
        auth = bridge.auth if bridge else None
        called, now = _as_called(bridge, url), self.clock.now()
        verified = verify_bridge(auth, headers, body, now, called, is_event=is_event)
        if bridge is None or bridge.disabled:
            raise refused("there is no such bridge" if bridge is None else "the bridge is disabled")
        return bridge, verified.webhook_id


def _as_called(bridge: Bridge | None, url: str) -> str:
    """The URL that a vendor signed: the bridge's public URL with the query of the request."""
    if bridge is None or bridge.public_url is None:
        return url
    _, question_mark, query = url.partition("?")
    return f"{bridge.public_url}{question_mark}{query}"
