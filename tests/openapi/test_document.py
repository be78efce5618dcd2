"""The document is valid, agrees with the routes both ways, and its examples are what happens."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

import function_app
from functions.http import ROUTES
from shared.contracts.openapi.document import document, recorded, schema_of
from tests.openapi.session import ROOT, play, running

MANIFEST = json.loads((ROOT / "tests" / "golden" / "binding_manifest.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    assert function_app.app, "importing it declares the routes"
    return json.loads(json.dumps(document(ROUTES, "1")))


def _operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _handlers() -> dict[str, ast.AsyncFunctionDef]:
    return {
        node.name: node
        for path in (ROOT / "functions").glob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef) and node.decorator_list  # a route
    }


def _validator(described: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": described["components"]})


def test_the_document_is_valid(described: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []


def test_document_and_routes_agree_both_ways(described: dict[str, Any]) -> None:
    """The API as Azure will see it, without the route that answers for all others."""
    deployed = {
        (f"/{binding['route']}", method, name)
        for name, bindings in MANIFEST.items()
        for binding in bindings
        if binding["type"] == "httpTrigger"
        and binding["route"].startswith("api/")
        and "*" not in binding["route"]
        for method in binding["methods"]
    }
    reported = {
        (path, method, operation["operationId"])
        for path, method, operation in _operations(described)
    }

    assert reported == deployed


def test_every_operation_states_what_it_does_and_who_may(described: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in described["tags"]}
    for path, _, operation in _operations(described):
        assert operation["summary"], path
        assert set(operation["tags"]) <= tags, path
        named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path
    open_to_all = {
        operation["operationId"]
        for _, _, operation in _operations(described)
        if {} in operation["security"]
    }
    assert open_to_all == {"get_health", "get_openapi"}


def test_a_handler_receives_the_body_that_its_route_declares() -> None:
    """The second parameter of a handler names the model."""
    received = {
        name: ast.unparse(handler.args.args[1].annotation or handler).strip("'\"").split(".")[-1]
        for name, handler in _handlers().items()
        if len(handler.args.args) > 1 and name not in {"get_console", "get_root"}
    }

    declared = {
        route.name: route.body.model.__name__
        for route in ROUTES
        if route.body and route.body.is_parsed
    }
    assert received == declared


def test_queries_are_described_as_routes_declare_them(described: dict[str, Any]) -> None:
    """A handler that reads another one fails: `Call.query` raises."""
    found = {
        operation["operationId"]: {
            each["name"] for each in operation["parameters"] if each["in"] == "query"
        }
        for _, _, operation in _operations(described)
    }

    assert found == {route.name: {each.name for each in route.queries or ()} for route in ROUTES}
    assert {"from", "to", "month", "limit", "cursor", "format"} <= found["list_entries"]


def test_every_route_has_an_example() -> None:
    """After a new route: a call in tests/openapi/session.py, which records it."""
    assert {route.name for route in ROUTES} == set(recorded())


def test_examples_follow_their_schemas(described: dict[str, Any]) -> None:
    for path, method, operation in _operations(described):
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in contents:
            for media in content.values():
                if "example" in media:
                    errors = _validator(described, media["schema"]).iter_errors(media["example"])
                    assert [error.message for error in errors] == [], (path, method)


def test_no_secret_is_recorded() -> None:
    text = json.dumps(recorded())

    assert not re.search(r"whsec_[A-Za-z0-9+/=]{8}|pm_[0-9a-f]{16}_", text)


@pytest.mark.extended
@pytest.mark.timeout(240)
@pytest.mark.extended
def test_the_product_answers_as_its_examples_say(tmp_path: Path) -> None:
    """Every function called for real: the same status, and the shape that the document states."""
    with running(tmp_path / "data") as (http, admin, management_url):
        played = play(http, admin, management_url)
        served = json.loads(http.send("GET", "/api/openapi.json").body)

    assert served == json.loads(json.dumps(document(ROUTES, "1")))
    for name, example in recorded().items():
        assert played[name]["status"] == example["status"], name
        assert ("response" in played[name]) == ("response" in example), name
        if "response" in example:
            schema = _strict(schema_of(example["response"]))
            errors = Draft202012Validator(schema).iter_errors(played[name]["response"])
            assert [f"{error.json_path}: {error.message}" for error in errors] == [], name


def _strict(schema: dict[str, Any], *, in_list: bool = False) -> dict[str, Any]:
    """The schema with every field of an object wanted, and no other; objects of a list may lack
    some that others have."""
    if schema.get("type") == "array":
        return {**schema, "items": _strict(schema["items"], in_list=True)}
    if "properties" not in schema:
        return schema
    inner = {name: _strict(each, in_list=in_list) for name, each in schema["properties"].items()}
    required = [] if in_list else sorted(inner)
    return {**schema, "properties": inner, "required": required, "additionalProperties": False}
