"""An account's outlook as JSON."""

from datetime import date, datetime

from shared.domain.burn import CHANCE, Forecast
from shared.domain.legs import format_time
from shared.domain.money import format_amount
from shared.domain.outlook import Outlook

_SECONDS_PER_HOUR = 3600


def outlook_body(account: str, found: Outlook) -> dict[str, object]:
    """The outlook as the wire has it; what nobody knows is left out."""
    body: dict[str, object | None] = {
        "account": account,
        "at": format_time(found.at),
        "currency": found.currency,
        "balance": format_amount(found.balance_micros),
        "held": format_amount(found.held_micros),
        "available": format_amount(found.available_micros),
        "credit_limit": format_amount(found.credit_limit_micros),
        "burn": {
            "per_hour": format_amount(found.balance.per_day_micros // 24),
            "per_day": format_amount(found.balance.per_day_micros),
            "next_hour": format_amount(found.next_hour_micros),
            "next_24_hours": format_amount(found.next_day_micros),
            "stray_per_day": format_amount(found.balance.stray_micros),
            "known_by": found.balance.by,
            "hours_of_history": found.hours_known,
        },
        "runs_out": _forecast(found.balance, found.at),
        "dial_outs_end": _forecast(found.dial_outs, found.at),
        "expires_unused": format_amount(found.unused_micros),
        "past": [
            {
                "day": date.fromordinal(day.ordinal).isoformat(),
                "spent": format_amount(day.spent_micros),
                "balance": format_amount(day.balance_micros),
            }
            for day in found.past
        ],
        "ahead": [
            {
                "at": format_time(each.at),
                "balance": format_amount(each.balance_micros),
                "between": [format_amount(each.low_micros), format_amount(each.high_micros)],
            }
            for each in found.ahead
        ],
    }
    return {name: value for name, value in body.items() if value is not None}


def _forecast(known: Forecast, at: datetime) -> dict[str, object] | None:
    if known.runs_out_at is None:
        return None
    between = (known.earliest_at, known.latest_at)
    return {
        "at": format_time(_whole(known.runs_out_at)),
        "hours_left": int((known.runs_out_at - at).total_seconds()) // _SECONDS_PER_HOUR,
        "between": [format_time(_whole(each)) if each else None for each in between],
        "chance": CHANCE,
    }


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
