"""Comparison of an account's answered legs with a file of call records; nothing is stored."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import TooLarge
from shared.domain.directory.access import Principal
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.reconciliation.matching import (
    SHIFT_MAX,
    CarrierRecord,
    Period,
    ProductLeg,
    Reconciliation,
    Tolerance,
    reconcile,
)
from shared.pacing import yield_to_others
from shared.usecases.charging.answered_legs import AnsweredLeg, AnsweredLegs
from shared.usecases.charging.past_legs import AnsweredSpan
from shared.usecases.directory.directory_cache import DirectoryCache

_EPOCH = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReconciliationResult:
    """A reconciliation with the span and the currency that it is of."""

    found: Reconciliation
    period: Period
    currency: str


@dataclass(frozen=True, slots=True)
class ReconcileLegs:
    """Reads the legs of the records' time and compares both."""

    facts: DirectoryCache
    answered_legs: AnsweredLegs

    async def __call__(
        self,
        account: str,
        records: Sequence[CarrierRecord],
        tolerance: Tolerance,
        currency: str | None,
        span: tuple[datetime | None, datetime | None],
        principal: Principal,
    ) -> ReconciliationResult:
        """Compare records with legs. The default span is that of the records, the default currency
        that of the account.

        Raises NotAllowed, NotFound `account_unknown`, TooLarge, StoreUnavailable.
        """
        principal.require_account(account)
        facts = await self.facts.require_account(account)
        period = _period(records, span)
        charged, is_complete = await self.answered_legs(
            account,
            AnsweredSpan(period.since - SHIFT_MAX, period.until + SHIFT_MAX),
            limit=limits.RECONCILIATION_LEGS_MAX,
        )
        if not is_complete:
            raise TooLarge(
                f"The span has more than {limits.RECONCILIATION_LEGS_MAX:,} legs. "
                "Choose a shorter span."
            )
        legs: list[ProductLeg] = []
        for each in charged:
            await yield_to_others()
            legs.append(_leg(each))
        currency = currency or facts.settings.currency
        outcome = await asyncio.to_thread(reconcile, records, legs, tolerance, period, currency)
        return ReconciliationResult(outcome, period, currency)


def _period(
    records: Sequence[CarrierRecord], span: tuple[datetime | None, datetime | None]
) -> Period:
    since, until = span
    times = [each.answered_at for each in records] or [_EPOCH]
    return Period(since or min(times), until or max(times) + timedelta(seconds=1))


def _leg(leg: AnsweredLeg) -> ProductLeg:
    charge, person = ChargeRecord(leg.charge), leg.record.person
    amounts = {charge.currency: leg.net_micros}
    if charge.carrier:
        micros, currency = charge.carrier
        amounts.setdefault(currency, micros)
    return ProductLeg(
        key=leg.record.leg,
        kind=charge.kind,
        number=str(person.get("to") or ""),
        caller=str(person.get("from") or ""),
        answered_at=charge.answered_at or charge.started_at,
        seconds=charge.talk_seconds,
        amounts=amounts,
    )
