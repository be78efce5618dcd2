"""An account's money for its administrator: the present state and the forecast."""

from dataclasses import dataclass

from shared.domain.directory.entities import Account
from shared.domain.ledger.model import LedgerState
from shared.domain.ledger.outlook import Outlook, outlook
from shared.ports.clock import Clock
from shared.usecases.directory.accounts import Accounts


@dataclass(frozen=True, slots=True)
class OutlookView:
    """An account's outlook with the further data of its chart."""

    account: Account
    state: LedgerState
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class ReadOutlook:
    """Raises NotFound `account_unknown` and StoreUnavailable."""

    accounts: Accounts
    clock: Clock

    async def __call__(self, account: str) -> OutlookView:
        """The outlook now."""
        view = await self.accounts.read(account)
        forecast = outlook(view.state, view.held_micros, self.clock.now())
        return OutlookView(view.account, view.state, forecast)
