"""The changes from one version of a card to another: rate by rate, and for past legs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from shared.domain.common.kinds import LegKind
from shared.domain.rating.rate_card import Rate, RateCardVersion
from shared.domain.rating.rating import Charge, rate_leg
from shared.domain.rating.terms import minute_picos

_BEYOND = 1 << 90


class ChangeKind(StrEnum):
    """The change of a rate."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class RateChange:
    """A rate that is not the same in both versions; `before` or `after` is None at its edges."""

    kind: ChangeKind
    before: Rate | None
    after: Rate | None

    @property
    def rate(self) -> Rate:
        """The new rate, or the former one."""
        rate = self.after or self.before
        assert rate is not None
        return rate

    @property
    def percent(self) -> Fraction | None:
        """The increase of the highest price per minute (a decrease: negative); None from or to
        nothing."""
        if self.before is None or self.after is None:
            return None
        before = minute_picos(self.before.slots)
        if before == 0:
            return None
        return Fraction(100 * (minute_picos(self.after.slots) - before), before)


class PastLegFacts(NamedTuple):
    """The facts of a past leg that its price depends on."""

    kind: LegKind
    to_digits: str
    origin: str | None
    answered_at: datetime
    talk_seconds: int


@dataclass(frozen=True, slots=True)
class DestinationEffect:
    """Legs to one destination (by the new version's name) under both versions, in micros."""

    destination: str
    legs: int
    before_micros: int
    after_micros: int


@dataclass(frozen=True, slots=True)
class Effect:
    """Legs under both versions. A leg that one of them can't rate is counted, and not summed."""

    legs: int
    before_micros: int
    after_micros: int
    no_rate_before: int
    no_rate_after: int
    destinations: tuple[DestinationEffect, ...]

    @property
    def difference_micros(self) -> int:
        """The additional revenue of the new version."""
        return self.after_micros - self.before_micros


def changes(before: RateCardVersion, after: RateCardVersion) -> Iterator[RateChange]:
    """The rates that differ, in the order of both indexes; one pass over each.

    Only what differs is decoded.
    """
    old_row = new_row = 0
    while old_row < len(before) or new_row < len(after):
        old_key, new_key = _key(before, old_row), _key(after, new_row)
        if old_key < new_key:
            yield RateChange(ChangeKind.REMOVED, before.rate(old_row), None)
        elif new_key < old_key:
            yield RateChange(ChangeKind.ADDED, None, after.rate(new_row))
        elif before.texts(old_row) != after.texts(new_row):
            yield RateChange(ChangeKind.CHANGED, before.rate(old_row), after.rate(new_row))
        old_row += old_key <= new_key
        new_row += new_key <= old_key


def effect(before: RateCardVersion, after: RateCardVersion, legs: Iterable[PastLegFacts]) -> Effect:
    """The cost of the legs under one version and under the other; no leg is changed.

    Destinations with the largest difference come first.
    """
    sums: dict[str, list[int]] = {}
    no_rate_before = no_rate_after = 0
    for leg in legs:
        old, new = rate_past_leg(before, leg), rate_past_leg(after, leg)
        no_rate_before += old is None
        no_rate_after += new is None
        if old is not None and new is not None:
            entry = sums.setdefault(after.destination(new.row), [0, 0, 0])
            entry[0] += 1
            entry[1] += old.amount_micros
            entry[2] += new.amount_micros
    destinations = sorted(
        (DestinationEffect(name, *entry) for name, entry in sums.items()),
        key=lambda each: (-abs(each.after_micros - each.before_micros), each.destination),
    )
    return Effect(
        sum(each.legs for each in destinations),
        sum(each.before_micros for each in destinations),
        sum(each.after_micros for each in destinations),
        no_rate_before,
        no_rate_after,
        tuple(destinations),
    )


def rate_past_leg(version: RateCardVersion, leg: PastLegFacts) -> Charge | None:
    """As `rate_leg`, of a leg that was charged before."""
    return rate_leg(
        version,
        kind=leg.kind,
        to_digits=leg.to_digits,
        origin=leg.origin,
        answered_at=leg.answered_at,
        talk_seconds=leg.talk_seconds,
    )


def _key(version: RateCardVersion, row: int) -> int:
    """The sort key of rows; more than any beyond the last."""
    return version.index.sort_key(row) if row < len(version) else _BEYOND
