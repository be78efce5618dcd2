"""Random cases in the oracle's format, priced second by second, hold; what is odd is said."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest

from tests.oracle.runner import Outcome, run_case

type Case = dict[str, Any]

CASES = 100
START = datetime(2027, 12, 30, tzinfo=UTC)
STARTS = {"00:00:00": 0, "08:00:00": 28_800, "18:30:15": 66_615, "23:59:59": 86_399}
EDGES = tuple(STARTS.values())


def random_case(rng: random.Random) -> Case:
    """A call around the turn of a year, and up to four intervals of every shape."""
    edge = START + timedelta(days=rng.randrange(5), seconds=rng.choice(EDGES))
    start = edge - timedelta(seconds=rng.randrange(900))
    duration = rng.choice((0, 1, 59, 60, 61, rng.randrange(300), rng.randrange(1_500)))
    maximum = rng.choice((None, None, str(rng.randrange(1, 40))))
    intervals = [_interval(rng, maximum) for _ in range(rng.randrange(4))]
    always = _interval(rng, maximum) | {"timing": None, "weight": rng.choice((0, 5))}
    intervals.insert(rng.randrange(len(intervals) + 1), always)
    return {
        "id": "random",
        "kind": "rate",
        "class": "exact",
        "call": {
            "destination": "+442079460000",
            "start": start.isoformat(),
            "duration_s": duration,
        },
        "destination_prefixes": ["+1", "44", "*any"],
        "rate_intervals": intervals,
        "first_segment": rng.random() < 0.8,
        "tor": rng.choice(("*voice", "*voice", "*data")),
    }


def _interval(rng: random.Random, maximum: str | None) -> Case:
    begins = [0, *sorted(rng.sample(range(1, 400), rng.choice((0, 0, 1, 2))))]
    slots = [
        {
            "start_s": begin,
            "rate": rng.choice(("0", "0.1", "1", "0.012345678901", f"0.0{rng.randrange(999)}")),
            "unit_s": rng.choice((1, 60, 7)),
            "increment_s": rng.choice((1, 6, 30, 60, 90)),
        }
        for begin in begins
    ]
    # Hardly ever do two intervals share a weight: which of two equals wins, no one says.
    return {
        "rate_id": "R",
        "connect_fee": rng.choice(("0", "0.15", "1")),
        "slots": rng.sample(slots, len(slots)),
        "rounding": {
            "method": rng.choice(("*up", "*down", "*middle")),
            "decimals": rng.choice((0, 2, 4, 5, 6)),
        },
        "timing": _timing(rng),
        "weight": 10 + rng.randrange(10_000),
        "max_cost": maximum,
        "max_cost_strategy": rng.choice(("*free", "*disconnect")) if maximum else None,
    }


def _timing(rng: random.Random) -> Case:
    return {
        "years": rng.choice((None, None, [2027], [2028, 2029])),
        "months": rng.choice((None, None, [12], [1, 7])),
        "month_days": rng.choice((None, None, [1, 31], list(range(1, 20)))),
        "weekdays": rng.choice((None, [1, 2, 3, 4, 5], [6, 7], [0], list(range(1, 8)))),
        "start_time": rng.choice(list(STARTS)),
        "end_time": rng.choice((None, None, "23:59:59")),
    }


def in_force(case: Case, moment: datetime) -> Case:
    """The interval of a moment: the highest weight among those that hold then."""
    return max(
        (each for each in case["rate_intervals"] if _holds(each["timing"], moment)),
        key=lambda each: each["weight"],
    )


def _holds(timing: Case | None, moment: datetime) -> bool:
    if timing is None:
        return True
    parts = {"years": moment.year, "months": moment.month, "month_days": moment.day}
    return (
        all(not timing[part] or value in timing[part] for part, value in parts.items())
        and (
            not timing["weekdays"] or moment.isoweekday() % 7 in {d % 7 for d in timing["weekdays"]}
        )
        and moment.strftime("%H:%M:%S") >= timing["start_time"]
    )


def spans(case: Case, seconds: int) -> Iterator[tuple[int, Fraction]]:
    """(first second, price) of every increment that a call of so many seconds needs."""
    start = datetime.fromisoformat(case["call"]["start"])
    opening = in_force(case, start)
    position = 0
    while position < seconds:
        moment = start + timedelta(seconds=position)
        interval = in_force(case, moment) if case["tor"] == "*voice" else opening
        slot = max(
            (each for each in interval["slots"] if each["start_s"] <= position),
            key=lambda each: int(each["start_s"]),
        )
        yield position, Fraction(slot["rate"]) * slot["increment_s"] / slot["unit_s"]
        position += slot["increment_s"]


def bound(case: Case, strategy: str) -> Fraction | None:
    opening = in_force(case, datetime.fromisoformat(case["call"]["start"]))
    holds = opening["max_cost"] and opening["max_cost_strategy"] == strategy
    return Fraction(opening["max_cost"]) if holds else None


def costs(case: Case, seconds: int) -> Iterator[tuple[int, Fraction]]:
    """(second, what a call that is longer than that costs, before rounding), as it grows."""
    opening = in_force(case, datetime.fromisoformat(case["call"]["start"]))
    total = Fraction(opening["connect_fee"]) if case["first_segment"] else Fraction(0)
    cap = bound(case, "*free")
    for position, price in spans(case, seconds):
        total += price
        yield position, total if cap is None else min(total, cap)


def exact_cost(case: Case, seconds: int) -> Fraction:
    """The sum before rounding."""
    return [Fraction(0), *(cost for _, cost in costs(case, seconds))][-1]


def touched(case: Case) -> list[Case]:
    """The intervals in force at the start and at every edge of the call."""
    start = datetime.fromisoformat(case["call"]["start"])
    length = case["call"]["duration_s"] if case["tor"] == "*voice" else 0
    midnight = start.hour * 3600 + start.minute * 60 + start.second
    edges = [second for second in range(1, length) if (midnight + second) % 86_400 in EDGES]
    return [in_force(case, start + timedelta(seconds=second)) for second in (0, *edges)]


def rounded(case: Case, cost: Fraction) -> Fraction:
    """Once, as the interval with the most decimals says."""
    rounding = max((each["rounding"] for each in touched(case)), key=lambda each: each["decimals"])
    scaled = cost * 10 ** rounding["decimals"]
    whole = {
        "*up": ceil(scaled),
        "*down": floor(scaled),
        "*middle": floor(scaled + Fraction(1, 2)),
    }[rounding["method"]]
    return Fraction(whole, 10 ** rounding["decimals"])


def random_cases(name: str) -> Iterator[Case]:
    rng = random.Random(name)
    for _ in range(CASES):
        yield random_case(rng)


def test_random_cases_cost_what_a_count_by_increments_says() -> None:
    """Timings, weights, slots, fees, caps and roundings of every kind."""
    for case in random_cases("rate"):
        cost = exact_cost(case, case["call"]["duration_s"])
        case |= {"expected_cost": str(rounded(case, cost)), "exact_unrounded": str(cost)}
        assert run_case(case) == (Outcome.HELD, ""), case

        wrong = case | {"expected_cost": str(rounded(case, cost) + 1)}
        assert run_case(wrong)[0] is Outcome.FAILED
        exact = [
            each | {"rounding": {"method": "*none", "decimals": None}}
            for each in case["rate_intervals"]
        ]
        assert run_case(case | {"rate_intervals": exact}) == (Outcome.HELD, ""), case


def test_random_credits_pay_for_what_a_count_by_seconds_says() -> None:
    """The largest number of seconds that the credit and a maximum with *disconnect allow."""
    rng = random.Random("credits")
    for case in random_cases("max_usage"):
        wanted = case["call"]["duration_s"] = case["call"]["duration_s"] % 300
        for each in case["rate_intervals"]:
            each["rounding"] = {"method": "*up", "decimals": 6}
        credit = Fraction(rng.randrange(0, 20_000), 1_000)
        stop = bound(case, "*disconnect")
        limit = credit if stop is None else min(credit, stop)
        dear = (position for position, cost in costs(case, wanted) if cost > limit)
        most = next(dear, wanted)
        case |= {"kind": "max_usage", "balance_before": str(float(credit))}
        assert run_case(case | {"expected_max_usage_s": most}) == (Outcome.HELD, ""), case
        assert run_case(case | {"expected_max_usage_s": most + 1})[0] is Outcome.FAILED
        refused = case | {"kind": "error", "expected_error": "INSUFFICIENT_CREDIT"}
        assert (run_case(refused)[0] is Outcome.HELD) is (most < wanted)


NAMED = {"destination": "ROAMING", "start": "2027-01-01T00:00:00Z", "duration_s": 60}


def base_case(**changes: object) -> Case:
    interval: Case = {
        "connect_fee": "0.5",
        "slots": [{"start_s": 0, "rate": "0.02", "unit_s": 60, "increment_s": 1}],
        "rounding": {"method": "*up", "decimals": 4},
        "timing": None,
        "weight": 10,
        "max_cost": None,
        "max_cost_strategy": None,
    }
    return {
        "id": "X",
        "kind": "rate",
        "class": "exact",
        "call": {"destination": "49", "start": "2027-01-01T00:00:00Z", "duration_s": 60},
        "destination_prefixes": ["*any"],
        "rate_intervals": [interval],
        "expected_cost": "0.52",
    } | changes


def with_interval(**changes: object) -> Case:
    case = base_case()
    case["rate_intervals"][0] |= changes
    return case


def with_slot(**changes: object) -> Case:
    case = base_case()
    case["rate_intervals"][0]["slots"][0] |= changes
    return case


def with_call(**changes: object) -> Case:
    case = base_case()
    case["call"] |= changes
    return case


@pytest.mark.parametrize(
    "case",
    [
        base_case(),
        # Not the first segment: the fee was paid already.
        base_case(first_segment=False, expected_cost="0.02"),
        base_case(kind="debit", balance_before="1", balance_after="0.48"),
        # A number is its digits, a time without an offset is UTC, a price may be a JSON number.
        base_case(destination_prefixes=["+49"]),
        with_call(destination="+49 (30) 1234"),
        with_call(start="2027-01-01T00:00:00"),
        with_interval(connect_fee=0.5),
        with_interval(rounding=None),
        with_interval(rounding={"method": "*middle", "decimals": None}),
        with_interval(weight=None),
        with_interval(timing={"start_time": "00:00:00", "end_time": "00:00:00"}),
        # A maximum without a strategy does nothing, zero is none.
        with_interval(max_cost="0.1"),
        with_interval(max_cost="0", max_cost_strategy="*free"),
        # A name of a place has no digits: it is reached by *any alone.
        base_case(call=NAMED),
        base_case(call=NAMED, destination_prefixes=["ROAM", "49"], kind="error"),
        base_case(destination_prefixes=[], kind="error"),
        base_case(rate_intervals=[], kind="error"),
        # Credit: none of it, all of it, and what no number says.
        base_case(kind="max_usage", balance_before="0.51", expected_max_usage_s=30),
        base_case(kind="max_usage", balance_before="99", expected_max_usage_s=-1),
        base_case(kind="max_usage", call=NAMED, destination_prefixes=["1"], balance_before="9",
                  expected_max_usage_s=0),
        base_case(kind="max_usage", destination_prefixes=["1"], balance_before="9",
                  expected_error="X"),
        base_case(kind="error", balance_before="0.51", expected_error="INSUFFICIENT_CREDIT"),
        # Bytes may be more than a card has seconds.
        with_call(duration_s=10 * 2**30) | {
            "tor": "*data", "expected_cost": "10.5",
            "rate_intervals": [with_interval(slots=[
                {"start_s": 0, "rate": "1", "unit_s": 2**30, "increment_s": 2**20}
            ])["rate_intervals"][0]],
        },
    ],
)  # fmt: skip
def test_other_shapes_of_a_case_hold(case: Case) -> None:
    """What the format allows and the recorded file does not have."""
    assert run_case(case) == (Outcome.HELD, "")


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (base_case(kind="max_debit"), "kind max_debit"),
        (base_case(kind="rerate"), "kind rerate"),
        (base_case(free_units={"seconds": 60}), "free units"),
        (base_case(kind="error", expected_error="INSUFFICIENT_CREDIT"), "forced duration"),
        (base_case(rate_intervals=[]), "no rate interval"),
        (base_case(rate_intervals=None, kind="max_usage"), "no rate interval"),
    ],
)
def test_what_is_not_applicable(case: Case, reason: str) -> None:
    """These kinds of case, and no others."""
    assert run_case(case) == (Outcome.NOT_APPLICABLE, reason)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, "the case has no kind"),
        (base_case(kind="refund"), "kind 'refund' is none of"),
        (base_case(call=None), "NoneType"),
        (base_case(expected_cost=None), "should be a string or a Rational"),
        (with_call(duration_s=-1), "a duration of -1"),
        (with_call(duration_s=1.5), "a duration of 1.5"),
        (with_call(duration_s=10**9), "at most 31 days"),
        (with_call(start="yesterday"), "Invalid isoformat string"),
        (with_interval(price_cap="3"), "interval has price_cap, which this runner does not"),
        (with_interval(timing={"start_time": "00:00", "moon": 1}), "timing has moon"),
        (with_interval(timing={"start_time": "25:00"}), "must be a time of day"),
        (with_interval(timing={"weekdays": [9]}), "/weekdays must be 1 (Monday) to 7 (Sunday)"),
        (with_interval(rounding={"method": "*odd"}), "rounding method '*odd' is none of"),
        (with_interval(rounding={"method": "*up", "decimals": -1}), "/rounding/decimals must be 0"),
        (with_interval(max_cost="1", max_cost_strategy="*stop"), "max_cost_strategy '*stop'"),
        (with_interval(slots=[]), "must have 1 to 20 slots"),
        (with_slot(rate="x"), "Invalid literal"),
        (with_slot(unit_s=0), "unit_seconds must be 1"),
        (with_slot(increment_s=0), "increment_seconds must be 1"),
        (with_slot(start_s=9), "must start at second 0"),
        (base_case(kind="max_usage", expected_max_usage_s=1), "the case has no balance_before"),
        (base_case(kind="error"), "expected no rate, got 13/25"),
        (base_case(destination_prefixes=[]), "expected a charge, got no rate"),
        (base_case(kind="debit", balance_before="1", balance_after="0.5"), "off the balance"),
    ],
)  # fmt: skip
def test_what_is_odd_is_reported(case: Case, expected: str) -> None:
    """In words, never as a traceback."""
    outcome, detail = run_case(case)

    assert outcome is Outcome.FAILED
    assert expected in detail
