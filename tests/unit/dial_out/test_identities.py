"""The twelve identities, each against every kind of destination and usage location."""

import itertools
from collections import Counter

import pytest

from shared.contracts.dial_out.policy import DialOutPolicyBody
from shared.domain.dial_out.dial_out_checks import check_rules, credit_line, explain
from shared.domain.dial_out.facts import AccountFacts, CheckOutcome
from shared.domain.dial_out.policy import (
    DEFAULT_IDENTITY,
    IDENTITIES,
    AccountPolicy,
    CallContext,
    DialRules,
    DialScope,
    GroupRules,
    effective_identity,
    is_within_scope,
    rules_in_force,
)
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.regions import NAMES, ZONE_A, PremiumNumbers, availability

from .cases import facts, organizer

# (identity, what its meetings dial, what its user calls), written down from the product's table
TABLE = [
    ("DialoutCPCandPSTNInternational", "any", "any"),
    ("DialoutCPCDomesticPSTNInternational", "domestic", "any"),
    ("DialoutCPCDisabledPSTNInternational", "none", "any"),
    ("DialoutCPCInternationalPSTNDomestic", "any", "domestic"),
    ("DialoutCPCInternationalPSTNDisabled", "any", "none"),
    ("DialoutCPCandPSTNDomestic", "domestic", "domestic"),
    ("DialoutCPCDomesticPSTNDisabled", "domestic", "none"),
    ("DialoutCPCDisabledPSTNDomestic", "none", "domestic"),
    ("DialoutCPCandPSTNDisabled", "none", "none"),
    ("DialoutCPCZoneAPSTNInternational", "zone_a", "any"),
    ("DialoutCPCZoneAPSTNDomestic", "zone_a", "domestic"),
    ("DialoutCPCZoneAPSTNDisabled", "zone_a", "none"),
]

# what is dialled → (its region, whether that is in Zone A)
COUNTRIES = {
    "+33170123456": ("FR", True),
    "+12125551234": ("US", True),
    "+12042345678": ("CA", True),
    "+17872345678": ("PR", True),
    "+442079460000": ("GB", True),
    "+79161234567": ("RU", True),
    "+263242700123": ("ZW", False),
    "+18765551234": ("JM", False),  # an island under +1
    "+12423456789": ("BS", False),
    "+441534456789": ("JE", False),  # under +44
    "+441624756789": ("IM", False),
    "+77011234567": ("KZ", False),  # under +7
    "+358181234567": ("AX", False),  # under +358
}
# refused before any policy is evaluated
ALWAYS = {
    "112": "emergency_number",
    "911": "emergency_number",
    "15": "emergency_number",  # France's medical service
    "118000": "special_number",  # a French directory service
    "+33112": "number_invalid",
    "+4490012345678": "number_invalid",
    "00442079460000": "number_invalid",
    "+870773111632": "region_not_served",  # satellite
    "+881612345678": "region_not_served",
    "+883510012345": "region_not_served",
    "+80012345678": "region_not_served",
    "+33899123456": "number_class_blocked",  # premium
    "+19002345678": "number_class_blocked",
    "+448712345678": "number_class_blocked",  # shared cost
    "+18002345678": "number_class_blocked",  # toll-free
    "+447012345678": "number_class_blocked",  # personal
}
LOCATIONS = ["FR", "US", "GB", "ZW", "JM", "KZ"]


def expected(reach: str, to: str, location: str) -> str | None:
    region, zone_a = COUNTRIES[to]
    if reach == "none":
        return "policy_disabled"
    if reach == "domestic" and region != location:
        return "policy_domestic_only"
    if reach == "zone_a" and not zone_a:
        return "policy_zone_a_only"
    return None


@pytest.mark.parametrize(("identity", "conference", "pstn"), TABLE)
def test_each_identity_lets_dial_what_its_table_row_says(identity, conference, pstn):
    for to, location, (half, reach) in itertools.product(
        COUNTRIES, LOCATIONS, [(CallContext.CONFERENCE, conference), (CallContext.PSTN, pstn)]
    ):
        own = organizer(usage_location=location, identity=identity)
        denial = check_rules(facts(to, organizer=own, half=half))
        got = denial.reason.value if denial else None
        assert got == expected(reach, to, location), (to, location, half)


@pytest.mark.parametrize(("to", "reason"), ALWAYS.items())
def test_dangerous_numbers_are_refused_under_every_identity_and_location(to, reason):
    for (identity, _, _), location, half in itertools.product(TABLE, LOCATIONS, CallContext):
        own = organizer(usage_location=location, identity=identity)
        denial = check_rules(facts(to, organizer=own, half=half))
        assert denial is not None
        assert denial.reason.value == reason, (identity, location)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_users_own_emergency_call_is_under_no_policy(identity):
    """It is left to the bridge all the same; but it is not the policy that refuses it."""
    known = facts("112", organizer=organizer(identity=identity), half=CallContext.PSTN)
    lines = {line.check: line for line in explain(known, credit_line(None, None))}
    assert lines["policy"].outcome is CheckOutcome.PASS
    assert "emergency" in lines["policy"].detail
    assert check_rules(known) == check_rules(facts("112"))


def test_there_are_exactly_the_twelve_identities_and_the_default_dials_everywhere():
    assert set(IDENTITIES) == {name for name, _, _ in TABLE}
    assert IDENTITIES[DEFAULT_IDENTITY].conference is DialScope.ANY
    assert DialOutPolicyBody().policy().default_identity == "DialoutCPCandPSTNInternational"


def test_zone_a_has_its_44_members():
    assert len(ZONE_A) == 44
    assert not ZONE_A - set(NAMES)
    assert {"PR", "HK", "IN", "ZA"} <= ZONE_A
    assert not {"JM", "IM", "KZ", "VA", "IL", "TR"} & ZONE_A


def test_zone_a_does_not_contain_the_organizers_own_country():
    own = organizer(usage_location="ZW", identity="DialoutCPCZoneAPSTNInternational")
    denial = check_rules(facts("+263242700123", organizer=own))
    assert denial is not None
    assert denial.reason.value == "policy_zone_a_only"


def test_an_international_network_is_domestic_to_no_one():
    assert not is_within_scope(DialScope.DOMESTIC, "001", "001")
    assert not is_within_scope(DialScope.DOMESTIC, None, None)


def test_the_usage_location_is_the_organizers_then_the_accounts_then_the_bridges():
    domestic = "DialoutCPCandPSTNDomestic"
    own = facts("+442079460000", organizer=organizer(usage_location="GB", identity=domestic))
    assert check_rules(own) is None
    accounts = facts("+33170123456", organizer=organizer(usage_location=None, identity=domestic))
    assert accounts.domestic_region == "FR"
    assert check_rules(accounts) is None
    assert facts(organizer=None, account=None).domestic_region == "US"
    assert facts(organizer=None).domestic_region == "US"


def test_an_unknown_usage_location_makes_nothing_domestic():
    nowhere = facts(
        organizer=organizer(usage_location=None, identity="DialoutCPCandPSTNDomestic"),
        account=AccountFacts("contoso"),
        bridge_country=None,
    )
    denial = check_rules(nowhere)
    assert denial is not None
    assert denial.reason.value == "policy_domestic_only"


def test_the_organizers_identity_wins_over_groups_by_rank_and_those_over_the_default():
    zone_a, domestic = "DialoutCPCZoneAPSTNDomestic", "DialoutCPCandPSTNDomestic"
    policy = AccountPolicy(
        default_identity="DialoutCPCandPSTNDisabled",
        groups={
            "second": GroupRules(2, domestic),
            "first": GroupRules(1, zone_a),
            "silent": GroupRules(0),
        },
    )
    assert effective_identity(policy, DEFAULT_IDENTITY, ("first",)) == DEFAULT_IDENTITY
    assert effective_identity(policy, None, ("second", "silent", "first")) == zone_a
    assert effective_identity(policy, None, ("second",)) == domestic
    assert effective_identity(policy, None, ("gone", "silent")) == "DialoutCPCandPSTNDisabled"


def test_rules_of_organizer_groups_and_account_are_all_in_force():
    own, grouped, accounts = (DialRules(blocked_regions=frozenset({code})) for code in "ABC")
    policy = AccountPolicy(rules=accounts, groups={"g": GroupRules(1, None, grouped)})
    assert rules_in_force(policy, own, ("g", "gone")) == (own, grouped, accounts)
    assert rules_in_force(policy, None) == (accounts,)


def test_availability_is_known_for_114_countries_and_absence_denies_nothing():
    known = [region for region in NAMES if availability(region) is not None]
    assert len(known) == 114
    china = availability("CN")
    assert china is not None
    assert china.meeting_dial_out == "not_for_local_customers"
    assert availability("KG") is None
    assert AccountPolicy().serves("KG")


def test_availability_counts_are_those_of_the_products_pages():
    known = [each for each in map(availability, NAMES) if each]
    assert Counter(each.conferencing for each in known) == {"yes": 107, "no": 6, "partner": 1}
    offers = Counter(each.meeting_dial_out.value for each in known)
    assert offers == {"included": 43, "needs_credits": 70, "not_for_local_customers": 1}
    assert Counter(each.credits_sold for each in known) == {True: 103, False: 11}
    assert Counter(each.toll_free_numbers for each in known) == {True: 86, False: 28}
    premium = Counter(each.premium_numbers for each in known)
    assert premium == {
        PremiumNumbers.DIALLED: 2,
        PremiumNumbers.SHARED_COST_ONLY: 1,
        PremiumNumbers.REFUSED: 29,
        PremiumNumbers.NOT_STATED: 82,
    }


@pytest.mark.parametrize(
    ("to", "check", "words"),
    [
        ("+442079460000", "region", "United Kingdom: Zone A"),
        ("+263242700123", "region", "Zimbabwe: Teams has no page of it"),
        ("+20223456789", "region", "Egypt: Teams dials it for credits."),
        ("+861012345678", "region", "no dial-out"),
        ("+448712345678", "number_class", "shared_cost; premium numbers of the country in Teams:"),
    ],
)
def test_an_explanation_states_what_teams_offers_there(to, check, words):
    policy = AccountPolicy(rules=DialRules(allowed_classes=frozenset(NumberClass)))
    lines = explain(facts(to, policy=policy), credit_line(None, 900))
    assert words in next(line.detail for line in lines if line.check == check)
