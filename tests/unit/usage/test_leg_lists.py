"""Lists of legs: filters, three orders, pages, net amounts."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from itertools import combinations
from typing import Any
from urllib.parse import quote

import pytest

from functions import usage as usage_routes
from shared.domain.common import limits
from tests.support.charging_app import JANUARY, LONDON, PARIS, ChargingApp

LEGS = "/api/v1/accounts/contoso/legs"
TIMES = ("booked", "answered")
ORDERS = ("newest", "oldest", "amount")


class _App(ChargingApp):
    """`is_packed`: before each list, the entries so far are put into columns."""

    is_packed = False

    def pack(self) -> None:
        if self.is_packed:
            self.run(self.container.ledger.pack_until("contoso", self.clock.now()))


@pytest.fixture(params=["journal", "columns"])
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> _App:
    monkeypatch.setattr(limits, "INDEX_ENTRIES_MIN", 1)
    app = _App()
    app.settle()
    app.is_packed = request.param == "columns"
    return app


def legs(app: _App, query: str = "") -> list[dict[str, Any]]:
    app.pack()
    answer = app.get(f"{LEGS}{query}")
    assert answer.status == 200, answer.body
    return list(answer.json["items"])


def paged(app: _App, query: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    app.pack()
    while True:
        answer = app.get(f"{LEGS}{query}&limit=2{cursor}")
        assert answer.status == 200, answer.body
        found += [each["leg"] for each in answer.json["items"]]
        if "next" not in answer.json:
            return found
        cursor = f"&cursor={quote(answer.json['next'])}"


def five(app: _App) -> list[str]:
    found = []
    for minutes in (3, 1, 5, 2, 4):
        app.clock.advance(600)
        found.append(app.leg(to=LONDON, talk_seconds=60 * minutes))
    return found


def test_an_item_states_what_a_leg_was_and_costs(app: _App) -> None:
    leg = app.leg(to=LONDON, conference_id="3001", organizer="ken", talk_seconds=61)
    (item,) = legs(app)
    assert item["leg"] == leg
    assert (item["kind"], item["status"], item["bridge"]) == ("dial_out", "charged", "pbx")
    assert (item["from"], item["to"]) == (PARIS, LONDON)
    assert (item["region"], item["destination"]) == ("GB", "United Kingdom")
    assert item["number_class"] == "fixed_line"
    assert (item["organizer"], item["conference"]) == ("ken", "3001")
    assert (item["talk_seconds"], item["billed_seconds"], item["pool_seconds"]) == (61, 120, 0)
    assert (item["amount"], item["charged"], item["currency"]) == ("0.20", "0.20", "USD")
    assert (item["prefix"], item["version"]) == ("44", JANUARY)
    assert item["flags"] == ["organizer_unknown"]
    assert item["corrections"] == []


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("order", ORDERS)
def test_pages_are_the_list_cut_into_pieces(app: _App, time: str, order: str) -> None:
    there = five(app)
    by_amount = [there[place] for place in (2, 4, 0, 3, 1)]
    expected = {"oldest": there, "newest": there[::-1], "amount": by_amount}[order]
    query = f"?time={time}&order={order}"
    assert [each["leg"] for each in legs(app, query)] == expected
    assert paged(app, query) == expected
    rows = csv.DictReader(io.StringIO(app.get(f"{LEGS}{query}&format=csv").body.decode()))
    assert [row["leg"] for row in rows] == expected


@pytest.mark.parametrize("time", TIMES)
def test_filters_select(app: _App, time: str) -> None:
    ken = app.leg(to=LONDON, conference_id="a", organizer="ken")
    amy = app.leg(to=PARIS, conference_id="b", organizer="amy", from_number=None)
    for query, expected in {
        "organizer=ken": [ken],
        "conference=b": [amy],
        "region=FR": [amy],
        "destination=France": [amy],
        f"number={quote(LONDON)}": [ken],
        f"number={LONDON}": [ken],
        "min_amount=0.15": [amy],
        "bridge=pbx": [amy, ken],
        "bridge=other": [],
        "kind=dial_in": [],
        "status=zero": [],
        "status=charged": [amy, ken],
        "flag=organizer_unknown": [amy, ken],
        "flag=overrun": [],
        "cost_center=x": [],
    }.items():
        found = [each["leg"] for each in legs(app, f"?time={time}&{query}")]
        assert sorted(found) == sorted(expected), query


def test_a_row_of_usage_without_a_group_is_the_legs_without_it(app: _App) -> None:
    app.put("/api/v1/accounts/contoso/organizers/ken", {"cost_center": "sales"})
    for name, room in (("ken", "a"), ("ken", None), (None, "a"), (None, None), ("amy", None)):
        app.leg(to=LONDON, organizer=name, conference_id=room)
    groups = ("organizer", "cost_center", "conference")
    for names in (groups[:1], groups[1:2], groups[2:], groups[:2], groups):
        found = app.get(f"/api/v1/accounts/contoso/usage?group_by={','.join(names)}").json["items"]
        (row,) = (each for each in found if all(each[name] is None for name in names))
        listed = legs(app, f"?without={','.join(names)}")
        assert len(listed) == row["legs"]
        assert {leg[name] for leg in listed for name in names} == {None}
    assert legs(app, "?without=region,destination") == []
    (one,) = legs(app, "?without=organizer&conference=a&order=amount")
    assert (one["organizer"], one["conference"]) == (None, "a")
    rows = app.get(f"{LEGS}?without=organizer,conference&format=csv").body.decode().splitlines()
    assert len(rows) == 1 + 1


def test_filters_are_combined_and_json_and_csv_agree(app: _App) -> None:
    """Each pair of filters, in each order and by either time, against the fields of the items."""
    app.put("/api/v1/accounts/contoso/organizers/ken", {"cost_center": "sales"})
    for number in range(12):
        app.clock.advance(900)
        begun = app.clock.now() - timedelta(seconds=800)
        is_answered = number % 5 != 0
        app.leg(
            to=(LONDON, PARIS)[number % 2],
            organizer=("ken", "amy", None)[number % 3],
            conference_id=("a", "b")[number // 6],
            from_number=(PARIS, None)[number % 2],
            talk_seconds=60 * number if is_answered else 0,
            answered_at=begun if is_answered else None,
            started_at=begun,
        )
    every = legs(app)
    assert len(every) == 12
    filters: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
        "kind": ("dial_out", lambda leg: leg["kind"] == "dial_out"),
        "status": ("zero", lambda leg: leg["status"] == "zero"),
        "organizer": ("ken", lambda leg: leg["organizer"] == "ken"),
        "cost_center": ("sales", lambda leg: leg["cost_center"] == "sales"),
        "conference": ("b", lambda leg: leg["conference"] == "b"),
        "region": ("FR", lambda leg: leg["region"] == "FR"),
        "destination": ("France", lambda leg: leg["destination"] == "France"),
        "number": (quote(PARIS), lambda leg: PARIS in {leg["from"], leg["to"]}),
        "bridge": ("pbx", lambda leg: leg["bridge"] == "pbx"),
        "flag": ("organizer_unknown", lambda leg: "organizer_unknown" in leg["flags"]),
        "min_amount": ("0.50", lambda leg: Fraction(leg["amount"]) >= Fraction(1, 2)),
    }
    for at, (one, other) in enumerate(combinations(filters, 2)):
        query = "&".join(f"{name}={filters[name][0]}" for name in (one, other))
        order, time = ORDERS[at % 3], TIMES[at % 2]
        path = f"?{query}&order={order}&time={time}"
        expected = {leg["leg"] for leg in every if filters[one][1](leg) and filters[other][1](leg)}
        found = [leg["leg"] for leg in legs(app, path)]
        assert (set(found), len(found)) == (expected, len(expected)), path
        if at % 5 == 0:
            assert paged(app, path) == found, path
        rows = csv.DictReader(io.StringIO(app.get(f"{LEGS}{path}&format=csv").body.decode()))
        assert [row["leg"] for row in rows] == found, path


@pytest.mark.parametrize("time", TIMES)
def test_amounts_are_net_of_corrections(app: _App, time: str) -> None:
    reversed_leg, kept = app.leg(to=LONDON), app.leg(to=LONDON)
    path = f"/api/v1/accounts/contoso/legs/{reversed_leg}/reversal"
    entry = app.post(path, {"reason": "Bad line"}).json["entry"]["sequence"]
    app.cheaper()
    requested = {"accounts": ["contoso"], "from": JANUARY, "dry_run": False, "reason": "Cheaper"}
    assert app.post("/api/v1/reratings", requested).status == 200
    found = {each["leg"]: each for each in legs(app, f"?time={time}")}
    assert (found[reversed_leg]["amount"], found[reversed_leg]["charged"]) == ("0.00", "0.10")
    assert found[reversed_leg]["billed_seconds"] == 0
    assert found[reversed_leg]["corrections"][0] == entry
    assert (found[kept]["amount"], found[kept]["destination"]) == ("0.05", "Britain")
    assert len(found[kept]["corrections"]) == 2
    dear = legs(app, f"?time={time}&min_amount=0.01")
    assert [each["leg"] for each in dear] == [kept]


def test_parked_legs_are_listed_where_requested(app: _App) -> None:
    app.leg(to=LONDON)
    app.parked(app.ended(to="+390669812345"))
    assert [each["status"] for each in legs(app)] == ["charged"]
    (item,) = legs(app, "?status=parked")
    assert (item["status"], item["reason"], item["to"]) == (
        "parked",
        "rate_missing",
        "+390669812345",
    )


def test_csv_has_local_times(app: _App) -> None:
    app.account("tokyo", time_zone="Asia/Tokyo")
    app.leg("tokyo", to=LONDON)
    answer = app.get("/api/v1/accounts/tokyo/legs?format=csv")
    (row,) = csv.DictReader(io.StringIO(answer.body.decode()))
    assert row["answered_at_local"].endswith("+09:00")


def test_a_cursor_is_bound_to_account_and_query(app: _App) -> None:
    five(app)
    app.account("fabrikam")
    following = app.get(f"{LEGS}?limit=2").json["next"]
    for path in (
        f"{LEGS}?order=oldest&",
        f"{LEGS}?kind=dial_out&",
        f"{LEGS}?time=answered&",
        f"{LEGS}?month=2026-11&",
        "/api/v1/accounts/fabrikam/legs?",
        "/api/v1/accounts/contoso/entries?",
    ):
        answer = app.get(f"{path}cursor={quote(following)}")
        assert (answer.status, answer.code) == (422, "cursor_invalid")


@pytest.mark.parametrize(
    "query",
    [
        *("min_amount=x", "order=x", "status=x", "kind=x", "colour=red", "without=number"),
        *("without=region,region", "without=organizer&organizer=ken"),
    ],
)
def test_what_a_list_does_not_take_is_refused(app: _App, query: str) -> None:
    answer = app.get(f"{LEGS}?{query}")
    assert (answer.status, answer.code) == (422, "query_invalid")


@pytest.mark.parametrize("query", ["?order=amount", "?time=answered", "?format=csv"])
def test_a_list_that_is_too_long_names_a_narrower_span(
    app: _App, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    there = five(app)
    app.clock.advance(1)
    monkeypatch.setattr(limits, "LISTED_LEGS_MAX", 4)
    answer = app.get(f"{LEGS}{query}")
    assert (answer.status, answer.code) == (422, "result_too_large")
    narrower = answer.json["detail"].partition("to=")[2].removesuffix(".")
    assert len(legs(app, f"{query.replace('csv', 'json')}&from=2026-11-01&to={narrower}")) == 2
    assert len(legs(app, f"{query.replace('csv', 'json')}&from={narrower}")) == len(there) - 2


@pytest.mark.parametrize("time", TIMES)
def test_a_file_that_is_too_long_names_a_narrower_span(
    app: _App, monkeypatch: pytest.MonkeyPatch, time: str
) -> None:
    five(app)
    monkeypatch.setattr(usage_routes, "CSV_ROWS_MAX", 3)
    answer = app.get(f"{LEGS}?format=csv&time={time}")
    assert (answer.status, answer.code) == (422, "result_too_large")
    narrower = answer.json["detail"].partition("to=")[2].partition(" ")[0]
    path = f"{LEGS}?format=csv&time={time}&from=2026-11-01&to={narrower}"
    assert len(app.get(path).body.decode().splitlines()) == 1 + 3
