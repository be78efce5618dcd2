"""Functions that append an entry to the state, and functions that complete a decision."""

from datetime import datetime
from typing import Any

from shared.domain.common import limits
from shared.domain.common.copying import fast_replace
from shared.domain.common.errors import Conflict
from shared.domain.credits.alerts import Event
from shared.domain.credits.lots import Lot, LotKind, lot_id
from shared.domain.credits.recharge import Recharge
from shared.domain.ledger import alert_evaluation
from shared.domain.ledger.effects import Evaluation
from shared.domain.ledger.model import (
    Command,
    CommandRefused,
    Decided,
    Entry,
    EntryKind,
    LedgerState,
)


def open_lot(
    state: LedgerState,
    kind: EntryKind,
    lot_kind: LotKind,
    amount_micros: int,
    expires_at: datetime | None,
    now: datetime,
    **words: Any,
) -> tuple[LedgerState, Entry]:
    """A new lot first pays the deficit (docs/credits.md)."""
    owed = min(state.deficit_micros, amount_micros)
    left = amount_micros - owed
    lot = Lot(lot_id(state.entry + 1), lot_kind, amount_micros, left, now, expires_at)
    lots = (*state.lots, lot) if left else state.lots
    return book(state, kind, amount_micros, now, lots=lots, deficit_micros=-owed, lot=lot, **words)


def book(
    state: LedgerState,
    kind: EntryKind,
    amount_micros: int,
    now: datetime,
    *,
    lots: tuple[Lot, ...],
    deficit_micros: int = 0,
    charge_micros: int = 0,
    **words: Any,
) -> tuple[LedgerState, Entry]:
    """The next entry, and the state with it. `charge_micros` is the cost of a leg: a free leg does
    not change the measure of the last charge."""
    changed = fast_replace(
        state,
        entry=state.entry + 1,
        balance_micros=state.balance_micros + amount_micros,
        deficit_micros=state.deficit_micros + deficit_micros,
        lots=lots,
        last_charge_micros=charge_micros or state.last_charge_micros,
        at=now,
    )
    entry = Entry(
        sequence=changed.entry,
        kind=kind,
        amount_micros=amount_micros,
        balance_micros=changed.balance_micros,
        at=now,
        deficit_micros=deficit_micros,
        **words,
    )
    return changed, entry


def decided(
    before: LedgerState,
    after: LedgerState,
    command: Command,
    *outcome: Entry | Event,
    paid: Recharge | None = None,
) -> Decided:
    """The decision with the effects of the movement of the balance: events, recharges and due
    times."""
    entries = tuple(each for each in outcome if isinstance(each, Entry))
    events = (each for each in outcome if isinstance(each, Event))
    return to_decision(
        alert_evaluation.on_posted(before, after, entries[-1], events, paid), command, entries
    )


def to_decision(
    evaluation: Evaluation, command: Command, entries: tuple[Entry, ...] = ()
) -> Decided:
    """The decision that an evaluation leads to."""
    state = (
        evaluation.state
        if evaluation.state.at == evaluation.at
        else fast_replace(evaluation.state, at=evaluation.at)
    )
    return Decided(state, command, entries, tuple(evaluation.events), tuple(evaluation.due))


def lots_full(state: LedgerState) -> CommandRefused | None:
    """The refusal of another lot, if the maximum number of lots is open."""
    return None if len(state.lots) < limits.OPEN_LOTS_MAX else too_many_lots()


def too_many_lots() -> CommandRefused:
    """The refusal of a command that would open too many lots."""
    return CommandRefused(
        Conflict(
            f"The account has {limits.OPEN_LOTS_MAX} open lots. "
            "Use credits up, or let lots expire.",
            code="too_many_lots",
        )
    )
