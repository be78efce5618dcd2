"""The state that a ledger's journals lead to: what `verify` expects and `restore` rebuilds.

The replay uses entries alone, not commands. This second, simpler computation of the same state
detects an error in the first one.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.credits import alerts
from shared.domain.credits.alerts import Event
from shared.domain.credits.included_minutes import after_draw
from shared.domain.credits.lots import Lot, by_age
from shared.domain.credits.recharge import RechargeStatus, mismatch_detail
from shared.domain.ledger import alert_evaluation
from shared.domain.ledger.effects import Evaluation
from shared.domain.ledger.model import (
    RULES,
    Acknowledge,
    Announce,
    AnswerRecharge,
    Configure,
    Entry,
    EntryKind,
    LedgerState,
    RulesChange,
    SettingsChange,
    Tick,
)

type LotsById = dict[str, Lot]
"""Every lot ever opened, as it was opened, by id."""


def replay(
    state: LedgerState | None,
    opened: LotsById,
    *,
    commit: int,
    at: datetime,
    entries: Sequence[Entry],
    settings: Sequence[SettingsChange] = (),
    rules: RulesChange | None = None,
) -> LedgerState:
    """The state after a commit; the lots that the commit opened are added to `opened`. The alerts
    and forecasts of older rules are not known from their commits, but from the first one by newer
    rules.

    Raises LedgerCorrupt, which names the entry, when lots, numbers or balance don't add up.
    """
    number = rules.number if rules else state.rules if state else 1
    if state is not None:
        state = replace(state, rules=number, **(rules.adopted if rules else {}))
    changes = list(settings)
    start: LedgerState | None = None
    for entry in entries:
        state = _after_settings(state, changes, at, until=entry.sequence)
        start = start or state
        state = _booked(_forget(state, entry.at), opened, entry)
        if not entry.is_preliminary:  # it and its preludes are one movement of the balance
            state = alert_evaluation.on_posted(start, state, entry, _own_events(start, entry)).state
            start = None
    if start is not None:
        raise LedgerCorrupt(f"entry {entries[-1].sequence}: what it prepares does not follow it")
    last = state.entry if state else 0
    state = _after_settings(state, changes, at, until=last + 1)
    return replace(state, commit=commit, at=at, rules=number)


def _own_events(before: LedgerState, entry: Entry) -> tuple[Event, ...]:
    """The events that an entry itself emits; the state counts alerts."""
    if entry.pool is None or not entry.is_first_debit:
        return ()
    return after_draw(before.pools, entry.pool, before.pool_seconds)[1]


def _after_settings(
    state: LedgerState | None, changes: list[SettingsChange], at: datetime, *, until: int
) -> LedgerState:
    """The state after the commands without an entry that precede an entry."""
    while changes and changes[0].after_entry < until:
        state = _without_entry(state, changes.pop(0), at)
    if state is None:
        raise LedgerCorrupt("The first commit has no settings.")
    return state


def _without_entry(state: LedgerState | None, change: SettingsChange, at: datetime) -> LedgerState:
    command = change.command
    if isinstance(command, Configure):
        return _configured(state, command, at)
    if state is None:
        raise LedgerCorrupt("The first commit has no settings.")
    state = _forget(state, at)
    match command:
        case Tick():
            evaluation = alert_evaluation.on_timer(state, at)
        case AnswerRecharge():
            evaluation = _answered(state, command, at)
        case Acknowledge():
            evaluation = alert_evaluation.on_acknowledged(state, command.alert, at)
        case Announce():
            evaluation = alert_evaluation.on_announced(state, command, at)
    if evaluation is None:
        if state.rules < RULES:
            return state
        raise LedgerCorrupt(f"after entry {change.after_entry}: nothing was due")
    return evaluation.state


def _configured(state: LedgerState | None, command: Configure, at: datetime) -> LedgerState:
    present = state or LedgerState(currency=command.currency)
    changed = replace(
        present,
        credit_limit_micros=command.credit_limit_micros,
        alert_rules=alerts.merge_rules(present.alert_rules, command.alert_rules),
        settings_version=command.settings_version,
        auto_recharge=command.auto_recharge,
        time_zone=command.time_zone,
        pool_seconds=command.pool_seconds,
    )
    return alert_evaluation.on_configured(state, changed, at).state


def _answered(state: LedgerState, command: AnswerRecharge, at: datetime) -> Evaluation:
    """The state after an answer without a payment; an answer with a payment is an entry."""
    pending = state.recharges.pending
    if pending is None or pending.number != command.recharge.number:
        raise LedgerCorrupt(f"recharge {command.recharge.number} is not in flight")
    if detail := mismatch_detail(pending, state.currency, command.amount_micros, command.currency):
        return alert_evaluation.on_recharge_mismatch(state, pending, at, detail)
    if command.status is RechargeStatus.DECLINED:
        return alert_evaluation.on_recharge_declined(state, pending, at, hard=command.hard)
    return alert_evaluation.on_recharge_deferred(state, pending, at)


def _booked(state: LedgerState, opened: LotsById, entry: Entry) -> LedgerState:
    if entry.sequence != state.entry + 1:
        raise LedgerCorrupt(f"entry {entry.sequence}: should be number {state.entry + 1}")
    if entry.moved_micros != entry.amount_micros:
        raise LedgerCorrupt(f"entry {entry.sequence}: lots and deficit moved by another amount")
    lots = {lot.id: lot for lot in state.lots}
    expired = {lot.id: lot for lot in state.expired}
    if entry.lot is not None:
        opened[entry.lot.id] = entry.lot
        lots[entry.lot.id] = entry.lot
    for draw in entry.draws:
        lot = lots.get(draw.lot) or _reopened(opened, entry, draw.lot)
        left = lot.remaining_micros - draw.amount_micros
        if left < 0:
            raise LedgerCorrupt(f"entry {entry.sequence}: {draw.lot} does not hold what it paid")
        lots[draw.lot] = replace(lot, remaining_micros=left)
        if entry.kind is EntryKind.EXPIRY:
            expired_micros = expired[draw.lot].remaining_micros if draw.lot in expired else 0
            expired[draw.lot] = replace(lot, remaining_micros=expired_micros + draw.amount_micros)
        elif entry.restores_lot:
            expired_micros = expired[draw.lot].remaining_micros + draw.amount_micros
            expired[draw.lot] = replace(expired[draw.lot], remaining_micros=expired_micros)
    balance = state.balance_micros + entry.amount_micros
    if entry.balance_micros != balance:
        raise LedgerCorrupt(f"entry {entry.sequence}: its balance is not the running sum")
    pools = state.pools
    if entry.pool is not None:
        pools, _ = after_draw(pools, entry.pool, state.pool_seconds)
    is_top_up = entry.kind in {EntryKind.TOP_UP, EntryKind.GRANT}
    is_charge = entry.kind is EntryKind.DEBIT and entry.amount_micros != 0
    return replace(
        state,
        entry=entry.sequence,
        balance_micros=balance,
        deficit_micros=state.deficit_micros + entry.deficit_micros,
        lots=by_age(lots.values()),
        expired=by_age(expired.values()),
        pools=pools,
        last_top_up_micros=entry.amount_micros if is_top_up else state.last_top_up_micros,
        last_charge_micros=-entry.amount_micros if is_charge else state.last_charge_micros,
    )


def _reopened(opened: LotsById, entry: Entry, lot: str) -> Lot:
    if lot not in opened:
        raise LedgerCorrupt(f"entry {entry.sequence}: no entry opened {lot}")
    return replace(opened[lot], remaining_micros=0)


def _forget(state: LedgerState, now: datetime) -> LedgerState:
    oldest = now - timedelta(hours=limits.LATE_LEG_HOURS)
    kept = tuple(lot for lot in state.expired if lot.expires_at and lot.expires_at > oldest)
    return replace(state, expired=kept)
