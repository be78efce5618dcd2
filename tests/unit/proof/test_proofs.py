"""Days are closed and signed; receipts and month files follow from them."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.ledger.restore import export, restore
from shared.adapters.ledger.verify import verify
from shared.adapters.proof.proof_days import TableProofs
from shared.domain.common.canonical import canonical_json, format_time
from shared.domain.proof.commits import document_hash
from tests.support.charging_app import LONDON, ChargingApp
from tests.support.memory_tables import MemoryTables
from tests.support.product import Answer

BASE = "/api/v1/accounts/contoso"
AUDIT = "/api/v1/operations/nightly-audit"


@pytest.fixture
def app() -> Iterator[ChargingApp]:
    with ChargingApp() as made:
        made.settle("contoso")
        yield made


def audit(app: ChargingApp) -> dict[str, Any]:
    answer = app.post(AUDIT, None)
    assert answer.status == 200, answer.body
    assert answer.json["problems"] == []
    return dict(answer.json)


def zone(app: ChargingApp, name: str) -> None:
    body = {"currency": "USD", "time_zone": name}
    assert app.put(BASE, body, app.get(BASE).etag).status == 200


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in gzip.decompress(answer.body).splitlines()]


def test_a_day_is_closed_once_it_is_over_and_only_then(app: ChargingApp) -> None:
    leg = app.leg(talk_seconds=60)
    assert audit(app)["days_closed"] == 0
    assert app.get(f"{BASE}/proofs/2026-11-23").code == "day_open"
    assert app.get(f"{BASE}/legs/{leg}/receipt").code == "day_open"

    app.clock.moment = datetime(2026, 11, 24, 0, 1, tzinfo=UTC)

    assert audit(app)["days_closed"] == 1
    assert audit(app)["days_closed"] == 0
    root = app.get(f"{BASE}/proofs/2026-11-23").json["root"]
    assert (root["opening"], root["closing"], root["interim"]) == ("0.00", "9.90", False)
    assert (root["first_entry"], root["last_entry"]) == (1, 2)
    assert app.get(f"{BASE}/proofs/2026-11-24").code == "day_open"
    assert app.get(f"{BASE}/proofs/2026-11-22").code == "proof_unknown"
    receipt = app.get(f"{BASE}/legs/{leg}/receipt").json
    assert document_hash({k: v for k, v in receipt.items() if k != "digest"}) == receipt["digest"]
    assert receipt["items"][0]["person"]["to"] == LONDON
    assert receipt["roots"][0]["root"] == root
    assert app.sound()


def test_the_day_is_that_of_the_accounts_zone(app: ChargingApp) -> None:
    """Midnight in Kiritimati comes 14 hours early; a zone further west repeats no day."""
    zone(app, "Pacific/Kiritimati")
    app.leg()
    app.clock.advance(days=1, minutes=1)
    audit(app)
    roots = app.get(f"{BASE}/proofs").json["items"]
    assert [each["root"]["day"] for each in roots] == ["2026-11-24"]
    assert roots[0]["root"]["until"] == "2026-11-24T10:00:00Z"

    zone(app, "Pacific/Honolulu")
    app.leg()
    app.clock.advance(days=3)
    audit(app)
    roots = app.get(f"{BASE}/proofs").json["items"]
    assert [each["root"]["day"] for each in roots] == ["2026-11-24", "2026-11-25", "2026-11-26"]
    assert sum(each["root"]["commits"] for each in roots) == roots[-1]["root"]["after"]
    assert app.sound()


def test_a_correction_is_linked_both_ways_and_proven_on_its_own_day(app: ChargingApp) -> None:
    leg = app.leg()
    app.clock.advance(days=1)
    audit(app)
    app.post(f"{BASE}/legs/{leg}/reversal", {"reason": "a bad line"})

    receipt = app.get(f"{BASE}/legs/{leg}/receipt").json
    assert [item["entry"]["sequence"] for item in receipt["items"]] == [2]
    link = {"entry": 3, "corrects": 2, "kind": "reversal", "at": "2026-11-24T10:00:00Z"}
    assert receipt["corrections"] == [link]
    interim = app.get(f"{BASE}/legs/{leg}/receipt?interim=true").json
    assert [item["entry"]["sequence"] for item in interim["items"]] == [2, 3]
    assert [each["root"]["interim"] for each in interim["roots"]] == [False, True]
    assert app.get(f"{BASE}/entries/3/receipt").code == "day_open"
    app.clock.advance(days=1)
    audit(app)
    assert app.get(f"{BASE}/entries/3/receipt").json["corrections"] == [link]
    assert app.get(f"{BASE}/entries/2/receipt").json["corrections"] == [link]


def test_what_is_erased_stays_erased_and_the_receipt_stays(app: ChargingApp) -> None:
    leg = app.leg(organizer="ken@contoso.com")
    app.clock.advance(days=1)
    audit(app)
    before = app.get(f"{BASE}/legs/{leg}/receipt").json["items"][0]
    assert "person" not in app.get(f"{BASE}/legs/{leg}/receipt?persons=false").json["items"][0]
    assert app.post(f"{BASE}/erasures", {"organizer": "ken@contoso.com"}).status == 200

    answer = app.get(f"{BASE}/legs/{leg}/receipt")
    assert b"ken@contoso.com" not in answer.body
    assert answer.json["items"][0] == {k: v for k, v in before.items() if k != "person"}
    assert app.sound()


def test_a_month_file_has_the_whole_month(app: ChargingApp) -> None:
    for _ in range(3):
        app.leg(talk_seconds=61)
        app.clock.advance(days=2)
    assert app.get(f"{BASE}/exports/2026-11").code == "day_open"
    audit(app)
    open_month = lines(app.get(f"{BASE}/exports/2026-11?interim=true&persons=true"))
    assert open_month[0]["interim"] is True
    assert [each["root"]["interim"] for each in open_month if each["type"] == "root"][-1] is True
    app.clock.moment = datetime(2026, 12, 2, tzinfo=UTC)
    app.leg(to="+33170000001")
    audit(app)

    answer = app.get(f"{BASE}/exports/2026-11")
    november = lines(answer)
    assert LONDON.encode() not in gzip.decompress(answer.body)
    assert [each["type"] for each in november[:2]] == ["file", "rate"]
    assert [each["type"] for each in november[-2:]] == ["statement", "end"]
    assert november[-2]["legs"] == 3
    assert november[-2]["charged"] == "0.60"
    assert [each["root"]["day"] for each in november if each["type"] == "root"] == [
        f"2026-11-{day}" for day in range(23, 31)
    ]
    december = lines(app.get(f"{BASE}/exports/2026-12?interim=true"))
    assert december[1]["type"] == "checkpoint"
    assert december[1]["root"]["day"] == "2026-11-30"
    assert app.get(f"{BASE}/exports/2026-10?interim=true").code == "proof_unknown"
    assert app.get(f"{BASE}/exports/2027-01?interim=true").code == "proof_unknown"
    assert app.get(f"{BASE}/exports/2026-13").code == "month_invalid"
    statement = app.get(f"{BASE}/statements/2026-11").json
    assert november[-2]["closing"] == statement["closing"]


def test_a_printed_receipt_has_its_digest_as_code(app: ChargingApp) -> None:
    leg = app.leg(conference_id="<script>")
    page = app.get(f"{BASE}/legs/{leg}/receipt?interim=true&format=html")
    text = page.body.decode()
    assert "<svg" in text
    assert "<script" not in text
    assert "interim" in text


def test_a_new_key_ends_the_one_before_and_a_compromised_one_signs_no_more(
    app: ChargingApp,
) -> None:
    from shared.adapters.ed25519 import Ed25519Signer

    app.leg()
    app.clock.advance(days=1)
    audit(app)
    (first,) = app.get("/api/v1/proof-keys").json["keys"]
    app.container.proof_keys = type(app.container.proof_keys)(
        app.container.records,
        Ed25519Signer(b"2" * 32),
        app.container.proof_keys.is_signed,
        app.clock,
    )
    app.container.__dict__.pop("close_days")
    app.container.__dict__.pop("audit_ledgers")
    app.clock.advance(days=1)
    audit(app)
    before, after = app.get("/api/v1/proof-keys").json["keys"]
    ended = datetime.fromisoformat(after["from"]) + timedelta(minutes=10)
    assert before == {**first, "until": format_time(ended)}
    assert after["until"] is None
    at = {"at": "2026-11-24T09:00:00Z"}
    assert app.post(f"/api/v1/proof-keys/{before['id']}/compromised", at).status == 200
    (logged, *_) = app.get("/api/v1/audit-log?kind=proof_key").json["items"]
    assert logged["after"]["compromised_at"] == at["at"]
    problems = app.get(f"{BASE}/verify").json["problems"]
    assert problems == [
        f"proof|2026-11-23: compromised: {before['id']} was compromised when the root was signed"
    ]
    assert app.post("/api/v1/proof-keys/none/compromised", at).code == "proof_key_unknown"
    future = {"at": "2027-01-01T00:00:00Z"}
    assert app.post(f"/api/v1/proof-keys/{after['id']}/compromised", future).status == 422
    assert app.post(f"/api/v1/proof-keys/{after['id']}/compromised", at).status == 200
    app.clock.advance(days=1)
    assert "was compromised" in app.post(AUDIT, None).json["problems"][0]


def test_other_callers_see_no_proof(app: ChargingApp) -> None:
    for path in ("/proofs", "/proofs/2026-11-23", "/entries/1/receipt", "/exports/2026-11"):
        assert app.get(f"/api/v1/accounts/nobody{path}").code == "account_unknown"
    for text in ("0", "99", "-1", "x", "1" * 40, "²"):
        assert app.get(f"{BASE}/entries/{text}/receipt").code == "entry_unknown"
    for text in ("2026-11", "20261123", "2026-W47-1", "2026-13-01", "²026-11-23"):
        assert app.get(f"{BASE}/proofs/{text}").code == "date_invalid"
    assert app.get(f"{BASE}/proofs?from=x").code == "date_invalid"


def test_canonical_lines(app: ChargingApp) -> None:
    app.leg()
    answer = app.get(f"{BASE}/exports/2026-11?interim=true&persons=true")
    for line in gzip.decompress(answer.body).splitlines():
        assert canonical_json(json.loads(line)) == line


def test_roots_come_back_with_a_restored_ledger(app: ChargingApp) -> None:
    """The days that customers have receipts of are not signed again."""
    app.leg()
    app.clock.advance(days=2)
    audit(app)
    app.leg()
    before = app.get(f"{BASE}/proofs").json
    key = app.container.settings.chain_key

    async def restored() -> tuple[list[dict[str, object]], tuple[str, ...]]:
        tables = MemoryTables()
        await restore(tables, "contoso", export(app.tables, "contoso"), key)
        roots = await TableProofs(tables).roots("contoso", "2026-01-01", "2026-12-31", limit=9)
        found = [{**each.document(), "digest": each.digest} for each in roots]
        return found, (await verify(tables, "contoso", key)).problems

    roots, problems = app.run(restored())
    assert roots == before["items"]
    assert problems == ()


def test_a_process_whose_clock_is_behind_signs_once_the_key_holds(app: ChargingApp) -> None:
    """Its key was published by a process whose clock is ahead."""
    app.leg()
    app.clock.moment = datetime(2026, 11, 24, 0, 10, tzinfo=UTC)
    key = app.get("/api/v1/proof-keys").json["keys"][0]
    app.clock.advance(minutes=-5)
    audit(app)

    root = app.get(f"{BASE}/proofs/2026-11-23").json["root"]
    assert root["signed_at"] == key["from"] == "2026-11-24T00:10:00Z"
    assert app.sound()
