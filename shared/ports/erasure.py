"""Taking a person out of every table."""

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
    """Takes a person out of every table; money and chain stay."""

    async def erase(self, account: str, *, number: str | None, organizer: str | None) -> Erased:
        """Erase a number or an organizer from an account; again changes nothing.

        Raises StoreUnavailable when it is not certain: then erase again.
        """
        ...
