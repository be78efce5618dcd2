"""Calls whose first seconds included minutes pay: what they pay for, and what the rest costs."""

import pytest

from shared.domain.rating.rate_card import Band, MaximumStrategy, Rate
from shared.domain.rating.rating import (
    hold_amount_micros,
    max_usage,
    paid_seconds,
    rest_after,
    spent_so_far,
)
from shared.domain.rating.tariff import Tariff, tariff_of
from tests.unit.rating.cases import ANSWERED_AT, HALF_UP_4, card, charge, picos, rate, slot

MINUTES = rate(slot("60", "1"))
FREE_MINUTE = Band(
    1, (slot("1", "0"),), from_second_of_day=36_060, until_second_of_day=36_120
)  # from 53 to 113 s after the answer at 10:00:07
FREE_IN_BETWEEN = rate(slot("1", "1"), bands=(FREE_MINUTE,))
FREE_LATER = Band(
    2, (slot("1", "0"),), from_second_of_day=36_180, until_second_of_day=36_240
)  # from 173 to 233 s after the answer
FREE_TWICE = rate(slot("1", "1"), bands=(FREE_MINUTE, FREE_LATER))


def capped(*slots: str, cap: str, fee: str = "0") -> Rate:
    priced = (slot(*text.split()) for text in slots)
    return rate(
        *priced,
        fee=fee,
        maximum_charge_picos=picos(cap),
        maximum_charge_strategy=MaximumStrategy.CAP,
    )


def tariff(priced: Rate) -> Tariff:
    return tariff_of(priced.terms, HALF_UP_4, "UTC")


@pytest.mark.parametrize(
    ("priced", "talk", "paid"),
    [
        (MINUTES, 1, 1),
        (MINUTES, 61, 61),
        (rate(slot("60", "0")), 90, 0),
        (rate(slot("60", "0"), fee="0.5"), 90, 90),
        (rate(slot("60", "0"), slot("60+60", "1")), 150, 90),
        (FREE_IN_BETWEEN, 180, 120),
        (FREE_IN_BETWEEN, 100, 53),
        (capped("60 1", cap="2"), 300, 120),
        (capped("60 1", cap="2"), 119, 119),
        (capped("60 1", cap="2"), 120, 120),
        (capped("60 1", cap="2.5"), 300, 180),
        (capped("60 1", cap="2", fee="0.5"), 300, 120),
        (capped("60 1", cap="2", fee="1.5"), 300, 60),
        (capped("60 1", cap="0.5", fee="0.5"), 300, 300),
        (capped("60 1", "60+60 2", cap="3"), 300, 120),
        (capped("60 1", "60+60 2", cap="3.5"), 300, 180),
        (capped("60 1", "60+60 2", cap="1"), 300, 60),
        (capped("60 0", "60+60 1", cap="1"), 300, 60),
    ],
)
def test_seconds_that_credits_would_pay(priced: Rate, talk: int, paid: int) -> None:
    assert paid_seconds(charge(card(priced), talk)) == paid


@pytest.mark.parametrize(
    ("priced", "talk", "pool", "begin", "rest"),
    [
        (MINUTES, 183, 60, 60, (123, 3_000_000)),
        (MINUTES, 183, 182, 182, (1, 1_000_000)),
        (MINUTES, 183, 183, 183, None),
        (MINUTES, 183, 999, 183, None),
        (MINUTES, 183, 0, 0, (183, 4_000_000)),
        (rate(slot("60", "0")), 90, 0, 90, None),
        (rate(slot("60", "0"), slot("60+60", "1")), 150, 30, 30, (120, 1_000_000)),
        (rate(slot("60", "0"), slot("60+60", "1")), 150, 90, 150, None),
        (rate(slot("60", "0"), fee="0.5"), 90, 30, 90, None),
        (rate(slot("60", "1"), bands=(FREE_MINUTE,)), 100, 55, 100, None),
        (FREE_IN_BETWEEN, 180, 52, 52, (128, 1_133_300)),
        (FREE_IN_BETWEEN, 180, 53, 113, (67, 1_116_700)),
        (FREE_IN_BETWEEN, 180, 60, 120, (60, 1_000_000)),
        (FREE_IN_BETWEEN, 180, 120, 180, None),
        (FREE_IN_BETWEEN, 110, 53, 110, None),
        (FREE_TWICE, 300, 112, 172, (128, 1_133_300)),
        (FREE_TWICE, 300, 113, 233, (67, 1_116_700)),
        (FREE_TWICE, 300, 120, 240, (60, 1_000_000)),
    ],
)
def test_the_rest_is_a_call_of_its_own(
    priced: Rate, talk: int, pool: int, begin: int, rest: tuple[int, int] | None
) -> None:
    second, separate = rest_after(charge(card(priced), talk), pool)

    assert second == begin
    assert (separate and (separate.talk_seconds, separate.amount_micros)) == rest


@pytest.mark.parametrize(
    ("priced", "seconds", "pool", "spent"),
    [
        (MINUTES, 0, 0, (0, 0)),
        (MINUTES, 60, 0, (1_000_000, 0)),
        (MINUTES, 61, 0, (2_000_000, 59)),
        (MINUTES, 61, 1, (1_000_000, 0)),
        (MINUTES, 61, 2, (1_000_000, 1)),
        (MINUTES, 61, 61, (0, 0)),
        (MINUTES, 61, 70, (0, 0)),
        (FREE_IN_BETWEEN, 180, 60, (1_000_000, 0)),
        (FREE_IN_BETWEEN, 100, 30, (383_300, 0)),
        (rate(slot("60", "1"), grace_seconds=70), 61, 0, (0, 0)),
    ],
)
def test_the_cost_so_far(priced: Rate, seconds: int, pool: int, spent: tuple[int, int]) -> None:
    """And the seconds until more is charged."""
    found = spent_so_far(
        tariff(priced), answered_at=ANSWERED_AT, seconds=seconds, after_seconds=pool
    )

    assert found == spent


@pytest.mark.parametrize(
    ("priced", "seconds", "pool", "micros"),
    [
        (MINUTES, 61, 0, 2_000_000),
        (MINUTES, 61, 30, 2_000_000),
        (FREE_IN_BETWEEN, 67, 60, 116_700),
        (FREE_IN_BETWEEN, 60, 30, 383_300),
    ],
)
def test_a_hold_pays_for_the_seconds_after_those_of_the_pool(
    priced: Rate, seconds: int, pool: int, micros: int
) -> None:
    """The seconds of the pool pass over a free band; those of the credit cost as their band."""
    rest = tariff(priced)
    held = hold_amount_micros(rest, answered_at=ANSWERED_AT, seconds=seconds, after_seconds=pool)
    paid = max_usage(
        rest,
        answered_at=ANSWERED_AT,
        credit_micros=held,
        wanted_seconds=seconds,
        after_seconds=pool,
    )

    assert (held, paid) == (micros, seconds)
