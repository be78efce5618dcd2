"""Documents of calls in progress."""

from shared.domain.calls.calls_in_progress import CallsNow, OpenCall, shedding_order
from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount, format_price
from shared.domain.dial_out.hold_book import Hold

CALL_COLUMNS = (
    *("authorization", "direction", "to", "from", "region", "organizer", "conference", "bridge"),
    *("leg_id", "since", "answered_at", "granted_seconds", "pool_seconds", "held"),
    *("price_per_minute", "amount_so_far"),
)


def leg_id_of(hold: Hold) -> str | None:
    """The leg's id as its bridge reports it, where the bridge named it in its request."""
    return hold.leg.partition("~")[2] if hold.leg else None


def call_body(call: OpenCall) -> dict[str, object]:
    """An open call as a JSON object."""
    hold = call.hold
    body: dict[str, object | None] = {
        "authorization": hold.authorization,
        "direction": "dial_out" if hold.is_dial_out else "dial_in",
        "to": call.to,
        "from": call.caller,
        "region": call.region,
        "organizer": call.organizer,
        "conference": call.conference,
        "bridge": call.bridge,
        "leg_id": leg_id_of(hold),
        "since": format_time(hold.placed_at),
        "answered_at": format_time(hold.answered_at) if hold.answered_at else None,
        "granted_seconds": hold.granted_seconds,
        "pool_seconds": hold.pool_seconds or None,
        "held": format_amount(hold.amount_micros),
        "price_per_minute": format_price(call.price_picos),
        "amount_so_far": format_amount(call.amount_micros),
    }
    return {name: value for name, value in body.items() if value is not None}


def calls_body(now: CallsNow) -> dict[str, object]:
    """An account's calls as a JSON object. `shedding_order` names the authorizations in the order
    in which calls would have to end."""
    exhausted_at = now.exhausted_at
    return {
        "available": format_amount(now.funds_micros),
        "burn_per_minute": format_price(now.burn_picos),
        "seconds_left": now.seconds_left,
        "exhausted_at": format_time(exhausted_at) if exhausted_at else None,
        "currency": now.currency,
        "as_of": format_time(now.at),
        "items": [call_body(call) for call in now.calls],
        "shedding_order": [call.hold.authorization for call in shedding_order(now.calls)],
    }


def conference_cost_body(
    now: CallsNow, calls: tuple[OpenCall, ...], legs: int, charged_micros: int
) -> dict[str, object]:
    """The cost of a conference as a JSON object."""
    open_micros = sum(call.amount_micros for call in calls)
    return {
        "open": [call_body(call) for call in calls],
        "ended": {"legs": legs, "amount": format_amount(charged_micros)},
        "amount_so_far": format_amount(charged_micros + open_micros),
        "burn_per_minute": format_price(sum(call.burn_picos for call in calls)),
        "seconds_left": now.seconds_left,
        "currency": now.currency,
        "as_of": format_time(now.at),
    }
