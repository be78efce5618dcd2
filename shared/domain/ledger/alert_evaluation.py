"""The effects of a movement of the balance, a change of settings, or the passing of time.

Decisions and the replay of journals both use this module, so they raise the same alerts and request
the same recharges. Each event is emitted once: the state records armed rules, the warnings about
lots, and the recharge in flight. Later work is returned with its time, for the timer's marks.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.credits import alerts, burn_rate, event_payloads, recharge
from shared.domain.credits.alerts import Alert, AlertRule, Event, OpenAlert
from shared.domain.credits.included_minutes import month_end, pool_month
from shared.domain.credits.lots import Lot
from shared.domain.credits.recharge import CeilingReached, Recharge, RechargeStatus
from shared.domain.ledger.effects import ALERT_DUE, LOT_DUE, RECHARGE_DUE, Evaluation, repeat_at
from shared.domain.ledger.model import Announce, Entry, LedgerState

_REARM_PAUSE = timedelta(days=7)
_IN_FLIGHT_ALERTS = (alerts.RECHARGE_SUSPENDED, alerts.RECHARGE_UNANSWERED)


def on_posted(
    before: LedgerState,
    after: LedgerState,
    entry: Entry,
    own_events: Iterable[Event] = (),
    paid: Recharge | None = None,
) -> Evaluation:
    """Evaluate a movement of the balance by an entry and its preliminary entries.

    `own_events` are the events of the entry itself; `paid` is the recharge whose money it is.
    """
    evaluation = Evaluation(after, entry.at)
    for event in own_events:
        evaluation.emit(event, str(event.data.get("month", "")))
    spent = -entry.amount_micros if entry.is_first_debit else 0
    burn = burn_rate.moved(
        after.burn,
        entry.at,
        after.time_zone,
        spent_micros=spent,
        balance_micros=after.balance_micros,
    )
    evaluation.change(burn=burn)
    if entry.recharge is not None:
        _paid(evaluation, entry.recharge, paid)
    if entry.lot is not None:
        evaluation.due += lot_times(entry.lot, entry.at)
    _thresholds(
        evaluation,
        falling=after.balance_micros < before.balance_micros,
        rising=after.balance_micros > before.balance_micros,
    )
    _forget_warnings(evaluation)
    _end_of_month(evaluation)
    _request_recharge(evaluation)
    return evaluation


def on_configured(before: LedgerState | None, after: LedgerState, at: datetime) -> Evaluation:
    """Settings changed: a person may have corrected what held recharges back."""
    evaluation = Evaluation(after, at)
    rules = {rule.name for rule in after.alert_rules if not rule.armed}
    for raised in after.raised:
        if raised.type == alerts.LOW and raised.name not in rules:
            evaluation.end(alerts.LOW, raised.name)
    if before is not None:
        evaluation.change(recharges=recharge.resume(after.recharges))
        for kind in (alerts.RECHARGE_DECLINED, alerts.RECHARGE_SUSPENDED):
            evaluation.end(kind)
    if after.entry:  # an account that never had credits is not recharged before it has some
        _request_recharge(evaluation)
    return evaluation


def on_timer(state: LedgerState, at: datetime) -> Evaluation | None:
    """The work that is due now; None when there is none."""
    evaluation = Evaluation(state, at)
    _end_of_month(evaluation)
    _warn_of_lots(evaluation)
    _thresholds(evaluation, by_time=True)
    _request_recharge(evaluation)
    _retry_recharge(evaluation)
    _remind(evaluation)
    return evaluation if evaluation.events or evaluation.state is not state else None


def on_recharge_declined(
    state: LedgerState, requested: Recharge, at: datetime, *, hard: bool
) -> Evaluation:
    """The payment provider declined."""
    evaluation = Evaluation(state, at)
    recharges = recharge.declined(state.recharges, requested, at, state.time_zone, hard=hard)
    evaluation.change(recharges=recharges)
    evaluation.record_recharge(replace(requested, status=RechargeStatus.DECLINED, ask_at=None))
    evaluation.end(alerts.RECHARGE_UNANSWERED)
    event = event_payloads.recharge_declined(requested, recharges.declines, recharges.not_before)
    evaluation.emit(event, "recharge")
    if recharges.paused:
        _suspended(evaluation, recharges.held_back, None, requested)
    elif recharges.not_before is not None:
        evaluation.due.append((RECHARGE_DUE, recharges.not_before))
    return evaluation


def on_recharge_deferred(state: LedgerState, requested: Recharge, at: datetime) -> Evaluation:
    """The payment provider accepted the request and reports again later."""
    evaluation = Evaluation(state, at)
    evaluation.change(recharges=recharge.deferred(state.recharges, requested, at))
    _note_pending(evaluation)
    for kind in _IN_FLIGHT_ALERTS:
        evaluation.end(kind)
    return evaluation


def on_recharge_mismatch(
    state: LedgerState, requested: Recharge, at: datetime, detail: str
) -> Evaluation:
    """The payment provider's answer does not match: a person has to decide."""
    evaluation = Evaluation(state, at)
    evaluation.change(recharges=recharge.parked(state.recharges, requested, at, detail))
    _note_pending(evaluation)
    _suspended(evaluation, "mismatch", None, requested)
    return evaluation


def on_acknowledged(state: LedgerState, number: int, at: datetime) -> Evaluation | None:
    """Acknowledge an alert, which stays until its cause ends. None if it has ended or was
    acknowledged before."""
    evaluation = Evaluation(state, at)
    for raised in state.raised:
        if raised.number == number and not raised.acknowledged:
            acknowledged_alert = replace(raised, acknowledged=True)
            evaluation.change(
                raised=tuple(
                    acknowledged_alert if each is raised else each for each in state.raised
                )
            )
    return None if evaluation.state is state else evaluation


def on_announced(state: LedgerState, command: Announce, at: datetime) -> Evaluation | None:
    """An event outside the ledger; None if it was emitted before."""
    evaluation = Evaluation(state, at)
    if command.number:
        announced = dict(state.announced)
        if command.number <= announced.get(command.source, 0):
            return None
        announced[command.source] = command.number
        evaluation.change(announced=_announced(announced, command.source))
    if command.type == alerts.DIAL_OUT_RESTARTED:
        stopped = command.data.get("alert")  # the one that was seen; None: all of them
        evaluation.end_where(
            lambda each: each.type == alerts.DIAL_OUT_STOPPED and stopped in {None, each.number}
        )
    elif command.type == alerts.CALLS_LAST:
        evaluation.end(alerts.RUNNING_OUT, command.name)
    elif command.type == alerts.RUNNING_OUT and (command.type, command.name) in {
        each.identity for each in state.raised
    }:
        return None  # another process was faster
    else:
        evaluation.emit(Event(command.type, command.data), command.name)
    return evaluation if evaluation.events or evaluation.state is not state else None


def _announced(announced: dict[str, int], source: str) -> tuple[tuple[str, int], ...]:
    """The last number of each source. One that names a period, `spend|{rule}|{period}`, takes the
    place of its rule's earlier ones."""
    kind = source.rpartition("|")[0]
    kept = {
        name: number
        for name, number in announced.items()
        if name == source or not kind or name.rpartition("|")[0] != kind
    }
    of_periods = [name for name in kept if "|" in name]
    for name in of_periods[: -limits.SPEND_SOURCES_MAX]:
        del kept[name]
    return tuple(kept.items())


def is_over(state: LedgerState, alert: Alert, at: datetime) -> bool:
    """True if the cause of an alert has ended that older rules listed without keeping the alert
    open."""
    if any(each.number == alert.number for each in state.raised):
        return False
    if alert.type == alerts.EXPIRING:
        return alert.data.get("lot") not in {lot.id for lot in state.lots}
    if alert.type == alerts.POOL_USED:
        return str(alert.data.get("month")) < pool_month(at, state.time_zone)
    return False


def overdue(state: LedgerState, at: datetime) -> bool:
    """True if work with a due mark was due at a time. Rules that depend on the forecast have no
    mark."""
    if any(not lot.valid_at(at) for lot in state.lots):
        return True
    return on_timer(replace(state, alert_rules=()), at) is not None


def lot_times(lot: Lot, at: datetime) -> list[tuple[str, datetime]]:
    """The times at which a lot has to be evaluated: its warnings and its expiry."""
    if lot.expires_at is None or not lot.remaining_micros:
        return []
    warnings = (lot.expires_at - timedelta(days=days) for days in limits.LOT_WARNING_DAYS)
    return [(LOT_DUE, when) for when in (*warnings, lot.expires_at) if when > at]


def threshold_micros(state: LedgerState, rule: AlertRule, at: datetime) -> int:
    """The balance below which a rule fires."""
    if rule.below_micros is not None:
        return rule.below_micros
    if rule.hours_left is not None:
        return burn_rate.expected_micros(state.burn, at, state.time_zone, rule.hours_left)
    return state.last_top_up_micros * (rule.below_percent or 0) // 100


def _low_event(state: LedgerState, rule: AlertRule, at: datetime) -> Event:
    ahead = None
    if rule.hours_left is not None:
        ahead = burn_rate.forecast(state.burn, at, state.time_zone, state.balance_micros)
    return event_payloads.low(rule, threshold_micros(state, rule, at), ahead, at)


def _rearmed_at_micros(state: LedgerState, rule: AlertRule, at: datetime) -> int:
    """The balance from which a rule is re-armed: above its threshold by a margin. The cost of a
    number of hours differs from Friday to Sunday, so a rule on the forecast uses the highest cost
    within a week."""
    threshold = threshold_micros(state, rule, at)
    if rule.hours_left is not None:
        threshold = burn_rate.highest_micros(state.burn, at, state.time_zone, rule.hours_left)
    return threshold + alerts.margin_micros(threshold, state.last_charge_micros)


def _may_rearm(evaluation: Evaluation, rule: AlertRule, *, rising: bool) -> bool:
    """True if a rule may be re-armed now. A rule on the forecast is re-armed, with a forecast, when
    the balance rises; a week after its alert also when the use fell."""
    if rule.hours_left is None:
        return True
    if not _has_forecast(evaluation.state, evaluation.at):
        return rising
    raised = (each for each in evaluation.state.raised if each.identity == (alerts.LOW, rule.name))
    return rising or all(evaluation.at - each.at >= _REARM_PAUSE for each in raised)


def _is_below(state: LedgerState, rule: AlertRule, at: datetime) -> bool:
    """True if the balance is below a rule's threshold. A rule on the forecast has no threshold
    without a forecast."""
    if rule.hours_left is not None and not _has_forecast(state, at):
        return False
    return state.balance_micros < threshold_micros(state, rule, at)


def _has_forecast(state: LedgerState, at: datetime) -> bool:
    return burn_rate.why_unknown(state.burn, at, state.time_zone) is None


def _thresholds(
    evaluation: Evaluation, *, falling: bool = False, rising: bool = False, by_time: bool = False
) -> None:
    """Evaluate the thresholds that the balance crossed. Without a movement of the balance only
    rules on the forecast can be crossed."""
    state = evaluation.state
    balance = state.balance_micros
    rules: list[AlertRule] = []
    for rule in state.alert_rules:
        may_fire = falling or (by_time and rule.hours_left is not None)
        if may_fire and rule.armed and _is_below(state, rule, evaluation.at):
            rules.append(replace(rule, armed=False))
            evaluation.emit(_low_event(state, rule, evaluation.at), rule.name)
        elif (
            not rule.armed
            and balance >= _rearmed_at_micros(state, rule, evaluation.at)
            and _may_rearm(evaluation, rule, rising=rising)
        ):
            rules.append(replace(rule, armed=True))
            evaluation.end(alerts.LOW, rule.name)
        else:
            rules.append(rule)
    if tuple(rules) != state.alert_rules:
        evaluation.change(alert_rules=tuple(rules))
    if by_time:
        return
    _floor(evaluation, alerts.EMPTY, 0, falling and balance <= 0)
    floor = -state.credit_limit_micros
    _floor(evaluation, alerts.OVERDRAWN, floor, falling and balance < floor)


def _floor(evaluation: Evaluation, kind: str, floor_micros: int, crossed: bool) -> None:
    """The two thresholds of every account: zero, and the negative credit limit."""
    state = evaluation.state
    balance = state.balance_micros
    margin = alerts.margin_micros(floor_micros, state.last_charge_micros)
    if not evaluation.is_raised(kind):
        if crossed and kind == alerts.EMPTY:
            evaluation.emit(event_payloads.empty(), "empty")
        elif crossed:
            evaluation.emit(event_payloads.overdrawn(state.credit_limit_micros), "overdrawn")
    elif balance > floor_micros and balance >= floor_micros + margin:
        evaluation.end(kind)


def _request_recharge(evaluation: Evaluation) -> None:
    """A recharge, if one is due; after a success that did not close the gap another one."""
    state = evaluation.state
    if state.auto_recharge is None:
        return
    requested = recharge.request(
        state.recharges, state.auto_recharge, state.balance_micros, evaluation.at, state.time_zone
    )
    if requested is None:
        return
    recharges, made = requested
    evaluation.change(recharges=recharges)
    if isinstance(made, CeilingReached):
        _suspended(evaluation, made.reason, made.until)
        evaluation.due.append((RECHARGE_DUE, made.until))
        return
    evaluation.end(alerts.RECHARGE_SUSPENDED)
    _request(evaluation, made)


def _retry_recharge(evaluation: Evaluation) -> None:
    recharges = recharge.retry_request(evaluation.state.recharges, evaluation.at)
    if recharges is None or recharges.pending is None:
        return
    evaluation.change(recharges=recharges)
    _request(evaluation, recharges.pending)
    if recharges.pending.asks == limits.RECHARGE_ASKS_BEFORE_ALERT:
        evaluation.emit(event_payloads.recharge_unanswered(recharges.pending), "recharge")


def _request(evaluation: Evaluation, made: Recharge) -> None:
    state = evaluation.state
    trigger = state.auto_recharge.trigger_micros if state.auto_recharge else None
    evaluation.emit(event_payloads.recharge_requested(made, trigger))
    _note_pending(evaluation)


def _note_pending(evaluation: Evaluation) -> None:
    pending = evaluation.state.recharges.pending
    if pending is not None:
        evaluation.record_recharge(pending)
        if pending.ask_at is not None:
            evaluation.due.append((RECHARGE_DUE, pending.ask_at))


def _suspended(
    evaluation: Evaluation, reason: str, until: datetime | None, requested: Recharge | None = None
) -> None:
    evaluation.emit(event_payloads.recharge_suspended(reason, until, requested), "recharge")


def _paid(evaluation: Evaluation, number: int, record: Recharge | None) -> None:
    evaluation.change(recharges=recharge.succeeded(evaluation.state.recharges, number))
    evaluation.end(alerts.RECHARGE_DECLINED)
    if evaluation.state.recharges.pending is None:  # else they are about that one
        for kind in _IN_FLIGHT_ALERTS:
            evaluation.end(kind)
    if record is not None:
        evaluation.record_recharge(record)
        evaluation.emit(event_payloads.recharge_succeeded(record))


def _warn_of_lots(evaluation: Evaluation) -> None:
    """Emit the warning that is due now for each lot; a late warning replaces earlier ones."""
    warned = dict(evaluation.state.warned)
    state = evaluation.state
    for lot in state.lots:
        days = _warning_due(lot, evaluation.at)
        if days is None or warned.get(lot.id, days + 1) <= days:
            continue
        warned[lot.id] = days
        evaluation.emit(event_payloads.expiring(lot, days), lot.id)
    if warned != dict(state.warned):
        evaluation.change(warned=tuple(warned.items()))


def _warning_due(lot: Lot, at: datetime) -> int | None:
    """The last due warning of a lot, in days before the expiry; None if no warning is due. A
    warning that would be due at the opening of the lot is left out.
    """
    if lot.expires_at is None or lot.expires_at <= at:
        return None
    due = None
    for days in limits.LOT_WARNING_DAYS:
        warn_at = lot.expires_at - timedelta(days=days)
        if lot.purchased_at < warn_at <= at:
            due = days
    return due


def _forget_warnings(evaluation: Evaluation) -> None:
    """Remove the warnings of lots that are used up or expired."""
    if evaluation.state.warned:
        open_lots = {lot.id for lot in evaluation.state.lots}
        evaluation.end_where(
            lambda each: each.type == alerts.EXPIRING and each.name not in open_lots
        )
        kept = tuple(each for each in evaluation.state.warned if each[0] in open_lots)
        if kept != evaluation.state.warned:
            evaluation.change(warned=kept)


def _end_of_month(evaluation: Evaluation) -> None:
    """End the alerts about a month that is over; schedule the end of the present month."""
    month = pool_month(evaluation.at, evaluation.state.time_zone)
    pools = [each for each in evaluation.state.raised if each.type == alerts.POOL_USED]
    evaluation.end_where(lambda each: each.type == alerts.POOL_USED and each.name < month)
    if any(each.at == evaluation.at and each.name >= month for each in pools):
        evaluation.due.append((ALERT_DUE, month_end(evaluation.at, evaluation.state.time_zone)))


def _remind(evaluation: Evaluation) -> None:
    for raised in evaluation.state.raised:
        at = repeat_at(raised)
        if at is not None and at <= evaluation.at:
            event = _reminder(evaluation.state, raised, evaluation.at)
            if event is None:
                evaluation.end(raised.type, raised.name)
            else:
                evaluation.repeat(raised, event)


def _reminder(state: LedgerState, raised: OpenAlert, at: datetime) -> Event | None:
    """A repeated alert with present values; None if its cause has ended. Raises LedgerCorrupt for a
    type that has no reminder."""
    recharges = state.recharges
    match raised.type:
        case alerts.LOW:
            rules = (rule for rule in state.alert_rules if rule.name == raised.name)
            rule = next(rules, None)
            return _low_event(state, rule, at) if rule else None
        case alerts.EMPTY:
            return event_payloads.empty()
        case alerts.OVERDRAWN:
            return event_payloads.overdrawn(state.credit_limit_micros)
        case alerts.RECHARGE_SUSPENDED:
            reason = "mismatch" if recharges.pending else recharges.held_back or "declined"
            return event_payloads.recharge_suspended(reason, recharges.not_before)
        case alerts.RECHARGE_UNANSWERED:
            return (
                event_payloads.recharge_unanswered(recharges.pending) if recharges.pending else None
            )
        case alerts.DIAL_OUT_STOPPED:
            return event_payloads.dial_out_stopped(raised.name, raised.at)
        case unknown:
            raise LedgerCorrupt(f"An alert of the type {unknown!r} has no reminder.")
