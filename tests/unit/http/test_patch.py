"""PATCH changes what it names and nothing else, on every setting that takes it."""

import asyncio
import json
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.common.merge_patch import merge_patch
from tests.support.charging_app import ChargingApp
from tests.support.product import Product

ACCOUNT = "/api/v1/accounts/contoso"
ORGANIZER = f"{ACCOUNT}/organizers/ken%40contoso.com"
POLICY = f"{ACCOUNT}/dial-out-policy"
BRIDGE = "/api/v1/bridges/studio"
FULL: dict[str, dict[str, Any]] = {
    ACCOUNT: {
        "currency": "USD",
        "name": "Contoso",
        "usage_location": "FR",
        "time_zone": "Europe/Paris",
        "credit_limit": "12.50",
        "rate_card": "gold",
        "alerts": [{"name": "low", "below": "20.00"}, {"name": "soon", "days_left": 3}],
        "auto_recharge": {"trigger": "10.00", "amount": "50.00", "max_per_day": 2},
        "emails": ["ops@contoso.com"],
        "language": "fr",
        "subscription_licenses": 3,
    },
    ORGANIZER: {
        "usage_location": "FR",
        "license": "subscription",
        "policy": "DialoutCPCDomesticPSTNInternational",
        "toll_free_dial_in": False,
        "cost_center": "sales",
    },
    POLICY: {"blocked_regions": ["CU"], "default_policy": "DialoutCPCDomesticPSTNInternational"},
    BRIDGE: {
        "dialect": "perminute",
        "auth": {"scheme": "basic", "username": "pbx", "secrets": ["one-secret-of-ours"]},
        "accounts": ["contoso"],
        "default_account": "contoso",
        "country": "FR",
        "on_outage": "allow",
        "assumed_seconds": 600,
    },
}
CHANGES: list[tuple[str, str, Any]] = [
    (ACCOUNT, "name", "Contoso SA"),
    (ACCOUNT, "alerts", [{"name": "low", "below": "30.00"}]),
    (ACCOUNT, "time_zone", "UTC"),
    (ACCOUNT, "credit_limit", "0.00"),
    (ORGANIZER, "cost_center", "ops"),
    (ORGANIZER, "license", "none"),
    (POLICY, "blocked_regions", ["CU", "KP"]),
    (BRIDGE, "country", "GB"),
    (BRIDGE, "disabled", True),
]
EXTRA = {"etag", "id", "balance", "held", "available", "lots", "created_at", "pool", "warnings"}


@pytest.fixture
def settings(app: Product) -> Product:
    app.account()
    for path, body in FULL.items():
        etag = app.get(path).headers.get("etag") if path == ACCOUNT else None
        assert app.put(path, body, etag).status in {200, 201}, path
    return app


def shown(app: Product, path: str) -> dict[str, Any]:
    return {name: each for name, each in app.get(path).json.items() if name not in EXTRA}


@pytest.mark.parametrize(("path", "name", "value"), CHANGES)
@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
def test_what_a_patch_leaves_out_stays(
    settings: Product, path: str, name: str, value: Any, media_type: str
) -> None:
    before = shown(settings, path)

    answer = settings.call("PATCH", path, {name: value}, headers={"content-type": media_type})

    assert answer.status == 200, answer.body
    assert shown(settings, path) == {**before, name: value}
    assert answer.etag == settings.get(path).etag


@pytest.mark.parametrize("path", list(FULL))
def test_an_empty_patch_changes_nothing(settings: Product, path: str) -> None:
    before = shown(settings, path)

    assert settings.call("PATCH", path, {}).status == 200
    assert shown(settings, path) == before


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path, body in FULL.items() for name in body],
)
def test_null_takes_the_default_or_is_refused_where_there_is_none(
    settings: Product, path: str, name: str
) -> None:
    rest = {each: value for each, value in FULL[path].items() if each != name}
    if path == BRIDGE and name == "accounts":
        rest.pop("default_account")
    answer = settings.call("PATCH", path, {name: None})
    if name in {"currency", "dialect", "accounts"}:
        assert (answer.status, answer.pointers()) == (422, [f"/{name}"])
        return

    assert answer.status == 200, answer.body
    after = shown(settings, path)
    put = settings.put(path, rest, answer.etag)
    assert put.status == 200, put.body
    assert after == shown(settings, path)


def test_an_object_inside_is_merged_and_a_list_is_replaced(settings: Product) -> None:
    settings.call("PATCH", ACCOUNT, {"auto_recharge": {"amount": "70.00", "max_per_day": None}})

    body = settings.get(ACCOUNT).json
    assert body["auto_recharge"]["amount"] == "70.00"
    assert body["auto_recharge"]["trigger"] == "10.00"
    assert len(body["alerts"]) == 2


def test_a_patched_bridge_keeps_its_secrets(settings: Product) -> None:
    before = settings.run(settings.container.facts.bridge("studio", fresh=True))

    answer = settings.call("PATCH", BRIDGE, {"country": "GB"})
    after = settings.run(settings.container.facts.bridge("studio", fresh=True))

    assert after.auth == before.auth
    assert "secrets" not in json.dumps(answer.json)


@pytest.mark.parametrize("path", list(FULL))
def test_if_match_is_optional_and_holds(settings: Product, path: str) -> None:
    etag = settings.get(path).etag
    stale = settings.call("PATCH", path, {}, headers={"if-match": '"77"'})
    current = settings.call("PATCH", path, {}, headers={"if-match": etag})
    again = settings.call("PATCH", path, {}, headers={"if-match": etag})

    assert (stale.status, stale.code) == (412, "etag_mismatch")
    assert (current.status, again.status) == (200, 412)


@pytest.mark.parametrize("path", list(FULL))
@pytest.mark.parametrize("body", [{"nonsense": 1}, [], "text", 5, None])
def test_a_patch_that_makes_no_setting_is_refused_and_changes_nothing(
    settings: Product, path: str, body: object
) -> None:
    before = settings.get(path).json

    answer = settings.call("PATCH", path, json.dumps(body).encode())

    assert answer.status == 422, answer.body
    assert settings.get(path).json == before


UNKNOWN_NULLS: list[tuple[str, dict[str, Any], list[str]]] = [
    (ACCOUNT, {"bogus": None}, ["/bogus"]),
    (ACCOUNT, {"auto_recharge": {"bogus": None}}, ["/auto_recharge/bogus"]),
    (ACCOUNT, {"name": None, "nmae": None}, ["/nmae"]),
    (ORGANIZER, {"bogus": None}, ["/bogus"]),
    (ORGANIZER, {"budgets": {"week": None}}, ["/budgets/week"]),
    (ORGANIZER, {"rules": {"bogus": None, "blocked_regions": None}}, ["/rules/bogus"]),
    (POLICY, {"bogus": None}, ["/bogus"]),
    (POLICY, {"velocity": {"bogus": None, "concurrent": 3}}, ["/velocity/bogus"]),
    (POLICY, {"groups": {"sales": {"bogus": None}}}, ["/groups/sales/bogus"]),
    (POLICY, {"budgets": {"day": {"bogus": None}}}, ["/budgets/day/bogus"]),
    (BRIDGE, {"bogus": None}, ["/bogus"]),
    (BRIDGE, {"auth": {"bogus": None, "scheme": "basic"}}, ["/auth/bogus"]),
]


@pytest.mark.parametrize(("path", "change", "pointers"), UNKNOWN_NULLS)
def test_a_patch_with_an_unknown_field_that_is_null_is_refused(
    settings: Product, path: str, change: dict[str, Any], pointers: list[str]
) -> None:
    before = settings.get(path).json

    answer = settings.call("PATCH", path, change)

    assert (answer.status, answer.code, answer.pointers()) == (422, "invalid", pointers)
    assert settings.get(path).json == before


def test_a_member_of_a_free_name_is_removed_by_null(settings: Product) -> None:
    settings.call("PATCH", POLICY, {"groups": {"sales": {"rank": 1}}})
    removed = settings.call("PATCH", POLICY, {"groups": {"sales": None, "never-there": None}})

    assert (removed.status, removed.json["groups"]) == (200, {})


@pytest.mark.parametrize("path", list(FULL))
@pytest.mark.parametrize(
    ("media_type", "is_accepted"),
    [
        ("application/merge-patch+json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/x-www-form-urlencoded", True),
        ("application/json-patch+json", False),
        ("application/json-patch+json; charset=utf-8", False),
        ("application/vnd.api+json", False),
        ("application/merge-patch+xml", False),
        ("text/plain", False),
        ("text/csv", False),
    ],
)
def test_a_patch_is_a_merge_patch_by_its_media_type(
    settings: Product, path: str, media_type: str, is_accepted: bool
) -> None:
    answer = settings.call("PATCH", path, {}, headers={"content-type": media_type})

    if is_accepted:
        assert answer.status == 200
        return
    accepted = "application/merge-patch+json, application/json"
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert (answer.headers["accept-patch"], accepted in answer.json["detail"]) == (accepted, True)


def test_a_json_patch_is_not_read_as_a_setting(app: Product) -> None:
    headers = {"content-type": "application/json-patch+json"}
    answer = app.put(ACCOUNT, {"currency": "USD"}, headers=headers)

    assert (answer.status, answer.headers["accept"]) == (415, "application/json")


def test_a_patch_of_what_is_not_there_is_404(app: Product) -> None:
    assert app.call("PATCH", ACCOUNT, {"name": "x"}).code == "account_unknown"
    app.account()
    assert app.call("PATCH", ORGANIZER, {"cost_center": "x"}).code == "organizer_unknown"
    assert app.call("PATCH", BRIDGE, {"country": "FR"}).code == "bridge_unknown"


def test_a_policy_that_was_never_put_is_patched_from_its_defaults(app: Product) -> None:
    app.account()

    answer = app.call("PATCH", POLICY, {"blocked_regions": ["CU"]})

    assert (answer.status, answer.json["blocked_regions"]) == (200, ["CU"])
    assert app.get(POLICY).etag == answer.etag


def test_the_currency_never_changes_by_a_patch_either(settings: Product) -> None:
    assert settings.call("PATCH", ACCOUNT, {"currency": "EUR"}).code == "currency_fixed"


def test_patches_at_once_are_all_kept(settings: Product) -> None:
    """Each is merged into what the others wrote."""
    fields = [
        {"name": "Contoso SA"},
        {"usage_location": "GB"},
        {"time_zone": "UTC"},
        {"credit_limit": "1.00"},
    ]

    async def together() -> list[int]:
        patches = (settings.send("PATCH", ACCOUNT, each) for each in fields)
        return [answer.status for answer in await asyncio.gather(*patches)]

    assert settings.run(together()) == [200] * 4
    after = settings.get(ACCOUNT).json
    assert [after[name] for each in fields for name in each] == ["Contoso SA", "GB", "UTC", "1.00"]
    assert after["auto_recharge"]["trigger"] == "10.00"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(), JSON)


@hypothesis.settings(max_examples=40)
@given(OBJECTS, OBJECTS)
def test_a_merge_changes_the_members_that_the_patch_names(
    target: dict[str, Any], patch: dict[str, Any]
) -> None:
    merged = merge_patch(target, patch)

    assert isinstance(merged, dict)
    assert {n: v for n, v in merged.items() if n not in patch} == {
        n: v for n, v in target.items() if n not in patch
    }
    for name, value in patch.items():
        if value is None:
            assert name not in merged
        elif not isinstance(value, dict):
            assert merged[name] == value
    assert merge_patch(merged, patch) == merged


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_cases_of_rfc_7396(target: object, patch: object, merged: object) -> None:
    assert merge_patch(target, patch) == merged


def test_a_card_that_is_not_there_is_accepted_with_a_warning(app: Product) -> None:
    made = app.put(ACCOUNT, {"currency": "USD", "rate_card": "gold"})
    patched = app.call("PATCH", ACCOUNT, {"rate_card": "silver"})

    for answer, card in ((made, "gold"), (patched, "silver")):
        [warning] = answer.json["warnings"]
        assert answer.status in {200, 201}
        assert warning["pointer"] == "/rate_card"
        assert card in warning["detail"]


def test_a_setting_that_names_what_is_there_has_no_warning(charging: ChargingApp) -> None:
    assert "warnings" not in charging.call("PATCH", ACCOUNT, {"name": "x"}).json


def test_accounts_and_organizers_that_are_not_there_are_accepted_with_a_warning(
    charging: ChargingApp,
) -> None:
    bridge = {"dialect": "perminute", "accounts": ["contoso", "nosuch"]}
    key = {"name": "k", "roles": ["reader"], "accounts": ["contoso", "nosuch"]}
    meeting = {"organizer": "nobody"}

    def pointers(answer: Any) -> list[str]:
        return [each["pointer"] for each in answer.json["warnings"]]

    assert pointers(charging.put(BRIDGE, {**bridge, "default_account": "nosuch"})) == [
        "/accounts/1",
        "/default_account",
    ]
    rating = {"dialect": "freeswitch", "accounts": ["contoso"], "meetings_from": "nosuch"}
    assert pointers(charging.put("/api/v1/bridges/fs", rating)) == ["/meetings_from"]
    room = {"dialect": "jitsi", "accounts": ["contoso"]}
    assert charging.put("/api/v1/bridges/room", room).status == 201
    known = charging.put("/api/v1/bridges/fs2", {**rating, "meetings_from": "room"})
    assert "warnings" not in known.json
    assert pointers(charging.post("/api/v1/api-keys", key)) == ["/accounts/1"]
    assert pointers(charging.put(f"{ACCOUNT}/conferences/1", meeting)) == ["/organizer"]
