"""One alert for every crossing: not before, not twice, and again only above the margin."""

import pytest

from shared.domain.credits.alerts import AlertRule
from shared.domain.credits.lots import LotKind
from shared.domain.ledger.model import Tick
from tests.support.ledger import HOUR, UNIT, Book, adjust, configure, leg, opened, top_up

CENT = UNIT // 100
LOW = AlertRule("low", below_micros=20 * UNIT)


def _alerts(book: Book) -> list[str]:
    return [str(event.data["alert"]) for event in book.of_type("credits.low")]


def _lowered(book: Book, amount_micros: int) -> int:
    """How many alerts a debit of this amount raises."""
    before = len(_alerts(book))
    book.done(leg(len(book.entries), amount_micros))
    return len(_alerts(book)) - before


def test_the_threshold_itself_is_not_below_it() -> None:
    book = opened(LOW)
    book.done(top_up(21 * UNIT))
    assert _lowered(book, UNIT) == 0
    assert _lowered(book, 1) == 1


def test_an_alert_names_threshold_balance_and_what_to_do() -> None:
    book = opened(LOW)
    book.done(top_up(25 * UNIT))
    book.done(leg(1, 7 * UNIT))
    (event,) = book.of_type("credits.low")
    assert dict(event.data) | {"what_to_do": ""} == {
        "alert": "low",
        "threshold": "20.00",
        "balance": "18.00",
        "currency": "USD",
        "what_to_do": "",
    }
    assert event.data["what_to_do"]


@pytest.mark.parametrize("step", [CENT, 1, 5 * CENT])
def test_a_thousand_debits_around_a_threshold_are_one_crossing(step: int) -> None:
    book = opened(LOW)
    book.done(top_up(20 * UNIT))
    for number in range(1_000):
        book.done(leg(f"down {number}", step))
        book.done(book.reverse(f"down {number}"))
    assert _alerts(book) == ["low"]


def test_free_legs_in_between_do_not_make_it_two_crossings() -> None:
    book = opened(AlertRule("empty", below_micros=0))
    for number in range(100):
        book.done(leg(f"down {number}", CENT))
        book.done(leg(f"free {number}", 0))
        book.done(adjust(CENT, f"up {number}"))
    assert _alerts(book) == ["empty"]


@pytest.mark.parametrize(
    ("rise", "alerts"),
    [(3 * UNIT - 1, 0), (3 * UNIT, 1)],  # threshold + 10 % are 22.00, from 19.00
)
def test_it_is_armed_again_at_threshold_and_margin(rise: int, alerts: int) -> None:
    book = opened(LOW)
    book.done(top_up(20 * UNIT))
    assert _lowered(book, UNIT) == 1
    book.done(adjust(rise))
    assert _lowered(book, 10 * UNIT) == alerts


def test_the_margin_is_the_last_charge_where_that_is_larger() -> None:
    book = opened(LOW)
    book.done(top_up(25 * UNIT))
    assert _lowered(book, 6 * UNIT) == 1  # 19.00; armed again at 26.00
    book.done(adjust(7 * UNIT - 1, "nearly"))
    assert _lowered(book, 6 * UNIT) == 0
    book.done(adjust(7 * UNIT + 1, "there"))
    assert book.balance == 27 * UNIT
    assert _lowered(book, 8 * UNIT) == 1


def test_every_threshold_that_one_debit_crosses_is_reported_in_order() -> None:
    rules = [AlertRule(name, below_micros=at * UNIT) for name, at in (("a", 30), ("b", 20))]
    book = opened(*rules, AlertRule("c", below_micros=5 * UNIT))
    book.done(top_up(40 * UNIT))
    book.done(leg(1, 25 * UNIT))
    assert _alerts(book) == ["a", "b"]


@pytest.mark.parametrize("bought", [1, 19 * UNIT])
def test_buying_too_little_is_no_crossing_the_next_debit_is(bought: int) -> None:
    book = opened(LOW)
    book.done(top_up(bought))
    assert _alerts(book) == []
    assert _lowered(book, 1) == 1
    assert _lowered(book, 1) == 0


def test_per_cent_are_of_the_last_top_up() -> None:
    book = opened(AlertRule("fifth", below_percent=20))
    book.done(top_up(100 * UNIT, "a"))
    assert _lowered(book, 80 * UNIT) == 0
    assert _lowered(book, 1) == 1
    book.done(top_up(10 * UNIT, "b"))  # 29.999999 left, the threshold is 2.00 now
    assert _lowered(book, 27 * UNIT) == 0
    assert _lowered(book, UNIT) == 1


def test_expiry_and_negative_adjustments_cross_thresholds_too() -> None:
    book = opened(LOW)
    book.done(top_up(30 * UNIT))
    book.now = book.now.replace(year=book.now.year + 1)
    book.done(book.expire("lot-1"))
    assert _alerts(book) == ["low"]
    other = opened(LOW)
    other.done(top_up(30 * UNIT, kind=LotKind.GRANTED))
    other.done(adjust(-15 * UNIT))
    assert _alerts(other) == ["low"]


def test_a_late_leg_that_gets_its_credit_back_first_is_no_rise() -> None:
    book = opened(AlertRule("empty", below_micros=1))
    book.done(top_up(30 * UNIT))
    book.now = expiry = book.now.replace(year=book.now.year + 1)
    book.done(book.expire("lot-1"))
    assert _alerts(book) == ["empty"]
    book.done(leg(1, 20 * UNIT, expiry - HOUR))
    assert _alerts(book) == ["empty"]


def test_a_rule_that_stays_keeps_its_arming_a_changed_one_is_armed_again() -> None:
    book = opened(LOW)
    book.done(top_up(25 * UNIT))
    assert _lowered(book, 6 * UNIT) == 1
    book.do(configure(2, LOW, AlertRule("other", below_micros=10 * UNIT)))
    assert _lowered(book, UNIT) == 0
    book.do(configure(3, AlertRule("low", below_micros=15 * UNIT)))
    assert _lowered(book, UNIT) == 0
    assert _lowered(book, 3 * UNIT) == 1


def test_credits_that_come_in_are_reported() -> None:
    book = opened()
    book.done(leg(1, UNIT))
    book.done(top_up(3 * UNIT))
    (event,) = book.of_type("credits.topped_up")
    assert dict(event.data) == {"amount": "3.00", "balance": "2.00", "currency": "USD"}


@pytest.mark.parametrize("balance", [0, 1, -1, -5 * UNIT])
def test_a_forecast_rule_is_silent_without_a_forecast_whatever_the_balance_is(
    balance: int,
) -> None:
    book = opened(AlertRule("soon", hours_left=120), AlertRule("owed", below_micros=-UNIT))
    book.done(top_up(10 * UNIT))
    book.done(leg("a", 10 * UNIT - balance))
    book.pass_time(HOUR)
    book.do(Tick())

    assert _alerts(book) == (["owed"] if balance < -UNIT else [])
    assert book.sound.alert_rules[0].armed
