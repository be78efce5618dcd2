"""Customers' webhooks: configuration, rotation, deletion, deliveries and redelivery."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.domain.common import limits
from shared.domain.common.errors import Conflict, FieldError, Invalid, KindFull, NotFound
from shared.domain.common.ids import ID_RULE, is_id
from shared.domain.delivery.webhooks import (
    Delivery,
    DeliveryStatus,
    Secret,
    Webhook,
    rotated,
    unknown_events,
    url_fault,
    valid_secrets,
)
from shared.domain.directory.credentials import new_webhook_secret
from shared.ports.clock import Clock, Ids
from shared.ports.deliveries import Deliveries
from shared.ports.notices import DueMark, DueMarks
from shared.ports.records import RecordStore, SavedDocument
from shared.usecases.directory import codecs
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class WebhookInput:
    """A webhook's stated settings; `rotate`: make a new secret; the last one also signs for a
    day."""

    url: str
    events: tuple[str, ...]
    rotate: bool = False


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook for display. `new_secret` was created just now and is shown once."""

    webhook: Webhook
    etag: str
    stopped: bool = False
    new_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Everything raises StoreUnavailable, and NotFound `account_unknown`."""

    records: RecordStore
    facts: DirectoryCache
    deliveries: Deliveries
    due: DueMarks
    clock: Clock
    ids: Ids
    allow_loopback: bool = field(kw_only=True)

    async def put(
        self, account: str, name: str, requested: WebhookInput, if_match: str | None
    ) -> tuple[WebhookView, SavedDocument]:
        """Create or replace. Raises Invalid, Conflict `too_many_webhooks`, and what
        `RecordStore.put` raises."""
        await self.facts.require_account(account)
        if not is_id(name):
            raise Invalid(
                f"The name is not valid. A webhook's name has {ID_RULE}.", code="id_invalid"
            )
        self._check(requested)
        kind = codecs.webhook_kind(account)
        record = await self.records.get(kind, name)
        present = codecs.webhook(account, record) if record else None
        new_secret = (
            new_webhook_secret(self.ids.token) if present is None or requested.rotate else None
        )
        made = Webhook(
            account=account,
            name=name,
            url=requested.url,
            events=requested.events,
            secrets=self._secrets(present, new_secret),
            created_at=present.created_at if present else self.clock.now(),
        )
        document = codecs.webhook_document(made)
        try:
            saved = await self.records.put(
                kind, name, document, if_match=if_match, count_max=limits.WEBHOOKS_MAX
            )
        except KindFull:
            raise Conflict(
                f"The account has {limits.WEBHOOKS_MAX} webhooks. Delete one of them first.",
                code="too_many_webhooks",
            ) from None
        await self.deliveries.restart(account, name)
        return WebhookView(made, saved.etag, new_secret=new_secret), saved

    async def read(self, account: str, name: str) -> WebhookView:
        """The webhook. Raises NotFound `webhook_unknown`."""
        await self.facts.require_account(account)
        record = await self.records.get(codecs.webhook_kind(account), name)
        if record is None:
            raise NotFound(
                "The account has no webhook with this name. "
                "List the webhooks, or create the webhook with PUT.",
                code="webhook_unknown",
            )
        stopped = await self.deliveries.stopped_at(account, name)
        return WebhookView(codecs.webhook(account, record), record.etag, stopped is not None)

    async def delete(self, account: str, name: str, if_match: str | None = None) -> None:
        """Delete a webhook. Raises NotFound `webhook_unknown`, PreconditionFailed."""
        await self.facts.require_account(account)
        kind = codecs.webhook_kind(account)
        if not await self.records.delete(kind, name, if_match=if_match):
            raise NotFound(
                "The account has no webhook with this name. "
                "List the webhooks, or create the webhook with PUT.",
                code="webhook_unknown",
            )

    async def of_account(self, account: str) -> list[Webhook]:
        """All webhooks of an account."""
        records, _ = await self.records.list(
            codecs.webhook_kind(account), limit=limits.LIST_ITEMS_MAX
        )
        return [codecs.webhook(account, record) for record in records]

    async def list_deliveries(
        self, account: str, name: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Delivery], str | None]:
        """Deliveries that were sent or wait, the newest first. Raises what `read` raises, and
        Invalid `cursor_invalid`."""
        await self.read(account, name)
        return await self.deliveries.page(account, name, limit=limit, cursor=cursor)

    async def replay(self, account: str, name: str, event: str) -> Delivery:
        """Send an event again, soon, under the same id.

        Raises what `read` raises, and NotFound `delivery_unknown`.
        """
        await self.read(account, name)
        delivery = await self.deliveries.get(account, name, event)
        if delivery is None:
            raise NotFound(
                "The webhook has no delivery of this event. List the deliveries for the ids.",
                code="delivery_unknown",
            )
        if delivery.status is DeliveryStatus.PENDING:
            return delivery
        now = self.clock.now()
        again = replace(
            delivery,
            status=DeliveryStatus.PENDING,
            attempts=0,
            first_at=None,
            next_at=None,
            ended_at=None,
            error=None,
        )
        await self.due.mark([DueMark(account, name, now)])
        await self.deliveries.restart(account, name)
        await self.deliveries.update(again)
        return again

    def _check(self, requested: WebhookInput) -> None:
        if fault := url_fault(requested.url, allow_loopback=self.allow_loopback):
            raise Invalid("The URL can't be used.", (FieldError("/url", fault),))
        if unknown := unknown_events(requested.events):
            index = requested.events.index(unknown[0])
            error = FieldError(f"/events/{index}", "is no type of event")
            raise Invalid("An event is unknown.", (error,))

    def _secrets(self, present: Webhook | None, new_secret: str | None) -> tuple[Secret, ...]:
        secrets = present.secrets if present else ()
        now = self.clock.now()
        return rotated(secrets, new_secret, now) if new_secret else valid_secrets(secrets, now)
