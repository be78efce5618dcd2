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

    Lots that had expired when the leg was answered don't pay. One that an expiry emptied since then
    is first given back what the leg draws, for 72 hours (docs/credits.md). Included minutes
    come first.
    """
    state, command, taken, told = _pooled(state, command)
    revived, restored = _revive(state, command, now)
    drawn = draw(revived.lots, command.amount_micros, valid_at=_reach(command, now))
    changed, entry = book(
        revived,
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
    return decided(state, changed, command, *restored, entry, *told)


def _pooled(
    state: LedgerState, command: DebitLeg
) -> tuple[LedgerState, DebitLeg, PoolDraw | None, tuple[Event, ...]]:
    """(state, leg, draw, notices) once a month's pool has paid what it has left for the leg."""
    wish = command.pool
    if wish is None:
        return state, command, None, ()
    seconds = min(wish.seconds, left_seconds(state.pools, wish.month, state.pool_seconds))
    if seconds <= 0:
        return state, replace(command, pool=None), None, ()
    rest = wish.after(seconds)
    paid = replace(
        command,
        amount_micros=rest.amount_micros,
        charge=rest.charge,
        charge_digest=rest.digest,
        pool=None,
    )
    taken = PoolDraw(wish.month, seconds)
    pools, told = after_draw(state.pools, taken, state.pool_seconds)
    return replace(state, pools=pools), paid, taken, told


def _revive(
    state: LedgerState, command: DebitLeg, now: datetime
) -> tuple[LedgerState, tuple[Entry, ...]]:
    """Give back to expired lots what a late leg, answered before their expiry, draws on them.

    First in, first out goes over open and expired lots alike: an older open one pays first.
    """
    if not state.expired:
        return state, ()
    still_open = {lot.id: lot.remaining_micros for lot in state.lots}
    lapsed = {lot.id: lot for lot in state.expired}
    in_reach = state.lots
    for lot in state.expired:
        in_reach = give_back(in_reach, lot, lot.remaining_micros)
    drawn = draw(in_reach, command.amount_micros, valid_at=_reach(command, now))
    entries: list[Entry] = []
    for part in drawn.draws:
        amount = part.amount_micros - still_open.get(part.lot, 0)
        if amount <= 0:
            continue
        lot = lapsed[part.lot]
        left = replace(lot, remaining_micros=lot.remaining_micros - amount)
        others = tuple(each for each in state.expired if each.id != lot.id)
        state, entry = book(
            replace(state, expired=by_age((*others, left))),
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


def _reach(command: DebitLeg, now: datetime) -> datetime:
    """A lot pays if it expires after this: valid when the leg was answered, and expired for less
    than 72 hours, whether or not its expiry is booked yet."""
    return max(command.answered_at, now - timedelta(hours=limits.LATE_LEG_HOURS))
