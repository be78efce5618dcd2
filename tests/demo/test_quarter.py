"""The played quarter: what it has, that it verifies, and that it is the same every time."""

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from local.demo.quarter import (
    ACCOUNT,
    BRIDGES,
    ORGANIZERS,
    Played,
    meetings,
    play_quarter,
)
from tests.support.product import Product

UNTIL = datetime(2026, 11, 29, 15, tzinfo=UTC)
BASE = f"/api/v1/accounts/{ACCOUNT}"
SPAN = "from=2026-08-20&to=2026-12-01"


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[Product, Played]]:
    """The quarter, played once for the tests of this file."""
    level = logging.getLogger("perminute").level
    logging.getLogger("perminute").setLevel(logging.CRITICAL)
    app = Product()
    report = app.run(play_quarter(app.container, UNTIL))
    yield app, report
    logging.getLogger("perminute").setLevel(level)
    app.close()


def rows(app: Product, target: str) -> list[dict[str, str]]:
    """All rows of a list, as CSV."""
    answer = app.get(f"{BASE}/{target}", headers={"accept": "text/csv"})
    assert answer.status == 200, answer.body
    return list(csv.DictReader(io.StringIO(answer.body.decode())))


def test_the_same_seed_and_time_make_the_same_meetings() -> None:
    assert meetings(UNTIL, 7) == meetings(UNTIL, 7)
    assert meetings(UNTIL, 7) != meetings(UNTIL, 8)
    assert all(each.booked_at < UNTIL for each in meetings(UNTIL))


@pytest.mark.extended
def test_a_quarter_has_something_of_everything(played: tuple[Product, Played]) -> None:
    app, report = played
    legs = rows(app, f"legs?{SPAN}")
    entries = Counter(row["kind"] for row in rows(app, "entries"))
    reasons = Counter(
        item["reason"] for item in app.get("/api/v1/parked-legs?limit=1000").json["items"]
    )

    assert 2_500 <= len(legs) <= 3_600
    assert report.legs == len(legs) + report.parked - 1  # the conflict repeats a leg
    assert {row["organizer"] for row in legs} >= set(ORGANIZERS)
    assert {row["cost_center"] for row in legs} >= {"sales", "engineering"}
    assert {row["bridge"] for row in legs} == set(BRIDGES)
    assert len({row["region"] for row in legs}) >= 10
    assert {row["kind"] for row in legs} == {"dial_out", "dial_in", "voip"}
    assert {row["status"] for row in legs} == {"charged", "pool", "zero"}
    for kind in ("debit", "reversal", "top_up", "grant", "adjustment", "expiry"):
        assert entries[kind] >= 1, (kind, entries)
    assert len(reasons) >= 3, reasons
    assert report.denied >= 20
    assert sum(row["corrections"] not in {"", "[]"} for row in legs) >= 10


@pytest.mark.extended
def test_a_quarter_verifies_and_adds_up(played: tuple[Product, Played]) -> None:
    app, report = played
    assert app.get(f"{BASE}/verify").json["ok"]
    usage = app.get(f"{BASE}/usage?{SPAN}").json["total"]
    legs = rows(app, f"legs?{SPAN}")
    account: Any = app.get(BASE).json

    assert sum(Decimal(row["amount"]) for row in legs) == Decimal(usage["amount"])
    assert account["balance"] == report.balance
    assert Decimal(report.balance) > 0
    assert Decimal(usage["margin"]) > 0


@pytest.mark.extended
def test_played_again_it_changes_nothing(played: tuple[Product, Played]) -> None:
    app, report = played
    again = Product(app.tables)
    balance = app.get(BASE).json["balance"]
    before = app.get(f"{BASE}/verify").json["entries"]

    once_more = again.run(play_quarter(again.container, UNTIL))

    assert once_more.balance == balance
    assert again.get(f"{BASE}/verify").json["entries"] == before
    assert once_more.legs == report.legs
    again.close()
