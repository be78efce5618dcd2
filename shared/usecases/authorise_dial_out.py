"""May it ring? Facts are resolved, rules are asked in order, credit is held last (DESIGN 6)."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain import dial_out, holds, limits, rating
from shared.domain.dial_limits import Scope, Velocity, VelocityUse
from shared.domain.dial_out_facts import (
    AccountFacts,
    Allowance,
    CheckResult,
    Denial,
    Destination,
    DialOutFacts,
    OrganizerFacts,
    RateFacts,
    Reason,
)
from shared.domain.directory import Account, Bridge, registration_at
from shared.domain.errors import Invalid, NotFound, OutcomeUnknown, Unavailable
from shared.domain.holds import (
    Authorise,
    CreditExhausted,
    Hold,
    HoldState,
    Placed,
    VelocityExceeded,
)
from shared.domain.legs import LegKind
from shared.domain.money import PICOS_PER_UNIT, ceil_div, format_amount
from shared.domain.numbers import classify, look_up
from shared.domain.policy import AccountPolicy, Half
from shared.domain.rates import Rate, RateCardVersion
from shared.ports import Answered, Clock, HoldBook, HoldRecord, PlaceHold, RateCards
from shared.usecases.facts import Facts

type Checks = Sequence[CheckResult] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A bridge's question. `key` is its idempotency key, `digest` the SHA-256 of what it asked."""

    to: str
    key: str
    digest: str
    conference: str | None = None
    organizer: str | None = None
    account: str | None = None
    leg_id: str | None = None
    requested_seconds: int | None = None
    explain: bool = False
    dry_run: bool = False
    half: Half = Half.CONFERENCE


@dataclass(frozen=True, slots=True)
class Wording:
    """How answers are put: the wire's words, which are kept as they were given."""

    allowed: Callable[[Allowance, Checks], dict[str, object]]
    denied: Callable[[Denial, Checks], dict[str, object]]


@dataclass(frozen=True, slots=True)
class DialOutPricing:
    """A rate as the hold book sees it: what a call costs, whenever within the ringing it is
    answered."""

    rate: Rate
    version: RateCardVersion
    asked_at: datetime

    def seconds_for(self, credit_micros: int, wanted_seconds: int) -> int:
        """The longest call of at most `wanted_seconds` that the credit pays for."""
        return rating.max_usage(
            self.rate,
            self.version.rounding,
            self.version.time_zone,
            answered_at=self.asked_at,
            answered_until=self._latest,
            credit_micros=credit_micros,
            wanted_seconds=wanted_seconds,
        )

    def hold_micros(self, seconds: int) -> int:
        """The most that a call of so many seconds can cost."""
        return rating.hold_amount_micros(
            self.rate,
            self.version.rounding,
            self.version.time_zone,
            answered_at=self.asked_at,
            answered_until=self._latest,
            seconds=seconds,
        )

    @property
    def _latest(self) -> datetime:
        return self.asked_at + timedelta(seconds=limits.HOLD_RINGING_SECONDS)


@dataclass(frozen=True, slots=True)
class _Resolved:
    facts: DialOutFacts
    account: Account | None
    view: HoldState
    pricing: DialOutPricing | None


class AuthoriseDialOut:
    """Answers a dial-out question, and holds the credit that an allowed call needs."""

    def __init__(
        self,
        facts: Facts,
        rate_cards: RateCards,
        hold_book: HoldBook,
        clock: Clock,
        wording: Wording,
    ) -> None:
        self._facts = facts
        self._rate_cards = rate_cards
        self._holds = hold_book
        self._clock = clock
        self._wording = wording

    async def __call__(self, bridge: Bridge, question: Question) -> Mapping[str, object]:
        """The answer, in the wire's words; the same question again gets its first answer.

        A denial from cached facts is asked again with fresh ones. Raises Invalid
        `idempotency_key_reused`, and Unavailable when the store can't tell: nothing is granted.
        """
        resolved = await self._resolve(bridge, question, fresh=False)
        denial = dial_out.check_rules(resolved.facts)
        if denial is not None:
            resolved = await self._resolve(bridge, question, fresh=True)
            denial = dial_out.check_rules(resolved.facts)
        try:
            if question.dry_run:
                return self._dry_run(question, resolved, denial)
            if denial is not None:
                return await self._keep(bridge, question, resolved, denial)
            return await self._place(bridge, question, resolved)
        except OutcomeUnknown as unknown:
            raise Unavailable("It is not certain that the credit is held.") from unknown

    async def release(self, bridge: Bridge, authorization: str) -> None:
        """A call that was allowed did not happen: give its hold back. Twice is once.

        Raises NotFound `authorization_unknown` when this bridge has no such authorisation.
        """
        account = account_of(authorization)
        if account is None or not bridge.serves(account):
            raise NotFound("There is no such authorization.", code="authorization_unknown")
        await self._holds.release(account, authorization, bridge.id)

    async def _place(
        self, bridge: Bridge, question: Question, resolved: _Resolved
    ) -> Mapping[str, object]:
        account, pricing = _priced(resolved)
        authorization = authorization_of(account.id, bridge.id, question.key)

        def record(hold: Hold, granted_seconds: int) -> HoldRecord:
            checks = _checks(question, resolved, None, granted_seconds)
            allowance = _allowance(resolved, hold, granted_seconds)
            return HoldRecord(
                authorization=authorization,
                bridge=bridge.id,
                digest=question.digest,
                answer=self._wording.allowed(allowance, checks),
                granted_seconds=granted_seconds,
                amount_micros=hold.amount_micros,
                expires_at=hold.expires_at,
            )

        command = _authorise(authorization, bridge, question, pricing)
        placed = await self._holds.place(account.id, PlaceHold(command, record))
        if isinstance(placed, Answered):
            return _same_question(placed, question)
        denial = _credit_denial(placed, account)
        return await self._keep(bridge, question, resolved, denial)

    async def _keep(
        self, bridge: Bridge, question: Question, resolved: _Resolved, denial: Denial
    ) -> Mapping[str, object]:
        """Keep a denial under the question's key. Without an account there is nowhere to keep it:
        it is found anew each time."""
        answer = self._wording.denied(denial, _checks(question, resolved, denial, None))
        if resolved.account is None:
            return answer
        record = HoldRecord(
            authorization=authorization_of(resolved.account.id, bridge.id, question.key),
            bridge=bridge.id,
            digest=question.digest,
            answer=answer,
        )
        return _same_question(await self._holds.keep(resolved.account.id, record), question)

    def _dry_run(
        self, question: Question, resolved: _Resolved, denial: Denial | None
    ) -> Mapping[str, object]:
        if denial is None:
            account, pricing = _priced(resolved)
            command = _authorise("", None, question, pricing)
            placed = holds.authorise(resolved.view, command, self._clock.now())
            if isinstance(placed, Placed):
                checks = _checks(question, resolved, None, placed.granted_seconds)
                allowance = _allowance(resolved, placed.hold, placed.granted_seconds)
                return self._wording.allowed(allowance, checks)
            denial = _credit_denial(placed, account)
        return self._wording.denied(denial, _checks(question, resolved, denial, None))

    async def _resolve(self, bridge: Bridge, question: Question, *, fresh: bool) -> _Resolved:
        now = self._clock.now()
        account, organizer = await self._owner(bridge, question, now, fresh=fresh)
        policy = AccountPolicy()
        view = HoldState()
        account_facts = None
        if account is not None:
            policy = await self._facts.dial_out_policy(account.id, fresh=fresh)
            view = await self._holds.view(account.id)
            account_facts = AccountFacts(account.id, account.settings.usage_location)
        homes = (organizer or account_facts, account_facts)
        home = next((fact.usage_location for fact in homes if fact and fact.usage_location), None)
        dialled = look_up(question.to, (home, bridge.country))
        pricing = await self._pricing(account, dialled.number.digits, now)
        facts = DialOutFacts(
            dialled=dialled,
            account=account_facts,
            organizer=organizer,
            bridge_country=bridge.country,
            policy=policy,
            rate=_rate_facts(pricing) if pricing else None,
            velocities=(
                VelocityUse(
                    Scope.ACCOUNT,
                    _VELOCITY,
                    concurrent=len(view.open_holds(now)),
                    allowed_last_hour=view.placed_last_hour(now),
                ),
            ),
            half=question.half,
        )
        return _Resolved(facts, account, view, pricing)

    async def _owner(
        self, bridge: Bridge, question: Question, now: datetime, *, fresh: bool
    ) -> tuple[Account | None, OrganizerFacts | None]:
        registration = None
        if question.conference is not None:
            history = await self._facts.conference(
                question.conference, known_at=now if fresh else None, fresh=fresh
            )
            registration = registration_at(history, now)
            if registration is not None and not bridge.serves(registration.account):
                registration = None
        name = (
            question.account
            or (registration.account if registration else None)
            or bridge.default_account
        )
        if name is None or not bridge.serves(name):
            return None, None
        account = await self._facts.account(name, fresh=fresh)
        if account is None:
            return None, None
        owns = registration is not None and registration.account == account.id
        organizer = (registration.organizer if registration and owns else None) or (
            question.organizer
        )
        if organizer is None:
            return account, None
        return account, await self._facts.organizer(account.id, organizer, fresh=fresh)

    async def _pricing(
        self, account: Account | None, digits: str, now: datetime
    ) -> DialOutPricing | None:
        if account is None or not digits:
            return None
        version = await self._rate_cards.version_for(account.settings.rate_card, now)
        if version is None or version.currency != account.settings.currency:
            return None
        rate = version.find(LegKind.DIAL_OUT, digits, None)
        return DialOutPricing(rate, version, now) if rate else None


_VELOCITY = Velocity()


def authorization_of(account: str, bridge: str, key: str) -> str:
    """The authorisation that a bridge's idempotency key leads to: the same one, for ever.

    It names its account, whose hold book alone knows it.
    """
    digest = hashlib.sha256(f"{bridge}\n{key}".encode()).digest()
    return f"au_{base64.b32encode(digest[:15]).decode().lower()}.{account}"


def account_of(authorization: str) -> str | None:
    """The account that an authorisation names, None if it is none of ours."""
    return authorization.partition(".")[2] or None


def _same_question(answered: Answered, question: Question) -> Mapping[str, object]:
    if answered.repeated and answered.record.digest != question.digest:
        raise Invalid(
            "The Idempotency-Key was used for another question.", code="idempotency_key_reused"
        )
    return answered.record.answer


def _authorise(
    authorization: str, bridge: Bridge | None, question: Question, pricing: DialOutPricing
) -> Authorise:
    wanted = min(question.requested_seconds or limits.HOLD_SLICE_SECONDS, limits.HOLD_SLICE_SECONDS)
    leg = f"{bridge.id}~{question.leg_id}" if bridge and question.leg_id else None
    return Authorise(
        authorization=authorization,
        wanted_seconds=wanted,
        pricing=pricing,
        leg=leg,
        concurrent_max=limits.DIAL_OUT_CONCURRENT_DEFAULT,
        per_hour_max=limits.DIAL_OUTS_PER_HOUR_DEFAULT,
    )


def _priced(resolved: _Resolved) -> tuple[Account, DialOutPricing]:
    if resolved.account is None or resolved.pricing is None:
        raise Unavailable("The rules let a call through that has no rate.")
    return resolved.account, resolved.pricing


def _rate_facts(pricing: DialOutPricing) -> RateFacts:
    rate, version = pricing.rate, pricing.version
    dearest = rating.dearest_price_per_minute(
        rate,
        version.rounding,
        version.time_zone,
        span_start=pricing.asked_at,
        span_seconds=limits.HOLD_SLICE_SECONDS + limits.HOLD_RINGING_SECONDS,
    )
    return RateFacts(
        prefix=rate.prefix,
        destination=rate.destination,
        price_per_minute_picos=ceil_div(dearest.numerator * PICOS_PER_UNIT, dearest.denominator),
        connection_fee_picos=rate.connection_fee_picos,
        least_charge_micros=pricing.hold_micros(1),
    )


def _allowance(resolved: _Resolved, hold: Hold, granted_seconds: int) -> Allowance:
    account, _ = _priced(resolved)
    facts, rate = resolved.facts, resolved.facts.rate
    number = facts.dialled.number
    if rate is None or number.e164 is None:
        raise Unavailable("The rules let a call through that has no rate.")
    return Allowance(
        authorization=hold.authorization or None,
        granted_seconds=granted_seconds,
        final=True,
        expires_at=hold.expires_at if hold.authorization else None,
        price_per_minute_picos=rate.price_per_minute_picos,
        connection_fee_picos=rate.connection_fee_picos,
        currency=account.settings.currency,
        held_micros=hold.amount_micros,
        destination=Destination(
            number=number.e164,
            region=number.region,
            prefix=rate.prefix,
            number_class=facts.policy.class_of(classify(number.e164)),
        ),
    )


def _credit_denial(refusal: CreditExhausted | VelocityExceeded, account: Account) -> Denial:
    if isinstance(refusal, CreditExhausted):
        available = format_amount(refusal.available_micros)
        return dial_out.credit_denial(available, account.settings.currency)
    span = "within an hour" if refusal.per_hour else "at once"
    return Denial(
        Reason.VELOCITY_EXCEEDED,
        f"The account may dial out {refusal.limit} times {span}, and has {refusal.count}.",
    )


def _checks(
    question: Question,
    resolved: _Resolved,
    denial: Denial | None,
    granted_seconds: int | None,
) -> Checks:
    if not question.explain:
        return None
    of_credit = denial if denial and denial.reason is Reason.CREDIT_EXHAUSTED else None
    return dial_out.explain(resolved.facts, dial_out.credit_line(of_credit, granted_seconds))
