"""`python -m tests.cli.generate`: `cli/perminute_cli/api.py` from the product's OpenAPI document.

A function for each operation that the command line uses, with its parameters, and a type for each
request and response. `test_generated.py` compares the file with the document.
"""

import ast
import json
import keyword
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Any

import function_app
from functions.http import ROUTES
from shared.contracts.openapi.document import document

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "cli" / "perminute_cli"
GENERATED = PACKAGE / "api.py"
HEAD = '''"""Requests and types of the API. Generated from its OpenAPI document by
`python -m tests.cli.generate`; changes are made there."""

# ruff: noqa: A002, E501

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perminute_cli.calls import Call, Listing, headers_of, query_of, segment
'''
SCALARS = {"string": "str", "integer": "int", "boolean": "bool", "number": "float", "null": "None"}
type Json = dict[str, Any]


def used_operations() -> set[str]:
    """The names of `api.NAME` in the package."""
    return {
        node.attr
        for path in PACKAGE.rglob("*.py")
        if path != GENERATED
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "api"
        and node.attr.islower()  # types are capitalized
    }


class Generator:
    """Collects the types that the operations need, in the order of their definition."""

    def __init__(self, described: Json) -> None:
        self.described = described
        self.types: dict[str, str] = {}
        self.functions: list[str] = []

    def text(self, wanted: set[str]) -> str:
        """The module."""
        for path, method, operation in self._operations():
            if operation["operationId"] in wanted:
                self.functions.append(self._function(path, method, operation))
        types = "\n".join(["from typing import TypedDict", *self.types.values()])
        block = f"if TYPE_CHECKING:\n{indent(types, '    ')}\n"
        return "\n".join([HEAD, block, *self.functions])

    def _operations(self) -> Iterator[tuple[str, str, Json]]:
        for path, methods in self.described["paths"].items():
            for method, operation in methods.items():
                yield path, method.upper(), operation

    def _function(self, path: str, method: str, operation: Json) -> str:
        name = operation["operationId"]
        title = "".join(part.capitalize() for part in name.split("_"))
        result, is_list = self._result(operation, title)
        places = {each["name"]: each for each in operation["parameters"]}
        in_path = [name for name, each in places.items() if each["in"] == "path"]
        in_query = [
            each
            for each in places.values()
            if each["in"] == "query" and not (is_list and each["name"] == "cursor")
        ]
        signature = [f"{each}: str" for each in in_path]
        body = operation.get("requestBody")
        arguments, more = [f'"{name}", "{method}"', self._path(path)], []
        if body is not None:
            kind = self._body(body)
            signature.append(f"body: {kind}" + ("" if body["required"] else " | None = None"))
            more.append("body=body")
        options = [f"{_safe(each['name'])}: {_query_type(each)} = None" for each in in_query]
        if in_query:
            names = ", ".join(f"{_safe(each['name'])}={_safe(each['name'])}" for each in in_query)
            arguments.append(f"query_of({names})")
        headers = [
            each.lower().replace("-", "_")
            for each in places
            if each in {"If-Match", "Idempotency-Key"}
        ]
        if body is not None and set(body["content"]) != {"application/json"}:
            headers.append("content_type")
        options += [f"{each}: str | None = None" for each in headers]
        if headers:
            more.append(f"headers=headers_of({', '.join(f'{each}={each}' for each in headers)})")
        star = ["*", *options] if options else []
        kind = "Listing" if is_list else "Call"
        return (
            f"def {name}({', '.join([*signature, *star])}) -> {kind}[{result}]:\n"
            f'    """{operation["summary"]}."""\n'
            f"    return {kind}({', '.join([*arguments, *more])})\n"
        )

    def _path(self, path: str) -> str:
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        for name in names:
            path = path.replace(f"{{{name}}}", f"{{segment({name})}}")
        return f'f"{path}"' if names else f'"{path}"'

    def _result(self, operation: Json, title: str) -> tuple[str, bool]:
        answers = operation["responses"]
        found = next((each for status, each in sorted(answers.items()) if status[0] == "2"), {})
        schema = found.get("content", {}).get("application/json", {}).get("schema", {})
        names = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
        if "cursor" in names and "items" in schema.get("properties", {}):
            items = schema["properties"]["items"].get("items", {})
            if set(schema["properties"]) <= {"items", "next"}:
                return self._type(items, f"{title}Item"), True
        return self._type(schema, title), False

    def _body(self, body: Json) -> str:
        kinds = set()
        for media_type, content in body["content"].items():
            schema = content["schema"]
            if media_type == "application/json" and "$ref" in schema:
                kinds.add(self._type(schema, ""))
            elif media_type in {"application/json", "application/merge-patch+json"}:
                kinds.add("dict[str, Any]")
            else:
                kinds.add("bytes")
        return " | ".join(sorted(kinds))

    def _type(self, schema: Json, title: str) -> str:
        if "$ref" in schema:
            title = schema["$ref"].rpartition("/")[2]
            return self._type(self.described["components"]["schemas"][title], title)
        if "anyOf" in schema:
            found = [self._type(each, title) for each in schema["anyOf"]]
            return " | ".join(dict.fromkeys(found))
        kinds = schema.get("type", "any")
        if isinstance(kinds, list):
            found = [self._type({**schema, "type": each}, title) for each in kinds]
            return " | ".join(dict.fromkeys(found))
        if kinds == "array":
            items = schema.get("items", {})
            return f"list[{self._type(items, f'{title}Item') if items else 'Any'}]"
        if kinds == "object" and schema.get("properties"):
            return self._typed_dict(schema, title)
        return "dict[str, Any]" if kinds == "object" else SCALARS.get(kinds, "Any")

    def _typed_dict(self, schema: Json, title: str) -> str:
        if title not in self.types:
            self.types[title] = ""  # a recursive type ends here
            fields = {
                name: self._type(each, title + _title(name))
                for name, each in schema["properties"].items()
            }
            del self.types[title]  # behind those that it needs
            self.types[title] = _definition(title, fields)
        return title


def _definition(title: str, fields: dict[str, str]) -> str:
    if all(name.isidentifier() and not keyword.iskeyword(name) for name in fields):
        lines = [f"class {title}(TypedDict, total=False):"]
        return "\n    ".join([*lines, *(f"{name}: {kind}" for name, kind in fields.items())]) + "\n"
    text = "".join(f'    "{name}": {kind},\n' for name, kind in fields.items())
    return f'{title} = TypedDict("{title}", {{\n{text}}}, total=False)\n'


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[-._]", name))


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _query_type(parameter: Json) -> str:
    kind = parameter["schema"].get("type", "string")
    return "bool | None" if kind == "boolean" else "str | int | None"


@cache
def described() -> Json:
    """The product's OpenAPI document."""
    assert function_app.app, "importing it declares the routes"
    found: Json = json.loads(json.dumps(document(ROUTES, "1")))
    return found


def generated() -> str:
    """The module as the document has it, formatted."""
    paths = described()["paths"].values()
    known = {each["operationId"] for methods in paths for each in methods.values()}
    wanted = used_operations()
    assert wanted <= known, f"no operation of the API: {sorted(wanted - known)}"
    command = [sys.executable, "-m", "ruff", "format", "-", "--stdin-filename", str(GENERATED)]
    text = Generator(described()).text(wanted)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    GENERATED.write_text(generated(), "utf-8")
    print(f"{GENERATED.relative_to(ROOT)} written")
