"""A carrier's invoice or another system's usage report as a table of calls.

A mapping names the columns, or a preset does. A row has one reading, or the file is refused with a
line for each error. Rows that are no legs of conferences by the mapping's `kinds`, and unanswered
ones, are left out and counted.
"""

import codecs
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import chain, product
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from shared.contracts.common.fields import AdminBody, Amount, Country, TimeZone
from shared.contracts.common.multipart import read_form
from shared.contracts.common.validation import parse_body
from shared.contracts.rate_cards.deck_form import inflated
from shared.contracts.rate_cards.deck_rows import RECORDS, DeckRow, csv_rows
from shared.domain.common import limits
from shared.domain.common.calendar import zone
from shared.domain.common.errors import FieldError, Invalid, TooLarge
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import MICROS_PER_UNIT, parse_amount
from shared.domain.common.strict_json import loads
from shared.domain.numbers.numbers import called_number
from shared.domain.reconciliation.matching import CarrierRecord, Tolerance

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CELL_CHARS_SHOWN = 40
_MASK = "*"
_YEAR_MIN, _YEAR_MAX = 1970, 9998
_MASKED = re.compile(r"\+?((?=\**[0-9])[0-9]{0,14}\*{1,14}[0-9]{0,14})", re.ASCII)
_DATE_CHARS = len("2026-11-23")
_DIGITS = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,7}(?:\.0+)?", re.ASCII)
_CLOCK = re.compile(r"(?:([0-9]{1,3}):)?([0-9]{1,3}):([0-5][0-9])", re.ASCII)
_AMOUNT = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_UTC_NAME = re.compile(r" ?(UTC|GMT|Z)$", re.ASCII)

Column = Annotated[str, Field(min_length=1, max_length=limits.FOREIGN_ID_CHARS_MAX)]


def _folded(name: str) -> str:
    return name.strip().casefold()


class RecordColumns(AdminBody):
    """The file's name of each column. `id` is the leg's id at the bridge, `row_id` distinguishes
    rows; `number` is the called number; the columns of `amount` are added up. Without `answered_at`
    a call was answered `seconds` before `ended_at`."""

    id: Column | None = None
    row_id: Column | None = None
    kind: Column | None = None
    number: Column | None = None
    caller: Column | None = None
    answered_at: Column | None = None
    ended_at: Column | None = None
    seconds: Column
    amount: list[Column] = Field(default_factory=list, max_length=5)
    currency: Column | None = None


class ToleranceBody(AdminBody):
    """Up to which difference values are the same: times and durations in seconds, and amounts."""

    seconds: Annotated[int, Field(ge=0, le=limits.RECONCILIATION_TOLERANCE_SECONDS_MAX)] = 2
    amount: Amount = "0"


class RecordMapping(AdminBody):
    """Instructions for reading a file. Rows whose kind is not in `kinds` are left out; without a
    column of kinds all rows are of `kind`, or of either. `negate`: the file states charges as
    negative amounts. Times without an offset are those of `time_zone`."""

    columns: RecordColumns
    kinds: dict[str, Literal["dial_in", "dial_out"]] = Field(default_factory=dict, max_length=50)
    kind: Literal["dial_in", "dial_out"] | None = None
    tolerance: ToleranceBody = ToleranceBody()
    time_zone: TimeZone = "UTC"
    country: Country | None = None
    encoding: Literal["utf-8", "utf-16", "cp1252"] = "utf-8"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    comment: Annotated[str, Field(max_length=2)] = ""
    decimal_comma: bool = False
    negate: bool = False

    @field_validator("kinds")
    @classmethod
    def _one_meaning_each(cls, kinds: dict[str, str]) -> dict[str, str]:
        if len({_folded(name) for name in kinds}) < len(kinds):
            raise ValueError("must not name a value twice: case and spaces around it do not count")
        return kinds

    @model_validator(mode="after")
    def _complete(self) -> "RecordMapping":
        columns = self.columns
        if columns.answered_at is None and columns.ended_at is None:
            raise ValueError("columns needs answered_at or ended_at")
        if columns.id is None and columns.number is None:
            raise ValueError("columns needs id or number")
        if columns.kind is not None and not self.kinds:
            raise ValueError("kinds must map the values of the column of kinds")
        if len(set(columns.amount)) < len(columns.amount):
            raise ValueError("columns.amount names a column twice")
        return self

    @property
    def named_columns(self) -> set[str]:
        """The file's columns that the mapping names."""
        columns = self.columns.model_dump()
        return {*self.columns.amount, *(each for each in columns.values() if isinstance(each, str))}

    @property
    def tolerances(self) -> Tolerance:
        """The tolerance in the units of the domain."""
        return Tolerance(self.tolerance.seconds, parse_amount(self.tolerance.amount))


_TEAMS_KINDS = {"conf_in": "dial_in", "conf_out": "dial_out", "user_out_conf": "dial_out"}
_TWILIO_KINDS = {
    "inbound": "dial_in",
    "incoming": "dial_in",
    "outbound": "dial_out",
    "outbound-api": "dial_out",
    "outbound-dial": "dial_out",
    "outgoing api": "dial_out",
    "outgoing dial": "dial_out",
}
_OWN_KINDS = {"dial_in": "dial_in", "dial_out": "dial_out"}


def _twilio(**columns: str) -> RecordMapping:
    amount = columns.pop("amount")
    return RecordMapping.model_validate(
        {
            "columns": {**columns, "amount": [amount]},
            "kinds": _TWILIO_KINDS,
            "negate": True,
        }
    )


PRESETS: Mapping[str, Sequence[RecordMapping]] = {
    "teams-pstn": (
        RecordMapping.model_validate(
            {
                "columns": {
                    "row_id": "UsageId",
                    "id": "Call ID",
                    "kind": "Call Type",
                    "number": "Caller ID",
                    "answered_at": "Start Time",
                    "seconds": "Duration Seconds",
                    "amount": ["Charge", "Connection Fee"],
                    "currency": "Currency",
                },
                "kinds": _TEAMS_KINDS,
                "tolerance": {"seconds": 2, "amount": "0.01"},
            }
        ),
    ),
    "twilio-calls": (
        _twilio(
            id="sid",
            kind="direction",
            number="to",
            caller="from",
            ended_at="end_time",
            seconds="duration",
            amount="price",
            currency="price_unit",
        ),
        _twilio(
            id="Call Sid",
            kind="Direction",
            number="To",
            caller="From",
            ended_at="End Time",
            seconds="Duration",
            amount="Price",
        ),
    ),
    "perminute": (
        RecordMapping.model_validate(
            {
                "columns": {
                    "id": "leg",
                    "kind": "kind",
                    "number": "to",
                    "caller": "from",
                    "answered_at": "answered_at",
                    "seconds": "talk_seconds",
                    "amount": ["amount"],
                    "currency": "currency",
                },
                "kinds": _OWN_KINDS,
            }
        ),
    ),
}
"""Mappings by name, each with its variants: the first whose columns the file has is used."""


@dataclass(frozen=True, slots=True)
class CallRecords:
    """The records of a file; `currency` None where it states none. `left_out` counts rows by
    reason: `kind` or `unanswered`."""

    records: Sequence[CarrierRecord]
    tolerance: Tolerance
    currency: str | None
    left_out: Mapping[str, int]


class RecordFormBody(AdminBody):
    """The parts of the form."""

    file: str = Field(description="Call records as CSV, or in gzip.")
    mapping: str = Field(
        description=f"{', '.join(f'`{name}`' for name in PRESETS)}, or a JSON object that names "
        "the columns: docs/reconciliation.md."
    )


@dataclass(frozen=True, slots=True)
class RecordForm:
    """A file that is not read yet, and the mappings that may fit it."""

    mappings: Sequence[RecordMapping]
    file: bytes

    def read(self) -> CallRecords:
        """The records, by the first mapping whose columns the file has.

        Raises BadRequest, TooLarge, Invalid with a line for each wrong row.
        """
        body = inflated(self.file)
        errors: list[_ColumnsMissing] = []
        for mapping in self.mappings:
            try:
                return _read(mapping, body)
            except _ColumnsMissing as error:
                errors.append(error)
        raise errors[0]


def read_record_form(content_type: str, body: bytes) -> RecordForm:
    """The form that was sent. Raises BadRequest, TooLarge, Invalid."""
    parts = read_form(RecordFormBody, content_type, body)
    return RecordForm(_mappings(parts["mapping"]), parts["file"])


def _mappings(part: bytes) -> Sequence[RecordMapping]:
    name = part.decode("utf-8", "replace").strip().strip('"')
    if name in PRESETS:
        delimiters = (",", ";", "\t")
        separated = product(delimiters, PRESETS[name])
        return [each.model_copy(update={"delimiter": delimiter}) for delimiter, each in separated]
    if not name.startswith("{"):
        raise Invalid(
            f"The mapping is no preset: those that exist are {', '.join(PRESETS)}; or a JSON "
            "object names the columns.",
            (FieldError("/mapping", "must be a preset or an object"),),
        )
    return (parse_body(RecordMapping, loads(part)),)


class _ColumnsMissing(Invalid):
    pass


def _read(mapping: RecordMapping, body: bytes) -> CallRecords:
    reader = _RowReader(mapping)
    records: list[CarrierRecord] = []
    errors: list[FieldError] = []
    for line, row in enumerate(_rows(mapping, body), start=1):
        if line > limits.RECONCILIATION_ROWS_MAX:
            raise TooLarge(
                f"The file has more than {limits.RECONCILIATION_ROWS_MAX:,} rows. Send it in parts."
            )
        if row.problem:
            errors.append(FieldError(row.place, row.problem))
        else:
            try:
                record = reader.record(line, row.fields)
            except _CellError as error:
                errors.append(FieldError(row.place, str(error)))
            else:
                if record is not None:
                    records.append(record)
        if len(errors) >= limits.FIELD_ERRORS_MAX:
            break
    if len(reader.currencies) > 1:
        listed = " and ".join(sorted(reader.currencies))
        raise Invalid(f"The file has amounts in {listed}: reconcile one currency at a time.")
    if errors:
        raise Invalid("Rows of the file can't be read.", tuple(errors))
    currency = next(iter(reader.currencies), None)
    return CallRecords(records, mapping.tolerances, currency, reader.left_out)


def _rows(mapping: RecordMapping, body: bytes) -> Iterator[DeckRow]:
    """Raises _ColumnsMissing where the header has not all columns. A file that begins with the mark
    of UTF-16 has that encoding, which is no UTF-8."""
    if mapping.encoding == "utf-8" and body.startswith(_UTF_16_MARKS):
        mapping = mapping.model_copy(update={"encoding": "utf-16"})
    rows = csv_rows(body, mapping, mapping.named_columns, RECORDS)
    try:
        first = next(rows, None)
    except Invalid as error:
        raise _ColumnsMissing(error.detail, error.errors) from None
    return rows if first is None else chain((first,), rows)


class _CellError(ValueError):
    def __init__(self, column: str, cell: str, rule: str) -> None:
        super().__init__(f"{column}: {cell[:_CELL_CHARS_SHOWN]!r} {rule}")


class _RowReader:
    def __init__(self, mapping: RecordMapping) -> None:
        self._mapping = mapping
        self._columns = mapping.columns
        self._kinds = {_folded(name): kind for name, kind in mapping.kinds.items()}
        self._numbers: dict[str, str] = {}
        self.currencies: set[str] = set()
        self.left_out: dict[str, int] = {}

    def record(self, line: int, fields: Mapping[str, str]) -> CarrierRecord | None:
        """The row's record; None for one that is left out. Raises _CellError."""
        columns = self._columns
        kind: str | None = self._mapping.kind
        if columns.kind is not None:
            kind = self._kinds.get(_folded(fields[columns.kind]))
            if kind is None:
                self._leave_out("kind")
                return None
        seconds = _seconds(columns.seconds, fields[columns.seconds].strip())
        if not seconds:
            self._leave_out("unanswered")
            return None
        if columns.currency is not None and columns.amount:
            self._note_currency(columns.currency, fields[columns.currency].strip().upper())
        row_id, call_id = (
            (fields[name].strip() or None) if name else None
            for name in (columns.row_id, columns.id)
        )
        answered_at, second_at = self._answered_at(fields, seconds)
        return CarrierRecord(
            line=line,
            answered_at=answered_at,
            second_at=second_at,
            seconds=seconds,
            id=call_id,
            row_id=row_id,
            kind=LegKind(kind) if kind else None,
            number=self._number(fields, columns.number),
            caller=self._number(fields, columns.caller),
            amount_micros=self._amount(fields),
        )

    def _leave_out(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def _note_currency(self, column: str, text: str) -> None:
        if text and not _CURRENCY.fullmatch(text):
            raise _CellError(column, text, "must be a currency of ISO 4217, such as USD")
        if text:
            self.currencies.add(text)

    def _answered_at(
        self, fields: Mapping[str, str], seconds: int
    ) -> tuple[datetime, datetime | None]:
        """(time of the answer, the same an hour later where the clocks went back)."""
        columns = self._columns
        column = columns.answered_at or columns.ended_at or ""
        first, second = self._times(column, fields[column].strip())
        if columns.answered_at is None:
            talked = timedelta(seconds=seconds)
            return first - talked, second and second - talked
        return first, second

    def _times(self, column: str, text: str) -> tuple[datetime, datetime | None]:
        moment = _moment(column, text)
        try:
            if moment.tzinfo is not None:
                first, second = moment.astimezone(UTC), None
            else:
                first, second = self._local(column, text, moment)
        except OverflowError:
            first, second = datetime.min.replace(tzinfo=UTC), None
        if not _YEAR_MIN <= first.year <= _YEAR_MAX:
            rule = f"must be between the years {_YEAR_MIN} and {_YEAR_MAX}"
            raise _CellError(column, text, rule)
        return first, second

    def _local(self, column: str, text: str, moment: datetime) -> tuple[datetime, datetime | None]:
        """The moments of a local time: two where the clocks go back."""
        local = zone(self._mapping.time_zone)
        first, second = (moment.replace(tzinfo=local, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first.astimezone(local).replace(tzinfo=None) != moment:
            raise _CellError(column, text, f"is no time in {self._mapping.time_zone}")
        return first, second if second != first else None

    def _number(self, fields: Mapping[str, str], column: str | None) -> str:
        """The number, its hidden digits as asterisks; "" for an unknown one."""
        text = fields[column].strip() if column is not None else ""
        if text not in self._numbers:
            self._numbers[text] = self._normalized(text)
        return self._numbers[text]

    def _normalized(self, text: str) -> str:
        if match := _MASKED.fullmatch(text):
            return f"+{match[1]}"
        if not text or _MASK in text:
            return text
        return called_number(
            f"+{text}" if _DIGITS.fullmatch(text) and not self._mapping.country else text,
            self._mapping.country,
        )

    def _amount(self, fields: Mapping[str, str]) -> int | None:
        """Micros, all columns added up; None where all are empty."""
        total = Decimal(0)
        is_stated = False
        for column in self._columns.amount:
            text = fields[column].strip()
            if not text or text.casefold() == "null":
                continue
            if self._mapping.decimal_comma:
                text = text.replace(".", "").replace(",", ".")
            if not _AMOUNT.fullmatch(text):
                raise _CellError(column, text, "must be an amount such as 0.098")
            total += Decimal(text)
            is_stated = True
        if not is_stated:
            return None
        micros = int((total * MICROS_PER_UNIT).to_integral_value())
        return -micros if self._mapping.negate else micros


def _moment(column: str, text: str) -> datetime:
    """A time with or without an offset."""
    try:
        if len(text) > _DATE_CHARS:
            return datetime.fromisoformat(_UTC_NAME.sub("+00:00", text))
    except ValueError:
        with contextlib.suppress(ValueError):
            return parsedate_to_datetime(text)  # RFC 5322, as Twilio writes it
    raise _CellError(column, text, "must be a time such as 2026-11-23T10:00:07Z")


def _seconds(column: str, text: str) -> int:
    if match := _CLOCK.fullmatch(text):
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])
    if not text:
        return 0
    if not _SECONDS.fullmatch(text):
        raise _CellError(column, text, "must be whole seconds, or hh:mm:ss")
    return int(text.partition(".")[0])
