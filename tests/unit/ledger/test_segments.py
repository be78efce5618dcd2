"""Closed days are packed, and a statement reads tens of rows."""

import asyncio
from datetime import UTC, datetime

import pytest

from shared.adapters.ledger.segments import history, pack_until
from shared.domain.ledger.model import TopUp
from shared.usecases.ledger.close_months import add_up_month
from tests.support.stored_ledger import ACCOUNT, CountedTables, StoredLedger, all_rows, leg

LEGS = 30_000
# The figures that docs/ledger.md reports.
ROWS_OF_OPEN_MONTH_MAX = 40
ROWS_OF_CLOSED_MONTH = 4


async def _all_commits(app: StoredLedger) -> list[int]:
    numbers: list[int] = []
    while commits := await history(app.tables, ACCOUNT, after=numbers[-1] if numbers else 0):
        numbers += [commit.number for commit in commits]
    return numbers


async def test_packed_and_unpacked_history_are_equal() -> None:
    app = StoredLedger()
    await app.lived()
    before = [await app.ledger.entry(ACCOUNT, number) for number in range(1, 10)]
    numbers = await _all_commits(app)

    assert await pack_until(app.tables, ACCOUNT, datetime(2026, 1, 17, tzinfo=UTC)) == 1
    assert await pack_until(app.tables, ACCOUNT, datetime(2026, 1, 17, tzinfo=UTC)) == 0
    assert await _all_commits(app) == numbers
    assert await pack_until(app.tables, ACCOUNT, datetime(2026, 2, 1, tzinfo=UTC)) == 1
    assert await _all_commits(app) == numbers
    commits = await history(app.tables, ACCOUNT, after=0)
    entries = [entry for commit in commits for entry in commit.entries]
    assert entries == before[: len(entries)]


@pytest.mark.extended
@pytest.mark.timeout(600)  # writes them all: half a minute
async def test_a_statement_of_many_legs_reads_tens_of_rows() -> None:
    tables = CountedTables()
    app = StoredLedger(tables)
    await app.open(credits_micros=LEGS * 98_000)
    for first in range(0, LEGS, 1_000):
        await asyncio.gather(
            *(
                app.ledger.submit(ACCOUNT, leg(number, at=app.clock.now()))
                for number in range(first, first + 1_000)
            )
        )
    await app.ledger.pack_until(ACCOUNT, datetime(2026, 2, 1, tzinfo=UTC))
    tables.rows_read = 0

    month = await add_up_month(app.ledger, ACCOUNT, "2026-01", "UTC")

    statement = month.statement
    assert statement.by_kind["debit"].count == LEGS
    assert statement.closing_micros == 0
    assert statement.re_adds
    assert tables.rows_read < ROWS_OF_OPEN_MONTH_MAX

    await app.ledger.close_month(ACCOUNT, month)
    tables.rows_read = 0
    assert await app.ledger.closed_month(ACCOUNT, "2026-01") == month
    assert tables.rows_read == ROWS_OF_CLOSED_MONTH


async def test_segments_never_exceed_an_entity() -> None:
    app = StoredLedger()
    await app.open()
    for number in range(300):
        await app.ledger.submit(
            ACCOUNT, TopUp(f"k{number}", "digest", 1, reference=f"{number:0200d}")
        )
    await pack_until(app.tables, ACCOUNT, datetime(2026, 2, 1, tzinfo=UTC))

    sizes = [
        sum(len(value) for value in row.values.values() if isinstance(value, bytes))
        for row in all_rows(app.tables, "ledger")
        if row.key.startswith("segment|")
    ]

    assert sizes
    assert max(sizes) < 900 * 1024
