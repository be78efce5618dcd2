"""Dial-out: may it ring, at what price, for how long? And may a caller be let in?"""

from collections.abc import Mapping

import azure.functions as func

from functions.http import Call, new_blueprint, open_route, reply
from shared.bootstrap import container
from shared.domain.common.canonical import content_digest
from shared.domain.directory.entities import Bridge
from shared.telemetry import event

bp = new_blueprint()
_CALL = "v1/bridges/{bridge}/dial-outs/{authorization}"


@open_route(bp, "post_dial_out", "POST", "v1/bridges/{bridge}/dial-outs", serves_calls=True)
async def post_dial_out(call: Call) -> func.HttpResponse:
    """200 either way: `decision` is allow or deny."""
    from shared.contracts.common.validation import read
    from shared.contracts.dial_out.requests import DialOutRequest
    from shared.usecases.dial_out.authorisation_request import AuthorisationRequest

    bridge, webhook_id = await _bridge(call)
    key = call.idempotency_key(signed=webhook_id)
    asked = call.json()
    request = read(DialOutRequest, asked)
    answer = await container().authorise_dial_out(
        bridge,
        AuthorisationRequest(
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
            normalize=request.normalize,
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


@open_route(bp, "post_dial_in", "POST", "v1/bridges/{bridge}/dial-ins", serves_calls=True)
async def post_dial_in(call: Call) -> func.HttpResponse:
    """200 either way: `decision` is allow or deny. Extended and released as a dial-out is."""
    from shared.contracts.common.validation import read
    from shared.contracts.dial_out.requests import DialInRequest
    from shared.usecases.dial_out.authorisation_request import AuthorisationRequest

    bridge, webhook_id = await _bridge(call)
    key = call.idempotency_key(signed=webhook_id)
    asked = call.json()
    request = read(DialInRequest, asked)
    answer = await container().admit_caller(
        bridge,
        AuthorisationRequest(
            to=request.to,
            key=key,
            digest=content_digest(asked_content({"dial_in": asked})),
            conference=request.conference_id,
            organizer=request.organizer_id,
            account=request.account,
            caller=request.from_number,
            leg_id=request.leg_id,
            requested_seconds=request.requested_seconds,
            explain=request.explain,
            dry_run=request.dry_run,
        ),
    )
    event(
        "dial_in_answered",
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


@open_route(bp, "extend_dial_out", "POST", f"{_CALL}/extend", serves_calls=True)
async def extend_dial_out(call: Call) -> func.HttpResponse:
    """The call goes on: hold what it costs until the second wanted, counted from its answer."""
    from shared.contracts.common.validation import read
    from shared.contracts.dial_out.requests import ExtendRequest

    bridge, webhook_id = await _bridge(call)
    authorization = call.path("authorization")
    wanted = read(ExtendRequest, call.json())
    wanted.check(authorization, signed=webhook_id is not None)
    answer: Mapping[str, object] = await container().open_calls.extend(
        bridge, authorization, wanted.seconds
    )
    event(
        "call_extended",
        bridge=bridge.id,
        authorization=authorization,
        granted_seconds=answer["granted_seconds"],
        ends_by=answer.get("ends_by"),
        request_id=call.request_id,
    )
    return reply(answer)


@open_route(bp, "release_dial_out", "POST", f"{_CALL}/release", serves_calls=True)
async def release_dial_out(call: Call) -> func.HttpResponse:
    """The call did not happen: give back what it holds. Again changes nothing."""
    from shared.contracts.common.validation import read
    from shared.contracts.dial_out.requests import ReleaseRequest

    bridge, webhook_id = await _bridge(call)
    authorization = call.path("authorization")
    wanted = read(ReleaseRequest, call.json() if call.body() else {})
    wanted.check(authorization, signed=webhook_id is not None)
    await container().open_calls.release(bridge, authorization)
    return reply({"authorization": authorization, "released": True})


async def _bridge(call: Call) -> tuple[Bridge, str | None]:
    return await container().bridge_gate(
        call.path("bridge"), call.headers, call.body(), call.request.url
    )


def asked_content(asked: object) -> object:
    """The request in values of canonical JSON: numbers with a fraction as text."""
    if isinstance(asked, dict):
        return {str(name): asked_content(value) for name, value in asked.items()}
    if isinstance(asked, list):
        return [asked_content(value) for value in asked]
    return asked if asked is None or isinstance(asked, str | int) else str(asked)
