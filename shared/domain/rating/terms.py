"""The price of a call to any number: slots, time bands, fees and bounds of one rate.

Plain facts with their checks. `time_bands` knows which band is in force when, `tariff` turns the
facts into integers that are quick to charge with.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise

from shared.domain.common import limits
from shared.domain.common.errors import FieldError
from shared.domain.common.formulas import FORMULA_RULE, is_formula
from shared.domain.common.money import RoundingMode, ceil_div

DAY_SECONDS = 86_400
_FULL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_YEARLY_DATE = re.compile(r"[0-9]{2}-[0-9]{2}", re.ASCII)
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,200}")
_LEAP_YEAR = 2024


class MaximumStrategy(StrEnum):
    """The effect of a maximum charge: `cap` bounds the charge, `stop` the grant."""

    CAP = "cap"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Slot:
    """A price from a second of the call on: per `unit_seconds`, in whole increments."""

    from_second: int
    price_picos: int
    unit_seconds: int
    increment_seconds: int


@dataclass(frozen=True, slots=True)
class Band:
    """Other slots while the card's local clock is between two times of a day.

    `weekdays` (1 Monday to 7 Sunday) and `dates` ("2026-12-25", or "12-25" for every year) are
    conditions; an empty one always holds. A band whose end is not after its start runs over
    midnight and belongs to the day on which it starts. The highest weight wins, then the later
    start, then the earlier in the list; the rate's own slots have weight 0 and always hold. The
    connection fee is that of the band in which the call was answered; None takes the rate's.
    """

    weight: int
    slots: tuple[Slot, ...]
    name: str = ""
    weekdays: tuple[int, ...] = ()
    from_second_of_day: int = 0
    until_second_of_day: int = DAY_SECONDS
    dates: tuple[str, ...] = ()
    connection_fee_picos: int | None = None


@dataclass(frozen=True, slots=True)
class Rounding:
    """The one rounding at the end of a charge; more than 6 decimals count as 6."""

    mode: RoundingMode
    decimals: int

    @property
    def effective_decimals(self) -> int:
        """Decimals of the currency unit that are kept: `none` keeps micros."""
        if self.mode is RoundingMode.NONE:
            return limits.AMOUNT_DECIMALS_MAX
        return min(self.decimals, limits.AMOUNT_DECIMALS_MAX)


@dataclass(frozen=True, slots=True)
class Terms:
    """The priced part of a rate, shared by all destinations that cost the same."""

    connection_fee_picos: int
    slots: tuple[Slot, ...]
    minimum_charge_picos: int
    maximum_charge_picos: int | None
    maximum_charge_strategy: MaximumStrategy | None
    bands: tuple[Band, ...]
    grace_seconds: int


def terms_errors(terms: Terms) -> Iterator[FieldError]:
    """The errors of the terms, pointers relative to the rate that carries them."""
    yield from _picos_errors("/connection_fee", terms.connection_fee_picos)
    yield from _picos_errors("/minimum_charge", terms.minimum_charge_picos)
    yield from _maximum_errors(terms)
    if not 0 <= terms.grace_seconds <= limits.RATE_SECONDS_MAX:
        yield FieldError("/grace_seconds", f"must be 0 to {limits.RATE_SECONDS_MAX}")
    yield from _slots_errors("/slots", terms.slots)
    if len(terms.bands) > limits.RATE_BANDS_MAX:
        yield FieldError("/bands", f"has more than {limits.RATE_BANDS_MAX} bands")
        return
    for index, band in enumerate(terms.bands):
        yield from _band_errors(f"/bands/{index}", band)


def minute_picos(slots: tuple[Slot, ...]) -> int:
    """The price of a minute in the most expensive slot, in whole picos, rounded up."""
    return max(ceil_div(60 * slot.price_picos, slot.unit_seconds) for slot in slots)


def label_problem(text: str) -> str:
    """The error of a displayed name; "" without one."""
    if not _NAME.fullmatch(text):
        return "must be 1 to 200 characters without controls"
    return FORMULA_RULE if is_formula(text) else ""


def _picos_errors(pointer: str, picos: int) -> Iterator[FieldError]:
    if not 0 <= picos <= limits.PRICE_PICOS_MAX:
        yield FieldError(pointer, "must be 0 to 1000000000")


def _maximum_errors(terms: Terms) -> Iterator[FieldError]:
    maximum = terms.maximum_charge_picos
    if maximum is None:
        if terms.maximum_charge_strategy is not None:
            yield FieldError("/maximum_charge_strategy", "needs a maximum_charge")
        return
    if terms.maximum_charge_strategy is None:
        yield FieldError("/maximum_charge", 'needs a maximum_charge_strategy, "cap" or "stop"')
    if not 0 < maximum <= limits.PRICE_PICOS_MAX:
        yield FieldError("/maximum_charge", "must be more than 0; leave it out for none")
    elif maximum < terms.minimum_charge_picos:
        yield FieldError("/maximum_charge", "is below the minimum_charge")


def _slots_errors(pointer: str, slots: tuple[Slot, ...]) -> Iterator[FieldError]:
    if not 1 <= len(slots) <= limits.RATE_SLOTS_MAX:
        yield FieldError(pointer, f"must have 1 to {limits.RATE_SLOTS_MAX} slots")
        return
    if slots[0].from_second != 0:
        yield FieldError(f"{pointer}/0/from_second", "the first slot must start at second 0")
    for index, (before, slot) in enumerate(pairwise(slots), 1):
        if not before.from_second < slot.from_second <= limits.RATE_SECONDS_MAX:
            yield FieldError(
                f"{pointer}/{index}/from_second", "must be after the slot before, within 31 days"
            )
    for index, slot in enumerate(slots):
        where = f"{pointer}/{index}"
        yield from _picos_errors(f"{where}/price", slot.price_picos)
        if not 1 <= slot.unit_seconds <= limits.RATE_SECONDS_MAX:
            yield FieldError(f"{where}/unit_seconds", f"must be 1 to {limits.RATE_SECONDS_MAX}")
        if not 1 <= slot.increment_seconds <= limits.RATE_SECONDS_MAX:
            yield FieldError(
                f"{where}/increment_seconds", f"must be 1 to {limits.RATE_SECONDS_MAX}"
            )


def _band_errors(pointer: str, band: Band) -> Iterator[FieldError]:
    if band.name and (problem := label_problem(band.name)):
        yield FieldError(f"{pointer}/name", problem)
    if not 1 <= band.weight <= limits.BAND_WEIGHT_MAX:
        yield FieldError(f"{pointer}/weight", f"must be 1 to {limits.BAND_WEIGHT_MAX}")
    if any(not 1 <= day <= 7 for day in band.weekdays):
        yield FieldError(f"{pointer}/weekdays", "must be 1 (Monday) to 7 (Sunday)")
    if len(set(band.weekdays)) != len(band.weekdays):
        yield FieldError(f"{pointer}/weekdays", "names a day twice")
    if not 0 <= band.from_second_of_day < DAY_SECONDS:
        yield FieldError(f"{pointer}/from", 'must be "00:00" to "23:59:59"')
    if not 0 <= band.until_second_of_day <= DAY_SECONDS:
        yield FieldError(f"{pointer}/until", 'must be "00:00" to "24:00"')
    if band.from_second_of_day == band.until_second_of_day:
        yield FieldError(f"{pointer}/until", "is the start of the band; a whole day ends at 24:00")
    if len(band.dates) > limits.BAND_DATES_MAX:
        yield FieldError(f"{pointer}/dates", f"has more than {limits.BAND_DATES_MAX} dates")
    for index, text in enumerate(band.dates):
        if not _is_date(text):
            yield FieldError(f"{pointer}/dates/{index}", 'must be "2026-12-25" or "12-25"')
    if band.connection_fee_picos is not None:
        yield from _picos_errors(f"{pointer}/connection_fee", band.connection_fee_picos)
    yield from _slots_errors(f"{pointer}/slots", band.slots)


def _is_date(text: str) -> bool:
    if _YEARLY_DATE.fullmatch(text):
        text = f"{_LEAP_YEAR}-{text}"
    if not _FULL_DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
