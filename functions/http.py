"""The HTTP edge: declaration of routes, reading of requests, responses.

`open_route` needs no authentication, `bridge_route` is for authenticated bridges, `admin_route` for
principals with a role, and only for their own accounts. A handler takes an `ApiCall` and returns a
response. An exception becomes a problem document, an unexpected one a 500 without details.
"""

import csv
import io
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import azure.functions as func

from shared.bootstrap import container
from shared.contracts.common.cursors import seal, unseal
from shared.contracts.common.problems import PROBLEM_MEDIA_TYPE, problem
from shared.contracts.common.queries import (
    Query,
    check_query,
    query_invalid,
    read_moment,
    read_month,
)
from shared.contracts.common.routes import (
    CSV_MEDIA_TYPE,
    JSON_MEDIA_TYPE,
    Body,
    Route,
    declare,
    is_json,
)
from shared.contracts.common.visible_ids import ACCOUNTS, RATE_CARDS, ids_in
from shared.domain.common import limits
from shared.domain.common.errors import (
    BadRequest,
    FieldError,
    Invalid,
    NotAuthenticated,
    PerminuteError,
    TooLarge,
    UnsupportedMedia,
)
from shared.domain.common.formulas import escape_formulas
from shared.domain.common.strict_json import loads
from shared.domain.directory.access import Principal, Role
from shared.domain.directory.entities import Bridge
from shared.pacing import Work, working, yield_to_others
from shared.ports.audit import ACTING, Actor
from shared.ports.records import SavedDocument
from shared.telemetry import event, failure

_KEY = re.compile(r"[!-~]+", re.ASCII)
_PAGING = frozenset({"cursor", "limit", "format"})
_NOBODY = Principal("", frozenset(), frozenset())
CSV_ROWS_MAX = 100_000
"""Rows of a list as one CSV file (docs/configuration.md)."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

type Handler = Callable[..., Awaitable[func.HttpResponse]]
"""Called with the `ApiCall`, and with the parsed body where the route declares one."""
type Serve = Callable[[Handler, ApiCall], Awaitable[func.HttpResponse]]
ROUTES: list[Route] = []
"""Every HTTP function of the app, as it was declared; the API's description is made of them."""


@dataclass(slots=True)
class ApiCall:
    """One request. Each method validates what it reads."""

    request: func.HttpRequest
    request_id: str
    route: Route
    principal: Principal = _NOBODY
    values: dict[str, str] = field(default_factory=dict)
    content: object = None
    """The JSON of the parsed body, as it was sent."""
    key: str = ""
    """The Idempotency-Key of a route that declares it."""
    webhook_id: str | None = None
    """The webhook id of a signed request of a bridge."""
    bridge: Bridge = field(init=False)
    """The authenticated bridge of a bridge route."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header values by lower-case name."""
        headers: Mapping[str, str] = self.request.headers
        return headers

    def path(self, name: str) -> str:
        """A decoded segment of the path. Azure's host leaves an encoded slash as it is."""
        return re.sub("%2f", "/", str(self.request.route_params[name]), flags=re.IGNORECASE)

    def check_query(self) -> None:
        """Read the query as the route declares it. Raises Invalid `query_invalid`."""
        if self.route.queries is not None:
            self.values = check_query(self.request.url, self.route.queries)

    def query(self, name: str) -> str | None:
        """A query parameter that the route declares, None if it is missing or empty."""
        if all(each.name != name for each in self.route.queries or ()):
            raise LookupError(f"the route does not declare the query parameter {name}")
        return self.values.get(name)

    def flag(self, name: str) -> bool:
        """A yes-or-no query parameter, no if missing."""
        return (self.query(name) or "").lower() in {"true", "1"}

    async def moment(self, name: str) -> datetime | None:
        """A time in the query, aware UTC; a date is midnight in the account's time zone.

        Raises NotFound `account_unknown`.
        """
        text = self.query(name)
        return None if text is None else read_moment(text, await self._zone(text))

    async def span(self) -> tuple[datetime | None, datetime | None]:
        """The times `from` and `to`, or the whole `month`. Raises Invalid `query_invalid`."""
        month = self.query("month")
        if month is None:
            since, until = await self.moment("from"), await self.moment("to")
            if since is not None and until is not None and until < since:
                raise query_invalid(("to", "must not be before from"))
            return since, until
        if self.query("from") or self.query("to"):
            raise query_invalid(("month", "can't be combined with from and to"))
        return read_month(month, await self._zone(month))

    async def _zone(self, text: str) -> str:
        """The time zone of dates: that of the account which the request names."""
        account = self.request.route_params.get("account") or self.values.get("account")
        if "T" in text.upper() or not account:
            return "UTC"
        return (await container().facts.require_account(str(account))).settings.time_zone

    def body(self) -> bytes:
        """The body as received. Raises TooLarge, UnsupportedMedia, BadRequest `length_required`."""
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise UnsupportedMedia(
                "The body is compressed. Send the body without Content-Encoding.",
                code="encoding_unsupported",
            )
        body: bytes = self.request.get_body()
        if len(body) > self.route.body_bytes_max:
            raise TooLarge(
                f"The body has more than {self.route.body_bytes_max} bytes. "
                "Send the content in parts."
            )
        if not body and "chunked" in self.headers.get("transfer-encoding", "").lower():
            raise BadRequest(
                "The body is chunked. Send the body with Content-Length.", code="length_required"
            )
        return body

    def media_type(self) -> str:
        """The content type without parameters, lower case; "" if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def check_media_type(self) -> None:
        """Raises what `body` raises, and UnsupportedMedia for a type that the route does not
        declare."""
        declared = self.route.body
        left_out = not self.body() and declared is not None and declared.is_optional
        if declared is None or left_out or declared.takes(self.media_type()):
            return
        name = "Accept-Patch" if self.request.method == "PATCH" else "Accept"
        accepted = ", ".join(declared.media_types)
        raise UnsupportedMedia(
            f"This route reads {accepted}. Send one of these content types.", (name, accepted)
        )

    def json(self) -> object:
        """The body as JSON, `{}` where it is optional and left out. Raises what `body` and
        `strict_json.loads` raise, and BadRequest `body_missing`."""
        body = self.body()
        if not body and self.route.body and self.route.body.is_optional:
            return {}
        if not body:
            raise BadRequest(
                "The body is missing. Send the body that the route describes.", code="body_missing"
            )
        return loads(body)

    def if_match(self) -> str | None:
        """The `If-Match` header, which the route declares."""
        if not self.route.if_match:
            raise LookupError("the route does not declare If-Match")
        return self.headers.get("if-match") or None

    def idempotency_key(self) -> str:
        """The `Idempotency-Key`, without the quotes around it. On a signed request the key is its
        webhook id, since the signature does not cover the header.

        Raises BadRequest.
        """
        text = self.headers.get("idempotency-key", "").strip()
        if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
            text = text[1:-1]
        if self.webhook_id is not None:
            if text and text != self.webhook_id:
                raise BadRequest(
                    "The Idempotency-Key of a signed request is its webhook-id: send the same "
                    "text, or leave the header out.",
                    code="idempotency_key_mismatch",
                )
            return self.webhook_id
        if not text:
            raise BadRequest(
                "The header Idempotency-Key is missing. "
                "Send a new key with each new request, and the same key with a repeated one.",
                code="idempotency_key_missing",
            )
        if len(text) > limits.IDEMPOTENCY_KEY_CHARS_MAX or not _KEY.fullmatch(text):
            raise BadRequest(
                "The Idempotency-Key is not valid. A key has "
                f"1–{limits.IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters without spaces.",
                code="idempotency_key_invalid",
            )
        return text

    def page(self) -> tuple[int, str | None]:
        """`limit` and the place that `cursor` names. Raises Invalid `cursor_invalid`."""
        limit = int(self.query("limit") or limits.LIST_ITEMS_DEFAULT)
        return limit, self.place_of(self.query("cursor"))

    def place_of(self, cursor: str | None) -> str | None:
        """The place in this list that a cursor names.

        Raises Invalid `cursor_invalid` for a cursor of another list, query or caller's accounts.
        """
        if cursor is None:
            return None
        return unseal(container().settings.chain_key, self._list(), cursor)

    def cursor_of(self, place: str) -> str:
        """The cursor that `place_of` reads."""
        return seal(container().settings.chain_key, self._list(), place)

    def _list(self) -> object:
        """The identity of a list: path, query and body, and which accounts are visible."""
        query = {name: text for name, text in self.values.items() if name not in _PAGING}
        content = self.content if isinstance(self.content, dict) else {}
        filters = {name: value for name, value in content.items() if name not in _PAGING}
        path = [self.route.name, *sorted(self.request.route_params.items())]
        return [path, query, filters, sorted(self.principal.accounts)]

    def wants_csv(self) -> bool:
        """True if the caller requests CSV rather than JSON, by `?format=` or `Accept`."""
        accepted = "csv" if CSV_MEDIA_TYPE in self.headers.get("accept", "").lower() else "json"
        return (self.query("format") or accepted) == "csv"

    def next_link(self, cursor: str) -> str:
        """The `Link` header of a page that another one follows."""
        parts = urlsplit(self.request.url)
        query = urlencode({**self.values, "cursor": cursor})
        url = quote(parts._replace(query=query, fragment="").geturl(), safe="/:?&=%+~@!$'(),;*[]")
        return f'<{url}>; rel="next"'


def new_blueprint() -> func.Blueprint:
    """An empty blueprint (Microsoft left its constructor untyped)."""
    return func.Blueprint()  # type: ignore[no-untyped-call]


def open_route(blueprint: func.Blueprint, method: str, path: str) -> Callable[[Handler], Any]:
    """A route without authentication: health, and the API's description."""
    return _route(blueprint, Route("", method, path), [method], _serve_anybody)


def bridge_route(
    blueprint: func.Blueprint,
    path: str,
    body: Body | str,
    *,
    queries: Sequence[Query] | None = (),
    idempotency_key: bool = False,
) -> Callable[[Handler], Any]:
    """A POST of the bridge that the path names, authenticated by its scheme. Reports give way to
    these routes."""
    route = declare("POST", path, None, queries, body, idempotency_key=idempotency_key)
    return _route(blueprint, route, ["POST"], _serve_bridge)


def admin_route(
    blueprint: func.Blueprint,
    method: str,
    path: str,
    roles: frozenset[Role],
    *,
    queries: Sequence[Query] = (),
    body: Body | str | None = None,
    is_report: bool = False,
    **flags: bool,
) -> Callable[[Handler], Any]:
    """A route for administrators who hold one of `roles` (or `admin`). An `{account}` in the path
    must be one of the principal's accounts. `flags` are those of `Route`.

    A report reads or computes much: it waits for a turn and gives way to calls in progress.
    """

    async def serve(handler: Handler, call: ApiCall) -> func.HttpResponse:
        await _authenticate(call, roles)
        return await _work(handler, call, is_report=is_report)

    route = declare(method, path, roles, queries, body, **flags)
    return _route(blueprint, route, [method], serve)


def fallback_route(blueprint: func.Blueprint) -> Callable[[Handler], Any]:
    """The route of every request that no other route takes."""
    route = Route("", "*", "{*path}", queries=None)
    return _route(blueprint, route, _METHODS, _serve_anybody)


def methods_of(path: str) -> frozenset[str]:
    """The methods of the routes with this path; empty if there is no such path."""
    segments = path.removesuffix("/").split("/")
    methods = (each.method for each in ROUTES if _fits(each.path.split("/"), segments))
    return frozenset(methods)


def _fits(template: Sequence[str], segments: Sequence[str]) -> bool:
    return len(template) == len(segments) and all(
        (part.startswith("{") and bool(text)) or part == text.lower()
        for part, text in zip(template, segments, strict=True)
    )


def _route(
    blueprint: func.Blueprint, declared: Route, methods: Sequence[str], serve: Serve
) -> Callable[[Handler], Any]:
    def decorate(handler: Handler) -> Any:
        route = replace(
            declared,
            name=handler.__name__,
            about=" ".join((handler.__doc__ or "").split()),
        )
        if "*" not in route.path:
            ROUTES.append(route)

        async def function(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
            started = time.perf_counter()
            call = ApiCall(req, str(context.invocation_id), route)
            try:
                response = await serve(handler, call)
            except Exception as error:  # noqa: BLE001 - the last line of defence: logged, not shown
                response = _problem(error, call)
            response.headers["x-request-id"] = call.request_id
            response.headers["cache-control"] = "no-store"
            response.headers["x-content-type-options"] = "nosniff"
            is_unproven = response.status_code in {401, 403, 429} and not call.principal.name
            if is_unproven and not container().refusals.take():
                return response
            event(
                "http_request",
                function=route.name,
                status=response.status_code,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
                caller=call.principal.name or None,
                caller_key=call.principal.key or None,
                request_id=call.request_id,
            )
            return response

        function.__name__ = route.name
        function.__qualname__ = route.name
        function.__module__ = handler.__module__
        function.__doc__ = handler.__doc__
        routed = blueprint.route(
            f"api/{route.path}", methods=methods, auth_level=func.AuthLevel.ANONYMOUS
        )
        return blueprint.function_name(route.name)(routed(function))

    return decorate


async def _serve_anybody(handler: Handler, call: ApiCall) -> func.HttpResponse:
    call.check_query()
    return await handler(call)


async def _serve_bridge(handler: Handler, call: ApiCall) -> func.HttpResponse:
    services = container()
    with services.turns.call():
        call.check_query()
        call.bridge, call.webhook_id = await services.authenticate_bridge(
            call.path("bridge"),
            call.headers,
            call.body(),
            call.request.url,
            is_event=call.route.queries is None,
        )
        return await _run(handler, call)


async def _serve_admin(handler: Handler, call: ApiCall) -> func.HttpResponse:
    call.check_query()
    if not call.principal.sees_all_accounts:
        await _require_visible(call)
    if call.route.all_accounts:
        call.principal.require_all_accounts()
    return await _run(handler, call)


async def _run(handler: Handler, call: ApiCall) -> func.HttpResponse:
    """Run the handler with the key and body that the route declares."""
    route = call.route
    if route.idempotency_key:
        call.key = call.idempotency_key()
    if route.body is None:
        return await handler(call)
    call.check_media_type()
    if not route.body.is_parsed:
        return await handler(call)
    from shared.contracts.common.validation import parse_body

    call.content = call.json()
    return await handler(call, parse_body(route.body.model, call.content))


async def _work(handler: Handler, call: ApiCall, *, is_report: bool) -> func.HttpResponse:
    """Run the handler within the caller's budget, a report in its turn. Raises RateLimited."""
    process, principal = container(), call.principal
    caller = f"key:{principal.key}" if principal.key else principal.name
    process.budgets.admit(caller, process.settings.caller_allowance)
    work = Work(process.budgets, caller, process.turns)
    if not is_report:
        with working(work):
            return await _serve_admin(handler, call)
    async with process.turns.report(caller):
        work.deadline = time.monotonic() + limits.REPORT_SECONDS_MAX
        with working(work):
            return await _serve_admin(handler, call)


async def _authenticate(call: ApiCall, roles: frozenset[Role]) -> None:
    call.principal = await container().administrators.authenticate(call.headers)
    ACTING.set(Actor(call.principal.name, call.request_id))  # whose changes these are
    call.principal.require_one_of(roles)
    if "account" in call.request.route_params:
        call.principal.require_account(call.path("account"))


async def _require_visible(call: ApiCall) -> None:
    """Every account and rate card that the request names, in path, query or body, must be visible
    to the caller. A body that can't be parsed is left to the handler, which refuses it.

    Raises NotAllowed, the same for foreign and for absent accounts and cards.
    """
    try:
        body = loads(call.body()) if is_json(call.media_type()) else None
    except PerminuteError:
        body = None
    path = {name: call.path(name) for name in call.request.route_params}
    named = [path, call.values, body]
    for account in ids_in(named, ACCOUNTS):
        call.principal.require_account(account)
    for card in set(ids_in(named, RATE_CARDS)):
        await container().accounts.require_card(call.principal, card)


def _problem(error: Exception, call: ApiCall) -> func.HttpResponse:
    path = urlsplit(call.request.url).path
    response = problem(error, path)
    if response.status >= 500 and response.status != 503:
        failure("unexpected_error", error, request_id=call.request_id)
    elif isinstance(error, NotAuthenticated) and container().refusals.are_logged:
        event(
            "not_authenticated",
            why=getattr(error, "__notes__", [])[:1],
            bridge=call.request.route_params.get("bridge"),
            path=path,
            request_id=call.request_id,
        )
    return func.HttpResponse(
        json.dumps({**response.body, "request_id": call.request_id}, ensure_ascii=False),
        status_code=response.status,
        headers=response.headers,
        mimetype=PROBLEM_MEDIA_TYPE,
    )


def reply(
    document: object,
    *,
    status: int = 200,
    etag: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    """A JSON response."""
    fields = dict(headers or {})
    if etag is not None:
        fields["etag"] = etag
    return func.HttpResponse(
        json.dumps(document, ensure_ascii=False, allow_nan=False),
        status_code=status,
        headers=fields,
        mimetype=JSON_MEDIA_TYPE,
    )


def reply_saved(document: object, saved: SavedDocument) -> func.HttpResponse:
    """The response to a PUT or PATCH, 201 if it created the resource."""
    return reply(document, status=201 if saved.created else 200, etag=saved.etag)


def with_warnings(
    document: Mapping[str, object], warnings: Sequence[FieldError]
) -> dict[str, object]:
    """The response to a setting, with the references that do not exist."""
    if not warnings:
        return dict(document)
    bodies = [{"pointer": each.pointer, "detail": each.detail} for each in warnings]
    return {**document, "warnings": bodies}


def no_content() -> func.HttpResponse:
    """The response to a deletion."""
    return func.HttpResponse(status_code=204)


type ItemPage = tuple[Sequence[Mapping[str, object]], str | None]
"""Items as they are shown, and the cursor of the next page, None on the last one."""


async def reply_list(
    call: ApiCall,
    fetch: Callable[..., Awaitable[tuple[Sequence[Any], str | None]]],
    columns: Sequence[str],
    file_name: str,
    *,
    body: Callable[[Any], Mapping[str, object]] = dict,
    time_column: str | None = None,
) -> func.HttpResponse:
    """A list as JSON pages, or as one CSV file with all rows, a page only where `limit` is sent.

    `fetch(limit=…, cursor=…)` → (items, place of the next page or None). `body` makes the object of
    an item, and `columns` are those of the CSV. The route's `from` and `to` select by
    `time_column`. Raises Invalid `result_too_large` for a file of more than `CSV_ROWS_MAX` rows.
    """

    async def page(limit: int, cursor: str | None) -> ItemPage:
        items, place = await fetch(limit=limit, cursor=cursor)
        return list(map(body, items)), place

    limit, cursor = call.page()
    if not call.wants_csv():
        items, place = await page(limit, cursor)
        if place is None:
            return reply({"items": items})
        following = call.cursor_of(place)
        headers = {"link": call.next_link(following)}
        return reply({"items": items, "next": following}, headers=headers)
    table = _Table(columns)
    if call.query("limit"):
        items, place = await page(limit, cursor)
        await table.add(items)
        if place is None:
            return table.reply(file_name, {})
        following = call.cursor_of(place)
        more = {"link": call.next_link(following), "x-next-cursor": following}
        return table.reply(file_name, more)
    while True:
        items, cursor = await page(limits.LIST_ITEMS_MAX, cursor)
        if table.rows + len(items) > CSV_ROWS_MAX:
            first_left = items[CSV_ROWS_MAX - table.rows]
            raise result_too_large(first_left.get(time_column or ""))
        await table.add(items)
        if cursor is None:
            return table.reply(file_name, {})


def result_too_large(moment: object) -> Invalid:
    """The error for a CSV file of too many rows. `moment` is the time of the first row that is left
    out, if the route selects by a time."""
    way_out = (
        f"Narrow the span: the rows before to={moment} fit into one file."
        if moment
        else "Send limit, and follow the header Link."
    )
    detail = f"More than {CSV_ROWS_MAX:,} rows match, which is the most for one CSV file. {way_out}"
    return Invalid(detail, code="result_too_large")


class _Table:
    """CSV that grows row by row, with a header line."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow(columns)
        self.rows = 0

    async def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Add rows; formulas of spreadsheets are quoted."""
        for row in rows:
            await yield_to_others()
            self._writer.writerow([_cell(row.get(column)) for column in self._columns])
            self.rows += 1

    def reply(self, file_name: str, headers: Mapping[str, str]) -> func.HttpResponse:
        return reply_text(self._text.getvalue(), CSV_MEDIA_TYPE, file_name, headers=headers)


async def reply_csv(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    file_name: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    """A CSV response with a header line; formulas of spreadsheets are quoted."""
    table = _Table(columns)
    await table.add(rows)
    return table.reply(file_name, headers or {})


def reply_text(
    text: str, media_type: str, file_name: str, *, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A text to be saved under `file_name`, which no caller chose."""
    disposition = {
        **(headers or {}),
        "content-disposition": f'attachment; filename="{file_name}"',
    }
    return func.HttpResponse(text, status_code=200, headers=disposition, mimetype=media_type)


def _cell(value: object) -> str:
    text = "" if value is None else _json(value) if isinstance(value, dict | list) else str(value)
    return escape_formulas(text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
