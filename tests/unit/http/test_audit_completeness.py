"""Every operation that changes something leaves a trace with its actor: in the audit log, in the
ledger, or beside what it changed."""

from typing import Any

import pytest

import function_app
from functions.http import ROUTES
from tests.support.product import Product

assert function_app.app, "importing it declares the routes"
ACCOUNT = "/api/v1/accounts/contoso"
CARD = "/api/v1/rate-cards/default"
BRIDGE = "/api/v1/bridges/studio"
SECRET = "a-secret-that-no-log-shows"
RATES = {
    "currency": "USD",
    "rounding": {"mode": "half_up", "decimals": 4},
    "rates": [{"kind": "dial_out", "prefix": "44", "destination": "UK", "slots": [
        {"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}
    ]}],
}  # fmt: skip

LOGGED: list[tuple[str, str, str, object, str]] = [
    ("put_account", "PUT", ACCOUNT, {"currency": "USD"}, "account"),
    ("patch_account", "PATCH", ACCOUNT, {"name": "Contoso"}, "account"),
    ("put_bridge", "PUT", BRIDGE,
     {"dialect": "perminute", "accounts": ["*"],
      "auth": {"scheme": "basic", "username": "pbx", "secrets": [SECRET]}}, "bridge"),
    ("patch_bridge", "PATCH", BRIDGE, {"auth": {"secrets": [f"{SECRET}-2"]}}, "bridge"),
    ("delete_bridge", "DELETE", BRIDGE, None, "bridge"),
    ("put_organizer", "PUT", f"{ACCOUNT}/organizers/ken", {}, "organizer"),
    ("patch_organizer", "PATCH", f"{ACCOUNT}/organizers/ken", {"cost_center": "ops"}, "organizer"),
    ("put_conference", "PUT", f"{ACCOUNT}/conferences/3001", {"organizer": "ken"}, "conference"),
    ("delete_conference", "DELETE", f"{ACCOUNT}/conferences/3001", None, "conference"),
    ("delete_organizer", "DELETE", f"{ACCOUNT}/organizers/ken", None, "organizer"),
    ("put_service_number", "PUT", f"{ACCOUNT}/service-numbers/%2B33199009900", {"kind": "toll"},
     "service_number"),
    ("delete_service_number", "DELETE", f"{ACCOUNT}/service-numbers/%2B33199009900", None,
     "service_number"),
    ("put_dial_out_policy", "PUT", f"{ACCOUNT}/dial-out-policy", {}, "dial_out_policy"),
    ("patch_dial_out_policy", "PATCH", f"{ACCOUNT}/dial-out-policy", {"blocked_regions": ["CU"]},
     "dial_out_policy"),
    ("stop_dial_out", "POST", f"{ACCOUNT}/dial-out-policy/stop", {"reason": "fraud"}, "dial_out"),
    ("restart_dial_out", "POST", f"{ACCOUNT}/dial-out-policy/restart", {}, "dial_out"),
    ("put_webhook", "PUT", f"{ACCOUNT}/webhooks/erp",
     {"url": f"https://erp.contoso.com/in?key={SECRET}", "events": ["*"]}, "webhook"),
    ("delete_webhook", "DELETE", f"{ACCOUNT}/webhooks/erp", None, "webhook"),
    ("put_rate_card_version", "PUT", f"{CARD}/versions/2026-01-01T00:00:00Z", RATES, "rate_card"),
    ("create_api_key", "POST", "/api/v1/api-keys",
     {"name": "ci", "roles": ["reader"], "accounts": ["*"]}, "api_key"),
    ("delete_api_key", "DELETE", "/api/v1/api-keys/{key}", None, "api_key"),
    ("post_erasure", "POST", f"{ACCOUNT}/erasures", {"organizer": "ken"}, "erasure"),
]  # fmt: skip
"""(route, method, target, body, kind of the entry), played one after the other."""

OTHERWISE = {
    "post_compromised": "as proof_key in the audit log, see tests/unit/proof/test_proofs.py",
    "post_nightly_audit": "closes what the nightly job closes",
    "import_rate_card_version": "as put_rate_card_version, by the same store",
    "put_organizers": "as put_organizer, by the same store",
    "put_conferences": "as put_conference, by the same store",
    "put_service_numbers": "as put_service_number, by the same store",
    "post_top_up": "an entry of the ledger",
    "post_adjustment": "an entry of the ledger",
    "post_reversal": "an entry of the ledger",
    "post_rerating": "entries of the ledger",
    "post_recharge_result": "an entry of the ledger",
    "acknowledge_alert": "the alert names who acknowledged",
    "replay_parked_leg": "the parked leg names its actor",
    "dismiss_parked_leg": "the parked leg names its actor",
    "replay_parked_legs": "the parked leg names its actor",
    "dismiss_parked_legs": "the parked leg names its actor",
    "replay_delivery": "the delivery is sent again, nothing else changes",
    "replay_dead_letter": "the leg is queued again, nothing else changes",
    "post_what_if": "changes nothing",
    "try_dial_out": "changes nothing",
    "post_price_what_if": "changes nothing",
    "post_quote": "changes nothing",
    "post_quote_table": "changes nothing",
    "post_reconciliation": "changes nothing",
    "try_bridge_post": "changes nothing",
}


def test_every_operation_that_may_change_something_has_its_trace() -> None:
    """After a new route: its line here."""
    changing = {each.name for each in ROUTES if each.method != "GET" and each.roles is not None}
    logged = {name for name, *_ in LOGGED}

    assert changing == logged | OTHERWISE.keys()
    assert not logged & OTHERWISE.keys()


@pytest.fixture(scope="module")
def played() -> tuple[list[list[dict[str, Any]]], str, str]:
    """What each step of `LOGGED` added to the log; the whole log as it is shown, and stored."""
    app = Product()
    boss = app.post("/api/v1/api-keys", {"name": "boss", "roles": ["admin"], "accounts": ["*"]})
    key, made_key = str(boss.json["key"]), ""
    steps: list[list[dict[str, Any]]] = []
    count = len(app.get("/api/v1/audit-log").json["items"])
    for name, method, target, body, _ in LOGGED:
        app.clock.advance(1)
        answer = app.call(method, target.replace("{key}", made_key), body, key=key)
        assert answer.status < 300, (name, answer.body)
        if name == "create_api_key":
            made_key = answer.json["id"]
        items = app.get("/api/v1/audit-log?limit=1000").json["items"]
        steps.append(items[: len(items) - count])
        count = len(items)
    shown = app.get("/api/v1/audit-log?limit=1000").body.decode()
    stored = str(app.run(app.tables.query("directory", "audit|*", limit=1_000)))
    app.close()
    return steps, shown, stored


@pytest.mark.parametrize("number", range(len(LOGGED)), ids=[each[0] for each in LOGGED])
def test_a_change_is_one_entry_with_its_actor_and_request(
    played: tuple[list[list[dict[str, Any]]], str, str], number: int
) -> None:
    name, *_, kind = LOGGED[number]
    [entry] = played[0][number]

    assert (entry["kind"], entry["actor"]) == (kind, "boss")
    assert entry["request_id"]
    if name.startswith("delete_") and name not in {"delete_conference", "delete_service_number"}:
        assert (entry["action"], entry["after"]) == ("deleted", None)
    else:
        assert entry["after"] is not None


def test_no_secret_and_no_erased_person_stands_in_the_log(
    played: tuple[list[list[dict[str, Any]]], str, str],
) -> None:
    _, shown, stored = played
    for text in (shown, stored):
        assert SECRET not in text
        assert "pm_" not in text
        assert "whsec_" not in text
    assert '"ken"' not in shown
