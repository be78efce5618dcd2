"""Re-rating of charged legs by another card or version: first the preview, then the booking.

A leg keeps its guard and its first debit permanently. A re-rating writes two entries in one commit:
its present debit is taken back and another one booked, once each, under the guard of that debit's
reversal. A repeated request therefore changes nothing, and an interrupted request continues when it
is sent again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.charging.charge_record import rerated_document
from shared.domain.charging.rerating import (
    RerateOutcome,
    RerateStatus,
    SkipReason,
    leg_facts,
)
from shared.domain.common import limits
from shared.domain.common.canonical import content_digest, format_time
from shared.domain.common.errors import NotFound, Unavailable
from shared.domain.credits.lots import Lot
from shared.domain.directory.access import Principal
from shared.domain.directory.entities import Account
from shared.domain.ledger.model import RerateLeg
from shared.domain.ledger.stored_charge import ChargeRecord, RatedBy
from shared.domain.rating.diff import rate_past_leg
from shared.domain.rating.rate_card import RateCardVersion
from shared.domain.rating.rating import Charge
from shared.pacing import yield_to_others
from shared.ports.ledger import IdempotencyConflict, Ledger, LegRecord
from shared.ports.rate_cards import RateCardStore
from shared.usecases.charging.past_legs import ANY_TIME, AnsweredSpan, JournalPosition, PastLegs
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.directory.accounts import Accounts
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.ledger.credit_account import opened_lots, present_debit


@dataclass(frozen=True, slots=True)
class RerateSelection:
    """The selection of legs, and the card or version of their re-rating.

    `accounts` None: all of them. `legs` are leg keys of the one account that is named then. With
    `charged_by` only legs that this card charges now. `rate_card` None: the card that charges the
    leg now; `version` None: the one in force when the leg was answered.
    """

    accounts: tuple[str, ...] | None
    legs: tuple[str, ...] = ()
    span: AnsweredSpan = ANY_TIME
    charged_by: str | None = None
    rate_card: str | None = None
    version: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attribution:
    """The reason and the actor of a booking."""

    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position at which a request ended: the page of accounts, and the position in the
    journal."""

    accounts: str | None
    place: JournalPosition | None


@dataclass(frozen=True, slots=True)
class Reratings:
    """The outcomes of legs, or their preview; `cursor` is None when all were read."""

    outcomes: Sequence[RerateOutcome]
    cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class _RerateCandidate:
    """A leg's records, with its new charge or the reason for keeping the present one."""

    account: Account
    records: Sequence[LegRecord]
    charged: ChargeRecord
    new_charge: Charge | SkipReason

    @property
    def present(self) -> LegRecord:
        """The debit that counts now."""
        return self.records[-1]


@dataclass(frozen=True, slots=True)
class RerateLegs:
    """All raise StoreUnavailable; entries that were booked until then stay, and a repetition finds
    them.

    `charged` is called with an account whose legs were re-rated.
    """

    facts: DirectoryCache
    accounts: Accounts
    past_legs: PastLegs
    rate_cards: RateCardStore
    ledger: Ledger
    publish: PublishEvents
    charged: Callable[[str], None]

    async def __call__(
        self,
        selection: RerateSelection,
        principal: Principal,
        *,
        booking: Attribution | None,
        limit: int,
        cursor: Cursor | None,
    ) -> Reratings:
        """Read up to `limit` legs, and book the differences if `booking` is not None.

        Raises NotAllowed, NotFound `account_unknown`, `leg_unknown`, `rate_card_unknown` or
        `rate_card_version_unknown`, Conflict `too_many_lots`, Unavailable.
        """
        await self._require_cards(selection)
        outcomes: list[RerateOutcome] = []
        seen = scans = 0
        place = cursor.place if cursor else None
        following = cursor.accounts if cursor else None
        while True:
            account, at, following = await self._page(selection, principal, following)
            while account is not None:
                legs, place = await self._legs(account, selection, place, limit - seen)
                outcomes += await self._outcomes(account, legs, selection, booking)
                seen += len(legs)
                scans += 1
                if place is None:
                    break
                if seen >= limit or scans >= limits.RERATE_SCANS_MAX:
                    return Reratings(outcomes, Cursor(at, place))
            if following is None:
                return Reratings(outcomes, None)
            if seen >= limit or scans >= limits.RERATE_SCANS_MAX:
                return Reratings(outcomes, Cursor(following, None))

    async def records(
        self, account: str, span: AnsweredSpan, *, limit: int
    ) -> tuple[list[list[LegRecord]], bool]:
        """(debits of each leg of the span, whether these are all), at most `limit` legs."""
        records: list[list[LegRecord]] = []
        place: JournalPosition | None = None
        while True:
            page = await self.past_legs(account, span, place=place, limit=limit - len(records))
            keys = [entry.leg for entry in page.entries if entry.leg is not None]
            records += await self._debits(account, keys)
            place = page.place
            if place is None or len(records) >= limit:
                return records, place is None

    async def _require_cards(self, selection: RerateSelection) -> None:
        """Raises NotFound for an unknown card, since an empty result would hide a mistyped name."""
        if selection.rate_card is not None and selection.version is not None:
            await self._named(selection.rate_card, selection.version)
        for card in (selection.rate_card, selection.charged_by):
            if card is not None and not await self.rate_cards.versions(card):
                raise NotFound(
                    f"No rate card has the name {card}. List the rate cards.",
                    code="rate_card_unknown",
                )

    async def _page(
        self, selection: RerateSelection, principal: Principal, at: str | None
    ) -> tuple[Account | None, str | None, str | None]:
        """(an account, the cursor that leads to it, the cursor of the next one)."""
        if selection.accounts is None:
            principal.require_all_accounts()
            accounts, following = await self.accounts.page(principal, limit=1, cursor=at)
            return (accounts[0] if accounts else None), at, following
        for name in selection.accounts:
            principal.require_account(name)
        left = sorted({name for name in selection.accounts if at is None or name >= at})
        if not left:
            return None, at, None
        return (
            await self.facts.require_account(left[0]),
            left[0],
            left[1] if len(left) > 1 else None,
        )

    async def _legs(
        self,
        account: Account,
        selection: RerateSelection,
        place: JournalPosition | None,
        limit: int,
    ) -> tuple[list[list[LegRecord]], JournalPosition | None]:
        if selection.legs:
            records = await self._debits(account.id, selection.legs)
            for key, debits in zip(selection.legs, records, strict=True):
                if not debits:
                    raise NotFound(
                        f"The account has no charged leg {key}. List the legs for the ids.",
                        code="leg_unknown",
                    )
            return records, None
        page = await self.past_legs(account.id, selection.span, place=place, limit=limit)
        keys = [entry.leg for entry in page.entries if entry.leg is not None]
        return await self._debits(account.id, keys), page.place

    async def _debits(self, account: str, keys: Sequence[str]) -> list[list[LegRecord]]:
        debits = await self.ledger.debits_of(account, keys)
        return [debits.get(key, []) for key in keys]

    async def _outcomes(
        self,
        account: Account,
        legs: Sequence[Sequence[LegRecord]],
        selection: RerateSelection,
        booking: Attribution | None,
    ) -> list[RerateOutcome]:
        """The outcome of each of the legs, in their order."""
        if booking is None:
            return await self._foreseen(account, legs, selection)
        lots: dict[str, Lot] = {}
        outcomes: list[RerateOutcome] = []
        step = limits.RERATE_LEGS_AT_ONCE
        for start in range(0, len(legs), step):
            chunk = legs[start : start + step]
            results = await asyncio.gather(
                *(self._outcome(account, records, selection, booking, lots) for records in chunk)
            )
            outcomes += [outcome for outcome in results if outcome is not None]
        if any(outcome.status is RerateStatus.CHANGED for outcome in outcomes):
            self.charged(account.id)
            await self.publish.best_effort(account.id)
        return outcomes

    async def _foreseen(
        self, account: Account, legs: Sequence[Sequence[LegRecord]], selection: RerateSelection
    ) -> list[RerateOutcome]:
        """The preview of the legs, read together: a request has thousands of legs."""
        outcomes: list[RerateOutcome] = []
        for records in legs:
            await yield_to_others()
            if _is_wanted(records, selection):
                outcomes.append(_outcome_of(await self._candidate(account, records, selection)))
        differing = {outcome.entry: outcome.leg for outcome in outcomes if outcome.differs}
        taken_back = await self.ledger.reversals_of(account.id, list(differing))
        again = await self.ledger.debits_of(account.id, [differing[debit] for debit in taken_back])
        for at, outcome in enumerate(outcomes):
            if outcome.entry not in taken_back:
                continue
            records = again[outcome.leg]
            if records[-1].entry.sequence == outcome.entry:
                outcomes[at] = _taken_back(outcome)
            else:  # another request re-rated it meanwhile
                outcomes[at] = _outcome_of(await self._candidate(account, records, selection))
        return outcomes

    async def _outcome(
        self,
        account: Account,
        records: Sequence[LegRecord],
        selection: RerateSelection,
        booking: Attribution,
        lots: dict[str, Lot],
    ) -> RerateOutcome | None:
        """None for a leg outside the selection."""
        for _ in range(limits.COMMIT_TRIES_MAX):
            if not _is_wanted(records, selection):
                return None
            candidate = await self._candidate(account, records, selection)
            outcome = _outcome_of(candidate)
            if not outcome.differs:
                return outcome
            debit = candidate.present.entry
            if await self.ledger.reversal(account.id, debit.sequence) is None:
                booked = await self._book(candidate, outcome, booking, lots)
                if booked is not None:
                    return booked
            again = await self.ledger.debits(account.id, records[-1].leg)
            if len(again) == len(records):
                return _taken_back(outcome)
            records = again  # another request re-rated it meanwhile
        raise Unavailable(
            "Other requests re-rate the leg at the same time.",
            code="contended",
        )

    async def _candidate(
        self, account: Account, records: Sequence[LegRecord], selection: RerateSelection
    ) -> _RerateCandidate:
        charged = ChargeRecord(records[-1].charge)
        rate = charged.rated_by
        facts = leg_facts(charged, records[0].person)
        if isinstance(facts, SkipReason):
            return _RerateCandidate(account, records, charged, facts)
        card = selection.rate_card or (rate.card if rate else account.settings.rate_card)
        if selection.version is not None:
            version: RateCardVersion | None = await self._named(card, selection.version)
        else:
            answered_at = charged.answered_at or charged.started_at
            version = await self.rate_cards.version_for(card, answered_at)
        if version is None:
            return _RerateCandidate(account, records, charged, SkipReason.RATE_MISSING)
        if version.currency != account.settings.currency:
            return _RerateCandidate(account, records, charged, SkipReason.CURRENCY_MISMATCH)
        charge = rate_past_leg(version, facts)
        return _RerateCandidate(account, records, charged, charge or SkipReason.RATE_MISSING)

    async def _named(self, card: str, effective_from: datetime) -> RateCardVersion:
        version = await self.rate_cards.version(card, effective_from)
        if version is None:
            raise NotFound(
                f"Rate card {card} has no version with this time. Read the card for its versions.",
                code="rate_card_version_unknown",
            )
        return version[1]

    async def _book(
        self,
        candidate: _RerateCandidate,
        outcome: RerateOutcome,
        booking: Attribution,
        lots: dict[str, Lot],
    ) -> RerateOutcome | None:
        """The durable outcome; None when the debit was reversed meanwhile."""
        charge, debit = candidate.new_charge, present_debit(candidate.records)
        assert isinstance(charge, Charge)
        assert outcome.after is not None
        account = candidate.account.id
        document = rerated_document(candidate.present.charge, charge, debit.sequence)
        missing = [draw.lot for draw in debit.draws if draw.lot not in lots]
        if missing:
            lots |= {lot.id: lot for lot in await opened_lots(self.ledger, account, debit)}
        command = RerateLeg(
            leg=candidate.present.leg,
            debit=debit,
            paid=tuple(lots[draw.lot] for draw in debit.draws),
            target=outcome.after.target,
            amount_micros=charge.amount_micros,
            charge=document,
            charge_digest=content_digest(document),
            reason=booking.reason,
            actor=booking.actor,
        )
        written = await self.ledger.submit(account, command)
        if isinstance(written, IdempotencyConflict):
            return None
        assert written.entry is not None
        number = written.entry.sequence
        return replace(outcome, status=RerateStatus.CHANGED, entries=(number - 1, number))


def _is_wanted(records: Sequence[LegRecord], selection: RerateSelection) -> bool:
    if selection.charged_by is None:
        return True
    rate = ChargeRecord(records[-1].charge).rated_by
    return rate is not None and rate.card == selection.charged_by


def _taken_back(outcome: RerateOutcome) -> RerateOutcome:
    """The outcome for a leg whose debit was reversed."""
    return replace(
        outcome,
        status=RerateStatus.SKIPPED,
        reason=SkipReason.REVERSED,
        after=outcome.before,
        after_micros=outcome.before_micros,
    )


def _outcome_of(candidate: _RerateCandidate) -> RerateOutcome:
    """The effect of re-rating a leg."""
    present, charge = candidate.present, candidate.new_charge
    charged = candidate.charged
    before, micros = charged.rated_by, charged.amount_micros
    outcome = RerateOutcome(
        account=candidate.account.id,
        currency=candidate.account.settings.currency,
        leg=present.leg,
        entry=present.entry.sequence,
        status=RerateStatus.SKIPPED,
        before_micros=micros,
        after_micros=micros,
        answered_at=format_time(charged.answered_at) if charged.answered_at else None,
        talk_seconds=charged.talk_seconds,
        before=before,
        after=before,
    )
    if isinstance(charge, SkipReason):
        return replace(outcome, reason=charge)
    after = _rated(charge)
    status = RerateStatus.WOULD_CHANGE
    if before is not None and before.target == after.target:
        status = RerateStatus.PRESENT
    elif charge.amount_micros == micros:
        status = RerateStatus.UNCHANGED
    return replace(outcome, status=status, after=after, after_micros=charge.amount_micros)


def _rated(charge: Charge) -> RatedBy:
    rate, version = charge.rate, charge.version
    return RatedBy(
        version.card,
        format_time(version.effective_from),
        rate.prefix,
        rate.destination,
        rate.origin,
    )
