"""Which callers are let in, and why others are not."""

from dataclasses import replace

from shared.domain.dial_out.dial_in_checks import DialInFacts, check_admission, explain_admission
from shared.domain.dial_out.dial_out_checks import credit_line
from shared.domain.dial_out.facts import CheckOutcome
from shared.domain.dial_out.policy import License

from .cases import ACCOUNT, ORGANIZER, RATE, organizer

CALLER = DialInFacts(ACCOUNT, ORGANIZER, toll_free=True, rate=RATE)

STEPS = [
    ("rate_missing", lambda f: replace(f, rate=None)),
    ("toll_free_disabled", lambda f: replace(f, organizer=organizer(toll_free_dial_in=False))),
    ("license_missing", lambda f: replace(f, organizer=organizer(license=License.NONE))),
    ("organizer_unknown", lambda f: replace(f, organizer=None)),
    ("account_suspended", lambda f: replace(f, account=replace(ACCOUNT, suspended=True))),
    ("account_unknown", lambda f: replace(f, account=None)),
]


def test_a_caller_is_let_in_when_nothing_speaks_against_it():
    assert check_admission(CALLER) is None


def test_every_check_answers_before_all_those_that_follow_it():
    known = CALLER
    for reason, broken in STEPS:
        known = broken(known)
        denial = check_admission(known)
        assert denial is not None
        assert denial.reason.value == reason


def test_toll_callers_come_in_where_toll_free_is_off():
    off = organizer(toll_free_dial_in=False)
    assert check_admission(replace(CALLER, organizer=off, toll_free=False)) is None


def test_a_stop_of_dial_out_and_a_dial_out_policy_keep_no_caller_out():
    stopped = replace(ACCOUNT, stopped="too much within ten minutes")
    disabled = organizer(identity="DialoutCPCandPSTNDisabled")
    assert check_admission(replace(CALLER, account=stopped, organizer=disabled)) is None


def test_explain_gives_every_check_and_skips_what_lacks_its_fact():
    lines = explain_admission(CALLER, credit_line(None, 900))
    assert [line.check for line in lines] == [
        "account", "account_active", "organizer", "license", "toll_free", "rate", "credit",
    ]  # fmt: skip
    assert {line.outcome for line in lines} == {CheckOutcome.PASS}
    unknown = explain_admission(replace(CALLER, account=None, organizer=None), lines[-1])
    assert [line.outcome for line in unknown[:5]] == ["fail"] + ["skipped"] * 4
