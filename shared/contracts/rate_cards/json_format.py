"""A version of a rate card as JSON, in and out.

Prices and amounts are decimal strings with up to twelve decimals; a JSON number is refused, since
its writer may have rounded it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from shared.contracts.common.cpu_budget import CpuBudget
from shared.contracts.common.fields import AdminBody
from shared.contracts.common.validation import parse_body
from shared.domain.common import limits
from shared.domain.common.errors import FieldError, Invalid
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import RoundingMode, format_price, parse_price
from shared.domain.common.strict_json import load_object
from shared.domain.rating.rate_card import (
    Band,
    MaximumStrategy,
    Rate,
    RateCardVersion,
    Rounding,
    Slot,
    build_version,
)
from shared.domain.rating.terms import DAY_SECONDS

type JsonObject = dict[str, object]

_RATE_POINTER = re.compile(r"^/rates/([0-9]+)", re.ASCII)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?|24:00(?::00)?", re.ASCII)
PRICE_PATTERN = r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,12})?$"
_PRICE_SCHEMA = {"type": "string", "pattern": PRICE_PATTERN}
_CLOCK_SCHEMA = {"type": "string", "pattern": r"^[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?$"}


def read_price(value: object) -> int:
    """Picos of a decimal string. Raises ValueError on everything else, numbers included."""
    if not isinstance(value, str):
        raise ValueError('must be a decimal string such as "0.012", not a JSON number')
    return parse_price(value)


def read_clock(value: object) -> int:
    """Seconds of the local day of "18:00", "18:00:30" or "24:00"."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('must be a time of day such as "18:00"')
    if match[1] is None:
        return DAY_SECONDS
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0)


def format_clock(second_of_day: int) -> str:
    """The text that `read_clock` reads; seconds only if they are not zero."""
    minutes, seconds = divmod(second_of_day, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text


def _read_prefix(value: object) -> object:
    return value.removeprefix("+") if isinstance(value, str) else value


Price = Annotated[int, BeforeValidator(read_price), WithJsonSchema(_PRICE_SCHEMA)]
Clock = Annotated[int, BeforeValidator(read_clock), WithJsonSchema(_CLOCK_SCHEMA)]
Prefix = Annotated[str, BeforeValidator(_read_prefix), Field(max_length=limits.PREFIX_DIGITS_MAX)]
Seconds = Annotated[int, Field(ge=0, le=limits.RATE_SECONDS_MAX)]


class SlotBody(AdminBody):
    """A price from a second of the call on."""

    from_second: Seconds
    price: Price
    unit_seconds: Seconds
    increment_seconds: Seconds

    def to_domain(self) -> Slot:
        """The slot in domain units: prices in picos."""
        return Slot(self.from_second, self.price, self.unit_seconds, self.increment_seconds)


class BandBody(AdminBody):
    """Other slots at certain times of the card's local clock."""

    name: str = ""
    weekdays: list[int] = Field(default_factory=list, max_length=7)
    from_: Annotated[Clock, Field(alias="from")] = 0
    until: Clock = DAY_SECONDS
    dates: list[str] = Field(default_factory=list, max_length=limits.BAND_DATES_MAX)
    weight: int
    connection_fee: Price | None = None
    slots: Annotated[list[SlotBody], Field(min_length=1, max_length=limits.RATE_SLOTS_MAX)]

    def to_domain(self) -> Band:
        """The same in picos and seconds of the day."""
        return Band(
            self.weight,
            tuple(slot.to_domain() for slot in self.slots),
            self.name,
            tuple(sorted(self.weekdays)),
            self.from_,
            self.until,
            tuple(self.dates),
            self.connection_fee,
        )


class RateBody(AdminBody):
    """The price of legs of a kind to numbers with a prefix."""

    kind: Literal["dial_in", "dial_out"]
    prefix: Prefix
    destination: str
    connection_fee: Price = 0
    slots: Annotated[list[SlotBody], Field(min_length=1, max_length=limits.RATE_SLOTS_MAX)]
    minimum_charge: Price = 0
    maximum_charge: Price | None = None
    maximum_charge_strategy: Literal["cap", "stop"] | None = None
    bands: list[BandBody] = Field(default_factory=list, max_length=limits.RATE_BANDS_MAX)
    origin: str | None = None
    grace_seconds: Seconds = 0

    def to_domain(self) -> Rate:
        """The slot in domain units: prices in picos. A maximum without a strategy is a cap."""
        strategy = self.maximum_charge_strategy or ("cap" if self.maximum_charge else None)
        return Rate(
            LegKind(self.kind),
            self.prefix,
            self.destination,
            self.connection_fee,
            tuple(slot.to_domain() for slot in self.slots),
            self.minimum_charge,
            self.maximum_charge,
            MaximumStrategy(strategy) if strategy else None,
            tuple(band.to_domain() for band in self.bands),
            self.origin,
            self.grace_seconds,
        )


class RoundingBody(AdminBody):
    """The one rounding at the end of a charge."""

    mode: Literal["half_up", "up", "down", "half_even", "none"]
    decimals: Annotated[int, Field(ge=0, le=limits.RATE_DECIMALS_MAX)] = limits.AMOUNT_DECIMALS_MAX


class RatesBody(AdminBody):
    """Rates of a rate card."""

    rates: Annotated[list[RateBody], Field(min_length=1, max_length=limits.RATE_CARD_RATES_MAX)]


class RateCardBody(RatesBody):
    """A whole version of a rate card."""

    currency: str
    time_zone: str = "UTC"
    rounding: RoundingBody


def parse_rate_card_json(body: bytes, card: str, effective_from: datetime) -> RateCardVersion:
    """The version that the JSON encodes.

    Raises BadRequest when it is no JSON, Invalid with a pointer for each bad field, Invalid
    `deck_too_costly`.
    """
    reader = _RatesReader(CpuBudget(limits.DECK_CPU_SECONDS_MAX))
    value = load_object(body, "rates", reader.take, reader.members)
    reader.read_part()
    if not isinstance(value, dict):
        raise Invalid("The rate card is not valid.", (FieldError("", "must be an object"),))
    head = reader.head(value)
    return build_version(
        card=card,
        effective_from=effective_from,
        currency=head.currency,
        time_zone=head.time_zone,
        rounding=Rounding(RoundingMode(head.rounding.mode), head.rounding.decimals),
        rates=reader.rates,
    )


class _RatesReader:
    """Reads rates part by part: of a million wrong ones, only those that are shown become errors.

    A part is bounded by its number of rates and by its text, since a short text can make many
    objects.
    """

    def __init__(self, budget: CpuBudget) -> None:
        self.rates: list[Rate] = []
        self.members: dict[str, object] = {}
        self._budget = budget
        self._part: list[object] = []
        self._sample: list[object] = []
        self._chars = 0

    def take(self, rate: object, chars: int) -> None:
        """The next rate. Raises what `read_part` raises, and Invalid for one too many."""
        if len(self.rates) + len(self._part) >= limits.RATE_CARD_RATES_MAX:
            most = FieldError("/rates", f"must have at most {limits.RATE_CARD_RATES_MAX} rates")
            raise Invalid("The rate card is not valid.", (most,))
        self._part.append(rate)
        self._chars += chars
        if (
            len(self._part) >= limits.RATE_CARD_PART_RATES
            or self._chars >= limits.RATE_CARD_PART_CHARS
        ):
            self.read_part()

    def read_part(self) -> None:
        """Read the rates that were taken since the part before.

        Raises Invalid for them and for the members that were read before them, with pointers that
        count from the first rate, and `deck_too_costly`.
        """
        self._budget.check()
        if not self._part:
            return
        try:
            parsed = parse_body(RatesBody, {"rates": self._part})
        except Invalid as error:
            start = len(self.rates)
            moved = (
                FieldError(
                    _RATE_POINTER.sub(lambda at: f"/rates/{int(at[1]) + start}", each.pointer, 1),
                    each.detail,
                )
                for each in error.errors
            )
            raise Invalid("The rate card is not valid.", (*self._head_errors(), *moved)) from None
        self.rates += [rate.to_domain() for rate in parsed.rates]
        self._sample = self._part[:1]
        self._part, self._chars = [], 0

    def _head_errors(self) -> Iterator[FieldError]:
        try:
            parse_body(RateCardBody, {**self.members, "rates": []})
        except Invalid as error:
            for each in error.errors:
                if each.pointer.split("/")[1:2] != ["rates"] and each.pointer[1:] in self.members:
                    yield each

    def head(self, value: Mapping[str, object]) -> RateCardBody:
        """The fields of the card besides its rates. Raises Invalid."""
        return parse_body(RateCardBody, {**value, "rates": self._sample} if self._sample else value)


def render_rate_card_json(version: RateCardVersion) -> JsonObject:
    """The version as `parse_rate_card_json` reads it; optional fields only if they differ from
    their defaults."""
    return {**render_card_fields(version), "rates": [render_rate(each) for each in version.rates()]}


def render_card_fields(version: RateCardVersion) -> JsonObject:
    """The card's own fields, without its rates."""
    return {
        "currency": version.currency,
        "time_zone": version.time_zone,
        "rounding": {
            "mode": version.rounding.mode.value,
            "decimals": version.rounding.decimals,
        },
    }


def render_rate(rate: Rate) -> JsonObject:
    """One rate of a version, as in its JSON."""
    content: JsonObject = {
        "kind": rate.kind.value,
        "prefix": rate.prefix,
        "destination": rate.destination,
        "connection_fee": format_price(rate.connection_fee_picos),
        "slots": _slots(rate.slots),
    }
    if rate.minimum_charge_picos:
        content["minimum_charge"] = format_price(rate.minimum_charge_picos)
    if rate.maximum_charge_picos is not None and rate.maximum_charge_strategy is not None:
        content["maximum_charge"] = format_price(rate.maximum_charge_picos)
        content["maximum_charge_strategy"] = rate.maximum_charge_strategy.value
    if rate.bands:
        content["bands"] = [_band(band) for band in rate.bands]
    if rate.origin is not None:
        content["origin"] = rate.origin
    if rate.grace_seconds:
        content["grace_seconds"] = rate.grace_seconds
    return content


def _band(band: Band) -> JsonObject:
    content: JsonObject = {"name": band.name} if band.name else {}
    if band.weekdays:
        content["weekdays"] = list(band.weekdays)
    content["from"] = format_clock(band.from_second_of_day)
    content["until"] = format_clock(band.until_second_of_day)
    if band.dates:
        content["dates"] = list(band.dates)
    content["weight"] = band.weight
    if band.connection_fee_picos is not None:
        content["connection_fee"] = format_price(band.connection_fee_picos)
    content["slots"] = _slots(band.slots)
    return content


def _slots(slots: tuple[Slot, ...]) -> list[JsonObject]:
    return [
        {
            "from_second": slot.from_second,
            "price": format_price(slot.price_picos),
            "unit_seconds": slot.unit_seconds,
            "increment_seconds": slot.increment_seconds,
        }
        for slot in slots
    ]
