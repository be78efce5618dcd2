"""The one place where things are wired together.

`container()` is this process's container. Each object in it is made once, when it is first used:
a function that needs no bus never loads Azure's SDK for it. Tests make a `Container` of their own,
put stand-ins into it by assignment, and `install` it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from shared.adapters.directory.credentials import new_api_key, new_webhook_secret, presented_api_key
from shared.bootstrap.use_cases import Legs
from shared.domain.directory.request_signatures import AuthScheme
from shared.settings import Settings
from shared.usecases.directory.accounts import Accounts
from shared.usecases.directory.api_keys import ApiKeys
from shared.usecases.directory.authenticate_admin import Administrators
from shared.usecases.directory.bridges import Bridges
from shared.usecases.directory.registrations import Registrations
from shared.usecases.operations.health import HealthChecks, QueueState

if TYPE_CHECKING:  # what a function needs is loaded when it is first asked for
    from shared.adapters.directory.entra import EntraTokens
    from shared.usecases.charging.past_legs import PastLegs
    from shared.usecases.charging.propose_rerating import ProposeRerating
    from shared.usecases.charging.rerate_legs import RerateLegs
    from shared.usecases.credits.acknowledge_alerts import Alerts
    from shared.usecases.credits.outlook import ReadOutlook
    from shared.usecases.credits.record_recharge_results import RechargeService
    from shared.usecases.delivery.deliver_events import DeliverEvents
    from shared.usecases.delivery.manage_webhooks import Webhooks
    from shared.usecases.dial_out.dial_out_settings import DialOutSettings
    from shared.usecases.directory.absent_references import Absent
    from shared.usecases.directory.read_audit_log import ReadAuditLog
    from shared.usecases.operations.audit_ledgers import AuditLedgers
    from shared.usecases.rate_cards.manage_rate_cards import RateCardService
    from shared.usecases.rate_cards.rate_card_reports import RateCardReports


BRIDGE_SECRET_BYTES = 32


class Container(Legs):
    """What the triggers use, wired."""

    @cached_property
    def administrators(self) -> Administrators:
        """Lets administrators in."""
        return Administrators(
            self.facts,
            presented_api_key,
            self.settings.bootstrap_admin_key,
            self.key_uses,
            self.clock,
            self.entra,
        )

    @cached_property
    def entra(self) -> EntraTokens | None:
        """Tokens of Microsoft Entra; None where no tenant is set."""
        tenant, audience = self.settings.entra_tenant, self.settings.entra_audience
        if tenant is None or audience is None:
            return None
        from shared.adapters.directory.entra import EntraTokens, fetch_from

        return EntraTokens(tenant, audience, fetch_from(tenant), self.clock)

    @cached_property
    def rate_card_service(self) -> RateCardService:
        """Puts, shows and quotes rate cards."""
        from shared.usecases.rate_cards.manage_rate_cards import RateCardService

        return RateCardService(self.rate_cards, self.accounts, self.facts, self.clock)

    @cached_property
    def rate_card_reports(self) -> RateCardReports:
        """Tells about rate cards."""
        from shared.usecases.rate_cards.rate_card_reports import RateCardReports

        return RateCardReports(
            self.rate_card_service, self.rate_cards, self.accounts, self.rerate_legs, self.clock
        )

    @cached_property
    def past_legs(self) -> PastLegs:
        """Reads the legs of a span."""
        from shared.usecases.charging.past_legs import PastLegs

        return PastLegs(self.ledger)

    @cached_property
    def rerate_legs(self) -> RerateLegs:
        """Charges legs anew."""
        from shared.usecases.charging.rerate_legs import RerateLegs

        return RerateLegs(
            self.accounts, self.past_legs, self.rate_cards, self.ledger, self.publish_events
        )

    @cached_property
    def propose_rerating(self) -> ProposeRerating:
        """Counts the legs that a backdated version is about."""
        from shared.usecases.charging.propose_rerating import ProposeRerating

        return ProposeRerating(self.rate_cards, self.accounts, self.past_legs, self.clock)

    @cached_property
    def audit_ledgers(self) -> AuditLedgers:
        """The nightly audit."""
        from shared.usecases.operations.audit_ledgers import AuditLedgers

        return AuditLedgers(
            self.accounts,
            self.ledger,
            self.open_ledger,
            self.due,
            self.notices,
            self.watch_balances,
            self.anchors,
            self.clock,
        )

    @cached_property
    def accounts(self) -> Accounts:
        """Makes, changes and shows accounts."""
        return Accounts(
            self.records,
            self.facts,
            self.ledger,
            self.open_ledger,
            self.holds,
            self.clock,
            shards=1 + len(self.settings.ledger_shards),
        )

    @cached_property
    def alerts(self) -> Alerts:
        """Shows and acknowledges alerts."""
        from shared.usecases.credits.acknowledge_alerts import Alerts

        return Alerts(self.accounts, self.ledger, self.notices, self.publish_events, self.clock)

    @cached_property
    def read_outlook(self) -> ReadOutlook:
        """An account's money, now and ahead."""
        from shared.usecases.credits.outlook import ReadOutlook

        return ReadOutlook(self.accounts, self.clock)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Sets up customers' webhooks."""
        from shared.usecases.delivery.manage_webhooks import Webhooks

        return Webhooks(
            self.records,
            self.accounts,
            self.deliveries,
            self.delivery_marks,
            self.clock,
            lambda: new_webhook_secret(self.ids),
            allow_loopback=self.settings.webhooks_allow_loopback,
        )

    @cached_property
    def deliver_events(self) -> DeliverEvents:
        """Sends events to receivers."""
        from shared.usecases.delivery.deliver_events import DeliverEvents

        return DeliverEvents(
            self.facts,
            self.webhooks,
            self.deliveries,
            self.delivery_marks,
            self.webhook_sender,
            self.mailer,
            self.clock,
        )

    @cached_property
    def recharge_service(self) -> RechargeService:
        """Takes the payment side's answers."""
        from shared.usecases.credits.record_recharge_results import RechargeService

        return RechargeService(
            self.accounts, self.ledger, self.holds, self.notices, self.publish_events
        )

    @cached_property
    def registrations(self) -> Registrations:
        """Registers conferences and service numbers."""
        return Registrations(self.records, self.facts, self.accounts, self.clock)

    @cached_property
    def dial_out_settings(self) -> DialOutSettings:
        """Organizers and policies."""
        from shared.usecases.dial_out.dial_out_settings import DialOutSettings

        return DialOutSettings(
            self.records,
            self.facts,
            self.accounts,
            self.holds,
            self.parking,
            self.publish_events,
            self.clock,
        )

    @cached_property
    def bridges(self) -> Bridges:
        """Makes, changes and shows bridges."""
        from shared.adapters.bridges import DIALECTS

        return Bridges(self.records, self.facts, frozenset(DIALECTS), self._new_bridge_secret)

    @cached_property
    def absent(self) -> Absent:
        """What settings name in vain."""
        from shared.usecases.directory.absent_references import Absent

        return Absent(self.facts, self.rate_cards)

    @cached_property
    def api_keys(self) -> ApiKeys:
        """Makes and takes away API keys."""
        return ApiKeys(
            self.records, self.facts, self.key_uses, self.clock, lambda: new_api_key(self.ids)
        )

    @cached_property
    def read_audit_log(self) -> ReadAuditLog:
        """Shows who changed which setting when."""
        from shared.usecases.directory.read_audit_log import ReadAuditLog

        return ReadAuditLog(self.audit_log)

    @cached_property
    def health(self) -> HealthChecks:
        """Whether this process can do its work."""

        async def tables() -> object:
            return await self.records.get("account", "health")

        return HealthChecks(tables, self.queue_check, self.inbox, self.parking, self.clock)

    @cached_property
    def queue_check(self) -> QueueState:
        """Whether the queue takes messages, and since when legs wait in it."""
        from shared.adapters.bus.health_check import QueueCheck

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
    """This process's container. Raises SettingsError, which names the missing setting."""
    global _installed  # noqa: PLW0603 - one container a process, made at its first use
    if _installed is None:
        _installed = Container(Settings.from_environment())
    return _installed


def install(container: Container | None) -> None:
    """Make this the process's container (None: a new one at its next use)."""
    global _installed  # noqa: PLW0603
    _installed = container
