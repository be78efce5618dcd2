"""The account's own lists: regions, prefixes, classes, ceilings, and the ranges it renames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.dial_out.dial_out_checks import check_rules
from shared.domain.dial_out.policy import AccountPolicy, DialRules, GroupRules
from shared.domain.numbers.classes import NumberClass

from .cases import facts, organizer

PARIS, LONDON, PREMIUM, SHARED = "+33170123456", "+442079460000", "+33899123456", "+448712345678"


def reason(to: str, policy: AccountPolicy, **changes: object) -> str | None:
    denial = check_rules(facts(to, policy=policy, **changes))
    return denial.reason.value if denial else None


def lists(**changes: object) -> AccountPolicy:
    return AccountPolicy(rules=DialRules(**changes))  # type: ignore[arg-type]


def test_an_allow_list_of_regions_admits_only_what_it_names():
    policy = lists(allowed_regions=frozenset({"FR"}))
    assert reason(PARIS, policy) is None
    assert reason(LONDON, policy) == "region_blocked"


def test_a_blocked_region_wins_over_its_allowance():
    policy = lists(allowed_regions=frozenset({"FR"}), blocked_regions=frozenset({"FR"}))
    assert reason(PARIS, policy) == "region_blocked"


def test_an_island_is_not_blocked_with_the_country_whose_code_it_shares():
    policy = lists(blocked_regions=frozenset({"US", "GB"}))
    assert reason("+18765551234", policy) is None
    assert reason("+441534456789", policy) is None
    assert reason("+12125551234", policy) == "region_blocked"


def test_prefix_lists_match_the_first_digits():
    assert reason(LONDON, lists(blocked_prefixes=frozenset({"4420"}))) == "number_blocked"
    assert reason(LONDON, lists(blocked_prefixes=frozenset({"44207946001"}))) is None
    assert reason(LONDON, lists(allowed_prefixes=frozenset({"33", "4420"}))) is None
    assert reason(PARIS, lists(allowed_prefixes=frozenset({"4420"}))) == "number_blocked"
    assert reason(PARIS, lists(allowed_prefixes=frozenset())) == "number_blocked"


@pytest.mark.parametrize(("to", "wanted"), [(PREMIUM, "premium_rate"), (SHARED, "shared_cost")])
def test_a_risky_class_is_dialled_once_the_account_allows_it(to, wanted):
    assert reason(to, AccountPolicy()) == "number_class_blocked"
    assert reason(to, lists(allowed_classes=frozenset({NumberClass(wanted)}))) is None


def test_a_blocked_class_wins_over_an_allowance_in_any_scope():
    mobile = frozenset({NumberClass.MOBILE})
    own = organizer(rules=DialRules(allowed_classes=mobile))
    assert reason("+33612345678", lists(blocked_classes=mobile), organizer=own) == (
        "number_class_blocked"
    )


def test_a_satellite_needs_its_network_served_and_its_class_allowed():
    inmarsat = "+870773111632"
    served = AccountPolicy(served_regions=frozenset({"FR", "001"}))
    assert reason(inmarsat, AccountPolicy()) == "region_not_served"
    assert reason(inmarsat, served) == "number_class_blocked"
    allowed = AccountPolicy(
        served_regions=frozenset({"001"}),
        rules=DialRules(allowed_classes=frozenset({NumberClass.SATELLITE})),
    )
    assert reason(inmarsat, allowed) is None


def test_served_regions_are_all_until_the_account_names_some():
    assert reason(LONDON, AccountPolicy(served_regions=frozenset({"FR"}))) == "region_not_served"
    assert reason(LONDON, AccountPolicy(unserved_regions=frozenset({"GB"}))) == "region_not_served"
    assert reason(PARIS, AccountPolicy(served_regions=frozenset({"FR"}))) is None


def test_a_range_takes_the_class_that_the_account_gives_it():
    policy = AccountPolicy(
        class_ranges={"4487": NumberClass.PREMIUM_RATE, "448712": NumberClass.FIXED_LINE}
    )
    assert reason(SHARED, policy) is None
    assert reason("+448702345678", policy) == "number_class_blocked"


def test_ranges_known_for_fraud_are_refused_only_where_the_account_requests_it():
    somalia = "+252712345678"
    assert facts(somalia).dialled.number.high_risk == "Somalia"
    assert reason(somalia, AccountPolicy()) is None
    assert reason(somalia, AccountPolicy(block_high_risk=True)) == "number_blocked"
    assert reason(PARIS, AccountPolicy(block_high_risk=True)) is None


def test_the_lowest_ceiling_of_all_scopes_bounds_the_price():
    policy = AccountPolicy(
        rules=DialRules(rate_ceiling_picos=20 * 10**9),
        groups={"g": GroupRules(1, None, DialRules(rate_ceiling_picos=12 * 10**9 - 1))},
    )
    assert reason(PARIS, policy) is None
    assert reason(PARIS, policy, organizer=organizer(groups=("g",))) == "rate_over_ceiling"
    assert reason(PARIS, lists(rate_ceiling_picos=12 * 10**9)) is None


# --- a stricter policy never allows more -----------------------------------------------------

NUMBERS = (
    PARIS, LONDON, PREMIUM, SHARED, "+12125551234", "+18765551234", "+33612345678",
    "+870773111632", "+252712345678", "+18002345678", "112", "nonsense",
)  # fmt: skip
some_regions = st.frozensets(st.sampled_from(["FR", "GB", "US", "JM", "SO", "001"]))
some_prefixes = st.frozensets(st.sampled_from(["3", "33", "4420", "448", "1", "1876", "252"]))
some_classes = st.frozensets(st.sampled_from(list(NumberClass)))
some_rules = st.builds(
    DialRules,
    allowed_regions=st.none() | some_regions,
    blocked_regions=some_regions,
    allowed_prefixes=st.none() | some_prefixes,
    blocked_prefixes=some_prefixes,
    allowed_classes=some_classes,
    blocked_classes=some_classes,
    rate_ceiling_picos=st.none() | st.integers(0, 20 * 10**9),
)
# rules of another scope that only refuse: whatever they say, nothing more may ring
refusing_rules = st.builds(
    DialRules,
    allowed_regions=st.none() | some_regions,
    blocked_regions=some_regions,
    allowed_prefixes=st.none() | some_prefixes,
    blocked_prefixes=some_prefixes,
    blocked_classes=some_classes,
    rate_ceiling_picos=st.none() | st.integers(0, 20 * 10**9),
)


@settings(max_examples=300, deadline=None)
@given(
    some_rules,
    refusing_rules,
    st.none() | some_regions,
    some_regions,
    st.booleans(),
    st.sampled_from(NUMBERS),
)
def test_adding_any_refusing_rule_never_lets_more_ring(
    rules, refusing, served, unserved, high_risk, to
):
    loose = AccountPolicy(rules=rules, served_regions=served)
    strict = AccountPolicy(
        rules=rules,
        served_regions=served,
        unserved_regions=unserved,
        block_high_risk=high_risk,
        groups={"g": GroupRules(1, None, refusing)},
    )
    if reason(to, loose) is not None:
        assert reason(to, strict, organizer=organizer(groups=("g",))) is not None


REACH_ORDER = [
    ("DialoutCPCandPSTNDisabled", "DialoutCPCandPSTNDomestic"),
    ("DialoutCPCandPSTNDisabled", "DialoutCPCZoneAPSTNDisabled"),
    ("DialoutCPCandPSTNDomestic", "DialoutCPCandPSTNInternational"),
    ("DialoutCPCZoneAPSTNDomestic", "DialoutCPCInternationalPSTNDomestic"),
]


@pytest.mark.parametrize(("strict", "loose"), REACH_ORDER)
@pytest.mark.parametrize("to", NUMBERS)
def test_a_narrower_identity_never_lets_more_ring(strict, loose, to):
    if reason(to, AccountPolicy(default_identity=strict)) is None:
        assert reason(to, AccountPolicy(default_identity=loose)) is None
