"""A conference that several accounts have registered: whose leg it is, if anything decides."""

import base64
from typing import Any

import pytest

from tests.support.charging_app import LONDON, ChargingApp
from tests.support.product import Answer

BOTH = ("contoso", "fabrikam")
NUMBER = "+33199009900"


@pytest.fixture
def claimed(charging: ChargingApp) -> ChargingApp:
    """Room 3001 is registered by contoso and by fabrikam, each through its own operator."""
    charging.account("fabrikam")
    for account in BOTH:
        key = charging.api_key("operator", accounts=(account,))
        path = f"/api/v1/accounts/{account}/conferences/3001"
        assert charging.put(path, {"organizer": f"boss@{account}"}, key=key).status == 201
    return charging


def bridge(charging: ChargingApp, **fields: Any) -> str:
    charging.count += 1
    name = f"bridge-{charging.count}"
    auth = {"scheme": "basic", "username": "pbx", "secrets": ["one-secret-of-ours"]}
    body = {"dialect": "perminute", "auth": auth, **fields}
    assert charging.put(f"/api/v1/bridges/{name}", body).status == 201
    return name


def charged_to(charging: ChargingApp, **leg: Any) -> tuple[str | None, str]:
    """(account, organizer or reason) of a leg that is posted."""
    from shared.domain.legs.leg import QueuedLeg

    ended = charging.ended(**{"account": None, "conference_id": "3001", **leg})
    queued = QueuedLeg(ended, charging.clock.now())
    (outcome,) = charging.run(charging.container.charge_legs([queued], seconds=10))
    if outcome.parked is not None:
        parked = charging.parked_now(outcome.parked.id)
        return parked.get("account"), parked["reason"]
    account = next(
        each for each in BOTH
        if charging.get(f"/api/v1/accounts/{each}/legs/{ended.key}").status == 200
    )  # fmt: skip
    return account, charging.shown(ended.key, account)["organizer"]


def dial_out(charging: ChargingApp, name: str, **body: Any) -> Answer:
    """A dial-out into the room."""
    charging.count += 1
    credentials = base64.b64encode(b"pbx:one-secret-of-ours").decode()
    return charging.post(
        f"/api/v1/bridges/{name}/dial-outs",
        {"to": LONDON, "conference_id": "3001", **body},
        key=None,
        headers={"authorization": f"Basic {credentials}", "idempotency-key": f"k{charging.count}"},
    )


@pytest.mark.parametrize("default", [None, "contoso"])
def test_a_leg_that_several_accounts_claim_is_parked_and_never_guessed(
    claimed: ChargingApp, default: str | None
) -> None:
    more = {"default_account": default} if default else {}
    name = bridge(claimed, accounts=["*"], **more)

    assert charged_to(claimed, bridge=name) == (None, "account_ambiguous")


@pytest.mark.parametrize("account", BOTH)
def test_a_bridge_of_one_account_finds_that_accounts_conference(
    claimed: ChargingApp, account: str
) -> None:
    name = bridge(claimed, accounts=[account])

    assert charged_to(claimed, bridge=name) == (account, f"boss@{account}")


@pytest.mark.parametrize("account", BOTH)
def test_the_account_named_decides_and_brings_its_own_organizer(
    claimed: ChargingApp, account: str
) -> None:
    name = bridge(claimed, accounts=["*"])

    assert charged_to(claimed, bridge=name, account=account) == (account, f"boss@{account}")


def test_the_service_number_decides_before_the_conference(claimed: ChargingApp) -> None:
    from shared.domain.common.kinds import LegKind

    number = f"/api/v1/accounts/fabrikam/service-numbers/{NUMBER.replace('+', '%2B')}"
    assert claimed.put(number, {"kind": "toll"}).status == 201
    name = bridge(claimed, accounts=["*"])

    found = charged_to(
        claimed, bridge=name, kind=LegKind.DIAL_IN, from_number=LONDON, to_number=NUMBER
    )

    assert found == ("fabrikam", "rate_missing")  # the card has no dial-in: the account is found


def test_a_parked_leg_is_charged_once_one_account_has_ended_its_claim(claimed: ChargingApp) -> None:
    name = bridge(claimed, accounts=["*"])
    leg = claimed.ended(account=None, conference_id="3001", bridge=name)
    parked = claimed.parked(leg)
    assert parked["reason"] == "account_ambiguous"
    assert claimed.delete("/api/v1/accounts/contoso/conferences/3001").status == 204

    replayed = claimed.post(f"/api/v1/parked-legs/{parked['id']}/replay", {})

    assert (replayed.status, replayed.json["status"]) == (200, "replayed")
    assert claimed.shown(leg.key, "fabrikam")["organizer"] == "boss@fabrikam"


def test_a_dial_out_into_a_claimed_room_is_denied_unless_its_account_is_known(
    claimed: ChargingApp,
) -> None:
    name = bridge(claimed, accounts=["*"], default_account="contoso")

    denied = dial_out(claimed, name)
    allowed = dial_out(claimed, name, account="contoso", organizer_id="ken")
    alone = dial_out(claimed, bridge(claimed, accounts=["contoso"]))

    assert (denied.json["decision"], denied.json["reason"]) == ("deny", "account_unknown")
    assert allowed.json.get("reason") != "account_unknown"
    assert alone.json.get("reason") != "account_unknown"


def test_the_authorization_names_for_whom_a_claimed_room_was_dialled(claimed: ChargingApp) -> None:
    claimed.put("/api/v1/accounts/fabrikam/organizers/boss%40fabrikam", {})
    name = bridge(claimed, accounts=["*"])
    for account in BOTH:
        top_up = {"idempotency-key": f"for-dial-out-{account}"}
        claimed.post(f"/api/v1/accounts/{account}/top-ups", {"amount": "5"}, headers=top_up)
    allowed = dial_out(claimed, name, account="fabrikam").json
    assert allowed["decision"] == "allow", allowed

    found = charged_to(claimed, bridge=name, authorization=allowed["authorization"])

    assert found == ("fabrikam", "boss@fabrikam")


def test_a_squatter_gets_no_leg_of_an_owner_who_named_its_account(charging: ChargingApp) -> None:
    """Registering what another account uses changes nothing for the bridges of that account."""
    charging.account("fabrikam")
    owner = charging.api_key("operator", accounts=("contoso",))
    squatter = charging.api_key("operator", accounts=("fabrikam",))
    path = "/api/v1/accounts/{}/conferences/3001"
    name = bridge(charging, accounts=["contoso"])

    first = charging.put(path.format("fabrikam"), {"organizer": "eve"}, key=squatter)
    second = charging.put(path.format("contoso"), {"organizer": "ken"}, key=owner)

    assert (first.status, second.status) == (201, 201)
    assert charged_to(charging, bridge=name) == ("contoso", "ken")
