"""The ledger says what happened: one account's credits, as a pure state machine.

`decide(state, command, now)` answers every command: the next state, the entries that tell it, what
the caller gets, and the events that others must hear of. Nothing here reads a clock or a table.

Two invariants hold after every entry (DESIGN 1, promise 3) and are asserted:
balance = sum of entries, and balance = sum of lot remainders - deficit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.domain import alerts, limits
from shared.domain.alerts import AlertRule, Event
from shared.domain.errors import Conflict, Invalid, LedgerCorrupt, PerminuteError


class EntryKind(StrEnum):
    """What a line of the ledger is (DESIGN 2)."""

    TOP_UP = "top_up"
    GRANT = "grant"
    DEBIT = "debit"
    REVERSAL = "reversal"
    ADJUSTMENT = "adjustment"
    EXPIRY = "expiry"


class LotKind(StrEnum):
    """Bought credits expire after 12 months; given ones only when that was said."""

    PURCHASED = "purchased"
    GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Lot:
    """What one top-up brought and what is left of it."""

    id: str
    kind: LotKind
    amount_micros: int
    remaining_micros: int
    purchased_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Draw:
    """What one lot paid of a debit."""

    lot: str
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger. `amount_micros` is signed; `draws` add up to what lots paid, the rest
    of a debit went into the deficit."""

    sequence: int
    kind: EntryKind
    amount_micros: int
    balance_micros: int
    at: datetime
    draws: tuple[Draw, ...] = ()
    deficit_micros: int = 0
    lot: Lot | None = None
    leg: str | None = None
    authorization: str | None = None
    reference: str | None = None
    reason: str | None = None
    actor: str | None = None
    charge_digest: str | None = None
    person_digest: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerState:
    """All that the next decision needs; as small after ten years as on the first day.

    `commit` and `entry` are the last numbers given out, both without gaps; the committer counts the
    commits, since one commit holds the entries of many commands. `settings_version` says
    which version of the account's settings the alert rules and the credit limit come from.
    """

    currency: str
    commit: int = 0
    entry: int = 0
    balance_micros: int = 0
    deficit_micros: int = 0
    lots: tuple[Lot, ...] = ()
    credit_limit_micros: int = 0
    alert_rules: tuple[AlertRule, ...] = ()
    settings_version: int = 0
    last_top_up_micros: int = 0
    last_charge_micros: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Configure:
    """Settings of the account that decisions depend on; opens the ledger the first time."""

    settings_version: int
    currency: str
    credit_limit_micros: int
    alert_rules: tuple[AlertRule, ...] = ()


@dataclass(frozen=True, slots=True)
class TopUp:
    """Credits come in as a new lot. `key` is the caller's idempotency key, scoped to the account;
    `digest` is the SHA-256 of what was asked."""

    key: str
    digest: str
    amount_micros: int
    kind: LotKind = LotKind.PURCHASED
    reference: str | None = None
    expires_at: datetime | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class DebitLeg:
    """A rated leg. `charge` is the explanation that is kept for ever, `person` the part that can
    be erased; both are opaque here except for their digests, which the entry carries."""

    leg: str
    digest: str
    amount_micros: int
    authorization: str | None
    charge: Mapping[str, object] = field(hash=False)
    person: Mapping[str, object] = field(hash=False)
    charge_digest: str = ""
    person_digest: str = ""


type Command = Configure | TopUp | DebitLeg


@dataclass(frozen=True, slots=True)
class Decided:
    """What a command leads to. `entry` is None when there is nothing to tell (settings)."""

    state: LedgerState
    command: Command
    entry: Entry | None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The command can't be carried out; nothing changes."""

    error: PerminuteError


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The command asks for what is the case already."""


type Decision = Decided | Refused | Unchanged


def decide(state: LedgerState | None, command: Command, now: datetime) -> Decision:
    """The one decision function of the ledger: total, pure, without a clock.

    `state` is None before the ledger is opened. `now` never runs backwards in the entries: an
    earlier one counts as the time of the last commit.
    """
    if isinstance(command, Configure):
        return _configure(state, command, now)
    if state is None:
        return Refused(Conflict("The account's ledger is not open yet.", code="ledger_not_open"))
    moment = max(now, state.at) if state.at else now
    match command:
        case TopUp():
            decision = _top_up(state, command, moment)
        case DebitLeg():
            decision = _debit(state, command, moment)
    if isinstance(decision, Decided):
        check(decision.state)
    return decision


def check(state: LedgerState) -> None:
    """Raises LedgerCorrupt unless balance = sum of lot remainders - deficit, none negative."""
    remaining = sum(lot.remaining_micros for lot in state.lots)
    if state.balance_micros != remaining - state.deficit_micros:
        raise LedgerCorrupt("The balance is not the sum of the lots less the deficit.")
    if state.deficit_micros < 0 or any(lot.remaining_micros < 0 for lot in state.lots):
        raise LedgerCorrupt("A lot or the deficit is negative.")


def available_micros(state: LedgerState, held_micros: int) -> int:
    """balance - holds + credit limit (DESIGN 2)."""
    return state.balance_micros - held_micros + state.credit_limit_micros


def add_months(moment: datetime, months: int) -> datetime:
    """The same day and time so many months later, or the last day of a shorter month."""
    index = moment.year * 12 + moment.month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = moment.day
    while True:
        try:
            return moment.replace(year=year, month=month, day=day)
        except ValueError:
            day -= 1


def _configure(state: LedgerState | None, command: Configure, now: datetime) -> Decision:
    if state is None:
        state = LedgerState(currency=command.currency)
    elif command.settings_version <= state.settings_version:
        return Unchanged()
    if command.currency != state.currency:
        return Refused(Conflict("The currency of an account never changes.", code="currency_fixed"))
    changed = replace(
        state,
        credit_limit_micros=command.credit_limit_micros,
        alert_rules=alerts.merge_rules(state.alert_rules, command.alert_rules),
        settings_version=command.settings_version,
        at=max(now, state.at) if state.at else now,
    )
    return Decided(changed, command, None)


def _top_up(state: LedgerState, command: TopUp, now: datetime) -> Decision:
    if command.amount_micros <= 0:
        return Refused(Invalid("The amount must be above zero.", code="amount_not_positive"))
    if len(state.lots) >= limits.OPEN_LOTS_MAX:
        return Refused(
            Conflict(f"{limits.OPEN_LOTS_MAX} lots are open already.", code="too_many_lots")
        )
    expires_at = command.expires_at
    if expires_at is None and command.kind is LotKind.PURCHASED:
        expires_at = add_months(now, limits.LOT_LIFE_MONTHS)
    if expires_at is not None and expires_at <= now:
        return Refused(Invalid("The expiry is in the past.", code="expiry_in_the_past"))
    # A new lot first pays what is owed (DESIGN 7).
    owed = min(state.deficit_micros, command.amount_micros)
    sequence = state.entry + 1
    lot = Lot(
        id=f"lot-{sequence}",
        kind=command.kind,
        amount_micros=command.amount_micros,
        remaining_micros=command.amount_micros - owed,
        purchased_at=now,
        expires_at=expires_at,
    )
    changed = replace(
        state,
        entry=sequence,
        balance_micros=state.balance_micros + command.amount_micros,
        deficit_micros=state.deficit_micros - owed,
        lots=(*state.lots, lot) if lot.remaining_micros else state.lots,
        last_top_up_micros=command.amount_micros,
        at=now,
    )
    entry = Entry(
        sequence=sequence,
        kind=EntryKind.TOP_UP if command.kind is LotKind.PURCHASED else EntryKind.GRANT,
        amount_micros=command.amount_micros,
        balance_micros=changed.balance_micros,
        at=now,
        deficit_micros=-owed,
        lot=lot,
        reference=command.reference,
        actor=command.actor,
    )
    changed, events = _alerts(state, changed)
    topped_up = alerts.topped_up(command.amount_micros, changed.balance_micros, state.currency)
    return Decided(changed, command, entry, (topped_up, *events))


def _debit(state: LedgerState, command: DebitLeg, now: datetime) -> Decision:
    """A debit is never refused: what the lots don't cover becomes deficit (promise 4)."""
    draws, lots, uncovered = draw(state.lots, command.amount_micros)
    sequence = state.entry + 1
    changed = replace(
        state,
        entry=sequence,
        balance_micros=state.balance_micros - command.amount_micros,
        deficit_micros=state.deficit_micros + uncovered,
        lots=lots,
        last_charge_micros=command.amount_micros,
        at=now,
    )
    entry = Entry(
        sequence=sequence,
        kind=EntryKind.DEBIT,
        amount_micros=-command.amount_micros,
        balance_micros=changed.balance_micros,
        at=now,
        draws=draws,
        deficit_micros=uncovered,
        leg=command.leg,
        authorization=command.authorization,
        charge_digest=command.charge_digest,
        person_digest=command.person_digest,
    )
    changed, events = _alerts(state, changed)
    return Decided(changed, command, entry, events)


def draw(
    lots: tuple[Lot, ...], amount_micros: int
) -> tuple[tuple[Draw, ...], tuple[Lot, ...], int]:
    """Take an amount from lots, first in, first out: (draws, lots still open, uncovered)."""
    draws: list[Draw] = []
    left: list[Lot] = []
    for lot in lots:
        taken = min(lot.remaining_micros, amount_micros)
        amount_micros -= taken
        if taken:
            draws.append(Draw(lot.id, taken))
        if lot.remaining_micros > taken:
            left.append(replace(lot, remaining_micros=lot.remaining_micros - taken))
    return tuple(draws), tuple(left), amount_micros


def _alerts(before: LedgerState, after: LedgerState) -> tuple[LedgerState, tuple[Event, ...]]:
    rules, events = alerts.crossings(
        after.alert_rules,
        falling=after.balance_micros < before.balance_micros,
        balance_micros=after.balance_micros,
        currency=after.currency,
        last_top_up_micros=after.last_top_up_micros,
        last_charge_micros=after.last_charge_micros,
    )
    return replace(after, alert_rules=rules), events
