"""What every HTTP function shares: one way in, one way out.

`open_route` lets anybody in (the handler checks who calls), `admin_route` only those who hold a
role, and only for their own accounts. A handler takes a `Call` and returns a response; what it
raises becomes a problem document, and an unexpected error a 500 that tells nothing.
"""

import csv
import io
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func

from shared.bootstrap import container
from shared.contracts.problems import PROBLEM_MEDIA_TYPE, problem
from shared.contracts.routes import Route
from shared.contracts.times import read_time
from shared.domain import limits
from shared.domain.access import Principal, Role
from shared.domain.errors import (
    BadRequest,
    FieldError,
    Invalid,
    NotAuthenticated,
    TooLarge,
    UnsupportedMedia,
)
from shared.domain.strict_json import loads
from shared.telemetry import event, failure

JSON_MEDIA_TYPE = "application/json"
CSV_MEDIA_TYPE = "text/csv"
# curl's default for `-d`; whoever sends JSON so means JSON.
_JSON_TYPES = re.compile(
    r"|application/json|application/[a-z0-9.-]+\+json|application/x-www-form-urlencoded", re.ASCII
)
_COUNT = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_KEY = re.compile(r"[!-~]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
_NOBODY = Principal("", frozenset(), frozenset())

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

type Handler = Callable[[Call], Awaitable[func.HttpResponse]]
ROUTES: list[Route] = []
"""Every HTTP function of the app, as it was declared; the API's description is made of them."""


@dataclass(slots=True)
class Call:
    """One request, read only through these methods: each checks what it reads."""

    request: func.HttpRequest
    request_id: str
    body_bytes_max: int
    principal: Principal = _NOBODY

    @property
    def headers(self) -> Mapping[str, str]:
        """Header values by lower-case name."""
        headers: Mapping[str, str] = self.request.headers
        return headers

    def path(self, name: str) -> str:
        """A decoded segment of the path. Azure's host leaves an encoded slash as it is."""
        return re.sub("%2f", "/", str(self.request.route_params[name]), flags=re.IGNORECASE)

    def query(self, name: str) -> str | None:
        """A query parameter, None if it is missing or empty."""
        return self.request.params.get(name) or None

    def flag(self, name: str) -> bool:
        """A yes-or-no query parameter, no if missing. Raises Invalid `query_invalid`."""
        value = (self.query(name) or "false").lower()
        if value not in {"true", "false", "1", "0"}:
            raise query_invalid(name, "must be true or false")
        return value in {"true", "1"}

    def moment(self, name: str) -> datetime | None:
        """A time in the query, aware UTC. Raises Invalid `query_invalid`."""
        text = self.query(name)
        if text is None:
            return None
        try:
            return read_time(text.replace(" ", "+"))  # forms read a plus as a space
        except ValueError as error:
            raise query_invalid(name, str(error)) from None

    def body(self) -> bytes:
        """The body as it came. Raises TooLarge, UnsupportedMedia, BadRequest `length_required`."""
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise UnsupportedMedia("The body must not be compressed.", code="encoding_unsupported")
        body: bytes = self.request.get_body()
        if len(body) > self.body_bytes_max:
            raise TooLarge(f"The body may have {self.body_bytes_max} bytes.")
        if not body and "chunked" in self.headers.get("transfer-encoding", "").lower():
            raise BadRequest(
                "A chunked body does not get here: send a Content-Length.", code="length_required"
            )
        return body

    def media_type(self) -> str:
        """The content type without parameters, lower case; "" if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def says_json(self) -> bool:
        """Whether the content type is one by which JSON is sent."""
        return _JSON_TYPES.fullmatch(self.media_type()) is not None

    def json(self) -> object:
        """The body as JSON. Raises what `body` and `strict_json.loads` raise."""
        body = self.body()
        if not self.says_json():
            raise UnsupportedMedia("This route reads application/json.")
        if not body:
            raise BadRequest("The body is missing.", code="body_missing")
        return loads(body)

    def if_match(self) -> str | None:
        """The `If-Match` header."""
        return self.headers.get("if-match") or None

    def idempotency_key(self, *, default: str | None = None) -> str:
        """The `Idempotency-Key`, without the quotes around it; `default` where there is none.

        Raises BadRequest.
        """
        text = self.headers.get("idempotency-key", "").strip()
        if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
            text = text[1:-1]
        if not text and default:
            return default
        if not text:
            raise BadRequest(
                "This needs the header Idempotency-Key.", code="idempotency_key_missing"
            )
        if len(text) > limits.IDEMPOTENCY_KEY_CHARS_MAX or not _KEY.fullmatch(text):
            raise BadRequest(
                f"An Idempotency-Key has 1–{limits.IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII "
                "characters without spaces.",
                code="idempotency_key_invalid",
            )
        return text

    def page(self) -> tuple[int, str | None]:
        """`limit` and `cursor` of a list. Raises Invalid `query_invalid`."""
        text = self.query("limit") or str(limits.LIST_ITEMS_DEFAULT)
        if not _COUNT.fullmatch(text) or int(text) > limits.LIST_ITEMS_MAX:
            raise query_invalid("limit", f"must be a number from 1 to {limits.LIST_ITEMS_MAX}")
        return int(text), self.query("cursor")

    def wants_csv(self) -> bool:
        """Whether the caller asked for CSV rather than JSON."""
        return CSV_MEDIA_TYPE in self.headers.get("accept", "").lower()


def new_blueprint() -> func.Blueprint:
    """An empty blueprint (Microsoft left its constructor untyped)."""
    return func.Blueprint()  # type: ignore[no-untyped-call]


def open_route(
    blueprint: func.Blueprint,
    name: str,
    method: str,
    path: str,
    *,
    body_bytes_max: int = limits.BODY_BYTES_MAX,
) -> Callable[[Handler], Any]:
    """A route whose handler checks itself who calls: bridges by their scheme, health for all."""
    return _route(blueprint, name, method, path, None, body_bytes_max)


def admin_route(
    blueprint: func.Blueprint,
    name: str,
    method: str,
    path: str,
    roles: frozenset[Role],
    *,
    body_bytes_max: int = limits.BODY_BYTES_MAX,
) -> Callable[[Handler], Any]:
    """A route for administrators who hold one of `roles` (or `admin`). Where the path names an
    `{account}` it must be one of theirs."""
    return _route(blueprint, name, method, path, roles, body_bytes_max)


def fallback_route(blueprint: func.Blueprint, name: str) -> Callable[[Handler], Any]:
    """What no other route takes: a path that is not there, or not with this method."""
    return _route(blueprint, name, _METHODS, "{*path}", None, limits.BODY_BYTES_MAX)


def methods_of(path: str) -> frozenset[str]:
    """The methods that routes of this path take, none if there is no such path."""
    segments = path.removesuffix("/").split("/")
    found = (each.method for each in ROUTES if _fits(each.path.split("/"), segments))
    return frozenset(found)


def _fits(template: Sequence[str], segments: Sequence[str]) -> bool:
    return len(template) == len(segments) and all(
        (wanted.startswith("{") and bool(text)) or wanted == text.lower()
        for wanted, text in zip(template, segments, strict=True)
    )


def _route(
    blueprint: func.Blueprint,
    name: str,
    methods: str | Sequence[str],
    path: str,
    roles: frozenset[Role] | None,
    body_bytes_max: int,
) -> Callable[[Handler], Any]:
    taken = [methods] if isinstance(methods, str) else list(methods)

    def decorate(handler: Handler) -> Any:
        if "*" not in path:
            about = " ".join((handler.__doc__ or "").split())
            ROUTES.extend(Route(name, each, path, roles, about, body_bytes_max) for each in taken)

        async def function(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
            started = time.perf_counter()
            call = Call(req, str(context.invocation_id), body_bytes_max)
            response = await _answer(handler, call, roles)
            response.headers["x-request-id"] = call.request_id
            response.headers["cache-control"] = "no-store"
            event(
                "http_request",
                function=name,
                status=response.status_code,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
                caller=call.principal.name or None,
                request_id=call.request_id,
            )
            return response

        function.__name__ = name
        function.__qualname__ = name
        function.__module__ = handler.__module__
        function.__doc__ = handler.__doc__
        routed = blueprint.route(path, methods=taken, auth_level=func.AuthLevel.ANONYMOUS)
        return blueprint.function_name(name)(routed(function))

    return decorate


async def _answer(handler: Handler, call: Call, roles: frozenset[Role] | None) -> func.HttpResponse:
    try:
        if roles is not None:
            await _let_in(call, roles)
        return await handler(call)
    except Exception as error:  # noqa: BLE001 - the last line of defence: logged, never shown
        return _problem(error, call)


async def _let_in(call: Call, roles: frozenset[Role]) -> None:
    call.principal = await container().administrators.authenticate(call.headers)
    call.principal.require_one_of(roles)
    if "account" in call.request.route_params:
        call.principal.require_account(call.path("account"))


def _problem(error: Exception, call: Call) -> func.HttpResponse:
    answer = problem(error, urlsplit(call.request.url).path)
    if answer.status >= 500 and answer.status != 503:
        failure("unexpected_error", error, request_id=call.request_id)
    elif isinstance(error, NotAuthenticated):
        event(
            "not_authenticated", why=getattr(error, "__notes__", [])[:1], request_id=call.request_id
        )
    return func.HttpResponse(
        json.dumps(answer.body, ensure_ascii=False),
        status_code=answer.status,
        headers=answer.headers,
        mimetype=PROBLEM_MEDIA_TYPE,
    )


def reply(
    document: object,
    *,
    status: int = 200,
    etag: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    """A JSON answer."""
    fields = dict(headers or {})
    if etag is not None:
        fields["etag"] = etag
    return func.HttpResponse(
        json.dumps(document, ensure_ascii=False, allow_nan=False),
        status_code=status,
        headers=fields,
        mimetype=JSON_MEDIA_TYPE,
    )


def reply_list(items: Sequence[object], cursor: str | None) -> func.HttpResponse:
    """A page of a list: `next` only where there is more."""
    return reply({"items": items} if cursor is None else {"items": items, "next": cursor})


def reply_csv(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    file_name: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    """A CSV answer with a header line; what a spreadsheet would take for a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return reply_text(text.getvalue(), CSV_MEDIA_TYPE, file_name, headers=headers)


def reply_text(
    text: str, media_type: str, file_name: str, *, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A text to be saved under a name of our own making (never one that a caller chose)."""
    disposition = {
        **(headers or {}),
        "content-disposition": f'attachment; filename="{file_name}"',
    }
    return func.HttpResponse(text, status_code=200, headers=disposition, mimetype=media_type)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def query_invalid(name: str, rule: str) -> Invalid:
    """The error for a query parameter that makes no sense."""
    detail = f"The query parameter {name} {rule}."
    return Invalid(detail, (FieldError("", f"{name} {rule}"),), code="query_invalid")
