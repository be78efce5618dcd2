"""The use case of dial-out and dial-in: facts are resolved, rules are checked in order, and credit
is held last (docs/dial-out.md). `resolve_call` has the differences between dial-out and dial-in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.common import limits
from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import Invalid, Unavailable
from shared.domain.dial_out import dial_out_checks, hold_decisions
from shared.domain.dial_out.authorization_ids import authorization_of
from shared.domain.dial_out.budgets import Limit
from shared.domain.dial_out.denied_calls import DeniedCall, Direction
from shared.domain.dial_out.facts import Allowance, CheckResult, Denial, Destination, RateFacts
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.hold_decisions import Authorise, Granted
from shared.domain.directory.entities import Account, Bridge
from shared.ports.clock import Clock
from shared.ports.denials import Denials
from shared.ports.holds import HoldBook, HoldRecord, PlaceHold, StoredDecision
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.dial_out.authorisation_request import AuthorisationRequest, ResponseRenderer
from shared.usecases.dial_out.call_pricing import CallPricing, IncludedCall
from shared.usecases.dial_out.watch_calls import WatchCalls

_DENIAL_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class PricedCall:
    """A call that has a price. `limits` and `pool_month` as in `Authorise`."""

    pricing: CallPricing | IncludedCall
    rate: RateFacts
    destination: Destination
    limits: tuple[Limit, ...] = ()
    pool_month: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """The facts of a requested call. `denial` is the first rule against the call, None when only
    credit is left to check; `explain` gives every check, with the result of that of credit.
    `number` is the called number where the text is a number, `region` its region."""

    denial: Denial | None
    explain: Callable[[CheckResult], Sequence[CheckResult]]
    is_dial_out: bool
    view: HoldState
    account: Account | None = None
    organizer: str | None = None
    priced: PricedCall | None = None
    number: str | None = None
    region: str | None = None


class ResolveCall(Protocol):
    """Resolves one kind of call."""

    def __call__(
        self, bridge: Bridge, request: AuthorisationRequest, *, fresh: bool
    ) -> Awaitable[ResolvedCall]:
        """The call with its facts; `fresh`: read past the caches. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class AuthoriseCall:
    """Answers whether a call may take place, and holds the credit that an allowed one needs."""

    resolve: ResolveCall
    hold_book: HoldBook
    publish: PublishEvents
    clock: Clock
    renderer: ResponseRenderer
    watch: WatchCalls
    denials: Denials

    async def __call__(self, bridge: Bridge, request: AuthorisationRequest) -> Mapping[str, object]:
        """The rendered answer; a repeated request gets its first answer.

        A denial from cached facts is checked again with fresh ones. Raises Invalid
        `idempotency_key_reused`, and Unavailable when the store has no answer: nothing is granted.
        """
        call = await self.resolve(bridge, request, fresh=request.dry_run)
        if call.denial is not None and not request.dry_run:
            call = await self.resolve(bridge, request, fresh=True)
        if request.dry_run:
            return self._dry_run(bridge, request, call)
        if call.denial is not None:
            return await self._keep(bridge, request, call, call.denial)
        return await self._place(bridge, request, call)

    def _dry_run(
        self, bridge: Bridge, request: AuthorisationRequest, call: ResolvedCall
    ) -> Mapping[str, object]:
        if call.denial is not None:
            return self._denied(request, call, call.denial)
        command = _command("", bridge, request, call)
        granted = hold_decisions.place_hold(call.view, command, self.clock.now())
        if isinstance(granted, Granted):
            return self._allowed(request, call, granted)
        return self._denied(request, call, granted)

    async def _place(
        self, bridge: Bridge, request: AuthorisationRequest, call: ResolvedCall
    ) -> Mapping[str, object]:
        account, priced = _priced(call)
        authorization = authorization_of(account.id, bridge.id, request.key)

        def record(granted: Granted) -> HoldRecord:
            hold = granted.hold
            return HoldRecord(
                authorization=authorization,
                bridge=bridge.id,
                digest=request.digest,
                answer=self._allowed(request, call, granted),
                granted_seconds=hold.granted_seconds,
                pool_seconds=hold.pool_seconds,
                amount_micros=hold.amount_micros,
                expires_at=hold.expires_at,
                requested_at=priced.pricing.requested_at,
                rate=priced.pricing.reference,
                organizer=call.organizer,
                conference=request.conference,
                caller=request.caller,
            )

        command = _command(authorization, bridge, request, call)
        marked = self.watch.expect(account, bridge)
        placed = await self.hold_book.place(account.id, PlaceHold(command, record))
        if marked is not None:
            await self.watch.settle(marked)
        if isinstance(placed, Denial):
            return await self._keep(bridge, request, call, placed)
        if marked is not None:
            self.watch.began(account, authorization, placed.record.granted_seconds)
        if placed.events and call.is_dial_out:
            self.watch.halted(account.id)  # it may have reached the breaker's limit
            await self.publish.best_effort(account.id)
        return _same_request(placed, request)

    async def _keep(
        self, bridge: Bridge, request: AuthorisationRequest, call: ResolvedCall, denial: Denial
    ) -> Mapping[str, object]:
        """Store a denial under the request's key. Without an account no denial is stored: it is
        decided again each time."""
        answer = self._denied(request, call, denial)
        if call.account is None:
            return answer
        record = HoldRecord(
            authorization=authorization_of(call.account.id, bridge.id, request.key),
            bridge=bridge.id,
            digest=request.digest,
            answer=answer,
        )
        kept = await self.hold_book.keep(call.account.id, record)
        if not kept.repeated:
            denied = self._denied_call(bridge, request, call, denial, record.authorization)
            self.denials.note(call.account.id, denied)
        return _same_request(kept, request)

    def _denied_call(
        self,
        bridge: Bridge,
        request: AuthorisationRequest,
        call: ResolvedCall,
        denial: Denial,
        authorization: str,
    ) -> DeniedCall:
        """A denial for the list of denials."""
        return DeniedCall(
            id=content_digest(authorization)[:_DENIAL_ID_DIGITS],
            at=self.clock.now(),
            bridge=bridge.id,
            direction=Direction.DIAL_OUT if call.is_dial_out else Direction.DIAL_IN,
            to=call.number or request.to[: limits.NUMBER_CHARS_MAX],
            region=call.region,
            reason=denial.reason.value,
            message=denial.message,
            organizer=call.organizer or request.organizer,
            conference=request.conference,
        )

    def _allowed(
        self, request: AuthorisationRequest, call: ResolvedCall, granted: Granted
    ) -> dict[str, object]:
        checks = _checks(request, call, None, granted.hold.granted_seconds)
        return self.renderer.allowed(_allowance(call, granted), checks)

    def _denied(
        self, request: AuthorisationRequest, call: ResolvedCall, denial: Denial
    ) -> dict[str, object]:
        return self.renderer.denied(denial, _checks(request, call, denial, None))


def _command(
    authorization: str, bridge: Bridge, request: AuthorisationRequest, call: ResolvedCall
) -> Authorise:
    account, priced = _priced(call)
    slice_seconds = bridge.assumed_seconds or limits.HOLD_SLICE_SECONDS
    return Authorise(
        authorization=authorization,
        account=account.id,
        currency=account.settings.currency,
        time_zone=account.settings.time_zone,
        wanted_seconds=min(request.requested_seconds or slice_seconds, slice_seconds),
        pricing=priced.pricing,
        bridge=bridge.id,
        leg=f"{bridge.id}~{request.leg_id}" if request.leg_id else None,
        region=priced.destination.region if call.is_dial_out else None,
        bounds=priced.limits,
        pool_month=priced.pool_month,
        is_dial_out=call.is_dial_out,
    )


def _priced(call: ResolvedCall) -> tuple[Account, PricedCall]:
    if call.account is None or call.priced is None:
        raise Unavailable("The rules allow a call without a rate.")
    return call.account, call.priced


def _allowance(call: ResolvedCall, granted: Granted) -> Allowance:
    account, priced = _priced(call)
    hold = granted.hold
    return Allowance(
        authorization=hold.authorization or None,
        granted_seconds=hold.granted_seconds,
        final=granted.ends_by is not None,
        ends_by=granted.ends_by.value if granted.ends_by else "",
        pool_seconds=hold.pool_seconds,
        expires_at=hold.expires_at if hold.authorization else None,
        price_per_minute_picos=priced.rate.price_per_minute_picos,
        connection_fee_picos=priced.rate.connection_fee_picos,
        currency=account.settings.currency,
        held_micros=hold.amount_micros,
        destination=priced.destination,
    )


def _checks(
    request: AuthorisationRequest,
    call: ResolvedCall,
    denial: Denial | None,
    granted_seconds: int | None,
) -> Sequence[CheckResult] | None:
    if not request.explain:
        return None
    by_hold_book = denial if call.denial is None else None
    return call.explain(dial_out_checks.credit_line(by_hold_book, granted_seconds))


def _same_request(answered: StoredDecision, request: AuthorisationRequest) -> Mapping[str, object]:
    """The kept answer. Raises Invalid `idempotency_key_reused` if it answers another request."""
    if answered.repeated and answered.record.digest != request.digest:
        raise Invalid(
            "The Idempotency-Key was used for another call. Send a new key with each new request.",
            code="idempotency_key_reused",
        )
    return answered.record.answer
