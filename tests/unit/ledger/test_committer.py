"""The group committer under every answer that a store can give: once each, and no one waits."""

import asyncio
import json
import logging
from collections.abc import Sequence

import pytest

from shared.domain.common import limits
from shared.domain.common.errors import (
    Conflict,
    EtagMismatch,
    Invalid,
    LedgerCorrupt,
    OutcomeUnknown,
    PerminuteError,
    RequestTooLarge,
    StoreUnavailable,
    Unavailable,
)
from shared.domain.credits.alerts import AlertRule
from shared.ports.ledger import CommitResult, IdempotencyConflict
from shared.ports.tables import Delete, Operation, Upsert
from tests.support.ledger import UNIT, adjust, configure, leg, top_up
from tests.support.ledger_processes import (
    ACCOUNT,
    Fault,
    FaultyTables,
    LedgerProcess,
    fails,
    late,
    late_now,
    lost_reply,
    lost_request,
    written,
)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jitter of no length: tests wait for conditions, never for time."""
    monkeypatch.setattr(limits, "COMMIT_BACKOFF_SECONDS", 0)


async def _all(app: LedgerProcess, count: int, first: int = 0) -> list[object]:
    commands = (leg(number, 1) for number in range(first, first + count))
    return await asyncio.gather(
        *(app.ledger.submit(ACCOUNT, command) for command in commands), return_exceptions=True
    )


# One answer of the store to a first commit


@pytest.mark.parametrize(
    ("faults", "transactions"),
    [
        ([], 1),
        ([lost_reply], 1),
        ([lost_request], 2),
        ([late, late_now], 3),  # ours is refused, the late one answers
        ([fails(EtagMismatch("not so"))], 2),
        ([fails(EtagMismatch("not so"))] * 5, 6),
        ([lost_request, lost_reply], 2),
        ([lost_request, fails(EtagMismatch("not so")), lost_request, lost_reply], 4),
    ],
    ids=["sound", "lost reply", "lost request", "late landing", "412", "five 412", "both", "four"],
)
async def test_a_leg_is_debited_once_whatever_the_store_answers(
    faults: list[Fault | None], transactions: int
) -> None:
    app = await LedgerProcess().open(micros=100)
    app.tables.faults.extend(faults)
    outcome = written(await app.ledger.submit(ACCOUNT, leg(1, 7)))
    assert outcome.entry is not None
    assert outcome.entry.amount_micros == -7
    assert len(app.tables.transactions) == transactions
    assert await app.debits() == ["local~1"]
    assert await app.balance() == 93
    await app.sound()


async def test_who_loses_a_race_reports_it(caplog: pytest.LogCaptureFixture) -> None:
    """One event for each try that was in vain."""
    app = await LedgerProcess().open(micros=100)
    app.tables.faults.extend([fails(EtagMismatch("not so")), lost_request])
    with caplog.at_level(logging.INFO, "perminute"):
        written(await app.ledger.submit(ACCOUNT, leg(1, 7)))

    reported = [json.loads(record.getMessage()) for record in caplog.records]
    assert [(each["attempt"], each["cause"]) for each in reported] == [
        (0, "EtagMismatch"),
        (1, "OutcomeUnknown"),
    ]
    assert {(each["event"], each["account"], each["book"]) for each in reported} == {
        ("commit_conflict", ACCOUNT, "ledger")
    }


async def test_a_request_that_lands_after_its_retry_is_refused() -> None:
    app = await LedgerProcess().open(micros=100)
    app.tables.faults.extend([late])
    written(await app.ledger.submit(ACCOUNT, leg(1, 7)))
    (refused,) = await app.tables.land()
    assert isinstance(refused, EtagMismatch)
    assert await app.debits() == ["local~1"]
    await app.sound()


async def test_commands_without_a_guard_are_not_done_twice_by_a_late_landing() -> None:
    app = await LedgerProcess().open(micros=100)
    app.tables.faults.extend([late, late_now])
    written(await app.ledger.submit(ACCOUNT, configure(2, credit_limit_micros=5)))
    commits = await app.ledger.journal(ACCOUNT, after=0, limit=10)
    assert sum(len(commit.settings) for commit in commits) == 2  # version 1 and version 2
    await app.sound()


async def test_a_busy_store_is_reported_to_the_callers_and_the_next_try_works() -> None:
    app = await LedgerProcess().open(micros=100)
    app.tables.faults.append(fails(StoreUnavailable("busy")))
    outcomes = await _all(app, 3)
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert await app.debits() == []
    assert all(isinstance(outcome, CommitResult) for outcome in await _all(app, 3))
    await app.sound()


async def test_when_even_the_read_fails_the_outcome_is_reported_as_unknown() -> None:
    app = await LedgerProcess().open(micros=100)
    app.tables.faults.append(lost_reply)
    app.tables.inject(1, StoreUnavailable("busy"), kind="get")
    with pytest.raises(Unavailable):
        await app.ledger.submit(ACCOUNT, leg(1, 7))
    repeated = written(await app.ledger.submit(ACCOUNT, leg(1, 7)))
    assert repeated.repeated
    assert await app.debits() == ["local~1"]


async def test_what_is_never_certain_ends_after_a_bounded_number_of_tries() -> None:
    app = await LedgerProcess().open(micros=100)
    app.tables.faults.extend([fails(EtagMismatch("not so"))] * 100)
    with pytest.raises(Unavailable) as refused:
        await app.ledger.submit(ACCOUNT, leg(1, 7))
    assert refused.value.code == "contended"
    assert len(app.tables.transactions) == limits.COMMIT_TRIES_MAX
    app.tables.faults.clear()
    written(await app.ledger.submit(ACCOUNT, leg(1, 7)))
    await app.sound()


async def test_the_due_mark_is_written_before_the_commit_and_its_failure_stops_it() -> None:
    app = await LedgerProcess().open(micros=100)
    app.tables.inject(1, StoreUnavailable("busy"))  # the mark is the next transaction of all
    with pytest.raises(StoreUnavailable):
        await app.ledger.submit(ACCOUNT, top_up(5))
    assert app.tables.transactions == []
    app.tables.inject(1, OutcomeUnknown("no answer"), after=True)
    assert not written(await app.ledger.submit(ACCOUNT, top_up(5))).repeated
    assert await app.balance() == 105


# Groups


async def test_what_waits_together_is_committed_together() -> None:
    app = await LedgerProcess().open(micros=100)
    await _all(app, limits.GROUP_COMMIT_LEGS_MAX)
    (operations,) = app.tables.transactions
    assert len(operations) == 2 + limits.GROUP_COMMIT_LEGS_MAX
    await app.sound()


@pytest.mark.parametrize("legs", [limits.GROUP_COMMIT_LEGS_MAX, limits.FULL_SPEED_LEGS_MAX])
async def test_a_full_group_with_an_event_is_still_a_transaction(legs: int) -> None:
    app = await LedgerProcess().open(AlertRule("low", below_micros=50), micros=60)
    if legs > limits.GROUP_COMMIT_LEGS_MAX:
        app.pace.run_at_full_speed()
    await _all(app, legs)
    (operations,) = app.tables.transactions
    assert len(operations) == 3 + legs <= limits.TRANSACTION_OPERATIONS_MAX
    await app.sound()


async def test_one_duplicate_more_than_a_group_takes_at_most_two_transactions() -> None:
    count = limits.GROUP_COMMIT_LEGS_MAX + 1
    app = await LedgerProcess().open(micros=100)
    first = await _all(app, count)
    app.tables.transactions.clear()
    again = await _all(LedgerProcess(app.tables, app.clock, "two"), count)
    assert len(app.tables.transactions) <= 2
    for before, after in zip(first, again, strict=True):
        assert written(after).repeated
        assert written(after).entry == written(before).entry
    assert len(await app.debits()) == count


@pytest.mark.parametrize("old", [1, 24, limits.GROUP_COMMIT_LEGS_MAX - 1])
async def test_duplicates_among_new_legs_cost_one_more_transaction(old: int) -> None:
    app = await LedgerProcess().open(micros=1_000)
    await _all(app, old)
    app.tables.transactions.clear()
    count = limits.GROUP_COMMIT_LEGS_MAX
    outcomes = await _all(app, count)
    assert len(app.tables.transactions) == 2
    assert [written(outcome).repeated for outcome in outcomes] == [n < old for n in range(count)]
    assert sorted(await app.debits()) == sorted(f"local~{number}" for number in range(count))
    await app.sound()


async def test_one_leg_fifty_times_at_once_is_one_debit_with_one_answer() -> None:
    app = await LedgerProcess().open(micros=100)
    outcomes = await asyncio.gather(*(app.ledger.submit(ACCOUNT, leg(1, 7)) for _ in range(50)))
    entries = {written(outcome).entry for outcome in outcomes}
    assert len(entries) == 1
    assert sum(not written(outcome).repeated for outcome in outcomes) == 1
    assert await app.debits() == ["local~1"]


async def test_the_same_leg_with_other_content_in_the_same_group_clashes() -> None:
    app = await LedgerProcess().open(micros=100)
    one, other = await asyncio.gather(
        app.ledger.submit(ACCOUNT, leg(1, 7)),
        app.ledger.submit(ACCOUNT, leg(1, 9, content="other")),
    )
    assert isinstance(other, IdempotencyConflict)
    assert other.entry == written(one).entry
    assert await app.balance() == 93


async def test_the_same_key_with_another_body_clashes_the_same_body_is_a_hit() -> None:
    app = await LedgerProcess().open()
    first = written(await app.ledger.submit(ACCOUNT, top_up(5, "k")))
    again = written(await app.ledger.submit(ACCOUNT, top_up(5, "k")))
    assert (again.repeated, again.entry) == (True, first.entry)
    assert isinstance(await app.ledger.submit(ACCOUNT, adjust(5, "k")), CommitResult)
    other = await app.ledger.submit(ACCOUNT, _with_digest("another"))
    assert isinstance(other, IdempotencyConflict)


def _with_digest(digest: str) -> object:
    from dataclasses import replace

    return replace(top_up(6, "k"), digest=digest)


async def test_a_refused_command_takes_no_one_down_with_it() -> None:
    app = await LedgerProcess().open(micros=100)
    good, bad, fine = await asyncio.gather(
        app.ledger.submit(ACCOUNT, leg(1, 1)),
        app.ledger.submit(ACCOUNT, top_up(-5)),
        app.ledger.submit(ACCOUNT, leg(2, 1)),
        return_exceptions=True,
    )
    assert isinstance(bad, Invalid)
    assert written(good).entry
    assert written(fine).entry


async def test_what_was_carried_out_before_is_answered_although_it_would_be_refused_now() -> None:
    app = await LedgerProcess().open()
    command = top_up(5, "k", expires_at=app.clock.now().replace(year=2027))
    first = written(await app.ledger.submit(ACCOUNT, command))
    app.clock.moment = app.clock.moment.replace(year=2028)
    again = written(await LedgerProcess(app.tables, app.clock).ledger.submit(ACCOUNT, command))
    assert (again.repeated, again.entry) == (True, first.entry)


async def test_a_refusal_never_comes_from_what_is_cached() -> None:
    here = LedgerProcess()
    with pytest.raises(Conflict):  # nothing is open yet, and that may be what is cached now
        await here.ledger.submit(ACCOUNT, top_up(5))
    await LedgerProcess(here.tables, here.clock, "elsewhere").open()
    written(await here.ledger.submit(ACCOUNT, top_up(5)))


async def test_a_refusal_from_what_this_process_committed_itself_is_decided_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "OPEN_LOTS_MAX", 2)
    here = await LedgerProcess().open(micros=5)
    await here.ledger.submit(ACCOUNT, top_up(5, "second"))  # and all lots are open
    await LedgerProcess(here.tables, here.clock, "elsewhere").ledger.submit(ACCOUNT, leg(1, 5))
    here.tables.reads = 0
    written(await here.ledger.submit(ACCOUNT, top_up(5, "third")))
    assert here.tables.reads > 0


# Too large


def _too_large(over: int) -> Fault:
    def fault(_: FaultyTables, partition: str, operations: Sequence[Operation]) -> None:
        if len(operations) > over:
            raise RequestTooLarge("too large")

    return fault


@pytest.mark.parametrize("over", [3, 10, 50, 98])
async def test_a_group_that_is_too_large_is_split_until_it_fits(over: int) -> None:
    app = await LedgerProcess().open(micros=100)
    app.tables.faults.extend([_too_large(over)] * 1_000)
    outcomes = await _all(app, 97)
    assert all(isinstance(outcome, CommitResult) for outcome in outcomes)
    assert sorted(await app.debits()) == sorted(f"local~{number}" for number in range(97))
    await app.sound()


@pytest.mark.parametrize("place", [0, 1, 13, 48, 95, 96])
async def test_one_leg_that_never_fits_keeps_no_other_from_being_debited(place: int) -> None:
    app = await LedgerProcess().open(micros=100)
    key = f"leg|{_leg_hash(place)}"

    def fault(_: FaultyTables, partition: str, operations: Sequence[Operation]) -> None:
        if any(operation.key == key for operation in operations):
            raise RequestTooLarge("too large")

    app.tables.faults.extend([fault] * 1_000)
    outcomes = await _all(app, 97)
    assert [isinstance(outcome, CommitResult) for outcome in outcomes] == [
        n != place for n in range(97)
    ]
    assert isinstance(outcomes[place], RequestTooLarge)
    await app.sound()


def _leg_hash(number: int) -> str:
    from shared.domain.legs.leg import leg_key_hash

    return leg_key_hash(f"local~{number}")


# Waiters


async def test_a_waiter_leaves_at_its_own_deadline_and_its_leg_is_debited_once() -> None:
    app = await LedgerProcess().open(micros=100)
    gate = asyncio.Event()
    app.tables.faults.append(lambda *_: gate.wait())
    committer = app.ledger._committer
    with pytest.raises(Unavailable):
        await committer.submit(ACCOUNT, leg(1, 7), seconds=0.01)
    gate.set()
    assert written(await app.ledger.submit(ACCOUNT, leg(1, 7))).repeated
    assert await app.debits() == ["local~1"]


async def test_a_waiter_that_is_cancelled_before_its_turn_is_not_debited() -> None:
    app = await LedgerProcess().open(micros=100)
    gate = asyncio.Event()
    app.tables.faults.append(lambda *_: gate.wait())
    first = asyncio.create_task(app.ledger.submit(ACCOUNT, leg(1, 7)))
    while not app.tables.transactions:
        await asyncio.sleep(0)
    second = asyncio.create_task(app.ledger.submit(ACCOUNT, leg(2, 7)))
    third = asyncio.create_task(app.ledger.submit(ACCOUNT, leg(3, 7)))
    await asyncio.sleep(0)
    second.cancel()
    gate.set()
    written(await first)
    written(await third)
    with pytest.raises(asyncio.CancelledError):
        await second
    assert await app.debits() == ["local~1", "local~3"]


async def test_cancelling_one_waiter_leaves_the_others_of_its_group_alone() -> None:
    app = await LedgerProcess().open(micros=100)
    gate = asyncio.Event()
    app.tables.faults.append(lambda *_: gate.wait())
    tasks = [asyncio.create_task(app.ledger.submit(ACCOUNT, leg(number, 1))) for number in range(5)]
    while not app.tables.transactions:
        await asyncio.sleep(0)
    tasks[2].cancel()
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(outcome, CommitResult) for outcome in outcomes] == [
        True,
        True,
        False,
        True,
        True,
    ]
    # It was on its way already: it is booked, and the next call returns the result.
    assert written(await app.ledger.submit(ACCOUNT, leg(2, 1))).repeated


async def test_an_error_that_no_one_foresaw_reaches_the_waiters_and_leaves_the_lane_usable() -> (
    None
):
    app = await LedgerProcess().open(micros=100)

    def fault(_: FaultyTables, partition: str, operations: Sequence[Operation]) -> None:
        raise ZeroDivisionError

    app.tables.faults.append(fault)
    outcomes = await _all(app, 2)
    assert all(isinstance(outcome, ZeroDivisionError) for outcome in outcomes)
    assert all(isinstance(outcome, CommitResult) for outcome in await _all(app, 2))


# The journal ahead of the state


async def _rolled_back() -> LedgerProcess:
    """The state alone is what it was two commits ago."""
    app = await LedgerProcess().open(micros=100)
    row = await app.tables.get("ledger", ACCOUNT, "state")
    assert row is not None
    await app.ledger.submit(ACCOUNT, leg(1, 1))
    await app.ledger.submit(ACCOUNT, leg(2, 1))
    await app.tables.transact("ledger", ACCOUNT, [Upsert("state", row.values)])
    return LedgerProcess(app.tables, app.clock, "two")


async def test_a_state_that_was_rolled_back_halts_the_ledger() -> None:
    app = await _rolled_back()
    before = await app.tables.query("ledger", ACCOUNT)
    for command in (leg(3, 1), top_up(5), configure(2)):
        with pytest.raises(LedgerCorrupt):
            await app.ledger.submit(ACCOUNT, command)
    assert await app.tables.query("ledger", ACCOUNT) == before


async def test_what_the_lost_commits_debited_is_still_answered() -> None:
    app = await _rolled_back()
    assert written(await app.ledger.submit(ACCOUNT, leg(1, 1))).repeated
    outcomes = await asyncio.gather(
        *(app.ledger.submit(ACCOUNT, leg(number, 1)) for number in (1, 2, 3)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [CommitResult, CommitResult, LedgerCorrupt]


async def test_a_state_that_is_gone_halts_the_ledger_too() -> None:
    app = await LedgerProcess().open(micros=100)
    await app.tables.transact("ledger", ACCOUNT, [Delete("state")])
    with pytest.raises(PerminuteError):
        await LedgerProcess(app.tables, app.clock).ledger.submit(ACCOUNT, configure(1))


async def test_a_row_of_a_newer_schema_is_not_guessed_at() -> None:
    app = await LedgerProcess().open(micros=100)
    row = await app.tables.get("ledger", ACCOUNT, "state")
    assert row is not None
    await app.tables.transact("ledger", ACCOUNT, [Upsert("state", {**row.values, "schema": 99})])
    with pytest.raises(LedgerCorrupt):
        await LedgerProcess(app.tables, app.clock).ledger.submit(ACCOUNT, leg(1, 1))


# Many partitions, many processes


async def test_what_is_kept_of_partitions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PARTITIONS_CACHED_MAX", 10)
    app = LedgerProcess()
    for number in range(100):
        await app.ledger.submit(f"account-{number}", configure())
        assert len(app.ledger._committer._queues) <= 10
    await asyncio.gather(
        *(app.ledger.submit(f"account-{number}", top_up(5)) for number in range(100))
    )
    for number in range(100):
        state = await app.ledger.state(f"account-{number}")
        assert state is not None
        assert state.balance_micros == 5


async def test_a_busy_partition_keeps_its_one_lane_however_many_others_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "PARTITIONS_CACHED_MAX", 2)
    app = await LedgerProcess().open(micros=100)
    for number in range(5):
        await app.ledger.submit(f"account-{number}", configure())
    gate = asyncio.Event()
    app.tables.faults.extend([lambda *_: gate.wait()] * 3)
    tasks = [
        asyncio.create_task(app.ledger.submit(account, leg(number, 1)))
        for number, account in enumerate([ACCOUNT, "account-0", "account-1"])
    ]
    while len(app.tables.transactions) < 5 + 3:
        await asyncio.sleep(0)
    tasks.append(asyncio.create_task(app.ledger.submit("account-1", leg(9, 1))))
    await asyncio.sleep(0)
    assert len(app.tables.transactions) == 5 + 3  # it waits for the lane that is there
    gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("processes", [2, 5])
async def test_processes_that_fight_over_a_partition_all_get_on_and_debit_once(
    processes: int,
) -> None:
    one = await LedgerProcess().open(micros=10_000)
    apps = [one, *(LedgerProcess(one.tables, one.clock, f"p{n}") for n in range(1, processes))]
    legs = 120

    async def run(app: LedgerProcess, order: int) -> list[CommitResult]:
        outcomes = []
        for start in range(0, legs, 10):
            numbers = range(start, start + 10)
            commands = [leg(n, 1) for n in (numbers if order % 2 else reversed(numbers))]
            outcomes += await asyncio.gather(
                *(app.ledger.submit(ACCOUNT, command) for command in commands)
            )
        return [written(outcome) for outcome in outcomes]

    results = await asyncio.gather(*(run(app, n) for n, app in enumerate(apps)))
    assert sorted(await one.debits()) == sorted(f"local~{number}" for number in range(legs))
    assert sum(not outcome.repeated for result in results for outcome in result) == legs
    assert await one.balance() == 10_000 - legs
    await one.sound()


async def test_two_processes_that_open_the_same_ledger_open_it_once() -> None:
    one = LedgerProcess()
    two = LedgerProcess(one.tables, one.clock, "two")
    await asyncio.gather(*(app.ledger.submit(ACCOUNT, configure()) for app in (one, two)))
    commits = await one.ledger.journal(ACCOUNT, after=0, limit=10)
    assert len(commits) == 1
    await asyncio.gather(*(app.ledger.submit(ACCOUNT, top_up(UNIT)) for app in (one, two)))
    assert await one.balance() == UNIT


async def test_in_each_round_of_a_fight_someone_commits() -> None:
    one = await LedgerProcess().open(micros=10_000)
    apps = [one, *(LedgerProcess(one.tables, one.clock, f"p{n}") for n in range(1, 8))]
    await asyncio.gather(
        *(app.ledger.submit(ACCOUNT, leg(f"{n}", 1)) for n, app in enumerate(apps))
    )
    commits = await one.ledger.journal(ACCOUNT, after=2, limit=100)
    assert len(commits) == 8
    assert len(one.tables.transactions) <= 8 * 9 // 2  # at worst all the others lose each round
    await one.sound()


# Planning ahead: the next group is decided while a transaction is on its way


@pytest.mark.parametrize(
    "faults",
    [
        [fails(EtagMismatch("not so"))] * 3,
        [lost_request] * 3,
        [lost_request, fails(EtagMismatch("not so")), lost_reply],
        [late, late_now, None],
        [fails(StoreUnavailable("busy")), None, fails(EtagMismatch("not so"))],
    ],
    ids=["412", "lost", "mixed", "late", "busy"],
)
async def test_no_one_is_forgotten_who_was_planned_ahead_of_a_commit_that_failed(
    faults: list[Fault | None],
) -> None:
    app = await LedgerProcess().open(micros=1_000)
    tables = app.tables

    def slowly(fault: Fault | None) -> Fault:
        async def wait(partition: str, operations: Sequence[Operation]) -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            done = fault(tables, partition, operations) if fault else None
            if asyncio.iscoroutine(done):
                await done

        return lambda _, partition, operations: wait(partition, operations)

    tables.faults.extend(slowly(fault) for fault in [*faults, *[None] * 20])
    tasks = []
    for number in range(60):
        tasks.append(asyncio.create_task(app.ledger.submit(ACCOUNT, leg(number, 1))))
        for _ in range(number % 7):
            await asyncio.sleep(0)
    for _ in range(20_000):  # turns of the loop, many times what it takes
        await asyncio.sleep(0)
    assert [number for number, task in enumerate(tasks) if not task.done()] == []
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, StoreUnavailable):
            written(await app.ledger.submit(ACCOUNT, leg(number, 1)))
        else:
            written(outcome)
    assert sorted(await app.debits()) == sorted(f"local~{number}" for number in range(60))
    await app.sound()


async def test_what_was_planned_ahead_is_planned_again_after_someone_else_committed() -> None:
    one = await LedgerProcess().open(micros=1_000)
    two = LedgerProcess(one.tables, one.clock, "two")
    gate = asyncio.Event()
    one.tables.faults.append(lambda *_: gate.wait())
    first = asyncio.create_task(one.ledger.submit(ACCOUNT, leg(1, 1)))
    while not one.tables.transactions:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(one.ledger.submit(ACCOUNT, leg(n, 1))) for n in range(2, 30)]
    for _ in range(20):
        await asyncio.sleep(0)
    await two.ledger.submit(ACCOUNT, leg(5, 1))
    gate.set()
    written(await asyncio.wait_for(first, 5))
    outcomes = await asyncio.wait_for(asyncio.gather(*rest), 5)
    assert [written(each).repeated for each in outcomes] == [n == 5 for n in range(2, 30)]
    assert sorted(await one.debits()) == sorted(f"local~{n}" for n in range(1, 30))
    await one.sound()


# Answers that build on a command of the same group


async def test_a_batch_is_reported_as_done_only_when_it_is() -> None:
    """Twice the same settings in one group: the second changes nothing, once the first is there."""
    app = await LedgerProcess().open()
    app.tables.faults.append(fails(StoreUnavailable("busy")))
    same = [app.ledger.submit(ACCOUNT, configure(2, credit_limit_micros=5)) for _ in range(2)]
    outcomes = await asyncio.gather(*same, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2

    same = [app.ledger.submit(ACCOUNT, configure(2, credit_limit_micros=5)) for _ in range(2)]
    first, second = (written(outcome) for outcome in await asyncio.gather(*same))
    assert (first.repeated, second.repeated) == (False, True)
    assert len(app.tables.transactions) == 2


async def test_an_answer_to_what_another_overtook_is_decided_again() -> None:
    """Both of a group meet settings that another process made newer in between."""
    app = await LedgerProcess().open()
    other = LedgerProcess(app.tables, app.clock, "two")

    async def overtaken() -> None:
        written(await other.ledger.submit(ACCOUNT, configure(3, credit_limit_micros=7)))

    app.tables.faults.append(lambda *_: overtaken())
    outcomes = await asyncio.gather(
        *(app.ledger.submit(ACCOUNT, configure(2, credit_limit_micros=5)) for _ in range(2))
    )
    assert [written(outcome).repeated for outcome in outcomes] == [True, True]
    state = await app.ledger.state(ACCOUNT)
    assert state is not None
    assert state.credit_limit_micros == 7
