"""What a credit pays for, and what a hold must cover: inverses of the charge, to the second."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from shared.domain.rating.rate_card import Band, MaximumStrategy, Rate, Rounding, RoundingMode, Slot
from shared.domain.rating.rating import dearest_price_per_minute, hold_amount_micros, max_usage
from shared.domain.rating.tariff import tariff_of
from tests.unit.rating.cases import ANSWERED_AT, HALF_UP_4, charge, picos, random_call, rate, slot

HOUR = 3600
EVENING = Band(
    10, (slot("60", "2"),), from_second_of_day=18 * HOUR, connection_fee_picos=picos("0.1")
)


CAPPED = rate(
    slot("60", "1"),
    maximum_charge_picos=picos("3"),
    maximum_charge_strategy=MaximumStrategy.CAP,
)
STOPPED = replace(CAPPED, maximum_charge_strategy=MaximumStrategy.STOP)


def usage(
    priced: Rate,
    credit: str,
    wanted: int = 900,
    *,
    rounding: Rounding = HALF_UP_4,
    answered_at: datetime = ANSWERED_AT,
    answered_until: datetime | None = None,
) -> int:
    return max_usage(
        tariff_of(priced.terms, rounding, "UTC"),
        answered_at=answered_at,
        credit_micros=picos(credit) // 10**6,
        wanted_seconds=wanted,
        answered_until=answered_until,
    )


@pytest.mark.parametrize(
    ("priced", "credit", "seconds"),
    [
        (rate(slot("60", "1")), "0", 0),
        (rate(slot("60", "1")), "0.999999", 0),
        (rate(slot("60", "1")), "1", 60),
        (rate(slot("60", "1")), "1.999999", 60),
        (rate(slot("60", "1")), "15", 900),
        (rate(slot("60", "1")), "100", 900),
        (rate(slot("60", "1")), "-5", 0),
        (rate(slot("60", "1"), fee="0.5"), "0.5", 0),
        (rate(slot("60", "1"), fee="0.5"), "1.49", 0),
        (rate(slot("60", "1"), fee="0.5"), "1.5", 60),
        (rate(slot("60", "1"), slot("60+1", "0.6")), "1.05", 65),
        # What is free needs no credit, even overdrawn; a fee alone does.
        (rate(slot("60", "0")), "0", 900),
        (rate(slot("60", "0")), "-5", 900),
        (rate(slot("60", "0"), fee="0.5"), "0.49", 0),
        (rate(slot("60", "0"), fee="0.5"), "0.5", 900),
        (rate(slot("60", "0"), slot("120+60", "1")), "0", 120),
        # A minimum must be paid for, or nothing is.
        (rate(slot("60", "1"), minimum_charge_picos=picos("3")), "2.99", 0),
        (rate(slot("60", "1"), minimum_charge_picos=picos("3")), "3", 180),
        # Who can pay the cap can talk for ever.
        (CAPPED, "3", 900),
        (CAPPED, "2.99", 120),
        # A stop bounds what is granted, however much there is.
        (STOPPED, "100", 180),
        (STOPPED, "2", 120),
        # The grace is free, and nothing beyond it without credit.
        (rate(slot("60", "1"), grace_seconds=5), "0", 5),
        (rate(slot("60", "1"), grace_seconds=5), "1", 60),
        (rate(slot("1", "60"), grace_seconds=5), "2", 5),
        (rate(slot("60", "1"), grace_seconds=1000), "0", 900),
    ],
)  # fmt: skip
def test_max_usage(priced: Rate, credit: str, seconds: int) -> None:
    """Whole increments that the credit pays for, up to 900 s wanted."""
    assert seconds == usage(priced, credit)


@pytest.mark.parametrize(
    ("mode", "credit", "seconds"),
    [
        # A pico-exact edge: 1.01 is the least charge over the credit in each mode.
        (RoundingMode.UP, "1", 100),
        (RoundingMode.DOWN, "1", 100),
        (RoundingMode.HALF_UP, "1.004", 100),
        (RoundingMode.UP, "1.009", 100),
        (RoundingMode.NONE, "1.009", 100),
        (RoundingMode.NONE, "1.01", 101),
    ],
)
def test_what_counts_is_the_rounded_charge(mode: RoundingMode, credit: str, seconds: int) -> None:
    """By 0.01 a second and two decimals, what is granted can be paid in full."""
    priced = rate(Slot(0, picos("0.01"), 1, 1))

    assert seconds == usage(priced, credit, rounding=Rounding(mode, 2))


def test_a_credit_of_just_the_cap_pays_for_every_length() -> None:
    """Where nothing is lost in rounding, too."""
    up = Rounding(RoundingMode.UP, 6)

    assert usage(CAPPED, "3", rounding=up) == 900
    assert usage(CAPPED, "2.999999", rounding=up) == 120


@pytest.mark.parametrize(
    ("mode", "credit", "seconds"),
    [
        ("up", "1", 1000), ("up", "1.01", 1010), ("down", "1", 1009), ("half_up", "1", 1004),
        ("half_up", "1.01", 1014), ("half_even", "1", 1005), ("half_even", "1.01", 1014),
    ],
)  # fmt: skip
def test_what_is_lost_in_rounding_is_granted(mode: str, credit: str, seconds: int) -> None:
    """By 0.001 a second and two decimals, the last second is the last that rounds to the credit."""
    priced = rate(Slot(0, picos("0.001"), 1, 1))

    assert seconds == usage(priced, credit, 5000, rounding=Rounding(RoundingMode(mode), 2))


@pytest.mark.parametrize("part", range(4))
def test_max_usage_is_the_inverse_of_the_charge(part: int) -> None:
    """For random rates, bands and clocks: affordable, and one second more is not."""
    rng = random.Random(f"usage {part}")
    for _ in range(400):
        call = random_call(rng)
        version = call.version

        def cost(seconds: int) -> int:
            return charge(version, seconds, answered_at=call.answered_at).amount_micros  # noqa: B023

        wanted = call.talk_seconds + 1
        credit = max(0, cost(rng.randrange(wanted + 1)) + rng.choice((-1, 0, 0, 1)))
        seconds = max_usage(
            tariff_of(call.rate.terms, call.rounding, call.time_zone),
            answered_at=call.answered_at,
            credit_micros=credit,
            wanted_seconds=wanted,
        )
        assert 0 <= seconds <= wanted, call
        assert cost(seconds) <= credit, call
        if seconds < wanted:
            stop = call.rate.maximum_charge_picos
            stopped = call.rate.maximum_charge_strategy == "stop" and (
                charge(version, seconds + 1, answered_at=call.answered_at).unrounded
                > Fraction(stop or 0, 10**12)
            )
            assert cost(seconds + 1) > credit or stopped, call


@pytest.mark.parametrize(
    ("start", "until", "seconds", "amount"),
    [
        # Noon: nothing but the rate's own slots can be touched.
        ("12:00:00", None, 180, "3.5"),
        ("12:00:00", "12:02:00", 180, "3.5"),
        # The window for the answer ends before the evening, the call may not.
        ("17:54:59", "17:57:59", 180, "3.5"),
        ("17:55:00", "17:58:00", 180, "4.5"),
        # Answered at the last moment of the window, it has two of three minutes in the evening.
        ("17:56:00", "17:59:00", 180, "5.5"),
        # Once in the evening, its smaller fee counts, and its dearer minutes.
        ("18:00:00", "18:02:00", 180, "6.1"),
        # 17:59:59 has the dear fee and all but one increment dear.
        ("17:59:00", "17:59:59", 120, "3.5"),
        ("17:59:00", "18:02:00", 60, "2.1"),
    ],
)
def test_a_hold_covers_the_dearest_answer_in_the_window(
    start: str, until: str | None, seconds: int, amount: str
) -> None:
    """The most that the call can cost, whenever in the window it is answered."""
    priced = rate(slot("60", "1"), fee="0.5", bands=(EVENING,))
    day = "2026-06-01T"

    got = hold_amount_micros(
        tariff_of(priced.terms, HALF_UP_4, "UTC"),
        answered_at=datetime.fromisoformat(f"{day}{start}Z"),
        answered_until=datetime.fromisoformat(f"{day}{until}Z") if until else None,
        seconds=seconds,
    )

    assert picos(amount) // 10**6 == got


def test_a_grant_is_paid_for_whenever_the_call_is_answered() -> None:
    """2.5 pays for two minutes by day, for one in the evening: the window knows both."""
    priced = rate(slot("60", "1"), fee="0.5", bands=(EVENING,))
    evening = datetime(2026, 6, 1, 18, tzinfo=UTC)

    def granted(begin: int, end: int) -> int:
        return usage(
            priced,
            "2.5",
            answered_at=evening + timedelta(seconds=begin),
            answered_until=evening + timedelta(seconds=end),
        )

    assert granted(-300, -180) == 120
    assert granted(-300, -61) == 120
    assert granted(-300, -60) == 60
    assert granted(-300, 0) == 60
    assert granted(-61, -60) == 60
    assert granted(0, 120) == 60


def test_a_hold_pays_for_every_answer_and_no_second_more_would_do() -> None:
    """Random windows: the grant is the least that any answer second gives, the hold the most."""
    rng = random.Random("holds")
    for _ in range(60):
        call = random_call(rng)
        wanted = min(call.talk_seconds + 1, 900)
        window = rng.choice((1, 20, 120))
        answers = [call.answered_at + timedelta(seconds=later) for later in range(window + 1)]
        version = call.version
        costs = [charge(version, wanted, answered_at=moment).amount_micros for moment in answers]
        tariff = tariff_of(call.rate.terms, call.rounding, call.time_zone)
        credit = rng.choice(costs)

        held = hold_amount_micros(
            tariff, answered_at=answers[0], answered_until=answers[-1], seconds=wanted
        )
        granted = max_usage(
            tariff,
            answered_at=answers[0],
            answered_until=answers[-1],
            credit_micros=credit,
            wanted_seconds=wanted,
        )

        assert max(costs) == held, call
        assert granted == min(
            max_usage(tariff, answered_at=moment, credit_micros=credit, wanted_seconds=wanted)
            for moment in answers
        ), call


def test_an_answer_window_over_an_hour_is_refused() -> None:
    """Nobody rings that long, and the search must stay short."""
    tariff = tariff_of(rate(slot("60", "1")).terms, HALF_UP_4, "UTC")

    def hold(window: timedelta) -> int:
        return hold_amount_micros(
            tariff, answered_at=ANSWERED_AT, answered_until=ANSWERED_AT + window, seconds=60
        )

    assert hold(timedelta(hours=1)) == 1_000_000
    with pytest.raises(ValueError, match="over an hour"):
        hold(timedelta(hours=1, microseconds=1))


def test_the_dearest_price_that_a_span_touches() -> None:
    """Of all slots and bands in reach: what a ceiling is compared with."""
    priced = rate(slot("60", "1"), slot("60+1", "3"), bands=(EVENING,))
    dearer = Band(11, (Slot(0, picos("0.1"), 1, 1),), from_second_of_day=20 * HOUR)
    with_night = rate(slot("60", "1"), bands=(EVENING, dearer))
    evening = datetime(2026, 6, 1, 17, 59, tzinfo=UTC)

    def price(each: Rate, start: datetime, seconds: int) -> Fraction:
        return dearest_price_per_minute(
            tariff_of(each.terms, HALF_UP_4, "UTC"), span_start=start, span_seconds=seconds
        )

    assert price(priced, ANSWERED_AT, 900) == 3
    assert price(with_night, ANSWERED_AT, 0) == 1
    assert price(with_night, evening, 60) == 1
    assert price(with_night, evening + timedelta(seconds=59), 0) == 1
    assert price(with_night, evening, 61) == 2
    assert price(with_night, evening, 3 * HOUR) == 6
