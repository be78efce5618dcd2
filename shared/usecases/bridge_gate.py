"""Lets bridges in, each by its own scheme and credentials (docs/access.md)."""

from collections.abc import Callable, Mapping
from datetime import datetime

from shared.domain.directory import Bridge
from shared.domain.errors import NotAuthenticated
from shared.domain.signatures import BridgeAuth
from shared.ports.world import Clock
from shared.usecases.facts import Facts

type Verify = Callable[[BridgeAuth | None, Mapping[str, str], bytes, datetime], str | None]
"""(auth, headers by lower-case name, raw body, now) → webhook id; raises NotAuthenticated."""


class BridgeGate:
    """Proof that a request comes from the bridge that its path names."""

    def __init__(self, facts: Facts, verify: Verify, clock: Clock) -> None:
        self._facts = facts
        self._verify = verify
        self._clock = clock

    async def __call__(
        self, name: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Bridge, str | None]:
        """(bridge, webhook id where its scheme has one). Raises NotAuthenticated.

        A refusal is only given on fresh facts: a secret that was just rotated holds at once.
        """
        bridge = await self._facts.bridge(name)
        try:
            return self._let_in(bridge, headers, body)
        except NotAuthenticated:
            return self._let_in(await self._facts.bridge(name, fresh=True), headers, body)

    def _let_in(
        self, bridge: Bridge | None, headers: Mapping[str, str], body: bytes
    ) -> tuple[Bridge, str | None]:
        auth = bridge.auth if bridge else None
        webhook_id = self._verify(auth, headers, body, self._clock.now())
        if bridge is None:
            raise NotAuthenticated("The credentials are missing, wrong or out of date.")
        return bridge, webhook_id
