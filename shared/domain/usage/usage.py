"""Usage: the charges of a span of time, added up by any combination of groups.

All sums are net. A reversal takes its leg back at the time of its entry (`booked`), or at the time
of the call (`answered`); a re-rating takes the former charge back and adds the new one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from heapq import nsmallest
from itertools import compress, repeat
from typing import NamedTuple

from shared.domain.common.calendar import zone
from shared.domain.ledger.model import Entry, EntryKind
from shared.domain.usage.leg_facts import LEG_GROUPS, UsageFacts, UsageTime, leg_facts

TIME_GROUPS = ("day", "week", "month", "hour")
GROUPS = (*LEG_GROUPS, *TIME_GROUPS)
"""The groupings of usage; times are local to the account."""
_PLACES = {name: place for place, name in enumerate(LEG_GROUPS)}
_BOOKED_HOUR = len(LEG_GROUPS)
_CALLED_DAY, _CALLED_HOUR, _SUMS = _BOOKED_HOUR + 1, _BOOKED_HOUR + 2, _BOOKED_HOUR + 3
_LEGS, _AMOUNT, _TOTALS = 0, 5, 8  # places in UsageTotal, and their number
LINE_COLUMNS = _SUMS + _TOTALS

type GroupKey = tuple[str, ...]
"""The values of the requested groups, "" where a leg has none."""


class Order(StrEnum):
    """The order of groups: the largest amount or the most legs first, or by name."""

    AMOUNT = "amount"
    LEGS = "legs"
    GROUP = "group"


@dataclass(slots=True)
class UsageTotal:
    """Legs added up. `carrier_legs` have a purchasing cost, `carrier_micros` in all."""

    legs: int = 0
    answered_legs: int = 0
    talk_seconds: int = 0
    billed_seconds: int = 0
    pool_seconds: int = 0
    amount_micros: int = 0
    carrier_legs: int = 0
    carrier_micros: int = 0

    def sums(self) -> tuple[int, ...]:
        """The sums in the order of the fields."""
        return (
            self.legs,
            self.answered_legs,
            self.talk_seconds,
            self.billed_seconds,
            self.pool_seconds,
            self.amount_micros,
            self.carrier_legs,
            self.carrier_micros,
        )

    def add(self, other: "UsageTotal") -> None:
        """More legs."""
        self.legs += other.legs
        self.answered_legs += other.answered_legs
        self.talk_seconds += other.talk_seconds
        self.billed_seconds += other.billed_seconds
        self.pool_seconds += other.pool_seconds
        self.amount_micros += other.amount_micros
        self.carrier_legs += other.carrier_legs
        self.carrier_micros += other.carrier_micros

    def less(self, others: Iterable["UsageTotal"]) -> "UsageTotal":
        """The sums without those of others."""
        columns = zip(self.sums(), *(other.sums() for other in others), strict=True)
        return UsageTotal(*(whole - sum(parts) for whole, *parts in columns))


class UsageHour(NamedTuple):
    """A local day (ISO text) and hour of the day."""

    day: str
    hour: int


class UsageCell(NamedTuple):
    """Legs with the same group in every grouping: their groups, and the times of booking and
    call."""

    groups: tuple[str, ...]
    booked: UsageHour
    called: UsageHour

    def slot(self, by: UsageTime) -> UsageHour:
        """The time by which legs count."""
        return self.booked if by is UsageTime.BOOKED else self.called


type Cells = dict[UsageCell, UsageTotal]


@dataclass(frozen=True, slots=True)
class UsageLines:
    """Cells of one day of booking as columns of numbers, so that a month of 100,000 cells needs no
    object for each.

    The first column has the position of the organizer in `organizers`, the next ones those of the
    other groups in `texts`. The hour of booking follows, then the day of the call as a position in
    `texts`, and the hour of the call. The sums of UsageTotal are last.
    """

    day: str
    organizers: Sequence[str]
    texts: Sequence[str]
    columns: Sequence[Sequence[int]]

    def cells(self) -> list[tuple[UsageCell, UsageTotal]]:
        """The lines as cells."""
        return [
            (self._cell(line), UsageTotal(*line[_SUMS:]))
            for line in zip(*self.columns, strict=True)
        ]

    def _cell(self, line: Sequence[int]) -> UsageCell:
        groups = (self.organizers[line[0]], *(self.texts[at] for at in line[1:_BOOKED_HOUR]))
        called = UsageHour(self.texts[line[_CALLED_DAY]], line[_CALLED_HOUR])
        return UsageCell(groups, UsageHour(self.day, line[_BOOKED_HOUR]), called)

    def names(self, by: UsageTime, group: str) -> Iterable[str]:
        """The name of a group in each line."""
        place = _PLACES.get(group)
        if place is not None:
            return map((self.texts if place else self.organizers).__getitem__, self.columns[place])
        is_booked = by is UsageTime.BOOKED
        if group == "hour":
            return map(str, self.columns[_BOOKED_HOUR if is_booked else _CALLED_HOUR])
        if is_booked:
            return [_period(self.day, group)] * len(self.columns[0])
        return (_period(self.texts[at], group) for at in self.columns[_CALLED_DAY])

    def called_on(self, day: str) -> "UsageLines":
        """Those of the lines whose calls were on a day."""
        fits = [self.texts[at] == day for at in self.columns[_CALLED_DAY]]
        columns = [list(compress(column, fits)) for column in self.columns]
        return self if all(fits) else UsageLines(self.day, self.organizers, self.texts, columns)


@dataclass(frozen=True, slots=True)
class UsageSpan:
    """`since` <= time < `until`, by the time of the entry or of the call, in a time zone."""

    since: datetime
    until: datetime
    by: UsageTime
    time_zone: str

    def has(self, booked_at: datetime, called_at: datetime) -> bool:
        """True if a charge counts, by the time of its booking or of its call."""
        moment = booked_at if self.by is UsageTime.BOOKED else called_at
        return self.since <= moment < self.until


@dataclass(slots=True)
class Counted:
    """Cells of journal entries. `span` None: all of them count. `unresolved` are reversals of
    debits that were not among the entries, until `take_back` is given the charge."""

    time_zone: str
    span: UsageSpan | None = None
    cells: Cells = field(default_factory=dict)
    unresolved: list[Entry] = field(default_factory=list)
    _facts: dict[int, UsageFacts] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        if entry.kind is EntryKind.DEBIT:
            facts = leg_facts(entry.charge or {}, entry, entry.organizer)
            self._facts[entry.sequence] = facts
            self._count(facts, entry, 1)
        elif entry.kind is EntryKind.REVERSAL and not entry.restores_lot:
            debit = self._facts.pop(entry.reverses or 0, None)
            if debit is not None:
                self._count(debit, entry, -1)
            elif self.span is None or self._may_count(entry):
                self.unresolved.append(entry)

    def take_back(self, reversal: Entry, debit: Entry, charge: Mapping[str, object]) -> None:
        """The debit, with its charge, that an unresolved reversal takes back."""
        self._count(leg_facts(charge, debit, reversal.organizer), reversal, -1)

    def _may_count(self, reversal: Entry) -> bool:
        span = self.span
        return span is None or span.by is UsageTime.ANSWERED or span.has(reversal.at, reversal.at)

    def _count(self, facts: UsageFacts, entry: Entry, sign: int) -> None:
        if self.span is not None and not self.span.has(entry.at, facts.called_at):
            return
        booked, called = (_slot(each, self.time_zone) for each in (entry.at, facts.called_at))
        cell = UsageCell(facts.groups, booked, called)
        self.cells.setdefault(cell, UsageTotal()).add(
            UsageTotal(
                sign,
                sign * facts.is_answered,
                sign * facts.talk_seconds,
                sign * facts.billed_seconds,
                sign * facts.pool_seconds,
                -entry.amount_micros,
                0 if facts.carrier_micros is None else sign,
                sign * (facts.carrier_micros or 0),
            )
        )


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """Sums by group in columns: a list for each field of UsageTotal, with an item for each key."""

    keys: Sequence[GroupKey]
    columns: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.keys)

    def items(self) -> Iterable[tuple[GroupKey, UsageTotal]]:
        """Each group with its sums."""
        return zip(self.keys, map(UsageTotal, *self.columns), strict=True)

    @property
    def total(self) -> UsageTotal:
        """All groups together."""
        return UsageTotal(*map(sum, self.columns))

    def ordered(self, order: Order, limit: int | None) -> list[tuple[GroupKey, UsageTotal]]:
        """The first groups in an order, all of them without a limit; equal ones by name."""
        amounts, legs = self.columns[_AMOUNT], self.columns[_LEGS]
        sizes = {Order.AMOUNT: amounts, Order.LEGS: legs, Order.GROUP: repeat(0, len(self))}[order]
        ranks = [-size for size in sizes]
        places: Sequence[int] = range(len(self))
        if limit is not None and limit < len(self):
            last = nsmallest(limit, ranks)[-1]
            places = [place for place in places if ranks[place] <= last]

        def key(place: int) -> tuple[int, list[str]]:
            return ranks[place], [_sortable(name) for name in self.keys[place]]

        return [
            (self.keys[place], UsageTotal(*(column[place] for column in self.columns)))
            for place in nsmallest(len(self) if limit is None else limit, places, key=key)
        ]


@dataclass(frozen=True, slots=True)
class Grouping:
    """Sums of cells by requested groups."""

    by: UsageTime
    groups: Sequence[str]
    _places: dict[GroupKey, int] = field(default_factory=dict)
    _sums: list[list[int]] = field(default_factory=lambda: [[] for _ in range(_TOTALS)])

    def add_cells(self, cells: Cells) -> None:
        """Add cells."""
        keys = []
        for cell in cells:
            slot = cell.slot(self.by)
            keys.append(tuple([_value(cell, slot, name) for name in self.groups]))
        self._add(keys, zip(*(total.sums() for total in cells.values()), strict=True))

    def add_lines(self, part: UsageLines) -> None:
        """Add the cells of lines."""
        names = [part.names(self.by, group) for group in self.groups]
        keys = zip(*names, strict=True) if names else repeat((), len(part.columns[0]))
        self._add(keys, part.columns[_SUMS:])

    def _add(self, keys: Iterable[GroupKey], columns: Iterable[Sequence[int]]) -> None:
        known = self._places
        places = [known.setdefault(key, len(known)) for key in keys]
        for sums in self._sums:
            sums.extend(repeat(0, len(known) - len(sums)))
        for sums, column in zip(self._sums, columns, strict=False):  # old rows have fewer
            if any(column):
                for place, value in zip(places, column, strict=True):
                    sums[place] += value

    def totals(self) -> UsageTotals:
        """The sums by group; a group that has come to nothing is left out."""
        keys, is_kept = list(self._places), [any(sums) for sums in zip(*self._sums, strict=True)]
        if all(is_kept):
            return UsageTotals(keys, self._sums)
        columns = [list(compress(column, is_kept)) for column in self._sums]
        return UsageTotals(list(compress(keys, is_kept)), columns)


def _slot(moment: datetime, time_zone: str) -> UsageHour:
    local = moment.astimezone(zone(time_zone))
    return UsageHour(local.date().isoformat(), local.hour)


def _value(cell: UsageCell, slot: UsageHour, name: str) -> str:
    place = _PLACES.get(name)
    if place is not None:
        return cell.groups[place]
    return str(slot.hour) if name == "hour" else _period(slot.day, name)


def _period(day: str, group: str) -> str:
    """The day, month or week of a day."""
    match group:
        case "day":
            return day
        case "month":
            return day[:7]
        case _:
            return _week(day)


@lru_cache(maxsize=512)
def _week(day: str) -> str:
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02}"


def _sortable(name: str) -> str:
    return name.zfill(2) if len(name) == 1 and name.isdigit() else name
