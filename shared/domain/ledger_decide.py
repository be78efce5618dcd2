"""The one decision function of the ledger: total, pure, without a clock."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.domain import alerts, limits, notices, watch
from shared.domain.alerts import Event
from shared.domain.errors import Conflict, Invalid
from shared.domain.ledger import (
    Acknowledge,
    Adjust,
    Announce,
    AnswerRecharge,
    Command,
    Configure,
    DebitLeg,
    Decided,
    Decision,
    Entry,
    EntryKind,
    ExpireLot,
    LedgerState,
    Refused,
    RerateLeg,
    ReverseLeg,
    Tick,
    TopUp,
    Unchanged,
    check,
)
from shared.domain.look import Look
from shared.domain.lots import Draw, Lot, LotKind, add_months, by_age, draw, give_back, lot_id
from shared.domain.pools import PoolDraw, after_draw, left_seconds
from shared.domain.recharge import IN_FLIGHT, Recharge, RechargeStatus, misfit


def decide(state: LedgerState | None, command: Command, now: datetime) -> Decision:
    """The next state, the entries that tell it, and what others must hear of.

    `state` is None before the ledger is opened. Times never run backwards in the entries: an
    earlier `now` counts as the time of the last commit. Raises LedgerCorrupt when an invariant
    breaks: then nothing may be written.
    """
    moment = max(now, state.at) if state and state.at else now
    if isinstance(command, Configure):
        return _configure(state, command, moment)
    if state is None:
        return Refused(Conflict("The account's ledger is not open yet.", code="ledger_not_open"))
    state = _forget_expired(state, moment)
    match command:
        case TopUp():
            decision = _top_up(state, command, moment)
        case Adjust():
            decision = _adjust(state, command, moment)
        case DebitLeg():
            decision = _debit(state, command, moment)
        case ReverseLeg():
            decision = _reverse(state, command, moment)
        case RerateLeg():
            decision = _rerate(state, command, moment)
        case ExpireLot():
            decision = _expire(state, command, moment)
        case AnswerRecharge():
            decision = _answer(state, command, moment)
        case Tick() | Acknowledge() | Announce():
            decision = _watch(state, command, moment)
    if isinstance(decision, Decided):
        check(decision.state)
    return decision


def _watch(state: LedgerState, command: Tick | Acknowledge | Announce, now: datetime) -> Decision:
    match command:
        case Tick():
            look = watch.ticked(state, now)
        case Acknowledge():
            look = watch.acknowledged(state, command.alert, now)
        case Announce():
            look = watch.announced(state, command, now)
    return Unchanged() if look is None else _looked(look, command)


def _configure(state: LedgerState | None, command: Configure, now: datetime) -> Decision:
    before = state
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
        auto_recharge=command.auto_recharge,
        time_zone=command.time_zone,
        pool_seconds=command.pool_seconds,
        at=now,
    )
    return _looked(watch.configured(before, changed, now), command)


def _top_up(state: LedgerState, command: TopUp, now: datetime) -> Decision:
    if command.amount_micros <= 0:
        return Refused(Invalid("The amount must be above zero.", code="amount_not_positive"))
    if command.expires_at is not None and command.expires_at <= now:
        return Refused(Invalid("The expiry is in the past.", code="expiry_in_the_past"))
    if refused := _lots_full(state):
        return refused
    expires_at = command.expires_at
    if expires_at is None and command.kind is LotKind.PURCHASED:
        expires_at = add_months(now, limits.LOT_LIFE_MONTHS)
    credited, entry = _open_lot(
        state,
        EntryKind.TOP_UP if command.kind is LotKind.PURCHASED else EntryKind.GRANT,
        command.kind,
        command.amount_micros,
        expires_at,
        now,
        reference=command.reference,
        actor=command.actor,
        key=command.key,
        content_digest=command.digest,
    )
    credited = replace(credited, last_top_up_micros=command.amount_micros)
    topped_up = notices.topped_up(command.amount_micros)
    return _decided(state, credited, command, entry, topped_up)


def _adjust(state: LedgerState, command: Adjust, now: datetime) -> Decision:
    if command.amount_micros == 0:
        return Refused(Invalid("The amount must not be zero.", code="amount_zero"))
    if command.amount_micros < 0:
        drawn = draw(state.lots, -command.amount_micros, valid_at=now)
        changed, entry = _book(
            state,
            EntryKind.ADJUSTMENT,
            command.amount_micros,
            now,
            lots=drawn.lots,
            draws=drawn.draws,
            deficit_micros=drawn.uncovered_micros,
            reason=command.reason,
            actor=command.actor,
            key=command.key,
            content_digest=command.digest,
        )
        return _decided(state, changed, command, entry)
    if refused := _lots_full(state):
        return refused
    changed, entry = _open_lot(
        state,
        EntryKind.ADJUSTMENT,
        LotKind.GRANTED,
        command.amount_micros,
        None,
        now,
        reason=command.reason,
        actor=command.actor,
        key=command.key,
        content_digest=command.digest,
    )
    return _decided(state, changed, command, entry)


def _debit(state: LedgerState, command: DebitLeg, now: datetime) -> Decision:
    """A debit is never refused: what no lot covers becomes deficit (promise 4).

    Lots that had expired when the leg was answered don't pay. One that an expiry emptied since then
    is first given back what the leg draws, for 72 hours (DESIGN 7). Included minutes come first.
    """
    state, command, taken, told = _pooled(state, command)
    revived, restored = _revive(state, command, now)
    drawn = draw(revived.lots, command.amount_micros, valid_at=_reach(command, now))
    changed, entry = _book(
        revived,
        EntryKind.DEBIT,
        -command.amount_micros,
        now,
        lots=drawn.lots,
        draws=drawn.draws,
        deficit_micros=drawn.uncovered_micros,
        leg=command.leg,
        authorization=command.authorization,
        content_digest=command.digest,
        charge_digest=command.charge_digest,
        person_digest=command.person_digest,
        charge=command.charge,
        pool=taken,
    )
    if command.amount_micros:  # a free leg says nothing about how far a charge moves the balance
        changed = replace(changed, last_charge_micros=command.amount_micros)
    return _decided(state, changed, command, *restored, entry, *told)


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
        state, entry = _book(
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


def _reach(command: DebitLeg, now: datetime) -> datetime:
    """A lot pays if it expires after this: valid when the leg was answered, and expired for less
    than 72 hours, whether or not its expiry is booked yet."""
    return max(command.answered_at, now - timedelta(hours=limits.LATE_LEG_HOURS))


def _reverse(state: LedgerState, command: ReverseLeg, now: datetime) -> Decision:
    """Give a debit back: it pays what is owed first, then goes to the lots that paid; the part of
    a lot that has expired, or that nobody can name, opens a grant of 30 days (DESIGN 7)."""
    taken = _take_back(state, command, now)
    if taken is None:
        return _too_many_lots()
    changed, entry = taken
    return _decided(state, changed, command, entry)


def _rerate(state: LedgerState, command: RerateLeg, now: datetime) -> Decision:
    """Take a debit back and book the leg anew, as one movement of the balance.

    What expired lots had paid pays the new charge first, as if it had been there from the start;
    only what it leaves of them becomes a grant. The rest is drawn first in, first out.
    """
    taken_back = _take_back(state, command, now, keep_micros=command.amount_micros)
    if taken_back is None:
        return _too_many_lots()
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
    changed, entry = _book(
        restored,
        EntryKind.DEBIT,
        -command.amount_micros,
        now,
        lots=drawn.lots,
        draws=(*(Draw(name, amount) for name, amount in kept.items()), *drawn.draws),
        deficit_micros=drawn.uncovered_micros,
        leg=command.leg,
        rerates=command.debit.sequence,
        reason=command.reason,
        actor=command.actor,
        content_digest=command.debit.content_digest,
        charge_digest=command.charge_digest,
        charge=command.charge,
        pool=taken,
    )
    if command.amount_micros:
        changed = replace(changed, last_charge_micros=command.amount_micros)
    return _decided(state, changed, command, reversal, entry)


def _take_back(
    state: LedgerState,
    command: ReverseLeg | RerateLeg,
    now: datetime,
    *,
    keep_micros: int = 0,
) -> tuple[LedgerState, Entry] | None:
    """The reversal of a debit; None when it would open one lot too many.

    `keep_micros` of what expired lots had paid goes back to them: the entry after it takes that.
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
    return _book(
        state,
        EntryKind.REVERSAL,
        amount,
        now,
        lots=lots,
        draws=tuple(draws),
        deficit_micros=-owed,
        lot=grant,
        leg=command.leg,
        reverses=debit.sequence,
        rerates=debit.sequence if isinstance(command, RerateLeg) else None,
        reason=command.reason,
        actor=command.actor,
        content_digest=command.digest,
        pool=given_back,
    )


def _expire(state: LedgerState, command: ExpireLot, now: datetime) -> Decision:
    """What is left of a lot lapses, but never what open holds have reserved: that part lapses once
    they are gone. For 72 hours, while late legs may draw on it, holds lie on the lots first in,
    first out; after that they count on it only where nothing else covers them."""
    lot = next((each for each in state.lots if each.id == command.lot), None)
    if lot is None or lot.expires_at is None or lot.valid_at(now):
        return Unchanged()
    free = max(0, state.balance_micros - command.held_micros)
    if now < lot.expires_at + timedelta(hours=limits.LATE_LEG_HOURS):
        older = sum(each.remaining_micros for each in state.lots[: state.lots.index(lot)])
        free = min(free, lot.remaining_micros - max(0, command.held_micros - older))
    amount = min(lot.remaining_micros, free)
    if amount <= 0:
        return Unchanged()
    rest = replace(lot, remaining_micros=lot.remaining_micros - amount)
    lots = tuple(rest if each.id == lot.id else each for each in state.lots)
    changed, entry = _book(
        state,
        EntryKind.EXPIRY,
        -amount,
        now,
        lots=tuple(each for each in lots if each.remaining_micros),
        draws=(Draw(lot.id, amount),),
        reason=f"{lot.id} expired.",
    )
    lapsed = next((each.remaining_micros for each in state.expired if each.id == lot.id), 0)
    others = tuple(each for each in state.expired if each.id != lot.id)
    emptied = replace(lot, remaining_micros=lapsed + amount)
    return _decided(state, replace(changed, expired=by_age((*others, emptied))), command, entry)


def _answer(state: LedgerState, command: AnswerRecharge, now: datetime) -> Decision:
    """The payment side's answer. Money that has moved is credited, however late the answer is; an
    answer that does not fit is kept with the recharge until a person has looked at it."""
    known = state.recharges.pending
    asked = known if known and known.number == command.recharge.number else command.recharge
    if asked.status is RechargeStatus.SUCCEEDED:
        if command.status is RechargeStatus.SUCCEEDED:
            return Unchanged()
        return Refused(Conflict("The recharge has succeeded.", code="recharge_settled"))
    if asked is not known and asked.status in IN_FLIGHT:
        return Refused(Conflict("The recharge was answered meanwhile.", code="recharge_moved_on"))
    if detail := misfit(asked, state.currency, command.amount_micros, command.currency):
        if asked.status not in IN_FLIGHT:
            return Refused(Invalid(detail, code="recharge_mismatch"))
        if asked.status is RechargeStatus.PARKED and asked.detail == detail:
            return Unchanged()
        return _looked(watch.mismatched(state, asked, now, detail), command)
    if command.status is RechargeStatus.SUCCEEDED:
        return _paid(state, command, asked, now)
    if asked.status is RechargeStatus.DECLINED:
        return Unchanged()
    if command.status is RechargeStatus.DECLINED:
        asked = replace(asked, reference=command.reference, answered_at=now, detail=None)
        return _looked(watch.declined(state, asked, now, hard=command.hard), command)
    if asked.status is RechargeStatus.PENDING:
        return Unchanged()
    return _looked(watch.kept_waiting(state, asked, now), command)


def _paid(state: LedgerState, command: AnswerRecharge, asked: Recharge, now: datetime) -> Decision:
    """A recharge's money comes in as a top-up, once, under the recharge's id."""
    if refused := _lots_full(state):
        return refused
    credited, entry = _open_lot(
        state,
        EntryKind.TOP_UP,
        LotKind.PURCHASED,
        asked.amount_micros,
        add_months(now, limits.LOT_LIFE_MONTHS),
        now,
        reference=command.reference,
        actor=command.actor,
        key=command.key,
        content_digest=command.digest,
        recharge=asked.number,
    )
    credited = replace(credited, last_top_up_micros=asked.amount_micros)
    paid = replace(
        asked,
        status=RechargeStatus.SUCCEEDED,
        ask_at=None,
        answered_at=now,
        reference=command.reference,
        detail=None,
        entry=entry.sequence,
    )
    told = notices.topped_up(asked.amount_micros)
    return _decided(state, credited, command, entry, told, paid=paid)


def _open_lot(
    state: LedgerState,
    kind: EntryKind,
    lot_kind: LotKind,
    amount_micros: int,
    expires_at: datetime | None,
    now: datetime,
    **words: Any,
) -> tuple[LedgerState, Entry]:
    """A new lot first pays what is owed (DESIGN 7)."""
    owed = min(state.deficit_micros, amount_micros)
    left = amount_micros - owed
    lot = Lot(lot_id(state.entry + 1), lot_kind, amount_micros, left, now, expires_at)
    lots = (*state.lots, lot) if left else state.lots
    return _book(state, kind, amount_micros, now, lots=lots, deficit_micros=-owed, lot=lot, **words)


def _book(
    state: LedgerState,
    kind: EntryKind,
    amount_micros: int,
    now: datetime,
    *,
    lots: tuple[Lot, ...],
    deficit_micros: int = 0,
    **words: Any,
) -> tuple[LedgerState, Entry]:
    """The next entry, and the state with it."""
    changed = replace(
        state,
        entry=state.entry + 1,
        balance_micros=state.balance_micros + amount_micros,
        deficit_micros=state.deficit_micros + deficit_micros,
        lots=lots,
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


def _decided(
    before: LedgerState,
    after: LedgerState,
    command: Command,
    *told: Entry | Event,
    paid: Recharge | None = None,
) -> Decided:
    """The decision, with all that follows from the movement of the balance."""
    entries = tuple(each for each in told if isinstance(each, Entry))
    events = (each for each in told if isinstance(each, Event))
    return _looked(watch.moved(before, after, entries[-1], events, paid), command, entries)


def _looked(look: Look, command: Command, entries: tuple[Entry, ...] = ()) -> Decided:
    return Decided(
        replace(look.state, at=look.at), command, entries, tuple(look.events), tuple(look.due)
    )


def _lots_full(state: LedgerState) -> Refused | None:
    return None if len(state.lots) < limits.OPEN_LOTS_MAX else _too_many_lots()


def _too_many_lots() -> Refused:
    return Refused(Conflict(f"{limits.OPEN_LOTS_MAX} lots are open already.", code="too_many_lots"))


def _forget_expired(state: LedgerState, now: datetime) -> LedgerState:
    """Lots whose 72 hours are over are out of reach even for a late leg."""
    oldest = now - timedelta(hours=limits.LATE_LEG_HOURS)
    kept = tuple(lot for lot in state.expired if lot.expires_at and lot.expires_at > oldest)
    return state if len(kept) == len(state.expired) else replace(state, expired=kept)
