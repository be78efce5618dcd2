"""What every route shares: request ids, bodies, problems, health."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from functions import http
from functions.http import ApiCall
from shared.contracts.common.queries import SPAN
from shared.contracts.common.routes import Route
from shared.domain.common.errors import BadRequest, Invalid, QueueUnavailable, StoreUnavailable
from shared.domain.legs.leg import QueuedLeg
from shared.usecases.legs.receive_legs import leg_message
from tests.support.charging_app import ChargingApp
from tests.support.product import ADMIN_KEY, Product

PATH = "/api/v1/accounts/contoso"


def call(**headers: str) -> ApiCall:
    import azure.functions as func

    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = func.HttpRequest("POST", "http://x/y", headers=fields, body=b"")
    return ApiCall(request, "id", Route("", "POST", ""))


def test_every_answer_carries_the_request_id_and_is_not_kept(app: Product) -> None:
    for answer in (app.get(PATH), app.account(), app.get(PATH, key=None)):
        assert answer.headers["x-request-id"] == "an-invocation"
        assert answer.headers["cache-control"] == "no-store"


def test_an_error_is_a_problem_document(app: Product) -> None:
    answer = app.get(PATH)

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json == {
        "type": "/problems/account_unknown",
        "title": "Not Found",
        "status": 404,
        "detail": "No account has this id. Check the id, or create the account with PUT.",
        "instance": PATH,
        "code": "account_unknown",
        "request_id": "an-invocation",
    }


def test_an_unexpected_error_reports_nothing(
    app: Product, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def read(self, _: str) -> None:
            raise RuntimeError("a secret of ours")

    app.container.accounts = Broken()

    answer = app.get(PATH)

    assert (answer.status, answer.code) == (500, "internal")
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    assert "a secret of ours" in caplog.text


def test_an_outage_is_503_with_retry_after(app: Product) -> None:
    app.tables.inject(1, StoreUnavailable("busy"), kind="get")

    answer = app.get(PATH)

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "unavailable", "5")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "body_missing"),
        (b"", {"transfer-encoding": "chunked"}, 400, "length_required"),
        (b"no json", {}, 400, "json_invalid"),
        (b'{"currency": "USD"', {}, 400, "json_invalid"),
        (b'{"currency": "USD", "currency": "EUR"}', {}, 400, "json_invalid"),
        (b'{"currency": NaN}', {}, 400, "json_invalid"),
        (b'{"currency": "\xff"}', {}, 400, "json_invalid"),
        (b'\xef\xbb\xbf{"currency": "USD"}', {}, 400, "json_invalid"),
        (b"[" * 50_000, {}, 400, "json_invalid"),
        (b"9" * 5_000, {}, 400, "json_invalid"),
        (b'"USD"', {}, 422, "invalid"),
        (b"null", {}, 422, "invalid"),
        (b" " * 262_145, {}, 413, "too_large"),
        (b"{}", {"content-encoding": "gzip"}, 415, "encoding_unsupported"),
        (b"{}", {"content-encoding": "identity"}, 422, "invalid"),
        (b"{}", {"content-type": "text/csv"}, 415, "unsupported_media_type"),
        (b"{}", {"content-type": "text/plain; charset=utf-8"}, 415, "unsupported_media_type"),
        (b"{}", {"content-type": "application/json; charset=utf-8"}, 422, "invalid"),
        (b"{}", {"content-type": "application/x-www-form-urlencoded"}, 422, "invalid"),
        (b"{}", {"content-type": ""}, 422, "invalid"),
    ],
)
def test_bodies_that_are_not_understood(
    app: Product, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = app.put(PATH, body, headers=headers)

    assert (answer.status, answer.code) == (status, code)
    assert app.get(PATH).status == 404


def test_who_is_not_let_in_learns_nothing_of_their_body(app: Product) -> None:
    assert app.put(PATH, b"no json", key="wrong").status == 401


@pytest.mark.parametrize(
    ("header", "key"),
    [("abc", "abc"), ('"abc"', "abc"), (' "a b" '.replace(" ", ""), "ab"), ('"a', '"a')],
)
def test_an_idempotency_key_may_be_quoted(header: str, key: str) -> None:
    assert call(idempotency_key=header).idempotency_key() == key


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "idempotency_key_missing"),
        ("", "idempotency_key_missing"),
        ('""', "idempotency_key_missing"),
        ("x" * 201, "idempotency_key_invalid"),
        ("a b", "idempotency_key_invalid"),
        ("é", "idempotency_key_invalid"),
    ],
)
def test_a_missing_or_odd_idempotency_key_is_400(header: str | None, code: str) -> None:
    fields = {} if header is None else {"idempotency_key": header}
    with pytest.raises(BadRequest) as caught:
        call(**fields).idempotency_key()
    assert caught.value.code == code


def test_a_flag_is_true_or_false(app: Product) -> None:
    path = "/api/v1/rate-cards/x/versions/2026-01-01T00:00:00Z?dry_run=maybe"
    assert app.put(path, {}).code == "query_invalid"


def test_csv_guards_spreadsheets_and_keeps_numbers() -> None:
    cells = ["=1+1", "+33", "-3.20", "@x", "-x", "\tx", "a,b", 'say "x"', None, 5, "+cmd"]
    columns = [str(index) for index in range(len(cells))]
    row: dict[str, Any] = dict(zip(columns, cells, strict=True))

    answer = asyncio.run(http.reply_csv(columns, [row], "x.csv"))

    line = answer.get_body().decode().split("\r\n")[1]
    assert line == '\'=1+1,+33,-3.20,\'@x,\'-x,\'\tx,"a,b","say ""x""",,5,\'+cmd'
    assert answer.headers["content-disposition"] == 'attachment; filename="x.csv"'


def test_times_in_a_query_may_have_a_plus_that_forms_decode() -> None:
    import azure.functions as func

    def moment(text: str) -> str:
        request = func.HttpRequest("GET", f"http://x?from={text}", route_params={}, body=b"")
        made = ApiCall(request, "id", Route("", "GET", "", queries=SPAN))
        made.check_query()
        return str(asyncio.run(made.moment("from")))

    assert moment("2026-11-23T10:00:00 02:00") == "2026-11-23 08:00:00+00:00"
    assert moment("2026-11-23T10:00:00+02:00") == "2026-11-23 08:00:00+00:00"
    assert moment("2026-11-23") == "2026-11-23 00:00:00+00:00"
    with pytest.raises(Invalid):
        moment("2026-11-32")


def test_health_is_open_to_all_and_checks_what_it_needs(app: Product) -> None:
    async def fine() -> None:
        return None

    app.container.queue_check = fine

    answer = app.get("/api/health", key=None)

    assert (answer.status, answer.json) == (
        200,
        {"status": "ok", "checks": {"tables": "ok", "queue": "ok"}, "version": "9.9.9"},
    )


def test_health_is_503_when_legs_can_not_be_taken(app: Product) -> None:
    async def down() -> None:
        raise QueueUnavailable("down")

    app.container.queue_check = down
    app.tables.inject(1, StoreUnavailable("down"), kind="get")

    answer = app.get("/api/health", key=None)

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.json["status"] == "failing"
    assert answer.json["checks"] == {"tables": "unavailable", "queue": "unavailable"}


def test_health_is_degraded_while_the_queue_is_away_and_legs_are_accepted(app: Product) -> None:
    async def down() -> None:
        raise QueueUnavailable("down")

    app.container.queue_check = down

    answer = app.get("/api/health", key=None)

    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert answer.json["checks"] == {"tables": "ok", "queue": "unavailable"}


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, "ok"), (59, "ok"), (60, "degraded"), (86_400, "degraded")]
)
def test_health_is_never_ok_while_legs_wait_to_be_charged(
    app: Product, seconds: int, status: str
) -> None:
    async def waiting() -> Any:
        return app.clock.now() - timedelta(seconds=seconds)

    app.container.queue_check = waiting

    answer = app.get("/api/health", key=None)

    assert (answer.status, answer.json["status"]) == (200, status)
    assert answer.json["oldest_waiting_leg_seconds"] == seconds
    assert (answer.json["checks"].get("legs") == "waiting") == (status == "degraded")


def test_health_is_never_ok_while_legs_wait_in_the_inbox(charging: ChargingApp) -> None:
    async def fine() -> None:
        return None

    charging.container.queue_check = fine
    queued = QueuedLeg(charging.ended(), charging.clock.now())
    charging.run(charging.container.inbox.keep([leg_message(queued)], charging.clock.now()))
    charging.clock.advance(121)

    answer = charging.get("/api/health", key=None)

    assert (answer.json["status"], answer.json["oldest_waiting_leg_seconds"]) == ("degraded", 121)


def test_health_is_checked_again_only_after_a_moment(app: Product) -> None:
    checks = []

    async def count() -> None:
        checks.append(1)

    app.container.queue_check = count
    for _ in range(5):
        app.get("/api/health", key=None)
    assert len(checks) == 1
    app.clock.advance(2)
    app.get("/api/health", key=None)
    assert len(checks) == 2


def test_each_request_is_one_line_in_the_log_without_secrets(
    app: Product, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="perminute")
    app.get("/api/v1/accounts/contoso/service-numbers/+33170000000")

    lines = [json.loads(record.message) for record in caplog.records if record.name == "perminute"]
    [line] = [line for line in lines if line["event"] == "http_request"]
    assert (line["function"], line["status"], line["caller"]) == (
        "get_service_number",
        404,
        "bootstrap",
    )
    assert line["request_id"] == "an-invocation"
    assert ADMIN_KEY not in caplog.text


@pytest.mark.parametrize(
    "name", ["%00", "a%0Ab", "'%20or%20'1", "%F0%9F%98%80", "x" * 5_000, "%25", "a%2F.."]
)
def test_an_id_that_nothing_can_have_is_404(app: Product, name: str) -> None:
    for path in ("accounts/{}", "bridges/{}", "rate-cards/{}", "accounts/{}/dial-out-policy"):
        assert app.get("/api/v1/" + path.format(name)).status == 404
    assert app.delete(f"/api/v1/api-keys/{name}").status == 404
    assert app.get(f"/api/v1/accounts/{name}/conferences/{name}").status == 404
    assert app.get(f"/api/v1/accounts/{name}/service-numbers/{name}").status == 404


@pytest.mark.parametrize("path", ["accounts", "api-keys", "rate-cards"])
@pytest.mark.parametrize("cursor", ["JyBvciAnMQ", "A%20B", "..", "AA"])
def test_a_cursor_that_was_made_up_is_422(app: Product, path: str, cursor: str) -> None:
    answer = app.get(f"/api/v1/{path}?cursor={cursor}")

    assert (answer.status, answer.code) == (422, "cursor_invalid")
