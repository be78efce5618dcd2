"""An account's alerts: their history and their acknowledgements."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.common.errors import NotFound
from shared.domain.credits.alerts import Alert
from shared.domain.ledger.model import Acknowledge
from shared.ports.clock import Clock
from shared.ports.ledger import CommitResult, Ledger
from shared.ports.notices import Notices
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.directory.directory_cache import DirectoryCache

_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Alerts:
    """Shows and acknowledges alerts. Everything raises StoreUnavailable, NotFound
    `account_unknown`."""

    facts: DirectoryCache
    ledger: Ledger
    notices: Notices
    publish: PublishEvents
    clock: Clock

    async def page(
        self, account: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Alert], str | None]:
        """The newest alerts first. Raises Invalid `cursor_invalid`."""
        await self.facts.require_account(account)
        return await self.notices.alerts(account, limit=limit, cursor=cursor)

    async def acknowledge(self, account: str, shown_id: str, actor: str) -> Alert:
        """A person has seen the alert: no reminder follows. The first acknowledgement stays.

        Raises NotFound `alert_unknown`.
        """
        await self.facts.require_account(account)
        number = int(shown_id) if _NUMBER.fullmatch(shown_id) else 0
        if number == 0 or await self.notices.alert(account, number) is None:
            raise NotFound(
                "The account has no alert with this id. Read the account's alerts for the ids.",
                code="alert_unknown",
            )
        await self.notices.acknowledge(account, number, actor, self.clock.now())
        written = await self.ledger.submit(account, Acknowledge(number, actor))
        if isinstance(written, CommitResult) and written.events:
            await self.publish.best_effort(account, hold_book=False)
        seen = await self.notices.alert(account, number)
        if seen is None:
            raise NotFound(
                "The account has no alert with this id. Read the account's alerts for the ids.",
                code="alert_unknown",
            )
        return seen
