"""The most that a stolen bridge key can spend in an hour under the default policy: measured."""

import json
from datetime import timedelta
from decimal import Decimal

from local.demo.rate_card import rate_card
from shared.domain.dial_out import hold_decisions
from shared.domain.dial_out.applicable_limits import limits_of
from shared.domain.dial_out.budgets import Budget, Budgets, Velocity
from shared.domain.dial_out.facts import Denial
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.policy import AccountPolicy
from shared.domain.ledger.model import SettledDebit
from shared.domain.numbers.ranges import longest_prefix
from tests.support.hold_cases import (
    CENT,
    NOW,
    PerMinute,
    account,
    authorise,
    debited,
    named_authorise,
)
from tests.unit.numbers.example_numbers import GOLDEN

PRICE, FEE = 36 * CENT, 10 * CENT  # the dearest that the demo's rate card has of allowed classes
HOUR_SECONDS, AT_ONCE, AN_HOUR = 3600, 100, 600
FIGURE = 2_436_000_000  # docs/dial-out-policies.md: 2,436.00


def spend(call_seconds: int, policy: AccountPolicy, credit_micros: int = 10**15) -> int:
    """What a thief is charged who keeps as many calls as he may, each of that length, all the time,
    and reports them honestly: only then the next one is let through."""
    bounds, price = limits_of(policy, None, None), PerMinute(PRICE, FEE)
    state: HoldState = account(credit_micros)
    charged = dialled = 0
    running: list[tuple[int, int, str]] = []  # (begins, ends, name)
    for second in range(0, HOUR_SECONDS, 10):
        now = NOW + timedelta(seconds=second)
        over = [call for call in running if call[1] <= second]
        running = [call for call in running if call[1] > second]
        costs = {name: price.hold_micros(end - start, 0) for start, end, name in over}
        state = debited(
            state, *(SettledDebit(name, None, cost) for name, cost in costs.items()), now=now
        )
        charged += sum(costs.values())
        while True:
            name = f"au_{dialled}"
            command = named_authorise(authorise(pricing=price, bounds=bounds), name)
            granted = hold_decisions.place_hold(state, command, now)
            if isinstance(granted, Denial) or granted.state is None:
                break
            state, dialled = granted.state, dialled + 1
            seconds = min(call_seconds, granted.hold.granted_seconds)
            running.append((second, second + seconds, name))
    assert dialled <= AN_HOUR
    left = (min(HOUR_SECONDS, end) - start for start, end, _ in running)
    return charged + sum(price.hold_micros(seconds, 0) for seconds in left)


def test_the_default_policy_lets_a_thief_spend_what_the_documentation_says() -> None:
    """100 calls at once, 600 dials an hour: 6,000 minutes, a started one more and a fee a dial."""
    most = AT_ONCE * 60 * PRICE + AN_HOUR * (PRICE + FEE)
    assert most == FIGURE
    measured = max(spend(seconds, AccountPolicy()) for seconds in (61, 301, 591, 600, 900))
    assert most * 0.9 < measured <= most


def test_the_price_is_the_dearest_that_the_demo_has_for_what_is_dialled_by_default() -> None:
    rates = rate_card()["rates"]
    assert isinstance(rates, list)
    outward = {rate["prefix"]: rate for rate in rates if rate["kind"] == "dial_out"}
    dearest = (Decimal(0), Decimal(0))
    for _, _, number, _, _, outcome in json.loads(GOLDEN.read_text("utf-8")):
        if outcome == "allow":
            prefix = longest_prefix(number.removeprefix("+"), outward)
            rate = outward[prefix] if prefix else {"slots": [{"price": 0}], "connection_fee": 0}
            fee = Decimal(rate["connection_fee"])
            dearest = max(dearest, *((Decimal(slot["price"]), fee) for slot in rate["slots"]))
    assert [int(part * 100 * CENT) for part in dearest] == [PRICE, FEE]


def test_credit_bounds_it_whatever_the_policy_says() -> None:
    assert spend(600, AccountPolicy(), 500 * 100 * CENT) <= 500 * 100 * CENT


def test_the_breaker_bounds_it_to_its_limit_and_one_slice() -> None:
    limit = 20 * 100 * CENT
    policy = AccountPolicy(velocity=Velocity(cost_per_ten_minutes_micros=limit))
    assert spend(900, policy) <= limit + PerMinute(PRICE, FEE).hold_micros(900, 0)


def test_a_day_budget_bounds_it() -> None:
    policy = AccountPolicy(budgets=Budgets(day=Budget(30 * 100 * CENT)))
    assert spend(900, policy) <= 30 * 100 * CENT
