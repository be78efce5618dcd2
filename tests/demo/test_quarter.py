"""The played quarter: what it has, that it verifies, and that it is the same every time."""

import csv
import io
import logging
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

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
from tests.unit.rate_cards.test_rate_card_import import form

pytestmark = pytest.mark.timeout(900)
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
    assert all(row["region"] for row in legs if row["kind"] != "voip")
    assert {row["region"] for row in legs if row["number_class"] == "mobile"} >= {"DE", "FR", "SE"}
    assert {row["kind"] for row in legs} == {"dial_out", "dial_in", "voip"}
    assert {row["status"] for row in legs} == {"charged", "pool", "zero"}
    for kind in ("debit", "reversal", "top_up", "grant", "adjustment", "expiry"):
        assert entries[kind] >= 1, (kind, entries)
    assert len(reasons) >= 3, reasons
    assert report.denied >= 20
    bridges = {each["bridge"]: each for each in app.get("/api/v1/status").json["bridges"]}
    assert all(bridges[bridge]["last_leg_at"] for bridge in BRIDGES)
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


MONTH = ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")


def export(app: Product) -> list[dict[str, str]]:
    """A month of the quarter as the PSTN usage export of Teams."""
    since, until = MONTH
    answer = app.get(f"{BASE}/reports/pstn-usage?from={since}&to={until}")
    assert answer.status == 200, answer.body
    return list(csv.DictReader(io.StringIO(answer.body.decode())))


def reconciled(app: Product, records: list[dict[str, str]]) -> Any:
    """What the product says of an export."""
    text = io.StringIO()
    writer = csv.DictWriter(text, records[0].keys())
    writer.writeheader()
    writer.writerows(records)
    body, content_type = form(mapping=b"teams-pstn", file=text.getvalue().encode())
    since, until = MONTH
    answer = app.post(
        f"{BASE}/reconciliations?from={since}&to={until}",
        body,
        headers={"content-type": content_type},
    )
    assert answer.status == 200, answer.body
    return answer.json


@pytest.mark.extended
def test_twelve_planted_differences_are_found_and_no_other(
    played: tuple[Product, Played],
) -> None:
    """Two each: a row that is missing, doubled, of another duration, of another price, under a
    masked number without its id, with a shifted time."""
    app, _ = played
    records = export(app)
    ours = len(records)
    assert ours > 500
    assert any(row["Caller ID"].endswith("****") for row in records)  # the account is in France
    clean = reconciled(app, records)
    assert (clean["matched"], clean["different"]) == (ours, [])
    assert clean["missing_here"] == clean["missing_there"] == []

    dialled = [
        at
        for at, row in enumerate(records)
        if row["Call Type"] == "conf_out" and Decimal(row["Charge"]) > 0
    ]
    step = len(dialled) // 13
    planted = dialled[step : step * 13 : step][:12]
    missing, doubled, longer, dearer, masked, shifted = (
        planted[begin : begin + 2] for begin in range(0, 12, 2)
    )
    for at in longer:
        records[at]["Duration Seconds"] = str(int(records[at]["Duration Seconds"]) + 60)
    for at in dearer:
        records[at]["Charge"] = str(Decimal(records[at]["Charge"]) + Decimal("0.50"))
    for at in masked:
        row = records[at]
        row["Call ID"] = ""
        row["Caller ID"] = row["Destination Number"] = row["Caller ID"][:-6] + "******"
        row["Duration Seconds"] = str(int(row["Duration Seconds"]) + 30)
    for at in shifted:
        row = records[at]
        row["Start Time"] = (
            datetime.fromisoformat(row["Start Time"]) + timedelta(minutes=3)
        ).isoformat()
    twice = [{**records[at], "UsageId": f"again-{at}"} for at in doubled]
    theirs = [row for at, row in enumerate(records) if at not in missing] + twice

    found = reconciled(app, theirs)

    assert len(found["missing_there"]) == 2
    assert len(found["missing_here"]) == 2
    assert all(each.get("duplicate_of") for each in found["missing_here"])
    fields = Counter(tuple(sorted(each["fields"])) for each in found["different"])
    assert sum(fields.values()) == 8, fields
    assert found["matched"] == ours - 2 - 8


@pytest.mark.extended
def test_a_spreadsheet_program_reads_the_export_with_the_right_types(
    played: tuple[Product, Played], tmp_path: Path
) -> None:
    """Numbers as numbers, times and ids as texts or times, nothing as a formula."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice (soffice) is not installed")
    app, _ = played
    since, until = MONTH
    answer = app.get(f"{BASE}/reports/pstn-usage?from={since}&to={until}")
    (tmp_path / "export.csv").write_bytes(answer.body)
    subprocess.run(
        [
            *(program, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless"),
            *("--convert-to", "fods", "--outdir", str(tmp_path), str(tmp_path / "export.csv")),
        ],
        check=True,
        capture_output=True,
        timeout=240,
    )
    sheet = ET.parse(tmp_path / "export.fods").getroot()
    office = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
    table = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
    found = [
        [
            (cell.get(f"{office}value-type"), cell.get(f"{office}value"))
            for cell in row.iter(f"{table}table-cell")
            for _ in range(min(30, int(cell.get(f"{table}number-columns-repeated", "1"))))
        ]
        for row in sheet.iter(f"{table}table-row")
    ]
    records = export(app)
    header = list(records[0])
    lines = [row for row in found[1:] if row[0][0] is not None]

    assert "formula" not in str([cell.attrib for cell in sheet.iter(f"{table}table-cell")])
    assert len(lines) == len(records)
    for column, kind in (
        *(("UsageId", "string"), ("UPN", "string"), ("Call Type", "string")),
        *(("Duration Seconds", "float"), ("Charge", "float"), ("Connection Fee", "float")),
        ("Currency", "string"),
    ):
        at = header.index(column)
        assert {row[at][0] for row in lines} - {None} == {kind}, column  # None: empty
    for column in ("Duration Seconds", "Charge"):
        at = header.index(column)
        read = [Decimal(str(row[at][1])) for row in lines]
        assert read == [Decimal(record[column]) for record in records], column
