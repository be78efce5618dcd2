"""The way of a leg and its money, wired: received, charged, parked, booked, published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from shared.adapters.directory.credentials import verify_bridge
from shared.domain.directory.request_signatures import BridgeAuth
from shared.domain.legs.bridge_payloads import BridgePayload, ParsedLeg

if TYPE_CHECKING:  # what a function needs is loaded when it is first asked for
    from shared.ports.legs import Claims
    from shared.usecases.charging.charge_legs import ChargeLegs
    from shared.usecases.charging.explain_charge import ExplainLeg
    from shared.usecases.charging.parked_legs import ParkedLegs
    from shared.usecases.credits.watch_balances import WatchBalances
    from shared.usecases.delivery.publish_events import PublishEvents
    from shared.usecases.dial_out.authorisation_request import ResponseRenderer
    from shared.usecases.dial_out.authorise_dial_in import AuthoriseDialIn
    from shared.usecases.dial_out.authorise_dial_out import AuthoriseDialOut
    from shared.usecases.dial_out.extend_and_release import ActiveCalls
    from shared.usecases.dial_out.simulate_policy import SimulatePolicy
    from shared.usecases.directory.authenticate_bridge import BridgeAuthenticator
    from shared.usecases.directory.sync_ledger_settings import OpenLedger
    from shared.usecases.ledger.credit_account import CreditAccount
    from shared.usecases.ledger.read_ledger import ReadLedger
    from shared.usecases.legs.forward_spillover import ForwardInbox
    from shared.usecases.legs.receive_legs import ReceiveLegs
    from shared.usecases.operations.erase_person import ErasePerson

from shared.bootstrap.adapters import Stores


class Legs(Stores):
    """Use cases of legs, credits and dial-outs."""

    @cached_property
    def open_ledger(self) -> OpenLedger:
        """Brings settings into the ledger."""
        from shared.usecases.directory.sync_ledger_settings import OpenLedger

        return OpenLedger(self.ledger)

    @cached_property
    def publish_events(self) -> PublishEvents:
        """Publishes an account's outbox."""
        from shared.usecases.delivery.publish_events import PublishEvents

        return PublishEvents(self.ledger, self.holds, self.notices, self.topic, self.clock)

    @cached_property
    def bridge_gate(self) -> BridgeAuthenticator:
        """Lets bridges in."""
        from shared.usecases.directory.authenticate_bridge import BridgeAuthenticator

        return BridgeAuthenticator(
            self.facts,
            _verified_webhook_id,
            self.clock,
            self.budgets,
            self.settings.bridge_allowance,
        )

    def parse_post(self, dialect: str, post: BridgePayload) -> list[ParsedLeg]:
        """What a bridge's post says, in its dialect. Raises TooLarge, BadRequest, Invalid."""
        from shared.adapters.bridges import parse

        return parse(dialect, post)

    @cached_property
    def receive_legs(self) -> ReceiveLegs:
        """Makes posted legs durable."""
        from shared.usecases.legs.receive_legs import ReceiveLegs

        return ReceiveLegs(
            self.queue, self.inbox, self.parking, self.clock, self.archive, self.facts
        )

    @cached_property
    def forward_inbox(self) -> ForwardInbox:
        """Sends on what the inbox holds."""
        from shared.usecases.legs.forward_spillover import ForwardInbox

        return ForwardInbox(self.inbox, self.queue)

    @cached_property
    def claims(self) -> Claims:
        """Whose legs are."""
        from shared.adapters.legs.claim_store import TableClaims

        return TableClaims(self.tables)

    @cached_property
    def charge_legs(self) -> ChargeLegs:
        """Rates and debits legs."""
        from shared.usecases.charging.charge_legs import ChargeLegs
        from shared.usecases.charging.resolve_leg import ResolveLeg

        return ChargeLegs(
            resolve=ResolveLeg(self.facts, self.claims, self.holds, self.clock),
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
        from shared.usecases.charging.parked_legs import ParkedLegs

        return ParkedLegs(
            self.parking,
            self.charge_legs,
            self.publish_events,
            self.clock,
            self.claims,
            lambda bridge, value: read_leg(bridge, value, pointer="/leg", refuse_unknown=True),
        )

    @cached_property
    def credit_account(self) -> CreditAccount:
        """Books top-ups."""
        from shared.usecases.ledger.credit_account import CreditAccount

        return CreditAccount(
            self.facts, self.ledger, self.open_ledger, self.holds, self.publish_events
        )

    @cached_property
    def read_ledger(self) -> ReadLedger:
        """Reads entries and legs, verifies."""
        from shared.usecases.ledger.read_ledger import ReadLedger

        return ReadLedger(self.facts, self.ledger, self.parking, self.anchors, self.clock)

    @cached_property
    def wording(self) -> ResponseRenderer:
        """How answers to bridges are put."""
        from shared.contracts.dial_out.requests import allowed_body, denied_body, extended_body
        from shared.usecases.dial_out.authorisation_request import ResponseRenderer

        return ResponseRenderer(allowed_body, denied_body, extended_body)

    @cached_property
    def explain_leg(self) -> ExplainLeg:
        """Says a charge in words."""
        from shared.usecases.charging.explain_charge import ExplainLeg

        return ExplainLeg(self.rate_cards)

    @cached_property
    def authorise_dial_out(self) -> AuthoriseDialOut:
        """Answers dial-out questions."""
        from shared.usecases.dial_out.authorise_dial_out import AuthoriseDialOut

        return AuthoriseDialOut(
            self.facts,
            self.rate_cards,
            self.holds,
            self.publish_events,
            self.clock,
            self.wording,
        )

    @cached_property
    def admit_caller(self) -> AuthoriseDialIn:
        """Answers dial-in questions."""
        from shared.usecases.dial_out.authorise_dial_in import AuthoriseDialIn

        return AuthoriseDialIn(self.facts, self.rate_cards, self.holds, self.clock, self.wording)

    @cached_property
    def open_calls(self) -> ActiveCalls:
        """Extends and releases what was allowed."""
        from shared.usecases.dial_out.extend_and_release import ActiveCalls

        return ActiveCalls(
            self.facts, self.rate_cards, self.holds, self.publish_events, self.wording
        )

    @cached_property
    def what_if(self) -> SimulatePolicy:
        """Judges past dial-outs by another policy."""
        from shared.usecases.dial_out.simulate_policy import SimulatePolicy

        return SimulatePolicy(self.facts, self.ledger)

    @cached_property
    def erase_person(self) -> ErasePerson:
        """Forgets a person."""
        from shared.adapters.erasure import TableEraser
        from shared.usecases.operations.erase_person import ErasePerson

        return ErasePerson(self.facts, TableEraser(self.tables))

    @cached_property
    def watch_balances(self) -> WatchBalances:
        """The low-balance tick."""
        from shared.usecases.credits.watch_balances import WatchBalances

        return WatchBalances(self.due, self.ledger, self.holds, self.publish_events, self.clock)


def _verified_webhook_id(
    auth: BridgeAuth | None, headers: Mapping[str, str], body: bytes, now: datetime, url: str
) -> str | None:
    return verify_bridge(auth, headers, body, now, url).webhook_id
