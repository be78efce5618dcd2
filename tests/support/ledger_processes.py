"""Ledgers of one or more processes on tables that count requests and inject faults."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.ledger.store import TableLedger
from shared.domain.common.errors import OutcomeUnknown, PerminuteError, StoreError
from shared.domain.credits.alerts import AlertRule
from shared.pacing import BulkPace
from shared.ports.ledger import CommitResult
from shared.ports.tables import Operation, Row
from tests.support.ledger import configure, top_up
from tests.support.memory_tables import MemoryTables
from tests.support.product import CountedIds, ManualClock

ACCOUNT = "contoso"
CHAIN_KEY = b"a chain key of the tests, 32 byte"

type Fault = Callable[["FaultyTables", str, Sequence[Operation]], object]


class FaultyTables(MemoryTables):
    """`faults` answer the next transactions on table `ledger`, one each: None lets it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: deque[Fault | None] = deque()
        self.transactions: list[Sequence[Operation]] = []
        self.reads = 0
        self.held_back: list[tuple[str, Sequence[Operation]]] = []

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        self.reads += table == "ledger"
        return await super().get(table, partition, key)

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        if table != "ledger":
            return await super().transact(table, partition, operations)
        self.transactions.append(operations)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            done = fault(self, partition, operations)
            if asyncio.iscoroutine(done):
                await done
        return await super().transact(table, partition, operations)

    async def land(self) -> list[PerminuteError]:
        """Carry out what was held back; what it was refused with."""
        refused: list[PerminuteError] = []
        for partition, operations in self.held_back:
            try:
                await super().transact("ledger", partition, operations)
            except StoreError as error:
                refused.append(error)
        self.held_back.clear()
        return refused


def fails(error: PerminuteError) -> Fault:
    """The request is answered with an error and not carried out."""

    def fault(_: FaultyTables, partition: str, operations: Sequence[Operation]) -> None:
        raise error

    return fault


lost_request = fails(OutcomeUnknown("no answer"))


def lost_reply(tables: FaultyTables, partition: str, operations: Sequence[Operation]) -> object:
    """The request is carried out, its answer is lost."""

    async def carry_out() -> None:
        await MemoryTables.transact(tables, "ledger", partition, operations)
        raise OutcomeUnknown("no answer")

    return carry_out()


def late(tables: FaultyTables, partition: str, operations: Sequence[Operation]) -> None:
    """The request is on its way, and lands when the test says so."""
    tables.held_back.append((partition, operations))
    raise OutcomeUnknown("no answer")


def late_now(tables: FaultyTables, partition: str, operations: Sequence[Operation]) -> object:
    """What was held back lands just before this one."""
    return tables.land()


@dataclass
class LedgerProcess:
    """One ledger store. Two of them on the same tables are two processes of one product."""

    tables: FaultyTables = field(default_factory=FaultyTables)
    clock: ManualClock = field(default_factory=ManualClock)
    name: str = "one"

    def __post_init__(self) -> None:
        ids = CountedIds(self.name)
        due = TableDueMarks(self.tables)
        self.pace = BulkPace(self.clock)
        self.ledger = TableLedger(self.tables, due, self.clock, ids, CHAIN_KEY, self.pace)

    async def open(self, *rules: AlertRule, micros: int = 0) -> "LedgerProcess":
        await self.ledger.submit(ACCOUNT, configure(1, *rules))
        if micros:
            await self.ledger.submit(ACCOUNT, top_up(micros, "opening"))
        self.tables.transactions.clear()
        self.tables.reads = 0
        return self

    async def debits(self) -> list[str]:
        """The legs that were debited, in order, as often as they were."""
        commits = await self.ledger.journal(ACCOUNT, after=0, limit=1_000)
        return [entry.leg for commit in commits for entry in commit.entries if entry.leg]

    async def balance(self) -> int:
        state = await self.ledger.state(ACCOUNT)
        return state.balance_micros if state else 0

    async def sound(self) -> None:
        """The ledger verifies."""
        assert (await self.ledger.verify(ACCOUNT)).problems == ()


def written(outcome: object) -> CommitResult:
    assert isinstance(outcome, CommitResult), outcome
    return outcome
