"""Day roots: the signed facts about an account's day, and the keys that sign."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import partial
from typing import Any

from shared.domain.common.canonical import canonical_json, format_time, parse_time
from shared.domain.common.documents import stored
from shared.domain.common.money import format_amount, parse_balance
from shared.domain.proof.commits import document_hash

ROOT_FORMAT = "perminute-root/1"
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DayRoot:
    """A closed day of an account, or with `is_interim` what followed the last one so far.

    The commits after number `after`, `commits` many; `base` and `head` are the public hashes of the
    commit before them and of the last one, `tree` is the root over theirs, `rates` that over the
    rates that they name. `last_entry` is `first_entry` - 1 where there is none. `previous` is the
    digest of the root before. Hashes are hex.
    """

    account: str
    currency: str
    time_zone: str
    day: str
    until: datetime
    after: int
    commits: int
    base: str
    head: str
    first_entry: int
    last_entry: int
    opening_micros: int
    closing_micros: int
    tree: str
    rates: str
    previous: str
    signed_at: datetime
    key: str
    is_interim: bool = False

    @property
    def last(self) -> int:
        """The number of the last commit."""
        return self.after + self.commits


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """A root with its Ed25519 signature."""

    root: DayRoot
    signature: bytes

    @property
    def digest(self) -> str:
        """The digest of the root, by which the next one names it."""
        return document_hash(root_document(self.root))

    def document(self) -> dict[str, object]:
        """The root and its signature as JSON."""
        return {
            "root": root_document(self.root),
            "signature": base64.b64encode(self.signature).decode(),
        }


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A public key that signs roots from a time on, until another one does; `compromised_at` is the
    time from which another person may have held the private key."""

    id: str
    public_key: bytes = field(
        metadata=stored(
            form=str,
            read=partial(base64.b64decode, validate=True),
            write=lambda key: base64.b64encode(key).decode(),
        )
    )
    since: datetime
    until: datetime | None = None
    compromised_at: datetime | None = None


def key_id(public_key: bytes) -> str:
    """The id of a raw public key."""
    return f"ed25519-{hashlib.sha256(public_key).hexdigest()[:16]}"


def root_document(root: DayRoot) -> dict[str, object]:
    """The signed form of a root."""
    return {
        "format": ROOT_FORMAT,
        "account": root.account,
        "currency": root.currency,
        "time_zone": root.time_zone,
        "day": root.day,
        "until": format_time(root.until),
        "interim": root.is_interim,
        "after": root.after,
        "commits": root.commits,
        "base": root.base,
        "head": root.head,
        "first_entry": root.first_entry,
        "last_entry": root.last_entry,
        "opening": format_amount(root.opening_micros),
        "closing": format_amount(root.closing_micros),
        "tree": root.tree,
        "rates": root.rates,
        "previous": root.previous,
        "signed_at": format_time(root.signed_at),
        "key": root.key,
    }


def signed_bytes(root: DayRoot) -> bytes:
    """The bytes that a signature covers."""
    return canonical_json(root_document(root))


def read_root(document: Mapping[str, Any]) -> SignedRoot:
    """The root that `SignedRoot.document` wrote. Raises KeyError, TypeError or ValueError for every
    other document: one with another member, another type, or another text of the same value."""
    data = document["root"]
    plain = ("account", "currency", "time_zone", "day", "after", "commits", "base", "head")
    root = DayRoot(
        **{name: data[name] for name in plain},
        until=parse_time(data["until"]),
        first_entry=data["first_entry"],
        last_entry=data["last_entry"],
        opening_micros=parse_balance(data["opening"]),
        closing_micros=parse_balance(data["closing"]),
        tree=data["tree"],
        rates=data["rates"],
        previous=data["previous"],
        signed_at=parse_time(data["signed_at"]),
        key=data["key"],
        is_interim=data["interim"],
    )
    wrong = [each.name for each in fields(root) if type(getattr(root, each.name)) is not each.type]
    hashes = (root.base, root.head, root.tree, root.rates, root.previous)
    if wrong or not all(map(_HASH.fullmatch, hashes)):
        raise ValueError(f"{', '.join(wrong) or 'a hash'} has another type")
    signed = SignedRoot(root, base64.b64decode(document["signature"], validate=True))
    if canonical_json(signed.document()) != canonical_json(document):
        raise ValueError("the root is not as it was written")
    if date.fromisoformat(root.day).isoformat() != root.day:
        raise ValueError("the day is not an ISO date")
    return signed
