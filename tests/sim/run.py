"""One run: chaos, then nothing fails any more, then all must come to rest, then the audit."""

import asyncio
import contextlib
import gc
import json
import logging
import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from unittest.mock import patch

from shared.adapters.ledger.restore import export, restore
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.legs.leg import encode_leg_key
from tests.model.auditor import audit
from tests.sim import loop, reader
from tests.sim.deployment import DELIVER_SECONDS, Deployment, finished
from tests.sim.faults import CALM, Rates
from tests.sim.payments import Payments
from tests.sim.requester import Json
from tests.sim.scheduler import Scheduler
from tests.sim.workload import Callers
from tests.support.crash_points import POINTS
from tests.support.restored import with_persons

STEPS = (2, 4, 7, 13)
EVENTS_EVERY, EVENTS_AT = 8, 3
"""The histories in which a bridge reports legs in several events."""
EVENT_CALLS = 4
LEADS = 3
COLLECTED_OBJECTS = 200_000
DRAIN_SECONDS_MAX = 6 * 3600
SKEW_SECONDS = 700.0
TICK_SECONDS = (20, 120, 1_000, 8_000)
CALM_TICK_SECONDS = (60, 300)
WAITING_ROWS = (
    *(("inbox", ""), ("ledger", "event|"), ("holds", "event|")),
    ("deliveries", "pending|"),
)


TROUBLE = {
    "webhook.spilled": {"queue_lost_request": 0.5},
    "inbox.sent": {"queue_lost_request": 0.5},
    "leg.sent_again": {"busy": 0.4},
}
"""What has to go wrong before someone can come to a crash point."""


@dataclass
class Outcome:
    """What a run came to."""

    seed: int
    problems: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    loop_steps: int = 0

    def add(self, other: "Outcome") -> None:
        """Sum up."""
        self.problems += other.problems
        self.faults += other.faults
        self.labels += other.labels
        self.crashes += other.crashes
        self.counts += other.counts
        self.loop_steps += other.loop_steps


def simulate(
    seed: int, steps: int | None = None, log: Callable[[str], None] | None = None
) -> Outcome:
    """Run a seed. The same seed gives the same run, to the last step."""
    logging.disable(logging.CRITICAL)
    random.seed(seed)  # the jitter of the product's back-off
    outcome = Outcome(seed)
    try:
        # The product yields by the real clock within long loops: a busy machine would add steps.
        with patch.object(limits, "SLICE_SECONDS", math.inf):
            loop.run(_run(seed, steps, log, outcome))
    except loop.Deadlock:
        outcome.problems.append("liveness: nothing is left to run, and someone still waits")
    return outcome


def simulate_quietly(seed: int) -> Outcome:
    """As `simulate`, in a pool: an error of the simulator itself is a problem too."""
    try:
        return simulate(seed)
    except Exception as error:  # noqa: BLE001 whatever it is, the seed shows it again
        return Outcome(seed, [f"the run itself failed: {error!r}"])


def spare_the_collector() -> None:
    """What was imported stays; a run leaves its cycles to a collection every few runs."""
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS)


async def _run(
    seed: int, steps: int | None, log: Callable[[str], None] | None, outcome: Outcome
) -> None:
    scheduler = Scheduler(seed, log)
    deployment = Deployment(scheduler)
    point = POINTS[seed % len(POINTS)]
    is_of_events = point.startswith("event.")
    deployment.reports_events = seed % EVENTS_EVERY == EVENTS_AT or is_of_events
    deployment.start(webs=scheduler.rng.randint(1, 3), workers=scheduler.rng.randint(1, 3))
    callers = Callers(deployment, point)
    payments = Payments(callers, point)
    await callers.set_up()
    scheduler.rates = Rates.drawn(scheduler.rng)
    scheduler.target = (point, scheduler.rng.choice((0, 0, 0, 1)))
    if point in TROUBLE:
        scheduler.rates = replace(scheduler.rates, **TROUBLE[point])
    scheduler.note(f"a process dies at {scheduler.target}; rates {scheduler.rates}")
    host = asyncio.create_task(_host(deployment))
    drawn = scheduler.rng.choice(STEPS)
    await _chaos(deployment, callers, point, drawn if steps is None else steps)
    scheduler.note("---- nothing fails any more")
    scheduler.rates, scheduler.target = CALM, None
    payments.hurry()
    for process in [*deployment.webs, *deployment.workers]:
        process.skew = timedelta(0)
    deployment.revive()
    await callers.post_again()
    outcome.problems += await _rest(deployment, payments)
    before: dict[str, Json] = {}
    if point == "restore.half":
        before = await deployment.webs[0].spawn("read", _final(deployment, callers))
        await _restored(deployment, scheduler.rng.choice(callers.accounts))
    await callers.replay_open()
    outcome.problems += await _rest(deployment, payments)
    if point == "checkpoint.written":
        outcome.problems += await _audited(deployment, callers)
    # Holds stand still while the queue is behind, and for a while after the last word of that.
    await asyncio.sleep(limits.BACKLOG_KEPT_SECONDS + 60)
    host.cancel()
    await payments.rest()
    final = await deployment.webs[0].spawn("read", _final(deployment, callers))
    for name, view in before.items():
        with_persons(final[name].get("legs", {}), view.get("legs", {}))
    outcome.problems += audit(callers.history, final, skew_seconds=SKEW_SECONDS)
    outcome.problems += payments.audited(final)
    outcome.problems += deployment.receivers.audited(deployment.broker)
    outcome.problems += [f"an error escaped: {each}" for each in deployment.escaped]
    outcome.faults, outcome.labels = scheduler.faults, scheduler.labels
    outcome.crashes = scheduler.crashes
    outcome.counts = _counts(deployment, callers, final)
    outcome.loop_steps = getattr(asyncio.get_running_loop(), "steps", 0)


async def _chaos(deployment: Deployment, callers: Callers, point: str, steps: int) -> None:
    """Callers do this and that; some of them what leads to the point where someone dies."""
    scheduler = deployment.scheduler
    tasks: list[asyncio.Task[None]] = []
    acts = [callers.act] * steps + [lambda: callers.lead_to(point)] * LEADS
    if deployment.reports_events:
        acts += [callers.call_reported] * EVENT_CALLS
    scheduler.rng.shuffle(acts)
    for step, act in enumerate(acts):
        scheduler.note(f"step {step}")
        tasks.append(asyncio.create_task(act()))
        await asyncio.sleep(scheduler.rng.expovariate(1.0))
        if scheduler.happens("idle"):
            await asyncio.sleep(scheduler.rng.choice((60, 1_000, 4_000, 100_000)))
        if scheduler.rng.random() < 0.1:
            deployment.revive()
        if scheduler.rng.random() < 0.05 and scheduler.rates.clock_skewed:
            process = scheduler.rng.choice([*deployment.webs, *deployment.workers])
            process.skew = timedelta(seconds=scheduler.rng.uniform(-300, 300))
    await asyncio.gather(*tasks)


async def _host(deployment: Deployment) -> None:
    """The platform: gives messages to workers, and fires timers, one beside the other."""
    running: set[asyncio.Task[None]] = set()
    timers = {
        "forward_inbox": lambda app: app.forward_inbox(),
        "watch_balances": lambda app: app.watch_balances(),
    }
    if deployment.broker.subscribers:
        seconds = DELIVER_SECONDS
        timers["retry_deliveries"] = lambda app: app.deliver_events.retry(seconds=seconds)
    if deployment.reports_events:
        timers["end_waits"] = lambda app: app.assemble_calls.end_waits()
    tick_at = 0.0
    while True:
        scheduler = deployment.scheduler
        now = scheduler.seconds()
        if scheduler.rng.random() < 0.1:
            deployment.revive()
        acts = [deployment.deliver()] if deployment.broker.is_due(now) else []
        acts += [deployment.relay()] if deployment.broker.has_undelivered(now) else []
        if now >= tick_at:
            spans = CALM_TICK_SECONDS if scheduler.rates is CALM else TICK_SECONDS
            tick_at = now + scheduler.rng.choice(spans)
            acts += [deployment.tick(name, act) for name, act in timers.items()]
        for act in acts:
            task = asyncio.create_task(act)
            running.add(task)
            task.add_done_callback(running.discard)
        await deployment.broker.something(until=tick_at)
        await asyncio.sleep(scheduler.rng.uniform(0.05, 0.5))


async def _rest(deployment: Deployment, payments: Payments) -> list[str]:
    """Wait until nothing is on its way; what is not in time is named."""
    ends = deployment.scheduler.seconds() + DRAIN_SECONDS_MAX
    while True:
        await asyncio.sleep(20.0)
        waiting = len(deployment.broker.waiting) + len(deployment.broker.undelivered)
        if not (waiting or deployment.landing or payments.open or _left_over(deployment)):
            return []
        if deployment.scheduler.seconds() >= ends:
            left = [*_left_over(deployment), *sorted(payments.open)]
            return [f"liveness: after {DRAIN_SECONDS_MAX} s {waiting} messages wait, and {left}"]


def _left_over(deployment: Deployment) -> list[str]:
    """Rows that wait for someone: in the inbox, in an outbox, for a receiver."""
    found: list[str] = []
    for table, prefix in WAITING_ROWS:
        for partition in deployment.tables._tables.get(table, {}).values():
            place = bisect_left(partition.keys, prefix)
            found += [key for key in partition.keys[place:] if key.startswith(prefix)]
    return found


async def _restored(deployment: Deployment, account: str) -> None:
    """The table of an account's ledger is lost, and rebuilt from what was exported of it."""
    exported = [line async for line in export(deployment.tables, account)]
    del deployment.tables._tables["ledger"][account]

    async def lines() -> AsyncIterator[bytes]:
        for line in exported:
            yield line

    deployment.scheduler.target = ("restore.half", deployment.scheduler.rng.randrange(3))
    for _ in range(2):
        process = deployment.workers[0]
        tables, key = process.app.tables, process.app.settings.chain_key
        task = process.spawn("restore", restore(tables, account, lines(), key))
        if await finished(task, process, 240.0):
            task.result()
            return
        deployment.revive()


async def _audited(deployment: Deployment, callers: Callers) -> list[str]:
    """The nightly audit, once more: it finds nothing, and all that was anchored is still there."""
    # The last timer before the calm may have died, and the next one may be hours away.
    await deployment.tick("watch_balances", lambda app: app.watch_balances())
    process = deployment.workers[0]
    audit_ledgers = process.app.audit_ledgers
    found = await process.spawn("nightly_audit", audit_ledgers())
    problems = [*found.problems, *(f"missed {account}" for account in found.missed)]
    for name in callers.accounts:
        get = reader.get(f"/api/v1/accounts/{name}/verify?anchors=true")
        problems += (await deployment.webs[0].spawn("read", get))["problems"]
    return [f"audit: {problem}" for problem in problems]


async def _final(deployment: Deployment, callers: Callers) -> dict[str, Json]:
    """What a reader sees, by the product's own API."""
    # What was incomplete and came after all is closed: the leg has its place in the ledger.
    parked = [
        each
        for each in await reader.items("/api/v1/parked-legs")
        if (each["reason"], each["status"]) != ("incomplete", "replayed")
    ]
    legs = {_shown(op) for op in callers.history if op["op"] == "call_ended"}
    views: dict[str, Json] = {"": {"parked": [each for each in parked if "account" not in each]}}
    for name in callers.accounts:
        base = f"/api/v1/accounts/{name}"
        entries = await reader.items(f"{base}/entries")
        views[name] = {
            "at": format_time(deployment.scheduler.now()),
            "account": await reader.get(base),
            "entries": entries,
            "legs": await _legs(base, sorted(legs & _named(entries, parked))),
            "parked": [each for each in parked if each.get("account") == name],
            "events": _events(deployment, name),
            "verify": await reader.get(f"{base}/verify"),
        }
    return views


def _named(entries: list[Json], parked: list[Json]) -> set[str]:
    """The legs that an account can know: verification finds a guard of any other."""
    return {str(each["leg"]) for each in [*entries, *parked] if "leg" in each}


def _shown(op: Json) -> str:
    return encode_leg_key(f"{op['request']['bridge']}~{op['request']['leg']['leg_id']}")


async def _legs(base: str, legs: list[str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for leg in legs:
        with contextlib.suppress(reader.NotThere):
            found[leg] = await reader.get(f"{base}/legs/{leg}")
    return found


def _events(deployment: Deployment, account: str) -> list[Json]:
    """What was published of an account. `available` is as of the publication, so that an event
    which is published twice may carry two of them."""
    found: list[Json] = []
    for message in deployment.broker.published:
        event = json.loads(message.body)
        if event["source"] == f"/accounts/{account}":
            event["data"].pop("available", None)
            found.append(event)
    return found


def _counts(deployment: Deployment, callers: Callers, final: dict[str, Json]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for record in callers.history:
        counts[f"{record['op']} {record['outcome']}"] += 1
    for view in final.values():
        counts["entries"] += len(view.get("entries", ()))
        counts["events"] += len(view.get("events", ()))
        counts["parked"] += len(view.get("parked", ()))
    counts["duplicates the broker dropped"] = deployment.broker.dropped
    counts["batches"] = deployment.batches
    return counts
