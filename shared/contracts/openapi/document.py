"""The API's description, OpenAPI 3.1: made of the routes, the contracts and recorded examples.

The examples are requests that were sent to a running product, and what it answered; schemas of
answers follow from them. Request schemas are those of the contracts.
"""

import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.contracts.common.problems import PROBLEM_MEDIA_TYPE
from shared.contracts.common.routes import ANY_MEDIA_TYPE, CSV_MEDIA_TYPE, MERGE_PATCH, Body, Route
from shared.contracts.openapi.descriptions import (
    BRIDGE_SECURITY,
    CALL_SIGNAL,
    CREDIT_EVENT,
    HEADERS,
    MAY_BE_NULL,
    PARAMETERS,
    PROBLEM,
    SECURITY_SCHEMES,
    TAGS,
)

type Json = dict[str, Any]
EXAMPLES = "openapi_examples.json"
_PARAMETER = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{model}"
_FORMATS = {
    "csv": CSV_MEDIA_TYPE,
    "html": "text/html",
    "svg": "image/svg+xml",
    "text": "text/plain",
}
"""Media types of responses by the query parameter `format`, besides JSON."""


def document(routes: Sequence[Route], version: str) -> Json:
    """The whole document. Each route is in it; a route without an example has no schemas of
    responses."""
    examples = recorded()
    models, schemas = _schemas(routes)
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
        "webhooks": {"creditEvent": CREDIT_EVENT, "callSignal": CALL_SIGNAL},
        "components": {
            "schemas": {**schemas, "Problem": PROBLEM},
            "securitySchemes": SECURITY_SCHEMES,
            "responses": {"Problem": _problem_response()},
        },
    }


def recorded() -> dict[str, Json]:
    """The recorded examples by function name, with `request`, `status` and `response` where
    recorded."""
    text = resources.files(__package__ or "").joinpath(EXAMPLES).read_text("utf-8")
    examples: dict[str, Json] = json.loads(text)
    return examples


def schema_of(value: object, name: str = "") -> Json:
    """The schema of an example, the value of field `name`; fields that the example lacks are
    allowed."""
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
    """The schema of a list's items: objects may lack fields of others, or have null there."""
    if items and all(isinstance(item, dict) for item in items):
        fields = {name: inner for item in items for name, inner in item.items()}
        nulls = {name for item in items for name, inner in item.items() if inner is None}
        return schema_of({**fields, **dict.fromkeys(nulls)})
    return schema_of(items[0]) if items else {}


def _schemas(routes: Sequence[Route]) -> tuple[dict[type[BaseModel], Json], dict[str, Json]]:
    models = {each.body.model for each in routes if each.body}
    modes = [(model, "validation") for model in sorted(models, key=lambda each: each.__qualname__)]
    refs, made = models_json_schema(modes, ref_template=_REF)  # type: ignore[arg-type]
    return {model: refs[model, "validation"] for model in models}, _without_inner(made["$defs"])


def _without_inner(schema: Any) -> Any:
    """The schema without defaults that a contract uses internally."""
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
    """Responses by status: a PUT creates or replaces, a dry run creates nothing."""
    status = str(example.get("status", 200))
    can_be_dry = route.body is not None and "dry_run" in route.body.model.model_fields
    statuses = {status, "200"} if route.method == "PUT" or can_be_dry else {status}
    formats = [
        name for each in route.queries or () if each.name == "format" for name in each.choices
    ]
    texts = {_FORMATS[name]: {"schema": _TEXT} for name in formats if name in _FORMATS}
    if media_type := example.get("media_type"):
        texts[media_type] = {"schema": {"type": "string", "format": "binary"}}
    return {each: _answer(example.get("response"), texts) for each in sorted(statuses)}


def _answer(response: object, texts: Json) -> Json:
    headers = {"x-request-id": {"description": "The request's id in the logs.", "schema": _TEXT}}
    if response is None and not texts:
        return {"description": "Done.", "headers": headers}
    json_answer: Json = {"schema": schema_of(response), "example": response}
    content = {**({} if response is None else {"application/json": json_answer}), **texts}
    return {"description": "Done.", "headers": headers, "content": content}


def _request_body(
    route: Route, example: Json, models: Mapping[type[BaseModel], Json]
) -> Json | None:
    body = route.body
    if body is None:
        return None
    content = {name: _media(body, name, models) for name in body.media_types}
    if "request" in example:
        for name in content.keys() & {*MERGE_PATCH}:
            content[name]["example"] = example["request"]
    return {
        "required": not body.is_optional,
        "description": f"At most {body.bytes_max:,} bytes.",
        "content": content,
    }


def _media(body: Body, media_type: str, models: Mapping[type[BaseModel], Json]) -> Json:
    if media_type == CSV_MEDIA_TYPE:
        return {"schema": _TEXT}
    if media_type == ANY_MEDIA_TYPE:
        return {"schema": {}}  # a bridge's own shape, by its dialect
    is_patch = body.media_types == MERGE_PATCH
    return {"schema": _patch_of(body.model) if is_patch else models[body.model]}


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
    headers = [HEADERS["If-Match"]] if route.if_match else []
    if route.idempotency_key:
        required = {"required": True} if route.roles is not None else {}  # bridges may sign
        headers.append({**HEADERS["Idempotency-Key"], **required})
    return [*in_path, *in_query, *headers]


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
        "description": "The error, by RFC 9457; `code` is stable.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


_TEXT: Json = {"type": "string"}
