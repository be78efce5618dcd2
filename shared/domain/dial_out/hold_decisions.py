"""Decisions of the hold book: place, extend, stop. Pure; the state contains all known facts.

Promise 4: a hold is exactly the maximum cost of the granted seconds, and no hold is placed or
extended that brings the sum of open holds above balance + credit limit.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.domain.common import limits
from shared.domain.common.calendar import local_day
from shared.domain.credits.alerts import Event
from shared.domain.credits.event_payloads import dial_out_stopped
from shared.domain.dial_out import denials, event_payloads
from shared.domain.dial_out.budgets import (
    BudgetMode,
    Limit,
    breaker_excess,
    budget_remaining_micros,
    exceeded_budgets,
    velocity_excess,
)
from shared.domain.dial_out.facts import Denial
from shared.domain.dial_out.hold_book import (
    Hold,
    HoldState,
    PendingCounterUpdate,
    budget_uses,
    of_account,
    update_counters,
    velocity_uses,
    with_hold,
)
from shared.domain.dial_out.usage_counters import minute_of


class Pricing(Protocol):
    """The price of a call before it happens: never less than its later charge.

    Minutes pay the first `after_seconds`; the rest is a separate call.
    """

    def seconds_for(self, credit_micros: int, wanted_seconds: int, after_seconds: int) -> int:
        """The longest call of at most `wanted_seconds` that the credit pays for; 0 if none."""
        ...

    def hold_micros(self, seconds: int, after_seconds: int) -> int:
        """The maximum cost of a call of a number of seconds."""
        ...


class EndsBy(StrEnum):
    """The reason why a call ends at its granted seconds, without an extension."""

    CREDIT = "credit"
    BUDGET = "budget"
    POOL = "pool"
    LENGTH = "length"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Authorise:
    """Reserve the cost of a call of up to `wanted_seconds`. The id derives from the bridge's
    idempotency key, so that a request never has two holds.

    `bounds` are the limits of the account and of other scopes; none of them binds an admitted
    caller. `pool_month` is None where the pool does not pay.
    """

    authorization: str
    account: str
    currency: str
    time_zone: str
    wanted_seconds: int
    pricing: Pricing
    bridge: str = ""
    leg: str | None = None
    region: str | None = None
    bounds: tuple[Limit, ...] = ()
    pool_month: str | None = None
    is_dial_out: bool = True


@dataclass(frozen=True, slots=True)
class Extend:
    """Extend an open call to `wanted_seconds`, counted from its answer; `bounds` as in
    `Authorise`."""

    authorization: str
    time_zone: str
    wanted_seconds: int
    pricing: Pricing
    bounds: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Granted:
    """A hold, and the reason for which it cannot be extended; None if it can.

    `state` is None where nothing changed.
    """

    state: HoldState | None
    hold: Hold
    ends_by: EndsBy | None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class _SpendingCapacity:
    """The means for one call."""

    credit_micros: int
    budget_micros: int | None
    pool_seconds: int

    @property
    def money_micros(self) -> int:
        """The smaller amount of the available credit and the remaining budgets."""
        if self.budget_micros is None:
            return self.credit_micros
        return min(self.credit_micros, self.budget_micros)


@dataclass(frozen=True, slots=True)
class _Coverage:
    """The seconds that the means pay for."""

    seconds: int
    pool_seconds: int
    amount_micros: int


def place_hold(state: HoldState, command: Authorise, now: datetime) -> Granted | Denial:
    """Place a hold for the granted seconds, or deny: rules in the order of
    docs/dial-out-policies.md.

    Pool seconds come first, then money. A call that costs nothing needs no credit. Counters change
    with the hold; the one that reaches the breaker's limit stops the account's dial-out.
    """
    day = local_day(now, command.time_zone)
    pool = state.pool_left_seconds(command.pool_month, now) if command.pool_month else 0
    if refused := _refused(state, command, day, pool, now):
        return refused
    capacity = _SpendingCapacity(
        max(0, state.spendable_micros(now)),
        budget_remaining_micros(budget_uses(state, command.bounds, day, now)),
        pool,
    )
    coverage = _coverage(command.pricing, capacity, command.wanted_seconds)
    if coverage.seconds <= 0:
        return denials.no_credit(state.spendable_micros(now), command.currency)
    minute = minute_of(now)
    ends_by = _ends_by(command.pricing, capacity, coverage)
    hold = Hold(
        authorization=command.authorization,
        amount_micros=coverage.amount_micros,
        granted_seconds=coverage.seconds,
        placed_at=now,
        day=day,
        leg=command.leg,
        bridge=command.bridge,
        is_dial_out=command.is_dial_out,
        scopes=tuple(dict.fromkeys(bound.key for bound in command.bounds if bound.key)),
        pool_month=command.pool_month,
        pool_seconds=coverage.pool_seconds,
        grant_minute=minute,
        grant_micros=coverage.amount_micros,
        ends_by=ends_by or "",
    )
    placed = with_hold(state, hold)
    if not command.is_dial_out:
        return Granted(placed, hold, ends_by)
    first_time = event_payloads.first_time(state, command.bounds, command.region)
    counted = _placed(placed, command, minute)
    after, events = _with_warnings(counted, command.bounds, day, now)
    return Granted(after, hold, ends_by, first_time + events)


def extend_hold(state: HoldState, command: Extend, now: datetime) -> Granted | None:
    """Hold the cost of the call until the requested second; None when there is no such open hold.

    The target is absolute, so a repeated extension changes nothing, and a grant never shrinks.
    Where the funds do not cover the requested seconds, the result is the former grant with the
    reason of the end.
    """
    hold = state.find(command.authorization, now)
    if hold is None:
        return None
    if command.wanted_seconds <= hold.granted_seconds:
        return Granted(None, hold, _ends_without_extension(state, command, hold, now))
    if hold.is_dial_out and (state.stopped or state.suspended):
        return Granted(None, hold, EndsBy.STOPPED)
    capacity = _capacity_with_hold(state, command, hold, now)
    coverage = _coverage(command.pricing, capacity, command.wanted_seconds)
    if coverage.seconds <= hold.granted_seconds:
        ends_by = _ends_without_extension(state, command, hold, now)
        current = replace(hold, ends_by=ends_by or "")
        return Granted(None if current == hold else with_hold(state, current), current, ends_by)
    minute = minute_of(now)
    ends_by = _ends_by(command.pricing, capacity, coverage)
    longer = replace(
        hold,
        amount_micros=coverage.amount_micros,
        granted_seconds=coverage.seconds,
        pool_seconds=coverage.pool_seconds,
        grant_minute=minute,
        grant_micros=max(0, coverage.amount_micros - hold.amount_micros),
        ends_by=ends_by or "",
    )
    extended = with_hold(state, longer)
    if not hold.is_dial_out:
        return Granted(extended, longer, ends_by)
    # What was granted before is spent by now: the call is going on.
    before = PendingCounterUpdate("", "", minute, 0, hold.grant_minute, hold.grant_micros)
    counted = update_counters(extended, hold.scopes, before)
    after, events = _with_warnings(counted, command.bounds, hold.day, now)
    return Granted(after, longer, ends_by, events)


def stop(state: HoldState, why: str, now: datetime) -> HoldState | None:
    """Dial-out stopped; None when it is stopped already."""
    return None if state.stopped else replace(state, stopped=why, halted_at=now)


def restart(state: HoldState) -> HoldState | None:
    """Dial-out restarted by a person who has checked the spend: the last ten minutes no longer
    count. None when nothing was stopped."""
    if not state.stopped:
        return None
    holds = tuple(replace(hold, grant_micros=0) for hold in state.holds)
    return replace(state, stopped="", holds=holds, counters=replace(state.counters, costs=()))


def suspend(state: HoldState, now: datetime, *, suspended: bool) -> HoldState | None:
    """The state with the account suspended, or no longer suspended; None when nothing changes."""
    if state.suspended == suspended:
        return None
    return replace(state, suspended=suspended, halted_at=now if suspended else state.halted_at)


def _refused(
    state: HoldState, command: Authorise, day: str, pool_seconds: int, now: datetime
) -> Denial | None:
    if state.suspended:
        return denials.suspended(command.account)
    opened = state.open_holds(now)
    if command.is_dial_out:
        if state.stopped:
            return denials.stopped(state.stopped)
        least = 0 if pool_seconds else command.pricing.hold_micros(1, 0)
        exceeded = exceeded_budgets(budget_uses(state, command.bounds, day, now), least)
        if exceeded and exceeded[0].budget.mode is BudgetMode.HARD:
            return denials.over_budget(exceeded[0])
        for use in velocity_uses(state, command.bounds, command.region, now):
            if excess := velocity_excess(use):
                return denials.too_fast(excess)
    if len(opened) >= limits.OPEN_HOLDS_MAX:
        return denials.too_fast(f"open calls of the account: {len(opened)}")
    return None


def _coverage(pricing: Pricing, capacity: _SpendingCapacity, wanted_seconds: int) -> _Coverage:
    """The longest call up to the requested seconds: from the pool first, then from money. A free
    call takes nothing of the pool, like its charge."""
    seconds = min(wanted_seconds, limits.LEG_SECONDS_MAX)
    pool = min(seconds, capacity.pool_seconds)
    if pool and pricing.hold_micros(seconds, 0) == 0:
        pool = 0
    paid = pricing.seconds_for(capacity.money_micros, seconds - pool, pool) if seconds > pool else 0
    amount = pricing.hold_micros(paid, pool) if paid > 0 else 0
    if amount > capacity.money_micros:
        return _Coverage(pool, pool, 0)
    return _Coverage(pool + max(0, paid), pool, amount)


def _ends_by(pricing: Pricing, capacity: _SpendingCapacity, coverage: _Coverage) -> EndsBy | None:
    """The limit that ends the call after the covered seconds."""
    if coverage.seconds >= limits.LEG_SECONDS_MAX:
        return EndsBy.LENGTH
    if _coverage(pricing, capacity, coverage.seconds + 1).seconds > coverage.seconds:
        return None
    if capacity.budget_micros is not None and capacity.budget_micros < capacity.credit_micros:
        return EndsBy.BUDGET
    return EndsBy.POOL if coverage.pool_seconds == coverage.seconds else EndsBy.CREDIT


def _capacity_with_hold(
    state: HoldState, command: Extend, hold: Hold, now: datetime
) -> _SpendingCapacity:
    """The total means for an open call: its hold, and the free credit."""
    uses = budget_uses(state, command.bounds, hold.day, now, exclude=hold.authorization)
    pool = 0
    if hold.pool_month:
        # What was reserved stays reserved, even where debits without a hold emptied the pool.
        pool = hold.pool_seconds + state.pool_left_seconds(hold.pool_month, now)
    return _SpendingCapacity(
        max(0, state.spendable_micros(now) + hold.amount_micros),
        budget_remaining_micros(uses) if hold.is_dial_out else None,
        pool,
    )


def _ends_without_extension(
    state: HoldState, command: Extend, hold: Hold, now: datetime
) -> EndsBy | None:
    """The reason why a call ends at its present seconds."""
    if hold.is_dial_out and (state.stopped or state.suspended):
        return EndsBy.STOPPED
    capacity = _capacity_with_hold(state, command, hold, now)
    coverage = _Coverage(hold.granted_seconds, hold.pool_seconds, hold.amount_micros)
    return _ends_by(command.pricing, capacity, coverage)


def _placed(state: HoldState, command: Authorise, minute: int) -> HoldState:
    """The dial-out counted: by the account, and by the scopes whose velocity is bounded."""
    scopes = dict(state.scopes)
    for bound in command.bounds:
        if bound.key and bound.velocity is not None:
            scope_counters = state.counters_of(bound.key)
            scopes[bound.key] = scope_counters.with_placed(minute, command.region)
    counters = state.counters.with_placed(minute, command.region)
    return replace(state, counters=counters, scopes=scopes)


def _with_warnings(
    state: HoldState, bounds: tuple[Limit, ...], day: str, now: datetime
) -> tuple[HoldState, tuple[Event, ...]]:
    """The state after a grant, with the events that it emits: budgets, the breaker."""
    warned, warnings = event_payloads.over_budget(state, bounds, day, now)
    stopped, tripped = _breaker(warned, bounds, now)
    return stopped, warnings + tripped


def _breaker(
    state: HoldState, bounds: tuple[Limit, ...], now: datetime
) -> tuple[HoldState, tuple[Event, ...]]:
    """The state with dial-out stopped once the grants of ten minutes reach the breaker's limit."""
    use = of_account(velocity_uses(state, bounds, None, now))
    why = breaker_excess(use) if use else None
    if why is None or state.stopped:
        return state, ()
    return replace(state, stopped=why, halted_at=now), (dial_out_stopped(why),)
