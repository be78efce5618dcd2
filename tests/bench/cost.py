"""`python -m tests.bench.cost`: what a leg costs in Azure, from counted requests and bytes.

The real pipeline runs on memory tables and queues that count: a leg is posted, queued, rated,
debited; one in three was requested before by a dial-out. infra/tools/prices.py has the prices, with
their sources and the queries that verify them; this command prints those too.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infra.tools import prices
from infra.tools.prices import PRICES
from shared.adapters.tables.validation import check_transaction
from shared.bootstrap.composition import Container
from shared.contracts.rate_cards.json_format import parse_rate_card_json
from shared.domain.common.kinds import LegKind
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.directory.entities import AccountSettings
from shared.domain.ledger.model import TopUp
from shared.domain.legs.leg import EndedLeg, read_queued_legs
from shared.ports.tables import Operation, Row
from shared.settings import Settings
from shared.usecases.dial_out.authorisation_request import AuthorisationRequest
from tests.infra.bicep import resources, snapshot
from tests.support.memory_bus import MemoryQueue, MemoryTopic
from tests.support.memory_tables import MemoryTables

PAGE = Path(__file__).parents[2] / "docs/cost.md"
MARK = "<!-- counted -->"
FIXED_MARK = "<!-- fixed -->"
PRICES_MARK = "<!-- prices -->"
RATES_PER_SECOND = (0.05, 0.4, 4.0, 40.0)
BATCH_SECONDS = 1.0  # legs that arrive while a batch is worked on wait for the next one
MONTH_SECONDS = 30 * 24 * 3600
LEGS_COUNTED = 400
LEGS_PER_QUESTION = 3  # one leg in three is dialled out, after a question
HOST_RECORDS_PER_EXECUTION = 3  # "Executing", "Executed" and the request
HOST_RECORD_BYTES = 1_100
STORAGE_RECORD_BYTES = 900
# Records a minute by diagnostic setting: metrics that are sent to the workspace, and audit records
# of the bus, which aggregates them by operation and minute.
METRICS_A_MINUTE = {"Microsoft.Storage": 6, "Microsoft.ServiceBus": 22, "Microsoft.KeyVault": 5}
METRIC_RECORD_BYTES = 500
AUDIT_RECORDS_A_MINUTE = 8
RECORDS_OF_RATE = 0.4  # legs a second, for the volume of logs below
EXECUTION_SECONDS = 1.0  # an instance is billed while it works, for a second at least
GROUPS = 2  # HTTP and queue scale apart; one instance of each carries all rates here
INSTANCE_GB = 2.0
LOG_BYTES_PER_EVENT = 900
BUS_OPERATIONS_INCLUDED = 13_000_000
CARD = b"""{"currency": "USD", "time_zone": "UTC", "rounding": {"mode": "half_up", "decimals": 4},
 "rates": [{"kind": "dial_out", "prefix": "44", "destination": "United Kingdom",
 "connection_fee": "0.05", "slots": [{"from_second": 0, "price": "0.012", "unit_seconds": 60,
 "increment_seconds": 60}]}]}"""


class CountingTables(MemoryTables):
    """Counts requests and the bytes that stay."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: Counter[str] = Counter()
        self.bytes_kept = 0

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        self.requests[f"{table} read"] += 1
        return await super().get(table, partition, key)

    async def query(self, table: str, *more: Any, **words: Any) -> list[Row]:
        self.requests[f"{table} query"] += 1
        return await super().query(table, *more, **words)

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        self.requests[f"{table} transaction"] += 1
        new = [each for each in operations if type(each).__name__ == "Insert"]
        if new:
            self.bytes_kept += sum(map(len, check_transaction(table, partition, new)))
        return await super().transact(table, partition, operations)


@dataclass(frozen=True, slots=True)
class Counted:
    """What one leg takes, on average."""

    batch_legs: int
    requests: float
    bytes_kept: float
    bus_operations: float
    executions: float
    events: float


def main() -> None:
    """Count for each rate, print the table and write it into docs/cost.md."""
    lines = list(_table([(rate, asyncio.run(count(rate))) for rate in RATES_PER_SECOND]))
    print("\n".join(lines))
    write(MARK, lines)
    write_fixed()
    prices.main([])


def write_fixed() -> None:
    """Write the deployments of the parameter files and the prices into docs/cost.md."""
    lines = fixed_table()
    print("\n".join(lines))
    write(FIXED_MARK, lines)
    write(PRICES_MARK, prices.page_table())


def write(mark: str, lines: Sequence[str]) -> None:
    """Replace the text between two marks of the page."""
    head, _, tail = PAGE.read_text(encoding="utf-8").partition(mark)
    _, _, rest = tail.partition(mark)
    body = "\n".join(lines)
    PAGE.write_text(f"{head}{mark}\n{body}\n{mark}{rest}", encoding="utf-8")


def fixed_table() -> list[str]:
    """Costs without a leg, one row for each item, counted from the snapshots."""
    found = {name: fixed(name) for name in ("dev", "main", "prod")}
    # `main` with locked data: two always-ready instances for HTTP, nothing else that costs.
    safe = {**found["main"], "always-ready instances": (2, 2 * READY_INSTANCE)}
    columns = {"dev": found["dev"], "azd trial": found["main"], "prod": found["prod"]}
    columns["cheapest that is safe"] = safe
    lines = [f"| a month, US dollars | {' | '.join(columns)} |", f"| --- |{' ---: |' * 4}"]
    for item in found["prod"]:
        cells = (f"{each[item][0]:,g}: {each[item][1]:,.2f}" for each in columns.values())
        lines.append(f"| {item} | {' | '.join(cells)} |")
    totals = (f"**{sum(cost for _, cost in each.values()):,.2f}**" for each in columns.values())
    lines.append(f"| **fixed** | {' | '.join(totals)} |")
    return lines


READY_INSTANCE = INSTANCE_GB * MONTH_SECONDS * PRICES["ready_baseline"].dollars
"""US dollars a month."""


def fixed(environment: str) -> dict[str, tuple[float, float]]:
    """(number, US dollars a month) of what a parameter file deploys, counted from its snapshot."""
    (plan,) = resources(environment, "Web/serverfarms")
    (site,) = resources(environment, "Web/sites")
    scale = site["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    requested = sum(group["instanceCount"] for group in scale["alwaysReady"])
    # Zone redundancy: two of each group, where fewer were requested.
    is_redundant = plan["properties"]["zoneRedundant"]
    instances = 2 * function_groups() if is_redundant else requested
    (bus,) = resources(environment, "ServiceBus/namespaces")
    is_premium = bus["sku"]["name"] == "Premium"
    (probe,) = resources(environment, "Insights/webtests")
    runs = len(probe["properties"]["Locations"]) * MONTH_SECONDS / probe["properties"]["Frequency"]
    rules = resources(environment, "Insights/scheduledQueryRules")
    frequent = sum(rule["properties"]["evaluationFrequency"] == "PT5M" for rule in rules)
    metrics = len(resources(environment, "Insights/metricAlerts"))
    ticks = minute_timers() * MONTH_SECONDS / 60
    records = ticks * HOST_RECORDS_PER_EXECUTION + runs * HOST_RECORDS_PER_EXECUTION
    legs = RECORDS_OF_RATE * MONTH_SECONDS
    trails = resources(environment, "Insights/diagnosticSettings")
    reads = any(
        log.get("category") == "StorageRead" and log["enabled"]
        for trail in trails
        if "/tableServices/" in trail["id"]
        for log in trail["properties"]["logs"]
    )
    stored = legs * (6 if reads else 2)  # table requests a leg, or its transactions
    minutes = MONTH_SECONDS / 60
    metric_records = minutes * sum(
        METRICS_A_MINUTE[trail["id"].split("/providers/")[1].split("/")[0]]
        for trail in trails
        if any(each["enabled"] for each in trail["properties"].get("metrics", []))
    )
    audits = minutes * AUDIT_RECORDS_A_MINUTE if is_premium else 0
    gigabytes = (
        records * HOST_RECORD_BYTES
        + (stored + audits) * STORAGE_RECORD_BYTES
        + metric_records * METRIC_RECORD_BYTES
    ) / 1e9
    second = PRICES["ready_time" if is_redundant else "flex_time"].dollars
    execution = PRICES["flex_executions"].dollars / 1e6
    tick_cost = ticks * (EXECUTION_SECONDS * INSTANCE_GB * second + execution)
    unit = PRICES["bus_premium" if is_premium else "bus_base"].dollars
    often, seldom = PRICES["log_alert_5"].dollars, PRICES["log_alert_15"].dollars
    found = {
        "always-ready instances": (instances, instances * READY_INSTANCE),
        "Service Bus: messaging units, or the base": (1, unit),
        "private endpoints": _count(environment, "Network/privateEndpoints", "endpoint"),
        "private DNS zones": _count(environment, "Network/privateDnsZones", "zone"),
        "availability tests": (runs, runs * PRICES["web_test"].dollars),
        "log alerts": (len(rules), frequent * often + (len(rules) - frequent) * seldom),
        "metric alerts": (metrics, metrics * PRICES["metric_alert"].dollars),
        "executions of minute timers": (ticks, tick_cost),
        f"GB of logs of host, storage, bus and vault at {RECORDS_OF_RATE} legs/s": (
            round(gigabytes, 1),
            gigabytes * PRICES["logs"].dollars,
        ),
    }
    return {name: (float(number), cost) for name, (number, cost) in found.items()}


def _count(environment: str, kind: str, price: str) -> tuple[float, float]:
    number = sum(each["type"] == f"Microsoft.{kind}" for each in snapshot(environment))
    return number, number * PRICES[price].dollars


def _background() -> dict[str, list[dict[str, str]]]:
    text = (Path(__file__).parents[1] / "golden" / "binding_manifest.json").read_text("utf-8")
    manifest: dict[str, list[dict[str, str]]] = json.loads(text)
    return {
        name: bindings
        for name, bindings in manifest.items()
        if all(each["type"] != "httpTrigger" for each in bindings)
    }


def function_groups() -> int:
    """HTTP, and each function without HTTP by itself: they scale apart."""
    return 1 + len(_background())


def minute_timers() -> int:
    """The timers but that of the night."""
    return sum(
        each["type"] == "timerTrigger" and "NIGHTLY" not in each["schedule"]
        for bindings in _background().values()
        for each in bindings
    )


async def count(rate: float) -> Counted:
    """What a leg takes when so many end a second."""
    batch = max(1, min(100, round(rate * BATCH_SECONDS)))
    tables = CountingTables()
    app = _container(tables)
    await _furnish(app)
    queue = app.queue
    assert isinstance(queue, MemoryQueue)
    tables.requests.clear()
    tables.bytes_kept = 0
    for start in range(0, LEGS_COUNTED, batch):
        ended = [await _ended(app, number) for number in range(start, start + batch)]
        await app.receive_legs("local", ended)
        messages = queue.take(batch)
        legs = [leg for message in messages for leg in read_queued_legs(message.body)]
        await app.charge_legs(legs, seconds=10)
    legs_done = -(-LEGS_COUNTED // batch) * batch
    requested_share = 1 / LEGS_PER_QUESTION
    return Counted(
        batch_legs=batch,
        requests=sum(tables.requests.values()) / legs_done,
        bytes_kept=tables.bytes_kept / legs_done,
        bus_operations=1 + 1 / batch + 1,  # send, receive by batch, complete
        executions=1 + 1 / batch + requested_share,
        events=2 + 1 / batch + requested_share * 2,
    )


def _container(tables: MemoryTables) -> Container:
    app = Container(
        Settings.from_environment(
            {
                "TABLES_CONNECTION_STRING": "memory",
                "ServiceBus": "memory",
                "CALL_ENDED_QUEUE": "call-ended",
                "CREDIT_EVENTS_TOPIC": "credit-events",
                "CALL_ENDED_LOCK_SECONDS": "300",
                "PERMINUTE_CHAIN_KEY": "A" * 44,
            }
        )
    )
    app.tables = tables
    app.queue = MemoryQueue(app.clock)
    app.topic = MemoryTopic()
    return app


async def _furnish(app: Container) -> None:
    from shared.domain.directory.entities import BridgeInput, OnOutage
    from shared.domain.directory.request_signatures import AuthScheme
    from shared.domain.rating.versioning import PutRules

    await app.accounts.put("contoso", AccountSettings("USD"), None)
    await app.credit_account("contoso", TopUp("credits", "digest", 10**12))
    version = parse_rate_card_json(CARD, "default", datetime(2026, 1, 1, tzinfo=UTC))
    rules = PutRules(now=app.clock.now(), if_match=None, backdate=True)
    await app.rate_cards.put(version, rules)
    wanted = BridgeInput(
        dialect="perminute",
        scheme=AuthScheme.STANDARD_WEBHOOKS,
        username=None,
        secrets=None,
        accounts=frozenset({"contoso"}),
        default_account="contoso",
        country=None,
        on_outage=OnOutage.DENY,
    )
    await app.bridges.put("local", wanted, None)
    organizer = OrganizerFacts("ken@contoso.com", usage_location="GB")
    await app.dial_out_settings.put_organizer("contoso", organizer, None)


async def _ended(app: Container, number: int) -> EndedLeg:
    """A call that is over; every third was requested by a dial-out."""
    if number % LEGS_PER_QUESTION:
        return _leg(number)
    bridge = await app.facts.bridge("local")
    assert bridge is not None
    leg = _leg(number)
    key = f"question-{number}"
    answer = await app.authorise_dial_out(
        bridge,
        AuthorisationRequest(
            leg.to_number or "", key, key, account=leg.account, organizer=leg.organizer
        ),
    )
    assert answer["decision"] == "allow", answer
    return replace(leg, authorization=str(answer["authorization"]))


def _leg(number: int) -> EndedLeg:
    start = datetime.now(UTC) - timedelta(minutes=10)
    return EndedLeg(
        bridge="local",
        leg_id=f"leg-{number}",
        conference_id=None,
        kind=LegKind.DIAL_OUT,
        from_number="+33170000000",
        to_number=f"+4420794{number:05d}",
        started_at=start,
        answered_at=start + timedelta(seconds=7),
        ended_at=start + timedelta(seconds=190),
        talk_seconds=183,
        account="contoso",
        organizer="ken@contoso.com",
    )


def _table(rows: Sequence[tuple[float, Counted]]) -> Iterator[str]:
    yield "| legs/s | legs a month | legs a batch | table requests a leg | bytes kept a leg |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for rate, counted in rows:
        yield (
            f"| {rate} | {rate * MONTH_SECONDS:,.0f} | {counted.batch_legs} "
            f"| {counted.requests:.2f} | {counted.bytes_kept:,.0f} |"
        )
    yield ""
    yield (
        "| legs/s | tables | storage of a year | Service Bus | functions | logs | a month "
        "| per 1,000 legs |"
    )
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for rate, counted in rows:
        parts = _monthly(rate, counted)
        total = sum(parts)
        cells = " | ".join(f"{part:,.2f}" for part in parts)
        per_thousand = total / (rate * MONTH_SECONDS) * 1_000
        yield f"| {rate} | {cells} | **{total:,.2f}** | {per_thousand:.4f} |"


def _monthly(rate: float, counted: Counted) -> tuple[float, ...]:
    legs = rate * MONTH_SECONDS
    dollars = {key: price.dollars for key, price in PRICES.items()}
    bus = max(0.0, legs * counted.bus_operations - BUS_OPERATIONS_INCLUDED) / 1e6
    active_seconds = min(legs * counted.executions * EXECUTION_SECONDS, GROUPS * MONTH_SECONDS)
    seconds = active_seconds * INSTANCE_GB
    executions = legs * counted.executions / 1e6
    return (
        legs * counted.requests / 10_000 * dollars["table_operations"],
        legs * 12 * counted.bytes_kept / 1e9 * dollars["table_zrs"],
        dollars["bus_base"] + bus * dollars["bus_operations"],
        seconds * dollars["flex_time"] + executions * dollars["flex_executions"] + READY_INSTANCE,
        legs * counted.events * LOG_BYTES_PER_EVENT / 1e9 * dollars["logs"],
    )


if __name__ == "__main__":
    main()
