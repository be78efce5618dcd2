"""The hold book in its tables: what it reads and when, what is kept, what bites at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.adapters.bus.backlog import TableBacklog
from shared.adapters.dial_out import rows as hold_rows
from shared.domain.common import limits
from shared.domain.common.errors import LedgerCorrupt, OutcomeUnknown, StoreUnavailable
from shared.domain.dial_out.budgets import Scope, Velocity
from shared.domain.dial_out.facts import Denial
from shared.ports.holds import DialOutControl, ExtendHold, HoldRecord, StoredDecision
from shared.ports.tables import Row, Value
from tests.support.hold_books import ACCOUNT, HoldBooks, named
from tests.support.hold_cases import (
    CENT,
    SLICE,
    BudgetPeriod,
    Limit,
    authorise,
    budget,
    longer,
    velocity,
)

ORGANIZER = "organizer|ken"


def play(
    scenario: Callable[[HoldBooks], Awaitable[None]], processes: int = 1, cents: int = 100
) -> HoldBooks:
    """Run a story on hold books of its own."""
    books = HoldBooks(processes)

    async def run() -> None:
        await books.open(cents * CENT)
        await scenario(books)

    asyncio.run(run())
    return books


def test_a_view_younger_than_two_seconds_answers_with_one_round_trip() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise(named(authorise(), "au_1"))
        books.clock.advance(limits.HOLD_VIEW_SECONDS_MAX)
        books.tables.reads.clear()
        await books.authorise(named(authorise(), "au_2"))
        assert books.tables.reads == []

    play(scenario)


def test_an_older_view_catches_up_first() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise(named(authorise(), "au_1"))
        await books.debit(3 * CENT, "au_1")
        books.clock.advance(limits.HOLD_VIEW_SECONDS_MAX + 0.1)
        await books.authorise(named(authorise(), "au_2"))
        view = await books.book.view(ACCOUNT, fresh=False)
        assert [hold.authorization for hold in view.holds] == ["au_2"]
        assert view.balance_micros == 97 * CENT

    play(scenario)


def test_a_denial_for_lack_of_credit_is_never_given_from_a_view_that_is_not_caught_up() -> None:
    async def scenario(books: HoldBooks) -> None:
        assert isinstance(await books.authorise(), StoredDecision)
        assert isinstance(await books.authorise(named(authorise(), "au_2")), Denial)
        await books.top_up(15 * CENT)
        assert isinstance(await books.authorise(named(authorise(), "au_2")), StoredDecision)

    play(scenario, cents=15)


def test_a_call_is_never_cut_short_by_a_view_that_is_not_caught_up() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise(named(authorise(seconds=300), "au_1"))
        await books.top_up(200 * CENT)
        answer = await books.authorise(named(authorise(), "au_2"))
        assert isinstance(answer, StoredDecision)
        assert answer.record.granted_seconds == SLICE
        await books.top_up(200 * CENT)
        await books.extend("au_1", 20_000)
        record = await books.book.record(ACCOUNT, "au_1")
        assert record is not None
        assert record.granted_seconds == 20_000

    play(scenario, cents=15)


def test_what_another_process_freed_is_seen_before_someone_is_refused() -> None:
    async def scenario(books: HoldBooks) -> None:
        first, second = books.books
        assert isinstance(await books.authorise(book=first), StoredDecision)
        assert isinstance(await books.authorise(named(authorise(), "au_2"), second), Denial)
        await first.release(ACCOUNT, "au_1")
        assert isinstance(await books.authorise(named(authorise(), "au_2"), second), StoredDecision)

    play(scenario, processes=2, cents=15)


def test_a_top_up_that_waits_for_its_refresh_is_seen_in_the_state_row() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise()
        await books.top_up(CENT)
        await books.book.catch_up(ACCOUNT)
        row = await books.tables.get("holds", ACCOUNT, "state")
        state = await books.ledger.state(ACCOUNT)
        assert row is not None
        assert state is not None
        assert row.values["ledger_commit"] == state.commit

    play(scenario)


def test_a_refresh_writes_only_where_a_hold_is_settled_and_once_a_second() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise()

        async def commits_of_refresh() -> int:
            before = books.tables.commits
            books.book.refresh_async(ACCOUNT)
            books.book.refresh_async(ACCOUNT)
            while books.book._refreshes:
                await asyncio.sleep(0)
            return books.tables.commits - before

        await books.debit(CENT)
        assert await commits_of_refresh() == 0
        await books.debit(CENT, "au_1")
        assert await commits_of_refresh() == 0, "less than a second ago"
        books.clock.advance(1)
        assert await commits_of_refresh() == 1
        assert (await books.book.view(ACCOUNT, fresh=False)).holds == ()

    play(scenario)


def test_the_same_question_is_answered_once_whatever_happened_since() -> None:
    async def scenario(books: HoldBooks) -> None:
        first = await books.authorise()
        await books.debit(15 * CENT, "au_1")
        again = await books.authorise(named(authorise(seconds=60), "au_1"))
        assert isinstance(first, StoredDecision)
        assert isinstance(again, StoredDecision)
        assert (again.repeated, again.record) == (True, first.record)

    play(scenario, cents=15)


def test_an_extension_is_kept_beside_the_answer() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise()
        granted = await books.extend("au_1", 1200)
        record = await books.book.record(ACCOUNT, "au_1")
        assert granted is not None
        assert record is not None
        assert record.granted_seconds == granted.hold.granted_seconds == 1200
        assert record.expires_at == granted.hold.expires_at
        assert record.amount_micros == 20 * CENT
        assert record.answer == {"granted_seconds": SLICE}
        assert await books.extend("au_1", 1200) is not None
        assert books.tables.commits == 2

    play(scenario)


def test_two_extensions_at_once_end_with_the_longer_one() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise()
        await asyncio.gather(*(books.extend("au_1", seconds) for seconds in (1500, 1800, 1200)))
        record = await books.book.record(ACCOUNT, "au_1")
        assert record is not None
        assert record.granted_seconds == 1800

    play(scenario)


def test_no_extension_is_promised_by_one_that_was_not_kept() -> None:
    """Of two in one group the shorter has nothing to do, once the longer one is there."""

    async def scenario(books: HoldBooks) -> None:
        await books.authorise()
        record = await books.book.record(ACCOUNT, "au_1")
        assert record is not None
        requested = [ExtendHold(longer("au_1", seconds), record) for seconds in (1800, 1200)]
        books.tables.inject(1, StoreUnavailable("busy"), kind="transact")
        answers = await asyncio.gather(
            *(books.book.extend(ACCOUNT, each) for each in requested), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [StoreUnavailable] * 2

        again = await asyncio.gather(*(books.book.extend(ACCOUNT, each) for each in requested))
        assert [each.hold.granted_seconds for each in again if each] == [1800, 1800]

    play(scenario)


def test_the_release_of_what_holds_nothing_changes_nothing() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise()
        await books.book.keep(ACCOUNT, HoldRecord("au_2", "local", "d", {"decision": "deny"}))
        before = await books.book.view(ACCOUNT)
        for name in ("au_2", "au_3"):
            await books.book.release(ACCOUNT, name)
        assert (await books.book.view(ACCOUNT)).holds == before.holds

    play(scenario)


def test_a_stop_bites_on_every_process_with_its_next_question() -> None:
    async def scenario(books: HoldBooks) -> None:
        first, second = books.books
        await books.authorise(book=second)
        assert await first.switch(ACCOUNT, DialOutControl(stop="odd calls"))
        denied = await books.authorise(named(authorise(), "au_2"), second)
        assert isinstance(denied, Denial)
        assert denied.reason == "dial_out_stopped"
        assert not await second.switch(ACCOUNT, DialOutControl(stop="odd calls"))
        assert await second.switch(ACCOUNT, DialOutControl(stop=""))
        assert isinstance(await books.authorise(named(authorise(), "au_2"), first), StoredDecision)

    play(scenario, processes=2)


def test_a_suspended_account_is_denied_on_every_process() -> None:
    async def scenario(books: HoldBooks) -> None:
        first, second = books.books
        await books.authorise(book=second)
        await first.switch(ACCOUNT, DialOutControl(suspended=True))
        denied = await books.authorise(named(authorise(), "au_2"), second)
        assert isinstance(denied, Denial)
        assert denied.reason == "account_suspended"

    play(scenario, processes=2)


def test_the_stop_is_reported_once_and_a_mark_makes_sure_of_it() -> None:
    async def scenario(books: HoldBooks) -> None:
        bound = velocity(cost_per_ten_minutes_micros=15 * CENT)
        answer = await books.authorise(authorise(bounds=(bound,)))
        assert isinstance(answer, StoredDecision)
        assert answer.events
        rows = await books.book.outbox(ACCOUNT, limit=10)
        assert [event.type for row in rows for event in row.events] == ["dial_out.stopped"]
        await books.book.published(ACCOUNT, rows[0].commit)
        await books.book.published(ACCOUNT, rows[0].commit)
        assert await books.book.outbox(ACCOUNT, limit=10) == []

    play(scenario)


def test_counters_of_an_organizer_are_written_with_the_hold_and_read_by_others() -> None:
    bounds = (
        Limit(Scope.ORGANIZER, ORGANIZER, "ken", velocity=Velocity(None, 2)),
        budget(9 * CENT, BudgetPeriod.DAY, Scope.ORGANIZER, ORGANIZER),
    )

    async def scenario(books: HoldBooks) -> None:
        first, second = books.books
        await books.authorise(named(authorise(seconds=60, bounds=bounds), "au_1"), first)
        await books.debit(8 * CENT, "au_1")
        allowed = await books.authorise(named(authorise(bounds=bounds), "au_2"), second)
        assert isinstance(allowed, StoredDecision)
        assert allowed.record.granted_seconds == 60
        await second.release(ACCOUNT, "au_2")
        denied = await books.authorise(named(authorise(bounds=bounds), "au_3"), first)
        assert isinstance(denied, Denial)
        assert denied.reason == "velocity_exceeded"

    play(scenario, processes=2)


def test_charges_of_scopes_without_requests_are_posted_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "UNPOSTED_CHARGES_MAX", 20)

    async def scenario(books: HoldBooks) -> None:
        first, second = books.books
        for number in range(30):
            bounds = (budget(10**9, BudgetPeriod.DAY, Scope.ORGANIZER, f"organizer|{number}"),)
            await books.authorise(
                named(authorise(seconds=60, bounds=bounds), f"au_{number}"), first
            )
        for number in range(15):
            await books.debit(CENT, f"au_{number}")
        assert len((await second.view(ACCOUNT)).unposted) == 15
        for number in range(15, 30):
            await books.debit(CENT, f"au_{number}")
        await second.catch_up(ACCOUNT)
        view = await second.view(ACCOUNT, scopes=["organizer|7", "organizer|29"])
        assert view.unposted == ()
        for number in (7, 29):
            assert view.counters_of(f"organizer|{number}").days == (("2026-11-23", CENT),)

    play(scenario, processes=2)


def test_while_the_queue_is_behind_no_hold_expires() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise()
        books.clock.advance(SLICE + 1020)
        await books.backlog.seen(400)
        assert isinstance(await books.authorise(named(authorise(), "au_2"), books.books[1]), Denial)
        await books.backlog.seen(3)
        books.clock.advance(limits.BACKLOG_READ_SECONDS)
        assert isinstance(
            await books.authorise(named(authorise(), "au_2"), books.books[1]), StoredDecision
        )

    play(scenario, processes=2, cents=15)


def test_a_backlog_that_no_one_repeats_is_forgotten() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.backlog.seen(400)
        books.clock.advance(limits.BACKLOG_KEPT_SECONDS)
        assert await books.backlog.seconds() == 0

    play(scenario)


def test_a_process_that_debits_reads_whether_a_call_was_requested_in_the_last_minute() -> None:
    async def scenario(books: HoldBooks) -> None:
        debiting = TableBacklog(books.tables, books.clock)
        assert not await debiting.are_calls_requested()
        for _ in range(2):
            books.backlog.call_requested()
            for _ in range(20):
                await asyncio.sleep(0)
            assert await debiting.are_calls_requested()
            books.clock.advance(limits.CALLS_REQUESTED_SECONDS)
            assert await debiting.are_calls_requested()
            books.clock.advance(1)
            assert not await debiting.are_calls_requested()

    play(scenario)


@pytest.mark.parametrize("after", [False, True], ids=["lost request", "lost answer"])
def test_an_uncertain_commit_is_cleared_up(after: bool) -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise(named(authorise(), "au_0"))
        books.tables.inject(1, OutcomeUnknown("?"), after=after)
        answer = await books.authorise()
        assert isinstance(answer, StoredDecision)
        view = await books.books[1].view(ACCOUNT)
        assert len(view.holds) == 2

    play(scenario, processes=2)


def test_a_ledger_that_was_rolled_back_is_noticed() -> None:
    async def scenario(books: HoldBooks) -> None:
        await books.authorise()
        await books.debit(CENT)
        await books.book.catch_up(ACCOUNT)
        row = await books.tables.get("ledger", ACCOUNT, "state")
        assert row is not None
        from shared.ports.tables import Replace

        values = {**row.values, "commit": 1}
        await books.tables.transact("ledger", ACCOUNT, [Replace("state", values, row.etag)])
        with pytest.raises(LedgerCorrupt):
            await books.book.view(ACCOUNT)

    play(scenario)


@pytest.mark.parametrize(
    "read",
    [hold_rows.read_state, hold_rows.read_spend, hold_rows.read_record, hold_rows.read_outbox],
)
@pytest.mark.parametrize(
    "values",
    [{"schema": 2}, {"schema": 2, "data": "{}"}, {"schema": 2, "data0": b"no deflated JSON"}],
)
def test_a_row_that_can_not_be_read_halts_the_hold_book(
    read: Callable[[Row], object], values: dict[str, Value]
) -> None:
    with pytest.raises(LedgerCorrupt):
        read(Row(ACCOUNT, "event|1", values, "etag"))
