"""A slow, obvious hold book: one account's authorisations in a plain list.

The caller brings the price (`amount` of the granted seconds), the balance and the credit limit.
An answer is a dict with `decision` `allow` or `deny`, like the wire's, in fractions.

Choices where the texts leave room:
- a hold that ends at an instant counts for nothing from that instant on (`Hold.is_open`);
- it expires so many seconds after it was placed; extending counts from then too (`expires_at`);
- the hourly count goes by the clock's hour in UTC (`allowed_in_hour`);
- `late` is a leg settled once its hold had lapsed; a leg whose hold was released is not late;
- a leg settles its hold once: by the authorisation that it names, else by its leg id (`settle`).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

type Json = dict[str, Any]

RINGING_AND_LATE_SECONDS = 120 + 900
CONCURRENT_DEFAULT, HOURLY_DEFAULT = 100, 600
ZERO = Fraction(0)


def expires_at(placed_at: datetime, granted_seconds: int) -> datetime:
    """When a hold lapses by itself: granted seconds + 120 s for ringing + 900 s for its event."""
    return placed_at + timedelta(seconds=granted_seconds + RINGING_AND_LATE_SECONDS)


@dataclass
class Hold:
    """`state`: open, settled, released or lapsed; once it left open it never changes again."""

    authorization: str
    placed_at: datetime
    granted_seconds: int
    amount: Fraction
    leg: str | None = None
    state: str = "open"

    def is_open(self, at: datetime) -> bool:
        """It counts: neither settled nor released, and not expired."""
        return self.state == "open" and at < expires_at(self.placed_at, self.granted_seconds)


@dataclass
class HoldModel:
    """One account's hold book."""

    concurrent_max: int = CONCURRENT_DEFAULT
    hourly_max: int = HOURLY_DEFAULT
    holds: list[Hold] = field(default_factory=list)

    def held(self, at: datetime) -> Fraction:
        """The sum of what is open now."""
        return sum((hold.amount for hold in self.holds if hold.is_open(at)), ZERO)

    def available(self, at: datetime, balance: Fraction, credit_limit: Fraction) -> Fraction:
        """Balance − open holds + credit limit."""
        return balance - self.held(at) + credit_limit

    def allowed_in_hour(self, at: datetime) -> int:
        """How many were allowed in this hour of the clock."""
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        until = hour + timedelta(hours=1)
        return sum(1 for hold in self.holds if hour <= hold.placed_at < until)

    def find(self, authorization: str) -> Hold | None:
        """The hold of an authorisation."""
        return next((one for one in self.holds if one.authorization == authorization), None)

    def authorise(
        self,
        authorization: str,
        at: datetime,
        granted_seconds: int,
        amount: Fraction,
        balance: Fraction,
        credit_limit: Fraction = ZERO,
        leg: str | None = None,
    ) -> Json:
        """Place a hold; the same authorisation again is answered with what is there."""
        old = self.find(authorization)
        if old:
            return _allow(old)
        if sum(hold.is_open(at) for hold in self.holds) >= self.concurrent_max:
            return {"decision": "deny", "reason": "velocity_exceeded"}
        if self.allowed_in_hour(at) >= self.hourly_max:
            return {"decision": "deny", "reason": "velocity_exceeded"}
        if amount > self.available(at, balance, credit_limit):
            return {"decision": "deny", "reason": "credit_exhausted"}
        self.holds.append(Hold(authorization, at, granted_seconds, amount, leg))
        return _allow(self.holds[-1])

    def extend(
        self,
        authorization: str,
        at: datetime,
        seconds: int,
        amount: Fraction,
        balance: Fraction,
        credit_limit: Fraction = ZERO,
    ) -> Json:
        """Grant a total of `seconds`, which costs `amount` in all; it never shrinks a grant."""
        hold = self.find(authorization)
        if hold is None or not hold.is_open(at):
            return {"decision": "deny", "reason": "not_open"}
        if seconds > hold.granted_seconds:
            if amount - hold.amount > self.available(at, balance, credit_limit):
                return {"decision": "deny", "reason": "credit_exhausted"}
            hold.granted_seconds, hold.amount = seconds, amount
        return _allow(hold)

    def release(self, authorization: str, at: datetime) -> bool:
        """Give back what is held; True if it was open."""
        hold = self.find(authorization)
        if hold is None or not hold.is_open(at):
            return False
        hold.state = "released"
        return True

    def lapse(self, at: datetime) -> list[str]:
        """Mark what has expired; which is over already, who notices it."""
        over = [hold for hold in self.holds if hold.state == "open" and not hold.is_open(at)]
        for hold in over:
            hold.state = "lapsed"
        return [hold.authorization for hold in over]

    def settle(
        self, leg: str, authorization: str | None, talk_seconds: int, at: datetime
    ) -> list[str]:
        """A leg was debited: its hold ends. The flags that the charge must bear."""
        self.lapse(at)
        hold = self.find(authorization) if authorization else None
        if hold is None:
            hold = next((one for one in self.holds if one.leg == leg), None)
        if hold is None or hold.state in {"settled", "released"}:
            return []
        flags = ["late"] if hold.state == "lapsed" else []
        if talk_seconds > hold.granted_seconds:
            flags.append("overrun")
        hold.state = "settled" if hold.state == "open" else hold.state
        return flags


def _allow(hold: Hold) -> Json:
    return {
        "decision": "allow",
        "authorization": hold.authorization,
        "granted_seconds": hold.granted_seconds,
        "held": hold.amount,
        "expires_at": expires_at(hold.placed_at, hold.granted_seconds),
    }
