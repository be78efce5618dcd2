"""Ports of delivery: events and mails to external receivers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.delivery.webhooks import Delivery, ReceiverResponse


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as plain text; `mail_id` is the same however often it is sent."""

    mail_id: str
    to: Sequence[str]
    subject: str
    text: str


class Mailer(Protocol):
    """Sends mail."""

    async def send(self, mail: Mail) -> ReceiverResponse:
        """Pass the mail to the mail server once; status 250 if the server accepted it. Never
        raises."""
        ...


class WebhookSender(Protocol):
    """Sends to receivers that customers chose."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        """Post the request once and return the reply. Never raises for a receiver's failure."""
        ...


class Deliveries(Protocol):
    """Events on their way to external receivers: each target of an account has a separate list."""

    async def accept(self, delivery: Delivery) -> bool:
        """Store a waiting delivery; False if it is present already."""
        ...

    async def waiting(self, account: str, target: str, *, limit: int) -> list[str]:
        """The oldest events that wait, by their ids, in their order."""
        ...

    async def get(self, account: str, target: str, event: str) -> Delivery | None:
        """The delivery of an event, or None."""
        ...

    async def update(self, delivery: Delivery) -> None:
        """Write the progress of a delivery, which waits while its status is a waiting one."""
        ...

    async def page(
        self, account: str, target: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Delivery], str | None]:
        """The newest deliveries first, and the next cursor. Raises Invalid `cursor_invalid`."""
        ...

    async def lease(self, account: str, target: str, now: datetime) -> str | None:
        """Take the lease for sending; its token, or None while another process has it."""
        ...

    async def release(self, account: str, target: str, token: str) -> None:
        """Release the lease, if this token still holds it."""
        ...

    async def stop(self, account: str, target: str, token: str, at: datetime) -> None:
        """Record that the receiver refused all further events; release the lease."""
        ...

    async def stopped_at(self, account: str, target: str) -> datetime | None:
        """The time at which the receiver refused further events, or None."""
        ...

    async def restart(self, account: str, target: str) -> None:
        """Remove the refusal, after a new configuration of the target."""
        ...
