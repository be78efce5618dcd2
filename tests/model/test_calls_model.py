"""Open calls, their burn, and the cost of a conference agree with a model on random histories."""

import random
from fractions import Fraction
from typing import Any

import pytest

from tests.model.calls_model import Call, Now
from tests.support.calls import LONDON, NEW_YORK, PARIS, Calls
from tests.support.product import Product

BASE = "/api/v1/accounts/contoso"
NUMBERS = {LONDON: "44", PARIS: "33", NEW_YORK: "1"}
CONFERENCES = ("3001", "3002")
SEEDS_BASE, SEEDS_EXTENDED = range(2), range(2, 20)


class History:
    """A product in which calls begin, are answered, extended, released, and end."""

    def __init__(self, seed: int, app: Product) -> None:
        self.random = random.Random(seed)
        self.app = app
        top_up = self.random.choice(("1.00", "5.00", "40.00"))
        licenses = self.random.choice((0, 1))
        self.api = Calls(app, top_up, subscription_licenses=licenses)
        self.api.organizer("sub", license="subscription")
        self.rounding = {"mode": self.random.choice(("half_up", "up", "down")), "decimals": 4}
        self.rates = {prefix: self.rate(prefix) for prefix in NUMBERS.values()}
        version = {"currency": "USD", "time_zone": "UTC", "rounding": self.rounding}
        version |= {"rates": list(self.rates.values())}
        self.api.put("rate-cards/random/versions/2020-01-01T00:00:00Z", version)
        assert app.call("PATCH", BASE, {"rate_card": "random"}).status == 200
        self.calls: dict[str, Call] = {}
        self.ended: dict[str, list[str]] = {name: [] for name in CONFERENCES}

    def rate(self, prefix: str) -> dict[str, Any]:
        def slot(begin: int) -> dict[str, Any]:
            return {
                "from_second": begin,
                "price": self.random.choice(("0.30", "0.06", "1.2", "0")),
                "unit_seconds": self.random.choice((60, 30, 1)),
                "increment_seconds": self.random.choice((1, 6, 30, 60)),
            }

        begins = (0, 60) if self.random.random() < 0.4 else (0,)
        fee = self.random.choice(("0", "0.05"))
        facts = {"kind": "dial_out", "prefix": prefix, "destination": prefix}
        more = {"minimum_charge": "0.20"} if self.random.random() < 0.2 else {}
        return {**facts, "connection_fee": fee, "slots": [slot(each) for each in begins], **more}

    def begin(self) -> None:
        to = self.random.choice(list(NUMBERS))
        conference = self.random.choice(CONFERENCES)
        answer = self.api.authorise(
            to,
            organizer_id=self.random.choice(("ken", "sub")),
            conference_id=conference,
            requested_seconds=self.random.choice((30, 61, 240, 900)),
        )
        if answer["decision"] == "allow":
            name = answer["authorization"]
            self.calls[name] = Call(
                name,
                self.rates[NUMBERS[to]],
                self.app.clock.now(),
                answer["granted_seconds"],
                answer.get("pool_seconds", 0),
                conference,
            )
            assert Fraction(answer["price_per_minute"]) == self.calls[name].price

    def one(self) -> Call | None:
        return self.random.choice(list(self.calls.values())) if self.calls else None

    def answer(self) -> None:
        call = self.one()
        if call is not None and call.answered_at is None:
            answer = self.api.send(f"dial-outs/{call.authorization}/answered", {})
            assert answer.status == 200, answer.body
            call.answered_at = self.app.clock.now()

    def extend(self) -> None:
        if (call := self.one()) is not None:
            wanted = call.granted_seconds + self.random.choice((10, 300))
            answer = self.api.extend(call.authorization, wanted)
            assert answer.status == 200, answer.body
            call.granted_seconds = answer.json["granted_seconds"]
            call.pool_seconds = answer.json.get("pool_seconds", 0)

    def release(self) -> None:
        if (call := self.one()) is not None:
            self.api.release(call.authorization)
            del self.calls[call.authorization]

    def end(self) -> None:
        call = self.one()
        if call is None or call.elapsed(self.app.clock.now()) < 1:
            return
        to = next(number for number, prefix in NUMBERS.items() if prefix == call.rate["prefix"])
        queued = self.api.ended(
            call.authorization,
            talk_seconds=call.elapsed(self.app.clock.now()),
            to_number=to,
            conference_id=call.conference,
        )
        outcome = self.app.run(self.app.container.charge_legs.charge(queued))
        assert outcome.status == "charged", outcome
        self.ended[call.conference].append(queued.leg.key)
        del self.calls[call.authorization]

    def step(self) -> None:
        steps = (self.begin, self.answer, self.extend, self.release, self.end)
        self.random.choices(steps, weights=(8, 4, 2, 1, 3))[0]()
        self.compare()
        self.app.clock.advance(self.random.choice((0, 1, 7, 59, 60, 180, 700)))
        now = self.app.clock.now()
        self.calls = {name: call for name, call in self.calls.items() if call.is_open(now)}

    def model(self) -> Now:
        account, now = self.api.account(), self.app.clock.now()
        pool = account.get("pool", {"seconds_per_month": 0, "months": []})
        used = sum(month["used_seconds"] for month in pool["months"])
        shares = sum(call.pool_seconds for call in self.calls.values())
        return Now(
            list(self.calls.values()),
            Fraction(account["balance"]),
            max(0, pool["seconds_per_month"] - used - shares),
            now,
            self.rounding,
        )

    def compare(self) -> None:
        model = self.model()
        body = self.app.get(f"{BASE}/calls").json
        found = {each["authorization"]: Fraction(each["amount_so_far"]) for each in body["items"]}
        assert found == {
            each.authorization: each.amount(model.now, self.rounding) for each in model.calls
        }
        prices = [Fraction(each["price_per_minute"]) for each in body["items"]]
        assert prices == sorted((each.price for each in model.calls), reverse=True)
        assert Fraction(body["available"]) == model.available
        assert Fraction(body["burn_per_minute"]) == model.burn(model.calls)
        assert body["seconds_left"] == model.seconds_left()
        conference = self.random.choice(CONFERENCES)
        self.compare_conference(conference, model)

    def compare_conference(self, conference: str, model: Now) -> None:
        opened = [call for call in model.calls if call.conference == conference]
        charged = [
            Fraction(self.app.get(f"{BASE}/legs/{leg}").json["amount"])
            for leg in self.ended[conference]
        ]
        answer = self.app.get(f"{BASE}/conferences/{conference}/cost?month=2026-11")
        if not opened and not charged:
            assert answer.code == "conference_unknown"
            return
        body = answer.json
        so_far = sum((each.amount(model.now, self.rounding) for each in opened), Fraction(0))
        assert {each["authorization"] for each in body["open"]} == {
            each.authorization for each in opened
        }
        assert body["ended"]["legs"] == len(charged)
        assert Fraction(body["ended"]["amount"]) == sum(charged, Fraction(0))
        assert Fraction(body["amount_so_far"]) == so_far + sum(charged, Fraction(0))
        assert Fraction(body["burn_per_minute"]) == model.burn(opened)
        assert body["seconds_left"] == model.seconds_left()


def check(seed: int) -> None:
    with Product() as app:
        history = History(seed, app)
        for _ in range(30):
            history.step()


@pytest.mark.parametrize("seed", SEEDS_BASE)
def test_live_amounts_agree_with_the_model(seed: int) -> None:
    check(seed)


@pytest.mark.extended
@pytest.mark.timeout(600)
def test_live_amounts_of_many_histories_agree_with_the_model() -> None:
    for seed in SEEDS_EXTENDED:
        check(seed)
