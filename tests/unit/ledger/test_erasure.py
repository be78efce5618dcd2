"""A person is gone from every table, and the ledger still verifies."""

import zlib

import pytest

from shared.adapters.bus.backlog import TableBacklog
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.dial_out.hold_book_store import TableHoldBook
from shared.adapters.directory.document_store import DocumentStore
from shared.adapters.erasure import TableEraser
from shared.adapters.legs.claim_store import TableClaims
from shared.adapters.legs.parking_store import TableParkingLot
from shared.domain.legs.parking import ParkedLeg, ParkReason
from shared.ports.holds import HoldRecord
from shared.ports.legs import Claim
from tests.support.stored_ledger import ACCOUNT, START, StoredLedger, all_rows, leg

NUMBER, ORGANIZER = "+15550001111", "ann@contoso.com"
TABLES = ("ledger", "holds", "legs", "parked", "directory")


async def _ledger() -> StoredLedger:
    app = StoredLedger()
    await app.lived()
    await app.ledger.submit(ACCOUNT, leg(50, at=app.clock.now(), to=NUMBER, organizer=ORGANIZER))
    await TableClaims(app.tables, app.clock).claim("local~50", Claim(ACCOUNT, ORGANIZER))
    await TableParkingLot(app.tables).park(
        ParkedLeg(
            id=f"{'a' * 32}.{'b' * 32}",
            leg="local~51",
            bridge="local",
            reason=ParkReason.RATE_MISSING,
            detail="Rate card default has no rate for it.",
            received_at=START,
            account=ACCOUNT,
            original={"from": "+33170000000", "to": NUMBER, "organizer": ORGANIZER},
        )
    )
    book = TableHoldBook(
        app.tables,
        app.ledger,
        TableDueMarks(app.tables),
        TableBacklog(app.tables, app.clock),
        app.clock,
        app.ids,
    )
    await book.keep(ACCOUNT, HoldRecord("au_1", "local", "d", {"destination": {"number": NUMBER}}))
    records = DocumentStore(app.tables)
    await records.put("organizer", f"{ACCOUNT}|{ORGANIZER}", {"license": "none"}, if_match=None)
    await records.put(
        "conference",
        "3001",
        {"registrations": [{"account": ACCOUNT, "organizer": ORGANIZER, "since": None}]},
        if_match=None,
    )
    return app


def _where(app: StoredLedger, text: str) -> list[str]:
    """The rows whose properties, unpacked, name a text."""
    from shared.adapters.tables.packing import joined

    found = []
    for table in TABLES:
        for row in all_rows(app.tables, table):
            names = {name.rstrip("0123456789") for name in row.values}
            contents = [str(value) for value in row.values.values() if isinstance(value, str)]
            contents += [
                zlib.decompress(data).decode()
                for name in names
                if (data := joined(name, row.values))
            ]
            if any(text in content for content in contents):
                found.append(f"{table} {row.key}")
    return found


@pytest.mark.parametrize(
    ("number", "organizer", "tables"),
    [
        (NUMBER, None, {"ledger", "parked", "holds"}),
        (None, ORGANIZER, {"ledger", "parked", "legs", "directory"}),
    ],
)
async def test_a_person_is_gone_from_every_table_and_the_chain_verifies(
    number: str | None, organizer: str | None, tables: set[str]
) -> None:
    app = await _ledger()
    text = number or organizer or ""
    assert {each.split()[0] for each in _where(app, text)} == tables

    await TableEraser(app.tables).erase(ACCOUNT, number=number, organizer=organizer)

    assert _where(app, text) == []
    assert (await app.ledger.verify(ACCOUNT)).problems == ()
    record = await app.ledger.leg(ACCOUNT, "local~50")
    assert record is not None
    assert record.person == {}
    assert record.charge["amount"] == "0.098"


async def test_a_leg_that_comes_again_brings_no_one_back() -> None:
    """From the queue, or out of the archive: it is answered with what was charged first."""
    app = await _ledger()
    await TableEraser(app.tables).erase(ACCOUNT, number=NUMBER, organizer=None)

    again = await app.ledger.submit(
        ACCOUNT, leg(50, at=app.clock.now(), to=NUMBER, organizer=ORGANIZER)
    )

    assert again.repeated
    assert _where(app, NUMBER) == []


async def test_erasing_again_changes_nothing() -> None:
    app = await _ledger()
    eraser = TableEraser(app.tables)
    first = await eraser.erase(ACCOUNT, number=NUMBER, organizer=None)

    again = await eraser.erase(ACCOUNT, number=NUMBER, organizer=None)

    assert (first.legs, first.parked, first.holds) == (1, 1, 1)
    assert (again.legs, again.parked, again.holds) == (0, 0, 0)


async def test_others_stay_as_they_are() -> None:
    app = await _ledger()

    await TableEraser(app.tables).erase(ACCOUNT, number=NUMBER, organizer=None)

    record = await app.ledger.leg(ACCOUNT, "local~3")
    assert record is not None
    assert record.person["to"] == "+442079460000"
