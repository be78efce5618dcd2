"""Dial-out: may it ring, at what price, for how long?"""

import azure.functions as func

from functions.edge import Call, new_blueprint, open_route, reply
from shared.bootstrap import container
from shared.domain.directory import Bridge
from shared.domain.legs import content_digest
from shared.telemetry import event

bp = new_blueprint()


@open_route(bp, "post_dial_out", "POST", "v1/bridges/{bridge}/dial-outs")
async def post_dial_out(call: Call) -> func.HttpResponse:
    """200 either way: `decision` is allow or deny."""
    from shared.contracts.dial_out import DialOutRequest
    from shared.contracts.strict import read
    from shared.usecases.authorise_dial_out import Question

    bridge, webhook_id = await _bridge(call)
    key = call.idempotency_key(default=webhook_id)
    asked = call.json()
    request = read(DialOutRequest, asked)
    answer = await container().authorise_dial_out(
        bridge,
        Question(
            to=request.to,
            key=key,
            digest=content_digest(asked_content(asked)),
            conference=request.conference_id,
            organizer=request.organizer_id,
            account=request.account,
            leg_id=request.leg_id,
            requested_seconds=request.requested_seconds,
            explain=request.explain,
            dry_run=request.dry_run,
            half=request.half,
        ),
    )
    event(
        "dial_out_answered",
        bridge=bridge.id,
        decision=answer["decision"],
        reason=answer.get("reason"),
        to=request.to,
        account=request.account,
        conference=request.conference_id,
        organizer=request.organizer_id,
        dry_run=request.dry_run,
        request_id=call.request_id,
    )
    return reply(answer)


@open_route(bp, "release_dial_out", "POST", "v1/bridges/{bridge}/dial-outs/{authorization}/release")
async def release_dial_out(call: Call) -> func.HttpResponse:
    """The call did not happen: give back what it holds. Again changes nothing."""
    bridge, _ = await _bridge(call)
    authorization = call.path("authorization")
    await container().authorise_dial_out.release(bridge, authorization)
    return reply({"authorization": authorization, "released": True})


async def _bridge(call: Call) -> tuple[Bridge, str | None]:
    return await container().bridge_gate(call.path("bridge"), call.headers, call.body())


def asked_content(asked: object) -> object:
    """What was asked, in values that canonical JSON can spell: numbers with a fraction as text."""
    if isinstance(asked, dict):
        return {str(name): asked_content(value) for name, value in asked.items()}
    if isinstance(asked, list):
        return [asked_content(value) for value in asked]
    return asked if asked is None or isinstance(asked, str | int) else str(asked)
