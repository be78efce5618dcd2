"""Authorization of dial-outs and dial-ins, their extension and release."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import azure.functions as func

from functions.http import ApiCall, bridge_route, new_blueprint, reply
from shared.bootstrap import container
from shared.contracts.common.routes import Body
from shared.domain.common.canonical import content_digest, format_time
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.contracts.dial_out import requests
    from shared.usecases.dial_out.authorisation_request import AuthorisationRequest

    type CallRequest = requests.DialOutRequest | requests.DialInRequest

bp = new_blueprint()
_CALL = "v1/bridges/{bridge}/dial-outs/{authorization}"


@bridge_route(
    bp, "v1/bridges/{bridge}/dial-outs", "dial_out.requests:DialOutRequest", idempotency_key=True
)
async def post_dial_out(call: ApiCall, request: "requests.DialOutRequest") -> func.HttpResponse:
    """Authorize a dial-out. 200 either way: `decision` is allow or deny."""
    answer = await container().authorise_dial_out(
        call.bridge,
        _authorisation_request(
            call, request, call.content, normalize=request.normalize, half=request.half
        ),
    )
    return _reply_decision(call, request, answer, is_dial_out=True)


@bridge_route(
    bp, "v1/bridges/{bridge}/dial-ins", "dial_out.requests:DialInRequest", idempotency_key=True
)
async def post_dial_in(call: ApiCall, request: "requests.DialInRequest") -> func.HttpResponse:
    """Authorize a caller. 200 either way: `decision` is allow or deny. Extended and released like a
    dial-out."""
    content = {"dial_in": call.content}
    answer = await container().authorise_dial_in(
        call.bridge, _authorisation_request(call, request, content)
    )
    return _reply_decision(call, request, answer, is_dial_out=False)


def _authorisation_request(
    call: ApiCall, request: "CallRequest", content: object, **more: Any
) -> "AuthorisationRequest":
    from shared.usecases.dial_out.authorisation_request import AuthorisationRequest

    return AuthorisationRequest(
        to=request.to,
        key=call.key,
        digest=content_digest(canonical_content(content)),
        conference=request.conference_id,
        organizer=request.organizer_id,
        account=request.account,
        caller=request.from_number,
        leg_id=request.leg_id,
        requested_seconds=request.requested_seconds,
        explain=request.explain,
        dry_run=request.dry_run,
        **more,
    )


def _reply_decision(
    call: ApiCall, request: "CallRequest", answer: Mapping[str, object], *, is_dial_out: bool
) -> func.HttpResponse:
    container().backlog.call_requested()
    event(
        "dial_out_answered" if is_dial_out else "dial_in_answered",
        bridge=call.bridge.id,
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


@bridge_route(bp, f"{_CALL}/extend", "dial_out.requests:ExtendRequest")
async def extend_dial_out(call: ApiCall, request: "requests.ExtendRequest") -> func.HttpResponse:
    """Extend a call: hold its cost up to the requested second, counted from its answer."""
    bridge = call.bridge
    authorization = call.path("authorization")
    request.check(authorization, signed=call.webhook_id is not None)
    answer: Mapping[str, object] = await container().active_calls.extend(
        bridge, authorization, request.seconds
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


@bridge_route(bp, f"{_CALL}/release", Body("dial_out.requests:ReleaseRequest", is_optional=True))
async def release_dial_out(call: ApiCall, request: "requests.ReleaseRequest") -> func.HttpResponse:
    """Release a call that did not happen: return its hold. A repetition changes nothing."""
    bridge = call.bridge
    authorization = call.path("authorization")
    request.check(authorization, signed=call.webhook_id is not None)
    await container().active_calls.release(bridge, authorization)
    return reply({"authorization": authorization, "released": True})


@bridge_route(bp, f"{_CALL}/answered", Body("dial_out.requests:AnsweredRequest", is_optional=True))
async def answer_dial_out(call: ApiCall, request: "requests.AnsweredRequest") -> func.HttpResponse:
    """Report that a call was answered: live amounts, warnings and the granted seconds count from
    the answer. Without `answered_at`, the time is now, unless one was reported before."""
    authorization = call.path("authorization")
    request.check(authorization)
    answered_at = await container().active_calls.answered(
        call.bridge, authorization, request.moment()
    )
    return reply({"authorization": authorization, "answered_at": format_time(answered_at)})


def canonical_content(value: object) -> object:
    """The request in values of canonical JSON: numbers with a fraction as text."""
    if isinstance(value, dict):
        return {str(name): canonical_content(each) for name, each in value.items()}
    if isinstance(value, list):
        return [canonical_content(each) for each in value]
    return value if value is None or isinstance(value, str | int) else str(value)
