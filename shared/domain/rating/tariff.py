"""Terms as integers that are quick to charge with, and the walk along a call.

All amounts inside are numerators over one denominator, `Tariff.denominator`, of picos: the least
common multiple of the unit lengths. So every sum is exact, and the only division is the rounding.
"""

from datetime import datetime
from functools import lru_cache
from math import lcm
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.domain.common import limits
from shared.domain.common.money import (
    PICOS_PER_UNIT,
    format_price,
    format_ratio,
    largest_rounding_to,
    round_ratio,
)
from shared.domain.rating.terms import MaximumStrategy, Rounding, Slot, Terms
from shared.domain.rating.time_bands import BASE, BandClock

_ENDLESS = 1 << 62
# The same few prices and sums are written again and again.
price_text = lru_cache(maxsize=limits.TARIFFS_DECODED_MAX)(format_price)


class UsageSegment(NamedTuple):
    """Whole increments of one slot in one band: a line of the bill."""

    band: int
    slot: Slot
    from_second: int
    increments: int
    numerator: int

    @property
    def until_second(self) -> int:
        """The second at which the last increment ends."""
        return self.from_second + self.increments * self.slot.increment_seconds


class _PricedSlot(NamedTuple):
    """A slot, ready to count with: `cost` is the numerator of one increment."""

    until_second: int
    increment_seconds: int
    cost: int
    slot: Slot


class Tariff:
    """The terms of a rate under one card's rounding and zone.

    `single` is (increment, cost) of the only slot where a charge is one division: one slot, no
    bands, no grace, no bounds. `plain` is true where only the slots matter.
    """

    __slots__ = (
        "_clock",
        "_fees",
        "_scale",
        "_steps",
        "cap",
        "denominator",
        "divisor",
        "fee",
        "grace_seconds",
        "increment_cost",
        "increment_seconds",
        "minimum",
        "mode",
        "single",
        "step_micros",
        "stop",
        "terms",
    )

    def __init__(self, terms: Terms, rounding: Rounding, time_zone: str) -> None:
        every = [terms.slots, *(band.slots for band in terms.bands)]
        scale = lcm(*(slot.unit_seconds for slots in every for slot in slots))
        decimals = rounding.effective_decimals
        self.terms = terms
        self._scale = scale
        self.denominator = scale * PICOS_PER_UNIT
        self.divisor = scale * 10 ** (limits.PRICE_DECIMALS_MAX - decimals)
        self.step_micros: int = 10 ** (limits.AMOUNT_DECIMALS_MAX - decimals)
        self.mode = rounding.mode
        self.grace_seconds = terms.grace_seconds
        self.fee = terms.connection_fee_picos * scale
        self.minimum = terms.minimum_charge_picos * scale
        maximum = terms.maximum_charge_picos
        bound = None if maximum is None else maximum * scale
        self.cap = bound if terms.maximum_charge_strategy is MaximumStrategy.CAP else None
        self.stop = bound if terms.maximum_charge_strategy is MaximumStrategy.STOP else None
        # The rate's own slots stand last: BASE is -1.
        self._steps = [_steps(band.slots, scale) for band in terms.bands]
        self._steps.append(_steps(terms.slots, scale))
        self._fees = [_fee(band.connection_fee_picos, self.fee, scale) for band in terms.bands]
        self._fees.append(self.fee)
        self._clock = BandClock(terms.bands, ZoneInfo(time_zone)) if terms.bands else None
        first = self._steps[BASE][0]
        self.increment_seconds = first.increment_seconds
        self.increment_cost = first.cost
        self.single = (
            self._clock is None
            and len(terms.slots) == 1
            and not (terms.grace_seconds or terms.minimum_charge_picos)
            and self.cap is None
        )

    def bill(self, answered_at: datetime, talk_seconds: int) -> tuple[int, int]:
        """(numerator, billed seconds) of a call; O(slots x band changes), never O(seconds)."""
        if talk_seconds <= self.grace_seconds:
            return 0, 0
        if self._clock is None:
            total, billed_seconds = self._bill_slots(talk_seconds)
        else:
            changes = self._clock.changes(answered_at, talk_seconds)
            segments = self._walk(changes, talk_seconds)
            total = self._fees[changes[0][1]] + sum(each.numerator for each in segments)
            billed_seconds = segments[-1].until_second
        if self.cap is not None:
            total = min(total, self.cap)
        return max(total, self.minimum), billed_seconds

    def _bill_slots(self, talk_seconds: int) -> tuple[int, int]:
        total = self.fee
        position = 0
        for until, increment, cost, _ in self._steps[BASE]:
            end = until if until < talk_seconds else talk_seconds
            if position < end:
                count = -((position - end) // increment)
                total += count * cost
                position += count * increment
        return total, position

    def connection_fee(self, answered_at: datetime) -> int:
        """The numerator of the connection fee of a call answered at a time."""
        return self._fees[self.band_at(answered_at)]

    def band_at(self, moment: datetime) -> int:
        """The band in force at that moment, BASE for none."""
        return BASE if self._clock is None else self._clock.changes(moment, 1)[0][1]

    def segments(self, answered_at: datetime, talk_seconds: int) -> list[UsageSegment]:
        """The lines of a call that is longer than the grace, in order."""
        return self._walk(self._changes(answered_at, talk_seconds), talk_seconds)

    def amount_text(self, numerator: int) -> str:
        """The exact amount of a numerator, as `format_ratio` writes it."""
        picos, rest = divmod(numerator, self._scale)
        return format_ratio(numerator, self.denominator) if rest else price_text(picos)

    def bands_touched(self, answered_at: datetime, seconds: int) -> list[int]:
        """The bands in force between then and `seconds` later, in order of appearance."""
        return list(dict.fromkeys(band for _, band in self._changes(answered_at, seconds)))

    def slots_of(self, band: int) -> tuple[Slot, ...]:
        """The slots of a band, or the rate's own for BASE."""
        return self.terms.slots if band == BASE else self.terms.bands[band].slots

    def band_name(self, band: int) -> str | None:
        """The label of the band: its name, or its number counted from 1; None for BASE."""
        return None if band == BASE else self.terms.bands[band].name or f"band {band + 1}"

    def paid_seconds(self, answered_at: datetime, talk_seconds: int) -> int:
        """The talked seconds that a call is charged for: those that have a price, until a cap is
        reached; all of them where the connection fee or the minimum is the whole charge."""
        left = None if self.cap is None else self.cap - self.connection_fee(answered_at)
        seconds = 0
        for segment in self.segments(answered_at, talk_seconds):
            if not segment.numerator:
                continue
            end = min(segment.until_second, talk_seconds)
            if left is not None and segment.numerator >= left:
                count = -(-max(left, 0) * segment.increments // segment.numerator)
                reached = segment.from_second + count * segment.slot.increment_seconds
                return seconds + min(reached, end) - segment.from_second or talk_seconds
            seconds += end - segment.from_second
            left = None if left is None else left - segment.numerator
        return seconds or talk_seconds

    def second_after(self, answered_at: datetime, talk_seconds: int, paid_seconds: int) -> int:
        """The second at which `paid_seconds` have passed, time bands without a price not counted;
        `talk_seconds` where the call is over before."""
        changes = self._changes(answered_at, talk_seconds)
        ends = [*(begin for begin, _ in changes[1:]), talk_seconds]
        for (begin, band), end in zip(changes, ends, strict=True):
            if any(step.cost for step in self._steps[band]):
                if paid_seconds < end - begin:
                    return begin + paid_seconds
                paid_seconds -= end - begin
        return talk_seconds

    def max_seconds(self, answered_at: datetime, credit_micros: int, wanted_seconds: int) -> int:
        """The most seconds, up to the requested ones, whose charge stays within the credit.

        A negative credit pays for free seconds. A maximum charge with `stop` bounds it too.
        """
        free = min(self.grace_seconds, wanted_seconds)
        budget = self._budget(credit_micros)
        if self.cap is not None and self.cap <= budget:
            return wanted_seconds
        if wanted_seconds == free or self.minimum > budget:
            return free
        changes = self._changes(answered_at, wanted_seconds)
        left = budget - self._fees[changes[0][1]]
        if left < 0:
            return free
        for segment in self._walk(changes, wanted_seconds):
            if segment.numerator > left:
                paid = left // (segment.numerator // segment.increments)
                until = segment.from_second + paid * segment.slot.increment_seconds
                return max(min(until, wanted_seconds), free)
            left -= segment.numerator
        return wanted_seconds

    def round_micros(self, numerator: int) -> int:
        """The amount in micros, rounded once in the card's mode."""
        return round_ratio(numerator, self.divisor, self.mode) * self.step_micros

    def _budget(self, credit_micros: int) -> int:
        """The largest numerator whose charge is within the credit and below a `stop`."""
        steps = max(credit_micros, 0) // self.step_micros
        budget = largest_rounding_to(steps, self.divisor, self.mode)
        return budget if self.stop is None else min(budget, self.stop)

    def _changes(self, answered_at: datetime, seconds: int) -> list[tuple[int, int]]:
        if self._clock is None:
            return [(0, BASE)]
        return self._clock.changes(answered_at, seconds)

    def _walk(self, changes: list[tuple[int, int]], talk_seconds: int) -> list[UsageSegment]:
        """Whole increments, each priced by the band and slot of its first second."""
        segments: list[UsageSegment] = []
        position = 0
        last = len(changes) - 1
        for index, (_, band) in enumerate(changes):
            band_end = changes[index + 1][0] if index < last else talk_seconds
            for until, increment, cost, slot in self._steps[band]:
                if position >= band_end:
                    break
                if position < until:
                    count = -((position - (until if until < band_end else band_end)) // increment)
                    segments.append(UsageSegment(band, slot, position, count, count * cost))
                    position += count * increment
        return segments


def _steps(slots: tuple[Slot, ...], scale: int) -> list[_PricedSlot]:
    ends = [*(slot.from_second for slot in slots[1:]), _ENDLESS]
    return [
        _PricedSlot(
            end,
            slot.increment_seconds,
            slot.price_picos * slot.increment_seconds * (scale // slot.unit_seconds),
            slot,
        )
        for slot, end in zip(slots, ends, strict=True)
    ]


def _fee(picos: int | None, default: int, scale: int) -> int:
    return default if picos is None else picos * scale


@lru_cache(maxsize=limits.TARIFFS_DECODED_MAX)
def tariff_of(terms: Terms, rounding: Rounding, time_zone: str) -> Tariff:
    """The tariff of these terms; remembered, since a card has few different ones."""
    return Tariff(terms, rounding, time_zone)
