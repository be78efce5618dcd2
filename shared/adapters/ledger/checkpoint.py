"""The checkpoint of a ledger's verification: row `verified`, under a keyed seal."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from shared.adapters.ledger import rows
from shared.adapters.ledger.entry_codec import lot_document, read_lot
from shared.adapters.tables.packing import pack, unpack
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.credits.lots import Lot
from shared.domain.ledger.model import LedgerState
from shared.ports.tables import Row, Value


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The end of a verification: the state with the hashes and id of its commit, the lots that were
    ever opened, and the legs so far. `packed_commit`, `indexed_commit` and `month` are the last
    ones in segments, columns and closed months that agree with the journal (0, "": none)."""

    state: LedgerState
    head: str
    public: str
    commit_id: str
    opened: dict[str, Lot]
    legs: int
    packed_commit: int = 0
    indexed_commit: int = 0
    month: str = ""


def verified_values(chain_key: bytes, account: str, checkpoint: Checkpoint) -> dict[str, Value]:
    """The properties of the row with the end of the last verification, under a keyed seal: a
    process that could write it could hide earlier changes."""
    values = {
        **rows.state_values(
            checkpoint.state, checkpoint.head, checkpoint.commit_id, checkpoint.public
        ),
        "legs": checkpoint.legs,
        "packed_commit": checkpoint.packed_commit,
        "indexed_commit": checkpoint.indexed_commit,
        "month": checkpoint.month,
        **pack("opened", [lot_document(lot) for lot in checkpoint.opened.values()]),
    }
    return {**values, "seal": _seal(chain_key, account, values)}


def _seal(chain_key: bytes, account: str, values: Mapping[str, Value]) -> str:
    plain = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()
    }
    return hmac.new(chain_key, canonical_json([account, plain]), hashlib.sha256).hexdigest()


def read_verified(chain_key: bytes, row: Row) -> Checkpoint | None:
    """The contents of that row; None in one of a version without public hashes. Raises
    LedgerCorrupt when its seal is wrong."""
    sealed = {name: value for name, value in row.values.items() if name != "seal"}
    seal = _seal(chain_key, row.partition, sealed)
    if not hmac.compare_digest(seal.encode(), str(row.values.get("seal")).encode()):
        raise LedgerCorrupt("The seal is wrong.")
    state, head = rows.read_state(row)
    public = rows.public_hash(row)
    if public is None:
        return None
    lots = (read_lot(lot) for lot in cast("list[Any]", unpack("opened", row.values)))
    return Checkpoint(
        state,
        head,
        public,
        commit_id=str(row.values["commit_id"]),
        opened={lot.id: lot for lot in lots},
        legs=int(cast("int", row.values["legs"])),
        packed_commit=int(cast("int", row.values.get("packed_commit", 0))),
        indexed_commit=int(cast("int", row.values.get("indexed_commit", 0))),
        month=str(row.values.get("month", "")),
    )
