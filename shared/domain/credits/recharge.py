"""Automatic recharge: when to ask for money, how much, how often, and what an answer does.

A recharge is asked for when the balance is strictly below the trigger, one at a time, sized to
close a deep gap in steps of the stated amount. Ceilings bound a day and a month of the account's
time zone by count, a month by amount; a decline gives its share back. After a decline it waits 1,
2, 4 hours and is paused after the fourth, at once after a hard one: a dead card must not be tried
for ever. All is part of the ledger's state, so there is one of it and no crash forgets it.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from shared.domain.common import limits
from shared.domain.common.calendar import zone
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.money import ceil_div, format_amount

_ID = re.compile(r"([a-z0-9][a-z0-9._-]{0,62})~([1-9][0-9]{0,17})", re.ASCII)


class RechargeStatus(StrEnum):
    """How far a recharge is. `pending`: the payment side has it and will say more; `parked`: its
    answer does not fit what was asked for, a person has to look."""

    REQUESTED = "requested"
    PENDING = "pending"
    PARKED = "parked"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"


IN_FLIGHT = frozenset({RechargeStatus.REQUESTED, RechargeStatus.PENDING, RechargeStatus.PARKED})


@dataclass(frozen=True, slots=True)
class AutoRecharge:
    """What an account wants; amounts in micros. `None`: no such ceiling."""

    trigger_micros: int
    amount_micros: int
    max_per_day: int = limits.RECHARGES_PER_DAY_DEFAULT
    max_per_month: int = limits.RECHARGES_PER_MONTH_DEFAULT
    max_amount_per_month_micros: int | None = None


@dataclass(frozen=True, slots=True)
class Recharge:
    """One recharge: `asks` counts how often the payment side was asked, `ask_at` is when it is
    asked again. `entry` is the top-up that it became."""

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
    """An account's recharges, as far as the next decision needs them.

    `number` is the last one's, `pending` the one in flight. `declines` counts them since the last
    success, `not_before` is when the next may be asked for, `held_back` why not earlier: the name
    of a ceiling, or `declined`, `hard_decline` (then only a person lets it go on: `paused`).
    `day` and `month` are the account's, with what was asked for in them.
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
class HeldBack:
    """A ceiling that was hit: its name, and when the next recharge may be asked for."""

    reason: str
    until: datetime


def recharge_id(account: str, number: int) -> str:
    """The id that the payment side knows a recharge by."""
    return f"{account}~{number}"


def recharge_document(recharge: Recharge) -> dict[str, object]:
    """A recharge in plain JSON values."""
    return {
        **asdict(recharge),
        "status": recharge.status.value,
        "requested_at": format_time(recharge.requested_at),
        "ask_at": format_time(recharge.ask_at) if recharge.ask_at else None,
        "answered_at": format_time(recharge.answered_at) if recharge.answered_at else None,
    }


def read_recharge(data: Mapping[str, Any]) -> Recharge:
    """The recharge that `recharge_document` wrote."""
    ask_at, answered_at = data["ask_at"], data["answered_at"]
    return Recharge(
        number=data["number"],
        amount_micros=data["amount_micros"],
        requested_at=parse_time(data["requested_at"]),
        status=RechargeStatus(data["status"]),
        asks=data["asks"],
        ask_at=parse_time(ask_at) if ask_at else None,
        answered_at=parse_time(answered_at) if answered_at else None,
        reference=data["reference"],
        detail=data["detail"],
        entry=data["entry"],
    )


def read_recharge_id(text: str) -> tuple[str, int] | None:
    """(account, number) of such an id, or None."""
    match = _ID.fullmatch(text)
    return (match[1], int(match[2])) if match else None


def request(
    known: Recharges, wanted: AutoRecharge, balance_micros: int, at: datetime, time_zone: str
) -> tuple[Recharges, Recharge | HeldBack] | None:
    """The recharge that is due now, or the ceiling that it hit; None when none is due."""
    if known.pending or known.paused or balance_micros >= wanted.trigger_micros:
        return None
    if known.not_before is not None and at < known.not_before:
        return None
    today = local_date(at, time_zone)
    known = _in_period(known, today)
    ceiling = _ceiling(known, wanted)
    if ceiling is not None:
        tomorrow = today + timedelta(days=1)
        first = tomorrow if ceiling == "max_per_day" else _next_month(today)
        until = _midnight(first, time_zone)
        held = replace(known, not_before=until, held_back=ceiling)
        return held, HeldBack(ceiling, until)
    amount = _sized(known, wanted, balance_micros)
    made = Recharge(
        number=known.number + 1,
        amount_micros=amount,
        requested_at=at,
        ask_at=at + timedelta(seconds=limits.RECHARGE_ASK_SECONDS),
    )
    asked = replace(
        known,
        number=made.number,
        pending=made,
        not_before=None,
        held_back="",
        day_count=known.day_count + 1,
        month_count=known.month_count + 1,
        month_micros=known.month_micros + amount,
    )
    return asked, made


def misfit(asked: Recharge, account_currency: str, amount_micros: int, currency: str) -> str | None:
    """Why an answer does not belong to what was asked for, if it does not."""
    if currency != account_currency:
        return f"The answer is in {currency}, the account in {account_currency}."
    if amount_micros != asked.amount_micros:
        told, wanted = format_amount(amount_micros), format_amount(asked.amount_micros)
        return f"The answer is about {told}, asked for were {wanted}."
    return None


def ask_again(known: Recharges, at: datetime) -> Recharges | None:
    """The payment side is asked once more, with the same id; None when that is not due."""
    pending = known.pending
    if pending is None or pending.ask_at is None or pending.ask_at > at:
        return None
    seconds = limits.RECHARGE_ASK_SECONDS * 2 ** min(pending.asks, limits.RECHARGE_ASK_DOUBLINGS)
    again = replace(pending, asks=pending.asks + 1, ask_at=at + timedelta(seconds=seconds))
    return replace(known, pending=again)


def kept_waiting(known: Recharges, recharge: Recharge, at: datetime) -> Recharges:
    """The payment side has it: it is asked again after hours only."""
    again = at + timedelta(seconds=limits.RECHARGE_PENDING_ASK_SECONDS)
    return replace(
        known, pending=replace(recharge, status=RechargeStatus.PENDING, ask_at=again, detail=None)
    )


def parked(known: Recharges, recharge: Recharge, at: datetime, detail: str) -> Recharges:
    """The answer does not fit: it stays in flight, and nobody is asked, until a person looked."""
    stopped = replace(
        recharge, status=RechargeStatus.PARKED, ask_at=None, answered_at=at, detail=detail
    )
    return replace(known, pending=stopped)


def succeeded(known: Recharges, number: int) -> Recharges:
    """The money is there: what declines left behind is forgotten."""
    is_pending = known.pending is not None and known.pending.number == number
    return replace(
        known,
        pending=None if is_pending else known.pending,
        declines=0,
        not_before=None,
        held_back="",
        paused=False,
    )


def declined(
    known: Recharges, recharge: Recharge, at: datetime, time_zone: str, *, hard: bool
) -> Recharges:
    """The payment side said no: wait 1, 2, 4 hours, or stop until a person lets it go on."""
    declines = known.declines + 1
    paused = hard or declines >= limits.RECHARGE_DECLINES_MAX
    wait = timedelta(seconds=limits.RECHARGE_BACK_OFF_SECONDS * 2 ** (declines - 1))
    asked_on = local_date(recharge.requested_at, time_zone)
    same_day = asked_on.isoformat() == known.day
    same_month = _month(asked_on) == known.month
    return replace(
        known,
        pending=None,
        declines=declines,
        not_before=None if paused else at + wait,
        held_back="hard_decline" if hard else "declined",
        paused=paused,
        day_count=known.day_count - same_day,
        month_count=known.month_count - same_month,
        month_micros=known.month_micros - (recharge.amount_micros if same_month else 0),
    )


def let_go_on(known: Recharges) -> Recharges:
    """A person changed the settings: what held recharges back is forgotten, ceilings are not."""
    return replace(known, declines=0, not_before=None, held_back="", paused=False)


def local_date(moment: datetime, time_zone: str) -> date:
    """The date of a moment in an IANA time zone."""
    return moment.astimezone(zone(time_zone)).date()


def _in_period(known: Recharges, today: date) -> Recharges:
    if known.day != today.isoformat():
        known = replace(known, day=today.isoformat(), day_count=0)
    if known.month != _month(today):
        known = replace(known, month=_month(today), month_count=0, month_micros=0)
    return known


def _ceiling(known: Recharges, wanted: AutoRecharge) -> str | None:
    """The ceiling that one more recharge would break; the longest wait first."""
    most = wanted.max_amount_per_month_micros
    if most is not None and known.month_micros + wanted.amount_micros > most:
        return "max_amount_per_month"
    if known.month_count >= wanted.max_per_month:
        return "max_per_month"
    if known.day_count >= wanted.max_per_day:
        return "max_per_day"
    return None


def _sized(known: Recharges, wanted: AutoRecharge, balance_micros: int) -> int:
    """As many whole steps as bring the balance to the trigger, within the month's ceiling."""
    steps = ceil_div(wanted.trigger_micros - balance_micros, wanted.amount_micros)
    steps = min(max(1, steps), limits.RECHARGE_STEPS_MAX)
    if wanted.max_amount_per_month_micros is not None:
        left = wanted.max_amount_per_month_micros - known.month_micros
        steps = min(steps, left // wanted.amount_micros)
    return steps * wanted.amount_micros


def _month(day: date) -> str:
    return f"{day.year:04d}-{day.month:02d}"


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _midnight(day: date, time_zone: str) -> datetime:
    """When a day begins there, in UTC."""
    return datetime.combine(day, time(), zone(time_zone)).astimezone(zone("UTC"))
