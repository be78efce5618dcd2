"""Usage: the charges of a span of time, added up by any combination of groups.

All sums are net. A reversal takes its leg back at the time of its entry (`booked`), or at the time
of the call (`answered`); a re-rating takes the former charge back and adds the new one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from operator import add, itemgetter
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
    """Cells of one day of booking, as numbers.

    A line has the position of its organizer in `organizers` and those of its other groups in
    `texts`. The hour of booking follows, then the day of the call as a position in `texts`, and the
    hour of the call. The sums of UsageTotal are last.
    """

    day: str
    organizers: Sequence[str]
    texts: Sequence[str]
    lines: Sequence[Sequence[int]]

    def cells(self) -> list[tuple[UsageCell, UsageTotal]]:
        """The lines as cells."""
        return [(self.cell(line), self.total(line)) for line in self.lines]

    def cell(self, line: Sequence[int]) -> UsageCell:
        """The groups and hours of a line."""
        groups = (self.organizers[line[0]], *(self.texts[at] for at in line[1:_BOOKED_HOUR]))
        called = UsageHour(self.texts[line[_CALLED_DAY]], line[_CALLED_HOUR])
        return UsageCell(groups, UsageHour(self.day, line[_BOOKED_HOUR]), called)

    def total(self, line: Sequence[int]) -> UsageTotal:
        """The sums of a line."""
        return UsageTotal(*line[_SUMS:])

    def called_on(self, day: str) -> "UsageLines":
        """Those of the lines whose calls were on a day."""
        lines = [line for line in self.lines if self.texts[line[_CALLED_DAY]] == day]
        return UsageLines(self.day, self.organizers, self.texts, lines)


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
class Grouping:
    """Sums of cells by requested groups."""

    by: UsageTime
    groups: Sequence[str]
    _found: dict[GroupKey, UsageTotal] = field(default_factory=dict)

    def add(self, cell: UsageCell, total: UsageTotal) -> None:
        """Add a cell."""
        slot = cell.slot(self.by)
        key = tuple([_value(cell, slot, name) for name in self.groups])
        present = self._found.get(key)
        if present is None:
            present = self._found[key] = UsageTotal()
        present.add(total)

    def add_lines(self, part: UsageLines) -> None:
        """Add the cells of lines. The lines are added up by their numbers first, so that a month of
        100,000 cells needs no object for each."""
        hour = _BOOKED_HOUR if self.by is UsageTime.BOOKED else _CALLED_HOUR
        places = {
            _PLACES.get(name, hour if name == "hour" else _CALLED_DAY) for name in self.groups
        }
        numbers = itemgetter(*(places or {_CALLED_DAY}))
        first: dict[object, Sequence[int]] = {}
        sums: dict[object, list[int]] = {}
        for line in part.lines:
            key = numbers(line)
            present = sums.get(key)
            if present is None:
                first[key], sums[key] = line, list(line[_SUMS:])
            else:
                present[:] = map(add, present, line[_SUMS:])
        for key, line in first.items():
            self.add(part.cell(line), UsageTotal(*sums[key]))

    def totals(self) -> dict[GroupKey, UsageTotal]:
        """The sums by group; a group that has come to nothing is left out."""
        nothing = UsageTotal()
        return {key: total for key, total in self._found.items() if total != nothing}


def ordered(
    totals: Mapping[GroupKey, UsageTotal], order: Order
) -> list[tuple[GroupKey, UsageTotal]]:
    """Groups in an order; equal ones by name."""
    named = sorted(totals.items(), key=lambda item: [_sortable(name) for name in item[0]])
    match order:
        case Order.AMOUNT:
            named.sort(key=lambda item: -item[1].amount_micros)
        case Order.LEGS:
            named.sort(key=lambda item: -item[1].legs)
        case Order.GROUP:
            pass
    return named


def added_up(totals: Iterable[UsageTotal]) -> UsageTotal:
    """All of them together."""
    result = UsageTotal()
    for total in totals:
        result.add(total)
    return result


def _slot(moment: datetime, time_zone: str) -> UsageHour:
    local = moment.astimezone(zone(time_zone))
    return UsageHour(local.date().isoformat(), local.hour)


def _value(cell: UsageCell, slot: UsageHour, name: str) -> str:
    place = _PLACES.get(name)
    if place is not None:
        return cell.groups[place]
    match name:
        case "day":
            return slot.day
        case "month":
            return slot.day[:7]
        case "hour":
            return str(slot.hour)
        case _:
            return _week(slot.day)


@lru_cache(maxsize=512)
def _week(day: str) -> str:
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02}"


def _sortable(name: str) -> str:
    return name.zfill(2) if len(name) == 1 and name.isdigit() else name
