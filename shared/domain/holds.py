"""The hold book says what may happen: credit that authorisations have reserved, as a pure machine.

It knows the ledger as of one commit (`ledger_commit`) and catches up by the commits after it:
`catch_up` takes the new balance and drops the holds whose legs were debited in between. A hold that
has expired counts for nothing from its instant on, whoever removes it (DESIGN 4).

Promise 4: no hold is placed that would bring the sum of open holds above balance + credit limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain import limits
from shared.domain.errors import LedgerCorrupt


class Pricing(Protocol):
    """What a call costs, seen from before it happens: never less than what it will be charged."""

    def seconds_for(self, credit_micros: int, wanted_seconds: int) -> int:
        """The longest call of at most `wanted_seconds` that the credit pays for; 0 if none."""
        ...

    def hold_micros(self, seconds: int) -> int:
        """The most that a call of so many seconds can cost."""
        ...


@dataclass(frozen=True, slots=True)
class Hold:
    """Credit that an open authorisation has reserved."""

    authorization: str
    amount_micros: int
    expires_at: datetime
    leg: str | None = None


@dataclass(frozen=True, slots=True)
class HoldState:
    """What the next authorisation needs.

    `lapsing` are the lots that expire: (when, micros left). From its expiry on no hold counts on a
    lot, although the balance still has it until the expiry is booked. `placed_minutes` counts the
    dial-outs allowed in each minute of the last hour: (minutes since 1970, count).
    """

    ledger_commit: int = 0
    balance_micros: int = 0
    credit_limit_micros: int = 0
    holds: tuple[Hold, ...] = ()
    lapsing: tuple[tuple[datetime, int], ...] = ()
    placed_minutes: tuple[tuple[int, int], ...] = ()

    def open_holds(self, now: datetime) -> tuple[Hold, ...]:
        """Holds that have not expired."""
        return tuple(hold for hold in self.holds if hold.expires_at > now)

    def held_micros(self, now: datetime) -> int:
        """The sum of open holds."""
        return sum(hold.amount_micros for hold in self.holds if hold.expires_at > now)

    def available_micros(self, now: datetime) -> int:
        """balance - holds + credit limit (DESIGN 2)."""
        return self.balance_micros - self.held_micros(now) + self.credit_limit_micros

    def spendable_micros(self, now: datetime) -> int:
        """What a new hold may count on: what is available less lots that have expired."""
        lapsed = sum(micros for expires_at, micros in self.lapsing if expires_at <= now)
        return self.available_micros(now) - lapsed

    def placed_last_hour(self, now: datetime) -> int:
        """Dial-outs allowed in the 60 minutes up to now."""
        oldest = _minute(now) - 59
        return sum(count for minute, count in self.placed_minutes if minute >= oldest)


@dataclass(frozen=True, slots=True)
class Posted:
    """What a ledger entry tells the hold book: whose hold it settles."""

    authorization: str | None
    leg: str | None


@dataclass(frozen=True, slots=True)
class Authorise:
    """Reserve credit for a call of up to `wanted_seconds`. The id derives from the bridge's
    idempotency key, so that there are never two holds for one question."""

    authorization: str
    wanted_seconds: int
    pricing: Pricing
    leg: str | None
    concurrent_max: int
    per_hour_max: int


@dataclass(frozen=True, slots=True)
class Placed:
    """The hold that was placed, and the state with it."""

    state: HoldState
    hold: Hold
    granted_seconds: int


@dataclass(frozen=True, slots=True)
class CreditExhausted:
    """The credit pays for no second of the call."""

    available_micros: int


@dataclass(frozen=True, slots=True)
class VelocityExceeded:
    """Too many dial-outs at once, or in the last hour."""

    count: int
    limit: int
    per_hour: bool


def catch_up(
    state: HoldState,
    *,
    ledger_commit: int,
    balance_micros: int,
    credit_limit_micros: int,
    lapsing: tuple[tuple[datetime, int], ...],
    posted: Iterable[Posted],
) -> HoldState:
    """The state as of a later ledger commit: its balance, without the holds that were settled.

    Raises LedgerCorrupt when the ledger is behind what the hold book has seen (a rollback).
    """
    if ledger_commit < state.ledger_commit:
        raise LedgerCorrupt("The ledger is behind the hold book.")
    settled = tuple(posted)
    authorizations = {post.authorization for post in settled if post.authorization}
    legs = {post.leg for post in settled if post.leg}
    holds = tuple(
        hold
        for hold in state.holds
        if hold.authorization not in authorizations and (hold.leg is None or hold.leg not in legs)
    )
    return replace(
        state,
        ledger_commit=ledger_commit,
        balance_micros=balance_micros,
        credit_limit_micros=credit_limit_micros,
        lapsing=lapsing,
        holds=holds,
    )


def authorise(
    state: HoldState, command: Authorise, now: datetime
) -> Placed | CreditExhausted | VelocityExceeded:
    """Place a hold that pays for what is granted, or say why not.

    A call that costs nothing needs no credit. The hold lasts for the granted seconds, the ringing
    before them and a late call-ended event after them.
    """
    if excess := velocity_excess(
        state, now, concurrent_max=command.concurrent_max, per_hour_max=command.per_hour_max
    ):
        return excess
    open_holds = state.open_holds(now)
    available = state.spendable_micros(now)
    granted = command.pricing.seconds_for(max(0, available), command.wanted_seconds)
    amount = command.pricing.hold_micros(granted) if granted > 0 else 0
    if granted <= 0 or amount > max(0, available):
        return CreditExhausted(available)
    hold = Hold(
        authorization=command.authorization,
        amount_micros=amount,
        expires_at=now
        + timedelta(seconds=granted + limits.HOLD_RINGING_SECONDS + limits.HOLD_LATE_EVENT_SECONDS),
        leg=command.leg,
    )
    placed = replace(state, holds=(*open_holds, hold), placed_minutes=_count(state, now))
    return Placed(placed, hold, granted)


def velocity_excess(
    state: HoldState, now: datetime, *, concurrent_max: int, per_hour_max: int
) -> VelocityExceeded | None:
    """The velocity limit that one more dial-out would break, if any."""
    concurrent = len(state.open_holds(now))
    at_once = min(concurrent_max, limits.OPEN_HOLDS_MAX)
    if concurrent >= at_once:
        return VelocityExceeded(concurrent, at_once, per_hour=False)
    placed = state.placed_last_hour(now)
    if placed >= per_hour_max:
        return VelocityExceeded(placed, per_hour_max, per_hour=True)
    return None


def release(state: HoldState, authorization: str) -> HoldState | None:
    """The state without a hold; None when there is no such open hold: releasing twice is once."""
    holds = tuple(hold for hold in state.holds if hold.authorization != authorization)
    return None if len(holds) == len(state.holds) else replace(state, holds=holds)


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // 60


def _count(state: HoldState, now: datetime) -> tuple[tuple[int, int], ...]:
    current = _minute(now)
    recent = {minute: count for minute, count in state.placed_minutes if minute > current - 60}
    recent[current] = recent.get(current, 0) + 1
    return tuple(sorted(recent.items()))
