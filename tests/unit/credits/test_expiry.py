"""Lots expire on the day, after their warnings, oldest first, and never what is held."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.dial_out.hold_book import HoldState
from tests.support.credits_app import PATH, CreditsApp, day

EXPIRING = "credits.expiring"
YEAR = timedelta(days=365)


def expiries(app: CreditsApp) -> list[tuple[str, str]]:
    return [
        (each["amount"], each["at"]) for each in app.items("entries") if each["kind"] == "expiry"
    ]


def test_a_lot_is_warned_of_30_7_and_1_days_before_and_expires_on_its_instant(
    app: CreditsApp,
) -> None:
    app.open(balance="100.00")
    app.spend("60.00")
    start = app.clock.now()
    app.tick_until(start + YEAR + timedelta(days=2), timedelta(hours=1))
    warnings = app.of_type(EXPIRING)
    assert [(each["data"]["days"], each["time"][:10]) for each in warnings] == [
        (30, "2027-10-24"),
        (7, "2027-11-16"),
        (1, "2027-11-22"),
    ]
    assert {each["data"]["remaining"] for each in warnings} == {"40.00"}
    assert expiries(app) == [("-40.00", "2027-11-23T10:00:00Z")]
    assert app.shown_balance == "0.00"
    assert app.types()[-1] == "credits.empty"


def test_a_timer_that_slept_gives_the_last_warning_only_and_expires_late(app: CreditsApp) -> None:
    app.open(balance="100.00")
    app.tick(days=361)
    assert [each["data"]["days"] for each in app.of_type(EXPIRING)] == [7]
    app.tick(days=100)
    assert expiries(app) == [("-100.00", "2028-02-27T10:00:00Z")]


@pytest.mark.parametrize("every_seconds", [7, 60, 3600])
def test_ticks_that_are_doubled_or_rare_change_nothing(app: CreditsApp, every_seconds: int) -> None:
    app.open(balance="100.00")
    app.clock.moment += YEAR - timedelta(minutes=100)
    for _ in range(900 if every_seconds < 10 else 110):
        app.clock.advance(every_seconds)
        app.tick()
        app.tick()
    assert len(expiries(app)) == 1
    assert [each["data"]["days"] for each in app.of_type(EXPIRING)] == [1]


def test_what_is_used_up_is_not_warned_of(app: CreditsApp) -> None:
    app.open(balance="100.00")
    app.top_up("50.00", kind="granted")
    app.spend("100.00")
    app.tick_until(app.clock.now() + YEAR, timedelta(hours=12))
    assert app.of_type(EXPIRING) == []
    assert expiries(app) == []


def test_lots_expire_oldest_first_each_on_its_own_day(app: CreditsApp) -> None:
    app.open(balance="10.00")
    for _ in range(3):
        app.clock.advance(86_400)
        app.top_up("10.00")
    app.spend("5.00")
    app.tick_until(app.clock.now() + YEAR + timedelta(hours=1), timedelta(hours=1))
    assert [amount for amount, _ in expiries(app)] == ["-5.00", "-10.00", "-10.00", "-10.00"]
    days = [at[:10] for _, at in expiries(app)]
    assert days == ["2027-11-23", "2027-11-24", "2027-11-25", "2027-11-26"]


def test_a_lot_of_the_leap_day_expires_on_the_28th(app: CreditsApp) -> None:
    app.clock.moment = day(2028, 2, 29, 8)
    app.open(balance="10.00")
    app.tick_until(day(2029, 3, 2), timedelta(hours=1))
    assert expiries(app) == [("-10.00", "2029-02-28T08:00:00Z")]


def test_a_short_lot_is_not_warned_of_at_once(app: CreditsApp) -> None:
    app.open(balance=None)
    app.top_up("10.00", kind="granted", expires_at="2026-12-03T10:00:00Z")  # ten days
    app.tick_until(day(2026, 12, 4), timedelta(hours=1))
    assert [each["data"]["days"] for each in app.of_type(EXPIRING)] == [7, 1]


def test_what_is_held_expires_once_the_hold_is_gone(app: CreditsApp) -> None:
    app.open(balance="10.00")
    app.clock.moment += YEAR
    held = _hold(app, 4_000_000)
    app.tick()
    assert expiries(app) == [("-6.00", "2027-11-23T10:00:00Z")]
    app.tick(minutes=5)
    assert len(expiries(app)) == 1
    held.clear()
    app.tick(minutes=5)
    assert [amount for amount, _ in expiries(app)] == ["-6.00", "-4.00"]
    app.tick_until(app.clock.now() + timedelta(hours=1), timedelta(minutes=1))
    assert len(expiries(app)) == 2


def test_holds_that_never_end_keep_a_lot_for_72_hours_where_others_cover_them(
    app: CreditsApp,
) -> None:
    app.open(balance="10.00")
    app.clock.advance(86_400)
    app.top_up("90.00", kind="granted")
    app.clock.moment = datetime(2027, 11, 23, 10, tzinfo=UTC)
    _hold(app, 50_000_000)
    app.tick_until(app.clock.now() + timedelta(hours=71), timedelta(minutes=5))
    assert [amount for amount, _ in expiries(app)] == []
    app.tick_until(datetime(2027, 11, 26, 10, 10, tzinfo=UTC), timedelta(minutes=5))
    assert expiries(app)[0][0] == "-10.00"


def test_a_late_leg_gets_its_credit_back_for_72_hours_only(app: CreditsApp) -> None:
    app.open(balance="10.00")
    answered = app.clock.now() + YEAR - timedelta(minutes=1)
    app.clock.moment += YEAR
    app.tick()
    assert app.shown_balance == "0.00"
    app.tick(hours=71)
    app.spend("4.00", answered_at=answered)
    assert app.shown_balance == "0.00"
    app.tick(hours=2)
    app.spend("1.00", answered_at=answered)
    assert app.shown_balance == "-1.00"


def test_a_reversal_after_the_expiry_grants_thirty_days_that_expire_too(app: CreditsApp) -> None:
    app.open(balance="10.00")
    app.spend("4.00")
    leg = f"local~{app.legs}"
    app.clock.moment += YEAR
    app.tick()
    assert app.post(f"{PATH}/legs/{leg}/reversal", {"reason": "a mistake"}).status == 201
    app.tick_until(app.clock.now() + timedelta(days=31), timedelta(hours=2))
    assert [amount for amount, _ in expiries(app)] == ["-6.00", "-4.00"]
    assert app.shown_balance == "0.00"


def test_the_timer_reads_no_account_that_is_not_due(app: CreditsApp) -> None:
    app.open(balance="10.00")
    app.tick(minutes=10)
    read = _reads(app)
    app.tick(minutes=10)
    assert [table for table, _ in read] == ["due"] * 8


def _hold(app: CreditsApp, micros: int) -> list[int]:
    """Let the hold book say that so much is held, until the list is cleared."""
    held = [micros]
    holds: Any = app.container.holds
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


def _reads(app: CreditsApp) -> list[tuple[str, str]]:
    """What is read from now on: (table, partition)."""
    found: list[tuple[str, str]] = []
    tables: Any = app.tables
    for name in ("get", "query"):
        real = getattr(tables, name)

        async def counted(table: str, partition: str, *more: Any, real: Any = real, **words: Any):
            found.append((table, partition))
            return await real(table, partition, *more, **words)

        setattr(tables, name, counted)
    return found
