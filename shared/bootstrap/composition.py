"""The composition root: the adapter of each port, and the dependencies of each use case.

All modules of use cases and adapters are loaded with this one, which is why `bootstrap.container`
imports it at the first call. The SDKs of Azure are not: adapters import them when they connect.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from shared.adapters.blobs import Blobs
from shared.adapters.bridges import DIALECTS, assemble, handshakes, meeting_event, parse
from shared.adapters.bridges.perminute import read_leg
from shared.adapters.bus.backlog import TableBacklog
from shared.adapters.bus.health_check import QueueCheck
from shared.adapters.bus.management import ServiceBusManagement
from shared.adapters.bus.service_bus import BusConnection, ServiceBusQueue, ServiceBusTopic
from shared.adapters.clock import RandomIds, SystemClock
from shared.adapters.credits.alert_store import TableNotices
from shared.adapters.credits.due_marks import DELIVERIES_TABLE, TableDueMarks
from shared.adapters.delivery.delivery_store import TableDeliveries
from shared.adapters.delivery.smtp import SmtpMailer
from shared.adapters.delivery.webhook_sender import HttpWebhookSender
from shared.adapters.dial_out.denial_store import TableDenials
from shared.adapters.dial_out.hold_book_store import TableHoldBook
from shared.adapters.directory.audit_log import TableAuditLog
from shared.adapters.directory.document_store import SEALED_LABEL, DocumentStore
from shared.adapters.directory.entra import EntraTokens, fetch_from
from shared.adapters.directory.key_uses import TableKeyUses
from shared.adapters.ed25519 import Ed25519Signer, is_signed
from shared.adapters.encryption import Sealing
from shared.adapters.erasure import TableEraser
from shared.adapters.ledger.anchors import BlobAnchors
from shared.adapters.ledger.store import TableLedger
from shared.adapters.legs.bridge_posts import TableBridgePosts
from shared.adapters.legs.call_store import TableCallEvents
from shared.adapters.legs.claim_store import TableClaims
from shared.adapters.legs.leg_archive import BlobArchive
from shared.adapters.legs.parking_store import TableParkingLot
from shared.adapters.legs.spillover_store import TableInbox
from shared.adapters.proof.proof_days import TableProofs
from shared.adapters.rate_cards.store import TableRateCards
from shared.adapters.runs import TableRuns
from shared.adapters.tables.azure_tables import AzureTables
from shared.adapters.tables.paced_tables import PacedTables
from shared.adapters.tables.sharded_tables import ShardedTables
from shared.bootstrap.audit import described
from shared.contracts.dial_out.requests import allowed_body, denied_body, extended_body
from shared.domain.common import limits
from shared.domain.delivery.webhooks import url_fault
from shared.domain.directory.entities import Bridge
from shared.domain.legs.assembly import Posted
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.domain.legs.dead_letters import DeadLetterSource
from shared.pacing import BulkPace, CallerBudgets, RefusalLog, WorkScheduler
from shared.ports.activity import BridgePosts, KeyUses, Runs
from shared.ports.archive import Archive
from shared.ports.clock import Clock, Ids
from shared.ports.deliveries import Deliveries, Mailer, WebhookSender
from shared.ports.denials import Denials
from shared.ports.holds import HoldBook
from shared.ports.ledger import Ledger
from shared.ports.legs import Claims, ParkingLot
from shared.ports.notices import DueMarks, Notices
from shared.ports.proofs import Anchors, Proofs, Signer
from shared.ports.queues import Backlog, CallQueue, EventTopic, Inbox, QueueManagement
from shared.ports.rate_cards import RateCardStore
from shared.ports.tables import TableStore
from shared.settings import Settings, is_address
from shared.usecases.charging.answered_legs import AnsweredLegs
from shared.usecases.charging.charge_legs import ChargeLegs
from shared.usecases.charging.explain_charge import ExplainLeg
from shared.usecases.charging.parked_legs import ParkedLegs
from shared.usecases.charging.past_legs import PastLegs
from shared.usecases.charging.propose_rerating import ProposeRerating
from shared.usecases.charging.rerate_legs import RerateLegs
from shared.usecases.charging.resolve_leg import ResolveLeg
from shared.usecases.charging.try_post import TryPost
from shared.usecases.credits.acknowledge_alerts import Alerts
from shared.usecases.credits.outlook import ReadOutlook
from shared.usecases.credits.record_recharge_results import RechargeService
from shared.usecases.credits.watch_balances import WatchBalances
from shared.usecases.delivery.deliver_events import DeliverEvents
from shared.usecases.delivery.manage_webhooks import Webhooks
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.dial_out.authorisation_request import ResponseRenderer
from shared.usecases.dial_out.authorise_call import AuthoriseCall
from shared.usecases.dial_out.calls_in_progress import CallsInProgress
from shared.usecases.dial_out.dial_out_settings import DialOutSettings
from shared.usecases.dial_out.extend_and_release import ActiveCalls
from shared.usecases.dial_out.minutes_left import MinutesLeft
from shared.usecases.dial_out.read_denials import ReadDenials
from shared.usecases.dial_out.resolve_call import ResolveDialIn, ResolveDialOut
from shared.usecases.dial_out.simulate_policy import SimulatePolicy
from shared.usecases.dial_out.watch_calls import WatchCalls
from shared.usecases.directory.absent_references import Absent
from shared.usecases.directory.accounts import Accounts
from shared.usecases.directory.api_keys import ApiKeys
from shared.usecases.directory.authenticate_admin import Administrators
from shared.usecases.directory.authenticate_bridge import BridgeAuthenticator
from shared.usecases.directory.bridges import Bridges
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.directory.load_directory import LoadDirectory
from shared.usecases.directory.read_audit_log import ReadAuditLog
from shared.usecases.directory.registrations import Registrations
from shared.usecases.directory.sync_ledger_settings import OpenLedger
from shared.usecases.ledger.credit_account import CreditAccount
from shared.usecases.ledger.read_ledger import ReadLedger
from shared.usecases.legs.assemble_calls import AssembleCalls
from shared.usecases.legs.forward_spillover import ForwardInbox
from shared.usecases.legs.receive_legs import ReceiveLegs
from shared.usecases.operations.audit_ledgers import AuditLedgers
from shared.usecases.operations.dead_letters import DeadLetters
from shared.usecases.operations.erase_person import ErasePerson
from shared.usecases.operations.health import HealthChecks, QueueState
from shared.usecases.operations.read_status import ReadStatus
from shared.usecases.proof.close_days import CloseDays
from shared.usecases.proof.proof_keys import ProofKeys
from shared.usecases.proof.read_proofs import ReadProofs
from shared.usecases.rate_cards.manage_rate_cards import RateCardService
from shared.usecases.rate_cards.rate_card_reports import RateCardReports
from shared.usecases.rate_cards.read_regions import ReadRegions
from shared.usecases.reconciliation.export_usage import ExportUsage
from shared.usecases.reconciliation.reconcile_legs import ReconcileLegs
from shared.usecases.usage.list_legs import ListLegs
from shared.usecases.usage.read_usage import ReadUsage
from shared.usecases.usage.watch_spend import WatchSpend


class _Closable(Protocol):
    async def close(self) -> None: ...


class _Lazy[Part]:
    """A part of a container, made at its first use. Tests put another one in by assignment."""

    def __init__(self, make: "Callable[[Container], Part]") -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, container: "Container", owner: type) -> Part:
        part = self._make(container)
        container.__dict__[self._name] = part
        return part


def _tables(c: "Container") -> TableStore:
    """Table storage; ledgers and hold books may be spread over several storage accounts."""
    settings = c.settings
    first = settings.tables_connection_string or settings.tables_endpoint or ""
    stores = [
        c._opening(
            AzureTables(
                connection_string="" if is_address(place) else place,
                endpoint=place if is_address(place) else "",
                client_id=settings.identity_client_id,
            )
        )
        for place in (first, *settings.ledger_shards)
    ]

    async def shard_of(account: str) -> str | None:
        settings = await c.facts.account(account)
        return settings.shard if settings else None

    store = stores[0] if len(stores) == 1 else ShardedTables(stores, shard_of)
    return PacedTables(store, c.pace)


def _bus(settings: Settings) -> BusConnection:
    return BusConnection(
        settings.service_bus_connection_string,
        settings.service_bus_namespace,
        settings.identity_client_id,
    )


def _management(
    c: "Container", entity: str, subscription: str | None = None
) -> ServiceBusManagement:
    settings = c.settings
    return c._opening(
        ServiceBusManagement(
            entity,
            lambda: _bus(settings),
            subscription=subscription,
            connection_string=settings.service_bus_connection_string,
            namespace=settings.service_bus_namespace,
            client_id=settings.identity_client_id,
            endpoint=settings.service_bus_management_endpoint,
        )
    )


def _archive(c: "Container") -> Archive | None:
    """The archive of accepted legs; None where no store is set."""
    settings = c.settings
    if not (settings.archive_connection_string or settings.archive_endpoint):
        return None
    blobs = Blobs(
        settings.archive_container,
        connection_string=settings.archive_connection_string,
        endpoint=settings.archive_endpoint,
        client_id=settings.archive_client_id,
    )
    return BlobArchive(c._opening(blobs), settings.archive_keys, c.clock, c.ids)


def _anchors(c: "Container") -> Anchors | None:
    """The store of anchors; None where no store is configured (on a laptop)."""
    settings = c.settings
    if not (settings.anchors_connection_string or settings.anchors_endpoint):
        return None
    blobs = Blobs(
        settings.anchors_container,
        connection_string=settings.anchors_connection_string,
        endpoint=settings.anchors_endpoint,
        client_id=settings.anchors_client_id,
    )
    return BlobAnchors(c._opening(blobs))


def _entra(c: "Container") -> EntraTokens | None:
    """Tokens of Microsoft Entra; None where no tenant is set."""
    tenant, audience = c.settings.entra_tenant, c.settings.entra_audience
    if tenant is None or audience is None:
        return None
    return EntraTokens(tenant, audience, fetch_from(tenant), c.clock)


class Container:
    """The adapters and use cases of a process, wired. Each is documented by its own class."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opened: list[_Closable] = []

    async def close(self) -> None:
        """Close the connections of all that was made; for tools, which end."""
        for each in self._opened:
            await each.close()

    def _opening[Part: _Closable](self, part: Part) -> Part:
        self._opened.append(part)
        return part

    def parse_post(self, dialect: str, post: BridgePayload) -> list[Posted]:
        """The legs and events of a bridge's post, in its dialect.

        Raises TooLarge, BadRequest, Invalid."""
        return parse(dialect, post)

    def handshake(
        self, bridge: Bridge, headers: Mapping[str, str], body: bytes
    ) -> dict[str, object] | None:
        """The answer to a vendor's handshake; None where the body is another post."""
        return handshakes.answer(bridge, headers, body, self.clock.now())

    clock = _Lazy[Clock](lambda _: SystemClock())
    ids = _Lazy[Ids](lambda _: RandomIds())
    budgets = _Lazy(lambda _: CallerBudgets())
    refusals = _Lazy(lambda _: RefusalLog())
    turns = _Lazy(lambda _: WorkScheduler())
    pace = _Lazy(lambda c: BulkPace(c.clock))

    tables = _Lazy[TableStore](_tables)
    audit_log = _Lazy(lambda c: TableAuditLog(c.tables, c.clock, c.ids))
    records = _Lazy(
        lambda c: DocumentStore(
            c.tables,
            Sealing(SEALED_LABEL, c.settings.secrets_keys, c.ids)
            if c.settings.secrets_keys
            else None,
            (c.audit_log, described),
            c.ids,
        )
    )
    facts = _Lazy(lambda c: DirectoryCache(c.records, c.clock))
    key_uses = _Lazy[KeyUses](lambda c: TableKeyUses(c.tables, c.clock))
    due = _Lazy[DueMarks](lambda c: TableDueMarks(c.tables))
    deliveries = _Lazy[Deliveries](lambda c: TableDeliveries(c.tables, c.ids))
    delivery_marks = _Lazy[DueMarks](lambda c: TableDueMarks(c.tables, DELIVERIES_TABLE))
    notices = _Lazy[Notices](lambda c: TableNotices(c.tables))
    ledger = _Lazy[Ledger](
        lambda c: TableLedger(c.tables, c.due, c.clock, c.ids, c.settings.chain_key, c.pace)
    )
    bridge_posts = _Lazy[BridgePosts](lambda c: TableBridgePosts(c.tables, c.clock, c.ids))
    runs = _Lazy[Runs](lambda c: TableRuns(c.tables, c.clock))
    proofs = _Lazy[Proofs](lambda c: TableProofs(c.tables))
    signer = _Lazy[Signer | None](
        lambda c: Ed25519Signer(c.settings.proof_key) if c.settings.proof_key else None
    )
    proof_keys = _Lazy(lambda c: ProofKeys(c.records, c.signer, is_signed, c.clock))
    backlog = _Lazy[Backlog](lambda c: TableBacklog(c.tables, c.clock))
    holds = _Lazy[HoldBook](
        lambda c: TableHoldBook(
            c.tables, c.ledger, c.due, c.backlog, c.clock, c.ids, log=c.audit_log
        )
    )
    claims = _Lazy[Claims](lambda c: TableClaims(c.tables, c.clock, c.pace))
    parking = _Lazy[ParkingLot](lambda c: TableParkingLot(c.tables))
    inbox = _Lazy[Inbox](lambda c: TableInbox(c.tables))
    rate_cards = _Lazy[RateCardStore](lambda c: TableRateCards(c.tables, c.clock, c.audit_log))
    queue = _Lazy[CallQueue](
        lambda c: c._opening(ServiceBusQueue(c.settings.call_ended_queue, _bus(c.settings)))
    )
    topic = _Lazy[EventTopic](
        lambda c: c._opening(ServiceBusTopic(c.settings.credit_events_topic, _bus(c.settings)))
    )
    queue_check = _Lazy[QueueState](
        lambda c: QueueCheck(c.settings.call_ended_queue, lambda: _bus(c.settings))
    )
    queue_management = _Lazy[QueueManagement](lambda c: _management(c, c.settings.call_ended_queue))
    webhooks_management = _Lazy[QueueManagement](
        lambda c: _management(c, c.settings.credit_events_topic, "webhooks")
    )
    webhook_sender = _Lazy[WebhookSender](
        lambda c: HttpWebhookSender(allow_loopback=c.settings.webhooks_allow_loopback)
    )
    mailer = _Lazy[Mailer | None](
        lambda c: SmtpMailer(c.settings.smtp) if c.settings.smtp else None
    )
    archive = _Lazy[Archive | None](_archive)
    anchors = _Lazy[Anchors | None](_anchors)
    entra = _Lazy(_entra)

    open_ledger = _Lazy(lambda c: OpenLedger(c.ledger))
    publish_events = _Lazy(lambda c: PublishEvents(c.ledger, c.holds, c.notices, c.topic, c.clock))
    authenticate_bridge = _Lazy(
        lambda c: BridgeAuthenticator(
            c.facts,
            c.clock,
            c.budgets,
            c.settings.bridge_allowance,
        )
    )
    administrators = _Lazy(
        lambda c: Administrators(
            c.facts,
            c.settings.bootstrap_admin_key,
            c.key_uses,
            c.clock,
            c.entra,
        )
    )
    receive_legs = _Lazy(
        lambda c: ReceiveLegs(c.queue, c.inbox, c.parking, c.clock, c.archive, c.facts)
    )
    forward_inbox = _Lazy(lambda c: ForwardInbox(c.inbox, c.queue))
    list_legs = _Lazy(lambda c: ListLegs(c.facts, c.ledger, c.parking, c.clock))
    read_usage = _Lazy(lambda c: ReadUsage(c.facts, c.ledger, c.clock))
    calls_in_progress = _Lazy(
        lambda c: CallsInProgress(
            c.facts, c.rate_cards, c.holds, c.list_legs.of_conference, c.clock
        )
    )
    minutes_left = _Lazy(lambda c: MinutesLeft(c.calls_in_progress, c.ledger, c.publish_events))
    watch_calls = _Lazy(
        lambda c: WatchCalls(c.facts, c.holds, c.due, c.webhook_sender, c.clock, c.minutes_left)
    )
    watch_spend = _Lazy(
        lambda c: WatchSpend(
            c.facts, c.read_usage, c.ledger, c.publish_events, c.clock, c.watch_calls.mark
        )
    )
    accounts = _Lazy(
        lambda c: Accounts(
            c.records,
            c.facts,
            c.ledger,
            c.open_ledger,
            c.holds,
            c.clock,
            c.watch_spend.evaluate_later,
            shards=1 + len(c.settings.ledger_shards),
        )
    )
    charge_legs = _Lazy(
        lambda c: ChargeLegs(
            resolve=ResolveLeg(c.facts, c.claims, c.holds, c.clock),
            rate_cards=c.rate_cards,
            ledger=c.ledger,
            open_ledger=c.open_ledger,
            holds=c.holds,
            parking=c.parking,
            publish=c.publish_events,
            queue=c.queue,
            clock=c.clock,
            ids=c.ids,
            debited=c.watch_spend.evaluate_later,
        )
    )
    assemble_calls = _Lazy(
        lambda c: AssembleCalls(
            TableCallEvents(c.tables),
            c.receive_legs,
            c.parking,
            c.facts,
            c.clock,
            assemble,
            meeting_event,
            c.charge_legs.resolve.knows_account,
        )
    )
    parked_legs = _Lazy(
        lambda c: ParkedLegs(
            c.parking,
            c.charge_legs,
            c.publish_events,
            c.clock,
            c.claims,
            lambda bridge, value: read_leg(bridge, value, pointer="/leg", refuse_unknown=True),
        )
    )
    past_legs = _Lazy(lambda c: PastLegs(c.ledger))
    rerate_legs = _Lazy(
        lambda c: RerateLegs(
            c.facts,
            c.accounts,
            c.past_legs,
            c.rate_cards,
            c.ledger,
            c.publish_events,
            c.watch_spend.evaluate_later,
        )
    )
    propose_rerating = _Lazy(
        lambda c: ProposeRerating(c.rate_cards, c.accounts, c.past_legs, c.clock)
    )
    explain_leg = _Lazy(lambda c: ExplainLeg(c.rate_cards))
    credit_account = _Lazy(
        lambda c: CreditAccount(
            c.facts, c.ledger, c.open_ledger, c.holds, c.publish_events, c.clock
        )
    )
    read_ledger = _Lazy(
        lambda c: ReadLedger(c.facts, c.ledger, c.proofs, c.parking, c.anchors, c.clock)
    )
    close_days = _Lazy(lambda c: CloseDays(c.ledger, c.proofs, c.rate_cards, c.proof_keys, c.clock))
    read_proofs = _Lazy(
        lambda c: ReadProofs(c.facts, c.ledger, c.proofs, c.rate_cards, c.proof_keys, c.clock)
    )
    denials = _Lazy[Denials](lambda c: TableDenials(c.tables))
    read_denials = _Lazy(lambda c: ReadDenials(c.facts, c.denials, c.clock))
    renderer = _Lazy(lambda _: ResponseRenderer(allowed_body, denied_body, extended_body))
    authorise_dial_out = _Lazy(
        lambda c: AuthoriseCall(
            ResolveDialOut(c.facts, c.rate_cards, c.holds, c.clock),
            c.holds,
            c.publish_events,
            c.clock,
            c.renderer,
            c.watch_calls,
            c.denials,
        )
    )
    authorise_dial_in = _Lazy(
        lambda c: AuthoriseCall(
            ResolveDialIn(c.facts, c.rate_cards, c.holds, c.clock),
            c.holds,
            c.publish_events,
            c.clock,
            c.renderer,
            c.watch_calls,
            c.denials,
        )
    )
    active_calls = _Lazy(
        lambda c: ActiveCalls(
            c.facts, c.rate_cards, c.holds, c.publish_events, c.clock, c.renderer, c.watch_calls
        )
    )
    simulate_policy = _Lazy(lambda c: SimulatePolicy(c.facts, c.ledger))
    dial_out_settings = _Lazy(
        lambda c: DialOutSettings(
            c.records, c.facts, c.holds, c.parking, c.publish_events, c.clock, c.watch_calls
        )
    )
    watch_balances = _Lazy(
        lambda c: WatchBalances(
            c.due,
            c.ledger,
            c.holds,
            c.publish_events,
            c.clock,
            c.watch_calls,
            c.watch_spend,
        )
    )
    alerts = _Lazy(lambda c: Alerts(c.facts, c.ledger, c.notices, c.publish_events, c.clock))
    read_outlook = _Lazy(lambda c: ReadOutlook(c.accounts, c.clock))
    recharge_service = _Lazy(
        lambda c: RechargeService(c.facts, c.ledger, c.holds, c.notices, c.publish_events)
    )
    webhooks = _Lazy(
        lambda c: Webhooks(
            c.records,
            c.facts,
            c.deliveries,
            c.delivery_marks,
            c.clock,
            c.ids,
            allow_loopback=c.settings.webhooks_allow_loopback,
        )
    )
    deliver_events = _Lazy(
        lambda c: DeliverEvents(
            c.facts,
            c.webhooks,
            c.deliveries,
            c.delivery_marks,
            c.webhook_sender,
            c.mailer,
            c.clock,
        )
    )
    rate_card_service = _Lazy(lambda c: RateCardService(c.rate_cards, c.accounts, c.facts, c.clock))
    rate_card_reports = _Lazy(
        lambda c: RateCardReports(
            c.rate_card_service, c.rate_cards, c.facts, c.rerate_legs, c.clock
        )
    )
    read_regions = _Lazy(lambda c: ReadRegions(c.facts, c.rate_cards, c.clock))
    answered_legs = _Lazy(lambda c: AnsweredLegs(c.rerate_legs, c.ledger))
    reconcile_legs = _Lazy(lambda c: ReconcileLegs(c.facts, c.answered_legs))
    export_usage = _Lazy(lambda c: ExportUsage(c.facts, c.answered_legs, c.clock))
    registrations = _Lazy(lambda c: Registrations(c.records, c.facts, c.clock))
    loads = _Lazy(lambda c: LoadDirectory(c.records, c.facts, c.registrations, c.clock))
    bridges = _Lazy(
        lambda c: Bridges(
            c.records,
            c.facts,
            frozenset(DIALECTS),
            c.ids,
            partial(url_fault, allow_loopback=c.settings.webhooks_allow_loopback),
        )
    )
    try_post = _Lazy(lambda c: TryPost(c.bridges, parse, c.assemble_calls, c.charge_legs, c.clock))
    absent = _Lazy(lambda c: Absent(c.facts, c.rate_cards))
    api_keys = _Lazy(lambda c: ApiKeys(c.records, c.facts, c.key_uses, c.clock, c.ids))
    read_audit_log = _Lazy(lambda c: ReadAuditLog(c.audit_log))
    erase_person = _Lazy(
        lambda c: ErasePerson(c.facts, c.records, TableEraser(c.tables), c.denials, c.loads, c.ids)
    )
    audit_ledgers = _Lazy(
        lambda c: AuditLedgers(
            c.accounts,
            c.ledger,
            c.open_ledger,
            c.due,
            c.notices,
            c.watch_balances,
            c.anchors,
            c.read_proofs,
            c.close_days,
            c.denials,
            c.clock,
        )
    )
    health = _Lazy(
        lambda c: HealthChecks(
            lambda: c.records.get("account", "health"),
            c.queue_check,
            c.queue_management,
            c.inbox,
            c.parking,
            c.clock,
        )
    )
    read_status = _Lazy(
        lambda c: ReadStatus(
            c.health,
            c.runs,
            c.queue_management,
            c.webhooks_management,
            c.inbox,
            c.due,
            c.delivery_marks,
            c.deliveries,
            c.parking,
            c.records,
            c.bridge_posts,
            c.clock,
        )
    )
    dead_letters = _Lazy(
        lambda c: DeadLetters(
            c.queue,
            {
                DeadLetterSource.QUEUE: c.queue_management,
                DeadLetterSource.WEBHOOKS: c.webhooks_management,
            },
            lambda body: c.deliver_events([body], seconds=limits.DEAD_LETTER_SECONDS_MAX),
            c.ids,
        )
    )
