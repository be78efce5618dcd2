"""Credits that run low are reported once per crossing, on the topic `credit-events`."""

from decimal import Decimal

from tests.e2e.deployment import Deployment, leg
from tests.support.client import Json, at_once

ALERTS = [{"name": "low", "below": "20.00"}]
DEAR_SECONDS = 60 * 60  # costs 0.05 + 60 x 0.012 = 0.77
LEGS_DOWN = 3  # from 22.00 to 19.69, below 20.00


def lows(events: list[Json]) -> list[Json]:
    return [event for event in events if event["type"] == "credits.low"]


def spend(deployment: Deployment, account: str, legs: int) -> None:
    before = len(deployment.entries(account, "?kind=debit"))
    deployment.post(*[leg(account, talk_seconds=DEAR_SECONDS) for _ in range(legs)])
    deployment.debits(account, before + legs)


def test_one_alert_per_crossing_armed_again_by_a_top_up(deployment: Deployment) -> None:
    account = deployment.account("22.00", alerts=ALERTS)

    spend(deployment, account, LEGS_DOWN)
    spend(deployment, account, 2)
    # Events of an account come in order: whatever came before the second top-up is there now.
    deployment.top_up(account, "10.00")
    first = deployment.events(account, {"credits.topped_up": 2, "credits.low": 1})
    assert len(lows(first)) == 1

    spend(deployment, account, 12)
    deployment.top_up(account, "1.00")
    both = deployment.events(account, {"credits.topped_up": 3, "credits.low": 2})
    assert len(lows(both)) == 2
    assert len({event["id"] for event in both}) == len(both) == 5


def test_the_alert_is_a_cloud_event_that_names_what_was_crossed(deployment: Deployment) -> None:
    account = deployment.account("22.00", alerts=ALERTS)
    spend(deployment, account, LEGS_DOWN)

    (low,) = lows(deployment.events(account, {"credits.low": 1}))

    assert low["specversion"] == "1.0"
    assert low["source"] == f"/accounts/{account}"
    assert low["id"].startswith(f"{account}:")
    assert low["time"].endswith("Z")
    data = low["data"]
    assert (data["alert"], data["threshold"], data["currency"]) == ("low", "20.00", "USD")
    assert Decimal(data["balance"]) < 20
    assert Decimal(data["available"]) < 20


def test_debits_at_the_same_instant_cross_a_threshold_once(deployment: Deployment) -> None:
    account = deployment.account("20.50", alerts=ALERTS)

    at_once(20, lambda _: deployment.post(leg(account, talk_seconds=DEAR_SECONDS)))
    deployment.debits(account, 20)
    deployment.top_up(account, "0.01")

    assert len(lows(deployment.events(account, {"credits.topped_up": 2, "credits.low": 1}))) == 1


def test_each_threshold_has_its_own_alert(deployment: Deployment) -> None:
    rules = [*ALERTS, {"name": "tenth", "below_percent": 10}, {"name": "deep", "below": "5"}]
    account = deployment.account("22.00", alerts=rules)
    spend(deployment, account, 27)  # 1.21 left: under all three
    alerts = lows(deployment.events(account, {"credits.low": 3}))
    assert {(event["data"]["alert"], event["data"]["threshold"]) for event in alerts} == {
        ("low", "20.00"),
        ("tenth", "2.20"),
        ("deep", "5.00"),
    }


def test_an_account_above_its_threshold_hears_nothing(deployment: Deployment) -> None:
    account = deployment.account("100.00", alerts=ALERTS)
    spend(deployment, account, 3)
    deployment.top_up(account, "1.00")
    events = deployment.events(account, {"credits.topped_up": 2})
    assert [event["type"] for event in events] == ["credits.topped_up"] * 2
