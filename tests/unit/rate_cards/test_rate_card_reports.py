"""What rate cards say over HTTP: lint, differences, price lists, tables of quotes."""

import csv
import io
from typing import Any

import pytest

from tests.support.product import Product
from tests.unit.rate_cards.test_rate_cards import CARD, FRANCE, IN_FORCE, QUOTE, TOMORROW, card

SPAIN = {**FRANCE, "prefix": "34", "destination": "Spain"}
TOLL = {**FRANCE, "kind": "dial_in", "destination": "Toll"}
DEARER = {**FRANCE, "slots": [{**FRANCE["slots"][0], "price": "0.015"}]}
JANUARY, LATER = "2026-01-01T00:00:00Z", "2026-11-24T10:00:00Z"


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode())))


def by_code(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {finding["code"]: finding for finding in findings}


def test_a_dry_run_states_what_is_odd_beside_what_it_checked(app: Product) -> None:
    odd = card(FRANCE, {**FRANCE, "prefix": "331"}, {**FRANCE, "prefix": "0"})

    answer = app.put(IN_FORCE + "?dry_run=true", odd)

    found = by_code(answer.json["findings"])
    assert answer.status == 200
    assert found["not_e164"] == {
        "code": "not_e164",
        "severity": "warning",
        "detail": "no international number begins so",
        "count": 1,
        "examples": ["0"],
    }
    assert found["duplicate_of_parent"]["examples"] == ["331"]
    assert found["country_missing"]["count"] > 200
    assert app.get(CARD).status == 404


def test_a_version_that_is_there_is_linted_too(app: Product) -> None:
    app.put(IN_FORCE, card(FRANCE, {**FRANCE, "prefix": "331"}))

    found = app.get(f"{IN_FORCE}/lint")

    assert by_code(found.json["findings"])["duplicate_of_parent"]["count"] == 1
    assert app.get(f"{TOMORROW}/lint").code == "rate_card_version_unknown"


def test_a_put_states_what_is_odd_only_when_requested(app: Product) -> None:
    assert "findings" not in app.put(IN_FORCE, card()).json
    assert app.put(f"{TOMORROW}?lint=true", card()).json["findings"]


def test_the_difference_of_two_versions_names_every_rate_and_by_how_much(app: Product) -> None:
    app.put(IN_FORCE, card(FRANCE, TOLL))
    app.put(TOMORROW, card(DEARER, SPAIN))

    answer = app.get(f"{CARD}/diff?from={JANUARY}&to={LATER}").json

    assert answer["counts"] == {"added": 1, "removed": 1, "changed": 1, "dearer": 1, "cheaper": 0}
    assert answer["items"] == [
        {"change": "changed", "before": FRANCE, "after": DEARER, "percent": "25"},
        {"change": "added", "before": None, "after": SPAIN, "percent": None},
        {"change": "removed", "before": TOLL, "after": None, "percent": None},
    ]
    assert "next" not in answer


def test_a_long_difference_comes_in_pages_or_as_one_table(app: Product) -> None:
    app.put(IN_FORCE, card(FRANCE, TOLL))
    app.put(TOMORROW, card(DEARER, SPAIN))
    path = f"{CARD}/diff?from={JANUARY}&to={LATER}"

    first = app.get(f"{path}&limit=2").json
    rest = app.get(f"{path}&limit=2&cursor={first['next']}").json
    rows = table(app.get(path, headers={"accept": "text/csv"}).body)

    assert [len(first["items"]), len(rest["items"]), "next" in rest] == [2, 1, False]
    assert first["counts"] == rest["counts"]
    assert [(row["change"], row["prefix"], row["percent"]) for row in rows] == [
        ("changed", "33", "25"),
        ("added", "34", ""),
        ("removed", "33", ""),
    ]
    assert (rows[0]["price_before"], rows[0]["price_after"]) == ("0.012", "0.015")


def test_a_difference_reports_what_the_card_itself_states_otherwise(app: Product) -> None:
    """The same prices, rounded otherwise or on another clock, make other charges."""
    app.put(IN_FORCE, card(FRANCE))
    app.put(TOMORROW, {**card(FRANCE), "time_zone": "Europe/Paris"})

    answer = app.get(f"{CARD}/diff?from={JANUARY}&to={LATER}").json
    same = app.get(f"{CARD}/diff?from={JANUARY}&to={JANUARY}").json

    assert answer["fields"] == {"time_zone": {"before": "UTC", "after": "Europe/Paris"}}
    assert (same["fields"], same["items"]) == ({}, [])


def test_prices_in_two_currencies_are_not_compared(app: Product) -> None:
    app.put(IN_FORCE, card(FRANCE))
    app.put(TOMORROW, {**card(FRANCE), "currency": "EUR"})

    for media_type in ("application/json", "text/csv"):
        headers = {"accept": media_type}
        answer = app.get(f"{CARD}/diff?from={JANUARY}&to={LATER}", headers=headers)
        assert (answer.status, answer.code) == (422, "currencies_differ")


def test_versions_are_named_by_any_time_at_which_they_are_in_force(app: Product) -> None:
    app.put(IN_FORCE, card(FRANCE))
    app.put(TOMORROW, card(DEARER))

    answer = app.get(f"{CARD}/diff?from=2026-05-01T00:00:00Z&to=2027-01-01T00:00:00Z").json

    assert (answer["from"]["version"], answer["to"]["version"]) == (JANUARY, LATER)
    assert answer["counts"]["changed"] == 1


def test_curls_own_media_type_is_taken_for_json(app: Product) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert app.put(IN_FORCE, card(FRANCE), headers=form).status == 201


def test_versions_of_two_cards_are_compared_as_well(app: Product) -> None:
    app.put(IN_FORCE, card(FRANCE))
    app.put(f"/api/v1/rate-cards/gold/versions/{JANUARY}", card(DEARER))

    answer = app.get(f"{CARD}/diff?from={JANUARY}&to={JANUARY}&to_card=gold").json

    assert (answer["to"]["card"], answer["counts"]["changed"]) == ("gold", 1)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "query_invalid"),
        (f"from={JANUARY}", "query_invalid"),
        ("from=yesterday&to=now", "query_invalid"),
        (f"from={JANUARY}&to={JANUARY}&cursor=x", "cursor_invalid"),
        (f"from=2025-12-31T23:59:59Z&to={JANUARY}", "rate_card_version_unknown"),
        (f"from={JANUARY}&to={JANUARY}&to_card=nobody", "rate_card_unknown"),
    ],
)
def test_a_difference_of_what_is_not_there_states_the_reason(
    app: Product, query: str, code: str
) -> None:
    app.put(IN_FORCE, card())

    assert app.get(f"{CARD}/diff?{query}").code == code


def test_a_price_list_is_by_country_in_three_formats(app: Product) -> None:
    app.put(IN_FORCE, card(FRANCE, {**SPAIN, "connection_fee": "0"}))

    listed = app.get(f"{CARD}/price-list")
    rows = table(app.get(f"{CARD}/price-list", headers={"accept": "text/csv"}).body)
    text = app.get(f"{CARD}/price-list", headers={"accept": "text/plain"}).body.decode()

    assert (listed.json["version"], listed.json["currency"]) == (JANUARY, "USD")
    prices = {each["name"]: each["prices"] for each in listed.json["countries"]}
    assert prices["France"]["mobile"] == {
        "prefix": "33",
        "price_per_minute": "0.012",
        "connection_fee": "0.05",
    }
    assert prices["Germany"]["mobile"] is None
    france = [row for row in rows if row["country"] == "France" and row["number_class"] == "mobile"]
    assert [(row["price_per_minute"], row["increments"]) for row in france] == [("0.012", "60")]
    lines = text.splitlines()
    assert lines[0].startswith(f"Rate card default, version {JANUARY}: dial-out in USD a minute")
    assert [line.split()[:5] for line in lines if line.startswith("France ")] == [
        ["France", "+33", "0.012", "+0.05", "60"]
    ]
    assert [line.split()[1:4] for line in lines if line.startswith("Germany ")] == [
        ["+49", "no", "rate"]
    ]


def test_a_price_list_has_dial_in_prices_by_service_number_and_origin(app: Product) -> None:
    toll_free = {**FRANCE, "kind": "dial_in", "prefix": "1800", "destination": "US toll-free"}
    app.put(IN_FORCE, card(FRANCE, toll_free, {**toll_free, "origin": "FR"}))

    listed = app.get(f"{CARD}/price-list").json
    rows = table(app.get(f"{CARD}/price-list", headers={"accept": "text/csv"}).body)
    text = app.get(f"{CARD}/price-list", headers={"accept": "text/plain"}).body.decode()

    price = {"prefix": "1800", "price_per_minute": "0.012", "connection_fee": "0.05"}
    assert listed["dial_in"] == [
        {**price, "destination": "US toll-free", "origin": origin} for origin in (None, "FR")
    ]
    callers = [row for row in rows if row["kind"] == "dial_in"]
    assert [(row["prefix"], row["origin"], row["price_per_minute"]) for row in callers] == [
        ("1800", "", "0.012"),
        ("1800", "FR", "0.012"),
    ]
    assert [line.split()[2:] for line in text.splitlines() if line.startswith("US toll-free")] == [
        ["+1800", "any", "0.012", "+0.05", "60"],
        ["+1800", "FR", "0.012", "+0.05", "60"],
    ]


def test_a_price_list_is_of_the_version_in_force(app: Product) -> None:
    app.put(IN_FORCE, card(FRANCE))
    app.put(TOMORROW, card(DEARER))

    def version(query: str) -> object:
        return app.get(f"{CARD}/price-list{query}").json.get("version")

    assert (version(""), version("?at=2026-12-01T00:00:00Z")) == (JANUARY, LATER)
    before = app.get(f"{CARD}/price-list?at=2025-01-01T00:00:00Z")
    assert before.code == "rate_card_version_unknown"
    assert app.get("/api/v1/rate-cards/nobody/price-list").code == "rate_card_unknown"


def test_a_quote_states_in_a_sentence_which_prefix_won_and_over_which(app: Product) -> None:
    app.account("contoso")
    app.put(IN_FORCE, card(FRANCE, {**FRANCE, "prefix": "331"}, {**FRANCE, "prefix": "3317"}))

    quote = app.post("/api/v1/quotes", QUOTE).json

    assert quote["won_over"] == ["331", "33"]
    assert quote["sentence"] == (
        "183 s of dial out to France, by prefix 3317 of rate card default, version "
        "2026-01-01T00:00:00Z, which won over prefix 331, prefix 33: connection fee 0.05 + 4 x "
        "60 s from second 0 at 0.012 per 60 s (0.048) = 0.098, rounded half up to 4 decimals: "
        "0.098 USD."
    )


def test_quotes_come_as_a_table_of_lengths(app: Product) -> None:
    app.account("contoso")
    app.put(IN_FORCE, card())
    inquiry = {"account": "contoso", "to": "+33170000000"}

    answer = app.post("/api/v1/quotes/table", inquiry).json
    rows = table(app.post("/api/v1/quotes/table", inquiry, headers={"accept": "text/csv"}).body)

    assert answer["rate"]["prefix"] == "33"
    assert [(item["minutes"], item["amount"]) for item in answer["items"]] == [
        (1, "0.062"),
        (5, "0.11"),
        (15, "0.23"),
        (30, "0.41"),
        (60, "0.77"),
    ]
    assert answer["items"][1]["per_minute"] == "0.022"
    assert [row["amount"] for row in rows] == [item["amount"] for item in answer["items"]]
    own = app.post("/api/v1/quotes/table", {**inquiry, "minutes": [2, 7]}).json
    assert [item["talk_seconds"] for item in own["items"]] == [120, 420]
    # 0.134 for 7 minutes: a figure for people, no fraction.
    assert own["items"][1]["per_minute"] == "0.019143"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "+49301234567"}, "rate_missing"),
        ({"to": "0301234567"}, "invalid"),
        ({"minutes": []}, "invalid"),
        ({"minutes": [0]}, "invalid"),
        ({"minutes": [1441]}, "invalid"),
        ({"minutes": [1] * 101}, "invalid"),
        ({"rate_card": "default"}, "invalid"),
        ({"account": "nobody"}, "account_unknown"),
    ],
)
def test_what_has_no_table_states_the_reason(
    app: Product, change: dict[str, object], code: str
) -> None:
    app.account("contoso")
    app.put(IN_FORCE, card())
    inquiry = {"account": "contoso", "to": "+33170000000", **change}

    assert app.post("/api/v1/quotes/table", inquiry).code == code


def test_who_sees_one_account_reads_the_cards_that_it_uses(app: Product) -> None:
    app.account("contoso")
    app.account("fabrikam", rate_card="gold")
    app.put(IN_FORCE, card())
    app.put(IN_FORCE.replace("default", "gold"), card())
    key = app.api_key("reader", accounts=("contoso",))
    paths = (
        f"{CARD}/price-list",
        f"{IN_FORCE}/lint",
        f"{CARD}/diff?from={JANUARY}&to={JANUARY}",
        CARD,
        IN_FORCE,
    )

    assert {app.get(path, key=key).status for path in paths} == {200}
    assert app.get("/api/v1/rate-cards", key=key).json["items"] == [{"id": "default"}]
    for other in ("gold", "nosuch"):  # whether it is there or not
        foreign = [app.get(path.replace("default", other), key=key) for path in paths]
        foreign.append(app.get(f"{paths[2]}&to_card={other}", key=key))
        assert {(each.status, each.code) for each in foreign} == {(403, "rate_card_not_allowed")}


def test_a_card_with_everything_goes_through_csv_and_comes_back_the_same(app: Product) -> None:
    """Bands, origins, grace, bounds, twelve decimals: JSON in, CSV out, CSV in, JSON out."""
    slots = [
        {"from_second": 0, "price": "0.123456789012", "unit_seconds": 60, "increment_seconds": 30},
        {"from_second": 30, "price": "0.1", "unit_seconds": 1, "increment_seconds": 6},
    ]
    night = {
        "name": "night, cheap",
        "weekdays": [1, 7],
        "from": "22:00",
        "until": "06:00:30",
        "dates": ["12-25", "2026-05-14"],
        "weight": 20,
        "connection_fee": "0",
        "slots": slots,
    }
    full = {
        "kind": "dial_in",
        "prefix": "800",
        "destination": 'Toll-free, "all"',
        "connection_fee": "0.000000000001",
        "slots": slots,
        "minimum_charge": "0.3",
        "maximum_charge": "9.5",
        "maximum_charge_strategy": "stop",
        "bands": [night],
        "origin": "US",
        "grace_seconds": 3,
    }
    whole = card(FRANCE, full, time_zone="Europe/Paris", rounding={"mode": "none", "decimals": 9})
    app.put(IN_FORCE, whole)
    other = f"/api/v1/rate-cards/other/versions/{JANUARY}"

    as_csv = app.get(IN_FORCE, headers={"accept": "text/csv"}).body
    app.put(other, as_csv, headers={"content-type": "text/csv"})

    assert app.get(IN_FORCE).json == whole
    assert app.get(other).json == whole
    assert app.get(other, headers={"accept": "text/csv"}).body == as_csv


def test_a_quote_for_an_organizer_shows_what_included_minutes_would_pay(app: Product) -> None:
    """And what credits pay after them; others pay by the minute."""
    account = "/api/v1/accounts/contoso"
    settings = {"currency": "USD", "subscription_licenses": 1, "rate_card": "default"}
    assert app.put(account, settings).status == 201
    app.put(IN_FORCE, card(FRANCE))
    app.put(f"{account}/organizers/ken", {"license": "subscription"})
    app.put(f"{account}/organizers/amy", {"license": "pay_per_minute"})

    def quote(organizer: str, seconds: int) -> Any:
        body = {**QUOTE, "talk_seconds": seconds, "organizer_id": organizer}
        return app.post("/api/v1/quotes", body).json

    short, long, payer = quote("ken", 600), quote("ken", 3_720), quote("amy", 600)
    unknown = quote("nobody", 600)

    assert (short["status"], short["amount"], short["pool_seconds"]) == ("pool", "0.00", 600)
    assert (short["license"], short["rate"]["destination"]) == ("subscription", "France")
    assert (long["status"], long["pool_seconds"], long["billed_seconds"]) == (
        "charged",
        3_600,
        3_720,
    )
    assert long["amount"] == quote("amy", 120)["amount"]
    assert long["lines"][0]["kind"] == "pool"
    assert (payer["status"], payer["license"]) == ("charged", "pay_per_minute")
    assert "pool_seconds" not in payer
    assert "denied" not in payer
    assert (unknown["amount"], unknown["flags"]) == (payer["amount"], ["organizer_unknown"])
    by_card = {**QUOTE, "organizer_id": "ken", "rate_card": "default"}
    del by_card["account"]
    assert app.post("/api/v1/quotes", by_card).status == 422


def test_a_quote_for_an_organizer_states_what_the_policy_denies(app: Product) -> None:
    account = "/api/v1/accounts/contoso"
    app.put(account, {"currency": "USD", "rate_card": "default", "usage_location": "GB"})
    app.put(IN_FORCE, card(FRANCE))
    app.put(f"{account}/organizers/ken", {"policy": "DialoutCPCDomesticPSTNDisabled"})

    found = app.post("/api/v1/quotes", {**QUOTE, "organizer_id": "ken"}).json

    assert found["policy"] == "DialoutCPCDomesticPSTNDisabled"
    assert found["denied"]["reason"] == "policy_domestic_only"
    assert found["status"] == "charged"


def test_a_toll_dial_in_of_a_subscription_is_quoted_as_included(app: Product) -> None:
    account = "/api/v1/accounts/contoso"
    app.put(account, {"currency": "USD", "rate_card": "default"})
    toll = {**FRANCE, "kind": "dial_in"}
    app.put(IN_FORCE, card(FRANCE, toll))
    app.put(f"{account}/organizers/ken", {"license": "subscription"})
    body = {**QUOTE, "kind": "dial_in", "organizer_id": "ken"}

    quote = app.post("/api/v1/quotes", body).json

    assert (quote["status"], quote["zero_reason"], quote["amount"]) == ("zero", "included", "0.00")
