"""The one decision function of the ledger: total, pure, without a clock."""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import Conflict
from shared.domain.credits import alerts
from shared.domain.ledger import alert_evaluation
from shared.domain.ledger.booking import to_decision
from shared.domain.ledger.credits import adjust, answer, expire, top_up
from shared.domain.ledger.debits import debit
from shared.domain.ledger.model import (
    RULES,
    Acknowledge,
    Adjust,
    Announce,
    AnswerRecharge,
    Command,
    CommandRefused,
    Configure,
    DebitLeg,
    Decided,
    Decision,
    ExpireLot,
    LedgerState,
    RerateLeg,
    ReverseLeg,
    Tick,
    TopUp,
    Unchanged,
    check,
)
from shared.domain.ledger.reversals import rerate, reverse


def decide(state: LedgerState | None, command: Command, now: datetime) -> Decision:
    """The next state, its entries, and the events to publish.

    `state` is None before the ledger is opened. Times never run backwards in the entries: an
    earlier `now` counts as the time of the last commit. Raises LedgerCorrupt when an invariant
    breaks: then nothing may be written.
    """
    moment = max(now, state.at) if state and state.at else now
    if isinstance(command, Configure):
        return _configure(state, command, moment)
    if state is None:
        return CommandRefused(
            Conflict(
                "The account's ledger is not open yet. Send the PUT of the account again.",
                code="ledger_not_open",
            )
        )
    state = _by_present_rules(_forget_expired(state, moment))
    match command:
        case TopUp():
            decision = top_up(state, command, moment)
        case Adjust():
            decision = adjust(state, command, moment)
        case DebitLeg():
            decision = debit(state, command, moment)
        case ReverseLeg():
            decision = reverse(state, command, moment)
        case RerateLeg():
            decision = rerate(state, command, moment)
        case ExpireLot():
            decision = expire(state, command, moment)
        case AnswerRecharge():
            decision = answer(state, command, moment)
        case Tick() | Acknowledge() | Announce():
            decision = _watch(state, command, moment)
    if isinstance(decision, Decided):
        check(decision.state)
    return decision


def _watch(state: LedgerState, command: Tick | Acknowledge | Announce, now: datetime) -> Decision:
    match command:
        case Tick():
            evaluation = alert_evaluation.on_timer(state, now)
        case Acknowledge():
            evaluation = alert_evaluation.on_acknowledged(state, command.alert, now)
        case Announce():
            evaluation = alert_evaluation.on_announced(state, command, now)
    return Unchanged() if evaluation is None else to_decision(evaluation, command)


def _configure(state: LedgerState | None, command: Configure, now: datetime) -> Decision:
    before = state
    if state is None:
        state = LedgerState(currency=command.currency)
    elif command.settings_version <= state.settings_version:
        return Unchanged()
    if command.currency != state.currency:
        return CommandRefused(
            Conflict(
                "The currency of an account never changes. "
                "Create another account for another currency.",
                code="currency_fixed",
            )
        )
    changed = replace(
        state,
        credit_limit_micros=command.credit_limit_micros,
        alert_rules=alerts.merge_rules(state.alert_rules, command.alert_rules),
        settings_version=command.settings_version,
        auto_recharge=command.auto_recharge,
        time_zone=command.time_zone,
        pool_seconds=command.pool_seconds,
        at=now,
        rules=RULES,
    )
    return to_decision(alert_evaluation.on_configured(before, changed, now), command)


def _by_present_rules(state: LedgerState) -> LedgerState:
    return state if state.rules == RULES else replace(state, rules=RULES)


def _forget_expired(state: LedgerState, now: datetime) -> LedgerState:
    """The state without the expired lots whose 72 hours are over: late legs no longer draw on
    them."""
    oldest = now - timedelta(hours=limits.LATE_LEG_HOURS)
    kept = tuple(lot for lot in state.expired if lot.expires_at and lot.expires_at > oldest)
    return state if len(kept) == len(state.expired) else replace(state, expired=kept)
