"""Organizers, conferences, service numbers and the dial-out policy of an account."""

import azure.functions as func

from functions.edge import Call, admin_route, new_blueprint, reply
from shared.bootstrap import container
from shared.contracts.queries import moment
from shared.domain.access import READERS, Role
from shared.domain.directory import (
    FOREIGN_ID_RULE,
    Registration,
    is_foreign_id,
    is_service_number,
)
from shared.domain.errors import Invalid
from shared.domain.legs import ServiceNumberKind
from shared.usecases.documents import Kind

bp = new_blueprint()
_SETTERS = frozenset({Role.OPERATOR})
_SINCE = (moment("from", "From when on it holds; now if left out."),)
_ORGANIZER = "v1/accounts/{account}/organizers/{organizer}"
_CONFERENCE = "v1/accounts/{account}/conferences/{conference}"
_NUMBER = "v1/accounts/{account}/service-numbers/{number}"
_POLICY = "v1/accounts/{account}/dial-out-policy"


@admin_route(bp, "get_organizer", "GET", _ORGANIZER, READERS)
async def get_organizer(call: Call) -> func.HttpResponse:
    """An organizer, defaults filled in."""
    from shared.contracts.dial_out_policy import organizer_body

    found, etag = await container().dial_out_settings.read_organizer(
        call.path("account"), call.path("organizer")
    )
    return reply({"id": found.organizer, **organizer_body(found), "etag": etag}, etag=etag)


@admin_route(bp, "put_organizer", "PUT", _ORGANIZER, _SETTERS)
async def put_organizer(call: Call) -> func.HttpResponse:
    """Create or replace an organizer."""
    from shared.contracts.dial_out_policy import OrganizerBody, organizer_body
    from shared.contracts.strict import read

    wanted = read(OrganizerBody, call.json()).facts(call.path("organizer"))
    saved = await container().dial_out_settings.put_organizer(
        call.path("account"), wanted, call.if_match()
    )
    return reply(
        {"id": wanted.organizer, **organizer_body(wanted), "etag": saved.etag},
        status=201 if saved.created else 200,
        etag=saved.etag,
    )


@admin_route(bp, "get_dial_out_policy", "GET", _POLICY, READERS)
async def get_dial_out_policy(call: Call) -> func.HttpResponse:
    """The account's policy; what holds by default, without an ETag, where none was put."""
    from shared.contracts.dial_out_policy import policy_body

    found, etag = await container().dial_out_settings.read_policy(call.path("account"))
    return reply({**policy_body(found), **({"etag": etag} if etag else {})}, etag=etag)


@admin_route(bp, "put_dial_out_policy", "PUT", _POLICY, _SETTERS)
async def put_dial_out_policy(call: Call) -> func.HttpResponse:
    """Create or replace the account's policy."""
    from shared.contracts.dial_out_policy import DialOutPolicyBody, policy_body
    from shared.contracts.strict import read

    wanted = read(DialOutPolicyBody, call.json()).policy()
    saved = await container().dial_out_settings.put_policy(
        call.path("account"), wanted, call.if_match()
    )
    body = {**policy_body(wanted), "etag": saved.etag}
    return reply(body, status=201 if saved.created else 200, etag=saved.etag)


@admin_route(bp, "get_conference", "GET", _CONFERENCE, READERS)
async def get_conference(call: Call) -> func.HttpResponse:
    """Whose meeting it is, and was in this account."""
    return await _get_registration(call, Kind.CONFERENCE, "conference", call.path("conference"))


@admin_route(bp, "put_conference", "PUT", _CONFERENCE, _SETTERS, queries=_SINCE)
async def put_conference(call: Call) -> func.HttpResponse:
    """Say whose meeting it is, from now or `?from=` on."""
    from shared.contracts.directory import ConferenceBody
    from shared.contracts.strict import read

    conference = call.path("conference")
    if not is_foreign_id(conference):
        raise Invalid(f"A conference's id has {FOREIGN_ID_RULE}.", code="id_invalid")
    organizer = read(ConferenceBody, call.json()).organizer
    wanted = Registration(call.path("account"), None, organizer=organizer)
    return await _put_registration(call, Kind.CONFERENCE, "conference", conference, wanted)


@admin_route(bp, "get_service_number", "GET", _NUMBER, READERS)
async def get_service_number(call: Call) -> func.HttpResponse:
    """Whose number it is, and of which kind."""
    return await _get_registration(call, Kind.SERVICE_NUMBER, "number", call.path("number"))


@admin_route(bp, "put_service_number", "PUT", _NUMBER, _SETTERS, queries=_SINCE)
async def put_service_number(call: Call) -> func.HttpResponse:
    """Say whose number it is, from now or `?from=` on."""
    from shared.contracts.directory import ServiceNumberBody
    from shared.contracts.strict import read

    number = call.path("number")
    if not is_service_number(number):
        raise Invalid("A service number has + and 7 to 15 digits.", code="number_invalid")
    kind = ServiceNumberKind(read(ServiceNumberBody, call.json()).kind)
    wanted = Registration(call.path("account"), None, kind=kind)
    return await _put_registration(call, Kind.SERVICE_NUMBER, "number", number, wanted)


async def _get_registration(call: Call, kind: Kind, name: str, key: str) -> func.HttpResponse:
    from shared.contracts.directory import registrations_body

    account = call.path("account")
    found = await container().registrations.read(kind, key, account)
    return reply(registrations_body(name, key, account, found.history, found.etag), etag=found.etag)


async def _put_registration(
    call: Call, kind: Kind, name: str, key: str, wanted: Registration
) -> func.HttpResponse:
    from shared.contracts.directory import registrations_body

    made, saved = await container().registrations.put(
        kind,
        key,
        wanted,
        call.principal,
        since=await call.moment("from"),
        if_match=call.if_match(),
    )
    body = registrations_body(name, key, wanted.account, made.history, made.etag)
    return reply(body, status=201 if saved.created else 200, etag=made.etag)
