"""A ledger on memory tables with a clock that is moved by hand, and what goes into it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime

from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.ledger.store import TableLedger
from shared.domain.common.canonical import content_digest
from shared.domain.credits.alerts import AlertRule
from shared.domain.ledger.model import Adjust, Configure, DebitLeg, TopUp
from shared.ports.tables import Row
from tests.support.memory_tables import MemoryTables
from tests.support.product import CountedIds, ManualClock

ACCOUNT = "contoso"
CHAIN_KEY = b"k" * 32
START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


class CountedTables(MemoryTables):
    """Counts the rows that were read."""

    def __init__(self) -> None:
        super().__init__()
        self.rows_read = 0

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        self.rows_read += 1
        return await super().get(table, partition, key)

    async def query(self, *args, **words) -> list[Row]:
        rows = await super().query(*args, **words)
        self.rows_read += len(rows)
        return rows


class StoredLedger:
    """One ledger on tables of its own."""

    def __init__(self, tables: MemoryTables | None = None) -> None:
        self.tables = tables or CountedTables()
        self.clock = ManualClock(START)
        self.ids = CountedIds()
        self.ledger = TableLedger(
            self.tables, TableDueMarks(self.tables), self.clock, self.ids, CHAIN_KEY
        )

    async def open(self, *, credits_micros: int = 100_000_000) -> None:
        rules = (AlertRule("low", below_micros=20_000_000),)
        await self.ledger.submit(ACCOUNT, Configure(1, "USD", 0, rules))
        await self.ledger.submit(ACCOUNT, TopUp("first", "digest", credits_micros))

    async def lived(self) -> None:
        """A ledger with every kind of entry that people and legs make."""
        await self.open()
        await self.ledger.submit(ACCOUNT, Adjust("gift", "digest", 5_000_000, "a gift"))
        for number in range(7):
            self.clock.advance(hours=9)
            await self.ledger.submit(ACCOUNT, leg(number, at=self.clock.now()))
        await self.ledger.submit(ACCOUNT, Adjust("fee", "digest", -1_000_000, "a fee"))


def leg(
    number: int,
    *,
    at: datetime = START,
    amount_micros: int = 98_000,
    to: str = "+442079460000",
    organizer: str = "ken@contoso.com",
) -> DebitLeg:
    """A rated leg to the United Kingdom."""
    charge = {
        "status": "charged",
        "amount": "0.098",
        "billed_seconds": 240,
        "rate": {"card": "default", "destination": "United Kingdom", "prefix": "44"},
    }
    person = {"from": "+33170000000", "to": to, "organizer": organizer, "salt": f"s{number}"}
    return DebitLeg(
        leg=f"local~{number}",
        digest=f"content-{number}",
        amount_micros=amount_micros,
        answered_at=at,
        authorization=None,
        charge=charge,
        person=person,
        charge_digest=content_digest(charge),
        person_digest=content_digest(person),
    )


async def lines(items: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A list as a stream."""
    for item in items:
        yield item


def all_rows(tables: MemoryTables, table: str) -> Sequence[Row]:
    """Every row of a table, as it lies there."""
    partitions = tables._tables.get(table, {})
    return [row for part in partitions.values() for row in part.rows.values()]
