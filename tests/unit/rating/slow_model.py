"""What a call costs, second by second, in fractions: slow, plain, and no import of the engine.

It reads the same facts (rates, slots, bands) and shares no arithmetic, no search and no clock code
with `shared/domain`.
"""

import math
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from shared.domain.rating.rate_card import Band, Rate, Rounding, Slot

UNIT = 10**12
DAY = timedelta(days=1)


def slow_band(rate: Rate, zone: ZoneInfo, moment: datetime) -> Band | None:
    """The band in force at a moment, by the wall clock; None for the rate's own slots."""
    if not rate.bands:
        return None
    local = moment.astimezone(zone)
    second = local.hour * 3600 + local.minute * 60 + local.second
    today = local.date()
    best: Band | None = None
    for band in rate.bands:
        begin, end = band.from_second_of_day, band.until_second_of_day
        if begin < end:
            holds = begin <= second < end and _on(band, today)
        else:
            holds = (second >= begin and _on(band, today)) or (
                second < end and _on(band, today - DAY)
            )
        if holds and (
            best is None
            or (band.weight, band.from_second_of_day) > (best.weight, best.from_second_of_day)
        ):
            best = band
    return best


def slow_sum(rate: Rate, time_zone: str, answered_at: datetime, talk_seconds: int) -> Fraction:
    """The exact sum in currency units, before rounding."""
    if talk_seconds <= rate.grace_seconds:
        return Fraction(0)
    zone = ZoneInfo(time_zone)
    opening = slow_band(rate, zone, answered_at)
    fee = rate.connection_fee_picos
    if opening is not None and opening.connection_fee_picos is not None:
        fee = opening.connection_fee_picos
    paid_until = 0
    taken: list[Slot] = []
    start = answered_at.astimezone(UTC)
    for second in range(talk_seconds):
        if second == paid_until:
            band = slow_band(rate, zone, start + timedelta(seconds=second))
            slot = _slot(rate.slots if band is None else band.slots, second)
            taken.append(slot)
            paid_until += slot.increment_seconds
    total = Fraction(fee, UNIT)
    for slot, count in Counter(taken).items():
        increment = Fraction(slot.price_picos * slot.increment_seconds, slot.unit_seconds * UNIT)
        total += count * increment
    total = max(total, Fraction(rate.minimum_charge_picos, UNIT))
    if rate.maximum_charge_picos is not None and rate.maximum_charge_strategy == "cap":
        total = min(total, Fraction(rate.maximum_charge_picos, UNIT))
    return total


def slow_round(value: Fraction, rounding: Rounding) -> Fraction:
    """The sum as it is charged."""
    decimals = 6 if rounding.mode == "none" else min(rounding.decimals, 6)
    scaled = value * 10**decimals
    rounded = {
        "up": math.ceil(scaled),
        "none": math.ceil(scaled),
        "down": math.floor(scaled),
        "half_up": math.floor(scaled + Fraction(1, 2)),
        "half_even": round(scaled),
    }[rounding.mode]
    return Fraction(rounded, 10**decimals)


def _on(band: Band, day: date) -> bool:
    if band.weekdays and day.isoweekday() not in band.weekdays:
        return False
    text = day.isoformat() if band.dates else ""
    return not band.dates or text in band.dates or text[5:] in band.dates


def _slot(slots: tuple[Slot, ...], second: int) -> Slot:
    """The last that has begun; they rise."""
    return [slot for slot in slots if slot.from_second <= second][-1]
