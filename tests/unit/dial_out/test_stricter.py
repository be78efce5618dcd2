"""A stricter policy never allows more, whatever is stricter about it: neither a call, nor a second.

Random policies, each against every way to make it stricter that there is. Where a test fails, the
seed and the case are in its message.
"""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.domain.dial_out import hold_decisions
from shared.domain.dial_out.budgets import (
    Budget,
    BudgetPeriod,
    BudgetUse,
    NewRegion,
    Scope,
    Velocity,
)
from shared.domain.dial_out.budgets import VelocityUse as Use
from shared.domain.dial_out.dial_out_checks import check_rules
from shared.domain.dial_out.facts import DialOutFacts
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.hold_decisions import Authorise, Granted
from shared.domain.dial_out.policy import (
    IDENTITIES,
    AccountPolicy,
    DialRules,
    DialScope,
    GroupRules,
    License,
)
from shared.domain.numbers.classes import NumberClass
from tests.support.hold_cases import (
    CENT,
    NOW,
    PerMinute,
    account,
    authorise,
    budget,
    placed,
    velocity,
)

from .cases import RATE, facts, organizer

REGIONS = ("FR", "GB", "US", "EG", "001", "JM")
NUMBERS = (
    *("+33170123456", "+442079460123", "+12125550123", "+20223456789", "+18765551234"),
    *("+33899700123", "+448081570192", "+870773111632", "112", "+1", "nonsense"),
)
PREFIXES = ("33", "44", "1", "20", "3317", "4420", "1212", "870")
CLASSES = tuple(NumberClass)
NARROWER = {
    DialScope.ANY: {DialScope.ZONE_A, DialScope.DOMESTIC, DialScope.NONE},
    DialScope.ZONE_A: {DialScope.NONE},
    DialScope.DOMESTIC: {DialScope.NONE},
    DialScope.NONE: {DialScope.NONE},
}
CASES_A_SEED = 60
ANY = (None,) * 5
NAMES = (None, *sorted(IDENTITIES))


def _some[T](rng: random.Random, items: tuple[T, ...], chance: float) -> frozenset[T]:
    return frozenset(item for item in items if rng.random() < chance)


def _rules(rng: random.Random) -> DialRules:
    """Lists that let most numbers pass."""
    return DialRules(
        allowed_regions=rng.choice((*ANY, _some(rng, REGIONS, 0.8))),
        blocked_regions=_some(rng, REGIONS, 0.05),
        allowed_prefixes=rng.choice((*ANY, _some(rng, PREFIXES, 0.8))),
        blocked_prefixes=_some(rng, PREFIXES, 0.02),
        allowed_classes=_some(rng, CLASSES, 0.4),
        blocked_classes=_some(rng, CLASSES, 0.02),
        rate_ceiling_picos=rng.choice((None, RATE.price_per_minute_picos, 10**12)),
    )


def _case(rng: random.Random) -> DialOutFacts:
    """A dial-out under random rules."""
    regions = frozenset(REGIONS)
    policy = AccountPolicy(
        rules=_rules(rng),
        groups={"staff": GroupRules(1, rng.choice(NAMES), _rules(rng))},
        block_high_risk=rng.random() < 0.2,
        served_regions=rng.choice((None, regions, regions - {"EG"})),
    )
    own = organizer(
        identity=rng.choice((*ANY, *NAMES)),
        rules=rng.choice((None, _rules(rng))),
        groups=rng.choice(((), ("staff",))),
    )
    used = rng.randrange(0, 100_000)
    new = rng.random() < 0.5
    return facts(
        rng.choice(NUMBERS),
        organizer=own,
        policy=policy,
        rate=rng.choice((None, *[RATE] * 7)),
        budgets=(BudgetUse(Scope.ACCOUNT, "", BudgetPeriod.DAY, Budget(150_000), used),),
        velocities=(Use(Scope.ACCOUNT, Velocity(5, 5), rng.randrange(3, 6), 2, region_is_new=new),),
    )


def _stricter_rules(rules: DialRules, rng: random.Random) -> list[DialRules]:
    region, prefix, kind = rng.choice(REGIONS), rng.choice(PREFIXES), rng.choice(CLASSES)
    regions = frozenset(REGIONS) if rules.allowed_regions is None else rules.allowed_regions
    prefixes = frozenset(PREFIXES) if rules.allowed_prefixes is None else rules.allowed_prefixes
    ceiling = rules.rate_ceiling_picos
    return [
        replace(rules, blocked_regions=rules.blocked_regions | {region}),
        replace(rules, allowed_regions=regions - {region}),
        replace(rules, blocked_prefixes=rules.blocked_prefixes | {prefix}),
        replace(rules, allowed_prefixes=prefixes - {prefix}),
        replace(rules, blocked_classes=rules.blocked_classes | {kind}),
        replace(rules, allowed_classes=rules.allowed_classes - {kind}),
        replace(rules, rate_ceiling_picos=5 if ceiling is None else ceiling // 2),
    ]


def _stricter(case: DialOutFacts, rng: random.Random) -> list[DialOutFacts]:
    """The case with one thing stricter, in every way."""
    policy, own, region = case.policy, case.organizer, rng.choice(REGIONS)
    assert own is not None
    assert case.account is not None
    staff = policy.groups["staff"]
    reach = IDENTITIES[case.identity].conference
    narrower = [name for name, each in IDENTITIES.items() if each.conference in NARROWER[reach]]
    served = frozenset(REGIONS) if policy.served_regions is None else policy.served_regions
    policies = [
        *(replace(policy, rules=rules) for rules in _stricter_rules(policy.rules, rng)),
        *(
            replace(policy, groups={"staff": replace(staff, rules=rules)})
            for rules in _stricter_rules(staff.rules, rng)
        ),
        replace(policy, block_high_risk=True),
        replace(policy, unserved_regions=frozenset({region})),
        replace(policy, served_regions=served - {region}),
    ]
    organizers = [
        *(replace(own, rules=rules) for rules in _stricter_rules(own.rules or DialRules(), rng)),
        *(replace(own, identity=name) for name in narrower),
        replace(own, license=License.NONE),
    ]
    poorer = tuple(replace(use, used_micros=use.used_micros + 90_000) for use in case.budgets)
    (use,) = case.velocities
    faster = [
        replace(use, concurrent=use.concurrent + 1),
        replace(use, allowed_last_hour=use.allowed_last_hour + 3),
        replace(use, velocity=Velocity(4, 5)),
        replace(use, velocity=Velocity(5, 5, NewRegion.DENY)),
    ]
    return [
        *(replace(case, policy=each) for each in policies),
        *(replace(case, organizer=each) for each in organizers),
        *(replace(case, velocities=(each,)) for each in faster),
        replace(case, budgets=poorer),
        replace(case, rate=None),
        replace(case, account=replace(case.account, suspended=True)),
        replace(case, account=replace(case.account, stopped="by hand")),
    ]


@pytest.mark.parametrize("seed", range(10))
def test_a_stricter_policy_never_lets_ring_what_was_denied(seed: int) -> None:
    rng = random.Random(seed)
    rang = denied_since = 0
    for _ in range(CASES_A_SEED):
        case = _case(rng)
        denial = check_rules(case)
        rang += denial is None
        for stricter in _stricter(case, rng):
            now_denied = check_rules(stricter) is not None
            assert now_denied or denial is None, (seed, case, stricter)
            denied_since += now_denied and denial is None
    assert rang > CASES_A_SEED / 20, "too few cases say anything"
    assert denied_since > rang


STRICTER_BOOKS: list[Callable[[HoldState, Authorise], tuple[HoldState, Authorise]]] = [
    lambda state, command: (replace(state, balance_micros=state.balance_micros // 2), command),
    lambda state, command: (replace(state, credit_limit_micros=0), command),
    lambda state, command: (replace(state, stopped="by hand"), command),
    lambda state, command: (replace(state, suspended=True), command),
    lambda state, command: (placed(state, authorise("au_more", 60, bounds=())), command),
    lambda state, command: (state, replace(command, wanted_seconds=command.wanted_seconds // 2)),
    lambda state, command: (state, _more_bounds(command, budget(3 * CENT))),
    lambda state, command: (state, _more_bounds(command, budget(9 * CENT, BudgetPeriod.MONTH))),
    lambda state, command: (state, _more_bounds(command, velocity(concurrent_max=1))),
    lambda state, command: (state, _more_bounds(command, velocity(per_hour_max=1))),
]


def _more_bounds(command: Authorise, bound: object) -> Authorise:
    return replace(command, bounds=(*command.bounds, bound))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(10))
def test_a_stricter_hold_book_never_grants_a_second_more(seed: int) -> None:
    rng = random.Random(seed)
    shorter = 0
    for _ in range(CASES_A_SEED):
        state = account(rng.randrange(0, 40) * CENT, credit_limit_micros=rng.choice((0, 5 * CENT)))
        if rng.random() < 0.5 and state.available_micros(NOW) >= CENT:
            state = placed(state, authorise("au_open", 60))
        price = PerMinute(CENT, rng.choice((0, CENT)))
        bounds = rng.choice(((), (budget(rng.randrange(0, 20) * CENT),)))
        command = authorise("au_new", rng.choice((30, 61, 900, 3600)), pricing=price, bounds=bounds)
        if state.available_micros(NOW) < 2 * CENT:
            continue  # too poor for the call that one way to be stricter adds
        before = _seconds(state, command)
        for make in STRICTER_BOOKS:
            after = _seconds(*make(state, command))
            assert after <= before, (seed, state, command)
            shorter += after < before
    assert shorter > CASES_A_SEED


def _seconds(state: HoldState, command: Authorise) -> int:
    granted = hold_decisions.place_hold(state, command, NOW)
    return granted.hold.granted_seconds if isinstance(granted, Granted) else 0
