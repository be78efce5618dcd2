"""Any commands to a ledger, in any order, by two processes with caches of their own: it
answers as an independent model of plain lists and fractions does, on both twins of the tables."""

import asyncio
import uuid
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.adapters.clock import RandomIds
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.ledger.store import TableLedger
from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import OutcomeUnknown, Unavailable
from shared.domain.credits.lots import LotKind
from shared.domain.ledger.model import (
    Adjust,
    Command,
    Configure,
    DebitLeg,
    Entry,
    ExpireLot,
    ReverseLeg,
    TopUp,
)
from shared.ports.ledger import CommitResult, IdempotencyConflict
from shared.ports.tables import TableStore
from shared.usecases.ledger.credit_account import opened_lots
from tests.model.ledger_model import LedgerModel
from tests.support.azurite import Azurite
from tests.support.memory_tables import MemoryTables

CHAIN_KEY = b"k" * 32
START = datetime(2027, 11, 20, 10, 0, tzinfo=UTC)
UNIT = 1_000_000
AMOUNTS = st.integers(1, 30 * UNIT)
WHO = st.integers(0, 1)
ANY = st.integers(0, 99)
TRIES_MAX = 5
STORE_SECONDS = 30.0  # nothing fails there: a machine may be busy
SPANS_HOURS = (1, 20, 71, 80, 24 * 31, 24 * 366)


class LedgerMachine(RuleBasedStateMachine):
    """One account, two processes, one model."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.tables = self.new_tables()
        self.account = f"m{uuid.uuid4().hex}"
        self.moment = START
        self.model = LedgerModel()
        self.count = 0
        self.commands: list[tuple[str, Command, Any]] = []
        self.legs: list[DebitLeg] = []
        self.processes = [self.process(), self.process()]
        self.run(self.processes[0].submit(self.account, Configure(1, "USD", 0)))

    def new_tables(self) -> TableStore:
        return MemoryTables()

    def now(self) -> datetime:
        """The clock of both processes."""
        return self.moment

    def process(self) -> TableLedger:
        return TableLedger(self.tables, TableDueMarks(self.tables), self, RandomIds(), CHAIN_KEY)

    def run[Result](self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    def submit(self, who: int, command: Command) -> tuple[Entry | None, bool]:
        """(entry, whether it is a repetition); the model first gets what a late leg
        brought back."""
        before = self.run(self.processes[who].state(self.account))
        assert before is not None
        outcome = self.submitted(who, command)
        assert isinstance(outcome, CommitResult)
        if outcome.entry is not None:
            for number in range(before.entry + 1, outcome.entry.sequence):
                brought = self.run(self.processes[who].entry(self.account, number))
                assert brought is not None
                assert brought.restores_lot
                (draw,) = brought.draws
                amount = Fraction(brought.amount_micros)
                modelled = self.model.revive(draw.lot, amount, self.moment)
                assert modelled["outcome"] == "ok"
        return outcome.entry, outcome.repeated and before.entry >= (
            outcome.entry.sequence if outcome.entry else 0
        )

    def submitted(self, who: int, command: Command) -> CommitResult | IdempotencyConflict:
        """The outcome; without an answer the command is sent again."""
        for _ in range(TRIES_MAX):
            try:
                return self.run(self.processes[who].submit(self.account, command))
            except (OutcomeUnknown, Unavailable):
                continue
        raise AssertionError("There is never an answer.")

    def agree(self, entry: Entry | None, modelled: dict[str, Any]) -> None:
        """The ledger's entry and the model's."""
        assert entry is not None
        expected = modelled["entry"]
        assert (entry.kind, entry.amount_micros) == (expected["kind"], expected["amount"])
        assert (entry.sequence, entry.balance_micros) == (expected["sequence"], expected["balance"])

    def book(self, who: int, key: str, command: Command, body: dict[str, Any], op: str) -> None:
        entry, repeated = self.submit(who, command)
        lot = entry.lot.id if entry and entry.lot else None
        modelled = getattr(self.model, op)(key, body, self.moment, lot=lot)
        assert repeated == (modelled["outcome"] == "first")
        self.agree(entry, modelled)

    @rule(who=WHO, amount=AMOUNTS, days=st.sampled_from([None, 1, 5]))
    def credits_come_in(self, who: int, amount: int, days: int | None) -> None:
        self.count += 1
        kind = LotKind.GRANTED if days else LotKind.PURCHASED
        expires_at = self.moment + timedelta(days=days) if days else None
        key, digest = f"key {self.count}", str(self.count)
        command = TopUp(key, digest, amount, kind, expires_at=expires_at)
        body = {"kind": kind.value, "amount": str(amount)}
        if expires_at:
            body["expires_at"] = expires_at.isoformat()
        self.commands.append((key, command, ("top_up", body)))
        self.book(who, key, command, body, "top_up")

    @rule(who=WHO, amount=AMOUNTS, sign=st.sampled_from([1, -1]))
    def someone_corrects(self, who: int, amount: int, sign: int) -> None:
        self.count += 1
        key, digest = f"key {self.count}", str(self.count)
        command = Adjust(key, digest, sign * amount, "because", allow_overdraft=True)
        body = {"amount": str(sign * amount)}
        self.commands.append((key, command, ("adjust", body)))
        self.book(who, key, command, body, "adjust")

    @precondition(lambda self: self.commands)
    @rule(who=WHO, which=ANY)
    def a_key_comes_again(self, who: int, which: int) -> None:
        key, command, (op, body) = self.commands[which % len(self.commands)]
        self.book(who, key, command, body, op)

    @rule(who=WHO, amount=st.integers(0, 30 * UNIT), hours=st.sampled_from([0, 2, 30, 100]))
    def a_leg_ends(self, who: int, amount: int, hours: int) -> None:
        self.count += 1
        charge, person = {"amount": str(amount)}, {"to": "+442079460000", "salt": str(self.count)}
        leg = DebitLeg(
            leg=f"local~{self.count}",
            digest=str(self.count),
            amount_micros=amount,
            answered_at=self.moment - timedelta(hours=hours),
            authorization=None,
            charge=charge,
            person=person,
            charge_digest=content_digest(charge),
            person_digest=content_digest(person),
        )
        self.legs.append(leg)
        self.charge(who, leg)

    @precondition(lambda self: self.legs)
    @rule(who=WHO, which=ANY)
    def a_leg_is_posted_again(self, who: int, which: int) -> None:
        self.charge(who, self.legs[which % len(self.legs)])

    def charge(self, who: int, leg: DebitLeg) -> None:
        entry, repeated = self.submit(who, leg)
        modelled = self.model.charge(
            leg.leg, leg.digest, Fraction(leg.amount_micros), leg.answered_at, self.moment
        )
        assert repeated == (modelled["outcome"] == "first")
        self.agree(entry, modelled)
        assert entry is not None
        paid = [{"lot": draw.lot, "amount": draw.amount_micros} for draw in entry.draws]
        assert (paid, entry.deficit_micros) == (modelled["funded_by"], modelled["unfunded"])

    @precondition(lambda self: self.legs)
    @rule(who=WHO, which=ANY)
    def a_leg_comes_with_other_content(self, who: int, which: int) -> None:
        leg = self.legs[which % len(self.legs)]
        other = DebitLeg(leg.leg, "other", 1, leg.answered_at, None, {}, {})
        outcome = self.submitted(who, other)
        assert isinstance(outcome, IdempotencyConflict)
        modelled = self.model.charge(leg.leg, "other", Fraction(1), leg.answered_at, self.moment)
        assert modelled["outcome"] == "conflict"

    @precondition(lambda self: self.legs)
    @rule(who=WHO, which=ANY)
    def a_leg_is_taken_back(self, who: int, which: int) -> None:
        leg = self.legs[which % len(self.legs)]
        ledger = self.processes[who]
        record = self.run(ledger.leg(self.account, leg.leg))
        assert record is not None
        lots = self.run(opened_lots(ledger, self.account, record.entry))
        command = ReverseLeg(leg.leg, record.entry, lots, "a mistake")
        entry, repeated = self.submit(who, command)
        lot = entry.lot.id if entry and entry.lot else None
        modelled = self.model.reverse(leg.leg, self.moment, lot=lot)
        assert repeated == (modelled["outcome"] == "first")
        self.agree(entry, modelled)

    @rule(who=WHO)
    def what_is_over_expires(self, who: int) -> None:
        for lot in list(self.model.lots):
            outcome = self.submitted(who, ExpireLot(lot.id, 0))
            assert isinstance(outcome, CommitResult)
            if outcome.entry is not None:
                amount = Fraction(-outcome.entry.amount_micros)
                modelled = self.model.expire(lot.id, self.moment, amount=amount)
                self.agree(outcome.entry, modelled)
            elif self.model.deficit == 0:
                assert self.model.expirable(lot, self.moment) == 0

    @rule(hours=st.sampled_from(SPANS_HOURS))
    def time_passes(self, hours: int) -> None:
        self.moment += timedelta(hours=hours)

    @rule(who=WHO)
    def a_process_starts_again(self, who: int) -> None:
        self.processes[who] = self.process()

    @invariant()
    def lots_and_balance_are_those_of_the_model(self) -> None:
        state = self.run(self.processes[0].state(self.account))
        assert state is not None
        assert (state.balance_micros, state.deficit_micros) == (
            self.model.balance,
            self.model.deficit,
        )
        assert {lot.id: lot.remaining_micros for lot in state.lots} == {
            lot.id: lot.remaining for lot in self.model.lots if lot.remaining
        }
        assert self.model.problems() == []

    def teardown(self) -> None:
        try:
            verified = self.run(self.process().verify(self.account))
            assert verified.problems == ()
            assert verified.entries == len(self.model.entries)
        finally:
            self.close()

    def close(self) -> None:
        self.runner.close()


class FailingMachine(LedgerMachine):
    """On memory, where a write can be made to fail, before or after it is done."""

    @rule(nth=st.integers(1, 3), after=st.booleans())
    def a_write_will_have_no_answer(self, nth: int, after: bool) -> None:
        assert isinstance(self.tables, MemoryTables)
        self.tables.inject(nth, OutcomeUnknown("no answer"), after=after)

    def process(self) -> TableLedger:
        async def at_once(_: float) -> None:
            """No pause between tries."""

        ledger = super().process()
        ledger._committer._pause = at_once
        return ledger

    def teardown(self) -> None:
        assert isinstance(self.tables, MemoryTables)
        self.tables._faults.clear()
        super().teardown()


@pytest.mark.extended
def test_on_tables_in_memory_that_lose_requests_and_answers() -> None:
    run = FailingMachine.TestCase
    run.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
    run().runTest()


@pytest.mark.timeout(180)
def test_on_the_emulator(azurite: Azurite) -> None:
    class Machine(LedgerMachine):
        def new_tables(self) -> TableStore:
            return AzureTables(
                connection_string=azurite.connection_string,
                connect_seconds=STORE_SECONDS,
                read_seconds=STORE_SECONDS,
            )

        def close(self) -> None:
            assert isinstance(self.tables, AzureTables)
            self.run(self.tables.close())
            super().close()

    run = Machine.TestCase
    run.settings = settings(
        max_examples=8,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run().runTest()
