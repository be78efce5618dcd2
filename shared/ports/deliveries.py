"""How events and mails reach receivers outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.delivery.webhooks import Delivery, Reply


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as plain text; `mail_id` is the same however often it is sent."""

    mail_id: str
    to: Sequence[str]
    subject: str
    text: str


class Mailer(Protocol):
    """Sends mail."""

    async def send(self, mail: Mail) -> Reply:
        """Hand it to the mail server once; status 250 where that took it. Never raises."""
        ...


class WebhookSender(Protocol):
    """Sends to receivers that others chose."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Post it once and say what came back. Never raises for what a receiver does."""
        ...


class Deliveries(Protocol):
    """Events on their way to receivers outside: each target of an account is a list of its own."""

    async def accept(self, delivery: Delivery) -> bool:
        """Keep a delivery that waits; False if it is there already."""
        ...

    async def waiting(self, account: str, target: str, *, limit: int) -> list[str]:
        """The oldest events that wait, by their ids, in their order."""
        ...

    async def get(self, account: str, target: str, event: str) -> Delivery | None:
        """The delivery of an event, or None."""
        ...

    async def update(self, delivery: Delivery) -> None:
        """Write how far it is; it waits as long as its status says so."""
        ...

    async def page(
        self, account: str, target: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Delivery], str | None]:
        """The newest deliveries first, and the next cursor. Raises Invalid `cursor_invalid`."""
        ...

    async def lease(self, account: str, target: str, now: datetime) -> str | None:
        """Take the right to send; its token, or None while somebody else has it."""
        ...

    async def release(self, account: str, target: str, token: str) -> None:
        """Give the right back, if it is still ours."""
        ...

    async def stop(self, account: str, target: str, token: str, at: datetime) -> None:
        """The receiver wants nothing any more; the right is given back."""
        ...

    async def stopped_at(self, account: str, target: str) -> datetime | None:
        """When its receiver said so, or None."""
        ...

    async def restart(self, account: str, target: str) -> None:
        """It was set up anew: its receiver may want events again."""
        ...
