"""Events of a dial-out: a new region, a spent budget, a stop."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from shared.domain.common.calendar import month_of
from shared.domain.common.money import format_amount
from shared.domain.credits.alerts import (
    DIAL_OUT_RESTARTED,
    NEW_REGION,
    OVER_BUDGET,
    Event,
)
from shared.domain.credits.event_payloads import event_of
from shared.domain.dial_out.budgets import BudgetMode, BudgetPeriod, BudgetUse, Limit
from shared.domain.dial_out.budgets import NewRegion as NewRegionMode
from shared.domain.dial_out.hold_book import HoldState, budget_uses
from shared.domain.dial_out.usage_counters import Counters


def first_time(state: HoldState, bounds: Iterable[Limit], region: str | None) -> tuple[Event, ...]:
    """The notice of the first dial-out to a region by a scope, where the policy requires the
    notice."""
    return tuple(
        Event(NEW_REGION, {"scope": bound.scope.value, "region": region})
        for bound in bounds
        if bound.velocity is not None
        and bound.velocity.new_region is NewRegionMode.NOTICE
        and region is not None
        and region not in state.counters_of(bound.key).regions
    )


def over_budget(
    state: HoldState, bounds: Iterable[Limit], day: str, now: datetime
) -> tuple[HoldState, tuple[Event, ...]]:
    """(state, events): a warning for each budget that only warns and that charges and open holds
    exceed. The state records the warnings: one per scope and period, for a meeting one a day."""
    events: list[Event] = []
    for bound in bounds:
        for use in budget_uses(state, (bound,), day, now):
            if use.budget.mode is BudgetMode.HARD or use.used_micros <= use.budget.amount_micros:
                continue
            counters = state.counters_of(bound.key)
            mark = (
                f"{use.period.value} {month_of(day) if use.period is BudgetPeriod.MONTH else day}"
            )
            if mark not in counters.warned:
                events.append(_spent(use))
                state = _with_counters(state, bound.key, counters.with_warned(mark))
    return state, tuple(events)


def restarted() -> Event:
    """The event that ends the ledger's alert of a stop after dial-out was restarted."""
    return Event(DIAL_OUT_RESTARTED, {})


def _spent(use: BudgetUse) -> Event:
    """The sentence about a spent budget, without the name of an organizer or a room, which may be
    erased later."""
    return event_of(
        OVER_BUDGET,
        "Calls go on. Raise the budget, or make it a hard one.",
        scope=use.scope.value,
        period=use.period.value,
        amount=format_amount(use.budget.amount_micros),
        spent=format_amount(use.used_micros),
    )


def _with_counters(state: HoldState, key: str, counters: Counters) -> HoldState:
    if key == "":
        return replace(state, counters=counters)
    return replace(state, scopes={**state.scopes, key: counters})
