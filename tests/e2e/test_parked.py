"""What can't be charged waits with its reason, is mended, and is charged once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.test_bad_input import assert_problem
from tests.e2e.world import LONDON, ROME, World, card, leg, london_price, rate, slot, z
from tests.support.client import Json, at_once, every, unique


@pytest.fixture(scope="module")
def rome_card(world: World) -> str:
    """A card that has no rate for Rome yet."""
    name = unique("card")
    world.admin.put(
        f"rate-cards/{name}/versions/2020-01-01T00:00:00Z",
        card(rate("44", slot("0.012"), fee="0.05")),
    )
    return name


def parked_leg(world: World, account: str, **changes: Any) -> Json:
    ended = leg(account, **{"to": ROME} | changes)
    world.post(ended)
    return world.parked(ended["leg_id"])


def test_a_leg_without_a_rate_is_charged_once_its_card_is_mended(world: World) -> None:
    """Even if two people replay it at the same instant."""
    own_card = unique("card")
    versions = f"rate-cards/{own_card}/versions"
    world.admin.put(f"{versions}/2020-01-01T00:00:00Z", card(rate("44", slot("0.012"))))
    account = world.account(rate_card=own_card)
    parked = parked_leg(world, account)
    assert (parked["reason"], parked["account"]) == ("rate_missing", account)
    early = world.replay(parked["id"])
    assert (early["status"], early["attempts"]) == ("open", parked["attempts"] + 1)

    yesterday = z(datetime.now(UTC) - timedelta(days=1))
    mended = card(rate("44", slot("0.012")), rate("39", slot("0.02")))
    world.admin.put(f"{versions}/{yesterday}?backdate=true", mended)
    answers = at_once(10, lambda _: world.admin.ask("POST", f"parked-legs/{parked['id']}/replay"))

    every(answers, 200)
    assert {answer.json()["status"] for answer in answers} == {"replayed"}
    (debit,) = world.debits(account, 1)
    assert (debit["leg"], debit["amount"]) == (parked["leg"], "-0.08")
    assert world.parked(parked["leg"].partition("~")[2])["status"] == "replayed"
    assert world.verified(account)["legs"] == 1


def test_a_leg_that_comes_again_is_charged_whether_it_was_parked_or_not(world: World) -> None:
    """The bridge delivers it once more after its account was made; the replay then adds nothing."""
    account = unique("acct")
    ended = leg(account)
    messages = world.queued(ended)
    parked = world.parked(ended["leg_id"])
    assert parked["reason"] == "account_unknown"
    world.admin.put(f"accounts/{account}", {"currency": "USD", "rate_card": "e2e"})
    world.top_up(account, "100.00")

    world.deliver(messages)
    world.leg(account, ended["leg_id"])
    replayed = world.replay(parked["id"])

    assert (replayed["status"], replayed["account"]) == ("replayed", account)
    assert len(world.debits(account, 1)) == 1


def test_a_replay_may_carry_the_mended_leg(world: World, rome_card: str) -> None:
    account = world.account(rate_card=rome_card)
    parked = parked_leg(world, account)
    mended = leg(account) | {"leg_id": parked["original"]["leg_id"]}

    replayed = world.replay(parked["id"], {"leg": mended})

    assert replayed["status"] == "replayed"
    charge = world.leg(account, mended["leg_id"])
    assert (charge["to"], charge["status"]) == (LONDON, "charged")
    assert world.balance(account) == 100 - london_price(183)


def test_a_mended_leg_names_an_account_for_one_that_had_none(world: World) -> None:
    account = world.account()
    ended = leg(None)
    world.post(ended)
    parked = world.parked(ended["leg_id"])

    replayed = world.replay(parked["id"], {"leg": ended | {"account": account}})

    assert (replayed["status"], replayed["account"]) == ("replayed", account)
    assert len(world.debits(account, 1)) == 1


def test_a_conflict_replayed_is_still_a_conflict_and_debits_nothing(world: World) -> None:
    account = world.account()
    ended = leg(account)
    world.charged(account, ended)
    world.post(ended | {"to": "+12125550123"})
    parked = world.parked(ended["leg_id"])

    assert world.replay(parked["id"])["reason"] == "conflict"
    assert world.replay(parked["id"], {"leg": ended})["status"] == "replayed"
    assert len(world.debits(account, 1)) == 1


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
def test_a_mended_leg_that_makes_no_sense_is_refused(
    world: World, rome_card: str, body: object, status: int, code: str
) -> None:
    parked = parked_leg(world, world.account(rate_card=rome_card))
    answer = world.admin.ask("POST", f"parked-legs/{parked['id']}/replay", body)
    assert_problem(answer, status, code)


def test_a_dismissed_leg_is_charged_by_nobody(world: World, rome_card: str) -> None:
    account = world.account(rate_card=rome_card)
    parked = parked_leg(world, account)
    path = f"parked-legs/{parked['id']}"

    every([world.admin.ask("POST", f"{path}/dismiss") for _ in range(2)], 200)

    assert_problem(world.admin.ask("POST", f"{path}/replay"), 409, "parked_leg_dismissed")
    assert world.parked(parked["original"]["leg_id"])["status"] == "dismissed"
    assert world.balance(account) == 100


def test_a_replayed_leg_can_not_be_dismissed(world: World) -> None:
    account = world.account()
    ended = leg(None)
    world.post(ended)
    path = f"parked-legs/{world.parked(ended['leg_id'])['id']}"
    world.admin.ask("POST", f"{path}/replay", {"leg": ended | {"account": account}})
    assert_problem(world.admin.ask("POST", f"{path}/dismiss"), 409, "parked_leg_replayed")


def test_an_unknown_parked_leg_is_a_404(world: World) -> None:
    for name in ("x", "0" * 32 + "." + "0" * 32, "%2e%2e"):
        for verb in ("replay", "dismiss"):
            answer = world.admin.ask("POST", f"parked-legs/{name}/{verb}")
            assert_problem(answer, 404, "parked_leg_unknown")


def test_parked_legs_are_found_by_reason_account_and_status(world: World, rome_card: str) -> None:
    account = world.account(rate_card=rome_card)
    unrated = [parked_leg(world, account)["id"] for _ in range(3)]
    odd = parked_leg(world, account, to="0044 20 7946 0123")["id"]
    world.admin.ask("POST", f"parked-legs/{unrated[0]}/dismiss")

    def found(query: str) -> set[str]:
        return {item["id"] for item in world.admin.items(f"parked-legs?{query}", limit=1)}

    assert found(f"account={account}") == {*unrated, odd}
    assert found(f"account={account}&reason=number_invalid") == {odd}
    assert found(f"account={account}&reason=rate_missing&status=open") == set(unrated[1:])
    for query in ("reason=bored", "status=lost"):
        answer = world.admin.ask("GET", f"parked-legs?{query}")
        assert_problem(answer, 422, "query_invalid")


def test_a_leg_in_another_currency_than_its_card_is_parked(world: World) -> None:
    account = world.account(currency="EUR")
    assert parked_leg(world, account, to=LONDON)["reason"] == "currency_mismatch"


def test_a_leg_whose_kind_nothing_tells_is_parked(world: World) -> None:
    account = world.account()
    ended = leg(account, kind=None)
    world.post(ended)
    assert world.parked(ended["leg_id"])["reason"] == "kind_unknown"


def test_a_bridge_charges_only_the_accounts_that_it_is_registered_for(world: World) -> None:
    own, foreign = world.account(), world.account()
    bridge = world.new_bridge(accounts=[own])
    ended = leg(foreign)
    world.post(ended, bridge=bridge)

    parked = world.parked(ended["leg_id"], bridge.name)

    assert parked["reason"] == "account_unknown"
    assert world.balance(foreign) == 100
