"""Budgets and velocity: limits on the amount of dial-outs, and on their rate. All functions are
pure functions of counters; the hold book commits the counters together with the hold. Only allowed
calls count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.domain.common import limits
from shared.domain.common.counts import counted
from shared.domain.common.documents import stored
from shared.domain.common.money import format_amount, parse_amount


class Scope(StrEnum):
    """The subject whose spending a limit bounds."""

    ORGANIZER = "organizer"
    COST_CENTER = "cost_center"
    MEETING = "meeting"
    ACCOUNT = "account"


class BudgetPeriod(StrEnum):
    """The period of a budget: a day or a month in the account's time zone, or one meeting."""

    DAY = "day"
    MONTH = "month"
    MEETING = "meeting"


class BudgetMode(StrEnum):
    """The effect of a spent budget: it refuses calls, or only warns."""

    HARD = "hard"
    WARN = "warn"


def _amount(name: str) -> Mapping[str, Any]:
    return stored(name, form=str, read=parse_amount, write=format_amount)


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount for a period."""

    amount_micros: int = field(metadata=_amount("amount"))
    mode: BudgetMode = BudgetMode.HARD


@dataclass(frozen=True, slots=True)
class Budgets:
    """The amounts that one scope may spend in a day, in a month (both in the account's time zone)
    and in each meeting."""

    day: Budget | None = None
    month: Budget | None = None
    meeting: Budget | None = None


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """A budget and its spend: charged in the period plus the maximum of open holds."""

    scope: Scope
    name: str
    period: BudgetPeriod
    budget: Budget
    used_micros: int

    @property
    def remaining_micros(self) -> int:
        """The remaining amount, never below zero."""
        return max(0, self.budget.amount_micros - self.used_micros)

    def label(self) -> str:
        """The budget in words, such as "the organizer's budget for the day"."""
        return f"the {self.scope.value.replace('_', ' ')}'s budget for the {self.period.value}"


def budget_remaining_micros(uses: Iterable[BudgetUse]) -> int | None:
    """The smallest remaining amount of the hard budgets; None without a hard budget."""
    return min(
        (use.remaining_micros for use in uses if use.budget.mode is BudgetMode.HARD), default=None
    )


def exceeded_budgets(uses: Iterable[BudgetUse], least_charge_micros: int) -> tuple[BudgetUse, ...]:
    """The budgets, hard ones first, that do not cover the minimum price of an answered call.

    A call that costs nothing exceeds no budget.
    """
    exceeded = [
        use
        for use in uses
        if least_charge_micros > 0 and use.remaining_micros < least_charge_micros
    ]
    return tuple(sorted(exceeded, key=lambda use: use.budget.mode is not BudgetMode.HARD))


class NewRegion(StrEnum):
    """The effect when an account dials a region for the first time."""

    ALLOW = "allow"
    NOTICE = "notice"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Velocity:
    """The dial-out velocity limits of one scope. None: no limit.

    Beyond `cost_per_ten_minutes_micros` the breaker stops the account's dial-out until a person
    starts it again.
    """

    concurrent_max: int | None = field(
        default=limits.DIAL_OUT_CONCURRENT_DEFAULT, metadata=stored("concurrent")
    )
    per_hour_max: int | None = field(
        default=limits.DIAL_OUTS_PER_HOUR_DEFAULT, metadata=stored("per_hour")
    )
    new_region: NewRegion = NewRegion.ALLOW
    cost_per_ten_minutes_micros: int | None = field(
        default=None, metadata=_amount("cost_per_ten_minutes")
    )


@dataclass(frozen=True, slots=True)
class Limit:
    """The limits of one scope of a dial-out. `key` names its counters; "" are the account's own."""

    scope: Scope
    key: str
    name: str
    budgets: tuple[tuple[BudgetPeriod, Budget], ...] = ()
    velocity: Velocity | None = None


@dataclass(frozen=True, slots=True)
class VelocityUse:
    """The velocity of one scope and its counters at this moment, this call not among them."""

    scope: Scope
    velocity: Velocity
    concurrent: int = 0
    allowed_last_hour: int = 0
    region_is_new: bool = False
    cost_last_ten_minutes_micros: int = 0


def velocity_excess(use: VelocityUse) -> str | None:
    """The velocity limit that another dial-out would exceed, as a sentence; None if there is
    none."""
    velocity, whose = use.velocity, f"the {use.scope.value.replace('_', ' ')}"
    if velocity.concurrent_max is not None and use.concurrent >= velocity.concurrent_max:
        open_calls = counted(use.concurrent, "dial-out")
        return f"{whose} has {open_calls} open and may have {velocity.concurrent_max}"
    if velocity.per_hour_max is not None and use.allowed_last_hour >= velocity.per_hour_max:
        return (
            f"{whose} dialled out {counted(use.allowed_last_hour, 'time')} within an hour"
            f" and may {counted(velocity.per_hour_max, 'time')}"
        )
    if use.region_is_new and velocity.new_region is NewRegion.DENY:
        return f"{whose} never dialled this region before, and its policy requires a notice first"
    return breaker_excess(use)


def breaker_excess(use: VelocityUse) -> str | None:
    """The reason for which the breaker stops dial-out of the account, as a sentence; None if it
    does not."""
    most = use.velocity.cost_per_ten_minutes_micros
    if most is None or use.cost_last_ten_minutes_micros < most:
        return None
    spent = format_amount(use.cost_last_ten_minutes_micros)
    whose = f"the {use.scope.value.replace('_', ' ')}"
    return f"{whose} spent {spent} within ten minutes and may {format_amount(most)}"
