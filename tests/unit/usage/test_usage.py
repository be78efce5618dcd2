"""Usage of a span: any combination of groups, net of corrections, by entry or by call."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common.canonical import content_digest
from shared.domain.common.kinds import LegKind
from shared.domain.ledger.model import DebitLeg
from tests.support.charging_app import JANUARY, LONDON, PARIS, ChargingApp

USAGE = "/api/v1/accounts/contoso/usage"


@pytest.fixture
def app() -> ChargingApp:
    app = ChargingApp()
    app.settle()
    return app


def usage(app: ChargingApp, query: str = "") -> dict[str, Any]:
    answer = app.get(f"{USAGE}{query}")
    assert answer.status == 200, answer.body
    return dict(answer.json)


def test_all_legs_of_the_present_month_are_one_total(app: ChargingApp) -> None:
    app.leg(to=LONDON)
    app.leg(to=PARIS, talk_seconds=61)
    app.leg(to=LONDON, answered_at=None, talk_seconds=0)
    found = usage(app)
    assert found["items"] == [found["total"]]
    assert found["total"] == {
        "legs": 3,
        "answered_legs": 2,
        "talk_seconds": 121,
        "billed_seconds": 180,
        "pool_seconds": 0,
        "amount": "0.50",
    }
    assert found["currency"] == "USD"


def test_groups_are_combined_and_ordered(app: ChargingApp) -> None:
    app.leg(to=LONDON, conference_id="a", organizer="ken")
    app.leg(to=LONDON, conference_id="b", organizer="ken")
    app.leg(to=PARIS, conference_id="a", organizer="amy")
    items = usage(app, "?group_by=organizer,region")["items"]
    named = [(each["organizer"], each["region"], each["legs"], each["amount"]) for each in items]
    assert named == [("amy", "FR", 1, "0.20"), ("ken", "GB", 2, "0.20")]
    by_name = usage(app, "?group_by=conference&order=group")["items"]
    assert [(each["conference"], each["amount"]) for each in by_name] == [
        ("a", "0.30"),
        ("b", "0.10"),
    ]
    most = usage(app, "?group_by=organizer&order=legs")["items"]
    assert [each["organizer"] for each in most] == ["ken", "amy"]


def test_beyond_a_limit_the_rest_is_one_item(app: ChargingApp) -> None:
    app.leg(to=PARIS, conference_id="a")
    app.leg(to=LONDON, conference_id="b")
    app.leg(to=LONDON, conference_id="c")
    found = usage(app, "?group_by=conference&limit=1")
    assert [each["conference"] for each in found["items"]] == ["a", "other"]
    assert found["items"][1]["legs"] == 2
    assert found["total"]["legs"] == 3


def test_a_reversal_counts_where_it_is_booked_or_with_its_call(app: ChargingApp) -> None:
    day = app.clock.now().date()
    leg = app.leg(to=LONDON)
    app.clock.advance(2 * 86400)
    later = app.clock.now().date()
    path = f"/api/v1/accounts/contoso/legs/{leg}/reversal"
    assert app.post(path, {"reason": "Bad line"}).status == 201
    span = f"?from={later}&to={later + timedelta(days=1)}&group_by=region"
    (item,) = usage(app, span)["items"]
    assert (item["legs"], item["amount"], item["billed_seconds"]) == (-1, "-0.10", -60)
    first = f"?from={day}&to={day + timedelta(days=1)}"
    assert usage(app, first)["total"]["legs"] == 1
    assert usage(app, f"{first}&time=answered")["total"]["legs"] == 0
    assert usage(app, f"{span}&time=answered")["items"] == []


def test_a_rerating_replaces_the_former_charge(app: ChargingApp) -> None:
    app.leg(to=LONDON)
    app.cheaper()
    requested = {"accounts": ["contoso"], "from": JANUARY, "dry_run": False, "reason": "Cheaper"}
    answer = app.post("/api/v1/reratings", requested)
    assert answer.status == 200, answer.body
    (item,) = usage(app, "?group_by=destination")["items"]
    assert (item["destination"], item["legs"], item["amount"]) == ("Britain", 1, "0.05")


def test_days_weeks_months_and_hours_are_local(app: ChargingApp) -> None:
    app.account("tokyo", time_zone="Asia/Tokyo")
    app.leg("tokyo", to=LONDON)
    app.get("/api/v1/accounts/tokyo")
    local = app.clock.now() + timedelta(hours=9)
    answer = app.get("/api/v1/accounts/tokyo/usage?group_by=day,week,month,hour")
    (item,) = answer.json["items"]
    year, week, _ = local.date().isocalendar()
    assert item["day"] == local.date().isoformat()
    assert item["week"] == f"{year}-W{week:02}"
    assert item["month"] == f"{local:%Y-%m}"
    assert item["hour"] == local.hour


def test_legs_of_older_versions_have_the_groups_that_can_be_derived(app: ChargingApp) -> None:
    """A charge that pins neither bridge, region, cost centre nor number class."""
    for number, (prefix, destination) in enumerate((("3317", "France"), ("44", "Britain"))):
        charge: dict[str, object] = {
            "kind": "dial_out",
            "status": "charged",
            "conference": "3001",
            "started_at": JANUARY,
            "answered_at": JANUARY,
            "ended_at": JANUARY,
            "talk_seconds": 60,
            "billed_seconds": 60,
            "amount": "0.10",
            "currency": "USD",
            "rate": {
                "card": "old",
                "version": JANUARY,
                "prefix": prefix,
                "destination": destination,
            },
            "lines": [],
            "flags": [],
        }
        digest, begun = content_digest(charge), app.clock.now()
        person = {"to": f"+{prefix}", "organizer": "ken", "salt": "s"}
        debit = DebitLeg(f"old~{number}", digest, 100_000, begun, None, charge, person, digest)
        app.run(app.container.ledger.submit("contoso", debit))
    names = "organizer", "cost_center", "bridge", "region", "destination", "number_class"
    items = usage(app, f"?group_by={','.join(names)}&order=group")["items"]
    assert [tuple(each[name] for name in names) for each in items] == [
        ("ken", None, "old", None, "Britain", None),  # three territories share 44 with it
        ("ken", None, "old", "FR", "France", None),
    ]
    answer = app.get("/api/v1/accounts/contoso/legs?region=FR")
    assert [each["leg"] for each in answer.json["items"]] == ["old~0"]


def test_csv_has_the_groups_and_the_sums(app: ChargingApp) -> None:
    app.leg(to=LONDON, organizer="=cmd")
    answer = app.get(f"{USAGE}?group_by=organizer&format=csv")
    (row,) = csv.DictReader(io.StringIO(answer.body.decode()))
    assert row["organizer"] == "'=cmd"
    assert (row["legs"], row["amount"]) == ("1", "0.10")


@pytest.mark.parametrize("query", ["group_by=colour", "group_by=day,day", "order=x", "time=x"])
def test_what_usage_does_not_take_is_refused(app: ChargingApp, query: str) -> None:
    answer = app.get(f"{USAGE}?{query}")
    assert (answer.status, answer.json["code"]) == (422, "query_invalid")


def test_usage_agrees_with_the_statement(app: ChargingApp) -> None:
    app.leg(to=LONDON)
    app.leg(to=PARIS, kind=LegKind.VOIP)
    month = f"{app.clock.now():%Y-%m}"
    charges = app.get(f"/api/v1/accounts/contoso/statements/{month}").json["charges"]
    total = usage(app, f"?month={month}")["total"]
    assert charges == {
        "count": total["legs"],
        "amount": total["amount"],
        "billed_seconds": total["billed_seconds"],
        "pool_seconds": total["pool_seconds"],
    }
