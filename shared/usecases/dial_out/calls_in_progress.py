"""Calls in progress, from the hold book; and the cost of a conference, live and final."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.concurrency import gather_bounded
from shared.domain.calls.calls_in_progress import (
    CallsNow,
    OpenCall,
    calls_now,
    elapsed_seconds,
    is_over,
)
from shared.domain.common import limits
from shared.domain.common.errors import NotFound
from shared.domain.common.money import PICOS_PER_MICRO, parse_price
from shared.domain.dial_out.hold_book import Hold, HoldState
from shared.domain.dial_out.included_minutes import is_toll_free
from shared.domain.directory.entities import Account, of_account, registration_at
from shared.domain.numbers.numbers import classify, look_up, service_number_keys
from shared.domain.usage.leg_list import ListedLeg
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook, HoldRecord
from shared.ports.rate_cards import RateCards
from shared.usecases.dial_out.call_pricing import priced_again
from shared.usecases.directory.directory_cache import DirectoryCache

type Bounds = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class ConferenceCost:
    """The cost of a conference: its open calls, and its charged legs. `now` has all calls
    of the account, which share its credits."""

    now: CallsNow
    calls: tuple[OpenCall, ...]
    legs: int
    charged_micros: int


@dataclass(frozen=True, slots=True)
class CallsInProgress:
    """Raises NotFound `account_unknown` and StoreUnavailable.

    `charged_legs` lists the charged legs of an account's conference in a span; without one those
    of its last meeting.
    """

    facts: DirectoryCache
    rate_cards: RateCards
    hold_book: HoldBook
    charged_legs: Callable[[str, str, Bounds], Awaitable[Sequence[ListedLeg]]]
    clock: Clock

    async def of_account(self, account: str) -> CallsNow:
        """The account's open calls now."""
        facts = await self.facts.require_account(account)
        return await self.evaluate(facts, await self.hold_book.view(account))

    async def evaluate(self, account: Account, view: HoldState) -> CallsNow:
        """The open calls of a view of the account's hold book."""
        now = self.clock.now()
        holds = view.open_holds(now)
        records = await gather_bounded(
            lambda hold: self.hold_book.record(account.id, hold.authorization),
            holds,
            at_once=limits.BULK_READS_AT_ONCE,
        )
        spare = _spare_pool_seconds(view, now)
        calls = [
            await self._call(account, hold, record, spare, now)
            for hold, record in zip(holds, records, strict=True)
            if record is not None
        ]
        credit = view.spendable_micros(now) + view.held_micros(now)
        return calls_now(calls, credit, account.settings.currency, now)

    async def of_conference(self, account: str, conference: str, bounds: Bounds) -> ConferenceCost:
        """The cost of a conference. Raises NotFound `conference_unknown` for one that is not
        registered and has neither calls nor legs."""
        now = await self.of_account(account)
        for _ in range(limits.CONFERENCE_READS_MAX):
            legs = await self.charged_legs(account, conference, bounds)
            calls = tuple(call for call in now.calls if call.conference == conference)
            if not calls:
                break
            # A call that was charged while the legs were read counts once.
            later = await self.of_account(account)
            if {call.hold.authorization for call in calls} <= {
                call.hold.authorization for call in later.calls
            }:
                break
            now = later
        if not calls and not legs:
            registered = (await self.facts.conference(conference)).get(account, ())
            if registration_at(registered, self.clock.now()) is None:
                raise NotFound(
                    "The account has no conference with this id. Register the conference with PUT.",
                    code="conference_unknown",
                )
        return ConferenceCost(now, calls, len(legs), sum(leg.amount_micros for leg in legs))

    async def _call(
        self, account: Account, hold: Hold, record: HoldRecord, spare_seconds: int, now: datetime
    ) -> OpenCall:
        elapsed, since = elapsed_seconds(hold, now), hold.answered_at or hold.placed_at
        amount = ahead = 0
        if record.rate is not None and record.requested_at is not None:
            pricing = await priced_again(self.rate_cards, record.rate, record.requested_at)
            if pricing is not None:
                amount, ahead = pricing.so_far(since, elapsed, hold.pool_seconds)
        pooled = max(0, hold.pool_seconds - elapsed) if hold.pool_seconds else 0
        if pooled:
            pooled += spare_seconds
        destination = record.answer.get("destination")
        region = destination.get("region") if isinstance(destination, Mapping) else None
        home = account.settings.usage_location
        fee = _picos(record, "connection_fee") // PICOS_PER_MICRO
        return OpenCall(
            hold=hold,
            bridge=record.bridge,
            to=record.number,
            caller=record.caller,
            region=str(region) if region else None,
            organizer=record.organizer,
            conference=record.conference,
            price_picos=_picos(record, "price_per_minute"),
            amount_micros=amount,
            fee_micros=fee if not elapsed and not pooled else 0,
            covered_seconds=pooled or ahead,
            is_pooled=pooled > 0,
            is_over=is_over(hold, now),
            is_toll_dial_in=not hold.is_dial_out
            and not await self._is_toll_free(account.id, record.number or "", now),
            sheddable=not look_up(record.number or "", (home,)).emergency,
        )

    async def _is_toll_free(self, account: str, number: str, now: datetime) -> bool:
        for key in service_number_keys(number, number):
            registration = registration_at(
                of_account(await self.facts.service_number(key), account), now
            )
            if registration is not None:
                return is_toll_free(registration, classify(number))
        return is_toll_free(None, classify(number))


def _picos(record: HoldRecord, name: str) -> int:
    return parse_price(str(record.answer.get(name, "0")))


def _spare_pool_seconds(view: HoldState, now: datetime) -> int:
    """The seconds of the month's pool without a hold, for each of the calls that it pays for."""
    months = [hold.pool_month for hold in view.open_holds(now) if hold.pool_seconds]
    latest = max(filter(None, months), default=None)
    return view.pool_left_seconds(latest, now) // len(months) if latest else 0
