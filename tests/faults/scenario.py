"""A day of one account, each step of it repeatable, played by a process that is killed on the way.

Queue and topic are files, so that they outlive the process, as the tables in Azurite do. A process
that plays the scenario again does what bridge, administrator, broker and timers do after a death:
they say the same thing again.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shared.adapters.ledger.restore import export, restore
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common import limits
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.ports.tables import Delete, TableStore
from tests.faults import workload
from tests.faults.app import BRIDGE, AsyncProduct
from tests.faults.outlived import (
    ACT,
    Ahead,
    Alone,
    FolderQueue,
    Passage,
    ScenarioTables,
    ScenarioTopic,
    outside,
)
from tests.faults.records import History, outcome_of
from tests.support.client import Answer, Json
from tests.support.vendors import twilio_call

LATER_CARD = "later"
CORRECTED, REPORTED = 6, 7
EXPIRY_SECONDS_MAX = 30.0
DELIVERY, AUDIT, RESTORE, EVENTS = CHAPTERS = ("delivery", "checkpoint", "restore", "event")
"""What is played on top of the day, each for the points that begin with its name."""
STORE_SECONDS = 20.0  # nothing fails here: a machine may be busy
ROUNDS_MAX = 20


def events_bridge(run: str) -> str:
    """The bridge that reports legs in several events."""
    return f"{run}-events"


class Scenario:
    """The steps of one run."""

    def __init__(
        self,
        run: str,
        base: datetime,
        app: AsyncProduct,
        folder: Path,
        history: History,
        chapters: Sequence[str],
    ) -> None:
        container: Any = app.container
        self._run = run
        self._base = base
        self._product = app
        self._queue: FolderQueue = container.queue
        self._topic: ScenarioTopic = container.topic
        self._folder = folder
        self._history = history
        self._chapters = chapters
        self.account = workload.account_names(run)[0]

    async def play(self, tables: ScenarioTables) -> None:
        """All of it. In the end the table of the ledger is lost, and rebuilt."""
        exported = self._folder / "export.jsonl"
        if not exported.exists():  # else a life before this one lost the table
            await self._day(tables)
        if RESTORE in self._chapters:
            if not exported.exists():
                await self._export(exported)
            await self._restore(exported, tables)

    async def _day(self, tables: ScenarioTables) -> None:
        """It ends when the expiry is booked and nothing is on its way."""
        await self._post([self._leg(1, workload.LONDON, 61), self._leg(2, workload.PARIS, 185)])
        self._queue.refuses = True
        await self._post([self._leg(3, workload.LONDON_MOBILE, 59)])
        self._queue.refuses = False
        await self._act("forward_inbox", self._product.tick("forward_inbox"))
        await self._put_card()
        tables.refuses = True
        await self._deliver()
        tables.refuses = False
        await self._post([self._leg(4, workload.ROME, 60)])  # without a rate: it is parked
        await self._post([self._leg(CORRECTED, workload.ROME, 60)])
        await self._until_delivered()
        await self._correct()
        await self._recharge()
        await self._book()
        authorization = await self._dial_out()
        if authorization is not None:
            leg = self._leg(5, workload.LONDON, 240)
            await self._post([{**leg, "authorization": authorization}])
        if EVENTS in self._chapters:
            await self._post_events(self._leg(REPORTED, workload.PARIS, 61))
        await self._post([self._leg(1, workload.LONDON, 61)])
        await self._until_delivered()
        await self._expiry()
        await self._product.container.publish_events(self.account)
        if DELIVERY in self._chapters:
            await self._act("deliver_events", self._deliver_events())
        if AUDIT in self._chapters:
            await self._act("nightly_audit", self._audit())

    def _leg(self, number: int, to: str, talk_seconds: int) -> Json:
        answered_at = self._base - timedelta(seconds=talk_seconds + 60)
        return workload.ended_leg(
            f"{self._run}-{number}",
            to,
            answered_at,
            talk_seconds,
            account=self.account,
            organizer_id=workload.organizer(self._run),
        )

    async def _act[Result](self, name: str, work: Awaitable[Result]) -> Result:
        token = ACT.set(name)
        try:
            return await work
        finally:
            ACT.reset(token)

    async def _recorded(self, op: str, request: Json, send: Callable[[], Awaitable[Answer]]) -> Any:
        number = self._history.sent(op, self.account, request)
        answer = await self._act(op, send())
        outcome = outcome_of(answer)
        assert outcome == "ok", answer
        self._history.answered(number, outcome, answer.json)
        return answer.json

    async def _post(self, legs: list[Json]) -> None:
        requests = [{"bridge": BRIDGE, "leg": leg} for leg in legs]
        numbers = [self._history.sent("call_ended", self.account, each) for each in requests]
        answer = await self._act("call_ended", self._product.bridge("call-ended", legs))
        for number, result in zip(numbers, answer.json["legs"], strict=True):
            self._history.answered(number, "ok", result)

    async def _post_events(self, leg: Json) -> None:
        """A leg that its bridge reports in two events."""
        name, app = events_bridge(self._run), self._product.container
        bridge = await app.facts.bridge(name)
        assert bridge is not None
        events = twilio_call(
            leg["leg_id"],
            caller=leg["from"],
            to=leg["to"],
            talk_seconds=leg["talk_seconds"],
            ended_at=leg["ended_at"],
            joined_at=leg["answered_at"],
        )
        query = {"account": self.account, "organizer": leg["organizer_id"]}
        number = self._history.sent("call_ended", self.account, {"bridge": name, "leg": leg})
        for event in events:
            post = BridgePayload(name, json.dumps(event).encode(), query=query)
            taken = app.assemble_calls(bridge, app.parse_post("twilio", post))
            [received] = await self._act("event_posted", taken)
        self._history.answered(number, "ok", {"status": received.status})

    async def _deliver(self) -> None:
        batch = self._queue.take()
        await self._act("rate_and_debit", self._product.deliver(list(batch.values())))
        self._queue.complete(list(batch))

    async def _until_delivered(self) -> None:
        for _ in range(ROUNDS_MAX):
            if not self._queue.take():
                return
            await self._deliver()
        raise AssertionError("The queue is never empty.")

    async def _put_card(self) -> None:
        since = self._base.replace(microsecond=0) + timedelta(hours=1)
        path = f"rate-cards/{LATER_CARD}-{self._run}/versions/{since:%Y-%m-%dT%H:%M:%SZ}"
        work = self._product.admin("PUT", path, workload.CARD_VERSION)
        answer = await self._act("put_rate_card", work)
        assert answer.status in {201, 428}, answer  # it is there already

    async def _book(self) -> None:
        key, body = f"{self._run}-more", {"amount": "2.00"}
        path = f"accounts/{self.account}/top-ups"
        request = {"key": key, "body": body}
        await self._recorded(
            "top_up", request, lambda: self._product.admin("POST", path, body, key=key)
        )

    async def _dial_out(self) -> str | None:
        key = f"{self._run}-ask"
        body = {"to": workload.LONDON, "account": self.account, "requested_seconds": 300}
        body["organizer_id"] = workload.organizer(self._run)
        request = {"bridge": BRIDGE, "key": key, "body": body}
        answer = await self._recorded(
            "dial_out", request, lambda: self._product.bridge("dial-outs", body, key=key)
        )
        assert answer["decision"] == "allow", answer
        authorization = str(answer["authorization"])
        if any(entry.get("leg", "").endswith("-5") for entry in await self._entries()):
            return None  # a life before this one got as far as that: the call is over
        path = f"dial-outs/{quote(authorization, safe='')}/extend"
        wanted = {"authorization": authorization, "seconds": 600}
        await self._recorded(
            "extend", {"bridge": BRIDGE, **wanted}, lambda: self._product.bridge(path, wanted)
        )
        return authorization

    async def _entries(self) -> list[Json]:
        return await self._product.items(f"accounts/{self.account}/entries")

    async def _expiry(self) -> None:
        async with asyncio.timeout(EXPIRY_SECONDS_MAX):
            while True:
                await self._tick()
                if any(entry["kind"] == "expiry" for entry in await self._entries()):
                    return
                await asyncio.sleep(0.1)

    async def _correct(self) -> None:
        """An operator corrects a parked leg and has it charged."""
        name = f"{self._run}-{CORRECTED}"
        parked = await self._product.items(f"parked-legs?account={self.account}")
        (item,) = [each for each in parked if each["leg"].endswith(f"~{name}")]
        leg = self._leg(CORRECTED, workload.LONDON_MOBILE, 60)
        path = f"parked-legs/{quote(item['id'], safe='')}/replay"
        request = {"parked": item["id"], "bridge": BRIDGE, "leg": leg}
        await self._recorded(
            "replay", request, lambda: self._product.admin("POST", path, {"leg": leg})
        )

    async def _recharge(self) -> None:
        """The payment side hears of a recharge, and says that the money is there."""
        async with asyncio.timeout(EXPIRY_SECONDS_MAX):
            while not (requests := self._recharge_requests()):
                await self._tick()
                await asyncio.sleep(0.1)
        for recharge, data in requests.items():
            body = {"status": "succeeded", "amount": data["amount"], "currency": "USD"}
            body["reference"] = f"payment of {recharge}"
            path = f"recharges/{quote(recharge, safe='')}/result"
            request = {"recharge": recharge, "body": body}
            answer = await self._recorded(
                "recharge_result",
                request,
                lambda path=path, body=body: self._product.admin("POST", path, body),
            )
            assert answer["status"] == "succeeded", answer

    def _recharge_requests(self) -> dict[str, Json]:
        """The recharges that were requested, each once."""
        events = map(json.loads, self._topic.published())
        return {
            event["data"]["recharge"]: event["data"]
            for event in events
            if event["type"] == "recharge.requested" and event["data"]["account"] == self.account
        }

    async def _tick(self) -> None:
        await self._act("watch_balances", self._product.container.watch_balances())

    async def _deliver_events(self) -> None:
        """The topic hands over all that was published, and what waits is posted. Who died has the
        lease still: it is over for the next one, whose clock is that much ahead."""
        deliver = self._product.container.deliver_events
        done = await deliver(self._topic.published(), seconds=STORE_SECONDS)
        if done.busy:
            deliver._clock = Ahead(limits.WEBHOOK_LEASE_SECONDS)
            done = await deliver(self._topic.published(), seconds=STORE_SECONDS)
        assert not done.busy, done

    async def _audit(self) -> None:
        """The night's audit of this one account: others are alive beside it."""
        container = self._product.container
        alone: Any = Alone(await container.facts.require_account(self.account))
        found = await replace(container.audit_ledgers, accounts=alone)()
        assert found.problems == [], found

    async def _export(self, path: Path) -> None:
        """Journals, and beside them what is shown of legs: journals hold no numbers."""
        keys = {entry["leg"] for entry in await self._entries() if entry["kind"] == "debit"}
        shown = {
            key: await self._product.read(f"accounts/{self.account}/legs/{key}") for key in keys
        }
        path.with_suffix(".legs").write_text(json.dumps(shown), "utf-8")
        lines = [line async for line in export(self._product.container.tables, self.account)]
        path.with_suffix(".new").write_bytes(b"".join(lines))
        path.with_suffix(".new").rename(path)

    async def _restore(self, path: Path, tables: TableStore) -> None:
        """The rows are lost, once; a restore that was broken off is gone on with."""
        lost = path.with_suffix(".lost")
        if not lost.exists():
            rows = await tables.query("ledger", self.account)
            for start in range(0, len(rows), limits.TRANSACTION_OPERATIONS_MAX):
                part = rows[start : start + limits.TRANSACTION_OPERATIONS_MAX]
                await tables.transact("ledger", self.account, [Delete(row.key) for row in part])
            lost.touch()

        async def lines() -> AsyncIterator[bytes]:
            for line in path.read_bytes().splitlines(keepends=True):
                yield line

        key = self._product.container.settings.chain_key
        await self._act("restore", restore(tables, self.account, lines(), key))


def play(
    run: str,
    base: str,
    connection_string: str,
    folder: str,
    deadly: str | None,
    chapters: Sequence[str],
) -> None:
    """A process of its own: plays the story, unless it is killed."""
    place = Path(folder)
    (place / "queue").mkdir(exist_ok=True)
    passage = Passage(place / "points", deadly)

    async def playing() -> None:
        inner = AzureTables(
            connection_string=connection_string,
            connect_seconds=STORE_SECONDS,
            read_seconds=STORE_SECONDS,
        )
        tables = ScenarioTables(inner, passage)
        queue = FolderQueue(place / "queue", passage)
        app = AsyncProduct(tables, queue, ScenarioTopic(place / "events.jsonl", passage))
        outside(app, place, passage)
        name = f"{os.getpid()}-{datetime.now(UTC).timestamp()}"
        with (place / f"{name}.history.jsonl").open("a", encoding="utf-8") as file:
            history = History(file, name)
            scenario = Scenario(run, datetime.fromisoformat(base), app, place, history, chapters)
            await scenario.play(tables)
        await inner.close()

    asyncio.run(playing())
