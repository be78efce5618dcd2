"""The bodies of dial-out and its policy, as bridges and administrators see them."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from shared.contracts.dial_out.policy import (
    DialOutPolicyBody,
    OrganizerBody,
    organizer_body,
    policy_body,
)
from shared.contracts.dial_out.requests import (
    DialInRequest,
    DialOutRequest,
    ExtendRequest,
    allowed_body,
    denied_body,
)
from shared.domain.dial_out.budgets import BudgetMode, NewRegion
from shared.domain.dial_out.dial_out_checks import check_rules, credit_line, explain
from shared.domain.dial_out.facts import Allowance, Destination
from shared.domain.dial_out.policy import CallContext, License
from shared.domain.numbers.classes import NumberClass

from .cases import facts, organizer


def test_a_bridges_unknown_fields_are_ignored_and_nulls_are_absent():
    body = {"to": "+33170123456", "from": "+3317000", "conference_id": None, "colour": "red"}
    request = DialOutRequest.model_validate(body)
    assert (request.to, request.from_number, request.half) == (
        "+33170123456",
        "+3317000",
        CallContext.CONFERENCE,
    )
    assert (request.explain, request.dry_run, request.requested_seconds) == (False, False, None)
    assert DialOutRequest.model_validate({"to": "1", "call": "user"}).half is CallContext.PSTN
    assert DialInRequest.model_validate({"to": "+33170000000", "x": 1}).to == "+33170000000"


def test_any_text_may_be_dialled_for_it_is_denied_with_a_reason():
    for text in ["", "112", "banana", "+" * 1_000]:
        assert DialOutRequest.model_validate({"to": text}).to == text


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"to": None},
        {"to": 33170123456},
        {"to": ["+33170123456"]},
        {"to": "+33170123456", "requested_seconds": 0},
        {"to": "+33170123456", "requested_seconds": -1},
        {"to": "+33170123456", "requested_seconds": 86_401},
        {"to": "+33170123456", "requested_seconds": "60"},
        {"to": "+33170123456", "requested_seconds": 60.0},
        {"to": "+33170123456", "requested_seconds": True},
        {"to": "+33170123456", "explain": "yes"},
        {"to": "+33170123456", "account": "Not An Id"},
        {"to": "+33170123456", "organizer_id": ""},
        {"to": "+33170123456", "conference_id": "x" * 201},
        {"to": "+33170123456", "leg_id": "a\x00b"},
        {"to": "+33170123456", "call": "fax"},
    ],
)
def test_a_dial_out_request_of_wrong_shape_is_refused(wrong):
    with pytest.raises(ValidationError):
        DialOutRequest.model_validate(wrong)


@pytest.mark.parametrize("seconds", [0, -5, "900", 86_401, None, 1.5])
def test_an_extension_names_whole_seconds_up_to_a_day(seconds):
    with pytest.raises(ValidationError):
        ExtendRequest.model_validate({"seconds": seconds})


def test_an_allowance_reads_as_in_the_contract():
    moment = datetime(2026, 11, 23, 10, 32, 0, tzinfo=UTC)
    destination = Destination("+442079460000", "GB", "44", NumberClass.FIXED_LINE)
    price, fee = 12 * 10**9, 5 * 10**10
    granted = Allowance(
        "au_6x2", 900, False, "", 0, moment, price, fee, "USD", 230_000, destination
    )
    assert allowed_body(granted) == {
        "decision": "allow",
        "authorization": "au_6x2",
        "granted_seconds": 900,
        "final": False,
        "expires_at": "2026-11-23T10:32:00Z",
        "price_per_minute": "0.012",
        "connection_fee": "0.05",
        "currency": "USD",
        "held": "0.23",
        "destination": {
            "number": "+442079460000",
            "region": "GB",
            "name": "United Kingdom",
            "prefix": "44",
            "number_class": "fixed_line",
        },
    }


def test_a_dry_run_names_no_authorization_and_no_expiry():
    destination = Destination("+442079460000", "GB", "44", NumberClass.FIXED_LINE)
    body = allowed_body(Allowance(None, 900, False, "", 0, None, 0, 0, "USD", 0, destination))
    assert not {"authorization", "expires_at", "checks"} & set(body)


def test_a_denial_reads_as_in_the_contract_with_its_checks_on_demand():
    known = facts("+442079460000", organizer=organizer(identity="DialoutCPCandPSTNDomestic"))
    denial = check_rules(known)
    assert denial is not None
    assert denied_body(denial) == {
        "decision": "deny",
        "reason": "policy_domestic_only",
        "message": "The policy allows France only; the number is in United Kingdom.",
    }
    checks = denied_body(denial, explain(known, credit_line(None, None)))["checks"]
    assert isinstance(checks, list)
    assert checks[0] == {"check": "emergency", "outcome": "pass", "detail": "No emergency number."}
    assert checks[10]["reason"] == "policy_domestic_only"
    assert {line["outcome"] for line in checks} == {"pass", "fail", "skipped"}


FULL_POLICY = {
    "default_policy": "DialoutCPCZoneAPSTNDomestic",
    "served_regions": ["FR", "GB", "001"],
    "unserved_regions": ["US"],
    "allowed_regions": ["FR"],
    "blocked_regions": ["KP"],
    "allowed_prefixes": ["+33", "4420"],
    "blocked_prefixes": ["+4470"],
    "allowed_classes": ["shared_cost"],
    "blocked_classes": ["voip"],
    "max_price_per_minute": "0.25",
    "class_ranges": [{"prefix": "+44345", "class": "fixed_line"}],
    "block_high_risk": True,
    "groups": {
        "sales": {"rank": 1, "policy": "DialoutCPCandPSTNDomestic", "blocked_regions": ["GB"]}
    },
    "budgets": {"day": {"amount": "50.00"}, "month": {"amount": "500", "mode": "warn"}},
    "cost_centers": {"cc-1": {"month": {"amount": "20"}}},
    "velocity": {
        "concurrent": 10, "per_hour": None, "new_region": "deny", "cost_per_ten_minutes": "5"
    },
}  # fmt: skip


def test_a_policy_becomes_the_domains_and_comes_back_as_it_was_put():
    body = DialOutPolicyBody.model_validate(FULL_POLICY)
    policy = body.policy()
    assert policy.default_identity == "DialoutCPCZoneAPSTNDomestic"
    assert policy.rules.allowed_prefixes == {"33", "4420"}
    assert policy.rules.rate_ceiling_picos == 250 * 10**9
    assert policy.class_ranges == {"44345": NumberClass.FIXED_LINE}
    assert policy.groups["sales"].rules.blocked_regions == {"GB"}
    velocity = policy.velocity
    assert (velocity.concurrent_max, velocity.per_hour_max) == (10, None)
    assert velocity.new_region is NewRegion.DENY
    assert velocity.cost_per_ten_minutes_micros == 5_000_000
    month = policy.budgets.month
    assert month is not None
    assert (month.amount_micros, month.mode) == (500_000_000, BudgetMode.WARN)
    shown = policy_body(policy)
    assert DialOutPolicyBody.model_validate(shown).policy() == policy
    assert policy_body(DialOutPolicyBody.model_validate(shown).policy()) == shown


def test_an_empty_policy_is_the_default():
    velocity = DialOutPolicyBody().policy().velocity
    assert (velocity.concurrent_max, velocity.per_hour_max) == (100, 600)
    body = DialOutPolicyBody.model_validate({})
    assert body.policy() == type(body.policy())()


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_policy": "dialoutcpcandpstninternational"},
        {"default_policy": "tag:DialoutCPCandPSTNInternational"},
        {"default_policy": None},
        {"unknown": 1},
        {"served_regions": ["France"]},
        {"blocked_regions": ["fr"]},
        {"blocked_regions": "FR"},
        {"blocked_prefixes": ["44 20"]},
        {"blocked_prefixes": ["044"]},
        {"blocked_prefixes": [""]},
        {"blocked_prefixes": ["٤٤"]},
        {"blocked_prefixes": [str(n) for n in range(1, 1_002)]},
        {"allowed_classes": ["luxury"]},
        {"max_price_per_minute": "-1"},
        {"max_price_per_minute": 0.25},
        {"budgets": {"day": {"amount": "-1"}}},
        {"budgets": {"year": {"amount": "1"}}},
        {"velocity": {"concurrent": -1}},
        {"class_ranges": [{"prefix": "44", "class": "uan"}, {"prefix": "+44", "class": "voip"}]},
        {"groups": {"g": {}}},
    ],
)
def test_a_policy_of_wrong_shape_is_refused(wrong):
    with pytest.raises(ValidationError):
        DialOutPolicyBody.model_validate(wrong)


def test_an_organizer_becomes_facts_and_what_is_left_out_is_the_accounts():
    known = OrganizerBody().facts("ken@contoso.com")
    assert (known.usage_location, known.identity, known.license) == (
        None,
        None,
        License.PAY_PER_MINUTE,
    )
    full = OrganizerBody.model_validate(
        {
            "usage_location": "GB",
            "license": "subscription",
            "policy": "DialoutCPCandPSTNDisabled",
            "toll_free_dial_in": False,
            "budgets": {"meeting": {"amount": "3.5"}},
            "cost_center": "cc-1",
            "groups": ["sales"],
            "rules": {"blocked_regions": ["US"]},
        }
    )
    facts_of = full.facts("ken@contoso.com")
    assert facts_of.license is License.SUBSCRIPTION
    assert facts_of.rules is not None
    assert facts_of.rules.blocked_regions == {"US"}
    shown = OrganizerBody.model_validate(organizer_body(facts_of))
    assert shown.facts("ken@contoso.com") == facts_of


@pytest.mark.parametrize(
    "wrong",
    [
        {"usage_location": "001"},
        {"usage_location": "UK"},
        {"license": "gold"},
        {"policy": "DialoutCPCInternationalPSTNInternational"},
        {"toll_free_dial_in": "no"},
        {"colour": "red"},
        {"cost_center": ""},
    ],
)
def test_an_organizer_of_wrong_shape_is_refused(wrong):
    with pytest.raises(ValidationError):
        OrganizerBody.model_validate(wrong)
