"""Heads of ledgers, kept out of reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from shared.domain.proof.roots import SignedRoot


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of an account's ledger at a commit, and the day roots closed that night, as they
    were when they were anchored."""

    account: str
    commit: int
    head: str
    roots: tuple[SignedRoot, ...] = ()


class Anchors(Protocol):
    """Heads of ledgers, kept where nobody can change them."""

    async def write(self, day: date, anchors: Sequence[Anchor]) -> int:
        """Anchor a day; the first anchors of a day stay. Raises StoreUnavailable."""
        ...

    async def latest(self, account: str, today: date) -> Anchor | None:
        """The newest anchor of an account, or None."""
        ...
