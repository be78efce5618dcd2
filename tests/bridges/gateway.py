"""What stands between bridge and product: it forwards, keeps what was posted, and can be away."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.parts import free_port

type Hook = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that reached the product."""

    path: str
    body: Any
    status: int
    answer: Any
    at: float = field(default_factory=time.time)


class Gateway:
    """A proxy on a fixed port. The hooks of `before` and `after` are called with path and body of
    each request, before it is forwarded and before its answer is given back."""

    def __init__(self, product: str) -> None:
        self._product = product.removeprefix("http://")
        self._port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self._lock = threading.Lock()
        self.exchanges: list[Exchange] = []
        self.before: list[Hook] = []
        self.after: list[Hook] = []

    @property
    def url(self) -> str:
        """The address that bridges are given."""
        return f"http://127.0.0.1:{self._port}"

    def text(self) -> str:
        """All exchanges, one JSON document a line."""
        return "".join(json.dumps(asdict(each)) + "\n" for each in self.exchanges)

    def open(self) -> None:
        """Listen."""
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                gateway._forward(self)

            def log_message(self, *_: Any) -> None:
                """Nothing: exchanges are kept."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                """Nothing: a bridge may hang up."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _forward(self, request: BaseHTTPRequestHandler) -> None:
        content = request.rfile.read(int(request.headers.get("content-length", "0")))
        body = json.loads(content)
        for hook in list(self.before):
            hook(request.path, body)
        connection = http.client.HTTPConnection(self._product, timeout=60)
        try:
            headers = {
                name: value for name, value in request.headers.items() if name.lower() != "host"
            }
            connection.request("POST", request.path, content, headers)
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        with self._lock:
            self.exchanges.append(
                Exchange(request.path, body, answer.status, json.loads(found or b"null"))
            )
        for hook in list(self.after):
            hook(request.path, body)
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "server", "date"}:
                request.send_header(name, value)
        request.end_headers()
        request.wfile.write(found)
