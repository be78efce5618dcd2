"""The adapters of a container: tables, queue, topic, clock, and the stores on them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from shared.adapters.clock import RandomIds, SystemClock
from shared.adapters.directory.audit_log import TableAuditLog
from shared.adapters.directory.document_store import SEALED_LABEL, DocumentStore
from shared.adapters.encryption import Sealing
from shared.bootstrap.audit import described
from shared.pacing import Budgets, Refusals, Turns
from shared.settings import Settings, is_address
from shared.usecases.directory.directory_cache import DirectoryCache

if TYPE_CHECKING:  # what a function needs is loaded when it is first asked for
    from shared.ports.anchors import Anchors
    from shared.ports.archive import Archive
    from shared.ports.clock import Clock, Ids
    from shared.ports.deliveries import Deliveries, Mailer, WebhookSender
    from shared.ports.holds import HoldBook
    from shared.ports.key_uses import KeyUses
    from shared.ports.ledger import Ledger
    from shared.ports.legs import ParkingLot
    from shared.ports.notices import DueMarks, Notices
    from shared.ports.queues import Backlog, CallQueue, EventTopic, Inbox
    from shared.ports.rate_cards import RateCardStore
    from shared.ports.tables import TableStore


class _Closes(Protocol):
    async def close(self) -> None: ...


class Stores:
    """Adapters, each made when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opened: list[_Closes] = []

    async def close(self) -> None:
        """Close the connections of all that was made; for tools, which end."""
        for each in self._opened:
            await each.close()

    @cached_property
    def clock(self) -> Clock:
        """The time."""
        return SystemClock()

    @cached_property
    def ids(self) -> Ids:
        """Randomness."""
        return RandomIds()

    @cached_property
    def tables(self) -> TableStore:
        """Table storage; ledgers and hold books may be spread over several accounts."""
        from shared.adapters.tables.azure_tables import AzureTables

        settings = self.settings
        first = settings.tables_connection_string or settings.tables_endpoint or ""
        stores = [
            AzureTables(
                connection_string="" if is_address(place) else place,
                endpoint=place if is_address(place) else "",
                client_id=settings.identity_client_id,
            )
            for place in (first, *settings.ledger_shards)
        ]
        self._opened += stores
        from shared.adapters.tables.paced_tables import PacedTables

        if len(stores) == 1:
            return PacedTables(stores[0])
        from shared.adapters.tables.sharded_tables import ShardedTables

        return PacedTables(ShardedTables(stores, self._shard_of))

    @cached_property
    def budgets(self) -> Budgets:
        """What callers may use of this process."""
        return Budgets()

    @cached_property
    def refusals(self) -> Refusals:
        """What was logged of requests that prove nothing."""
        return Refusals()

    @cached_property
    def turns(self) -> Turns:
        """Who works at present."""
        return Turns()

    async def _shard_of(self, account: str) -> str | None:
        found = await self.facts.account(account)
        return found.shard if found else None

    @cached_property
    def records(self) -> DocumentStore:
        """The directory's documents; each change of one is logged with it."""
        keys = self.settings.secrets_keys
        sealing = Sealing(SEALED_LABEL, keys, self.ids) if keys else None
        return DocumentStore(self.tables, sealing, (self.audit_log, described), self.ids)

    @cached_property
    def audit_log(self) -> TableAuditLog:
        """Who changed which setting when."""
        return TableAuditLog(self.tables, self.clock, self.ids)

    @cached_property
    def key_uses(self) -> KeyUses:
        """When API keys were last used."""
        from shared.adapters.directory.key_uses import TableKeyUses

        return TableKeyUses(self.tables, self.clock)

    @cached_property
    def facts(self) -> DirectoryCache:
        """The directory's facts, cached."""
        return DirectoryCache(self.records, self.clock)

    @cached_property
    def due(self) -> DueMarks:
        """What to look at, and when."""
        from shared.adapters.credits.due_marks import TableDueMarks

        return TableDueMarks(self.tables)

    @cached_property
    def deliveries(self) -> Deliveries:
        """Events on their way to receivers."""
        from shared.adapters.delivery.delivery_store import TableDeliveries

        return TableDeliveries(self.tables, self.ids)

    @cached_property
    def delivery_marks(self) -> DueMarks:
        """Which receivers to try again, and when."""
        from shared.adapters.credits.due_marks import DELIVERIES_TABLE, TableDueMarks

        return TableDueMarks(self.tables, DELIVERIES_TABLE)

    @cached_property
    def webhook_sender(self) -> WebhookSender:
        """Sends to customers' receivers."""
        from shared.adapters.delivery.webhook_sender import HttpWebhookSender

        return HttpWebhookSender(allow_loopback=self.settings.webhooks_allow_loopback)

    @cached_property
    def mailer(self) -> Mailer | None:
        """Sends mail; None where no mail server is set."""
        smtp = self.settings.smtp
        if smtp is None:
            return None
        from shared.adapters.delivery.smtp import SmtpMailer, SmtpSettings

        return SmtpMailer(
            SmtpSettings(
                smtp.host, smtp.port, smtp.sender, smtp.security, smtp.username, smtp.password
            )
        )

    @cached_property
    def notices(self) -> Notices:
        """Alerts and recharges, with their history."""
        from shared.adapters.credits.alert_store import TableNotices

        return TableNotices(self.tables)

    @cached_property
    def ledger(self) -> Ledger:
        """What happened."""
        from shared.adapters.ledger.store import TableLedger

        return TableLedger(self.tables, self.due, self.clock, self.ids, self.settings.chain_key)

    @cached_property
    def holds(self) -> HoldBook:
        """What may happen."""
        from shared.adapters.dial_out.store import TableHoldBook

        return TableHoldBook(
            self.tables,
            self.ledger,
            self.due,
            self.backlog,
            self.clock,
            self.ids,
            log=self.audit_log,
        )

    @cached_property
    def backlog(self) -> Backlog:
        """How far the queue is behind."""
        from shared.adapters.bus.backlog import TableBacklog

        return TableBacklog(self.tables, self.clock)

    @cached_property
    def parking(self) -> ParkingLot:
        """Legs that wait."""
        from shared.adapters.legs.parking_store import TableParkingLot

        return TableParkingLot(self.tables)

    @cached_property
    def rate_cards(self) -> RateCardStore:
        """Prices."""
        from shared.adapters.rate_cards.store import TableRateCards

        return TableRateCards(self.tables, self.clock, self.audit_log)

    @cached_property
    def queue(self) -> CallQueue:
        """Where legs wait to be rated."""
        from shared.adapters.bus.service_bus import ServiceBusQueue

        queue = ServiceBusQueue(
            self.settings.call_ended_queue,
            connection_string=self.settings.service_bus_connection_string,
            namespace=self.settings.service_bus_namespace,
            client_id=self.settings.identity_client_id,
        )
        self._opened.append(queue)
        return queue

    @cached_property
    def inbox(self) -> Inbox:
        """Where legs wait while the queue is away."""
        from shared.adapters.legs.spillover_store import TableInbox

        return TableInbox(self.tables)

    @cached_property
    def topic(self) -> EventTopic:
        """Where events are published."""
        from shared.adapters.bus.service_bus import ServiceBusTopic

        topic = ServiceBusTopic(
            self.settings.credit_events_topic,
            connection_string=self.settings.service_bus_connection_string,
            namespace=self.settings.service_bus_namespace,
            client_id=self.settings.identity_client_id,
        )
        self._opened.append(topic)
        return topic

    @cached_property
    def archive(self) -> Archive | None:
        """Where accepted legs are archived; None where no store is set."""
        settings = self.settings
        if not (settings.archive_connection_string or settings.archive_endpoint):
            return None
        from shared.adapters.blobs import Blobs
        from shared.adapters.legs.leg_archive import BlobArchive

        blobs = Blobs(
            settings.archive_container,
            connection_string=settings.archive_connection_string,
            endpoint=settings.archive_endpoint,
            client_id=settings.archive_client_id,
        )
        self._opened.append(blobs)
        return BlobArchive(blobs, settings.archive_keys, self.clock, self.ids)

    @cached_property
    def anchors(self) -> Anchors | None:
        """Where heads are anchored; None where no store is set (on a laptop)."""
        settings = self.settings
        if not (settings.anchors_connection_string or settings.anchors_endpoint):
            return None
        from shared.adapters.blobs import Blobs
        from shared.adapters.ledger.anchors import BlobAnchors

        blobs = Blobs(
            settings.anchors_container,
            connection_string=settings.anchors_connection_string,
            endpoint=settings.anchors_endpoint,
            client_id=settings.anchors_client_id,
        )
        self._opened.append(blobs)
        return BlobAnchors(blobs)
