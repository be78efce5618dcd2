"""When API keys were last used."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class KeyUses(Protocol):
    """Keeps when each API key was last used, to the hour."""

    def note(self, key_id: str) -> None:
        """The key is used now. Written in the background; nobody waits for it, and a failed write
        is made up for by a later use."""
        ...

    async def last(self) -> Mapping[str, datetime]:
        """The time of the last use by key id. Raises StoreUnavailable."""
        ...
