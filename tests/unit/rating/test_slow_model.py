"""The engine equals a slow model that examines every second of a call."""

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from shared.domain.rating.rate_card import Band
from shared.domain.rating.time_bands import BASE, BandClock
from tests.unit.rating.cases import Call, card, charge, random_call, rate, slot
from tests.unit.rating.slow_model import slow_band, slow_round, slow_sum

CALLS = 10_000
PARTS = 50


def check(call: Call) -> None:
    expected = slow_sum(call.rate, call.time_zone, call.answered_at, call.talk_seconds)
    got = charge(call.version, call.talk_seconds, answered_at=call.answered_at)
    assert expected == got.unrounded, call
    assert slow_round(expected, call.rounding) == Fraction(got.amount_micros, 10**6), call
    assert sum((line.amount for line in got.lines()), Fraction(0)) == expected, call
    usage = [line for line in got.lines() if line.kind == "usage"]
    assert sum(line.seconds for line in usage) == got.billed_seconds, call
    position = 0
    for line in usage:
        assert line.from_second == position, call
        assert line.increments > 0, call
        position += line.seconds


@pytest.mark.parametrize(
    "part", [*range(10), *(pytest.param(n, marks=pytest.mark.extended) for n in range(10, PARTS))]
)
def test_ten_thousand_random_calls_cost_what_the_slow_model_says(part: int) -> None:
    """Prices, increments, fees, bounds, grace, bands and moved clocks of every kind, exactly."""
    rng = random.Random(f"calls {part}")
    for _ in range(CALLS // PARTS):
        check(random_call(rng))


def test_one_card_rates_calls_of_many_days() -> None:
    """What the engine remembers of a weekday never stands for a day with a date of its own."""
    rng = random.Random("days")
    start = datetime(2026, 12, 1, tzinfo=UTC)
    for _ in range(12):
        dates = [(start + timedelta(days=rng.randrange(60))).date().isoformat() for _ in range(4)]
        bands = (
            Band(2, (slot("60", "2"),), "", (), 79_200, 21_600, (dates[0], dates[1][5:])),
            Band(3, (slot("60", "3"),), dates=(dates[2],)),
            Band(1, (slot("60", "4"),), weekdays=(1, 3, 6), from_second_of_day=64_800),
        )
        version = card(rate(slot("60", "1"), bands=bands), time_zone="Europe/Paris")
        for _ in range(60):
            moment = start + timedelta(seconds=rng.randrange(60 * 86_400))
            got = charge(version, 1800, answered_at=moment)
            expected = slow_sum(got.rate, "Europe/Paris", moment, 1800)
            assert got.unrounded == expected, (moment, bands)


def test_band_changes_are_where_the_wall_clock_says() -> None:
    """Over three days around moved clocks, the closed form finds every change to the second."""
    rng = random.Random("bands")
    for _ in range(12):
        call = random_call(rng)
        zone = ZoneInfo(call.time_zone)
        start = call.answered_at.astimezone(UTC)
        seconds = 3 * 86_400
        changes = dict(BandClock(call.rate.bands, zone).changes(start, seconds))
        assert 0 in changes
        current = None
        for second in range(seconds):
            if second in changes:
                assert changes[second] != current, "a change that changes nothing"
                current = changes[second]
            if second in changes or second + 1 in changes or second % 601 == 0:
                band = slow_band(call.rate, zone, start + timedelta(seconds=second))
                expected = None if current == BASE else call.rate.bands[current or 0]
                assert band == expected, (call, second)


def test_the_slow_model_agrees_with_a_sum_by_hand() -> None:
    """Two minutes across 18:00 in Paris: 45 s at 0.60 a minute, then 75 s at 0.30."""
    evening = Band(10, (slot("1", "0.30"),), from_second_of_day=18 * 3600)
    priced = rate(slot("1", "0.60"), bands=(evening,))
    answered_at = datetime(2026, 6, 1, 15, 59, 15, tzinfo=UTC)
    assert slow_sum(priced, "Europe/Paris", answered_at, 120) == Fraction(45 * 60 + 75 * 30, 6000)
