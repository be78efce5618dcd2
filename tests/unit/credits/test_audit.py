"""The nightly audit finds what no mark had named, and does it; with marks it never finds any."""

from datetime import timedelta

from shared.domain.legs.parking import ParkedLeg, ParkReason
from shared.ports.notices import DueMark
from tests.support.credits_app import ACCOUNT, AUTO, CreditsApp, day

LOW = {"name": "low", "below": "20.00"}


async def _lose_marks(app: CreditsApp) -> None:
    """Somebody emptied the table of marks."""
    for bucket in range(8):
        for row in await app.tables.query("due", f"{bucket:02d}"):
            time, account, kind = row.key.split("|")
            moment = app.clock.now().strptime(time, "%Y%m%dT%H%M%S.%fZ")
            mark = DueMark(account, kind, moment.replace(tzinfo=app.clock.now().tzinfo))
            await app.container.due.clear([mark])


def audit(app: CreditsApp) -> list[str]:
    found = app.run(app.container.audit_ledgers())
    assert found.problems == []
    return list(found.missed)


def test_four_months_with_marks_leave_the_audit_nothing(app: CreditsApp) -> None:
    app.open(balance="25.00", alerts=[LOW], auto_recharge=AUTO)
    for number in range(40):
        app.tick_until(app.clock.now() + timedelta(days=3), timedelta(hours=8))
        app.spend("2.00")
        for event in app.of_type("recharge.requested")[number // 60 :]:
            app.answer(event["data"]["recharge"], "succeeded")
        assert audit(app) == []


def test_what_no_mark_names_is_done_and_reported(app: CreditsApp) -> None:
    app.open(balance="25.00", alerts=[LOW])
    app.spend("6.00")
    app.run(_lose_marks(app))
    app.forget()
    app.tick(days=2)
    assert app.events == []
    assert audit(app) == [ACCOUNT]
    app.tick()
    assert [event["data"]["repeat"] for event in app.of_type("credits.low")] == [1]
    assert audit(app) == []


def test_a_lot_that_no_mark_names_expires_at_night(app: CreditsApp) -> None:
    app.open(balance="25.00")
    app.run(_lose_marks(app))
    app.clock.moment = day(2027, 11, 25, 2)
    assert audit(app) == [ACCOUNT]
    assert app.shown_balance == "0.00"


def test_a_parked_leg_is_reported_once_however_often_it_comes(app: CreditsApp) -> None:
    app.open(balance="25.00")
    parked = ParkedLeg(
        id=f"{'a' * 32}.{'b' * 32}",
        leg="local~1",
        bridge="local",
        reason=ParkReason.RATE_MISSING,
        detail="No rate.",
        received_at=app.clock.now(),
        account=ACCOUNT,
    )
    for _ in range(3):
        kept = app.run(app.container.parking.park(parked))
        app.run(app.container.charge_legs._announce(kept))
    app.run(app.container.publish_events(ACCOUNT))
    (event,) = app.of_type("leg.parked")
    assert event["data"]["reason"] == "rate_missing"
    assert event["data"]["parked"] == parked.id
    assert app.items("alerts") == []
