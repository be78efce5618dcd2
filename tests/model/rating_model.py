"""What a call costs, second by second: slow, in fractions, from a rate card version's wire JSON.

`version` is the body of `PUT /api/v1/rate-cards/{card}/versions/{effective_from}`. Rates with
`bands` are not modelled: they are answered with None, and callers leave them out.
"""

from fractions import Fraction
from math import floor
from typing import Any

type Json = dict[str, Any]

FINEST_DECIMALS = 6
HALF = Fraction(1, 2)


def digits_of(number: str) -> str:
    """The digits of an E.164 number."""
    return number.removeprefix("+")


def longest_prefix(version: Json, kind: str, number: str) -> list[Json]:
    """The rates of this kind with the longest prefix of the number: several if origins differ."""
    digits = digits_of(number)
    fitting = [
        rate
        for rate in version["rates"]
        if rate["kind"] == kind and digits.startswith(digits_of(rate["prefix"]))
    ]
    longest = max((len(digits_of(rate["prefix"])) for rate in fitting), default=0)
    return [rate for rate in fitting if len(digits_of(rate["prefix"])) == longest]


def slot_at(rate: Json, second: int) -> Json:
    """The slot that a second of the call belongs to: the last one that has begun."""
    begun = [slot for slot in rate["slots"] if int(slot.get("from_second", 0)) <= second]
    return max(begun, key=lambda slot: int(slot.get("from_second", 0)))


def rounded(amount: Fraction, mode: str, decimals: int) -> Fraction:
    """One rounding, to at most six decimals; `none` leaves the amount as it is."""
    if mode == "none":
        return amount
    unit = Fraction(1, 10 ** min(decimals, FINEST_DECIMALS))
    whole = floor(amount / unit)
    rest = amount / unit - whole
    goes_up = {
        "up": rest > 0,
        "down": False,
        "half_up": rest >= HALF,
        "half_even": rest > HALF or (rest == HALF and whole % 2 == 1),
    }[mode]
    return (whole + goes_up) * unit


def cost(rate: Json, talk_seconds: int, rounding: Json | None = None) -> Json | None:
    """`{"amount", "unrounded", "billed_seconds"}` of a call; None if the rate has time bands.

    A second that no bought increment covers buys the increment of the slot that it belongs to.
    """
    if rate.get("bands"):
        return None
    total, bought_seconds = Fraction(0), 0
    if talk_seconds > 0:
        total += Fraction(rate.get("connection_fee", "0"))
    for second in range(talk_seconds):
        if second >= bought_seconds:
            slot = slot_at(rate, second)
            increment_seconds = int(slot["increment_seconds"])
            total += Fraction(slot["price"]) * increment_seconds / int(slot["unit_seconds"])
            bought_seconds = second + increment_seconds
    if talk_seconds > 0:
        total = max(total, Fraction(rate.get("minimum_charge") or "0"))
    highest = rate.get("maximum_charge")
    if highest is not None and rate.get("maximum_charge_strategy", "cap") == "cap":
        total = min(total, Fraction(highest))
    how = rounding or {"mode": "none", "decimals": FINEST_DECIMALS}
    return {
        "amount": rounded(total, how["mode"], int(how.get("decimals", FINEST_DECIMALS))),
        "unrounded": total,
        "billed_seconds": bought_seconds,
    }
