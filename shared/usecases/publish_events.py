"""What commits put into the outbox goes to the topic `credit-events`: at least once, in order."""

import logging

from shared.domain import limits
from shared.domain.errors import PerminuteError
from shared.domain.legs import canonical_json, format_time
from shared.domain.money import format_amount
from shared.ports import Clock, EventTopic, HoldBook, Ledger, Message, Outbox
from shared.telemetry import event

_log = logging.getLogger(__name__)


class PublishEvents:
    """Publishes an account's outbox. A crash anywhere leaves the rows for the next publisher."""

    def __init__(self, ledger: Ledger, holds: HoldBook, topic: EventTopic, clock: Clock) -> None:
        self._ledger = ledger
        self._holds = holds
        self._topic = topic
        self._clock = clock

    async def __call__(self, account: str) -> int:
        """The number of events published. Raises Unavailable when the topic or store is away."""
        published = 0
        while rows := await self._ledger.outbox(account, limit=limits.OUTBOX_ROWS_MAX):
            available = await self._available(account)
            for row in rows:
                await self._topic.publish(cloud_events(account, row, available))
                await self._ledger.published(account, row.commit)
                _tell(account, row)
                published += len(row.events)
        return published + await self._of_hold_book(account)

    async def _of_hold_book(self, account: str) -> int:
        published = 0
        while rows := await self._holds.outbox(account, limit=limits.OUTBOX_ROWS_MAX):
            available = await self._available(account)
            for row in rows:
                await self._topic.publish(cloud_events(account, row, available, book="h"))
                await self._holds.published(account, row.commit)
                _tell(account, row)
                published += len(row.events)
        return published

    async def best_effort(self, account: str) -> None:
        """Publish now if that works; the timer does it otherwise."""
        try:
            await self(account)
        except PerminuteError as error:
            _log.warning("events of an account wait for the timer: %s", error.detail)

    async def _available(self, account: str) -> str:
        view = await self._holds.view(account)
        return format_amount(view.available_micros(self._clock.now()))


def _tell(account: str, row: Outbox) -> None:
    for each in row.events:
        event("credit_event", account=account, type=each.type, commit=row.commit)


def cloud_events(account: str, row: Outbox, available: str, *, book: str = "") -> list[Message]:
    """The events of one commit as CloudEvents 1.0; `id` is `{account}:{commit}:{n}`, where an `h`
    stands before the commits of the hold book.

    `available` is as of the publication, all else as of the commit.
    """
    messages: list[Message] = []
    for number, each in enumerate(row.events, start=1):
        event_id = f"{account}:{book}{row.commit}:{number}"
        document = {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/accounts/{account}",
            "type": each.type,
            "time": format_time(row.at),
            "datacontenttype": "application/json",
            "data": {**each.data, "account": account, "available": available},
        }
        messages.append(
            Message(
                message_id=event_id,
                body=canonical_json(document),
                properties={"type": each.type, "account": account},
                content_type="application/cloudevents+json; charset=utf-8",
            )
        )
    return messages
