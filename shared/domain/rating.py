"""What a leg costs: the charge, its lines and its sentence, and the inverse questions.

A charge is one exact rational sum, rounded once, at the end, in the card's mode. It is computed at
once; everything that only explains it is built when asked for.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from shared.domain import limits
from shared.domain.legs import LegKind
from shared.domain.money import PICOS_PER_UNIT, round_ratio
from shared.domain.rates import NO_ROW, Rate, RateCardVersion, Rounding
from shared.domain.tariff import Tariff, tariff_of

_SECOND = timedelta(seconds=1)


class ChargeLineKind(StrEnum):
    """What a line of a charge is for."""

    CONNECTION_FEE = "connection_fee"
    USAGE = "usage"
    MINIMUM_CHARGE = "minimum_charge"
    MAXIMUM_CHARGE = "maximum_charge"


class ChargeLine(NamedTuple):
    """A part of a charge. `amount` is exact, in currency units; negative where a maximum bites.

    Only usage lines have seconds, increments and a price. `band` is the band's name, or its number
    in the rate's list, counted from 1; None for the rate's own slots.
    """

    kind: ChargeLineKind
    amount: Fraction
    from_second: int = 0
    seconds: int = 0
    increments: int = 0
    price_picos: int = 0
    unit_seconds: int = 0
    increment_seconds: int = 0
    band: str | None = None


class Charge(NamedTuple):
    """A rated leg. `amount_micros` is what is debited, never negative.

    `billed_seconds` are whole increments, so at least `talk_seconds`; 0 for a leg that costs
    nothing because of its length. `numerator` over `tariff.denominator` is the sum before rounding.
    """

    amount_micros: int
    billed_seconds: int
    talk_seconds: int
    numerator: int
    kind: LegKind
    to_digits: str
    origin: str | None
    answered_at: datetime
    version: RateCardVersion
    row: int
    tariff: Tariff

    @property
    def unrounded(self) -> Fraction:
        """The exact sum in currency units."""
        return Fraction(self.numerator, self.tariff.denominator)

    @property
    def rate(self) -> Rate:
        """The rate that won."""
        return self.version.rate(self.row)

    def lines(self) -> tuple[ChargeLine, ...]:
        """The parts, which add up to `unrounded`; none when nothing is charged for."""
        return tuple(self._lines())

    def _lines(self) -> Iterator[ChargeLine]:
        tariff = self.tariff
        if self.talk_seconds <= tariff.grace_seconds:
            return
        denominator = tariff.denominator
        fee, _ = tariff.opening(self.answered_at)
        total = fee
        if fee:
            yield ChargeLine(ChargeLineKind.CONNECTION_FEE, Fraction(fee, denominator))
        for band, slot, from_second, increments, numerator in tariff.stretches(
            self.answered_at, self.talk_seconds
        ):
            total += numerator
            yield ChargeLine(
                ChargeLineKind.USAGE,
                Fraction(numerator, denominator),
                from_second,
                increments * slot.increment_seconds,
                increments,
                slot.price_picos,
                slot.unit_seconds,
                slot.increment_seconds,
                tariff.band_name(band),
            )
        if total < self.numerator:
            missing = Fraction(self.numerator - total, denominator)
            yield ChargeLine(ChargeLineKind.MINIMUM_CHARGE, missing)
        elif total > self.numerator:
            waived = Fraction(self.numerator - total, denominator)
            yield ChargeLine(ChargeLineKind.MAXIMUM_CHARGE, waived)


def rate_leg(
    version: RateCardVersion,
    *,
    kind: LegKind,
    to_digits: str,
    origin: str | None,
    answered_at: datetime,
    talk_seconds: int,
) -> Charge | None:
    """The charge of an answered leg, or None when the version has no rate for it.

    `to_digits` are E.164 digits without "+", `origin` the caller's ISO region where it is known,
    `answered_at` is aware UTC. No talk time, no charge, not even the connection fee.
    Raises ValueError for a negative or absurd talk time, or digits that are none.
    """
    row = version.index.find(kind, to_digits, origin)
    if row == NO_ROW:
        return None
    tariff = version.tariff(row)
    if not 0 < talk_seconds <= limits.RATED_SECONDS_MAX:
        if talk_seconds:
            raise ValueError("talk_seconds must be 0 or more, and at most 31 days")
        numerator = billed_seconds = 0
    elif tariff.single:
        count = -(-talk_seconds // tariff.increment_seconds)
        billed_seconds = count * tariff.increment_seconds
        numerator = tariff.fee + count * tariff.increment_cost
    else:
        numerator, billed_seconds = tariff.bill(answered_at, talk_seconds)
    return Charge(
        round_ratio(numerator, tariff.divisor, tariff.mode) * tariff.step_micros,
        billed_seconds,
        talk_seconds,
        numerator,
        kind,
        to_digits,
        origin,
        answered_at,
        version,
        row,
        tariff,
    )


def max_usage(
    rate: Rate,
    rounding: Rounding,
    time_zone: str,
    *,
    answered_at: datetime,
    credit_micros: int,
    wanted_seconds: int,
    answered_until: datetime | None = None,
) -> int:
    """The most seconds, up to those wanted, that the credit pays for: one more would cost more.

    With `answered_until` the answer is still to come, at any moment up to then, and the result is
    what the credit pays for whenever it comes.
    """
    tariff = tariff_of(rate.terms, rounding, time_zone)
    return min(
        tariff.max_seconds(moment, credit_micros, wanted_seconds)
        for moment in _moments(tariff, answered_at, answered_until, wanted_seconds)
    )


def hold_amount_micros(
    rate: Rate,
    rounding: Rounding,
    time_zone: str,
    *,
    answered_at: datetime,
    seconds: int,
    answered_until: datetime | None = None,
) -> int:
    """What a leg of at most `seconds` can cost, answered at any moment up to `answered_until`.

    So it covers the dearest bands that the call can touch, whichever way increments fall.
    """
    tariff = tariff_of(rate.terms, rounding, time_zone)
    return max(
        tariff.round_micros(tariff.bill(moment, seconds)[0])
        for moment in _moments(tariff, answered_at, answered_until, seconds)
    )


def dearest_price_per_minute(
    rate: Rate,
    rounding: Rounding,
    time_zone: str,
    *,
    span_start: datetime,
    span_seconds: int,
) -> Fraction:
    """The highest price a minute, in currency units, of any band that the span touches."""
    tariff = tariff_of(rate.terms, rounding, time_zone)
    return max(
        Fraction(60 * slot.price_picos, slot.unit_seconds * PICOS_PER_UNIT)
        for band in tariff.bands_touched(span_start, max(span_seconds, 1))
        for slot in tariff.slots_of(band)
    )


def _moments(
    tariff: Tariff, answered_at: datetime, answered_until: datetime | None, seconds: int
) -> Iterator[datetime]:
    """The answer times to look at: one where no band changes, else every second of the window."""
    yield answered_at
    if answered_until is None or answered_until <= answered_at:
        return
    window_seconds = -((answered_at - answered_until) // _SECOND)
    if window_seconds > limits.ANSWER_WINDOW_SECONDS_MAX:
        raise ValueError("the window for the answer is over an hour")
    if len(tariff.bands_touched(answered_at, window_seconds + max(seconds, 1))) > 1:
        for later in range(1, window_seconds + 1):
            yield answered_at + later * _SECOND
