"""Events of calls that are kept and assembled, beside bare inserts of their rows; callbacks of
Twilio over HTTP, beside legs of dialect `perminute`."""

import asyncio
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.stack import Stack
from shared.adapters.bridges import parse
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common import limits
from shared.domain.directory.entities import Bridge
from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.ports.tables import Insert
from tests.bench.records import record, wanted
from tests.support.azurite import start_azurite
from tests.support.client import Admin, Http
from tests.support.ledger import START
from tests.support.processes import Deployment
from tests.support.vendors import twilio_call

EVENTS = "assembly.events_per_second"
ROWS = "assembly.rows_per_leg"
WEBHOOK = "assembly.webhook_p99"
WEBHOOK_RATIO_MAX = 1.5
WEBHOOK_ROUNDS = 800
WEBHOOK_ROUNDS_WARM = 100
WEBHOOK_SECONDS = 0.03
TOKEN = "a-token-of-the-bench-" + "x" * 24
RATIO_MIN = 0.5
CALLS = 100
CONCURRENT = 8
ROUNDS = 5


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Two events a call, eight calls at a time, medians of the rounds."""
    if wanted(EVENTS, only) or wanted(ROWS, only):
        yield from _assembly()
    if wanted(WEBHOOK, only):
        yield _webhook()


def _assembly() -> Iterator[dict[str, Any]]:
    with start_azurite() as azurite:
        ours, bare, rows = asyncio.run(_measured(azurite.connection_string))
    yield record(ROWS, rows, "rows/leg", "events of a leg", 2, "stated", lambda _: True)
    yield record(
        EVENTS,
        ours,
        "events/s",
        "bare insert of one row an event",
        bare,
        "ratio >= 0.5",
        lambda ratio: ratio >= RATIO_MIN,
    )


async def _measured(connection_string: str) -> tuple[float, float, float]:
    tables = AzureTables(connection_string=connection_string)
    deployment = Deployment(tables)  # type: ignore[arg-type]
    app = deployment.process().container
    bridge = Bridge(
        "tw",
        "twilio",
        BridgeAuth(AuthScheme.BEARER, ("secret",)),
        frozenset({"*"}),
        default_account="contoso",
    )

    async def assembled(call: str) -> None:
        for body in _posts(call):
            await app.assemble_calls(bridge, parse("twilio", BridgePayload("tw", body)))

    async def inserted(call: str) -> None:
        for number, body in enumerate(_posts(call)):
            row = Insert(f"{call}-{number}", {"facts": body.decode()})
            await tables.transact("bare", call[:1], [row])

    ours: list[float] = []
    bare: list[float] = []
    await assembled("warm")
    await inserted("warm")
    for _ in range(ROUNDS):
        ours.append(await _rate(assembled))
        bare.append(await _rate(inserted))
    await asyncio.sleep(2 * limits.CALL_MARKS_LINGER_SECONDS)  # marks that are done with are gone
    rows = (await tables.scan("calls", limit=1_000)).rows
    calls = {row.values["call"] for row in rows}
    await tables.close()
    return statistics.median(ours), statistics.median(bare), len(rows) / len(calls)


async def _rate(play: Callable[[str], Awaitable[None]]) -> float:
    slots = asyncio.Semaphore(CONCURRENT)

    async def one() -> None:
        async with slots:
            await play(uuid.uuid4().hex)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CALLS)))
    return 2 * CALLS / (time.perf_counter() - began)


def _webhook() -> dict[str, Any]:
    """The two callbacks of a call and two legs of dialect `perminute` in turns, in both orders. A
    post every WEBHOOK_SECONDS, or later where the one before takes longer: so that the charge of
    the leg before delays none. All are answered once what they report is durable."""
    callbacks: list[float] = []
    legs: list[float] = []
    due = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "data") as stack:
        http = Http(stack.base_url)
        admin = Admin(http, stack.admin_key)
        admin.put("accounts/contoso", {"currency": "USD"})
        auth = {"scheme": "bearer", "secrets": [TOKEN]}
        for dialect in ("twilio", "perminute"):
            settings = {"dialect": dialect, "auth": auth, "accounts": ["*"]}
            admin.put(f"bridges/{dialect}", {**settings, "default_account": "contoso"})

        def post(dialect: str, body: bytes) -> float:
            nonlocal due
            headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
            # A steady pace of posts, not a wait for a condition.
            time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            due = began + WEBHOOK_SECONDS
            path = f"/api/v1/bridges/{dialect}/call-ended"
            answer = http.send("POST", path, body, headers)
            assert answer.status == 202, answer
            return (time.perf_counter() - began) * 1_000

        for number in range(WEBHOOK_ROUNDS_WARM + WEBHOOK_ROUNDS):
            call = uuid.uuid4().hex
            posts = [("twilio", body) for body in _posts(call, datetime.now(UTC))]
            others = [("perminute", _leg(f"{call}-{each}")) for each in range(2)]
            for dialect, body in others + posts if number % 2 else posts + others:
                milliseconds = post(dialect, body)
                if number >= WEBHOOK_ROUNDS_WARM:  # connections are open, code is compiled
                    (callbacks if dialect == "twilio" else legs).append(milliseconds)
    medians = f"medians {statistics.median(callbacks):.1f} and {statistics.median(legs):.1f} ms"
    return record(
        WEBHOOK,
        statistics.quantiles(callbacks, n=100)[98],
        "ms p99",
        "a leg of dialect perminute, p99",
        statistics.quantiles(legs, n=100)[98],
        f"ratio <= 1.5; {len(callbacks)} posts each; {medians}; load {os.getloadavg()[0]:.1f}",
        lambda ratio: ratio <= WEBHOOK_RATIO_MAX,
    )


def _leg(leg_id: str) -> bytes:
    ended_at = datetime.now(UTC) - timedelta(seconds=5)
    answered_at = (ended_at - timedelta(seconds=60)).isoformat()
    leg = {
        "leg_id": leg_id,
        "kind": "dial_out",
        "from": "+33170180055",
        "to": "+442079460011",
        "conference_id": "3001",
        "started_at": answered_at,
        "answered_at": answered_at,
        "ended_at": ended_at.isoformat(),
    }
    return json.dumps(leg).encode()


def _posts(call: str, now: datetime = START) -> list[bytes]:
    at = (now - timedelta(seconds=5)).isoformat()
    events = twilio_call(
        call, caller="+33170180055", to="+442079460011", talk_seconds=60, ended_at=at
    )
    return [json.dumps(each).encode() for each in events]
