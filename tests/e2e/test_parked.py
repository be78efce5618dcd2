"""What can't be charged waits with its reason, is corrected, and is charged once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.deployment import LONDON, ROME, Deployment, card, leg, london_price, rate, slot, z
from tests.e2e.test_bad_input import assert_problem
from tests.support.client import Json, at_once, every, unique


@pytest.fixture(scope="module")
def rome_card(deployment: Deployment) -> str:
    """A card that has no rate for Rome yet."""
    name = unique("card")
    deployment.admin.put(
        f"rate-cards/{name}/versions/2020-01-01T00:00:00Z",
        card(rate("44", slot("0.012"), fee="0.05")),
    )
    return name


def parked_leg(deployment: Deployment, account: str, **changes: Any) -> Json:
    ended = leg(account, **{"to": ROME} | changes)
    deployment.post(ended)
    return deployment.parked(ended["leg_id"])


def test_a_leg_without_a_rate_is_charged_once_its_card_is_corrected(deployment: Deployment) -> None:
    """Even if two people replay it at the same instant."""
    own_card = unique("card")
    versions = f"rate-cards/{own_card}/versions"
    deployment.admin.put(f"{versions}/2020-01-01T00:00:00Z", card(rate("44", slot("0.012"))))
    account = deployment.account(rate_card=own_card)
    parked = parked_leg(deployment, account)
    assert (parked["reason"], parked["account"]) == ("rate_missing", account)
    early = deployment.replay(parked["id"])
    assert (early["status"], early["attempts"]) == ("open", parked["attempts"] + 1)

    yesterday = z(datetime.now(UTC) - timedelta(days=1))
    corrected = card(rate("44", slot("0.012")), rate("39", slot("0.02")))
    deployment.admin.put(f"{versions}/{yesterday}?backdate=true", corrected)
    answers = at_once(
        10, lambda _: deployment.admin.request("POST", f"parked-legs/{parked['id']}/replay")
    )

    every(answers, 200)
    assert {answer.json()["status"] for answer in answers} == {"replayed"}
    (debit,) = deployment.debits(account, 1)
    assert (debit["leg"], debit["amount"]) == (parked["leg"], "-0.08")
    assert deployment.parked(parked["leg"].partition("~")[2])["status"] == "replayed"
    assert deployment.verified(account)["legs"] == 1


def test_a_leg_that_comes_again_is_charged_whether_it_was_parked_or_not(
    deployment: Deployment,
) -> None:
    """The bridge delivers it once more after its account was made; the replay then adds nothing."""
    account = unique("acct")
    ended = leg(account)
    messages = deployment.queued(ended)
    parked = deployment.parked(ended["leg_id"])
    assert parked["reason"] == "account_unknown"
    deployment.admin.put(f"accounts/{account}", {"currency": "USD", "rate_card": "e2e"})
    deployment.top_up(account, "100.00")

    deployment.deliver(messages)
    deployment.leg(account, ended["leg_id"])
    replayed = deployment.replay(parked["id"])

    assert (replayed["status"], replayed["account"]) == ("replayed", account)
    assert len(deployment.debits(account, 1)) == 1


def test_a_replay_may_carry_the_corrected_leg(deployment: Deployment, rome_card: str) -> None:
    account = deployment.account(rate_card=rome_card)
    parked = parked_leg(deployment, account)
    corrected = leg(account) | {"leg_id": parked["original"]["leg_id"]}

    replayed = deployment.replay(parked["id"], {"leg": corrected})

    assert replayed["status"] == "replayed"
    charge = deployment.leg(account, corrected["leg_id"])
    assert (charge["to"], charge["status"]) == (LONDON, "charged")
    assert deployment.balance(account) == 100 - london_price(183)


def test_a_corrected_leg_names_an_account_for_one_that_had_none(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(None)
    deployment.post(ended)
    parked = deployment.parked(ended["leg_id"])

    replayed = deployment.replay(parked["id"], {"leg": ended | {"account": account}})

    assert (replayed["status"], replayed["account"]) == ("replayed", account)
    assert len(deployment.debits(account, 1)) == 1


def test_a_conflict_replayed_is_still_a_conflict_and_debits_nothing(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(account)
    deployment.charged(account, ended)
    deployment.post(ended | {"to": "+12125550123"})
    parked = deployment.parked(ended["leg_id"])

    assert deployment.replay(parked["id"])["reason"] == "conflict"
    assert deployment.replay(parked["id"], {"leg": ended})["status"] == "replayed"
    assert len(deployment.debits(account, 1)) == 1


@pytest.mark.extended
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "json_invalid"),
        ({"leg": {"leg_id": "x"}}, 422, "invalid"),
        ({"leg": []}, 422, "invalid"),
        ({"colour": "red"}, 422, "invalid"),
        ({"leg": leg(None) | {"colour": "red"}}, 422, "invalid"),
    ],
    ids=["no JSON", "no leg", "a list", "an unknown field", "an unknown field of a leg"],
)
def test_a_corrected_leg_that_makes_no_sense_is_refused(
    deployment: Deployment, rome_card: str, body: object, status: int, code: str
) -> None:
    parked = parked_leg(deployment, deployment.account(rate_card=rome_card))
    answer = deployment.admin.request("POST", f"parked-legs/{parked['id']}/replay", body)
    assert_problem(answer, status, code)


def test_a_dismissed_leg_is_charged_by_no_one(deployment: Deployment, rome_card: str) -> None:
    account = deployment.account(rate_card=rome_card)
    parked = parked_leg(deployment, account)
    path = f"parked-legs/{parked['id']}"

    every([deployment.admin.request("POST", f"{path}/dismiss") for _ in range(2)], 200)

    assert_problem(deployment.admin.request("POST", f"{path}/replay"), 409, "parked_leg_dismissed")
    assert deployment.parked(parked["original"]["leg_id"])["status"] == "dismissed"
    assert deployment.balance(account) == 100


def test_a_replayed_leg_can_not_be_dismissed(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(None)
    deployment.post(ended)
    path = f"parked-legs/{deployment.parked(ended['leg_id'])['id']}"
    deployment.admin.request("POST", f"{path}/replay", {"leg": ended | {"account": account}})
    assert_problem(deployment.admin.request("POST", f"{path}/dismiss"), 409, "parked_leg_replayed")


def test_an_unknown_parked_leg_is_a_404(deployment: Deployment) -> None:
    for name in ("x", "0" * 32 + "." + "0" * 32, "%2e%2e"):
        for verb in ("replay", "dismiss"):
            answer = deployment.admin.request("POST", f"parked-legs/{name}/{verb}")
            assert_problem(answer, 404, "parked_leg_unknown")


@pytest.mark.extended
def test_parked_legs_are_found_by_reason_account_and_status(
    deployment: Deployment, rome_card: str
) -> None:
    account = deployment.account(rate_card=rome_card)
    unrated = [parked_leg(deployment, account)["id"] for _ in range(3)]
    odd = parked_leg(deployment, account, to="0044 20 7946 0123")["id"]
    deployment.admin.request("POST", f"parked-legs/{unrated[0]}/dismiss")

    def found(query: str) -> set[str]:
        return {item["id"] for item in deployment.admin.items(f"parked-legs?{query}", limit=1)}

    assert found(f"account={account}") == {*unrated, odd}
    assert found(f"account={account}&reason=number_invalid") == {odd}
    assert found(f"account={account}&reason=rate_missing&status=open") == set(unrated[1:])
    for query in ("reason=bored", "status=lost"):
        answer = deployment.admin.request("GET", f"parked-legs?{query}")
        assert_problem(answer, 422, "query_invalid")


def test_a_leg_in_another_currency_than_its_card_is_parked(deployment: Deployment) -> None:
    account = deployment.account(currency="EUR")
    assert parked_leg(deployment, account, to=LONDON)["reason"] == "currency_mismatch"


def test_a_leg_of_unknown_kind_is_parked(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(account, kind=None)
    deployment.post(ended)
    assert deployment.parked(ended["leg_id"])["reason"] == "kind_unknown"


def test_a_bridge_charges_only_the_accounts_that_it_is_registered_for(
    deployment: Deployment,
) -> None:
    own, foreign = deployment.account(), deployment.account()
    bridge = deployment.new_bridge(accounts=[own])
    ended = leg(foreign)
    deployment.post(ended, bridge=bridge)

    parked = deployment.parked(ended["leg_id"], bridge.name)

    assert parked["reason"] == "account_unknown"
    assert deployment.balance(foreign) == 100
