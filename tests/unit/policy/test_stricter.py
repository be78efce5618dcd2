"""A stricter policy never allows more, whatever is stricter about it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.dial_limits import Budget, BudgetUse, Period, Scope, Velocity, VelocityUse
from shared.domain.dial_out import check_rules
from shared.domain.dial_out_facts import DialOutFacts, RateFacts
from shared.domain.number_classes import ALLOWED_BY_DEFAULT, NumberClass
from shared.domain.policy import IDENTITIES, AccountPolicy, DialRules, Reach

from .cases import RATE, facts, organizer

REGIONS = ("FR", "GB", "US", "EG", "001", "JM")
NUMBERS = (
    *("+33170123456", "+442079460123", "+12125550123", "+20223456789", "+18765551234"),
    *("+33899700123", "+448081570192", "+870773111632", "112", "+1", "nonsense"),
)
CLASSES = tuple(NumberClass)
some = st.frozensets
RULES = st.builds(
    DialRules,
    allowed_regions=st.none() | some(st.sampled_from(REGIONS)),
    blocked_regions=some(st.sampled_from(REGIONS), max_size=2),
    allowed_prefixes=st.none() | some(st.sampled_from(("33", "44", "1", "20"))),
    blocked_prefixes=some(st.sampled_from(("3317", "4420", "1212")), max_size=2),
    allowed_classes=some(st.sampled_from(CLASSES)),
    blocked_classes=some(st.sampled_from(CLASSES), max_size=3),
    rate_ceiling_picos=st.none() | st.integers(0, 2 * RATE.price_per_minute_picos),
)
NARROWER = {
    Reach.ANY: (Reach.ZONE_A, Reach.DOMESTIC, Reach.NONE),
    Reach.ZONE_A: (Reach.NONE,),
    Reach.DOMESTIC: (Reach.NONE,),
    Reach.NONE: (),
}


@st.composite
def cases(draw: st.DrawFn) -> DialOutFacts:
    """A dial-out under random rules."""
    identity = draw(st.sampled_from(sorted(IDENTITIES)))
    return facts(
        draw(st.sampled_from(NUMBERS)),
        organizer=organizer(identity=identity, rules=draw(st.none() | RULES)),
        policy=AccountPolicy(
            rules=draw(RULES),
            block_high_risk=draw(st.booleans()),
            unserved_regions=draw(some(st.sampled_from(REGIONS), max_size=1)),
        ),
        rate=draw(st.none() | st.builds(RateFacts, st.just("33"), st.just("France"))),
        budgets=draw(st.lists(_budgets(), max_size=2).map(tuple)),
        velocities=(VelocityUse(Scope.ACCOUNT, Velocity(5, 5), draw(st.integers(0, 6))),),
    )


def _budgets() -> st.SearchStrategy[BudgetUse]:
    return st.builds(
        BudgetUse,
        st.just(Scope.ACCOUNT),
        st.just(""),
        st.just(Period.DAY),
        st.builds(Budget, st.integers(0, 100)),
        st.integers(0, 100),
    )


def _stricter(draw: st.DrawFn, case: DialOutFacts) -> DialOutFacts:
    """The case with one thing stricter."""
    policy, rules = case.policy, case.policy.rules
    region, kind = draw(st.sampled_from(REGIONS)), draw(st.sampled_from(CLASSES))
    assert case.organizer is not None
    own = IDENTITIES[case.organizer.identity or ""]
    narrower = sorted(
        each.name for each in IDENTITIES.values() if each.conference in NARROWER[own.conference]
    )
    named = replace(case.organizer, identity=draw(st.sampled_from(narrower or [own.name])))
    allowed = rules.allowed_regions
    ceiling = 5 if rules.rate_ceiling_picos is None else min(rules.rate_ceiling_picos, 5)
    changed = draw(
        st.sampled_from(
            (
                replace(rules, blocked_regions=rules.blocked_regions | {region}),
                replace(rules, allowed_regions=(allowed or frozenset(REGIONS)) - {region}),
                replace(rules, blocked_prefixes=rules.blocked_prefixes | {"33", "1"}),
                replace(rules, blocked_classes=rules.blocked_classes | {kind}),
                replace(rules, allowed_classes=frozenset(ALLOWED_BY_DEFAULT) - {kind}),
                replace(rules, rate_ceiling_picos=ceiling),
            )
        )
    )
    with_lists = replace(case, policy=replace(policy, rules=changed))
    poorer = tuple(replace(use, used_micros=use.used_micros + 30) for use in case.budgets)
    busier = tuple(replace(use, concurrent=use.concurrent + 1) for use in case.velocities)
    return draw(
        st.sampled_from(
            (
                with_lists,
                replace(case, organizer=named),
                replace(case, policy=replace(policy, block_high_risk=True)),
                replace(case, policy=replace(policy, unserved_regions=frozenset({region}))),
                replace(case, organizer=replace(case.organizer, rules=changed)),
                replace(case, budgets=poorer),
                replace(case, velocities=busier),
            )
        )
    )


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_a_stricter_policy_never_allows_more(data: st.DataObject) -> None:
    case = data.draw(cases())
    if check_rules(case) is None:
        return
    base = case
    if base.organizer is not None and base.organizer.rules is not None:
        # An organizer's own lists are replaced below, so they must not be what forbids.
        base = replace(base, organizer=replace(base.organizer, rules=None))
        if check_rules(base) is None:
            return
    if base.policy.unserved_regions:
        base = replace(base, policy=replace(base.policy, unserved_regions=frozenset()))
        if check_rules(base) is None:
            return
    stricter = data.draw(st.composite(lambda draw: _stricter(draw, base))())
    assert check_rules(stricter) is not None
