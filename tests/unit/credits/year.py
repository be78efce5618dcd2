"""A year of many accounts on a virtual clock: calls, people, a payment provider, outages, a timer
that misses, doubles and collides. Judged by the independent auditor of `tests/model`.

`python -m tests.unit.credits.year ACCOUNTS SEED` plays one and prints what happened.
"""

import asyncio
import heapq
import json
import logging
import random
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from shared.bootstrap.composition import Container
from shared.contracts.directory.accounts import AccountBody, account_body
from shared.contracts.ledger.entries import entry_body
from shared.domain.common.canonical import content_digest, format_time
from shared.domain.common.errors import PerminuteError
from shared.domain.common.money import format_amount
from shared.domain.credits.lots import LotKind
from shared.domain.credits.recharge import RechargeStatus
from shared.domain.directory.access import Principal, Role
from shared.domain.ledger.model import DebitLeg, Entry, TopUp
from shared.usecases.credits.record_recharge_results import RechargeResult
from tests.model.audit_case import Case
from tests.model.audit_events import a10_events, a12_recharges
from tests.model.audit_ledger import a1_balance, a5_sequences, a6_lots, a11_alerts, a15_bank
from tests.sim import loop
from tests.support.memory_bus import MemoryTopic
from tests.support.memory_tables import MemoryTables
from tests.support.product import SETTINGS, CountedIds, ManualClock

START = datetime(2027, 9, 1, tzinfo=UTC)  # the year has a leap day and two changes of the clock
END = START + timedelta(days=366)
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
UNIT = 1_000_000
PAYMENTS = Principal("payments", frozenset({Role.PAYMENTS}), frozenset({"*"}))
RULES = (a1_balance, a5_sequences, a6_lots, a10_events, a11_alerts, a12_recharges, a15_bank)
type Json = dict[str, Any]


@dataclass
class Customer:
    """An account and its habits."""

    name: str
    settings: Json
    calls_per_day: float
    cost_micros: int
    is_paid_by_hand: bool
    etag: str | None = None
    legs: int = 0


@dataclass
class Year:
    """One run. `reported` counts what happened, for the reader; `problems` should stay empty."""

    accounts: int
    seed: int
    clock: ManualClock = field(default_factory=ManualClock)
    tables: MemoryTables = field(default_factory=MemoryTables)
    topic: MemoryTopic = field(default_factory=MemoryTopic)
    history: list[Json] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.apps = [self._process(), self._process()]  # two processes on the same tables
        self.customers: dict[str, Customer] = {}
        self.captured: dict[str, int] = {}  # what the provider took, by recharge
        self.answered: set[str] = set()
        self._seen = 0
        self._ticked_at = START
        self._order = count()
        self._heap: list[tuple[datetime, int, str, str, Any]] = []

    def _process(self) -> Container:
        app = Container(SETTINGS)
        app.tables, app.clock, app.topic = self.tables, self.clock, self.topic
        app.ids = CountedIds()
        return app

    @property
    def app(self) -> Container:
        """Either process, by chance."""
        return self.random.choice(self.apps)

    async def play(self) -> None:
        """From the first day to the last, then the reckoning."""
        self.clock.moment = START
        for number in range(self.accounts):
            await self._open(f"customer-{number}")
        for day in self.random.sample(range(20, 340), 4):  # days on which the topic is away
            self._plan(START + timedelta(days=day), "outage", "", True)
            self._plan(START + timedelta(days=day, hours=self.random.randint(1, 20)), "outage", "")
        for day in range(366):
            self._plan(START + timedelta(days=day, hours=2), "tick", "")
        while self._heap and self._heap[0][0] <= END:
            await self._next()
        self.topic.available = True
        for hours in range(3):
            self.clock.moment = END + timedelta(hours=hours)
            await self._tick(self.apps[0])
        await self._reckon()

    # ---- what happens

    def _plan(self, at: datetime, kind: str, account: str, payload: Any = None) -> None:
        heapq.heappush(self._heap, (at, next(self._order), kind, account, payload))

    async def _next(self) -> None:
        at, _, kind, account, payload = self._heap[0]
        due = self._next_mark()
        if due is not None and due < at:
            minute = due.replace(second=0, microsecond=0) + timedelta(minutes=1)
            self.clock.moment = max(self.clock.moment, minute)
            await self._tick_somehow()
            return
        heapq.heappop(self._heap)
        self.clock.moment = max(self.clock.moment, at)
        match kind:
            case "call":
                await self._call(self.customers[account])
            case "person":
                await self._person(self.customers[account])
            case "answer":
                await self._answer(account, *payload)
            case "outage":
                self.topic.available = not payload
            case "tick":
                await self._tick_somehow()
        self._listen()

    def _next_mark(self) -> datetime | None:
        """The next due mark that no tick has seen yet."""
        after = self._ticked_at.strftime("%Y%m%dT%H%M%S.%fZ") + "}"
        found = []
        for bucket in range(8):
            keys = self.tables._partition("due", f"{bucket:02d}").keys
            place = bisect_right(keys, after)
            found += keys[place : place + 1]
        return datetime.fromisoformat(min(found).partition("|")[0]) if found else None

    async def _tick_somehow(self) -> None:
        """A tick as timers have them: most on time, some late, doubled, or two at once."""
        chance = self.random.random()
        if chance < 0.04:
            self.counts["ticks missed"] += 1
            self.clock.moment += timedelta(minutes=self.random.randint(1, 9))
        await self._tick(self.app)
        if chance > 0.96:
            self.counts["ticks doubled"] += 1
            await self._tick(self.app)
        elif chance > 0.92:
            self.counts["ticks at once"] += 1
            await asyncio.gather(*(self._tick(app) for app in self.apps))
        self._listen()

    async def _tick(self, app: Container) -> None:
        self._ticked_at = self.clock.now()
        self.counts["ticks"] += 1
        watched = await app.watch_balances()
        if watched.failures and self.topic.available:
            self.problems += watched.failures

    async def _open(self, name: str) -> None:
        rand = self.random
        threshold = rand.choice([5, 10, 20])
        settings: Json = {
            "currency": rand.choice(["USD", "EUR"]),
            "time_zone": rand.choice(ZONES),
            "credit_limit": rand.choice(["0", "0", "25.00"]),
            "alerts": rand.sample(
                [
                    {"name": "low", "below": f"{threshold}.00"},
                    {"name": "fifth", "below_percent": 20},
                    {"name": "soon", "days_left": 3},
                ],
                rand.choice([1, 1, 2, 3]),
            ),
        }
        if rand.random() < 0.7:
            settings["auto_recharge"] = {
                "trigger": f"{rand.choice([10, 15])}.00",
                "amount": rand.choice(["20.00", "50.00"]),
                "max_per_day": rand.choice([1, 2, 4]),
                "max_per_month": rand.choice([3, 10]),
                "max_amount_per_month": rand.choice(["100.00", "400.00"]),
            }
        customer = Customer(
            name,
            settings,
            calls_per_day=rand.choice([0.01, 0.02, 0.03, 0.05]),
            cost_micros=rand.choice([UNIT, 5 * UNIT, 15 * UNIT]),
            is_paid_by_hand="auto_recharge" not in settings or rand.random() < 0.2,
        )
        self.customers[name] = customer
        await self._put(customer)
        await self._top_up(customer, rand.choice([20, 50, 100]))
        self._plan(self._later(customer), "call", name)
        self._plan(START + timedelta(days=rand.randint(1, 20)), "person", name)

    async def _put(self, customer: Customer) -> None:
        wanted = AccountBody.model_validate(customer.settings).settings()
        began = self.clock.now()
        _, saved = await self.app.accounts.put(customer.name, wanted, customer.etag)
        customer.etag = saved.etag
        self._note("put_account", customer.name, dict(customer.settings), began)

    def _note(self, op: str, account: str, request: Json, began: datetime, **more: Any) -> None:
        self.history.append(
            {
                "op": op,
                "account": account,
                "request": request,
                "outcome": "ok",
                "began": began,
                "at": self.clock.now(),
                "result": None,
                **more,
            }
        )

    async def _top_up(self, customer: Customer, units: int) -> None:
        customer.legs += 1
        body = {"amount": f"{units}.00"}
        key = f"hand-{customer.legs}"
        command = TopUp(key, content_digest(body), units * UNIT, LotKind.PURCHASED)
        entry, _ = await self.app.credit_account(customer.name, command)
        self.counts["top-ups by hand"] += 1
        self._note(
            "top_up",
            customer.name,
            {"key": key, "body": body},
            self.clock.now(),
            result={"entry": entry_body(entry), "balance": format_amount(entry.balance_micros)},
        )

    async def _call(self, customer: Customer) -> None:
        """A call ended; sometimes many at once, sometimes the process dies before it publishes."""
        rand, app = self.random, self.app
        calls = rand.choice([1, 1, 1, 1, 3])
        legs = [self._leg(customer) for _ in range(calls)]
        await asyncio.gather(*(app.ledger.submit(customer.name, leg) for leg in legs))
        self.counts["calls"] += calls
        if rand.random() < 0.9:
            await app.publish_events.best_effort(customer.name, hold_book=False)
        else:
            self.counts["died before publishing"] += 1
        self._plan(self._later(customer), "call", customer.name)

    def _leg(self, customer: Customer) -> DebitLeg:
        customer.legs += 1
        amount = max(1, int(customer.cost_micros * self.random.uniform(0.2, 1.8)))
        charge: Json = {"status": "charged", "amount": format_amount(amount)}
        return DebitLeg(
            leg=f"local~{customer.name}-{customer.legs}",
            digest=content_digest([customer.name, customer.legs]),
            amount_micros=amount,
            answered_at=self.clock.now(),
            authorization=None,
            charge=charge,
            person={},
            charge_digest=content_digest(charge),
        )

    def _later(self, customer: Customer) -> datetime:
        """When the next call ends: in office hours where the customer is, mostly."""
        at = self.clock.now() + timedelta(days=self.random.expovariate(customer.calls_per_day))
        if self.random.random() < 0.8:
            at = at.replace(hour=self.random.randint(8, 17), minute=self.random.randint(0, 59))
        return max(at, self.clock.now() + timedelta(minutes=1))

    async def _person(self, customer: Customer) -> None:
        """An operator acknowledges alerts, tops up empty accounts, and resumes paused recharges."""
        app, rand = self.app, self.random
        state = await app.ledger.state(customer.name)
        assert state is not None
        shown, _ = await app.notices.alerts(customer.name, limit=5, cursor=None)
        for alert in shown:
            if alert.acknowledged_at is None and rand.random() < 0.9:
                await app.alerts.acknowledge(customer.name, str(alert.number), "a person")
                self.counts["alerts acknowledged"] += 1
        if customer.is_paid_by_hand and state.balance_micros < 10 * UNIT:
            await self._top_up(customer, rand.choice([20, 50, 100]))
        if state.recharges.paused or rand.random() < 0.02:
            await self._put(customer)
        self._plan(self.clock.now() + timedelta(days=rand.randint(3, 20)), "person", customer.name)

    # ---- the payment provider

    def _listen(self) -> None:
        """The provider hears of recharges, and sometimes never answers, or late, or twice."""
        for message in self.topic.published[self._seen :]:
            event = json.loads(message.body)
            self.counts[event["type"]] += 1
            if event["type"] == "recharge.requested":
                self._on_request(event["data"])
        self._seen = len(self.topic.published)

    def _on_request(self, data: Json) -> None:
        recharge, rand = data["recharge"], self.random
        if recharge in self.answered:
            return  # requested again: the first answer is on its way, or was given
        chance = rand.random()
        if chance < 0.05 and data["ask"] < 6:
            self.counts["requested in vain"] += 1
            return
        self.answered.add(recharge)
        at = self.clock.now() + timedelta(
            seconds=rand.choice([1, 1, 1, 20, 20, 20, 20, 4_000, 90_000])
        )
        status = "succeeded" if chance < 0.75 else "declined"
        hard = status == "declined" and rand.random() < 0.2
        if rand.random() < 0.1:
            self._plan(at, "answer", recharge, ("pending", False, data))
            at += timedelta(hours=9)
        for again in range(rand.choice([1, 1, 2, 3])):
            self._plan(at + timedelta(minutes=again), "answer", recharge, (status, hard, data))
        if status == "declined" and rand.random() < 0.1:
            late = ("succeeded", False, data)
            self._plan(at + timedelta(days=1), "answer", recharge, late)

    async def _answer(self, recharge: str, status: str, hard: bool, data: Json) -> None:
        account = recharge.partition("~")[0]
        amount = round(float(data["amount"]) * UNIT)
        result = RechargeResult(
            RechargeStatus(status), amount, data["currency"], f"ref {recharge}", hard
        )
        began = self.clock.now()
        if status == "succeeded":
            self.captured[recharge] = amount
        try:
            await self.app.recharge_service.answer(PAYMENTS, recharge, result)
        except PerminuteError as error:
            if error.code == "recharge_settled" and status == "declined":
                return
            raise
        self.counts[f"answers {status}"] += 1
        body = {"status": status, "amount": data["amount"], "currency": data["currency"]}
        self._note("recharge_result", account, {"recharge": recharge, "body": body}, began)

    # ---- the reckoning

    async def _reckon(self) -> None:
        app = self.apps[0]
        by_account: dict[str, list[Json]] = {name: [] for name in self.customers}
        for message in self.topic.published:
            event = json.loads(message.body)
            by_account[event["data"]["account"]].append(event)
        final: dict[str, Json] = {}
        credited: Counter[str] = Counter()
        for name in self.customers:
            entries = await self._entries(app, name)
            credited.update(
                {
                    str(entry.key): entry.amount_micros
                    for entry in entries
                    if entry.recharge is not None
                }
            )
            self.problems += self._expired_on_time(name, entries)
            view = await app.accounts.read(name)
            if view.state.at and len([e for e in entries if e.recharge]) != len(
                {e.recharge for e in entries if e.recharge}
            ):
                self.problems.append(f"{name}: a recharge was credited twice")
            verified = await app.ledger.verify(name)
            self.problems += [f"{name}: {problem}" for problem in verified.problems]
            final[name] = {
                "account": account_body(view.account, view.state, view.held_micros),
                "entries": [entry_body(entry) for entry in entries],
                "legs": dict(_leg_body(entry) for entry in entries if entry.leg),
                "events": by_account[name],
            }
            for shown in final[name]["entries"]:
                if shown["kind"] == "expiry":
                    shown["lot"] = _lot_of(entries, int(shown["sequence"]))
        if credited != Counter(self.captured):
            self.problems.append("what was credited is not what the provider took")
        audited = await app.audit_ledgers()
        self.problems += [f"missed: {name}" for name in audited.missed] + audited.problems
        for name, view in final.items():
            case = Case([op for op in self.history if op["account"] == name], {name: view})
            self.problems += [problem for rule in RULES for problem in rule(case)]

    async def _entries(self, app: Container, name: str) -> list[Entry]:
        found: list[Entry] = []
        after = 0
        while commits := await app.ledger.history(name, after=after):
            found += [entry for commit in commits for entry in commit.entries]
            after = commits[-1].number
        return found

    def _expired_on_time(self, name: str, entries: list[Entry]) -> Iterator[str]:
        lots = {entry.lot.id: entry.lot for entry in entries if entry.lot}
        left = {name: lot.remaining_micros for name, lot in lots.items()}
        for entry in entries:
            for draw in entry.draws:
                left[draw.lot] -= draw.amount_micros
            if entry.kind == "expiry":
                self.counts["lots expired"] += 1
                late = entry.at - (lots[entry.draws[0].lot].expires_at or entry.at)
                if not timedelta(0) <= late < timedelta(hours=1):
                    yield f"{name}: {entry.draws[0].lot} expired {late} late"
        for lot, micros in left.items():
            expires_at = lots[lot].expires_at
            if micros and expires_at and expires_at < END:
                yield f"{name}: {lot} never expired"


def _leg_body(entry: Entry) -> tuple[str, Json]:
    amount = -entry.amount_micros
    return str(entry.leg), {
        "status": "charged",
        "amount": format_amount(amount),
        "answered_at": format_time(entry.at),
        "funded_by": [
            {"lot": draw.lot, "amount": format_amount(draw.amount_micros)} for draw in entry.draws
        ],
        "entry": entry.sequence,
        "balance_before": format_amount(entry.balance_micros + amount),
        "balance_after": format_amount(entry.balance_micros),
    }


def _lot_of(entries: list[Entry], sequence: int) -> str:
    return entries[sequence - 1].draws[0].lot


def played(accounts: int, seed: int) -> Year:
    """A year, played."""
    year = Year(accounts, seed)
    logging.disable(logging.CRITICAL)
    try:
        loop.run(year.play())
    finally:
        logging.disable(logging.NOTSET)
    return year


def main() -> int:
    """Play one year and report; exit code 1 if anything is wrong."""
    if len(sys.argv) != 3 or not all(text.isdecimal() for text in sys.argv[1:]):
        print("Write the number of accounts and a seed, such as 2000 1.")
        return 2
    accounts, seed = int(sys.argv[1]), int(sys.argv[2])
    started = time.perf_counter()
    year = played(accounts, seed)
    print(f"{accounts} accounts, seed {seed}: {time.perf_counter() - started:.1f} s")
    print("\n".join(f"  {count:>8}  {what}" for what, count in sorted(year.counts.items())))
    print("\n".join(year.problems[:50]) or "nothing is wrong")
    return 1 if year.problems else 0


if __name__ == "__main__":
    sys.exit(main())
