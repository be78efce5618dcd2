"""Budgets and velocity as questions about counters."""

from shared.domain.dial_out.budgets import (
    Budget,
    BudgetMode,
    BudgetPeriod,
    BudgetUse,
    NewRegion,
    Scope,
    Velocity,
    VelocityUse,
    breaker_excess,
    budget_remaining_micros,
    exceeded_budgets,
    velocity_excess,
)
from shared.domain.dial_out.dial_out_checks import check_rules, credit_line, explain

from .cases import RATE, facts


def use(used: int, amount: int = 100_000, mode: BudgetMode = BudgetMode.HARD) -> BudgetUse:
    return BudgetUse(Scope.COST_CENTER, "sales", BudgetPeriod.MONTH, Budget(amount, mode), used)


def test_a_budget_must_cover_what_an_answered_call_costs_at_least():
    fits = use(100_000 - RATE.least_charge_micros)
    assert check_rules(facts(budgets=(fits,))) is None
    denial = check_rules(facts(budgets=(use(fits.used_micros + 1),)))
    assert denial is not None
    assert denial.reason == "budget_exceeded"
    assert "the cost center's budget for the month" in denial.message


def test_an_overspent_budget_has_nothing_left():
    assert use(200_000).remaining_micros == 0


def test_a_call_that_costs_nothing_exceeds_no_budget():
    assert exceeded_budgets([use(100_000)], 0) == ()


def test_a_budget_that_warns_lets_ring_and_states_it():
    warned = facts(budgets=(use(100_000, mode=BudgetMode.WARN),))
    assert check_rules(warned) is None
    line = next(line for line in explain(warned, credit_line(None, 60)) if line.check == "budget")
    assert "warning" in line.detail


def test_the_tightest_hard_budget_bounds_the_grant():
    uses = [use(10_000), use(70_000), use(99_999, mode=BudgetMode.WARN)]
    assert budget_remaining_micros(uses) == 30_000
    assert budget_remaining_micros(uses[2:]) is None


def test_the_defaults_are_100_at_once_and_600_an_hour():
    assert velocity_excess(VelocityUse(Scope.ACCOUNT, Velocity(), 99, 599)) is None
    assert velocity_excess(VelocityUse(Scope.ACCOUNT, Velocity(), 100, 0)) is not None
    assert velocity_excess(VelocityUse(Scope.ACCOUNT, Velocity(), 0, 600)) is not None


def test_null_limits_bound_nothing():
    unbounded = Velocity(concurrent_max=None, per_hour_max=None)
    assert velocity_excess(VelocityUse(Scope.ACCOUNT, unbounded, 10**6, 10**6)) is None


def test_a_region_dialled_for_the_first_time_is_refused_only_on_demand():
    for new_region, refused in [
        (NewRegion.ALLOW, False),
        (NewRegion.NOTICE, False),
        (NewRegion.DENY, True),
    ]:
        velocity = Velocity(new_region=new_region)
        first = VelocityUse(Scope.ACCOUNT, velocity, region_is_new=True)
        assert (velocity_excess(first) is not None) is refused
        assert velocity_excess(VelocityUse(Scope.ACCOUNT, velocity)) is None


def test_the_breaker_trips_at_its_cost_within_ten_minutes():
    velocity = Velocity(cost_per_ten_minutes_micros=5_000_000)
    calm = VelocityUse(Scope.ACCOUNT, velocity, cost_last_ten_minutes_micros=4_999_999)
    wild = VelocityUse(Scope.ACCOUNT, velocity, cost_last_ten_minutes_micros=5_000_000)
    assert breaker_excess(calm) is None
    assert breaker_excess(wild) is not None
    denial = check_rules(facts(velocities=(calm, wild)))
    assert denial is not None
    assert denial.reason == "velocity_exceeded"
    assert breaker_excess(VelocityUse(Scope.ACCOUNT, Velocity())) is None
