"""Tables about rate cards, as CSV rows or as text to read: differences, prices, quotes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.common.fields import AdminBody, Id
from shared.contracts.common.validation import TimeText
from shared.contracts.rate_cards.deck_import import DeckReport
from shared.contracts.rate_cards.json_format import JsonObject
from shared.contracts.rate_cards.quotes import Called, Caller
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import (
    MICROS_PER_UNIT,
    RoundingMode,
    format_amount,
    format_fraction,
    format_price,
    format_ratio,
    round_ratio,
)
from shared.domain.numbers.classes import NumberClass
from shared.domain.rating.diff import ChangeKind, RateChange
from shared.domain.rating.price_list import CountryPrices
from shared.domain.rating.rate_card import Rate, RateCardVersion
from shared.domain.rating.rating import Charge
from shared.domain.rating.terms import Slot, minute_picos

CHANGE_COLUMNS = (
    *("change", "kind", "prefix", "origin", "destination", "percent"),
    *("price_before", "price_after", "connection_fee_before", "connection_fee_after"),
)
PRICE_COLUMNS = (
    *("region", "country", "calling_code", "number_class", "prefix", "destination"),
    *("connection_fee", "price_per_minute", "increments", "bands", "kind", "origin"),
)
QUOTE_COLUMNS = ("minutes", "talk_seconds", "billed_seconds", "amount", "per_minute", "sentence")
_SHOWN_CLASSES = (
    (NumberClass.FIXED_LINE, "Landline"),
    (NumberClass.MOBILE, "Mobile"),
    (NumberClass.PREMIUM_RATE, "Premium"),
    (NumberClass.SHARED_COST, "Shared cost"),
    (NumberClass.TOLL_FREE, "Toll-free"),
)


class QuoteTableBody(AdminBody):
    """`POST /api/v1/quotes/table`: calls of several lengths to one number."""

    account: Id | None = None
    rate_card: Id | None = None
    kind: Literal["dial_in", "dial_out"] = "dial_out"
    from_number: Caller | None = Field(default=None, alias="from")
    to: Called
    at: TimeText | None = None
    minutes: Annotated[
        list[Annotated[int, Field(ge=1, le=limits.LEG_SECONDS_MAX // 60)]],
        Field(min_length=1, max_length=limits.QUOTED_LENGTHS_MAX),
    ] = Field(default_factory=lambda: [1, 5, 15, 30, 60])

    @model_validator(mode="after")
    def _one_card(self) -> Self:
        if (self.account is None) == (self.rate_card is None):
            raise ValueError("needs either account or rate_card")
        return self


def deck_report_body(report: DeckReport) -> JsonObject:
    """The outcome of the rows of a deck, as a JSON object."""
    return {
        "rows": report.rows,
        "rates": report.rates,
        "left_out": report.left_out,
        "duplicates": report.duplicates,
        "unknown_names": list(report.unknown_names),
    }


def change_counts_body(counts: Mapping[ChangeKind, int], dearer: int, cheaper: int) -> JsonObject:
    """The number of different rates, and the direction of their prices."""
    return {
        **{kind.value: counts.get(kind, 0) for kind in ChangeKind},
        "dearer": dearer,
        "cheaper": cheaper,
    }


def change_row(change: RateChange) -> JsonObject:
    """A rate that differs, as a row of CHANGE_COLUMNS."""
    before, after, rate = change.before, change.after, change.rate
    return {
        "change": change.kind.value,
        "kind": rate.kind.value,
        "prefix": rate.prefix,
        "origin": rate.origin,
        "destination": rate.destination,
        "percent": None if change.percent is None else format_fraction(round(change.percent, 2)),
        "price_before": before and format_price(minute_picos(before.slots)),
        "price_after": after and format_price(minute_picos(after.slots)),
        "connection_fee_before": before and format_price(before.connection_fee_picos),
        "connection_fee_after": after and format_price(after.connection_fee_picos),
    }


def price_rows(
    listed: Sequence[CountryPrices], dial_in: Sequence[Rate] = ()
) -> Iterator[JsonObject]:
    """Prices as rows of PRICE_COLUMNS: one for each kind of number of each country, and one for
    each dial-in rate."""
    for each in listed:
        for number_class, rate in each.rates.items():
            yield {
                "region": each.region,
                "country": each.name,
                "calling_code": each.calling_code,
                "number_class": number_class.value,
                **({} if rate is None else _price(rate)),
                "kind": LegKind.DIAL_OUT.value,
            }
    for rate in dial_in:
        yield {**_price(rate), "kind": rate.kind.value, "origin": rate.origin}


def price_list_text(
    version: RateCardVersion, listed: Sequence[CountryPrices], dial_in: Sequence[Rate] = ()
) -> str:
    """Prices as tables to read: a minute, the connection fee, the increments; `*` has bands."""
    heads = ["Country", "Code", *(name for _, name in _SHOWN_CLASSES)]
    lines = [[each.name, f"+{each.calling_code}", *_cells(each)] for each in listed]
    title = (
        f"Rate card {version.card}, version {format_time(version.effective_from)}: dial-out in "
        f"{version.currency} a minute, with the connection fee and the increments in seconds.\n"
    )
    text = title + _aligned([heads, *lines])
    if not dial_in:
        return text
    callers = [
        [rate.destination, f"+{rate.prefix}", rate.origin or "any", _cell(rate)] for rate in dial_in
    ]
    return f"{text}\nDial-in, by service number.\n" + _aligned(
        [["Service number", "Prefix", "Caller from", "Price"], *callers]
    )


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def quote_table_body(charges: Sequence[Charge]) -> JsonObject:
    """Charges of calls of several lengths to one number."""
    first = charges[0]
    return {
        "rate": {
            "card": first.version.card,
            "version": format_time(first.version.effective_from),
            "prefix": first.rate.prefix,
            "destination": first.rate.destination,
        },
        "currency": first.version.currency,
        "items": list(quote_rows(charges)),
    }


def quote_rows(charges: Sequence[Charge]) -> Iterator[JsonObject]:
    """Charges of calls of several lengths, as rows of QUOTE_COLUMNS; `per_minute` is a figure for
    people, to the micro."""
    for charge in charges:
        minutes = charge.talk_seconds // 60
        per_minute_micros = round_ratio(charge.amount_micros, minutes, RoundingMode.HALF_EVEN)
        yield {
            "minutes": minutes,
            "talk_seconds": charge.talk_seconds,
            "billed_seconds": charge.billed_seconds,
            "amount": format_amount(charge.amount_micros),
            "per_minute": format_ratio(per_minute_micros, MICROS_PER_UNIT),
            "sentence": charge.sentence(),
        }


def _price(rate: Rate) -> JsonObject:
    return {
        "prefix": rate.prefix,
        "destination": rate.destination,
        "connection_fee": format_price(rate.connection_fee_picos),
        "price_per_minute": format_price(minute_picos(rate.slots)),
        "increments": _increments(rate.slots),
        "bands": len(rate.bands),
    }


def _increments(slots: Sequence[Slot]) -> str:
    """ "60" or "60/1": the increments of the slots in their order."""
    return "/".join(str(slot.increment_seconds) for slot in slots)


def _cells(prices: CountryPrices) -> Iterator[str]:
    for number_class, _ in _SHOWN_CLASSES:
        rate = prices.rates.get(number_class)
        if number_class is NumberClass.FIXED_LINE and number_class not in prices.rates:
            rate = next(iter(prices.rates.values()))  # a network has one kind of number
        elif number_class not in prices.rates:
            yield "-"
            continue
        if rate is None:
            yield "no rate"
            continue
        yield _cell(rate)


def _cell(rate: Rate) -> str:
    fee = rate.connection_fee_picos
    text = format_price(minute_picos(rate.slots))
    text += f" +{format_price(fee)}" if fee else ""
    return f"{text} {_increments(rate.slots)}" + ("*" if rate.bands else "")
