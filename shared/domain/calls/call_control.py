"""Signals to the bridge of an open call: a warning before its granted seconds end, and the order to
end it.

The due signals follow from the hold book alone, so that any process sends them: before or after a
restart, and again until the bridge accepts them. An extension, a release or the leg of the call
removes the cause of a signal.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.domain.common import limits
from shared.domain.dial_out.hold_book import Hold, HoldState
from shared.domain.dial_out.hold_decisions import EndsBy

WARNING, END = "call.warning", "call.end"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
_WARNED_BEFORE = timedelta(seconds=limits.CALL_WARNING_SECONDS)
_MEANS = frozenset({EndsBy.CREDIT, EndsBy.BUDGET, EndsBy.POOL})


class EndReason(StrEnum):
    """The reason for which a call has to end. `credit_exhausted`: credit, a budget or included
    minutes ended its grant; `grant_ended`: no extension was requested."""

    DIAL_OUT_STOPPED = "dial_out_stopped"
    ACCOUNT_SUSPENDED = "account_suspended"
    CREDIT_EXHAUSTED = "credit_exhausted"
    GRANT_ENDED = "grant_ended"


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal to a call's bridge. `name` is unique within the call: a signal that is sent again
    has the same one. An end has a `reason`."""

    type: str
    name: str
    reason: EndReason | None = None


def ends_at(hold: Hold) -> datetime:
    """The time at which the granted seconds end. They count from the answer, or from the request
    while the time of the answer is unknown."""
    return (hold.answered_at or hold.placed_at) + timedelta(seconds=hold.granted_seconds)


def seconds_left(hold: Hold, now: datetime) -> int:
    """Granted seconds that are left, rounded up."""
    return max(0, -((now - ends_at(hold)) // _SECOND))


def due_signals(state: HoldState, hold: Hold, by: datetime) -> tuple[Signal, ...]:
    """The signals of an open call that are due at a time and that its bridge has not accepted, in
    order."""
    if (reason := _halted(state, hold)) is not None:
        at = state.halted_at
        if at is not None and at > by:
            return ()
        name = f"{(at - _EPOCH) // _MICROSECOND if at else 0}:{reason}"
        return () if hold.notified == name else (Signal(END, name, reason),)
    end, signals = ends_at(hold), list[Signal]()
    if end - _WARNED_BEFORE <= by:
        signals.append(Signal(WARNING, f"{hold.granted_seconds}:warning"))
    if end <= by:
        reason = EndReason.GRANT_ENDED
        if hold.ends_by in _MEANS:
            reason = EndReason.CREDIT_EXHAUSTED
        signals.append(Signal(END, f"{hold.granted_seconds}:end", reason))
    names = [signal.name for signal in signals]
    taken = names.index(hold.notified) + 1 if hold.notified in names else 0
    return tuple(signals[taken:])


def next_due(hold: Hold, now: datetime) -> datetime | None:
    """The time of a call's next signal, if no other event occurs; None if no signal is left."""
    end = ends_at(hold)
    return next((at for at in (end - _WARNED_BEFORE, end) if at > now), None)


def signal_data(
    hold: Hold, conference: str | None, signal: Signal, now: datetime
) -> dict[str, object]:
    """The payload of a signal. The payload contains no telephone numbers and no names of
    persons."""
    data: dict[str, object | None] = {
        "authorization": hold.authorization,
        "leg_id": hold.leg.partition("~")[2] if hold.leg else None,
        "conference": conference,
        "seconds_left": seconds_left(hold, now),
        "reason": signal.reason,
    }
    return {name: value for name, value in data.items() if value is not None}


def _halted(state: HoldState, hold: Hold) -> EndReason | None:
    if state.suspended:
        return EndReason.ACCOUNT_SUSPENDED
    return EndReason.DIAL_OUT_STOPPED if state.stopped and hold.is_dial_out else None
