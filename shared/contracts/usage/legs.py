"""Lists of legs: filters, items and rows."""

from collections.abc import Mapping

from shared.contracts.common.queries import query_invalid, read_names
from shared.domain.common.calendar import zone
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.money import format_amount, parse_amount
from shared.domain.legs.leg import encode_leg_key
from shared.domain.usage.leg_list import PARKED, LegFilter, ListedLeg

_TIMES = ("started_at", "answered_at", "ended_at")
LEG_COLUMNS = (
    *("leg", "bridge", "kind", "status", "from", "to", "region", "destination", "number_class"),
    *("organizer", "cost_center", "conference", *_TIMES, "talk_seconds", "billed_seconds"),
    *("pool_seconds", "amount", "currency", "charged", "prefix", "version", "entry", "flags"),
    *("corrections", "booked_at", *(f"{name}_local" for name in (*_TIMES, "booked_at"))),
)
_WITHOUT = ("organizer", "cost_center", "conference", "region", "destination")
_TEXTS = ("organizer", "cost_center", "conference", "region", "destination", "bridge", "flag")


def read_filter(values: Mapping[str, str]) -> LegFilter:
    """The filter of a query. Raises Invalid `query_invalid`."""
    amount = values.get("min_amount")
    try:
        min_amount_micros = parse_amount(amount) if amount else None
    except ValueError as error:
        raise query_invalid(("min_amount", str(error))) from None
    number = values.get("number")
    without = read_names("without", values.get("without"), _WITHOUT)
    if both := [name for name in without if values.get(name)]:
        raise query_invalid(("without", f"has {both[0]}, which also has a value"))
    return LegFilter(
        kind=values.get("kind"),
        status=values.get("status"),
        number=f"+{number.strip().removeprefix('+')}" if number else None,
        min_amount_micros=min_amount_micros,
        **{name: "" if name in without else values.get(name) for name in _TEXTS},
    )


def listed_leg_body(leg: ListedLeg) -> dict[str, object]:
    """A leg of a list. Amounts are charges, positive for money spent."""
    body: dict[str, object] = {
        "leg": encode_leg_key(leg.leg),
        "bridge": leg.bridge,
        "kind": leg.kind or None,
        "status": leg.status,
        "from": leg.from_number,
        "to": leg.to_number,
        "region": leg.region or None,
        "destination": leg.destination or None,
        "number_class": leg.number_class or None,
        "organizer": leg.organizer or None,
        "cost_center": leg.cost_center or None,
        "conference": leg.conference or None,
        "started_at": leg.started_at or None,
        "answered_at": leg.answered_at or None,
        "ended_at": leg.ended_at or None,
        "talk_seconds": leg.talk_seconds,
    }
    if leg.status == PARKED:
        return {**body, "reason": leg.reason, "received_at": format_time(leg.booked_at)}
    return {
        **body,
        "billed_seconds": leg.billed_seconds,
        "pool_seconds": leg.pool_seconds,
        "amount": format_amount(leg.amount_micros),
        "currency": leg.currency,
        "charged": format_amount(leg.charged_micros),
        "prefix": leg.prefix or None,
        "version": leg.version or None,
        "entry": leg.entry,
        "booked_at": format_time(leg.booked_at),
        "flags": list(leg.flags),
        "corrections": list(leg.corrections),
    }


def leg_row(leg: ListedLeg, time_zone: str) -> dict[str, object]:
    """The row of a leg in CSV: lists are separated by spaces, times also in the account's zone."""
    body = listed_leg_body(leg)
    body["flags"] = " ".join(leg.flags)
    body["corrections"] = " ".join(map(str, leg.corrections))
    local = zone(time_zone)
    for name in (*_TIMES, "booked_at"):
        text = body.get(name)
        if isinstance(text, str):
            moment = parse_time(text).astimezone(local)
            body[f"{name}_local"] = moment.isoformat(timespec="seconds")
    return body
