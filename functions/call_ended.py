"""Call ended: bridges post the legs that hung up."""

import azure.functions as func

from functions.http import Call, bridge_route, new_blueprint, reply
from shared.bootstrap import container
from shared.contracts.common.routes import ANY_MEDIA_TYPE, JSON_MEDIA_TYPE, Body
from shared.domain.common import limits
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.telemetry import event

bp = new_blueprint()


@bridge_route(
    bp,
    "v1/bridges/{bridge}/call-ended",
    Body(
        "",
        (JSON_MEDIA_TYPE, ANY_MEDIA_TYPE),
        bytes_max=limits.CALL_ENDED_BODY_BYTES_MAX,
    ),
    queries=None,  # vendors add their own
)
async def post_call_ended(call: Call) -> func.HttpResponse:
    """202 once every leg and event is durable; a second delivery is 202 too."""
    services = container()
    bridge = call.bridge
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
