"""A server for the command line, in this process: the product itself, or the recorded examples."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import BytesIO, TextIOWrapper
from typing import Any

import httpx

from perminute_cli import app as cli
from perminute_cli.client import Client
from perminute_cli.main import run
from shared.contracts.openapi.document import recorded
from tests.cli.generate import described
from tests.support.product import Product

URL = "http://127.0.0.1:7071"
KEY = "pm_0123456789abcdef_of-the-tests-only"
ENCODING = "utf-8"
"""Of the streams that a command writes."""


@dataclass
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Terminal:
    """Runs commands against a transport."""

    transport: httpx.BaseTransport | None
    slept: list[float] = field(default_factory=list)

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        """Run one command; its streams are no terminals."""
        out, err = _stream(), _stream()
        with redirect_stdout(out), redirect_stderr(err), _stdin(stdin), self._in_place():
            code = run([*arguments])
            out.flush()
        return Ran(code, _text(out), _text(err))

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        before = cli.MAKE_CLIENT
        cli.MAKE_CLIENT = lambda made: Client(
            made.base_url, made.key, self.transport, self.slept.append
        )
        try:
            yield
        finally:
            cli.MAKE_CLIENT = before


@dataclass
class Recorded:
    """Answers with the recorded example of the operation, or as `stated` by its name."""

    stated: dict[str, Callable[[httpx.Request], httpx.Response]] = field(default_factory=dict)
    requests: list[tuple[str, httpx.Request]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = operation_of(request)
        self.requests.append((name, request))
        if name in self.stated:
            return self.stated[name](request)
        example = recorded()[name]
        body = example.get("response")
        if isinstance(body, dict) and "cursor" in request.url.params:
            body = {name: each for name, each in body.items() if name != "next"}
        if body is None:
            return httpx.Response(example["status"])
        return httpx.Response(example["status"], json=body)

    def sent(self, name: str) -> list[httpx.Request]:
        """The requests of an operation."""
        return [request for each, request in self.requests if each == name]


def product_transport(product: Product) -> httpx.MockTransport:
    """The product in this process, as a server."""

    def answer(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = product.call(
            request.method, target, request.content or None, key=None, headers=headers
        )
        return httpx.Response(got.status, headers=dict(got.headers), content=got.body)

    return httpx.MockTransport(answer)


def operation_of(request: httpx.Request) -> str:
    """The name of the operation that a request calls."""
    path = request.url.raw_path.decode().partition("?")[0]
    found = [
        (template.count("{"), operation["operationId"])
        for template, methods in described()["paths"].items()
        for method, operation in methods.items()
        if method.upper() == request.method
        and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    ]
    assert found, f"no operation: {request.method} {path}"
    return str(min(found)[1])


def problem(status: int, code: str, detail: str, **more: Any) -> httpx.Response:
    """A problem document."""
    body = {"status": status, "code": code, "detail": detail, "request_id": "req-1", **more}
    return httpx.Response(
        status, headers={"content-type": "application/problem+json"}, content=json.dumps(body)
    )


class _Stream(TextIOWrapper):
    """A text stream over bytes that stay readable."""


def _stream() -> _Stream:
    return _Stream(BytesIO(), encoding=ENCODING, write_through=True)


def _text(stream: _Stream) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, BytesIO)
    return buffer.getvalue().decode(stream.encoding)


@contextmanager
def _stdin(text: str) -> Iterator[None]:
    import sys

    before = sys.stdin
    sys.stdin = TextIOWrapper(BytesIO(text.encode()), encoding="utf-8")
    try:
        yield
    finally:
        sys.stdin = before
