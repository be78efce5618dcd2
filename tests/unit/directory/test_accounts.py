"""Accounts by HTTP: settings with their ETag, money beside them."""

import pytest

from tests.support.product import Product

PATH = "/api/v1/accounts/contoso"


def test_a_new_account_has_defaults_and_no_money(app: Product) -> None:
    answer = app.put(PATH, {"currency": "USD"})

    assert answer.status == 201
    assert answer.etag == '"1"'
    assert answer.json == {
        "id": "contoso",
        "currency": "USD",
        "time_zone": "UTC",
        "credit_limit": "0.00",
        "rate_card": "default",
        "alerts": [],
        "created_at": "2026-11-23T10:00:00Z",
        "etag": '"1"',
        "balance": "0.00",
        "held": "0.00",
        "available": "0.00",
        "lots": [],
    }
    assert app.get(PATH).json == answer.json


def test_what_is_stated_is_shown(app: Product) -> None:
    settings = {
        "currency": "EUR",
        "name": "Contoso SA",
        "usage_location": "FR",
        "time_zone": "Europe/Paris",
        "credit_limit": "12.50",
        "rate_card": "france",
        "alerts": [{"name": "low", "below": "20.00"}, {"name": "lower", "below_percent": 10}],
    }
    app.put(PATH, settings)

    shown = app.get(PATH).json

    assert {name: shown[name] for name in settings} == settings
    assert shown["available"] == "12.50"


def test_replacing_needs_the_current_etag(app: Product) -> None:
    created = app.account("contoso")

    assert (app.put(PATH, {"currency": "USD"}).status, created.etag) == (428, '"1"')
    replaced = app.put(PATH, {"currency": "USD", "name": "New"}, '"1"')
    assert (replaced.status, replaced.etag) == (200, '"2"')
    assert app.put(PATH, {"currency": "USD"}, '"1"').code == "etag_mismatch"
    assert app.get(PATH).json["name"] == "New"


def test_what_is_left_out_takes_its_default_again(app: Product) -> None:
    app.account("contoso", name="Contoso", credit_limit="5")

    replaced = app.put(PATH, {"currency": "USD"}, '"1"').json

    assert "name" not in replaced
    assert replaced["credit_limit"] == "0.00"
    assert replaced["created_at"] == "2026-11-23T10:00:00Z"


def test_the_currency_never_changes(app: Product) -> None:
    app.account("contoso")

    answer = app.put(PATH, {"currency": "EUR"}, '"1"')

    assert (answer.status, answer.code) == (409, "currency_fixed")
    assert app.get(PATH).json["currency"] == "USD"


def test_an_account_that_is_not_there_is_404(app: Product) -> None:
    answer = app.get("/api/v1/accounts/nobody")

    assert (answer.status, answer.code) == (404, "account_unknown")


def test_the_ledger_hears_of_settings_that_a_dead_process_left(app: Product) -> None:
    """A process that dies between writing the settings and updating the ledger loses nothing."""
    app.account("contoso")
    document = dict(app.run(app.container.records.get("account", "contoso")).document)
    document["credit_limit_micros"] = 7_000_000
    app.run(app.container.records.put("account", "contoso", document, if_match='"1"'))

    assert app.get(PATH).json["available"] == "7.00"
    state = app.run(app.container.ledger.state("contoso"))
    assert (state.settings_version, state.credit_limit_micros) == (2, 7_000_000)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/currency"]),
        ([], [""]),
        ({"currency": "usd"}, ["/currency"]),
        ({"currency": 1}, ["/currency"]),
        ({"currency": "USD", "currancy": 1}, ["/currancy"]),
        ({"currency": "USD", "balance": "5"}, ["/balance"]),
        ({"currency": "USD", "name": ""}, ["/name"]),
        ({"currency": "USD", "name": "a\u0007b"}, ["/name"]),
        ({"currency": "USD", "usage_location": "France"}, ["/usage_location"]),
        ({"currency": "USD", "usage_location": "001"}, ["/usage_location"]),
        ({"currency": "USD", "time_zone": "Paris"}, ["/time_zone"]),
        ({"currency": "USD", "time_zone": "../etc/passwd"}, ["/time_zone"]),
        ({"currency": "USD", "time_zone": ""}, ["/time_zone"]),
        ({"currency": "USD", "credit_limit": 5}, ["/credit_limit"]),
        ({"currency": "USD", "credit_limit": "-5"}, ["/credit_limit"]),
        ({"currency": "USD", "credit_limit": "1e3"}, ["/credit_limit"]),
        ({"currency": "USD", "credit_limit": "0.0000001"}, ["/credit_limit"]),
        ({"currency": "USD", "credit_limit": "1000000001"}, ["/credit_limit"]),
        ({"currency": "USD", "rate_card": "No Such"}, ["/rate_card"]),
        ({"currency": "USD", "alerts": {}}, ["/alerts"]),
        ({"currency": "USD", "alerts": [{"name": "low"}]}, ["/alerts/0"]),
        ({"currency": "USD", "alerts": [{"below": "1"}]}, ["/alerts/0/name"]),
        (
            {"currency": "USD", "alerts": [{"name": "a", "below_percent": 0}]},
            ["/alerts/0/below_percent"],
        ),
        ({"currency": "USD", "alerts": [{"name": "a", "below": "1", "x": 1}]}, ["/alerts/0/x"]),
        ({"currency": "USD", "alerts": [{"name": "a", "below": "1"}] * 2}, ["/alerts"]),
        ({"currency": "USD", "alerts": [{"name": "a", "below": "1"}] * 21}, ["/alerts"]),
        (
            {"currency": "usd", "time_zone": "x", "a/b~c": 1},
            ["/currency", "/time_zone", "/a~1b~0c"],
        ),
    ],
)
def test_bad_fields_are_named_and_nothing_is_written(
    app: Product, body: object, pointers: list[str]
) -> None:
    answer = app.put(PATH, body)

    assert (answer.status, answer.code, answer.pointers()) == (422, "invalid", pointers)
    assert app.get(PATH).status == 404


@pytest.mark.parametrize("account", ["Contoso", "-a", "a b", "a" * 64, "a%2Fb", "%C3%A9"])
def test_ids_of_accounts_have_a_shape(app: Product, account: str) -> None:
    answer = app.put(f"/api/v1/accounts/{account}", {"currency": "USD"})

    assert (answer.status, answer.code) == (422, "id_invalid")


def test_accounts_are_listed_by_id_in_pages(app: Product) -> None:
    for name in ("beta", "alpha", "delta", "gamma"):
        app.account(name)

    first = app.get("/api/v1/accounts?limit=3").json
    second = app.get(f"/api/v1/accounts?limit=3&cursor={first['next']}").json

    assert [item["id"] for item in first["items"]] == ["alpha", "beta", "delta"]
    assert [item["id"] for item in second["items"]] == ["gamma"]
    assert "next" not in second


def test_a_key_for_some_accounts_lists_those(app: Product) -> None:
    for name in ("alpha", "beta", "delta"):
        app.account(name)
    key = app.api_key("reader", accounts=("delta", "alpha", "not-there"))

    first = app.get("/api/v1/accounts?limit=1", key=key).json
    rest = app.get(f"/api/v1/accounts?cursor={first['next']}", key=key).json

    assert [item["id"] for item in first["items"] + rest["items"]] == ["alpha", "delta"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=1001", "limit=ten", "limit=1.0", "limit=１"]
)
def test_a_senseless_limit_is_422(app: Product, query: str) -> None:
    answer = app.get(f"/api/v1/accounts?{query}")

    assert (answer.status, answer.code) == (422, "query_invalid")


@pytest.mark.parametrize("cursor", ["%20", "not-ours!", "%ff", "====", "YQ==="])
def test_a_cursor_that_is_not_ours_is_422(app: Product, cursor: str) -> None:
    answer = app.get(f"/api/v1/accounts?cursor={cursor}")

    assert (answer.status, answer.code) == (422, "cursor_invalid")
