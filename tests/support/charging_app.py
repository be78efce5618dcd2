"""A product whose legs end, are charged, and are parked."""

from datetime import datetime, timedelta
from typing import Any

from shared.domain.common.kinds import LegKind
from shared.domain.legs.leg import EndedLeg, QueuedLeg
from shared.usecases.charging.charge_legs import Charged
from tests.support.product import START, Answer, Product

CARD = "/api/v1/rate-cards/default/versions"
JANUARY, MAY = "2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z"
LONDON, PARIS, TOKYO = "+442079460000", "+33170000000", "+81312345678"


def rate(prefix: str, price: str, destination: str, **more: Any) -> dict[str, Any]:
    slot = {"from_second": 0, "price": price, "unit_seconds": 60, "increment_seconds": 60}
    facts = {"kind": "dial_out", "prefix": prefix, "destination": destination, "slots": [slot]}
    return {**facts, **more}


def card(*rates: dict[str, Any], currency: str = "USD") -> dict[str, Any]:
    rounding = {"mode": "half_up", "decimals": 4}
    return {"currency": currency, "rounding": rounding, "rates": list(rates)}


BRITAIN, FRANCE = rate("44", "0.10", "United Kingdom"), rate("33", "0.20", "France")
CHEAPER = card(rate("44", "0.05", "Britain"), FRANCE)


class ChargingApp(Product):
    """A product with a rate card, a bridge and accounts; its legs cost money."""

    count = 0

    def settle(self, *accounts: str) -> None:
        """A card, a bridge, and accounts with ten dollars."""
        self.put(f"{CARD}/{JANUARY}", card(BRITAIN, FRANCE))
        self.put("/api/v1/bridges/pbx", {"dialect": "perminute", "accounts": ["*"]})
        for account in accounts or ("contoso",):
            self.account(account)
            self.post(
                f"/api/v1/accounts/{account}/top-ups",
                {"amount": "10.00"},
                headers={"idempotency-key": f"first-of-{account}"},
            )

    def ended(self, account: str | None = "contoso", to: str = LONDON, **changes: Any) -> EndedLeg:
        """A leg of a minute to London that begins now."""
        self.count += 1
        answered_at: datetime | None = changes.pop("answered_at", self.clock.now())
        talk_seconds = changes.pop("talk_seconds", 60)
        facts: dict[str, Any] = {
            "bridge": "pbx",
            "leg_id": f"leg-{self.count}",
            "conference_id": None,
            "kind": LegKind.DIAL_OUT,
            "from_number": PARIS,
            "to_number": to,
            "started_at": answered_at or START,
            "answered_at": answered_at,
            "ended_at": (answered_at or START) + timedelta(seconds=talk_seconds),
            "account": account,
        }
        return EndedLeg(**{**facts, **changes})

    def leg(self, account: str = "contoso", to: str = LONDON, **changes: Any) -> str:
        """A leg that is charged; its key as it is shown."""
        leg = self.ended(account, to, **changes)
        outcome = self.run(self.container.charge_legs.charge(QueuedLeg(leg, self.clock.now())))
        assert isinstance(outcome, Charged), outcome
        return leg.key

    def parked(self, leg: EndedLeg) -> dict[str, Any]:
        """A leg that comes from the queue and can't be charged."""
        queued = QueuedLeg(leg, self.clock.now())
        (outcome,) = self.run(self.container.charge_legs([queued], seconds=10))
        assert outcome.parked is not None, outcome
        return self.parked_now(outcome.parked.id)

    def parked_now(self, parked_id: str) -> dict[str, Any]:
        items = self.get("/api/v1/parked-legs?limit=1000").json["items"]
        return next(item for item in items if item["id"] == parked_id)

    def shown(self, leg: str, account: str = "contoso") -> dict[str, Any]:
        answer = self.get(f"/api/v1/accounts/{account}/legs/{leg}")
        assert answer.status == 200, answer.body
        return dict(answer.json)

    def balance(self, account: str = "contoso") -> str:
        return str(self.get(f"/api/v1/accounts/{account}").json["balance"])

    def cheaper(self, when: str = MAY) -> Answer:
        """A backdated version by which Britain costs half."""
        return self.put(f"{CARD}/{when}?backdate=true", CHEAPER)

    def sound(self, account: str = "contoso") -> bool:
        return bool(self.get(f"/api/v1/accounts/{account}/verify").json["ok"])
