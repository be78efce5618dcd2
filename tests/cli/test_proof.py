"""Receipts and month files are verified by the verifiers that the package ships."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.fakes import Terminal, product_transport
from tests.support.anchored_app import BASE, AnchoredApp
from tests.support.product import ADMIN_KEY

ROOT = Path(__file__).resolve().parents[2]
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/golden/proof_vectors.json").read_text("utf-8"))


@pytest.fixture
def perminute() -> Terminal:
    return Terminal(httpx.MockTransport(lambda _: httpx.Response(200, json=VECTORS["keys"])))


def written(path: Path, document: object) -> str:
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return str(path)


def test_receipts_are_verified_with_kept_keys(perminute: Terminal, tmp_path: Path) -> None:
    keys = written(tmp_path / "keys.json", VECTORS["keys"])
    files = [
        written(tmp_path / f"{number}.json", receipt)
        for number, receipt in enumerate(VECTORS["receipts"])
    ]
    ran = perminute("verify", *files, "--keys", keys)
    assert ran.code == 0, ran.err
    assert ran.out.count(": verified:") == len(files)


def test_a_changed_receipt_is_named_in_two_lines(perminute: Terminal, tmp_path: Path) -> None:
    receipt = json.loads(json.dumps(VECTORS["receipts"][0]))
    receipt["items"][0]["entry"]["amount"] = "-0.01"
    ran = perminute("verify", written(tmp_path / "changed.json", receipt))
    assert ran.code == 1
    what, to_do = ran.err.splitlines()[-2:]
    assert what.startswith("Error: commit: ")
    assert to_do.startswith("To do: Don't rely on the file")


def test_a_month_file_is_verified_and_a_cut_one_is_not(perminute: Terminal, tmp_path: Path) -> None:
    lines = VECTORS["months"][0]["lines"]
    content = gzip.compress("".join(lines).encode())
    whole, cut = tmp_path / "whole.gz", tmp_path / "cut.gz"
    whole.write_bytes(content)
    cut.write_bytes(content[:-40])
    assert perminute("verify", str(whole)).code == 0
    refused = perminute("verify", str(cut))
    assert refused.code == 1
    assert "Traceback" not in refused.err


def test_the_servers_keys_are_kept_as_they_are(perminute: Terminal, tmp_path: Path) -> None:
    kept = tmp_path / "keys.json"
    assert perminute("verify", "--save-keys", str(kept)).code == 0
    assert json.loads(kept.read_text()) == VECTORS["keys"]
    no_file = perminute("verify", "--receipts")
    assert no_file.code == 2


class Kept:
    """A customer's files of one ledger, and a terminal that is connected to another server."""

    def __init__(self, app: AnchoredApp, folder: Path) -> None:
        self.app, self.folder = app, folder

    def receipt(self, leg: str, query: str = "") -> str:
        answer = self.app.get(f"{BASE}/legs/{leg}/receipt{query}")
        assert answer.status == 200, answer.body
        return written(self.folder / f"{leg}{len(query)}.json", answer.json)

    def month(self, query: str = "") -> str:
        answer = self.app.get(f"{BASE}/exports/2026-11{query}")
        assert answer.status == 200, answer.body
        path = self.folder / f"month{len(query)}.gz"
        path.write_bytes(answer.body)
        return str(path)

    def keys(self) -> str:
        return written(self.folder / "kept.json", self.app.get("/api/v1/proof-keys").json)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    monkeypatch.setenv("PERMINUTE_KEY", ADMIN_KEY)
    with AnchoredApp() as app:
        app.get("/api/v1/proof-keys")
        yield Kept(app, tmp_path)


def other_books() -> AnchoredApp:
    """A server with the same key, whose first leg led to another country."""
    app = AnchoredApp()
    app.get("/api/v1/proof-keys")
    app.leg(to="+33170000001")
    app.leg()
    return app


def test_kept_files_are_compared_with_the_present_ledger(kept: Kept) -> None:
    app = kept.app
    leg = app.leg()
    files = [kept.receipt(leg, "?interim=true"), kept.month("?interim=true")]
    app.leg(to="+33170000001")
    assert app.next_night() == []
    files += [kept.receipt(leg)]
    app.clock.moment = datetime(2026, 12, 2, tzinfo=UTC)
    assert app.audit() == []
    files += [kept.month()]
    ran = Terminal(product_transport(app))("verify", "--receipts", *files, "--keys", kept.keys())
    assert ran.code == 0, ran.err
    assert "The files agree with the present ledger." in ran.out


@pytest.mark.parametrize(
    "kind",
    [
        "interim receipt",
        *(
            pytest.param(kind, marks=pytest.mark.extended)
            for kind in ("receipt", "interim month", "month")
        ),
    ],
)
def test_a_server_with_other_books_is_named(kept: Kept, kind: str) -> None:
    leg = kept.app.leg()
    kept.app.leg(to="+33170000001")
    if kind == "interim receipt":
        file = kept.receipt(leg, "?interim=true")
    elif kind == "interim month":
        file = kept.month("?interim=true")
    else:
        kept.app.clock.moment = datetime(2026, 12, 2, tzinfo=UTC)
        assert kept.app.audit() == []
        file = kept.receipt(leg) if kind == "receipt" else kept.month()
    keys = kept.keys()
    with other_books() as other:
        other.clock.moment = datetime(2026, 12, 2, tzinfo=UTC)
        assert other.audit() == []
        ran = Terminal(product_transport(other))("verify", "--receipts", file, "--keys", keys)
    assert ran.code == 1
    assert "Error: roots: " in ran.err


@pytest.mark.parametrize(
    "change",
    [
        lambda receipt: receipt["items"][0]["entry"].update(sequence="../x"),
        *(
            pytest.param(change, marks=pytest.mark.extended)
            for change in (
                lambda receipt: receipt["roots"][0]["root"].update(account=["x"]),
                lambda receipt: receipt["roots"][0]["root"].update(day=7, interim=False),
                lambda receipt: receipt.update(items=7),
                lambda receipt: receipt.clear(),
            )
        ),
    ],
)
def test_a_file_of_another_shape_is_named_by_the_verifier(
    kept: Kept, change: Callable[[Any], object]
) -> None:
    path = Path(kept.receipt(kept.app.leg(), "?interim=true"))
    receipt = json.loads(path.read_text())
    change(receipt)
    server = product_transport(kept.app)
    ran = Terminal(server)("verify", "--receipts", written(path, receipt), "--keys", kept.keys())
    assert ran.code == 1
    assert "Error: format: " in ran.err


@pytest.mark.extended
def test_a_server_whose_ledger_was_rolled_back_is_named(kept: Kept) -> None:
    leg = kept.app.leg()
    interim = kept.receipt(leg, "?interim=true")
    assert kept.app.next_night() == []
    closed, keys = kept.receipt(leg), kept.keys()
    with AnchoredApp() as other:
        for file, gone in ((closed, "no root of this day"), (interim, "has none")):
            ran = Terminal(product_transport(other))("verify", "--receipts", file, "--keys", keys)
            assert ran.code == 1
            assert gone in ran.err


def test_files_are_compared_with_each_other_without_a_server(kept: Kept) -> None:
    leg = kept.app.leg()
    receipt, keys = kept.receipt(leg, "?interim=true"), kept.keys()
    with other_books() as other:
        month = Kept(other, kept.folder).month("?interim=true")
    ran = Terminal(None)("verify", receipt, month, "--keys", keys)
    assert ran.code == 1
    assert "Error: roots: " in ran.err
