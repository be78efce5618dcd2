"""Calls that go on, end late or never; budgets, pools and the switches: over the whole stack."""

from decimal import Decimal
from typing import Any

from tests.e2e.test_dial_out import answered, asked, held
from tests.e2e.world import LONDON, World, leg, london_price
from tests.support.client import Json, at_once, eventually, every, unique

EVENT_SECONDS_MAX = 40.0
TOLL = "+493023125001"


def denied(world: World, question: Json) -> str:
    answer = answered(world, question)
    assert answer["decision"] == "deny", answer
    return str(answer["reason"])


def policy(world: World, account: str, **settings: Any) -> None:
    world.admin.put(f"accounts/{account}/dial-out-policy", settings)


def test_a_call_is_extended_and_its_hold_settled_with_what_it_cost(world: World) -> None:
    account = world.account()
    authorization = answered(world, asked(world, account))["authorization"]

    longer = world.bridge.extend(authorization, 1800)

    assert longer.status == 200
    assert longer.json()["granted_seconds"] == 1800
    assert held(world, account)[0] == Decimal("0.41")
    charge = world.charged(account, leg(account, authorization=authorization, talk_seconds=1700))
    assert "overrun" not in charge["flags"]
    assert held(world, account) == (0, 100 - london_price(1700))
    assert world.bridge.extend(authorization, 2700).status == 409


def test_extensions_at_once_and_again_hold_what_the_longest_needs(world: World) -> None:
    account = world.account()
    authorization = answered(world, asked(world, account))["authorization"]
    answers = at_once(8, lambda number: world.bridge.extend(authorization, 900 + 60 * number))
    every(answers, 200)
    assert held(world, account)[0] == Decimal("0.05") + 22 * Decimal("0.012")


def test_calls_of_a_budget_never_take_more_than_it(world: World) -> None:
    account = world.account()
    policy(world, account, budgets={"month": {"amount": "1.00"}})
    question = asked(world, account)

    answers = [answer.json() for answer in at_once(30, lambda _: world.bridge.ask(question))]

    allowed = [answer for answer in answers if answer["decision"] == "allow"]
    total = sum(Decimal(answer["held"]) for answer in allowed)
    assert Decimal("0.93") < total <= 1
    assert {a["reason"] for a in answers if a["decision"] == "deny"} == {"budget_exceeded"}
    for answer in allowed:
        world.bridge.release(answer["authorization"])
    assert answered(world, question)["decision"] == "allow"


def test_what_was_charged_stays_in_the_budget(world: World) -> None:
    account = world.account()
    policy(world, account, budgets={"day": {"amount": "0.30"}})
    question = asked(world, account)
    first = answered(world, question)["authorization"]
    world.charged(account, leg(account, authorization=first))

    second = answered(world, question)

    assert second["ends_by"] == "budget"
    assert second["granted_seconds"] == 60 * 12, "0.202 is left: a fee of 0.05 and 12 x 0.012"


def test_the_breaker_stops_dial_out_tells_it_and_a_person_restarts_it(world: World) -> None:
    account = world.account()
    policy(world, account, velocity={"cost_per_ten_minutes": "1.00"})
    question = asked(world, account)

    answers = [answer.json() for answer in at_once(20, lambda _: world.bridge.ask(question))]

    total = sum(Decimal(answer.get("held", 0)) for answer in answers)
    assert 1 <= total < Decimal("1.23"), "it stops with the hold that reaches the limit"
    assert denied(world, question) == "dial_out_stopped"
    events = world.events(account, {"dial_out.stopped": 1})
    assert [event["type"] for event in events].count("dial_out.stopped") == 1
    restarted = world.admin.ask("POST", f"accounts/{account}/dial-out-policy/restart", {})
    assert restarted.status == 200
    assert answered(world, question)["decision"] == "allow"


def test_a_suspended_account_is_denied_at_once(world: World) -> None:
    account = world.account()
    question = asked(world, account)
    answered(world, question)
    policy(world, account, suspended=True)
    assert denied(world, question) == "account_suspended"


def test_a_pool_is_used_before_credits_and_the_last_leg_is_split(world: World) -> None:
    account = world.account("1.00", subscription_licenses=1)
    organizer = world.organizer(account, license="subscription")
    question = asked(world, account, organizer_id=organizer)
    first = answered(world, question)
    assert (first["pool_seconds"], first["held"]) == (900, "0.00")

    legs = [
        leg(account, organizer_id=organizer, talk_seconds=seconds, leg_id=unique("pool"))
        for seconds in (3540, 183)
    ]
    charges = [world.charged(account, one) for one in legs]

    assert [charge["status"] for charge in charges] == ["pool", "charged"]
    assert charges[1]["pool_seconds"] == 60
    assert charges[1]["amount"] == "0.086"
    assert world.admin.get(f"accounts/{account}")["pool"]["months"][0]["used_seconds"] == 3600
    world.events(account, {"pool.used": 2})
    world.verified(account)


def test_a_caller_is_let_in_and_his_leg_settles_the_hold(world: World) -> None:
    account = world.account()
    organizer = world.organizer(account)
    question = {"to": TOLL, "account": account, "organizer_id": organizer, "from": LONDON}
    answer = world.bridge.post("dial-ins", question).json()
    assert (answer["decision"], answer["held"]) == ("allow", "0.063")

    call = leg(account, kind="dial_in", to=TOLL, authorization=answer["authorization"])
    world.charged(account, call)

    assert eventually(lambda: held(world, account)[0] == 0)


def test_what_if_reads_the_past(world: World) -> None:
    account = world.account()
    world.charged(account, leg(account))
    asked_for = {"policy": {"blocked_regions": ["GB"]}}
    answer = world.admin.ask("POST", f"accounts/{account}/dial-out-policy/what-if", asked_for)
    assert answer.status == 200, answer
    assert (answer.json()["denied"], answer.json()["saved"]) == (1, "0.098")
