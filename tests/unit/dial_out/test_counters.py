"""Budgets, velocity and the breaker: counted with the hold, corrected by what was charged."""

from datetime import datetime, timedelta

import pytest

from shared.domain.common.calendar import local_day
from shared.domain.dial_out import hold_book, hold_decisions
from shared.domain.dial_out.budgets import BudgetMode, BudgetPeriod, NewRegion, Scope
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.hold_decisions import EndsBy
from shared.domain.ledger.model import SettledDebit
from tests.support.hold_cases import (
    CENT,
    NOW,
    SLICE,
    PerMinute,
    account,
    allowed,
    authorise,
    budget,
    debited,
    later,
    longer,
    placed,
    reason,
    velocity,
)

ORGANIZER = "organizer|ken"
SCOPES = [(Scope.ACCOUNT, ""), (Scope.ORGANIZER, ORGANIZER), (Scope.MEETING, "meeting|3001")]


def state_with(*keys: str, **changes: object) -> HoldState:
    """A hold book that has read the counters of these scopes."""
    return hold_book.with_scopes(
        account(**changes),  # type: ignore[arg-type]
        {key: hold_book.Counters() for key in keys if key},
    )


@pytest.mark.parametrize(("scope", "key"), SCOPES)
@pytest.mark.parametrize("period", BudgetPeriod)
def test_a_budget_bounds_what_is_held_and_what_was_charged(
    scope: Scope, key: str, period: BudgetPeriod
) -> None:
    bounds = (budget(20 * CENT, period, scope, key),)
    state = placed(state_with(key), authorise(bounds=bounds))
    second = allowed(state, authorise("au_2", bounds=bounds))
    assert (second.hold.granted_seconds, second.ends_by) == (300, EndsBy.BUDGET)
    assert second.state is not None
    assert reason(second.state, authorise("au_3", bounds=bounds)) == "budget_exceeded"
    settled = debited(
        second.state, SettledDebit("au_1", None, 3 * CENT), SettledDebit("au_2", None, 2 * CENT)
    )
    third = allowed(settled, authorise("au_3", bounds=bounds))
    assert third.hold.granted_seconds == SLICE
    assert third.ends_by is EndsBy.BUDGET


def test_a_released_call_gives_its_budget_back() -> None:
    bounds = (budget(15 * CENT),)
    state = placed(account(), authorise(bounds=bounds))
    assert reason(state, authorise("au_2", bounds=bounds)) == "budget_exceeded"
    released = hold_book.release(state, "au_1", NOW)
    assert released is not None
    allowed(released, authorise("au_2", bounds=bounds))


@pytest.mark.parametrize("how", ["released", "expired"])
def test_a_leg_that_comes_after_its_hold_ended_is_counted_all_the_same(how: str) -> None:
    bounds = (budget(20 * CENT),)
    state = placed(account(), authorise(bounds=bounds))
    now = later(60)
    if how == "released":
        state = hold_book.release(state, "au_1", now) or state
    else:
        now = later(SLICE + 1020 + 60)
        state = debited(state, now=now)
    assert state.held_micros(now) == 0
    late = debited(state, SettledDebit("au_1", None, 18 * CENT), now=now)
    assert allowed(late, authorise("au_2", bounds=bounds), now).hold.granted_seconds == 120


def test_days_and_months_are_those_of_the_account() -> None:
    """20:00 UTC on 30 November is the first of December in Tokyo, 05:00."""
    evening = NOW.replace(day=30, hour=14)
    assert local_day(evening, "Asia/Tokyo") == "2026-11-30"
    bounds = (budget(15 * CENT, BudgetPeriod.DAY), budget(40 * CENT, BudgetPeriod.MONTH))
    tokyo = {"bounds": bounds, "time_zone": "Asia/Tokyo"}
    state = placed(account(), authorise(**tokyo), evening)
    state = debited(state, SettledDebit("au_1", None, 15 * CENT), now=evening)
    assert reason(state, authorise("au_2", **tokyo), evening) == "budget_exceeded"
    after_midnight = evening.replace(hour=20)
    assert allowed(state, authorise("au_2", **tokyo), after_midnight).hold.granted_seconds == SLICE


def test_a_call_counts_for_the_day_on_which_it_was_let_through() -> None:
    bounds = (budget(15 * CENT, BudgetPeriod.DAY),)
    before, after = NOW.replace(hour=23, minute=59), NOW.replace(day=24, hour=0, minute=5)
    state = placed(account(), authorise(bounds=bounds), before)
    state = debited(state, SettledDebit("au_1", None, 15 * CENT), now=after)
    allowed(state, authorise("au_2", bounds=bounds), after)


def test_what_rings_on_over_midnight_is_of_its_own_day_only() -> None:
    """Yesterday's call that still runs takes nothing of today's budget, and is extended within
    yesterday's, whatever was charged since."""
    bounds = (budget(20 * CENT, BudgetPeriod.DAY), budget(90 * CENT, BudgetPeriod.MONTH))
    before, after = NOW.replace(hour=23, minute=59), NOW.replace(day=24, hour=0, minute=1)
    state = placed(account(), authorise("au_before", 60, bounds=bounds), before)
    state = debited(state, SettledDebit("au_before", None, 4 * CENT), now=before)
    state = placed(state, authorise("au_running", bounds=bounds), before)
    today = allowed(state, authorise("au_today", 2 * SLICE, bounds=bounds), after)
    assert (today.hold.granted_seconds, today.ends_by) == (1200, EndsBy.BUDGET)
    assert today.state is not None
    charged = debited(today.state, SettledDebit("au_today", None, 20 * CENT), now=after)
    granted = hold_decisions.extend_hold(charged, longer("au_running", bounds=bounds), after)
    assert granted is not None
    assert (granted.hold.granted_seconds, granted.ends_by) == (960, EndsBy.BUDGET)


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [("2026-10-24T22:00", 25), ("2026-03-28T23:00", 23), ("2026-11-22T23:00", 24)],
    ids=["clocks go back", "clocks go forward", "usual day"],
)
def test_a_day_of_the_account_has_as_many_hours_as_its_clocks_say(
    midnight: str, hours: int
) -> None:
    """Paris; the month's budget is the same before and after."""
    start = datetime.fromisoformat(f"{midnight}+00:00")
    bounds = (budget(15 * CENT, BudgetPeriod.DAY),)
    paris = {"bounds": bounds, "time_zone": "Europe/Paris"}
    state = placed(account(), authorise(**paris), start)
    state = debited(state, SettledDebit("au_1", None, 15 * CENT), now=start)
    last = start + timedelta(hours=hours, seconds=-1)
    assert reason(state, authorise("au_2", **paris), last) == "budget_exceeded"
    allowed(state, authorise("au_2", **paris), last + timedelta(seconds=1))


def test_a_room_that_was_silent_for_hours_has_a_new_meeting() -> None:
    key = "meeting|3001"
    bounds = (budget(15 * CENT, BudgetPeriod.MEETING, Scope.MEETING, key),)
    state = placed(state_with(key), authorise(bounds=bounds))
    state = debited(state, SettledDebit("au_1", None, 15 * CENT))
    assert reason(state, authorise("au_2", bounds=bounds), later(4 * 3600)) == "budget_exceeded"
    allowed(state, authorise("au_2", bounds=bounds), later(4 * 3600 + 120))


def test_a_budget_that_only_warns_refuses_nothing() -> None:
    bounds = (budget(CENT, mode=BudgetMode.WARN),)
    granted = allowed(account(), authorise(bounds=bounds))
    assert (granted.hold.granted_seconds, granted.ends_by) == (SLICE, None)


def test_a_budget_that_only_warns_warns_once_a_period_of_each_scope() -> None:
    day = budget(20 * CENT, mode=BudgetMode.WARN)
    month = budget(20 * CENT, BudgetPeriod.MONTH, Scope.ORGANIZER, ORGANIZER, BudgetMode.WARN)
    state, reported = state_with(ORGANIZER), []
    for number, now in enumerate((NOW, NOW, NOW, later(24 * 3600), later(24 * 3600 + 60))):
        granted = allowed(state, authorise(f"au_{number}", bounds=(day, month)), now)
        assert granted.state is not None
        reported.append([(event.data["scope"], event.data["spent"]) for event in granted.events])
        state = debited(granted.state, now=now)
    assert reported == [
        [],
        [("account", "0.30"), ("organizer", "0.30")],
        [],
        [],
        [("account", "0.30")],
    ]


def test_an_extension_warns_too() -> None:
    bounds = (budget(20 * CENT, mode=BudgetMode.WARN),)
    state = placed(account(), authorise(bounds=bounds))
    granted = hold_decisions.extend_hold(state, longer(bounds=bounds), later(60))
    assert granted is not None
    assert [event.type for event in granted.events] == ["dial_out.over_budget"]


def test_an_extension_fits_into_the_budget_with_all_that_the_call_holds() -> None:
    bounds = (budget(20 * CENT),)
    state = placed(account(), authorise(bounds=bounds))
    granted = hold_decisions.extend_hold(state, longer(bounds=bounds), later(60))
    assert granted is not None
    assert (granted.hold.granted_seconds, granted.ends_by) == (1200, EndsBy.BUDGET)


def test_counters_that_were_not_at_hand_are_reported_later() -> None:
    bounds = (budget(20 * CENT, BudgetPeriod.DAY, Scope.ORGANIZER, ORGANIZER),)
    state = placed(account(), authorise(bounds=bounds))
    state = debited(state, SettledDebit("au_1", None, 9 * CENT))
    assert [item.key for item in state.unposted] == [ORGANIZER]
    read = hold_book.with_scopes(state, {ORGANIZER: hold_book.Counters()})
    assert read.unposted == ()
    assert read.scopes[ORGANIZER].days == (("2026-11-23", 9 * CENT),)
    assert read.counters.days == (("2026-11-23", 9 * CENT),)


def test_callers_who_come_in_count_for_no_dial_out_limit() -> None:
    bounds = (budget(15 * CENT), velocity(concurrent_max=1, per_hour_max=1))
    state = placed(account(), authorise("au_in", is_dial_out=False, bounds=()))
    state = placed(state, authorise(bounds=bounds))
    state = debited(state, SettledDebit("au_in", None, 5 * CENT))
    assert state.counters.days == ()


def test_the_breaker_stops_dial_out_with_the_hold_that_reaches_its_limit() -> None:
    bounds = (velocity(cost_per_ten_minutes_micros=30 * CENT),)
    first = allowed(account(), authorise(bounds=bounds))
    assert first.state is not None
    assert first.events == ()
    second = allowed(first.state, authorise("au_2", bounds=bounds))
    assert [event.type for event in second.events] == ["dial_out.stopped"]
    assert second.state is not None
    assert "ten minutes" in second.state.stopped
    assert reason(second.state, authorise("au_3", bounds=bounds)) == "dial_out_stopped"


def test_the_breaker_counts_what_calls_really_cost_once_that_is_known() -> None:
    bounds = (velocity(cost_per_ten_minutes_micros=31 * CENT),)
    state = placed(account(), authorise(bounds=bounds))
    state = debited(state, SettledDebit("au_1", None, 2 * CENT), now=later(60))
    for number in range(2, 4):
        granted = allowed(state, authorise(f"au_{number}", bounds=bounds), later(60))
        assert granted.state is not None
        state = granted.state
    assert state.stopped, "2 and 2 x 15 cents are over 31"


def test_the_breaker_counts_the_last_ten_minutes() -> None:
    bounds = (velocity(cost_per_ten_minutes_micros=30 * CENT),)
    state = placed(account(), authorise(bounds=bounds))
    assert allowed(state, authorise("au_2", bounds=bounds), later(659)).events
    assert allowed(state, authorise("au_2", bounds=bounds), later(660)).events == ()


def test_no_hour_has_more_dial_outs_than_may_be_whenever_it_begins() -> None:
    bounds = (velocity(per_hour_max=2),)
    state = placed(account(), authorise(bounds=bounds), later(59))
    state = placed(state, authorise("au_2", bounds=bounds), later(59 + 3580))
    assert reason(state, authorise("au_3", bounds=bounds), later(59 + 3599)) == "velocity_exceeded"
    allowed(state, authorise("au_3", bounds=bounds), later(59 + 3601))


def test_extensions_feed_the_breaker_too() -> None:
    bounds = (velocity(cost_per_ten_minutes_micros=30 * CENT),)
    state = placed(account(), authorise(bounds=bounds))
    granted = hold_decisions.extend_hold(state, longer(bounds=bounds), later(300))
    assert granted is not None
    assert [event.type for event in granted.events] == ["dial_out.stopped"]


def test_after_a_restart_the_breaker_counts_from_nothing() -> None:
    bounds = (velocity(cost_per_ten_minutes_micros=30 * CENT),)
    state = placed(account(), authorise(bounds=bounds))
    state = placed(state, authorise("au_2", bounds=bounds))
    restarted = hold_decisions.restart(state)
    assert restarted is not None
    granted = allowed(restarted, authorise("au_3", bounds=bounds))
    assert granted.events == ()
    settled = debited(restarted, SettledDebit("au_1", None, 15 * CENT))
    assert settled.counters.costs == ()


def test_an_organizer_has_a_velocity_of_its_own() -> None:
    bound = velocity(ORGANIZER, Scope.ORGANIZER, concurrent_max=1)
    state = placed(state_with(ORGANIZER), authorise(bounds=(bound,)))
    assert reason(state, authorise("au_2", bounds=(bound,))) == "velocity_exceeded"
    allowed(state, authorise("au_2", bounds=(velocity("organizer|ann", Scope.ORGANIZER),)))
    assert state.scopes[ORGANIZER].placed_last_hour(hold_book.minute_of(NOW)) == 1


def test_a_region_is_new_until_it_was_dialled() -> None:
    deny = (velocity(new_region=NewRegion.DENY),)
    notice = (velocity(new_region=NewRegion.NOTICE),)
    assert reason(account(), authorise(bounds=deny)) == "velocity_exceeded"
    reported = allowed(account(), authorise(bounds=notice))
    assert [event.type for event in reported.events] == ["dial_out.new_region"]
    assert reported.state is not None
    assert allowed(reported.state, authorise("au_2", bounds=notice)).events == ()
    allowed(reported.state, authorise("au_2", bounds=deny))


def test_a_free_call_trips_no_breaker() -> None:
    bounds = (velocity(cost_per_ten_minutes_micros=30 * CENT),)
    state = account()
    for number in range(20):
        state = placed(state, authorise(f"au_{number}", pricing=PerMinute(0), bounds=bounds))
    assert not state.stopped
