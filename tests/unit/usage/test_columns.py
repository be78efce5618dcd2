"""Columns of closed days: a row that is gone is no loss, and an erased person is in none."""

from typing import Any
from urllib.parse import quote

import pytest

from shared.adapters.ledger.index import read_columns
from shared.domain.common import limits
from shared.domain.usage.build_columns import UNKNOWN_NUMBERS, fingerprint, fingerprints
from shared.ports.tables import Delete, Row
from tests.support.charging_app import JANUARY, LONDON, PARIS, TOKYO, ChargingApp

DAY = 86_400
LEGS = "/api/v1/accounts/contoso/legs"
QUERIES = (
    "order=amount",
    "time=answered&order=oldest",
    "organizer=ken",
    "organizer=amy&order=amount",
    f"number={quote(LONDON)}",
    f"number={quote(PARIS)}&order=oldest",
    f"number={quote(TOKYO)}",
    "min_amount=0.15",
    "destination=Britain&time=answered",
)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ChargingApp:
    """Three nights, each after a few legs; one leg is reversed, and all are charged again."""
    monkeypatch.setattr(limits, "INDEX_ENTRIES_MIN", 3)
    app = ChargingApp()
    app.settle()
    for day in range(3):
        for number, name in enumerate(("ken", "amy", None)):
            to = (LONDON, PARIS)[(number + day) % 2]
            leg = app.leg(to=to, organizer=name, conference_id=f"room-{day}", talk_seconds=70 * day)
            app.clock.advance(600)
        if day == 1:
            app.post(f"{LEGS}/{leg}/reversal", {"reason": "Bad line"})
            app.cheaper()
            requested = {"accounts": ["contoso"], "from": JANUARY, "dry_run": False}
            answer = app.post("/api/v1/reratings", {**requested, "reason": "Cheaper"})
            assert answer.status == 200, answer.body
        app.clock.advance(DAY)
        app.run(app.container.audit_ledgers())
    app.leg(to=LONDON, organizer="ken")
    return app


def rows(app: ChargingApp) -> list[Row]:
    return list(app.run(app.tables.query("ledger", "contoso", first="index|", before="index}")))


def answers(app: ChargingApp) -> dict[str, Any]:
    found = {}
    for query in QUERIES:
        answer = app.get(f"{LEGS}?{query}&from=2026-11-01")
        assert answer.status == 200, answer.body
        found[query] = answer.json["items"]
    month = app.get("/api/v1/accounts/contoso/statements/2026-11")
    return {**found, "statement": month.json}


def test_rows_that_are_gone_change_no_answer(app: ChargingApp) -> None:
    there = rows(app)
    assert len(there) == 3
    expected = answers(app)
    assert all(expected[query] for query in QUERIES if quote(TOKYO) not in query)
    for gone in (there[1], there[0], there[2]):
        app.run(app.tables.transact("ledger", "contoso", [Delete(gone.key)]))
        assert answers(app) == expected
    app.run(app.container.audit_ledgers())
    assert len(rows(app)) == 1
    assert answers(app) == expected
    assert app.sound()


@pytest.mark.parametrize(
    ("name", "limit"),
    [("SEGMENT_BYTES_MAX", 500), ("INDEX_ENTRIES_MAX", 2), ("INDEX_PAGE_ROWS", 1)],
)
def test_rows_may_be_small(
    app: ChargingApp, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    expected = answers(app)
    for row in rows(app):
        app.run(app.tables.transact("ledger", "contoso", [Delete(row.key)]))
    monkeypatch.setattr(limits, "INDEX_ROWS_AT_ONCE", 2)
    monkeypatch.setattr(limits, name, limit)
    app.run(app.container.audit_ledgers())
    assert len(rows(app)) > 1 or name == "INDEX_PAGE_ROWS"
    assert answers(app) == expected
    assert app.sound()


@pytest.mark.parametrize(
    ("person", "left"), [({"number": LONDON}, {PARIS}), ({"organizer": "ken"}, {LONDON, PARIS})]
)
def test_an_erased_person_is_in_no_column(
    app: ChargingApp, person: dict[str, str], left: set[str]
) -> None:
    erased = {
        leg["leg"]
        for leg in app.get(f"{LEGS}?from=2026-11-01").json["items"]
        if person.get("number") in {leg["from"], leg["to"]} or leg["organizer"] == "ken"
        if "number" in person or leg["organizer"] == "ken"
    }
    if "number" in person:
        listed = app.get(f"{LEGS}?from=2026-11-01&number={quote(LONDON)}").json["items"]
        erased = {leg["leg"] for leg in listed}
    assert erased
    for _ in range(2):
        assert app.post("/api/v1/accounts/contoso/erasures", person).status == 200
        for row in rows(app):
            columns = read_columns(row)
            for leg, numbers in zip(columns.legs, columns.numbers, strict=True):
                assert leg not in erased or numbers == 0
            if "organizer" in person:
                assert "ken" not in columns.organizers
        assert app.sound()
    both = {number for row in rows(app) for number in read_columns(row).numbers}
    kept = {fingerprint("contoso", number) for number in left}
    assert {half for each in both for half in (each >> 16, each & 0xFFFF)} == {0, *kept}


def test_a_fingerprint_has_16_bits_and_differs_between_accounts() -> None:
    marks = {fingerprint("contoso", f"+4420794600{number:02}") for number in range(100)}
    assert len(marks) > 90
    assert all(0 < mark < 65_536 for mark in marks)
    assert fingerprint("contoso", None) == fingerprint("contoso", "") == 0
    assert fingerprint("fabrikam", LONDON) != fingerprint("contoso", LONDON)
    assert fingerprints("contoso", {}) == 0 != UNKNOWN_NUMBERS
