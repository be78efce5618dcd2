"""The outlook of an account: the time at which its credits run out, and the certainty of that."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.credits import burn_rate
from shared.domain.credits.burn_rate import Forecast, RecentSpend, SpendDay
from shared.domain.ledger.model import LedgerState, available_micros

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    """The balance at a future time, and its interval with a probability of four in five."""

    at: datetime
    balance_micros: int
    low_micros: int
    high_micros: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """The present and future balance of an account. `balance` is the time at which it is used up,
    `dial_outs` the time from which no call can be granted: None while unknown, for the reason
    `why_unknown`. `recent` is the recent spend, `unused_micros` expires before it is used."""

    at: datetime
    currency: str
    balance_micros: int
    held_micros: int
    available_micros: int
    credit_limit_micros: int
    next_hour_micros: int
    next_day_micros: int
    hours_known: int
    unused_micros: int
    why_unknown: str | None
    recent: RecentSpend
    balance: Forecast | None
    dial_outs: Forecast | None
    past: tuple[SpendDay, ...]
    ahead: tuple[ForecastPoint, ...]


def outlook(state: LedgerState, held_micros: int, at: datetime) -> Outlook:
    """The known facts of the account, as of its ledger's state and its open holds."""
    burn, zone = burn_rate.rolled(state.burn, at, state.time_zone), state.time_zone
    unused = _unused(replace(state, burn=burn), at)
    available = available_micros(state, held_micros)
    of_balance = burn_rate.forecast(burn, at, zone, state.balance_micros - unused)
    return Outlook(
        at=at,
        currency=state.currency,
        balance_micros=state.balance_micros,
        held_micros=held_micros,
        available_micros=available,
        credit_limit_micros=state.credit_limit_micros,
        next_hour_micros=burn_rate.expected_micros(burn, at, zone, 1),
        next_day_micros=burn_rate.expected_micros(burn, at, zone, burn_rate.HOURS_PER_DAY),
        hours_known=burn.hours,
        unused_micros=unused,
        why_unknown=burn_rate.why_unknown(burn, at, zone),
        recent=burn_rate.recent(burn, at, zone),
        balance=of_balance,
        dial_outs=burn_rate.forecast(burn, at, zone, available - unused),
        past=burn.days,
        ahead=_ahead(state, of_balance, at),
    )


def _unused(state: LedgerState, at: datetime) -> int:
    """The unused amount of lots at their expiry, at the present burn, first in, first out."""
    unused = before = 0
    if burn_rate.why_unknown(state.burn, at, state.time_zone) is not None:
        return 0
    for lot in state.lots:
        before += lot.remaining_micros
        if lot.expires_at is None:
            continue
        left = max(timedelta(0), lot.expires_at - at)
        if left > timedelta(days=limits.FORECAST_DAYS_MAX):
            continue
        hours = int(left.total_seconds()) // burn_rate.SECONDS_PER_HOUR
        spent = burn_rate.expected_micros(state.burn, at, state.time_zone, hours)
        lapses = min(lot.remaining_micros, max(0, before - spent))
        unused += lapses
        before -= lapses
    return unused


def _ahead(
    state: LedgerState, forecast: Forecast | None, at: datetime
) -> tuple[ForecastPoint, ...]:
    """The balance at the end of each of the coming days, without what expires unused."""
    if forecast is None:
        return ()
    hours = burn_rate.hourly(
        state.burn, at, state.time_zone, limits.OUTLOOK_DAYS * burn_rate.HOURS_PER_DAY
    )
    balance = state.balance_micros
    points: list[ForecastPoint] = []
    for day in range(1, limits.OUTLOOK_DAYS + 1):
        begin = (day - 1) * burn_rate.HOURS_PER_DAY
        balance -= sum(hours[begin : begin + burn_rate.HOURS_PER_DAY])
        half = forecast.spread.half_width_micros(day * burn_rate.HOURS_PER_DAY)
        points.append(ForecastPoint(at + day * _DAY, balance, balance - half, balance + half))
    return tuple(points)
