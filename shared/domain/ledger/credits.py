"""Commands that add credits or expire them: top-ups, adjustments, expiries, answers to
recharges."""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import Conflict, FieldError, Invalid
from shared.domain.common.money import format_amount
from shared.domain.credits import event_payloads
from shared.domain.credits.lots import Draw, LotKind, add_months, by_age, draw
from shared.domain.credits.recharge import (
    IN_FLIGHT,
    Recharge,
    RechargeStatus,
    mismatch,
    mismatch_detail,
)
from shared.domain.ledger import alert_evaluation
from shared.domain.ledger.booking import book, decided, lots_full, open_lot, to_decision
from shared.domain.ledger.model import (
    Adjust,
    AnswerRecharge,
    CommandRefused,
    Decision,
    EntryKind,
    ExpireLot,
    LedgerState,
    TopUp,
    Unchanged,
)


def top_up(state: LedgerState, command: TopUp, now: datetime) -> Decision:
    """Bought or granted credits: a separate lot. Bought credits last 12 months."""
    if command.amount_micros <= 0:
        return _refused("/amount", "must be above zero", code="amount_not_positive")
    if command.expires_at is not None and command.expires_at <= now:
        return _refused("/expires_at", "must be in the future", code="expiry_in_the_past")
    if refused := lots_full(state):
        return refused
    expires_at = command.expires_at
    if expires_at is None and command.kind is LotKind.PURCHASED:
        expires_at = add_months(now, limits.LOT_LIFE_MONTHS)
    credited, entry = open_lot(
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
    topped_up = event_payloads.topped_up(command.amount_micros)
    return decided(state, credited, command, entry, topped_up)


def adjust(state: LedgerState, command: Adjust, now: datetime) -> Decision:
    """A manual correction: it opens a lot, or is drawn from the lots first in, first out."""
    if command.amount_micros == 0:
        return _refused("/amount", "must not be zero", code="amount_zero")
    if command.amount_micros < 0:
        if not command.allow_overdraft and (refused := _overdraft(state, command)):
            return refused
        drawn = draw(state.lots, -command.amount_micros, valid_at=now)
        changed, entry = book(
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
        return decided(state, changed, command, entry)
    if refused := lots_full(state):
        return refused
    changed, entry = open_lot(
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
    return decided(state, changed, command, entry)


def _overdraft(state: LedgerState, command: Adjust) -> CommandRefused | None:
    """The refusal of an adjustment that draws more than balance + credit limit."""
    covered = max(0, state.balance_micros + state.credit_limit_micros)
    if -command.amount_micros <= covered:
        return None
    rule = (
        f"draws more than balance + credit limit, {format_amount(covered)}; "
        'send "allow_overdraft": true to book it nevertheless'
    )
    return _refused("/amount", rule, code="overdraft_not_allowed")


def expire(state: LedgerState, command: ExpireLot, now: datetime) -> Decision:
    """The rest of a lot expires, except the part that open holds have reserved: that part expires
    once they end. For 72 hours, while late legs may draw on it, holds lie on the lots first in,
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
    changed, entry = book(
        state,
        EntryKind.EXPIRY,
        -amount,
        now,
        lots=tuple(each for each in lots if each.remaining_micros),
        draws=(Draw(lot.id, amount),),
        reason=f"{lot.id} expired.",
    )
    expired_micros = next((each.remaining_micros for each in state.expired if each.id == lot.id), 0)
    others = tuple(each for each in state.expired if each.id != lot.id)
    emptied = replace(lot, remaining_micros=expired_micros + amount)
    return decided(state, replace(changed, expired=by_age((*others, emptied))), command, entry)


def answer(state: LedgerState, command: AnswerRecharge, now: datetime) -> Decision:
    """The payment side's answer. Money that has moved is credited, however late the answer is; an
    answer that does not fit is kept with the recharge until a person decides."""
    pending = state.recharges.pending
    recharge_record = (
        pending if pending and pending.number == command.recharge.number else command.recharge
    )
    if recharge_record.status is RechargeStatus.SUCCEEDED:
        if command.status is RechargeStatus.SUCCEEDED:
            return Unchanged()
        return CommandRefused(
            Conflict(
                "The recharge has succeeded and is credited. "
                "Book an adjustment to take the credits back.",
                code="recharge_settled",
            )
        )
    if recharge_record is not pending and recharge_record.status in IN_FLIGHT:
        return CommandRefused(
            Conflict(
                "The recharge was answered by another request. Send the result again.",
                code="recharge_moved_on",
            )
        )
    if detail := mismatch_detail(
        recharge_record, state.currency, command.amount_micros, command.currency
    ):
        if recharge_record.status not in IN_FLIGHT:
            return CommandRefused(mismatch(detail))
        if recharge_record.status is RechargeStatus.PARKED and recharge_record.detail == detail:
            return Unchanged()
        return to_decision(
            alert_evaluation.on_recharge_mismatch(state, recharge_record, now, detail), command
        )
    if command.status is RechargeStatus.SUCCEEDED:
        return _paid(state, command, recharge_record, now)
    if recharge_record.status is RechargeStatus.DECLINED:
        return Unchanged()
    if command.status is RechargeStatus.DECLINED:
        recharge_record = replace(
            recharge_record, reference=command.reference, answered_at=now, detail=None
        )
        return to_decision(
            alert_evaluation.on_recharge_declined(state, recharge_record, now, hard=command.hard),
            command,
        )
    if recharge_record.status is RechargeStatus.PENDING:
        return Unchanged()
    return to_decision(alert_evaluation.on_recharge_deferred(state, recharge_record, now), command)


def _paid(
    state: LedgerState, command: AnswerRecharge, recharge_record: Recharge, now: datetime
) -> Decision:
    """A recharge's money comes in as a top-up, once, under the recharge's id."""
    if refused := lots_full(state):
        return refused
    credited, entry = open_lot(
        state,
        EntryKind.TOP_UP,
        LotKind.PURCHASED,
        recharge_record.amount_micros,
        add_months(now, limits.LOT_LIFE_MONTHS),
        now,
        reference=command.reference,
        actor=command.actor,
        key=command.key,
        content_digest=command.digest,
        recharge=recharge_record.number,
    )
    credited = replace(credited, last_top_up_micros=recharge_record.amount_micros)
    paid = replace(
        recharge_record,
        status=RechargeStatus.SUCCEEDED,
        ask_at=None,
        answered_at=now,
        reference=command.reference,
        detail=None,
        entry=entry.sequence,
    )
    event = event_payloads.topped_up(recharge_record.amount_micros)
    return decided(state, credited, command, entry, event, paid=paid)


def _refused(pointer: str, rule: str, *, code: str) -> CommandRefused:
    """One field of the command breaks a rule."""
    detail = f"The field {pointer.removeprefix('/')} {rule}."
    return CommandRefused(Invalid(detail, (FieldError(pointer, rule),), code=code))
