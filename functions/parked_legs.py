"""Parked legs: what could not be charged, and its way out."""

import azure.functions as func

from functions.http import Call, Page, admin_route, new_blueprint, reply, reply_list
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE, Query, flag, one_of
from shared.domain.directory.access import READERS, Role
from shared.domain.legs.parking import ParkReason, ParkStatus
from shared.telemetry import event

bp = new_blueprint()
_OPERATORS = frozenset({Role.OPERATOR})


@admin_route(
    bp,
    "list_parked_legs",
    "GET",
    "v1/parked-legs",
    READERS,
    queries=(
        *PAGE,
        Query("account", "Those of this account only."),
        one_of("reason", "Those parked for this reason only.", ParkReason),
        one_of("status", "Those in this state only.", ParkStatus),
        flag("summary", "Only count them, by reason."),
    ),
    is_report=True,
)
async def list_parked_legs(call: Call) -> func.HttpResponse:
    """Parked legs, the oldest first; `?reason=&account=&status=`; `?summary=true` counts them."""
    from shared.contracts.ledger.entries import PARKED_COLUMNS, parked_body

    where = {name: value for name in ("account", "reason", "status") if (value := call.query(name))}

    if call.flag("summary"):
        counts = await container().parked_legs.counts(call.principal, where)
        by_reason = dict(sorted(counts.items()))
        return reply({"total": sum(by_reason.values()), "by_reason": by_reason})

    async def fetch(limit: int, cursor: str | None) -> Page:
        page = await container().parked_legs.page(call.principal, where, limit=limit, cursor=cursor)
        return [parked_body(item) for item in page.items], page.cursor

    return await reply_list(call, fetch, PARKED_COLUMNS, "parked-legs.csv")


@admin_route(bp, "replay_parked_leg", "POST", "v1/parked-legs/{id}/replay", _OPERATORS)
async def replay_parked_leg(call: Call) -> func.HttpResponse:
    """Charge it now; the body may carry the changed fields of the leg, in dialect perminute, or for
    a conflict the id of the leg that it is charged as."""
    from shared.contracts.common.validation import read
    from shared.contracts.ledger.entries import ReplayBody, parked_body

    body = read(ReplayBody, call.json() if call.body() else {})
    parked = await container().parked_legs.replay(
        call.principal, call.path("id"), body.leg, charge_as=body.charge_as
    )
    event("leg_replayed", parked=parked.id, status=parked.status.value, actor=call.principal.name)
    return reply(parked_body(parked))


@admin_route(bp, "dismiss_parked_leg", "POST", "v1/parked-legs/{id}/dismiss", _OPERATORS)
async def dismiss_parked_leg(call: Call) -> func.HttpResponse:
    """Nobody will charge it; the body may say why."""
    from shared.contracts.common.validation import read
    from shared.contracts.ledger.entries import DismissBody, parked_body

    note = read(DismissBody, call.json() if call.body() else {}).note
    parked = await container().parked_legs.dismiss(call.principal, call.path("id"), note)
    event("leg_dismissed", parked=parked.id, actor=call.principal.name)
    return reply(parked_body(parked))


@admin_route(bp, "replay_parked_legs", "POST", "v1/parked-legs/replay", _OPERATORS)
async def replay_parked_legs(call: Call) -> func.HttpResponse:
    """Charge the next open ones of an account or a reason now, as they are."""
    from shared.contracts.common.validation import read
    from shared.contracts.ledger.entries import ReplayAllBody, swept_body

    stated = call.json_object(optional=True)
    body = read(ReplayAllBody, stated)
    place = call.place_of(body.cursor, stated)
    swept = await container().parked_legs.replay_all(
        call.principal, body.where(), limit=body.limit, cursor=place
    )
    event("legs_replayed", legs=len(swept.items), actor=call.principal.name)
    cursor = swept.cursor and call.cursor_of(swept.cursor, stated)
    return reply(swept_body(swept.items, cursor))


@admin_route(bp, "dismiss_parked_legs", "POST", "v1/parked-legs/dismiss", _OPERATORS)
async def dismiss_parked_legs(call: Call) -> func.HttpResponse:
    """Nobody will charge the next open ones of an account or a reason."""
    from shared.contracts.common.validation import read
    from shared.contracts.ledger.entries import DismissAllBody, swept_body

    stated = call.json_object()
    body = read(DismissAllBody, stated)
    place = call.place_of(body.cursor, stated)
    swept = await container().parked_legs.dismiss_all(
        call.principal, body.where(), body.note, limit=body.limit, cursor=place
    )
    event("legs_dismissed", legs=len(swept.items), actor=call.principal.name)
    cursor = swept.cursor and call.cursor_of(swept.cursor, stated)
    return reply(swept_body(swept.items, cursor))
