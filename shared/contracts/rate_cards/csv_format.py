"""A version of a rate card as CSV, in and out: a row per slot, lossless.

The columns are the names of the JSON. Every row contains the card's own fields, each row of a rate
contains its fields, and the rows of a rate are consecutive. `band` numbers the bands of a rate from
1 and is empty for the rate's own slots. Lists are separated by spaces.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from shared.contracts.common.cpu_budget import CpuBudget
from shared.contracts.rate_cards.deck_rows import BoundedLines, check_line_count
from shared.contracts.rate_cards.json_format import format_clock, read_clock
from shared.domain.common import limits
from shared.domain.common.counts import counted
from shared.domain.common.errors import BadRequest, FieldError, Invalid
from shared.domain.common.formulas import escape_formulas
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import RoundingMode, format_price, parse_price
from shared.domain.rating.rate_card import (
    Band,
    MaximumStrategy,
    Rate,
    RateCardVersion,
    Rounding,
    Slot,
    Terms,
    build_version,
)

_CARD = ("currency", "time_zone", "rounding_mode", "rounding_decimals")
_WHERE = ("kind", "prefix", "destination", "origin")
_RATE = (
    *("connection_fee", "minimum_charge", "maximum_charge", "maximum_charge_strategy"),
    "grace_seconds",
)
_BAND = (
    "band",
    "band_name",
    "weekdays",
    "from",
    "until",
    "dates",
    "weight",
    "band_connection_fee",
)
_SLOT = ("from_second", "price", "unit_seconds", "increment_seconds")
COLUMNS = (*_CARD, *_WHERE, *_RATE, *_BAND, *_SLOT)
_REQUIRED = frozenset(("currency", "rounding_mode", "kind", "prefix", "destination", *_SLOT))
_ALIASES = {
    "mode": "rounding_mode",
    "decimals": "rounding_decimals",
    "rounding.mode": "rounding_mode",
    "rounding.decimals": "rounding_decimals",
}
_LEFT_OUT = {"time_zone": "UTC", "rounding_decimals": str(limits.AMOUNT_DECIMALS_MAX)}
_DEFAULTS = [_LEFT_OUT.get(name, "") for name in COLUMNS]
_COLUMNS_SHOWN_MAX = 30
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_SLOT_POINTER = re.compile(r"(?:/bands/([0-9]+))?/slots/([0-9]+)/(.+)", re.ASCII)
_BAND_POINTER = re.compile(r"/bands/([0-9]+)/([a-z_]+).*", re.ASCII)


class _CsvRow(NamedTuple):
    """One line of the table: its number and its fields in the order of COLUMNS."""

    line: int
    fields: tuple[str, ...]


class _CellRefused(Exception):
    """A field that can't be read; `row` counts the rows of the rate from 0."""

    def __init__(self, row: int, column: str, detail: str) -> None:
        super().__init__(detail)
        self.row = row
        self.column = column
        self.detail = detail


def parse_rate_card_csv(body: bytes, card: str, effective_from: datetime) -> RateCardVersion:
    """The version that the table encodes. Raises Invalid for a table with any error.

    Raises BadRequest when it is no CSV in UTF-8, TooLarge, Invalid with `/lines/{line}/{column}`
    for each field that is wrong, Invalid `deck_too_costly`.
    """
    errors: list[FieldError] = []
    rows = _rows(body, errors)
    first = next(rows, None)
    if first is None:
        errors = errors or [FieldError("/lines/1", "has no rates")]
        raise Invalid("The rate card is not valid.", tuple(errors))
    currency, time_zone, mode, decimals = first.fields[: len(_CARD)]
    rounding = _rounding(first.line, mode, decimals, errors)
    rates: list[Rate] = []
    lines: list[list[int]] = []
    priced: dict[tuple[tuple[str, ...], ...], Terms] = {}
    budget = CpuBudget(limits.DECK_CPU_SECONDS_MAX)
    for group in _groups(first, rows):
        budget.check()
        if len(errors) >= limits.RATE_CARD_ERRORS_MAX:
            break
        try:
            rates.append(_rate(group, first.fields, priced))
            lines.append([row.line for row in group])
        except _CellRefused as refused:
            where = f"/lines/{group[refused.row].line}/{refused.column}"
            errors.append(FieldError(where, refused.detail))
    if errors or rounding is None:
        errors.sort(key=lambda error: int(error.pointer.split("/")[2]))
        raise Invalid("The rate card is not valid.", tuple(errors[: limits.RATE_CARD_ERRORS_MAX]))
    try:
        return build_version(
            card=card,
            effective_from=effective_from,
            currency=currency,
            time_zone=time_zone,
            rounding=rounding,
            rates=rates,
        )
    except Invalid as error:
        located = tuple(_on_line(each, rates, lines, first.line) for each in error.errors)
        raise Invalid(error.detail, located) from None


def render_rate_card_csv(version: RateCardVersion) -> Iterator[str]:
    """The lines of the table, header first, each with its CR LF."""
    line = io.StringIO(newline="")
    writer = csv.writer(line)
    card = (
        version.currency,
        version.time_zone,
        version.rounding.mode.value,
        version.rounding.decimals,
    )
    writer.writerow(COLUMNS)
    for rate in version.rates():
        name = escape_formulas(rate.destination)  # of cards from before such names were refused
        where = (rate.kind.value, rate.prefix, name, rate.origin or "")
        maximum = rate.maximum_charge_picos
        fees = (
            format_price(rate.connection_fee_picos),
            format_price(rate.minimum_charge_picos),
            "" if maximum is None else format_price(maximum),
            rate.maximum_charge_strategy or "",
            rate.grace_seconds,
        )
        tables = [(("",) * len(_BAND), rate.slots)]
        tables += [(_band_fields(at, band), band.slots) for at, band in enumerate(rate.bands, 1)]
        for band_fields, slots in tables:
            for slot in slots:
                price = format_price(slot.price_picos)
                fields = (slot.from_second, price, slot.unit_seconds, slot.increment_seconds)
                writer.writerow((*card, *where, *fees, *band_fields, *fields))
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _band_fields(number: int, band: Band) -> tuple[str, ...]:
    fee = band.connection_fee_picos
    return (
        str(number),
        escape_formulas(band.name),
        " ".join(map(str, band.weekdays)),
        format_clock(band.from_second_of_day),
        format_clock(band.until_second_of_day),
        " ".join(band.dates),
        str(band.weight),
        "" if fee is None else format_price(fee),
    )


def _rows(body: bytes, errors: list[FieldError]) -> Iterator[_CsvRow]:
    """The rows that have the width of the header; the others are errors."""
    check_line_count(body, "table")
    lines = BoundedLines(body, "utf-8-sig")
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        lines.row_done()
        if len(header) > limits.DECK_COLUMNS_MAX:
            raise BadRequest(
                f"The table has {len(header)} columns. Send at most {limits.DECK_COLUMNS_MAX}."
            )
        arrange = itemgetter(*_places(header))
        width = len(header)
        for fields in reader:
            lines.row_done()
            if not fields:
                continue
            if len(fields) != width:
                detail = f"has {counted(len(fields), 'field')}, the header has {width}"
                errors.append(FieldError(f"/lines/{reader.line_num}", detail))
                if len(errors) >= limits.RATE_CARD_ERRORS_MAX:
                    return
                continue
            yield _CsvRow(reader.line_num, arrange(fields + _DEFAULTS))
    except UnicodeError:
        raise BadRequest(
            f"The table is not UTF-8. Save it as UTF-8; the fault is after line {reader.line_num}."
        ) from None
    except csv.Error as error:
        raise BadRequest(
            f"The table is not valid CSV at line {reader.line_num} ({error}). Correct the line."
        ) from None


def _places(header: list[str]) -> list[int]:
    """For each of COLUMNS its place in a row that is followed by the defaults of all columns."""
    names = [_ALIASES.get(name, name) for name in header]
    unknown = [name for name in names if name not in COLUMNS]
    missing = sorted(_REQUIRED.difference(names))
    twice = sorted({name for name in names if names.count(name) > 1})
    shown = ", ".join(name[:80] for name in header[:_COLUMNS_SHOWN_MAX])
    there_are = f"; there are {shown}" if shown else ""
    problems = [
        *(f"has an unknown column {name[:80]!r}" for name in unknown[:20]),
        *(f"has no column {name}{there_are}" for name in missing),
        *(f"has the column {name[:80]!r} twice" for name in twice[:20]),
    ]
    if problems:
        errors = tuple(FieldError("/lines/1", problem) for problem in problems)
        raise Invalid("The header of the table is not valid.", errors)
    places = {name: at for at, name in enumerate(names)}
    return [places.get(name, len(names) + at) for at, name in enumerate(COLUMNS)]


def _groups(first: _CsvRow, rows: Iterator[_CsvRow]) -> Iterator[list[_CsvRow]]:
    """The rows of each rate: consecutive ones with the same destination fields."""
    begin, end = len(_CARD), len(_CARD) + len(_WHERE)
    group = [first]
    for row in rows:
        if row.fields[begin:end] == group[0].fields[begin:end]:
            group.append(row)
        else:
            yield group
            group = [row]
    yield group


def _rounding(line: int, mode: str, decimals: str, errors: list[FieldError]) -> Rounding | None:
    before = len(errors)
    if mode not in set(RoundingMode):
        detail = f"must be one of {', '.join(RoundingMode)}"
        errors.append(FieldError(f"/lines/{line}/rounding_mode", detail))
    if not _NUMBER.fullmatch(decimals):
        errors.append(FieldError(f"/lines/{line}/rounding_decimals", "must be a whole number"))
    return Rounding(RoundingMode(mode), int(decimals)) if len(errors) == before else None


def _rate(
    group: list[_CsvRow],
    card: tuple[str, ...],
    priced: dict[tuple[tuple[str, ...], ...], Terms],
) -> Rate:
    for at, row in enumerate(group):
        if row.fields[: len(_CARD)] != card[: len(_CARD)]:
            raise _CellRefused(
                at, "currency", "the card's own fields must be those of the first row"
            )
    kind, prefix, destination, origin = group[0].fields[len(_CARD) : len(_CARD) + len(_WHERE)]
    if kind not in {LegKind.DIAL_IN.value, LegKind.DIAL_OUT.value}:
        raise _CellRefused(0, "kind", 'must be "dial_in" or "dial_out"')
    key = tuple(row.fields[len(_CARD) + len(_WHERE) :] for row in group)
    terms = priced.get(key)
    if terms is None:
        terms = priced[key] = _read_terms([_named(row) for row in group])
    return Rate.of(LegKind(kind), prefix.removeprefix("+"), destination, origin or None, terms)


def _named(row: _CsvRow) -> dict[str, str]:
    return dict(zip(COLUMNS, row.fields, strict=True))


def _read_terms(rows: list[dict[str, str]]) -> Terms:
    for at, row in enumerate(rows):
        for column in _RATE:
            if row[column] != rows[0][column]:
                raise _CellRefused(at, column, "must be the same on every row of the rate")
    fields = rows[0]
    maximum = _field(fields, 0, "maximum_charge", parse_price) if fields["maximum_charge"] else None
    strategy = fields["maximum_charge_strategy"] or ("cap" if maximum is not None else "")
    if strategy and strategy not in set(MaximumStrategy):
        raise _CellRefused(0, "maximum_charge_strategy", 'must be "cap" or "stop"')
    tables = _tables(rows)
    return Terms(
        _field(fields, 0, "connection_fee", parse_price, "0"),
        tuple(slot for _, slot in tables[0]),
        _field(fields, 0, "minimum_charge", parse_price, "0"),
        maximum,
        MaximumStrategy(strategy) if strategy else None,
        tuple(_band(rows, table) for table in tables[1:]),
        _field(fields, 0, "grace_seconds", _number, "0"),
    )


def _tables(rows: list[dict[str, str]]) -> list[list[tuple[int, Slot]]]:
    """(row, slot) of the rate's own slots, then those of each band, in the order of the rows."""
    tables: list[list[tuple[int, Slot]]] = [[]]
    for at, row in enumerate(rows):
        number = _field(row, at, "band", _number, "0")
        if number == len(tables):
            tables.append([])
        if number != len(tables) - 1:
            raise _CellRefused(at, "band", "the rate's own slots come first, then band 1, 2, ...")
        tables[number].append(
            (
                at,
                Slot(
                    _field(row, at, "from_second", _number),
                    _field(row, at, "price", parse_price),
                    _field(row, at, "unit_seconds", _number),
                    _field(row, at, "increment_seconds", _number),
                ),
            )
        )
    return tables


def _band(rows: list[dict[str, str]], table: list[tuple[int, Slot]]) -> Band:
    first = table[0][0]
    fields = rows[first]
    for at, _ in table:
        for column in _BAND:
            if rows[at][column] != fields[column]:
                raise _CellRefused(at, column, "must be the same on every row of the band")
    has_fee = bool(fields["band_connection_fee"])
    return Band(
        _field(fields, first, "weight", _number),
        tuple(slot for _, slot in table),
        fields["band_name"],
        _field(fields, first, "weekdays", _weekdays),
        _field(fields, first, "from", read_clock, "00:00"),
        _field(fields, first, "until", read_clock, "24:00"),
        tuple(fields["dates"].split()),
        _field(fields, first, "band_connection_fee", parse_price) if has_fee else None,
    )


def _field[T](
    fields: Mapping[str, str], row: int, column: str, read: Callable[[str], T], default: str = ""
) -> T:
    try:
        return read(fields[column] or default)
    except ValueError as error:
        raise _CellRefused(row, column, str(error)) from None


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a whole number")
    return int(text)


def _weekdays(text: str) -> tuple[int, ...]:
    return tuple(sorted(_number(day) for day in text.split()))


def _on_line(
    error: FieldError, rates: list[Rate], lines: list[list[int]], first_line: int
) -> FieldError:
    """An error of the domain with its line and column."""
    _, _, rest = error.pointer.partition("/rates/")
    if not rest:
        return FieldError(
            f"/lines/{first_line}{error.pointer.replace('/rounding/', '/rounding_')}", error.detail
        )
    number, _, inner = rest.partition("/")
    rate, rate_lines = rates[int(number)], lines[int(number)]
    detail = re.sub(
        r"/rates/([0-9]+)$", lambda match: f"line {lines[int(match[1])][0]}", error.detail
    )
    slot = _SLOT_POINTER.fullmatch(f"/{inner}")
    band = _BAND_POINTER.fullmatch(f"/{inner}")
    row, column = 0, inner
    if slot:
        row = _row_of(rate, None if slot[1] is None else int(slot[1]), int(slot[2]))
        column = slot[3]
    elif band:
        row = _row_of(rate, int(band[1]), 0)
        column = {"name": "band_name", "connection_fee": "band_connection_fee"}.get(
            band[2], band[2]
        )
    row = min(row, len(rate_lines) - 1)
    return FieldError(f"/lines/{rate_lines[row]}/{column}", detail)


def _row_of(rate: Rate, band: int | None, slot: int) -> int:
    """The row, counted from 0 within its rate, of a slot."""
    if band is None:
        return slot
    return len(rate.slots) + sum(len(each.slots) for each in rate.bands[:band]) + slot
