"""Legs charged again over HTTP: dry run, booked once, gone on with; proposals, what-if, effects."""

import asyncio
import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.ledger.reratings import read_cursor, write_cursor
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import Invalid
from shared.domain.common.kinds import LegKind
from tests.support.charging_app import (
    BRITAIN,
    CARD,
    CHEAPER,
    JANUARY,
    LONDON,
    MAY,
    PARIS,
    ChargingApp,
    card,
    rate,
)
from tests.support.product import START, Answer
from tests.unit.rate_cards.test_rate_card_import import form

RERATINGS = "/api/v1/reratings"
SPAN = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}


def rerate(charging: ChargingApp, **body: Any) -> dict[str, Any]:
    answer = charging.post(RERATINGS, body)
    assert answer.status == 200, answer.body
    return dict(answer.json)


def book(charging: ChargingApp, **body: Any) -> dict[str, Any]:
    return rerate(charging, **body, dry_run=False, reason="the card was wrong")


def test_a_dry_run_reports_the_difference_and_writes_nothing(charging: ChargingApp) -> None:
    london, paris = charging.leg(talk_seconds=120), charging.leg(to=PARIS)
    charging.cheaper()

    found = rerate(charging, **SPAN)

    assert (found["dry_run"], found["legs"], found["changed"]) == (True, 2, 1)
    assert found["accounts"] == [
        {
            "account": "contoso",
            "currency": "USD",
            "legs": 2,
            "changed": 1,
            "before": "0.40",
            "after": "0.30",
            "difference": "-0.10",
        }
    ]
    assert [(each["destination"], each["difference"]) for each in found["destinations"]] == [
        ("Britain", "-0.10"),
        ("France", "0.00"),
    ]
    (item,) = found["items"]
    assert (item["leg"], item["status"], item["difference"]) == (london, "would_change", "-0.10")
    assert item["before"] == {
        "amount": "0.20",
        "card": "default",
        "version": JANUARY,
        "prefix": "44",
        "destination": "United Kingdom",
    }
    assert item["after"]["version"] == MAY
    assert charging.balance() == "9.60"
    assert "history" not in charging.shown(london)
    assert "history" not in charging.shown(paris)


def test_booked_it_is_a_reversal_and_a_debit_and_the_leg_shows_both(charging: ChargingApp) -> None:
    leg = charging.leg(talk_seconds=120)
    charging.cheaper()

    found = book(charging, **SPAN)

    (item,) = found["items"]
    assert (item["status"], item["entries"], charging.balance()) == ("changed", [3, 4], "9.90")
    shown = charging.shown(leg)
    assert (shown["amount"], shown["entry"], shown["status"]) == ("0.10", 4, "charged")
    assert (shown["rate"]["version"], shown["rate"]["destination"]) == (MAY, "Britain")
    assert (shown["balance_before"], shown["balance_after"]) == ("10.00", "9.90")
    assert (shown["to"], shown["funded_by"]) == (LONDON, [{"lot": "lot-1", "amount": "0.10"}])
    assert [(each["entry"], each["amount"], each["reversed_by"]) for each in shown["history"]] == [
        (2, "0.20", 3)
    ]
    assert shown["replaces"]["entry"] == 2
    assert shown["sentence"].endswith(
        "= 0.1, rounded half up to 4 decimals: 0.10 USD. It replaces the charge of 0.20 in entry 2."
    )
    entries = charging.get(f"/api/v1/accounts/contoso/entries?leg={leg}").json["items"]
    assert [(each["kind"], each["amount"]) for each in entries] == [
        ("debit", "-0.20"),
        ("reversal", "0.20"),
        ("debit", "-0.10"),
    ]
    assert [each.get("reason") for each in entries] == [None, *2 * ["the card was wrong"]]
    assert charging.sound()


def test_again_it_changes_nothing(charging: ChargingApp) -> None:
    charging.leg()
    charging.cheaper()
    book(charging, **SPAN)

    again = book(charging, **SPAN)

    assert (again["changed"], again["items"], charging.balance()) == (0, [], "9.95")
    assert charging.get("/api/v1/accounts/contoso/verify").json["entries"] == 4


def test_one_that_was_broken_off_is_gone_on_with(charging: ChargingApp) -> None:
    """Page by page, by several processes, some of it twice: each leg once."""
    legs = [charging.leg() for _ in range(7)]
    charging.cheaper()
    book(charging, **SPAN, limit=3)

    other = ChargingApp(charging.tables, charging.clock)
    first = book(other, **SPAN, limit=2)
    rest = book(other, **SPAN, limit=4, cursor=first["next"])
    last = book(other, **SPAN, limit=4, cursor=rest["next"])

    assert (first["changed"], rest["changed"], last["changed"]) == (0, 3, 1)
    assert "next" not in last
    assert charging.balance() == "9.65"
    assert {charging.shown(leg)["amount"] for leg in legs} == {"0.05"}
    assert charging.sound()
    other.close()


def test_two_who_book_it_at_once_book_it_once(charging: ChargingApp) -> None:
    legs = [charging.leg() for _ in range(5)]
    charging.cheaper()
    from shared.domain.directory.access import Principal
    from shared.usecases.charging.rerate_legs import Attribution, RerateSelection

    other = ChargingApp(charging.tables, charging.clock)
    both = [app.container.rerate_legs for app in (charging, other)]
    ann = Principal("ann", frozenset(), frozenset("*"))
    wanted = RerateSelection(("contoso",), legs=tuple(legs))

    async def at_once() -> Any:
        return await asyncio.gather(
            *(
                one(wanted, ann, booking=Attribution("why", "ann"), limit=100, cursor=None)
                for one in both
            )
        )

    found = charging.run(at_once())

    entries = {each.entries for one in found for each in one.outcomes if each.entries}
    assert len(entries) == 5
    assert charging.balance() == "9.75"
    assert charging.sound()
    other.close()


def test_a_leg_may_be_charged_again_and_by_another_card(charging: ChargingApp) -> None:
    leg = charging.leg()
    charging.cheaper()
    book(charging, **SPAN)
    charging.put(f"/api/v1/rate-cards/gold/versions/{JANUARY}", card(rate("4", "0.30", "Four")))

    found = book(charging, accounts=["contoso"], legs=[leg], rate_card="gold")

    assert [each["difference"] for each in found["items"]] == ["0.25"]
    shown = charging.shown(leg)
    assert (shown["amount"], shown["rate"]["card"], charging.balance()) == ("0.30", "gold", "9.70")
    assert [each["amount"] for each in shown["history"]] == ["0.10", "0.05"]
    assert charging.sound()


def test_a_named_version_rates_legs_of_any_time(charging: ChargingApp) -> None:
    leg = charging.leg()
    charging.put(f"{CARD}/2027-01-01T00:00:00Z", CHEAPER)

    found = rerate(
        charging,
        accounts=["contoso"],
        legs=[leg],
        rate_card="default",
        version="2027-01-01T00:00:00Z",
    )

    assert [each["after"]["amount"] for each in found["items"]] == ["0.05"]


def test_a_reversed_leg_stays_reversed_and_a_re_rated_one_is_reversed_at_its_new_price(
    charging: ChargingApp,
) -> None:
    gone, rebooked = charging.leg(), charging.leg()
    path = "/api/v1/accounts/contoso/legs/{}/reversal"
    charging.post(path.format(gone), {"reason": "a mistake"})
    charging.cheaper()

    found = book(charging, **SPAN)
    back = charging.post(path.format(rebooked), {"reason": "another"})
    again = charging.post(path.format(rebooked), {"reason": "another"})

    assert {each["leg"]: (each["status"], each.get("reason")) for each in found["items"]} == {
        gone: ("skipped", "reversed"),
        rebooked: ("changed", None),
    }
    assert back.json["entry"]["amount"] == "0.05"
    assert again.headers["idempotency-hit"] == "true"
    assert (charging.balance(), charging.shown(rebooked)["reversed_by"]) == ("10.00", 7)
    assert book(charging, **SPAN)["changed"] == 0
    assert charging.sound()


def test_legs_that_no_price_concerns_are_counted_with_their_reason(charging: ChargingApp) -> None:
    charging.leg(kind=LegKind.VOIP, to_number=None)
    charging.leg(answered_at=None)
    gone, erased = charging.leg(to=PARIS), charging.leg(to=LONDON)
    charging.post("/api/v1/accounts/contoso/erasures", {"number": LONDON})
    charging.put(f"{CARD}/{MAY}?backdate=true", card(BRITAIN))

    found = rerate(charging, **SPAN)

    # An unanswered leg has no time of answer, and is in no span.
    assert found["skipped"] == {"voip": 1, "rate_missing": 1, "erased": 1}
    assert {each["leg"]: each["reason"] for each in found["items"]} == {
        "pbx~leg-1": "voip",
        gone: "rate_missing",
        erased: "erased",
    }
    named = rerate(charging, accounts=["contoso"], legs=["pbx~leg-2"])
    assert named["skipped"] == {"unanswered": 1}


def test_a_card_in_another_currency_charges_no_one_again(charging: ChargingApp) -> None:
    charging.leg()
    euros = card(BRITAIN, currency="EUR")
    charging.put(f"/api/v1/rate-cards/euro/versions/{JANUARY}", euros)

    assert rerate(charging, **SPAN, rate_card="euro")["skipped"] == {"currency_mismatch": 1}


def test_a_long_journal_is_read_from_where_its_span_begins(
    charging: ChargingApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by halving; a short one is read whole. Legs before the span are in neither."""
    for _ in range(4):
        charging.leg()
        charging.clock.advance(3_600)
    charging.cheaper()
    noon = {"from": "2026-11-23T11:59:00Z", "to": SPAN["to"]}

    whole = rerate(charging, **noon)
    monkeypatch.setattr(limits, "JOURNAL_PAGE_ROWS", 1)
    halved = rerate(charging, **noon)

    assert [each["leg"] for each in halved["items"]] == [each["leg"] for each in whole["items"]]
    assert halved["legs"] == 2


def test_all_accounts_are_gone_through_page_by_page(charging: ChargingApp) -> None:
    charging.settle("fabrikam", "tailspin", "wingtip")
    for account in ("contoso", "fabrikam", "wingtip"):
        for _ in range(3):
            charging.leg(account)
    charging.cheaper()

    seen: list[tuple[str, str]] = []
    cursor: dict[str, Any] = {}
    pages = 0
    while True:
        found = book(charging, **SPAN, **cursor, limit=2)
        seen += [(each["account"], each["leg"]) for each in found["items"]]
        pages += 1
        if "next" not in found:
            break
        cursor = {"cursor": found["next"]}

    assert len(seen) == len(set(seen)) == 9
    assert pages <= 8
    assert [charging.balance(each) for each in ("contoso", "fabrikam", "tailspin", "wingtip")] == [
        *("9.85", "9.85", "10.00", "9.85")
    ]


def test_only_legs_that_a_card_charged_are_taken_if_so_requested(charging: ChargingApp) -> None:
    leg = charging.leg()
    gold = f"/api/v1/rate-cards/gold/versions/{JANUARY}"
    charging.put(gold, card(rate("44", "0.30", "Gold")))
    etag = charging.get("/api/v1/accounts/contoso").etag
    charging.put("/api/v1/accounts/contoso", {"currency": "USD", "rate_card": "gold"}, etag)
    other = charging.leg()
    charging.cheaper()

    found = rerate(charging, **SPAN, charged_by="default")

    assert [each["leg"] for each in found["items"]] == [leg]
    assert rerate(charging, **SPAN)["legs"] == 2
    assert charging.shown(other)["rate"]["card"] == "gold"


def test_a_backdated_version_proposes_whose_legs_to_charge_again(charging: ChargingApp) -> None:
    charging.settle("fabrikam", "tailspin")
    for account, count in (("contoso", 2), ("fabrikam", 1)):
        for _ in range(count):
            charging.leg(account)

    charging.clock.advance(60)
    checked = charging.put(f"{CARD}/{MAY}?backdate=true&dry_run=true", CHEAPER).json["rerating"]
    put = charging.cheaper().json["rerating"]

    assert checked == put
    assert (put["legs"], put["complete"]) == (3, True)
    assert put["accounts"] == [
        {"account": "contoso", "legs": 2},
        {"account": "fabrikam", "legs": 1},
    ]
    proposed = put["dry_run"]
    assert (proposed["method"], proposed["path"]) == ("POST", RERATINGS)
    assert proposed["body"] == {
        "charged_by": "default",
        "from": MAY,
        "to": "2026-11-23T10:01:00Z",
        "accounts": ["contoso", "fabrikam"],
    }
    found = charging.post(proposed["path"], proposed["body"]).json
    assert (found["dry_run"], found["changed"]) == (True, 3)


@pytest.mark.parametrize(
    ("bounds", "legs", "complete"),
    [
        ({"PROPOSAL_PAGE_LEGS": 1}, 3, True),
        ({"PROPOSAL_ACCOUNTS_AT_ONCE": 1}, 3, True),
        ({"PROPOSAL_ACCOUNTS_AT_ONCE": 1, "PROPOSAL_ACCOUNTS_MAX": 1}, 2, False),
        ({"PROPOSAL_LEGS_MAX": 1}, 2, False),
    ],
)
def test_a_proposal_states_where_counting_stopped(
    charging: ChargingApp,
    monkeypatch: pytest.MonkeyPatch,
    bounds: dict[str, int],
    legs: int,
    complete: bool,
) -> None:
    """In pages of legs and of accounts, and one leg of each where but one may be examined."""
    charging.settle("fabrikam")
    for account in ("contoso", "contoso", "fabrikam"):
        charging.leg(account)
    for name, bound in bounds.items():
        monkeypatch.setattr(limits, name, bound)

    charging.clock.advance(60)
    proposed = charging.cheaper().json["rerating"]

    assert (proposed["legs"], proposed["complete"]) == (legs, complete)


def test_a_version_that_touches_no_one_proposes_nothing(charging: ChargingApp) -> None:
    charging.leg()
    ahead = format_time(START + timedelta(seconds=10))

    nobody = charging.put(f"{CARD}/{ahead}?backdate=true", CHEAPER).json["rerating"]
    between = charging.put(f"{CARD}/2025-01-01T00:00:00Z?backdate=true", CHEAPER).json["rerating"]

    assert nobody == between == {"legs": 0, "accounts": [], "complete": True}
    assert "rerating" not in charging.put(f"{CARD}/2027-01-01T00:00:00Z", CHEAPER).json


def test_what_if_prices_last_month_by_another_card_and_touches_nothing(
    charging: ChargingApp,
) -> None:
    october = START - timedelta(days=30)
    charging.leg(answered_at=october)
    charging.leg()
    charging.put("/api/v1/rate-cards/gold/versions/2026-11-20T00:00:00Z", card(BRITAIN))
    path = "/api/v1/accounts/contoso/rate-card/what-if"
    before = charging.get("/api/v1/accounts/contoso/verify").json

    missing = charging.post(path, {"rate_card": "gold"}).json
    found = charging.post(path, {"rate_card": "gold", "version": "2026-11-20T00:00:00Z"}).json
    own = charging.post(path, {"rate_card": "default", "month": "2026-11"}).json

    assert (missing["month"], missing["skipped"]) == ("2026-10", {"rate_missing": 1})
    assert (found["legs"], found["accounts"][0]["after"], found["dry_run"]) == (1, "0.10", True)
    assert (own["month"], own["legs"], own["changed"]) == ("2026-11", 1, 0)
    assert charging.get("/api/v1/accounts/contoso/verify").json == before
    assert charging.post(path, {"rate_card": "gold", "month": "2026-13"}).code == "month_invalid"
    assert charging.post(path, {"rate_card": "gold", "month": "May"}).code == "invalid"
    unknown = charging.post(path, {"rate_card": "gold", "version": MAY})
    assert (unknown.status, unknown.code) == (404, "rate_card_version_unknown")
    assert charging.post(path, {"rate_card": "typo"}).code == "rate_card_unknown"


def test_a_difference_of_versions_reports_what_legs_of_a_month_would_have_cost(
    charging: ChargingApp,
) -> None:
    charging.leg(talk_seconds=120)
    charging.leg(kind=LegKind.VOIP, to_number=None)
    charging.put(f"{CARD}/2027-01-01T00:00:00Z", CHEAPER)
    path = f"/api/v1/rate-cards/default/diff?from={JANUARY}&to=2027-01-01T00:00:00Z"

    effect = charging.get(f"{path}&account=contoso&month=2026-11").json["effect"]
    last = charging.get(f"{path}&account=contoso").json["effect"]

    assert (effect["legs"], effect["before"], effect["after"]) == (1, "0.20", "0.10")
    assert (effect["difference"], effect["currency"], effect["complete"]) == ("-0.10", "USD", True)
    assert (effect["month"], effect["destinations"][0]["destination"]) == ("2026-11", "Britain")
    assert (last["month"], last["legs"]) == ("2026-10", 0)
    assert charging.get(f"{path}&account=nobody").code == "account_unknown"


@pytest.mark.parametrize("kind", ["json", "deck"])
def test_a_dry_run_of_a_version_has_its_cost_for_an_account(
    charging: ChargingApp, kind: str
) -> None:
    charging.leg(talk_seconds=120)
    charging.leg(to=PARIS)
    if kind == "json":
        path = "/api/v1/rate-cards/draft/versions/2027-01-01T00:00:00Z?"

        def send(query: str, currency: str = "USD") -> Answer:
            version = card(rate("44", "0.05", "Britain"), currency=currency)
            return charging.put(path + query, version)
    else:
        path = "/api/v1/rate-cards/draft/import?effective_from=2027-01-01T00:00:00Z&"

        def send(query: str, currency: str = "USD") -> Answer:
            body, content_type = form(
                mapping={
                    "currency": currency,
                    "rounding": {"mode": "half_up", "decimals": 4},
                    "columns": {"prefix": "Code", "destination": ["Name"], "price": "Rate"},
                },
                deck=b"Code,Name,Rate\n44,Britain,0.05\n",
            )
            return charging.post(path + query, body, headers={"content-type": content_type})

    effect = send("dry_run=true&account=contoso&month=2026-11").json["effect"]
    last = send("dry_run=true&account=contoso").json["effect"]

    assert (effect["legs"], effect["before"], effect["after"]) == (1, "0.20", "0.10")
    assert (effect["difference"], effect["no_rate_after"]) == ("-0.10", 1)
    assert effect["from"] == {"card": "default", "version": JANUARY}
    assert [each["difference"] for each in effect["destinations"]] == ["-0.10"]
    assert (last["month"], last["legs"]) == ("2026-10", 0)
    assert send("dry_run=true&account=contoso", currency="EUR").json["effect"] is None
    assert "effect" not in send("dry_run=true").json
    assert send("dry_run=true&account=nobody").code == "account_unknown"
    assert send("dry_run=true&account=contoso&month=May").code == "month_invalid"
    refused = send("account=contoso")
    assert (refused.status, refused.code) == (422, "query_invalid")
    assert charging.get("/api/v1/rate-cards/draft").status == 404


def test_the_legs_come_as_a_table(charging: ChargingApp) -> None:
    leg = charging.leg()
    charging.cheaper()

    answer = charging.post(RERATINGS, SPAN, headers={"accept": "text/csv"})

    (row,) = csv.DictReader(io.StringIO(answer.body.decode()))
    assert (row["leg"], row["before"], row["after"], row["difference"]) == (
        *(leg, "0.10", "0.05"),
        "-0.05",
    )
    assert (row["after_version"], row["after_destination"]) == (MAY, "Britain")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid"),
        ({"from": "yesterday"}, 422, "invalid"),
        ({**SPAN, "dry_run": False}, 422, "invalid"),
        ({**SPAN, "legs": ["pbx~leg-1"]}, 422, "invalid"),
        ({"legs": ["pbx~leg-1"]}, 422, "invalid"),
        ({"legs": ["pbx~leg-1"], "accounts": ["contoso", "fabrikam"]}, 422, "invalid"),
        ({"legs": ["pbx~leg-1"], "accounts": ["contoso"], "to": SPAN["to"]}, 422, "invalid"),
        ({**SPAN, "limit": 2001}, 422, "invalid"),
        ({**SPAN, "colour": "red"}, 422, "invalid"),
        ({**SPAN, "cursor": "nonsense"}, 422, "cursor_invalid"),
        ({"legs": ["pbx~nobody"], "accounts": ["contoso"]}, 404, "leg_unknown"),
        ({**SPAN, "accounts": ["nobody"]}, 404, "account_unknown"),
        ({**SPAN, "rate_card": "typo"}, 404, "rate_card_unknown"),
        ({**SPAN, "charged_by": "typo"}, 404, "rate_card_unknown"),
        (
            {**SPAN, "rate_card": "default", "version": MAY},
            404,
            "rate_card_version_unknown",
        ),
    ],
)
def test_what_makes_no_sense_states_the_reason(
    charging: ChargingApp, body: dict[str, object], status: int, code: str
) -> None:
    charging.leg()

    answer = charging.post(RERATINGS, body)

    assert (answer.status, answer.code) == (status, code)


def test_readers_may_not_book_and_see_only_their_accounts(charging: ChargingApp) -> None:
    charging.settle("fabrikam")
    charging.leg()
    charging.cheaper()
    reader = charging.api_key("reader", accounts=("contoso",))
    finance = charging.api_key("finance", accounts=("contoso",))
    booked = {**SPAN, "accounts": ["contoso"], "dry_run": False, "reason": "why"}

    assert charging.post(RERATINGS, {**SPAN, "accounts": ["contoso"]}, key=reader).status == 200
    assert charging.post(RERATINGS, booked, key=reader).code == "role_missing"
    assert charging.post(RERATINGS, SPAN, key=finance).code == "account_not_allowed"
    foreign = {**booked, "accounts": ["fabrikam"]}
    assert charging.post(RERATINGS, foreign, key=finance).code == "account_not_allowed"
    assert charging.post(RERATINGS, booked, key=finance).json["changed"] == 1


@pytest.mark.parametrize(
    ("accounts", "place"), [(None, None), ("contoso", None), (None, (3, 1)), ("a.b-c", (0, 0))]
)
def test_a_cursor_is_read_as_it_was_written(
    accounts: str | None, place: tuple[int, int] | None
) -> None:
    assert read_cursor(write_cursor(accounts, place)) == (accounts, place)


@pytest.mark.parametrize("text", ["", "x", "W10", "WzEsMl0", "W251bGwsWy0xLDBdXQ", "[" * 9_000])
def test_a_cursor_of_someone_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_cursor(text)


def test_a_leg_states_in_a_sentence_what_it_cost(charging: ChargingApp) -> None:
    charged, voip = charging.leg(), charging.leg(kind=LegKind.VOIP, to_number=None)
    silent = charging.leg(answered_at=None)

    assert charging.shown(charged)["sentence"] == (
        "60 s of dial out to United Kingdom, by prefix 44 of rate card default, version "
        "2026-01-01T00:00:00Z: 1 x 60 s from second 0 at 0.1 per 60 s (0.1) = 0.1, rounded half "
        "up to 4 decimals: 0.10 USD."
    )
    assert charging.shown(charged)["won_over"] == []
    assert charging.shown(voip)["sentence"] == "VoIP legs are free."
    assert charging.shown(silent)["sentence"] == "The call was not answered: nothing is charged."


def test_the_sentence_outlives_the_number(charging: ChargingApp) -> None:
    leg = charging.leg()
    sentence = charging.shown(leg)["sentence"]

    charging.post("/api/v1/accounts/contoso/erasures", {"number": LONDON})

    shown = charging.shown(leg)
    assert (shown["to"], shown["sentence"]) == (None, sentence)


def test_a_toll_free_caller_is_explained_by_where_the_call_came_from(charging: ChargingApp) -> None:
    more = {"kind": "dial_in"}
    rates = (
        rate("1800", "0.02", "Toll-free", **more),
        rate("1800", "0.01", "Toll-free from US", origin="US", **more),
    )
    charging.put(f"{CARD}/{MAY}?backdate=true", card(*rates))
    leg = charging.leg(to="+18005550100", kind=LegKind.DIAL_IN, from_number="+12125550123")

    before = charging.shown(leg)
    charging.post("/api/v1/accounts/contoso/erasures", {"number": "+12125550123"})
    after = charging.shown(leg)

    assert before["rate"]["origin"] == "US"
    assert before["won_over"] == ["1800"]
    assert "by prefix 1800 for callers from US" in before["sentence"]
    assert after["sentence"] == before["sentence"]
