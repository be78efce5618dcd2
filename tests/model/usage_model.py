"""Usage and lists of legs recomputed from journal entries: plain loops, sums as Fraction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

MICROS = 1_000_000
CHARGE_GROUPS = ("cost_center", "conference", "kind", "region", "number_class", "bridge")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def called_at(charge: Any) -> datetime:
    return instant(charge["answered_at"] or charge["started_at"])


def movements(entries: Iterable[Any]) -> Iterable[tuple[Any, int, Any]]:
    """(entry, 1 or -1, the debit that it books or takes back)."""
    debits: dict[int, Any] = {}
    for entry in entries:
        if entry.kind.value == "debit":
            debits[entry.sequence] = entry
            yield entry, 1, entry
        elif entry.kind.value == "reversal" and entry.leg is not None:
            yield entry, -1, debits[entry.reverses]


def seconds_of(charge: Any) -> tuple[int, int]:
    pool = charge.get("pool_seconds", 0)
    paid = charge["billed_seconds"] - pool if charge["status"] == "charged" else 0
    return paid, pool


def group_of(name: str, charge: Any, organizer: str | None, moment: datetime, zone: str) -> object:
    local = moment.astimezone(ZoneInfo(zone))
    if name == "organizer":
        return organizer
    if name == "destination":
        return charge["rate"]["destination"] if "rate" in charge else charge.get("destination")
    if name in CHARGE_GROUPS:
        return charge[name]
    if name == "week":
        return "{}-W{:02}".format(*local.isocalendar()[:2])
    return {"day": f"{local:%Y-%m-%d}", "month": f"{local:%Y-%m}", "hour": local.hour}[name]


def usage(
    entries: Iterable[Any],
    span: tuple[datetime, datetime],
    time: str,
    groups: Sequence[str],
    zone: str,
) -> dict[tuple[object, ...], list[Fraction]]:
    """By group: legs, answered legs, talk, paid and pool seconds, amount."""
    sums: dict[tuple[object, ...], list[Fraction]] = {}
    for entry, sign, debit in movements(entries):
        charge = debit.charge
        moment = entry.at if time == "booked" else called_at(charge)
        if not span[0] <= moment < span[1]:
            continue
        paid, pool = seconds_of(charge)
        key = tuple(group_of(name, charge, entry.organizer, moment, zone) for name in groups)
        values = [
            Fraction(sign),
            Fraction(sign if charge["answered_at"] else 0),
            Fraction(sign * charge["talk_seconds"]),
            Fraction(sign * paid),
            Fraction(sign * pool),
            Fraction(-entry.amount_micros, MICROS),
        ]
        known = sums.setdefault(key, [Fraction(0)] * len(values))
        for at, value in enumerate(values):
            known[at] += value
    return {key: values for key, values in sums.items() if any(values)}


def legs(
    entries: Iterable[Any], span: tuple[datetime, datetime], time: str
) -> dict[str, tuple[Fraction, Fraction, list[int]]]:
    """By leg: net amount, what was booked first, the entries that corrected it."""
    found: dict[str, tuple[Fraction, Fraction, list[int]]] = {}
    for entry, _, debit in movements(entries):
        amount = Fraction(-entry.amount_micros, MICROS)
        if entry is debit and entry.rerates is None:
            moment = entry.at if time == "booked" else called_at(entry.charge)
            if span[0] <= moment < span[1]:
                found[entry.leg] = (amount, amount, [])
        elif entry.leg in found:
            net, first, corrections = found[entry.leg]
            found[entry.leg] = (net + amount, first, [*corrections, entry.sequence])
    return found
