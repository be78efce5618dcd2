"""Hold books of several processes and a ledger on one set of tables, and who watches them."""

import random
from collections.abc import Sequence
from dataclasses import replace

from shared.adapters.bus.backlog import TableBacklog
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.dial_out import rows
from shared.adapters.dial_out.hold_book_store import TableHoldBook
from shared.adapters.ledger.store import TableLedger
from shared.domain.common.canonical import content_digest
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.hold_decisions import Authorise, Granted
from shared.domain.ledger.model import Configure, DebitLeg, TopUp
from shared.ports.holds import ExtendHold, HoldRecord, PlaceHold, StoredDecision
from shared.ports.tables import Operation, Replace, Row
from tests.support.hold_cases import CENT, authorise, longer
from tests.support.memory_tables import MemoryTables
from tests.support.product import CountedIds, ManualClock

ACCOUNT = "contoso"


class WatchedTables(MemoryTables):
    """Records the reads, and checks promise 4 at every commit of a hold book."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.reads: list[str] = []
        self.commits = 0

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        self.reads.append(f"{table} {key}")
        return await super().get(table, partition, key)

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        before = await super().get(table, partition, rows.STATE)
        etags = await super().transact(table, partition, operations)
        if table == rows.TABLE and operations[0].key == rows.STATE:
            self.commits += 1
            old = rows.read_state(before)[0] if before else HoldState()
            new = rows.read_state(_row(partition, operations[0]))[0]
            self._check(old, new)
        return etags

    def _check(self, old: HoldState, new: HoldState) -> None:
        """A commit that holds more than before holds no more than there is, as of its sequence."""
        now = self.clock.now()
        known = {hold.authorization: hold.amount_micros for hold in old.open_holds(now)}
        grows = any(
            hold.amount_micros > known.get(hold.authorization, 0) for hold in new.open_holds(now)
        )
        if grows:
            there_is = new.balance_micros + new.credit_limit_micros
            assert new.held_micros(now) <= there_is, (new.held_micros(now), there_is)


class HoldBooks:
    """One account, a ledger, and a hold book for each process."""

    def __init__(self, processes: int = 1) -> None:
        self.clock = ManualClock()
        self.tables = WatchedTables(self.clock)
        self.ids = CountedIds()
        due = TableDueMarks(self.tables)
        self.ledger = TableLedger(self.tables, due, self.clock, self.ids, b"k" * 32)
        self.backlog = TableBacklog(self.tables, self.clock)
        self.books = [
            TableHoldBook(
                self.tables,
                TableLedger(self.tables, due, self.clock, self.ids, b"k" * 32),
                due,
                TableBacklog(self.tables, self.clock),
                self.clock,
                self.ids,
            )
            for _ in range(processes)
        ]
        self.book = self.books[0]
        self.debits = 0

    async def open(self, credits_micros: int = 100 * CENT, limit_micros: int = 0) -> None:
        await self.ledger.submit(ACCOUNT, Configure(1, "USD", limit_micros))
        if credits_micros:
            await self.top_up(credits_micros)

    async def top_up(self, micros: int) -> None:
        key = f"top-up {self.ids.token(4)}"
        await self.ledger.submit(ACCOUNT, TopUp(key, "digest", micros))

    async def debit(
        self, micros: int, authorization: str | None = None, leg: str | None = None
    ) -> None:
        self.debits += 1
        charge: dict[str, object] = {"amount": str(micros)}
        person: dict[str, object] = {}
        await self.ledger.submit(
            ACCOUNT,
            DebitLeg(
                leg=leg or f"local~{self.debits}",
                digest=f"digest {self.debits}",
                amount_micros=micros,
                answered_at=self.clock.now(),
                authorization=authorization,
                charge=charge,
                person=person,
                charge_digest=content_digest(charge),
                person_digest=content_digest(person),
            ),
        )

    async def authorise(
        self, command: Authorise | None = None, book: TableHoldBook | None = None
    ) -> StoredDecision | object:
        """Place a hold; an `Answered` or a `Denial`."""
        return await (book or self.book).place(ACCOUNT, question(command or authorise()))

    async def extend(
        self, name: str, seconds: int, book: TableHoldBook | None = None
    ) -> Granted | None:
        book = book or self.book
        record = await book.record(ACCOUNT, name)
        assert record is not None
        return await book.extend(ACCOUNT, ExtendHold(longer(name, seconds), record))

    async def audit(self) -> None:
        """A book that never saw anything agrees with what the ledger and the holds say."""
        state = await self.ledger.state(ACCOUNT)
        view = await self.books[-1].view(ACCOUNT)
        assert state is not None
        assert view.balance_micros == state.balance_micros
        assert view.ledger_commit == state.commit


def question(command: Authorise) -> PlaceHold:
    """A question with the answer that is kept for it."""

    def record(granted: Granted) -> HoldRecord:
        hold = granted.hold
        return HoldRecord(
            authorization=command.authorization,
            bridge="local",
            digest="digest",
            answer={"granted_seconds": hold.granted_seconds},
            granted_seconds=hold.granted_seconds,
            pool_seconds=hold.pool_seconds,
            amount_micros=hold.amount_micros,
            expires_at=hold.expires_at,
        )

    return PlaceHold(command, record)


def named(command: Authorise, name: str) -> Authorise:
    return replace(command, authorization=name)


def _row(partition: str, operation: Operation) -> Row:
    assert isinstance(operation, Replace) or hasattr(operation, "values")
    return Row(partition, operation.key, operation.values, "")  # type: ignore[union-attr]


def pick(rng: random.Random, items: Sequence[str]) -> str:
    return items[rng.randrange(len(items))]
