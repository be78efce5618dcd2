"""Erasure of a person from every table."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Erased:
    """The number of rows of each table that named an erased person."""

    legs: int
    parked: int
    claims: int
    holds: int
    directory: int
    denials: int = 0


class Eraser(Protocol):
    """Erases a person from every table; amounts and the chain stay."""

    async def erase(self, account: str, *, number: str | None, organizer: str | None) -> Erased:
        """Erase a number or an organizer from an account; a repetition changes nothing. Raises
        StoreUnavailable when the outcome is uncertain: repeat the erasure.
        """
        ...
