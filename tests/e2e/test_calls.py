"""Calls that go on, end late or never; budgets, pools and the switches: over the whole stack."""

from decimal import Decimal
from typing import Any

from tests.e2e.deployment import LONDON, Deployment, leg, london_price
from tests.e2e.test_dial_out import answered, dial_out_request, held
from tests.support.client import Json, at_once, eventually, every, unique

EVENT_SECONDS_MAX = 40.0
TOLL = "+493023125001"


def denied(deployment: Deployment, question: Json) -> str:
    answer = answered(deployment, question)
    assert answer["decision"] == "deny", answer
    return str(answer["reason"])


def policy(deployment: Deployment, account: str, **settings: Any) -> None:
    deployment.admin.put(f"accounts/{account}/dial-out-policy", settings)


def test_a_call_is_extended_and_its_hold_settled_with_what_it_cost(deployment: Deployment) -> None:
    account = deployment.account()
    authorization = answered(deployment, dial_out_request(deployment, account))["authorization"]

    longer = deployment.bridge.extend(authorization, 1800)

    assert longer.status == 200
    assert longer.json()["granted_seconds"] == 1800
    assert held(deployment, account)[0] == Decimal("0.41")
    charge = deployment.charged(
        account, leg(account, authorization=authorization, talk_seconds=1700)
    )
    assert "overrun" not in charge["flags"]
    assert held(deployment, account) == (0, 100 - london_price(1700))
    assert deployment.bridge.extend(authorization, 2700).status == 409


def test_extensions_at_once_and_again_hold_what_the_longest_needs(deployment: Deployment) -> None:
    account = deployment.account()
    authorization = answered(deployment, dial_out_request(deployment, account))["authorization"]
    answers = at_once(8, lambda number: deployment.bridge.extend(authorization, 900 + 60 * number))
    every(answers, 200)
    assert held(deployment, account)[0] == Decimal("0.05") + 22 * Decimal("0.012")


def test_calls_of_a_budget_never_take_more_than_it(deployment: Deployment) -> None:
    account = deployment.account()
    policy(deployment, account, budgets={"month": {"amount": "1.00"}})
    question = dial_out_request(deployment, account)

    answers = [
        answer.json() for answer in at_once(30, lambda _: deployment.bridge.authorise(question))
    ]

    allowed = [answer for answer in answers if answer["decision"] == "allow"]
    total = sum(Decimal(answer["held"]) for answer in allowed)
    assert Decimal("0.93") < total <= 1
    assert {a["reason"] for a in answers if a["decision"] == "deny"} == {"budget_exceeded"}
    for answer in allowed:
        deployment.bridge.release(answer["authorization"])
    assert answered(deployment, question)["decision"] == "allow"


def test_what_was_charged_stays_in_the_budget(deployment: Deployment) -> None:
    account = deployment.account()
    policy(deployment, account, budgets={"day": {"amount": "0.30"}})
    question = dial_out_request(deployment, account)
    first = answered(deployment, question)["authorization"]
    deployment.charged(account, leg(account, authorization=first))

    second = answered(deployment, question)

    assert second["ends_by"] == "budget"
    assert second["granted_seconds"] == 60 * 12, "0.202 is left: a fee of 0.05 and 12 x 0.012"


def test_the_breaker_stops_dial_out_reports_it_and_a_person_restarts_it(
    deployment: Deployment,
) -> None:
    account = deployment.account()
    policy(deployment, account, velocity={"cost_per_ten_minutes": "1.00"})
    question = dial_out_request(deployment, account)

    answers = [
        answer.json() for answer in at_once(20, lambda _: deployment.bridge.authorise(question))
    ]

    total = sum(Decimal(answer.get("held", 0)) for answer in answers)
    assert 1 <= total < Decimal("1.23"), "it stops with the hold that reaches the limit"
    assert denied(deployment, question) == "dial_out_stopped"
    events = deployment.events(account, {"dial_out.stopped": 1})
    assert [event["type"] for event in events].count("dial_out.stopped") == 1
    restarted = deployment.admin.request("POST", f"accounts/{account}/dial-out-policy/restart", {})
    assert restarted.status == 200
    assert answered(deployment, question)["decision"] == "allow"


def test_a_suspended_account_is_denied_at_once(deployment: Deployment) -> None:
    account = deployment.account()
    question = dial_out_request(deployment, account)
    answered(deployment, question)
    policy(deployment, account, suspended=True)
    assert denied(deployment, question) == "account_suspended"


def test_a_pool_is_used_before_credits_and_the_last_leg_is_split(deployment: Deployment) -> None:
    account = deployment.account("1.00", subscription_licenses=1)
    organizer = deployment.organizer(account, license="subscription")
    question = dial_out_request(deployment, account, organizer_id=organizer)
    first = answered(deployment, question)
    assert (first["pool_seconds"], first["held"]) == (900, "0.00")

    legs = [
        leg(account, organizer_id=organizer, talk_seconds=seconds, leg_id=unique("pool"))
        for seconds in (3540, 183)
    ]
    charges = [deployment.charged(account, one) for one in legs]

    assert [charge["status"] for charge in charges] == ["pool", "charged"]
    assert charges[1]["pool_seconds"] == 60
    assert charges[1]["amount"] == "0.086"
    assert deployment.admin.get(f"accounts/{account}")["pool"]["months"][0]["used_seconds"] == 3600
    deployment.events(account, {"pool.used": 2})
    deployment.verified(account)


def test_a_caller_is_let_in_and_his_leg_settles_the_hold(deployment: Deployment) -> None:
    account = deployment.account()
    organizer = deployment.organizer(account)
    question = {"to": TOLL, "account": account, "organizer_id": organizer, "from": LONDON}
    answer = deployment.bridge.post("dial-ins", question).json()
    assert (answer["decision"], answer["held"]) == ("allow", "0.063")

    call = leg(account, kind="dial_in", to=TOLL, authorization=answer["authorization"])
    deployment.charged(account, call)

    assert eventually(lambda: held(deployment, account)[0] == 0)


def test_what_if_reads_the_past(deployment: Deployment) -> None:
    account = deployment.account()
    deployment.charged(account, leg(account))
    requested_for = {"policy": {"blocked_regions": ["GB"]}}
    answer = deployment.admin.request(
        "POST", f"accounts/{account}/dial-out-policy/what-if", requested_for
    )
    assert answer.status == 200, answer
    assert (answer.json()["denied"], answer.json()["saved"]) == (1, "0.098")
