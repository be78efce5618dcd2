"""Rates a call again from the rate in a receipt or month file: docs/proof.md, section 7."""

from datetime import timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

DAY_SECONDS = 86400


def picos(price):
    """10⁻¹² of the currency unit, as an integer."""
    whole, _, part = price.partition(".")
    return int(whole + part.ljust(12, "0"))


def in_force(rate, start, second):
    """The band at a second of a call, or the rate, and for how many seconds it surely holds."""
    zone, best = ZoneInfo(rate["time_zone"]), ((-1,), rate)
    local = (start + timedelta(seconds=second)).astimezone(zone)
    clock, marks = local.hour * 3600 + local.minute * 60 + local.second, {DAY_SECONDS}
    for place, band in enumerate(rate["bands"]):
        first, last = band["from"], band["until"]
        marks |= {first, last}
        over_midnight = [(0, first, DAY_SECONDS), (1, 0, last)]
        for days_ago, low, high in [(0, first, last)] if first < last else over_midnight:
            day = local.date() - timedelta(days=days_ago)
            dated = not band["dates"] or {f"{day}", f"{day:%m-%d}"} & {*band["dates"]}
            holds = dated and (not band["weekdays"] or day.isoweekday() in band["weekdays"])
            if holds and low <= clock < high:
                best = max(best, ((band["weight"], first, -place), band), key=lambda each: each[0])
    span = min(mark for mark in marks if mark > clock) - clock
    later = (start + timedelta(seconds=second + span)).astimezone(zone)
    return best[1], span if later.utcoffset() == local.utcoffset() else 1


def rated(rate, start, seconds):
    """(micros, billed seconds) of a call that was answered at `start`, whole seconds."""
    if seconds <= rate["grace_seconds"]:
        return 0, 0
    fee = in_force(rate, start, 0)[0]["connection_fee"]
    total = Fraction(picos(rate["connection_fee"] if fee is None else fee))
    second = 0
    while second < seconds:
        band, span = in_force(rate, start, second)
        slot = [each for each in band["slots"] if each["from_second"] <= second][-1]
        later = [each["from_second"] for each in band["slots"] if each["from_second"] > second]
        step = slot["increment_seconds"]
        count = -((second - min(seconds, second + span, *later)) // step)  # rounded up
        total += Fraction(picos(slot["price"]) * step * count, slot["unit_seconds"])
        second += step * count
    if rate["maximum_charge_strategy"] == "cap":
        total = min(total, picos(rate["maximum_charge"]))
    total = max(total, picos(rate["minimum_charge"]))
    unit = 10 ** (12 - rate["rounding"]["decimals"])
    exact = Fraction(total) / unit
    up = -(-exact // 1)
    modes = {
        "down": exact // 1,
        "up": up,
        "none": up,
        "half_up": (exact + Fraction(1, 2)) // 1,
        "half_even": round(exact),
    }
    return modes[rate["rounding"]["mode"]] * unit // 10**6, second
