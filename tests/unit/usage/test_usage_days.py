"""Closed days of usage: the same answers as from the journal, verified, erased, rebuilt."""

from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.ledger.restore import export, restore
from shared.adapters.tables.packing import pack, unpack
from shared.ports.tables import Delete, Upsert
from tests.support.charging_app import LONDON, PARIS, ChargingApp

DAY = 86_400
GROUPS = (
    "organizer,conference,kind,region,destination,number_class,bridge,day",
    "hour,cost_center",
    "week,month",
    "",
)


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/New_York"])
def app(request: pytest.FixtureRequest) -> ChargingApp:
    """Five days of legs, with a late leg, a reversal of an earlier day and an unanswered leg."""
    app = ChargingApp()
    app.settle()
    current = app.get("/api/v1/accounts/contoso")
    body = {"currency": "USD", "time_zone": request.param}
    answer = app.put("/api/v1/accounts/contoso", body, headers={"if-match": current.etag})
    assert answer.status == 200, answer.body
    first = None
    for day in range(5):
        for name in ("ken", "amy"):
            leg = app.leg(to=LONDON, organizer=name, conference_id=f"room-{day}")
            first = first or leg
            app.clock.advance(7 * 3600)
        app.leg(to=PARIS, organizer="ken", answered_at=app.clock.now() - timedelta(days=1))
        app.leg(to=PARIS, answered_at=None, talk_seconds=0)
        app.clock.advance(10 * 3600)
    app.post(f"/api/v1/accounts/contoso/legs/{first}/reversal", {"reason": "Bad line"})
    app.leg(to=LONDON)
    return app


def answers(app: ChargingApp) -> dict[str, Any]:
    now = app.clock.now()
    start = (now - timedelta(days=4)).date()
    spans = ("", f"from={start}", f"from={start}&to={start + timedelta(days=2)}")
    found = {}
    for span in spans:
        for time in ("booked", "answered"):
            for groups in GROUPS:
                query = f"time={time}&order=group&{span}{f'&group_by={groups}' * bool(groups)}"
                answer = app.get(f"/api/v1/accounts/contoso/usage?{query}")
                assert answer.status == 200, answer.body
                found[query] = {"items": answer.json["items"], "total": answer.json["total"]}
    return found


def close(app: ChargingApp) -> None:
    app.run(app.container.audit_ledgers())


def usage_rows(app: ChargingApp) -> list[Any]:
    rows = app.run(app.tables.query("ledger", "contoso", first="usage|", before="usage}"))
    return list(rows)


def problems(app: ChargingApp) -> list[str]:
    return list(app.get("/api/v1/accounts/contoso/verify").json["problems"])


def test_closed_days_give_the_same_answers(app: ChargingApp) -> None:
    before = answers(app)
    close(app)
    assert len(usage_rows(app)) > 5
    assert answers(app) == before
    assert problems(app) == []
    app.clock.advance(2 * DAY)
    app.leg(to=LONDON)
    later = answers(app)
    close(app)
    assert answers(app) == later
    assert problems(app) == []


def test_closing_twice_changes_nothing(app: ChargingApp) -> None:
    close(app)
    once = [(row.key, dict(row.values)) for row in usage_rows(app)]
    close(app)
    assert [(row.key, dict(row.values)) for row in usage_rows(app)] == once


def test_verify_names_a_row_that_differs(app: ChargingApp) -> None:
    close(app)
    row = usage_rows(app)[0]
    data: Any = unpack("data", row.values)
    data["cells"][0][-3] += 1
    values = {**row.values, **pack("data", data)}
    app.run(app.tables.transact("ledger", "contoso", [Upsert(row.key, values)]))
    assert problems(app) == [f"{row.key}: data: is not what the journal adds up to"]
    app.run(app.tables.transact("ledger", "contoso", [Delete(row.key, None)]))
    assert problems(app) == [f"{row.key}: the row of the day is missing"]
    app.run(app.tables.transact("ledger", "contoso", [Upsert(row.key, dict(row.values))]))
    app.run(
        app.tables.transact("ledger", "contoso", [Upsert("usage|2020-01-01|000", dict(row.values))])
    )
    assert problems(app) == ["usage|2020-01-01|000: no commit of the journal leads to it"]


@pytest.mark.parametrize("app", ["UTC"], indirect=True)
@pytest.mark.parametrize("place", [0, 3, 9])
@pytest.mark.parametrize("value", [10**6, "1", None])
def test_a_damaged_row_is_a_damaged_ledger(app: ChargingApp, place: int, value: object) -> None:
    close(app)
    row = next(row for row in usage_rows(app) if "late" not in row.key)
    data: Any = unpack("data", row.values)
    data["cells"][0][place] = value
    values = {**row.values, **pack("data", data)}
    app.run(app.tables.transact("ledger", "contoso", [Upsert(row.key, values)]))
    start = (app.clock.now() - timedelta(days=9)).date()
    answer = app.get(f"/api/v1/accounts/contoso/usage?from={start}&group_by=organizer,region")
    assert (answer.status, answer.json["code"]) == (500, "ledger_corrupt")


def test_an_erased_organizer_leaves_the_days(app: ChargingApp) -> None:
    close(app)
    total = answers(app)["time=booked&order=group&"]["total"]
    assert app.post("/api/v1/accounts/contoso/erasures", {"organizer": "ken"}).status == 200
    items = app.get("/api/v1/accounts/contoso/usage?group_by=organizer").json["items"]
    assert {each["organizer"] for each in items} == {"amy", None}
    assert answers(app)["time=booked&order=group&"]["total"] == total
    assert problems(app) == []


def test_another_time_zone_closes_the_days_again(app: ChargingApp) -> None:
    close(app)
    current = app.get("/api/v1/accounts/contoso")
    body = {"currency": "USD", "time_zone": "Europe/Paris"}
    app.put("/api/v1/accounts/contoso", body, headers={"if-match": current.etag})
    before = answers(app)
    close(app)
    assert answers(app) == before
    assert {row.values["time_zone"] for row in usage_rows(app)} == {"Europe/Paris"}
    assert problems(app) == []


def test_a_restore_rebuilds_the_days(app: ChargingApp) -> None:
    close(app)

    async def restored() -> ChargingApp:
        after = ChargingApp()
        key = app.container.settings.chain_key
        await restore(after.tables, "contoso", export(app.tables, "contoso"), key)
        return after

    after = app.run(restored())
    days = {row.key for row in usage_rows(app)}
    assert {row.key for row in usage_rows(after)} == days
