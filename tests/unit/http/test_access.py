"""Bridges, API keys, and who may do what."""

import base64
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.support.charging_app import ChargingApp
from tests.support.product import ADMIN_KEY, Product

BRIDGE = "/api/v1/bridges/main"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"m" * 32).decode()


def bridge(**fields: Any) -> dict[str, Any]:
    return {"dialect": "perminute", "accounts": ["*"], **fields}


def secrets(app: Product) -> tuple[str, ...]:
    found = app.run(app.container.facts.bridge("main", fresh=True))
    return tuple(found.auth.secrets)


def test_a_secret_that_we_make_is_shown_once(app: Product) -> None:
    created = app.put(BRIDGE, bridge())

    [secret] = created.json["auth"]["secrets"]
    assert created.status == 201
    assert secrets(app) == (secret,)
    assert app.get(BRIDGE).json == {
        "id": "main",
        "dialect": "perminute",
        "auth": {"scheme": "standard-webhooks"},
        "accounts": ["*"],
        "on_outage": "deny",
        "disabled": False,
        "wait_seconds": 120,
        "etag": created.etag,
    }


def test_secrets_that_were_sent_are_never_shown(app: Product) -> None:
    created = app.put(BRIDGE, bridge(auth={"scheme": "standard-webhooks", "secrets": [SECRET]}))

    assert SECRET not in created.body.decode()
    assert secrets(app) == (SECRET,)


def test_two_secrets_are_live_while_one_replaces_the_other(app: Product) -> None:
    made = app.put(BRIDGE, bridge(auth={"secrets": [SECRET]}))

    rotated = app.put(BRIDGE, bridge(auth={"secrets": [SECRET, OTHER_SECRET]}), made.etag)

    assert rotated.status == 200
    assert secrets(app) == (SECRET, OTHER_SECRET)


def test_replacing_without_secrets_keeps_them(app: Product) -> None:
    made = app.put(BRIDGE, bridge(auth={"secrets": [SECRET]}))

    replaced = app.put(BRIDGE, bridge(country="FR"), made.etag)

    assert "secrets" not in replaced.json["auth"]
    assert secrets(app) == (SECRET,)


def test_another_scheme_gets_a_secret_of_its_own(app: Product) -> None:
    made = app.put(BRIDGE, bridge(auth={"secrets": [SECRET]}))

    replaced = app.put(BRIDGE, bridge(auth={"scheme": "basic", "username": "fs"}), made.etag)

    [secret] = replaced.json["auth"]["secrets"]
    assert secrets(app) == (secret,)
    assert not secret.startswith("whsec_")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"accounts": ["*"]}, "/dialect"),
        (bridge(dialect="morse"), "/dialect"),
        (bridge(accounts=[]), "/accounts"),
        (bridge(accounts=["Not An Id"]), "/accounts/0"),
        (bridge(auth={"scheme": "digest"}), "/auth/scheme"),
        (bridge(auth={"secrets": []}), "/auth/secrets"),
        (bridge(auth={"secrets": [SECRET] * 3}), "/auth/secrets"),
        (bridge(auth={"secrets": ["short"]}), "/auth/secrets/0"),
        (bridge(auth={"username": "x"}), "/auth/username"),
        (bridge(auth={"scheme": "basic"}), "/auth/username"),
        (bridge(accounts=["a"], default_account="b"), "/default_account"),
        (bridge(country="Europe"), "/country"),
        (bridge(on_outage="maybe"), "/on_outage"),
        (bridge(secret=SECRET), "/secret"),
    ],
)
def test_bad_bridges_are_refused(app: Product, body: object, pointer: str) -> None:
    answer = app.put(BRIDGE, body)

    assert (answer.status, answer.pointers()) == (422, [pointer])
    assert app.get(BRIDGE).code == "bridge_unknown"
    assert SECRET not in answer.body.decode()


def test_a_bridges_id_has_a_shape(app: Product) -> None:
    assert app.put("/api/v1/bridges/Main", bridge()).code == "id_invalid"


def test_an_api_key_is_shown_once_and_kept_as_a_hash(app: Product) -> None:
    key = app.api_key("reader")

    [listed] = app.get("/api/v1/api-keys").json["items"]
    assert re.fullmatch(r"pm_[0-9a-f]{16}_.+", key)
    assert (listed["name"], listed["roles"], listed["accounts"]) == ("somebody", ["reader"], ["*"])
    record = app.run(app.container.records.get("api_key", listed["id"]))
    assert key.split("_", 2)[2] not in str(record)


def test_a_key_that_was_taken_away_opens_nothing(app: Product) -> None:
    key = app.api_key("reader")
    [listed] = app.get("/api/v1/api-keys").json["items"]
    assert app.get("/api/v1/accounts", key=key).status == 200

    assert app.delete(f"/api/v1/api-keys/{listed['id']}").status == 204

    assert app.get("/api/v1/accounts", key=key).status == 401
    assert app.delete(f"/api/v1/api-keys/{listed['id']}").code == "api_key_unknown"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"roles": []}, "/roles"),
        ({"roles": ["root"]}, "/roles/0"),
        ({"roles": "admin"}, "/roles"),
        ({"accounts": []}, "/accounts"),
        ({"accounts": ["A B"]}, "/accounts/0"),
        ({"accounts": ["a"] * 201}, "/accounts"),
        ({"id": "mine"}, "/id"),
    ],
)
def test_bad_keys_are_refused(app: Product, change: dict[str, object], pointer: str) -> None:
    body = {"name": "x", "roles": ["reader"], "accounts": ["*"], **change}

    assert app.post("/api/v1/api-keys", body).pointers() == [pointer]
    assert app.get("/api/v1/api-keys").json["items"] == []


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {ADMIN_KEY}",
        f"bearer {ADMIN_KEY}x",
        f"Bearer {ADMIN_KEY[:-1]}",
        "Bearer pm_0000000000000000_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Bearer pm_x_y",
        "Bearer é",
        "Bearer " + "x" * 5_000,
    ],
)
def test_who_can_not_prove_who_they_are_gets_401_and_no_reason(
    app: Product, authorization: str
) -> None:
    answer = app.get("/api/v1/accounts", key=None, headers={"authorization": authorization})

    assert (answer.status, answer.code) == (401, "not_authenticated")
    assert answer.json["detail"].startswith("The credentials are missing, wrong or expired. ")
    assert "www-authenticate" in answer.headers


def test_without_a_bootstrap_key_in_the_settings_there_is_none(app: Product) -> None:
    container = app.container
    container.administrators = replace(container.administrators, bootstrap_key=None)

    assert app.get("/api/v1/accounts").status == 401


# A route of each kind, with a body that would pass; who may use it, besides `admin`.
ROUTES: list[tuple[str, str, object, set[str]]] = [
    ("GET", "/api/v1/accounts", None, {"reader", "finance", "operator"}),
    ("GET", "/api/v1/accounts/contoso", None, {"reader", "finance", "operator"}),
    ("PUT", "/api/v1/accounts/contoso", {"currency": "USD"}, {"finance"}),
    ("GET", "/api/v1/accounts/contoso/organizers/k", None, {"reader", "finance", "operator"}),
    ("PUT", "/api/v1/accounts/contoso/organizers/k", {}, {"operator"}),
    ("GET", "/api/v1/accounts/contoso/conferences/1", None, {"reader", "finance", "operator"}),
    ("PUT", "/api/v1/accounts/contoso/conferences/1", {"organizer": "k"}, {"operator"}),
    (
        "PUT",
        "/api/v1/accounts/contoso/service-numbers/+33170000000",
        {"kind": "toll"},
        {"operator"},
    ),
    ("GET", "/api/v1/accounts/contoso/dial-out-policy", None, {"reader", "finance", "operator"}),
    ("PUT", "/api/v1/accounts/contoso/dial-out-policy", {}, {"operator"}),
    ("GET", "/api/v1/rate-cards", None, {"reader", "finance", "operator"}),
    ("GET", "/api/v1/rate-cards/x", None, {"reader", "finance", "operator"}),
    ("PUT", "/api/v1/rate-cards/x/versions/2026-01-01T00:00:00Z", {}, {"finance"}),
    ("POST", "/api/v1/quotes", {}, {"reader", "finance", "operator"}),
    ("GET", "/api/v1/bridges/main", None, {"operator"}),
    ("PUT", "/api/v1/bridges/main", bridge(), set()),
    ("GET", "/api/v1/api-keys", None, set()),
    ("POST", "/api/v1/api-keys", {}, set()),
    ("DELETE", "/api/v1/api-keys/x", None, set()),
]


@pytest.mark.parametrize("role", ["reader", "finance", "operator", "payments", "admin"])
def test_a_role_opens_its_routes_and_no_others(app: Product, role: str) -> None:
    key = app.api_key(role)
    for method, path, body, roles in ROUTES:
        answer = app.call(method, path, body, key=key)
        may = role == "admin" or role in roles
        if may:
            assert answer.status not in {401, 403}, (method, path)
        else:
            assert (answer.status, answer.code) == (403, "role_missing"), (method, path)


@pytest.mark.parametrize("role", ["reader", "finance", "operator", "payments", "admin"])
def test_another_account_and_what_all_share_stay_closed(app: Product, role: str) -> None:
    """Whether the foreign account exists makes no difference."""
    app.account("contoso")
    key = app.api_key(role, accounts=("fabrikam",))
    for method, path, body, _ in ROUTES:
        lists_own = path in {"/api/v1/accounts", "/api/v1/rate-cards"}
        if lists_own or path.startswith("/api/v1/quotes"):
            continue
        answer = app.call(method, path, body, key=key)
        assert answer.status == 403, (method, path)
        missing = app.call(method, path.replace("contoso", "nobody"), body, key=key)
        assert missing.json["code"] == answer.json["code"]


def test_a_quote_for_another_account_is_refused(app: Product) -> None:
    app.account("contoso")
    key = app.api_key("reader", accounts=("fabrikam",))
    inquiry = {"kind": "dial_out", "to": "+33170000000", "talk_seconds": 60}

    codes = {"account": "account_not_allowed", "rate_card": "rate_card_not_allowed"}
    for whose in ({"account": "contoso"}, {"rate_card": "default"}):
        answer = app.post("/api/v1/quotes", {**inquiry, **whose}, key=key)
        assert (answer.status, answer.code) == (403, codes[next(iter(whose))])


def test_the_actor_of_whatever_a_key_does_is_the_name_of_the_key(
    charging: ChargingApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="perminute")
    roles = ["finance", "operator"]
    made = charging.post(
        "/api/v1/api-keys", {"name": "Ann's key", "roles": roles, "accounts": ["*"]}
    )
    key = made.json["key"]
    account = "/api/v1/accounts/contoso"
    parked = charging.parked(charging.ended(to="020 79"))

    entry = charging.post(
        f"{account}/top-ups", {"amount": "1.00"}, key=key, headers={"idempotency-key": "a"}
    ).json["entry"]
    dismissed = charging.post(f"/api/v1/parked-legs/{parked['id']}/dismiss", {}, key=key).json
    charging.call("PATCH", f"{account}/dial-out-policy", {"blocked_regions": ["CU"]}, key=key)
    changes = charging.get("/api/v1/audit-log").json["items"]

    assert [entry["actor"], dismissed["actor"], changes[0]["actor"]] == ["Ann's key"] * 3
    lines = [json.loads(each.message) for each in caplog.records if each.name == "perminute"]
    requests = [each for each in lines if each["event"] == "http_request"]
    assert {"caller": "Ann's key", "caller_key": made.json["id"]}.items() <= requests[-2].items()
