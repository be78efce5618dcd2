"""Automatic recharge: the time, the amount and the frequency of requests, and the effect of an
answer.

A recharge is requested when the balance is strictly below the trigger, one at a time. Its amount is
as many steps of the stated amount as close the gap. Ceilings limit the number of recharges a day
and a month, and their amount a month, in the account's time zone; a declined recharge does not
count. After a decline the next request waits 1, 2, then 4 hours. The fourth decline, and any hard
decline, pauses recharges: an invalid card must not be tried without end. The state is part of the
ledger's state, so that it is written with the commit.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from shared.domain.common import limits
from shared.domain.common.calendar import zone
from shared.domain.common.documents import from_document, to_document
from shared.domain.common.errors import Invalid
from shared.domain.common.money import ceil_div, format_amount

_ID = re.compile(r"([a-z0-9][a-z0-9._-]{0,62})~([1-9][0-9]{0,17})", re.ASCII)


class RechargeStatus(StrEnum):
    """The status of a recharge. `pending`: the payment provider accepted the request and reports
    again later; `parked`: the answer does not match the request, a person has to decide."""

    REQUESTED = "requested"
    PENDING = "pending"
    PARKED = "parked"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"


IN_FLIGHT = frozenset({RechargeStatus.REQUESTED, RechargeStatus.PENDING, RechargeStatus.PARKED})


@dataclass(frozen=True, slots=True)
class AutoRecharge:
    """The recharge settings of an account; amounts in micros. A ceiling of None does not limit."""

    trigger_micros: int
    amount_micros: int
    max_per_day: int = limits.RECHARGES_PER_DAY_DEFAULT
    max_per_month: int = limits.RECHARGES_PER_MONTH_DEFAULT
    max_amount_per_month_micros: int | None = None


@dataclass(frozen=True, slots=True)
class Recharge:
    """One recharge: `asks` counts the requests to the payment side, `ask_at` is the time of the
    next one. `entry` is the top-up that it became."""

    number: int
    amount_micros: int
    requested_at: datetime
    status: RechargeStatus = RechargeStatus.REQUESTED
    asks: int = 1
    ask_at: datetime | None = None
    answered_at: datetime | None = None
    reference: str | None = None
    detail: str | None = None
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Recharges:
    """The recharges of an account that the next decision needs.

    `number` is the last one's, `pending` the one in flight. `declines` is the number of declines
    since the last success. `not_before` is the earliest time of the next request, and `held_back`
    the reason: the name of a ceiling, `declined` or `hard_decline` (only a person resumes it:
    `paused`). `day` and `month` are in the account's time zone, each with the number of its
    requests.
    """

    number: int = 0
    pending: Recharge | None = None
    declines: int = 0
    not_before: datetime | None = None
    held_back: str = ""
    paused: bool = False
    day: str = ""
    day_count: int = 0
    month: str = ""
    month_count: int = 0
    month_micros: int = 0


@dataclass(frozen=True, slots=True)
class CeilingReached:
    """A reached ceiling: its name, and the earliest time of the next request."""

    reason: str
    until: datetime


def recharge_id(account: str, number: int) -> str:
    """The id of a recharge at the payment provider."""
    return f"{account}~{number}"


def recharge_document(recharge: Recharge) -> dict[str, object]:
    """A recharge in plain JSON values."""
    return to_document(recharge)


def read_recharge(data: Mapping[str, Any]) -> Recharge:
    """The recharge that `recharge_document` wrote."""
    return from_document(Recharge, data)


def read_recharge_id(text: str) -> tuple[str, int] | None:
    """(account, number) of a recharge id, or None."""
    match = _ID.fullmatch(text)
    return (match[1], int(match[2])) if match else None


def request(
    recharges: Recharges, settings: AutoRecharge, balance_micros: int, at: datetime, time_zone: str
) -> tuple[Recharges, Recharge | CeilingReached] | None:
    """The recharge that is due now, or the ceiling that prevents it; None when no recharge is
    due."""
    if recharges.pending or recharges.paused or balance_micros >= settings.trigger_micros:
        return None
    if recharges.not_before is not None and at < recharges.not_before:
        return None
    today = local_date(at, time_zone)
    recharges = _in_period(recharges, today)
    ceiling = _ceiling(recharges, settings)
    if ceiling is not None:
        tomorrow = today + timedelta(days=1)
        first = tomorrow if ceiling == "max_per_day" else _next_month(today)
        until = _midnight(first, time_zone)
        blocked = replace(recharges, not_before=until, held_back=ceiling)
        return blocked, CeilingReached(ceiling, until)
    amount = _sized(recharges, settings, balance_micros)
    made = Recharge(
        number=recharges.number + 1,
        amount_micros=amount,
        requested_at=at,
        ask_at=at + timedelta(seconds=limits.RECHARGE_ASK_SECONDS),
    )
    requested = replace(
        recharges,
        number=made.number,
        pending=made,
        not_before=None,
        held_back="",
        day_count=recharges.day_count + 1,
        month_count=recharges.month_count + 1,
        month_micros=recharges.month_micros + amount,
    )
    return requested, made


def mismatch_detail(
    requested: Recharge, account_currency: str, amount_micros: int, currency: str
) -> str | None:
    """The mismatch between an answer and its request, as a sentence; None if they match."""
    if currency != account_currency:
        return f"The answer is in {currency}, the account in {account_currency}."
    if amount_micros != requested.amount_micros:
        answered, amount = format_amount(amount_micros), format_amount(requested.amount_micros)
        return f"The answer is about {answered}, the request was for {amount}."
    return None


def mismatch(detail: str) -> Invalid:
    """The refusal of an answer that does not belong to the request."""
    return Invalid(f"{detail} Compare the payment with the recharge.", code="recharge_mismatch")


def retry_request(recharges: Recharges, at: datetime) -> Recharges | None:
    """The request repeated with the same id; None when that is not due."""
    pending = recharges.pending
    if pending is None or pending.ask_at is None or pending.ask_at > at:
        return None
    seconds = limits.RECHARGE_ASK_SECONDS * 2 ** min(pending.asks, limits.RECHARGE_ASK_DOUBLINGS)
    again = replace(pending, asks=pending.asks + 1, ask_at=at + timedelta(seconds=seconds))
    return replace(recharges, pending=again)


def deferred(recharges: Recharges, recharge: Recharge, at: datetime) -> Recharges:
    """The recharges after the payment provider accepted a request. The request is repeated after
    hours only."""
    again = at + timedelta(seconds=limits.RECHARGE_PENDING_ASK_SECONDS)
    return replace(
        recharges,
        pending=replace(recharge, status=RechargeStatus.PENDING, ask_at=again, detail=None),
    )


def parked(recharges: Recharges, recharge: Recharge, at: datetime, detail: str) -> Recharges:
    """The recharges after an answer that does not match. The recharge stays in flight, without
    further requests, until a person decides."""
    parked_recharge = replace(
        recharge, status=RechargeStatus.PARKED, ask_at=None, answered_at=at, detail=detail
    )
    return replace(recharges, pending=parked_recharge)


def succeeded(recharges: Recharges, number: int) -> Recharges:
    """The recharges after a payment. Declines no longer count."""
    is_pending = recharges.pending is not None and recharges.pending.number == number
    return replace(
        recharges,
        pending=None if is_pending else recharges.pending,
        declines=0,
        not_before=None,
        held_back="",
        paused=False,
    )


def declined(
    recharges: Recharges, recharge: Recharge, at: datetime, time_zone: str, *, hard: bool
) -> Recharges:
    """The recharges after a decline: wait 1, 2, then 4 hours, or pause for a person."""
    declines = recharges.declines + 1
    paused = hard or declines >= limits.RECHARGE_DECLINES_MAX
    wait = timedelta(seconds=limits.RECHARGE_BACK_OFF_SECONDS * 2 ** (declines - 1))
    requested_on = local_date(recharge.requested_at, time_zone)
    same_day = requested_on.isoformat() == recharges.day
    same_month = _month(requested_on) == recharges.month
    return replace(
        recharges,
        pending=None,
        declines=declines,
        not_before=None if paused else at + wait,
        held_back="hard_decline" if hard else "declined",
        paused=paused,
        day_count=recharges.day_count - same_day,
        month_count=recharges.month_count - same_month,
        month_micros=recharges.month_micros - (recharge.amount_micros if same_month else 0),
    )


def resume(recharges: Recharges) -> Recharges:
    """The recharges after a change of the settings. Declines no longer count; ceilings still do."""
    return replace(recharges, declines=0, not_before=None, held_back="", paused=False)


def local_date(moment: datetime, time_zone: str) -> date:
    """The date of a moment in an IANA time zone."""
    return moment.astimezone(zone(time_zone)).date()


def _in_period(recharges: Recharges, today: date) -> Recharges:
    if recharges.day != today.isoformat():
        recharges = replace(recharges, day=today.isoformat(), day_count=0)
    if recharges.month != _month(today):
        recharges = replace(recharges, month=_month(today), month_count=0, month_micros=0)
    return recharges


def _ceiling(recharges: Recharges, settings: AutoRecharge) -> str | None:
    """The ceiling that one more recharge would break; the longest wait first."""
    most = settings.max_amount_per_month_micros
    if most is not None and recharges.month_micros + settings.amount_micros > most:
        return "max_amount_per_month"
    if recharges.month_count >= settings.max_per_month:
        return "max_per_month"
    if recharges.day_count >= settings.max_per_day:
        return "max_per_day"
    return None


def _sized(recharges: Recharges, settings: AutoRecharge, balance_micros: int) -> int:
    """As many whole steps as bring the balance to the trigger, within the month's ceiling."""
    steps = ceil_div(settings.trigger_micros - balance_micros, settings.amount_micros)
    steps = min(max(1, steps), limits.RECHARGE_STEPS_MAX)
    if settings.max_amount_per_month_micros is not None:
        left = settings.max_amount_per_month_micros - recharges.month_micros
        steps = min(steps, left // settings.amount_micros)
    return steps * settings.amount_micros


def _month(day: date) -> str:
    return f"{day.year:04d}-{day.month:02d}"


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _midnight(day: date, time_zone: str) -> datetime:
    """The begin of a local day, in UTC."""
    return datetime.combine(day, time(), zone(time_zone)).astimezone(zone("UTC"))
