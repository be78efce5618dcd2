"""A product with one account, and the events that the account publishes."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.common.canonical import content_digest
from shared.domain.ledger.model import DebitLeg, LedgerState
from tests.support.product import Answer, Product

ACCOUNT = "contoso"
UNIT = 1_000_000
PATH = f"/api/v1/accounts/{ACCOUNT}"
AUTO = {"trigger": "20.00", "amount": "50.00"}


class CreditsApp(Product):
    """A product with one account."""

    legs = 0

    def open(self, *, balance: str | None = "100.00", **settings: object) -> None:
        """The account, with credits."""
        self.account(ACCOUNT, **settings)
        if balance:
            self.top_up(balance)

    def change(self, **settings: object) -> Answer:
        """The settings, again."""
        answer = self.put(PATH, {"currency": "USD", **settings}, self.get(PATH).etag)
        assert answer.status == 200, answer.body
        return answer

    def top_up(self, amount: str, key: str | None = None, **more: object) -> Answer:
        self.legs += 1
        answer = self.post(
            f"{PATH}/top-ups",
            {"amount": amount, **more},
            headers={"idempotency-key": key or f"top-up-{self.legs}"},
        )
        assert answer.status == 201, answer.body
        return answer

    def leg(self, amount: float | str, *, answered_at: datetime | None = None) -> DebitLeg:
        """A leg that cost so much."""
        self.legs += 1
        charge: dict[str, object] = {"status": "charged"}
        return DebitLeg(
            leg=f"local~{self.legs}",
            digest=f"content {self.legs}",
            amount_micros=round(float(amount) * UNIT),
            answered_at=answered_at or self.clock.now(),
            authorization=None,
            charge=charge,
            person={},
            charge_digest=content_digest(charge),
        )

    def spend(self, amount: float | str, *, answered_at: datetime | None = None) -> None:
        """A leg that cost so much, debited and its events published as a batch does."""
        leg = self.leg(amount, answered_at=answered_at)
        self.run(self.container.ledger.submit(ACCOUNT, leg))
        self.run(self.container.publish_events(ACCOUNT))

    def tick(self, **span: float) -> None:
        """One run of the timer after `span`; nothing runs in between."""
        self.clock.moment += timedelta(**span)
        watched = self.run(self.container.watch_balances())
        assert watched.failures == ()

    def tick_until(self, end: datetime, every: timedelta) -> None:
        """The timer, again and again."""
        while self.clock.moment < end:
            self.clock.moment = min(end, self.clock.moment + every)
            self.tick()

    def answer(self, recharge: str, status: str, amount: str = "50.00", **more: object) -> Answer:
        body = {"status": status, "amount": amount, "currency": "USD", "reference": "p-1", **more}
        return self.post(f"/api/v1/recharges/{recharge}/result", body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The CloudEvents that were published, each id once."""
        found = {}
        for message in self.topic.published:
            event = json.loads(message.body)
            assert found.setdefault(event["id"], event) == event
        return list(found.values())

    def types(self, *without: str) -> list[str]:
        return [event["type"] for event in self.events if event["type"] not in without]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def forget(self) -> None:
        """Drop the events published so far."""
        self.topic.published.clear()

    @property
    def state(self) -> LedgerState:
        state: LedgerState | None = self.run(self.container.ledger.state(ACCOUNT))
        assert state is not None
        return state

    @property
    def shown_balance(self) -> str:
        return str(self.get(PATH).json["balance"])

    def verified(self) -> None:
        """The journal alone leads to the state that is stored."""
        found = self.get(f"{PATH}/verify").json
        assert found["problems"] == []

    def items(self, what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"{PATH}/{what}").json["items"]
        return found


def day(year: int, month: int, number: int, hour: int = 0) -> datetime:
    return datetime(year, month, number, hour, tzinfo=UTC)


def recharge_ids(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["data"]["recharge"] for event in events]
