"""The payment side: hears of recharges from the topic, takes money or does not, and says so: at
once, late, twice, or not before it is requested again."""

import asyncio
import json
from collections import Counter
from decimal import Decimal
from typing import Any

from shared.bootstrap.composition import Container
from shared.domain.common.money import parse_amount
from shared.domain.credits.recharge import RechargeStatus
from shared.domain.directory.access import ALL_ACCOUNTS, Principal, Role
from shared.ports.queues import Message
from shared.usecases.credits.record_recharge_results import RechargeResult
from tests.sim.requester import Json, Requester

PAYMENTS = Principal("payments", frozenset({Role.PAYMENTS}), frozenset({ALL_ACCOUNTS}))
PLANS = (
    ("succeeded",),
    ("succeeded",),
    ("succeeded", "succeeded"),
    ("pending", "succeeded"),
    ("declined",),
    ("declined", "declined"),
    ("pending", "declined", "succeeded"),
    ("hard",),
    ("misfit", "succeeded"),
)
SILENT_REQUESTS_MAX = 2
TRIES_MAX = 100


class Payments:
    """The payment side. `open` are recharges that wait for its last word."""

    def __init__(self, callers: Requester, point: str) -> None:
        self.callers = callers
        self.pays_at_once = point == "recharge.credited"
        self.scheduler = callers.scheduler
        self.rng = callers.rng
        self.amounts: dict[str, str] = {}
        self.requests: Counter[str] = Counter()
        self.open: set[str] = set()
        self.taken: set[str] = set()
        self.problems: list[str] = []
        self.hurries = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        callers.deployment.broker.hears = self._hears

    def hurry(self) -> None:
        """From now on nothing is overheard, and what was to come late comes now."""
        self.hurries.set()

    async def rest(self) -> None:
        """Returns when every request has its answer."""
        while self.tasks:
            await asyncio.wait(self.tasks)

    def _hears(self, message: Message) -> None:
        if message.properties["type"] != "recharge.requested":
            return
        data = json.loads(message.body)["data"]
        recharge = data["recharge"]
        if self.amounts.setdefault(recharge, data["amount"]) != data["amount"]:
            self.problems.append(f"recharge {recharge} was requested with two amounts")
        self.requests[recharge] += 1
        if self.requests[recharge] == 1:
            self.open.add(recharge)
        elif recharge not in self.open or any(t.get_name() == recharge for t in self.tasks):
            return  # requested again: the answer was given, or is on its way
        is_silent = self.requests[recharge] <= SILENT_REQUESTS_MAX and self.rng.random() < 0.2
        if is_silent and not (self.hurries.is_set() or self.pays_at_once):
            self.scheduler.note(f"  no one hears of {recharge}")
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._answer(recharge, data), name=recharge)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, recharge: str, data: Json) -> None:
        plan = self.rng.choice(PLANS)
        delays = [self.rng.choice((0.5, 0.5, 5, 60, 4_000)) for _ in plan]
        if self.pays_at_once:
            plan, delays = ("succeeded",), [0.5]
        at_once = self.rng.random() < 0.2
        for status, seconds in zip(plan, delays, strict=True):
            await self._wait(seconds)
            says = [self._says(recharge, status, data) for _ in range(1 + at_once)]
            await asyncio.gather(*says)
        self.open.discard(recharge)

    async def _wait(self, seconds: float) -> None:
        """So long; where all hurry, a few seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self.hurries.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self.rng.uniform(0.1, 3))

    async def _says(self, recharge: str, status: str, data: Json) -> None:
        amount = data["amount"]
        if status == "misfit":
            amount = str(Decimal(amount) + 1)
        elif status == "succeeded":
            self.taken.add(recharge)
        status_sent = {"hard": "declined", "misfit": "succeeded"}.get(status, status)
        result = RechargeResult(
            RechargeStatus(status_sent),
            parse_amount(amount),
            data["currency"],
            f"payment of {recharge}",
            status == "hard",
        )

        async def act(app: Container) -> Any:
            return (await app.recharge_service.answer(PAYMENTS, recharge, result)).status.value

        body = {"status": status_sent, "amount": amount, "currency": data["currency"]}
        body["reference"] = result.reference
        request = {"recharge": recharge, "body": body}
        for tries in range(TRIES_MAX):
            record = await self.callers.request("recharge_result", data["account"], request, act)
            if record["outcome"] != "info":
                break
            await self._wait(self.rng.uniform(10, 20) * 2 ** min(tries, 8))
        expected = {"misfit": "recharge_mismatch", "declined": "recharge_settled"}
        if record["outcome"] == "info":
            self.problems.append(f"nobody takes the answer to {recharge}")
        elif status == "misfit" and record["outcome"] == "ok":
            self.problems.append(f"{recharge}: another amount was taken for the right one")
        elif status_sent != "pending" and record["result"] not in {None, status_sent}:
            self.problems.append(f"{recharge}: {status_sent} was answered by {record['result']}")
        elif record.get("code") not in {None, expected.get(status)}:
            self.problems.append(f"{recharge}: {status} was refused: {record['code']}")

    def audited(self, final: dict[str, Json]) -> list[str]:
        """What was taken is in the ledger, once, and nothing else came from here."""
        booked = Counter(
            str(entry["reference"]).removeprefix("payment of ")
            for view in final.values()
            for entry in view.get("entries", ())
            if str(entry.get("reference")).startswith("payment of ")
        )
        return self.problems + [
            f"recharge {recharge} was taken {int(recharge in self.taken)} times, "
            f"and booked {booked[recharge]} times"
            for recharge in sorted({*booked, *self.taken})
            if booked[recharge] != (recharge in self.taken)
        ]
