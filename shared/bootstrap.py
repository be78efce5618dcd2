"""The one place where things are wired together.

`container()` is this process's house. Everything in it is made once, when it is first asked for:
a function that needs no bus never loads Azure's SDK for it. Tests make a `Container` of their own,
put stand-ins into it by assignment, and `install` it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from shared.adapters.authentication import (
    new_api_key,
    new_webhook_secret,
    presented_api_key,
    verify_bridge,
)
from shared.adapters.records import Records
from shared.adapters.system import RandomIds, SystemClock
from shared.domain.dial_out_facts import OrganizerFacts
from shared.domain.policy import AccountPolicy
from shared.domain.posts import BridgePost, ParsedLeg
from shared.domain.signatures import AuthScheme, BridgeAuth
from shared.ports import (
    CallQueue,
    Clock,
    DueMarks,
    EventTopic,
    HoldBook,
    Ids,
    Inbox,
    Ledger,
    ParkingLot,
    RateCardStore,
    TableStore,
)
from shared.settings import Settings
from shared.usecases.accounts import Accounts
from shared.usecases.administrators import Administrators
from shared.usecases.api_keys import ApiKeys
from shared.usecases.bridges import Bridges
from shared.usecases.dial_out_settings import DialOutSettings
from shared.usecases.facts import Facts, WireReaders
from shared.usecases.health import Check, HealthChecks
from shared.usecases.registrations import Registrations

if TYPE_CHECKING:  # what a function needs is loaded when it is first asked for
    from shared.usecases.authorise_dial_out import AuthoriseDialOut
    from shared.usecases.bridge_gate import BridgeGate
    from shared.usecases.charge_legs import ChargeLegs
    from shared.usecases.credit_account import CreditAccount
    from shared.usecases.forward_inbox import ForwardInbox
    from shared.usecases.open_ledger import OpenLedger
    from shared.usecases.parked_legs import ParkedLegs
    from shared.usecases.publish_events import PublishEvents
    from shared.usecases.rate_cards import RateCardDesk
    from shared.usecases.read_ledger import ReadLedger
    from shared.usecases.receive_legs import ReceiveLegs
    from shared.usecases.watch_balances import WatchBalances

BRIDGE_SECRET_BYTES = 32


class Container:
    """What the triggers use, wired."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

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
        """Table storage."""
        from shared.adapters.tables import AzureTables

        return AzureTables(
            connection_string=self.settings.tables_connection_string or "",
            endpoint=self.settings.tables_endpoint or "",
            client_id=self.settings.identity_client_id,
        )

    @cached_property
    def records(self) -> Records:
        """The directory's documents."""
        return Records(self.tables)

    @cached_property
    def facts(self) -> Facts:
        """The directory's facts, cached."""
        return Facts(self.records, self.clock, WireReaders(_read_organizer, _read_policy))

    @cached_property
    def administrators(self) -> Administrators:
        """Lets administrators in."""
        return Administrators(self.facts, presented_api_key, self.settings.bootstrap_admin_key)

    @cached_property
    def due(self) -> DueMarks:
        """What to look at, and when."""
        from shared.adapters.due_marks import TableDueMarks

        return TableDueMarks(self.tables)

    @cached_property
    def ledger(self) -> Ledger:
        """What happened."""
        from shared.adapters.ledger_store import TableLedger

        return TableLedger(self.tables, self.due, self.clock, self.ids, self.settings.chain_key)

    @cached_property
    def holds(self) -> HoldBook:
        """What may happen."""
        from shared.adapters.hold_store import TableHoldBook

        return TableHoldBook(self.tables, self.ledger, self.clock, self.ids)

    @cached_property
    def parking(self) -> ParkingLot:
        """Legs that wait."""
        from shared.adapters.parking_store import TableParkingLot

        return TableParkingLot(self.tables)

    @cached_property
    def rate_cards(self) -> RateCardStore:
        """Prices."""
        from shared.adapters.rate_card_store import TableRateCards

        return TableRateCards(self.tables, self.clock)

    @cached_property
    def rate_card_desk(self) -> RateCardDesk:
        """Puts, shows and quotes rate cards."""
        from shared.usecases.rate_cards import RateCardDesk

        return RateCardDesk(self.rate_cards, self.accounts, self.clock)

    @cached_property
    def queue(self) -> CallQueue:
        """Where legs wait to be rated."""
        from shared.adapters.service_bus import ServiceBusQueue

        return ServiceBusQueue(
            self.settings.call_ended_queue,
            connection_string=self.settings.service_bus_connection_string,
            namespace=self.settings.service_bus_namespace,
            client_id=self.settings.identity_client_id,
        )

    @cached_property
    def inbox(self) -> Inbox:
        """Where legs wait while the queue is away."""
        from shared.adapters.inbox_store import TableInbox

        return TableInbox(self.tables)

    @cached_property
    def forward_inbox(self) -> ForwardInbox:
        """Sends on what the inbox holds."""
        from shared.usecases.forward_inbox import ForwardInbox

        return ForwardInbox(self.inbox, self.queue)

    @cached_property
    def topic(self) -> EventTopic:
        """Where events are published."""
        from shared.adapters.service_bus import ServiceBusTopic

        return ServiceBusTopic(
            self.settings.credit_events_topic,
            connection_string=self.settings.service_bus_connection_string,
            namespace=self.settings.service_bus_namespace,
            client_id=self.settings.identity_client_id,
        )

    @cached_property
    def bridge_gate(self) -> BridgeGate:
        """Lets bridges in."""
        from shared.usecases.bridge_gate import BridgeGate

        return BridgeGate(self.facts, _verified_webhook_id, self.clock)

    @cached_property
    def open_ledger(self) -> OpenLedger:
        """Brings settings into the ledger."""
        from shared.usecases.open_ledger import OpenLedger

        return OpenLedger(self.ledger)

    @cached_property
    def publish_events(self) -> PublishEvents:
        """Publishes an account's outbox."""
        from shared.usecases.publish_events import PublishEvents

        return PublishEvents(self.ledger, self.holds, self.topic, self.clock)

    @cached_property
    def credit_account(self) -> CreditAccount:
        """Books top-ups."""
        from shared.usecases.credit_account import CreditAccount

        return CreditAccount(self.facts, self.ledger, self.open_ledger, self.publish_events)

    @cached_property
    def read_ledger(self) -> ReadLedger:
        """Reads entries and legs, verifies."""
        from shared.usecases.read_ledger import ReadLedger

        return ReadLedger(self.facts, self.ledger, self.parking)

    @cached_property
    def receive_legs(self) -> ReceiveLegs:
        """Makes posted legs durable."""
        from shared.usecases.receive_legs import ReceiveLegs

        return ReceiveLegs(self.queue, self.inbox, self.parking, self.clock)

    @cached_property
    def charge_legs(self) -> ChargeLegs:
        """Rates and debits legs."""
        from shared.adapters.claim_store import TableClaims
        from shared.usecases.charge_legs import ChargeLegs
        from shared.usecases.resolve_leg import ResolveLeg

        return ChargeLegs(
            resolve=ResolveLeg(self.facts, TableClaims(self.tables), self.clock),
            rate_cards=self.rate_cards,
            ledger=self.ledger,
            open_ledger=self.open_ledger,
            holds=self.holds,
            parking=self.parking,
            publish=self.publish_events,
            queue=self.queue,
            clock=self.clock,
            ids=self.ids,
        )

    @cached_property
    def parked_legs(self) -> ParkedLegs:
        """Lists, replays and dismisses parked legs."""
        from shared.adapters.bridges.perminute import read_leg
        from shared.usecases.parked_legs import ParkedLegs

        return ParkedLegs(
            self.parking,
            self.charge_legs,
            self.publish_events,
            self.clock,
            lambda bridge, value: read_leg(bridge, value, pointer="/leg", refuse_unknown=True),
        )

    @cached_property
    def authorise_dial_out(self) -> AuthoriseDialOut:
        """Answers dial-out questions."""
        from shared.contracts.dial_out import allowed_body, denied_body
        from shared.usecases.authorise_dial_out import AuthoriseDialOut, Wording

        return AuthoriseDialOut(
            self.facts, self.rate_cards, self.holds, self.clock, Wording(allowed_body, denied_body)
        )

    @cached_property
    def watch_balances(self) -> WatchBalances:
        """The low-balance tick."""
        from shared.usecases.watch_balances import WatchBalances

        return WatchBalances(self.due, self.publish_events, self.clock)

    def parse_post(self, dialect: str, post: BridgePost) -> list[ParsedLeg]:
        """What a bridge's post says, in its dialect. Raises TooLarge, BadRequest, Invalid."""
        from shared.adapters.bridges import parse

        return parse(dialect, post)

    @cached_property
    def accounts(self) -> Accounts:
        """Makes, changes and shows accounts."""
        return Accounts(
            self.records, self.facts, self.ledger, self.open_ledger, self.holds, self.clock
        )

    @cached_property
    def registrations(self) -> Registrations:
        """Registers conferences and service numbers."""
        return Registrations(self.records, self.facts, self.accounts, self.clock)

    @cached_property
    def dial_out_settings(self) -> DialOutSettings:
        """Organizers and policies."""
        return DialOutSettings(self.records, self.facts, self.accounts)

    @cached_property
    def bridges(self) -> Bridges:
        """Makes, changes and shows bridges."""
        from shared.adapters.bridges import DIALECTS

        return Bridges(self.records, self.facts, frozenset(DIALECTS), self._new_bridge_secret)

    @cached_property
    def api_keys(self) -> ApiKeys:
        """Makes and takes away API keys."""
        return ApiKeys(self.records, self.facts, self.clock, lambda: new_api_key(self.ids))

    @cached_property
    def health(self) -> HealthChecks:
        """Whether this process can do its work."""

        async def tables() -> object:
            return await self.records.get("account", "health")

        return HealthChecks({"tables": tables, "queue": self.queue_check}, self.clock)

    @cached_property
    def queue_check(self) -> Check:
        """Whether the queue takes messages."""
        from shared.adapters.queue_check import QueueCheck

        return QueueCheck(
            self.settings.call_ended_queue,
            connection_string=self.settings.service_bus_connection_string,
            namespace=self.settings.service_bus_namespace,
            client_id=self.settings.identity_client_id,
        )

    def _new_bridge_secret(self, scheme: AuthScheme) -> str:
        if scheme is AuthScheme.STANDARD_WEBHOOKS:
            return new_webhook_secret(self.ids)
        return self.ids.token(BRIDGE_SECRET_BYTES)


_installed: Container | None = None


def container() -> Container:
    """This process's house. Raises SettingsError, which names the missing setting."""
    global _installed  # noqa: PLW0603 - one house a process, made when first asked for
    if _installed is None:
        _installed = Container(Settings.from_environment())
    return _installed


def install(house: Container | None) -> None:
    """Make this the process's house (None: make a new one when asked); for tests and tools."""
    global _installed  # noqa: PLW0603
    _installed = house


def _read_organizer(organizer: str, document: Mapping[str, object]) -> OrganizerFacts:
    from shared.contracts.directory import organizer_facts

    return organizer_facts(organizer, document)


def _read_policy(document: Mapping[str, object]) -> AccountPolicy:
    from shared.contracts.dial_out_policy import DialOutPolicyBody

    return DialOutPolicyBody.model_validate(document).policy()


def _verified_webhook_id(
    auth: BridgeAuth | None, headers: Mapping[str, str], body: bytes, now: datetime
) -> str | None:
    return verify_bridge(auth, headers, body, now).webhook_id
