"""Copies the settings that the ledger needs from the directory into the ledger."""

from dataclasses import dataclass

from shared.domain.common.errors import Conflict
from shared.domain.credits.included_minutes import POOL_SECONDS_PER_LICENSE
from shared.domain.directory.entities import Account
from shared.domain.ledger.model import Command, Configure
from shared.ports.ledger import CommitResult, IdempotencyConflict, Ledger


@dataclass(frozen=True, slots=True)
class OpenLedger:
    """Opens an account's ledger, or updates its settings; a repetition changes nothing.

    The directory is written first. A crash in between is repaired by the next process that finds
    the ledger behind.
    """

    ledger: Ledger

    async def __call__(self, account: Account) -> None:
        """Raises Unavailable when the outcome is uncertain."""
        settings = account.settings
        await self.ledger.submit(
            account.id,
            Configure(
                settings_version=account.settings_version,
                currency=settings.currency,
                credit_limit_micros=settings.credit_limit_micros,
                alert_rules=settings.alerts,
                auto_recharge=settings.auto_recharge,
                time_zone=settings.time_zone,
                pool_seconds=settings.subscription_licenses * POOL_SECONDS_PER_LICENSE,
            ),
        )

    async def submit(
        self, account: Account, command: Command
    ) -> CommitResult | IdempotencyConflict:
        """The outcome of a command, for which a ledger that is not open is opened first. Raises
        what `Ledger.submit` raises."""
        try:
            return await self.ledger.submit(account.id, command)
        except Conflict as conflict:
            if conflict.code != "ledger_not_open":
                raise
            await self(account)
            return await self.ledger.submit(account.id, command)
