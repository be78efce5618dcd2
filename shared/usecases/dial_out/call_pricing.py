"""The pricing of a call for the hold book: its cost, at any time of the answer."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import PICOS_PER_UNIT, ceil_div
from shared.domain.dial_out.facts import RateFacts
from shared.domain.rating import rating
from shared.domain.rating.rate_card import Rate, RateCardVersion
from shared.domain.rating.tariff import Tariff, tariff_of
from shared.ports.holds import RateReference
from shared.ports.rate_cards import RateCards


@dataclass(frozen=True, slots=True)
class CallPricing:
    """Implements `Pricing` for a rate.

    `after` is what the same call costs by the card's next version, where that takes effect while it
    rings: a leg is charged by the version in force when it was answered, so the more expensive one
    counts."""

    rate: Rate
    version: RateCardVersion
    kind: LegKind
    origin: str | None
    requested_at: datetime
    after: "CallPricing | None" = None

    @property
    def _tariff(self) -> Tariff:
        return tariff_of(self.rate.terms, self.version.rounding, self.version.time_zone)

    def seconds_for(self, credit_micros: int, wanted_seconds: int, after_seconds: int) -> int:
        """The longest call of at most `wanted_seconds` that the credit pays for, beginning after
        the seconds that are paid in minutes."""
        seconds = rating.max_usage(
            self._tariff,
            answered_at=self.requested_at,
            answered_until=self.requested_at + timedelta(seconds=limits.HOLD_RINGING_SECONDS),
            after_seconds=after_seconds,
            credit_micros=credit_micros,
            wanted_seconds=wanted_seconds,
        )
        if self.after is None:
            return seconds
        return min(seconds, self.after.seconds_for(credit_micros, wanted_seconds, after_seconds))

    def hold_micros(self, seconds: int, after_seconds: int) -> int:
        """The maximum cost of a call of a number of seconds."""
        micros = rating.hold_amount_micros(
            self._tariff,
            answered_at=self.requested_at,
            answered_until=self.requested_at + timedelta(seconds=limits.HOLD_RINGING_SECONDS),
            after_seconds=after_seconds,
            seconds=seconds,
        )
        if self.after is None:
            return micros
        return max(micros, self.after.hold_micros(seconds, after_seconds))

    def so_far(self, answered_at: datetime, seconds: int, pool_seconds: int) -> tuple[int, int]:
        """(micros, seconds paid ahead) of a call answered then that has lasted so long: it costs
        nothing more until its begun increment is over. The pool pays `pool_seconds` before."""
        later = self.after
        if later is not None and answered_at >= later.version.effective_from:
            return later.so_far(answered_at, seconds, pool_seconds)
        return rating.spent_so_far(
            self._tariff,
            answered_at=answered_at,
            seconds=seconds,
            after_seconds=pool_seconds,
        )

    def facts(self, *, pays_from_pool: bool = False) -> RateFacts:
        """The facts of a rate for the checks; a call that the pool pays costs nothing at first."""
        rate = self.rate
        dearest = rating.dearest_price_per_minute(
            self._tariff,
            span_start=self.requested_at,
            span_seconds=limits.HOLD_SLICE_SECONDS + limits.HOLD_RINGING_SECONDS,
        )
        price = ceil_div(dearest.numerator * PICOS_PER_UNIT, dearest.denominator)
        fee = rate.connection_fee_picos
        if self.after is not None:
            later = self.after.facts()
            price = max(price, later.price_per_minute_picos)
            fee = max(fee, later.connection_fee_picos)
        return RateFacts(
            prefix=rate.prefix,
            destination=rate.destination,
            price_per_minute_picos=price,
            connection_fee_picos=fee,
            least_charge_micros=0 if pays_from_pool else self.hold_micros(1, 0),
        )

    @property
    def reference(self) -> RateReference:
        """A reference that finds the same rate again, without the number."""
        version = self.version
        return RateReference(
            card=version.card,
            version=version.effective_from,
            kind=self.kind.value,
            prefix=self.rate.prefix,
            origin=self.origin,
            after=self.after.reference if self.after else None,
        )


@dataclass(frozen=True, slots=True)
class IncludedCall:
    """Implements `Pricing` for a call that the organizer's license pays for."""

    kind: LegKind
    requested_at: datetime

    def seconds_for(self, credit_micros: int, wanted_seconds: int, after_seconds: int) -> int:
        """All requested seconds."""
        return wanted_seconds

    def hold_micros(self, seconds: int, after_seconds: int) -> int:
        """Nothing."""
        return 0

    def so_far(self, answered_at: datetime, seconds: int, pool_seconds: int) -> tuple[int, int]:
        """Nothing, and nothing is paid ahead."""
        return 0, 0

    def facts(self) -> RateFacts:
        """The free rate."""
        return RateFacts("", "included in the license", 0)

    @property
    def reference(self) -> RateReference:
        """A reference with the mark of an included call."""
        return RateReference("", self.requested_at, self.kind.value, "", None, is_included=True)


@dataclass(frozen=True, slots=True)
class Unpriced:
    """The reason for which a future call has no price, as a sentence."""

    why: str


async def priced(
    rate_cards: RateCards,
    *,
    card: str,
    currency: str,
    kind: LegKind,
    digits: str,
    origin: str | None,
    now: datetime,
    no_rate: str,
    fresh: bool,
) -> CallPricing | Unpriced:
    """The pricing of a future call, or the reason for a missing price. `no_rate` is the sentence
    for a card without a rate for the number. `fresh`: a version that any process stored before
    `now` counts."""

    async def by_version_of(moment: datetime) -> CallPricing | Unpriced:
        version = await rate_cards.version_for(card, moment, known_at=now if fresh else None)
        if version is None:
            return Unpriced(f"The rate card {card} has no version in force.")
        if version.currency != currency:
            return Unpriced(
                f"The rate card {card} is in {version.currency}, the account in {currency}."
            )
        rate = version.find(kind, digits, origin) if digits else None
        if rate is not None:
            return CallPricing(rate, version, kind, origin, now)
        by_origin = digits and version.index.matches(kind, digits)
        why = rating.rate_missing(version, kind, f"+{digits}", origin) if by_origin else no_rate
        return Unpriced(why)

    card_version = await by_version_of(now)
    if isinstance(card_version, Unpriced):
        return card_version
    after = await by_version_of(now + timedelta(seconds=limits.HOLD_RINGING_SECONDS))
    if (
        isinstance(after, Unpriced)
        or after.version.effective_from == card_version.version.effective_from
    ):
        return card_version
    return replace(card_version, after=after)


async def priced_again(
    rate_cards: RateCards, reference: RateReference, requested_at: datetime
) -> CallPricing | IncludedCall | None:
    """The pricing of a stored hold; None where the card no longer has the rate."""
    kind = LegKind(reference.kind)
    if reference.is_included:
        return IncludedCall(kind, requested_at)
    version = await rate_cards.version_for(reference.card, reference.version)
    rate = version.find(kind, reference.prefix, reference.origin) if version else None
    if version is None or rate is None:
        return None
    after = (
        await priced_again(rate_cards, reference.after, requested_at) if reference.after else None
    )
    later = after if isinstance(after, CallPricing) else None
    return CallPricing(rate, version, kind, reference.origin, requested_at, later)
