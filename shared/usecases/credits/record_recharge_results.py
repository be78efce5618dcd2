"""Results from the payment system: the money of a recharge is booked once, however often the result
is reported."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.common import limits
from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import (
    Conflict,
    NotFound,
    Unavailable,
)
from shared.domain.credits.recharge import (
    Recharge,
    RechargeStatus,
    mismatch,
    read_recharge_id,
    recharge_id,
)
from shared.domain.directory.access import Principal
from shared.domain.ledger.model import AnswerRecharge
from shared.ports.holds import HoldBook
from shared.ports.ledger import IdempotencyConflict, Ledger
from shared.ports.notices import Notices
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class RechargeResult:
    """The payment provider's result of a recharge."""

    status: RechargeStatus
    amount_micros: int
    currency: str
    reference: str | None = None
    hard: bool = False


@dataclass(frozen=True, slots=True)
class RechargeService:
    """Records results and lists the recharges of an account. Everything raises StoreUnavailable."""

    facts: DirectoryCache
    ledger: Ledger
    holds: HoldBook
    notices: Notices
    publish: PublishEvents

    async def answer(self, principal: Principal, shown_id: str, result: RechargeResult) -> Recharge:
        """The recharge after the answer.

        Raises NotFound `recharge_unknown`, NotAllowed, Conflict `recharge_settled` (it succeeded
        before), Invalid `recharge_mismatch` (another amount or currency; stored for a person),
        Conflict `too_many_lots`, and Unavailable when the outcome is uncertain: repeat the request.
        """
        account, number = _parsed(shown_id)
        principal.require_account(account)
        for _ in range(limits.RECHARGE_ANSWER_TRIES_MAX):
            recharge = await self._find(account, number)
            if recharge is None:
                raise NotFound(
                    "No recharge has this id. Send the id of the event recharge.requested.",
                    code="recharge_unknown",
                )
            try:
                return await self._submit(account, recharge, result, principal.name)
            except Conflict as conflict:
                if conflict.code != "recharge_moved_on":
                    raise
                # Our records are behind the ledger: its events wait for a topic, or for a timer.
                await self.publish.keep_records(account)
        raise Unavailable("Other requests change the recharge at the same time.")

    async def page(
        self, account: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Recharge], str | None]:
        """An account's recharges, the newest first. Raises NotFound, Invalid `cursor_invalid`."""
        await self.facts.require_account(account)
        return await self.notices.recharges(account, limit=limit, cursor=cursor)

    async def _find(self, account: str, number: int) -> Recharge | None:
        """The ledger has the open recharge, the records have all others."""
        state = await self.ledger.state(account)
        if state is None or number > state.recharges.number:
            return None
        pending = state.recharges.pending
        if pending is not None and pending.number == number:
            return pending
        recharge = await self.notices.recharge(account, number)
        if recharge is None:
            await self.publish.keep_records(account)
            recharge = await self.notices.recharge(account, number)
        return recharge

    async def _submit(
        self, account: str, recharge: Recharge, result: RechargeResult, actor: str
    ) -> Recharge:
        key = recharge_id(account, recharge.number)
        command = AnswerRecharge(
            recharge=recharge,
            status=result.status,
            amount_micros=result.amount_micros,
            currency=result.currency,
            key=key,
            digest=content_digest([key, result.amount_micros, result.currency]),
            reference=result.reference,
            hard=result.hard,
            actor=actor,
        )
        written = await self.ledger.submit(account, command)
        if isinstance(written, IdempotencyConflict):
            raise Conflict(
                "The recharge has succeeded with another amount or currency. "
                "Book an adjustment for the difference.",
                code="recharge_settled",
            )
        if written.entry is not None:
            await self.holds.refresh(account)
        if written.events:
            await self.publish.best_effort(account, hold_book=False)
        after = await self._find(account, recharge.number) or recharge
        if after.status is not result.status:  # unless it does not fit, our records are behind
            await self.publish.keep_records(account)
            after = await self._find(account, recharge.number) or recharge
        if after.status is RechargeStatus.PARKED:
            raise mismatch(after.detail or "")
        return after


def _parsed(shown_id: str) -> tuple[str, int]:
    parsed = read_recharge_id(shown_id)
    if parsed is None:
        raise NotFound(
            "No recharge has this id. Send the id of the event recharge.requested.",
            code="recharge_unknown",
        )
    return parsed
