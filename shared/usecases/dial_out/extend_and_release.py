"""Allowed calls: extended while they continue, released if they do not take place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import Conflict, Invalid, NotFound, Unavailable
from shared.domain.dial_out.applicable_limits import limits_of
from shared.domain.dial_out.authorization_ids import account_of
from shared.domain.dial_out.hold_decisions import Extend
from shared.domain.directory.entities import Bridge
from shared.ports.clock import Clock
from shared.ports.holds import ExtendHold, HoldBook, HoldRecord
from shared.ports.rate_cards import RateCards
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.dial_out.authorisation_request import ResponseRenderer
from shared.usecases.dial_out.call_pricing import CallPricing, IncludedCall, priced_again
from shared.usecases.dial_out.watch_calls import WatchCalls
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class ActiveCalls:
    """Extends and releases authorizations, and stores the answer times of their calls, each only
    for the bridge that has them."""

    facts: DirectoryCache
    rate_cards: RateCards
    hold_book: HoldBook
    publish: PublishEvents
    clock: Clock
    renderer: ResponseRenderer
    watch: WatchCalls

    async def extend(
        self, bridge: Bridge, authorization: str, seconds: int
    ) -> Mapping[str, object]:
        """Extend a call until a number of seconds after its answer, as long as it can be paid.

        The response is that of an allowed call. A repetition changes nothing, and a grant never
        shrinks. Raises NotFound `authorization_unknown`, Conflict `authorization_ended`,
        Unavailable.
        """
        account, record = await self._record(bridge, authorization)
        facts = await self.facts.account(account)
        pricing = await self._pricing(record)
        if facts is None or pricing is None:
            raise Unavailable("The cost of the call can't be determined now.")
        organizer = None
        if record.organizer is not None:
            organizer = await self.facts.organizer(account, record.organizer)
        policy = await self.facts.dial_out_policy(account)
        command = Extend(
            authorization=authorization,
            time_zone=facts.settings.time_zone,
            wanted_seconds=seconds,
            pricing=pricing,
            bounds=limits_of(policy, organizer, record.conference) if record.is_dial_out else (),
        )
        granted = await self.hold_book.extend(account, ExtendHold(command, record))
        if granted is None:
            raise Conflict(
                "The call is over: its hold was settled, released or has expired. "
                "Request a new authorization.",
                code="authorization_ended",
            )
        self.watch.changed(facts, bridge, authorization)
        if granted.events:
            self.watch.halted(account)  # it may have reached the breaker's limit
            await self.publish.best_effort(account)
        return self.renderer.extended(record.answer, granted)

    async def answered(
        self, bridge: Bridge, authorization: str, answered_at: datetime | None
    ) -> datetime:
        """Store the time of a call's answer (None: now, if it is unknown), and return the stored
        time. Raises Invalid for a time that is minutes off, NotFound `authorization_unknown`,
        Conflict `authorization_ended`."""
        account, _ = await self._record(bridge, authorization)
        now = self.clock.now()
        hold = (await self.hold_book.view(account)).find(authorization, now)
        if answered_at is not None and hold is not None:
            off = timedelta(seconds=limits.LEG_FUTURE_SECONDS_MAX)
            if not hold.placed_at - off <= answered_at <= now + off:
                raise Invalid.field(
                    "/answered_at", "must be between the dial-out's request and now"
                )
        present = hold.answered_at if hold else None
        kept = await self.hold_book.answer(account, authorization, answered_at or present or now)
        if (owner := await self.facts.account(account)) is not None:
            self.watch.changed(owner, bridge, authorization)
        return kept

    async def release(self, bridge: Bridge, authorization: str) -> None:
        """Release the hold of an allowed call that did not take place. A repetition changes
        nothing.

        Raises NotFound `authorization_unknown` when this bridge has no such authorization.
        """
        account, _ = await self._record(bridge, authorization)
        await self.hold_book.release(account, authorization)

    async def _record(self, bridge: Bridge, authorization: str) -> tuple[str, HoldRecord]:
        account = account_of(authorization)
        record = None
        if account is not None and bridge.serves(account):
            record = await self.hold_book.record(account, authorization)
        if account is None or record is None or record.bridge != bridge.id:
            raise NotFound(
                "This bridge has no authorization with this id. "
                "Send the id that the dial-out or dial-in returned.",
                code="authorization_unknown",
            )
        if not record.granted_seconds:
            raise NotFound(
                "The call was denied, so it has no authorization. Read the reason of the denial.",
                code="authorization_unknown",
            )
        return account, record

    async def _pricing(self, record: HoldRecord) -> CallPricing | IncludedCall | None:
        if record.rate is None or record.requested_at is None:
            return None
        return await priced_again(self.rate_cards, record.rate, record.requested_at)
