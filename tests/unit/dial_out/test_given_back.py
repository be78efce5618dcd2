"""A reversal, or a re-rating, changes what a call took of its budgets: used = net spend."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.dial_out import rows
from shared.domain.common.calendar import local_day
from shared.domain.common.canonical import content_digest
from shared.domain.dial_out import hold_book
from shared.domain.dial_out.budgets import BudgetPeriod, Scope
from shared.domain.dial_out.hold_book import CounterCorrection, LedgerView
from shared.domain.dial_out.usage_counters import Counters, minute_of
from shared.domain.ledger.model import RerateLeg, ReverseLeg, SettledDebit
from shared.ports.holds import PlaceHold
from shared.ports.tables import Row
from shared.usecases.ledger.credit_account import opened_lots, present_debit
from tests.support.calls import LONDON, Calls, rate
from tests.support.hold_books import ACCOUNT, HoldBooks, question
from tests.support.hold_cases import CENT, NOW, authorise, budget, debited, placed
from tests.support.product import Product
from tests.unit.dial_out.test_counters import state_with

KEN = "organizer|ken"
BOUNDS = (budget(10_000 * CENT), budget(10_000 * CENT, BudgetPeriod.MONTH, Scope.ORGANIZER, KEN))


@pytest.fixture(name="calls")
def _calls() -> Iterator[Calls]:
    app = Product()
    yield Calls(app, top_up="100.00")
    app.close()


def _reverse(calls: Calls, leg: str) -> None:
    path = f"/api/v1/accounts/contoso/legs/{quote(leg)}/reversal"
    assert calls.app.post(path, {"reason": "a bad line"}).status == 201


@pytest.mark.parametrize("period", ["day", "month", "meeting"])
@pytest.mark.parametrize("scope", ["account", "organizer", "cost_center"])
def test_a_reversed_call_gives_its_budget_back(calls: Calls, scope: str, period: str) -> None:
    """A budget of 0.30, and calls at 0.05 + 0.01 a minute."""
    budgets = {period: {"amount": "0.30"}}
    if scope == "account":
        calls.policy(budgets=budgets)
    elif scope == "cost_center":
        calls.policy(cost_centers={"cc": budgets})
        calls.organizer("ann", cost_center="cc")
    else:
        calls.organizer("ann", budgets=budgets)
    wanted = {"organizer_id": "ann" if scope != "account" else "ken", "conference_id": "3001"}
    first = calls.authorise(requested_seconds=600, **wanted)
    charged = calls.charged(
        first["authorization"], talk_seconds=600, conference_id="3001", organizer="ann"
    )
    assert charged["amount"] == "0.15"
    # 0.15 are left: ten minutes.
    assert calls.authorise(requested_seconds=1500, dry_run=True, **wanted)["granted_seconds"] == 600

    _reverse(calls, charged["leg"])

    assert calls.authorise(requested_seconds=1500, dry_run=True, **wanted)["granted_seconds"] == 900


def test_what_a_re_rating_lowers_is_free_for_other_calls(calls: Calls) -> None:
    calls.policy(budgets={"day": {"amount": "0.30"}})
    first = calls.authorise(requested_seconds=600)
    charged = calls.charged(first["authorization"], talk_seconds=600)
    version = {
        "currency": "USD",
        "time_zone": "UTC",
        "rounding": {"mode": "half_up", "decimals": 4},
        "rates": [rate("44", "0.002")],
    }
    calls.put("rate-cards/cheap/versions/2020-01-01T00:00:00Z", version)
    body = {
        "accounts": ["contoso"],
        "legs": [charged["leg"]],
        "rate_card": "cheap",
        "dry_run": False,
        "reason": "a wrong card",
    }
    answer = calls.app.post("/api/v1/reratings", body)
    assert answer.status == 200, answer.body
    used = _used(calls)
    assert used == 20_000  # ten minutes at 0.002
    assert calls.authorise(requested_seconds=900, dry_run=True)["granted_seconds"] == 900


def _used(calls: Calls) -> int:
    view = calls.app.run(calls.app.container.holds.view("contoso"))
    day = local_day(calls.app.clock.now(), "UTC")
    return int(view.counters.spent_micros(BudgetPeriod.DAY, day, 0, running=False))


def test_a_reversal_of_yesterdays_call_leaves_todays_budget_as_it_is(calls: Calls) -> None:
    calls.policy(budgets={"day": {"amount": "1.00"}})
    before = calls.charged(calls.authorise()["authorization"])
    calls.app.clock.advance(24 * 3600)
    calls.charged(calls.authorise()["authorization"])
    today = _used(calls)
    _reverse(calls, before["leg"])
    assert _used(calls) == today > 0


def test_a_reversal_is_seen_though_no_call_is_open(calls: Calls) -> None:
    calls.policy(budgets={"day": {"amount": "1.00"}})
    charged = calls.charged(calls.authorise()["authorization"])
    assert _used(calls) == 90_000
    calls.app.clock.advance(3 * 3600)  # nothing is held any more, and nothing kept of it
    assert calls.authorise(LONDON, dry_run=True)["decision"] == "allow"
    _reverse(calls, charged["leg"])
    assert _used(calls) == 0


def test_a_meeting_gets_back_what_its_own_calls_took_and_nothing_of_former_ones() -> None:
    now = 1_000_000
    former = Counters().with_charge("2026-11-23", 5 * CENT, now)
    present = former.with_charge("2026-11-23", 7 * CENT, now + 500)
    assert present.meeting_micros == 7 * CENT
    kept = present.with_correction("2026-11-23", -5 * CENT, now - 3)
    assert kept.meeting_micros == 7 * CENT
    assert kept.with_correction("2026-11-23", -7 * CENT, now + 497).meeting_micros == 0


def test_counters_that_a_former_version_stored_are_read() -> None:
    stored = Counters().with_charge("2026-11-23", CENT, 9_000)
    values = rows.spend_values(stored)
    text = str(values["data"]).replace(",9000]", "]")  # as schema 2 had it
    row = _row({**values, "schema": 2, "data": text})
    assert rows.read_spend(row) == stored
    assert rows.read_spend(_row(values)) == stored


def _row(values: Any) -> Row:
    return Row(ACCOUNT, "spend|x", values, "")


def test_a_scope_whose_counters_are_not_at_hand_gets_it_later() -> None:
    state = placed(state_with(), authorise(bounds=BOUNDS))
    state = debited(state, SettledDebit("au_1", None, 3 * CENT))
    view = LedgerView(state.ledger_commit + 1, 0, 0)
    change = CounterCorrection("2026-11-23", (KEN,), minute_of(NOW), -3 * CENT)
    state = hold_book.catch_up(state, view, [], NOW, [change])
    assert state.counters.days == (("2026-11-23", 0),)
    read = hold_book.with_scopes(state, {KEN: Counters()})
    assert read.scopes[KEN].days == (("2026-11-23", 0),)


STEP = st.one_of(
    st.tuples(st.just("call"), st.integers(1, 5 * CENT)),
    st.tuples(st.just("reverse"), st.integers(0, 30)),
    st.tuples(st.just("rerate"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.integers(1, 11)),
    st.tuples(st.just("catch up"), st.just(0)),
)


@settings(max_examples=60)
@given(steps=st.lists(STEP, min_size=3, max_size=25))
def test_in_every_order_of_debits_and_corrections_the_budget_used_is_the_net_spend(
    steps: Sequence[tuple[str, int]],
) -> None:
    asyncio.run(_played(steps))


async def _played(steps: Sequence[tuple[str, int]]) -> None:
    books = HoldBooks(processes=2)
    await books.open(10**9)
    spent: dict[str, tuple[str, int]] = {}  # leg → (day, what it costs now)
    reversed_legs: set[str] = set()
    for number, (what, value) in enumerate(steps):
        legs = [leg for leg in spent if leg not in reversed_legs]
        if what == "call":
            name, leg = f"au_{number}", f"local~call-{number}"
            place = question(replace(authorise(name, bounds=BOUNDS)))
            placed_at = books.clock.now()
            await books.book.place(ACCOUNT, PlaceHold(place.authorise, _dated(place, placed_at)))
            await books.debit(value, name, leg)
            spent[leg] = (local_day(placed_at, "UTC"), value)
        elif what == "wait":
            books.clock.advance(value * 3600)
        elif what == "catch up":
            await books.books[value % 2].catch_up(ACCOUNT)
        elif legs:
            leg = legs[value % len(legs)]
            debits = await books.ledger.debits(ACCOUNT, leg)
            entry = present_debit(debits)
            paid = await opened_lots(books.ledger, ACCOUNT, entry)
            if what == "reverse":
                await books.ledger.submit(ACCOUNT, ReverseLeg(leg, entry, paid, "why"))
                spent[leg] = (spent[leg][0], 0)
                reversed_legs.add(leg)
            else:
                charge = {"amount": str(value)}
                command = RerateLeg(
                    leg,
                    entry,
                    paid,
                    f"card {number}",
                    value * 1000,
                    charge,
                    content_digest(charge),
                    "why",
                )
                await books.ledger.submit(ACCOUNT, command)
                spent[leg] = (spent[leg][0], value * 1000)
    view = await books.book.view(ACCOUNT, scopes=[KEN])
    today = local_day(books.clock.now(), "UTC")
    yesterday = local_day(books.clock.now() - timedelta(days=1), "UTC")
    for counters in (view.counters, view.scopes[KEN]):
        for day in {today, yesterday} & {day for day, _ in spent.values()}:
            net = sum(micros for each, micros in spent.values() if each == day)
            assert counters.spent_micros(BudgetPeriod.DAY, day, 0, running=False) == net
        net = sum(micros for each, micros in spent.values() if each[:7] == today[:7])
        assert counters.spent_micros(BudgetPeriod.MONTH, today, 0, running=False) == net


def _dated(place: PlaceHold, placed_at: Any) -> Any:
    return lambda granted: replace(place.record(granted), requested_at=placed_at)


def test_a_call_that_was_found_by_its_legs_id_gives_its_budget_back_too(calls: Calls) -> None:
    calls.policy(budgets={"day": {"amount": "1.00"}})
    calls.authorise(leg_id="known")
    charged = calls.charged(None, leg_id="known")
    assert _used(calls) == 90_000
    _reverse(calls, charged["leg"])
    assert _used(calls) == 0
