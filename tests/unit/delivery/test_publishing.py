"""The outbox: events leave at least once, in order, under the same id, whichever process dies."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.delivery.outbox import event_key
from shared.adapters.ledger.rows import SCHEMA, TABLE
from shared.adapters.tables.packing import pack
from shared.domain.common import limits
from shared.domain.common.errors import OutcomeUnknown, QueueUnavailable, StoreUnavailable
from shared.domain.ledger.model import Entry
from shared.ports.queues import Message
from shared.ports.tables import Upsert, Value
from tests.support.ledger import UNIT, leg, top_up
from tests.support.processes import FR, Deployment, Process, leg_json


def _ids(messages: list[Message]) -> list[str]:
    return [message.message_id for message in messages]


def _types(messages: list[Message]) -> list[str]:
    return [str(message.properties["type"]) for message in messages]


async def _quiet() -> Process:
    """An account with credits, all events of which are published."""
    process = Deployment().process()
    await process.set_up()
    process.deployment.topic.published.clear()
    return process


async def test_a_crossing_is_published_as_a_cloud_event_with_a_stable_id() -> None:
    process = await _quiet()
    for number in range(3):
        await process.receive(leg_json(str(number), to=FR, talk_seconds=None, **_long(47)))
        await process.drain()
    (message,) = process.deployment.topic.published
    event = json.loads(message.body)
    state = await process.container.ledger.state("contoso")
    assert state is not None
    assert event["id"] == message.message_id == f"contoso:{state.commit}:1"
    assert (event["specversion"], event["source"]) == ("1.0", "/accounts/contoso")
    assert (event["type"], event["data"]["alert"]) == ("credits.low", "low")
    assert event["data"]["balance"] == "15.40"


def _long(minutes: int) -> dict[str, Any]:
    return {
        "started_at": "2026-11-23T09:00:00Z",
        "answered_at": "2026-11-23T09:00:00Z",
        "ended_at": f"2026-11-23T09:{minutes:02d}:00Z",
    }


async def test_a_crash_between_publishing_and_deleting_publishes_the_same_id_again() -> None:
    process = await _quiet()
    process.deployment.topic.available = False
    await process.top_up("contoso", "k", UNIT)
    process.deployment.topic.available = True
    process.deployment.tables.inject(1, StoreUnavailable("crash"))
    with pytest.raises(StoreUnavailable):
        await process.container.publish_events("contoso")
    await process.deployment.process().container.publish_events("contoso")
    first, second = process.deployment.topic.published
    assert first.message_id == second.message_id
    assert json.loads(first.body) == json.loads(second.body)


async def test_two_publishers_at_once_keep_the_order_of_first_appearances() -> None:
    process = await _quiet()
    process.deployment.topic.available = False
    for number in range(10):
        await process.top_up("contoso", f"k{number}", UNIT)
    process.deployment.topic.available = True
    others = [process.deployment.process() for _ in range(4)]
    await asyncio.gather(*(each.container.publish_events("contoso") for each in [process, *others]))
    seen = list(dict.fromkeys(_ids(process.deployment.topic.published)))
    assert seen == sorted(seen, key=lambda each: int(each.split(":")[1]))
    assert len(seen) == 10
    assert await process.container.ledger.outbox("contoso", limit=10) == []


async def test_an_outbox_that_cannot_be_read_stops_neither_charging_nor_a_top_up() -> None:
    """What was committed is answered as committed; the timer goes on reporting the rest."""
    process = await _quiet()
    await _break_outbox(process)

    await process.top_up("contoso", "k", UNIT)
    await process.receive(leg_json("1", to=FR, talk_seconds=None, **_long(47)))
    await process.drain()

    assert [each.kind.value for each in await _entries(process)][-2:] == ["top_up", "debit"]
    assert process.deployment.topic.published == []


async def test_an_error_of_the_publisher_does_not_undo_what_was_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = await _quiet()

    async def broken(_: object) -> None:
        raise TypeError("an error of ours")

    monkeypatch.setattr(process.deployment.topic, "publish", broken)
    await process.top_up("contoso", "k", UNIT)
    for number in range(3):
        await process.receive(leg_json(str(number), to=FR, talk_seconds=None, **_long(47)))
        await process.drain()

    kinds = [each.kind.value for each in await _entries(process)]
    assert kinds[-4:] == ["top_up", "debit", "debit", "debit"]
    assert len(await process.container.ledger.outbox("contoso", limit=10)) == 2  # credited, low


async def _break_outbox(process: Process) -> None:
    """As by a hand that meant well: a row that is sound but for its content."""
    values: dict[str, Value] = {
        "schema": SCHEMA,
        "at": "2026-11-23T10:00:00Z",
        **pack("data", [{"data": {}}]),
    }
    await process.deployment.tables.transact(TABLE, "contoso", [Upsert(event_key(1), values)])


async def _entries(process: Process) -> list[Entry]:
    commits = await process.container.ledger.journal("contoso", after=0, limit=100)
    return [entry for commit in commits for entry in commit.entries]


async def test_what_the_committing_process_could_not_publish_the_timer_does() -> None:
    process = await _quiet()
    process.deployment.topic.available = False
    await process.top_up("contoso", "k", UNIT)
    assert process.deployment.topic.published == []
    process.deployment.topic.available = True
    watched = await process.deployment.process().container.watch_balances()
    assert (watched.events, watched.failures) == (1, ())
    assert _types(process.deployment.topic.published) == ["credits.topped_up"]


async def test_a_process_that_dies_right_after_its_commit_loses_no_event() -> None:
    process = await _quiet()
    await process.container.ledger.submit(
        "contoso", top_up(UNIT, "k")
    )  # and no word to a publisher
    watched = await process.deployment.process().container.watch_balances()
    assert watched.events == 1


@pytest.mark.parametrize("after", [True, False])
async def test_a_commit_of_unknown_outcome_publishes_what_it_wrote_and_no_more(
    after: bool,
) -> None:
    process = await _quiet()
    process.deployment.tables.inject(2, OutcomeUnknown("no answer"), after=after)  # 1 is the mark
    await process.container.ledger.submit("contoso", top_up(UNIT, "k"))
    await process.container.watch_balances()
    assert _types(process.deployment.topic.published) == ["credits.topped_up"]


# Due marks


async def test_a_mark_stays_until_no_commit_can_follow_it_any_more() -> None:
    """The timer comes between mark and commit: it finds nothing, and leaves the mark."""
    process = await _quiet()
    gate = asyncio.Event()
    transact = process.deployment.tables.transact

    async def slow(table: str, *rest: Any) -> Any:
        if table == TABLE:
            await gate.wait()
        return await transact(table, *rest)

    process.deployment.tables.transact = slow  # type: ignore[method-assign]
    commit = asyncio.create_task(process.container.ledger.submit("contoso", top_up(UNIT, "k")))
    timer = process.deployment.process()
    while not await timer.container.due.due(process.clock.now(), limit=10):
        await asyncio.sleep(0)
    for _ in range(3):
        assert (await timer.container.watch_balances()).events == 0
    gate.set()
    await commit
    assert (await timer.container.watch_balances()).events == 1


async def test_marks_go_once_they_are_settled() -> None:
    process = await _quiet()
    await process.container.watch_balances()
    process.clock.advance(seconds=limits.DUE_MARK_SETTLE_SECONDS)
    await process.container.watch_balances()
    assert await process.container.due.due(process.clock.now(), limit=10) == []


async def test_a_process_whose_clock_is_five_minutes_slow_loses_no_event() -> None:
    deployment = Deployment()
    process = await _settled(deployment)
    slow = deployment.process()
    slow.container.clock = _Shifted(deployment, timedelta(minutes=-5))
    gate = asyncio.Event()
    transact = deployment.tables.transact

    async def late(table: str, *rest: Any) -> Any:
        if table == TABLE:
            await gate.wait()
        return await transact(table, *rest)

    deployment.tables.transact = late  # type: ignore[method-assign]
    commit = asyncio.create_task(slow.container.ledger.submit("contoso", top_up(UNIT, "k")))
    while not await process.container.due.due(deployment.clock.now(), limit=10):
        await asyncio.sleep(0)
    await process.container.watch_balances()
    gate.set()
    await commit
    assert (await process.container.watch_balances()).events == 1


async def _settled(deployment: Deployment) -> Process:
    process = deployment.process()
    await process.set_up()
    deployment.clock.advance(hours=1)
    await process.container.watch_balances()
    assert await process.container.due.due(deployment.clock.now(), limit=10) == []
    return process


class _Shifted:
    """A clock that is wrong by a constant."""

    def __init__(self, deployment: Deployment, span: timedelta) -> None:
        self._deployment = deployment
        self._span = span

    def now(self) -> Any:
        return self._deployment.clock.now() + self._span


async def test_an_outbox_that_cannot_be_read_does_not_stop_the_timer() -> None:
    process = Deployment().process()
    await process.set_up("contoso", "fabrikam")
    await _break_outbox(process)
    process.deployment.topic.published.clear()
    process.deployment.topic.available = False
    for account in ("contoso", "fabrikam"):
        await process.top_up(account, "k", UNIT)
    process.deployment.topic.available = True

    watched = await process.container.watch_balances()

    assert watched.events == 1
    assert [each.partition(":")[0] for each in watched.failures] == ["contoso"]


async def test_one_account_that_fails_does_not_stop_the_others() -> None:
    deployment = Deployment()
    process = deployment.process()
    await process.set_up("contoso", "fabrikam", "northwind")
    deployment.topic.published.clear()
    deployment.topic.available = False
    for account in ("contoso", "fabrikam", "northwind"):
        await process.top_up(account, "k", UNIT)
    deployment.topic.available = True
    state = await process.container.ledger.state("fabrikam")
    assert state is not None
    broken = Upsert(event_key(state.commit), {"schema": 1, "at": "whenever", "data": "["})
    await deployment.tables.transact(TABLE, "fabrikam", [broken])
    watched = await deployment.process().container.watch_balances()
    assert [failure.split(":")[0] for failure in watched.failures] == ["fabrikam"]
    reported = {message.properties["account"] for message in deployment.topic.published}
    assert reported == {"contoso", "northwind"}


async def test_while_the_topic_is_away_everything_waits_and_nothing_fails() -> None:
    process = await _quiet()
    process.deployment.topic.available = False
    await process.top_up("contoso", "k", UNIT)
    with pytest.raises(QueueUnavailable):
        await process.container.publish_events("contoso")
    watched = await process.container.watch_balances()
    assert len(watched.failures) == 1
    process.deployment.topic.available = True
    assert (await process.container.watch_balances()).events == 1


async def test_the_nightly_audit_finds_what_no_mark_named() -> None:
    process = await _quiet()
    process.deployment.topic.available = False
    await process.top_up("contoso", "k", UNIT)
    process.deployment.topic.available = True
    await process.container.due.clear(
        await process.container.due.due(process.clock.now(), limit=100)
    )
    process.clock.advance(seconds=limits.OUTBOX_AGE_SECONDS_MAX + 1)
    found = await process.container.audit_ledgers()
    assert found.missed == ["contoso"]
    await process.container.watch_balances()
    assert _types(process.deployment.topic.published) == ["credits.topped_up"]


async def test_a_thousand_legs_around_a_threshold_are_one_published_alert() -> None:
    process = await _quiet()
    ledger = process.container.ledger
    await ledger.submit("contoso", leg("big", 80 * UNIT))
    for number in range(200):
        await asyncio.gather(
            *(ledger.submit("contoso", leg(f"{number} {each}", 2_000)) for each in range(5))
        )
        await ledger.submit("contoso", top_up(10_000, f"k{number}"))
    await process.container.watch_balances()
    assert _types(process.deployment.topic.published).count("credits.low") == 1
