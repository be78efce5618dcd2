"""A product whose events are delivered to a customer's server and to a mail server."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import timedelta

from shared.domain.delivery.webhooks import ReceiverResponse
from shared.ports.deliveries import Mail
from tests.support.credits_app import PATH, CreditsApp
from tests.support.memory_tables import MemoryTables
from tests.support.product import ManualClock

HOOK = f"{PATH}/webhooks/erp"
URL = "https://erp.example.com/credits"
OK = ReceiverResponse(200)


class Receiver:
    """A customer's server that receives webhooks; `answer` maps an event id to the reply."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bytes, Mapping[str, str]]] = []
        self.answer: Callable[[str], ReceiverResponse] = lambda _: OK

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        await asyncio.sleep(0)
        event = json.loads(body)
        self.got.append((url, event["id"], body, headers))
        return self.answer(event["id"])

    @property
    def ids(self) -> list[str]:
        return [event for _, event, _, _ in self.got]


class Mailbox:
    """A mail server that takes everything."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail) -> ReceiverResponse:
        self.mails.append(mail)
        return ReceiverResponse(250)


class DeliveryApp(CreditsApp):
    """A product with one account, a webhook receiver and a mail server."""

    def __init__(
        self, tables: MemoryTables | None = None, clock: ManualClock | None = None
    ) -> None:
        super().__init__(tables, clock)
        self.receiver, self.mail = Receiver(), Mailbox()
        self.container.webhook_sender = self.receiver
        self.container.mailer = self.mail
        self.container.deliver_events._pause = self._no_pause  # type: ignore[method-assign]
        self.taken = 0

    async def _no_pause(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def hook(self, *events: str, url: str = URL) -> str:
        """A webhook; its secret."""
        answer = self.put(HOOK, {"url": url, "events": list(events or ["*"])})
        assert answer.status == 201, answer.body
        return str(answer.json["secret"])

    def relay(self) -> None:
        """The subscription hands over what was published since."""
        bodies = [message.body for message in self.topic.published[self.taken :]]
        self.taken = len(self.topic.published)
        if bodies:
            self.run(self.container.deliver_events(bodies, seconds=80))

    def retry(self, **span: float) -> None:
        self.clock.moment += timedelta(**span)
        self.run(self.container.deliver_events.retry(seconds=80))

    @property
    def statuses(self) -> dict[str, tuple[str, int]]:
        items = self.get(f"{HOOK}/deliveries").json["items"]
        return {item["id"].split(":", 1)[1]: (item["status"], item["attempts"]) for item in items}
