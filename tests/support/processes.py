"""Processes of one product that share tables, queue, topic and clock, driven below HTTP."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from functions.rate_and_debit import rate_and_debit
from shared import bootstrap
from shared.contracts.rate_cards.json_format import parse_rate_card_json
from shared.domain.common.canonical import format_time
from shared.domain.credits.alerts import AlertRule
from shared.domain.directory.access import ALL_ACCOUNTS, Principal, Role
from shared.domain.directory.entities import AccountSettings, BridgeInput, OnOutage, Registration
from shared.domain.directory.request_signatures import AuthScheme
from shared.domain.ledger.model import TopUp
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.domain.legs.parking import ParkedLeg
from shared.domain.rating.versioning import PutRules
from shared.ports.ledger import LegRecord
from shared.ports.queues import Message
from shared.usecases.directory.codecs import Kind
from shared.usecases.legs.receive_legs import ReceivedLeg
from tests.support.ledger import START, UNIT
from tests.support.memory_bus import MemoryQueue, MemoryTopic
from tests.support.memory_tables import MemoryTables
from tests.support.product import CountedIds, ManualClock, Product

ADMIN = Principal("admin", frozenset({Role.ADMIN}), frozenset({ALL_ACCOUNTS}))
CARD: dict[str, Any] = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding": {"mode": "half_up", "decimals": 4},
    "rates": [
        {
            "kind": "dial_out",
            "prefix": prefix,
            "destination": name,
            "connection_fee": fee,
            "slots": [
                {"from_second": 0, "price": price, "unit_seconds": 60, "increment_seconds": 60}
            ],
        }
        for prefix, name, fee, price in (
            ("44", "United Kingdom", "0.05", "0.012"),
            ("33", "France", "0", "0.6"),
        )
    ],
}
GB, FR, JP = "+442079460000", "+33170000000", "+81312345678"


def card_bytes(**changes: object) -> bytes:
    return json.dumps({**CARD, **changes}).encode()


def leg_json(leg_id: str, **changes: Any) -> dict[str, Any]:
    """A leg of three minutes to London, as a bridge posts it; 0.086 dollars."""
    return {
        "leg_id": leg_id,
        "conference_id": "3001",
        "kind": "dial_out",
        "from": FR,
        "to": GB,
        "started_at": format_time(START - timedelta(seconds=187)),
        "answered_at": format_time(START - timedelta(seconds=180)),
        "ended_at": format_time(START),
        "account": "contoso",
        **changes,
    }


@dataclass
class FakeMessage:
    """The part of a Service Bus message that the trigger reads."""

    body: bytes
    application_properties: Mapping[str, Any] = field(default_factory=dict)

    def get_body(self) -> bytes:
        return self.body


@dataclass
class Deployment:
    """The tables, queue, topic and clock that processes share."""

    tables: MemoryTables = field(default_factory=MemoryTables)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.queue = MemoryQueue(self.clock)
        self.topic = MemoryTopic()
        self.count = 0

    def process(self) -> "Process":
        self.count += 1
        return Process(self, f"p{self.count}")


class Process(Product):
    """One process of a deployment, with caches of its own."""

    def __init__(self, deployment: Deployment, name: str) -> None:
        super().__init__(
            deployment.tables,
            deployment.clock,
            queue=deployment.queue,
            topic=deployment.topic,
            ids=CountedIds(name),
        )
        self.deployment = deployment

    async def set_up(self, *accounts: str, micros: int = 100 * UNIT, low: int = 20) -> None:
        """A rate card, accounts with credits, and the bridge `local` for all of them."""
        await self.put_card(card_bytes(), START - timedelta(days=400))
        for account in accounts or ("contoso",):
            alerts = (AlertRule("low", below_micros=low * UNIT),)
            await self.container.accounts.put(account, AccountSettings("USD", alerts=alerts), None)
            if micros:
                await self.top_up(account, "opening", micros)
        await self.put_bridge("local", frozenset({ALL_ACCOUNTS}))

    async def put_card(self, body: bytes, effective_from: datetime, card: str = "default") -> None:
        version = parse_rate_card_json(body, card, effective_from)
        rules = PutRules(self.clock.now(), backdate=True)
        await self.container.rate_cards.put(version, rules)

    async def put_bridge(
        self, name: str, accounts: frozenset[str], default: str | None = None, etag: Any = None
    ) -> str:
        wanted = BridgeInput(
            dialect="perminute",
            scheme=AuthScheme.BEARER,
            username=None,
            secrets=("a-secret-of-the-tests-" + "x" * 22,),
            accounts=accounts,
            default_account=default,
            country=None,
            on_outage=OnOutage.DENY,
        )
        view, _ = await self.container.bridges.put(name, wanted, etag)
        return view.etag

    async def register(self, conference: str, account: str, organizer: str = "ken") -> None:
        await self.container.registrations.put(
            Kind.CONFERENCE,
            conference,
            Registration(account, None, organizer=organizer),
            ADMIN,
            since=None,
            if_match=None,
            take_over=True,
        )

    async def top_up(self, account: str, key: str, micros: int) -> None:
        await self.container.credit_account(account, TopUp(key, f"digest {key}", micros))

    async def receive(self, *legs: Mapping[str, Any], bridge: str = "local") -> list[ReceivedLeg]:
        """Legs that an authenticated bridge posts."""
        post = BridgePayload(bridge=bridge, body=json.dumps(legs).encode())
        return await self.container.receive_legs(
            bridge, self.container.parse_post("perminute", post)
        )

    async def work(self, messages: Sequence[Message | FakeMessage]) -> None:
        """Run the queue trigger on a batch."""
        bootstrap.install(self.container)
        batch = [
            each if isinstance(each, FakeMessage) else FakeMessage(each.body, dict(each.properties))
            for each in messages
        ]
        await rate_and_debit(batch)  # type: ignore[arg-type]

    async def drain(self, rounds: int = 50) -> int:
        """Process all due messages; their number."""
        count = 0
        for _ in range(rounds):
            batch = self.queue.take(100)
            if not batch:
                return count
            await self.work(batch)
            count += len(batch)
        raise AssertionError("the queue never ends")

    async def record(self, leg_id: str, account: str = "contoso") -> LegRecord | None:
        return await self.container.ledger.leg(account, f"local~{leg_id}")

    async def balance(self, account: str = "contoso") -> int:
        state = await self.container.ledger.state(account)
        return state.balance_micros if state else 0

    async def parked(self, **where: str) -> list[ParkedLeg]:
        items, _ = await self.container.parking.page(where=where, limit=1_000, cursor=None)
        return items

    async def sound(self, *accounts: str) -> None:
        for account in accounts or ("contoso",):
            assert (await self.container.ledger.verify(account)).problems == ()
