"""What a bridge posted within a day is counted by the processes and shown in the status."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.legs.bridge_posts import TableBridgePosts
from shared.domain.common import limits
from shared.domain.common.errors import StoreUnavailable
from shared.ports.activity import PostCounts
from shared.ports.tables import Delete
from tests.support.charging_app import ChargingApp
from tests.support.memory_tables import MemoryTables
from tests.support.product import START, CountedIds, ManualClock

SECRET = "a-secret-of-the-tests-" + "x" * 22
NOTHING = "The participant is no phone participant."


@pytest.fixture(autouse=True)
def _written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POSTS_LINGER_SECONDS", 0)


async def _written() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _posts(tables: MemoryTables, clock: ManualClock, name: str = "one") -> TableBridgePosts:
    return TableBridgePosts(tables, clock, CountedIds(name))


async def test_processes_add_up_and_a_day_later_only_the_last_post_is_known() -> None:
    tables, clock = MemoryTables(), ManualClock()
    one, two = _posts(tables, clock), _posts(tables, clock, "two")
    one.note("pbx", PostCounts(clock.now(), 2, 1, {NOTHING: 3}))
    await _written()
    one.note("pbx", PostCounts(clock.now(), 1, 0, {NOTHING: 1, "other": 1}))
    two.note("pbx", PostCounts(parked=1))
    two.note("another", PostCounts(clock.now(), 5))
    await _written()
    found = await two.last_day("pbx")
    assert found == PostCounts(START, 3, 2, {NOTHING: 4, "other": 1}, START)
    clock.advance(hours=25)
    assert await one.last_day("pbx") == PostCounts(START, 0, 0, {}, START)
    clock.advance(hours=48)
    one.note("pbx", PostCounts(clock.now(), 1))
    await _written()
    rows = [row.key for row in await tables.query("backlog", "posts|pbx")]
    assert rows[1:] == ["last", "last_leg"]  # rows of earlier days are gone
    assert (await one.last_day("pbx")).legs == 1


async def test_the_last_leg_of_an_earlier_version_is_its_last_post_while_its_counts_are_kept() -> (
    None
):
    tables, clock = MemoryTables(), ManualClock()
    posts = _posts(tables, clock)
    posts.note("pbx", PostCounts(clock.now(), 1))
    await _written()
    await tables.transact("backlog", "posts|pbx", [Delete("last_leg")])
    assert (await posts.last_day("pbx")).last_leg_at == START


async def test_a_bridge_that_only_posts_other_events_has_no_leg_yet() -> None:
    clock = ManualClock()
    posts = _posts(MemoryTables(), clock)
    posts.note("pbx", PostCounts(clock.now(), ignored={NOTHING: 3}))
    await _written()
    assert await posts.last_day("pbx") == PostCounts(START, 0, 0, {NOTHING: 3}, None)


async def test_an_outage_loses_no_count_and_reasons_are_bounded() -> None:
    tables, clock = MemoryTables(), ManualClock()
    posts = _posts(tables, clock)
    tables.inject(1, StoreUnavailable("away"))
    for number in range(limits.POSTS_REASONS_MAX + 30):
        posts.note("pbx", PostCounts(clock.now(), 1, 0, {f"reason {number}": 1}))
    await _written()
    assert (await posts.last_day("pbx")).legs == 0
    posts.note("pbx", PostCounts(clock.now(), 1))
    await _written()
    found = await posts.last_day("pbx")
    assert found.legs == limits.POSTS_REASONS_MAX + 31
    assert found.ignored["other"] == 30
    assert len(found.ignored) == limits.POSTS_REASONS_MAX + 1


def test_the_status_names_each_bridge_with_its_counts() -> None:
    with ChargingApp() as app:
        app.settle("contoso")
        auth = {"scheme": "bearer", "secrets": [SECRET]}
        settings = {"dialect": "twilio", "auth": auth, "default_account": "contoso"}
        assert app.put("/api/v1/bridges/tw", settings | {"accounts": ["*"]}).status == 201
        post = {"CallSid": "CA1", "CallStatus": "ringing"}
        for _ in range(2):
            answer = app.post("/api/v1/bridges/tw/call-ended", post, key=SECRET)
            assert answer.status == 202, answer.body
        app.run(_written())
        shown: list[dict[str, Any]] = app.get("/api/v1/status").json["bridges"]
        assert shown[-1] == {
            "bridge": "tw",
            "last_post_at": "2026-11-23T10:00:00Z",
            "last_leg_at": None,
            "legs_24h": 0,
            "parked_24h": 0,
            "ignored_24h": {"The call goes on: ringing.": 2},
        }
        app.clock.advance(timedelta(days=2).total_seconds())
        assert app.get("/api/v1/status").json["bridges"][-1]["ignored_24h"] == {}
        key = app.api_key("reader", accounts=("contoso",))
        assert app.get("/api/v1/status", key=key).json["bridges"] == []
