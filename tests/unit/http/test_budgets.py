"""Work is bounded and fair: budgets per caller, turns of reports, calls in progress first."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import pacing
from shared.adapters.tables import paced_tables
from shared.adapters.tables.paced_tables import PacedTables
from shared.domain.common import limits
from shared.domain.common.errors import RateLimited
from shared.pacing import CallerBudgets, RequestQuota, Work, WorkScheduler
from shared.ports.tables import Insert
from tests.support.memory_tables import MemoryTables
from tests.support.product import SETTINGS, Answer, ManualClock, Product

SECRET = base64.b64encode(b"k" * 32).decode()


class Monotonic:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class CountedReads(MemoryTables):
    """Tables that count their reads."""

    reads = 0

    async def get(self, *key: Any, **more: Any) -> Any:
        self.reads += 1
        return await super().get(*key, **more)


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def app(monotonic: Monotonic) -> Iterator[Product]:
    """A process whose reads are counted and whose callers have small budgets."""
    made = Product(CountedReads())
    container = made.container
    container.tables = PacedTables(made.tables, pacing.BulkPace(ManualClock()))
    container.budgets = CallerBudgets(monotonic)
    container.settings = replace(
        SETTINGS, caller_allowance=RequestQuota(1, 100), bridge_allowance=RequestQuota(1, 100)
    )
    yield made
    made.close()


def _list_cards(app: Product, key: str) -> Answer:
    return app.get("/api/v1/rate-cards", key=key)


def _dial_out(app: Product, bridge: str, key: bytes = b"k" * 32) -> Answer:
    body = b'{"to": "+442079460123", "account": "contoso", "organizer_id": "ken"}'
    stamp = str(int(app.clock.now().timestamp()))
    signed = hmac.digest(key, f"m1.{stamp}.".encode() + body, hashlib.sha256)
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }
    return app.call("POST", f"/api/v1/bridges/{bridge}/dial-outs", body, key=None, headers=headers)


def _bridge(app: Product, name: str = "b1") -> None:
    auth = {"scheme": "standard-webhooks", "secrets": [f"whsec_{SECRET}"]}
    made = app.put(
        f"/api/v1/bridges/{name}", {"dialect": "perminute", "auth": auth, "accounts": ["*"]}
    )
    assert made.status == 201, made.body


def test_a_caller_over_its_budget_of_requests_waits_and_others_do_not(
    app: Product, monotonic: Monotonic
) -> None:
    hasty, calm = app.api_key("reader"), app.api_key("reader")
    answers = [_list_cards(app, hasty) for _ in range(limits.BUDGET_BURST_SECONDS + 1)]

    assert {each.status for each in answers[:-1]} == {200}
    assert (answers[-1].status, answers[-1].code) == (429, "rate_limited")
    assert answers[-1].headers["Retry-After"] == "1"
    assert _list_cards(app, calm).status == 200
    monotonic.seconds += 1
    assert _list_cards(app, hasty).status == 200


def test_a_caller_over_its_budget_of_work_waits_until_the_debt_is_paid(
    app: Product, monotonic: Monotonic
) -> None:
    """The work of a request is what it reads; it is never known before."""
    reader, other = app.api_key("reader"), app.api_key("reader")
    app.account()
    burst = 100 * limits.BUDGET_BURST_SECONDS
    _list_cards(app, reader)
    caller = next(each for each in app.container.budgets._callers if reader[3:19] in each)
    app.container.budgets.spend(caller, burst + 150)

    refused = app.get("/api/v1/accounts/contoso/entries", key=reader)

    assert (refused.status, refused.code) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == "2"
    assert app.get("/api/v1/accounts/contoso/entries", key=other).status == 200
    monotonic.seconds += 2
    assert app.get("/api/v1/accounts/contoso/entries", key=reader).status == 200


def test_what_a_request_reads_is_its_work(app: Product) -> None:
    """Also where the route is none of the reports: no one can forget to count."""
    app.account()
    reader = app.api_key("reader")
    caller = f"key:{reader[3:19]}"
    _list_cards(app, reader)
    work = app.container.budgets._callers[caller][1]
    before = work.tokens

    assert app.get("/api/v1/accounts/contoso", key=reader).status == 200

    assert work.tokens < before


def test_an_account_dials_out_while_the_budget_of_its_reports_is_used_up(app: Product) -> None:
    app.account()
    _bridge(app)
    answers = [app.get("/api/v1/rate-cards").status for _ in range(limits.BUDGET_BURST_SECONDS)]
    assert answers[-1] == 429

    assert _dial_out(app, "b1").status == 200


def test_a_bridge_has_a_budget_of_its_own(app: Product, monotonic: Monotonic) -> None:
    app.account()
    _bridge(app, "b1")
    _bridge(app, "b2")
    answers = [_dial_out(app, "b1").status for _ in range(limits.BUDGET_BURST_SECONDS + 1)]

    assert answers == [200] * limits.BUDGET_BURST_SECONDS + [429]
    assert _dial_out(app, "b2").status == 200


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0, 10)), max_size=60),
    st.integers(1, 20),
)
def test_no_one_gets_more_requests_than_the_burst_and_what_came_in(
    bursts: list[tuple[int, float]], per_second: int
) -> None:
    monotonic = Monotonic()
    budgets = CallerBudgets(monotonic)
    let_in = 0
    for count, pause in bursts:
        for _ in range(count):
            with contextlib.suppress(RateLimited):
                budgets.admit("somebody", RequestQuota(per_second, 1))
                let_in += 1
        monotonic.seconds += pause

    burst = per_second * limits.BUDGET_BURST_SECONDS
    assert let_in <= burst + per_second * monotonic.seconds + 1


def test_the_number_of_budgets_is_bounded() -> None:
    budgets = CallerBudgets(Monotonic())
    for number in range(limits.BUDGET_CALLERS_MAX + 10):
        budgets.admit(str(number), RequestQuota(1, 1))

    assert len(budgets._callers) == limits.BUDGET_CALLERS_MAX


async def test_callers_take_turns_in_rotation() -> None:
    turns, order = WorkScheduler(), []
    go = asyncio.Event()

    async def report(caller: str) -> None:
        async with turns.report(caller):
            order.append(caller)
            await go.wait()

    busy = [asyncio.create_task(report("x")) for _ in range(limits.REPORTS_AT_ONCE)]
    await asyncio.sleep(0)
    callers = ["a", "a", "a", "b", "c"]
    waiting = [asyncio.create_task(report(caller)) for caller in callers]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*busy, *waiting)

    assert order == ["x"] * limits.REPORTS_AT_ONCE + ["a", "b", "c", "a", "a"]
    assert turns.reports == 0


async def test_too_many_waiting_reports_are_refused() -> None:
    turns = WorkScheduler(reports=limits.REPORTS_AT_ONCE)

    async def report(caller: str) -> None:
        async with turns.report(caller):
            pass

    waiting = [
        asyncio.create_task(report("a")) for _ in range(limits.REPORTS_WAITING_PER_CALLER_MAX)
    ]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await report("a")
    others = [
        asyncio.create_task(report(str(number)))
        for number in range(limits.REPORTS_WAITING_MAX - len(waiting))
    ]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await report("z")
    for task in (*waiting, *others):
        task.cancel()
    await asyncio.gather(*waiting, *others, return_exceptions=True)

    assert not turns._waiting
    assert turns.reports == limits.REPORTS_AT_ONCE


async def test_a_turn_that_no_one_takes_goes_to_the_next_one() -> None:
    turns, done = WorkScheduler(reports=limits.REPORTS_AT_ONCE), []

    async def report(caller: str) -> None:
        async with turns.report(caller):
            done.append(caller)

    gone, stays = asyncio.create_task(report("a")), asyncio.create_task(report("b"))
    await asyncio.sleep(0)
    turns._pass_on()  # the turn is a's
    gone.cancel()
    await asyncio.gather(gone, stays, return_exceptions=True)

    assert done == ["b"]
    assert turns.reports == limits.REPORTS_AT_ONCE - 1


async def test_a_report_gives_way_while_a_call_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(limits, "GIVE_WAY_STEPS_MAX", 1_000_000)
    turns, order = WorkScheduler(), []
    loop = asyncio.get_running_loop()

    async def report() -> None:
        with pacing.working(Work(CallerBudgets(), "a", turns, deadline=loop.time() + 10**6)):
            await pacing.yield_to_others()
            order.append("report")

    with turns.call():
        task = asyncio.create_task(report())
        for _ in range(20):
            await asyncio.sleep(0.001)
        order.append("call")
    await task

    assert order == ["call", "report"]


async def test_a_report_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SLICE_SECONDS", 0.0)
    with pacing.working(Work(CallerBudgets(), "a", WorkScheduler(), deadline=0.0)):
        with pytest.raises(RateLimited):
            await pacing.yield_to_others()
        with pytest.raises(RateLimited):
            await PacedTables(MemoryTables(), pacing.BulkPace(ManualClock())).query(
                "ledger", "contoso"
            )


@pytest.mark.parametrize(
    ("took_seconds", "pause_seconds"), [(0.05, 0.05), (3.0, limits.BULK_PAUSE_SECONDS_MAX)]
)
async def test_after_a_bulk_transaction_the_next_leaves_the_store_free(
    monkeypatch: pytest.MonkeyPatch,
    monotonic: Monotonic,
    took_seconds: float,
    pause_seconds: float,
) -> None:
    began: list[float] = []

    class SlowTables(MemoryTables):
        async def transact(self, table: str, partition: str, operations: Any) -> Any:
            began.append(monotonic())
            if len(operations) > 1:
                monotonic.seconds += took_seconds
            return await super().transact(table, partition, operations)

    async def sleep(seconds: float) -> None:
        monotonic.seconds += max(seconds, 0.0)

    monkeypatch.setattr(paced_tables.time, "monotonic", monotonic)
    monkeypatch.setattr(paced_tables.asyncio, "sleep", sleep)
    pace = pacing.BulkPace(ManualClock())
    tables = PacedTables(SlowTables(), pace)
    rows = [Insert(f"{number}", {}) for number in range(limits.BULK_OPERATIONS_MIN)]
    await tables.transact("ledger", "a", rows)
    await tables.transact("ledger", "b", rows[:1])  # a single write does not wait
    await tables.transact("ledger", "c", rows)
    assert began == pytest.approx([0.0, took_seconds, took_seconds + pause_seconds])
    pace.run_at_full_speed()
    ended = monotonic()
    await tables.transact("ledger", "d", rows)
    await tables.transact("ledger", "e", rows)
    assert began[3:] == pytest.approx([ended, ended + took_seconds])


async def test_a_task_that_serves_several_requests_is_nobodys_work() -> None:
    tables, budgets = PacedTables(MemoryTables(), pacing.BulkPace(ManualClock())), CallerBudgets()
    work = Work(budgets, "a", WorkScheduler(), deadline=0.0)
    with pacing.working(work):
        task = asyncio.create_task(tables.get("ledger", "a", "b"), context=pacing.NO_REQUEST())
        await task

    assert work.units == 0


def test_every_answer_forbids_guessing_its_type(app: Product) -> None:
    answers = [
        app.get("/api/v1/rate-cards"),
        app.get("/api/v1/rate-cards", key=None),
        app.get("/api/v1/rate-cards/none"),
        _dial_out(app, "none"),
    ]

    assert [each.status for each in answers] == [200, 401, 404, 401]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("is_cached", [False, True])
def test_an_unknown_bridge_costs_what_a_known_one_costs_and_is_answered_alike(
    app: Product, monkeypatch: pytest.MonkeyPatch, *, is_cached: bool
) -> None:
    _bridge(app)
    app.account()
    digests = 0
    digest = hmac.digest

    def counted(*parts: Any, **more: Any) -> Any:
        nonlocal digests
        digests += 1
        return digest(*parts, **more)

    monkeypatch.setattr(hmac, "digest", counted)
    seen = []
    for name in ("b1", "nobody"):
        if is_cached:
            _dial_out(app, "b1")
        else:
            app.clock.advance(limits.FACTS_SECONDS_MAX + 1)
            app.container.facts._cache.clear()
        reads, before = app.tables.reads, digests  # type: ignore[attr-defined]
        answer = _dial_out(app, name, key=b"x" * 32)
        digests -= 1  # the test's own
        body = json.loads(answer.body.replace(name.encode(), b"*"))
        seen.append(
            (answer.status, body, app.tables.reads - reads, digests - before)  # type: ignore[attr-defined]
        )

    assert seen[0] == seen[1]
    assert seen[0][0] == 401
    assert seen[0][2:] == (1, 2)


def test_requests_that_prove_nothing_have_a_budget_of_reads(
    app: Product, monotonic: Monotonic
) -> None:
    """A bridge with the right credentials is let in all the while, also once its facts are old."""
    app.account()
    _bridge(app)
    assert _dial_out(app, "b1").status == 200
    budget = limits.UNPROVEN_READS_PER_SECOND * limits.BUDGET_BURST_SECONDS
    refused = [_dial_out(app, f"nobody-{number}").status for number in range(budget + 5)]
    reads = app.tables.reads  # type: ignore[attr-defined]

    assert refused == [401] * (budget - 1) + [429] * 6  # the first read of b1 was one, too
    assert _dial_out(app, "nobody").status == 429
    assert _dial_out(app, "b1", key=b"x" * 32).status == 429
    assert app.tables.reads == reads  # type: ignore[attr-defined]
    assert _dial_out(app, "b1").status == 200
    app.clock.advance(limits.FACTS_SECONDS_MAX + 1)
    assert _dial_out(app, "b1").status == 200


def test_a_bridge_works_at_once_after_its_name_was_refused(app: Product) -> None:
    app.account()
    assert _dial_out(app, "b1").status == 401
    _bridge(app)
    assert _dial_out(app, "b1").status == 200
