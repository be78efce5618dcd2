"""The API's description, OpenAPI 3.1: made of the routes, the contracts and recorded examples.

The examples are requests that were sent to a running product, and what it answered; schemas of
answers follow from them. Request schemas are those of the contracts.
"""

import importlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.contracts.common.problems import PROBLEM_MEDIA_TYPE
from shared.contracts.common.routes import Route
from shared.contracts.openapi.descriptions import (
    BODIES,
    BRIDGE_SECURITY,
    CREDIT_EVENT,
    DELETES_BY_ETAG,
    HEADERS,
    LEGS,
    MAY_BE_NULL,
    MAY_HAVE_NO_BODY,
    NEEDS_KEY,
    PARAMETERS,
    PROBLEM,
    REQUESTS,
    SECURITY_SCHEMES,
    TAGS,
)

type Json = dict[str, Any]
EXAMPLES = "openapi_examples.json"
_PARAMETER = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{model}"


def document(routes: Sequence[Route], version: str) -> Json:
    """The whole document. Every route is in it; one without an example has no schemas."""
    examples = recorded()
    models, schemas = _schemas()
    paths: dict[str, Json] = {}
    for route in sorted(routes, key=lambda each: (each.path, each.method)):
        operation = _operation(route, examples.get(route.name, {}), models)
        paths.setdefault(f"/api/{route.path}", {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Perminute",
            "version": version,
            "summary": "Charges audio-conference phone legs against prepaid credits",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "webhooks": {"creditEvent": CREDIT_EVENT},
        "components": {
            "schemas": {**schemas, "Problem": PROBLEM, "EndedLegs": LEGS},
            "securitySchemes": SECURITY_SCHEMES,
            "responses": {"Problem": _problem_response()},
        },
    }


def recorded() -> dict[str, Json]:
    """The recorded examples by function name: `request`, `status`, `response`, as far as any."""
    text = resources.files(__package__ or "").joinpath(EXAMPLES).read_text("utf-8")
    found: dict[str, Json] = json.loads(text)
    return found


def request_model(name: str) -> type[BaseModel] | None:
    """The contract that a function's body is read with, None where it has none of its own."""
    if name not in REQUESTS:
        return None
    module, _, kind = REQUESTS[name].partition(":")
    found: type[BaseModel] = getattr(importlib.import_module(f"shared.contracts.{module}"), kind)
    return found


def schema_of(value: object, name: str = "") -> Json:
    """The schema that an example, the value of field `name`, follows; what it does not show may be
    there too."""
    match value:
        case bool():
            schema: Json = {"type": "boolean"}
        case int():
            schema = {"type": "integer"}
        case str():
            schema = {"type": "string"}
        case list():
            schema = {"type": "array", "items": _schema_of_any(value)}
        case dict():
            fields = {each: schema_of(inner, each) for each, inner in value.items()}
            schema = {"type": "object", "properties": fields}
        case _:
            return {}
    return {**schema, "type": [schema["type"], "null"]} if name in MAY_BE_NULL else schema


def _schema_of_any(items: list[Any]) -> Json:
    """The schema of what stands in a list: objects may have fields that others lack, or that are
    null in others."""
    if items and all(isinstance(item, dict) for item in items):
        fields = {name: inner for item in items for name, inner in item.items()}
        nulls = {name for item in items for name, inner in item.items() if inner is None}
        return schema_of({**fields, **dict.fromkeys(nulls)})
    return schema_of(items[0]) if items else {}


def _schemas() -> tuple[dict[type[BaseModel], Json], dict[str, Json]]:
    wanted = {model for name in REQUESTS if (model := request_model(name))}
    modes = [(model, "validation") for model in sorted(wanted, key=lambda each: each.__qualname__)]
    refs, made = models_json_schema(modes, ref_template=_REF)  # type: ignore[arg-type]
    return {model: refs[model, "validation"] for model in wanted}, _without_inner(made["$defs"])


def _without_inner(schema: Any) -> Any:
    """The schema without defaults that are what a contract keeps, not what callers send."""
    if isinstance(schema, list):
        return [_without_inner(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _without_inner(inner) for name, inner in schema.items()}
    if kept.get("type") == "string" and not isinstance(kept.get("default", ""), str):
        del kept["default"]
    return kept


def _operation(route: Route, example: Json, models: Mapping[type[BaseModel], Json]) -> Json:
    sentence, _, more = route.about.partition(". ")
    operation: Json = {
        "operationId": route.name,
        "summary": sentence.rstrip("."),
        "tags": [_tag(route.path)],
        "security": _security(route),
        "parameters": _parameters(route),
        "responses": {
            **_answers(route, example),
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if more:
        operation["description"] = more
    if body := _request_body(route, example, models):
        operation["requestBody"] = body
    return operation


def _answers(route: Route, example: Json) -> Json:
    """By status: a PUT creates or replaces."""
    status = str(example.get("status", 200))
    statuses = {status, "200"} if route.method == "PUT" else {status}
    return {each: _answer(example.get("response")) for each in sorted(statuses)}


def _answer(response: object) -> Json:
    headers = {"x-request-id": {"description": "What the logs carry.", "schema": _TEXT}}
    if response is None:
        return {"description": "Done.", "headers": headers}
    content = {"application/json": {"schema": schema_of(response), "example": response}}
    return {"description": "Done.", "headers": headers, "content": content}


def _request_body(
    route: Route, example: Json, models: Mapping[type[BaseModel], Json]
) -> Json | None:
    if route.name in BODIES:
        shown = {"example": example["request"]} if "request" in example else {}
        content = {name: {**media, **shown} for name, media in BODIES[route.name].items()}
    elif model := request_model(route.name):
        patches = route.method == "PATCH"
        media = {"schema": _patch_of(model) if patches else models[model]}
        if "request" in example:
            media["example"] = example["request"]
        content = {"application/json": media}
        if patches:
            content["application/merge-patch+json"] = media
    else:
        return None
    return {
        "required": route.name not in MAY_HAVE_NO_BODY,
        "description": f"At most {route.body_bytes_max:,} bytes.",
        "content": content,
    }


def _patch_of(model: type[BaseModel]) -> Json:
    """The schema of a merge patch: any field may be left out, or null, which takes its default;
    objects inside are merged too."""
    fields = model.model_json_schema(ref_template=_REF)["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _nullable(_without_inner(each)) for name, each in fields.items()},
    }


def _nullable(schema: Json) -> Json:
    if "items" not in schema and "$ref" in json.dumps(schema):
        return {"type": ["object", "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _parameters(route: Route) -> list[Json]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PARAMETERS[name],
            "schema": _TEXT,
        }
        for name in _PARAMETER.findall(route.path)
    ]
    in_query = [
        {"name": each.name, "in": "query", "description": each.about, "schema": each.schema()}
        for each in route.queries or ()
    ]
    headers = [dict(HEADERS[each]) for each in _header_names(route)]
    if route.name in NEEDS_KEY:
        headers[0]["required"] = True
    return [*in_path, *in_query, *headers]


def _header_names(route: Route) -> list[str]:
    if route.name in {"post_top_up", "post_adjustment", "post_dial_out", "post_dial_in"}:
        return ["Idempotency-Key"]
    takes_etag = route.method in {"PUT", "PATCH"} or route.name in DELETES_BY_ETAG
    return ["If-Match"] if takes_etag else []


def _security(route: Route) -> list[Json]:
    if route.roles is not None:
        return [{"apiKey": []}, {"entra": []}]
    return BRIDGE_SECURITY if "{bridge}" in route.path else [{}]


def _tag(path: str) -> str:
    for tag in TAGS:
        if f"/{tag}" in f"/{path}":
            return tag
    return "service"


def _problem_response() -> Json:
    return {
        "description": "What is wrong, by RFC 9457; `code` is stable.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


_TEXT: Json = {"type": "string"}
