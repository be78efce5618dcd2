"""The statement of a month: opening balance, totals, closing balance."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.domain.common.errors import Invalid
from shared.domain.credits.lots import Lot
from shared.domain.ledger.entry_columns import EntryColumns, LegGroup, LineKind
from shared.domain.ledger.model import Entry, EntryKind
from shared.domain.ledger.stored_charge import ChargeRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEBIT, _REVERSAL = EntryKind.DEBIT.value, EntryKind.REVERSAL.value
_MONTH = re.compile(r"(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(slots=True)
class Total:
    """The sum of entries or legs. `seconds` are billed seconds that credits paid, `pool_seconds`
    those that included minutes paid; free legs have neither."""

    count: int = 0
    amount_micros: int = 0
    seconds: int = 0
    pool_seconds: int = 0

    def add(
        self, amount_micros: int, count: int = 1, seconds: int = 0, pool_seconds: int = 0
    ) -> None:
        """Add an entry, or a leg; a `count` of -1 and negative seconds take one back."""
        self.count += count
        self.amount_micros += amount_micros
        self.seconds += seconds
        self.pool_seconds += pool_seconds


type Totals = dict[str, Total]
"""Sums by name; "" is the group without a name."""


@dataclass(frozen=True, slots=True)
class StatementLeg:
    """The groups of a charge, one for each grouping, and its seconds. Seconds of the pool count for
    the destination that the pool paid for."""

    leg_kind: str
    destination: str
    pool_destination: str
    organizer: str
    cost_center: str
    seconds: int
    pool_seconds: int


@dataclass(slots=True)
class Statement:
    """A month in the account's time zone, net of reversals and re-ratings.

    It re-adds: opening + totals by kind = closing, and each grouping of the legs = `charges`, the
    legs in all. Amounts by kind are the ledger's; those of legs are charges, positive for money
    spent. A reversal takes its leg back in the month in which it is booked. `restored_micros` is
    the amount that reversals returned from expired lots; it belongs to no leg. `unresolved` are
    reversals of debits before the month, until `take_back` is given the charge.
    """

    month: str
    opening_micros: int = 0
    closing_micros: int = 0
    first_entry: int | None = None
    last_entry: int | None = None
    by_kind: Totals = field(default_factory=dict)
    charges: Total = field(default_factory=Total)
    restored_micros: int = 0
    by_leg_kind: Totals = field(default_factory=dict)
    by_destination: Totals = field(default_factory=dict)
    by_organizer: Totals = field(default_factory=dict)
    by_cost_center: Totals = field(default_factory=dict)
    unresolved: list[Entry] = field(default_factory=list, repr=False)
    _legs: dict[int, StatementLeg] = field(default_factory=dict, repr=False, compare=False)
    _columns: list[EntryColumns] = field(default_factory=list, repr=False, compare=False)

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        if self.first_entry is None:
            self.first_entry = entry.sequence
            self.opening_micros = entry.balance_micros - entry.amount_micros
        self.last_entry = entry.sequence
        self.closing_micros = entry.balance_micros
        self.by_kind.setdefault(entry.kind.value, Total()).add(entry.amount_micros)
        if entry.kind is EntryKind.DEBIT:
            self._charge(entry)
        elif entry.restores_lot:
            self.restored_micros += entry.amount_micros
        elif entry.kind is EntryKind.REVERSAL:
            leg = self._legs.get(entry.reverses or 0)
            if leg is None:
                self.unresolved.append(entry)
            else:
                self._count(leg, entry, -1)

    def take_back(
        self, reversal: Entry, charge: Mapping[str, object], organizer: str | None
    ) -> None:
        """The charge that an unresolved reversal takes back."""
        self.unresolved.remove(reversal)
        self._count(statement_leg(charge, organizer), reversal, -1)

    def add_columns(self, columns: EntryColumns, start: int, stop: int) -> None:
        """The entries at places `start` to `stop` of columns, in order. Either all entries of a
        statement come in columns, or none."""
        if start >= stop:
            return
        self._columns.append(columns)
        sequences = columns.sequences()
        is_first = self.first_entry is None
        if self.first_entry is None:
            self.first_entry = sequences[start]
        by_kind: Totals = {}
        legs: dict[tuple[int, str, int], Total] = {}
        for place in range(start, stop):
            kind, amount = columns.kinds[place], columns.amounts[place]
            name, at, sign = _DEBIT, place, 1
            if kind == LineKind.RERATED:
                self._take_back_replaced(columns, place)
            elif kind == LineKind.REVERSED:
                name, at, sign = _REVERSAL, self._take_back_debit(columns, place, sequences), -1
            elif kind == LineKind.OTHER:
                name, at = columns.names[columns.groups_of[place]], -1
                self.restored_micros += amount if name == _REVERSAL else 0
            by_kind.setdefault(name, Total()).add(amount)
            if at < 0:
                continue
            key = columns.groups_of[at], columns.organizers[at] or "", sign
            total = legs.get(key)
            if total is None:
                total = legs[key] = Total()
            total.add(-amount, sign, sign * columns.seconds[at], sign * columns.pool_seconds[at])
        self._add_sums(columns, by_kind, legs)
        self.last_entry = sequences[stop - 1]
        self.closing_micros = columns.balance_after(stop)
        if is_first:
            moved_micros = sum(total.amount_micros for total in by_kind.values())
            self.opening_micros = self.closing_micros - moved_micros

    def _add_sums(
        self, columns: EntryColumns, by_kind: Totals, legs: Mapping[tuple[int, str, int], Total]
    ) -> None:
        for name, total in by_kind.items():
            self.by_kind.setdefault(name, Total()).add(total.amount_micros, total.count)
        for (group, organizer, _), total in legs.items():
            self._add_legs(_leg_of(columns.groups[group], organizer, 0, 0), total)

    def _take_back_debit(self, columns: EntryColumns, place: int, sequences: Sequence[int]) -> int:
        """The place of the debit that a reversal in the same columns takes back; -1 where the debit
        is in earlier columns and taken back now, or unresolved."""
        sequence = columns.targets[place]
        for earlier in reversed(self._columns if sequence >= (self.first_entry or 0) else ()):
            if (at := earlier.place_of(sequence)) is None:
                continue
            if earlier is columns:
                return at
            group, organizer = earlier.groups[earlier.groups_of[at]], earlier.organizers[at] or ""
            leg = _leg_of(group, organizer, earlier.seconds[at], earlier.pool_seconds[at])
            total = Total(-1, -columns.amounts[place], -leg.seconds, -leg.pool_seconds)
            self._add_legs(leg, total)
            return -1
        self.unresolved.append(_reversal(columns, place, sequences[place]))
        return -1

    def _take_back_replaced(self, columns: EntryColumns, place: int) -> None:
        """The charge that a re-rating replaces, where its reversal is unresolved."""
        if self.unresolved and self.unresolved[-1].reverses == columns.targets[place]:
            reversal = self.unresolved.pop()
            group, seconds, pool_seconds = columns.replaced[place]
            organizer = reversal.organizer or ""
            leg = _leg_of(columns.groups[group], organizer, seconds, pool_seconds)
            self._count(leg, reversal, -1)

    def _charge(self, entry: Entry) -> None:
        charge = entry.charge or {}
        leg = self._legs[entry.sequence] = statement_leg(charge, entry.organizer)
        if entry.rerates is not None and self.unresolved:
            reversal = self.unresolved[-1]
            if reversal.reverses == entry.rerates:  # its new charge says what it was
                before = ChargeRecord(charge).replaced.document
                self.take_back(reversal, before, reversal.organizer)
        self._count(leg, entry, 1)

    def _count(self, leg: StatementLeg, entry: Entry, sign: int) -> None:
        seconds, pool_seconds = sign * leg.seconds, sign * leg.pool_seconds
        self._add_legs(leg, Total(sign, -entry.amount_micros, seconds, pool_seconds))

    def _add_legs(self, leg: StatementLeg, total: Total) -> None:
        """Legs of the same groups; their seconds are those of `total`."""
        count, amount, seconds, pool_seconds = (
            total.count,
            total.amount_micros,
            total.seconds,
            total.pool_seconds,
        )
        self.charges.add(amount, count, seconds, pool_seconds)
        for totals, name in (
            (self.by_leg_kind, leg.leg_kind),
            (self.by_organizer, leg.organizer),
            (self.by_cost_center, leg.cost_center),
        ):
            totals.setdefault(name, Total()).add(amount, count, seconds, pool_seconds)
        self.by_destination.setdefault(leg.destination, Total()).add(amount, count, seconds)
        if pool_seconds:
            paid = self.by_destination.setdefault(leg.pool_destination, Total())
            paid.add(0, 0, 0, pool_seconds)

    @property
    def groupings(self) -> Mapping[str, Totals]:
        """The groupings of the legs by their names."""
        return {
            "by_leg_kind": self.by_leg_kind,
            "by_destination": self.by_destination,
            "by_organizer": self.by_organizer,
            "by_cost_center": self.by_cost_center,
        }

    @property
    def re_adds(self) -> bool:
        """True if opening and totals by kind make the closing balance, the legs are what the ledger
        debited for legs and gave back, and each grouping adds up to the legs."""
        moved = {name: total.amount_micros for name, total in self.by_kind.items()}
        for_legs = self.restored_micros - moved.get("debit", 0) - moved.get("reversal", 0)
        return (
            not self.unresolved
            and self.opening_micros + sum(moved.values()) == self.closing_micros
            and self.charges.amount_micros == for_legs
            and all(_sum(totals) == self.charges for totals in self.groupings.values())
        )


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
        """An empty month."""
        return cls(Statement(month), time_zone)

    def begin_after(self, commit: int, balance_micros: int) -> None:
        """A commit that was made before the month, in order."""
        self.after = self.last = commit
        self.statement.opening_micros = self.statement.closing_micros = balance_micros

    def add_columns(self, columns: EntryColumns, until: datetime) -> bool:
        """The commits of columns after the last one, up to a time; whether all were before it."""
        limit_us = (until - _EPOCH) // timedelta(microseconds=1)
        start = stop = 0
        last = self.last
        for commit in columns.commits:
            if commit.at_us >= limit_us:
                break
            stop += commit.entries
            if commit.number <= last:
                start = stop
            else:
                self.last = commit.number
        self.statement.add_columns(columns, start, stop)
        return self.last == columns.last

    def add(self, commit: int, entries: Iterable[Entry]) -> None:
        """A commit of the month, in order."""
        self.last = commit
        for entry in entries:
            self.statement.add(entry)


@dataclass(frozen=True, slots=True)
class PrintedStatement:
    """A month with all contents of a printed statement: the movements of credits, the corrections
    of legs, both in order, the parked legs, and the account's open lots at `now`."""

    account: str
    name: str
    currency: str
    closed: ClosedMonth
    movements: tuple[Entry, ...]
    corrections: tuple[Entry, ...]
    open_parked: int
    lots: tuple[Lot, ...]
    now: datetime


def months_between(first: str, end: str) -> Iterator[str]:
    """The months `YYYY-MM` from the first one on, without the last one."""
    year, number = (int(part) for part in first.split("-"))
    while (month := f"{year:04}-{number:02}") < end:
        yield month
        year, number = year + number // 12, number % 12 + 1


def month_span(month: str, time_zone: str) -> tuple[datetime, datetime]:
    """The first instant of a month `YYYY-MM` in a zone, and that of the next one.

    Raises ValueError for a text that is no month, or a month before 1970 or at the end of the
    calendar.
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


def requested_month_span(month: str, time_zone: str) -> tuple[datetime, datetime]:
    """The span of a month that a caller named. Raises Invalid `month_invalid`."""
    try:
        return month_span(month, time_zone)
    except ValueError:
        raise Invalid(
            "The month is not valid. Write a month as YYYY-MM, from 1970 on.", code="month_invalid"
        ) from None


def last_month(now: datetime, time_zone: str) -> str:
    """The month `YYYY-MM` before the present one, in a zone."""
    first = now.astimezone(ZoneInfo(time_zone)).date().replace(day=1)
    return f"{first - timedelta(days=1):%Y-%m}"


def month_of(moment: datetime, time_zone: str) -> str:
    """The month `YYYY-MM` that contains a moment, in a zone."""
    return moment.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m")


def _sum(totals: Totals) -> Total:
    result = Total()
    for total in totals.values():
        result.add(total.amount_micros, total.count, total.seconds, total.pool_seconds)
    return result


def statement_leg(charge: Mapping[str, object], organizer: str | None) -> StatementLeg:
    """The groups and seconds of a charge in a statement."""
    record = ChargeRecord(charge)
    destination = record.destination or record.zero_reason or "unknown"
    return StatementLeg(
        leg_kind=record.kind_name,
        destination=destination,
        pool_destination=record.pool_destination or destination,
        organizer=organizer or "",
        cost_center=record.cost_center,
        seconds=record.credit_seconds,
        pool_seconds=record.pool_seconds,
    )


def _leg_of(group: LegGroup, organizer: str, seconds: int, pool_seconds: int) -> StatementLeg:
    """As `statement_leg`, of a leg in columns."""
    return StatementLeg(
        leg_kind=group.kind,
        destination=group.stated_destination,
        pool_destination=group.pool_destination,
        organizer=organizer,
        cost_center=group.cost_center,
        seconds=seconds,
        pool_seconds=pool_seconds,
    )


def _reversal(columns: EntryColumns, place: int, sequence: int) -> Entry:
    """A reversal in columns, as far as its debit has to be found and taken back."""
    return Entry(
        sequence,
        EntryKind.REVERSAL,
        columns.amounts[place],
        0,
        datetime.fromtimestamp(0, UTC),
        leg=columns.legs[place],
        reverses=columns.targets[place],
        organizer=columns.organizers[place],
    )
