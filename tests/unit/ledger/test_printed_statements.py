"""Statements as CSV and as a page to print."""

import csv
import io
import re
from html.parser import HTMLParser

import pytest

from tests.support.charging_app import LONDON, PARIS, ChargingApp


@pytest.fixture
def app() -> ChargingApp:
    app = ChargingApp()
    app.settle()
    path = "/api/v1/accounts/contoso/organizers/ken"
    app.put(path, {"cost_center": "<b>4711</b>"})
    app.leg(to=LONDON, organizer="ken")
    app.leg(to=LONDON, organizer="<script>alert(1)</script>")
    leg = app.leg(to=PARIS, organizer="a_b")
    app.post(f"/api/v1/accounts/contoso/legs/{leg}/reversal", {"reason": "Bad <line>"})
    app.parked(app.ended(to="+390669812345"))
    return app


def statement(app: ChargingApp, query: str) -> str:
    answer = app.get(f"/api/v1/accounts/contoso/statements/{app.clock.now():%Y-%m}{query}")
    assert answer.status == 200, answer.body
    return answer.body.decode()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_the_page_has_every_part_and_no_script(app: ChargingApp) -> None:
    page = _Tags()
    page.feed(statement(app, "?format=html"))
    assert page.open == []
    assert page.seen.isdisjoint({"script", "b", "line", "img", "link"})
    assert "<script>alert(1)</script>" in page.texts
    for text in ("Opening balance", "Closing balance", "Usage by cost center", "Lots", "Proof"):
        assert text in page.texts
    assert "<b>4711</b>" in page.texts
    assert "Bad <line>" in page.texts
    assert "9.80\N{NO-BREAK SPACE}USD" in page.texts
    head = app.get("/api/v1/accounts/contoso/verify").json["head"]
    assert re.fullmatch("[0-9a-f]{64}", head)
    assert any(re.fullmatch("[0-9a-f]{64}", text) for text in page.texts)


def test_the_page_is_in_french_where_requested(app: ChargingApp) -> None:
    page = _Tags()
    page.feed(statement(app, "?format=html&language=fr"))
    assert "Solde final" in page.texts
    assert "9,80\N{NO-BREAK SPACE}USD" in page.texts
    assert "annulation" in page.texts


def test_csv_has_the_sums_of_the_json(app: ChargingApp) -> None:
    rows = list(csv.DictReader(io.StringIO(statement(app, "?format=csv"))))
    body = app.get(f"/api/v1/accounts/contoso/statements/{app.clock.now():%Y-%m}").json
    named = {(row["section"], row["name"]): row for row in rows}
    assert named["closing", ""]["amount"] == body["closing"]
    for item in body["by_destination"]:
        assert named["by_destination", item["name"]]["amount"] == item["amount"]
    assert named["parked", "open"]["count"] == "1"
    assert len(named) == len(rows)


def test_a_language_that_is_not_there_is_refused(app: ChargingApp) -> None:
    answer = app.get("/api/v1/accounts/contoso/statements/2026-11?format=html&language=de")
    assert (answer.status, answer.code) == (422, "query_invalid")
