"""A product with a rate card, an account and a bridge, which sends signed requests."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from shared.domain.common.kinds import LegKind
from shared.domain.legs.leg import EndedLeg, QueuedLeg
from tests.support.product import Answer, Product

CARD = "card"
LONDON, PARIS, NEW_YORK, ROME = "+442079460123", "+33170180042", "+12125550123", "+390669812345"
TOLL, TOLL_FREE = "+4969123456", "+18005550199"
SECRET = "a-secret-of-the-bridge-for-the-tests"


def rate(prefix: str, price: str, fee: str = "0", kind: str = "dial_out", **more: Any) -> Any:
    """A price per started minute."""
    slot = {"from_second": 0, "price": price, "unit_seconds": 60, "increment_seconds": 60}
    return {
        "kind": kind,
        "prefix": prefix,
        "destination": prefix,
        "connection_fee": fee,
        "slots": [slot],
        **more,
    }


RATES = [
    rate("44", "0.01", "0.05"),
    rate("33", "0.02"),
    rate("1", "0.10"),
    rate("49", "0.005", kind="dial_in"),
    rate("1", "0.03", kind="dial_in"),
]


class Calls:
    """An account with credits, an organizer and a bridge."""

    def __init__(self, app: Product, top_up: str = "10.00", **settings: Any) -> None:
        self.app = app
        self.keys = 0
        self.topic = app.topic
        version = {"currency": "USD", "time_zone": "UTC", "rates": RATES}
        version["rounding"] = {"mode": "half_up", "decimals": 4}
        self.put(f"rate-cards/{CARD}/versions/2020-01-01T00:00:00Z", version)
        app.account("contoso", rate_card=CARD, usage_location="FR", **settings)
        if top_up:
            self.top_up(top_up)
        self.organizer("ken")
        auth = {"scheme": "basic", "username": "pbx", "secrets": [SECRET]}
        self.bridge(auth=auth)

    def put(self, path: str, body: Any, etag: str | None = None) -> Any:
        answer = self.app.put(f"/api/v1/{path}", body, etag)
        assert answer.status in {200, 201}, answer.body
        return answer.json

    def bridge(self, **settings: Any) -> None:
        body = {"dialect": "perminute", "accounts": ["*"], "country": "US"} | settings
        self.put("bridges/pbx", body)

    def organizer(self, name: str, **settings: Any) -> None:
        self.put(f"accounts/contoso/organizers/{quote(name)}", settings)

    def policy(self, etag: str | None = None, **settings: Any) -> Any:
        return self.put("accounts/contoso/dial-out-policy", settings, etag)

    def top_up(self, amount: str) -> None:
        self.keys += 1
        headers = {"idempotency-key": f"top-up-{self.keys}"}
        answer = self.app.post(
            "/api/v1/accounts/contoso/top-ups", {"amount": amount}, headers=headers
        )
        assert answer.status == 201, answer.body

    def send(self, path: str, body: Any, key: str | None = None) -> Answer:
        """What the bridge posts."""
        self.keys += 1
        login = base64.b64encode(f"pbx:{SECRET}".encode()).decode()
        headers = {
            "authorization": f"Basic {login}",
            "idempotency-key": key or f"ask-{self.keys}",
        }
        return self.app.post(f"/api/v1/bridges/pbx/{path}", body, key=None, headers=headers)

    def authorise(self, to: str = LONDON, *, key: str | None = None, **more: Any) -> Any:
        """The answer to a dial-out question."""
        question = {"to": to, "account": "contoso", "organizer_id": "ken"} | more
        answer = self.send("dial-outs", question, key)
        assert answer.status == 200, answer.body
        return answer.json

    def come_in(self, to: str = TOLL, *, key: str | None = None, **more: Any) -> Any:
        """The answer to a dial-in question."""
        question = {"to": to, "account": "contoso", "organizer_id": "ken"} | more
        answer = self.send("dial-ins", question, key)
        assert answer.status == 200, answer.body
        return answer.json

    def extend(self, authorization: str, seconds: int) -> Answer:
        return self.send(f"dial-outs/{authorization}/extend", {"seconds": seconds})

    def release(self, authorization: str) -> Answer:
        return self.send(f"dial-outs/{authorization}/release", {})

    def account(self) -> Any:
        return self.app.get("/api/v1/accounts/contoso").json

    def dial_out_state(self) -> Any:
        return self.app.get("/api/v1/accounts/contoso/dial-out-policy/state").json

    def control(self, what: str, body: Any = None) -> Answer:
        return self.app.post(f"/api/v1/accounts/contoso/dial-out-policy/{what}", body or {})

    def ended(self, authorization: str | None = None, **changes: Any) -> QueuedLeg:
        """A leg that ended just now."""
        self.keys += 1
        now = self.app.clock.now()
        talk_seconds = changes.pop("talk_seconds", 183)
        wanted = EndedLeg(
            bridge="pbx",
            leg_id=f"leg-{self.keys}",
            conference_id=None,
            kind=LegKind.DIAL_OUT,
            from_number=PARIS,
            to_number=LONDON,
            started_at=now - timedelta(seconds=talk_seconds + 7),
            answered_at=now - timedelta(seconds=talk_seconds),
            ended_at=now,
            talk_seconds=talk_seconds,
            account="contoso",
            organizer="ken",
            authorization=authorization,
        )
        return QueuedLeg(replace(wanted, **changes), now)

    def charged(self, authorization: str | None = None, **changes: Any) -> Any:
        """A leg that ended just now and its charge."""
        queued = self.ended(authorization, **changes)
        outcome = self.app.run(self.app.container.charge_legs.charge(queued))
        assert outcome.status == "charged", outcome
        leg = self.app.get(f"/api/v1/accounts/contoso/legs/{queued.leg.key}")
        assert leg.status == 200, leg.body
        return leg.json
