"""Credits come in: a top-up or a grant, once per idempotency key."""

from shared.domain.directory import Account
from shared.domain.errors import Conflict, Invalid, NotFound, OutcomeUnknown, Unavailable
from shared.domain.ledger import Entry, TopUp
from shared.ports import Clash, Ledger, Written
from shared.usecases.facts import Facts
from shared.usecases.open_ledger import OpenLedger
from shared.usecases.publish_events import PublishEvents


class CreditAccount:
    """Writes a top-up into the ledger."""

    def __init__(
        self, facts: Facts, ledger: Ledger, open_ledger: OpenLedger, publish: PublishEvents
    ) -> None:
        self._facts = facts
        self._ledger = ledger
        self._open_ledger = open_ledger
        self._publish = publish

    async def __call__(self, account: str, command: TopUp) -> tuple[Entry, bool]:
        """(the entry, whether it was there before).

        Raises NotFound `account_unknown`, Invalid (also `idempotency_key_reused`), Conflict
        `too_many_lots`, and Unavailable when it is not certain: come back with the same key.
        """
        known = await self._facts.account(account)
        if known is None:
            raise NotFound("There is no such account.", code="account_unknown")
        try:
            written = await self._submit(known, command)
        except OutcomeUnknown as unknown:
            raise Unavailable("It is not certain that the credits are booked.") from unknown
        if isinstance(written, Clash):
            raise Invalid(
                "The Idempotency-Key was used with another body.", code="idempotency_key_reused"
            )
        if written.entry is None:
            raise Unavailable("The credits left no entry.")
        if written.events:
            await self._publish.best_effort(account)
        return written.entry, written.repeated

    async def _submit(self, account: Account, command: TopUp) -> Written | Clash:
        try:
            return await self._ledger.submit(account.id, command)
        except Conflict as conflict:
            if conflict.code != "ledger_not_open":
                raise
            await self._open_ledger(account)
            return await self._ledger.submit(account.id, command)
