"""Random histories with budgets and a pool: what was promised holds at every commit, and counters
are the sum of what was charged."""

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from shared.adapters.dial_out import rows
from shared.adapters.tables.packing import pack
from shared.domain.common.canonical import content_digest
from shared.domain.dial_out import usage_counters
from shared.domain.dial_out.budgets import BudgetPeriod, Scope
from shared.domain.dial_out.hold_book import HoldState, budget_uses, minute_of
from shared.domain.ledger.model import Configure, DebitLeg, LegCharge, PoolRequest
from shared.ports.holds import StoredDecision
from shared.ports.tables import Row
from tests.support.hold_books import ACCOUNT, HoldBooks, named
from tests.support.hold_cases import CENT, PerMinute, authorise, budget

DAY, MONTH = "2026-11-23", "2026-11"
POOL_SECONDS = 4 * 3600
ORGANIZERS = ("organizer|ann", "organizer|bob")
BUDGET_MICROS = {"": 200 * CENT, ORGANIZERS[0]: 60 * CENT, ORGANIZERS[1]: 90 * CENT}


class Histories(HoldBooks):
    """Three processes whose calls are bounded by budgets, some of them paid from a pool."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(processes=3)
        self.rng = rng
        self.calls: dict[str, tuple[str, bool]] = {}  # authorisation: its organizer, whether pooled
        self.charged: Counter[str] = Counter()
        self.pooled_seconds = 0
        self.checked = 0
        self.tables._check = self._check  # type: ignore[method-assign]

    def bounds(self, organizer: str) -> tuple:
        return (
            budget(BUDGET_MICROS[""], BudgetPeriod.DAY),
            budget(BUDGET_MICROS[organizer], BudgetPeriod.DAY, Scope.ORGANIZER, organizer),
        )

    def _check(self, old: HoldState, new: HoldState) -> None:
        """No commit that holds more brings a budget or the pool beyond what it is."""
        now = self.clock.now()
        known = {hold.authorization: hold for hold in old.open_holds(now)}
        more = [hold for hold in new.open_holds(now) if hold != known.get(hold.authorization)]
        self.checked += bool(more)
        if any(hold.pool_seconds for hold in more):
            reserved = sum(hold.pool_seconds for hold in new.open_holds(now))
            used = sum(seconds for month, seconds in new.pools_used if month == MONTH)
            assert reserved + used <= POOL_SECONDS
        if any(hold.amount_micros for hold in more):
            (use, *_) = budget_uses(new, self.bounds(ORGANIZERS[0])[:1], DAY, now)
            assert use.used_micros <= BUDGET_MICROS[""]
            assert new.held_micros(now) <= new.balance_micros

    async def call(self, number: int) -> None:
        name, organizer = f"au_{number}", self.rng.choice(ORGANIZERS)
        is_pooled = self.rng.random() < 0.4
        command = authorise(
            name,
            self.rng.randrange(60, 900),
            bounds=self.bounds(organizer),
            pool_month=MONTH if is_pooled else None,
            pricing=PerMinute(2 * CENT),
        )
        book = self.rng.choice(self.books)
        answer = await self.authorise(named(command, name), book)
        if isinstance(answer, StoredDecision):
            self.calls[name] = (organizer, is_pooled)

    async def end(self) -> None:
        """A call ends within its grant; what the pool does not pay is two cents a minute."""
        name = self.rng.choice(sorted(self.calls))
        organizer, is_pooled = self.calls.pop(name)
        record = await self.books[0].record(ACCOUNT, name)
        assert record is not None
        talk_seconds = self.rng.randrange(1, record.granted_seconds + 1)
        how = self.rng.choice(("reported", "reported", "released", "late"))
        if how == "released":
            await self.books[0].release(ACCOUNT, name)
        if how == "late":
            await self.books[1].catch_up(ACCOUNT)
        price = PerMinute(2 * CENT)

        def after(seconds: int) -> LegCharge:
            rest = price.hold_micros(max(0, talk_seconds - seconds), seconds)
            return LegCharge(rest, charge, content_digest(charge))

        charge: dict[str, object] = {"leg": name}
        wanted = min(talk_seconds, record.pool_seconds) if is_pooled else 0
        pool_request = PoolRequest(MONTH, wanted, after) if wanted else None
        debit = DebitLeg(
            leg=f"local~{name}",
            digest=name,
            amount_micros=price.hold_micros(talk_seconds, 0),
            answered_at=self.clock.now(),
            authorization=name,
            charge=charge,
            person={},
            charge_digest=content_digest(charge),
            person_digest=content_digest({}),
            pool=pool_request,
        )
        written = await self.ledger.submit(ACCOUNT, debit)
        entry = written.entry
        assert entry is not None
        self.pooled_seconds += entry.pool.seconds if entry.pool else 0
        self.charged[""] -= entry.amount_micros
        self.charged[organizer] -= entry.amount_micros

    async def play(self) -> None:
        await self.ledger.submit(ACCOUNT, Configure(1, "USD", 0, pool_seconds=POOL_SECONDS))
        await self.top_up(10_000 * CENT)
        for turn in range(10):
            await asyncio.gather(*(self.call(10 * turn + number) for number in range(10)))
            for _ in range(self.rng.randrange(1, 8)):
                if self.calls:
                    await self.end()
            self.clock.advance(self.rng.randrange(1, 60))
        while self.calls:
            await self.end()


@pytest.mark.parametrize(
    "seed", [*range(8), *(pytest.param(n, marks=pytest.mark.extended) for n in range(8, 25))]
)
def test_budgets_and_pool_hold_at_every_commit_and_counters_are_what_was_charged(seed: int) -> None:
    books = Histories(random.Random(seed))

    async def history() -> None:
        await books.play()
        view = await books.books[2].view(ACCOUNT, scopes=ORGANIZERS)
        now = books.clock.now()
        assert view.open_holds(now) == ()
        assert dict(view.pools_used).get(MONTH, 0) == books.pooled_seconds <= POOL_SECONDS
        for key in BUDGET_MICROS:
            spent = view.counters_of(key).spent_micros(
                BudgetPeriod.DAY, DAY, minute_of(now), running=False
            )
            assert spent == books.charged[key]
        assert (await books.ledger.verify(ACCOUNT)).problems == ()

    asyncio.run(history())
    assert books.checked > 10


def test_rows_of_the_schema_before_are_read() -> None:
    old = ["2026-11-23", 5, "2026-11", 9, 7, 2, [[7, 1]], [[7, 2]], ["FR"]]
    row = Row(ACCOUNT, "spend|organizer|ken", {"schema": 1, **pack("data", old)}, "etag")
    read = rows.read_spend(row)
    assert (read.days, read.months) == ((("2026-11-23", 5),), (("2026-11", 9),))
    assert (read.placed, read.regions, read.warned) == (((7, 1),), ("FR",), ())
    unused = Row(
        ACCOUNT, row.key, {"schema": 1, **pack("data", ["", 0, "", 0, 0, 0, [], [], []])}, "etag"
    )
    assert rows.read_spend(unused) == usage_counters.Counters()


def test_the_counters_survive_their_row() -> None:
    """What is written is what is read, however much there is of it."""
    books = Histories(random.Random(1))
    asyncio.run(books.play())

    async def read() -> HoldState:
        row = await books.tables.get(rows.TABLE, ACCOUNT, rows.STATE)
        assert row is not None
        state, commit, _ = rows.read_state(row)
        values = rows.state_values(state, commit, "id")
        again, *_ = rows.read_state(replace(row, values=values))
        assert again == state
        return state

    assert asyncio.run(read()).counters.regions == ("FR",)
