"""Every command of the ledger: what it refuses, in descending precedence, and what it books."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.common import limits
from shared.domain.common.errors import Conflict, Invalid
from shared.domain.credits.lots import Draw, Lot, LotKind, lot_id
from shared.domain.ledger.model import (
    Command,
    Configure,
    Decided,
    EntryKind,
    ReverseLeg,
    Unchanged,
    available_micros,
)
from tests.support.ledger import (
    DAY,
    HOUR,
    START,
    UNIT,
    Book,
    adjust,
    configure,
    leg,
    opened,
    top_up,
)

LATER = START + DAY
BEFORE = START - HOUR


def _full() -> Book:
    """As many open lots as there may be."""
    book = opened()
    lots = tuple(
        Lot(lot_id(number), LotKind.GRANTED, UNIT, UNIT, START, None)
        for number in range(1, limits.OPEN_LOTS_MAX + 1)
    )
    total = len(lots) * UNIT
    book.state = replace(book.sound, lots=lots, balance_micros=total, entry=len(lots))
    book.opened = {lot.id: lot for lot in lots}
    return book


# Each row breaks its own rule and all rules of the rows below it: the first one answers.
_TOP_UPS = [
    ("ledger_not_open", Book(), top_up(0, expires_at=BEFORE)),
    ("amount_not_positive", _full(), top_up(0, expires_at=BEFORE)),
    ("amount_not_positive", _full(), top_up(-1, expires_at=BEFORE)),
    ("expiry_in_the_past", _full(), top_up(1, expires_at=BEFORE)),
    ("expiry_in_the_past", _full(), top_up(1, expires_at=START)),
    ("too_many_lots", _full(), top_up(1, expires_at=LATER)),
]
_ADJUSTMENTS = [
    ("ledger_not_open", Book(), adjust(0)),
    ("amount_zero", _full(), adjust(0)),
    ("overdraft_not_allowed", _full(), adjust(-1_000 * UNIT, allow_overdraft=False)),
    ("too_many_lots", _full(), adjust(1)),
]


@pytest.mark.parametrize(("code", "book", "command"), [*_TOP_UPS, *_ADJUSTMENTS])
def test_the_highest_rule_that_is_broken_answers(code: str, book: Book, command: Command) -> None:
    error = book.refusal(command)
    assert error.code == code
    assert isinstance(error, Conflict if code in {"ledger_not_open", "too_many_lots"} else Invalid)
    if isinstance(error, Invalid):
        named = "/expires_at" if code == "expiry_in_the_past" else "/amount"
        assert [field.pointer for field in error.errors] == [named]


def _reversal_of_nothing() -> ReverseLeg:
    book = opened()
    book.done(leg(1, 5))
    return book.reverse(1)


@pytest.mark.parametrize(
    "command",
    [top_up(1), adjust(-1), leg(1, 1), _reversal_of_nothing(), Book().expire("lot-1")],
    ids=lambda command: type(command).__name__,
)
def test_nothing_happens_before_the_ledger_is_open(command: Command) -> None:
    assert Book().refusal(command).code == "ledger_not_open"


def test_times_never_run_back_an_earlier_now_counts_as_the_last_time() -> None:
    book = opened()
    book.done(top_up(UNIT))
    book.pass_time(-HOUR)
    entry = book.done(leg(1, 5))
    assert entry.at == START
    assert book.sound.at == START


def test_an_expiry_is_judged_by_the_time_that_the_entry_will_bear() -> None:
    book = opened()
    book.done(top_up(UNIT))
    book.pass_time(-HOUR)
    too_early = top_up(UNIT, "second", expires_at=START - HOUR / 2)
    assert book.refusal(too_early).code == "expiry_in_the_past"


# Settings


def test_settings_open_a_ledger_without_an_entry() -> None:
    book = Book()
    decision = book.do(configure(7, currency="EUR", credit_limit_micros=3))
    assert isinstance(decision, Decided)
    assert decision.entries == ()
    assert (book.sound.currency, book.sound.settings_version) == ("EUR", 7)
    assert available_micros(book.sound, 1) == 2


@pytest.mark.parametrize("version", [0, 1, 2])
def test_settings_that_are_no_newer_change_nothing(version: int) -> None:
    book = opened()
    book.do(configure(2, credit_limit_micros=5))
    before = book.state
    assert isinstance(book.do(configure(version, credit_limit_micros=9)), Unchanged)
    assert book.state is before


def test_old_settings_in_another_currency_change_nothing_new_ones_are_refused() -> None:
    book = opened()
    assert isinstance(book.do(configure(1, currency="EUR")), Unchanged)
    assert book.refusal(configure(2, currency="EUR")).code == "currency_fixed"


def test_settings_move_no_money() -> None:
    book = opened()
    book.done(top_up(UNIT))
    book.do(Configure(2, "USD", 9))
    assert (book.balance, book.sound.entry) == (UNIT, 1)


# What each command books


@pytest.mark.parametrize(
    ("command", "kind", "amount", "lot_kind"),
    [
        (top_up(7), EntryKind.TOP_UP, 7, LotKind.PURCHASED),
        (top_up(7, kind=LotKind.GRANTED), EntryKind.GRANT, 7, LotKind.GRANTED),
        (adjust(7), EntryKind.ADJUSTMENT, 7, LotKind.GRANTED),
        (adjust(-7), EntryKind.ADJUSTMENT, -7, None),
        (leg(1, 7), EntryKind.DEBIT, -7, None),
        (leg(1, 0), EntryKind.DEBIT, 0, None),
    ],
)
def test_a_command_books_one_entry(
    command: Command, kind: EntryKind, amount: int, lot_kind: LotKind | None
) -> None:
    book = opened()
    entry = book.done(command)
    assert (entry.sequence, entry.kind, entry.amount_micros) == (1, kind, amount)
    assert entry.balance_micros == book.balance == amount
    assert entry.moved_micros == amount
    assert (entry.lot.kind if entry.lot else None) is lot_kind


def test_a_debit_is_never_refused() -> None:
    book = opened()
    entry = book.done(leg(1, 5 * UNIT))
    assert (entry.balance_micros, entry.deficit_micros) == (-5 * UNIT, 5 * UNIT)
    assert available_micros(book.sound, 0) == -5 * UNIT


def test_an_entry_carries_what_its_guard_and_its_leg_are_known_by() -> None:
    book = opened()
    command = leg(1, 5, authorization="au_1")
    debit = book.done(command)
    assert (debit.leg, debit.authorization) == ("local~1", "au_1")
    assert debit.content_digest == command.digest
    assert (debit.charge_digest, debit.person_digest) == (
        command.charge_digest,
        command.person_digest,
    )
    assert debit.charge == command.charge
    bought = book.done(top_up(5, "key"))
    assert (bought.key, bought.content_digest) == ("key", "digest of key")
    gift = book.done(adjust(5, "gift"))
    assert (gift.key, gift.reason) == ("gift", "a reason")


def test_a_reversal_points_at_what_it_corrects() -> None:
    book = opened()
    book.done(top_up(10))
    book.done(leg(1, 4))
    entry = book.done(book.reverse(1))
    assert (entry.kind, entry.leg, entry.reverses) == (EntryKind.REVERSAL, "local~1", 2)
    assert (entry.amount_micros, entry.draws) == (4, (Draw("lot-1", -4),))
    assert not entry.is_preliminary


def test_a_leg_that_cost_nothing_is_reversed_for_nothing() -> None:
    book = opened()
    book.done(top_up(10))
    book.done(leg(1, 0))
    entry = book.done(book.reverse(1))
    assert (entry.amount_micros, entry.draws, entry.lot, book.balance) == (0, (), None, 10)


@pytest.mark.parametrize(
    ("lot", "pass_time"),
    [("lot-9", 400 * DAY), ("lot-1", timedelta(0)), ("lot-1", 364 * DAY)],
    ids=["no such lot", "just bought", "a day too early"],
)
def test_only_an_open_lot_whose_time_is_over_expires(lot: str, pass_time: timedelta) -> None:
    book = opened()
    book.done(top_up(10))
    book.pass_time(pass_time)
    assert isinstance(book.do(book.expire(lot)), Unchanged)


# A cap that is reached is a named answer


def test_a_full_ledger_still_takes_debits_and_what_takes_away() -> None:
    book = _full()
    book.done(leg(1, UNIT + 1))
    assert len(book.sound.lots) == limits.OPEN_LOTS_MAX - 1
    book.done(adjust(-1))
    book.done(top_up(1))
    assert book.refusal(top_up(1, "one more")).code == "too_many_lots"


def test_a_reversal_may_refill_but_not_overfill_the_open_lots() -> None:
    book = _full()
    book.done(leg(1, 2 * UNIT))  # empties two lots
    assert len(book.sound.lots) == limits.OPEN_LOTS_MAX - 2
    book.done(top_up(UNIT, "a"))
    assert book.refusal(book.reverse(1)).code == "too_many_lots"  # two would come to one place
    book.done(adjust(-UNIT))  # the oldest open lot makes room
    assert book.done(book.reverse(1)).amount_micros == 2 * UNIT
    assert len(book.sound.lots) == limits.OPEN_LOTS_MAX


def test_a_reversal_into_lots_that_are_open_already_needs_no_place() -> None:
    book = _full()
    book.done(leg(1, UNIT // 2))
    assert len(book.sound.lots) == limits.OPEN_LOTS_MAX
    assert book.done(book.reverse(1)).amount_micros == UNIT // 2
