"""Legs selected and put in order from columns of entries, before their guards are read."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.domain.ledger.entry_columns import EntryColumns, LineKind
from shared.domain.usage.build_columns import UNKNOWN_NUMBERS, fingerprint, microseconds
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.leg_list import LegFilter
from shared.domain.usage.usage import UsageSpan

type Place = tuple[int, int]
"""The place of a leg in an order: two numbers that grow."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LegOrder(StrEnum):
    """By the time that selects the legs, or the most expensive first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    AMOUNT = "amount"


@dataclass(slots=True)
class _Line:
    """A leg that may match, net of the corrections so far."""

    leg: str
    organizer: str | None
    moment_us: int
    amount_micros: int
    fits: bool


@dataclass(slots=True)
class LegSelection:
    """The legs of a span that may match a filter. A leg without a known organizer or numbers may
    match any. Columns are added in order, corrections after their debits."""

    account: str
    span: UsageSpan
    wanted: LegFilter
    _found: dict[int, _Line] = field(default_factory=dict)
    _roots: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, columns: EntryColumns) -> None:
        """The next entries."""
        filters = self.wanted
        first_fits = [filters.admits_group(group) for group in columns.groups]
        net_fits = [filters.admits_net_group(group) for group in columns.groups]
        in_room = [filters.conference in {None, room} for room in columns.rooms]
        since, until = microseconds(self.span.since), microseconds(self.span.until)
        is_booked = self.span.by is UsageTime.BOOKED
        organizers = {filters.organizer, None, ""}
        mark = fingerprint(self.account, filters.number)
        rooms_of, numbers = columns.rooms_of, columns.numbers
        lines = zip(
            columns.sequences(),
            columns.kinds,
            columns.groups_of,
            columns.times_us(),
            columns.delays if is_booked else columns.called,
            columns.organizers,
            strict=True,
        )
        for place, (sequence, kind, group, at_us, offset_us, organizer) in enumerate(lines):
            if kind == LineKind.FIRST:
                if (
                    first_fits[group]
                    and in_room[rooms_of[place]]
                    and since <= at_us + offset_us < until
                    and (filters.organizer is None or organizer in organizers)
                    and (not mark or _may_have(numbers[place], mark))
                ):
                    self._found[sequence] = _Line(
                        columns.legs[place],
                        organizer,
                        at_us + offset_us,
                        -columns.amounts[place],
                        net_fits[group],
                    )
            elif kind != LineKind.OTHER:
                self._correct(columns, place, sequence, net_fits)

    def times(self) -> list[datetime]:
        """The times of the legs, in order."""
        times = sorted(line.moment_us for line in self._found.values())
        return [_EPOCH + timedelta(microseconds=moment_us) for moment_us in times]

    def in_order(
        self, order: LegOrder, after: Place | None
    ) -> Iterator[tuple[Place, str, str | None]]:
        """(place, leg, organizer) of the legs behind a place, in order; equal ones by their
        entries, the newest first but for the oldest first."""
        least = self.wanted.min_amount_micros
        heap = [
            (*_place(order, sequence, line), sequence)
            for sequence, line in self._found.items()
            if line.fits and (least is None or line.amount_micros >= least)
        ]
        if after is not None:
            heap = [each for each in heap if each[:2] > after]
        heapq.heapify(heap)
        while heap:
            first, second, sequence = heapq.heappop(heap)
            line = self._found[sequence]
            yield (first, second), line.leg, line.organizer

    def _correct(
        self, columns: EntryColumns, place: int, sequence: int, net_fits: list[bool]
    ) -> None:
        target = columns.targets[place]
        root = self._roots.get(target, target)
        line = self._found.get(root)
        if line is None:
            return
        line.amount_micros -= columns.amounts[place]
        if columns.kinds[place] == LineKind.RERATED:
            self._roots[sequence] = root
            line.fits = net_fits[columns.groups_of[place]]


def _may_have(numbers: int, mark: int) -> bool:
    """True if one of two numbers may have a fingerprint."""
    return numbers == UNKNOWN_NUMBERS or mark in {numbers >> 16, numbers & 0xFFFF}


def _place(order: LegOrder, sequence: int, line: _Line) -> Place:
    match order:
        case LegOrder.NEWEST:
            return -line.moment_us, -sequence
        case LegOrder.OLDEST:
            return line.moment_us, sequence
        case LegOrder.AMOUNT:
            return -line.amount_micros, -sequence
