"""Query parameters: what a route does not declare is refused, on every route."""

import asyncio
import re
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

import function_app
from functions import http
from functions.http import ROUTES
from shared.contracts.common.queries import Query, QueryKind, check_query, read_moment
from shared.contracts.common.routes import Route
from shared.domain.common.errors import Invalid
from tests.support.product import Answer, Product

assert function_app.app, "importing it declares the routes"
CHECKED = [route for route in ROUTES if route.queries is not None]
ENTRIES = "/api/v1/accounts/contoso/entries"
BAD = {
    QueryKind.FLAG: ["maybe", "2", "yes"],
    QueryKind.COUNT: ["0", "-1", "ten", "1001", "1.5", "%D9%A1", "1e2"],
    QueryKind.TIME: ["yesterday", "2026-13-01", "2026-11-31", "2026-11-23T10:00:00", "20261101"],
    QueryKind.MONTH: ["2026", "2026-13", "2026-11-01", "1969-12", "11-2026"],
}


def send(app: Product, route: Route, query: str) -> Answer:
    path = re.sub(r"\{\w+\}", "x", route.path)
    return app.call(route.method, f"/api/{path}?{query}")


@pytest.mark.parametrize("route", CHECKED, ids=lambda route: route.name)
def test_every_route_refuses_a_parameter_that_it_does_not_declare(
    app: Product, route: Route
) -> None:
    answer = send(app, route, "organiser=ken")

    assert (answer.status, answer.code) == (422, "query_invalid")
    assert "organiser" in answer.json["detail"]
    for each in route.queries or ():
        assert each.name in answer.json["detail"]


@pytest.mark.parametrize("route", CHECKED, ids=lambda route: route.name)
def test_every_route_refuses_a_parameter_that_is_sent_twice(app: Product, route: Route) -> None:
    for each in route.queries or ():
        answer = send(app, route, f"{each.name}=&{each.name}=")

        assert (answer.status, answer.code) == (422, "query_invalid")
        assert f"{each.name} is sent twice" in answer.json["detail"]


@pytest.mark.parametrize("route", CHECKED, ids=lambda route: route.name)
def test_every_route_refuses_a_value_that_its_parameter_does_not_take(
    app: Product, route: Route
) -> None:
    for each in route.queries or ():
        for value in ["nonsense"] if each.choices else BAD.get(each.kind, []):
            answer = send(app, route, f"{each.name}={value}")

            assert (answer.status, answer.code) == (422, "query_invalid"), (each.name, value)
            assert each.name in answer.json["detail"]


def test_call_ended_takes_any_query(app: Product) -> None:
    unchecked = [route.name for route in ROUTES if route.queries is None]
    answer = app.post("/api/v1/bridges/x/call-ended?foo=1&foo=2", {}, key=None)

    assert unchecked == ["post_call_ended"]
    assert answer.status == 401


def test_a_caller_without_a_key_learns_nothing_of_parameters(app: Product) -> None:
    assert app.get(f"{ENTRIES}?foo=1", key=None).status == 401


def test_a_handler_cannot_read_a_parameter_that_its_route_does_not_declare() -> None:
    request = func.HttpRequest("GET", "http://x?a=1", route_params={}, body=b"")
    call = http.ApiCall(request, "id", Route("", "GET", "", queries=(Query("b", "B."),)))

    with pytest.raises(LookupError):
        call.query("a")


def test_names_differ_by_case(app: Product) -> None:
    app.account()

    assert app.get(f"{ENTRIES}?Kind=debit").code == "query_invalid"


@given(st.text(min_size=1), st.text())
def test_any_parameter_is_declared_or_refused(name: str, value: str) -> None:
    name, value = (text.encode("utf-8", "replace").decode() for text in (name, value))
    url = f"http://x/y?{quote(name)}={quote(value)}"

    assert check_query(url, [Query(name, "")]) == ({name: value} if value else {})
    with pytest.raises(Invalid) as caught:
        check_query(url, [Query(f"{name}.", "")])
    assert caught.value.code == "query_invalid"


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-11-01", "UTC", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01", "Europe/Paris", datetime(2026, 10, 31, 23, tzinfo=UTC)),
        ("2026-07-01", "Europe/Paris", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-11-01", "America/New_York", datetime(2026, 11, 1, 4, tzinfo=UTC)),
        ("2026-11-01T00:00:00Z", "Europe/Paris", datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_a_date_is_midnight_in_the_zone(text: str, zone: str, moment: datetime) -> None:
    assert read_moment(text, zone) == moment


def top_up(app: Product, times: int, first: int = 0) -> None:
    for number in range(first, first + times):
        app.post(
            "/api/v1/accounts/contoso/top-ups",
            {"amount": "1.00"},
            headers={"idempotency-key": f"k{number}"},
        )


def test_a_span_of_dates_and_a_month_are_those_of_the_account(app: Product) -> None:
    app.clock.moment = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)  # 1 November in Paris
    app.account(time_zone="Europe/Paris")
    top_up(app, 1)

    def count(query: str) -> int:
        return len(app.get(f"{ENTRIES}?{query}").json["items"])

    assert (count("month=2026-11"), count("month=2026-10")) == (1, 0)
    assert (count("from=2026-11-01"), count("to=2026-11-01")) == (1, 0)
    assert count("from=2026-11-01T00:00:00Z") == 0
    assert app.get(f"{ENTRIES}?month=2026-11&from=2026-11-01").code == "query_invalid"
    assert app.get(f"{ENTRIES}?from=2026-11-02&to=2026-11-01").code == "query_invalid"


def test_csv_has_all_rows_in_one_file(app: Product) -> None:
    app.account()
    top_up(app, 120)

    for csv in (
        app.get(ENTRIES, headers={"accept": "text/csv"}),
        app.get(f"{ENTRIES}?format=csv"),
    ):
        lines = csv.body.decode().splitlines()
        assert (csv.status, len(lines)) == (200, 121)
        assert csv.headers["content-disposition"].endswith('.csv"')
        assert "link" not in csv.headers


def test_csv_is_cut_into_pages_where_limit_is_sent(app: Product) -> None:
    app.account()
    top_up(app, 5)

    first = app.get(f"{ENTRIES}?format=csv&limit=3")
    url = urlsplit(first.headers["link"].removeprefix("<").partition(">")[0])
    second = app.get(f"{url.path}?{url.query}")

    assert [len(page.body.decode().splitlines()) for page in (first, second)] == [4, 3]
    assert "link" not in second.headers


def test_a_json_page_links_to_the_next_one_of_the_same_list(app: Product) -> None:
    app.account()
    top_up(app, 5)

    seen, target = [], f"{ENTRIES}?limit=2&kind=top_up&from=2026-11-01"
    while True:
        page = app.get(target)
        seen += [item["sequence"] for item in page.json["items"]]
        assert ("link" in page.headers) == ("next" in page.json)
        if "link" not in page.headers:
            break
        assert page.headers["link"].endswith('; rel="next"')
        url = urlsplit(page.headers["link"][1:].partition(">")[0])
        target = f"{url.path}?{url.query}"

    assert seen == [1, 2, 3, 4, 5]


def test_csv_of_too_many_rows_names_a_span_that_fits(
    app: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CSV_ROWS_MAX", 3)
    app.account()
    for number in range(5):
        app.clock.advance(60)
        top_up(app, 1, number)

    refused = app.get(f"{ENTRIES}?format=csv")
    found = re.search(r"to=(\S+) fit", refused.json["detail"])

    assert (refused.status, refused.code) == (422, "result_too_large")
    assert found is not None
    narrower = app.get(f"{ENTRIES}?format=csv&to={found[1]}")
    assert len(narrower.body.decode().splitlines()) == 4


LISTS = sorted(
    (route for route in CHECKED if {"limit", "format"} <= {q.name for q in route.queries or ()}),
    key=lambda route: route.name,
)


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.name)
def test_every_list_answers_csv(app: Product, route: Route) -> None:
    app.account("x")
    answer = send(app, route, "format=csv")

    if answer.status == 200:
        assert answer.headers["content-disposition"].endswith('.csv"')
        assert answer.body
    else:  # what it lists has to be there, or named, first
        assert answer.code in {"webhook_unknown", "query_invalid", "card_unknown"}


def test_lists_are_those_routes_that_page() -> None:
    """No route takes a cursor without CSV."""
    for route in CHECKED:
        names = {each.name for each in route.queries or ()}
        assert ("cursor" in names) == ({"limit", "cursor", "format"} <= names), route.name


def test_a_request_that_is_refused_carries_its_request_id(app: Product) -> None:
    assert app.get(f"{ENTRIES}?foo=1").json["request_id"] == "an-invocation"


def test_reading_a_moment_without_an_account_is_utc() -> None:
    request = func.HttpRequest("GET", "http://x?at=2026-11-01", route_params={}, body=b"")
    route = Route("", "GET", "", queries=(Query("at", "", QueryKind.TIME),))
    call = http.ApiCall(request, "id", route)
    call.check_query()

    assert asyncio.run(call.moment("at")) == datetime(2026, 11, 1, tzinfo=UTC)
