"""Real-world price decks into a rate card: a mapping says which column means what.

Every carrier has its own table: names for columns, several prefixes in one cell, patterns instead
of prefixes, increments in seconds or as "60s", a price per call, a multiplier, rows that are
switched off, names without any prefix. All or nothing: the card, or a line for each error.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from shared.contracts.deck_cells import (
    cell_name,
    cell_prefixes,
    cell_price,
    cell_seconds,
    comparable,
    prefix_cleaner,
)
from shared.contracts.deck_rows import DeckRow, csv_rows, json_rows
from shared.contracts.dial_out_policy import AdminBody
from shared.contracts.rate_cards import Price, RoundingBody
from shared.domain import limits
from shared.domain.errors import FieldError, Invalid
from shared.domain.legs import LegKind
from shared.domain.money import PICOS_PER_UNIT, RoundingMode
from shared.domain.rates import Rate, RateCardVersion, Rounding, Slot, build_version
from shared.domain.terms import minute_picos

Column = Annotated[str, Field(max_length=limits.FOREIGN_ID_CHARS_MAX)]
Seconds = Annotated[int, Field(ge=1, le=limits.RATE_SECONDS_MAX)]


class DeckColumns(AdminBody):
    """The deck's own name for each thing; a dotted path where the deck is JSON."""

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
    """What holds where the deck has no column, or an empty cell."""

    kind: Literal["dial_in", "dial_out"] = "dial_out"
    destination: str = ""
    price: Price | None = None
    connection_fee: Price = 0
    first_increment: Seconds | None = None
    increment: Seconds = 60
    unit_seconds: Seconds = 60
    grace_seconds: Annotated[int, Field(ge=0, le=limits.RATE_SECONDS_MAX)] = 0


class DeckMapping(AdminBody):
    """How to read a deck, and the card that it becomes."""

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
    international_prefix: Annotated[str, Field(pattern=r"^[0-9]{0,4}$")] = ""
    only_where: dict[Column, list[str]] = Field(default_factory=dict)
    skip_where: dict[Column, list[str]] = Field(default_factory=dict)
    duplicates: Literal["refuse", "first", "last", "dearest"] = "refuse"
    unknown_names: Literal["refuse", "skip"] = "refuse"

    @property
    def named_columns(self) -> set[str]:
        """The deck's columns that the mapping speaks of."""
        found = {*self.only_where, *self.skip_where, *self.columns.destination}
        for name, column in self.columns:
            if name != "destination" and column is not None:
                found.add(column)
        return found

    @model_validator(mode="after")
    def _has_the_least(self) -> "DeckMapping":
        if self.columns.price is None and self.defaults.price is None:
            raise ValueError("needs a column or a default for the price")
        if self.columns.prefix is None and not self.columns.destination:
            raise ValueError("needs a column for the prefix, or for names that have prefixes")
        return self


@dataclass(frozen=True, slots=True)
class DeckReport:
    """What became of the rows of a deck."""

    rows: int
    rates: int
    left_out: int
    duplicates: int
    unknown_names: tuple[str, ...]


class _Entry(NamedTuple):
    """A row that became a rate, with the lines that it stands on."""

    rate: Rate
    place: str


class _Refused(Exception):
    def __init__(self, place: str, detail: str) -> None:
        super().__init__(detail)
        self.error = FieldError(place, detail)


def import_deck(
    body: bytes,
    mapping: DeckMapping,
    card: str,
    effective_from: datetime,
    prefixes_by_name: Mapping[str, Sequence[str]] | None = None,
) -> tuple[RateCardVersion, DeckReport]:
    """The card that the deck spells, and what became of its rows.

    `prefixes_by_name` (of `read_names`) serves decks that name destinations and have no prefixes.
    Raises BadRequest when the deck can't be read, Invalid with a line for each wrong field.
    """
    importer = _Importer(mapping, prefixes_by_name or {})
    needed = mapping.named_columns
    is_json = mapping.format == "json"
    for row in json_rows(body, needed) if is_json else csv_rows(body, mapping, needed):
        importer.take(row)
        if importer.is_full or len(importer.errors) >= limits.RATE_CARD_ERRORS_MAX:
            break
    if importer.errors:
        raise Invalid("The deck is not valid.", tuple(importer.errors))
    entries = importer.entries
    try:
        version = build_version(
            card=card,
            effective_from=effective_from,
            currency=mapping.currency,
            time_zone=mapping.time_zone,
            rounding=Rounding(RoundingMode(mapping.rounding.mode), mapping.rounding.decimals),
            rates=[entry.rate for entry in entries],
            pointer=lambda at: entries[at].place,
        )
    except Invalid as error:
        raise Invalid("The deck is not valid.", error.errors) from None
    return version, importer.report()


def read_names(entries: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """Prefixes by the plain form of a destination's name, of (prefix, name) pairs."""
    found: dict[str, list[str]] = {}
    for prefix, name in entries:
        found.setdefault(comparable(name), []).append(prefix)
    return found


class _Importer:
    """Takes row after row; knows what it has taken."""

    def __init__(self, mapping: DeckMapping, prefixes_by_name: Mapping[str, Sequence[str]]) -> None:
        self.entries: list[_Entry] = []
        self.errors: list[FieldError] = []
        self._mapping = mapping
        self._names = prefixes_by_name
        self._places: dict[tuple[str, str | None], int] = {}
        self._rows = self._left_out = self._duplicates = 0
        self._unknown: dict[str, None] = {}
        self._open: list[int] = []  # the entries that the row before gave
        self._open_cell: str | None = None
        self.is_full = False
        self._clean = prefix_cleaner(mapping.strip, mapping.international_prefix)
        self._price = partial(cell_price, decimal_comma=mapping.decimal_comma)

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
        except _Refused as refused:
            self.errors.append(refused.error)

    def report(self) -> DeckReport:
        """What became of the rows so far."""
        return DeckReport(
            self._rows, len(self.entries), self._left_out, self._duplicates, tuple(self._unknown)
        )

    def _is_left_out(self, row: DeckRow) -> bool:
        fields, mapping = row.fields, self._mapping
        return any(
            fields.get(name, "") not in values for name, values in mapping.only_where.items()
        ) or any(fields.get(name, "") in values for name, values in mapping.skip_where.items())

    def _take(self, row: DeckRow) -> None:
        columns = self._mapping.columns
        start = _number(row, columns.slot_start, cell_seconds, 0)
        name = self._name(row)
        cell = name if columns.prefix is None else row.fields.get(columns.prefix, "")
        if start and cell == self._open_cell:
            for at in self._open:
                entry = self.entries[at]
                slots = (*entry.rate.slots, *self._slots(row, start))
                self.entries[at] = entry._replace(rate=replace(entry.rate, slots=slots))
            return
        self._open, self._open_cell = [], cell
        rate = Rate(
            LegKind(self._mapping.defaults.kind),
            "",
            name,
            _number(
                row, columns.connection_fee, self._price, self._mapping.defaults.connection_fee
            ),
            self._slots(row, start),
            origin=row.fields.get(columns.origin or "") or None,
            grace_seconds=_number(
                row, columns.grace_seconds, cell_seconds, self._mapping.defaults.grace_seconds
            ),
        )
        for prefix in self._prefixes(row, name):
            self._add(replace(rate, prefix=prefix, destination=name or f"+{prefix}"), row.place)

    def _add(self, rate: Rate, place: str) -> None:
        if len(self.entries) == limits.RATE_CARD_RATES_MAX:
            self.is_full = True
            most = limits.RATE_CARD_RATES_MAX
            raise _Refused(place, f"is where the deck has more than {most} rates")
        key = (rate.prefix, rate.origin)
        earlier = self._places.get(key)
        if earlier is None or self._mapping.duplicates == "refuse":
            self._places[key] = len(self.entries)
            self._open.append(len(self.entries))
            self.entries.append(_Entry(rate, place))
            return
        self._duplicates += 1
        kept = self.entries[earlier].rate
        dearer = minute_picos(rate.slots) > minute_picos(kept.slots)
        if self._mapping.duplicates == "last" or (self._mapping.duplicates == "dearest" and dearer):
            self._open.append(earlier)
            self.entries[earlier] = _Entry(rate, place)

    def _name(self, row: DeckRow) -> str:
        columns = self._mapping.columns.destination
        parts = [_read(row, column, cell_name) for column in columns]
        name = ", ".join(dict.fromkeys(part for part in parts if part))
        return name or self._mapping.defaults.destination

    def _prefixes(self, row: DeckRow, name: str) -> Sequence[str]:
        columns = self._mapping.columns
        if columns.prefix is None:
            return self._named_prefixes(row, name)
        code = self._clean(row.fields.get(columns.country_code or "", ""))
        found = _read(row, columns.prefix, partial(cell_prefixes, clean=self._clean))
        return [code + digits for digits in found]

    def _named_prefixes(self, row: DeckRow, name: str) -> Sequence[str]:
        found = self._names.get(comparable(name))
        if found is not None:
            return found
        if self._mapping.unknown_names == "refuse":
            raise _Refused(f"{row.place}/destination", f"no prefix is known for {name[:80]!r}")
        if len(self._unknown) < limits.RATE_CARD_ERRORS_MAX:
            self._unknown[name] = None
        self._left_out += 1
        return ()

    def _slots(self, row: DeckRow, start: int) -> tuple[Slot, ...]:
        columns, defaults = self._mapping.columns, self._mapping.defaults
        price = self._row_price(row)
        unit = _number(row, columns.unit, cell_seconds, defaults.unit_seconds)
        increment = _number(row, columns.increment, cell_seconds, defaults.increment)
        first = _number(
            row, columns.first_increment, cell_seconds, defaults.first_increment or increment
        )
        if start or first == increment:
            return (Slot(start, price, unit, increment),)
        return (Slot(0, price, unit, first), Slot(first, price, unit, increment))

    def _row_price(self, row: DeckRow) -> int:
        columns = self._mapping.columns
        price = _number(row, columns.price, self._price, self._mapping.defaults.price)
        if price is None:
            raise _Refused(f"{row.place}/{columns.price}", "has no price")
        multiplier = _number(row, columns.multiplier, self._price, PICOS_PER_UNIT)
        addition = _number(row, columns.addition, self._price, 0)
        scaled, rest = divmod(price * multiplier, PICOS_PER_UNIT)
        if rest:
            detail = "times its multiplier has more than 12 decimals"
            raise _Refused(f"{row.place}/{columns.price}", detail)
        return scaled + addition


def _number[T](row: DeckRow, column: str | None, read: Callable[[str], int], default: T) -> int | T:
    text = row.fields.get(column, "").strip() if column is not None else ""
    return _read(row, column or "", lambda _: read(text)) if text else default


def _read[T](row: DeckRow, column: str, read: Callable[[str], T]) -> T:
    try:
        return read(row.fields.get(column, ""))
    except ValueError as error:
        raise _Refused(f"{row.place}/{column}", str(error)) from None
