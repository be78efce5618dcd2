"""Dial-out: the pure decision, and the whole way over HTTP beside the barest way there is."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.stack import Stack
from shared.contracts.dial_out.requests import allowed_body
from shared.domain.common.kinds import LegKind
from shared.domain.dial_out import hold_decisions
from shared.domain.dial_out.dial_out_checks import check_rules
from shared.domain.dial_out.facts import Allowance, Destination
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.hold_decisions import Authorise, Granted
from shared.domain.numbers.classes import NumberClass
from shared.domain.rating.rate_card import Rate, Rounding, RoundingMode, Slot, build_version
from shared.usecases.dial_out.call_pricing import CallPricing
from tests.bench.records import record, wanted
from tests.support.azurite import ROOT
from tests.support.client import Admin, Http, SigningBridge, unique
from tests.support.hold_cases import ACCOUNT, NOW, authorise, later, placed
from tests.unit.dial_out.cases import facts

DECIDE = "dial_out.decide"
HTTP = "dial_out.http_p99"
OPEN_CALLS = 50
DECISIONS = 2_000
ROUNDS = 5
THREADS = 8
REQUESTS = 96
BARE_APP = """
import importlib.util, json, os
import azure.functions as func
spec = importlib.util.spec_from_file_location("product", {product!r})
product = importlib.util.module_from_spec(spec)
spec.loader.exec_module(product)
app = product.app
from shared.bootstrap import container
from shared.ports.tables import Upsert

@app.function_name("bare")
@app.route("api/bare", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def bare(req: func.HttpRequest) -> func.HttpResponse:
    body = req.get_body()
    row = Upsert("row", {{"schema": 1, "body": body}})
    await container().tables.transact("bare", "account", [row])
    return func.HttpResponse(body, mimetype="application/json")
"""


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Figures of dial-out."""
    if wanted(DECIDE, only):
        yield _decide()
    if wanted(HTTP, only):
        yield _over_http()


def _decide() -> dict[str, Any]:
    """All rules and the hold, with fifty calls open, beside encoding the answer as JSON."""
    state, command = _busy(), _question()
    known = facts("+442079460123")

    def decide() -> None:
        assert check_rules(known) is None
        granted = hold_decisions.place_hold(state, command, NOW)
        assert isinstance(granted, Granted)

    allowance = Allowance(
        "au_6x2",
        900,
        False,
        "",
        0,
        later(1920),
        12 * 10**9,
        5 * 10**10,
        "USD",
        230_000,
        Destination("+442079460123", "GB", "44", NumberClass.FIXED_LINE),
    )

    def encode() -> None:
        json.dumps(allowed_body(allowance))

    ours, theirs = _turns(decide, encode)
    goal = "stated"
    return record(DECIDE, ours, "us", "the answer as JSON", theirs, goal, lambda _: True)


def _busy() -> HoldState:
    state = HoldState(balance_micros=10**12)
    for number in range(OPEN_CALLS):
        state = placed(state, authorise(f"au_{number}", bounds=(ACCOUNT,)))
    return state


def _question() -> Authorise:
    slot = Slot(0, 12 * 10**9, 60, 60)
    rate = Rate(LegKind.DIAL_OUT, "44", "United Kingdom", 5 * 10**10, (slot,))
    version = build_version(
        card="bench",
        effective_from=datetime(2020, 1, 1, tzinfo=UTC),
        currency="USD",
        time_zone="UTC",
        rounding=Rounding(RoundingMode.HALF_UP, 4),
        rates=[rate],
    )
    found = version.find(LegKind.DIAL_OUT, "442079460123", None)
    assert found is not None
    pricing = CallPricing(found, version, LegKind.DIAL_OUT, None, NOW)
    return authorise("au_new", bounds=(ACCOUNT,), pricing=pricing)


def _turns(ours: Callable[[], None], theirs: Callable[[], None]) -> tuple[float, float]:
    """The median microseconds of each; the two take turns."""
    times: dict[Callable[[], None], list[float]] = {ours: [], theirs: []}
    for _ in range(ROUNDS):
        for call, found in times.items():
            start = time.perf_counter()
            for _ in range(DECISIONS):
                call()
            found.append((time.perf_counter() - start) / DECISIONS * 1e6)
    return statistics.median(times[ours]), statistics.median(times[theirs])


def _over_http() -> dict[str, Any]:
    """Eight callers at once on one account; both ways through the same host and table service."""
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        app.mkdir()
        product = str(ROOT / "function_app.py")
        (app / "function_app.py").write_text(BARE_APP.format(product=product), "utf-8")
        (app / "host.json").write_text((ROOT / "host.json").read_text("utf-8"), "utf-8")
        with Stack(Path(folder) / "data", app=app) as stack:
            http = Http(stack.base_url)
            question = _open_account(Admin(http, stack.admin_key))
            bridge = SigningBridge(http, "local", stack.bridge_secret)
            body = json.dumps(question).encode()

            def dial_out(_: int) -> None:
                answer = bridge.authorise(question)
                assert answer.json()["decision"] == "allow", answer

            def bare(_: int) -> None:
                answer = http.send("POST", "/api/bare", body, {"content-type": "application/json"})
                assert answer.status == 200, answer

            ours, theirs = [], []
            for _ in range(3):
                ours += _timed(dial_out)
                theirs += _timed(bare)
    return record(
        HTTP,
        _p99(ours),
        "ms p99",
        "HTTP echo and a bare update, p99",
        _p99(theirs),
        f"stated; medians {statistics.median(ours):.1f} and {statistics.median(theirs):.1f} ms",
        lambda _: True,
    )


def _open_account(admin: Admin) -> dict[str, Any]:
    """An account that may dial as fast as it likes; the question of one of its organizers."""
    slot = {"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}
    rate = {"kind": "dial_out", "prefix": "44", "destination": "United Kingdom", "slots": [slot]}
    card = {"currency": "USD", "time_zone": "UTC", "rates": [rate]}
    card["rounding"] = {"mode": "half_up", "decimals": 4}
    admin.put("rate-cards/bench/versions/2020-01-01T00:00:00Z", card)
    admin.put("accounts/bench", {"currency": "USD", "rate_card": "bench"})
    admin.put("accounts/bench/organizers/ken", {})
    velocity = {"concurrent": None, "per_hour": None}
    admin.put("accounts/bench/dial-out-policy", {"velocity": velocity})
    money = {"amount": "100000"}
    answer = admin.request("POST", "accounts/bench/top-ups", money, idempotency_key=unique("key"))
    assert answer.status == 201, answer
    return {"to": "+442079460123", "account": "bench", "organizer_id": "ken"}


def _timed(call: Callable[[int], None]) -> list[float]:
    """Milliseconds of each request, after one to warm up every connection."""

    def one(number: int) -> float:
        start = time.perf_counter()
        call(number)
        return (time.perf_counter() - start) * 1_000

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, range(THREADS)))
        return list(pool.map(one, range(REQUESTS)))


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]
