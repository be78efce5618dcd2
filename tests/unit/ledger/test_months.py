"""Closed months have a row each, which says what the journal says, and never changes."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.adapters.ledger.restore import export, restore
from shared.domain.common.errors import LedgerCorrupt, OutcomeUnknown
from shared.domain.ledger.model import Adjust
from shared.ports.tables import Row, Upsert
from shared.usecases.ledger.close_months import close_months
from tests.support.credits_app import PATH, CreditsApp
from tests.support.memory_tables import MemoryTables
from tests.support.stored_ledger import ACCOUNT, CHAIN_KEY, CountedTables, StoredLedger, leg, lines

JANUARY = "month|2026-01"
MARCH = datetime.fromisoformat("2026-03-01T02:00Z")


async def _lived(tables: MemoryTables | None = None) -> StoredLedger:
    """Things happened in January and February; it is March."""
    app = StoredLedger(tables)
    await app.lived()
    app.clock.advance(days=20)
    await app.ledger.submit(ACCOUNT, leg(50, at=app.clock.now()))
    app.clock.moment = MARCH
    return app


async def _close(app: StoredLedger) -> int:
    return await close_months(app.ledger, ACCOUNT, "UTC", app.clock.now())


async def _months(app: StoredLedger) -> dict[str, Row]:
    found = await app.tables.query("ledger", ACCOUNT, first="month|", before="month}")
    return {row.key: row for row in found}


async def test_a_month_row_reports_what_happened_and_where_it_ends() -> None:
    app = await _lived()

    assert await _close(app) == 2

    january = await app.ledger.closed_month(ACCOUNT, "2026-01")
    february = await app.ledger.closed_month(ACCOUNT, "2026-02")
    assert january is not None
    assert february is not None
    assert january.statement.re_adds
    assert january.statement.opening_micros == 0
    assert january.statement.by_kind["debit"].count == 7
    assert (january.statement.first_entry, january.statement.last_entry) == (1, 10)
    assert january.head == await app.ledger.head_at(ACCOUNT, january.last)
    assert (february.after, february.statement.opening_micros) == (
        january.last,
        january.statement.closing_micros,
    )
    assert (await app.ledger.verify(ACCOUNT)).problems == ()


async def test_closed_again_at_once_or_after_a_crash_the_rows_are_the_same() -> None:
    app = await _lived()
    await asyncio.gather(_close(app), _close(app), _close(app))
    rows = await _months(app)

    assert await _close(app) == 0
    assert await _months(app) == rows

    again = await _lived(_LosesTheFirstReply())
    with pytest.raises(OutcomeUnknown):
        await _close(again)
    assert await _close(again) == 1
    assert _values(await _months(again)) == _values(rows)


class _LosesTheFirstReply(CountedTables):
    """The first month row is written, and no one hears of it."""

    is_lost = False

    async def transact(self, table: str, partition: str, operations: Any) -> tuple[str, ...]:
        done = await super().transact(table, partition, operations)
        if operations[0].key.startswith("month|") and not self.is_lost:
            self.is_lost = True
            raise OutcomeUnknown("no answer")
        return done


def _values(rows: dict[str, Row]) -> dict[str, object]:
    return {key: row.values for key, row in rows.items()}


async def test_a_late_correction_leaves_the_closed_month_as_it_is() -> None:
    app = await _lived()
    await _close(app)
    rows = await _months(app)

    await app.ledger.submit(ACCOUNT, Adjust("late", "digest", -5, "of a leg in January"))
    app.clock.advance(days=40)

    assert await _close(app) == 1
    assert {key: row for key, row in (await _months(app)).items() if key in rows} == rows
    assert (await app.ledger.verify(ACCOUNT)).problems == ()


async def test_a_month_is_not_closed_while_clocks_may_differ_about_its_end() -> None:
    app = await _lived()
    app.clock.moment = datetime.fromisoformat("2026-03-01T00:59:59Z")
    assert await _close(app) == 1
    assert list(await _months(app)) == [JANUARY]


@pytest.mark.parametrize("field", ["opening", "closing", "after", "last"])
async def test_a_changed_month_row_is_named_and_its_statement_refused(field: str) -> None:
    app = await _lived()
    await _close(app)
    row = (await _months(app))["month|2026-02"]
    changed = {**row.values, field: int(str(row.values[field])) - 1}
    await app.tables.transact("ledger", ACCOUNT, [Upsert(row.key, changed)])

    problems = (await app.ledger.verify(ACCOUNT)).problems

    assert f"month|2026-02: {field}: is not what the journal adds up to" in problems
    with pytest.raises(LedgerCorrupt):
        await app.ledger.closed_month(ACCOUNT, "2026-02")


@pytest.mark.parametrize("kind", ["month", "segment"])
async def test_the_night_holds_what_it_has_just_written_against_the_journal(kind: str) -> None:
    """Also of commits that an earlier night verified; what it found sound it reads no more."""
    tables = CountedTables()
    app = await _lived(tables)
    assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()
    await app.ledger.submit(ACCOUNT, leg(51, at=app.clock.now()))
    await app.ledger.pack_until(ACCOUNT, MARCH)
    await _close(app)
    found = await tables.query("ledger", ACCOUNT, first=f"{kind}|", before=f"{kind}}}")

    for row in found:
        for name, edit in (("data", '{"entries":[1,2]}'), ("data0", b"x"), ("head", "0" * 64)):
            if name in row.values:
                changed = {**row.values, name: edit}
                await tables.transact("ledger", ACCOUNT, [Upsert(row.key, changed)])
                problems = (await app.ledger.verify(ACCOUNT, resume=True)).problems
                assert any(each.startswith(f"{row.key}: ") for each in problems), (row.key, name)
        await tables.transact("ledger", ACCOUNT, [Upsert(row.key, row.values)])

    assert found
    assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()
    tables.rows_read = 0
    assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()
    assert tables.rows_read <= 3  # checkpoint, head of the days, state


async def test_a_month_row_of_a_newer_version_is_not_guessed_at() -> None:
    app = await _lived()
    await _close(app)
    row = (await _months(app))[JANUARY]
    await app.tables.transact("ledger", ACCOUNT, [Upsert(JANUARY, {**row.values, "schema": 99})])

    with pytest.raises(LedgerCorrupt, match="schema 99"):
        await app.ledger.closed_month(ACCOUNT, "2026-01")
    assert any(each.startswith(JANUARY) for each in (await app.ledger.verify(ACCOUNT)).problems)


async def test_a_restored_ledger_gets_the_same_month_rows_at_night() -> None:
    app = await _lived()
    await _close(app)
    after = StoredLedger()
    after.clock.moment = MARCH
    exported = [line async for line in export(app.tables, ACCOUNT)]
    await restore(after.tables, ACCOUNT, lines(exported), CHAIN_KEY)

    await _close(after)

    for month in ("2026-01", "2026-02"):
        first, again = [await each.ledger.closed_month(ACCOUNT, month) for each in (app, after)]
        assert first is not None
        assert again is not None
        assert set(first.statement.by_organizer) == {"ken@contoso.com"}
        assert set(again.statement.by_organizer) == {""}  # persons are not in exports
        first.statement.by_organizer = again.statement.by_organizer
        assert first == again


def _app_of_a_month() -> CreditsApp:
    """An account whose month is over, before and after the night was closed."""
    app = CreditsApp(CountedTables())
    app.open(time_zone="Europe/Paris")
    for _ in range(40):
        app.clock.moment += timedelta(minutes=7)
        app.spend("0.10")
    return app


def test_the_night_closes_a_month_and_its_statement_is_the_same_from_its_row() -> None:
    app = _app_of_a_month()
    month = f"{app.clock.moment:%Y-%m}"
    app.clock.moment += timedelta(days=40)
    before = app.get(f"{PATH}/statements/{month}").json
    assert app.run(app.container.audit_ledgers()).problems == []
    app.tables.rows_read = 0

    after = app.get(f"{PATH}/statements/{month}").json

    assert after == before
    assert after["re_adds"]
    assert app.tables.rows_read <= 6  # the month's row, the journal at its ends, the directory
    app.verified()


def test_in_another_time_zone_the_month_is_added_up_again() -> None:
    app = _app_of_a_month()
    month = f"{app.clock.moment:%Y-%m}"
    app.clock.moment += timedelta(days=40)
    assert app.run(app.container.audit_ledgers()).problems == []
    row = app.run(app.tables.get("ledger", ACCOUNT, f"month|{month}"))
    assert row.values["time_zone"] == "Europe/Paris"

    app.change(time_zone="Asia/Tokyo")
    app.clock.moment += timedelta(minutes=1)

    assert app.get(f"{PATH}/statements/{month}").json["re_adds"]
    app.verified()
