"""The hold book limits future calls: the reservations of authorizations, and the spend.

It knows the ledger as of one commit (`ledger_commit`) and catches up by the commits after it:
`catch_up` takes the new balance and settles the holds whose legs were debited in between. An
expired hold reserves nothing from its expiry on, before it is removed (docs/architecture.md);
expiry pauses while the queue has a backlog. `hold_decisions` places, extends and releases holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.calendar import month_of
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.dial_out.budgets import BudgetPeriod, BudgetUse, Limit, Scope, VelocityUse
from shared.domain.dial_out.usage_counters import COST_WINDOW_MINUTES, Counters, minute_of
from shared.domain.ledger.model import SettledDebit

_NOTHING = Counters()


@dataclass(frozen=True, slots=True)
class Hold:
    """The reservation of an open authorization: money, and seconds of its month's pool.

    A hold lapses at `expires_at`: the granted seconds, the longest ringing and the maximum delay of
    the event have then passed. `day` is the account's date when it was placed, `scopes` are the
    counters that its charge is added to besides the account's. `grant_minute` and `grant_micros`
    are the minute of the last grant and the amount that it added. `pool_month` is None where the
    pool does not pay for such calls. A `released` or expired hold reserves nothing and is kept for
    a while: if its leg is charged nevertheless, the charge counts in its period. `answered_at` is
    when the call was answered, None while its bridge has not reported that. `ends_by` is the limit
    that ends the call at its granted seconds, "" where an extension may follow. `bridge` placed it,
    "" in rows before schema 4; `notified` names the last signal that the bridge's control URL took
    (`call_control`).
    """

    authorization: str
    amount_micros: int
    granted_seconds: int
    placed_at: datetime
    day: str
    leg: str | None = None
    is_dial_out: bool = True
    scopes: tuple[str, ...] = ()
    pool_month: str | None = None
    pool_seconds: int = 0
    grant_minute: int = 0
    grant_micros: int = 0
    released: bool = False
    answered_at: datetime | None = None
    ends_by: str = ""
    bridge: str = ""
    notified: str = ""
    expires_at: datetime = field(init=False)  # computed once: it is read very often

    def __post_init__(self) -> None:
        seconds = limits.HOLD_RINGING_SECONDS + limits.HOLD_LATE_EVENT_SECONDS
        expires_at = self.placed_at + timedelta(seconds=self.granted_seconds + seconds)
        object.__setattr__(self, "expires_at", expires_at)

    def counts_in(self, key: str) -> bool:
        """True if the call is a dial-out of the scope; "" is the account."""
        return self.is_dial_out and (key == "" or key in self.scopes)


@dataclass(frozen=True, slots=True)
class UnconfirmedCall:
    """A call that was allowed and never reported as ended: its hold has lapsed."""

    authorization: str
    placed_at: datetime
    leg: str | None = None

    def is_missing(self, now: datetime) -> bool:
        """True if the bridge should have reported the call's end by now."""
        return now - self.placed_at >= timedelta(seconds=limits.LEG_MISSING_SECONDS)


@dataclass(frozen=True, slots=True)
class PendingCounterUpdate:
    """A change that a scope's counters lack, because they were not loaded: a charge, or the
    difference of the charge of a call allowed in `grant_minute` (`is_correction`)."""

    key: str
    day: str
    minute: int
    charged_micros: int
    grant_minute: int
    cost_micros: int
    is_correction: bool = False


@dataclass(frozen=True, slots=True)
class HoldState:
    """The state on which the next authorization is decided.

    `expiring_lots` are lots with an expiry: (expiry, micros left). From the expiry on no hold
    counts on such a lot, although the balance includes it until the expiry is booked.
    `pool_seconds` is the pool of a month, `pools_used` the seconds that debits took: (month,
    seconds). `counters` are the account's, `scopes` those of other scopes as far as they were read.
    `stopped` is the reason why dial-out is stopped, "" if it is not. `backlog_seconds` is the age
    of the oldest leg on the queue. `halted_at` is when dial-out was last stopped, or the account
    suspended; None: never, or before schema 4. `unconfirmed_calls` are the latest calls without a
    call-ended event.
    """

    ledger_commit: int = 0
    balance_micros: int = 0
    credit_limit_micros: int = 0
    holds: tuple[Hold, ...] = ()
    expiring_lots: tuple[tuple[datetime, int], ...] = ()
    pool_seconds: int = 0
    pools_used: tuple[tuple[str, int], ...] = ()
    counters: Counters = _NOTHING
    unposted: tuple[PendingCounterUpdate, ...] = ()
    unconfirmed_calls: tuple[UnconfirmedCall, ...] = ()
    suspended: bool = False
    stopped: str = ""
    halted_at: datetime | None = None
    backlog_seconds: int = 0
    scopes: Mapping[str, Counters] = field(default_factory=dict, hash=False)

    def is_open(self, hold: Hold, now: datetime) -> bool:
        """True if a hold counts: its time is not over."""
        return not hold.released and hold.expires_at > self._expired_by(now)

    def open_holds(self, now: datetime) -> tuple[Hold, ...]:
        """The holds that are open at `now`."""
        by = self._expired_by(now)
        return tuple([hold for hold in self.holds if hold.expires_at > by and not hold.released])

    def find(self, authorization: str, now: datetime) -> Hold | None:
        """The open hold of an authorization."""
        holds = (hold for hold in self.holds if hold.authorization == authorization)
        return next((hold for hold in holds if self.is_open(hold, now)), None)

    def held_micros(self, now: datetime) -> int:
        """The sum of open holds."""
        return sum([hold.amount_micros for hold in self.open_holds(now)])

    def available_micros(self, now: datetime) -> int:
        """balance - holds + credit limit (docs/ledger.md)."""
        return self.balance_micros - self.held_micros(now) + self.credit_limit_micros

    def spendable_micros(self, now: datetime) -> int:
        """The credit for a new hold: the available credit less lots that have expired."""
        expired = sum(micros for expires_at, micros in self.expiring_lots if expires_at <= now)
        return self.available_micros(now) - expired

    def pool_left_seconds(self, month: str, now: datetime) -> int:
        """The part of a month's pool that neither debits took nor open holds reserved."""
        used = sum(seconds for name, seconds in self.pools_used if name == month)
        reserved = sum(
            hold.pool_seconds for hold in self.open_holds(now) if hold.pool_month == month
        )
        return max(0, self.pool_seconds - used - reserved)

    def _expired_by(self, now: datetime) -> datetime:
        """Expiry is delayed by the age of the queue's backlog."""
        return now - timedelta(seconds=self.backlog_seconds) if self.backlog_seconds else now

    def counters_of(self, key: str) -> Counters:
        """The counters of a scope; "" is the account."""
        return self.counters if key == "" else self.scopes.get(key, _NOTHING)


@dataclass(frozen=True, slots=True)
class CounterCorrection:
    """The change of the charge of a dial-out that was allowed on `day` of the account's, in a
    minute since 1970; `scopes` are the counters that its charge went to."""

    day: str
    scopes: tuple[str, ...]
    placed_minute: int
    micros: int


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The part of the ledger, as of a commit, that the hold book needs (see `HoldState`)."""

    commit: int
    balance_micros: int
    credit_limit_micros: int
    expiring_lots: tuple[tuple[datetime, int], ...] = ()
    pool_seconds: int = 0
    pools_used: tuple[tuple[str, int], ...] = ()


def catch_up(
    state: HoldState,
    ledger: LedgerView,
    posted: Iterable[SettledDebit],
    now: datetime,
    corrections: Iterable[CounterCorrection] = (),
) -> HoldState:
    """The state as of a later ledger commit: its balance, without settled holds, with freed holds
    as released ones, and the counters with charges and corrections.

    Holds that expired stay for an hour, so that a late leg is counted where it belongs; they hold
    nothing. Raises LedgerCorrupt when the ledger is behind the hold book, so was rolled back.
    """
    if ledger.commit < state.ledger_commit:
        raise LedgerCorrupt("The ledger is behind the hold book.")
    posted = tuple(post for post in posted if not post.corrects)
    charged = _charged_by_hold(state.holds, (post for post in posted if not post.frees))
    freed = _charged_by_hold(state.holds, (post for post in posted if post.frees))
    kept = tuple(
        replace(hold, released=True) if hold.authorization in freed else hold
        for hold in state.holds
        if hold.authorization not in charged
    )
    remaining = _without_long_expired(state, kept, now)
    caught_up = replace(
        state,
        ledger_commit=ledger.commit,
        balance_micros=ledger.balance_micros,
        credit_limit_micros=ledger.credit_limit_micros,
        expiring_lots=ledger.expiring_lots,
        pool_seconds=ledger.pool_seconds,
        pools_used=ledger.pools_used,
        holds=remaining,
        unconfirmed_calls=_unconfirmed_calls(state, kept, remaining, posted, now),
    )
    for hold in state.holds:
        if hold.authorization in charged and hold.is_dial_out:
            caught_up = _counted(caught_up, hold, charged[hold.authorization], now)
    for each in corrections:
        item = PendingCounterUpdate(
            "", each.day, 0, each.micros, each.placed_minute, 0, is_correction=True
        )
        caught_up = update_counters(caught_up, each.scopes, item)
    return caught_up


def release(state: HoldState, authorization: str, now: datetime) -> HoldState | None:
    """The state with a released hold; None when there is no such open hold, so that a repetition
    changes nothing."""
    hold = state.find(authorization, now)
    return None if hold is None else with_hold(state, replace(hold, released=True))


def update_hold(
    state: HoldState,
    authorization: str,
    now: datetime,
    *,
    answered_at: datetime | None = None,
    notified: str = "",
) -> HoldState | None:
    """The state with the time at which a call was answered, within the life of its hold, or the
    signal that was delivered; None when there is no such open hold, or nothing changes."""
    hold = state.find(authorization, now)
    if hold is None:
        return None
    updated = replace(hold, notified=notified or hold.notified)
    if answered_at is not None:
        updated = replace(updated, answered_at=max(hold.placed_at, min(answered_at, now)))
    return None if updated == hold else with_hold(state, updated)


def with_hold(state: HoldState, hold: Hold) -> HoldState:
    """The state with the newest version of a hold."""
    others = tuple(each for each in state.holds if each.authorization != hold.authorization)
    return replace(state, holds=(*others, hold))


def with_scopes(state: HoldState, read: Mapping[str, Counters]) -> HoldState:
    """The state with counters that were read, after the changes that waited for them."""
    if not read:
        return state
    scopes = {**state.scopes, **read}
    waiting = []
    for item in state.unposted:
        if item.key in scopes:
            scopes[item.key] = _posted(scopes[item.key], item)
        else:
            waiting.append(item)
    return replace(state, scopes=scopes, unposted=tuple(waiting))


def update_counters(state: HoldState, keys: Iterable[str], item: PendingCounterUpdate) -> HoldState:
    """The state after a charge or a cost of the account and these scopes."""
    scopes = dict(state.scopes)
    waiting: list[PendingCounterUpdate] = []
    for key in keys:
        named = replace(item, key=key)
        if key in scopes:
            scopes[key] = _posted(scopes[key], named)
        else:
            waiting.append(named)
    return replace(
        state,
        counters=_posted(state.counters, item),
        scopes=scopes,
        unposted=(*state.unposted, *waiting),
    )


def budget_uses(
    state: HoldState, bounds: Iterable[Limit], day: str, now: datetime, *, exclude: str = ""
) -> tuple[BudgetUse, ...]:
    """The budgets with their charges and holds; `exclude` omits an authorization."""
    bounds = [bound for bound in bounds if bound.budgets]
    if not bounds:
        return ()
    opened = [hold for hold in state.open_holds(now) if hold.authorization != exclude]
    uses: list[BudgetUse] = []
    for bound in bounds:
        held = [hold for hold in opened if hold.counts_in(bound.key)]
        counters = state.counters_of(bound.key)
        for period, budget in bound.budgets:
            used = counters.spent_micros(period, day, minute_of(now), running=bool(held))
            used += sum(hold.amount_micros for hold in held if _is_of(period, hold.day, day))
            uses.append(BudgetUse(bound.scope, bound.name, period, budget, used))
    return tuple(uses)


def velocity_uses(
    state: HoldState, bounds: Iterable[Limit], region: str | None, now: datetime
) -> tuple[VelocityUse, ...]:
    """The velocity of each scope that has a velocity limit."""
    opened = state.open_holds(now)
    minute = minute_of(now)
    uses: list[VelocityUse] = []
    for bound in bounds:
        if bound.velocity is None:
            continue
        counters = state.counters_of(bound.key)
        held = [hold for hold in opened if hold.counts_in(bound.key)]
        oldest = minute - COST_WINDOW_MINUTES
        uses.append(
            VelocityUse(
                bound.scope,
                bound.velocity,
                concurrent=len(held),
                allowed_last_hour=counters.placed_last_hour(minute),
                region_is_new=region is not None and region not in counters.regions,
                cost_last_ten_minutes_micros=counters.cost_since(oldest)
                + sum(hold.grant_micros for hold in held if hold.grant_minute >= oldest),
            )
        )
    return tuple(uses)


def _is_of(period: BudgetPeriod, day: str, requested_day: str) -> bool:
    """True if a call allowed on a day counts for the period that contains the given day."""
    if period is BudgetPeriod.MONTH:
        return month_of(day) == month_of(requested_day)
    return period is BudgetPeriod.MEETING or day == requested_day


def of_account(uses: Iterable[VelocityUse]) -> VelocityUse | None:
    """The use of the account's own velocity."""
    return next((use for use in uses if use.scope is Scope.ACCOUNT), None)


def _charged_by_hold(holds: Sequence[Hold], posted: Iterable[SettledDebit]) -> dict[str, int]:
    """The charges of each settled hold: of the hold that a leg names by its authorization, or else
    of the last open one that was placed for the leg. All others that were placed for it are settled
    with nothing: it has ended."""
    by_leg: dict[str, list[str]] = {}
    for hold in sorted(holds, key=lambda hold: not hold.released):
        if hold.leg is not None:
            by_leg.setdefault(hold.leg, []).append(hold.authorization)
    authorizations = {hold.authorization for hold in holds}
    charged: dict[str, int] = {}
    for post in posted:
        of_leg = by_leg.get(post.leg, []) if post.leg else []
        charged |= {name: 0 for name in of_leg if name not in charged}
        name = post.authorization if post.authorization in authorizations else None
        name = name or next(reversed(of_leg), None)
        if name is not None:
            charged[name] = charged.get(name, 0) + post.charged_micros
    return charged


def _counted(state: HoldState, hold: Hold, charged_micros: int, now: datetime) -> HoldState:
    before = hold.amount_micros - hold.grant_micros
    item = PendingCounterUpdate(
        key="",
        day=hold.day,
        minute=minute_of(now),
        charged_micros=charged_micros,
        grant_minute=hold.grant_minute,
        cost_micros=max(0, min(charged_micros - before, charged_micros)),
    )
    return update_counters(state, hold.scopes, item)


def _posted(counters: Counters, item: PendingCounterUpdate) -> Counters:
    if item.is_correction:
        return counters.with_correction(item.day, item.charged_micros, item.grant_minute)
    changed = counters.with_cost(item.grant_minute, item.cost_micros, item.minute)
    return changed.with_charge(item.day, item.charged_micros, item.minute) if item.day else changed


def _without_long_expired(
    state: HoldState, holds: tuple[Hold, ...], now: datetime
) -> tuple[Hold, ...]:
    oldest = now - timedelta(seconds=limits.EXPIRED_HOLDS_KEPT_SECONDS + state.backlog_seconds)
    expired = [hold for hold in holds if not state.is_open(hold, now) and hold.expires_at > oldest]
    kept = {hold.authorization for hold in expired[-limits.EXPIRED_HOLDS_KEPT_MAX :]}
    return tuple(hold for hold in holds if state.is_open(hold, now) or hold.authorization in kept)


def _unconfirmed_calls(
    state: HoldState,
    holds: tuple[Hold, ...],
    remaining: tuple[Hold, ...],
    posted: Iterable[SettledDebit],
    now: datetime,
) -> tuple[UnconfirmedCall, ...]:
    """The unconfirmed calls: those of holds that lapse now are added, and those that were charged
    later are removed."""
    if not state.unconfirmed_calls and len(holds) == len(remaining):
        return ()
    stay = {hold.authorization for hold in remaining}
    removed = (hold for hold in holds if hold.authorization not in stay and not hold.released)
    calls = (
        *state.unconfirmed_calls,
        *(UnconfirmedCall(each.authorization, each.placed_at, each.leg) for each in removed),
    )
    charged = {name for post in posted for name in (post.authorization, post.leg) if name}
    oldest = now - timedelta(seconds=limits.UNCONFIRMED_CALLS_KEPT_SECONDS)
    unconfirmed = (
        each
        for each in calls
        if each.placed_at > oldest and not {each.authorization, each.leg} & charged
    )
    return tuple(unconfirmed)[-limits.UNCONFIRMED_CALLS_KEPT_MAX :]
