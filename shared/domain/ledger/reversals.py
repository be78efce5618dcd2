"""Reversals of debits, alone or as part of a re-rating."""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.credits.included_minutes import PoolDraw, after_draw
from shared.domain.credits.lots import Draw, Lot, LotKind, by_age, draw, give_back, lot_id
from shared.domain.ledger.booking import book, decided, too_many_lots
from shared.domain.ledger.model import (
    Decision,
    Entry,
    EntryKind,
    LedgerState,
    RerateLeg,
    ReverseLeg,
)


def reverse(state: LedgerState, command: ReverseLeg, now: datetime) -> Decision:
    """Reverse a debit: the amount pays the deficit first, then returns to the lots that paid. The
    part of a lot that has expired, or that no entry names, opens a grant of 30 days
    (docs/credits.md)."""
    taken = _take_back(state, command, now)
    if taken is None:
        return too_many_lots()
    changed, entry = taken
    return decided(state, changed, command, entry)


def rerate(state: LedgerState, command: RerateLeg, now: datetime) -> Decision:
    """Reverse a debit and book the leg again, as one movement of the balance.

    The part that expired lots had paid pays the new charge first, as if it had been available from
    the start; only the rest becomes a grant. The rest is drawn first in, first out.
    """
    taken_back = _take_back(state, command, now, keep_micros=command.amount_micros)
    if taken_back is None:
        return too_many_lots()
    restored, reversal = taken_back
    taken = None
    if reversal.pool is not None:  # what the pool paid of the leg it pays again
        taken = PoolDraw(reversal.pool.month, -reversal.pool.seconds)
        pools, _ = after_draw(restored.pools, taken, restored.pool_seconds)
        restored = replace(restored, pools=pools)
    kept = {
        lot.id: -part.amount_micros
        for lot in command.paid
        if not lot.valid_at(now)
        for part in reversal.draws
        if part.lot == lot.id
    }
    lots = by_age(
        replace(lot, remaining_micros=lot.remaining_micros - kept.get(lot.id, 0))
        for lot in restored.lots
    )
    rest = command.amount_micros - sum(kept.values())
    drawn = draw(lots, rest, valid_at=now)
    changed, entry = book(
        restored,
        EntryKind.DEBIT,
        -command.amount_micros,
        now,
        lots=drawn.lots,
        draws=(*(Draw(name, amount) for name, amount in kept.items()), *drawn.draws),
        deficit_micros=drawn.uncovered_micros,
        leg=command.leg,
        authorization=command.debit.authorization,
        organizer=command.debit.organizer,
        rerates=command.debit.sequence,
        reason=command.reason,
        actor=command.actor,
        content_digest=command.debit.content_digest,
        charge_digest=command.charge_digest,
        charge=command.charge,
        pool=taken,
        charge_micros=command.amount_micros,
    )
    return decided(state, changed, command, reversal, entry)


def _take_back(
    state: LedgerState,
    command: ReverseLeg | RerateLeg,
    now: datetime,
    *,
    keep_micros: int = 0,
) -> tuple[LedgerState, Entry] | None:
    """The reversal of a debit; None when it would open one lot too many.

    `keep_micros` of the part that expired lots had paid returns to them: the next entry takes that.
    """
    debit = command.debit
    amount = -debit.amount_micros
    owed = min(state.deficit_micros, amount)
    older_debts = max(0, owed - debit.deficit_micros)  # paid by the lots again, first in first out
    left = amount - owed
    lots = state.lots
    draws: list[Draw] = []
    paid = {lot.id: lot for lot in command.paid}
    expired: list[tuple[Lot, int]] = []
    for part in debit.draws:
        lot = paid.get(part.lot)
        if lot is None:
            continue
        if not lot.valid_at(now):
            expired.append((lot, part.amount_micros))
            continue
        back = max(0, part.amount_micros - older_debts)
        older_debts -= part.amount_micros - back
        if back:
            lots = give_back(lots, lot, back)
            draws.append(Draw(lot.id, -back))
            left -= back
    for lot, paid_micros in expired:
        back = min(paid_micros, keep_micros, left)
        if back:
            lots = give_back(lots, lot, back)
            draws.append(Draw(lot.id, -back))
            keep_micros -= back
            left -= back
    sequence = state.entry + 1
    grant = None
    if left:
        expires_at = now + timedelta(days=limits.REVERSAL_GRANT_DAYS)
        grant = Lot(lot_id(sequence), LotKind.GRANTED, left, left, now, expires_at)
        lots = (*lots, grant)
    if len(lots) > max(limits.OPEN_LOTS_MAX, len(state.lots)):
        return None
    given_back = None
    if debit.pool is not None and any(pool.month == debit.pool.month for pool in state.pools):
        given_back = PoolDraw(debit.pool.month, -debit.pool.seconds)
        pools, _ = after_draw(state.pools, given_back, state.pool_seconds)
        state = replace(state, pools=pools)
    return book(
        state,
        EntryKind.REVERSAL,
        amount,
        now,
        lots=lots,
        draws=tuple(draws),
        deficit_micros=-owed,
        lot=grant,
        leg=command.leg,
        authorization=debit.authorization,
        organizer=debit.organizer,
        reverses=debit.sequence,
        rerates=debit.sequence if isinstance(command, RerateLeg) else None,
        reason=command.reason,
        actor=command.actor,
        content_digest=command.digest,
        pool=given_back,
    )
