"""The contents of events: each names its subject and an action; `with_money` adds the money."""

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


def topped_up(amount_micros: int) -> Event:
    """`credits.topped_up`."""
    data = {"amount": format_amount(amount_micros)}
    return Event(alerts.TOPPED_UP, data)


def low(rule: AlertRule, threshold_micros: int, ahead: Forecast | None, at: datetime) -> Event:
    """`credits.low`: below a threshold of the account's own; how that was stated, and of one that
    looks ahead, when nothing is left and how sure that is."""
    stated = {"below_percent": rule.below_percent, "threshold_hours": rule.hours_left}
    data = {
        "alert": rule.name,
        "threshold": format_amount(threshold_micros),
        **{name: value for name, value in stated.items() if value is not None},
        **(
            {"runs_out": _runs_out(ahead, ahead.runs_out_at, at)}
            if ahead and ahead.runs_out_at
            else {}
        ),
        "what_to_do": _TOP_UP,
    }
    return Event(alerts.LOW, data)


def empty() -> Event:
    """`credits.empty`: nothing is left."""
    data = {
        "threshold": "0.00",
        "what_to_do": f"{_TOP_UP} Calls that are under way end by themselves.",
    }
    return Event(alerts.EMPTY, data)


def overdrawn(credit_limit_micros: int) -> Event:
    """`credits.overdrawn`: below what the credit limit allows."""
    data = {
        "threshold": format_amount(-credit_limit_micros),
        "what_to_do": "Top up the account. The next credits pay the overdraft first.",
    }
    return Event(alerts.OVERDRAWN, data)


def expiring(lot: Lot, days: int) -> Event:
    """`credits.expiring`: a lot expires within a number of days."""
    assert lot.expires_at is not None
    data = {
        "lot": lot.id,
        "remaining": format_amount(lot.remaining_micros),
        "expires_at": format_time(lot.expires_at),
        "days": days,
        "what_to_do": "Use these credits before they expire. The rest is forfeited.",
    }
    return Event(alerts.EXPIRING, data)


def recharge_requested(recharge: Recharge, trigger_micros: int | None) -> Event:
    """`recharge.requested`: `ask` counts the requests for this recharge."""
    trigger = {} if trigger_micros is None else {"threshold": format_amount(trigger_micros)}
    data = {
        "amount": format_amount(recharge.amount_micros),
        "ask": recharge.asks,
        "requested_at": format_time(recharge.requested_at),
        **trigger,
        "what_to_do": "Collect the amount once, then POST the recharge's result.",
    }
    return Event(alerts.RECHARGE_REQUESTED, data, recharge=recharge.number)


def recharge_succeeded(recharge: Recharge) -> Event:
    """`recharge.succeeded`: the money has arrived; `credits.topped_up` reports the lot."""
    data = {
        "amount": format_amount(recharge.amount_micros),
        **({"reference": recharge.reference} if recharge.reference else {}),
    }
    return Event(alerts.RECHARGE_SUCCEEDED, data, recharge=recharge.number)


def recharge_declined(
    recharge: Recharge,
    declines: int,
    next_at: datetime | None,
) -> Event:
    """`recharge.declined`: the payment provider declined; with the time of the next attempt, if
    there is one."""
    data = {
        "amount": format_amount(recharge.amount_micros),
        "declines": declines,
        **({"next_at": format_time(next_at)} if next_at else {}),
        "what_to_do": "Check the payment method, or top up by other means.",
    }
    return Event(alerts.RECHARGE_DECLINED, data, recharge=recharge.number)


def recharge_suspended(
    reason: str,
    until: datetime | None,
    recharge: Recharge | None = None,
) -> Event:
    """`recharge.suspended`: no recharge is requested until a time, or until a person acted."""
    data = {
        "reason": reason,
        "detail": _CEILINGS.get(reason) or _PAUSED[reason],
        **({"until": format_time(until)} if until else {}),
        "what_to_do": (
            "Raise the ceiling, or top up by other means."
            if reason in _CEILINGS
            else "Correct the payment, then PUT the account's settings again to let it go on."
        ),
    }
    return Event(alerts.RECHARGE_SUSPENDED, data, recharge=recharge.number if recharge else None)


def recharge_unanswered(recharge: Recharge) -> Event:
    """`recharge.unanswered`: the payment side has not answered several requests."""
    data = {
        "amount": format_amount(recharge.amount_micros),
        "asks": recharge.asks,
        "requested_at": format_time(recharge.requested_at),
        "what_to_do": "Check the payment provider: the request is repeated with the same id.",
    }
    return Event(alerts.RECHARGE_UNANSWERED, data, recharge=recharge.number)


def dial_out_stopped(reason: str, since: datetime) -> Event:
    """`dial_out.stopped`, repeated: the hold book emitted it first."""
    data = {
        "reason": reason,
        "since": format_time(since),
        "what_to_do": "Find out who dialled, then restart dial-out of the account.",
    }
    return Event(alerts.DIAL_OUT_STOPPED, data)


def with_money(event: Event, balance_micros: int, currency: str) -> Event:
    """The event with the present balance, which every published event has."""
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
