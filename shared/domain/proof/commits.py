"""The public encoding of entries and commits, and the chain of their hashes (docs/proof.md)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.common.canonical import canonical_json, format_time
from shared.domain.common.money import format_amount
from shared.domain.credits.lots import Lot
from shared.domain.ledger.model import Entry
from shared.domain.proof.merkle import tree_root

COMMIT_FORMAT = "perminute-commit/1"
GENESIS = "0" * 64
"""The hash before the first commit, and the digest before the first root."""


def public_entry(entry: Entry) -> dict[str, object]:
    """The public part of an entry: neither who acted nor any digest that is not salted."""
    document: dict[str, object] = {
        "sequence": entry.sequence,
        "kind": entry.kind.value,
        "amount": format_amount(entry.amount_micros),
        "balance": format_amount(entry.balance_micros),
        "at": format_time(entry.at),
    }
    for name in ("leg", "reverses", "rerates", "reference", "reason", "charge_digest"):
        if (value := getattr(entry, name)) is not None:
            document[name] = value
    if entry.person_digest is not None:
        document["person_digest"] = entry.person_digest
    if entry.draws:
        document["draws"] = [
            {"lot": draw.lot, "amount": format_amount(draw.amount_micros)} for draw in entry.draws
        ]
    if entry.deficit_micros:
        document["deficit"] = format_amount(entry.deficit_micros)
    if entry.lot is not None:
        document["lot"] = _lot(entry.lot)
    if entry.pool is not None:
        document["pool"] = {"month": entry.pool.month, "seconds": entry.pool.seconds}
    return document


def entry_leaf(entry: Entry) -> bytes:
    """The leaf data of an entry in the tree of its commit."""
    return canonical_json(public_entry(entry))


@dataclass(frozen=True, slots=True)
class PublicCommit:
    """A commit of an account; `previous` is the public hash of the commit before it, hex."""

    account: str
    number: int
    at: datetime
    balance_micros: int
    first: int
    entries: tuple[Entry, ...]
    previous: str

    def document(self, leaves: Sequence[bytes] | None = None) -> dict[str, object]:
        """The hashed form of a commit; `leaves` where the leaf data of its entries is at hand."""
        return commit_document(
            self.account,
            self.number,
            at=self.at,
            balance_micros=self.balance_micros,
            first=self.first,
            leaves=[entry_leaf(entry) for entry in self.entries] if leaves is None else leaves,
            previous=self.previous,
        )

    def public_hash(self) -> str:
        """The public hash, hex."""
        return document_hash(self.document())


def commit_document(
    account: str,
    number: int,
    *,
    at: datetime,
    balance_micros: int,
    first: int,
    leaves: Sequence[bytes],
    previous: str,
) -> dict[str, object]:
    """The hashed form of a commit, from the leaf data of its entries."""
    return {
        "format": COMMIT_FORMAT,
        "account": account,
        "commit": number,
        "at": format_time(at),
        "first": first,
        "entries": len(leaves),
        "balance": format_amount(balance_micros),
        "root": tree_root(leaves).hex(),
        "previous": previous,
    }


def document_hash(document: object) -> str:
    """SHA-256 of a document's canonical JSON, hex: the public hash of a commit, the digest of a
    root and of a receipt."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def _lot(lot: Lot) -> dict[str, object]:
    return {
        "id": lot.id,
        "kind": lot.kind.value,
        "amount": format_amount(lot.amount_micros),
        "remaining": format_amount(lot.remaining_micros),
        "purchased_at": format_time(lot.purchased_at),
        "expires_at": format_time(lot.expires_at) if lot.expires_at else None,
    }
