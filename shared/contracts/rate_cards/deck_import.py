"""Import of carriers' price decks as rate cards: a mapping names the columns.

Every carrier has its own table: names for columns, several prefixes in one cell, patterns instead
of prefixes, increments in seconds or as "60s", a price per call, a multiplier, rows that are
switched off, names without any prefix. All or nothing: the card, or a line for each error.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from shared.contracts.common.cpu_budget import CpuBudget
from shared.contracts.common.fields import AdminBody
from shared.contracts.common.validation import json_pointer
from shared.contracts.rate_cards.deck_cells import (
    PrefixRange,
    PrefixReader,
    cell_condition,
    cell_factor,
    cell_name,
    cell_price,
    cell_seconds,
    comparable,
)
from shared.contracts.rate_cards.deck_rows import DeckRow, csv_rows, json_rows
from shared.contracts.rate_cards.json_format import Price, RoundingBody
from shared.domain.common import limits
from shared.domain.common.errors import FieldError, Invalid
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import PICOS_PER_UNIT, RoundingMode
from shared.domain.rating.rate_card import Rate, RateCardVersion, Rounding, Slot, build_version
from shared.domain.rating.tariff import Tariff
from shared.domain.rating.terms import Terms, label_problem

REFERENCE_CALL_SECONDS = (30, 180, 600)
"""A rate is more expensive than another where calls of these lengths cost more in total."""
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)  # decks have no time bands
_EXACT = Rounding(RoundingMode.NONE, limits.AMOUNT_DECIMALS_MAX)
_REGION = re.compile(r"[A-Z]{2}", re.ASCII)
_CELL_CHARS_SHOWN = 40

Column = Annotated[str, Field(max_length=limits.FOREIGN_ID_CHARS_MAX)]
Seconds = Annotated[int, Field(ge=1, le=limits.RATE_SECONDS_MAX)]


class DeckColumns(AdminBody):
    """The deck's name of each column; a dotted path where the deck is JSON."""

    prefix: Column | None = None
    country_code: Column | None = None
    destination: list[Column] = Field(default_factory=list, max_length=5)
    price: Column | None = None
    connection_fee: Column | None = None
    first_increment: Column | None = None
    increment: Column | None = None
    unit: Column | None = None
    slot_start: Column | None = None
    grace_seconds: Column | None = None
    multiplier: Column | None = None
    addition: Column | None = None
    origin: Column | None = None


class DeckDefaults(AdminBody):
    """The values of rows without a column, or with an empty cell."""

    kind: Literal["dial_in", "dial_out"] = "dial_out"
    destination: str = ""
    price: Price | None = None
    connection_fee: Price = 0
    first_increment: Seconds | None = None
    increment: Seconds = 60
    unit_seconds: Seconds = 60
    grace_seconds: Annotated[int, Field(ge=0, le=limits.RATE_SECONDS_MAX)] = 0


class DeckMapping(AdminBody):
    """The columns and formats of a deck, and the fields of the resulting card."""

    currency: str
    time_zone: str = "UTC"
    rounding: RoundingBody
    format: Literal["csv", "json"] = "csv"
    encoding: Literal["utf-8", "utf-16", "cp1252"] = "utf-8"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    comment: Annotated[str, Field(max_length=2)] = ""
    decimal_comma: bool = False
    columns: DeckColumns
    defaults: DeckDefaults = DeckDefaults()
    strip: Annotated[str, Field(max_length=20)] = ""
    international_prefix: Annotated[str, Field(pattern=r"^(0[0-9]{0,3})?$")] = ""
    list_separator: Literal["", ",", ";", "/", "|", " "] = ""
    only_where: dict[Column, list[str]] = Field(default_factory=dict)
    skip_where: dict[Column, list[str]] = Field(default_factory=dict)
    duplicates: Literal["refuse", "first", "last", "dearest", "cheapest"] = "refuse"
    unknown_names: Literal["refuse", "skip"] = "refuse"

    @property
    def named_columns(self) -> set[str]:
        """The deck's columns that the mapping speaks of."""
        named = {*self.only_where, *self.skip_where, *self.columns.destination}
        for name, column in self.columns:
            if name != "destination" and column is not None:
                named.add(column)
        return named

    @property
    def price_columns(self) -> tuple[str, ...]:
        """The columns of prices, apart from prefix and name."""
        not_priced = {"prefix", "country_code", "destination"}
        named = (column for name, column in self.columns if name not in not_priced)
        return tuple(column for column in named if column is not None)

    @property
    def prefix_reader(self) -> PrefixReader:
        """The parser of the deck's prefixes."""
        return PrefixReader(self.strip, self.international_prefix, self.list_separator)

    @model_validator(mode="after")
    def _has_the_least(self) -> "DeckMapping":
        if self.columns.price is None and self.defaults.price is None:
            raise ValueError("needs a column or a default for the price")
        if self.columns.prefix is None and not self.columns.destination:
            raise ValueError("needs a column for the prefix, or for names that have prefixes")
        if self.columns.prefix is None and self.columns.country_code is not None:
            raise ValueError("has a column for the country code, but none for the prefix")
        return self


@dataclass(frozen=True, slots=True)
class DeckReport:
    """The outcome of the rows of a deck."""

    rows: int
    rates: int
    left_out: int
    duplicates: int
    unknown_names: tuple[str, ...]


class _DeckRates(NamedTuple):
    """A row that became rates: one of them without prefix and name, its name, and the prefixes."""

    rate: Rate
    name: str
    spans: Sequence[PrefixRange]
    place: str


class _LazyRates:
    """The rates of a deck in order; each is created when the caller reads it, since half a million
    of them would fill the memory."""

    def __init__(self, rows: Sequence[_DeckRates]) -> None:
        self.prefixes: list[str] = []
        self.entries = array("I")
        self._rows = rows

    def __iter__(self) -> Iterator[Rate]:
        for prefix, number in zip(self.prefixes, self.entries, strict=True):
            row = self._rows[number]
            yield _for_prefix(row.rate, prefix, row.name or f"+{prefix}")

    def place(self, position: int) -> str:
        """The position of the rate in the deck."""
        return self._rows[self.entries[position]].place


class _RowRefused(Exception):
    def __init__(self, place: str, detail: str) -> None:
        super().__init__(detail)
        self.error = FieldError(place, detail)


def import_deck(
    body: bytes,
    mapping: DeckMapping,
    card: str,
    effective_from: datetime,
    names: Mapping[str, Sequence[PrefixRange]] | None = None,
) -> tuple[RateCardVersion, DeckReport]:
    """The card that the deck encodes, and the outcome of its rows.

    `names` (of `read_names`) serves decks that name destinations and have no prefixes. Raises
    BadRequest when the deck can't be read, TooLarge, Invalid with a line for each wrong field,
    Invalid `deck_too_costly` when that takes too long.
    """
    budget = CpuBudget(limits.DECK_CPU_SECONDS_MAX)
    importer = _Importer(mapping, names or {})
    needed = mapping.named_columns
    is_json = mapping.format == "json"
    for row in json_rows(body, needed) if is_json else csv_rows(body, mapping, needed):
        budget.check()
        importer.take(row)
        if importer.is_full or len(importer.errors) >= limits.RATE_CARD_ERRORS_MAX:
            break
    if importer.errors:
        raise _not_valid(importer.errors)
    rates = importer.rates(budget)
    try:
        version = build_version(
            card=card,
            effective_from=effective_from,
            currency=mapping.currency,
            time_zone=mapping.time_zone,
            rounding=Rounding(RoundingMode(mapping.rounding.mode), mapping.rounding.decimals),
            rates=rates,
            pointer=rates.place,
        )
    except Invalid as error:
        raise _not_valid(error.errors) from None
    return version, importer.report(len(version))


def read_names(rows: Iterable[DeckRow], reader: PrefixReader) -> dict[str, list[PrefixRange]]:
    """Prefixes by the plain form of a destination's name, of rows with the columns `prefix` and
    `destination`. Raises Invalid with a line for each wrong field."""
    budget = CpuBudget(limits.DECK_CPU_SECONDS_MAX)
    ranges: dict[str, list[PrefixRange]] = {}
    errors: list[FieldError] = []
    for row in rows:
        budget.check()
        try:
            if row.problem:
                raise _RowRefused(row.place, row.problem)
            name = comparable(_read(row, "destination", cell_name))
            ranges.setdefault(name, []).extend(_read(row, "prefix", reader.spans))
        except _RowRefused as refused:
            errors.append(refused.error)
            if len(errors) >= limits.RATE_CARD_ERRORS_MAX:
                break
    if errors:
        raise Invalid(
            "The table of names is not valid, so nothing was stored. "
            "Correct the lines in errors and import again.",
            tuple(errors),
        )
    return ranges


def _not_valid(errors: Sequence[FieldError]) -> Invalid:
    detail = "The deck is not valid, so nothing was stored."
    return Invalid(detail, tuple(errors))


class _Importer:
    """Takes row after row; knows what it has taken. No range is expanded before all are counted."""

    def __init__(self, mapping: DeckMapping, names: Mapping[str, Sequence[PrefixRange]]) -> None:
        self.errors: list[FieldError] = []
        self.is_full = False
        self._mapping = mapping
        self._names = names
        self._reader = mapping.prefix_reader
        self._entries: list[_DeckRates] = []
        self._rows = self._left_out = self._duplicates = 0
        self._prefixes = self._range_prefixes = 0
        self._unknown: dict[str, None] = {}
        self._open: tuple[str, ...] | None = None  # what later slots of the last entry begin with
        self._only_where = _conditions(mapping.only_where)
        self._skip_where = _conditions(mapping.skip_where)
        self._price_columns = mapping.price_columns
        self._rates_read: dict[tuple[str, ...], tuple[Rate, int]] = {}
        self._names_read: dict[tuple[str, ...], str] = {}
        columns = mapping.columns
        self._where = (columns.country_code, columns.prefix, columns.origin)

    def take(self, row: DeckRow) -> None:
        """One row: rates, a further slot of the rates before it, nothing, or an error."""
        self._rows += 1
        if row.problem:
            self.errors.append(FieldError(row.place, row.problem))
            return
        if self._is_left_out(row):
            self._left_out += 1
            return
        try:
            self._take(row)
        except _RowRefused as refused:
            self.errors.append(refused.error)

    def rates(self, budget: CpuBudget) -> "_LazyRates":
        """All rates. Raises Invalid for repeated prefixes."""
        rates = _LazyRates(self._entries)
        positions: dict[str | tuple[str, str], int] = {}
        errors: list[FieldError] = []
        for number, entry in enumerate(self._entries):
            budget.check()
            origin = entry.rate.origin
            for span in entry.spans:
                one = span.first == span.last
                for prefix in (span.first,) if one else span.prefixes():
                    key = prefix if origin is None else (prefix, origin)
                    at = positions.setdefault(key, len(rates.prefixes))
                    if at == len(rates.prefixes):
                        rates.prefixes.append(prefix)
                        rates.entries.append(number)
                        continue
                    kept = self._entries[rates.entries[at]]
                    if self._mapping.duplicates == "refuse":
                        errors.append(self._twice(prefix, kept.place, entry.place))
                        if len(errors) >= limits.RATE_CARD_ERRORS_MAX:
                            raise _not_valid(errors)
                    else:
                        self._duplicates += 1
                        if self._replaces(entry.rate, kept.rate):
                            rates.entries[at] = number
        if errors:
            raise _not_valid(errors)
        return rates

    def report(self, rates: int) -> DeckReport:
        """The outcome for the rows and the number of rates made of them."""
        unknown = tuple(self._unknown)
        return DeckReport(self._rows, rates, self._left_out, self._duplicates, unknown)

    def _is_left_out(self, row: DeckRow) -> bool:
        fields = row.fields
        return any(
            cell_condition(fields.get(name, "")) not in values for name, values in self._only_where
        ) or any(
            cell_condition(fields.get(name, "")) in values for name, values in self._skip_where
        )

    def _take(self, row: DeckRow) -> None:
        columns = self._mapping.columns
        name = self._name(row)
        spans = self._spans(row, name)
        if spans is None:
            return
        rate, start = self._rate(row)
        begins = (name if columns.prefix is None else "", *_fields(row, self._where))
        if start and begins == self._open:
            entry = self._entries[-1]
            slots = (*entry.rate.slots, *rate.slots)
            if len(slots) > limits.RATE_SLOTS_MAX or start <= entry.rate.slots[-1].from_second:
                most = limits.RATE_SLOTS_MAX
                detail = f"must be after the slot before, of at most {most}"
                raise _RowRefused(_place(row, columns.slot_start), detail)
            self._entries[-1] = entry._replace(rate=replace(entry.rate, slots=slots))
            return
        self._open = None
        if start:
            detail = "begins later than second 0, but the row before is of another prefix"
            raise _RowRefused(_place(row, columns.slot_start), detail)
        self._count(row, spans)
        self._open = begins
        self._entries.append(_DeckRates(rate, name, spans, row.place))

    def _count(self, row: DeckRow, spans: Sequence[PrefixRange]) -> None:
        for span in spans:
            count = 1 if span.first == span.last else span.count
            self._prefixes += count
            self._range_prefixes += count if count > 1 else 0
        if self._range_prefixes > limits.DECK_RANGE_PREFIXES_MAX:
            detail = f"is where ranges make more than {limits.DECK_RANGE_PREFIXES_MAX} prefixes"
        elif self._prefixes > limits.RATE_CARD_RATES_MAX:
            detail = f"is where the deck has more than {limits.RATE_CARD_RATES_MAX} prefixes"
        else:
            return
        self.is_full = True
        raise _RowRefused(row.place, detail)

    def _name(self, row: DeckRow) -> str:
        key = _fields(row, self._mapping.columns.destination)
        name = self._names_read.get(key)
        if name is None:
            if len(self._names_read) >= limits.DECK_TERMS_KEPT_MAX:
                self._names_read.clear()
            name = self._names_read[key] = self._read_name(row)
        return name

    def _read_name(self, row: DeckRow) -> str:
        columns = self._mapping.columns.destination
        parts = [_read(row, column, cell_name) for column in columns]
        name = ", ".join(dict.fromkeys(part for part in parts if part))
        if name and (problem := label_problem(name)):
            raise _RowRefused(_place(row, columns[0]), f"{_shown(name)} {problem}")
        return name or self._mapping.defaults.destination

    def _spans(self, row: DeckRow, name: str) -> Sequence[PrefixRange] | None:
        """The prefixes of a row; None where its name has none and may be passed over."""
        columns, reader = self._mapping.columns, self._reader
        if columns.prefix is None:
            return self._named_spans(row, name)
        code = ""
        if columns.country_code is not None:
            code = _read(row, columns.country_code, reader.code, as_text=True)
        return _read(row, columns.prefix, lambda cell: reader.spans(cell, code), as_text=True)

    def _named_spans(self, row: DeckRow, name: str) -> Sequence[PrefixRange] | None:
        ranges = self._names.get(comparable(name))
        if ranges is not None:
            return ranges
        column = self._mapping.columns.destination[0]
        if self._mapping.unknown_names == "refuse":
            detail = (
                f"no prefix is known for {name[:80]!r}: the mapping's unknown_names can be skip"
            )
            raise _RowRefused(_place(row, column), detail)
        if len(self._unknown) < limits.RATE_CARD_ERRORS_MAX:
            self._unknown[name] = None
        self._left_out += 1
        return None

    def _rate(self, row: DeckRow) -> tuple[Rate, int]:
        """The rate of a row without prefix and name, and the second at which its slots begin.

        Most rows of a deck equal others; they are read once.
        """
        key = _fields(row, self._price_columns)
        rate = self._rates_read.get(key)
        if rate is None:
            if len(self._rates_read) >= limits.DECK_TERMS_KEPT_MAX:
                self._rates_read.clear()
            rate = self._rates_read[key] = self._read_rate(row)
        return rate

    def _read_rate(self, row: DeckRow) -> tuple[Rate, int]:
        columns, defaults = self._mapping.columns, self._mapping.defaults
        start = _number(row, columns.slot_start, cell_seconds, 0)
        fee = _number(row, columns.connection_fee, self._price, defaults.connection_fee)
        grace = _number(row, columns.grace_seconds, cell_seconds, defaults.grace_seconds)
        origin = row.fields.get(columns.origin or "", "").strip() or None
        if origin is not None and not _REGION.fullmatch(origin):
            detail = f"{_shown(origin)} must be an ISO region of two capital letters, such as US"
            raise _RowRefused(_place(row, columns.origin), detail)
        kind, slots = LegKind(defaults.kind), self._slots(row, start)
        return Rate(kind, "", "", fee, slots, origin=origin, grace_seconds=grace), start

    def _slots(self, row: DeckRow, start: int) -> tuple[Slot, ...]:
        columns, defaults = self._mapping.columns, self._mapping.defaults
        price = self._row_price(row)
        unit = _number(row, columns.unit, _positive_seconds, defaults.unit_seconds)
        increment = _number(row, columns.increment, _positive_seconds, defaults.increment)
        first = _number(
            row, columns.first_increment, _positive_seconds, defaults.first_increment or increment
        )
        if start or first == increment:
            return (Slot(start, price, unit, increment),)
        return (Slot(0, price, unit, first), Slot(first, price, unit, increment))

    def _row_price(self, row: DeckRow) -> int:
        columns = self._mapping.columns
        price = _number(row, columns.price, self._price, self._mapping.defaults.price)
        if price is None:
            raise _RowRefused(_place(row, columns.price), "has no price")
        multiplier = _number(row, columns.multiplier, self._factor, PICOS_PER_UNIT)
        addition = _number(row, columns.addition, self._price, 0)
        scaled, rest = divmod(price * multiplier, PICOS_PER_UNIT)
        if rest:
            detail = "times its multiplier has more than 12 decimals"
            raise _RowRefused(_place(row, columns.price), detail)
        if scaled + addition > limits.PRICE_PICOS_MAX:
            raise _RowRefused(_place(row, columns.price), "is over 1000000000")
        return scaled + addition

    def _price(self, text: str) -> int:
        mapping = self._mapping
        return cell_price(text, mapping.currency, decimal_comma=mapping.decimal_comma)

    def _factor(self, text: str) -> int:
        return cell_factor(text, decimal_comma=self._mapping.decimal_comma)

    def _twice(self, prefix: str, earlier: str, place: str) -> FieldError:
        columns = self._mapping.columns
        column = columns.prefix or columns.destination[0]
        detail = (
            f"{prefix!r} exists already at {earlier}: the mapping's duplicates can be 'first', "
            "'last', 'dearest' or 'cheapest'"
        )
        return FieldError(place + json_pointer((column,)), detail)

    def _replaces(self, rate: Rate, kept: Rate) -> bool:
        rule = self._mapping.duplicates
        if rule in {"first", "last"}:
            return rule == "last"
        before, after = _reference_cost(kept.terms), _reference_cost(rate.terms)
        return after > before if rule == "dearest" else after < before


def _for_prefix(rate: Rate, prefix: str, destination: str) -> Rate:
    """The rate of a row for one of its prefixes. (`replace` takes three times as long.)"""
    return Rate(
        rate.kind,
        prefix,
        destination,
        rate.connection_fee_picos,
        rate.slots,
        origin=rate.origin,
        grace_seconds=rate.grace_seconds,
    )


@lru_cache(maxsize=limits.DECK_TERMS_KEPT_MAX)
def _reference_cost(terms: Terms) -> Fraction:
    """The exact total cost of the reference calls, in currency units."""
    tariff = Tariff(terms, _EXACT, "UTC")
    numerators = (tariff.bill(_ANY_TIME, seconds)[0] for seconds in REFERENCE_CALL_SECONDS)
    return Fraction(sum(numerators), tariff.denominator)


def _conditions(where: Mapping[str, Sequence[str]]) -> list[tuple[str, frozenset[str]]]:
    return [(name, frozenset(map(cell_condition, values))) for name, values in where.items()]


def _positive_seconds(text: str) -> int:
    return cell_seconds(text, 1)


def _fields(row: DeckRow, columns: Iterable[str | None]) -> tuple[str, ...]:
    fields = row.fields
    return tuple([fields.get(column, "") for column in columns if column is not None])


def _number[T](row: DeckRow, column: str | None, read: Callable[[str], int], default: T) -> int | T:
    if column is None or not row.fields.get(column, "").strip():
        return default
    return _read(row, column, read)


def _read[T](row: DeckRow, column: str, read: Callable[[str], T], *, as_text: bool = False) -> T:
    """The value of a cell. `as_text`: a JSON value must be a text or a whole number."""
    text = row.fields.get(column, "")
    if row.not_text and column in row.not_text and (as_text or not text):
        raise _RowRefused(_place(row, column), row.not_text[column])
    try:
        return read(text)
    except ValueError as error:
        raise _RowRefused(_place(row, column), f"{_shown(text)} {error}") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _CELL_CHARS_SHOWN else f"{text[:_CELL_CHARS_SHOWN]}…")


def _place(row: DeckRow, column: str | None) -> str:
    return row.place if column is None else row.place + json_pointer((column,))
