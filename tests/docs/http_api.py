"""The pages of the HTTP API, from the routes, the contracts and the recorded examples."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import function_app
from functions.http import ROUTES
from shared.contracts.common.routes import Route
from shared.contracts.openapi.descriptions import TAGS
from shared.contracts.openapi.document import document, recorded
from shared.domain.directory.access import Role
from tests.docs.error_routes import EVERYWHERE, codes_of
from tests.docs.markdown import block, code, page, table
from tests.openapi.session import FILES

type Json = dict[str, Any]
FOLDER = "docs/reference/http-api"
_DEFAULT_CHARS_MAX = 60
_RANGE = (("minimum", "at least {}"), ("maximum", "at most {}"), ("minLength", "{}+ characters"))
_SIZES = (("maxLength", "at most {} characters"), ("minItems", "{}+ items"))
_MORE = (*_RANGE, *_SIZES, ("maxItems", "at most {} items"), ("pattern", "pattern `{}`"))

assert function_app.app, "importing it declares the routes"


@cache
def described() -> Json:
    """The OpenAPI document."""
    found: Json = json.loads(json.dumps(document(ROUTES, "1")))
    return found


def pages() -> dict[str, str]:
    """The texts of the pages by path: the index, and a page for each area."""
    by_area: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            by_area.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    found = {"docs/reference/http-api.md": _index(by_area)}
    for area, operations in by_area.items():
        lines = [line for each in operations for line in _operation(*each)]
        title = f"HTTP API: {area.replace('-', ' ')}"
        about = f"{TAGS[area]}. [All areas, and what every route has in common](../http-api.md)."
        found[f"{FOLDER}/{area}.md"] = page(title, about, lines)
    return found


def _index(by_area: Mapping[str, list[tuple[str, str, Json]]]) -> str:
    lines = ["## Every route", ""]
    lines += ["A bridge authenticates by its own secret, every other caller by an API key or a "]
    lines[-1] += "Microsoft Entra token: [roles.md](roles.md) has who may call which route."
    lines.append("")
    for area in (each for each in TAGS if each in by_area):
        lines += [f"### {area.replace('-', ' ').capitalize()}", "", f"{TAGS[area]}.", ""]
        rows = [
            (
                f"[`{method} {path}`](http-api/{area}.md#{_anchor(method, path)})",
                operation["summary"],
            )
            for method, path, operation in by_area[area]
        ]
        lines += table(("route", "what it does"), rows)
    lines += ["## Error codes of every route", ""]
    lines += ["These codes are not repeated with each route. "]
    lines[-1] += "[errors.md](../errors.md) explains all codes."
    lines.append("")
    lines += table(("code", "where"), [(code(name), where) for name, where in EVERYWHERE.items()])
    about = """
Every route, with its parameters, body, answers and error codes, and one request and answer that a
running product recorded. The same is served as OpenAPI 3.1 at `/api/openapi.json`. Times are
RFC 3339, amounts are decimal strings, lists come in pages with `next`
([getting-started.md](../getting-started.md))."""
    return page("HTTP API", about, lines)


def _anchor(method: str, path: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", f"{method} {path}".lower()).replace(" ", "-")


def _operation(method: str, path: str, operation: Json) -> list[str]:
    route = next(each for each in ROUTES if each.name == operation["operationId"])
    about = " ".join([f"{operation['summary']}.", operation.get("description", "")]).strip()
    lines = [f"## {method} {path}", "", about, "", *_callers(route)]
    parameters = [
        (code(each["name"]), each["in"], type_of(each["schema"]), each["description"])
        for each in operation["parameters"]
    ]
    lines += table(("parameter", "in", "type", "meaning"), parameters) if parameters else []
    if route.body:
        lines += _body(route, operation)
    lines += [
        "**Errors:** " + (_listed(codes_of(route)) or "none besides those of every route") + "."
    ]
    lines += ["", *_example(route)]
    return lines


def _listed(codes: frozenset[str]) -> str:
    return ", ".join(code(each) for each in sorted(codes))


def _callers(route: Route) -> list[str]:
    if route.roles is None:
        who = (
            "the bridge of the path" if "{bridge}" in route.path else "every caller, without a key"
        )
        return [f"**Callers:** {who}.", ""]
    roles = [role.value for role in Role if role in {*route.roles, Role.ADMIN}]
    scope = "; a key for all accounts only" if route.all_accounts else ""
    return [f"**Roles:** {', '.join(map(code, roles))}{scope}.", ""]


def _body(route: Route, operation: Json) -> list[str]:
    assert route.body
    types = ", ".join(map(code, route.body.media_types))
    size = operation["requestBody"]["description"]
    optional = " It may be left out." if route.body.is_optional else ""
    lines = [f"**Body:** {types}. {size}{optional}", ""]
    rows = list(fields(route.body.model.model_json_schema()))
    required = route.method != "PATCH"
    lines += (
        table(
            ("field", "type", "required" if required else "replaced by `null`", "meaning"),
            [(code(name), kind, _needed(need, default, required=required), about)
             for name, kind, need, default, about in rows],
        )
        if rows
        else []
    )  # fmt: skip
    return lines


def _needed(need: bool, default: str, *, required: bool) -> str:
    if need:
        return "yes" if required else "no"
    return f"no; {code(default)}" if default else "no"


def fields(schema: Json, path: str = "") -> Iterator[tuple[str, str, bool, str, str]]:
    """(path, type, whether it is required, default, meaning) of each field at every depth."""
    yield from _fields(schema, schema.get("$defs", {}), path, ())


def _fields(
    schema: Json, defs: Json, path: str, within: tuple[str, ...]
) -> Iterator[tuple[str, str, bool, str, str]]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}{name}"
        default = field.get("default")
        text = "" if default in (None, "", [], {}) else json.dumps(default)
        text = text if len(text) <= _DEFAULT_CHARS_MAX else ""
        is_needed = name in schema.get("required", ())
        about = " ".join(field.get("description", "").split())
        yield here, type_of(field, defs), is_needed, text, about
        for reference, suffix in _references(field):
            if reference not in within:
                yield from _fields(defs[reference], defs, f"{here}{suffix}.", (*within, reference))


def _references(field: Json, suffix: str = "") -> Iterator[tuple[str, str]]:
    if "$ref" in field:
        yield field["$ref"].rpartition("/")[2], suffix
    for each in (*field.get("anyOf", ()), *field.get("allOf", ())):
        yield from _references(each, suffix)
    if isinstance(field.get("items"), dict):
        yield from _references(field["items"], f"{suffix}[]")
    if isinstance(field.get("additionalProperties"), dict):
        yield from _references(field["additionalProperties"], f"{suffix}.{{name}}")


def type_of(schema: Json, defs: Json | None = None) -> str:
    """The type of a field in words."""
    if "$ref" in schema and defs is not None:
        target = defs[schema["$ref"].rpartition("/")[2]]
        return type_of(target, defs)
    if "enum" in schema:
        return " or ".join(code(json.dumps(each)) for each in schema["enum"])
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "anyOf" in schema and "type" not in schema:
        kinds = [type_of(each, defs) for each in schema["anyOf"]]
        return ", or ".join(dict.fromkeys(kinds))
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        inner = type_of(schema["items"], defs) if schema.get("items") else "any"
        kind = f"list of {inner}"
    elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        kind = f"object of {type_of(schema['additionalProperties'], defs)}"
    if schema.get("anyOf"):
        kind = " or ".join(each["format"] for each in schema["anyOf"] if "format" in each)
    rules = [rule.format(schema[name]) for name, rule in _MORE if name in schema]
    return ", ".join([kind, *rules])


def _example(route: Route) -> list[str]:
    example = recorded().get(route.name, {})
    lines = [f"**Example**, answered {example.get('status', 200)}:", ""]
    path = f"{route.method} /api/{route.path}"
    if "request" in example:
        lines += [code(path), "", *block(example["request"])]
    is_shown = "request" in example or route.name in FILES
    for part, (media_type, text) in FILES.get(route.name, {}).items():
        place = f"{code(path)}, part {code(part)}, " if part else f"{code(path)}, "
        lines += [f"{place}{code(media_type)}:", "", *block(text, "text")]
    if "response" in example:
        lines += [*([] if is_shown else [code(path), ""]), *block(example["response"])]
    elif "media_type" in example:
        lines += [f"{code(path)} answers a file of type {code(example['media_type'])}.", ""]
    else:
        lines += [f"{code(path)} answers without a body.", ""]
    return lines
