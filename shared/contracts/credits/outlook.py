"""An account's outlook as JSON."""

from datetime import date, datetime

from shared.domain.common.canonical import format_time
from shared.domain.common.limits import FORECAST_DAYS_MAX
from shared.domain.common.money import format_amount
from shared.domain.credits import burn_rate
from shared.domain.credits.burn_rate import CHANCE, Forecast, hours_left
from shared.domain.ledger.outlook import Outlook


def outlook_body(account: str, outlook: Outlook) -> dict[str, object]:
    """The outlook as a JSON object. `burn`, and the time when credits run out, are null while the
    history is too short; `recent` is the latest spending in any case."""
    return {
        "account": account,
        "at": format_time(outlook.at),
        "currency": outlook.currency,
        "balance": format_amount(outlook.balance_micros),
        "held": format_amount(outlook.held_micros),
        "available": format_amount(outlook.available_micros),
        "credit_limit": format_amount(outlook.credit_limit_micros),
        "hours_of_history": outlook.hours_known,
        "recent": _recent(outlook),
        "burn": _burn(outlook, outlook.balance) if outlook.balance else None,
        "runs_out": _runs_out(outlook, outlook.balance, outlook.balance_micros),
        "dial_outs_end": _runs_out(outlook, outlook.dial_outs, outlook.available_micros),
        "expires_unused": format_amount(outlook.unused_micros),
        "past": [
            {
                "day": date.fromordinal(day.ordinal).isoformat(),
                "spent": format_amount(day.spent_micros),
                "balance": format_amount(day.balance_micros),
            }
            for day in outlook.past
        ],
        "ahead": [
            {
                "at": format_time(each.at),
                "balance": format_amount(each.balance_micros),
                "between": [format_amount(each.low_micros), format_amount(each.high_micros)],
            }
            for each in outlook.ahead
        ],
    }


def _burn(outlook: Outlook, forecast: Forecast) -> dict[str, object]:
    return {
        "per_hour": format_amount(forecast.per_day_micros // burn_rate.HOURS_PER_DAY),
        "per_day": format_amount(forecast.per_day_micros),
        "next_hour": format_amount(outlook.next_hour_micros),
        "next_24_hours": format_amount(outlook.next_day_micros),
        "deviation_per_day": format_amount(forecast.spread.day_micros),
    }


def _recent(outlook: Outlook) -> dict[str, object]:
    """The latest spending, and how long the balance lasts at that rate."""
    left = outlook.recent.seconds_left(outlook.balance_micros, outlook.at)
    return {
        "since": format_time(outlook.recent.since),
        "spent": format_amount(outlook.recent.spent_micros),
        "spent_24_hours": format_amount(outlook.recent.day_micros),
        "hours_left": None if left is None else left // burn_rate.SECONDS_PER_HOUR,
    }


def _runs_out(outlook: Outlook, forecast: Forecast | None, credit_micros: int) -> dict[str, object]:
    """The time at which the amount has run out. Nothing left is known without any history."""
    if forecast is None and credit_micros > 0:
        return {"known": False, "why": outlook.why_unknown}
    at = forecast.runs_out_at if forecast else outlook.at
    between = (forecast.earliest_at, forecast.latest_at) if forecast else (outlook.at, outlook.at)
    return {
        "known": True,
        "at": _text(at),
        "hours_left": None if at is None else hours_left(outlook.at, at),
        "between": [_text(each) for each in between],
        "chance": CHANCE,
        "within_days": FORECAST_DAYS_MAX,
    }


def _text(moment: datetime | None) -> str | None:
    return format_time(moment.replace(microsecond=0)) if moment else None
