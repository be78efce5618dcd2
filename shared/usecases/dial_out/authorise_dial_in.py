"""May a caller be let in? The same question as before a dial-out, asked for a dial-in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.common import limits
from shared.domain.common.errors import OutcomeUnknown, Unavailable
from shared.domain.common.kinds import LegKind
from shared.domain.dial_out import decide, dial_in_checks, dial_out_checks
from shared.domain.dial_out.authorization_ids import authorization_of
from shared.domain.dial_out.decide import Authorise, Granted
from shared.domain.dial_out.dial_in_checks import DialInFacts
from shared.domain.dial_out.facts import (
    AccountFacts,
    Allowance,
    Denial,
    Destination,
    OrganizerFacts,
)
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.included_minutes import dial_in_is_included, is_toll_free
from shared.domain.directory.entities import Account, Bridge, Registration, registration_at
from shared.domain.numbers.numbers import (
    NumberFacts,
    called_number,
    caller_number,
    caller_origin,
    classify,
    e164_digits,
    service_number_keys,
)
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook, HoldRecord, PlaceHold, StoredDecision
from shared.ports.rate_cards import RateCards
from shared.usecases.dial_out.authorisation_request import (
    AuthorisationRequest,
    Checks,
    ResponseRenderer,
    leg_key,
    resolve_payer,
    same_request,
)
from shared.usecases.dial_out.call_pricing import CallPricing, IncludedCall, Unpriced, priced
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class _Resolved:
    facts: DialInFacts
    called: str
    number: NumberFacts
    account: Account | None
    view: HoldState
    pricing: CallPricing | IncludedCall | None


@dataclass(frozen=True, slots=True)
class AuthoriseDialIn:
    """Answers whether a caller may come in, and holds the credit that the call needs."""

    facts: DirectoryCache
    rate_cards: RateCards
    hold_book: HoldBook
    clock: Clock
    renderer: ResponseRenderer

    async def __call__(
        self, bridge: Bridge, question: AuthorisationRequest
    ) -> Mapping[str, object]:
        """The answer, in the wire's words; the same question again gets its first answer.

        A denial from cached facts is asked again with fresh ones. Raises Invalid
        `idempotency_key_reused`, and Unavailable when the store can't tell.
        """
        resolved = await self._resolve(bridge, question, fresh=question.dry_run)
        denial = dial_in_checks.check_admission(resolved.facts)
        if denial is not None and not question.dry_run:
            resolved = await self._resolve(bridge, question, fresh=True)
            denial = dial_in_checks.check_admission(resolved.facts)
        try:
            if denial is None and not question.dry_run:
                placed = await self._place(bridge, question, resolved)
                if isinstance(placed, StoredDecision):
                    return same_request(placed, question)
                denial = placed
            if denial is None:
                command = _admit("", bridge, question, resolved)
                granted = decide.authorise(resolved.view, command, self.clock.now())
                if isinstance(granted, Granted):
                    return self._allowed(question, resolved, granted)
                denial = granted
            return await self._denied(bridge, question, resolved, denial)
        except OutcomeUnknown as unknown:
            raise Unavailable("It is not certain that the credit is held.") from unknown

    async def _place(
        self, bridge: Bridge, question: AuthorisationRequest, resolved: _Resolved
    ) -> StoredDecision | Denial:
        account, pricing = _priced(resolved)
        organizer = resolved.facts.organizer
        authorization = authorization_of(account.id, bridge.id, question.key)

        def record(granted: Granted) -> HoldRecord:
            hold = granted.hold
            return HoldRecord(
                authorization=authorization,
                bridge=bridge.id,
                digest=question.digest,
                answer=self._allowed(question, resolved, granted),
                granted_seconds=hold.granted_seconds,
                amount_micros=hold.amount_micros,
                expires_at=hold.expires_at,
                asked_at=pricing.asked_at,
                rate=pricing.reference,
                organizer=organizer.organizer if organizer else None,
                conference=question.conference,
            )

        command = _admit(authorization, bridge, question, resolved)
        return await self.hold_book.place(account.id, PlaceHold(command, record))

    async def _denied(
        self, bridge: Bridge, question: AuthorisationRequest, resolved: _Resolved, denial: Denial
    ) -> Mapping[str, object]:
        answer = self.renderer.denied(denial, _checks(question, resolved, denial, None))
        if resolved.account is None or question.dry_run:
            return answer
        record = HoldRecord(
            authorization=authorization_of(resolved.account.id, bridge.id, question.key),
            bridge=bridge.id,
            digest=question.digest,
            answer=answer,
        )
        return same_request(await self.hold_book.keep(resolved.account.id, record), question)

    async def _resolve(
        self, bridge: Bridge, question: AuthorisationRequest, *, fresh: bool
    ) -> _Resolved:
        now = self.clock.now()
        called, service = await self._called(bridge, question, now, fresh=fresh)
        party = await resolve_payer(self.facts, bridge, question, now, fresh=fresh, number=service)
        account, organizer = party.account, party.organizer
        number = classify(called)
        origin = caller_origin(question.caller and caller_number(question.caller, bridge.country))
        toll_free = is_toll_free(service, number)
        if account is None:
            facts = DialInFacts(None, None, toll_free)
            return _Resolved(facts, called, number, None, HoldState(), None)
        view = await self.hold_book.view(account.id, fresh=fresh)
        policy = await self.facts.dial_out_policy(account.id, fresh=fresh)
        pricing: CallPricing | IncludedCall | Unpriced
        if _is_included(organizer, toll_free=toll_free):
            pricing = IncludedCall(LegKind.DIAL_IN, now)
        else:
            pricing = await priced(
                self.rate_cards,
                card=account.settings.rate_card,
                currency=account.settings.currency,
                kind=LegKind.DIAL_IN,
                digits=e164_digits(called),
                origin=origin,
                now=now,
                no_rate="The rate card has no price for callers of this number.",
                fresh=fresh,
            )
        account_facts = AccountFacts(
            account.id,
            account.settings.usage_location,
            suspended=view.suspended or policy.suspended,
        )
        if isinstance(pricing, Unpriced):
            facts = DialInFacts(account_facts, organizer, toll_free, unpriced=pricing.why)
            return _Resolved(facts, called, number, account, view, None)
        facts = DialInFacts(account_facts, organizer, toll_free, pricing.facts())
        return _Resolved(facts, called, number, account, view, pricing)

    async def _called(
        self, bridge: Bridge, question: AuthorisationRequest, now: datetime, *, fresh: bool
    ) -> tuple[str, Registration | None]:
        """(the number that was called, whose service number it is), as its leg is resolved."""
        number = called_number(question.to, bridge.country)
        for each in service_number_keys(question.to, number):
            history = await self.facts.service_number(
                each, known_at=now if fresh else None, fresh=fresh
            )
            found = registration_at(history, now)
            if found is not None and bridge.serves(found.account):
                return (each if each != question.to else number), found
        return number, None

    def _allowed(
        self, question: AuthorisationRequest, resolved: _Resolved, granted: Granted
    ) -> dict[str, object]:
        checks = _checks(question, resolved, None, granted.hold.granted_seconds)
        return self.renderer.allowed(_allowance(resolved, granted), checks)


def _is_included(organizer: OrganizerFacts | None, *, toll_free: bool) -> bool:
    return organizer is not None and dial_in_is_included(organizer.license, toll_free=toll_free)


def _admit(
    authorization: str, bridge: Bridge, question: AuthorisationRequest, resolved: _Resolved
) -> Authorise:
    account, pricing = _priced(resolved)
    slice_seconds = bridge.assumed_seconds or limits.HOLD_SLICE_SECONDS
    return Authorise(
        authorization=authorization,
        account=account.id,
        currency=account.settings.currency,
        time_zone=account.settings.time_zone,
        wanted_seconds=min(question.requested_seconds or slice_seconds, slice_seconds),
        pricing=pricing,
        leg=leg_key(bridge, question),
        is_dial_out=False,
    )


def _priced(resolved: _Resolved) -> tuple[Account, CallPricing | IncludedCall]:
    if resolved.account is None or resolved.pricing is None:
        raise Unavailable("The rules let a caller in for whom there is no rate.")
    return resolved.account, resolved.pricing


def _allowance(resolved: _Resolved, granted: Granted) -> Allowance:
    account, pricing = _priced(resolved)
    hold, rate = granted.hold, pricing.facts()
    return Allowance(
        authorization=hold.authorization or None,
        granted_seconds=hold.granted_seconds,
        final=granted.ends_by is not None,
        ends_by=granted.ends_by.value if granted.ends_by else "",
        pool_seconds=0,
        expires_at=hold.expires_at if hold.authorization else None,
        price_per_minute_picos=rate.price_per_minute_picos,
        connection_fee_picos=rate.connection_fee_picos,
        currency=account.settings.currency,
        held_micros=hold.amount_micros,
        destination=Destination(
            number=resolved.called,
            region=resolved.number.region,
            prefix=rate.prefix,
            number_class=resolved.number.number_class,
        ),
    )


def _checks(
    question: AuthorisationRequest,
    resolved: _Resolved,
    denial: Denial | None,
    granted_seconds: int | None,
) -> Checks:
    if not question.explain:
        return None
    by_rules = dial_in_checks.check_admission(resolved.facts)
    of_book = denial if denial is not None and by_rules is None else None
    return dial_in_checks.explain_admission(
        resolved.facts, dial_out_checks.credit_line(of_book, granted_seconds)
    )
