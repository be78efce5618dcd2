"""The effect that another dial-out policy would have had on past calls: pure, call by call.

The simulation starts with an empty hold book and unlimited credit, and holds the real cost of each
call. Where the policy's breaker would have stopped dial-out, a person is taken to have restarted it
an hour later.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.dial_out import hold_book, hold_decisions
from shared.domain.dial_out.budgets import Limit
from shared.domain.dial_out.dial_out_checks import check_rules
from shared.domain.dial_out.facts import Denial, DialOutFacts, Reason
from shared.domain.dial_out.hold_book import HoldState, LedgerView
from shared.domain.dial_out.hold_decisions import Authorise
from shared.domain.dial_out.usage_counters import Counters
from shared.domain.ledger.model import SettledDebit

_CREDIT_MICROS = 10**18


@dataclass(frozen=True, slots=True)
class PastCall:
    """A dial-out that was made. `facts` are those of the other policy, without counters; `bounds`
    are the limits that would have applied."""

    leg: str
    entry: int
    dialled_at: datetime
    ended_at: datetime
    talk_seconds: int
    amount_micros: int
    facts: DialOutFacts
    bounds: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The simulated result of a call: `denial` is None where the policy would have allowed the
    call."""

    call: PastCall
    denial: Denial | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The verdict on a period: the `denied` calls and their cost, in all and by reason.

    `unknown` legs can't be judged, since their numbers were erased; with `more` the period has more
    legs than were evaluated.
    """

    legs: int
    unknown: int
    more: bool
    denied: Sequence[Verdict]

    @property
    def saved_micros(self) -> int:
        """The cost of the denied calls."""
        return sum(verdict.call.amount_micros for verdict in self.denied)

    def by_reason(self) -> dict[str, tuple[int, int]]:
        """(calls, micros) of each reason."""
        calls: Counter[str] = Counter()
        micros: Counter[str] = Counter()
        for verdict in self.denied:
            if verdict.denial is not None:
                calls[verdict.denial.reason.value] += 1
                micros[verdict.denial.reason.value] += verdict.call.amount_micros
        return {reason: (calls[reason], micros[reason]) for reason in sorted(calls)}


@dataclass(frozen=True, slots=True)
class _KnownCost:
    """Implements `Pricing` for a call whose cost is known."""

    micros: int

    def seconds_for(self, credit_micros: int, wanted_seconds: int, after_seconds: int) -> int:
        return wanted_seconds if self.micros <= credit_micros else 0

    def hold_micros(self, seconds: int, after_seconds: int) -> int:
        return self.micros


def judge(calls: Iterable[PastCall], time_zone: str) -> Iterator[Verdict]:
    """One verdict per call, in the order of the calls."""
    state = HoldState(balance_micros=_CREDIT_MICROS)
    running: list[PastCall] = []
    stopped_at: datetime | None = None
    for call in sorted(calls, key=lambda each: (each.dialled_at, each.entry)):
        now = call.dialled_at
        over = [each for each in running if each.ended_at <= now]
        running = [each for each in running if each.ended_at > now]
        state = _ended(state, over, now)
        if stopped_at and now >= stopped_at + timedelta(seconds=limits.WHAT_IF_RESTART_SECONDS):
            state, stopped_at = hold_decisions.restart(state) or state, None
        state, denial = _requested(state, call, time_zone, now)
        if denial is None:
            running.append(call)
        if state.stopped and stopped_at is None:
            stopped_at = now
        yield Verdict(call, denial)


def _requested(
    state: HoldState, call: PastCall, time_zone: str, now: datetime
) -> tuple[HoldState, Denial | None]:
    missing = {bound.key for bound in call.bounds if bound.key} - state.scopes.keys()
    state = hold_book.with_scopes(state, {key: Counters() for key in missing})
    denial = check_rules(call.facts)
    if denial is not None and denial.reason is not Reason.RATE_MISSING:
        return state, denial
    command = Authorise(
        authorization=call.leg,
        account=call.facts.account.account if call.facts.account else "",
        currency="",
        time_zone=time_zone,
        wanted_seconds=max(1, call.talk_seconds),
        pricing=_KnownCost(call.amount_micros),
        region=call.facts.dialled.number.region,
        bounds=call.bounds,
    )
    granted = hold_decisions.place_hold(state, command, now)
    if isinstance(granted, Denial):
        return state, granted
    return granted.state or state, None


def _ended(state: HoldState, calls: list[PastCall], now: datetime) -> HoldState:
    if not calls:
        return state
    view = LedgerView(state.ledger_commit, _CREDIT_MICROS, 0)
    posted = [SettledDebit(call.leg, None, call.amount_micros) for call in calls]
    return replace(hold_book.catch_up(state, view, posted, now), balance_micros=_CREDIT_MICROS)
