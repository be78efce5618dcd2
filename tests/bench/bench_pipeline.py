"""Legs from the bridge's post to the debit, on the laptop stack, beside an earlier version.

Both versions run as whole stacks of their own, one at a time and in turns, from the trees of their
commits, with the same packages, client, legs and machine.
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.records import record, wanted
from tests.support.azurite import ROOT
from tests.support.client import Admin, Http, SigningBridge, unique

LEGS_PER_SECOND = "pipeline.legs_per_second"
CPU = "pipeline.cpu_ms_per_leg"
BACKLOG = "pipeline.backlog_legs_per_second"
BACKLOG_DIAL_OUT = "pipeline.backlog_dial_out_p99"
EARLIER = os.environ.get("BENCH_EARLIER", "c9e6734")
LEGS = int(os.environ.get("BENCH_LEGS", "5000"))
STRANDED = int(os.environ.get("BENCH_STRANDED", "20000"))
DIAL_OUTS = 500
DIAL_OUTS_WARM = 100
DIAL_OUT_SECONDS = 0.05
DIAL_OUT_RATIO_MAX = 2.0
LEGS_PER_POST = 100
POSTS_AT_ONCE = 4
ROUNDS = 3
RATIO_MIN = 2.0
ACCOUNT = "bench"
PRICE_MICROS = 12_000
START_SECONDS_MAX = 90.0
CHARGE_SECONDS_MAX = 600.0
POLL_SECONDS = 0.25
PARTS = ("http", "background", "bus", "azurite")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One round: seconds from the first post until all legs are charged, and until the last post
    was answered; CPU seconds of each part of the stack."""

    seconds: float
    posted_seconds: float
    cpu_seconds: dict[str, float]


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Legs a second, CPU a leg by part of the stack, as medians of the rounds; a stranded
    backlog."""
    if wanted(LEGS_PER_SECOND, only) or wanted(CPU, only):
        yield from _pipeline(only)
    if wanted(BACKLOG, only) or wanted(BACKLOG_DIAL_OUT, only):
        yield from _backlog()


def _pipeline(only: str | None) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        earlier = extracted(EARLIER, Path(folder) / "earlier")
        ours: list[Run] = []
        before: list[Run] = []
        for number in range(ROUNDS):
            ours.append(charged(ROOT, Path(folder) / f"ours-{number}"))
            before.append(charged(earlier, Path(folder) / f"before-{number}"))
    print(table(ours, before), flush=True)
    if wanted(LEGS_PER_SECOND, only):
        yield record(
            LEGS_PER_SECOND,
            LEGS / _median([run.seconds for run in ours]),
            "legs/s",
            f"version {EARLIER}",
            LEGS / _median([run.seconds for run in before]),
            f"ratio >= 2, load {os.getloadavg()[0]:.1f}",
            lambda ratio: ratio >= RATIO_MIN,
        )
    if wanted(CPU, only):
        for part in PARTS:
            yield record(
                f"{CPU}.{part}",
                _cpu_ms(ours, part),
                "ms/leg",
                f"version {EARLIER}",
                _cpu_ms(before, part),
                "stated",
                lambda _: True,
            )


def _backlog() -> Iterator[dict[str, Any]]:
    """Legs that were posted while nothing was charged; dial-outs of another account while the legs
    are charged, and in quiet, half of these before and half after that."""
    with tempfile.TemporaryDirectory() as folder, stack(ROOT, Path(folder)) as running:
        http = Http(running["base_url"])
        admin = Admin(http, running["admin_key"])
        bridge = SigningBridge(http, "local", running["bridge"]["secret"])
        open_account(admin)
        open_account(admin, "calling", card=False)
        post(bridge, legs(LEGS_PER_POST, "warm"))
        wait_charged(admin, LEGS_PER_POST)
        _dial_outs(bridge, DIAL_OUTS_WARM)
        quiet = _dial_outs(bridge, DIAL_OUTS)
        background = running["processes"]["background"]
        os.kill(background, signal.SIGSTOP)
        try:
            posts = [legs(LEGS_PER_POST, unique("post")) for _ in range(STRANDED // LEGS_PER_POST)]
            with ThreadPoolExecutor(POSTS_AT_ONCE) as pool:
                list(pool.map(lambda each: post(bridge, each), posts))
        finally:
            os.kill(background, signal.SIGCONT)
        began = time.perf_counter()
        meanwhile: list[float] = []
        while spent_legs(admin) < LEGS_PER_POST + STRANDED:
            assert time.perf_counter() - began < CHARGE_SECONDS_MAX
            meanwhile += _dial_outs(bridge, 20)
        seconds = time.perf_counter() - began
        dead_letters = admin.get("status")["queue"]["dead_letters"]
        assert dead_letters == 0, f"{dead_letters} dead letters"
        quiet += _dial_outs(bridge, DIAL_OUTS)
    load = f"load {os.getloadavg()[0]:.1f}"
    yield record(
        BACKLOG,
        STRANDED / seconds,
        "legs/s",
        f"of {STRANDED} legs; no dead letter",
        1,
        f"stated, {load}",
        lambda _: True,
    )
    yield record(
        BACKLOG_DIAL_OUT,
        _p99(meanwhile),
        "ms p99",
        f"{len(quiet)} dial-outs in quiet; {len(meanwhile)} meanwhile",
        _p99(quiet),
        f"ratio < 2, {load}",
        lambda ratio: ratio < DIAL_OUT_RATIO_MAX,
    )


def _dial_outs(bridge: SigningBridge, count: int) -> list[float]:
    """Milliseconds of dial-outs, each released again: one every DIAL_OUT_SECONDS, or later where
    the one before takes longer."""
    question = {"to": "+442079460123", "account": "calling", "organizer_id": "ken"}
    times: list[float] = []
    due = time.perf_counter()
    for _ in range(count):
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        due = began + DIAL_OUT_SECONDS
        answer = bridge.authorise(question)
        times.append((time.perf_counter() - began) * 1_000)
        assert answer.json()["decision"] == "allow", answer
        bridge.release(answer.json()["authorization"])
    return times


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def extracted(commit: str, folder: Path) -> Path:
    """The tree of a commit. A clone without that commit fetches it first.

    Raises CalledProcessError where it is nowhere.
    """
    folder.mkdir()
    known = subprocess.run(["git", "cat-file", "-e", commit], cwd=ROOT, check=False)
    if known.returncode:
        subprocess.run(["git", "fetch", "--unshallow", "--quiet"], cwd=ROOT, check=True)
    tree = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=tree.stdout, check=True)
    (folder / "local/node_modules").symlink_to((ROOT / "local/node_modules").resolve())
    return folder


@contextlib.contextmanager
def stack(tree: Path, data: Path) -> Iterator[dict[str, Any]]:
    """`make run` of a tree, without the demo account: the content of its run.json."""
    run_json = tree / "build/run.json"
    run_json.unlink(missing_ok=True)
    environment = {**os.environ, "PORT": "0", "SEED": "none", "DATA": str(data)}
    command = [sys.executable, "-m", "local.run"]
    process = subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not run_json.exists():
            assert process.poll() is None, f"the stack of {tree} ended"
            assert time.monotonic() < deadline, f"the stack of {tree} does not start"
            time.sleep(POLL_SECONDS)
        yield json.loads(run_json.read_text("utf-8"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START_SECONDS_MAX)


def charged(tree: Path, data: Path) -> Run:
    """Post all legs and wait until the balance says that all are charged."""
    with stack(tree, data) as running:
        http = Http(running["base_url"])
        admin = Admin(http, running["admin_key"])
        bridge = SigningBridge(http, "local", running["bridge"]["secret"])
        open_account(admin)
        post(bridge, legs(LEGS_PER_POST, "warm"))
        wait_charged(admin, LEGS_PER_POST)
        before = cpu_seconds(running["processes"])
        began = time.perf_counter()
        posts = [legs(LEGS_PER_POST, unique("post")) for _ in range(LEGS // LEGS_PER_POST)]
        with ThreadPoolExecutor(POSTS_AT_ONCE) as pool:
            list(pool.map(lambda each: post(bridge, each), posts))
        posted_seconds = time.perf_counter() - began
        wait_charged(admin, LEGS_PER_POST + LEGS)
        seconds = time.perf_counter() - began
        after = cpu_seconds(running["processes"])
    return Run(seconds, posted_seconds, {part: after[part] - before[part] for part in PARTS})


def open_account(admin: Admin, account: str = ACCOUNT, *, card: bool = True) -> None:
    """An account with credits, and a rate for the numbers of `legs`."""
    if card:
        _put_card(admin)
    admin.put(f"accounts/{account}", {"currency": "USD", "rate_card": "bench"})
    admin.put(f"accounts/{account}/organizers/ken", {})
    velocity = {"concurrent": None, "per_hour": None}
    admin.put(f"accounts/{account}/dial-out-policy", {"velocity": velocity})
    path = f"accounts/{account}/top-ups"
    answer = admin.request("POST", path, {"amount": "10000"}, idempotency_key=unique("key"))
    assert answer.status == 201, answer
    if card:
        admin.put(f"accounts/{account}/conferences/3001", {"organizer": "ken"})


def _put_card(admin: Admin) -> None:
    slot = {"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}
    rate = {"kind": "dial_out", "prefix": "44", "destination": "United Kingdom", "slots": [slot]}
    card = {"currency": "USD", "time_zone": "UTC", "rates": [rate]}
    card["rounding"] = {"mode": "half_up", "decimals": 4}
    admin.put("rate-cards/bench/versions/2020-01-01T00:00:00Z", card)


def legs(count: int, name: str) -> list[dict[str, Any]]:
    """Answered dial-outs of a minute, which cost PRICE_MICROS each."""
    ended_at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    return [
        {
            "leg_id": f"{name}-{number}",
            "conference_id": "3001",
            "kind": "dial_out",
            "from": "+33170180055",
            "to": f"+4420794{60_000 + number:05d}",
            "started_at": f"{ended_at - timedelta(seconds=70):%Y-%m-%dT%H:%M:%SZ}",
            "answered_at": f"{ended_at - timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}",
            "ended_at": f"{ended_at:%Y-%m-%dT%H:%M:%SZ}",
            "account": ACCOUNT,
        }
        for number in range(count)
    ]


def post(bridge: SigningBridge, batch: list[dict[str, Any]]) -> None:
    """One post, which must be accepted."""
    answer = bridge.post("call-ended", batch)
    assert answer.status == 202, answer


def wait_charged(admin: Admin, count: int) -> None:
    """Until the balance is what it is after so many legs."""
    deadline = time.monotonic() + CHARGE_SECONDS_MAX
    while (spent := spent_legs(admin)) < count:
        assert time.monotonic() < deadline, f"{spent} of {count} charged"
        time.sleep(POLL_SECONDS)
    assert spent == count, f"{spent} legs were paid for, {count} were posted"


def spent_legs(admin: Admin) -> int:
    """How many legs the account has paid for."""
    balance = admin.get(f"accounts/{ACCOUNT}")["balance"]
    return (10_000 * 10**6 - _micros(balance)) // PRICE_MICROS


def _micros(amount: str) -> int:
    units, _, decimals = amount.partition(".")
    return int(units) * 10**6 + int(decimals.ljust(6, "0"))


def cpu_seconds(processes: dict[str, int]) -> dict[str, float]:
    """CPU seconds that each part of a stack has used, all its threads together."""
    used: dict[str, float] = {}
    for part in PARTS:
        stat = Path(f"/proc/{processes[part]}/stat").read_text("ascii")
        fields = stat.rpartition(")")[2].split()
        used[part] = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return used


def table(ours: list[Run], before: list[Run]) -> str:
    """Where the time goes: CPU by part of the stack, in milliseconds a leg."""
    lines = [f"{'CPU, ms a leg':24}{'before':>12}{'now':>12}"]
    lines += [
        f"{part:24}{_cpu_ms(before, part):>12.2f}{_cpu_ms(ours, part):>12.2f}" for part in PARTS
    ]
    walls = [1_000 * _median([run.seconds for run in runs]) / LEGS for runs in (before, ours)]
    posts = [
        1_000 * _median([run.posted_seconds for run in runs]) / LEGS for runs in (before, ours)
    ]
    lines.append(f"{'wall until posted':24}{posts[0]:>12.2f}{posts[1]:>12.2f}")
    lines.append(f"{'wall until charged':24}{walls[0]:>12.2f}{walls[1]:>12.2f}")
    return "\n".join(lines)


def _cpu_ms(runs: list[Run], part: str) -> float:
    return 1_000 * _median([run.cpu_seconds[part] for run in runs]) / LEGS


def _median(values: list[float]) -> float:
    return statistics.median(values)
