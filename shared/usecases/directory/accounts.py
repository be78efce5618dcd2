"""Accounts: settings in the directory, money in the ledger."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.domain.common.errors import Conflict, Invalid, NotAllowed
from shared.domain.common.ids import ID_RULE, is_id
from shared.domain.common.opaque import cursor_invalid
from shared.domain.directory.access import Principal
from shared.domain.directory.entities import Account, AccountSettings, shard_for
from shared.domain.ledger.model import LedgerState
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook
from shared.ports.ledger import Ledger
from shared.ports.records import RecordStore, SavedDocument
from shared.usecases.directory import codecs
from shared.usecases.directory.codecs import Kind
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.directory.sync_ledger_settings import OpenLedger


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account for display: settings, ledger, and the amount that open holds reserve."""

    account: Account
    state: LedgerState
    held_micros: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """Makes, changes and shows accounts. Everything raises StoreUnavailable.

    A new account gets one of `shards` storage accounts, permanently. `evaluate_spend` is called
    with an account whose rules about charges may have changed."""

    records: RecordStore
    facts: DirectoryCache
    ledger: Ledger
    open_ledger: OpenLedger
    holds: HoldBook
    clock: Clock
    evaluate_spend: Callable[[str], None]
    shards: int = 1

    async def put(
        self, account: str, settings: AccountSettings, if_match: str | None
    ) -> tuple[AccountView, SavedDocument]:
        """Create or replace the settings, and open the ledger.

        Raises Invalid `id_invalid`, Conflict `currency_fixed`, and what `RecordStore.put` raises.
        """
        if not is_id(account):
            raise Invalid(f"The id is not valid. An account's id has {ID_RULE}.", code="id_invalid")
        present = await self.facts.account(account, fresh=True)
        if present is not None and if_match is not None:
            _same_currency(present.settings, settings)
        created_at = present.created_at if present else self.clock.now()
        shard = present.shard if present else shard_for(account, self.shards)
        requested = Account(account, settings, 0, created_at, shard)
        saved = await self.records.put(
            Kind.ACCOUNT, account, codecs.account_document(requested), if_match=if_match
        )
        self.facts.drop(Kind.ACCOUNT, account)
        view = await self.read(account)
        if settings.spend_rules:
            self.evaluate_spend(account)
        return view, saved

    async def read(self, account: str) -> AccountView:
        """The present account. Raises NotFound `account_unknown`, Conflict `ledger_not_open`."""
        facts = await self.facts.require_account(account, fresh=True)
        # Holds first: a debit in between then counts twice rather than not at all.
        held = await self.holds.view(account)
        state = await self.ledger.state(account)
        if state is None or state.settings_version < facts.settings_version:
            # New, or a process died after the settings were written.
            await self.open_ledger(facts)
            state = await self.ledger.state(account)
            held = await self.holds.view(account)  # limit and pool hold for the next question
        if state is None:
            raise Conflict(
                "The account's ledger is not open yet. Send the PUT of the account again.",
                code="ledger_not_open",
            )
        return AccountView(facts, state, held.held_micros(self.clock.now()))

    async def cards_of(self, principal: Principal, *, fresh: bool = False) -> frozenset[str]:
        """The rate cards that the accounts of a principal for some accounts use."""
        accounts = [await self.facts.account(each, fresh=fresh) for each in principal.accounts]
        return frozenset(card for each in accounts if each for card in each.settings.cards)

    async def require_card(self, principal: Principal, card: str) -> None:
        """Raises NotAllowed `rate_card_not_allowed` unless the principal sees the card, which is so
        for all accounts, or where an account of theirs uses it; the same for one that is absent."""
        if principal.sees_all_accounts or card in await self.cards_of(principal):
            return
        if card not in await self.cards_of(principal, fresh=True):
            raise NotAllowed(
                "None of your accounts uses the rate card. Use a key for all accounts.",
                code="rate_card_not_allowed",
            )

    async def page(
        self, principal: Principal, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Account], str | None]:
        """The accounts that the principal sees, by id. Raises Invalid `cursor_invalid`."""
        if principal.sees_all_accounts:
            records, following = await self.records.list(Kind.ACCOUNT, limit=limit, cursor=cursor)
            return [codecs.account(record) for record in records], following
        if cursor is not None and not is_id(cursor):
            raise cursor_invalid()
        own = [account for account in sorted(principal.accounts) if account > (cursor or "")]
        accounts = [await self.facts.account(account) for account in own[:limit]]
        following = own[limit - 1] if len(own) > limit else None
        return [account for account in accounts if account is not None], following


def _same_currency(present: AccountSettings, requested: AccountSettings) -> None:
    if present.currency != requested.currency:
        raise Conflict(
            "The currency of an account never changes. "
            "Create another account for another currency.",
            code="currency_fixed",
        )
