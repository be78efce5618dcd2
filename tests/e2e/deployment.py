"""A running stack, and the few things that most tests need of it."""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.stack import Stack
from tests.e2e.topic import TopicListener
from tests.support.client import Admin, Http, Json, SigningBridge, eventually, unique
from tests.support.traces import Outage

CARD = "e2e"
LONDON, LONDON_MOBILE, PARIS, BERLIN, NEW_YORK = (
    "+442079460123",
    "+447400123456",
    "+33170180042",
    "+493023125001",
    "+12125550123",
)
ROME = "+390669812345"  # no card here has a rate for it
EVENT_SECONDS_MAX = 40.0
NOTICED_SECONDS_MAX = 10.0


def slot(
    price: str, increment_seconds: int = 60, from_second: int = 0, unit_seconds: int = 60
) -> Json:
    """A slot of a rate."""
    return {
        "from_second": from_second,
        "price": price,
        "unit_seconds": unit_seconds,
        "increment_seconds": increment_seconds,
    }


def rate(prefix: str, *slots: Json, fee: str = "0", kind: str = "dial_out") -> Json:
    """A rate of a card."""
    return {
        "kind": kind,
        "prefix": prefix,
        "destination": f"{kind} to +{prefix}",
        "connection_fee": fee,
        "slots": list(slots),
    }


def card(*rates: Json, currency: str = "USD") -> Json:
    """A version of a rate card that rounds to four decimals."""
    return {
        "currency": currency,
        "time_zone": "UTC",
        "rounding": {"mode": "half_up", "decimals": 4},
        "rates": list(rates),
    }


RATES = (
    rate("44", slot("0.012"), fee="0.05"),
    rate("447", slot("0.045", 1), fee="0.05"),
    rate("33", slot("0.03", 30), slot("0.0107", 1, from_second=60), fee="0.02"),
    rate("1", slot("0.0085", 1)),
    rate("49", slot("0")),
    rate("49", slot("0.0042", 1), kind="dial_in"),
)


def london_price(talk_seconds: int) -> Decimal:
    """What a dial-out to London costs by the first of RATES, reckoned here from scratch."""
    minutes = -(-talk_seconds // 60)
    return Decimal("0.05") + minutes * Decimal("0.012")


def half_up(amount: Fraction, decimals: int = 4) -> Decimal:
    """An exact amount rounded as the cards here say."""
    scaled = amount * 10**decimals
    return Decimal(int(scaled + Fraction(1, 2))).scaleb(-decimals)


def z(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def leg(account: str | None = None, **changes: Any) -> Json:
    """A dial-out to London that ended just now after 183 seconds; None leaves a field out."""
    answered = bool(changes.pop("answered", True))
    talk_seconds = int(changes.get("talk_seconds") or 183)
    ended_at = datetime.now(UTC) - timedelta(seconds=5)
    answered_at = ended_at - timedelta(seconds=talk_seconds)
    fields = {
        "leg_id": unique("leg"),
        "kind": "dial_out",
        "from": PARIS,
        "to": LONDON,
        "started_at": z(answered_at - timedelta(seconds=7)),
        "ended_at": z(ended_at),
        "talk_seconds": talk_seconds,
        "account": account,
    } | changes
    if not answered:
        fields["talk_seconds"] = 0
    present = {name: value for name, value in fields.items() if value is not None}
    return {"answered_at": z(answered_at) if answered else None} | present


@dataclass(slots=True)
class Deployment:
    """The stack and who talks to it."""

    stack: Stack
    http: Http
    admin: Admin
    bridge: SigningBridge
    bus: ServiceBusClient
    topic: TopicListener
    outages: list[Outage] = field(default_factory=list)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """What a test takes away meanwhile; and a while more, since who waits for an answer that
        was lost notices only by its own deadline."""
        began_at = datetime.now(UTC)
        try:
            yield
        finally:
            ended_at = datetime.now(UTC) + timedelta(seconds=NOTICED_SECONDS_MAX)
            self.outages.append((began_at, ended_at))

    def account(self, top_up: str | None = "100.00", **settings: Any) -> str:
        """A new account with credits."""
        name = unique("acct")
        wanted = {"currency": "USD", "rate_card": CARD, "usage_location": "FR"} | settings
        self.admin.put(f"accounts/{name}", wanted)
        if top_up is not None:
            self.top_up(name, top_up)
        return name

    def top_up(self, account: str, amount: str) -> None:
        """Credits come in."""
        answer = self.admin.request(
            *("POST", f"accounts/{account}/top-ups", {"amount": amount}),
            idempotency_key=unique("top-up"),
        )
        assert answer.status == 201, answer

    def organizer(self, account: str, **settings: Any) -> str:
        """A new organizer of the account."""
        name = f"{unique('ken')}@example.com"
        self.admin.put(f"accounts/{account}/organizers/{quote(name)}", settings)
        return name

    def new_bridge(self, **settings: Any) -> SigningBridge:
        """A new bridge that signs; its secret comes from the answer."""
        name = unique("bridge")
        made = self.admin.put(f"bridges/{name}", {"dialect": "perminute"} | settings)
        return SigningBridge(self.http, name, made["auth"]["secrets"][0])

    def post(self, *legs: Json, bridge: SigningBridge | None = None) -> None:
        """Legs that must be taken."""
        answer = (bridge or self.bridge).ended(list(legs))
        assert answer.status == 202, answer
        assert [one["status"] for one in answer.json()["legs"]] == ["queued"] * len(legs)

    def leg(self, account: str, leg_id: str, bridge: str = "local", seconds: float = 40) -> Json:
        """The leg with its charge, as soon as it is there."""
        path = f"accounts/{account}/legs/{bridge}~{leg_id}"
        answer = eventually(lambda: self._found(path), seconds)
        assert answer is not None, f"{path} is not there"
        return answer

    def charged(self, account: str, body: Json, bridge: SigningBridge | None = None) -> Json:
        """Post a leg and give its charge."""
        self.post(body, bridge=bridge)
        return self.leg(account, body["leg_id"], (bridge or self.bridge).name)

    def queued(self, body: Json) -> list[bytes]:
        """Post a leg and give the bodies of the messages that carry it, as they are on the queue.

        Their ids are forgotten, so `deliver` gets them past the queue's memory of what it had.
        """
        pid = self.stack.pids["background"]
        os.kill(pid, signal.SIGSTOP)
        try:
            self.post(body)
            with self.bus.get_queue_receiver("call-ended") as receiver:
                found: list[bytes] = []
                first = 1
                while page := receiver.peek_messages(250, sequence_number=first):
                    found += [b"".join(message.body) for message in page]
                    first = (page[-1].sequence_number or 0) + 1
        finally:
            os.kill(pid, signal.SIGCONT)
        return [content for content in found if body["leg_id"].encode() in content]

    def deliver(self, bodies: Sequence[bytes]) -> None:
        """Put messages onto the queue as if they came again, long after the first time."""
        with self.bus.get_queue_sender("call-ended") as sender:
            sender.send_messages(
                [ServiceBusMessage(body, message_id=unique("again")) for body in bodies]
            )

    def entries(self, account: str, query: str = "") -> list[Json]:
        """The account's ledger."""
        return self.admin.items(f"accounts/{account}/entries{query}")

    def debits(self, account: str, count: int, seconds: float = 40) -> list[Json]:
        """The account's debits as soon as there are so many; more are never expected."""
        found = eventually(
            lambda: (
                debits if len(debits := self.entries(account, "?kind=debit")) >= count else None
            ),
            seconds,
        )
        assert found is not None, f"no {count} debits: {len(self.entries(account))} entries"
        assert len(found) == count
        return found

    def balance(self, account: str) -> Decimal:
        """The account's balance."""
        return Decimal(self.admin.get(f"accounts/{account}")["balance"])

    def verified(self, account: str) -> Json:
        """The verification, which must find nothing wrong."""
        found: Json = self.admin.get(f"accounts/{account}/verify")
        assert found["ok"], found
        assert found["problems"] == []
        return found

    def parked(self, leg_id: str, bridge: str = "local", seconds: float = 40) -> Json:
        """The one parked leg with this id, as soon as it is there."""
        found = eventually(lambda: self.all_parked(leg_id, bridge), seconds)
        assert len(found) == 1, found
        return found[0]

    def all_parked(self, leg_id: str, bridge: str = "local") -> list[Json]:
        """All that is parked under a leg's key now."""
        items = self.admin.items("parked-legs")
        return [item for item in items if item["leg"] == f"{bridge}~{leg_id}"]

    def replay(self, parked_id: str, body: object = None) -> Json:
        """Replay a parked leg."""
        answer = self.admin.request("POST", f"parked-legs/{parked_id}/replay", body)
        assert answer.status == 200, answer
        found: Json = answer.json()
        return found

    def events(self, account: str, until: Mapping[str, int]) -> list[Json]:
        """The account's CloudEvents in the order in which they came from the topic, as soon as each
        type of `until` came so often."""

        def matching_events() -> list[Json]:
            own = self.topic.events(account)
            types = [event["type"] for event in own]
            return own if all(types.count(kind) >= count for kind, count in until.items()) else []

        found = eventually(matching_events, EVENT_SECONDS_MAX)
        assert found, f"{until} did not come for {account}: {self.topic.events(account)}"
        return found

    def _found(self, path: str) -> Json | None:
        answer = self.admin.request("GET", path)
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        found: Json = answer.json()
        return found

    @property
    def logs(self) -> list[Path]:
        """What the product's processes printed."""
        return [self.stack.data / "logs" / f"{name}.log" for name in ("http", "background", "bus")]
