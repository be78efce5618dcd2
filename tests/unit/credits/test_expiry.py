"""Lots expire on the day, after their warnings, oldest first, and never what is held."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.dial_out.hold_book import HoldState
from tests.unit.credits.world import PATH, World, day

EXPIRING = "credits.expiring"
YEAR = timedelta(days=365)


def expiries(world: World) -> list[tuple[str, str]]:
    return [
        (each["amount"], each["at"]) for each in world.items("entries") if each["kind"] == "expiry"
    ]


def test_a_lot_is_warned_of_30_7_and_1_days_before_and_expires_on_its_instant(
    world: World,
) -> None:
    world.open(balance="100.00")
    world.spend("60.00")
    start = world.clock.now()
    world.tick_until(start + YEAR + timedelta(days=2), timedelta(hours=1))
    warnings = world.of_type(EXPIRING)
    assert [(each["data"]["days"], each["time"][:10]) for each in warnings] == [
        (30, "2027-10-24"),
        (7, "2027-11-16"),
        (1, "2027-11-22"),
    ]
    assert {each["data"]["remaining"] for each in warnings} == {"40.00"}
    assert expiries(world) == [("-40.00", "2027-11-23T10:00:00Z")]
    assert world.shown_balance == "0.00"
    assert world.types()[-1] == "credits.empty"


def test_a_timer_that_slept_gives_the_last_warning_only_and_expires_late(world: World) -> None:
    world.open(balance="100.00")
    world.tick(days=361)
    assert [each["data"]["days"] for each in world.of_type(EXPIRING)] == [7]
    world.tick(days=100)
    assert expiries(world) == [("-100.00", "2028-02-27T10:00:00Z")]


@pytest.mark.parametrize("every_seconds", [7, 60, 3600])
def test_ticks_that_are_doubled_or_rare_change_nothing(world: World, every_seconds: int) -> None:
    world.open(balance="100.00")
    world.clock.moment += YEAR - timedelta(minutes=100)
    for _ in range(900 if every_seconds < 10 else 110):
        world.clock.advance(every_seconds)
        world.tick()
        world.tick()
    assert len(expiries(world)) == 1
    assert [each["data"]["days"] for each in world.of_type(EXPIRING)] == [1]


def test_what_is_used_up_is_not_warned_of(world: World) -> None:
    world.open(balance="100.00")
    world.top_up("50.00", kind="granted")
    world.spend("100.00")
    world.tick_until(world.clock.now() + YEAR, timedelta(hours=12))
    assert world.of_type(EXPIRING) == []
    assert expiries(world) == []


def test_lots_expire_oldest_first_each_on_its_own_day(world: World) -> None:
    world.open(balance="10.00")
    for _ in range(3):
        world.clock.advance(86_400)
        world.top_up("10.00")
    world.spend("5.00")
    world.tick_until(world.clock.now() + YEAR + timedelta(hours=1), timedelta(hours=1))
    assert [amount for amount, _ in expiries(world)] == ["-5.00", "-10.00", "-10.00", "-10.00"]
    days = [at[:10] for _, at in expiries(world)]
    assert days == ["2027-11-23", "2027-11-24", "2027-11-25", "2027-11-26"]


def test_a_lot_of_the_leap_day_expires_on_the_28th(world: World) -> None:
    world.clock.moment = day(2028, 2, 29, 8)
    world.open(balance="10.00")
    world.tick_until(day(2029, 3, 2), timedelta(hours=1))
    assert expiries(world) == [("-10.00", "2029-02-28T08:00:00Z")]


def test_a_short_lot_is_not_warned_of_at_once(world: World) -> None:
    world.open(balance=None)
    world.top_up("10.00", kind="granted", expires_at="2026-12-03T10:00:00Z")  # ten days
    world.tick_until(day(2026, 12, 4), timedelta(hours=1))
    assert [each["data"]["days"] for each in world.of_type(EXPIRING)] == [7, 1]


def test_what_is_held_expires_once_the_hold_is_gone(world: World) -> None:
    world.open(balance="10.00")
    world.clock.moment += YEAR
    held = _hold(world, 4_000_000)
    world.tick()
    assert expiries(world) == [("-6.00", "2027-11-23T10:00:00Z")]
    world.tick(minutes=5)
    assert len(expiries(world)) == 1
    held.clear()
    world.tick(minutes=5)
    assert [amount for amount, _ in expiries(world)] == ["-6.00", "-4.00"]
    world.tick_until(world.clock.now() + timedelta(hours=1), timedelta(minutes=1))
    assert len(expiries(world)) == 2


def test_holds_that_never_end_keep_a_lot_for_72_hours_where_others_cover_them(
    world: World,
) -> None:
    world.open(balance="10.00")
    world.clock.advance(86_400)
    world.top_up("90.00", kind="granted")
    world.clock.moment = datetime(2027, 11, 23, 10, tzinfo=UTC)
    _hold(world, 50_000_000)
    world.tick_until(world.clock.now() + timedelta(hours=71), timedelta(minutes=5))
    assert [amount for amount, _ in expiries(world)] == []
    world.tick_until(datetime(2027, 11, 26, 10, 10, tzinfo=UTC), timedelta(minutes=5))
    assert expiries(world)[0][0] == "-10.00"


def test_a_late_leg_gets_its_credit_back_for_72_hours_only(world: World) -> None:
    world.open(balance="10.00")
    answered = world.clock.now() + YEAR - timedelta(minutes=1)
    world.clock.moment += YEAR
    world.tick()
    assert world.shown_balance == "0.00"
    world.tick(hours=71)
    world.spend("4.00", answered_at=answered)
    assert world.shown_balance == "0.00"
    world.tick(hours=2)
    world.spend("1.00", answered_at=answered)
    assert world.shown_balance == "-1.00"


def test_a_reversal_after_the_expiry_grants_thirty_days_that_expire_too(world: World) -> None:
    world.open(balance="10.00")
    world.spend("4.00")
    leg = f"local~{world.legs}"
    world.clock.moment += YEAR
    world.tick()
    assert world.post(f"{PATH}/legs/{leg}/reversal", {"reason": "a mistake"}).status == 201
    world.tick_until(world.clock.now() + timedelta(days=31), timedelta(hours=2))
    assert [amount for amount, _ in expiries(world)] == ["-6.00", "-4.00"]
    assert world.shown_balance == "0.00"


def test_the_timer_reads_no_account_that_is_not_due(world: World) -> None:
    world.open(balance="10.00")
    world.tick(minutes=10)
    read = _reads(world)
    world.tick(minutes=10)
    assert [table for table, _ in read] == ["due"] * 8


def _hold(world: World, micros: int) -> list[int]:
    """Let the hold book say that so much is held, until the list is cleared."""
    held = [micros]
    holds: Any = world.container.holds
    view = holds.view

    async def patched(account: str, **more: object) -> HoldState:
        state = await view(account, **more)

        class Held:
            def __getattr__(self, name: str) -> object:
                return getattr(state, name)

            def held_micros(self, _now: datetime) -> int:
                return sum(held)

        return Held()  # type: ignore[return-value]

    holds.view = patched
    return held


def _reads(world: World) -> list[tuple[str, str]]:
    """What is read from now on: (table, partition)."""
    found: list[tuple[str, str]] = []
    tables: Any = world.tables
    for name in ("get", "query"):
        real = getattr(tables, name)

        async def counted(table: str, partition: str, *more: Any, real: Any = real, **words: Any):
            found.append((table, partition))
            return await real(table, partition, *more, **words)

        setattr(tables, name, counted)
    return found
