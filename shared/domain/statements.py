"""A month of a ledger, added up: what it opened with, what happened, what it closed with."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.domain.errors import Invalid
from shared.domain.ledger import Entry
from shared.domain.money import parse_amount

_MONTH = re.compile(r"(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(slots=True)
class Total:
    """A sum of entries; `seconds` are billed seconds where the entries are legs."""

    count: int = 0
    amount_micros: int = 0
    seconds: int = 0

    def add(self, amount_micros: int, seconds: int = 0) -> None:
        """One more entry."""
        self.count += 1
        self.amount_micros += amount_micros
        self.seconds += seconds


@dataclass(slots=True)
class Statement:
    """A month in the account's time zone. It re-adds: opening + totals by kind = closing."""

    month: str
    opening_micros: int = 0
    closing_micros: int = 0
    first_entry: int | None = None
    last_entry: int | None = None
    by_kind: dict[str, Total] = field(default_factory=dict)
    by_destination: dict[str, Total] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """One more entry, in order."""
        if self.first_entry is None:
            self.first_entry = entry.sequence
            self.opening_micros = entry.balance_micros - entry.amount_micros
        self.last_entry = entry.sequence
        self.closing_micros = entry.balance_micros
        self.by_kind.setdefault(entry.kind.value, Total()).add(entry.amount_micros)
        if entry.charge is not None:
            name, seconds = _destination(entry.charge)
            self.by_destination.setdefault(name, Total()).add(entry.amount_micros, seconds)
            self._take_off(entry.charge.get("replaces"))

    def _take_off(self, replaced: object) -> None:
        """A leg that was charged anew counts once among the destinations."""
        if isinstance(replaced, dict):
            name, seconds = _destination(replaced)
            total = self.by_destination.setdefault(name, Total())
            total.count -= 1
            total.amount_micros += parse_amount(str(replaced["amount"]))
            total.seconds -= seconds

    @property
    def re_adds(self) -> bool:
        """Whether opening and totals make the closing balance."""
        moved = sum(total.amount_micros for total in self.by_kind.values())
        return self.opening_micros + moved == self.closing_micros


@dataclass(slots=True)
class ClosedMonth:
    """A month's statement with its place in the journal: it begins after the commit `after` (0:
    with the first one) and ends with the commit `last`, whose hash is `head`."""

    statement: Statement
    time_zone: str
    after: int = 0
    last: int = 0
    head: str = ""

    @classmethod
    def opened(cls, month: str, time_zone: str) -> "ClosedMonth":
        """A month before anything is known of it."""
        return cls(Statement(month), time_zone)

    def begin_after(self, commit: int, balance_micros: int) -> None:
        """A commit that was made before the month, in order."""
        self.after = self.last = commit
        self.statement.opening_micros = self.statement.closing_micros = balance_micros

    def add(self, commit: int, entries: Iterable[Entry]) -> None:
        """A commit of the month, in order."""
        self.last = commit
        for entry in entries:
            self.statement.add(entry)


def months_between(first: str, end: str) -> Iterator[str]:
    """The months `YYYY-MM` from the first one on, without the last one."""
    year, number = (int(part) for part in first.split("-"))
    while (month := f"{year:04}-{number:02}") < end:
        yield month
        year, number = year + number // 12, number % 12 + 1


def month_span(month: str, time_zone: str) -> tuple[datetime, datetime]:
    """The first instant of a month `YYYY-MM` in a zone, and that of the next one.

    Raises ValueError on what is no month, or lies before 1970 or at the end of the calendar.
    """
    if not _MONTH.fullmatch(month):
        raise ValueError(f"no month: {month!r}")
    year, number = (int(part) for part in month.split("-"))
    zone = ZoneInfo(time_zone)
    first = date(year, number, 1)
    after = date(year + number // 12, number % 12 + 1, 1)
    start, end = (
        datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(ZoneInfo("UTC"))
        for day in (first, after)
    )
    return start, end


def asked_month_span(month: str, time_zone: str) -> tuple[datetime, datetime]:
    """The span of a month that a caller named. Raises Invalid `month_invalid`."""
    try:
        return month_span(month, time_zone)
    except ValueError:
        raise Invalid("A month is written YYYY-MM, from 1970 on.", code="month_invalid") from None


def last_month(now: datetime, time_zone: str) -> str:
    """The month `YYYY-MM` before the present one, in a zone."""
    first = now.astimezone(ZoneInfo(time_zone)).date().replace(day=1)
    return f"{first - timedelta(days=1):%Y-%m}"


def month_of(moment: datetime, time_zone: str) -> str:
    """The month `YYYY-MM` that a moment lies in, in a zone."""
    return moment.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m")


def _destination(charge: Mapping[str, object]) -> tuple[str, int]:
    rate = charge.get("rate")
    name = rate.get("destination") if isinstance(rate, dict) else charge.get("zero_reason")
    seconds = charge.get("billed_seconds")
    return str(name or "unknown"), seconds if isinstance(seconds, int) else 0
