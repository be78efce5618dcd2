"""What the tests of the hold book have in common: a plain price, usual questions and limits."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.dial_out import hold_decisions
from shared.domain.dial_out.budgets import Budget, BudgetMode, BudgetPeriod, Limit, Scope, Velocity
from shared.domain.dial_out.facts import Denial
from shared.domain.dial_out.hold_book import HoldState, LedgerView, catch_up
from shared.domain.dial_out.hold_decisions import Authorise, Extend, Granted
from shared.domain.ledger.model import SettledDebit

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SLICE = 900
CENT = 10_000
ACCOUNT = Limit(Scope.ACCOUNT, "", "", velocity=Velocity())


@dataclass(frozen=True, slots=True)
class PerMinute:
    """A price per started minute and a fee, the same at all times."""

    micros: int = CENT
    fee_micros: int = 0

    def hold_micros(self, seconds: int, after_seconds: int) -> int:
        return self.fee_micros + -(-seconds // 60) * self.micros if seconds else 0

    def seconds_for(self, credit_micros: int, wanted_seconds: int, after_seconds: int) -> int:
        if self.micros == 0:
            return wanted_seconds
        return max(0, min(wanted_seconds, (credit_micros - self.fee_micros) // self.micros * 60))


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def account(balance_micros: int = 100 * CENT, **changes: Any) -> HoldState:
    """A hold book that knows a balance."""
    return replace(HoldState(balance_micros=balance_micros), **changes)


def authorise(name: str = "au_1", seconds: int = SLICE, **changes: Any) -> Authorise:
    """A dial-out for a slice to France."""
    command = Authorise(
        authorization=name,
        account="contoso",
        currency="USD",
        time_zone="UTC",
        wanted_seconds=seconds,
        pricing=PerMinute(),
        region="FR",
        bounds=(ACCOUNT,),
    )
    return replace(command, **changes)


def named_authorise(command: Authorise, name: str) -> Authorise:
    """The question under another authorisation."""
    return replace(command, authorization=name)


def longer(name: str = "au_1", seconds: int = 2 * SLICE, **changes: Any) -> Extend:
    """An extension to two slices."""
    return replace(Extend(name, "UTC", seconds, PerMinute(), (ACCOUNT,)), **changes)


def allowed(state: HoldState, command: Authorise, now: datetime = NOW) -> Granted:
    """The grant of a question that must be allowed."""
    granted = hold_decisions.place_hold(state, command, now)
    assert isinstance(granted, Granted), granted
    return granted


def placed(state: HoldState, command: Authorise, now: datetime = NOW) -> HoldState:
    """The state with the hold of a question that must be allowed."""
    granted = allowed(state, command, now)
    assert granted.state is not None
    return granted.state


def reason(state: HoldState, command: Authorise, now: datetime = NOW) -> str:
    """Why a question is denied."""
    denied = hold_decisions.place_hold(state, command, now)
    assert isinstance(denied, Denial), denied
    return denied.reason.value


def debited(state: HoldState, *posts: SettledDebit, now: datetime = NOW) -> HoldState:
    """The state after these debits."""
    balance = state.balance_micros - sum(post.charged_micros for post in posts)
    view = LedgerView(
        state.ledger_commit + 1,
        balance,
        state.credit_limit_micros,
        pool_seconds=state.pool_seconds,
        pools_used=state.pools_used,
    )
    return catch_up(state, view, posts, now)


def budget(
    amount_micros: int,
    period: BudgetPeriod = BudgetPeriod.DAY,
    scope: Scope = Scope.ACCOUNT,
    key: str = "",
    mode: BudgetMode = BudgetMode.HARD,
) -> Limit:
    """A budget of one scope."""
    return Limit(scope, key, key, ((period, Budget(amount_micros, mode)),))


def velocity(key: str = "", scope: Scope = Scope.ACCOUNT, **bounds: Any) -> Limit:
    """A velocity of one scope."""
    return Limit(scope, key, key, velocity=replace(Velocity(None, None), **bounds))
