"""What must hold for every charge, whatever its rate."""

import os
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from shared.domain.rating.rate_card import Band, Rate, RateCardVersion, Slot
from tests.unit.rating.cases import Call, card, charge, picos, random_call, rate, slot

CALLS = 150


def calls(name: str) -> list[Call]:
    rng = random.Random(name)
    return [random_call(rng) for _ in range(CALLS)]


def test_a_longer_call_never_costs_less() -> None:
    """Monotone in duration, second by second, across slots, bands and moved clocks."""
    for call in calls("monotone"):
        version = call.version
        last = 0
        for seconds in range(0, 400, 3):
            amount = charge(version, seconds, answered_at=call.answered_at).amount_micros
            assert amount >= last, (call, seconds)
            last = amount


def test_cutting_a_slot_in_two_changes_nothing() -> None:
    """A slot that says what the one before it says is no slot; a band that does is no band."""
    rng = random.Random("splitting")
    for call in calls("splitting"):
        at = rng.randrange(1, 2000)
        cut = replace(call, rate=replace(call.rate, slots=_cut(call.rate.slots, at)))
        same = Band(1000, call.rate.slots, weekdays=(1, 2, 3), from_second_of_day=at)
        plain = replace(call.rate, bands=())
        doubled = replace(call, rate=replace(plain, bands=(same,)))

        assert total(cut) == total(call), call
        assert total(doubled) == total(replace(call, rate=plain)), call


def total(call: Call) -> Fraction:
    return charge(call.version, call.talk_seconds, answered_at=call.answered_at).unrounded


def _cut(slots: tuple[Slot, ...], at: int) -> tuple[Slot, ...]:
    """The slots with one more that begins at a second of the call and changes nothing."""
    if any(each.from_second == at for each in slots):
        return slots
    before = max(
        (each for each in slots if each.from_second < at), key=lambda each: each.from_second
    )
    return tuple(sorted((*slots, replace(before, from_second=at)), key=lambda s: s.from_second))


def test_billed_seconds_are_whole_increments_that_cover_the_call() -> None:
    """At least the talk time, and less than one increment more."""
    for call in calls("increments"):
        got = charge(call.version, call.talk_seconds, answered_at=call.answered_at)
        usage = [line for line in got.lines() if line.kind == "usage"]
        if not usage:
            assert got.billed_seconds == 0
            continue
        assert got.billed_seconds >= call.talk_seconds, call
        assert got.billed_seconds - call.talk_seconds < usage[-1].increment_seconds, call
        assert all(line.seconds == line.increments * line.increment_seconds for line in usage)


def test_rating_the_same_leg_twice_gives_the_same() -> None:
    """The engine keeps nothing between calls."""
    for call in calls("twice"):
        version = call.version
        first = charge(version, call.talk_seconds, answered_at=call.answered_at)
        second = charge(version, call.talk_seconds, answered_at=call.answered_at)
        assert (first, first.lines()) == (second, second.lines())


SCRIPT = """
import random
from tests.unit.rating.cases import charge, random_call
rng = random.Random("zones")
for _ in range(40):
    call = random_call(rng)
    got = charge(call.version, call.talk_seconds, answered_at=call.answered_at)
    print(got.amount_micros, got.billed_seconds, got.sentence())
"""


def test_the_zone_of_the_process_does_not_matter() -> None:
    """Only the card's named zone counts, wherever the program runs."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone in ("UTC", "America/New_York", "Asia/Kolkata")
    }

    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 40


def operations(version: RateCardVersion, seconds: int) -> int:
    """Lines of our code that run while a leg is rated and its lines are built."""
    count = 0

    def trace(frame: object, event: str, arg: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        charge(version, seconds).lines()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize(
    "priced",
    [
        rate(slot("60", "1")),
        rate(slot("1", "1")),
        rate(slot("60", "1"), slot("60+1", "1")),
        rate(slot("30", "1"), slot("30+6", "1"), minimum_charge_picos=picos("1")),
    ],
)
def test_the_work_does_not_grow_with_the_call(priced: Rate) -> None:
    """Operations counted: a day takes as many as two minutes, by the second or by the minute."""
    version = card(priced)
    charge(version, 120)

    assert operations(version, 120) == operations(version, 86_400)
    assert operations(version, 120) < 200


def test_the_work_grows_with_the_bands_met_not_with_the_seconds() -> None:
    """A day in a band of every day takes a bounded number of steps, at one second increments."""
    version = card(rate(slot("1", "1"), bands=(Band(1, (slot("1", "2"),), from_second_of_day=1),)))
    charge(version, 120)

    assert operations(version, 86_400) < 10 * operations(version, 120)
