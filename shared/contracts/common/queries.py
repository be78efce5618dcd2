"""Declaration of query parameters: parsing, refusals and the OpenAPI document derive from it.

A parameter that a route does not declare is refused, so is one that is sent twice.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from shared.contracts.common.times import read_time
from shared.domain.common import limits
from shared.domain.common.errors import FieldError, Invalid
from shared.domain.ledger.statements import month_span

_COUNT = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME_RULE = (
    "must be a date such as 2026-11-23, or an RFC 3339 time with its offset, such as "
    "2026-11-23T10:00:00Z"
)
_MONTH_RULE = "must be a month such as 2026-11"
_YEARS = range(1970, 9999)


class QueryKind(StrEnum):
    """The type of a parameter."""

    TEXT = "text"
    FLAG = "flag"
    COUNT = "count"
    TIME = "time"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter of a route. `choices`: the accepted values, empty if any is."""

    name: str
    about: str
    kind: QueryKind = QueryKind.TEXT
    choices: tuple[str, ...] = ()

    def fault(self, text: str) -> str | None:
        """The rule that a value breaks, as the rest of a sentence; None if the value is valid."""
        if self.choices:
            rule = f"must be one of {', '.join(self.choices)}"
            return None if text in self.choices else rule
        try:
            match self.kind:
                case QueryKind.FLAG:
                    is_good = text.lower() in {"true", "false", "1", "0"}
                    return None if is_good else "must be true or false"
                case QueryKind.COUNT:
                    is_good = bool(_COUNT.fullmatch(text)) and int(text) <= limits.LIST_ITEMS_MAX
                    return (
                        None if is_good else f"must be a number from 1 to {limits.LIST_ITEMS_MAX}"
                    )
                case QueryKind.TIME:
                    read_moment(text, "UTC")
                case QueryKind.MONTH:
                    read_month(text, "UTC")
        except ValueError as error:
            return str(error)
        return None

    def schema(self) -> dict[str, object]:
        """The JSON schema of its values."""
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        match self.kind:
            case QueryKind.FLAG:
                return {"type": "boolean", "default": False}
            case QueryKind.COUNT:
                return {"type": "integer", "minimum": 1, "maximum": limits.LIST_ITEMS_MAX}
            case QueryKind.TIME:
                formats = [{"format": "date-time"}, {"format": "date"}]
                return {"type": "string", "anyOf": formats}
            case QueryKind.MONTH:
                return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}
        return {"type": "string"}


def flag(name: str, about: str) -> Query:
    """A boolean parameter, false if it is missing."""
    return Query(name, about, QueryKind.FLAG)


def moment(name: str, about: str) -> Query:
    """A time, or a date: midnight in the time zone of the account."""
    return Query(name, about, QueryKind.TIME)


def one_of(name: str, about: str, choices: Iterable[str]) -> Query:
    """A parameter that takes one of `choices`."""
    return Query(name, about, choices=tuple(choices))


LIMIT = Query(
    "limit",
    f"Items of a page; {limits.LIST_ITEMS_DEFAULT} if left out. CSV has all items if left out.",
    QueryKind.COUNT,
)
CURSOR = Query("cursor", "`next` of the page before.")
MONTH = Query("month", "A whole month instead of `from` and `to`.", QueryKind.MONTH)
SPAN = (
    moment("from", "The begin of the span."),
    moment("to", "The end of the span, exclusive."),
    MONTH,
)
FORMAT = one_of("format", "The same as the header `Accept`.", ("json", "csv"))
PREFIX = Query("prefix", "Only ids that begin with this text.")
PAGE = (LIMIT, CURSOR, FORMAT)
"""The parameters of every list."""


def check_query(url: str, declared: Sequence[Query]) -> dict[str, str]:
    """The values of the query by name; an empty one counts as missing.

    Raises Invalid `query_invalid` for a parameter that is not declared, is sent twice, or has a
    value that it does not take.
    """
    parameters = {each.name: each for each in declared}
    values: dict[str, str] = {}
    faults: list[tuple[str, str]] = []
    for name, text in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in parameters:
            there = (
                f"those that exist are {', '.join(sorted(parameters))}"
                if parameters
                else "it takes none"
            )
            faults.append((name, f"is not one that this route takes: {there}"))
        elif name in values:
            faults.append((name, "is sent twice"))
        else:
            values[name] = text
            # An offset's plus reads as a space where it is not percent-encoded.
            if parameters[name].kind is QueryKind.TIME:
                values[name] = text.replace(" ", "+")
            if text and (rule := parameters[name].fault(values[name])):
                faults.append((name, rule))
    if faults:
        raise query_invalid(*faults)
    return {name: text for name, text in values.items() if text}


def query_invalid(*faults: tuple[str, str]) -> Invalid:
    """The error for parameters, each with its name and the broken rule."""
    sentences = [f"The query parameter {shown(name)} {rule}." for name, rule in faults]
    errors = tuple(FieldError("", f"{shown(name)} {rule}") for name, rule in faults)
    return Invalid(f"{sentences[0]} Correct the query.", errors, code="query_invalid")


def read_names(name: str, text: str | None, choices: Iterable[str]) -> tuple[str, ...]:
    """Names separated by commas, none where the parameter is left out. Raises Invalid
    `query_invalid`."""
    names = tuple(each.strip() for each in text.split(",")) if text else ()
    if not set(names) <= set(choices):
        raise query_invalid((name, f"takes, separated by commas, {', '.join(choices)}"))
    if len(set(names)) < len(names):
        raise query_invalid((name, "has a name twice"))
    return names


def shown(name: str) -> str:
    """A name that a caller chose, short and printable."""
    return "".join(each if each.isprintable() else "?" for each in name[:100]) or "without a name"


def read_moment(text: str, zone: str) -> datetime:
    """A time as aware UTC; a date is midnight in `zone`. Raises ValueError with the rule."""
    if not _DATE.fullmatch(text):
        try:
            return read_time(text)
        except ValueError as error:
            if "between" in str(error):
                raise
            raise ValueError(_TIME_RULE) from None
    try:
        return _midnight(date.fromisoformat(text), zone)
    except ValueError:
        raise ValueError(_TIME_RULE) from None


def read_month(text: str, zone: str) -> tuple[datetime, datetime]:
    """The span of a month in `zone`, aware UTC. Raises ValueError with the rule."""
    try:
        return month_span(text, zone)
    except ValueError:
        raise ValueError(_MONTH_RULE) from None


def _midnight(day: date, zone: str) -> datetime:
    if day.year not in _YEARS:
        raise ValueError("out of range")
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
