"""What the processes of the background did last, for the status of the product."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

CHARGE = "charge"
"""The name under which the queue's function notes that it charged a leg."""
BEGINNING = "beginning"
"""When the first process noted anything: the age of the records."""


class Runs(Protocol):
    """The time of the last success of each timer, and of the last charge."""

    async def note(self, name: str) -> None:
        """`name` succeeded now. Never raises; frequent notes of one name are left out."""
        ...

    async def last(self) -> Mapping[str, datetime]:
        """The last success by name, and `BEGINNING`. Raises StoreUnavailable."""
        ...
