"""Random histories of an account, with everything that its proofs must survive."""

import gzip
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.common.canonical import format_time
from shared.domain.legs.leg import EndedLeg, QueuedLeg
from tests.support.charging_app import CARD, JANUARY, LONDON, TOKYO, ChargingApp
from tests.support.product import ManualClock

BASE = "/api/v1/accounts/contoso"
ZONES = (
    *("UTC", "Europe/Paris", "America/New_York", "America/Santiago", "Asia/Kathmandu"),
    *("Pacific/Kiritimati", "Africa/Casablanca", "Australia/Lord_Howe"),
)
# Days around which clocks move, a leap day, and the end of a year.
STARTS = ("2026-03-27", "2026-10-23", "2028-02-27", "2026-12-29", "2026-09-04", "2026-04-03")
NUMBERS = (LONDON, TOKYO, *(f"+3317000000{digit}" for digit in range(4)))
ORGANIZERS = (None, "ken@contoso.com", "ann@contoso.com", "sub@contoso.com")


class _Running(ManualClock):
    """A clock that never shows a moment twice."""

    def now(self) -> datetime:
        self.moment += timedelta(microseconds=1)
        return self.moment


class History(ChargingApp):
    """A history that a seed decides."""

    def __init__(self, seed: int, steps: int = 25) -> None:
        self.rng = random.Random(seed)
        start = datetime.fromisoformat(self.rng.choice(STARTS)).replace(tzinfo=UTC)
        super().__init__(clock=_Running(start + timedelta(hours=self.rng.randrange(24))))
        self.legs: list[str] = []
        self.keys = 0
        self.steps = steps

    def play(self, *, is_closed: bool = True) -> None:
        """The history, and the nightly job at its end unless the last days stay open."""
        self.put(f"{CARD}/{JANUARY}", self._card("half_even"))
        self.put("/api/v1/bridges/pbx", {"dialect": "perminute", "accounts": ["*"]})
        self._settings()
        self.put(f"{BASE}/organizers/sub%40contoso.com", {"license": "subscription"})
        self._top_up()
        kinds = (
            *(self._legs,) * 6,
            *(self._top_up, self._adjust, self._reverse, self._rerate, self._erase),
            *(self._night, self._settings, self._tick),
        )
        for _ in range(self.steps):
            self.rng.choice(kinds)()
            self.clock.advance(seconds=self.rng.choice((0, 60, 3_600, 20_000, 90_000, 200_000)))
        self.clock.advance(days=self.rng.choice((0, 2, 40)))
        if is_closed:
            self._night()

    def _card(self, mode: str) -> dict[str, Any]:
        rng = self.rng

        def slot(begin: int) -> dict[str, Any]:
            price = f"0.{rng.randrange(1, 10**6):06}".rstrip("0")
            sizes = {
                "unit_seconds": rng.choice((1, 7, 60)),
                "increment_seconds": rng.choice((1, 6, 60)),
            }
            return {"from_second": begin, "price": price, **sizes}

        def rate(prefix: str, **more: Any) -> dict[str, Any]:
            facts = {"kind": "dial_out", "prefix": prefix, "destination": f"to {prefix}"}
            return {**facts, "slots": [slot(0), slot(90)], **more}

        night = {"weight": 3, "from": "21:30", "until": "06:15", "slots": [slot(0)]}
        sunday = {"weight": 9, "weekdays": [7], "slots": [slot(0)], "connection_fee": "0.02"}
        return {
            "currency": "EUR",
            "time_zone": rng.choice(ZONES),
            "rounding": {"mode": mode, "decimals": rng.choice((2, 4, 6))},
            "rates": [
                rate("44", connection_fee="0.05", minimum_charge="0.1"),
                rate("33", bands=[night, sunday]),
                rate("33", origin="GB"),
                rate("81", grace_seconds=5, maximum_charge="0.9"),
            ],
        }

    def _settings(self) -> None:
        body = {
            "currency": "EUR",
            "time_zone": self.rng.choice(ZONES),
            "usage_location": "FR",
            "subscription_licenses": self.rng.choice((0, 1)),
        }
        present = self.get(BASE)
        answer = self.put(BASE, body, present.etag if present.status == 200 else None)
        assert answer.status < 300, answer.body

    def _credit(self, route: str, body: dict[str, Any]) -> None:
        self.keys += 1
        key = {"idempotency-key": f"k{self.keys}"}
        answer = self.post(f"{BASE}/{route}", body, headers=key)
        assert answer.status in {201, 409}, answer.body

    def _top_up(self) -> None:
        body = {"amount": self.rng.choice(("1.00", "25.50", "0.000001")), "reference": "invoice é"}
        if self.rng.random() < 0.5:
            expires = self.clock.now() + timedelta(hours=self.rng.choice((1, 30)))
            body["expires_at"] = format_time(expires)
        self._credit("top-ups", body)

    def _adjust(self) -> None:
        amount = self.rng.choice(("-0.5", "3.00", "-40.00"))
        self._credit("adjustments", {"amount": amount, "reason": "a fee", "allow_overdraft": True})

    def _legs(self) -> None:
        legs = [self._leg() for _ in range(self.rng.choice((1, 1, 2, 5)))]
        queued = [QueuedLeg(leg, self.clock.now()) for leg in legs]
        self.run(self.container.charge_legs(queued, seconds=10))
        self.legs += [leg.key for leg in legs]

    def _leg(self) -> EndedLeg:
        rng = self.rng
        talk = rng.choice((0, 4, 59, 61, 600, 5_000, 40_000))
        ago = timedelta(seconds=talk + rng.choice((0, 5, 90_000)), microseconds=rng.choice((0, 7)))
        answered = rng.random() > 0.1
        return self.ended(
            to=rng.choice(NUMBERS),
            answered_at=self.clock.now() - ago if answered else None,
            talk_seconds=talk if answered else 0,
            organizer=rng.choice(ORGANIZERS),
            from_number=rng.choice((None, "+442079460001", "+33170000009")),
        )

    def _reverse(self) -> None:
        if self.legs:
            leg = self.rng.choice(self.legs)
            self.post(f"{BASE}/legs/{leg}/reversal", {"reason": "a bad line"})

    def _rerate(self) -> None:
        when = f"2026-0{self.rng.randrange(2, 9)}-01T00:00:00Z"
        mode = self.rng.choice(("half_up", "down", "none", "up"))
        self.put(f"{CARD}/{when}?backdate=true", self._card(mode))
        body = {
            "accounts": ["contoso"],
            "from": JANUARY,
            "reason": "a wrong card",
            "dry_run": False,
        }
        answer = self.post("/api/v1/reratings", body)
        assert answer.status < 300, answer.body

    def _erase(self) -> None:
        person = self.rng.choice(({"number": NUMBERS[2]}, {"organizer": "ken@contoso.com"}))
        assert self.post(f"{BASE}/erasures", person).status == 200

    def _tick(self) -> None:
        self.run(self.container.watch_balances())

    def _night(self) -> None:
        self._tick()
        answer = self.post("/api/v1/operations/nightly-audit", None)
        assert answer.json["problems"] == [], answer.json

    def proof_keys(self) -> dict[str, Any]:
        return dict(self.get("/api/v1/proof-keys").json)

    def receipts(self, count: int = 6) -> list[dict[str, Any]]:
        """Those of some legs and entries."""
        last = self.get(f"{BASE}/balance").json["entry"]
        legs = self.rng.sample(self.legs, min(count, len(self.legs)))
        paths = [f"legs/{leg}/receipt" for leg in legs]
        paths += [f"entries/{self.rng.randrange(1, last + 1)}/receipt" for _ in range(count)]
        found: list[dict[str, Any]] = []
        for path in paths:
            for query in ("", "?interim=true&persons=false"):
                answer = self.get(f"{BASE}/{path}{query}")
                if answer.status == 200:
                    found.append(answer.json)
                else:
                    assert answer.code in {"day_open", "leg_unknown"}, answer.body
        return found

    def months(self) -> list[list[bytes]]:
        """The lines of the file of each month."""
        first = self.get(f"{BASE}/entries?limit=1").json["items"][0]["at"]
        month = datetime.fromisoformat(first) - timedelta(days=1)
        found: list[list[bytes]] = []
        while month <= self.clock.now():
            name = f"{month:%Y-%m}"
            for query in ("?persons=true", "?interim=true"):
                answer = self.get(f"{BASE}/exports/{name}{query}")
                if answer.status == 200:
                    found.append(gzip.decompress(answer.body).splitlines(keepends=True))
                else:
                    assert answer.code in {"day_open", "proof_unknown"}, answer.body
            month = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
        return found
