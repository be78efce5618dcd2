"""The chain: what the documentation says of it, reckoned by other code, and vectors for ever."""

import hashlib
import hmac
import json

from shared.adapters.ledger import rows as ledger_rows
from shared.ports.tables import Value
from tests.support.ledger import UNIT, leg
from tests.support.ledger_processes import ACCOUNT, CHAIN_KEY, LedgerProcess

NAMES = ("schema", "commit_id", "at", "first", "entries", "balance", "previous")

FROZEN_KEY = b"0123456789abcdef0123456789abcdef"
FROZEN_ROW: dict[str, Value] = {
    "schema": 1,
    "commit_id": "9f2c",
    "at": "2026-11-23T10:00:00.000001Z",
    "first": 7,
    "entries": 2,
    "balance": -12_345_678,
    "previous": "0" * 64,
    "data0": b"the bytes of the entries as they are stored",
}
FROZEN_HASH = "54a0b7c952f0640dc50585ba869928cbd895e88655ececf8b7bbecdb2e523568"


def _documented(key: bytes, account: str, commit: int, values: dict[str, Value]) -> str:
    """HMAC-SHA256 over canonical JSON, a line break and the stored bytes (docs/ledger.md)."""
    names = (*NAMES, "public") if "public" in values else NAMES
    plain = {"account": account, "commit": commit, **{name: values[name] for name in names}}
    head = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    parts = [values[name] for name in sorted(values) if name.startswith("data")]
    data = b"".join(part for part in parts if isinstance(part, bytes))
    return hmac.new(key, head.encode() + b"\n" + data, hashlib.sha256).hexdigest()


async def test_every_journal_row_bears_the_hash_that_is_documented() -> None:
    app = await LedgerProcess().open(micros=UNIT)
    for number in range(5):
        await app.ledger.submit(ACCOUNT, leg(number, 7))
    rows = await app.tables.query("ledger", ACCOUNT, first="journal|", before="journal}")
    previous = "0" * 64
    for number, row in enumerate(rows, start=1):
        assert row.values["previous"] == previous
        previous = _documented(CHAIN_KEY, ACCOUNT, number, dict(row.values))
        assert row.values["hash"] == previous
    state = await app.tables.get("ledger", ACCOUNT, "state")
    assert state is not None
    assert state.values["head"] == previous


def test_a_frozen_row_has_its_frozen_hash() -> None:
    """Whatever is changed in the code: rows that were written once must verify for ever."""
    data = FROZEN_ROW["data0"]
    assert isinstance(data, bytes)
    found = ledger_rows.chain_hash(FROZEN_KEY, "contoso", 7, FROZEN_ROW, data)
    assert found == FROZEN_HASH == _documented(FROZEN_KEY, "contoso", 7, FROZEN_ROW)


def test_each_field_and_each_byte_counts() -> None:
    data = FROZEN_ROW["data0"]
    assert isinstance(data, bytes)
    hashes = {FROZEN_HASH}
    for name in (*NAMES, "public"):
        changed = {**FROZEN_ROW, name: "other"}
        hashes.add(ledger_rows.chain_hash(FROZEN_KEY, "contoso", 7, changed, data))
    for account, commit, key, content in (
        ("fabrikam", 7, FROZEN_KEY, data),
        ("contoso", 8, FROZEN_KEY, data),
        ("contoso", 7, b"another key", data),
        ("contoso", 7, FROZEN_KEY, data + b"\0"),
    ):
        hashes.add(ledger_rows.chain_hash(key, account, commit, FROZEN_ROW, content))
    assert len(hashes) == 1 + len(NAMES) + 1 + 4
