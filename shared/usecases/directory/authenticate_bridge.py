"""Lets bridges in, each by its own scheme and credentials (docs/access.md)."""

from collections.abc import Callable, Mapping
from datetime import datetime

from shared.domain.common import limits
from shared.domain.common.errors import NotAuthenticated
from shared.domain.directory.entities import Bridge
from shared.domain.directory.request_signatures import BridgeAuth
from shared.pacing import Allowance, Budgets
from shared.ports.clock import Clock
from shared.usecases.directory.directory_cache import DirectoryCache

type Verify = Callable[[BridgeAuth | None, Mapping[str, str], bytes, datetime], str | None]
"""(auth, headers by lower-case name, raw body, now) → webhook id; raises NotAuthenticated."""

_UNPROVEN = "unproven"
_UNPROVEN_READS = Allowance(limits.UNPROVEN_READS_PER_SECOND, limits.UNPROVEN_READS_PER_SECOND)


class BridgeAuthenticator:
    """Proof that a request comes from the bridge that its path names.

    What nobody has proved costs the same whether there is such a bridge or not: two verifications
    and one read, and all such reads together have a budget. A bridge that proves itself by the
    credentials that this process remembers is never limited by that budget.
    """

    def __init__(
        self,
        facts: DirectoryCache,
        verify: Verify,
        clock: Clock,
        budgets: Budgets,
        allowance: Allowance,
    ) -> None:
        self._facts = facts
        self._verify = verify
        self._clock = clock
        self._budgets = budgets
        self._allowance = allowance

    async def __call__(
        self, name: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Bridge, str | None]:
        """(bridge, webhook id where its scheme has one). Raises NotAuthenticated, RateLimited.

        A refusal is only given on fresh facts: a secret that was just rotated holds at once.
        """
        remembered, is_current = self._facts.remembered_bridge(name)
        try:
            let_in = self._let_in(remembered, headers, body)
            if not is_current:
                let_in = self._let_in(await self._facts.bridge(name), headers, body)
        except NotAuthenticated:
            self._budgets.admit(_UNPROVEN, _UNPROVEN_READS)
            let_in = self._let_in(await self._facts.bridge(name, fresh=True), headers, body)
        caller = f"bridge:{let_in[0].id}"
        self._budgets.admit(caller, self._allowance)
        self._budgets.spend(caller, len(body) // 1024)
        return let_in

    def _let_in(
        self, bridge: Bridge | None, headers: Mapping[str, str], body: bytes
    ) -> tuple[Bridge, str | None]:
        auth = bridge.auth if bridge else None
        webhook_id = self._verify(auth, headers, body, self._clock.now())
        if bridge is None or bridge.disabled:
            raise NotAuthenticated("The credentials are missing, wrong or out of date.")
        return bridge, webhook_id
