"""Lots: first in, first out; twelve months; deficits first; late legs; what comes back."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.credits.lots import Draw, LotKind
from shared.domain.ledger.model import EntryKind, Unchanged
from tests.support.ledger import (
    DAY,
    HOUR,
    START,
    UNIT,
    Book,
    adjust,
    leg,
    opened,
    top_up,
)

LATE = timedelta(hours=72)
SECOND = timedelta(seconds=1)


# First in, first out


def test_the_oldest_lot_pays_first_whatever_expires_first() -> None:
    book = opened()
    book.done(top_up(10, "a"))
    book.done(top_up(10, "b", kind=LotKind.GRANTED, expires_at=START + DAY))
    assert book.done(leg(1, 4)).draws == (Draw("lot-1", 4),)
    assert book.done(leg(2, 8)).draws == (Draw("lot-1", 6), Draw("lot-2", 2))
    assert book.remaining == {"lot-2": 8}


def test_a_negative_adjustment_draws_like_a_leg() -> None:
    book = opened()
    book.done(top_up(10, "a"))
    book.done(top_up(10, "b"))
    entry = book.done(adjust(-25))
    assert entry.draws == (Draw("lot-1", 10), Draw("lot-2", 10))
    assert (entry.deficit_micros, book.balance) == (5, -5)


def test_lots_beyond_the_ninth_keep_their_order() -> None:
    book = opened()
    for number in range(12):
        book.done(top_up(1, f"key {number}"))
    assert [draw.lot for draw in book.done(leg(1, 12)).draws] == [f"lot-{n}" for n in range(1, 13)]


def test_what_comes_back_takes_its_old_place_in_the_queue() -> None:
    book = opened()
    for number in range(12):
        book.done(top_up(2, f"key {number}"))
    book.done(leg(1, 3))  # lot-1, and half of lot-2
    book.done(book.reverse(1))
    assert list(book.remaining) == [f"lot-{n}" for n in range(1, 13)]
    assert [draw.lot for draw in book.done(leg(2, 3)).draws] == ["lot-1", "lot-2"]


# Twelve months


@pytest.mark.parametrize(
    ("bought", "expires"),
    [
        ("2026-11-23T10:00:00.000001", "2027-11-23T10:00:00.000001"),
        ("2027-02-28T23:59:59", "2028-02-28T23:59:59"),  # into a leap year
        ("2028-02-28T00:00:00", "2029-02-28T00:00:00"),  # out of one
        ("2028-02-29T12:00:00", "2029-02-28T12:00:00"),  # a day that the next year lacks
        ("2028-03-01T00:00:00", "2029-03-01T00:00:00"),
        ("2027-12-31T23:59:59", "2028-12-31T23:59:59"),
    ],
)
def test_bought_credits_expire_on_the_same_day_a_year_later(bought: str, expires: str) -> None:
    book = opened()
    book.now = datetime.fromisoformat(bought).replace(tzinfo=UTC)
    lot = book.done(top_up(10)).lot
    assert lot is not None
    assert lot.expires_at == datetime.fromisoformat(expires).replace(tzinfo=UTC)


def test_given_credits_expire_only_when_stated() -> None:
    book = opened()
    for command in (top_up(10, "gift", kind=LotKind.GRANTED), adjust(10)):
        lot = book.done(command).lot
        assert lot is not None
        assert lot.expires_at is None
    book.pass_time(10_000 * DAY)
    assert isinstance(book.do(book.expire("lot-1")), Unchanged)


def test_bought_credits_may_state_when_they_expire() -> None:
    book = opened()
    lot = book.done(top_up(10, expires_at=START + HOUR)).lot
    assert lot is not None
    assert lot.expires_at == START + HOUR


# The deficit is paid first


@pytest.mark.parametrize(
    ("amount", "left", "deficit"), [(3, {}, 2), (5, {}, 0), (8, {"lot-2": 3}, 0)]
)
@pytest.mark.parametrize("how", ["top_up", "grant", "adjustment"])
def test_new_credits_first_pay_what_is_owed(
    how: str, amount: int, left: dict[str, int], deficit: int
) -> None:
    book = opened()
    book.done(leg(1, 5))
    granted = top_up(amount, kind=LotKind.GRANTED)
    command = {"top_up": top_up(amount), "grant": granted, "adjustment": adjust(amount)}[how]
    entry = book.done(command)
    assert entry.lot is not None
    assert entry.lot.amount_micros == amount
    assert (book.remaining, book.sound.deficit_micros) == (left, deficit)
    assert book.balance == amount - 5


# Expiry


def _a_year_on(*amounts: int) -> Book:
    book = opened()
    for number, amount in enumerate(amounts):
        book.done(top_up(amount, f"key {number}"))
    book.now = START.replace(year=START.year + 1)
    return book


def test_what_is_left_of_a_lot_expires_by_an_entry_once() -> None:
    book = _a_year_on(10)
    entry = book.done(book.expire("lot-1"))
    assert (entry.kind, entry.amount_micros, book.balance) == (EntryKind.EXPIRY, -10, 0)
    assert entry.draws == (Draw("lot-1", 10),)
    assert book.remaining == {}
    assert isinstance(book.do(book.expire("lot-1")), Unchanged)


def test_a_lot_lives_until_the_instant_of_its_expiry() -> None:
    book = _a_year_on(10)
    book.pass_time(-SECOND)
    assert isinstance(book.do(book.expire("lot-1")), Unchanged)
    book.pass_time(SECOND)
    assert book.done(book.expire("lot-1")).amount_micros == -10


@pytest.mark.parametrize(
    ("days_late", "held", "taken"),
    [
        *((0, 0, 10), (0, 1, 9), (0, 5, 5), (0, 8, 2), (0, 14, 0), (0, 99, 0)),
        *((4, 0, 10), (4, 5, 10), (4, 8, 7), (4, 14, 1), (4, 15, 0), (4, 99, 0)),
    ],
)
def test_expiry_never_takes_what_is_held(days_late: int, held: int, taken: int) -> None:
    """Holds lie on the oldest lot while late legs may draw on it, then on what else there is."""
    book = opened()
    book.done(top_up(10, "a"))
    book.pass_time(5 * DAY)
    book.done(top_up(5, "b"))
    book.now = START.replace(year=START.year + 1) + days_late * DAY
    decision = book.do(book.expire("lot-1", held))
    if taken == 0:
        assert isinstance(decision, Unchanged)
    assert book.balance == 15 - taken
    assert book.balance >= min(held, 15)


def test_what_a_hold_kept_expires_once_the_hold_is_gone() -> None:
    book = _a_year_on(10)
    assert book.done(book.expire("lot-1", held_micros=4)).amount_micros == -6
    book.pass_time(HOUR)
    assert book.done(book.expire("lot-1")).amount_micros == -4
    assert book.sound.expired[0].remaining_micros == 10


# Late legs


def test_a_leg_draws_on_the_lots_that_were_valid_when_it_was_answered() -> None:
    book = _a_year_on(10)
    expiry = book.now
    book.done(top_up(10, "new"))
    book.pass_time(HOUR)
    assert book.done(leg(1, 4, expiry - SECOND)).draws == (Draw("lot-1", 4),)
    assert book.done(leg(2, 4, expiry)).draws == (Draw("lot-2", 4),)


def test_a_late_leg_gets_back_from_an_expired_lot_what_it_draws_and_no_more() -> None:
    book = _a_year_on(10)
    expiry = book.now
    book.done(book.expire("lot-1"))
    book.pass_time(LATE - SECOND)
    decision_entry = book.done(leg(1, 4, expiry - SECOND))
    prelude = book.entries[-2]
    assert (prelude.kind, prelude.amount_micros) == (EntryKind.REVERSAL, 4)
    assert prelude.is_preliminary
    assert decision_entry.draws == (Draw("lot-1", 4),)
    assert (book.balance, book.remaining) == (0, {})
    assert book.sound.expired[0].remaining_micros == 6


def test_two_late_legs_share_what_expired() -> None:
    book = _a_year_on(10)
    expiry = book.now
    book.done(book.expire("lot-1"))
    book.done(leg(1, 7, expiry - SECOND))
    second = book.done(leg(2, 7, expiry - SECOND))
    assert second.draws == (Draw("lot-1", 3),)
    assert (second.deficit_micros, book.balance) == (4, -4)
    assert book.sound.expired == ()


@pytest.mark.parametrize("is_booked", [True, False])
def test_after_72_hours_an_expired_lot_pays_for_nothing(is_booked: bool) -> None:
    book = _a_year_on(10)
    expiry = book.now
    if is_booked:
        book.done(book.expire("lot-1"))
    book.pass_time(LATE)
    entry = book.done(leg(1, 4, expiry - SECOND))
    assert (entry.draws, entry.deficit_micros) == ((), 4)
    assert not any(each.is_preliminary for each in book.entries)


def test_a_late_leg_takes_an_older_open_lot_before_an_expired_one() -> None:
    book = opened()
    book.done(adjust(100, "gift"))  # never expires
    book.done(top_up(50))
    book.now = expiry = START.replace(year=START.year + 1)
    book.done(book.expire("lot-2"))
    entry = book.done(leg(1, 30, expiry - SECOND))
    assert entry.draws == (Draw("lot-1", 30),)
    assert not any(
        each.is_preliminary for each in book.entries
    )  # nothing is given back for nothing
    assert book.balance == 70


def test_a_late_leg_takes_an_expired_lot_before_a_newer_open_one() -> None:
    book = opened()
    book.done(top_up(50))
    book.done(adjust(100, "gift"))
    book.now = expiry = START.replace(year=START.year + 1)
    book.done(book.expire("lot-1", held_micros=20))  # 30 of 50 expire, 20 are still there
    assert book.remaining == {"lot-1": 20, "lot-2": 100}
    entry = book.done(leg(1, 60, expiry - SECOND))
    assert entry.draws == (Draw("lot-1", 50), Draw("lot-2", 10))
    assert book.entries[-2].amount_micros == 30
    assert book.remaining == {"lot-2": 90}


def test_a_leg_answered_after_the_expiry_revives_nothing() -> None:
    book = _a_year_on(10)
    book.done(book.expire("lot-1"))
    entry = book.done(leg(1, 4, book.now))
    assert (entry.draws, entry.deficit_micros) == ((), 4)


# Reversals


def test_a_reversal_gives_back_to_the_lots_that_paid() -> None:
    book = opened()
    book.done(top_up(10, "a"))
    book.done(top_up(10, "b"))
    book.done(leg(1, 14))
    entry = book.done(book.reverse(1))
    assert entry.draws == (Draw("lot-1", -10), Draw("lot-2", -4))
    assert book.remaining == {"lot-1": 10, "lot-2": 10}
    assert entry.lot is None


@pytest.mark.parametrize("is_booked", [True, False])
def test_what_an_expired_lot_paid_comes_back_as_a_grant_of_30_days(is_booked: bool) -> None:
    book = opened()
    book.done(top_up(10, "a"))
    book.done(adjust(10, "gift"))
    book.done(leg(1, 14))
    book.now = START.replace(year=START.year + 1)
    if is_booked:
        book.do(book.expire("lot-1"))
    entry = book.done(book.reverse(1))
    assert entry.lot is not None
    assert (entry.lot.kind, entry.lot.amount_micros) == (LotKind.GRANTED, 10)
    assert entry.lot.expires_at == book.now + 30 * DAY
    assert entry.draws == (Draw("lot-2", -4),)
    assert book.balance == 20


def test_what_no_one_had_paid_is_no_longer_owed() -> None:
    book = opened()
    book.done(top_up(10))
    book.done(leg(1, 14))
    entry = book.done(book.reverse(1))
    assert (entry.deficit_micros, entry.draws) == (-4, (Draw("lot-1", -10),))
    assert (book.balance, book.sound.deficit_micros, entry.lot) == (10, 0, None)


def test_what_was_owed_and_paid_by_a_later_lot_comes_back_as_a_grant() -> None:
    book = opened()
    book.done(leg(1, 14))
    book.done(top_up(20))
    entry = book.done(book.reverse(1))
    assert entry.lot is not None
    assert (entry.lot.amount_micros, entry.draws) == (14, ())
    assert book.remaining == {"lot-2": 6, "lot-3": 14}


def test_what_comes_back_pays_older_debts_from_the_oldest_lot() -> None:
    book = opened()
    book.done(top_up(6, "a"))
    book.done(top_up(4, "b"))
    book.done(leg(1, 10))
    book.done(leg(2, 5))  # no one pays it
    entry = book.done(book.reverse(1))
    assert entry.deficit_micros == -5
    assert book.remaining == {"lot-1": 1, "lot-2": 4}
    assert book.balance == 5


def test_balances_are_right_after_any_order_of_reversals() -> None:
    for order in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        book = opened()
        book.done(top_up(10))
        for number in (1, 2, 3):
            book.done(leg(number, 7))
        for number in order:
            book.done(book.reverse(number))
        assert (book.balance, book.sound.deficit_micros) == (10, 0)


def test_a_reversed_late_leg_goes_to_a_grant_since_its_lot_is_gone() -> None:
    book = _a_year_on(10 * UNIT)
    expiry = book.now
    book.done(book.expire("lot-1"))
    book.done(leg(1, 4, expiry - SECOND))
    entry = book.done(book.reverse(1))
    assert entry.lot is not None
    assert (entry.lot.amount_micros, book.balance) == (4, 4)
