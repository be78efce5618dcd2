"""Forecasts: near what happens on a scripted burn, honest where little is known."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.credits import burn_rate
from shared.domain.credits.burn_rate import Burn
from shared.domain.credits.lots import Lot, LotKind
from shared.domain.ledger.model import LedgerState
from shared.domain.ledger.outlook import outlook
from tests.support.credits_app import PATH, UNIT, CreditsApp, day
from tests.unit.credits.histories import SHAPES, Shape

HOUR = timedelta(hours=1)
MONDAY = day(2026, 6, 1)


def office_hours(start: datetime, seed: int = 0) -> Iterator[tuple[datetime, int]]:
    """A call that ends every twenty minutes from eight to six on weekdays, and one a day at night;
    each costs about 0.30."""
    random = Random(seed)
    moment = start
    while True:
        moment += timedelta(minutes=20)
        busy = moment.weekday() < 5 and 8 <= moment.hour < 18
        if busy or (moment.hour == 3 and moment.minute == 0):
            yield moment, random.randint(200_000, 400_000)


def steady(start: datetime, seed: int = 0) -> Iterator[tuple[datetime, int]]:
    """A call that ends every half hour, day and night."""
    random = Random(seed)
    while True:
        start += timedelta(minutes=30)
        yield start, random.randint(80_000, 120_000)


def played(script: Iterator[tuple[datetime, int]], until: datetime) -> tuple[Burn, int]:
    """(burn, what was spent) at a time."""
    known, spent = Burn(), 0
    for moment, micros in script:
        if moment > until:
            break
        spent += micros
        known = burn_rate.moved(known, moment, "UTC", spent_micros=micros, balance_micros=-spent)
    return known, spent


@pytest.mark.parametrize("script", [office_hours, steady])
@pytest.mark.parametrize("days_known", [14, 21, 33, 61])
@pytest.mark.parametrize("days_ahead", [1, 3, 9, 30])
def test_a_forecast_is_within_ten_per_cent_of_what_happens(
    script: object, days_known: int, days_ahead: int
) -> None:
    """The time until nothing is left, or half a day where that is longer: no one works at night."""
    now = MONDAY + timedelta(days=days_known, hours=11, minutes=10)
    known, before = played(script(MONDAY, 7), now)  # type: ignore[operator]
    _, after = played(script(MONDAY, 7), now + timedelta(days=days_ahead))  # type: ignore[operator]
    credit = after - before
    gone_at, spent = now, 0
    for moment, micros in script(MONDAY, 7):  # type: ignore[operator]
        if moment > now:
            spent += micros
            gone_at = moment
            if spent >= credit:
                break

    found = burn_rate.forecast(known, now, "UTC", credit)

    assert found is not None
    assert found.runs_out_at is not None
    error = abs(found.runs_out_at - gone_at)
    assert error <= max((gone_at - now) / 10, timedelta(hours=3)), (found.runs_out_at, gone_at)
    assert found.earliest_at is not None
    assert found.earliest_at <= found.runs_out_at


def test_dial_outs_end_before_the_credits_do_by_what_live_calls_hold(app: CreditsApp) -> None:
    """A scripted burn through the ledger, with calls under way whose cost is held."""
    app.clock.moment = MONDAY
    app.open(balance="150.00")
    now = MONDAY + timedelta(days=15, hours=10)
    for moment, micros in steady(MONDAY, 3):
        if moment > now:
            break
        app.clock.moment = moment
        app.spend(micros / UNIT)
    app.clock.moment = now
    _hold(app, 2_000_000)

    found = app.get(f"{PATH}/outlook").json

    left = float(found["balance"])
    assert float(found["available"]) == pytest.approx(left - 2)
    hours = left / 0.2  # two calls an hour of 0.10
    assert found["runs_out"]["hours_left"] == pytest.approx(hours, rel=0.1)
    assert found["dial_outs_end"]["hours_left"] == pytest.approx(hours - 10, rel=0.1)
    assert float(found["burn"]["per_day"]) == pytest.approx(4.8, rel=0.1)
    early, late = found["runs_out"]["between"]
    assert early <= found["runs_out"]["at"] <= late


def test_without_a_week_of_history_the_outlook_states_why_it_knows_nothing(app: CreditsApp) -> None:
    app.clock.moment = MONDAY
    app.open(balance="100.00")
    fresh = app.get(f"{PATH}/outlook").json
    assert fresh["burn"] is None
    assert fresh["runs_out"] == {
        "known": False,
        "why": "No call was charged yet, or none for a long time.",
    }
    assert fresh["recent"]["spent"] == "0.00"
    assert fresh["recent"]["hours_left"] is None
    for hours in (4, 69, 168):
        while app.clock.moment < MONDAY + hours * HOUR:
            app.clock.moment += HOUR
            app.spend("0.10")
        found = app.get(f"{PATH}/outlook").json
        assert found["burn"] is None
        assert found["ahead"] == []
        for what in ("runs_out", "dial_outs_end"):
            assert found[what] == {
                "known": False,
                "why": "A forecast needs the calls of a whole week:"
                f" {hours - 1} of 168 hours are known.",
            }
    app.clock.moment += HOUR
    app.spend("0.10")
    found = app.get(f"{PATH}/outlook").json
    assert found["runs_out"]["known"] is True
    assert found["runs_out"]["hours_left"] == pytest.approx((100 - 17) / 0.1, rel=0.02)
    early, late = found["runs_out"]["between"]
    assert early < found["runs_out"]["at"] < late
    assert len(found["ahead"]) == 30
    assert found["past"][-1]["day"] == "2026-06-08"


def test_a_week_with_one_day_of_calls_is_not_enough(app: CreditsApp) -> None:
    app.clock.moment = MONDAY
    app.open(balance="100.00")
    app.spend("1.00")
    for day_number, known in ((8, False), (10, False), (12, True)):
        app.clock.moment = MONDAY + timedelta(days=day_number)
        app.spend("0.00") if day_number == 8 else app.spend("1.00")
        assert app.get(f"{PATH}/outlook").json["runs_out"]["known"] is known


def test_a_sudden_use_is_seen_before_it_is_a_pattern(app: CreditsApp) -> None:
    """9.25 of 11.00 within seconds."""
    app.open(balance="11.00")
    for _ in range(37):
        app.clock.moment += timedelta(seconds=1)
        app.spend("0.25")

    found = app.get(f"{PATH}/outlook").json

    assert found["burn"] is None
    assert found["runs_out"]["known"] is False
    assert found["recent"]["spent"] == "9.25"
    assert found["recent"]["spent_24_hours"] == "9.25"
    assert found["recent"]["hours_left"] == 0
    svg = app.get(f"{PATH}/outlook?format=svg").body.decode()
    assert "no forecast yet; 9.25 USD in the last 24 hours" in svg


def test_a_sudden_use_is_seen_beside_the_weekly_pattern(app: CreditsApp) -> None:
    app.clock.moment = MONDAY
    app.open(balance="100.00")
    for number in range(24 * 10):
        app.clock.moment = MONDAY + number * HOUR
        app.spend("0.05")
    calm = app.get(f"{PATH}/outlook").json
    app.spend("80.00")

    found = app.get(f"{PATH}/outlook").json

    assert found["burn"]["per_day"] == calm["burn"]["per_day"]  # the hour is open still
    assert found["recent"]["spent"] == "80.10"
    assert found["recent"]["spent_24_hours"] == "81.20"
    assert calm["recent"]["hours_left"] > 500
    assert found["recent"]["hours_left"] == 0


def test_what_is_recent_is_forgotten_hour_by_hour() -> None:
    known = burn_rate.moved(Burn(), MONDAY, "UTC", spent_micros=7 * UNIT, balance_micros=0)
    for hours, spent, of_day in ((1, 7, 7), (2, 0, 7), (23, 0, 7), (24, 0, 0), (900, 0, 0)):
        found = burn_rate.recent(known, MONDAY + hours * HOUR, "UTC")
        assert (found.spent_micros, found.day_micros) == (spent * UNIT, of_day * UNIT)


def test_with_nothing_left_it_is_known_without_any_history(app: CreditsApp) -> None:
    app.open(balance="1.00", credit_limit="5.00")
    app.spend("1.00")

    found = app.get(f"{PATH}/outlook").json

    assert found["runs_out"]["known"] is True
    assert found["runs_out"]["hours_left"] == 0
    assert found["dial_outs_end"]["known"] is False


@pytest.mark.parametrize("weeks", [1, 2, 4])
def test_the_interval_of_a_use_that_never_differs_has_a_floor_by_its_sample(weeks: int) -> None:
    known, hours = Burn(), 24 * 7 * weeks
    for number in range(hours + 1):
        moment = MONDAY + number * HOUR
        known = burn_rate.moved(known, moment, "UTC", spent_micros=100_000, balance_micros=0)

    found = burn_rate.forecast(known, MONDAY + hours * HOUR, "UTC", 24 * UNIT)

    assert found is not None
    assert found.runs_out_at is not None
    assert found.earliest_at is not None
    assert found.latest_at is not None
    assert found.spread.day_micros == 2_400_000 // min(7 * weeks, 34)
    width = (found.latest_at - found.earliest_at) / (found.runs_out_at - MONDAY - hours * HOUR)
    assert width > 0.1


AGES = (0, 1, 7, 28)
"""Days since the first forecast."""


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_the_intervals_of_no_shape_of_use_hold_much_less_often_than_others(shape: Shape) -> None:
    """Forty accounts of each shape, on the day of the first forecast and up to four weeks later:
    when the credit has run out lies between the times that were named."""
    held = [_holds(shape, number, age) for number in range(40) for age in AGES]
    assert 0.67 <= sum(held) / len(held) <= 0.92


@pytest.mark.extended
@pytest.mark.parametrize("age", AGES)
def test_of_five_hundred_accounts_75_to_90_per_cent_of_the_intervals_hold(age: int) -> None:
    """From the first forecast on."""
    held = [_holds(shape, number, age) for shape in SHAPES for number in range(100)]
    assert 0.75 <= sum(held) / len(held) <= 0.90


@cache
def _holds(shape: Shape, number: int, age: int) -> bool:
    """Whether one account ran out between the times that its forecast named."""
    random = Random(f"{shape.__name__} {number}")  # the same in every run
    calls = shape(MONDAY + timedelta(days=random.randrange(7)), random)
    days_ahead = random.choice([1, 2, 4, 7, 14, 30])
    known, now = Burn(), None
    for moment, micros in calls:
        if now is None and burn_rate.why_unknown(known, moment, "UTC") is None:
            now = moment.replace(minute=0, second=0) + timedelta(days=age)
        if now is not None and moment > now:
            break
        known = burn_rate.moved(known, moment, "UTC", spent_micros=micros, balance_micros=0)
    assert now is not None
    credit = burn_rate.expected_micros(known, now, "UTC", 24 * days_ahead)
    found = burn_rate.forecast(known, now, "UTC", credit)
    assert found is not None
    left = credit - micros
    while left > 0 and moment < now + timedelta(days=366):
        moment, micros = next(calls)
        left -= micros
    early, late = found.earliest_at, found.latest_at
    return early is not None and early <= moment and (late is None or moment <= late)


def test_a_change_of_pace_is_followed_within_days() -> None:
    """The use trebles: ten days later the forecast has followed most of the way."""
    known = Burn()
    for number in range(24 * 34):
        micros = 100_000 if number < 24 * 24 else 300_000
        moment = MONDAY + number * HOUR
        known = burn_rate.moved(known, moment, "UTC", spent_micros=micros, balance_micros=0)
    per_day = burn_rate.expected_micros(known, MONDAY + 24 * 34 * HOUR, "UTC", 24)
    assert 2.2 * 2_400_000 <= per_day <= 3.3 * 2_400_000


def test_what_a_lot_will_lose_to_its_expiry_is_not_counted_on() -> None:
    known = Burn()
    for number in range(24 * 14):
        moment = MONDAY + number * HOUR
        known = burn_rate.moved(known, moment, "UTC", spent_micros=10_000, balance_micros=0)
    now = MONDAY + 24 * 14 * HOUR
    lots = (
        Lot("lot-1", LotKind.PURCHASED, 100 * UNIT, 100 * UNIT, MONDAY, now + timedelta(days=10)),
        Lot("lot-2", LotKind.GRANTED, 5 * UNIT, 5 * UNIT, MONDAY, None),
    )
    state = LedgerState("USD", balance_micros=105 * UNIT, lots=lots, burn=known)
    found = outlook(state, 0, now)
    assert found.unused_micros == pytest.approx(97.6 * UNIT, rel=0.01)  # 2.40 in ten days
    assert found.balance is not None
    assert found.balance.runs_out_at is not None
    days = (found.balance.runs_out_at - now).days
    assert days == pytest.approx(7.4 / 0.24, abs=1)


@given(
    st.lists(
        st.tuples(st.integers(0, 60 * 24 * 20), st.integers(0, 10**12)), min_size=1, max_size=60
    ),
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.integers(-(10**12), 10**12),
)
def test_no_history_makes_a_forecast_that_contradicts_itself(
    steps: list[tuple[int, int]], zone: str, credit: int
) -> None:
    """Whatever happened when: earliest before expected before latest, never in the past."""
    known, now = Burn(), datetime(2026, 10, 20, tzinfo=UTC)
    for minutes, micros in steps:
        now += timedelta(minutes=minutes)
        known = burn_rate.moved(known, now, zone, spent_micros=micros, balance_micros=0)
        assert len(known.week) in {0, 168}
        assert all(each >= 0 for each in known.week)
        assert len(known.days) <= 36
    found = burn_rate.forecast(known, now, zone, credit)
    if found is None:
        assert burn_rate.why_unknown(known, now, zone)
        assert burn_rate.expected_micros(known, now, zone, 24) == 0
        return
    times = [found.earliest_at, found.runs_out_at, found.latest_at]
    given_times = [each for each in times if each is not None]
    assert given_times == sorted(given_times)
    assert all(each >= now for each in given_times)
    assert burn_rate.expected_micros(known, now, zone, 24) >= 0


def test_rolling_in_steps_is_rolling_at_once() -> None:
    known = burn_rate.moved(Burn(), MONDAY, "Europe/Paris", spent_micros=UNIT, balance_micros=0)
    end = MONDAY + timedelta(days=20)
    stepwise = known
    for number in range(1, 41):
        stepwise = burn_rate.rolled(stepwise, MONDAY + number * timedelta(hours=12), "Europe/Paris")
    assert stepwise == burn_rate.rolled(known, end, "Europe/Paris")


def test_hours_are_the_accounts_own_through_a_change_of_the_clock() -> None:
    """A call at nine in Paris every day is expected at nine in Paris after summer time ended."""
    start, known = datetime(2026, 9, 7, tzinfo=UTC), Burn()
    for number in range(56):  # to 2026-11-01; summer time ends on 2026-10-25
        local = start + timedelta(days=number)
        utc_hour = 7 if local < day(2026, 10, 25) else 8
        moment = local.replace(hour=utc_hour, minute=30)
        known = burn_rate.moved(known, moment, "Europe/Paris", spent_micros=UNIT, balance_micros=0)
    expected = burn_rate.hourly(known, datetime(2026, 11, 2, 0, 0, tzinfo=UTC), "Europe/Paris", 23)
    assert max(range(23), key=lambda hour: expected[hour]) == 7  # the hour from 8:00 UTC


def test_the_picture_is_sound_svg_whatever_the_account_is_called(app: CreditsApp) -> None:
    app.clock.moment = MONDAY
    name = '<script>alert("1")</script> & Co'
    app.open(balance="50.00", name=name, alerts=[{"name": "<b>low", "below": "20.00"}])
    for _ in range(40):
        app.clock.moment += timedelta(hours=7)
        app.spend("0.40")
    answer = app.get(f"{PATH}/outlook?format=svg")
    assert answer.status == 200
    text = answer.body.decode()
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "<script" not in text
    assert root.find("{*}title").text == f"{name}: 34.00 USD"  # type: ignore[union-attr]
    assert len(root.findall("{*}polyline")) == 2
    assert len(root.findall("{*}polygon")) == 1
    assert app.get(f"{PATH}/outlook?format=png").code == "query_invalid"


@pytest.mark.parametrize("balance", [None, "0.01", "37.00", "99999999.99"])
def test_the_picture_of_little_history_has_round_scales(
    app: CreditsApp, balance: str | None
) -> None:
    app.open(balance=balance, credit_limit="25.00")
    root = ET.fromstring(app.get(f"{PATH}/outlook?format=svg").body.decode())
    texts = [each for each in root.findall("{*}text") if each.get("text-anchor") == "end"]
    scale = [float(str(each.text)) for each in texts]
    step = scale[1] - scale[0]
    assert 3 <= len(scale) <= 8
    assert {round(after - before, 2) for before, after in pairwise(scale)} == {step}
    assert f"{step:.0e}"[0] in "125"
    assert scale[0] <= -25
    assert scale[-1] >= float(balance or 0)


def _hold(app: CreditsApp, micros: int) -> None:
    container = app.container
    read = container.accounts.read

    async def patched(account: str) -> object:
        return replace(await read(account), held_micros=micros)

    accounts: Any = SimpleNamespace(read=patched)
    container.read_outlook = replace(container.read_outlook, accounts=accounts)
