"""A leg that ended is rated and debited, once, whatever happens on the way."""

import time
from decimal import Decimal
from fractions import Fraction
from urllib.parse import quote

import pytest

from tests.e2e.deployment import (
    BERLIN,
    LONDON,
    NEW_YORK,
    PARIS,
    ROME,
    Deployment,
    card,
    half_up,
    leg,
    london_price,
    rate,
    slot,
)
from tests.support.client import Json, at_once, eventually, every, unique

MANY_SECONDS_MAX = 100.0  # 500 legs take about two seconds on two idle cores


def test_from_nothing_to_a_charge_that_explains_itself(deployment: Deployment) -> None:
    account, own_card = unique("acct"), unique("card")
    deployment.admin.put(f"accounts/{account}", {"currency": "USD", "rate_card": own_card})
    deployment.top_up(account, "100.00")
    deployment.admin.put(
        f"rate-cards/{own_card}/versions/2026-01-01T00:00:00Z",
        card(rate("44", slot("0.012"), fee="0.05")),
    )
    ended = leg(account, conference_id="3001", organizer_id="ken@example.com")

    charge = deployment.charged(account, ended)

    assert (
        charge
        | {
            "leg": f"local~{ended['leg_id']}",
            "account": account,
            "status": "charged",
            "kind": "dial_out",
            "from": PARIS,
            "to": LONDON,
            "organizer": "ken@example.com",
            "conference": "3001",
            "answered_at": ended["answered_at"],
            "ended_at": ended["ended_at"],
            "talk_seconds": 183,
            "billed_seconds": 240,
            "amount": "0.098",
            "currency": "USD",
            "rate": {
                "card": own_card,
                "version": "2026-01-01T00:00:00Z",
                "prefix": "44",
                "destination": "dial_out to +44",
            },
            "rounding": {"mode": "half_up", "decimals": 4, "unrounded": "0.098"},
            "balance_before": "100.00",
            "balance_after": "99.902",
            "entry": 2,
            "flags": ["organizer_unknown"],
        }
        == charge
    )
    fee, usage = charge["lines"]
    assert fee == {"kind": "connection_fee", "amount": "0.05"}
    assert (
        usage
        | {
            "kind": "usage",
            "from_second": 0,
            "seconds": 240,
            "increments": 4,
            "price": "0.012",
            "unit_seconds": 60,
            "amount": "0.048",
        }
        == usage
    )
    lots = deployment.admin.get(f"accounts/{account}")["lots"]
    assert charge["funded_by"] == [{"lot": lots[0]["id"], "amount": "0.098"}]
    assert lots[0]["remaining"] == "99.902"


def test_the_ledger_runs_from_the_top_up_to_the_balance(deployment: Deployment) -> None:
    account = deployment.account("20.00")
    ended = leg(account)
    deployment.charged(account, ended)

    top_up, debit = deployment.entries(account)

    assert (top_up["sequence"], top_up["kind"], top_up["amount"]) == (1, "top_up", "20.00")
    assert (debit["sequence"], debit["kind"], debit["amount"]) == (2, "debit", "-0.098")
    assert (top_up["balance"], debit["balance"]) == ("20.00", "19.902")
    assert debit["leg"] == f"local~{ended['leg_id']}"
    assert deployment.balance(account) == Decimal("19.902")
    verified = deployment.verified(account)
    assert (verified["entries"], verified["legs"], verified["balance"]) == (2, 1, "19.902")


def test_the_same_leg_20_times_at_once_is_debited_once(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(account)

    answers = at_once(20, lambda _: deployment.bridge.ended(ended))

    every(answers, 202)
    other = leg(account)
    deployment.charged(account, other)
    assert len(deployment.debits(account, 2)) == 2
    assert deployment.verified(account)["legs"] == 2
    assert not deployment.all_parked(ended["leg_id"])


def test_the_same_leg_many_times_in_one_post_is_debited_once(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(account)
    deployment.post(*[ended] * 20)
    deployment.charged(account, leg(account))

    assert len(deployment.debits(account, 2)) == 2
    assert deployment.balance(account) == 100 - 2 * london_price(183)


def test_messages_that_the_queue_delivers_again_are_debited_once(deployment: Deployment) -> None:
    """The queue forgets after ten minutes what it had; the ledger never does."""
    account = deployment.account()
    ended = leg(account)
    messages = deployment.queued(ended)
    assert len(messages) == 1
    deployment.leg(account, ended["leg_id"])

    deployment.deliver(messages * 20)
    deployment.charged(account, leg(account))

    assert len(deployment.debits(account, 2)) == 2
    assert not deployment.all_parked(ended["leg_id"])


def test_the_same_leg_with_other_content_is_parked_as_conflict(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(account)
    deployment.charged(account, ended)
    other = ended | {"to": NEW_YORK}

    deployment.post(other)
    deployment.post(other)

    parked = deployment.parked(ended["leg_id"])
    assert (parked["reason"], parked["account"], parked["status"]) == ("conflict", account, "open")
    assert parked["original"]["to"] == NEW_YORK
    assert deployment.leg(account, ended["leg_id"])["to"] == LONDON
    assert len(deployment.debits(account, 1)) == 1


def test_a_leg_of_unknown_account_is_taken_and_parked(deployment: Deployment) -> None:
    ended = leg(None)
    answer = deployment.bridge.ended(ended)

    assert answer.status == 202
    assert answer.json() == {"legs": [{"leg": f"local~{ended['leg_id']}", "status": "queued"}]}
    parked = deployment.parked(ended["leg_id"])
    assert parked["reason"] == "account_unknown"
    assert "account" not in parked


def test_the_account_comes_from_leg_number_conference_and_bridge_in_this_order(
    deployment: Deployment,
) -> None:
    by_leg, by_number, by_conference, by_default = (deployment.account() for _ in range(4))
    conference, number = unique("room"), f"+4930{int(time.time() * 1000) % 10**8:08d}"
    deployment.admin.put(f"accounts/{by_conference}/conferences/{conference}", {"organizer": "ann"})
    deployment.admin.put(f"accounts/{by_number}/service-numbers/{quote(number)}", {"kind": "toll"})
    bridge = deployment.new_bridge(accounts=["*"], default_account=by_default)
    reported = {"conference_id": conference, "to": number, "kind": "dial_in", "from": NEW_YORK}

    charges = [
        deployment.charged(by_leg, leg(by_leg, **reported), bridge),
        deployment.charged(by_number, leg(**reported | {"kind": None}), bridge),
        deployment.charged(by_conference, leg(conference_id=conference), bridge),
        deployment.charged(by_default, leg(), bridge),
    ]

    assert [charge["kind"] for charge in charges] == ["dial_in", "dial_in", "dial_out", "dial_out"]
    assert charges[2]["organizer"] == "ann"


def test_a_leg_delivered_again_after_its_conference_moved_stays_in_the_first_account(
    deployment: Deployment,
) -> None:
    first, second, conference = deployment.account(), deployment.account(), unique("room")
    deployment.admin.put(f"accounts/{first}/conferences/{conference}", {"organizer": "ann"})
    ended = leg(conference_id=conference)
    messages = deployment.queued(ended)
    assert len(messages) == 1
    deployment.leg(first, ended["leg_id"])

    start = "?take_over=true&from=2020-01-01T00:00:00Z"
    deployment.admin.put(f"accounts/{second}/conferences/{conference}{start}", {"organizer": "ben"})
    deployment.post(ended)
    deployment.deliver(messages)
    later = leg(conference_id=conference)
    deployment.charged(second, later)

    assert len(deployment.debits(first, 1)) == 1
    assert [entry["leg"] for entry in deployment.debits(second, 1)] == [f"local~{later['leg_id']}"]
    assert not deployment.all_parked(ended["leg_id"])


def test_legs_that_cost_nothing_leave_an_entry_of_zero_with_the_reason(
    deployment: Deployment,
) -> None:
    account = deployment.account()
    legs = [
        leg(account, answered=False),
        leg(account, kind="voip", to=None),
        leg(account, to=BERLIN),
    ]
    deployment.post(*legs)
    charges = [deployment.leg(account, ended["leg_id"]) for ended in legs]

    reasons = [(charge["status"], charge["zero_reason"]) for charge in charges]
    assert reasons == [("zero", "unanswered"), ("zero", "voip"), ("zero", "free_rate")]
    assert [entry["amount"] for entry in deployment.debits(account, 3)] == ["0.00"] * 3
    assert deployment.balance(account) == 100


def test_times_that_do_not_fit_are_parked_as_inconsistent(deployment: Deployment) -> None:
    account = deployment.account()
    wrong_talk = leg(account) | {"talk_seconds": 186}
    in_the_future = leg(account) | {"ended_at": "2099-01-01T00:00:00Z", "talk_seconds": None}
    deployment.post(wrong_talk, in_the_future)

    for ended in (wrong_talk, in_the_future):
        assert deployment.parked(ended["leg_id"])["reason"] == "inconsistent"
    assert deployment.balance(account) == 100


def test_foreign_ids_of_any_letters_are_charged_and_found(deployment: Deployment) -> None:
    account, coded = deployment.account(), "Zm9vL2LDpHIgIyU_fnxiYXo"
    ended = leg(account, leg_id="foo/bär #%?~|baz", conference_id="räum/1")
    answer = deployment.bridge.ended(ended)
    shown = answer.json()["legs"][0]["leg"]
    assert shown == f"local~~{coded}"

    entry = deployment.debits(account, 1)[0]
    charge = deployment.admin.get(f"accounts/{account}/legs/{shown}")

    assert entry["leg"] == charge["leg"] == shown
    assert charge["conference"] == "räum/1"


@pytest.mark.parametrize("rated_legs", [90, pytest.param(490, marks=pytest.mark.extended)])
def test_many_legs_in_one_post_are_charged_to_the_micro(
    deployment: Deployment, rated_legs: int
) -> None:
    account = deployment.account("1000.00")
    rated = [_rated(account, number) for number in range(rated_legs)]
    unrated = [leg(account, to=ROME, talk_seconds=60) for _ in range(10)]
    began = time.monotonic()

    deployment.post(*[ended for ended, _ in rated], *unrated)
    debits = deployment.debits(account, rated_legs, MANY_SECONDS_MAX)
    took_seconds = time.monotonic() - began

    print(f"{rated_legs + 10} legs took {took_seconds:.2f} s")
    by_leg = {entry["leg"]: -Decimal(entry["amount"]) for entry in debits}
    assert by_leg == {f"local~{ended['leg_id']}": amount for ended, amount in rated}
    assert deployment.balance(account) == 1000 - sum(amount for _, amount in rated)
    verified = deployment.verified(account)
    assert (verified["entries"], verified["legs"]) == (rated_legs + 1, rated_legs)
    assert {deployment.parked(ended["leg_id"])["reason"] for ended in unrated} == {"rate_missing"}
    listed = deployment.admin.items(
        f"parked-legs?account={account}&reason=rate_missing&status=open"
    )
    assert {item["leg"] for item in listed} == {f"local~{ended['leg_id']}" for ended in unrated}
    assert all(ROME in item["detail"] for item in listed)
    assert deployment.leg(account, unrated[0]["leg_id"])["status"] == "parked"


def _rated(account: str, number: int) -> tuple[Json, Decimal]:
    """A leg and what it must cost, reckoned from the card's page and not by the product."""
    talk_seconds = 1 + number * 7
    match number % 4:
        case 0:
            return leg(account, talk_seconds=talk_seconds), london_price(talk_seconds)
        case 1:
            exact = Fraction("0.0085") * talk_seconds / 60
            return leg(account, talk_seconds=talk_seconds, to=NEW_YORK), half_up(exact)
        case 2:
            first = Fraction("0.03") * min(2, -(-talk_seconds // 30)) / 2
            rest = Fraction("0.0107") * max(0, talk_seconds - 60) / 60
            exact = Fraction("0.02") + first + rest
            return leg(account, talk_seconds=talk_seconds, to=PARIS), half_up(exact)
        case _:
            exact = Fraction("0.0042") * talk_seconds / 60
            caller = leg(account, talk_seconds=talk_seconds, to=BERLIN, kind="dial_in")
            return caller, half_up(exact)


def test_a_price_in_force_when_the_leg_was_answered_counts(deployment: Deployment) -> None:
    """A version that starts later changes nothing for calls answered before it."""
    own_card = unique("card")
    for start, price in (("2020-01-01T00:00:00Z", "0.01"), ("2026-01-01T00:00:00Z", "0.02")):
        deployment.admin.put(
            f"rate-cards/{own_card}/versions/{start}?backdate=true",
            card(rate("44", slot(price))),
        )
    account = deployment.account(rate_card=own_card)
    times = {"started_at": "2025-12-31T23:59:50Z", "ended_at": "2026-01-01T00:00:59Z"}

    before = leg(account) | times | {"answered_at": "2025-12-31T23:59:59Z", "talk_seconds": 60}
    after = leg(account) | times | {"answered_at": "2026-01-01T00:00:00Z", "talk_seconds": 59}

    assert deployment.charged(account, before)["amount"] == "0.01"
    assert deployment.charged(account, after)["amount"] == "0.02"


def test_what_a_bridge_states_beyond_the_contract_is_ignored(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(account) | {"quality": {"mos": 4.4}, "amount": "0.00", "tags": [None, True]}
    assert deployment.charged(account, ended)["amount"] == "0.098"


def test_logs_name_requests_and_legs_but_neither_numbers_nor_keys(deployment: Deployment) -> None:
    account = deployment.account()
    legs = [leg(account), leg(account, to=ROME)]
    answer = deployment.bridge.ended(legs)

    def logs() -> str:
        return "".join(log.read_text("utf-8", "replace") for log in deployment.logs)

    # A leg is named once its batch is done, after what the requests above can see.
    names = [answer.headers["x-request-id"], *(f"local~{one['leg_id']}" for one in legs)]
    assert eventually(lambda: all(name in logs() for name in names)), names
    secrets = (
        deployment.admin.key,
        deployment.bridge.secret,
        deployment.bridge.secret.removeprefix("whsec_"),
    )
    for secret in (LONDON, ROME, PARIS, *secrets):
        assert secret not in logs()
