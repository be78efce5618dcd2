"""Legs selected and put in order from columns of entries, before their guards are read."""

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import add

from shared.domain.ledger.entry_columns import EntryColumns, LineKind
from shared.domain.usage.build_columns import UNKNOWN_NUMBERS, fingerprint, microseconds
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.leg_list import LegFilter
from shared.domain.usage.usage import UsageSpan

type Place = tuple[int, int]
"""The place of a leg in an order: two numbers that grow."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CORRECTIONS = {int(LineKind.RERATED), int(LineKind.REVERSED)}


class LegOrder(StrEnum):
    """By the time that selects the legs, or the most expensive first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    AMOUNT = "amount"


@dataclass(slots=True)
class LegSelection:
    """The legs of a span that may match a filter, net of the corrections so far, in lists with an
    item for each leg. A leg without a known organizer or numbers may match any. Columns are added
    in order, corrections after their debits."""

    account: str
    span: UsageSpan
    wanted: LegFilter
    _sequences: list[int] = field(default_factory=list)
    _legs: list[str] = field(default_factory=list)
    _organizers: list[str | None] = field(default_factory=list)
    _moments_us: list[int] = field(default_factory=list)
    _amounts: list[int] = field(default_factory=list)
    _fits: list[bool] = field(default_factory=list)
    _roots: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._sequences)

    def add(self, columns: EntryColumns) -> None:
        """The next entries."""
        filters, kinds, first = self.wanted, columns.kinds, int(LineKind.FIRST)
        first_fits = [filters.admits_group(group) for group in columns.groups]
        net_fits = [filters.admits_net_group(group) for group in columns.groups]
        since, until = microseconds(self.span.since), microseconds(self.span.until)
        offsets = columns.delays if self.span.by is UsageTime.BOOKED else columns.called
        moments = list(map(add, columns.times_us(), offsets))
        places = [
            place
            for place, (kind, group, moment) in enumerate(
                zip(kinds, columns.groups_of, moments, strict=True)
            )
            if kind == first and first_fits[group] and since <= moment < until
        ]
        if filters.conference is not None:
            in_room = [filters.conference == room for room in columns.rooms]
            places = [place for place in places if in_room[columns.rooms_of[place]]]
        if filters.organizer is not None:
            organizers = {filters.organizer, None, ""}
            places = [place for place in places if columns.organizers[place] in organizers]
        if mark := fingerprint(self.account, filters.number):
            places = [place for place in places if _may_have(columns.numbers[place], mark)]
        sequences = columns.sequences()
        self._sequences += [sequences[place] for place in places]
        self._legs += [columns.legs[place] for place in places]
        self._organizers += [columns.organizers[place] for place in places]
        self._moments_us += [moments[place] for place in places]
        self._amounts += [-columns.amounts[place] for place in places]
        self._fits += [net_fits[columns.groups_of[place]] for place in places]
        for place, kind in enumerate(kinds):
            if kind in _CORRECTIONS:
                self._correct(columns, place, sequences[place], net_fits)

    def times(self) -> list[datetime]:
        """The times of the legs, in order."""
        return [_EPOCH + timedelta(microseconds=each) for each in sorted(self._moments_us)]

    def in_order(
        self, order: LegOrder, after: Place | None
    ) -> Iterator[tuple[Place, str, str | None]]:
        """(place, leg, organizer) of the legs behind a place, in order; equal ones by their
        entries, the newest first but for the oldest first."""
        least = self.wanted.min_amount_micros
        ranks = self._amounts if order is LegOrder.AMOUNT else self._moments_us
        sign = 1 if order is LegOrder.OLDEST else -1
        heap = [
            (sign * rank, sign * sequence, at)
            for at, (rank, sequence, fits, amount) in enumerate(
                zip(ranks, self._sequences, self._fits, self._amounts, strict=True)
            )
            if fits and (least is None or amount >= least)
        ]
        if after is not None:
            behind = (*after, len(self))
            heap = [each for each in heap if each > behind]
        heapq.heapify(heap)
        while heap:
            first, second, at = heapq.heappop(heap)
            yield (first, second), self._legs[at], self._organizers[at]

    def _correct(
        self, columns: EntryColumns, place: int, sequence: int, net_fits: list[bool]
    ) -> None:
        target = columns.targets[place]
        root = self._roots.get(target, target)
        at = bisect_left(self._sequences, root)
        if at == len(self) or self._sequences[at] != root:
            return
        self._amounts[at] -= columns.amounts[place]
        if columns.kinds[place] == LineKind.RERATED:
            self._roots[sequence] = root
            self._fits[at] = net_fits[columns.groups_of[place]]


def _may_have(numbers: int, mark: int) -> bool:
    """True if one of two numbers may have a fingerprint."""
    return numbers == UNKNOWN_NUMBERS or mark in {numbers >> 16, numbers & 0xFFFF}
