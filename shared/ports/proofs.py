"""Closed days of ledgers, the key that signs them, and their anchors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from shared.domain.proof.days import ProvenDay
from shared.domain.proof.roots import SignedRoot


class Proofs(Protocol):
    """Closed days by account; none is ever changed. Raises StoreUnavailable, LedgerCorrupt."""

    async def last(self, account: str) -> SignedRoot | None:
        """The root of the last closed day."""
        ...

    async def root(self, account: str, day: str) -> SignedRoot | None:
        """The root of a day, or None."""
        ...

    async def roots(self, account: str, first: str, last: str, *, limit: int) -> list[SignedRoot]:
        """The roots of the days from `first` to `last`, in order."""
        ...

    async def day(self, account: str, day: str) -> ProvenDay | None:
        """A day with the leaves of its trees, or None."""
        ...

    async def rates(self, account: str, days: Sequence[str]) -> list[Mapping[str, Any]]:
        """The rates of days, each once."""
        ...

    async def close(self, account: str, day: ProvenDay) -> bool:
        """Store the next day; False if it is stored already."""
        ...


class Signer(Protocol):
    """The private key of this process."""

    @property
    def public_key(self) -> bytes:
        """The raw public key."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The Ed25519 signature."""
        ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of an account's ledger at a commit, and day roots: those closed since the anchor
    before, and the last root of that one. An anchor that is not `is_sound` repeats the anchor
    before, because the ledger had a problem."""

    account: str
    commit: int
    head: str
    roots: tuple[SignedRoot, ...] = ()
    is_sound: bool = True


class Anchors(Protocol):
    """Heads of ledgers, kept in immutable storage."""

    async def write(self, day: date, anchors: Sequence[Anchor]) -> int:
        """Anchor a day; the first anchors of a day stay. Raises StoreUnavailable."""
        ...

    async def latest(self, account: str, today: date) -> Anchor | None:
        """The newest anchor of an account, or None. Raises LedgerCorrupt, StoreUnavailable."""
        ...

    async def set_aside(self, anchor: Anchor, now: datetime) -> None:
        """Record that an operator no longer compares with an anchor: its ledger was restored."""
        ...

    async def is_set_aside(self, anchor: Anchor) -> bool:
        """True if an operator no longer compares with an anchor."""
        ...
