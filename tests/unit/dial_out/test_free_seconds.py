"""Included minutes pay only for the seconds of a call for which credits would have paid."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.common.kinds import LegKind
from shared.domain.rating.rate_card import Slot
from shared.domain.rating.rating import (
    hold_amount_micros,
    max_usage,
    paid_seconds,
    rate_leg,
    rest_after,
)
from shared.domain.rating.tariff import tariff_of
from tests.support.calls import LONDON, NEW_YORK, Calls, rate
from tests.support.product import Product
from tests.unit.rating.cases import card, picos, random_rate
from tests.unit.rating.cases import rate as card_rate

HOUR = 3600


@pytest.fixture
def calls() -> Iterator[Calls]:
    """An account with one subscription licence: an hour a month."""
    app = Product()
    made = Calls(app, subscription_licenses=1)
    made.organizer("ann", license="subscription")
    yield made
    app.close()


def slots(*prices: tuple[int, str]) -> list[dict[str, Any]]:
    """Slots of one-second increments, priced per minute."""
    return [
        {"from_second": begin, "price": price, "unit_seconds": 60, "increment_seconds": 1}
        for begin, price in prices
    ]


def put_rates(calls: Calls, version: str = "2026-01-01T00:00:00Z", **terms: Any) -> None:
    body = {"currency": "USD", "time_zone": "UTC", "rates": [{**rate("44", "0.60"), **terms}]}
    body["rates"].append(rate("1", "0.60"))
    body["rounding"] = {"mode": "half_up", "decimals": 4}
    calls.put(f"rate-cards/card/versions/{version}?backdate=true", body)


def used(calls: Calls) -> int:
    months = calls.account().get("pool", {}).get("months", [])
    return sum(month["used_seconds"] for month in months)


def is_sound(calls: Calls) -> bool:
    return calls.app.get("/api/v1/accounts/contoso/verify").json["problems"] == []


# The call is answered at 10:00 UTC and ends at 10:10.
NIGHT = {"weight": 10, "from": "00:00", "until": "10:04", "slots": slots((0, "0"))}
PARTS: dict[str, tuple[dict[str, Any], int]] = {
    "a first slot of price 0": ({"slots": slots((0, "0"), (120, "0.60"))}, 480),
    "a last slot of price 0": ({"slots": slots((0, "0.60"), (90, "0"))}, 90),
    "a slot of price 0 between two others": (
        {"slots": slots((0, "0.60"), (60, "0"), (180, "0.60"))},
        480,
    ),
    "a free band before the paid one": ({"slots": slots((0, "0.60")), "bands": [NIGHT]}, 360),
    "a paid band before the free one": (
        {"slots": slots((0, "0")), "bands": [{**NIGHT, "slots": slots((0, "0.60"))}]},
        240,
    ),
    "a cap": (
        {
            "slots": slots((0, "0.60")),
            "maximum_charge": "1.00",
            "maximum_charge_strategy": "cap",
        },
        100,
    ),
    "a cap that the connection fee is a part of": (
        {
            "slots": slots((0, "0.60")),
            "connection_fee": "0.40",
            "maximum_charge": "1.00",
            "maximum_charge_strategy": "cap",
        },
        60,
    ),
    "a connection fee alone": ({"slots": slots((0, "0")), "connection_fee": "0.40"}, 600),
    "a minimum charge alone": ({"slots": slots((0, "0")), "minimum_charge": "0.40"}, 600),
    "no free part": ({"slots": slots((0, "0.60"))}, 600),
}


@pytest.mark.parametrize("is_authorized", [True, False])
@pytest.mark.parametrize(("terms", "seconds"), PARTS.values(), ids=PARTS)
def test_the_pool_pays_only_for_seconds_for_which_credits_would_pay(
    calls: Calls, terms: dict[str, Any], seconds: int, *, is_authorized: bool
) -> None:
    put_rates(calls, **terms)
    question = {"account": "contoso", "organizer_id": "ann", "kind": "dial_out", "to": LONDON}
    quote = calls.app.post(
        "/api/v1/quotes", {**question, "talk_seconds": 600, "at": "2026-11-23T10:00:00Z"}
    ).json
    authorization = None
    if is_authorized:
        authorization = calls.authorise(organizer_id="ann")["authorization"]
    calls.app.clock.advance(600)

    leg = calls.charged(authorization, organizer="ann", talk_seconds=600)

    assert (leg["status"], leg["amount"], leg["pool_seconds"]) == ("pool", "0.00", seconds)
    assert (leg["billed_seconds"], leg["talk_seconds"]) == (seconds, 600)
    (line,) = leg["lines"]
    assert (line["seconds"], line.get("until_second", seconds)) == (seconds, 600)
    free = f"pays {seconds} s, {600 - seconds} s are free."
    assert leg["sentence"].endswith(free if seconds < 600 else "pays all 600 s.")
    assert (quote["status"], quote["pool_seconds"], quote["lines"]) == ("pool", seconds, [line])
    assert used(calls) == seconds
    assert calls.account()["held"] == "0.00"
    assert is_sound(calls)


def test_a_leg_with_free_seconds_that_the_pool_paid_is_not_rated_again(calls: Calls) -> None:
    put_rates(calls, slots=slots((0, "0"), (120, "0.60")))
    calls.charged(organizer="ann", talk_seconds=600)
    put_rates(calls, "2026-02-01T00:00:00Z")

    answer = calls.app.post(
        "/api/v1/reratings", {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    )

    (outcome,) = answer.json["items"]
    assert (outcome["status"], outcome["reason"]) == ("skipped", "pool"), outcome


def test_what_the_pool_has_left_passes_over_a_free_band(calls: Calls) -> None:
    """240 s are free until 10:04; 100 s of the pool last until 09:55:40."""
    put_rates(calls, slots=slots((0, "0.60")), bands=[NIGHT])
    calls.charged(to_number=NEW_YORK, organizer="ann", talk_seconds=HOUR - 100)
    assert used(calls) == HOUR - 100
    calls.app.clock.advance(600)

    leg = calls.charged(organizer="ann", talk_seconds=600)

    assert (leg["pool_seconds"], leg["amount"]) == (100, "2.60")
    pool, usage = leg["lines"]
    assert (pool["seconds"], pool["until_second"]) == (100, 340)
    assert (usage["from_second"], usage["seconds"]) == (340, 260)
    assert leg["billed_seconds"] == 360
    assert is_sound(calls)


ANSWERED_AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PRICES = st.lists(st.sampled_from(["0", "0.01", "0.60"]), min_size=1, max_size=4)


@given(
    prices=PRICES,
    length=st.integers(1, 40),
    increment=st.sampled_from([1, 6, 60]),
    talk_seconds=st.integers(0, 400),
    pool=st.integers(0, 400),
)
def test_pool_and_credits_together_pay_for_no_second_twice_and_for_none_that_is_free(
    prices: list[str], length: int, increment: int, talk_seconds: int, pool: int
) -> None:
    found = card_rate(
        *(Slot(at * length, picos(price), 60, increment) for at, price in enumerate(prices))
    )
    whole = rate_leg(
        card(found),
        kind=LegKind.DIAL_OUT,
        to_digits="442079460123",
        origin=None,
        answered_at=ANSWERED_AT,
        talk_seconds=talk_seconds,
    )
    assert whole is not None
    paid = paid_seconds(whole)
    lines = [line for line in whole.lines() if line.price_picos]
    assert paid <= sum(line.seconds for line in lines)
    assert paid >= sum(line.seconds for line in lines) - increment
    assert paid <= talk_seconds

    begin, rest = rest_after(whole, min(pool, paid))

    assert (rest is None) == (pool >= paid)
    assert begin + (rest.talk_seconds if rest else 0) == talk_seconds
    assert min(pool, paid) <= begin


@pytest.mark.parametrize("seed", range(150))
def test_a_hold_covers_what_included_minutes_leave_of_the_call_whenever_it_is_answered(
    seed: int,
) -> None:
    """Of any rate: free bands are passed over, and the rest begins later than it would else."""
    rng = random.Random(seed)
    found = random_rate(rng, ANSWERED_AT.date())
    made = card(found, time_zone=rng.choice(["UTC", "Asia/Kathmandu"]))
    requested_at = ANSWERED_AT + timedelta(minutes=rng.randrange(24 * 60))
    pool, seconds = rng.randrange(1, 700), rng.randrange(1, 900)
    ringing = {"answered_at": requested_at, "answered_until": requested_at + timedelta(seconds=120)}
    tariff = tariff_of(found.terms, made.rounding, made.time_zone)

    held = hold_amount_micros(tariff, **ringing, seconds=seconds, after_seconds=pool)
    granted = max_usage(
        tariff, **ringing, credit_micros=held, wanted_seconds=seconds, after_seconds=pool
    )

    assert granted == seconds or found.maximum_charge_picos is not None
    for ring in (0, 1, 59, rng.randrange(120), 120):
        for talk_seconds in (pool + seconds, rng.randrange(1, pool + seconds + 1)):
            whole = rate_leg(
                made,
                kind=found.kind,
                to_digits=found.prefix,
                origin=found.origin,
                answered_at=requested_at + timedelta(seconds=ring),
                talk_seconds=talk_seconds,
            )
            assert whole is not None
            _, rest = rest_after(whole, min(pool, paid_seconds(whole)))
            assert (rest.amount_micros if rest else 0) <= held
