"""Rate cards by HTTP: when a version may be made, and what comes out again."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.common.canonical import format_time
from tests.support.product import START, Product

CARD = "/api/v1/rate-cards/default"
FRANCE = {
    "kind": "dial_out",
    "prefix": "33",
    "destination": "France",
    "connection_fee": "0.05",
    "slots": [{"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}],
}


def card(*rates: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "currency": "USD",
        "time_zone": "UTC",
        "rounding": {"mode": "half_up", "decimals": 4},
        "rates": list(rates or [FRANCE]),
        **fields,
    }


def version(moment: datetime) -> str:
    return f"{CARD}/versions/{format_time(moment)}"


IN_FORCE = version(datetime.fromisoformat("2026-01-01T00:00:00Z"))
TOMORROW = version(START + timedelta(days=1))


def test_the_first_version_may_start_at_any_time(app: Product) -> None:
    answer = app.put(IN_FORCE, card())

    assert (answer.status, answer.etag) == (201, '"1"')
    assert answer.json == {
        "card": "default",
        "effective_from": "2026-01-01T00:00:00Z",
        "currency": "USD",
        "time_zone": "UTC",
        "rate_count": 1,
        "written_at": "2026-11-23T10:00:00Z",
        "etag": '"1"',
    }


def test_what_was_put_comes_out_again(app: Product) -> None:
    app.put(IN_FORCE, card())

    shown = app.get(IN_FORCE)

    assert (shown.status, shown.etag) == (200, '"1"')
    assert shown.json == card()


def test_csv_out_is_the_same_card_as_csv_in(app: Product) -> None:
    app.put(IN_FORCE, card())
    text = app.get(IN_FORCE, headers={"accept": "text/csv"})
    again = app.put(
        "/api/v1/rate-cards/other/versions/2026-01-01T00:00:00Z",
        text.body,
        headers={"content-type": "text/csv; charset=utf-8"},
    )

    assert again.status == 201
    assert app.get("/api/v1/rate-cards/other/versions/2026-01-01T00:00:00Z").json == card()
    assert "attachment" in text.headers["content-disposition"]


@pytest.mark.parametrize(
    ("seconds_ahead", "query", "status"),
    [
        (301, "", 201),
        (300, "", 201),
        (299, "", 422),
        (0, "", 422),
        (-3600, "", 422),
        (-3600, "?backdate=true", 201),
        (299, "?backdate=true", 201),
    ],
)
def test_a_later_version_starts_five_minutes_ahead_or_is_backdated(
    app: Product, seconds_ahead: int, query: str, status: int
) -> None:
    app.put(IN_FORCE, card())

    answer = app.put(version(START + timedelta(seconds=seconds_ahead)) + query, card())

    assert answer.status == status
    if status == 422:
        assert answer.code == "effective_from_too_soon"


def test_a_version_is_replaced_with_if_match_until_it_is_frozen(app: Product) -> None:
    app.put(IN_FORCE, card())
    dearer = card({**FRANCE, "connection_fee": "0.06"})
    app.put(TOMORROW, card())

    assert (app.put(TOMORROW, dearer).status) == 428
    assert app.put(TOMORROW, dearer, '"7"').status == 412
    replaced = app.put(TOMORROW, dearer, '"1"')
    assert (replaced.status, replaced.etag) == (200, '"2"')
    assert app.get(TOMORROW).json == dearer

    app.clock.advance(24 * 3600 - 300)
    assert app.put(TOMORROW, card(), '"2"').status == 200
    app.clock.advance(1)
    frozen = app.put(TOMORROW, dearer, '"3"')
    assert (frozen.status, frozen.code) == (409, "version_frozen")
    assert app.get(TOMORROW).json == card()


def test_if_match_never_creates(app: Product) -> None:
    assert app.put(IN_FORCE, card(), '"1"').code == "etag_mismatch"
    assert app.get(CARD).code == "rate_card_unknown"


def test_a_dry_run_only_checks(app: Product) -> None:
    good = app.put(IN_FORCE + "?dry_run=true", card())
    bad = app.put(IN_FORCE + "?dry_run=true", card({**FRANCE, "prefix": "+33x"}))

    assert (good.status, good.json["rate_count"], good.json["dry_run"]) == (200, 1, True)
    assert (bad.status, bad.pointers()) == (422, ["/rates/0/prefix"])
    assert app.get(CARD).status == 404


def test_cards_and_versions_are_listed(app: Product) -> None:
    app.put(TOMORROW, card())
    app.put(IN_FORCE + "?backdate=true", card(FRANCE, {**FRANCE, "prefix": "44"}))
    app.put("/api/v1/rate-cards/alpha/versions/2026-01-01T00:00:00Z", card())

    first = app.get("/api/v1/rate-cards?limit=1").json
    rest = app.get(f"/api/v1/rate-cards?cursor={first['next']}").json
    versions = app.get(CARD).json["versions"]

    assert [item["id"] for item in first["items"] + rest["items"]] == ["alpha", "default"]
    assert [(item["effective_from"], item["rate_count"]) for item in versions] == [
        ("2026-01-01T00:00:00Z", 2),
        ("2026-11-24T10:00:00Z", 1),
    ]


def test_a_time_is_the_same_version_however_it_is_written(app: Product) -> None:
    app.put(f"{CARD}/versions/2026-01-01T02:00:00%2B02:00", card())

    assert app.get(IN_FORCE).status == 200
    assert app.get(f"{CARD}/versions/2026-01-01T02:00:00+02:00").status == 200


@pytest.mark.parametrize(
    "text",
    ["now", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "2026-13-01T00:00:00Z"],
)
def test_a_version_has_a_time(app: Product, text: str) -> None:
    assert app.put(f"{CARD}/versions/{text}", card()).code == "effective_from_invalid"
    assert app.get(f"{CARD}/versions/{text}").code == "effective_from_invalid"


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (b"{}", "application/xml", 415, "unsupported_media_type"),
        (b"{", "application/json", 400, "json_invalid"),
        (b"", "application/json", 400, "json_invalid"),
        (b"{}", "application/json", 422, "invalid"),
        (b"not,a,card\n1,2,3\n", "text/csv", 422, "invalid"),
        (b"\xff\xfe", "text/csv", 400, "bad_request"),
    ],
)
def test_what_is_no_card_is_refused(
    app: Product, body: bytes, media_type: str, status: int, code: str
) -> None:
    answer = app.put(IN_FORCE, body, headers={"content-type": media_type})

    assert (answer.status, answer.code) == (status, code)
    assert app.get(CARD).status == 404


def test_bad_prices_are_named(app: Product) -> None:
    slot = {"from_second": 0, "price": 0.012, "unit_seconds": 60, "increment_seconds": 60}

    answer = app.put(IN_FORCE, card({**FRANCE, "slots": [slot]}))

    assert answer.pointers() == ["/rates/0/slots/0/price"]


QUOTE = {"account": "contoso", "kind": "dial_out", "to": "+33170000000", "talk_seconds": 183}


def test_a_quote_is_the_charge_of_a_leg_that_has_not_happened(app: Product) -> None:
    app.account("contoso")
    app.put(IN_FORCE, card())

    answer = app.post("/api/v1/quotes", QUOTE)

    assert answer.status == 200
    quote = answer.json
    assert (quote["amount"], quote["billed_seconds"], quote["currency"]) == ("0.098", 240, "USD")
    assert (quote["status"], quote["account"], quote["flags"]) == ("charged", "contoso", [])
    assert quote["rate"]["version"] == "2026-01-01T00:00:00Z"
    assert [line["kind"] for line in quote["lines"]] == ["connection_fee", "usage"]
    assert quote["answered_at"] == "2026-11-23T10:00:00Z"


def test_a_quote_takes_the_version_in_force_at_its_time(app: Product) -> None:
    app.put(IN_FORCE, card())
    app.put(TOMORROW, card({**FRANCE, "connection_fee": "1"}))
    inquiry = {"rate_card": "default", "kind": "dial_out", "to": "+33170000000", "talk_seconds": 60}

    def amount(at: str) -> str:
        return str(app.post("/api/v1/quotes", {**inquiry, "at": at}).json["amount"])

    assert amount("2026-11-24T09:59:59Z") == "0.062"
    assert amount("2026-11-24T10:00:00Z") == "1.012"


def test_a_version_that_was_just_put_holds_at_once(app: Product) -> None:
    app.account("contoso")
    app.put(IN_FORCE, card())
    app.post("/api/v1/quotes", QUOTE)
    other = Product(app.tables, app.clock)
    other.post("/api/v1/quotes", QUOTE)

    app.put(version(START) + "?backdate=true", card({**FRANCE, "connection_fee": "1"}))

    assert app.post("/api/v1/quotes", QUOTE).json["amount"] == "1.048"
    app.clock.advance(1)
    assert other.post("/api/v1/quotes", QUOTE).json["amount"] == "1.048"
    other.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "+44170000000"}, "rate_missing"),
        ({"kind": "dial_in"}, "rate_missing"),
        ({"at": "2025-12-31T23:59:59Z"}, "rate_missing"),
        ({"account": None, "rate_card": "no-such"}, "rate_missing"),
        ({"account": "nobody"}, "account_unknown"),
        ({"account": None}, "invalid"),
        ({"rate_card": "default"}, "invalid"),
        ({"talk_seconds": -1}, "invalid"),
        ({"talk_seconds": 86_401}, "invalid"),
        ({"talk_seconds": "60"}, "invalid"),
        ({"to": "0170000000"}, "invalid"),
        ({"kind": "fax"}, "invalid"),
        ({"at": "yesterday"}, "invalid"),
        ({"extra": 1}, "invalid"),
    ],
)
def test_what_can_not_be_quoted_states_the_reason(
    app: Product, change: dict[str, object], code: str
) -> None:
    app.account("contoso")
    app.put(IN_FORCE, card())
    body = {name: value for name, value in {**QUOTE, **change}.items() if value is not None}

    assert app.post("/api/v1/quotes", body).code == code


@pytest.mark.parametrize(
    ("change", "reason"), [({"talk_seconds": 0}, "zero_duration"), ({"kind": "voip"}, "voip")]
)
def test_what_costs_nothing_is_quoted_without_a_rate(
    app: Product, change: dict[str, object], reason: str
) -> None:
    app.account("contoso")

    quote = app.post("/api/v1/quotes", {**QUOTE, **change}).json

    assert (quote["amount"], quote["status"], quote["zero_reason"]) == ("0.00", "zero", reason)


def test_an_account_in_another_currency_has_no_rate(app: Product) -> None:
    app.put("/api/v1/accounts/euro", {"currency": "EUR"})
    app.put(IN_FORCE, card())

    assert app.post("/api/v1/quotes", {**QUOTE, "account": "euro"}).code == "rate_missing"
