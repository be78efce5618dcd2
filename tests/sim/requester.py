"""Requests to the product's processes, and their history in the shapes of the auditor."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from shared.bootstrap.composition import Container
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import OutcomeUnknown, PerminuteError, StoreError, Unavailable
from tests.sim.deployment import Deployment, finished

ACCOUNTS = ("contoso", "fabrikam", "northwind")
PATIENCE_SECONDS = 35.0

type Json = dict[str, Any]
type Act = Callable[[Container], Awaitable[Any]]


class Requester:
    """Sends requests to processes in a run, and records the history."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.scheduler = deployment.scheduler
        self.rng = deployment.scheduler.rng
        self.history: list[Json] = []
        self.accounts = list(ACCOUNTS[: self.rng.randint(1, 3)])
        self.count = 0

    # ---- requests and their outcomes

    async def request(
        self, op: str, account: str, request: Json, act: Act, *, tries: int = 1
    ) -> Json:
        """Call a process, patiently; again with the same key while the outcome is unknown."""
        record: Json = {}
        for _ in range(tries):
            record = await self.request_once(op, account, request, act)
            self.history.append(record)
            if record["outcome"] != "info":
                break
            await asyncio.sleep(self.rng.uniform(0.5, 5))
        return record

    async def request_once(self, op: str, account: str, request: Json, act: Act) -> Json:
        record: Json = {"op": op, "account": account, "request": request}
        record |= {"began": self.time(), "outcome": "info", "result": None}
        alive = [each for each in self.deployment.webs if not each.is_dead]
        if alive:
            process = self.rng.choice(alive)

            async def run() -> Any:
                return await act(process.app)

            task = process.spawn(op, run())
            if await finished(task, process, PATIENCE_SECONDS):
                record |= self._outcome(op, task)
        record["at"] = self.time()
        if self.scheduler.is_logged:
            self.scheduler.note(f"{op} {account} {record['outcome']}")
        return record

    def _outcome(self, op: str, task: asyncio.Task[Any]) -> Json:
        error = task.exception()
        if error is None:
            return {"outcome": "ok", "result": task.result()}
        if isinstance(error, OutcomeUnknown | Unavailable):
            return {}
        if isinstance(error, StoreError) or not isinstance(error, PerminuteError):
            self.deployment.escaped.append(f"{op}: {error!r}")
            return {}
        self.scheduler.note(f"  {op} refused: {error.code}")
        return {} if error.code == "ledger_corrupt" else {"outcome": "fail", "code": error.code}

    def time(self) -> str:
        return format_time(self.scheduler.now())

    def next(self) -> int:
        self.count += 1
        return self.count
