"""A process that uses the product as bridges, people and the queue do, and writes down what it saw.

`python -m tests.faults.worker --number 0 --tables PORT --folder DIR`. Commands come as JSON lines
on its standard input and are answered by one line each:

- `{"run": name, "seconds": 3, "seed": 7, "base": time}`: send the requests of the seed;
- `{"drain": name}`: repeat, with the same keys, all that was never answered, until it is.

It dies when its standard input ends.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shared.domain.common.errors import PerminuteError
from tests.faults import workload
from tests.faults.app import BRIDGE, AsyncProduct
from tests.faults.ports import FileTopic, LocalQueue, Watched
from tests.faults.records import History, outcome_of
from tests.support.azurite import connection_string
from tests.support.client import Answer, Json

STORE_SECONDS = 0.5  # to connect, and as much again to answer: short, so that a run sees many
ACTORS = 6
LEGS, QUESTIONS, TOP_UPS = 160, 70, 30
REFUSALS = 0.08
AGAIN_AT_ONCE = 0.5  # of what was not answered; the rest is repeated when the faults are over
DRAIN_SECONDS_MAX = 30.0
COUNTED_EVENTS = ("leg_charged", "leg_repeated", "leg_parked", "leg_later", "legs_spilled")
NEVER = ("leg_failed", "unexpected_error")

type Repeat = Callable[[], Awaitable[str]]


class Driver:
    """One run of one process."""

    def __init__(self, app: AsyncProduct, history: History, queue: LocalQueue, run: Json) -> None:
        self._product = app
        self._history = history
        self._queue = queue
        self._run = str(run["run"])
        self._base = datetime.fromisoformat(run["base"])
        self._chance = random.Random(f"{run['seed']} {history.process}")
        self._open: list[Repeat] = []
        self.counts: Counter[str] = Counter()

    async def work(self, seconds: float) -> None:
        """Send requests until the time is over."""
        end = time.monotonic() + seconds
        pump = asyncio.create_task(self._pump())

        async def act() -> None:
            while time.monotonic() < end:
                await self._step()

        await asyncio.gather(*(act() for _ in range(ACTORS)))
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)

    async def drain(self) -> int:
        """Repeat what is open until nothing is; the number of operations that were repeated."""
        end = time.monotonic() + DRAIN_SECONDS_MAX
        self._queue.refusals, self._queue.is_draining = 0.0, True
        repeated = 0
        while self._open or len(self._queue):
            assert time.monotonic() < end, f"{len(self._open)} operations stay open"
            waiting, self._open = self._open, []
            repeated += len(waiting)
            for again in waiting:
                if await again() == "info":
                    self._open.append(again)
            await self._forward()
            await self._deliver()
        self._queue.is_draining = False
        return repeated

    async def _pump(self) -> None:
        """The trigger of the queue, and the timer of the inbox."""
        while True:
            if not await self._deliver():
                await asyncio.sleep(0.02)
            if self._chance.random() < 0.1:
                await self._forward()

    async def _deliver(self) -> bool:
        """One batch; whether there was one. What fails or is given up comes again whole."""
        messages = self._queue.take(100, datetime.now(UTC))
        is_settled = not messages
        try:
            if messages:
                await self._product.deliver(messages)
                is_settled = True
        except PerminuteError:
            self.counts["batches again"] += 1
        finally:
            if not is_settled:
                self._queue.give_back(messages)
        return bool(messages)

    async def _forward(self) -> None:
        try:
            await self._product.tick("forward_inbox")
        except PerminuteError:
            self.counts["inbox again"] += 1

    async def _step(self) -> None:
        fate = self._chance.random()
        if fate < 0.40:
            numbers = {self._chance.randrange(LEGS) for _ in range(self._chance.randint(1, 6))}
            changed = self._chance.random() < 0.05
            legs = [workload.leg(self._run, n, self._base, changed=changed) for n in numbers]
            await self._surely(lambda: self._post(legs))
        elif fate < 0.80:
            number = self._chance.randrange(QUESTIONS)
            await self._surely(lambda: self._authorise(number))
        elif fate < 0.90:
            account, key, body = workload.top_up(self._run, self._chance.randrange(TOP_UPS))
            await self._surely(lambda: self._book("top_up", account, "top-ups", key, body))
        elif fate < 0.94:
            account, key, body = workload.adjustment(self._run, self._chance.randrange(TOP_UPS))
            await self._surely(lambda: self._book("adjust", account, "adjustments", key, body))
        else:
            leg = workload.leg(self._run, self._chance.randrange(LEGS), self._base)
            await self._surely(lambda: self._reverse(leg))

    async def _surely(self, operation: Repeat) -> None:
        """Once; again at once or in the end where no one knows."""
        if await operation() != "info":
            return
        if self._chance.random() < AGAIN_AT_ONCE and await operation() != "info":
            return
        self._open.append(operation)

    async def _recorded(
        self, op: str, account: str, request: Json, send: Callable[[], Awaitable[Answer]]
    ) -> tuple[str, Any]:
        number = self._history.sent(op, account, request)
        answer = await send()
        outcome = outcome_of(answer)
        self.counts[f"{op} {outcome}"] += 1
        self._history.answered(number, outcome, answer.json)
        return outcome, answer.json

    async def _post(self, legs: list[Json]) -> str:
        """Legs in one array: an operation each."""
        requests = [{"bridge": BRIDGE, "leg": leg} for leg in legs]
        numbers = [self._history.sent("call_ended", leg["account"], r) for leg, r in
                   zip(legs, requests, strict=True)]  # fmt: skip
        answer = await self._product.bridge("call-ended", legs)
        outcome = outcome_of(answer)
        self.counts[f"call_ended {outcome}"] += len(legs)
        counting = answer.json["legs"] if outcome == "ok" else [None] * len(legs)
        for number, result in zip(numbers, counting, strict=True):
            self._history.answered(number, outcome, result)
        return outcome

    async def _authorise(self, number: int) -> str:
        """A dial-out, and what becomes of it."""
        key, body = workload.question(self._run, number)
        request = {"bridge": BRIDGE, "key": key, "body": body}
        outcome, answer = await self._recorded(
            "dial_out",
            body["account"],
            request,
            lambda: self._product.bridge("dial-outs", body, key=key),
        )
        if outcome == "ok" and answer["decision"] == "allow" and "authorization" in answer:
            await self._live(number, body, answer["authorization"])
        return outcome

    async def _live(self, number: int, body: Json, authorization: str) -> None:
        account, fate = body["account"], workload.fate(self._run, number)
        path = f"dial-outs/{quote(authorization, safe='')}"
        request: Json = {"bridge": BRIDGE, "authorization": authorization}
        if "extend" in fate:
            seconds = body["requested_seconds"] * 2
            await self._surely(
                lambda: self._first(
                    self._recorded(
                        "extend",
                        account,
                        {**request, "seconds": seconds},
                        lambda: self._product.bridge(
                            f"{path}/extend",
                            {"seconds": seconds, "authorization": authorization},
                        ),
                    )
                )
            )
        if fate == "release":
            await self._surely(
                lambda: self._first(
                    self._recorded(
                        "release",
                        account,
                        request,
                        lambda: self._product.bridge(
                            f"{path}/release", {"authorization": authorization, "release": True}
                        ),
                    )
                )
            )
        if "end" in fate.split():
            leg = workload.called(self._run, number, authorization, self._base)
            await self._surely(lambda: self._post([leg]))

    async def _first(self, counting: Awaitable[tuple[str, Any]]) -> str:
        return (await counting)[0]

    async def _book(self, op: str, account: str, route: str, key: str, body: Json) -> str:
        outcome, _ = await self._recorded(
            op,
            account,
            {"key": key, "body": body},
            lambda: self._product.admin("POST", f"accounts/{account}/{route}", body, key=key),
        )
        return outcome

    async def _reverse(self, leg: Json) -> str:
        account, shown = leg["account"], f"{BRIDGE}~{leg['leg_id']}"
        body = {"reason": "the caller complained"}
        outcome, _ = await self._recorded(
            "reverse",
            account,
            {"leg": shown, "body": body},
            lambda: self._product.admin("POST", f"accounts/{account}/legs/{shown}/reversal", body),
        )
        return outcome


class _Counting(logging.Handler):
    """Counts the product's own events; what must never happen is kept as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.never: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields = json.loads(record.getMessage())
        if fields["event"] in COUNTED_EVENTS:
            self.counts[fields["event"]] += int(fields.get("legs") or 1)
        elif fields["event"] in NEVER:
            self.never.append(record.getMessage())


async def _serve(options: argparse.Namespace) -> None:
    from shared.adapters.tables.azure_tables import AzureTables

    counting = _Counting()
    logging.getLogger("perminute").addHandler(counting)
    name = f"worker-{options.number}"
    tables = AzureTables(
        connection_string=connection_string(options.tables),
        connect_seconds=STORE_SECONDS,
        read_seconds=STORE_SECONDS,
    )
    driver: Driver | None = None
    reader = asyncio.get_running_loop().run_in_executor
    while line := await reader(None, sys.stdin.readline):
        command = json.loads(line)
        answer: Json
        if "run" in command:
            run = command["run"]
            chance = random.Random(f"{command['seed']} {name} outside")
            path = options.folder / f"{run}.{name}.jsonl"
            history = History(path.open("a", encoding="utf-8"), f"{run} {name}")
            queue = LocalQueue(chance, REFUSALS)
            topic = FileTopic(options.folder / f"{run}.events.jsonl", chance, REFUSALS)
            watched = Watched(tables, lambda fields, to=history: to.note(**fields))
            driver = Driver(AsyncProduct(watched, queue, topic), history, queue, command)
            await driver.work(command["seconds"])
            answer = {"ran": run}
        else:
            assert driver is not None
            repeated = await driver.drain()
            answer = {
                "drained": command["drain"],
                "repeated": repeated,
                "counts": driver.counts + counting.counts + queue.counts,
                "never": counting.never,
            }
            counting.counts.clear()
        print(json.dumps(answer), flush=True)
    await tables.close()


def main() -> None:
    """Serves the commands."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.worker")
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--tables", type=int, required=True, help="port of Table storage")
    parser.add_argument("--folder", type=Path, required=True)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
