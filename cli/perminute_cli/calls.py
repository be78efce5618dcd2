"""Requests of the API as values: the generated `api.py` makes them, the client sends them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from perminute_cli.failures import USAGE, Failure


@dataclass(frozen=True, slots=True)
class Call[T]:
    """One request, whose answer is JSON of type `T`. `body` is JSON unless it is bytes."""

    operation: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, more: Mapping[str, str]) -> "Call[T]":
        """The same request with more header fields."""
        headers = {**self.headers, **more}
        return Call(self.operation, self.method, self.path, self.query, self.body, headers)


@dataclass(frozen=True, slots=True)
class Listing[T](Call[T]):
    """A request of a list, whose items are of type `T`."""

    def as_document(self) -> Call[Any]:
        """The same request where its answer is no list: counts, by a query parameter."""
        return Call(self.operation, self.method, self.path, self.query, self.body, self.headers)


def segment(text: str) -> str:
    """A path segment, percent-encoded. Raises Failure."""
    if text in {"", ".", ".."}:
        raise Failure(f"“{text}” is no id.", "Write the whole id or name.", USAGE)
    return quote(text, safe="")


def query_of(**values: object) -> dict[str, str]:
    """The query parameters that have a value; `from_` is `from`."""
    return {
        name.rstrip("_"): "true" if value is True else str(value)
        for name, value in values.items()
        if value is not None and value is not False
    }


def headers_of(
    *,
    if_match: str | None = None,
    idempotency_key: str | None = None,
    content_type: str | None = None,
) -> dict[str, str]:
    """The header fields that have a value."""
    fields = {
        "If-Match": if_match,
        "Idempotency-Key": idempotency_key,
        "Content-Type": content_type,
    }
    return {name: value for name, value in fields.items() if value is not None}
