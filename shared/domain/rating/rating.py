"""The price of a leg, the seconds that a credit pays for, and the amount to hold for a future call.

A charge is one exact rational sum, rounded once, at the end, in the card's mode. It is computed at
once; everything that only explains it is built on demand.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.counts import counted
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import PICOS_PER_UNIT, RoundingMode, format_amount, round_ratio
from shared.domain.rating.rate_card import NO_ROW, Rate, RateCardVersion
from shared.domain.rating.tariff import Tariff, UsageSegment, price_text

_SECOND = timedelta(seconds=1)


class ChargeLineKind(StrEnum):
    """The purpose of a line of a charge."""

    CONNECTION_FEE = "connection_fee"
    USAGE = "usage"
    MINIMUM_CHARGE = "minimum_charge"
    MAXIMUM_CHARGE = "maximum_charge"


type _Part = tuple[ChargeLineKind, int, UsageSegment | None]


class ChargeLine(NamedTuple):
    """A part of a charge. Its amount is `numerator` over `denominator`, negative for a cap.

    Only usage lines have seconds, increments and a price. `band` is the band's name, or its number
    in the rate's list, counted from 1; None for the rate's own slots.
    """

    kind: ChargeLineKind
    numerator: int
    denominator: int
    from_second: int = 0
    seconds: int = 0
    increments: int = 0
    price_picos: int = 0
    unit_seconds: int = 0
    increment_seconds: int = 0
    band: str | None = None

    @property
    def amount(self) -> Fraction:
        """The exact amount in currency units."""
        return Fraction(self.numerator, self.denominator)


class Charge(NamedTuple):
    """A rated leg. `amount_micros` is the debit, never negative.

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
        return self._lines(self._parts())

    def sentence(self) -> str:
        """The charge in words: the matched prefix and the shorter ones, the counted increments, the
        rounding."""
        return self._sentence(self._parts())

    def explain(self) -> tuple[tuple[ChargeLine, ...], str]:
        """(lines, sentence), made of the same parts."""
        parts = self._parts()
        return self._lines(parts), self._sentence(parts)

    def _lines(self, parts: Sequence[_Part]) -> tuple[ChargeLine, ...]:
        denominator = self.tariff.denominator
        lines = [
            ChargeLine(kind, numerator, denominator)
            if segment is None
            else ChargeLine(
                kind,
                numerator,
                denominator,
                segment.from_second,
                segment.increments * segment.slot.increment_seconds,
                segment.increments,
                segment.slot.price_picos,
                segment.slot.unit_seconds,
                segment.slot.increment_seconds,
                self.tariff.band_name(segment.band),
            )
            for kind, numerator, segment in parts
        ]
        return tuple(lines)

    def _sentence(self, parts: Sequence[_Part]) -> str:
        return f"{self._price_owner()}: {self._sum(parts)}."

    def _parts(self) -> list[_Part]:
        """(kind, numerator, the stretch of a usage line) in the order of the bill."""
        tariff = self.tariff
        if self.talk_seconds <= tariff.grace_seconds:
            return []
        parts: list[_Part] = []
        total = tariff.connection_fee(self.answered_at)
        if total:
            parts.append((ChargeLineKind.CONNECTION_FEE, total, None))
        for segment in tariff.segments(self.answered_at, self.talk_seconds):
            total += segment.numerator
            parts.append((ChargeLineKind.USAGE, segment.numerator, segment))
        if total < self.numerator:
            parts.append((ChargeLineKind.MINIMUM_CHARGE, self.numerator - total, None))
        elif total > self.numerator:
            parts.append((ChargeLineKind.MAXIMUM_CHARGE, self.numerator - total, None))
        return parts

    def _price_owner(self) -> str:
        version = self.version
        won_over: list[str] = []
        not_for: list[str] = []
        for row, prefix, origin in version.index.matches(self.kind, self.to_digits):
            if row == self.row:
                winner = _prefix_text(prefix, origin)
            elif origin is None or origin == self.origin:
                won_over.append(_prefix_text(prefix, origin))
            else:
                not_for.append(_prefix_text(prefix, origin))
        text = (
            f"{self.talk_seconds} s of {_words(self.kind)} to {version.destination(self.row)}, "
            f"by {winner} of rate card {version.card}, version {_time_text(version.effective_from)}"
        )
        if won_over:
            text += f", which won over {_listed(won_over)}"
        if not_for:
            text += f" ({_listed(not_for)} hold for other callers)"
        return text

    def _sum(self, parts: Sequence[_Part]) -> str:
        tariff = self.tariff
        if not self.talk_seconds:
            return "no full second of talk time, nothing is charged"
        if self.talk_seconds <= tariff.grace_seconds:
            return f"within the {tariff.grace_seconds} s that are free, nothing is charged"
        addends = " + ".join([_part_text(tariff, *part) for part in parts])
        rounding = self.version.rounding
        how = (
            "up to the micro"
            if rounding.mode is RoundingMode.NONE
            else f"{_words(rounding.mode)} to {counted(rounding.effective_decimals, 'decimal')}"
        )
        return (
            f"{addends} = {tariff.amount_text(self.numerator)}, rounded {how}: "
            f"{format_amount(self.amount_micros)} {self.version.currency}"
        )


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
    `answered_at` is aware UTC. A leg without talk time costs nothing, not even the connection fee.
    Raises ValueError for a negative or too long talk time, or for digits that are no ASCII digits.
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


def paid_seconds(charge: Charge) -> int:
    """The seconds of a call that are charged, which included minutes may pay for."""
    if not charge.amount_micros:
        return 0
    return charge.tariff.paid_seconds(charge.answered_at, charge.talk_seconds)


def rest_after(charge: Charge, seconds: int) -> tuple[int, Charge | None]:
    """The rest of a call once included minutes paid for `seconds` of it: (the second at which the
    rest begins, its charge as that of a separate call, None without a rest)."""
    tariff, talk_seconds = charge.tariff, charge.talk_seconds
    if seconds >= paid_seconds(charge):
        return talk_seconds, None
    begin = tariff.second_after(charge.answered_at, talk_seconds, seconds)
    if begin >= talk_seconds:
        return talk_seconds, None
    rest = rate_leg(
        charge.version,
        kind=charge.kind,
        to_digits=charge.to_digits,
        origin=charge.origin,
        answered_at=charge.answered_at + timedelta(seconds=begin),
        talk_seconds=talk_seconds - begin,
    )
    return begin, rest


def rate_missing(
    version: RateCardVersion, kind: LegKind, to_number: str, origin: str | None
) -> str:
    """The reason for which `rate_leg` finds no rate for a number in E.164, as a sentence; it names
    the rates that hold for callers of other countries only."""
    text = f"Rate card {version.card} has no {kind.value} rate for {to_number}"
    matches = version.index.matches(kind, to_number.removeprefix("+"))
    origins = sorted({each for _, _, each in matches if each})
    if not origins:
        return f"{text}."
    caller = f"is from {origin}" if origin else "is unknown or of no single country"
    return (
        f"{text} without an origin: the card prices callers from {_listed(origins)} only, "
        f"and the caller {caller}."
    )


def max_usage(
    tariff: Tariff,
    *,
    answered_at: datetime,
    credit_micros: int,
    wanted_seconds: int,
    answered_until: datetime | None = None,
    after_seconds: int = 0,
) -> int:
    """The maximum of seconds, up to the requested ones, that the credit pays for.

    With `answered_until` the answer is still to come, at any moment up to then, and the result is
    what the credit pays for whenever it comes. `after_seconds`: included minutes pay so many
    seconds before, as in `rest_after`.
    """
    length = after_seconds + wanted_seconds

    def seconds_from(moment: datetime) -> int:
        begin = tariff.second_after(moment, length, after_seconds) if after_seconds else 0
        paid = tariff.max_seconds(moment + begin * _SECOND, credit_micros, length - begin)
        return begin + paid - after_seconds

    moments = _answer_moments(tariff, answered_at, answered_until, length)
    return min(seconds_from(moment) for moment in moments)


def hold_amount_micros(
    tariff: Tariff,
    *,
    answered_at: datetime,
    seconds: int,
    answered_until: datetime | None = None,
    after_seconds: int = 0,
) -> int:
    """The maximum price of a leg of at most `seconds`, answered at any moment up to
    `answered_until`.

    So it covers the most expensive bands that the call can touch, at any position of the
    increments. `after_seconds`: included minutes pay so many seconds before, as in `rest_after`.
    """
    length = after_seconds + seconds

    def micros_from(moment: datetime) -> int:
        begin = tariff.second_after(moment, length, after_seconds) if after_seconds else 0
        return tariff.round_micros(tariff.bill(moment + begin * _SECOND, length - begin)[0])

    moments = _answer_moments(tariff, answered_at, answered_until, length)
    return max(micros_from(moment) for moment in moments)


def spent_so_far(
    tariff: Tariff,
    *,
    answered_at: datetime,
    seconds: int,
    after_seconds: int,
) -> tuple[int, int]:
    """(micros, seconds until the cost rises) of a call that has lasted a number of seconds.

    Included minutes pay the first `after_seconds`, as in `rest_after`.
    """
    begin = tariff.second_after(answered_at, seconds, after_seconds) if after_seconds else 0
    if begin >= seconds:
        return 0, 0
    numerator, billed = tariff.bill(answered_at + begin * _SECOND, seconds - begin)
    return tariff.round_micros(numerator), max(0, billed - (seconds - begin))


def dearest_price_per_minute(
    tariff: Tariff,
    *,
    span_start: datetime,
    span_seconds: int,
) -> Fraction:
    """The highest price a minute, in currency units, of any band that the span touches."""
    return max(
        Fraction(60 * slot.price_picos, slot.unit_seconds * PICOS_PER_UNIT)
        for band in tariff.bands_touched(span_start, max(span_seconds, 1))
        for slot in tariff.slots_of(band)
    )


def _answer_moments(
    tariff: Tariff, answered_at: datetime, answered_until: datetime | None, seconds: int
) -> Iterator[datetime]:
    """The answer times to evaluate: one where no band changes, else every second of the window."""
    yield answered_at
    if answered_until is None or answered_until <= answered_at:
        return
    window_seconds = -((answered_at - answered_until) // _SECOND)
    if window_seconds > limits.ANSWER_WINDOW_SECONDS_MAX:
        raise ValueError("the window for the answer is over an hour")
    if len(tariff.bands_touched(answered_at, window_seconds + seconds)) > 1:
        for later in range(1, window_seconds + 1):
            yield answered_at + later * _SECOND


def _part_text(
    tariff: Tariff, kind: ChargeLineKind, numerator: int, segment: UsageSegment | None
) -> str:
    amount = tariff.amount_text(numerator)
    if segment is None:
        return f"{_words(kind)} {amount}"
    slot = segment.slot
    name = tariff.band_name(segment.band)
    band = "" if name is None else f" in {name}"
    return (
        f"{segment.increments} x {slot.increment_seconds} s from second {segment.from_second}"
        f"{band} at {price_text(slot.price_picos)} per {slot.unit_seconds} s ({amount})"
    )


def _prefix_text(prefix: str, origin: str | None) -> str:
    text = f"prefix {prefix}" if prefix else "the empty prefix"
    return text if origin is None else f"{text} for callers from {origin}"


def _listed(texts: list[str]) -> str:
    more = len(texts) - limits.EXPLAINED_PREFIXES_MAX
    if more <= 0:
        return ", ".join(texts)
    return f"{', '.join(texts[:-more])} and {more} more"


def _words(name: StrEnum) -> str:
    return name.replace("_", " ")


_time_text = lru_cache(maxsize=limits.LIST_ITEMS_DEFAULT)(format_time)
