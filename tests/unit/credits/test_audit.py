"""The nightly audit finds what no mark had named, and does it; with marks it never finds any."""

from datetime import timedelta

from shared.domain.legs.parking import ParkedLeg, ParkReason
from shared.ports.notices import DueMark
from tests.unit.credits.world import ACCOUNT, AUTO, World, day

LOW = {"name": "low", "below": "20.00"}


async def _lose_marks(world: World) -> None:
    """Somebody emptied the table of marks."""
    for bucket in range(8):
        for row in await world.tables.query("due", f"{bucket:02d}"):
            time, account, kind = row.key.split("|")
            moment = world.clock.now().strptime(time, "%Y%m%dT%H%M%S.%fZ")
            mark = DueMark(account, kind, moment.replace(tzinfo=world.clock.now().tzinfo))
            await world.container.due.clear([mark])


def audit(world: World) -> list[str]:
    found = world.run(world.container.audit_ledgers())
    assert found.problems == []
    return list(found.missed)


def test_a_year_with_marks_leaves_the_audit_nothing(world: World) -> None:
    world.open(balance="25.00", alerts=[LOW], auto_recharge=AUTO)
    for number in range(130):
        world.tick_until(world.clock.now() + timedelta(days=3), timedelta(hours=8))
        world.spend("2.00")
        for event in world.of_type("recharge.requested")[number // 60 :]:
            world.answer(event["data"]["recharge"], "succeeded")
        assert audit(world) == []


def test_what_no_mark_names_is_done_and_told(world: World) -> None:
    world.open(balance="25.00", alerts=[LOW])
    world.spend("6.00")
    world.run(_lose_marks(world))
    world.forget()
    world.tick(days=2)
    assert world.events == []
    assert audit(world) == [ACCOUNT]
    world.tick()
    assert [event["data"]["repeat"] for event in world.of_type("credits.low")] == [1]
    assert audit(world) == []


def test_a_lot_that_no_mark_names_expires_at_night(world: World) -> None:
    world.open(balance="25.00")
    world.run(_lose_marks(world))
    world.clock.moment = day(2027, 11, 25, 2)
    assert audit(world) == [ACCOUNT]
    assert world.shown_balance == "0.00"


def test_a_parked_leg_is_told_once_however_often_it_comes(world: World) -> None:
    world.open(balance="25.00")
    parked = ParkedLeg(
        id=f"{'a' * 32}.{'b' * 32}",
        leg="local~1",
        bridge="local",
        reason=ParkReason.RATE_MISSING,
        detail="No rate.",
        received_at=world.clock.now(),
        account=ACCOUNT,
    )
    app = world.container
    for _ in range(3):
        kept = world.run(app.parking.park(parked))
        world.run(app.charge_legs._announce(kept))
    world.run(app.publish_events(ACCOUNT))
    (event,) = world.of_type("leg.parked")
    assert event["data"]["reason"] == "rate_missing"
    assert event["data"]["parked"] == parked.id
    assert world.items("alerts") == []
