"""The contents of events. Each function returns an event with its subject and its recommended
action; `with_money` adds the balance."""

from dataclasses import replace
from datetime import datetime

from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount
from shared.domain.credits import alerts
from shared.domain.credits.alerts import AlertRule, Event
from shared.domain.credits.burn_rate import CHANCE, Forecast, hours_left
from shared.domain.credits.lots import Lot
from shared.domain.credits.recharge import Recharge

_TOP_UP = "Top up the account, or switch automatic recharge on."
_CEILINGS = {
    "max_per_day": "The maximum number of recharges of a day was requested.",
    "max_per_month": "The maximum number of recharges of a month was requested.",
    "max_amount_per_month": "The maximum amount of recharges of a month was requested.",
}
_PAUSED = {
    "declined": "The payment was declined as often as it is tried.",
    "hard_decline": "The payment was declined permanently.",
    "mismatch": "The payment provider's answer does not fit the request.",
}


def event_of(
    kind: str, what_to_do: str | None = None, recharge: Recharge | None = None, **data: object
) -> Event:
    """An event, with the number of a recharge where the event is about one. Fields with None are
    left out."""
    named = {**data, "what_to_do": what_to_do}
    present = {name: value for name, value in named.items() if value is not None}
    return Event(kind, present, recharge=recharge.number if recharge else None)


def topped_up(amount_micros: int) -> Event:
    """`credits.topped_up`."""
    return event_of(alerts.TOPPED_UP, amount=format_amount(amount_micros))


def low(rule: AlertRule, threshold_micros: int, ahead: Forecast | None, at: datetime) -> Event:
    """`credits.low`: the balance is below a threshold of the account. The event has the threshold
    as stated; a threshold that depends on the forecast adds the expected time of an empty balance
    and its interval."""
    return event_of(
        alerts.LOW,
        _TOP_UP,
        alert=rule.name,
        threshold=format_amount(threshold_micros),
        below_percent=rule.below_percent,
        threshold_hours=rule.hours_left,
        runs_out=_runs_out(ahead, ahead.runs_out_at, at) if ahead and ahead.runs_out_at else None,
    )


def empty() -> Event:
    """`credits.empty`: the balance is zero or less."""
    action = f"{_TOP_UP} Calls that are under way end by themselves."
    return event_of(alerts.EMPTY, action, threshold="0.00")


def overdrawn(credit_limit_micros: int) -> Event:
    """`credits.overdrawn`: the balance is below the negative credit limit."""
    action = "Top up the account. The next credits pay the overdraft first."
    return event_of(alerts.OVERDRAWN, action, threshold=format_amount(-credit_limit_micros))


def expiring(lot: Lot, days: int) -> Event:
    """`credits.expiring`: a lot expires within a number of days."""
    assert lot.expires_at is not None
    return event_of(
        alerts.EXPIRING,
        "Use these credits before they expire. The rest is forfeited.",
        lot=lot.id,
        remaining=format_amount(lot.remaining_micros),
        expires_at=format_time(lot.expires_at),
        days=days,
    )


def recharge_requested(recharge: Recharge, trigger_micros: int | None) -> Event:
    """`recharge.requested`: `ask` is the number of the request for this recharge, from 1."""
    return event_of(
        alerts.RECHARGE_REQUESTED,
        "Collect the amount once, then POST the recharge's result.",
        recharge,
        amount=format_amount(recharge.amount_micros),
        ask=recharge.asks,
        requested_at=format_time(recharge.requested_at),
        threshold=None if trigger_micros is None else format_amount(trigger_micros),
    )


def recharge_succeeded(recharge: Recharge) -> Event:
    """`recharge.succeeded`: the money has arrived; `credits.topped_up` reports the lot."""
    amount = format_amount(recharge.amount_micros)
    reference = recharge.reference or None
    return event_of(alerts.RECHARGE_SUCCEEDED, None, recharge, amount=amount, reference=reference)


def recharge_declined(recharge: Recharge, declines: int, next_at: datetime | None) -> Event:
    """`recharge.declined`: the payment provider declined; with the time of the next attempt, if
    there is one."""
    return event_of(
        alerts.RECHARGE_DECLINED,
        "Check the payment method, or top up by other means.",
        recharge,
        amount=format_amount(recharge.amount_micros),
        declines=declines,
        next_at=format_time(next_at) if next_at else None,
    )


def recharge_suspended(
    reason: str, until: datetime | None, recharge: Recharge | None = None
) -> Event:
    """`recharge.suspended`: no recharge is requested until a time, or until a person acted."""
    return event_of(
        alerts.RECHARGE_SUSPENDED,
        "Raise the ceiling, or top up by other means."
        if reason in _CEILINGS
        else "Correct the payment, then PUT the account's settings again to let it go on.",
        recharge,
        reason=reason,
        detail=_CEILINGS.get(reason) or _PAUSED[reason],
        until=format_time(until) if until else None,
    )


def recharge_unanswered(recharge: Recharge) -> Event:
    """`recharge.unanswered`: the payment side has not answered several requests."""
    return event_of(
        alerts.RECHARGE_UNANSWERED,
        "Check the payment provider: the request is repeated with the same id.",
        recharge,
        amount=format_amount(recharge.amount_micros),
        asks=recharge.asks,
        requested_at=format_time(recharge.requested_at),
    )


def dial_out_stopped(reason: str, since: datetime | None = None) -> Event:
    """`dial_out.stopped`, repeated: the hold book emitted the first one at `since`."""
    action = "Find out who dialled, then restart dial-out of the account."
    times = format_time(since) if since else None
    return event_of(alerts.DIAL_OUT_STOPPED, action, reason=reason, since=times)


def with_money(event: Event, balance_micros: int, currency: str) -> Event:
    """The event with the present balance; every published event has one."""
    money = {"balance": format_amount(balance_micros), "currency": currency}
    return replace(event, data={**money, **event.data})


def _runs_out(forecast: Forecast, runs_out_at: datetime, at: datetime) -> dict[str, object]:
    between = (forecast.earliest_at, forecast.latest_at)
    return {
        "at": _day_time(runs_out_at),
        "hours_left": hours_left(at, runs_out_at),
        "between": [_day_time(each) for each in between],
        "chance": CHANCE,
    }


def _day_time(moment: datetime | None) -> str | None:
    return format_time(moment.replace(microsecond=0)) if moment else None
