"""A month of 10,000 legs and 10,000 parked legs in a browser: `console/tests/hostile.mjs` against
the product in this process, whose rows its own stores wrote."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.adapters.clock import SystemClock
from shared.domain.common.canonical import format_time
from shared.domain.ledger.statements import last_month
from shared.domain.legs.parking import ParkedLeg, ParkReason
from tests.bench.bench_usage import ACCOUNT, fill
from tests.console.browser import MISSING, play
from tests.support.memory_tables import MemoryTables
from tests.support.product import ADMIN_KEY, ManualClock, Product

LEGS, PARKED = 10_000, 10_000
REASONS = (ParkReason.RATE_MISSING, ParkReason.NUMBER_INVALID, ParkReason.INCOMPLETE)
PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.extended
@pytest.mark.skipif(bool(MISSING), reason=MISSING or "all there")
@pytest.mark.timeout(900)
def test_a_huge_month_and_ten_thousand_parked_legs_in_a_browser() -> None:
    tables = MemoryTables()
    month = last_month(datetime.now(UTC), "UTC")
    first = datetime.fromisoformat(f"{month}-01T00:10:00+00:00")
    with Product(tables, ManualClock(first)) as past:
        past.account(ACCOUNT, time_zone="UTC")
        past.run(fill(past.container.ledger, past.clock, first, LEGS))
        past.run(_park(past, datetime.now(UTC) - timedelta(hours=1)))
    with Product(tables, SystemClock()) as product, _served(product) as base_url:
        play(
            "hostile.mjs",
            base_url=base_url,
            admin_key=ADMIN_KEY,
            account=ACCOUNT,
            month=month,
            legs=LEGS,
            parked=PARKED,
        )


async def _park(product: Product, received_at: datetime) -> None:
    for start in range(0, PARKED, 500):
        await asyncio.gather(
            *(
                product.container.parking.park(_parked(number, received_at))
                for number in range(start, min(start + 500, PARKED))
            )
        )


def _parked(number: int, received_at: datetime) -> ParkedLeg:
    received_at += timedelta(milliseconds=number)
    at = format_time(received_at)
    original = {
        "leg_id": f"parked-{number}",
        "kind": "dial_out",
        "to": f"+99931{number:07}",
        "started_at": at,
        "answered_at": at,
        "ended_at": at,
        "talk_seconds": 60,
    }
    return ParkedLeg(
        id=f"{number:032x}.{number:032x}",
        leg=f"studio~parked-{number}",
        bridge="studio",
        reason=REASONS[number % len(REASONS)],
        detail="Rate card default has no dial_out rate for the number.",
        received_at=received_at,
        account=ACCOUNT,
        original=original,
    )


@contextmanager
def _served(product: Product) -> Iterator[str]:
    """The product behind an HTTP server on loopback; its event loop runs in a thread."""
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
