"""Heads of ledgers, kept out of reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of an account's ledger at a commit, as it was when it was anchored."""

    account: str
    commit: int
    head: str


class Anchors(Protocol):
    """Heads of ledgers, kept where nobody can change them."""

    async def write(self, day: date, anchors: Sequence[Anchor]) -> int:
        """Anchor a day; the first anchors of a day stay. Raises StoreUnavailable."""
        ...

    async def latest(self, account: str, today: date) -> Anchor | None:
        """The newest anchor of an account, or None."""
        ...
