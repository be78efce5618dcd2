"""Ports that record, refuse, or kill."""

import asyncio
import json
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from shared.adapters.dial_out import rows
from shared.domain.common.errors import OutcomeUnknown, QueueUnavailable
from shared.ports.queues import CallQueue, EventTopic, Message
from shared.ports.tables import Insert, Operation, Row, RowPage, TableStore
from shared.ports.tables import Upsert as Upserted
from tests.faults.app import Delivered
from tests.support.client import Json


class Forwarded(TableStore):
    """Passes everything on: what other stand-ins begin with."""

    def __init__(self, inner: TableStore) -> None:
        self.inner = inner

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """One row."""
        return await self.inner.get(table, partition, key)

    async def query(
        self,
        table: str,
        partition: str,
        *,
        first: str = "",
        after: str | None = None,
        before: str | None = None,
        where: Mapping[str, str] | None = None,
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Rows of a partition."""
        return await self.inner.query(
            table,
            partition,
            first=first,
            after=after,
            before=before,
            where=where,
            select=select,
            limit=limit,
        )

    async def scan(
        self,
        table: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> RowPage:
        """A page of a table."""
        return await self.inner.scan(table, where=where, limit=limit, cursor=cursor)

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        """A transaction."""
        return await self.inner.transact(table, partition, operations)


class Watched(Forwarded):
    """Reports writes whose outcome is not known, and of every commit that places a hold."""

    def __init__(self, inner: TableStore, report: Callable[[Json], None]) -> None:
        super().__init__(inner)
        self._report = report

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        """A transaction, and its report."""
        if table == "holds" and any(_is_grant(operation) for operation in operations):
            self._report({"hold": partition, **_held(operations[0])})
        try:
            return await super().transact(table, partition, operations)
        except OutcomeUnknown:
            first = operations[0]
            values = getattr(first, "values", {})
            self._report({"unknown": table, "account": partition, "id": values.get("commit_id")})
            raise


def _is_grant(operation: Operation) -> bool:
    """A question's guard, or what an extension granted, if it holds money: a call that is free may
    be let through whatever is left."""
    is_row = isinstance(operation, Insert | Upserted) and operation.key.startswith("hold|")
    return is_row and bool(operation.values.get("amount"))


def _held(operation: Operation) -> Json:
    """What a hold book's state row says: its holds, and what there is to pay for them."""
    values = getattr(operation, "values", {})
    state, _, _ = rows.read_state(Row("", "", values, ""))
    return {
        "ledger_commit": state.ledger_commit,
        "balance": state.balance_micros,
        "credit_limit": state.credit_limit_micros,
        "holds": [
            [hold.expires_at.isoformat(), 0 if hold.released else hold.amount_micros]
            for hold in state.holds
        ],
    }


class LocalQueue(CallQueue):
    """A queue in this process that now and then refuses, and delivers more often than once."""

    def __init__(self, chance: random.Random, refusals: float) -> None:
        self._chance = chance
        self.refusals = refusals
        self.is_draining = False
        self._waiting: deque[tuple[datetime | None, Message]] = deque()
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Keeps them, or not."""
        if messages and self._chance.random() < self.refusals:
            self.counts["refused"] += 1
            if self._chance.random() < 0.5:  # they are sent, and the caller gets an error
                self._waiting.extend((at, message) for message in messages)
            raise QueueUnavailable("The queue does not confirm.")
        self._waiting.extend((at, message) for message in messages)

    def take(self, most: int, now: datetime) -> list[Delivered]:
        """What is due, some of it to come again."""
        taken: list[Delivered] = []
        for _ in range(len(self._waiting)):
            at, message = self._waiting.popleft()
            if len(taken) == most or (at is not None and at > now and not self.is_draining):
                self._waiting.append((at, message))
                continue
            taken.append(Delivered(message.body, message.properties))
            if self._chance.random() < 0.2 and not self.is_draining:
                self.counts["delivered again"] += 1
                self._waiting.append((at, message))
        return taken

    def give_back(self, messages: Sequence[Delivered]) -> None:
        """They were not settled."""
        for each in messages:
            properties = {name: str(value) for name, value in each.application_properties.items()}
            self._waiting.append((None, Message("", each.body, properties)))


class FileTopic(EventTopic):
    """Appends to a file that other processes append to, now and then without saying so."""

    def __init__(self, path: Path, chance: random.Random, refusals: float) -> None:
        self._path = path
        self._chance = chance
        self.refusals = refusals

    async def publish(self, messages: Sequence[Message]) -> None:
        """Appends them in order, or raises QueueUnavailable, before or after."""
        fate = self._chance.random()
        if fate < self.refusals / 2:
            raise QueueUnavailable("The topic does not confirm.")
        lines = "".join(message.body.decode() + "\n" for message in messages)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, lines.encode())
        finally:
            os.close(file)
        await asyncio.sleep(0)
        if fate < self.refusals:
            raise QueueUnavailable("The topic does not confirm.")


def events_of(path: Path) -> dict[str, list[Json]]:
    """The ledger's events in the order of publication, by account.

    `available` is as of the publication, so it may differ from one repetition to the next.
    """
    found: dict[str, list[Json]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        event = json.loads(line)
        event["data"].pop("available", None)
        if not event["id"].split(":")[1].startswith("h"):
            found.setdefault(event["data"]["account"], []).append(event)
    return found
