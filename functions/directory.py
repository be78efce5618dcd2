"""Organizers, conferences, service numbers and the dial-out policy of an account."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import (
    ApiCall,
    admin_route,
    new_blueprint,
    no_content,
    reply,
    reply_list,
    reply_saved,
    with_warnings,
)
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE, PREFIX, flag, moment
from shared.contracts.common.routes import CSV_MEDIA_TYPE, Body
from shared.domain.common import limits
from shared.domain.common.errors import FieldError, Invalid, NotFound
from shared.domain.common.ids import FOREIGN_ID_RULE, is_foreign_id, is_service_number
from shared.domain.common.kinds import ServiceNumberKind
from shared.domain.directory.access import READERS, Role
from shared.domain.directory.entities import Registration
from shared.domain.numbers.numbers import called_number
from shared.usecases.directory.codecs import Kind

if TYPE_CHECKING:  # loaded by the first request
    from shared.contracts.dial_out.policy import DialOutPolicyBody, OrganizerBody
    from shared.contracts.directory.registrations import ConferenceBody, ServiceNumberBody
    from shared.usecases.directory.registrations import Registered

bp = new_blueprint()
_SETTERS = frozenset({Role.OPERATOR})
_SINCE = (moment("from", "The time from which the registration holds; by default now."),)
_REGISTER = (
    *_SINCE,
    flag("take_over", "End the registrations of the caller's other accounts from that time on."),
)
_HISTORY = (flag("history", "Include registrations that have ended."),)
_LIST = (*PAGE, PREFIX)
_DRY_RUN = (flag("dry_run", "Report the changes and store nothing."),)
_LOAD = Body("directory.loads:LoadFile", (CSV_MEDIA_TYPE,), bytes_max=limits.LOAD_BODY_BYTES_MAX)
_ORGANIZERS = "v1/accounts/{account}/organizers"
_CONFERENCES = "v1/accounts/{account}/conferences"
_NUMBERS = "v1/accounts/{account}/service-numbers"
_ORGANIZER = f"{_ORGANIZERS}/{{organizer}}"
_CONFERENCE = f"{_CONFERENCES}/{{conference}}"
_NUMBER = f"{_NUMBERS}/{{number}}"
_POLICY = "v1/accounts/{account}/dial-out-policy"


@admin_route(bp, "GET", _ORGANIZERS, READERS, queries=_LIST, is_report=True)
async def list_organizers(call: ApiCall) -> func.HttpResponse:
    """The account's organizers by id, as JSON or CSV."""
    from shared.contracts.dial_out.policy import ORGANIZER_COLUMNS, listed_organizer_body

    account = call.path("account")
    await container().loads.finish(account)

    prefix = call.query("prefix") or ""
    return await reply_list(
        call,
        partial(container().dial_out_settings.organizers, account, prefix=prefix),
        ORGANIZER_COLUMNS,
        f"{account}-organizers.csv",
        body=lambda each: listed_organizer_body(*each),
    )


@admin_route(bp, "GET", _CONFERENCES, READERS, queries=_LIST, is_report=True)
async def list_conferences(call: ApiCall) -> func.HttpResponse:
    """The account's conferences by id, as JSON or CSV."""
    return await _list_registrations(call, Kind.CONFERENCE, "conference", "organizer")


@admin_route(bp, "GET", _NUMBERS, READERS, queries=_LIST, is_report=True)
async def list_service_numbers(call: ApiCall) -> func.HttpResponse:
    """The account's service numbers in their order, as JSON or CSV."""
    return await _list_registrations(call, Kind.SERVICE_NUMBER, "number", "kind")


@admin_route(
    bp, "PUT", _ORGANIZERS, _SETTERS, queries=_DRY_RUN, body=_LOAD, if_match=False, is_report=True
)
async def put_organizers(call: ApiCall) -> func.HttpResponse:
    """Load many organizers from CSV, all rows or none; `?dry_run=true` reports the changes."""
    from shared.contracts.dial_out.policy import OrganizerBody, organizer_body
    from shared.contracts.directory.loads import (
        ORGANIZER_CELLS,
        load_body,
        parse_row,
        raise_errors,
        read_rows,
    )
    from shared.usecases.directory.codecs import organizer_document
    from shared.usecases.directory.load_directory import DocumentTarget, stale

    account, loading = call.path("account"), container().loads
    rows = read_rows(call.body(), _content_type(call), "id", ORGANIZER_CELLS)
    present = await loading.organizers(account, [row.key for row in rows])
    errors, targets, items = [], [], []
    for row, (stored, etag) in zip(rows, present, strict=True):
        before = None if stored is None else organizer_body(stored)
        errors += [*_id_errors(row.line, "id", row.key), *stale(row.line, row.etag, etag)]
        try:
            facts = parse_row(OrganizerBody, row, before or {}).facts(row.key)
        except Invalid as error:
            errors += error.errors
            continue
        if stored != facts:
            targets.append(DocumentTarget(row.key, organizer_document(facts), etag or None))
        items.append((row.line, row.key, before, organizer_body(facts)))
    raise_errors(errors)
    if not call.flag("dry_run"):
        await loading.save(Kind.ORGANIZER, account, targets)
    return reply(load_body("id", items, dry_run=call.flag("dry_run")))


@admin_route(
    bp, "PUT", _CONFERENCES, _SETTERS, queries=_DRY_RUN, body=_LOAD, if_match=False, is_report=True
)
async def put_conferences(call: ApiCall) -> func.HttpResponse:
    """Load many conferences from CSV, all rows or none, from now on; `?dry_run=true` reports the
    changes."""
    from shared.contracts.directory.registrations import ConferenceBody

    return await _load_registrations(
        call, Kind.CONFERENCE, ("conference", "organizer"), ConferenceBody
    )


@admin_route(
    bp,
    "PUT",
    _NUMBERS,
    _SETTERS,
    queries=_DRY_RUN,
    body=_LOAD,
    if_match=False,
    is_report=True,
    all_accounts=True,
)
async def put_service_numbers(call: ApiCall) -> func.HttpResponse:
    """Load many service numbers from CSV, all rows or none, from now on; `?dry_run=true` reports
    the changes. Needs access to all accounts."""
    from shared.contracts.directory.registrations import ServiceNumberBody

    return await _load_registrations(
        call, Kind.SERVICE_NUMBER, ("number", "kind"), ServiceNumberBody
    )


async def _load_registrations(
    call: ApiCall,
    kind: Kind,
    columns: tuple[str, str],
    model: "type[ConferenceBody | ServiceNumberBody]",
) -> func.HttpResponse:
    from shared.contracts.directory.loads import load_body, parse_row, raise_errors, read_rows
    from shared.usecases.directory.load_directory import (
        DocumentTarget,
        registration_document,
        stale,
    )

    name, value = columns
    account, loading = call.path("account"), container().loads
    rows = read_rows(call.body(), _content_type(call), name, {value: str})
    is_number = kind is Kind.SERVICE_NUMBER
    keys = [called_number(row.key) if is_number else row.key for row in rows]
    present = await loading.registered(kind, account, keys)
    errors, targets, items = [], [], []
    for row, key, (stored, etag) in zip(rows, keys, present, strict=True):
        if is_number and not is_service_number(key):
            errors.append(FieldError(f"/lines/{row.line}/{name}", "must have + and 7 to 15 digits"))
        errors += [*_id_errors(row.line, name, key), *stale(row.line, row.etag, etag)]
        before = None
        if stored is not None:
            before = {value: stored.kind.value if stored.kind else stored.organizer}
        try:
            stated = str(getattr(parse_row(model, row, before or {}), value))
        except Invalid as error:
            errors += error.errors
            continue
        number_kind = ServiceNumberKind(stated) if is_number else None
        organizer = None if is_number else stated
        registration = Registration(account, None, organizer=organizer, kind=number_kind)
        if before != {value: stated}:
            targets.append(DocumentTarget(key, registration_document(registration), etag or None))
        items.append((row.line, key, before, {value: stated}))
    if len(set(keys)) < len(keys) and not errors:
        errors.append(FieldError("/lines", "name one number twice"))
    raise_errors(errors)
    if not call.flag("dry_run"):
        await loading.save(kind, account, targets)
    return reply(load_body(name, items, dry_run=call.flag("dry_run")))


def _content_type(call: ApiCall) -> str:
    return call.headers.get("content-type", "")


def _id_errors(line: int, name: str, key: str) -> list[FieldError]:
    if is_foreign_id(key):
        return []
    return [FieldError(f"/lines/{line}/{name}", f"must have {FOREIGN_ID_RULE}")]


async def _list_registrations(
    call: ApiCall, kind: Kind, name: str, value: str
) -> func.HttpResponse:
    from shared.contracts.directory.registrations import registrations_body

    account = call.path("account")
    await container().loads.finish(account)

    def body(item: tuple[str, "Registered"]) -> dict[str, object]:
        key, registered = item
        return registrations_body(name, key, account, registered.history, registered.etag)

    prefix = call.query("prefix") or ""
    fetch = partial(container().registrations.page, kind, account, prefix=prefix)
    columns = (name, value, "registrations", "etag")
    return await reply_list(call, fetch, columns, f"{account}-{call.route.name}.csv", body=body)


@admin_route(bp, "GET", _ORGANIZER, READERS)
async def get_organizer(call: ApiCall) -> func.HttpResponse:
    """An organizer, defaults filled in."""
    from shared.contracts.dial_out.policy import organizer_body

    organizer, etag = await container().dial_out_settings.read_organizer(
        call.path("account"), call.path("organizer")
    )
    return reply({"id": organizer.organizer, **organizer_body(organizer), "etag": etag}, etag=etag)


@admin_route(bp, "PUT", _ORGANIZER, _SETTERS, body="dial_out.policy:OrganizerBody")
async def put_organizer(call: ApiCall, body: "OrganizerBody") -> func.HttpResponse:
    """Create or replace an organizer."""
    return await _save_organizer(call, body, call.if_match())


@admin_route(bp, "PATCH", _ORGANIZER, _SETTERS, body="dial_out.policy:OrganizerBody")
async def patch_organizer(call: ApiCall) -> func.HttpResponse:
    """Change some fields: omitted fields stay, null takes the default (RFC 7396)."""
    from functions.patches import patch
    from shared.contracts.dial_out.policy import organizer_body

    async def present() -> tuple[Mapping[str, object], str]:
        organizer, etag = await container().dial_out_settings.read_organizer(
            call.path("account"), call.path("organizer")
        )
        return organizer_body(organizer), etag

    return await patch(call, present, partial(_save_organizer, call))


@admin_route(bp, "DELETE", _ORGANIZER, _SETTERS, if_match=True)
async def delete_organizer(call: ApiCall) -> func.HttpResponse:
    """Delete an organizer; legs that were answered before keep their charge."""
    await container().dial_out_settings.delete_organizer(
        call.path("account"), call.path("organizer"), call.if_match()
    )
    return no_content()


async def _save_organizer(
    call: ApiCall, body: "OrganizerBody", if_match: str | None
) -> func.HttpResponse:
    from shared.contracts.dial_out.policy import organizer_body

    organizer = body.facts(call.path("organizer"))
    saved = await container().dial_out_settings.put_organizer(
        call.path("account"), organizer, if_match
    )
    shown = {"id": organizer.organizer, **organizer_body(organizer), "etag": saved.etag}
    return reply_saved(shown, saved)


@admin_route(bp, "GET", _POLICY, READERS)
async def get_dial_out_policy(call: ApiCall) -> func.HttpResponse:
    """The account's policy; the default one, without an ETag, if none was put."""
    from shared.contracts.dial_out.policy import policy_body

    policy, etag = await container().dial_out_settings.read_policy(call.path("account"))
    return reply({**policy_body(policy), **({"etag": etag} if etag else {})}, etag=etag)


@admin_route(bp, "PUT", _POLICY, _SETTERS, body="dial_out.policy:DialOutPolicyBody")
async def put_dial_out_policy(call: ApiCall, body: "DialOutPolicyBody") -> func.HttpResponse:
    """Create or replace the account's policy."""
    return await _save_policy(call, body, call.if_match())


@admin_route(bp, "PATCH", _POLICY, _SETTERS, body="dial_out.policy:DialOutPolicyBody")
async def patch_dial_out_policy(call: ApiCall) -> func.HttpResponse:
    """Change some fields: omitted fields stay, null takes the default (RFC 7396)."""
    from functions.patches import patch
    from shared.contracts.dial_out.policy import policy_body

    async def present() -> tuple[Mapping[str, object], str | None]:
        policy, etag = await container().dial_out_settings.read_policy(call.path("account"))
        return policy_body(policy), etag

    return await patch(call, present, partial(_save_policy, call))


async def _save_policy(
    call: ApiCall, stated: "DialOutPolicyBody", if_match: str | None
) -> func.HttpResponse:
    from shared.contracts.dial_out.policy import policy_body

    policy = stated.policy()
    saved = await container().dial_out_settings.put_policy(call.path("account"), policy, if_match)
    body = {**policy_body(policy), "etag": saved.etag}
    created = saved.created and call.request.method == "PUT"
    return reply(body, status=201 if created else 200, etag=saved.etag)


@admin_route(bp, "GET", _CONFERENCE, READERS, queries=_HISTORY)
async def get_conference(call: ApiCall) -> func.HttpResponse:
    """The organizer of a conference in this account, now and before."""
    return await _get_registration(call, Kind.CONFERENCE, "conference", call.path("conference"))


@admin_route(
    bp,
    "PUT",
    _CONFERENCE,
    _SETTERS,
    queries=_REGISTER,
    body="directory.registrations:ConferenceBody",
)
async def put_conference(call: ApiCall, body: "ConferenceBody") -> func.HttpResponse:
    """Assign a conference to an organizer of this account, from now or `?from=` on.
    `?take_over=true` ends the registrations of the caller's other accounts."""
    conference = call.path("conference")
    if not is_foreign_id(conference):
        raise Invalid(
            f"The id is not valid. A conference's id has {FOREIGN_ID_RULE}.", code="id_invalid"
        )
    organizer = body.organizer
    registration = Registration(call.path("account"), None, organizer=organizer)
    return await _put_registration(call, Kind.CONFERENCE, "conference", conference, registration)


@admin_route(bp, "DELETE", _CONFERENCE, _SETTERS, if_match=True)
async def delete_conference(call: ApiCall) -> func.HttpResponse:
    """End the registration of a conference; its past stays registered."""
    return await _end_registration(call, Kind.CONFERENCE, call.path("conference"))


@admin_route(bp, "GET", _NUMBER, READERS, queries=_HISTORY)
async def get_service_number(call: ApiCall) -> func.HttpResponse:
    """The account and kind of a service number."""
    return await _of_number(
        call, lambda key: _get_registration(call, Kind.SERVICE_NUMBER, "number", key)
    )


async def _of_number(
    call: ApiCall, act: Callable[[str], Awaitable[func.HttpResponse]]
) -> func.HttpResponse:
    """`act` on the normalized number, else on the text, which finds registrations older than
    normalization."""
    text = call.path("number")
    number = called_number(text)
    try:
        return await act(number)
    except NotFound:
        if number == text:
            raise
        return await act(text)


@admin_route(
    bp,
    "PUT",
    _NUMBER,
    _SETTERS,
    queries=_REGISTER,
    body="directory.registrations:ServiceNumberBody",
    all_accounts=True,
)
async def put_service_number(call: ApiCall, body: "ServiceNumberBody") -> func.HttpResponse:
    """Assign a number to an account, from now or `?from=` on; needs access to all accounts."""
    number = called_number(call.path("number"))
    if not is_service_number(number):
        raise Invalid(
            "The service number is not valid. Write + and 7 to 15 digits.", code="number_invalid"
        )
    kind = ServiceNumberKind(body.kind)
    registration = Registration(call.path("account"), None, kind=kind)
    return await _put_registration(call, Kind.SERVICE_NUMBER, "number", number, registration)


@admin_route(bp, "DELETE", _NUMBER, _SETTERS, if_match=True, all_accounts=True)
async def delete_service_number(call: ApiCall) -> func.HttpResponse:
    """End the registration of a number; its past stays registered. Needs access to all accounts."""
    return await _of_number(call, lambda key: _end_registration(call, Kind.SERVICE_NUMBER, key))


async def _end_registration(call: ApiCall, kind: Kind, key: str) -> func.HttpResponse:
    await container().registrations.end(kind, key, call.path("account"), call.if_match())
    return no_content()


async def _get_registration(call: ApiCall, kind: Kind, name: str, key: str) -> func.HttpResponse:
    from shared.contracts.directory.registrations import registrations_body

    account = call.path("account")
    history = call.flag("history")
    view = await container().registrations.read(kind, key, account, ended=history)
    return reply(registrations_body(name, key, account, view.history, view.etag), etag=view.etag)


async def _put_registration(
    call: ApiCall, kind: Kind, name: str, key: str, registration: Registration
) -> func.HttpResponse:
    from shared.contracts.directory.registrations import registrations_body

    view, saved = await container().registrations.put(
        kind,
        key,
        registration,
        call.principal,
        since=await call.moment("from"),
        if_match=call.if_match(),
        take_over=call.flag("take_over"),
    )
    body = registrations_body(name, key, registration.account, view.history, view.etag)
    if registration.organizer is not None:
        absent = await container().absent.of_conference(
            registration.account, registration.organizer
        )
        body = with_warnings(body, absent)
    return reply_saved(body, saved)
