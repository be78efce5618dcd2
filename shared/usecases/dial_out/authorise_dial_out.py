"""May it ring? Facts are resolved, rules asked in order, credit held last (docs/dial-out.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.calendar import local_day
from shared.domain.common.errors import OutcomeUnknown, Unavailable
from shared.domain.common.kinds import LegKind
from shared.domain.credits.included_minutes import pool_month
from shared.domain.dial_out import decide, dial_out_checks
from shared.domain.dial_out import hold_book as holds
from shared.domain.dial_out.applicable_limits import limits_of
from shared.domain.dial_out.authorization_ids import authorization_of
from shared.domain.dial_out.budgets import Limit
from shared.domain.dial_out.decide import Authorise, Granted
from shared.domain.dial_out.facts import (
    AccountFacts,
    Allowance,
    Denial,
    Destination,
    DialOutFacts,
    OrganizerFacts,
)
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.included_minutes import pool_pays
from shared.domain.dial_out.policy import AccountPolicy
from shared.domain.directory.entities import Account, Bridge
from shared.domain.numbers.numbers import DialledNumber, classify, look_up, normalize
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook, HoldRecord, PlaceHold, StoredDecision
from shared.ports.rate_cards import RateCards
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.dial_out.authorisation_request import (
    AuthorisationRequest,
    Checks,
    ResponseRenderer,
    leg_key,
    resolve_payer,
    same_request,
)
from shared.usecases.dial_out.call_pricing import CallPricing, Unpriced, priced
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class _Resolved:
    facts: DialOutFacts
    account: Account | None
    view: HoldState
    pricing: CallPricing | None
    bounds: tuple[Limit, ...]
    pool_month: str | None


@dataclass(frozen=True, slots=True)
class AuthoriseDialOut:
    """Answers a dial-out question, and holds the credit that an allowed call needs."""

    facts: DirectoryCache
    rate_cards: RateCards
    hold_book: HoldBook
    publish: PublishEvents
    clock: Clock
    renderer: ResponseRenderer

    async def __call__(
        self, bridge: Bridge, question: AuthorisationRequest
    ) -> Mapping[str, object]:
        """The answer, in the wire's words; the same question again gets its first answer.

        A denial from cached facts is asked again with fresh ones. Raises Invalid
        `idempotency_key_reused`, and Unavailable when the store can't tell: nothing is granted.
        """
        resolved = await self._resolve(bridge, question, fresh=question.dry_run)
        denial = dial_out_checks.check_rules(resolved.facts)
        if denial is not None and not question.dry_run:
            resolved = await self._resolve(bridge, question, fresh=True)
            denial = dial_out_checks.check_rules(resolved.facts)
        try:
            if question.dry_run:
                return self._dry_run(bridge, question, resolved, denial)
            if denial is not None:
                return await self._keep(bridge, question, resolved, denial)
            return await self._place(bridge, question, resolved)
        except OutcomeUnknown as unknown:
            raise Unavailable("It is not certain that the credit is held.") from unknown

    async def _place(
        self, bridge: Bridge, question: AuthorisationRequest, resolved: _Resolved
    ) -> Mapping[str, object]:
        account, pricing = _priced(resolved)
        organizer = resolved.facts.organizer
        authorization = authorization_of(account.id, bridge.id, question.key)

        def record(granted: Granted) -> HoldRecord:
            hold = granted.hold
            checks = _checks(question, resolved, None, hold.granted_seconds)
            return HoldRecord(
                authorization=authorization,
                bridge=bridge.id,
                digest=question.digest,
                answer=self.renderer.allowed(_allowance(resolved, granted), checks),
                granted_seconds=hold.granted_seconds,
                pool_seconds=hold.pool_seconds,
                amount_micros=hold.amount_micros,
                expires_at=hold.expires_at,
                asked_at=pricing.asked_at,
                rate=pricing.reference,
                organizer=organizer.organizer if organizer else None,
                conference=question.conference,
            )

        command = _authorise(authorization, bridge, question, resolved)
        placed = await self.hold_book.place(account.id, PlaceHold(command, record))
        if isinstance(placed, StoredDecision):
            if placed.events:
                await self.publish.best_effort(account.id)
            return same_request(placed, question)
        return await self._keep(bridge, question, resolved, placed)

    async def _keep(
        self, bridge: Bridge, question: AuthorisationRequest, resolved: _Resolved, denial: Denial
    ) -> Mapping[str, object]:
        """Keep a denial under the question's key. Without an account there is nowhere to keep it:
        it is found anew each time."""
        answer = self.renderer.denied(denial, _checks(question, resolved, denial, None))
        if resolved.account is None:
            return answer
        record = HoldRecord(
            authorization=authorization_of(resolved.account.id, bridge.id, question.key),
            bridge=bridge.id,
            digest=question.digest,
            answer=answer,
        )
        return same_request(await self.hold_book.keep(resolved.account.id, record), question)

    def _dry_run(
        self,
        bridge: Bridge,
        question: AuthorisationRequest,
        resolved: _Resolved,
        denial: Denial | None,
    ) -> Mapping[str, object]:
        if denial is None:
            command = _authorise("", bridge, question, resolved)
            granted = decide.authorise(resolved.view, command, self.clock.now())
            if isinstance(granted, Granted):
                checks = _checks(question, resolved, None, granted.hold.granted_seconds)
                return self.renderer.allowed(_allowance(resolved, granted), checks)
            denial = granted
        return self.renderer.denied(denial, _checks(question, resolved, denial, None))

    async def _resolve(
        self, bridge: Bridge, question: AuthorisationRequest, *, fresh: bool
    ) -> _Resolved:
        now = self.clock.now()
        party = await resolve_payer(self.facts, bridge, question, now, fresh=fresh)
        account, organizer = party.account, party.organizer
        if account is None:
            facts = DialOutFacts(
                dialled=_dialled(question, bridge, None),
                account=None,
                organizer=None,
                bridge_country=bridge.country,
                half=question.half,
            )
            return _Resolved(facts, None, HoldState(), None, (), None)
        policy = await self.facts.dial_out_policy(account.id, fresh=fresh)
        bounds = limits_of(policy, organizer, question.conference)
        view = await self.hold_book.view(
            account.id, fresh=fresh, scopes=[bound.key for bound in bounds if bound.key]
        )
        settings = account.settings
        home = (organizer and organizer.usage_location) or settings.usage_location
        dialled = _dialled(question, bridge, home)
        pricing = await priced(
            self.rate_cards,
            card=settings.rate_card,
            currency=settings.currency,
            kind=LegKind.DIAL_OUT,
            digits=dialled.number.digits,
            origin=None,
            now=now,
            no_rate=dial_out_checks.no_rate(dialled),
            fresh=fresh,
        )
        price = pricing if isinstance(pricing, CallPricing) else None
        month = _pool_month(account, organizer, policy, dialled, now)
        from_pool = month is not None and view.pool_left_seconds(month, now) > 0
        region = dialled.number.region
        facts = DialOutFacts(
            dialled=dialled,
            account=AccountFacts(
                account.id,
                settings.usage_location,
                suspended=view.suspended or policy.suspended,
                stopped=view.stopped,
            ),
            organizer=organizer,
            bridge_country=bridge.country,
            policy=policy,
            rate=price.facts(pays_from_pool=from_pool) if price else None,
            unpriced=pricing.why if isinstance(pricing, Unpriced) else "",
            budgets=holds.budget_uses(view, bounds, local_day(now, settings.time_zone), now),
            velocities=holds.velocity_uses(view, bounds, region, now),
            half=question.half,
        )
        return _Resolved(facts, account, view, price, bounds, month)


def _dialled(question: AuthorisationRequest, bridge: Bridge, home: str | None) -> DialledNumber:
    """The facts of the number; it is only read as a national one when it is no short number."""
    dialled = look_up(question.to, (home, bridge.country))
    if not question.normalize or dialled.emergency or dialled.special:
        return dialled
    return replace(dialled, number=classify(normalize(question.to, bridge.country or home)))


def _pool_month(
    account: Account,
    organizer: OrganizerFacts | None,
    policy: AccountPolicy,
    dialled: DialledNumber,
    now: datetime,
) -> str | None:
    """The month whose pool pays for the call, None where none does. A call that rings while the
    month ends is paid from credits: nobody knows yet which month will be asked."""
    if organizer is None:
        return None
    number = dialled.number
    if not pool_pays(organizer.license, number.region, policy.class_of(number)):
        return None
    zone = account.settings.time_zone
    month = pool_month(now, zone)
    latest = now + timedelta(seconds=limits.HOLD_RINGING_SECONDS)
    return month if pool_month(latest, zone) == month else None


def _authorise(
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
        region=resolved.facts.dialled.number.region,
        bounds=resolved.bounds,
        pool_month=resolved.pool_month,
    )


def _priced(resolved: _Resolved) -> tuple[Account, CallPricing]:
    if resolved.account is None or resolved.pricing is None:
        raise Unavailable("The rules let a call through that has no rate.")
    return resolved.account, resolved.pricing


def _allowance(resolved: _Resolved, granted: Granted) -> Allowance:
    account, _ = _priced(resolved)
    facts, rate, hold = resolved.facts, resolved.facts.rate, granted.hold
    number = facts.dialled.number
    if rate is None or number.e164 is None:
        raise Unavailable("The rules let a call through that has no rate.")
    return Allowance(
        authorization=hold.authorization or None,
        granted_seconds=hold.granted_seconds,
        final=granted.ends_by is not None,
        ends_by=granted.ends_by.value if granted.ends_by else "",
        pool_seconds=hold.pool_seconds,
        expires_at=hold.expires_at if hold.authorization else None,
        price_per_minute_picos=rate.price_per_minute_picos,
        connection_fee_picos=rate.connection_fee_picos,
        currency=account.settings.currency,
        held_micros=hold.amount_micros,
        destination=Destination(
            number=number.e164,
            region=number.region,
            prefix=rate.prefix,
            number_class=facts.policy.class_of(number),
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
    by_rules = dial_out_checks.check_rules(resolved.facts)
    of_book = denial if denial is not None and by_rules is None else None
    return dial_out_checks.explain(
        resolved.facts, dial_out_checks.credit_line(of_book, granted_seconds)
    )
