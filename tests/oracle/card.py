"""The tariff of one oracle case as a rate card of ours.

Every tariff interval becomes a time band; the one that always holds with the least weight is the
rate's own slots. The maximum charge is that of the interval in force at the answer, or of the first
that has one; the rounding that of the interval with the most decimals among those that the call
touches. What a case says about prices and is not understood here is refused, never passed over.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import gcd
from typing import Any

from shared.contracts.rate_cards.json_format import read_clock
from shared.domain.common import limits
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import PICOS_PER_UNIT, RoundingMode
from shared.domain.rating.rate_card import (
    Band,
    MaximumStrategy,
    Rate,
    RateCardVersion,
    Rounding,
    Slot,
    build_version,
)
from shared.domain.rating.tariff import tariff_of
from shared.domain.rating.terms import DAY_SECONDS

type Case = dict[str, Any]

ANY = "*any"
VOICE = "*voice"
MODES = {
    "*up": RoundingMode.UP,
    "*down": RoundingMode.DOWN,
    "*middle": RoundingMode.HALF_UP,
    "*none": RoundingMode.NONE,
}
STRATEGIES = {"*free": MaximumStrategy.CAP, "*disconnect": MaximumStrategy.STOP}
EXACT = Rounding(RoundingMode.NONE, limits.AMOUNT_DECIMALS_MAX)
NOWHERE = (Slot(0, 0, 1, 1),)
ALWAYS: Case = {"start_time": "00:00:00"}
NAMES = frozenset({"rate_id", "id", "name", "tag", "note"})
UNDERSTOOD = {
    "interval": NAMES
    | {"connect_fee", "slots", "rounding", "timing", "weight", "max_cost", "max_cost_strategy"},
    "slot": NAMES | {"start_s", "rate", "unit_s", "increment_s"},
    "rounding": frozenset({"method", "decimals"}),
    "timing": NAMES | {"years", "months", "month_days", "weekdays", "start_time", "end_time"},
}


def version_of(case: Case) -> RateCardVersion:
    """The card of the case. Raises ValueError for what can't be said on a card of ours."""
    intervals = [_read(each) for each in case.get("rate_intervals") or ()]
    if not intervals:
        return _card(case, None, EXACT, None)
    start, seconds = start_of(case), max(seconds_of(case), 1)
    _card(case, _in_order(intervals), EXACT, None)  # refuses what no card of ours may hold
    if case.get("tor", VOICE) != VOICE:
        intervals = _only_at_the_start(case, intervals, start)
    order = _in_order(intervals)
    tariff = tariff_of(_rate(case, "", order, None).terms, EXACT, "UTC")
    touched = [order[band] for band in tariff.bands_touched(start, seconds)]
    priced = [each for each in touched if each is not None]
    if len(priced) < len(touched):  # no interval holds all the time: there is no rate
        return _card(case, None, EXACT, None)
    rounding = _rounding(max(priced, key=lambda each: _decimals(each["rounding"]))["rounding"])
    opening = order[tariff.band_at(start)]
    bound = next((each for each in (opening, *priced) if each and _maximum(each)), None)
    return _card(case, order, rounding, bound)


def start_of(case: Case) -> datetime:
    """When the call was answered; a time without an offset is UTC."""
    start = datetime.fromisoformat(case["call"]["start"])
    return start.replace(tzinfo=start.tzinfo or UTC).astimezone(UTC)


def seconds_of(case: Case) -> int:
    """How long the call lasted, in units of `scale_of` the case."""
    seconds = case["call"]["duration_s"]
    if not isinstance(seconds, int) or seconds < 0:
        raise ValueError(f"a duration of {seconds!r} is no whole number of seconds")
    return seconds // _scale(case)


def digits_of(text: str) -> str:
    """A prefix or a destination is its digits; `*any` is the empty prefix."""
    return re.sub(r"[^0-9]", "", text)


def _read(interval: Case) -> Case:
    """The interval as it is, once everything in it is known to be understood."""
    _refuse_unknown("interval", interval)
    _refuse_unknown("timing", interval.get("timing") or {})
    _refuse_unknown("rounding", interval.get("rounding") or {})
    slots = sorted(interval["slots"], key=lambda slot: slot["start_s"])
    for slot in slots:
        _refuse_unknown("slot", slot)
    rounding = interval.get("rounding") or {"method": "*none", "decimals": None}
    return {**interval, "slots": slots, "rounding": rounding, "weight": interval.get("weight") or 0}


def _refuse_unknown(what: str, fields: Mapping[str, object]) -> None:
    unknown = [name for name in fields if name not in UNDERSTOOD[what]]
    if any(fields[name] is not None for name in unknown):
        raise ValueError(f"{what} has {', '.join(unknown)}, which this runner does not understand")


def _only_at_the_start(case: Case, intervals: list[Case], start: datetime) -> list[Case]:
    """What is no call is never split: the interval of its first moment prices all of it."""
    order = _in_order(intervals)
    opening = order[tariff_of(_rate(case, "", order, None).terms, EXACT, "UTC").band_at(start)]
    return [{**opening, "timing": None}] if opening else intervals


def _scale(case: Case) -> int:
    """Data is counted in bytes, which may be more than a card has seconds; a call is as it is."""
    seconds = case["call"]["duration_s"]
    if case.get("tor", VOICE) == VOICE or seconds <= limits.RATED_SECONDS_MAX:
        return 1
    lengths = [
        slot[name]
        for interval in case["rate_intervals"]
        for slot in interval["slots"]
        for name in ("start_s", "unit_s", "increment_s")
    ]
    return gcd(seconds, *lengths)


def _card(
    case: Case, order: list[Case | None] | None, rounding: Rounding, bound: Case | None
) -> RateCardVersion:
    prefixes = case.get("destination_prefixes") or ()
    # A name that has no digits is no prefix of any number.
    digits = dict.fromkeys(digits_of(each) for each in prefixes if each == ANY or digits_of(each))
    unused = Rate(LegKind.DIAL_IN, "", "nothing of the case", 0, NOWHERE)
    rates = [] if order is None else [_rate(case, prefix, order, bound) for prefix in digits]
    return build_version(
        card="oracle",
        effective_from=datetime(2000, 1, 1, tzinfo=UTC),
        currency="USD",
        time_zone="UTC",
        rounding=rounding,
        rates=[*rates, unused],
    )


def _rate(case: Case, prefix: str, order: list[Case | None], bound: Case | None) -> Rate:
    *bands, base = order
    maximum = _maximum(bound) if bound else 0
    weights = sorted({each["weight"] for each in order if each is not None})
    return Rate(
        LegKind.DIAL_OUT,
        prefix,
        str(case.get("id", "?")),
        _fee(case, base),
        _slots(case, base),
        maximum_charge_picos=maximum or None,
        maximum_charge_strategy=_strategy(bound) if bound and maximum else None,
        bands=tuple(
            _band(case, interval, weights.index(interval["weight"]) + 1)
            for interval in bands
            if interval is not None
        ),
    )


def _in_order(intervals: list[Case]) -> list[Case | None]:
    """The intervals that become bands, then the one that always holds (None: there is none)."""
    least = min(each["weight"] for each in intervals)
    for at, each in enumerate(intervals):
        if each.get("timing") is None and each["weight"] == least:
            return [*intervals[:at], *intervals[at + 1 :], each]
    return [*intervals, None]


def _band(case: Case, interval: Case, weight: int) -> Band:
    timing = interval.get("timing") or ALWAYS
    dates: tuple[str, ...] = ()
    if any(timing.get(part) for part in ("years", "months", "month_days")):
        # A date that never comes stands for "on none of these days".
        dates = tuple(_dates(case, timing)) or ("1900-01-01",)
    return Band(
        weight,
        _slots(case, interval),
        weekdays=tuple(sorted({day or 7 for day in timing.get("weekdays") or ()})),
        from_second_of_day=read_clock(timing.get("start_time") or "00:00"),
        until_second_of_day=_end(timing.get("end_time")),
        dates=dates,
        connection_fee_picos=_fee(case, interval),
    )


def _end(text: str | None) -> int:
    """The last second of a day is its end; midnight as an end is the next one."""
    end = read_clock(text) if text else DAY_SECONDS
    return end if 0 < end < DAY_SECONDS - 1 else DAY_SECONDS


def _dates(case: Case, timing: Case) -> Iterator[str]:
    first = start_of(case).date() - timedelta(days=1)
    for later in range(seconds_of(case) // DAY_SECONDS + 4):
        day: date = first + timedelta(days=later)
        parts = {"years": day.year, "months": day.month, "month_days": day.day}
        if all(not timing.get(part) or value in timing[part] for part, value in parts.items()):
            yield day.isoformat()


def _slots(case: Case, interval: Case | None) -> tuple[Slot, ...]:
    if interval is None:
        return NOWHERE
    scale = _scale(case)
    return tuple(
        Slot(
            slot["start_s"] // scale,
            _picos(slot["rate"]),
            slot["unit_s"] // scale,
            slot["increment_s"] // scale,
        )
        for slot in interval["slots"]
    )


def _fee(case: Case, interval: Case | None) -> int:
    is_first = case.get("first_segment", True)
    return _picos(interval.get("connect_fee") or "0") if interval and is_first else 0


def _maximum(interval: Case) -> int:
    """0 for none; a maximum without a strategy does nothing."""
    strategy = interval.get("max_cost_strategy")
    return _picos(interval.get("max_cost") or "0") if strategy else 0


def _strategy(interval: Case) -> MaximumStrategy:
    name = interval["max_cost_strategy"]
    if name not in STRATEGIES:
        raise ValueError(f"max_cost_strategy {name!r} is none of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def _picos(price: object) -> int:
    picos = Fraction(str(price)) * PICOS_PER_UNIT
    if picos.denominator != 1:
        raise ValueError(f"{price} has more than {limits.PRICE_DECIMALS_MAX} decimals")
    return picos.numerator


def _rounding(rounding: Case) -> Rounding:
    method = rounding["method"]
    if method not in MODES:
        raise ValueError(f"rounding method {method!r} is none of {', '.join(MODES)}")
    return Rounding(MODES[method], min(_decimals(rounding), limits.AMOUNT_DECIMALS_MAX))


def _decimals(rounding: Case) -> int:
    decimals = rounding.get("decimals")
    return limits.RATE_DECIMALS_MAX if decimals is None else int(decimals)
