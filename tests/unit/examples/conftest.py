"""What the tests of docs/examples share."""

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest

from local.stack import ROOT

EXAMPLES = ROOT / "docs" / "examples"
type Answer = tuple[int, bytes]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports an example by its name, as a bridge that has copied the folder does."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


class Vendor:
    """An HTTP server that keeps requests and answers each with the next of `answers`, the last one
    again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [(200, b"{}")]
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                fields = {name.lower(): value for name, value in self.headers.items()}
                vendor.requests.append((self.command, self.path, fields, body))
                answers = vendor.answers
                status, content = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A vendor's REST API."""
    made = Vendor()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()
