"""What administrators do, and what they may not."""

import csv
import io
import json
from decimal import Decimal
from urllib.parse import quote

import pytest

from tests.e2e.deployment import LONDON, Deployment, card, leg, rate, slot
from tests.e2e.test_bad_input import assert_problem
from tests.support.client import Admin, Json, SigningBridge, at_once, every, unique


def test_health_needs_no_key_and_states_what_it_checked(deployment: Deployment) -> None:
    answer = deployment.http.send("GET", "/api/health")

    assert answer.status == 200
    health = answer.json()
    assert health["status"] == "ok"
    assert health["version"]
    assert {*health["checks"].values()} == {"ok"}
    assert "tables" in health["checks"]
    assert answer.headers["x-request-id"]


def test_a_top_up_counts_once_and_states_when_it_was_there(deployment: Deployment) -> None:
    account, key = deployment.account(None), unique("key")
    path, body = f"accounts/{account}/top-ups", {"amount": "12.5", "reference": "invoice 7"}

    first = deployment.admin.request("POST", path, body, idempotency_key=key)
    again = deployment.admin.request("POST", path, body, idempotency_key=key)
    quoted = deployment.admin.request("POST", path, body, idempotency_key=f'"{key}"')

    every([first, again, quoted], 201)
    assert "idempotency-hit" not in first.headers
    assert again.headers["idempotency-hit"] == quoted.headers["idempotency-hit"] == "true"
    assert first.json() == again.json() == quoted.json()
    assert first.json()["balance"] == "12.50"
    assert (
        first.json()["entry"].items()
        >= {
            "sequence": 1,
            "kind": "top_up",
            "amount": "12.50",
            "reference": "invoice 7",
        }.items()
    )
    assert len(deployment.entries(account)) == 1


def test_a_stored_answer_stays_the_first_one(deployment: Deployment) -> None:
    account, key = deployment.account(None), unique("key")
    path, body = f"accounts/{account}/top-ups", {"amount": "10.00"}
    first = deployment.admin.request("POST", path, body, idempotency_key=key)
    deployment.charged(account, leg(account))
    again = deployment.admin.request("POST", path, body, idempotency_key=key)
    assert again.json() == first.json()
    assert deployment.balance(account) == Decimal("9.902")


def test_the_same_top_up_20_times_at_once_counts_once(deployment: Deployment) -> None:
    account, key = deployment.account(None), unique("key")
    path = f"accounts/{account}/top-ups"

    answers = at_once(
        20, lambda _: deployment.admin.request("POST", path, {"amount": "1"}, idempotency_key=key)
    )

    every(answers, 201)
    assert len([one for one in answers if "idempotency-hit" not in one.headers]) == 1
    assert deployment.balance(account) == 1
    assert deployment.verified(account)["entries"] == 1


def test_20_top_ups_at_once_all_count(deployment: Deployment) -> None:
    account = deployment.account(None)
    at_once(20, lambda _: deployment.top_up(account, "0.000001"))

    balances = [Decimal(entry["balance"]) for entry in deployment.entries(account)]

    assert balances == [Decimal(number).scaleb(-6) for number in range(1, 21)]
    assert deployment.verified(account)["balance"] == "0.00002"


def test_a_key_used_for_another_amount_is_refused(deployment: Deployment) -> None:
    account, key = deployment.account(None), unique("key")
    path = f"accounts/{account}/top-ups"
    deployment.admin.request("POST", path, {"amount": "1"}, idempotency_key=key)

    answer = deployment.admin.request("POST", path, {"amount": "2"}, idempotency_key=key)

    assert_problem(answer, 422, "idempotency_key_reused")
    assert deployment.balance(account) == 1


def test_a_top_up_needs_a_key_which_is_checked_before_its_body(deployment: Deployment) -> None:
    account = deployment.account(None)
    path = f"accounts/{account}/top-ups"
    for body in ({"amount": "1"}, b"{"):
        answer = deployment.admin.request("POST", path, body)
        assert_problem(answer, 400, "idempotency_key_missing")
    assert deployment.balance(account) == 0


def test_purchased_credits_expire_after_a_year_and_granted_ones_as_stated(
    deployment: Deployment,
) -> None:
    account = deployment.account("5.00")
    granted = {"amount": "3", "kind": "granted"}
    ending = granted | {"expires_at": "2099-12-31T23:59:59Z"}
    for body in (granted, ending):
        path = f"accounts/{account}/top-ups"
        deployment.admin.request("POST", path, body, idempotency_key=unique("key"))

    lots = deployment.admin.get(f"accounts/{account}")["lots"]

    assert [lot["kind"] for lot in lots] == ["purchased", "granted", "granted"]
    bought, ends = lots[0]["purchased_at"], lots[0]["expires_at"]
    assert int(ends[:4]) == int(bought[:4]) + 1
    assert [lot["expires_at"] for lot in lots[1:]] == [None, "2099-12-31T23:59:59Z"]


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [
        ("accounts/{name}", {"currency": "USD"}, {"currency": "USD", "name": "Contoso"}),
        (
            "accounts/{account}/organizers/{name}%40example.com",
            {"policy": "DialoutCPCandPSTNDomestic"},
            {"license": "none"},
        ),
        ("accounts/{account}/conferences/{name}", {"organizer": "a"}, {"organizer": "b"}),
        ("accounts/{account}/dial-out-policy", {}, {"blocked_regions": ["FR"]}),
        (
            "bridges/{name}",
            {"dialect": "perminute", "accounts": ["*"]},
            {"dialect": "freeswitch", "accounts": ["*"]},
        ),
    ],
    ids=["account", "organizer", "conference", "policy", "bridge"],
)
def test_a_put_creates_once_and_replaces_only_what_was_read(
    deployment: Deployment, path: str, first: Json, second: Json
) -> None:
    path = path.format(account=deployment.account(None), name=unique("name"))

    created = deployment.admin.request("PUT", path, first)
    blind = deployment.admin.request("PUT", path, second)
    stale = deployment.admin.request("PUT", path, second, if_match='"nothing"')
    etag = deployment.admin.request("GET", path).headers["etag"]
    replaced = deployment.admin.request("PUT", path, second, if_match=etag)
    late = deployment.admin.request("PUT", path, first, if_match=etag)

    assert created.status == 201
    assert created.headers["etag"] == created.json()["etag"] == etag
    assert_problem(blind, 428, "if_match_missing")
    assert_problem(stale, 412, "etag_mismatch")
    assert replaced.status == 200
    assert replaced.headers["etag"] != etag
    assert_problem(late, 412, "etag_mismatch")
    shown = deployment.admin.get(path)
    assert all(shown[name] == value for name, value in second.items())


def test_what_is_left_out_of_a_put_takes_its_default_again(deployment: Deployment) -> None:
    account = deployment.account(None, credit_limit="5", name="Contoso", time_zone="Europe/Paris")
    path = f"accounts/{account}"
    etag = deployment.admin.get(path)["etag"]
    deployment.admin.request("PUT", path, {"currency": "USD"}, if_match=etag)

    shown = deployment.admin.get(path)

    assert (shown["credit_limit"], shown["time_zone"]) == ("0.00", "UTC")
    assert (shown["rate_card"], "name" in shown) == ("default", False)
    assert shown["available"] == "0.00"


def test_money_that_moves_does_not_change_the_etag_of_the_settings(deployment: Deployment) -> None:
    account = deployment.account(None)
    before = deployment.admin.get(f"accounts/{account}")["etag"]
    deployment.top_up(account, "5.00")
    deployment.charged(account, leg(account))
    assert deployment.admin.get(f"accounts/{account}")["etag"] == before


def test_the_currency_of_an_account_never_changes(deployment: Deployment) -> None:
    account = deployment.account(None)
    path = f"accounts/{account}"
    etag = deployment.admin.get(path)["etag"]
    answer = deployment.admin.request("PUT", path, {"currency": "EUR"}, if_match=etag)
    assert_problem(answer, 409, "currency_fixed")


def test_of_20_puts_at_once_one_creates(deployment: Deployment) -> None:
    path = f"accounts/{unique('acct')}"
    answers = at_once(20, lambda _: deployment.admin.request("PUT", path, {"currency": "USD"}))
    assert sorted(answer.status for answer in answers) == [201] + [428] * 19


def _key(deployment: Deployment, *roles: str, accounts: tuple[str, ...] = ("*",)) -> Admin:
    body = {"name": "a test's", "roles": list(roles), "accounts": list(accounts)}
    answer = deployment.admin.request("POST", "api-keys", body)
    assert answer.status == 201, answer
    return Admin(deployment.http, answer.json()["key"])


ROLES = ("reader", "finance", "operator", "payments", "admin")
WORK: dict[str, tuple[str, str, Json | None, str]] = {
    "read an account": ("GET", "accounts/{account}", None, "reader finance operator admin"),
    "read the ledger": ("GET", "accounts/{account}/entries", None, "reader finance operator admin"),
    "list parked legs": ("GET", "parked-legs", None, "reader finance operator admin"),
    "make an account": ("PUT", "accounts/{new}", {"currency": "USD"}, "finance admin"),
    "top up": ("POST", "accounts/{account}/top-ups", {"amount": "1"}, "finance admin"),
    "make an organizer": ("PUT", "accounts/{account}/organizers/{new}", {}, "operator admin"),
    "make a bridge": ("PUT", "bridges/{new}", {"dialect": "perminute", "accounts": ["*"]}, "admin"),
    "make a key": (
        *("POST", "api-keys"),
        {"name": "x", "roles": ["reader"], "accounts": ["*"]},
        "admin",
    ),
}


@pytest.mark.parametrize("name", WORK)
def test_each_role_does_its_own_work_only(deployment: Deployment, name: str) -> None:
    method, path, body, may = WORK[name]
    account = deployment.account(None)
    for role in ROLES:
        answer = _key(deployment, role).request(
            *(method, path.format(account=account, new=unique("new")), body),
            idempotency_key=unique("key"),
        )
        if role in may.split():
            assert answer.status in {200, 201}, (role, answer)
        else:
            assert_problem(answer, 403, "role_missing")


def test_a_key_for_some_accounts_sees_no_other(deployment: Deployment) -> None:
    own, foreign = deployment.account(), deployment.account()
    admin = _key(deployment, "admin", accounts=(own,))

    assert admin.get(f"accounts/{own}")["balance"] == "100.00"
    assert [item["id"] for item in admin.items("accounts")] == [own]
    for path in ("", "/entries", "/verify", "/legs/local~x", "/dial-out-policy"):
        answer = admin.request("GET", f"accounts/{foreign}{path}")
        assert_problem(answer, 403, "account_not_allowed")
    missing = admin.request("GET", f"accounts/{unique('acct')}")
    assert_problem(missing, 403, "account_not_allowed")
    for path in ("parked-legs", f"parked-legs?account={foreign}", "api-keys", "bridges/local"):
        assert_problem(admin.request("GET", path), 403, "account_not_allowed")
    assert admin.items(f"parked-legs?account={own}") == []


def test_a_conference_is_registered_per_account_and_taken_over_with_rights_on_both(
    deployment: Deployment,
) -> None:
    first, second, conference = deployment.account(None), deployment.account(None), unique("room")
    deployment.admin.put(f"accounts/{first}/conferences/{conference}", {"organizer": "ann"})
    path = f"accounts/{second}/conferences/{conference}"

    alone = _key(deployment, "operator", accounts=(second,))
    assert alone.request("PUT", path, {"organizer": "ben"}).status == 201
    assert deployment.admin.get(f"accounts/{first}/conferences/{conference}")["organizer"] == "ann"

    both = _key(deployment, "operator", accounts=(first, second))
    taken = f"{path}?take_over=true"
    etag = deployment.admin.get(path)["etag"]
    assert (
        both.request("PUT", taken, {"organizer": "ben"}, headers={"if-match": etag}).status == 200
    )
    assert deployment.admin.get(path)["organizer"] == "ben"
    gone = deployment.admin.request("GET", f"accounts/{first}/conferences/{conference}")
    assert_problem(gone, 404, "conference_unknown")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer nonsense", "Basic YTpi", "bearer\tx", "Bearer " + "x" * 5_000],
)
def test_who_has_no_key_is_not_let_in(deployment: Deployment, authorization: str) -> None:
    for path in ("accounts", "accounts/x", "parked-legs", "api-keys", "rate-cards"):
        fields = {"authorization": authorization} if authorization else {}
        answer = deployment.http.send("GET", f"/api/v1/{path}", headers=fields)
        assert_problem(answer, 401, "not_authenticated")


def test_a_key_that_was_taken_away_opens_nothing(deployment: Deployment) -> None:
    body = {"name": "short-lived", "roles": ["reader"], "accounts": ["*"]}
    made = deployment.admin.request("POST", "api-keys", body).json()
    holder = Admin(deployment.http, made["key"])
    assert holder.request("GET", "accounts").status == 200
    listed = [key for key in deployment.admin.items("api-keys") if key["id"] == made["id"]]
    assert listed[0].keys().isdisjoint({"key", "secret", "secret_hash"})

    assert deployment.admin.request("DELETE", f"api-keys/{made['id']}").status == 204
    assert_problem(holder.request("GET", "accounts"), 401, "not_authenticated")


def test_two_secrets_of_a_bridge_are_good_until_the_old_one_is_taken_away(
    deployment: Deployment,
) -> None:
    account = deployment.account()
    old = deployment.new_bridge(accounts=[account])
    new = SigningBridge(deployment.http, old.name, "whsec_" + "QUJD" * 11)
    assert_problem(new.ended(leg(account)), 401, "not_authenticated")

    def put(*secrets: str) -> None:
        path = f"bridges/{old.name}"
        etag = deployment.admin.get(path)["etag"]
        auth = {"scheme": "standard-webhooks", "secrets": list(secrets)}
        body = {"dialect": "perminute", "accounts": [account], "auth": auth}
        assert deployment.admin.request("PUT", path, body, if_match=etag).status == 200

    put(new.secret, old.secret)
    every([new.ended(leg(account)), old.ended(leg(account))], 202)
    put(new.secret)
    every([new.ended(leg(account))], 202)
    assert_problem(old.ended(leg(account)), 401, "not_authenticated")
    deployment.debits(account, 3)


def test_a_bridge_may_prove_itself_by_a_bearer_token(deployment: Deployment) -> None:
    account, name, token = deployment.account(), unique("bridge"), "a-token-of-its-own"
    auth = {"scheme": "bearer", "secrets": [token]}
    wanted = {"dialect": "perminute", "accounts": [account], "auth": auth}
    deployment.admin.put(f"bridges/{name}", wanted)
    path, body = f"/api/v1/bridges/{name}/call-ended", json.dumps(leg(account)).encode()

    right = deployment.http.send("POST", path, body, {"authorization": f"Bearer {token}"})
    wrong = deployment.http.send(
        "POST", path, body, {"authorization": f"Bearer {deployment.admin.key}"}
    )

    assert right.status == 202
    assert_problem(wrong, 401, "not_authenticated")
    deployment.debits(account, 1)


UNKNOWN = {
    "accounts/{new}": "account_unknown",
    "accounts/{new}/entries": "account_unknown",
    "accounts/{new}/verify": "account_unknown",
    "accounts/{account}/legs/local~{new}": "leg_unknown",
    "accounts/{account}/legs/nonsense": "leg_unknown",
    "accounts/{account}/legs/local~~%21%21": "leg_unknown",
    "accounts/{account}/organizers/{new}": "organizer_unknown",
    "accounts/{account}/conferences/{new}": "conference_unknown",
    "accounts/{account}/service-numbers/%2B4930123456": "service_number_unknown",
    "bridges/{new}": "bridge_unknown",
    "rate-cards/{new}": "rate_card_unknown",
    "rate-cards/e2e/versions/2031-01-01T00:00:00Z": "rate_card_version_unknown",
}


@pytest.mark.parametrize("path", UNKNOWN)
def test_what_is_not_there_is_a_404_with_a_problem_document(
    deployment: Deployment, path: str
) -> None:
    account = deployment.account(None)
    answer = deployment.admin.request("GET", path.format(account=account, new=unique("new")))
    assert_problem(answer, 404, UNKNOWN[path])


def test_pages_of_entries_join_without_gap_or_repetition(deployment: Deployment) -> None:
    account = deployment.account(None)
    for _ in range(5):
        deployment.top_up(account, "1.00")
    deployment.post(*[leg(account) for _ in range(20)])
    deployment.debits(account, 20)

    whole = deployment.entries(account)
    pages = deployment.admin.items(f"accounts/{account}/entries", limit=7)

    assert [entry["sequence"] for entry in whole] == list(range(1, 26))
    assert pages == whole
    only = deployment.admin.items(f"accounts/{account}/entries?kind=top_up", limit=2)
    assert only == whole[:5]


def test_entries_are_found_by_their_time(deployment: Deployment) -> None:
    account = deployment.account(None)
    for _ in range(3):
        deployment.top_up(account, "1.00")
    times = [entry["at"] for entry in deployment.entries(account)]

    found = deployment.entries(account, f"?from={times[1]}&to={times[2]}")

    assert [entry["sequence"] for entry in found] == [2]
    assert deployment.entries(account, "?from=2099-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "query_invalid"),
        ("limit=1001", "query_invalid"),
        ("limit=ten", "query_invalid"),
        ("limit=-1", "query_invalid"),
        ("limit=%D9%A1", "query_invalid"),
        ("kind=gift", "query_invalid"),
        ("from=yesterday", "query_invalid"),
        ("to=2026-11-32", "query_invalid"),
        ("cursor=nonsense", "cursor_invalid"),
        ("cursor=%00%ff", "cursor_invalid"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    deployment: Deployment, query: str, code: str
) -> None:
    account = deployment.account(None)
    assert_problem(
        deployment.admin.request("GET", f"accounts/{account}/entries?{query}"), 422, code
    )


def test_a_cursor_of_another_account_is_refused(deployment: Deployment) -> None:
    first, second = deployment.account(), deployment.account()
    deployment.top_up(first, "1")
    cursor = deployment.admin.get(f"accounts/{first}/entries?limit=1")["next"]
    path = f"accounts/{second}/entries?cursor={quote(cursor)}"
    assert_problem(deployment.admin.request("GET", path), 422, "cursor_invalid")


@pytest.mark.parametrize("path", ["accounts", "api-keys", "parked-legs"])
def test_a_made_up_cursor_is_refused_by_every_list(deployment: Deployment, path: str) -> None:
    for cursor in ("nonsense", "%00", "eyJhIjoxfQ", "x" * 7_000):
        answer = deployment.admin.request("GET", f"{path}?cursor={cursor}")
        assert_problem(answer, 422, "cursor_invalid")


def test_entries_as_csv_are_the_same_entries(deployment: Deployment) -> None:
    account = deployment.account(None)
    body = {"amount": "3.20", "reference": 'invoice 7, "quoted" and more'}
    path = f"accounts/{account}/top-ups"
    formula = body | {"reference": '=SUM(A1:A9), "quoted" and more'}
    refused = deployment.admin.request("POST", path, formula, idempotency_key=unique("key"))
    assert_problem(refused, 422, "invalid")
    deployment.admin.request("POST", path, body, idempotency_key=unique("key"))
    deployment.charged(account, leg(account))

    answer = deployment.admin.request(
        "GET", f"accounts/{account}/entries", headers={"accept": "text/csv"}
    )

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    columns = ["sequence", "kind", "amount", "balance", "leg", "lot", "reference", "at"]
    assert list(rows[0])[: len(columns)] == columns
    for row, entry in zip(rows, deployment.entries(account), strict=True):
        shown = {name: value for name, value in row.items() if value}
        assert shown == {k: str(v) for k, v in entry.items()}
    assert rows[0]["reference"] == body["reference"]
    assert rows[1]["amount"] == "-0.098"


def test_an_account_may_be_named_in_any_letters_but_not_its_id(deployment: Deployment) -> None:
    account = deployment.account(None, name="Zürich — 株式会社 ٣ 🎉")
    shown = deployment.admin.request("GET", f"accounts/{account}")
    assert shown.json()["name"] == "Zürich — 株式会社 ٣ 🎉"


def test_a_quote_is_the_charge_of_a_leg_that_has_not_happened(deployment: Deployment) -> None:
    account = deployment.account(None)
    inquiry = {"account": account, "kind": "dial_out", "to": LONDON, "talk_seconds": 183}

    quoted = deployment.admin.request("POST", "quotes", inquiry)

    assert quoted.status == 200, quoted
    charge = deployment.charged(account, leg(account))
    for name in ("amount", "billed_seconds", "rate", "lines", "rounding"):
        assert quoted.json()[name] == charge[name]
    missing = deployment.admin.request("POST", "quotes", inquiry | {"to": "+390669812345"})
    assert_problem(missing, 422, "rate_missing")
    assert len(deployment.entries(account)) == 1


def test_a_rate_card_comes_out_as_it_went_in(deployment: Deployment) -> None:
    name, start = unique("card"), "2026-01-01T00:00:00Z"
    version = card(rate("44", slot("0.012345678901", 6), fee="0.05"), rate("1", slot("0.0085", 1)))
    path = f"rate-cards/{name}/versions/{start}"
    created = deployment.admin.request("PUT", path, version)
    assert created.status == 201, created

    shown = deployment.admin.get(path)
    by_prefix = {one["prefix"]: one for one in shown["rates"]}
    for wanted in version["rates"]:
        assert by_prefix[wanted["prefix"]].items() >= wanted.items()
    as_csv = deployment.admin.request("GET", path, headers={"accept": "text/csv"})
    assert as_csv.headers["content-type"].startswith("text/csv")
    other = f"rate-cards/{unique('card')}/versions/{start}"
    put = deployment.admin.request("PUT", other, as_csv.body, headers={"content-type": "text/csv"})
    assert put.status == 201, put
    assert deployment.admin.get(other)["rates"] == shown["rates"]


def test_a_version_that_is_in_force_is_frozen(deployment: Deployment) -> None:
    name = unique("card")
    path = f"rate-cards/{name}/versions/2026-01-01T00:00:00Z"
    created = deployment.admin.request("PUT", path, card(rate("44", slot("0.01"))))
    cheaper = card(rate("44", slot("0.001")))

    replaced = deployment.admin.request("PUT", path, cheaper, if_match=created.headers["etag"])
    assert replaced.status == 409, replaced
    soon = deployment.admin.request(
        "PUT", f"rate-cards/{name}/versions/2026-02-01T00:00:00Z", cheaper
    )
    assert soon.status == 422, soon
    checked = deployment.admin.request(
        "PUT", f"rate-cards/{name}/versions/2099-01-01T00:00:00Z?dry_run=true", cheaper
    )
    assert checked.status == 200, checked
    listed = deployment.admin.get(f"rate-cards/{name}")
    assert "2099" not in str(listed)
