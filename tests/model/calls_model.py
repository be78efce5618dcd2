"""Calls in progress recomputed from what a bridge did: second by second, sums as Fraction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.model import rating_model

RINGING_SECONDS, LATE_SECONDS = 120, 900
SECONDS_MAX = 1_000_000


@dataclass
class Call:
    """A call that was let through; `pool_seconds` are those that included minutes pay."""

    authorization: str
    rate: dict[str, Any]
    placed_at: datetime
    granted_seconds: int
    pool_seconds: int
    conference: str
    answered_at: datetime | None = None

    @property
    def price(self) -> Fraction:
        """The dearest price a minute of its slots."""
        slots = self.rate["slots"]
        return max(Fraction(slot["price"]) * 60 / slot["unit_seconds"] for slot in slots)

    def is_open(self, now: datetime) -> bool:
        """Granted seconds, ringing and the time for a late leg have not passed."""
        life = self.granted_seconds + RINGING_SECONDS + LATE_SECONDS
        return now < self.placed_at + timedelta(seconds=life)

    def is_over(self, now: datetime) -> bool:
        """Its granted seconds have passed."""
        if self.answered_at is None:
            life = self.granted_seconds + RINGING_SECONDS
            return now >= self.placed_at + timedelta(seconds=life)
        return now >= self.answered_at + timedelta(seconds=self.granted_seconds)

    def elapsed(self, now: datetime) -> int:
        seconds = (now - (self.answered_at or self.placed_at)) // timedelta(seconds=1)
        return min(seconds, self.granted_seconds)

    def pool_left(self, now: datetime) -> int:
        return max(0, self.pool_seconds - self.elapsed(now))

    def amount(self, now: datetime, rounding: dict[str, Any]) -> Fraction:
        """Its charge if it ended now."""
        paid = self.elapsed(now) - self.pool_seconds
        cost = rating_model.cost(self.rate, max(0, paid), rounding)
        assert cost is not None
        return Fraction(cost["amount"])

    def covered(self, now: datetime, spare: int) -> int:
        """Seconds for which it costs nothing more."""
        if self.pool_left(now):
            return self.pool_left(now) + spare
        paid = self.elapsed(now) - self.pool_seconds
        cost = rating_model.cost(self.rate, max(0, paid))
        assert cost is not None
        return int(cost["billed_seconds"]) - max(0, paid)


@dataclass
class Now:
    """An account's calls at a time; `pool_left` is what its included minutes have left of which no
    open call has a share."""

    calls: Sequence[Call]
    credit: Fraction
    pool_left: int
    now: datetime
    rounding: dict[str, Any]

    @property
    def spare(self) -> int:
        sharers = sum(call.pool_seconds > 0 for call in self.calls)
        return self.pool_left // sharers if sharers else 0

    @property
    def available(self) -> Fraction:
        return self.credit - sum(call.amount(self.now, self.rounding) for call in self.calls)

    def burn(self, calls: Sequence[Call]) -> Fraction:
        """What credits pay a minute now."""
        paid = (each for each in calls if not each.is_over(self.now))
        return sum((each.price for each in paid if not each.pool_left(self.now)), Fraction(0))

    def seconds_left(self) -> int | None:
        """For how many whole seconds `available` pays, one after the other."""
        left = self.available
        costly = [each for each in self.calls if each.price and not each.is_over(self.now)]
        if not costly:
            return None
        for call in self.calls:
            if call.elapsed(self.now) <= 0 and not call.pool_left(self.now):
                left -= Fraction(call.rate.get("connection_fee", "0"))
        left = max(left, Fraction(0))
        begins = {each.authorization: each.covered(self.now, self.spare) for each in costly}
        for second in range(SECONDS_MAX):
            burning = (each for each in costly if begins[each.authorization] <= second)
            burn = sum((each.price for each in burning), Fraction(0)) / 60
            if burn and left < burn:
                return second
            left -= burn
        raise AssertionError("the histories spend faster")
