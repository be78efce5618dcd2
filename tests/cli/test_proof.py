"""Receipts and month files are verified by the verifiers that the package ships."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.fakes import Terminal

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
    ran = perminute("verify", "--receipts", *files, "--keys", keys)
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
