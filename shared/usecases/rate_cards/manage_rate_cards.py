"""Rate cards: put, shown, and quoted."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.charging.charge_record import quoted, quoted_pooled, received_texts
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import FieldError, Invalid, NotFound
from shared.domain.common.ids import ID_RULE, is_id
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import format_amount
from shared.domain.common.opaque import cursor_invalid
from shared.domain.credits.included_minutes import left_seconds, pool_month
from shared.domain.dial_out import dial_out_checks
from shared.domain.dial_out.facts import AccountFacts, DialOutFacts, OrganizerFacts, RateFacts
from shared.domain.dial_out.included_minutes import dial_in_is_included, is_toll_free, pool_pays
from shared.domain.dial_out.policy import AccountPolicy
from shared.domain.directory.access import Principal
from shared.domain.directory.entities import Account, registration_at
from shared.domain.numbers.numbers import (
    called_number,
    caller_number,
    caller_origin,
    classify,
    look_up,
)
from shared.domain.rating.price_list import quote_table
from shared.domain.rating.rate_card import RateCardVersion
from shared.domain.rating.rating import (
    Charge,
    paid_seconds,
    rate_leg,
    rate_missing,
    rest_after,
)
from shared.domain.rating.terms import minute_picos
from shared.domain.rating.versioning import CardVersion, PutRules
from shared.ports.clock import Clock
from shared.ports.rate_cards import RateCardStore
from shared.usecases.directory.accounts import Accounts
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class PutVersion:
    """A valid version; `about` is None when nothing was written."""

    version: RateCardVersion
    about: CardVersion | None


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request for the price of a call, for an account or by a card; the numbers are texts as
    received."""

    account: str | None
    rate_card: str | None
    kind: LegKind
    from_received: str | None
    to_received: str | None
    at: datetime | None
    talk_seconds: int
    organizer: str | None = None

    @property
    def from_number(self) -> str | None:
        """The caller's number, None where it is unknown."""
        return caller_number(self.from_received) if self.from_received else None

    @property
    def to_number(self) -> str:
        """The called number, "" where there is none."""
        return called_number(self.to_received) if self.to_received else ""


# What a charge by credits says of all seconds, but the pool pays the first ones.
_BY_CREDITS_ONLY = frozenset({"lines", "rounding", "sentence", "won_over"})


@dataclass(frozen=True, slots=True)
class RateCardService:
    """Everything raises StoreUnavailable."""

    store: RateCardStore
    accounts: Accounts
    facts: DirectoryCache
    clock: Clock

    async def put(
        self,
        card: str,
        effective_from: datetime,
        parse: Callable[[], RateCardVersion],
        *,
        if_match: str | None,
        backdate: bool,
        dry_run: bool,
    ) -> PutVersion:
        """Create or replace a version; with `dry_run` only check it.

        `parse` reads the request body in a separate thread, since a large deck takes seconds.
        Raises Invalid, BadRequest, and what `check_put` raises.
        """
        if not is_id(card):
            raise Invalid(
                f"The id is not valid. A rate card's id has {ID_RULE}.", code="id_invalid"
            )
        rules = PutRules(self.clock.now(), if_match, backdate)
        await self.store.check(card, effective_from, rules)
        version = await asyncio.to_thread(parse)
        return PutVersion(version, None if dry_run else await self.store.put(version, rules))

    async def cards(
        self, principal: Principal, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[str], str | None]:
        """Names of cards that the principal sees, in order, and the one after which the next page
        begins.

        Raises Invalid `cursor_invalid`.
        """
        if cursor is not None and not is_id(cursor):
            raise cursor_invalid()
        if principal.sees_all_accounts:
            cards = await self.store.cards(limit=limit + 1, after=cursor)
        else:
            own = sorted(await self.accounts.cards_of(principal))
            cards = [card for card in own if card > (cursor or "")][: limit + 1]
        more = len(cards) > limit
        return cards[:limit], cards[limit - 1] if more else None

    async def versions(self, card: str) -> Sequence[CardVersion]:
        """The versions of a card. Raises NotFound `rate_card_unknown`."""
        versions = await self.store.versions(card) if is_id(card) else []
        if not versions:
            raise NotFound(
                "No rate card has this name. List the rate cards, or put a version.",
                code="rate_card_unknown",
            )
        return versions

    async def version(
        self, card: str, effective_from: datetime
    ) -> tuple[CardVersion, RateCardVersion]:
        """A whole version. Raises NotFound `rate_card_version_unknown`."""
        version = await self.store.version(card, effective_from) if is_id(card) else None
        if version is None:
            raise NotFound(
                "The rate card has no version with this time. Read the rate card for its versions.",
                code="rate_card_version_unknown",
            )
        return version

    async def quote(self, inquiry: Inquiry, principal: Principal) -> dict[str, object]:
        """The charge of a call that has not happened (docs/rating.md).

        Raises NotAllowed, NotFound `account_unknown`, Invalid `rate_missing`.
        """
        card, currency = await self._card(inquiry, principal)
        answered_at = inquiry.at or self.clock.now()
        if inquiry.kind is LegKind.VOIP:
            return _free(inquiry, answered_at, currency, "voip")
        if inquiry.talk_seconds == 0:
            return _free(inquiry, answered_at, currency, "zero_duration")
        version = await self._version(card, currency, answered_at)
        charge = rate_leg(
            version,
            kind=inquiry.kind,
            to_digits=_digits(inquiry),
            origin=_origin(inquiry),
            answered_at=answered_at,
            talk_seconds=inquiry.talk_seconds,
        )
        if charge is None:
            raise _no_rate(version, inquiry)
        free = charge.amount_micros == 0
        by_credits = {
            **_stated(inquiry, answered_at, version.currency),
            "status": "zero" if free else "charged",
            **({"zero_reason": "free_rate"} if free else {}),
            **quoted(charge),
            "flags": [],
        }
        return await self._by_licence(inquiry, charge, by_credits)

    async def _by_licence(
        self, inquiry: Inquiry, charge: Charge, by_credits: dict[str, object]
    ) -> dict[str, object]:
        """The quote by the organizer's license; an unknown organizer pays by the minute."""
        if inquiry.account is None or inquiry.organizer is None:
            return by_credits
        organizer = await self.facts.organizer(inquiry.account, inquiry.organizer, fresh=True)
        named = {**by_credits, "organizer": inquiry.organizer}
        if organizer is None:
            return {**named, "flags": ["organizer_unknown"]}
        named["license"] = organizer.license.value
        number = classify(inquiry.to_number)
        if inquiry.kind is LegKind.DIAL_IN:
            history = await self.facts.service_number(inquiry.to_number, fresh=True)
            service = registration_at(history, charge.answered_at)
            toll_free = is_toll_free(service, number)
            if not dial_in_is_included(organizer.license, toll_free=toll_free):
                return named
            free = _free(inquiry, charge.answered_at, charge.version.currency, "included")
            return {**named, **free}
        policy = await self.facts.dial_out_policy(inquiry.account, fresh=True)
        view = await self.accounts.read(inquiry.account)
        named |= _permission(charge, view.account, organizer, policy)
        pays = pool_pays(organizer.license, number.region, policy.class_of(number))
        if charge.amount_micros == 0 or not pays:
            return named
        month = pool_month(charge.answered_at, view.account.settings.time_zone)
        left = left_seconds(view.state.pools, month, view.state.pool_seconds)
        pooled = min(left, paid_seconds(charge))
        if not pooled:
            return {**named, "pool_seconds": 0}
        rest = rest_after(charge, pooled)
        kept = {name: named[name] for name in named if name not in _BY_CREDITS_ONLY}
        return {**kept, **quoted_pooled(charge, pooled, rest)}

    async def quote_table(
        self, inquiry: Inquiry, minutes: Sequence[int], principal: Principal
    ) -> tuple[Charge, ...]:
        """The charges of calls of these minutes to one number. Raises what `quote` raises."""
        card, currency = await self._card(inquiry, principal)
        answered_at = inquiry.at or self.clock.now()
        version = await self._version(card, currency, answered_at)
        charges = quote_table(
            version,
            kind=inquiry.kind,
            to_digits=_digits(inquiry),
            origin=_origin(inquiry),
            answered_at=answered_at,
            minutes=minutes,
        )
        if charges is None:
            raise _no_rate(version, inquiry)
        return charges

    async def _card(self, inquiry: Inquiry, principal: Principal) -> tuple[str, str | None]:
        """(card, currency of the account) that an inquiry is about."""
        if inquiry.account is None:
            await self.accounts.require_card(principal, inquiry.rate_card or "")
            return inquiry.rate_card or "", None
        principal.require_account(inquiry.account)
        settings = (await self.facts.require_account(inquiry.account)).settings
        return settings.rate_card, settings.currency

    async def _version(
        self, card: str, currency: str | None, answered_at: datetime
    ) -> RateCardVersion:
        version = None
        if is_id(card):
            now = self.clock.now()
            version = await self.store.version_for(card, answered_at, known_at=now)
        if version is None:
            raise _rate_missing(f"Rate card {card} has no version for that time.")
        if currency is not None and version.currency != currency:
            raise _rate_missing(
                f"Rate card {card} is in {version.currency}, the account in {currency}."
            )
        return version


def _permission(
    charge: Charge, account: Account, organizer: OrganizerFacts, policy: AccountPolicy
) -> dict[str, object]:
    """The identity that binds the organizer, and the reason against dialing the number, if any.
    The checks that change from call to call (stops, budgets, velocity, credit) do not count."""
    home = account.settings.usage_location
    facts = DialOutFacts(
        dialled=look_up(f"+{charge.to_digits}", (organizer.usage_location or home,)),
        account=AccountFacts(account.id, home, suspended=policy.suspended),
        organizer=organizer,
        policy=policy,
        rate=RateFacts(
            charge.rate.prefix, charge.rate.destination, minute_picos(charge.rate.slots)
        ),
    )
    denial = dial_out_checks.check_rules(facts)
    denied = denial and {"reason": denial.reason.value, "message": denial.message}
    return {"policy": facts.identity, **({"denied": denied} if denied else {})}


def _stated(inquiry: Inquiry, answered_at: datetime, currency: str | None) -> dict[str, object]:
    ended_at = answered_at + timedelta(seconds=inquiry.talk_seconds)
    stated = {
        "account": inquiry.account,
        "kind": inquiry.kind.value,
        "from": inquiry.from_number,
        "to": inquiry.to_number or None,
        **received_texts(
            (inquiry.from_received, inquiry.from_number), (inquiry.to_received, inquiry.to_number)
        ),
        "answered_at": format_time(answered_at),
        "ended_at": format_time(ended_at),
        "talk_seconds": inquiry.talk_seconds,
        "currency": currency,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _free(
    inquiry: Inquiry, answered_at: datetime, currency: str | None, reason: str
) -> dict[str, object]:
    return {
        **_stated(inquiry, answered_at, currency),
        "status": "zero",
        "zero_reason": reason,
        "billed_seconds": 0,
        "amount": format_amount(0),
        "lines": [],
        "flags": [],
    }


def _origin(inquiry: Inquiry) -> str | None:
    """The caller's region: toll-free dial-in is rated by it."""
    return caller_origin(inquiry.from_number) if inquiry.kind is LegKind.DIAL_IN else None


def _digits(inquiry: Inquiry) -> str:
    return inquiry.to_number.removeprefix("+")


def _no_rate(version: RateCardVersion, inquiry: Inquiry) -> Invalid:
    return _rate_missing(rate_missing(version, inquiry.kind, inquiry.to_number, _origin(inquiry)))


def _rate_missing(detail: str) -> Invalid:
    way_out = f"{detail} Add a rate to the card."
    return Invalid(way_out, (FieldError("/to", detail),), code="rate_missing")
