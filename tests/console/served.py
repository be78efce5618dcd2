"""A product of the test's process behind an HTTP server, for a browser."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shared.usecases.ledger.close_months import close_months
from tests.support.product import Product


@contextmanager
def served(product: Product, account: str) -> Iterator[str]:
    """The product behind an HTTP server on loopback; its event loop runs in a thread. A post to
    /test/close-month does what the nightly job does with the account's months."""
    loop = product.loop
    turning = threading.Thread(target=loop.run_forever, daemon=True)
    turning.start()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))) or None
            if self.path == "/favicon.ico":  # no function takes it, as in the Functions host
                self.send_error(404)
                return
            if self.path == "/test/close-month":
                ledger, now = product.container.ledger, product.clock.now()
                closed = close_months(ledger, account, "UTC", now)
                asyncio.run_coroutine_threadsafe(closed, loop).result()
                self.send_response(204)
                self.end_headers()
                return
            sent = product.send(
                self.command, self.path, body, key=None, headers=dict(self.headers.items())
            )
            answer = asyncio.run_coroutine_threadsafe(sent, loop).result()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in {"content-length", "content-type"}:
                    self.send_header(name, value)
            self.send_header("content-type", answer.media_type)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        loop.call_soon_threadsafe(loop.stop)
        turning.join()
