"""Balances as of a time, entries by number, and months that re-add."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from shared.domain.common.errors import Invalid, LedgerCorrupt
from shared.domain.credits.lots import Lot, LotKind
from shared.domain.ledger.model import ReverseLeg, SettledDebit
from shared.domain.ledger.statements import month_of, month_span, requested_month_span
from shared.usecases.ledger.close_months import add_up_month
from tests.support.stored_ledger import ACCOUNT, START, StoredLedger, leg


async def test_the_balance_as_of_any_time_is_that_of_the_last_commit_before_it() -> None:
    app = StoredLedger()
    await app.lived()

    commits = await app.ledger.journal(ACCOUNT, after=0, limit=100)
    for commit, following in pairwise(commits):
        if following.at > commit.at:
            found = await app.ledger.commit_at(ACCOUNT, commit.at)
            assert found is not None
            assert found.balance_micros == commit.balance_micros
    assert await app.ledger.commit_at(ACCOUNT, datetime(2020, 1, 1, tzinfo=UTC)) is None
    last = await app.ledger.commit_at(ACCOUNT, datetime(2030, 1, 1, tzinfo=UTC))
    assert last == commits[-1]


async def test_every_entry_is_found_by_its_number() -> None:
    app = StoredLedger()
    await app.lived()
    commits = await app.ledger.journal(ACCOUNT, after=0, limit=100)
    entries = [entry for commit in commits for entry in commit.entries]

    found = [await app.ledger.entry(ACCOUNT, entry.sequence) for entry in entries]

    assert found == entries
    assert await app.ledger.entry(ACCOUNT, len(entries) + 1) is None


async def test_what_a_hold_book_reads_of_a_journal_is_what_its_entries_say() -> None:
    app = StoredLedger()
    await app.lived()
    legs = [leg(number, at=app.clock.now()) for number in range(100, 160)]
    legs = [replace(each, authorization=f"au_{each.leg}") for each in legs]
    await asyncio.gather(*(app.ledger.submit(ACCOUNT, each) for each in legs))
    record = await app.ledger.leg(ACCOUNT, legs[7].leg)
    assert record is not None
    lots = tuple(Lot(draw.lot, LotKind.GRANTED, 1, 1, START, None) for draw in record.entry.draws)
    await app.ledger.submit(ACCOUNT, ReverseLeg(record.leg, record.entry, lots, "a bad line"))
    commits = await app.ledger.journal(ACCOUNT, after=0, limit=100)
    assert commits[-1].entries[0].authorization == legs[7].authorization
    for after in (0, 3, commits[-1].number - 1, commits[-1].number):
        expected = [
            SettledDebit(
                entry.authorization,
                entry.leg,
                -entry.amount_micros,
                corrects=not entry.is_first_debit,
            )
            for commit in commits[after:]
            for entry in commit.entries
            if entry.leg is not None
        ]

        found = await app.ledger.posted(ACCOUNT, after=after, until=commits[-1].number)

        assert found == expected
    with pytest.raises(LedgerCorrupt):
        await app.ledger.posted(ACCOUNT, after=0, until=commits[-1].number + 1)


async def test_a_month_re_adds_to_the_balance() -> None:
    app = StoredLedger()
    await app.lived()

    statement = (await add_up_month(app.ledger, ACCOUNT, "2026-01", "UTC")).statement

    state = await app.ledger.state(ACCOUNT)
    assert state is not None
    assert statement.re_adds
    assert statement.closing_micros == state.balance_micros
    assert statement.by_kind["debit"].count == 7
    assert statement.by_destination["United Kingdom"].seconds == 7 * 240


@pytest.mark.parametrize(
    ("month", "zone", "start", "end"),
    [
        ("2026-01", "UTC", "2026-01-01T00:00Z", "2026-02-01T00:00Z"),
        ("2026-12", "UTC", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
        ("2026-03", "Europe/Paris", "2026-02-28T23:00Z", "2026-03-31T22:00Z"),
        ("2024-02", "Asia/Tokyo", "2024-01-31T15:00Z", "2024-02-29T15:00Z"),
    ],
)
def test_a_month_is_that_of_the_accounts_zone(month: str, zone: str, start: str, end: str) -> None:
    expected = tuple(datetime.fromisoformat(text) for text in (start, end))

    assert month_span(month, zone) == expected
    assert month_of(expected[0], zone) == month
    assert month_of(START, "UTC") == "2026-01"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2026",
            "2026-13",
            "x",
            "2026-00",
            "2026-1-1",
            "",
            "2026-1",
            "26-01",
            " 2026-01",
            "2026-01 ",
        ),
        *("2026-+1", "２０２６-01", "2026-01\n", "0001-01", "1969-12", "9999-12"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "Pacific/Honolulu"])
def test_what_is_no_month_is_refused(text: str, zone: str) -> None:
    with pytest.raises(Invalid) as refused:
        requested_month_span(text, zone)
    assert refused.value.code == "month_invalid"
