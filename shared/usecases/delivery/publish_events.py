"""Publishes the outbox of commits to the topic `credit-events`: at least once, in order."""

import logging
from dataclasses import dataclass

from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json, format_time
from shared.domain.common.errors import PerminuteError
from shared.domain.common.money import format_amount
from shared.domain.credits.alerts import Event
from shared.domain.credits.recharge import recharge_id
from shared.domain.ledger.model import Announce
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook
from shared.ports.ledger import Ledger, Outbox
from shared.ports.notices import Notices
from shared.ports.queues import EventTopic, Message
from shared.telemetry import event, failure

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishEvents:
    """Publishes an account's outbox. A crash anywhere leaves the rows for the next publisher."""

    ledger: Ledger
    holds: HoldBook
    notices: Notices
    topic: EventTopic
    clock: Clock

    async def __call__(self, account: str, *, hold_book: bool = True) -> int:
        """The number of events published; without `hold_book` those of the ledger only.

        Raises Unavailable when the topic or store is unavailable.
        """
        if hold_book:
            await self._take_over(account)
        published = 0
        while rows := await self.ledger.outbox(account, limit=limits.OUTBOX_ROWS_MAX):
            available = await self._available(account)
            for row in rows:
                await self.notices.keep(account, row)
                messages = cloud_events(account, row, available)
                if messages:
                    await self.topic.publish(messages)
                await self.ledger.published(account, row.commit)
                _log_events(account, row)
                published += len(messages)
            if len(rows) < limits.OUTBOX_ROWS_MAX:
                break
        return published

    async def _take_over(self, account: str) -> None:
        """The hold book's events go through the ledger, which numbers all events of an account."""
        while rows := await self.holds.outbox(account, limit=limits.OUTBOX_ROWS_MAX):
            for row in rows:
                for place, each in enumerate(row.events, start=1):
                    number = row.commit * limits.HOLD_EVENTS_A_COMMIT_MAX + place
                    command = Announce(
                        "holds", number, each.type, str(each.data.get("reason")), each.data
                    )
                    await self.ledger.submit(account, command)
                await self.holds.published(account, row.commit)
            if len(rows) < limits.OUTBOX_ROWS_MAX:
                break

    async def keep_records(self, account: str) -> None:
        """Write the alerts and recharges of the events in the outbox, whether or not the topic is
        available."""
        for row in await self.ledger.outbox(account, limit=limits.LIST_ITEMS_MAX):
            await self.notices.keep(account, row)

    async def best_effort(self, account: str, *, hold_book: bool = True) -> None:
        """Publish now if the topic is available; else a timer publishes. Never raises, since the
        commit is finished."""
        try:
            await self(account, hold_book=hold_book)
        except PerminuteError as error:
            _log.warning("events of an account wait for the timer: %s", error.detail)
        except Exception as error:  # noqa: BLE001 an error of ours
            failure("publish_failed", error, account=account)

    async def _available(self, account: str) -> str:
        view = await self.holds.view(account)
        return format_amount(view.available_micros(self.clock.now()))


def _log_events(account: str, row: Outbox) -> None:
    for each in row.events:
        if not each.is_internal:
            event("credit_event", account=account, type=each.type, commit=row.commit)


def cloud_events(account: str, row: Outbox, available: str) -> list[Message]:
    """The events of one commit as CloudEvents 1.0; `id` is `{account}:{commit}:{n}`.

    `available` is as of the publication, all else as of the commit.
    """
    messages: list[Message] = []
    for number, each in enumerate((each for each in row.events if not each.is_internal), start=1):
        event_id = f"{account}:{row.commit}:{number}"
        document = {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/accounts/{account}",
            "type": each.type,
            "time": format_time(row.at),
            "datacontenttype": "application/json",
            "data": {**each.data, **_ids(account, each), "available": available},
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


def _ids(account: str, each: Event) -> dict[str, object]:
    ids: dict[str, object] = {"account": account}
    if each.alert is not None:
        ids["alert_id"] = str(each.alert)
    if each.recharge is not None:
        ids["recharge"] = recharge_id(account, each.recharge)
    return ids
