"""Regions: what is sold there, and what an account may dial at which price."""

from typing import Any

import pytest

from shared.domain.numbers.regions import NAMES
from tests.support.charging_app import CARD, JANUARY, card, rate
from tests.support.product import Product

CONTOSO = "account=contoso"


@pytest.fixture
def priced(app: Product) -> Product:
    rates = (
        rate("33", "0.02", "France"),
        rate("336", "0.09", "France Mobile"),
        rate("337", "0.12", "France Mobile"),
        rate("33612", "0.30", "France Mobile special"),
        rate("3316", "0.05", "Paris suburbs"),
        rate("1", "0.01", "North America"),
        rate("1876", "0.35", "Jamaica"),
    )
    assert app.put(f"{CARD}/{JANUARY}", card(*rates)).status == 201
    app.account(usage_location="FR")
    return app


def region(app: Product, code: str, query: str = CONTOSO) -> Any:
    answer = app.get(f"/api/v1/regions/{code}?{query}")
    assert answer.status == 200, answer.body
    return answer.json


def test_a_region_states_what_pay_per_minute_offers_there(app: Product) -> None:
    france = region(app, "fr", "")
    assert france == {
        "region": "FR",
        "name": "France",
        "calling_codes": ["33"],
        "zone_a": True,
        "pay_per_minute": {
            "conferencing": "yes",
            "toll": True,
            "toll_free": True,
            "dial_out": "included",
            "credits_sold": True,
            "premium_numbers": "dialled",
        },
    }
    china, pakistan = region(app, "CN", ""), region(app, "PK", "")
    assert china["pay_per_minute"]["dial_out"] == "not_for_local_customers"
    assert (pakistan["zone_a"], pakistan["pay_per_minute"]["toll"]) == (False, False)
    assert region(app, "CU", "")["pay_per_minute"] is None


def prices_of(app: Product, code: str) -> dict[str, tuple[str, str]]:
    prices = region(app, code)["prices"]
    return {each["number_class"]: (each["cheapest"], each["dearest"]) for each in prices}


def test_prices_are_the_cheapest_and_the_dearest_by_class(priced: Product) -> None:
    prices = prices_of(priced, "FR")

    assert prices["fixed_line"] == ("0.02", "0.05")
    assert prices["mobile"] == ("0.09", "0.3")
    assert region(priced, "FR")["currency"] == "USD"


def test_regions_of_one_calling_code_are_distinguished(priced: Product) -> None:
    assert prices_of(priced, "JM")["mobile"] == ("0.35", "0.35")
    assert set(prices_of(priced, "CA").values()) == {("0.01", "0.01")}
    assert prices_of(priced, "GB") == {}


@pytest.mark.parametrize(
    ("policy", "code", "reason"),
    [
        ({}, "GB", None),
        ({"default_policy": "DialoutCPCandPSTNDisabled"}, "FR", "policy_disabled"),
        ({"default_policy": "DialoutCPCandPSTNDomestic"}, "GB", "policy_domestic_only"),
        ({"default_policy": "DialoutCPCandPSTNDomestic"}, "FR", None),
        ({"default_policy": "DialoutCPCZoneAPSTNDomestic"}, "JM", "policy_zone_a_only"),
        ({"blocked_regions": ["GB"]}, "GB", "region_blocked"),
        ({"unserved_regions": ["GB"]}, "GB", "region_not_served"),
        ({}, "001", "region_not_served"),
    ],
)
def test_the_policy_states_whether_a_region_is_dialled(
    priced: Product, policy: dict[str, object], code: str, reason: str | None
) -> None:
    assert priced.put("/api/v1/accounts/contoso/dial-out-policy", policy).status == 201

    dial_out = region(priced, code)["dial_out"]

    assert (dial_out["allowed"], dial_out["reason"]) == (reason is None, reason)


def test_the_list_agrees_with_each_region(priced: Product) -> None:
    listed = {
        each["region"]: each for each in priced.get(f"/api/v1/regions?{CONTOSO}").json["items"]
    }

    assert listed["FR"] == region(priced, "FR")
    assert listed["JM"] == region(priced, "JM")
    assert set(listed) <= set(NAMES)
    assert len(listed) > 240
    assert priced.get("/api/v1/regions?format=csv").body.decode().startswith("region,name,")


def test_an_account_without_a_card_has_no_prices(app: Product) -> None:
    app.account(rate_card="none-yet")

    shown = region(app, "FR")

    assert (shown["prices"], "card" in shown) == ([], False)


def test_unknown_regions_and_accounts_are_404(app: Product) -> None:
    for code in ("XX", "F", "%2F", "france"):
        assert app.get(f"/api/v1/regions/{code}").code == "region_unknown"
    assert app.get("/api/v1/regions/FR?account=nosuch").code == "account_unknown"
