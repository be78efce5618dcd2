"""The facts of a requested call: number, payer, rules, price."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from shared.domain.common import limits
from shared.domain.common.calendar import local_day
from shared.domain.common.kinds import LegKind
from shared.domain.credits.included_minutes import pool_month
from shared.domain.dial_out import dial_in_checks, dial_out_checks
from shared.domain.dial_out import hold_book as holds
from shared.domain.dial_out.applicable_limits import limits_of
from shared.domain.dial_out.dial_in_checks import DialInFacts
from shared.domain.dial_out.facts import (
    AccountFacts,
    Destination,
    DialOutFacts,
    OrganizerFacts,
)
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.included_minutes import dial_in_is_included, is_toll_free, pool_pays
from shared.domain.dial_out.policy import AccountPolicy
from shared.domain.directory.entities import Account, Bridge, Registration, registration_at
from shared.domain.numbers.numbers import (
    DialledNumber,
    NumberFacts,
    called_number,
    caller_number,
    caller_origin,
    classify,
    e164_digits,
    look_up,
    normalize,
    service_number_keys,
)
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook
from shared.ports.rate_cards import RateCards
from shared.usecases.dial_out.authorisation_request import AuthorisationRequest, resolve_payer
from shared.usecases.dial_out.authorise_call import PricedCall, ResolvedCall
from shared.usecases.dial_out.call_pricing import CallPricing, IncludedCall, Unpriced, priced
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class ResolveDialOut:
    """Resolves a call to be made."""

    facts: DirectoryCache
    rate_cards: RateCards
    hold_book: HoldBook
    clock: Clock

    async def __call__(
        self, bridge: Bridge, request: AuthorisationRequest, *, fresh: bool
    ) -> ResolvedCall:
        """Implements `ResolveCall`."""
        now = self.clock.now()
        payer = await resolve_payer(self.facts, bridge, request, now, fresh=fresh)
        account, organizer = payer.account, payer.organizer
        if account is None:
            return _dial_out(
                DialOutFacts(
                    dialled=_dialled(request, bridge, None),
                    account=None,
                    organizer=None,
                    bridge_country=bridge.country,
                    half=request.half,
                ),
                HoldState(),
            )
        policy = await self.facts.dial_out_policy(account.id, fresh=fresh)
        bounds = limits_of(policy, organizer, request.conference)
        view = await self.hold_book.view(
            account.id, fresh=fresh, scopes=[bound.key for bound in bounds if bound.key]
        )
        settings = account.settings
        home = (organizer and organizer.usage_location) or settings.usage_location
        dialled = _dialled(request, bridge, home)
        number = dialled.number
        pricing = await priced(
            self.rate_cards,
            card=settings.rate_card,
            currency=settings.currency,
            kind=LegKind.DIAL_OUT,
            digits=number.digits,
            origin=None,
            now=now,
            no_rate=dial_out_checks.no_rate(dialled),
            fresh=fresh,
        )
        month = _pool_month(account, organizer, policy, dialled, now)
        from_pool = month is not None and view.pool_left_seconds(month, now) > 0
        rate, unpriced = None, ""
        if isinstance(pricing, Unpriced):
            unpriced = pricing.why
        else:
            rate = pricing.facts(pays_from_pool=from_pool)
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
            rate=rate,
            unpriced=unpriced,
            budgets=holds.budget_uses(view, bounds, local_day(now, settings.time_zone), now),
            velocities=holds.velocity_uses(view, bounds, number.region, now),
            half=request.half,
        )
        call = _dial_out(facts, view, account)
        if isinstance(pricing, Unpriced) or rate is None or number.e164 is None:
            return call
        destination = Destination(number.e164, number.region, rate.prefix, policy.class_of(number))
        return replace(call, priced=PricedCall(pricing, rate, destination, bounds, month))


def _dial_out(facts: DialOutFacts, view: HoldState, account: Account | None = None) -> ResolvedCall:
    return ResolvedCall(
        denial=dial_out_checks.check_rules(facts),
        explain=partial(dial_out_checks.explain, facts),
        is_dial_out=True,
        view=view,
        account=account,
        organizer=facts.organizer.organizer if facts.organizer else None,
        number=facts.dialled.number.e164,
        region=facts.dialled.number.region,
    )


def _dialled(request: AuthorisationRequest, bridge: Bridge, home: str | None) -> DialledNumber:
    """The facts of the number. The text is read as a national number only if it is no short
    number."""
    dialled = look_up(request.to, (home, bridge.country))
    if not request.normalize or dialled.emergency or dialled.special:
        return dialled
    return replace(dialled, number=classify(normalize(request.to, bridge.country or home)))


def _pool_month(
    account: Account,
    organizer: OrganizerFacts | None,
    policy: AccountPolicy,
    dialled: DialledNumber,
    now: datetime,
) -> str | None:
    """The month whose pool pays for the call, None where none does. Credits pay for a call that
    rings while the month ends, since the month of its answer is unknown."""
    if organizer is None:
        return None
    number = dialled.number
    if not pool_pays(organizer.license, number.region, policy.class_of(number)):
        return None
    zone = account.settings.time_zone
    month = pool_month(now, zone)
    latest = now + timedelta(seconds=limits.HOLD_RINGING_SECONDS)
    return month if pool_month(latest, zone) == month else None


@dataclass(frozen=True, slots=True)
class ResolveDialIn:
    """Resolves a dial-in call."""

    facts: DirectoryCache
    rate_cards: RateCards
    hold_book: HoldBook
    clock: Clock

    async def __call__(
        self, bridge: Bridge, request: AuthorisationRequest, *, fresh: bool
    ) -> ResolvedCall:
        """Implements `ResolveCall`."""
        now = self.clock.now()
        called, service = await self._called(bridge, request, now, fresh=fresh)
        payer = await resolve_payer(self.facts, bridge, request, now, fresh=fresh, number=service)
        account, organizer = payer.account, payer.organizer
        number = classify(called)
        origin = caller_origin(request.caller and caller_number(request.caller, bridge.country))
        toll_free = is_toll_free(service, number)
        if account is None:
            return _dial_in(DialInFacts(None, None, toll_free), HoldState())
        view = await self.hold_book.view(account.id, fresh=fresh)
        policy = await self.facts.dial_out_policy(account.id, fresh=fresh)
        settings = account.settings
        pricing: CallPricing | IncludedCall | Unpriced
        if organizer and dial_in_is_included(organizer.license, toll_free=toll_free):
            pricing = IncludedCall(LegKind.DIAL_IN, now)
        else:
            pricing = await priced(
                self.rate_cards,
                card=settings.rate_card,
                currency=settings.currency,
                kind=LegKind.DIAL_IN,
                digits=e164_digits(called),
                origin=origin,
                now=now,
                no_rate="The rate card has no price for callers of this number.",
                fresh=fresh,
            )
        account_facts = AccountFacts(
            account.id, settings.usage_location, suspended=view.suspended or policy.suspended
        )
        if isinstance(pricing, Unpriced):
            facts = DialInFacts(account_facts, organizer, toll_free, unpriced=pricing.why)
            return _dial_in(facts, view, account, number=number)
        rate = pricing.facts()
        destination = Destination(called, number.region, rate.prefix, number.number_class)
        return _dial_in(
            DialInFacts(account_facts, organizer, toll_free, rate),
            view,
            account,
            PricedCall(pricing, rate, destination),
            number,
        )

    async def _called(
        self, bridge: Bridge, request: AuthorisationRequest, now: datetime, *, fresh: bool
    ) -> tuple[str, Registration | None]:
        """(the called number, whose service number it is), as its leg is resolved."""
        number = called_number(request.to, bridge.country)
        for each in service_number_keys(request.to, number):
            history = await self.facts.service_number(
                each, known_at=now if fresh else None, fresh=fresh
            )
            registration = registration_at(history, now)
            if registration is not None and bridge.serves(registration.account):
                return (each if each != request.to else number), registration
        return number, None


def _dial_in(
    facts: DialInFacts,
    view: HoldState,
    account: Account | None = None,
    priced: PricedCall | None = None,
    number: NumberFacts | None = None,
) -> ResolvedCall:
    return ResolvedCall(
        denial=dial_in_checks.check_admission(facts),
        explain=partial(dial_in_checks.explain_admission, facts),
        is_dial_out=False,
        view=view,
        account=account,
        organizer=facts.organizer.organizer if facts.organizer else None,
        priced=priced,
        number=number.e164 if number else None,
        region=number.region if number else None,
    )
