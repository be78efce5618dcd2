"""The hold book's decisions: placed, extended, released, settled, expired, stopped."""

import pytest

from shared.domain.dial_out import hold_book, hold_decisions
from shared.domain.dial_out.facts import Denial
from shared.domain.dial_out.hold_decisions import EndsBy, restart, stop, suspend
from shared.domain.ledger.model import SettledDebit
from tests.support.hold_cases import (
    ACCOUNT,
    CENT,
    NOW,
    SLICE,
    PerMinute,
    account,
    allowed,
    authorise,
    debited,
    later,
    longer,
    placed,
    reason,
    velocity,
)

LAPSE_SECONDS = SLICE + 120 + 900


def test_a_hold_is_what_the_granted_seconds_can_cost_and_lasts_for_ringing_and_a_late_event() -> (
    None
):
    granted = allowed(account(), authorise())
    assert (granted.hold.granted_seconds, granted.hold.amount_micros) == (SLICE, 15 * CENT)
    assert granted.hold.expires_at == later(LAPSE_SECONDS)


@pytest.mark.parametrize(
    ("balance", "seconds", "granted_seconds", "ends_by"),
    [
        (100 * CENT, SLICE, SLICE, None),
        (15 * CENT, SLICE, SLICE, EndsBy.CREDIT),
        (16 * CENT, SLICE, SLICE, None),
        (2 * CENT, SLICE, 120, EndsBy.CREDIT),
        (100 * CENT, 61, 61, None),
        (2 * CENT, 61, 61, None),
        (2 * CENT, 120, 120, EndsBy.CREDIT),
        (2 * CENT, 300, 120, EndsBy.CREDIT),
    ],
)
def test_final_states_that_nothing_can_be_added(
    balance: int, seconds: int, granted_seconds: int, ends_by: EndsBy | None
) -> None:
    granted = allowed(account(balance), authorise(seconds=seconds))
    assert (granted.hold.granted_seconds, granted.ends_by) == (granted_seconds, ends_by)


def test_a_call_that_costs_nothing_needs_no_credit() -> None:
    granted = allowed(account(0), authorise(pricing=PerMinute(0)))
    assert (granted.hold.granted_seconds, granted.hold.amount_micros) == (SLICE, 0)


def test_the_credit_limit_is_credit() -> None:
    assert reason(account(0), authorise()) == "credit_exhausted"
    assert allowed(account(0, credit_limit_micros=CENT), authorise()).hold.granted_seconds == 60


def test_a_lot_that_expired_is_not_counted_on() -> None:
    state = account(2 * CENT, expiring_lots=((later(10), CENT),))
    assert allowed(state, authorise(), NOW).hold.granted_seconds == 120
    assert allowed(state, authorise(), later(10)).hold.granted_seconds == 60


def test_holds_count_until_the_instant_at_which_they_expire() -> None:
    state = placed(account(15 * CENT), authorise())
    assert reason(state, authorise("au_2"), later(LAPSE_SECONDS - 1)) == "credit_exhausted"
    assert allowed(state, authorise("au_2"), later(LAPSE_SECONDS)).hold.granted_seconds == SLICE


@pytest.mark.parametrize("named", ["au_1", "au_2", None])
def test_a_leg_that_ended_leaves_none_of_the_holds_that_were_placed_for_it(
    named: str | None,
) -> None:
    """Two requests of its bridge, each with a key of its own."""
    state = placed(placed(account(), authorise(leg="local~1")), authorise("au_2", leg="local~1"))
    after = debited(state, SettledDebit(named, "local~1", 5 * CENT))
    assert after.open_holds(NOW) == ()
    assert after.counters.days == (("2026-11-23", 5 * CENT),)


def test_a_hold_that_was_released_does_not_hide_the_open_one_of_its_leg() -> None:
    state = placed(placed(account(), authorise(leg="local~1")), authorise("au_2", leg="local~1"))
    released = hold_book.release(state, "au_1", NOW)
    assert released is not None
    after = debited(released, SettledDebit(None, "local~1", 5 * CENT))
    assert after.held_micros(NOW) == 0


def test_expiry_stands_still_while_the_queue_is_behind() -> None:
    state = hold_book.replace(placed(account(15 * CENT), authorise()), backlog_seconds=600)
    assert reason(state, authorise("au_2"), later(LAPSE_SECONDS + 599)) == "credit_exhausted"
    assert (
        allowed(state, authorise("au_2"), later(LAPSE_SECONDS + 600)).hold.granted_seconds == SLICE
    )


def test_an_extension_names_the_total_and_is_carried_out_once() -> None:
    state = placed(account(), authorise())
    first = hold_decisions.extend_hold(state, longer(), later(600))
    assert first is not None
    assert first.state is not None
    assert (first.hold.granted_seconds, first.hold.amount_micros) == (1800, 30 * CENT)
    assert first.hold.expires_at == later(1800 + 120 + 900)
    assert first.ends_by is None
    again = hold_decisions.extend_hold(first.state, longer(), later(601))
    assert again is not None
    assert (again.state, again.hold) == (None, first.hold)


@pytest.mark.parametrize("seconds", [1, 899, 900])
def test_an_extension_never_shrinks_what_was_granted(seconds: int) -> None:
    state = placed(account(), authorise())
    same = hold_decisions.extend_hold(state, longer(seconds=seconds), NOW)
    assert same is not None
    assert same.state is None
    assert same.hold.granted_seconds == SLICE


def test_an_extension_grants_what_can_be_paid_and_states_that_it_is_the_last() -> None:
    state = placed(account(20 * CENT), authorise())
    granted = hold_decisions.extend_hold(state, longer(), later(600))
    assert granted is not None
    assert (granted.hold.granted_seconds, granted.ends_by) == (1200, EndsBy.CREDIT)


def test_an_extension_without_credit_leaves_the_call_what_it_has() -> None:
    state = placed(account(15 * CENT), authorise())
    granted = hold_decisions.extend_hold(
        debited(state, SettledDebit(None, None, 20 * CENT)), longer(), later(1)
    )
    assert granted is not None
    assert (granted.state, granted.hold.granted_seconds) == (None, SLICE)
    assert granted.ends_by is EndsBy.CREDIT


def test_an_expired_hold_is_not_extended() -> None:
    state = placed(account(), authorise())
    assert hold_decisions.extend_hold(state, longer(), later(LAPSE_SECONDS - 1)) is not None
    assert hold_decisions.extend_hold(state, longer(), later(LAPSE_SECONDS)) is None
    assert hold_decisions.extend_hold(state, longer("au_2"), NOW) is None


def test_a_released_hold_holds_nothing_and_is_released_once() -> None:
    state = placed(account(15 * CENT), authorise())
    released = hold_book.release(state, "au_1", NOW)
    assert released is not None
    assert (released.held_micros(NOW), released.open_holds(NOW)) == (0, ())
    assert hold_book.release(released, "au_1", NOW) is None
    assert hold_decisions.extend_hold(released, longer(), NOW) is None
    assert hold_book.release(state, "au_1", later(LAPSE_SECONDS)) is None


@pytest.mark.parametrize(
    "post", [SettledDebit("au_1", "local~7", CENT), SettledDebit(None, "local~1", CENT)]
)
def test_a_debit_settles_the_hold_that_it_names_or_whose_leg_it_is(post: SettledDebit) -> None:
    state = placed(account(), authorise(leg="local~1"))
    state = placed(state, authorise("au_2", leg="local~2"))
    settled = debited(state, post)
    assert [hold.authorization for hold in settled.holds] == ["au_2"]
    assert settled.balance_micros == 99 * CENT


def test_stopped_dial_out_is_denied_and_not_extended_until_a_person_restarts_it() -> None:
    state = placed(account(), authorise())
    stopped = stop(state, "somebody saw odd calls", NOW)
    assert stopped is not None
    denied = hold_decisions.place_hold(stopped, authorise("au_2"), NOW)
    assert isinstance(denied, Denial)
    assert denied.reason == "dial_out_stopped"
    assert "odd calls" in denied.message
    going_on = hold_decisions.extend_hold(stopped, longer(), NOW)
    assert going_on is not None
    assert (going_on.state, going_on.ends_by) == (None, EndsBy.STOPPED)
    restarted = restart(stopped)
    assert restarted is not None
    allowed(restarted, authorise("au_2"))
    assert restart(restarted) is None
    assert stop(stopped, "again", NOW) is None


def test_callers_come_in_while_dial_out_is_stopped_but_not_while_the_account_is_suspended() -> None:
    state = account(stopped="odd calls")
    caller = authorise(is_dial_out=False, bounds=())
    allowed(state, caller)
    suspended = suspend(state, NOW, suspended=True)
    assert suspended is not None
    assert reason(suspended, caller) == reason(suspended, authorise()) == "account_suspended"
    assert suspend(suspended, NOW, suspended=True) is None


def test_so_many_at_once_and_so_many_an_hour() -> None:
    bounds = (velocity(concurrent_max=2, per_hour_max=3),)
    state = account()
    for number in range(2):
        state = placed(state, authorise(f"au_{number}", bounds=bounds))
    assert reason(state, authorise("au_2", bounds=bounds)) == "velocity_exceeded"
    freed = hold_book.release(state, "au_0", NOW)
    assert freed is not None
    state = placed(freed, authorise("au_3", bounds=bounds), later(60))
    one_left = hold_book.release(state, "au_1", later(60))
    assert one_left is not None
    assert reason(one_left, authorise("au_4", bounds=bounds), later(3599)) == "velocity_exceeded"
    allowed(one_left, authorise("au_4", bounds=bounds), later(3660))


def test_an_account_has_at_most_a_thousand_calls_open() -> None:
    state = account(10**9)
    caller = authorise(pricing=PerMinute(0), is_dial_out=False, bounds=())
    for number in range(1000):
        state = placed(state, hold_decisions.replace(caller, authorization=f"au_{number}"))
    assert (
        reason(state, hold_decisions.replace(caller, authorization="au_x")) == "velocity_exceeded"
    )


def test_reasons_come_in_order() -> None:
    """Suspended, stopped, over budget, too fast, without credit: each hides those after it."""
    from tests.support.hold_cases import budget

    bounds = (budget(0), velocity(concurrent_max=0))
    state = account(0, suspended=True, stopped="odd calls")
    found = [reason(state, authorise(bounds=bounds))]
    state = hold_book.replace(state, suspended=False)
    found.append(reason(state, authorise(bounds=bounds)))
    state = hold_book.replace(state, stopped="")
    found += [reason(state, authorise(bounds=bounds[index:])) for index in range(3)]
    assert found == [
        "account_suspended",
        "dial_out_stopped",
        "budget_exceeded",
        "velocity_exceeded",
        "credit_exhausted",
    ]
    allowed(account(), authorise(bounds=(ACCOUNT,)))
