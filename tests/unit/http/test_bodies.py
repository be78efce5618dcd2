"""Bodies as routes declare them: media types, order of refusals, headers."""

import re

import azure.functions as func
import pytest

import function_app
from functions.http import ROUTES, ApiCall
from shared.contracts.common.routes import (
    ANY_MEDIA_TYPE,
    CSV_MEDIA_TYPE,
    FORM_MEDIA_TYPE,
    JSON_MEDIA_TYPE,
    MERGE_PATCH,
    Body,
    Route,
)
from tests.support.product import Answer, Product

assert function_app.app, "importing it declares the routes"
WITH_BODY = [route for route in ROUTES if route.body and route.roles is not None]
CLOSED = [
    route for route in WITH_BODY if route.body and ANY_MEDIA_TYPE not in route.body.media_types
]
QUERIES = {"import_rate_card_version": "?effective_from=2026-01-01"}
HEADERS = {"idempotency-key": "key-1", "content-type": "text/plain"}


def send(app: Product, route: Route, body: bytes, **more: object) -> Answer:
    path = re.sub(r"\{effective_from\}", "2026-01-01T00:00:00Z", route.path)
    path = re.sub(r"\{account\}", "contoso", re.sub(r"\{number\}", "%2B33170180000", path))
    path = re.sub(r"\{\w+\}", "x", path)
    target = f"/api/{path}{QUERIES.get(route.name, '')}"
    return app.call(route.method, target, body, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("route", CLOSED, ids=lambda route: route.name)
def test_another_media_type_than_the_declared_ones_is_415(app: Product, route: Route) -> None:
    assert route.body is not None
    answer = send(app, route, b"x", headers=HEADERS)
    name = "accept-patch" if route.method == "PATCH" else "accept"

    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert answer.headers[name] == ", ".join(route.body.media_types)


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.name)
def test_authentication_and_role_come_before_the_body(app: Product, route: Route) -> None:
    other = "payments" if route.name != "post_recharge_result" else "reader"

    assert send(app, route, b"x", headers=HEADERS, key=None).status == 401
    answer = send(app, route, b"x", headers=HEADERS, key=app.api_key(other))
    assert (answer.status, answer.code) == (403, "role_missing")


@pytest.mark.parametrize(
    "route", [each for each in ROUTES if each.all_accounts], ids=lambda route: route.name
)
def test_a_key_of_some_accounts_is_refused_before_the_body(app: Product, route: Route) -> None:
    key = app.api_key("admin", accounts=("contoso",))

    assert send(app, route, b"x", headers=HEADERS, key=key).status == 403


@pytest.mark.parametrize(
    "route", [each for each in WITH_BODY if each.idempotency_key], ids=lambda route: route.name
)
def test_the_idempotency_key_comes_before_the_body(app: Product, route: Route) -> None:
    answer = send(app, route, b"x", headers={"content-type": "text/plain"})

    assert (answer.status, answer.code) == (400, "idempotency_key_missing")


@pytest.mark.parametrize(
    "route",
    [each for each in WITH_BODY if each.body and each.body.is_parsed],
    ids=lambda route: route.name,
)
def test_a_parsed_body_is_an_object_of_declared_fields(app: Product, route: Route) -> None:
    headers = {**HEADERS, "content-type": "application/json"}

    for body in (b"[]", b'"text"', b'{"no_such_field": 1}'):
        answer = send(app, route, body, headers=headers)
        assert (answer.status, answer.code) == (422, "invalid"), body


@pytest.mark.parametrize(
    ("media_types", "accepted", "refused"),
    [
        (
            (JSON_MEDIA_TYPE,),
            ["", "application/json", "application/x-www-form-urlencoded", "application/vnd.x+json"],
            ["application/json-patch+json", "text/json", "text/csv", "multipart/form-data"],
        ),
        (
            MERGE_PATCH,
            ["", "application/json", "application/merge-patch+json"],
            ["application/vnd.x+json", "application/json-patch+json", "text/csv"],
        ),
        ((JSON_MEDIA_TYPE, CSV_MEDIA_TYPE), ["", "text/csv"], ["text/plain"]),
        ((FORM_MEDIA_TYPE,), ["multipart/form-data"], ["", "application/json"]),
        ((JSON_MEDIA_TYPE, ANY_MEDIA_TYPE), ["", "text/xml"], []),
    ],
)
def test_media_types_that_a_body_takes(
    media_types: tuple[str, ...], accepted: list[str], refused: list[str]
) -> None:
    body = Body("common.fields:AdminBody", media_types)

    assert [name for name in accepted + refused if body.takes(name)] == accepted


def test_a_handler_reads_no_if_match_that_its_route_does_not_declare() -> None:
    request = func.HttpRequest("PUT", "http://x", headers={"if-match": '"1"'}, body=b"")

    assert ApiCall(request, "id", Route("", "PUT", "", if_match=True)).if_match() == '"1"'
    with pytest.raises(LookupError):
        ApiCall(request, "id", Route("", "PUT", "")).if_match()


def test_each_put_and_patch_of_a_setting_has_if_match() -> None:
    without = {
        each.name for each in ROUTES if each.method in {"PUT", "PATCH"} and not each.if_match
    }

    # A file loads many settings at once, each with an ETag of its own.
    assert without == {"put_conferences", "put_organizers", "put_service_numbers"}
