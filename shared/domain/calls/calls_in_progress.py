"""Calls in progress: their cost so far, and the time for which credits last if all of them
continue."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.money import PICOS_PER_MICRO, format_price
from shared.domain.credits.alerts import REARM_PER_CENT, MinutesRule
from shared.domain.dial_out.hold_book import Hold

_SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class OpenCall:
    """An open authorization as a call in progress.

    `price_picos` is its price a minute, 0 where it is free. `fee_micros` is the connection fee that
    a call in its first second is about to cost. For the next `covered_seconds` the call costs
    nothing more: the present increment is paid, or the pool pays. `is_pooled`: the pool pays now.
    `is_over`: the granted seconds have passed, and only the leg is missing. `is_toll_dial_in`: a
    caller of a toll number. `sheddable`: not to an emergency number.
    """

    hold: Hold
    bridge: str
    to: str | None
    caller: str | None
    region: str | None
    organizer: str | None
    conference: str | None
    price_picos: int
    amount_micros: int
    fee_micros: int = 0
    covered_seconds: int = 0
    is_pooled: bool = False
    is_over: bool = False
    is_toll_dial_in: bool = False
    sheddable: bool = True

    @property
    def burn_picos(self) -> int:
        """The present price per minute in credits."""
        return 0 if self.is_over or self.is_pooled else self.price_picos


@dataclass(frozen=True, slots=True)
class CallsNow:
    """An account's calls at a time, the highest price per minute first. `funds_micros` is balance +
    credit limit - cost of the calls so far. `seconds_left` is the time until the funds are used up
    if all calls continue; None where no call costs anything."""

    at: datetime
    currency: str
    calls: tuple[OpenCall, ...]
    funds_micros: int
    seconds_left: int | None

    @property
    def burn_picos(self) -> int:
        """The price per minute of all calls."""
        return sum(call.burn_picos for call in self.calls)

    @property
    def exhausted_at(self) -> datetime | None:
        """The time at which the funds are used up; None if these calls never use them up, or for a
        time beyond the calendar."""
        if self.seconds_left is None:
            return None
        try:
            return self.at + timedelta(seconds=self.seconds_left)
        except OverflowError:
            return None


def elapsed_seconds(hold: Hold, now: datetime) -> int:
    """The seconds since the answer of a call, or since its request while the time of the answer is
    unknown; at most the granted seconds."""
    seconds = int((now - (hold.answered_at or hold.placed_at)).total_seconds())
    return max(0, min(seconds, hold.granted_seconds))


def is_over(hold: Hold, now: datetime) -> bool:
    """True if the granted seconds have passed. Of a call whose time of answer is unknown, they
    count from the end of the longest ringing."""
    ringing = 0 if hold.answered_at else limits.HOLD_RINGING_SECONDS
    begun_at = hold.answered_at or hold.placed_at
    return now >= begun_at + timedelta(seconds=hold.granted_seconds + ringing)


def calls_now(
    calls: Iterable[OpenCall], credit_micros: int, currency: str, at: datetime
) -> CallsNow:
    """The calls in order, with the remaining funds; `credit_micros` is balance + credit limit."""
    ordered = tuple(
        sorted(calls, key=lambda call: (-call.price_picos, call.hold.placed_at, _id(call)))
    )
    funds = credit_micros - sum(call.amount_micros for call in ordered)
    fees = sum(call.fee_micros for call in ordered)
    return CallsNow(at, currency, ordered, funds, _seconds_left(funds - fees, ordered))


def shedding_order(calls: Sequence[OpenCall]) -> tuple[OpenCall, ...]:
    """The calls that end when credits run out: those with a price, the highest price per minute
    first, callers of toll numbers last, never a call to an emergency number."""
    costly = (call for call in calls if call.burn_picos and call.sheddable)
    return tuple(sorted(costly, key=lambda call: (call.is_toll_dial_in, -call.price_picos)))


def _seconds_left(funds_micros: int, calls: Sequence[OpenCall]) -> int | None:
    """The seconds until the funds are used up. A call costs its price from the end of its covered
    seconds."""
    left = max(0, funds_micros) * PICOS_PER_MICRO * _SECONDS_PER_MINUTE
    costly = [call for call in calls if call.price_picos and not call.is_over]
    burn = second = 0
    for call in sorted(costly, key=lambda call: call.covered_seconds):
        spent = burn * (call.covered_seconds - second)
        if spent >= left and burn:
            break
        left -= spent
        second = call.covered_seconds
        burn += call.price_picos
    return second + left // burn if burn else None


def _id(call: OpenCall) -> str:
    return call.hold.authorization


def is_above_margin(left_seconds: int, within_seconds: int) -> bool:
    """True if credits last longer than the seconds of a rule by so much that it is armed again."""
    return left_seconds * 100 > within_seconds * (100 + REARM_PER_CENT)


def running_out_data(now: CallsNow, rule: MinutesRule) -> dict[str, object]:
    """The payload of the event `credits.running_out`, which the ledger stores: no telephone
    numbers, no names of persons. The listed calls are the first ones that would have to end, in
    order."""
    exhausted_at = now.exhausted_at or now.at
    first = shedding_order(now.calls)[: limits.RUNNING_OUT_CALLS_MAX]
    return {
        "alert": rule.name,
        "minutes_left": rule.minutes_left,
        "seconds_left": now.seconds_left,
        "exhausted_at": format_time(exhausted_at),
        "burn_per_minute": format_price(now.burn_picos),
        "calls": [_named(call) for call in first],
        "what_to_do": "Top up the account, or end calls, the first of the list first.",
    }


def _named(call: OpenCall) -> dict[str, object]:
    hold = call.hold
    named: dict[str, object | None] = {
        "authorization": hold.authorization,
        "direction": "dial_out" if hold.is_dial_out else "dial_in",
        "bridge": call.bridge,
        "leg_id": hold.leg.partition("~")[2] if hold.leg else None,
        "region": call.region,
        "price_per_minute": format_price(call.price_picos),
    }
    return {name: value for name, value in named.items() if value is not None}
