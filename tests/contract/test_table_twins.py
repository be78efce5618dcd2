"""The memory twin against the emulator: the same random history, the same answers and rows."""

import asyncio
import uuid
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common.errors import StoreError
from shared.ports.tables import Delete, Insert, Operation, Replace, TableStore, Upsert
from tests.support.azurite import Azurite
from tests.support.memory_tables import MemoryTables

KEYS = ["a", "b", "c", "c|1", "c}", "é"]
VERSIONS = ["current", "older", "never"]
NEVER = "W/\"datetime'2001-01-01T00%3A00%3A00.0000000Z'\""


@dataclass(frozen=True)
class Step:
    """An operation whose ETag is named by its age, since the stores number versions differently."""

    kind: str
    key: str
    number: int
    version: str


STEPS = st.builds(
    Step,
    st.sampled_from(["insert", "replace", "upsert", "delete", "delete any"]),
    st.sampled_from(KEYS),
    st.integers(0, 3),
    st.sampled_from(VERSIONS),
)
TRANSACTIONS = st.lists(STEPS, min_size=1, max_size=4, unique_by=lambda step: step.key)
HISTORIES = st.lists(TRANSACTIONS, min_size=1, max_size=25)


class Driver:
    """Plays a history on one store, and remembers which ETags were given out for a key."""

    def __init__(self, store: TableStore, table: str) -> None:
        self.store = store
        self.table = table
        self.given: dict[str, list[str]] = {}

    async def play(self, transaction: list[Step]) -> tuple[str, int]:
        """("written", 0), or the name of the error and its index."""
        operations = [self.operation(step) for step in transaction]
        try:
            etags = await self.store.transact(self.table, "p", operations)
        except StoreError as error:
            return type(error).__name__, error.index
        for step, etag in zip(transaction, etags, strict=True):
            if etag:
                self.given.setdefault(step.key, []).append(etag)
        return "written", 0

    def operation(self, step: Step) -> Operation:
        values = {"n": step.number, "text": "x" if step.number % 2 else "y"}
        match step.kind:
            case "insert":
                return Insert(step.key, values)
            case "replace":
                return Replace(step.key, values, self.etag(step))
            case "upsert":
                return Upsert(step.key, values)
            case "delete":
                return Delete(step.key, self.etag(step))
        return Delete(step.key)

    def etag(self, step: Step) -> str:
        given = self.given.get(step.key, [])
        if step.version == "current" and given:
            return given[-1]
        if step.version == "older" and len(given) > 1:
            return given[-2]
        return NEVER

    async def rows(self) -> list[list[tuple[str, dict[str, object], bool]]]:
        """What several reads find; of each row whether its version is the last that was given."""
        reads = [
            await self.store.query(self.table, "p"),
            await self.store.query(self.table, "p", where={"text": "x"}),
            await self.store.query(self.table, "p", first="b", before="c}", limit=2),
            await self.store.query(self.table, "p", after="c", select=["n"]),
            list((await self.store.scan(self.table, limit=3)).rows),
        ]
        return [
            [(row.key, dict(row.values), row.etag == self.given[row.key][-1]) for row in read]
            for read in reads
        ]


@given(history=HISTORIES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_twins_give_the_same_answers_to_any_history(
    azurite: Azurite, history: list[list[Step]]
) -> None:
    async def check() -> None:
        table = f"t{uuid.uuid4().hex}"
        azure = AzureTables(connection_string=azurite.connection_string)
        try:
            real, memory = Driver(azure, table), Driver(MemoryTables(), table)
            for transaction in history:
                assert await real.play(transaction) == await memory.play(transaction)
            assert await real.rows() == await memory.rows()
        finally:
            await azure.close()

    asyncio.run(check())
