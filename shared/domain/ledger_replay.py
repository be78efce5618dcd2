"""The state that a ledger's journals lead to: what `verify` expects and `restore` rebuilds.

It is told by entries alone, not by the commands that made them: a second, simpler way to the same
state, so that an error in the one is seen by the other.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain import alerts, limits
from shared.domain.errors import LedgerCorrupt
from shared.domain.ledger import (
    Entry,
    EntryKind,
    LedgerState,
    SettingsChange,
)
from shared.domain.lots import Lot, by_age

type Opened = dict[str, Lot]
"""Every lot ever opened, as it was opened, by id."""


def replay(
    state: LedgerState | None,
    opened: Opened,
    *,
    commit: int,
    at: datetime,
    entries: Sequence[Entry],
    settings: Sequence[SettingsChange] = (),
) -> LedgerState:
    """The state after a commit; `opened` learns the lots that it opened.

    Raises LedgerCorrupt, which names the entry, when lots, numbers or balance don't add up.
    """
    changes = list(settings)
    if state is None:
        if not changes:
            raise LedgerCorrupt("The first commit has no settings.")
        state = LedgerState(currency=changes[0].command.currency)
    start: LedgerState | None = None
    for entry in entries:
        state = _configured(state, changes, until=entry.sequence)
        start = start or state
        state = _booked(_forget(state, entry.at), opened, entry)
        if not entry.prelude:  # it and its preludes are one movement of the balance
            state = _alerted(start, state)
            start = None
    state = _configured(state, changes, until=state.entry + 1)
    return replace(state, commit=commit, at=at)


def _configured(state: LedgerState, changes: list[SettingsChange], *, until: int) -> LedgerState:
    while changes and changes[0].after_entry < until:
        command = changes.pop(0).command
        state = replace(
            state,
            credit_limit_micros=command.credit_limit_micros,
            alert_rules=alerts.merge_rules(state.alert_rules, command.alert_rules),
            settings_version=command.settings_version,
        )
    return state


def _booked(state: LedgerState, opened: Opened, entry: Entry) -> LedgerState:
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
            lapsed = expired[draw.lot].remaining_micros if draw.lot in expired else 0
            expired[draw.lot] = replace(lot, remaining_micros=lapsed + draw.amount_micros)
        elif entry.prelude:
            lapsed = expired[draw.lot].remaining_micros + draw.amount_micros
            expired[draw.lot] = replace(expired[draw.lot], remaining_micros=lapsed)
    balance = state.balance_micros + entry.amount_micros
    if entry.balance_micros != balance:
        raise LedgerCorrupt(f"entry {entry.sequence}: its balance is not the running sum")
    is_top_up = entry.kind in {EntryKind.TOP_UP, EntryKind.GRANT}
    is_charge = entry.kind is EntryKind.DEBIT and entry.amount_micros != 0
    return replace(
        state,
        entry=entry.sequence,
        balance_micros=balance,
        deficit_micros=state.deficit_micros + entry.deficit_micros,
        lots=by_age(lots.values()),
        expired=by_age(expired.values()),
        last_top_up_micros=entry.amount_micros if is_top_up else state.last_top_up_micros,
        last_charge_micros=-entry.amount_micros if is_charge else state.last_charge_micros,
    )


def _reopened(opened: Opened, entry: Entry, lot: str) -> Lot:
    if lot not in opened:
        raise LedgerCorrupt(f"entry {entry.sequence}: nobody opened {lot}")
    return replace(opened[lot], remaining_micros=0)


def _forget(state: LedgerState, now: datetime) -> LedgerState:
    oldest = now - timedelta(hours=limits.LATE_LEG_HOURS)
    kept = tuple(lot for lot in state.expired if lot.expires_at and lot.expires_at > oldest)
    return replace(state, expired=kept)


def _alerted(before: LedgerState, after: LedgerState) -> LedgerState:
    rules, _ = alerts.crossings(
        after.alert_rules,
        falling=after.balance_micros < before.balance_micros,
        balance_micros=after.balance_micros,
        currency=after.currency,
        last_top_up_micros=after.last_top_up_micros,
        last_charge_micros=after.last_charge_micros,
    )
    return replace(after, alert_rules=rules)
