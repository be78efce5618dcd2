"""Due marks for the timer; alerts and recharges with their history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.credits.alerts import Alert
from shared.domain.credits.recharge import Recharge
from shared.ports.ledger import Outbox


@dataclass(frozen=True, slots=True)
class DueMark:
    """A mark that names work from a time on: the marks are a superset of the due work
    (docs/architecture.md)."""

    account: str
    kind: str
    at: datetime


class DueMarks(Protocol):
    """The marks that name to the timer the accounts to act on."""

    async def mark(self, marks: Sequence[DueMark]) -> None:
        """Write marks; a present one stays."""
        ...

    async def due(self, now: datetime, *, limit: int) -> list[DueMark]:
        """Marks whose time has come, at most `limit` of them."""
        ...

    async def clear(self, marks: Sequence[DueMark]) -> None:
        """Delete marks that were acted upon."""
        ...


class Notices(Protocol):
    """Alerts and recharges with their history, as the outbox carried them."""

    async def keep(self, account: str, row: Outbox) -> None:
        """Write the alerts and recharges of an outbox row; a repetition changes nothing."""
        ...

    async def alerts(
        self, account: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Alert], str | None]:
        """The newest alerts first, and the next cursor. Raises Invalid `cursor_invalid`."""
        ...

    async def alert(self, account: str, number: int) -> Alert | None:
        """The alert with this number, or None."""
        ...

    async def acknowledge(self, account: str, number: int, actor: str, at: datetime) -> None:
        """Record the person who acknowledged an alert; the first record stays."""
        ...

    async def end(self, account: str, number: int, at: datetime) -> None:
        """Record the end of an alert; the first record stays."""
        ...

    async def recharges(
        self, account: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Recharge], str | None]:
        """The newest recharges first, and the next cursor. Raises Invalid `cursor_invalid`."""
        ...

    async def recharge(self, account: str, number: int) -> Recharge | None:
        """The recharge with this number, or None."""
        ...
