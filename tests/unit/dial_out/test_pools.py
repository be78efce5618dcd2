"""Two licence regimes side by side: a pool of included minutes before credits, or credits alone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.domain.common.kinds import LegKind
from shared.domain.credits.included_minutes import (
    PoolDraw,
    PoolMonth,
    after_draw,
    left_seconds,
    pool_month,
)
from shared.domain.dial_out.included_minutes import dial_in_is_included, pool_pays
from shared.domain.dial_out.policy import License
from shared.domain.numbers.classes import NumberClass
from tests.support.calls import LONDON, NEW_YORK, PARIS, TOLL, TOLL_FREE, Calls, rate
from tests.support.product import START, Product

HOUR = 3600
EGYPT = "+20223456789"


@pytest.fixture
def app() -> Iterator[Product]:
    made = Product()
    yield made
    made.close()


@pytest.fixture
def calls(app: Product) -> Calls:
    """An account with one subscription licence: an hour a month; ann has it, ken pays."""
    made = Calls(app, subscription_licenses=1)
    made.organizer("ann", license="subscription")
    return made


def authorise(calls: Calls, to: str = LONDON, **more: Any) -> Any:
    return calls.authorise(to, organizer_id="ann", **more)


def charged(calls: Calls, **more: Any) -> Any:
    return calls.charged(organizer="ann", **more)


def pool(calls: Calls) -> int:
    months = calls.account().get("pool", {}).get("months", [])
    return sum(month["used_seconds"] for month in months)


def ledger_is_sound(calls: Calls) -> bool:
    found = calls.app.get("/api/v1/accounts/contoso/verify").json
    return found["ok"] is True or found["problems"] == []


# Who pays


@pytest.mark.parametrize(
    ("license_", "region", "number_class", "pays"),
    [
        (License.SUBSCRIPTION, "GB", NumberClass.FIXED_LINE, True),
        (License.SUBSCRIPTION, "GB", NumberClass.MOBILE, True),
        (License.SUBSCRIPTION, "GB", NumberClass.SHARED_COST, False),
        (License.SUBSCRIPTION, "FR", NumberClass.PREMIUM_RATE, False),
        (License.SUBSCRIPTION, "EG", NumberClass.MOBILE, False),
        (License.SUBSCRIPTION, "001", NumberClass.SATELLITE, False),
        (License.PAY_PER_MINUTE, "GB", NumberClass.FIXED_LINE, False),
        (License.NONE, "GB", NumberClass.FIXED_LINE, False),
    ],
)
def test_the_pool_pays_zone_a_calls_of_subscriptions_that_are_no_premium_calls(
    license_: License, region: str, number_class: NumberClass, pays: bool
) -> None:
    assert pool_pays(license_, region, number_class) is pays


def test_a_subscription_includes_toll_dial_in_only() -> None:
    assert dial_in_is_included(License.SUBSCRIPTION, toll_free=False)
    assert not dial_in_is_included(License.SUBSCRIPTION, toll_free=True)
    assert not dial_in_is_included(License.PAY_PER_MINUTE, toll_free=False)


def test_months_are_those_of_the_account() -> None:
    last_evening = START.replace(month=11, day=30, hour=20)
    assert pool_month(last_evening, "UTC") == "2026-11"
    assert pool_month(last_evening, "Asia/Tokyo") == "2026-12"


def test_a_notice_is_given_once_at_80_and_once_at_100_per_cent() -> None:
    pools: tuple[PoolMonth, ...] = ()
    reported = []
    for seconds in (2879, 1, 100, 700, -2000, 2000, 500):
        pools, events = after_draw(pools, PoolDraw("2026-11", seconds), HOUR)
        reported += [event.data["percent"] for event in events]
    assert reported == [80, 100]
    assert pools == (PoolMonth("2026-11", 4180, 100),)
    _, both = after_draw((), PoolDraw("2026-11", HOUR), HOUR)
    assert [event.data["percent"] for event in both] == [80, 100]


def test_two_months_are_kept_and_what_is_older_has_nothing_left() -> None:
    pools: tuple[PoolMonth, ...] = ()
    for month in ("2026-10", "2026-12", "2026-11"):
        pools, _ = after_draw(pools, PoolDraw(month, 10), HOUR)
    assert [each.month for each in pools] == ["2026-11", "2026-12"]
    assert left_seconds(pools, "2026-11", HOUR) == HOUR - 10
    assert left_seconds(pools, "2026-10", HOUR) == 0
    assert left_seconds(pools, "2027-01", HOUR) == HOUR


# Reserved like money


def test_pool_seconds_are_reserved_before_money(calls: Calls) -> None:
    allowed = authorise(calls)
    assert (allowed["granted_seconds"], allowed["pool_seconds"], allowed["held"]) == (
        900,
        900,
        "0.00",
    )
    for _ in range(3):
        authorise(calls)
    paid = authorise(calls)
    assert (paid["granted_seconds"], paid["held"]) == (900, "0.20")
    assert "pool_seconds" not in paid


def test_a_call_that_straddles_the_end_of_the_pool_holds_both(calls: Calls) -> None:
    for _ in range(3):
        authorise(calls)
    authorise(calls, requested_seconds=600)
    split = authorise(calls)
    assert (split["granted_seconds"], split["pool_seconds"]) == (900, 300)
    assert split["held"] == "0.15", "a fee of 0.05 and ten minutes at 0.01"


def test_without_credit_the_pool_alone_pays_and_the_call_ends_with_it(app: Product) -> None:
    calls = Calls(app, "", subscription_licenses=1)
    calls.organizer("ann", license="subscription")
    assert authorise(calls)["final"] is False
    authorization = authorise(calls)["authorization"]
    longer = calls.extend(authorization, 3600).json
    assert (longer["granted_seconds"], longer["pool_seconds"]) == (2700, 2700)
    assert (longer["final"], longer["ends_by"]) == (True, "pool")
    denied = authorise(calls)
    assert (denied["decision"], denied["reason"]) == ("deny", "credit_exhausted")


def test_a_released_call_gives_its_minutes_back(calls: Calls) -> None:
    first = [authorise(calls)["authorization"] for _ in range(4)]
    calls.release(first[0])
    assert authorise(calls)["pool_seconds"] == 900


@pytest.mark.parametrize(("organizer", "to"), [("ken", LONDON), ("ann", NEW_YORK), ("ann", EGYPT)])
def test_who_has_no_subscription_and_where_it_does_not_reach_pays_from_credits(
    calls: Calls, organizer: str, to: str
) -> None:
    answer = calls.authorise(to, organizer_id=organizer, dry_run=True)
    if to == EGYPT:
        assert answer["reason"] == "rate_missing"
    elif to == NEW_YORK:
        assert answer["pool_seconds"] == 900, "the United States are in Zone A"
    else:
        assert "pool_seconds" not in answer


def test_a_budget_of_money_does_not_bind_included_minutes(calls: Calls) -> None:
    calls.policy(budgets={"day": {"amount": "0"}})
    assert authorise(calls)["pool_seconds"] == 900
    assert calls.authorise(organizer_id="ken")["reason"] == "budget_exceeded"


def test_a_call_that_rings_while_the_month_ends_is_paid_from_credits(calls: Calls) -> None:
    clock = calls.app.clock
    clock.moment = clock.moment.replace(month=11, day=30, hour=23, minute=58, second=30)
    assert "pool_seconds" not in authorise(calls)
    clock.advance(120)
    assert authorise(calls)["pool_seconds"] == 900


# Charged


def test_a_leg_that_the_pool_pays_costs_nothing_and_states_it(calls: Calls) -> None:
    allowed = authorise(calls)
    leg = charged(calls, authorization=allowed["authorization"])
    assert (leg["status"], leg["amount"], leg["billed_seconds"]) == ("pool", "0.00", 183)
    line = {"kind": "pool", "from_second": 0, "seconds": 183, "amount": "0", "destination": "44"}
    assert leg["lines"] == [line]
    assert (leg["funded_by"], leg["balance_after"]) == ([], "10.00")
    assert pool(calls) == 183
    assert calls.account()["held"] == "0.00"
    assert ledger_is_sound(calls)


def test_a_leg_is_split_where_the_pool_ends(calls: Calls) -> None:
    charged(calls, talk_seconds=HOUR - 100)
    leg = charged(calls, talk_seconds=183)
    assert (leg["status"], leg["amount"], leg["pool_seconds"]) == ("charged", "0.07", 100)
    kinds = [(line["kind"], line.get("from_second"), line.get("seconds")) for line in leg["lines"]]
    assert kinds == [("pool", 0, 100), ("connection_fee", None, None), ("usage", 100, 120)]
    assert leg["billed_seconds"] == 220
    assert pool(calls) == HOUR
    assert ledger_is_sound(calls)
    assert charged(calls)["amount"] == "0.09"


def test_a_leg_takes_no_more_minutes_than_were_reserved_for_it(calls: Calls) -> None:
    for _ in range(3):
        authorise(calls)
    authorise(calls, requested_seconds=840)
    split = authorise(calls, requested_seconds=600)
    assert split["pool_seconds"] == 60
    leg = charged(calls, authorization=split["authorization"], talk_seconds=183)
    assert (leg["pool_seconds"], leg["amount"]) == (60, "0.08")
    assert pool(calls) == 60


def test_a_leg_without_a_hold_takes_what_is_left(calls: Calls) -> None:
    assert charged(calls)["status"] == "pool"


def test_included_dial_in_is_free_and_toll_free_is_not(calls: Calls) -> None:
    calls.put(f"accounts/contoso/service-numbers/{TOLL}", {"kind": "toll"})
    toll = charged(calls, kind=LegKind.DIAL_IN, to_number=TOLL)
    assert (toll["status"], toll["zero_reason"], toll["amount"]) == ("zero", "included", "0.00")
    free = charged(calls, kind=LegKind.DIAL_IN, to_number=TOLL_FREE)
    assert (free["status"], free["amount"]) == ("charged", "0.12")
    own = calls.charged(kind=LegKind.DIAL_IN, to_number=TOLL)
    assert (own["status"], own["amount"]) == ("charged", "0.02")


def test_an_unknown_organizer_pays_by_the_minute(calls: Calls) -> None:
    leg = calls.charged(organizer="nobody")
    assert (leg["status"], leg["flags"]) == ("charged", ["organizer_unknown"])


def test_a_reversal_gives_the_minutes_back(calls: Calls) -> None:
    leg = charged(calls)
    answer = calls.app.post(
        f"/api/v1/accounts/contoso/legs/{leg['leg']}/reversal", {"reason": "a dispute"}
    )
    assert answer.status == 201, answer.body
    assert pool(calls) == 0
    assert ledger_is_sound(calls)


def test_the_notices_go_out_with_the_commit_that_used_the_pool(calls: Calls) -> None:
    charged(calls, talk_seconds=HOUR)
    calls.app.run(calls.app.container.publish_events("contoso"))
    reported = [json.loads(message.body) for message in calls.topic.published]
    used = [event["data"]["percent"] for event in reported if event["type"] == "pool.used"]
    assert used == [80, 100]


def test_more_licences_are_more_minutes_from_now_on(calls: Calls) -> None:
    charged(calls, talk_seconds=HOUR)
    calls.app.clock.advance(3)
    assert "pool_seconds" not in authorise(calls)
    etag = calls.account()["etag"]
    calls.put(
        "accounts/contoso",
        {"currency": "USD", "rate_card": "card", "subscription_licenses": 2},
        etag,
    )
    assert authorise(calls)["pool_seconds"] == 900
    assert ledger_is_sound(calls)


# What the pool pays for


FREE_CALLS = {
    "price 0": {"price": "0"},
    "within the grace": {"price": "0.10", "grace_seconds": 183},
    "rounded to nothing": {"price": "0.000001"},
    "capped to nothing": {
        "price": "0.10",
        "maximum_charge": "0.00001",
        "maximum_charge_strategy": "cap",
    },
}


@pytest.mark.parametrize("terms", FREE_CALLS.values(), ids=FREE_CALLS)
def test_a_call_for_which_credits_would_pay_nothing_takes_nothing_of_the_pool(
    calls: Calls, terms: dict[str, Any]
) -> None:
    free, paid = rate("33", **terms), rate("44", "0.10")
    version = {"currency": "USD", "time_zone": "UTC", "rates": [free, paid]}
    version["rounding"] = {"mode": "half_up", "decimals": 4}
    calls.put("rate-cards/card/versions/2026-01-01T00:00:00Z?backdate=true", version)

    allowed = authorise(calls, PARIS, requested_seconds=183)
    leg = charged(calls, authorization=allowed["authorization"], to_number=PARIS)
    without_hold = charged(calls, to_number=PARIS)

    assert (allowed["held"], allowed.get("pool_seconds")) == ("0.00", None)
    for free_leg in (leg, without_hold):
        assert (free_leg["status"], free_leg["amount"]) == ("zero", "0.00")
        assert free_leg["zero_reason"] == "free_rate"
    assert pool(calls) == 0
    whole_hour = charged(calls, talk_seconds=HOUR)
    assert (whole_hour["status"], whole_hour["amount"]) == ("pool", "0.00")
    assert pool(calls) == HOUR
    assert ledger_is_sound(calls)


def test_grace_is_for_short_calls_only_and_a_longer_one_takes_all_its_seconds(
    calls: Calls,
) -> None:
    version = {
        "currency": "USD",
        "time_zone": "UTC",
        "rates": [rate("44", "0.1", grace_seconds=20)],
    }
    version["rounding"] = {"mode": "half_up", "decimals": 4}
    calls.put("rate-cards/card/versions/2026-01-01T00:00:00Z?backdate=true", version)

    for seconds, used in ((20, 0), (21, 21), (12, 21)):
        allowed = authorise(calls)
        charged(calls, authorization=allowed["authorization"], talk_seconds=seconds)
        assert pool(calls) == used


def test_a_leg_that_the_pool_pays_keeps_its_rate_and_destination(calls: Calls) -> None:
    leg = charged(calls, to_number=PARIS, talk_seconds=3000)

    assert (leg["status"], leg["amount"], leg["pool_seconds"]) == ("pool", "0.00", 3000)
    assert (leg["rate"]["destination"], leg["rate"]["prefix"]) == ("33", "33")
    assert (leg["region"], leg["number_class"]) == ("FR", "fixed_line")
    assert leg["sentence"] == "The pool of included minutes pays all 3000 s."
    (line,) = leg["lines"]
    assert (line["kind"], line["seconds"], line["destination"]) == ("pool", 3000, "33")


def test_the_pooled_part_of_a_leg_keeps_its_destination_when_the_rest_is_rated_again(
    calls: Calls,
) -> None:
    charged(calls, talk_seconds=HOUR - 60)
    leg = charged(calls, to_number=PARIS, talk_seconds=180)
    assert (leg["status"], leg["pool_seconds"], leg["amount"]) == ("charged", 60, "0.04")
    assert [line.get("destination") for line in leg["lines"]] == ["33", None]
    version = {"currency": "USD", "time_zone": "UTC", "rates": [rate("33", "0.05")]}
    version["rates"][0]["destination"] = "France"  # type: ignore[index]
    version["rounding"] = {"mode": "half_up", "decimals": 4}
    calls.put("rate-cards/other/versions/2026-01-01T00:00:00Z?backdate=true", version)

    body = {"accounts": ["contoso"], "legs": [leg["leg"]], "rate_card": "other"}
    body |= {"reason": "a mistake", "dry_run": False}
    answer = calls.app.post("/api/v1/reratings", body)

    assert answer.status in {200, 201}, answer.body
    again = calls.app.get(f"/api/v1/accounts/contoso/legs/{leg['leg']}").json
    assert (again["amount"], again["rate"]["destination"]) == ("0.10", "France")
    pooled, *rest = again["lines"]
    assert (pooled["kind"], pooled["seconds"], pooled["destination"]) == ("pool", 60, "33")
    assert [line["from_second"] for line in rest if line["kind"] == "usage"] == [60]
    assert ledger_is_sound(calls)


def test_the_number_class_of_a_grant_and_of_its_charge_follows_the_ranges_of_the_account(
    calls: Calls,
) -> None:
    calls.policy(class_ranges=[{"prefix": "+4420", "class": "uan"}], allowed_classes=["uan"])

    granted = calls.authorise(LONDON)
    charge = calls.charged(granted["authorization"])
    unasked = calls.charged()

    assert granted["destination"]["number_class"] == "uan"
    assert (charge["number_class"], unasked["number_class"]) == ("uan", "uan")


def test_the_number_class_of_a_caller_s_leg_is_that_of_the_numbering_plan(calls: Calls) -> None:
    """The account's ranges say what may be dialled."""
    calls.policy(class_ranges=[{"prefix": "+49", "class": "uan"}], allowed_classes=["uan"])

    charge = calls.charged(kind=LegKind.DIAL_IN, to_number=TOLL)

    assert charge["number_class"] == "fixed_line"
