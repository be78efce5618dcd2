"""The state of an account's dial-out, its stop and restart, and the simulation of a policy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply
from shared.bootstrap import container
from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount
from shared.domain.directory.access import READERS, Role
from shared.telemetry import event

if TYPE_CHECKING:  # loaded by the first request
    from shared.contracts.dial_out.policy import StopBody
    from shared.contracts.dial_out.policy_simulation import WhatIfBody
    from shared.contracts.dial_out.requests import TryBody
    from shared.domain.dial_out.hold_book import Hold
    from shared.ports.holds import HoldRecord
    from shared.usecases.dial_out.missing_legs import MissingLeg

bp = new_blueprint()
_OPERATORS = frozenset({Role.OPERATOR})
_POLICY = "v1/accounts/{account}/dial-out-policy"


@admin_route(bp, "GET", f"{_POLICY}/state", READERS)
async def get_dial_out_state(call: ApiCall) -> func.HttpResponse:
    """Status of dial-out, holds of open calls, and authorized calls without a call-ended event."""
    running = await container().dial_out_settings.running(call.path("account"))
    return reply(
        {
            "suspended": running.suspended,
            "stopped": bool(running.stopped),
            **({"reason": running.stopped} if running.stopped else {}),
            "held": format_amount(running.held_micros),
            "open": [_open(hold, record) for hold, record in running.calls],
            "missing": [_missing(each) for each in running.missing],
        }
    )


def _open(hold: "Hold", record: "HoldRecord") -> dict[str, object]:
    destination = record.answer.get("destination")
    region = destination.get("region") if isinstance(destination, Mapping) else None
    body = {
        "authorization": hold.authorization,
        "direction": "dial_out" if hold.is_dial_out else "dial_in",
        "to": record.number,
        "region": region,
        "organizer": record.organizer,
        "conference": record.conference,
        "bridge": record.bridge,
        "leg_id": hold.leg.partition("~")[2] if hold.leg else None,
        "granted_seconds": hold.granted_seconds,
        "pool_seconds": hold.pool_seconds,
        "held": format_amount(hold.amount_micros),
        "placed_at": format_time(hold.placed_at),
        "expires_at": format_time(hold.expires_at),
    }
    return {name: value for name, value in body.items() if value is not None}


def _missing(each: "MissingLeg") -> dict[str, object]:
    record = each.record
    body = {
        "authorization": record.authorization,
        "bridge": record.bridge,
        "leg": each.leg,
        "organizer": record.organizer,
        "conference": record.conference,
        "destination": record.answer.get("destination"),
        "placed_at": format_time(each.placed_at),
        "granted_seconds": record.granted_seconds,
        "held": format_amount(record.amount_micros),
    }
    return {name: value for name, value in body.items() if value is not None}


@admin_route(bp, "POST", f"{_POLICY}/stop", _OPERATORS, body="dial_out.policy:StopBody")
async def stop_dial_out(call: ApiCall, body: "StopBody") -> func.HttpResponse:
    """Stop dial-out of an account, on every process from the next request on."""
    account = call.path("account")
    await container().dial_out_settings.stop(account, body.reason)
    event("dial_out_stopped", account=account, actor=call.principal.name, why=body.reason)
    return reply({"stopped": True, "reason": body.reason})


@admin_route(bp, "POST", f"{_POLICY}/restart", _OPERATORS)
async def restart_dial_out(call: ApiCall) -> func.HttpResponse:
    """Restart dial-out after a stop. A repetition changes nothing."""
    account = call.path("account")
    restarted = await container().dial_out_settings.restart(account)
    event("dial_out_restarted", account=account, actor=call.principal.name, was_stopped=restarted)
    return reply({"stopped": False})


@admin_route(bp, "POST", f"{_POLICY}/try", READERS, body="dial_out.requests:TryBody")
async def try_dial_out(call: ApiCall, body: "TryBody") -> func.HttpResponse:
    """Try a dial-out of the account without a bridge: the decision and every check. Nothing is
    stored, held or counted."""
    from shared.domain.directory.entities import Bridge
    from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth
    from shared.usecases.dial_out.authorisation_request import AuthorisationRequest

    account = call.path("account")
    unnamed_bridge = Bridge(
        id="-",
        dialect="perminute",
        auth=BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, ()),
        accounts=frozenset({account}),
        default_account=account,
    )
    request = AuthorisationRequest(
        to=body.to,
        key="",
        digest="",
        conference=body.conference_id,
        organizer=body.organizer_id,
        account=account,
        requested_seconds=body.requested_seconds,
        explain=True,
        dry_run=True,
        normalize=body.normalize,
        half=body.half,
    )
    return reply(await container().authorise_dial_out(unnamed_bridge, request))


@admin_route(
    bp,
    "POST",
    f"{_POLICY}/what-if",
    READERS,
    is_report=True,
    body="dial_out.policy_simulation:WhatIfBody",
)
async def post_what_if(call: ApiCall, body: "WhatIfBody") -> func.HttpResponse:
    """Simulate a policy on the dial-outs of a period: the calls that the policy would have denied,
    and the saved amount. Nothing is changed."""
    from shared.contracts.common.times import read_time
    from shared.contracts.dial_out.policy_simulation import what_if_body

    result = await container().simulate_policy(
        call.path("account"),
        body.policy.policy(),
        read_time(body.since) if body.since else None,
        read_time(body.until) if body.until else None,
    )
    return reply(what_if_body(result))
