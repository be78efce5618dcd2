"""The limits that bind a dial-out: the account's, its organizer's, cost center's and meeting's."""

import hashlib

from shared.domain.dial_out.budgets import Budget, BudgetPeriod, Budgets, Limit, Scope, Velocity
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.dial_out.policy import AccountPolicy

ACCOUNT_KEY = ""
_NO_VELOCITY = Velocity(None, None)


def limits_of(
    policy: AccountPolicy, organizer: OrganizerFacts | None, meeting: str | None
) -> tuple[Limit, ...]:
    """The limits of a dial-out, the account's own first; scopes that nothing bounds are left out.

    `meeting` is the conference's id; a budget for each meeting may come from the account, the cost
    center and the organizer, and all of them bind.
    """
    account = Limit(
        Scope.ACCOUNT, ACCOUNT_KEY, "", _of_periods(policy.budgets), velocity=policy.velocity
    )
    if organizer is None:
        return (account,)
    center = organizer.cost_center
    of_center = policy.cost_centers.get(center, Budgets()) if center else Budgets()
    per_meeting = (policy.budgets.meeting, of_center.meeting, organizer.budgets.meeting)
    velocity = policy.organizer_velocity
    applicable = [
        Limit(
            Scope.ORGANIZER,
            scope_key(Scope.ORGANIZER, organizer.organizer),
            organizer.organizer,
            _of_periods(organizer.budgets),
            velocity=None if velocity == _NO_VELOCITY else velocity,
        )
    ]
    if center:
        key = scope_key(Scope.COST_CENTER, center)
        applicable.append(Limit(Scope.COST_CENTER, key, center, _of_periods(of_center)))
    if meeting:
        budgets = tuple(
            (BudgetPeriod.MEETING, budget) for budget in per_meeting if budget is not None
        )
        key = scope_key(Scope.MEETING, meeting)
        applicable.append(Limit(Scope.MEETING, key, meeting, budgets))
    return (account, *(limit for limit in applicable if limit.budgets or limit.velocity))


def scope_key(scope: Scope, name: str) -> str:
    """The key of the counters of a scope: foreign ids are hashed."""
    return f"{scope.value}|{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def _of_periods(budgets: Budgets) -> tuple[tuple[BudgetPeriod, Budget], ...]:
    both = ((BudgetPeriod.DAY, budgets.day), (BudgetPeriod.MONTH, budgets.month))
    return tuple((period, budget) for period, budget in both if budget is not None)
