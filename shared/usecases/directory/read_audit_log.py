"""The audit log: actor, setting and time of each change, for principals with access to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.directory.access import Principal
from shared.ports.audit import AuditLog, ChangeFilter, LoggedChange


@dataclass(frozen=True, slots=True)
class ReadAuditLog:
    """Reads the audit log for a principal."""

    log: AuditLog

    async def __call__(
        self,
        principal: Principal,
        *,
        account: str | None,
        since: datetime | None,
        until: datetime | None,
        actor: str | None,
        kind: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[Sequence[LoggedChange], str | None]:
        """Changes of an account; without `account` of all that the principal sees: for all accounts
        also what they share (rate cards, bridges, API keys). The newest first.

        Raises NotAllowed `account_not_allowed`, Invalid `cursor_invalid`, StoreUnavailable.
        """
        accounts: Sequence[str] | None
        if account is not None:
            principal.require_account(account)
            accounts = [account]
        else:
            accounts = None if principal.sees_all_accounts else sorted(principal.accounts)
        filters = ChangeFilter(accounts, since, until, actor, kind)
        return await self.log.page(filters, limit=limit, cursor=cursor)
