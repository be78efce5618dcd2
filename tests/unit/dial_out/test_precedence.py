"""The first failing check answers, in the order of the contract; `explain` gives all of them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.dial_out import denials
from shared.domain.dial_out.budgets import (
    Budget,
    BudgetPeriod,
    BudgetUse,
    Scope,
    Velocity,
    VelocityUse,
)
from shared.domain.dial_out.dial_out_checks import check_rules, credit_line, explain
from shared.domain.dial_out.facts import AccountFacts, CheckOutcome, DialOutFacts, Reason
from shared.domain.dial_out.policy import AccountPolicy, DialRules, License
from shared.domain.numbers.numbers import DialledNumber, classify

from .cases import ACCOUNT, facts, organizer

SPENT = BudgetUse(Scope.ORGANIZER, "ken", BudgetPeriod.DAY, Budget(10), 10)
TOO_FAST = VelocityUse(Scope.ACCOUNT, Velocity(), concurrent=100)


def _merge_rules(known: DialOutFacts, **changes: object) -> DialOutFacts:
    rules = replace(known.policy.rules, **changes)
    return replace(known, policy=replace(known.policy, rules=rules))


def _organizer(known: DialOutFacts, **changes: object) -> DialOutFacts:
    assert known.organizer is not None
    return replace(known, organizer=replace(known.organizer, **changes))


def _account(known: DialOutFacts, **changes: object) -> DialOutFacts:
    assert known.account is not None
    return replace(known, account=replace(known.account, **changes))


def _dialled(known: DialOutFacts, **changes: object) -> DialOutFacts:
    return replace(known, dialled=replace(known.dialled, **changes))


# Each step breaks one more check than the step before, from the last check to the first.
STEPS = [
    ("rate_over_ceiling", lambda f: _merge_rules(f, rate_ceiling_picos=1)),
    ("rate_missing", lambda f: replace(f, rate=None)),
    ("velocity_exceeded", lambda f: replace(f, velocities=(TOO_FAST,))),
    ("budget_exceeded", lambda f: replace(f, budgets=(SPENT,))),
    ("number_blocked", lambda f: _merge_rules(f, blocked_prefixes=frozenset({"448"}))),
    ("region_blocked", lambda f: _merge_rules(f, blocked_regions=frozenset({"GB"}))),
    ("policy_domestic_only", lambda f: _organizer(f, identity="DialoutCPCandPSTNDomestic")),
    ("policy_disabled", lambda f: _organizer(f, identity="DialoutCPCandPSTNDisabled")),
    ("license_missing", lambda f: _organizer(f, license=License.NONE)),
    ("organizer_unknown", lambda f: replace(f, organizer=None)),
    ("dial_out_stopped", lambda f: _account(f, stopped="by hand")),
    ("account_suspended", lambda f: _account(f, suspended=True)),
    ("account_unknown", lambda f: replace(f, account=None)),
    ("number_class_blocked", lambda f: _merge_rules(f, allowed_classes=frozenset())),
    (
        "region_not_served",
        lambda f: replace(f, policy=replace(f.policy, unserved_regions=frozenset({"GB"}))),
    ),
    ("number_invalid", lambda f: _dialled(f, number=classify("+44"))),
    ("special_number", lambda f: _dialled(f, special=True)),
    ("emergency_number", lambda f: _dialled(f, emergency=True)),
]


def _shared_cost() -> DialOutFacts:
    allowed = DialRules(allowed_classes=frozenset({classify("+448712345678").number_class}))
    return facts("+448712345678", policy=AccountPolicy(rules=allowed))


def test_every_check_answers_before_all_those_that_follow_it():
    known = _shared_cost()
    assert check_rules(known) is None
    for reason, broken in STEPS:
        known = broken(known)
        denial = check_rules(known)
        assert denial is not None
        assert denial.reason.value == reason


def test_the_reasons_stand_in_the_order_of_the_contract():
    steps = [reason for reason, _ in reversed(STEPS)]
    order = [reason.value for reason in Reason]
    assert [reason for reason in order if reason in steps] == sorted(steps, key=order.index)
    assert set(order) - set(steps) == {
        "policy_zone_a_only",
        "credit_exhausted",
        "toll_free_disabled",
    }
    assert steps == [reason for reason in order if reason in steps]


def test_the_documentation_names_every_reason_in_this_order():
    page = (Path(__file__).parents[3] / "docs/dial-out-policies.md").read_text("utf-8")
    documented = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE)
    assert [name for name in documented if name in set(Reason)] == [each.value for each in Reason]


@pytest.mark.parametrize(("reason", "broken"), STEPS)
def test_every_denial_is_one_clear_sentence(reason, broken):
    known = _shared_cost()
    for step, change in STEPS:
        known = change(known)
        if step == reason:
            break
    denial = check_rules(known)
    assert denial is not None
    assert 20 < len(denial.message) < 120
    assert denial.message.endswith(".")
    assert "None" not in denial.message


def test_explain_gives_every_check_in_order_with_its_outcome():
    lines = explain(facts(), credit_line(None, 900))
    assert [line.check for line in lines] == [
        "emergency", "special", "number", "region", "number_class", "account", "account_active",
        "dial_out_running", "organizer", "license", "policy", "region_lists", "number_lists",
        "budget", "velocity", "rate", "rate_ceiling", "credit",
    ]  # fmt: skip
    assert {line.outcome for line in lines} == {CheckOutcome.PASS}
    assert all(line.detail and line.reason is None for line in lines)


def test_explain_gives_later_failures_too_and_the_first_is_the_answer():
    known = facts(
        "+442079460000",
        account=AccountFacts("contoso", suspended=True),
        organizer=organizer(identity="DialoutCPCandPSTNDisabled"),
        rate=None,
    )
    lines = explain(known, credit_line(None, None))
    failed = [line.reason for line in lines if line.outcome is CheckOutcome.FAIL]
    assert failed == ["account_suspended", "policy_disabled", "rate_missing"]
    denial = check_rules(known)
    assert denial is not None
    assert denial.reason == failed[0]
    assert lines[-1].outcome is CheckOutcome.SKIPPED


def test_what_needs_a_missing_fact_is_skipped():
    known = facts("banana", account=None, organizer=None, rate=None)
    skipped = {
        line.check
        for line in explain(known, credit_line(None, None))
        if line.outcome is CheckOutcome.SKIPPED
    }
    assert skipped == {
        "region", "number_class", "account_active", "dial_out_running", "organizer", "license",
        "policy", "region_lists", "number_lists", "rate", "rate_ceiling", "credit",
    }  # fmt: skip


def test_without_an_organizer_the_bridges_country_is_the_domestic_one():
    policy = AccountPolicy(default_identity="DialoutCPCandPSTNDomestic")
    for to, outcome in [("+12125551234", CheckOutcome.PASS), ("+33170123456", CheckOutcome.FAIL)]:
        lines = explain(facts(to, organizer=None, policy=policy), credit_line(None, None))
        assert next(line for line in lines if line.check == "policy").outcome is outcome


def test_the_hold_books_refusal_is_the_last_line():
    denial = denials.no_credit(10_000, "USD")
    line = credit_line(denial, None)
    assert (line.outcome, line.reason) == (CheckOutcome.FAIL, "credit_exhausted")
    assert "0.01 USD" in line.detail


def test_emergency_numbers_are_named_before_they_are_called_invalid():
    known = facts(account=ACCOUNT, organizer=None)
    known = replace(known, dialled=DialledNumber("112", True, False, classify("112")))
    denial = check_rules(known)
    assert denial is not None
    assert denial.reason == "emergency_number"
