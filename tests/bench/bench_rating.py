"""Rating beside the yardstick, and rate cards of a hundred thousand prefixes.

A leg is rated whole: lookup, charge, rounding. The yardstick and the engine take turns, so that a
busy machine slows both; the best of several rounds counts.
"""

import csv
import gc
import io
import json
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.contracts.rate_cards.csv_format import parse_rate_card_csv, render_rate_card_csv
from shared.contracts.rate_cards.json_format import render_rate_card_json
from shared.domain.common.kinds import LegKind
from shared.domain.numbers.example_numbers import typical_numbers
from shared.domain.rating.lint import lint
from shared.domain.rating.rate_card import (
    Rate,
    RateCardVersion,
    Rounding,
    RoundingMode,
    Slot,
    build_version,
    decode_version,
    encode_chunks,
)
from shared.domain.rating.rating import rate_leg
from tests.bench import calibration
from tests.bench.records import record, wanted

ROUNDS = 200
LOAD_ROUNDS = 7
LEGS = 300  # a round of about a millisecond: on a busy machine, too, some are undisturbed
LEGS_EXPLAINED = 60
RATIO_MAX = 4
EXPLAINED_RATIO_MAX = 15
DECK_PREFIXES = 100_000
FRESH_PREFIXES = 200_000
PRICES = 2_000  # as many different ones as a large real deck has
NUMBER = "4915112345678"
EFFECTIVE_FROM = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERED_AT = datetime(2026, 11, 23, 10, 0, 7, tzinfo=UTC)
YARDSTICK = "calibration.py"
LOAD = "rating.card_load_100k"
HELD = "rating.card_held_100k"
IMPORT = "rating.card_import_100k"
SHAPES = ("5min_60_60", "5min_60_1", "5min_1_1", "5min_30_6", "45min_1_1")
GO = {
    "5min_60_60": 5.2,
    "5min_60_1": 21,
    "5min_1_1": 30,
    "5min_30_6": 8.6,
    "45min_1_1": 220,
    "prefixes_20k": 5.4,
    "fresh_numbers": 17,
}


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Microseconds a leg by shape, then what a large card takes."""
    for shape in SHAPES:
        if wanted(f"rating.{shape}", only):
            yield _shape(shape, shape, ["49", "4915"])
    if wanted("rating.prefixes_20k", only):
        yield _shape("prefixes_20k", "5min_60_60", list(calibration.PREFIXES))
    if wanted("rating.fresh_numbers", only):
        yield _fresh_numbers()
    if wanted("rating.explained", only):
        yield _explained()
    if any(wanted(name, only) for name in (LOAD, HELD, IMPORT)):
        yield from _large_card(only)


def _shape(name: str, shape: str, prefixes: Sequence[str]) -> dict[str, Any]:
    seconds, slots = calibration.SHAPES[shape]
    version = _version(prefixes, [_slots(slots)])

    def ours() -> None:
        for _ in range(LEGS):
            rate_leg(
                version,
                kind=LegKind.DIAL_OUT,
                to_digits=NUMBER,
                origin=None,
                answered_at=ANSWERED_AT,
                talk_seconds=seconds,
            )

    return _beside_the_yardstick(f"rating.{name}", ours, shape, GO[name])


def _fresh_numbers() -> dict[str, Any]:
    """200,000 prefixes, and no number is ever seen twice, nor is any row decoded beforehand."""
    rng = random.Random(1)
    prefixes = _prefixes(rng, FRESH_PREFIXES)
    prices = [(Slot(0, 10**9 + 10**7 * number, 60, 60),) for number in range(PRICES)]
    built = _version(prefixes, prices)
    version = decode_version("bench", EFFECTIVE_FROM, *encode_chunks(built))
    starts = rng.choices(prefixes, k=ROUNDS * LEGS)
    numbers = iter(
        [f"{start}{at:07d}{rng.randrange(100):02d}"[:15] for at, start in enumerate(starts)]
    )

    def ours() -> None:
        for _, number in zip(range(LEGS), numbers, strict=False):
            rate_leg(
                version,
                kind=LegKind.DIAL_OUT,
                to_digits=number,
                origin=None,
                answered_at=ANSWERED_AT,
                talk_seconds=300,
            )

    return _beside_the_yardstick("rating.fresh_numbers", ours, "5min_60_60", GO["fresh_numbers"])


def _explained() -> dict[str, Any]:
    """A leg with its lines and its sentence, answered at another moment each time."""
    seconds, slots = calibration.SHAPES["5min_60_60"]
    version = _version(["49", "4915"], [_slots(slots)])

    moments = iter([ANSWERED_AT + timedelta(seconds=at) for at in range(ROUNDS * LEGS_EXPLAINED)])

    def ours() -> None:
        for _, answered_at in zip(range(LEGS_EXPLAINED), moments, strict=False):
            charge = rate_leg(
                version,
                kind=LegKind.DIAL_OUT,
                to_digits=NUMBER,
                origin=None,
                answered_at=answered_at,
                talk_seconds=seconds,
            )
            assert charge is not None
            charge.explain()

    value, baseline = _alternately(ours, _yardstick("5min_60_60"), legs=LEGS_EXPLAINED)
    return record(
        "rating.explained",
        value,
        "us/leg",
        YARDSTICK,
        baseline,
        f"ratio < {EXPLAINED_RATIO_MAX}",
        lambda ratio: ratio < EXPLAINED_RATIO_MAX,
    )


def _beside_the_yardstick(
    name: str, ours: Callable[[], None], shape: str, go_ratio: float
) -> dict[str, Any]:
    value, baseline = _alternately(ours, _yardstick(shape))
    return record(
        name,
        value,
        "us/leg",
        YARDSTICK,
        baseline,
        f"ratio < {RATIO_MAX} (Go: {go_ratio})",
        lambda ratio: ratio < RATIO_MAX,
    )


def _yardstick(shape: str) -> Callable[[], None]:
    seconds, slots = calibration.SHAPES[shape]

    def run() -> None:
        for _ in range(LEGS):
            calibration.rate(f"+{NUMBER}", seconds, slots)

    return run


def _alternately(
    ours: Callable[[], None], theirs: Callable[[], None], *, legs: int = LEGS
) -> tuple[float, float]:
    """Microseconds a leg of both: the best round of each; `legs` are those of a round of ours."""
    best_ours = best_theirs = float("inf")
    gc.collect()
    for _ in range(ROUNDS):
        best_theirs = min(best_theirs, _clocked(theirs))
        best_ours = min(best_ours, _clocked(ours))
    return best_ours / legs * 1e6, best_theirs / LEGS * 1e6


def _large_card(only: str | None) -> Iterator[dict[str, Any]]:
    rng = random.Random(2)
    prices = [(Slot(0, 10**9 + 10**7 * number, 60, 60),) for number in range(PRICES)]
    version = _version(_prefixes(rng, DECK_PREFIXES), prices)
    if wanted(LOAD, only) or wanted(HELD, only):
        yield from _load(version)
    if wanted(IMPORT, only):
        yield _import(version)


def _load(version: RateCardVersion) -> Iterator[dict[str, Any]]:
    """From stored bytes to the first answer, and what stays in memory."""
    header, chunks = encode_chunks(version)
    text = json.dumps(render_rate_card_json(version))

    def ours() -> object:
        loaded = decode_version("bench", EFFECTIVE_FROM, header, chunks)
        return loaded, loaded.find(LegKind.DIAL_OUT, NUMBER, None)

    def theirs() -> object:
        return {rate["prefix"]: rate for rate in json.loads(text)["rates"]}

    yield record(
        LOAD,
        min(_seconds(ours) for _ in range(LOAD_ROUNDS)) * 1e3,
        "ms",
        "json.loads of the card into a dict",
        min(_seconds(theirs) for _ in range(3)) * 1e3,
        "ratio < 1/4",
        lambda ratio: ratio < 1 / 4,
    )
    yield record(
        HELD,
        _megabytes(ours),
        "MB",
        "json.loads of the card into a dict",
        _megabytes(theirs),
        "ratio < 1/10",
        lambda ratio: ratio < 1 / 10,
    )


def _import(version: RateCardVersion) -> dict[str, Any]:
    """From CSV to a checked, linted version, beside Python's own reader of the same table."""
    body = "".join(render_rate_card_csv(version)).encode()
    plan = typical_numbers()

    def ours() -> object:
        return lint(parse_rate_card_csv(body, "bench", EFFECTIVE_FROM), plan)

    def theirs() -> int:
        return sum(1 for _ in csv.reader(io.StringIO(body.decode(), newline="")))

    return record(
        IMPORT,
        DECK_PREFIXES / min(_seconds(ours) for _ in range(3)),
        "rows/s",
        "csv.reader alone",
        DECK_PREFIXES / min(_seconds(theirs) for _ in range(3)),
        "ratio > 1/40",
        lambda ratio: ratio > 1 / 40,
    )


def _version(prefixes: Sequence[str], prices: Sequence[tuple[Slot, ...]]) -> RateCardVersion:
    return build_version(
        card="bench",
        effective_from=EFFECTIVE_FROM,
        currency="USD",
        time_zone="UTC",
        rounding=Rounding(RoundingMode.UP, 4),
        rates=(
            Rate(LegKind.DIAL_OUT, prefix, f"Place {at % 3_000}", 0, prices[at % len(prices)])
            for at, prefix in enumerate(prefixes)
        ),
    )


def _slots(slots: Sequence[tuple[int, int, int, int]]) -> tuple[Slot, ...]:
    """The yardstick's slots, whose prices are in micros."""
    return tuple(
        Slot(begin, micros * 10**6, unit, increment) for begin, micros, unit, increment in slots
    )


def _prefixes(rng: random.Random, count: int) -> list[str]:
    """Different prefixes of two to eight digits, many within others, as in a wholesale deck."""
    found: set[str] = set()
    while len(found) < count:
        digits = str(rng.randrange(10, 100))
        found.add(digits)
        for _ in range(rng.randrange(1, 7)):
            digits += str(rng.randrange(10))
            if len(digits) > 3:
                found.add(digits)
    return rng.sample(sorted(found), count)


def _seconds(run: Callable[[], object]) -> float:
    gc.collect()
    return _clocked(run)


def _clocked(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _megabytes(make: Callable[[], object]) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        assert made is not None
    finally:
        tracemalloc.stop()
    return held / 1e6
