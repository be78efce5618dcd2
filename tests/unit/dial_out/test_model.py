"""Random histories: the hold book and a plain model of it always agree, and promise 4 holds."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.dial_out import hold_book, hold_decisions
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.hold_decisions import Granted
from shared.domain.ledger.model import SettledDebit
from shared.ports.holds import StoredDecision
from tests.model.hold_model import HoldModel
from tests.support.hold_books import ACCOUNT, HoldBooks, named
from tests.support.hold_cases import CENT, NOW, authorise, debited, longer, placed

AUTHORIZATIONS = [f"au_{number}" for number in range(8)]
NAMES = st.sampled_from(AUTHORIZATIONS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("authorise"), NAMES, st.integers(1, 900)),
        st.tuples(st.just("extend"), NAMES, st.integers(1, 4000)),
        st.tuples(st.just("release"), NAMES, st.just(0)),
        st.tuples(st.just("debit"), NAMES, st.integers(0, 40)),
        st.tuples(st.just("top_up"), NAMES, st.integers(1, 40)),
        st.tuples(st.just("wait"), NAMES, st.integers(1, 2500)),
    ),
    max_size=40,
)


class Pair:
    """The pure hold book and the model, side by side."""

    def __init__(self) -> None:
        self.state = HoldState()
        self.model = HoldModel(concurrent_max=10**6, hourly_max=10**6)
        self.now = NOW
        self.requested: set[str] = set()

    @property
    def balance(self) -> Fraction:
        return Fraction(self.state.balance_micros)

    def authorise(self, name: str, seconds: int) -> None:
        if name in self.requested:  # the guard answers, before the state is read
            return
        answer = hold_decisions.place_hold(self.state, authorise(name, seconds), self.now)
        if isinstance(answer, Granted):
            assert answer.state is not None
            self.state = answer.state
            self.requested.add(name)
        hold = answer.hold if isinstance(answer, Granted) else None
        amount = hold.amount_micros if hold else CENT
        expected = self.model.authorise(
            name, self.now, hold.granted_seconds if hold else 60, Fraction(amount), self.balance
        )
        assert (expected["decision"] == "allow") is (hold is not None)
        if hold and hold.granted_seconds < seconds:
            longer_amount = amount + CENT
            free = self.model.available(self.now, self.balance, Fraction(0)) + amount
            assert longer_amount > free, "one more minute could have been paid for"

    def extend(self, name: str, seconds: int) -> None:
        granted = hold_decisions.extend_hold(self.state, longer(name, seconds), self.now)
        known = self.model.find(name)
        if granted is None:
            assert known is None or not known.is_open(self.now)
            return
        assert known is not None
        if granted.state is not None:
            self.state = granted.state
            expected = self.model.extend(
                name,
                self.now,
                granted.hold.granted_seconds,
                Fraction(granted.hold.amount_micros),
                self.balance,
            )
            assert expected["decision"] == "allow"
        assert known.granted_seconds == granted.hold.granted_seconds
        assert known.amount == granted.hold.amount_micros

    def release(self, name: str, _: int) -> None:
        released = hold_book.release(self.state, name, self.now)
        self.state = released or self.state
        assert self.model.release(name, self.now) is (released is not None)

    def debit(self, name: str, cents: int) -> None:
        self.state = debited(self.state, SettledDebit(name, None, cents * CENT), now=self.now)
        self.model.settle("local~1", name, 0, self.now)

    def top_up(self, _: str, cents: int) -> None:
        balance = self.state.balance_micros + cents * CENT
        commit = self.state.ledger_commit + 1
        view = hold_book.LedgerView(commit, balance, self.state.credit_limit_micros)
        self.state = hold_book.catch_up(self.state, view, (), self.now)

    def wait(self, _: str, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_the_hold_book_does_what_the_plain_model_does(steps: list[tuple[str, str, int]]) -> None:
    pair = Pair()
    pair.top_up("", 30)
    for step, name, number in steps:
        before = pair.state.held_micros(pair.now)
        getattr(pair, step)(name, number)
        held = pair.state.held_micros(pair.now)
        assert held == pair.model.held(pair.now)
        if held > before:
            assert held <= pair.state.balance_micros, "promise 4"


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 5))
def test_no_order_of_events_frees_or_keeps_a_cent(order: list[int], lost: int) -> None:
    """Six calls are placed; two are charged, one is released: whichever comes first, and whether
    the debits are applied one by one or all at once, the same is held in the end."""
    state = HoldState(balance_micros=100 * CENT)
    for number in range(6):
        state = placed(state, authorise(f"au_{number}", 60))
    waiting: list[SettledDebit] = []
    for number in order:
        if number < 2:
            waiting.append(SettledDebit(f"au_{number}", None, CENT))
            if number != lost:
                state, waiting = debited(state, *waiting), []
        elif number == 2:
            state = hold_book.release(state, "au_2", NOW) or state
    state = debited(state, *waiting)
    assert state.held_micros(NOW) == 3 * CENT
    assert state.balance_micros == 98 * CENT
    assert state.counters.days[-1][1] == 2 * CENT


@pytest.mark.parametrize("seed", range(25))
def test_processes_that_do_everything_at_once_keep_promise_4_at_every_commit(seed: int) -> None:
    """Three hold books and a ledger on the same tables; the tables check each commit."""
    rng = random.Random(seed)
    books = HoldBooks(processes=3)
    done: Counter[str] = Counter()

    async def act(number: int) -> None:
        book = rng.choice(books.books)
        what = rng.choice(["ask", "ask", "ask", "extend", "release", "debit", "top_up", "wait"])
        name = f"au_{rng.randrange(20)}"
        if what == "ask":
            answer = await books.authorise(
                named(authorise(seconds=rng.randrange(1, 900)), name), book
            )
            done["allowed" if isinstance(answer, StoredDecision) else "denied"] += 1
        elif what in {"extend", "release"}:
            if await book.record(ACCOUNT, name) is None:
                return
            if what == "extend":
                await books.extend(name, rng.randrange(1, 3000), book)
            else:
                await book.release(ACCOUNT, name)
            done[what] += 1
        elif what == "debit":
            await books.debit(rng.randrange(20) * CENT, name)
        elif what == "top_up":
            await books.top_up(rng.randrange(1, 10) * CENT)
        else:
            books.clock.advance(rng.randrange(400))

    async def history() -> None:
        await books.open(40 * CENT)
        for _ in range(12):
            await asyncio.gather(*(act(number) for number in range(10)))
        await books.audit()

    asyncio.run(history())
    assert done["allowed"]
    assert books.tables.commits
