"""Call ended: legs and events that bridges post."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import ApiCall, bridge_route, new_blueprint, open_route, reply
from shared.bootstrap import container
from shared.contracts.common.routes import ANY_MEDIA_TYPE, JSON_MEDIA_TYPE, Body
from shared.domain.common import limits
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.ports.activity import PostCounts
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.usecases.legs.receive_legs import ReceivedLeg

bp = new_blueprint()
POSTED_LEGS = Body(
    "legs.ended_legs:EndedLegs",
    (JSON_MEDIA_TYPE, ANY_MEDIA_TYPE),
    bytes_max=limits.CALL_ENDED_BODY_BYTES_MAX,
)
"""A post of a bridge, in the shape of its dialect."""
_PATH = "v1/bridges/{bridge}/call-ended"
_ORIGIN = re.compile(r"[A-Za-z0-9.:/_-]{1,253}", re.ASCII)


@bridge_route(
    bp,
    _PATH,
    POSTED_LEGS,
    queries=None,  # vendors add their own
)
async def post_call_ended(call: ApiCall) -> func.HttpResponse:
    """Post ended legs, or events of calls. The response is 202 once every leg and event is durable;
    a repeated delivery gets 202, too."""
    services = container()
    bridge = call.bridge
    if handshake := services.handshake(bridge, call.headers, call.body()):
        return reply(handshake)
    post = BridgePayload(
        bridge=bridge.id,
        body=call.body(),
        content_type=call.media_type(),
        query=call.request.params,
        headers=call.headers,
        country=bridge.country,
    )
    posted = services.parse_post(bridge.dialect, post)
    received = await services.assemble_calls(bridge, posted)
    services.bridge_posts.note(bridge.id, _counted(received, services.clock.now()))
    event(
        "legs_received",
        bridge=bridge.id,
        legs=len(received),
        queued=sum(leg.status == "queued" for leg in received),
        request_id=call.request_id,
    )
    return reply(
        {
            "legs": [
                {
                    "leg": leg.leg,
                    "status": leg.status,
                    **({"reason": leg.reason} if leg.reason else {}),
                    **({"missing": list(leg.missing)} if leg.missing else {}),
                }
                for leg in received
            ]
        },
        status=202,
    )


def _counted(received: "Sequence[ReceivedLeg]", now: datetime) -> PostCounts:
    """Counts of a post's outcomes, for the status."""
    statuses = Counter(each.status for each in received)
    reasons = Counter(each.reason or "" for each in received if each.status == "ignored")
    return PostCounts(now, statuses["queued"], statuses["parked"], reasons)


@open_route(bp, "OPTIONS", _PATH)
async def options_call_ended(call: ApiCall) -> func.HttpResponse:
    """The handshake of CloudEvents over HTTP: any sender may post here, and each post is
    authenticated. The response does not depend on the existence of the bridge."""
    origin = call.headers.get("webhook-request-origin", "")
    headers = {"allow": "OPTIONS, POST"}
    if _ORIGIN.fullmatch(origin):
        headers |= {"webhook-allowed-origin": origin, "webhook-allowed-rate": "*"}
    return func.HttpResponse(status_code=200, headers=headers)
