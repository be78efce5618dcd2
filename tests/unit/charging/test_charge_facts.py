"""Facts that are pinned when a leg is charged: destination, licence, purchasing cost."""

from typing import Any

import pytest

from tests.support.charging_app import JANUARY, LONDON, PARIS, ChargingApp, card, rate

CARDS = "/api/v1/rate-cards"


@pytest.fixture
def app() -> ChargingApp:
    app = ChargingApp()
    app.settle()
    return app


def carrier(app: ChargingApp, currency: str = "USD") -> None:
    body = card(rate("44", "0.03", "UK"), currency=currency)
    assert app.put(f"{CARDS}/wholesale/versions/{JANUARY}", body).status == 201
    app.account("fund", carrier_card="wholesale")


def total(app: ChargingApp) -> dict[str, Any]:
    return dict(app.get("/api/v1/accounts/fund/usage").json["total"])


def test_the_purchasing_cost_is_pinned(app: ChargingApp) -> None:
    carrier(app)
    leg = app.leg("fund", to=LONDON, talk_seconds=61)
    later = card(rate("44", "0.01", "UK"))
    assert app.put(f"{CARDS}/wholesale/versions/{JANUARY[:6]}2{JANUARY[7:]}?backdate=true", later)
    shown = app.shown(leg, "fund")
    assert shown["carrier"] == {
        "card": "wholesale",
        "version": JANUARY,
        "amount": "0.06",
        "currency": "USD",
    }
    found = total(app)
    assert (found["amount"], found["carrier_amount"], found["margin"]) == ("0.20", "0.06", "0.14")


def test_a_missing_carrier_rate_is_a_flag(app: ChargingApp) -> None:
    carrier(app)
    shown = app.shown(app.leg("fund", to=PARIS), "fund")
    assert (shown["status"], shown["amount"]) == ("charged", "0.20")
    assert "carrier_rate_missing" in shown["flags"]
    assert "carrier" not in shown
    assert "margin" not in total(app)


def test_a_carrier_in_another_currency_is_in_no_sum(app: ChargingApp) -> None:
    carrier(app, "EUR")
    shown = app.shown(app.leg("fund", to=LONDON), "fund")
    assert (shown["carrier"]["amount"], shown["carrier"]["currency"]) == ("0.03", "EUR")
    assert "carrier_amount" not in total(app)


def test_a_reversal_takes_the_purchasing_cost_back(app: ChargingApp) -> None:
    carrier(app)
    leg = app.leg("fund", to=LONDON)
    app.post(f"/api/v1/accounts/fund/legs/{leg}/reversal", {"reason": "Bad line"})
    assert total(app)["legs"] == 0
    assert "carrier_amount" not in total(app)


def test_an_unanswered_leg_has_a_destination_and_no_cost(app: ChargingApp) -> None:
    carrier(app)
    leg = app.leg("fund", to=LONDON, answered_at=None, talk_seconds=0)
    shown = app.shown(leg, "fund")
    assert (shown["zero_reason"], shown["destination"]) == ("unanswered", "United Kingdom")
    assert "carrier" not in shown
    (item,) = app.get("/api/v1/accounts/fund/usage?group_by=destination,region").json["items"]
    assert (item["destination"], item["region"]) == ("United Kingdom", "GB")


def test_the_licence_of_the_organizer_is_pinned(app: ChargingApp) -> None:
    path = "/api/v1/accounts/contoso/organizers/ken"
    assert app.put(path, {"license": "subscription", "cost_center": "cc-1"}).status == 201
    shown = app.shown(app.leg(to=LONDON, organizer="ken"))
    assert (shown["license"], shown["cost_center"]) == ("subscription", "cc-1")


def test_a_carrier_card_without_a_version_is_a_warning(app: ChargingApp) -> None:
    answer = app.put("/api/v1/accounts/third", {"currency": "USD", "carrier_card": "nowhere"})
    assert [each["pointer"] for each in answer.json["warnings"]] == ["/carrier_card"]
    assert app.get("/api/v1/accounts/third").json["carrier_card"] == "nowhere"


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+4915550123456", "DE"),  # a mobile range that libphonenumber does not know
        ("+33639981234", "FR"),
        ("+447700900123", None),  # +44 is also Jersey, Guernsey and the Isle of Man
        ("+12225550123", None),
    ],
)
def test_a_number_of_an_unknown_range_has_the_only_region_of_its_calling_code(
    app: ChargingApp, number: str, region: str | None
) -> None:
    rates = [rate(prefix, "0.03", "All") for prefix in ("49", "33", "44", "1")]
    later = f"{CARDS}/default/versions/2026-02-01T00:00:00Z?backdate=true"
    assert app.put(later, card(*rates)).status == 201
    leg = app.leg(to=number)
    shown = {item["leg"]: item for item in app.get("/api/v1/accounts/contoso/legs").json["items"]}
    assert shown[leg]["region"] == region
