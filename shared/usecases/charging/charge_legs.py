"""Rates and debits queued legs, once each, and parks a leg that can't be charged, with the reason.
The guard in the ledger's transaction prevents a second debit: the queue may deliver a message any
number of times, in any order, to any process.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.charging import charge_record
from shared.domain.charging.charge_record import ResolvedLeg, Unchargeable, charged_version
from shared.domain.common import limits
from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import (
    Conflict,
    PerminuteError,
    SettingsUnreadable,
    StoreError,
    Unavailable,
    authorization_used,
)
from shared.domain.common.kinds import LegKind
from shared.domain.credits.alerts import LEG_PARKED
from shared.domain.credits.included_minutes import pool_month
from shared.domain.directory.access import Principal
from shared.domain.directory.entities import Account
from shared.domain.ledger.model import Announce, DebitLeg, Entry, HoldEffect, LegCharge, PoolRequest
from shared.domain.legs.leg import EndedLeg, QueuedLeg, encode_leg_key, leg_document
from shared.domain.legs.parking import (
    WAYS_OUT,
    ParkedLeg,
    ParkReason,
    earlier_parked_ids,
    parked_id,
)
from shared.domain.numbers.numbers import caller_origin, is_international
from shared.domain.rating.rating import (
    Charge,
    paid_seconds,
    rate_leg,
    rate_missing,
    rest_after,
)
from shared.ports.clock import Clock, Ids
from shared.ports.holds import HoldBook
from shared.ports.ledger import IdempotencyConflict, Ledger, LegRecord
from shared.ports.legs import ParkingLot
from shared.ports.queues import CallQueue
from shared.ports.rate_cards import RateCards
from shared.telemetry import failure
from shared.usecases.charging.resolve_leg import ResolveLeg
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.directory.sync_ledger_settings import OpenLedger
from shared.usecases.legs.receive_legs import leg_messages


class ChargeStatus(StrEnum):
    """The outcome of a queued leg."""

    CHARGED = "charged"
    REPEATED = "repeated"
    PARKED = "parked"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Charged:
    """The outcome for one leg. `amount_micros` is the debit, `balance_micros` the balance after it;
    `charge` explains the debit; `parked` is the parked leg."""

    queued: QueuedLeg
    status: ChargeStatus
    account: str | None = None
    amount_micros: int = 0
    parked: ParkedLeg | None = None
    events: bool = False
    detail: str = ""
    balance_micros: int | None = None
    charge: Mapping[str, object] = field(default_factory=dict)
    organizer: str | None = None
    cost_center: str | None = None


@dataclass(frozen=True, slots=True)
class _LegCost:
    """The cost of a leg if credits pay for all of it, and the seconds that the pool may pay."""

    charge: LegCharge
    pool: PoolRequest | None = None


@dataclass(frozen=True, slots=True)
class NotCharged:
    """A leg to park, with the reason; `account` if it is known. `shown` is displayed with the leg:
    of a conflict, the charged version."""

    queued: QueuedLeg
    why: Unchargeable
    account: str | None = None
    shown: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ChargeLegs:
    """Rates and debits a batch of legs under a deadline."""

    resolve: ResolveLeg
    rate_cards: RateCards
    ledger: Ledger
    open_ledger: OpenLedger
    holds: HoldBook
    parking: ParkingLot
    publish: PublishEvents
    queue: CallQueue
    clock: Clock
    ids: Ids
    debited: Callable[[str], None]

    async def __call__(self, legs: Sequence[QueuedLeg], *, seconds: float) -> list[Charged]:
        """One outcome per leg, in order. After a temporary failure the leg is queued again,
        scheduled for later. A timer publishes the events that miss the time limit, since the broker
        delivers an overdue batch again. Raises QueueUnavailable if a leg can't be queued again:
        then the broker has to deliver the whole batch again.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        outcomes = await asyncio.gather(*(self._within(leg, seconds) for leg in legs))
        await self._send_again([o.queued for o in outcomes if o.status is ChargeStatus.LATER])
        for account in sorted({o.account for o in outcomes if o.account}):
            self.holds.refresh_async(account)
            self.debited(account)
        accounts = sorted({o.account for o in outcomes if o.events and o.account})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(
                    *(self.publish.best_effort(account, hold_book=False) for account in accounts)
                )
        return outcomes

    async def charge(
        self,
        queued: QueuedLeg,
        *,
        on_behalf_of: Principal | None = None,
        corrected: bool = False,
    ) -> Charged | NotCharged:
        """Charge one leg now, or return the reason for parking it. `corrected` as in ResolveLeg.

        Raises Unavailable or a StoreError when the outcome is uncertain; a repetition is safe.
        Raises NotAllowed when the leg belongs to an account that the principal does not see.
        """
        try:
            resolved = await self.resolve(queued, corrected=corrected)
        except SettingsUnreadable as error:
            resolved = Unchargeable(ParkReason.SETTINGS_UNREADABLE, error.detail, error.account)
        whose = resolved.account if isinstance(resolved, Unchargeable) else resolved[1].id
        if on_behalf_of is not None and whose is not None:
            on_behalf_of.require_account(whose)
        if isinstance(resolved, Unchargeable):
            return await self._unless_charged(queued, resolved, whose)
        leg, account = resolved
        try:
            leg = await self._with_use(leg)
            document = await self._document(leg, account, queued.received_at)
        except SettingsUnreadable as error:
            document = Unchargeable(ParkReason.SETTINGS_UNREADABLE, error.detail)
        except Conflict as used:
            document = _used(used)
        if isinstance(document, Unchargeable):
            return await self._unless_charged(queued, document, account.id)
        charge = document.charge
        person = charge_record.person_document(leg, self.ids.token(limits.SALT_BYTES))
        debit = DebitLeg(
            leg=queued.leg.key,
            digest=queued.leg.digest(),
            amount_micros=charge.amount_micros,
            answered_at=queued.leg.answered_at or queued.leg.started_at,
            authorization=leg.authorization,
            charge=charge.charge,
            person=person,
            charge_digest=charge.digest,
            person_digest=content_digest(person),
            pool=document.pool,
            earlier_digests=queued.leg.earlier_digests(),
            hold=charge_record.hold_effect(leg),
        )
        try:
            written = await self.open_ledger.submit(account, debit)
        except Conflict as used:
            return await self._unless_charged(queued, _used(used), account.id)
        if isinstance(written, IdempotencyConflict):
            record = await self.ledger.leg(account.id, queued.leg.key)
            return _conflict(queued, account.id, written.entry, record)
        return Charged(
            queued,
            ChargeStatus.REPEATED if written.repeated else ChargeStatus.CHARGED,
            account=account.id,
            amount_micros=-written.entry.amount_micros if written.entry else 0,
            events=written.events,
            balance_micros=written.entry.balance_micros if written.entry else None,
            charge=(written.entry and written.entry.charge) or charge.charge,
            organizer=leg.organizer,
            cost_center=leg.cost_center,
        )

    async def _with_use(self, leg: ResolvedLeg) -> ResolvedLeg:
        """The leg with the effect on its hold. Raises Conflict `authorization_used` where another
        leg has settled the hold; the commit checks this again."""
        if leg.hold is None or charge_record.hold_effect(leg) is not HoldEffect.SETTLES:
            return leg
        use = await self.ledger.use_of(leg.account, leg.hold.authorization)
        if use.settled_by is not None and use.settled_by != leg.leg.key:
            raise authorization_used(use.settled_by, use.entry)
        return replace(leg, hold=replace(leg.hold, released=leg.hold.released or use.is_freed))

    async def price_micros(self, leg: EndedLeg) -> int | None:
        """The cost of a leg in micros if credits pay for all of it, None for a leg without a price.
        Nothing is stored. Raises StoreUnavailable."""
        _, document = await self._previewed(leg)
        return None if isinstance(document, Unchargeable) else document.charge.amount_micros

    async def preview(
        self, leg: EndedLeg
    ) -> tuple[str | None, Mapping[str, object] | Unchargeable]:
        """(account, the charge if credits pay for the whole leg, or the reason for parking it).
        Nothing is stored. Raises StoreUnavailable."""
        account, document = await self._previewed(leg)
        return account, document if isinstance(document, Unchargeable) else document.charge.charge

    async def _previewed(self, leg: EndedLeg) -> tuple[str | None, _LegCost | Unchargeable]:
        queued = QueuedLeg(leg, self.clock.now())
        try:
            resolved = await self.resolve(queued, pins=False, corrected=True)
            if isinstance(resolved, Unchargeable):
                return resolved.account, resolved
            return resolved[1].id, await self._document(*resolved, queued.received_at)
        except SettingsUnreadable as error:
            why = Unchargeable(ParkReason.SETTINGS_UNREADABLE, error.detail)
            return error.account, why

    async def _unless_charged(
        self, queued: QueuedLeg, why: Unchargeable, account: str | None
    ) -> Charged | NotCharged:
        """The outcome of a leg that can't be charged now. A leg with its id may have been charged
        before: with the same content under another rate card, or with other content."""
        record = await self.ledger.leg(account, queued.leg.key) if account else None
        if account is None or record is None:
            return NotCharged(queued, why, account)
        if record.digest not in {queued.leg.digest(), *queued.leg.earlier_digests()}:
            return _conflict(queued, account, record.entry, record)
        return Charged(
            queued,
            ChargeStatus.REPEATED,
            account=account,
            amount_micros=-record.entry.amount_micros,
            balance_micros=record.entry.balance_micros,
            charge=record.charge,
        )

    async def _within(self, queued: QueuedLeg, seconds: float) -> Charged:
        """The outcome of one leg under the batch's deadline. An error of one leg does not affect
        the others."""
        try:
            async with asyncio.timeout(seconds):
                outcome = await self.charge(queued)
                return await self._park(outcome) if isinstance(outcome, NotCharged) else outcome
        except (Unavailable, StoreError, TimeoutError) as error:
            detail = error.detail if isinstance(error, PerminuteError) else "out of time"
            return Charged(queued, ChargeStatus.LATER, detail=detail)
        except Exception as error:  # noqa: BLE001 a ledger that halts, an error of ours: one leg's
            failure("leg_failed", error, leg=queued.leg.key, attempt=queued.attempt)
            return Charged(queued, ChargeStatus.LATER, detail="The leg waits after an error.")

    async def _document(
        self, leg: ResolvedLeg, account: Account, received_at: datetime
    ) -> _LegCost | Unchargeable:
        """The cost of a leg by the settings at the time of its receipt, and the included minutes
        that may pay for it."""
        now = self.clock.now()
        flags = charge_record.hold_flags(leg, now)
        reason = charge_record.zero_reason(leg)
        charge = None
        if leg.kind is not LegKind.VOIP:
            leg, flags = await self._with_carrier(leg, account, received_at, flags)
            charge = await self._rated_if_due(leg, account, received_at, reason)
        if reason in {None, charge_record.ZERO_DURATION}:
            if isinstance(charge, Charge):
                return _LegCost(
                    _leg_charge(
                        charge_record.charge_document(leg, charge, flags), charge.amount_micros
                    ),
                    _pool_request(
                        leg, account, charge, charge_record.pool_seconds_requested(leg, now), flags
                    ),
                )
            if reason is None:
                assert charge is not None, "VoIP legs have a reason"
                return charge
        assert reason is not None, "a leg with a price is charged above"
        destination = charge.rate.destination if isinstance(charge, Charge) else None
        document = charge_record.zero_charge_document(leg, reason, destination, flags)
        return _LegCost(_leg_charge(document, 0))

    async def _rated_if_due(
        self, leg: ResolvedLeg, account: Account, received_at: datetime, reason: str | None
    ) -> Charge | Unchargeable | None:
        """The amount that credits would pay for a leg. A leg with a zero reason is rated for its
        destination only, so an unreadable card does not delay it."""
        card = account.settings.rate_card
        try:
            return await self._rated(leg, card, received_at, currency=leg.currency)
        except SettingsUnreadable:
            if reason is None or reason == charge_record.ZERO_DURATION:
                raise
            return None

    async def _with_carrier(
        self, leg: ResolvedLeg, account: Account, received_at: datetime, flags: list[str]
    ) -> tuple[ResolvedLeg, list[str]]:
        """An answered leg with its carrier's cost, or with a flag where that cost is unknown: a
        missing carrier rate never parks a leg."""
        card = account.settings.carrier_card
        if card is None or leg.leg.answered_at is None:
            return leg, flags
        try:
            carrier = await self._rated(leg, card, received_at)
        except SettingsUnreadable:
            carrier = None
        if isinstance(carrier, Charge):
            return replace(leg, carrier=carrier), flags
        return leg, [*flags, charge_record.CARRIER_RATE_MISSING]

    async def _rated(
        self, leg: ResolvedLeg, card: str, received_at: datetime, *, currency: str | None = None
    ) -> Charge | Unchargeable:
        """The cost of a leg by a card, which must be in `currency` where one is given."""
        to_number = leg.to_number or ""
        if not is_international(to_number):
            return Unchargeable(
                ParkReason.NUMBER_INVALID, f"{to_number or 'No number'} is not E.164."
            )
        answered_at = leg.leg.answered_at or leg.leg.started_at
        version = await self.rate_cards.version_for(card, answered_at, known_at=received_at)
        if version is None:
            return Unchargeable(
                ParkReason.RATE_MISSING, f"Rate card {card} has no version for that time."
            )
        if currency is not None and version.currency != currency:
            return Unchargeable(
                ParkReason.CURRENCY_MISMATCH,
                f"Rate card {card} is in {version.currency}, the account in {currency}.",
            )
        origin = caller_origin(leg.from_number) if leg.kind is LegKind.DIAL_IN else None
        charge = rate_leg(
            version,
            kind=leg.kind,
            to_digits=to_number[1:],
            origin=origin,
            answered_at=answered_at,
            talk_seconds=leg.talk_seconds,
        )
        if charge is None:
            return Unchargeable(
                ParkReason.RATE_MISSING, rate_missing(version, leg.kind, to_number, origin)
            )
        return charge

    async def _park(self, outcome: NotCharged) -> Charged:
        leg = outcome.queued.leg
        parked = await self._parked_earlier(leg) or await self.parking.park(
            ParkedLeg(
                id=parked_id(leg),
                leg=leg.key,
                bridge=leg.bridge,
                reason=outcome.why.reason,
                detail=outcome.why.detail,
                received_at=outcome.queued.received_at,
                account=outcome.account,
                original={**leg_document(leg), **outcome.shown},
            )
        )
        announced = await self._announce(parked)
        return Charged(
            outcome.queued,
            ChargeStatus.PARKED,
            account=outcome.account,
            parked=parked,
            events=announced,
        )

    async def _parked_earlier(self, leg: EndedLeg) -> ParkedLeg | None:
        """The parked leg with the same content, in the form of an earlier version of the
        product."""
        for parked_id_then in earlier_parked_ids(leg):
            if parked := await self.parking.get(parked_id_then):
                return parked
        return None

    async def _announce(self, parked: ParkedLeg) -> bool:
        """Announce a parked leg to the account, at least once: after a crash the leg is delivered
        again."""
        if parked.account is None or parked.announced:
            return False
        data = {
            "parked": parked.id,
            "leg": encode_leg_key(parked.leg),
            "reason": parked.reason.value,
            "detail": parked.detail,
            "what_to_do": WAYS_OUT[parked.reason],
        }
        command = Announce("parked", 0, LEG_PARKED, parked.id, data)
        try:
            await self.ledger.submit(parked.account, command)
        except Conflict as conflict:
            if conflict.code != "ledger_not_open":
                raise
            return False
        await self.parking.announced(parked.id)
        return True

    async def _send_again(self, legs: Sequence[QueuedLeg]) -> None:
        """Schedule legs after temporary failures, with a longer delay at each attempt."""
        groups: dict[tuple[datetime, str, int], list[QueuedLeg]] = {}
        now = self.clock.now()
        for leg in legs:
            doublings = min(leg.attempt, limits.RESEND_DELAY_SECONDS_MAX.bit_length())
            delay = min(2**doublings, limits.RESEND_DELAY_SECONDS_MAX)
            again = QueuedLeg(leg.leg, leg.received_at, leg.attempt + 1)
            at = now + timedelta(seconds=delay)
            groups.setdefault((at, leg.leg.bridge, again.attempt), []).append(again)
        for (at, _, _), group in groups.items():
            await self.queue.send(leg_messages(group), at=at)


def _leg_charge(document: dict[str, object], amount_micros: int) -> LegCharge:
    return LegCharge(amount_micros, document, content_digest(document))


def _pool_request(
    leg: ResolvedLeg, account: Account, whole: Charge, seconds: int, flags: list[str]
) -> PoolRequest | None:
    """The seconds that a leg may take from the pool, at most those for which credits would pay, and
    its cost after that."""
    seconds = min(seconds, paid_seconds(whole))
    if seconds <= 0:
        return None

    def after(pool_seconds: int) -> LegCharge:
        rest = rest_after(whole, pool_seconds)
        document = charge_record.pooled_charge(leg, whole, pool_seconds, rest, flags)
        return _leg_charge(document, rest[1].amount_micros if rest[1] else 0)

    return PoolRequest(pool_month(whole.answered_at, account.settings.time_zone), seconds, after)


def _used(conflict: Conflict) -> Unchargeable:
    """The use of the authorization. Raises every other conflict."""
    if conflict.code != "authorization_used":
        raise conflict
    return Unchargeable(ParkReason.AUTHORIZATION_USED, conflict.detail)


def _conflict(
    queued: QueuedLeg, account: str, entry: Entry, record: LegRecord | None
) -> NotCharged:
    why = Unchargeable(
        ParkReason.CONFLICT,
        f"The same leg was charged with other content, entry {entry.sequence}.",
    )
    shown = {} if record is None else {"charged": charged_version(record.charge, record.person)}
    return NotCharged(queued, why, account, shown)
