"""Answers of states that the recorded session does not reach follow the document too."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import function_app
from functions.http import ROUTES
from shared.contracts.openapi.document import document
from shared.domain.common.kinds import LegKind
from tests.support.charging_app import LONDON, TOKYO, ChargingApp
from tests.support.product import Answer

assert function_app.app, "importing it declares the routes"
ACCOUNT = "/api/v1/accounts/contoso"
DESCRIBED: dict[str, Any] = json.loads(json.dumps(document(ROUTES, "1")))


@pytest.fixture
def charging() -> Any:
    made = ChargingApp()
    made.settle()
    yield made
    made.close()


def check(path: str, answer: Answer) -> None:
    """`path` as the document has it."""
    responses = DESCRIBED["paths"][path]["get"]["responses"]
    assert answer.status == 200, answer.body
    schema = responses["200"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": DESCRIBED["components"]})
    found = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(answer.json)]
    assert found == [], path


def test_an_account_without_entries_and_one_with_a_grant(charging: ChargingApp) -> None:
    charging.account("empty")
    check("/api/v1/accounts/{account}/balance", charging.get("/api/v1/accounts/empty/balance"))
    charging.post(
        f"{ACCOUNT}/top-ups",
        {"amount": "5.00", "kind": "granted"},
        headers={"idempotency-key": "grant"},
    )
    check("/api/v1/accounts/{account}", charging.get(ACCOUNT))
    check("/api/v1/accounts/{account}/entries", charging.get(f"{ACCOUNT}/entries"))
    check("/api/v1/accounts/{account}/outlook", charging.get(f"{ACCOUNT}/outlook"))


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"kind": LegKind.VOIP, "to": None, "from_number": None},
        {"answered_at": None, "talk_seconds": 0},
        {"organizer": "ken", "conference_id": "3001", "hangup_cause": "16"},
    ],
    ids=["plain", "voip", "unanswered", "full"],
)
def test_legs_of_every_kind(charging: ChargingApp, facts: dict[str, Any]) -> None:
    leg = charging.leg(**{"to": LONDON, **facts})
    check("/api/v1/accounts/{account}/legs/{leg}", charging.get(f"{ACCOUNT}/legs/{leg}"))
    charging.post(f"{ACCOUNT}/legs/{leg}/reversal", {"reason": "Bad line"})
    check("/api/v1/accounts/{account}/legs/{leg}", charging.get(f"{ACCOUNT}/legs/{leg}"))
    check(
        "/api/v1/accounts/{account}/statements/{month}",
        charging.get(f"{ACCOUNT}/statements/2026-11"),
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"to": TOKYO},
        {"account": None},
        {"to": TOKYO, "organizer": "ken", "conference_id": "3001", "hangup_cause": "16"},
        {"kind": None},
    ],
    ids=["no price", "no account", "full", "no kind"],
)
def test_parked_legs_of_every_kind(charging: ChargingApp, facts: dict[str, Any]) -> None:
    charging.parked(charging.ended(**facts))
    check("/api/v1/parked-legs", charging.get("/api/v1/parked-legs"))


def test_registrations_with_a_history(charging: ChargingApp) -> None:
    for organizer in ("ken", "eva"):
        charging.clock.advance(60)
        etag = charging.get(f"{ACCOUNT}/conferences/3001").headers.get("etag")
        charging.put(f"{ACCOUNT}/conferences/3001", {"organizer": organizer}, etag)
    conference = "/api/v1/accounts/{account}/conferences/{conference}"
    check(conference, charging.get(f"{ACCOUNT}/conferences/3001"))


def test_every_operation_declares_who_may_call_it() -> None:
    for path, operations in DESCRIBED["paths"].items():
        for method, operation in operations.items():
            assert operation["security"], (path, method)


def test_a_put_documents_both_of_its_answers() -> None:
    for path, operations in DESCRIBED["paths"].items():
        if (put := operations.get("put")) and path.endswith(("}", "-policy")):  # not loads
            assert {"200", "201"} <= put["responses"].keys(), path


def test_a_required_idempotency_key_is_required() -> None:
    needed = {
        operation["operationId"]
        for operations in DESCRIBED["paths"].values()
        for operation in operations.values()
        for each in operation["parameters"]
        if each["name"] == "Idempotency-Key" and each.get("required")
    }

    assert needed == {"post_top_up", "post_adjustment"}


def test_each_body_that_a_route_reads_is_described() -> None:
    """A form too; routes without one take none."""
    without = {
        operation["operationId"]
        for operations in DESCRIBED["paths"].values()
        for method, operation in operations.items()
        if method in {"post", "put", "patch"} and "requestBody" not in operation
    }

    assert without <= {
        "acknowledge_alert",
        "post_nightly_audit",
        "replay_dead_letter",
        "replay_delivery",
        "restart_dial_out",
    }
