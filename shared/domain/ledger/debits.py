"""The debit of a leg, with the included minutes and the lots that pay it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.credits.alerts import Event
from shared.domain.credits.included_minutes import PoolDraw, after_draw, left_seconds
from shared.domain.credits.lots import Draw, by_age, draw, give_back
from shared.domain.ledger.booking import book, decided
from shared.domain.ledger.model import DebitLeg, Decision, Entry, EntryKind, LedgerState


def debit(state: LedgerState, command: DebitLeg, now: datetime) -> Decision:
    """A debit is never refused: what no lot covers becomes deficit (promise 4).

    Lots that had expired when the leg was answered don't pay. A lot that expired since then gets
    the drawn amount back first, for 72 hours (docs/credits.md). Included minutes come first.
    """
    state, command, taken, events = _pooled(state, command)
    with_restored, restored = _restore_expired(state, command, now)
    drawn = draw(with_restored.lots, command.amount_micros, valid_at=_valid_from(command, now))
    changed, entry = book(
        with_restored,
        EntryKind.DEBIT,
        -command.amount_micros,
        now,
        lots=drawn.lots,
        draws=drawn.draws,
        deficit_micros=drawn.uncovered_micros,
        leg=command.leg,
        authorization=command.authorization,
        hold=command.hold,
        content_digest=command.digest,
        charge_digest=command.charge_digest,
        person_digest=command.person_digest,
        charge=command.charge,
        organizer=_organizer(command.person),
        pool=taken,
        charge_micros=command.amount_micros,
    )
    return decided(state, changed, command, *restored, entry, *events)


def _pooled(
    state: LedgerState, command: DebitLeg
) -> tuple[LedgerState, DebitLeg, PoolDraw | None, tuple[Event, ...]]:
    """(state, leg, draw, notices) after the month's pool paid its remaining seconds of the leg."""
    request = command.pool
    if request is None:
        return state, command, None, ()
    seconds = min(request.seconds, left_seconds(state.pools, request.month, state.pool_seconds))
    if seconds <= 0:
        return state, replace(command, pool=None), None, ()
    rest = request.after(seconds)
    paid = replace(
        command,
        amount_micros=rest.amount_micros,
        charge=rest.charge,
        charge_digest=rest.digest,
        pool=None,
    )
    taken = PoolDraw(request.month, seconds)
    pools, events = after_draw(state.pools, taken, state.pool_seconds)
    return replace(state, pools=pools), paid, taken, events


def _restore_expired(
    state: LedgerState, command: DebitLeg, now: datetime
) -> tuple[LedgerState, tuple[Entry, ...]]:
    """Return to expired lots the amount that a late leg draws from them; the leg was answered
    before their expiry. First in, first out applies to open and expired lots together: an older
    open lot pays first.
    """
    if not state.expired:
        return state, ()
    open_micros = {lot.id: lot.remaining_micros for lot in state.lots}
    expired = {lot.id: lot for lot in state.expired}
    valid = state.lots
    for lot in state.expired:
        valid = give_back(valid, lot, lot.remaining_micros)
    drawn = draw(valid, command.amount_micros, valid_at=_valid_from(command, now))
    entries: list[Entry] = []
    for part in drawn.draws:
        amount = part.amount_micros - open_micros.get(part.lot, 0)
        if amount <= 0:
            continue
        lot = expired[part.lot]
        remaining = replace(lot, remaining_micros=lot.remaining_micros - amount)
        others = tuple(each for each in state.expired if each.id != lot.id)
        state, entry = book(
            replace(state, expired=by_age((*others, remaining))),
            EntryKind.REVERSAL,
            amount,
            now,
            lots=give_back(state.lots, lot, amount),
            draws=(Draw(lot.id, -amount),),
            reason="A late leg was answered before the lot expired.",
        )
        entries.append(entry)
    return state, tuple(entries)


def _organizer(person: Mapping[str, object]) -> str | None:
    name = person.get("organizer")
    return name if isinstance(name, str) else None


def _valid_from(command: DebitLeg, now: datetime) -> datetime:
    """A lot pays if it expires after this: valid when the leg was answered, and expired for less
    than 72 hours, whether or not its expiry is booked yet."""
    return max(command.answered_at, now - timedelta(hours=limits.LATE_LEG_HOURS))
