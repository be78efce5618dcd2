"""Before it rings: allowed with a hold that pays for it, or denied with the rule that says no."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.deployment import (
    LONDON,
    NEW_YORK,
    PARIS,
    ROME,
    Deployment,
    card,
    leg,
    london_price,
    rate,
    slot,
)
from tests.e2e.test_bad_input import assert_problem
from tests.support.client import Json, at_once, every, unique

HELD_FOR_LONDON = Decimal("0.23")  # 0.05 and 15 minutes at 0.012
SLICE_SECONDS = 900
EXPIRY_SECONDS = SLICE_SECONDS + 120 + 900


def dial_out_request(deployment: Deployment, account: str, **question: Any) -> Json:
    """A question of an organizer that is made for it, unless one is named."""
    named = question.keys() & {"conference_id", "organizer_id"}
    more = {} if named else {"organizer_id": deployment.organizer(account)}
    return {"to": LONDON, "account": account} | more | question


def answered(deployment: Deployment, question: Json, key: str | None = None) -> Json:
    answer = deployment.bridge.authorise(question, key)
    assert answer.status == 200, answer
    found: Json = answer.json()
    return found


def held(deployment: Deployment, account: str) -> tuple[Decimal, Decimal]:
    """(held, available) as the account shows them."""
    shown = deployment.admin.get(f"accounts/{account}")
    return Decimal(shown["held"]), Decimal(shown["available"])


def test_an_allowed_dial_out_holds_what_it_can_cost(deployment: Deployment) -> None:
    account = deployment.account("10.00", credit_limit="5.00")
    before = datetime.now(UTC)

    allowed = answered(deployment, dial_out_request(deployment, account))
    after = datetime.now(UTC)

    expires_at = datetime.fromisoformat(allowed.pop("expires_at"))
    authorization = allowed.pop("authorization")
    assert authorization.startswith("au_")
    assert before <= expires_at - timedelta(seconds=EXPIRY_SECONDS) <= after
    assert (
        allowed.pop("destination").items()
        >= {
            "region": "GB",
            "name": "United Kingdom",
            "prefix": "44",
            "number_class": "fixed_line",
        }.items()
    )
    assert allowed == {
        "decision": "allow",
        "granted_seconds": SLICE_SECONDS,
        "final": False,
        "price_per_minute": "0.012",
        "connection_fee": "0.05",
        "currency": "USD",
        "held": "0.23",
    }
    assert held(deployment, account) == (HELD_FOR_LONDON, 15 - HELD_FOR_LONDON)
    assert deployment.balance(account) == 10


def test_the_conference_names_account_and_organizer(deployment: Deployment) -> None:
    account, conference = deployment.account(), unique("room")
    organizer = deployment.organizer(account, policy="DialoutCPCDomesticPSTNInternational")
    deployment.admin.put(f"accounts/{account}/conferences/{conference}", {"organizer": organizer})

    home = answered(deployment, {"to": PARIS, "conference_id": conference})
    abroad = answered(deployment, {"to": LONDON, "conference_id": conference})

    assert home["decision"] == "allow"
    assert (abroad["decision"], abroad["reason"]) == ("deny", "policy_domestic_only")


def test_fewer_seconds_are_granted_and_held_where_fewer_are_requested(
    deployment: Deployment,
) -> None:
    account = deployment.account()
    allowed = answered(deployment, dial_out_request(deployment, account, requested_seconds=61))
    assert (allowed["granted_seconds"], allowed["held"]) == (61, "0.074")


def test_what_is_granted_is_what_the_credit_pays_for(deployment: Deployment) -> None:
    account = deployment.account("0.08")
    allowed = answered(deployment, dial_out_request(deployment, account))
    assert (allowed["granted_seconds"], allowed["held"], allowed["final"]) == (120, "0.074", True)


ORGANIZERS: dict[str, Json] = {
    "policy_disabled": {"policy": "DialoutCPCDisabledPSTNInternational"},
    "policy_domestic_only": {"policy": "DialoutCPCDomesticPSTNInternational"},
    "policy_zone_a_only": {"policy": "DialoutCPCZoneAPSTNInternational"},
    "license_missing": {"license": "none"},
}
NUMBERS = {
    "emergency_number": "112",
    "number_invalid": "+44",
    "region_not_served": "+870773111632",
    "number_class_blocked": "+33899700123",
    "rate_missing": ROME,
    "policy_zone_a_only": "+97144567890",
}
POLICIES: dict[str, Json] = {
    "region_not_served": {"unserved_regions": ["GB"]},
    "region_blocked": {"blocked_regions": ["GB"]},
    "number_blocked": {"blocked_prefixes": ["4420"]},
    "rate_over_ceiling": {"max_price_per_minute": "0.011"},
}


def _denied(deployment: Deployment, account: str, reason: str, **question: Any) -> None:
    denied = answered(deployment, dial_out_request(deployment, account, **question))
    assert (denied["decision"], denied["reason"]) == ("deny", reason)
    assert denied["message"].endswith(".")
    assert held(deployment, account)[0] == 0


@pytest.mark.parametrize("reason", ORGANIZERS)
def test_the_organizer_decides_what_may_be_dialled(deployment: Deployment, reason: str) -> None:
    account = deployment.account()
    organizer = deployment.organizer(account, **ORGANIZERS[reason])
    _denied(deployment, account, reason, organizer_id=organizer, to=NUMBERS.get(reason, LONDON))


@pytest.mark.parametrize(
    "reason", [name for name in NUMBERS if name not in ORGANIZERS], ids=lambda name: name
)
def test_some_numbers_are_not_dialled(deployment: Deployment, reason: str) -> None:
    _denied(deployment, deployment.account(), reason, to=NUMBERS[reason])


@pytest.mark.parametrize("reason", POLICIES)
def test_the_account_has_lists_of_its_own(deployment: Deployment, reason: str) -> None:
    account = deployment.account()
    deployment.admin.put(f"accounts/{account}/dial-out-policy", POLICIES[reason])
    _denied(deployment, account, reason)


def test_an_unknown_organizer_is_denied(deployment: Deployment) -> None:
    _denied(
        deployment, deployment.account(), "organizer_unknown", organizer_id="nobody@example.com"
    )


def test_an_unknown_account_is_denied(deployment: Deployment) -> None:
    denied = answered(deployment, {"to": LONDON, "account": unique("acct"), "organizer_id": "ann"})
    assert denied["reason"] == "account_unknown"


def test_a_bridge_authorises_only_for_its_own_accounts(deployment: Deployment) -> None:
    own, foreign = deployment.account(), deployment.account()
    bridge = deployment.new_bridge(accounts=[own])
    answer = bridge.authorise(dial_out_request(deployment, foreign))
    assert answer.json()["reason"] == "account_unknown"
    assert held(deployment, foreign)[0] == 0


def test_without_credit_for_the_first_minute_it_is_denied(deployment: Deployment) -> None:
    _denied(deployment, deployment.account("0.06"), "credit_exhausted")


def test_an_explained_answer_shows_every_check_in_order(deployment: Deployment) -> None:
    account = deployment.account()
    organizer = deployment.organizer(account, policy="DialoutCPCandPSTNDisabled")
    denied = answered(
        deployment, dial_out_request(deployment, account, organizer_id=organizer, explain=True)
    )

    checks = {check["check"]: check for check in denied["checks"]}
    assert list(checks)[:3] == ["emergency", "special", "number"]
    assert list(checks)[-1] == "credit"
    assert checks["policy"]["outcome"] == "fail"
    assert checks["policy"]["reason"] == denied["reason"] == "policy_disabled"
    assert checks["number"]["outcome"] == "pass"
    assert checks["credit"]["outcome"] == "skipped"
    assert all(check["detail"] for check in checks.values())


def test_a_dry_run_holds_nothing(deployment: Deployment) -> None:
    account = deployment.account()
    allowed = answered(deployment, dial_out_request(deployment, account, dry_run=True))
    assert (allowed["decision"], allowed["held"]) == ("allow", "0.23")
    assert "authorization" not in allowed
    assert held(deployment, account)[0] == 0


def test_the_same_question_has_one_answer_and_one_hold(deployment: Deployment) -> None:
    account = deployment.account()
    question, key = dial_out_request(deployment, account), unique("ask")

    answers = at_once(10, lambda _: deployment.bridge.authorise(question, key))

    every(answers, 200)
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert held(deployment, account)[0] == HELD_FOR_LONDON


def test_a_denial_is_kept_under_its_key_too(deployment: Deployment) -> None:
    account = deployment.account(None)
    question, key = dial_out_request(deployment, account), unique("ask")
    assert answered(deployment, question, key)["reason"] == "credit_exhausted"
    deployment.top_up(account, "5.00")

    assert answered(deployment, question, key)["reason"] == "credit_exhausted"
    assert answered(deployment, question)["decision"] == "allow"


def test_another_question_under_the_same_key_is_refused(deployment: Deployment) -> None:
    account = deployment.account()
    question, key = dial_out_request(deployment, account), unique("ask")
    answered(deployment, question, key)

    answer = deployment.bridge.authorise(question | {"to": PARIS}, key)

    assert_problem(answer, 422, "idempotency_key_reused")
    assert held(deployment, account)[0] == HELD_FOR_LONDON


def test_the_webhook_id_serves_where_the_key_is_missing(deployment: Deployment) -> None:
    account = deployment.account()
    question = dial_out_request(deployment, account)
    first = deployment.bridge.post("dial-outs", question).json()
    second = deployment.bridge.post("dial-outs", question).json()
    assert first["authorization"] != second["authorization"]
    assert held(deployment, account)[0] == 2 * HELD_FOR_LONDON


def test_a_release_gives_the_hold_back_once(deployment: Deployment) -> None:
    account = deployment.account()
    authorization = answered(deployment, dial_out_request(deployment, account))["authorization"]
    answered(deployment, dial_out_request(deployment, account))

    every([deployment.bridge.release(authorization), deployment.bridge.release(authorization)], 200)

    assert held(deployment, account) == (HELD_FOR_LONDON, 100 - HELD_FOR_LONDON)


def test_only_its_own_bridge_releases_an_authorization(deployment: Deployment) -> None:
    account = deployment.account()
    authorization = answered(deployment, dial_out_request(deployment, account))["authorization"]
    other = deployment.new_bridge(accounts=["*"])

    for unknown in (authorization, "au_none", f"au_none.{account}", "x" * 500):
        assert_problem(other.release(unknown), 404, "authorization_unknown")
    assert held(deployment, account)[0] == HELD_FOR_LONDON


def test_the_leg_that_names_its_authorization_settles_the_hold(deployment: Deployment) -> None:
    account = deployment.account()
    authorization = answered(deployment, dial_out_request(deployment, account))["authorization"]

    charge = deployment.charged(account, leg(account, authorization=authorization))

    assert charge["flags"] == ["organizer_unknown"]
    price = london_price(183)
    assert held(deployment, account) == (Decimal(0), 100 - price)


def test_the_leg_id_that_was_announced_settles_the_hold(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(account)
    answered(deployment, dial_out_request(deployment, account, leg_id=ended["leg_id"]))
    assert held(deployment, account)[0] == HELD_FOR_LONDON

    deployment.charged(account, ended)

    assert held(deployment, account)[0] == 0


def test_an_unanswered_call_costs_nothing_and_frees_its_hold(deployment: Deployment) -> None:
    account = deployment.account()
    authorization = answered(deployment, dial_out_request(deployment, account))["authorization"]

    charge = deployment.charged(account, leg(account, answered=False, authorization=authorization))

    assert charge["zero_reason"] == "unanswered"
    assert held(deployment, account) == (Decimal(0), Decimal(100))


def test_a_call_longer_than_granted_is_booked_and_flagged(deployment: Deployment) -> None:
    account = deployment.account("0.08")
    authorization = answered(deployment, dial_out_request(deployment, account))["authorization"]

    charge = deployment.charged(
        account, leg(account, authorization=authorization, talk_seconds=3600)
    )

    assert "overrun" in charge["flags"]
    assert "late" not in charge["flags"]
    assert deployment.balance(account) == Decimal("0.08") - london_price(3600)
    assert held(deployment, account)[0] == 0
    deployment.verified(account)


def test_50_dial_outs_at_once_never_hold_more_than_there_is(deployment: Deployment) -> None:
    """Twelve holds of 0.23 and one of what is left fit into 3.00; no thirteenth cent is given."""
    account = deployment.account("3.00")
    question = dial_out_request(deployment, account)

    answers = at_once(50, lambda _: deployment.bridge.authorise(question))

    every(answers, 200)
    bodies = [answer.json() for answer in answers]
    allowed = [body for body in bodies if body["decision"] == "allow"]
    total = sum(Decimal(body["held"]) for body in allowed)
    assert {body["reason"] for body in bodies if body["decision"] == "deny"} == {"credit_exhausted"}
    assert len({body["authorization"] for body in allowed}) == len(allowed)
    assert held(deployment, account) == (total, 3 - total)
    assert Decimal("2.94") < total <= 3


def test_holds_and_debits_at_the_same_time_add_up(deployment: Deployment) -> None:
    account = deployment.account("6.00")
    question = dial_out_request(deployment, account)

    def authorise_or_debit(number: int) -> Decimal:
        if number % 2:
            deployment.post(leg(account, talk_seconds=600))
            return Decimal(0)
        answer = deployment.bridge.authorise(question).json()
        return Decimal(answer.get("held", 0))

    total = sum(at_once(40, authorise_or_debit))
    deployment.debits(account, 20)

    spent = 20 * london_price(600)
    assert held(deployment, account) == (total, 6 - spent - total)
    deployment.verified(account)


def test_of_101_dial_outs_at_once_one_is_too_many(deployment: Deployment) -> None:
    account = deployment.account("1000.00")
    question = dial_out_request(deployment, account)

    answers = at_once(101, lambda _: deployment.bridge.authorise(question))

    every(answers, 200)
    denied = [body for answer in answers if (body := answer.json())["decision"] == "deny"]
    assert [body["reason"] for body in denied] == ["velocity_exceeded"]
    assert held(deployment, account)[0] == 100 * HELD_FOR_LONDON


def test_the_same_key_of_another_bridge_is_another_question(deployment: Deployment) -> None:
    account, key = deployment.account(), unique("ask")
    question, other = dial_out_request(deployment, account), deployment.new_bridge(accounts=["*"])
    first = deployment.bridge.authorise(question, key).json()
    second = other.authorise(question, key).json()
    assert first["authorization"] != second["authorization"]


def test_a_free_destination_needs_no_credit(deployment: Deployment) -> None:
    own_card = unique("card")
    deployment.admin.put(
        f"rate-cards/{own_card}/versions/2020-01-01T00:00:00Z", card(rate("1", slot("0")))
    )
    account = deployment.account(None, rate_card=own_card)
    allowed = answered(deployment, dial_out_request(deployment, account, to=NEW_YORK))
    assert (allowed["decision"], allowed["held"]) == ("allow", "0.00")
