"""Events of calls that are kept and assembled, beside bare inserts of their rows."""

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

from shared.adapters.bridges import parse
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.directory.entities import Bridge
from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.ports.tables import Insert
from tests.bench.records import record, wanted
from tests.support.azurite import start_azurite
from tests.support.ledger import START
from tests.support.processes import Deployment

EVENTS = "assembly.events_per_second"
RATIO_MIN = 0.5
CALLS = 100
CONCURRENT = 8
ROUNDS = 5


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Two events a call, eight calls at a time, medians of the rounds."""
    if not wanted(EVENTS, only):
        return
    with start_azurite() as azurite:
        ours, bare = asyncio.run(_measured(azurite.connection_string))
    yield record(
        EVENTS,
        ours,
        "events/s",
        "bare insert of one row an event",
        bare,
        "ratio >= 0.5",
        lambda ratio: ratio >= RATIO_MIN,
    )


async def _measured(connection_string: str) -> tuple[float, float]:
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
    await tables.close()
    return statistics.median(ours), statistics.median(bare)


async def _rate(play: Callable[[str], Awaitable[None]]) -> float:
    slots = asyncio.Semaphore(CONCURRENT)

    async def one() -> None:
        async with slots:
            await play(uuid.uuid4().hex)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CALLS)))
    return 2 * CALLS / (time.perf_counter() - began)


def _posts(call: str) -> list[bytes]:
    at = (START - timedelta(seconds=5)).isoformat()
    joined = {
        "CallSid": call,
        "ConferenceSid": "CF1",
        "FriendlyName": "3001",
        "StatusCallbackEvent": "participant-join",
        "Timestamp": at,
    }
    completed = {
        "CallSid": call,
        "From": "+33170180055",
        "To": "+442079460011",
        "Direction": "outbound-api",
        "CallStatus": "completed",
        "CallDuration": "60",
        "Timestamp": at,
    }
    return [json.dumps(each).encode() for each in (joined, completed)]
