"""Lots: the credits of each top-up, drawn first in, first out (docs/credits.md)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class LotKind(StrEnum):
    """The origin of a lot. Purchased credits expire after 12 months, granted credits only at a
    requested time."""

    PURCHASED = "purchased"
    GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Lot:
    """The credits of one top-up and the remaining amount."""

    id: str
    kind: LotKind
    amount_micros: int
    remaining_micros: int
    purchased_at: datetime
    expires_at: datetime | None

    def valid_at(self, moment: datetime) -> bool:
        """True if the lot had not expired at the time."""
        return self.expires_at is None or self.expires_at > moment


@dataclass(frozen=True, slots=True)
class Draw:
    """The part of an entry that one lot paid; negative where it was given back."""

    lot: str
    amount_micros: int


@dataclass(frozen=True, slots=True)
class DrawResult:
    """An amount drawn from lots: the draws, the remaining lots, and the uncovered part."""

    draws: tuple[Draw, ...]
    lots: tuple[Lot, ...]
    uncovered_micros: int


def lot_id(entry: int) -> str:
    """The id of the lot that an entry opens."""
    return f"lot-{entry}"


def opening_entry(lot: str) -> int:
    """The number of the entry that opened a lot. Raises ValueError for a text that is no lot id."""
    return int(lot.removeprefix("lot-"))


def draw(lots: Iterable[Lot], amount_micros: int, *, valid_at: datetime) -> DrawResult:
    """Draw an amount from the lots that were valid at a time, first in, first out."""
    draws: list[Draw] = []
    left: list[Lot] = []
    for lot in lots:
        taken = min(lot.remaining_micros, amount_micros) if lot.valid_at(valid_at) else 0
        amount_micros -= taken
        if taken:
            draws.append(Draw(lot.id, taken))
        if lot.remaining_micros > taken:
            left.append(replace(lot, remaining_micros=lot.remaining_micros - taken))
    return DrawResult(tuple(draws), tuple(left), amount_micros)


def give_back(lots: Iterable[Lot], lot: Lot, amount_micros: int) -> tuple[Lot, ...]:
    """The open lots after an amount was returned to `lot`, which may be used up."""
    open_lots = {open_lot.id: open_lot for open_lot in lots}
    remaining = open_lots[lot.id].remaining_micros if lot.id in open_lots else 0
    open_lots[lot.id] = replace(lot, remaining_micros=remaining + amount_micros)
    return by_age(open_lots.values())


def by_age(lots: Iterable[Lot]) -> tuple[Lot, ...]:
    """The lots with a remaining amount, in the order in which they were opened."""
    left = (lot for lot in lots if lot.remaining_micros)
    return tuple(sorted(left, key=lambda lot: opening_entry(lot.id)))


def add_months(moment: datetime, months: int) -> datetime:
    """The same day and time a number of months later, or the last day of a shorter month."""
    index = moment.year * 12 + moment.month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = moment.day
    while True:
        try:
            return moment.replace(year=year, month=month, day=day)
        except ValueError:
            day -= 1
