"""The auditor against a toy product: no false alarm in many random histories, and every planted bug
is found. Requests overlap, answers get lost, callers try again; legs come twice and with other
content; lots expire under holds.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from tests.model.auditor import audit
from tests.model.hold_model import HoldModel
from tests.model.ledger_model import LedgerModel
from tests.model.rating_model import cost

type Json = dict[str, Any]

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ACCOUNT, ORGANIZER, NUMBER = "contoso", "ken@contoso.example", "+442079460000"
RATE = {
    "kind": "dial_out",
    "prefix": "44",
    "connection_fee": "0.05",
    "slots": [
        {"from_second": 0, "price": "0.5", "unit_seconds": 60, "increment_seconds": 60},
        {"from_second": 120, "price": "0.31", "unit_seconds": 60, "increment_seconds": 7},
    ],
}
VERSION = {"rounding": {"mode": "half_up", "decimals": 4}, "rates": [RATE]}
SETTINGS = {
    "credit_limit": "3",
    "alerts": [{"name": "low", "below": "20"}, {"name": "fifth", "below_percent": 20}],
}
SEEDS = range(40)


def text(amount: Fraction) -> str:
    """A decimal of the wire."""
    scaled = amount * 1_000_000
    assert scaled.denominator == 1
    return f"{'-' if scaled < 0 else ''}{abs(int(scaled)) // 10**6}.{abs(int(scaled)) % 10**6:06}"


def instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class Toy:
    """A product in one process, made of the models; `bug` names what it does wrong."""

    def __init__(self, seed: int, bug: str = "") -> None:
        self.chance, self.bug = random.Random(seed), bug
        self.now = T0
        self.ledger, self.holds = LedgerModel(), HoldModel()
        self.history: list[Json] = []
        self.legs: dict[str, Json] = {}
        self.parked: dict[str, Json] = {}
        self.stored: dict[str, Json] = {}
        self.sent: list[Json] = []
        self.authorizations: list[str] = []
        self.settled: dict[str, str] = {}
        self._record("put_rate_card", {"card": "default", "effective_from": instant(JANUARY),
                                     "version": VERSION}, None)  # fmt: skip
        self._record("put_account", SETTINGS, {})
        self.ledger.configure(SETTINGS)
        self.now += timedelta(minutes=1)

    # ---- the network: callers do not always get their answer

    def _record(self, op: str, request: Json, result: Json | None, outcome: str = "ok") -> None:
        self.history.append({
            "op": op, "account": "" if op == "call_ended" else ACCOUNT, "request": request,
            "outcome": outcome, "result": result if outcome == "ok" else None,
            "began": instant(self.now - timedelta(seconds=self.chance.randrange(3))),
            "at": instant(self.now + timedelta(seconds=self.chance.randrange(3))),
        })  # fmt: skip

    def call(self, op: str, request: Json, handler: Callable[[Json], Json | None]) -> None:
        """Send a request once or more often, until there is an answer or patience ends."""
        for _ in range(3):
            fate = self.chance.random()
            if fate < 0.1:  # the request was lost
                self._record(op, request, None, "info")
                continue
            result = handler(request)
            if result is None:
                self._record(op, request, None, "fail")
                return
            self._record(op, request, result, "info" if fate < 0.2 else "ok")
            if fate > 0.3:
                return

    # ---- the product

    def _entry(self, answer: Json) -> Json | None:
        if answer["outcome"] not in {"ok", "first"}:
            return None
        entry = answer["entry"]
        return {"entry": wire_entry(entry), "balance": text(entry["balance"])}

    def top_up(self, request: Json) -> Json | None:
        key = request["key"] + (str(len(self.ledger.entries)) if self.bug == "no key" else "")
        body = request["body"]
        if self.bug == "a micro too much":
            body = body | {"amount": text(Fraction(body["amount"]) + Fraction(1, 10**6))}
        if request.get("adjust"):
            return self._entry(self.ledger.adjust(key, body, self.now))
        return self._entry(self.ledger.top_up(key, body, self.now))

    def reverse(self, request: Json) -> Json | None:
        if self.bug == "double reversal":
            self.ledger.reversals.clear()
        return self._entry(self.ledger.reverse(request["leg"], self.now))

    def dial_out(self, request: Json) -> Json:
        if request["key"] in self.stored and self.bug != "dial again":
            return self.stored[request["key"]]
        seconds = request["body"]["requested_seconds"]
        price = cost(RATE, seconds, VERSION["rounding"])
        assert price is not None
        balance = self.ledger.balance + (5 if self.bug == "stale balance" else 0)
        name = f"au_{len(self.holds.holds) + 1}"
        if self.bug == "no holds":
            allowed = HoldModel().authorise(name, self.now, seconds, price["amount"], balance)
            self.holds.authorise(name, self.now, seconds, price["amount"], Fraction(10**9))
        else:
            allowed = self.holds.authorise(
                name, self.now, seconds, price["amount"], balance, self.ledger.credit_limit
            )
        if allowed["decision"] == "allow":
            self.authorizations.append(name)
            allowed |= {"held": text(allowed["held"]), "expires_at": instant(allowed["expires_at"])}
        self.stored[request["key"]] = allowed
        return allowed

    def extend(self, request: Json) -> Json | None:
        hold = self.holds.find(request["authorization"])
        assert hold is not None
        seconds = request["seconds"]
        if self.bug == "+= extend":
            seconds += hold.granted_seconds
        price = cost(RATE, seconds, VERSION["rounding"])
        assert price is not None
        unpaid = Fraction(10**9) if self.bug == "extend unpaid" else self.ledger.balance
        answer = self.holds.extend(
            hold.authorization, self.now, seconds, price["amount"], unpaid, self.ledger.credit_limit
        )
        if answer["decision"] != "allow":
            return answer
        return answer | {
            "held": text(answer["held"]),
            "expires_at": instant(answer["expires_at"]),
        }

    def release(self, request: Json) -> Json:
        if self.bug != "release ignored":
            self.holds.release(request["authorization"], self.now)
        return {}

    def call_ended(self, request: Json) -> Json:
        leg = request["leg"]
        key, content = f"local~{leg['leg_id']}", (leg["talk_seconds"], leg.get("authorization"))
        answered_at = datetime.fromisoformat(leg["answered_at"])
        if self.bug == "lost leg" and self.chance.random() < 0.2:
            return {"status": "queued"}
        price = cost(RATE, leg["talk_seconds"], VERSION["rounding"])
        assert price is not None
        amount = price["amount"] + (Fraction(1, 100) if self.bug == "wrong price" else 0)
        settled_by = self.settled.setdefault(leg.get("authorization") or key, key)
        if settled_by != key and self.bug != "charged twin":
            self.parked[f"{key}{content}"] = {"id": f"{key}{content}", "leg": key}
            return {"status": "queued"}
        if self.bug == "no guard" and self.ledger.legs.pop(key, None):
            content = ("again", key)
        lots = self.ledger.lots
        if self.bug == "last in, first out":
            lots.reverse()
        answer = self.ledger.charge(key, content, amount, answered_at, self.now)
        if self.bug == "last in, first out":
            lots.reverse()
        if answer["outcome"] == "conflict" and self.bug != "conflict lost":
            self.parked[f"{key}{content}"] = {"id": f"{key}{content}", "leg": key}
        if answer["outcome"] == "ok":
            flags = self.holds.settle(
                key.removeprefix("local~"), leg.get("authorization"), leg["talk_seconds"], self.now
            )
            self.legs[key] = self._body(key, leg, answer, price, flags)
        return {"status": "queued"}

    def _body(self, key: str, leg: Json, answer: Json, price: Json, flags: list[str]) -> Json:
        return leg | {
            "leg": key, "status": "charged", "organizer": ORGANIZER, "account": ACCOUNT,
            "amount": text(answer["amount"]), "billed_seconds": price["billed_seconds"],
            "rate": {"card": "default", "version": instant(JANUARY), "prefix": "44"},
            "rounding": VERSION["rounding"] | {"unrounded": str(price["unrounded"])},
            "funded_by": [{"lot": part["lot"], "amount": text(part["amount"])}
                          for part in answer["funded_by"]],
            "balance_before": text(answer["balance_before"]),
            "balance_after": text(answer["balance_after"]),
            "entry": answer["entry"]["sequence"],
            "flags": [] if self.bug == "no flags" else flags,
        }  # fmt: skip

    def expire(self) -> None:
        for lot in self.ledger.lots:
            before = lot.expires_at or self.now
            held = sum(
                (hold.amount for hold in self.holds.holds
                 if hold.is_open(self.now) and hold.placed_at < before),
                Fraction(0),
            )  # fmt: skip
            self.ledger.expire(lot.id, self.now, Fraction(0) if self.bug == "takes held" else held)

    # ---- what happens

    def step(self, number: int) -> None:
        chance = self.chance
        self.now += timedelta(seconds=chance.choice([0, 0, 1, 2, 5, 60, 600, 3000]))
        if chance.random() < 0.03:
            self.now += timedelta(days=chance.choice([1, 100]))
        what = chance.randrange(14)
        if what < 2:
            body: Json = {"amount": f"{chance.randrange(1, 40)}.50"}
            if chance.random() < 0.5:
                until = self.now + timedelta(seconds=chance.randrange(1, 9000))
                body |= {"kind": "granted", "expires_at": instant(until)}
            self.call("top_up", {"key": f"t{number}", "body": body}, self.top_up)
        elif what == 2:
            body = {"amount": f"{chance.choice(['', '-'])}{chance.randrange(1, 9)}.00"}
            request = {"key": f"a{number}", "body": body}
            self.call("adjust", request, lambda one: self.top_up(one | {"adjust": True}))
        elif what == 3 and self.legs:
            leg = chance.choice(sorted(self.legs))
            self.call("reverse", {"leg": leg, "body": {"reason": "test"}}, self.reverse)
        elif what == 4 and self.authorizations:
            latest = chance.choice(self.authorizations[-3:])
            request = {"bridge": "local", "authorization": latest}
            self.call("release", request, self.release)
        elif what == 5 and self.authorizations:
            request = {"bridge": "local", "authorization": self.authorizations[-1],
                       "seconds": chance.randrange(60, 2000)}  # fmt: skip
            self.call("extend", request, self.extend)
        elif what < 9:
            body = {"to": NUMBER, "requested_seconds": chance.randrange(30, 900)}
            request = {"bridge": "local", "key": f"d{number}", "body": body}
            self.call("dial_out", request, self.dial_out)
        else:
            self.call("call_ended", {"bridge": "local", "leg": self._a_leg(number)},
                      self.call_ended)  # fmt: skip
        self.expire()

    def _a_leg(self, number: int) -> Json:
        if self.sent and self.chance.random() < 0.3:
            again = dict(self.chance.choice(self.sent))
            if self.chance.random() < 0.3:
                again["talk_seconds"] += 1
            return again
        talk_seconds = self.chance.randrange(1, 1500)
        answered_at = self.now - timedelta(seconds=talk_seconds)
        leg = {
            "leg_id": f"leg-{number}", "kind": "dial_out", "to": NUMBER, "account": ACCOUNT,
            "answered_at": instant(answered_at), "ended_at": instant(self.now),
            "talk_seconds": talk_seconds,
        }  # fmt: skip
        if self.authorizations and self.chance.random() < 0.7:
            leg["authorization"] = self.chance.choice(self.authorizations[-3:])
        self.sent.append(leg)
        return leg

    def run(self, steps: int) -> list[str]:
        """Do that many things and audit them."""
        for number in range(steps):
            self.step(number)
        for last in ("release", "keep"):  # the end sees a hold that was given back and one kept
            body = {"to": NUMBER, "requested_seconds": 60}
            self.call("dial_out", {"bridge": "local", "key": last, "body": body}, self.dial_out)
            if last == "release" and self.authorizations:
                request = {"bridge": "local", "authorization": self.authorizations[-1]}
                self.call("release", request, self.release)
        self.now += timedelta(seconds=5)
        held = self.holds.held(self.now)
        model = self.ledger
        if self.bug == "held forgotten":
            held = Fraction(0)
        final = {
            "at": instant(self.now),
            "account": {
                "balance": text(model.balance), "held": text(held), "credit_limit": "3",
                "available": text(model.balance - held + 3),
                "lots": [wire_lot(lot) for lot in model.lots if lot.remaining],
            },
            "entries": [wire_entry(entry) for entry in model.entries],
            "legs": self.legs, "parked": [*self.parked.values()], "events": self._events(),
        }  # fmt: skip
        return audit(self.history, {ACCOUNT: final})

    def _events(self) -> list[Json]:
        events = []
        for entry in self.ledger.entries:
            if entry["kind"] in {"top_up", "grant"}:
                events.append((entry["sequence"], "credits.topped_up", {}))
            for sequence, rule in self.ledger.alerts:
                if sequence == entry["sequence"]:
                    count = 2 if self.bug == "alerts twice" else 1
                    events += [(sequence, "credits.low", {"name": rule})] * count
        return [
            {
                "id": f"{ACCOUNT}:{sequence}:{number}", "source": f"/accounts/{ACCOUNT}",
                "type": kind, "time": instant(T0), "data": data,
            }
            for number, (sequence, kind, data) in enumerate(events)
        ]  # fmt: skip


def wire_entry(entry: Json) -> Json:
    return entry | {
        "amount": text(entry["amount"]),
        "balance": text(entry["balance"]),
        "at": instant(entry["at"]),
    }


def wire_lot(lot: Any) -> Json:
    return {
        "id": lot.id, "kind": lot.kind, "amount": text(lot.amount),
        "remaining": text(lot.remaining), "purchased_at": instant(lot.purchased_at),
        "expires_at": instant(lot.expires_at) if lot.expires_at else None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "seed", [*SEEDS[:10], *(pytest.param(n, marks=pytest.mark.extended) for n in SEEDS[10:])]
)
def test_a_product_without_bugs_has_no_problems(seed: int) -> None:
    assert Toy(seed).run(80) == []


PLANTED = {
    "no key": "A8", "a micro too much": "A8", "double reversal": "A3", "dial again": "A9",
    "stale balance": "A7", "no holds": "A7", "+= extend": "A7", "extend unpaid": "A7",
    "release ignored": "A2", "lost leg": "A4", "wrong price": "A14", "no guard": "A3",
    "last in, first out": "A6", "conflict lost": "A4", "no flags": "A7", "takes held": "A6",
    "held forgotten": "A2", "alerts twice": "A11", "charged twin": "A3",
}  # fmt: skip


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_named_by_its_rule(bug: str) -> None:
    for seed in SEEDS:
        if any(problem.startswith(PLANTED[bug]) for problem in Toy(seed, bug).run(80)):
            return
    pytest.fail(f"{bug} was never named by {PLANTED[bug]}")
