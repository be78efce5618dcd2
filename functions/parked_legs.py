"""Parked legs: legs that could not be charged, their replay and dismissal."""

from functools import partial
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_list
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE, Query, flag, one_of
from shared.contracts.common.routes import Body
from shared.domain.directory.access import READERS, Role
from shared.domain.legs.parking import ParkReason, ParkStatus
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.contracts.ledger import entries
    from shared.usecases.charging.parked_legs import SweepResult

bp = new_blueprint()
_PATH = "v1/parked-legs"
_OPERATORS = frozenset({Role.OPERATOR})


@admin_route(
    bp,
    "GET",
    _PATH,
    READERS,
    queries=(
        *PAGE,
        Query("account", "Only parked legs of this account."),
        one_of("reason", "Only legs that are parked for this reason.", ParkReason),
        one_of("status", "Only parked legs with this status.", ParkStatus),
        flag("summary", "Count the parked legs by reason."),
    ),
    is_report=True,
)
async def list_parked_legs(call: ApiCall) -> func.HttpResponse:
    """Parked legs, the oldest first. Filters: `?reason=&account=&status=`; `?summary=true` counts
    the legs."""
    from shared.contracts.ledger.entries import PARKED_COLUMNS, parked_body

    where = {name: value for name in ("account", "reason", "status") if (value := call.query(name))}

    if call.flag("summary"):
        counts = await container().parked_legs.counts(call.principal, where)
        by_reason = dict(sorted(counts.items()))
        return reply({"total": sum(by_reason.values()), "by_reason": by_reason})

    fetch = partial(container().parked_legs.page, call.principal, where)
    return await reply_list(call, fetch, PARKED_COLUMNS, "parked-legs.csv", body=parked_body)


@admin_route(
    bp,
    "POST",
    f"{_PATH}/{{id}}/replay",
    _OPERATORS,
    body=Body("ledger.entries:ReplayBody", is_optional=True),
)
async def replay_parked_leg(call: ApiCall, body: "entries.ReplayBody") -> func.HttpResponse:
    """Charge a parked leg. The body may carry changed fields of the leg, in dialect perminute, or
    for a conflict the id under which the leg is charged."""
    from shared.contracts.ledger.entries import parked_body

    parked = await container().parked_legs.replay(
        call.principal, call.path("id"), body.leg, charge_as=body.charge_as
    )
    event("leg_replayed", parked=parked.id, status=parked.status.value, actor=call.principal.name)
    return reply(parked_body(parked))


@admin_route(
    bp,
    "POST",
    f"{_PATH}/{{id}}/dismiss",
    _OPERATORS,
    body=Body("ledger.entries:DismissBody", is_optional=True),
)
async def dismiss_parked_leg(call: ApiCall, body: "entries.DismissBody") -> func.HttpResponse:
    """Dismiss a parked leg, so that it is not charged. The body may state the reason."""
    from shared.contracts.ledger.entries import parked_body

    note = body.note
    parked = await container().parked_legs.dismiss(call.principal, call.path("id"), note)
    event("leg_dismissed", parked=parked.id, actor=call.principal.name)
    return reply(parked_body(parked))


@admin_route(
    bp,
    "POST",
    f"{_PATH}/replay",
    _OPERATORS,
    body=Body("ledger.entries:ReplayAllBody", is_optional=True),
)
async def replay_parked_legs(call: ApiCall, body: "entries.ReplayAllBody") -> func.HttpResponse:
    """Charge the next open parked legs of an account or a reason, unchanged."""
    place = call.place_of(body.cursor)
    swept = await container().parked_legs.replay_all(
        call.principal, body.where(), limit=body.limit, cursor=place
    )
    event("legs_replayed", legs=len(swept.items), actor=call.principal.name)
    return _reply_swept(call, swept)


@admin_route(bp, "POST", f"{_PATH}/dismiss", _OPERATORS, body="ledger.entries:DismissAllBody")
async def dismiss_parked_legs(call: ApiCall, body: "entries.DismissAllBody") -> func.HttpResponse:
    """Dismiss the next open parked legs of an account or a reason."""
    place = call.place_of(body.cursor)
    swept = await container().parked_legs.dismiss_all(
        call.principal, body.where(), body.note, limit=body.limit, cursor=place
    )
    event("legs_dismissed", legs=len(swept.items), actor=call.principal.name)
    return _reply_swept(call, swept)


def _reply_swept(call: ApiCall, swept: "SweepResult") -> func.HttpResponse:
    from shared.contracts.ledger.entries import swept_body

    cursor = swept.cursor and call.cursor_of(swept.cursor)
    return reply(swept_body(swept.items, cursor))
