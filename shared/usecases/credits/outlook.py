"""What an administrator sees of an account's money: now, and ahead."""

from dataclasses import dataclass

from shared.domain.directory.entities import Account
from shared.domain.ledger.model import LedgerState
from shared.domain.ledger.outlook import Outlook, outlook
from shared.ports.clock import Clock
from shared.usecases.directory.accounts import Accounts


@dataclass(frozen=True, slots=True)
class OutlookView:
    """An account's outlook with what a picture of it also shows."""

    account: Account
    state: LedgerState
    outlook: Outlook


class ReadOutlook:
    """Raises NotFound `account_unknown` and StoreUnavailable."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    async def __call__(self, account: str) -> OutlookView:
        """The outlook now."""
        view = await self._accounts.read(account)
        found = outlook(view.state, view.held_micros, self._clock.now())
        return OutlookView(view.account, view.state, found)
