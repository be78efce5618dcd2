"""A re-rated leg: its present debit is taken back and another one booked, as one movement."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.credits.alerts import AlertRule
from shared.domain.credits.included_minutes import PoolDraw
from shared.domain.credits.lots import Draw, LotKind
from shared.domain.ledger.model import (
    RULES,
    Entry,
    EntryKind,
    LegCharge,
    PoolRequest,
    RerateLeg,
    ReverseLeg,
    RulesChange,
    check,
)
from shared.domain.ledger.replay import replay
from tests.support.ledger import DAY, UNIT, Book, adjust, configure, leg, opened, top_up
from tests.unit.ledger.test_invariants import _RULES, _STEPS, _play

GRANT_DAYS = timedelta(days=30)


def debit_of(book: Book, name: str | int) -> Entry:
    """The present debit of a leg."""
    return [each for each in book.entries if each.leg == f"local~{name}"][-1]


def rerate(book: Book, name: str | int, amount_micros: int, target: str = "b|1") -> RerateLeg:
    """The command as the use case makes it."""
    debit = debit_of(book, name)
    charge = {"status": "charged", "amount": str(amount_micros), "target": target}
    return RerateLeg(
        leg=f"local~{name}",
        debit=debit,
        paid=tuple(book.opened[draw.lot] for draw in debit.draws),
        target=target,
        amount_micros=amount_micros,
        charge=charge,
        charge_digest=content_digest(charge),
        reason="the card was wrong",
        actor="ann",
    )


def test_it_writes_a_reversal_and_a_debit_that_point_at_what_they_replace() -> None:
    book = opened()
    book.done(top_up(10 * UNIT))
    book.done(leg("a", 3 * UNIT))

    book.done(rerate(book, "a", 2 * UNIT))

    back, rebooked = book.entries[-2:]
    assert (back.kind, back.amount_micros, back.reverses) == (EntryKind.REVERSAL, 3 * UNIT, 2)
    assert (rebooked.kind, rebooked.amount_micros, rebooked.reverses) == (
        EntryKind.DEBIT,
        -2 * UNIT,
        None,
    )
    assert (back.rerates, rebooked.rerates) == (2, 2)
    assert back.is_preliminary
    assert not back.restores_lot
    assert (back.leg, rebooked.leg, rebooked.actor) == ("local~a", "local~a", "ann")
    assert rebooked.content_digest == debit_of(book, "a").content_digest
    assert (book.balance, book.remaining) == (8 * UNIT, {"lot-1": 8 * UNIT})
    assert book.replayed() == book.sound


@pytest.mark.parametrize("amount", [0, 1, 3 * UNIT, 5 * UNIT, 20 * UNIT])
def test_the_balance_is_as_if_the_leg_had_cost_that_from_the_start(amount: int) -> None:
    book, other = opened(), opened()
    for each, first in ((book, 3 * UNIT), (other, amount)):
        each.done(top_up(4 * UNIT, "one"))
        each.done(top_up(4 * UNIT, "two"))
        each.done(leg("a", first))

    book.done(rerate(book, "a", amount))

    assert (book.balance, book.remaining) == (other.balance, other.remaining)
    assert book.sound.deficit_micros == other.sound.deficit_micros
    assert book.replayed() == book.sound


def test_it_is_one_movement_of_the_balance_for_alerts() -> None:
    """Between reversal and debit the balance is above the threshold; nobody is reported."""
    book = opened(AlertRule("low", below_micros=5 * UNIT))
    book.done(top_up(10 * UNIT))
    book.done(leg("a", 6 * UNIT))
    reported = len(book.of_type("credits.low"))

    book.done(rerate(book, "a", 7 * UNIT))

    assert len(book.of_type("credits.low")) == reported == 1
    assert book.replayed() == book.sound


def test_what_expired_lots_paid_pays_the_new_charge_and_only_the_rest_is_granted() -> None:
    """The leg was answered while they were valid: a correction takes nothing from newer credits."""
    book = opened()
    book.done(top_up(5 * UNIT, "old", kind=LotKind.GRANTED, expires_at=book.now + DAY))
    book.done(leg("a", 5 * UNIT))
    book.pass_time(2 * DAY)
    book.done(top_up(10 * UNIT, "new"))

    book.done(rerate(book, "a", 2 * UNIT))

    back, rebooked = book.entries[-2:]
    assert back.draws == (Draw("lot-1", -2 * UNIT),)
    assert rebooked.draws == (Draw("lot-1", 2 * UNIT),)
    assert back.lot is not None
    assert (back.lot.amount_micros, back.lot.kind) == (3 * UNIT, LotKind.GRANTED)
    assert back.lot.expires_at == book.now + GRANT_DAYS
    assert book.remaining == {"lot-3": 10 * UNIT, "lot-4": 3 * UNIT}
    assert book.replayed() == book.sound


def test_a_dearer_charge_takes_what_expired_lots_paid_and_then_first_in_first_out() -> None:
    book = opened()
    book.done(top_up(5 * UNIT, "old", kind=LotKind.GRANTED, expires_at=book.now + DAY))
    book.done(leg("a", 5 * UNIT))
    book.pass_time(2 * DAY)
    book.done(top_up(3 * UNIT, "new"))

    book.done(rerate(book, "a", 9 * UNIT))

    back, rebooked = book.entries[-2:]
    assert back.lot is None
    assert rebooked.draws == (Draw("lot-1", 5 * UNIT), Draw("lot-3", 3 * UNIT))
    assert (rebooked.deficit_micros, book.balance, book.remaining) == (UNIT, -UNIT, {})
    assert book.replayed() == book.sound


def test_a_lot_that_expired_without_being_booked_yet_counts_as_expired() -> None:
    """What is left of it stays in it until its expiry is booked."""
    book = opened()
    book.done(top_up(8 * UNIT, "old", kind=LotKind.GRANTED, expires_at=book.now + DAY))
    book.done(leg("a", 5 * UNIT))
    book.pass_time(2 * DAY)

    book.done(rerate(book, "a", 4 * UNIT))

    assert book.remaining == {"lot-1": 3 * UNIT, "lot-3": UNIT}
    assert book.replayed() == book.sound


def test_a_leg_that_no_one_had_paid_pays_the_debt_first() -> None:
    book = opened()
    book.done(leg("a", 5 * UNIT))

    book.done(rerate(book, "a", 2 * UNIT))

    assert (book.balance, book.sound.deficit_micros, book.remaining) == (-2 * UNIT, 2 * UNIT, {})
    book.done(top_up(3 * UNIT))
    assert (book.balance, book.remaining) == (UNIT, {"lot-4": UNIT})
    assert book.replayed() == book.sound


def test_a_leg_is_charged_again_as_often_as_its_card_changes() -> None:
    book = opened()
    book.done(top_up(10 * UNIT))
    book.done(leg("a", 3 * UNIT))
    for number, amount in enumerate([5, 0, 1, 4], start=1):
        book.done(rerate(book, "a", amount * UNIT, f"b|{number}"))
        assert book.balance == (10 - amount) * UNIT
    assert book.replayed() == book.sound
    assert [each.rerates for each in book.entries if each.kind is EntryKind.DEBIT] == [
        *(None, 2, 4, 6, 8)
    ]


def test_a_free_leg_may_get_a_price_and_a_priced_one_become_free() -> None:
    book = opened()
    book.done(top_up(10 * UNIT))
    book.done(leg("free", 0))
    book.done(rerate(book, "free", UNIT))
    assert book.balance == 9 * UNIT
    book.done(rerate(book, "free", 0, "b|2"))
    assert (book.balance, book.remaining) == (10 * UNIT, {"lot-1": 10 * UNIT})
    assert book.replayed() == book.sound


def test_included_minutes_that_paid_a_part_pay_it_again() -> None:
    """The pool is as before; a later reversal gives its seconds back."""
    book = opened()
    book.do(replace(configure(2), pool_seconds=600))
    book.done(top_up(10 * UNIT))
    rest = LegCharge(UNIT, {"amount": "1"}, content_digest({"amount": "1"}))
    book.done(
        replace(leg("a", 3 * UNIT), pool=PoolRequest("2026-11", 120, lambda _: rest)),
    )

    book.done(rerate(book, "a", 2 * UNIT))

    back, rebooked = book.entries[-2:]
    assert (back.pool, rebooked.pool) == (PoolDraw("2026-11", -120), PoolDraw("2026-11", 120))
    assert [pool.used_seconds for pool in book.sound.pools] == [120]
    assert book.balance == 8 * UNIT
    assert book.replayed() == book.sound
    paid = tuple(book.opened[draw.lot] for draw in rebooked.draws)
    book.done(ReverseLeg("local~a", rebooked, paid, "a mistake"))
    assert [pool.used_seconds for pool in book.sound.pools] == [0]
    assert (book.balance, book.replayed()) == (10 * UNIT, book.sound)


def test_a_movement_that_ends_between_its_two_entries_is_corrupt() -> None:
    book = opened()
    book.done(top_up(10 * UNIT))
    book.done(leg("a", 3 * UNIT))
    book.done(rerate(book, "a", 2 * UNIT))
    book.entries.pop()
    assert book.entries[-1].is_preliminary
    with pytest.raises(LedgerCorrupt, match="entry 3: what it prepares does not follow it"):
        replay(
            None,
            {},
            commit=1,
            at=book.now,
            entries=book.entries,
            settings=book.settings,
            rules=RulesChange(RULES, {}),
        )


_TINY = ("top_up", 1, 0, 0)


@given(st.lists(st.one_of(_STEPS, st.integers(0, 9 * UNIT)), max_size=40))
@example([*[_TINY] * 3, ("leg", 1, 0, 0), *[("configure", n, 0, 0) for n in (4, 1)], 1])
def test_whatever_happens_beside_it_the_ledger_stays_sound(steps: list[object]) -> None:
    """Balance, lots, deficit, numbers, and the state that the entries alone lead to."""
    book = opened(*_RULES)
    book.done(adjust(UNIT, "beginning"))
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            _play(book, number, step)
        else:
            reversed_ = {each.reverses for each in book.entries}
            debits = [
                each
                for each in book.entries
                if each.kind is EntryKind.DEBIT and each.sequence not in reversed_
            ]
            if debits:
                name = str(debits[number % len(debits)].leg).removeprefix("local~")
                before = book.balance
                cost = -debit_of(book, name).amount_micros
                book.done(rerate(book, name, int(str(step)), f"b|{number}"))
                assert book.balance == before + cost - int(str(step))
        check(book.sound)
    total = 0
    for entry in book.entries:
        total += entry.amount_micros
        assert (entry.balance_micros, entry.moved_micros) == (total, entry.amount_micros)
    for lot in book.opened.values():
        assert 0 <= book.remaining.get(lot.id, 0) <= lot.amount_micros
    assert book.replayed() == book.sound
