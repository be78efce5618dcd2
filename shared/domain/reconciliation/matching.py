"""Assignment of records to legs, each used once, and the differences of each pair.

Records are assigned in passes; a later pass sees what earlier ones left over:

1. by id: the record's id is the leg's id at its bridge;
2. by kind, called number, caller where both state one, and exact seconds: nearest time first;
3. the same without the caller, then without the seconds;
4. beyond the tolerance, a record and a leg of one kind and called number, at most a day apart, if
   neither has another counterpart.

Passes 2 and 3 take the two nearest of all unassigned records and legs of a group first, if they are
no further apart than the tolerance. Ties go to the smaller difference of seconds, then to the order
of the file. The outcome depends on the two sets alone (docs/reconciliation.md).
"""

import heapq
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from shared.domain.common.kinds import LegKind

SHIFT_MAX = timedelta(days=1)
"""How far a pair of pass 4 may be apart: any mistaken time zone is less."""
_MASK = "*"


class ComparedField(StrEnum):
    """The permitted differences between a record and its leg."""

    KIND = "kind"
    NUMBER = "number"
    ANSWERED_AT = "answered_at"
    SECONDS = "seconds"
    AMOUNT = "amount"
    CURRENCY = "currency"


@dataclass(frozen=True, slots=True)
class CarrierRecord:
    """A row of the carrier's file. `line` counts from 1; `id` may be that of the leg, `row_id`
    names the row alone. `number` is the called number, digits with "*" for those that are masked.
    `caller` alike. `amount_micros` None: the file states none. `second_at` is the time of the
    answer, too, where a local time happened twice."""

    line: int
    answered_at: datetime
    seconds: int
    id: str | None = None
    row_id: str | None = None
    kind: LegKind | None = None
    number: str = ""
    caller: str = ""
    amount_micros: int | None = None
    second_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProductLeg:
    """An answered leg of the product; `amounts` are net micros by currency: the amount that credits
    paid, and the carrier's amount where the account has a carrier card."""

    key: str
    kind: LegKind
    number: str
    caller: str
    answered_at: datetime
    seconds: int
    amounts: Mapping[str, int]

    @property
    def leg_id(self) -> str:
        """The id at its bridge."""
        return self.key.partition("~")[2]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest difference of two equal values: of times and durations, and of amounts."""

    seconds: int
    amount_micros: int


@dataclass(frozen=True, slots=True)
class DifferingLeg:
    """A record and its leg, and the fields in which they differ."""

    theirs: CarrierRecord
    ours: ProductLeg
    fields: tuple[ComparedField, ...]


@dataclass(frozen=True, slots=True)
class MissingHere:
    """A record without a leg; `duplicate_of` is the line of the record that is the same call."""

    theirs: CarrierRecord
    duplicate_of: int | None = None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The outcome, each list in the order of file or time; `matched` counts pairs that agree, and
    `outside` the records that neither were answered in the span nor are those of such a leg. Sums
    are micros of the contents."""

    matched: int
    outside: int
    theirs_micros: int
    ours_micros: int
    different: tuple[DifferingLeg, ...]
    missing_here: tuple[MissingHere, ...]
    missing_there: tuple[ProductLeg, ...]


@dataclass(frozen=True, slots=True)
class Period:
    """`since` <= answered < `until`."""

    since: datetime
    until: datetime

    def has(self, moment: datetime) -> bool:
        """True if the period contains the time of an answer."""
        return self.since <= moment < self.until


def reconcile(
    records: Iterable[CarrierRecord],
    legs: Iterable[ProductLeg],
    tolerance: Tolerance,
    period: Period,
    currency: str,
) -> Reconciliation:
    """Assign records to legs and compare each pair; `currency` is that of the records' amounts.

    `legs` and `records` may reach beyond the period: a pair counts if one of both is inside.
    """
    assignment = _Assignment(
        {each.line: each for each in records}, {each.key: each for each in legs}
    )
    assignment.by_id()
    assignment.by_times(tolerance.seconds)
    assignment.by_second_times(tolerance.seconds)
    duplicates = assignment.duplicates(tolerance.seconds)
    assignment.by_elimination(duplicates.keys())

    pairs = [
        (assignment.records[line], assignment.legs[key])
        for line, key in sorted(assignment.pairs.items())
    ]
    pairs = [pair for pair in pairs if any(period.has(each.answered_at) for each in pair)]
    free = sorted(assignment.free_legs().values(), key=_time_of_leg)
    missing_there = tuple(leg for leg in free if period.has(leg.answered_at))
    missing_here = tuple(
        MissingHere(record, duplicates.get(line))
        for line, record in sorted(assignment.free_records().items())
        if period.has(record.answered_at)
    )
    compared = [(*pair, _differences(*pair, tolerance, currency)) for pair in pairs]
    different = tuple(DifferingLeg(*each) for each in compared if each[2])
    theirs = [record for record, _ in pairs] + [each.theirs for each in missing_here]
    ours = [leg for _, leg in pairs] + list(missing_there)
    return Reconciliation(
        matched=len(pairs) - len(different),
        outside=len(assignment.records) - len(theirs),
        theirs_micros=sum(each.amount_micros or 0 for each in theirs),
        ours_micros=sum(each.amounts.get(currency, 0) for each in ours),
        different=different,
        missing_here=missing_here,
        missing_there=missing_there,
    )


@dataclass(frozen=True, slots=True)
class _Similarity:
    """The facts that a record and a leg must share; None: they can't be compared so."""

    of_record: Callable[[CarrierRecord], Hashable | None]
    of_leg: Callable[[ProductLeg], Hashable | None]


def _similarities(records: Iterable[CarrierRecord]) -> Sequence[_Similarity]:
    """Passes 2 and 3, for numbers with fewer masked digits first."""
    shapes = _shapes(records)
    similarities: list[_Similarity] = []
    for with_caller, with_seconds in ((True, True), (False, True), (False, False)):
        for without_kind, hidden in shapes:
            similarities.append(
                _similarity(hidden, with_caller, with_seconds, without_kind=without_kind)
            )
    return similarities


class MaskedDigits(NamedTuple):
    """The digits of a number that are masked, and those that follow them."""

    digits: int
    following: int


def hidden_in(number: str) -> MaskedDigits:
    """The place of the masked digits."""
    count = number.count(_MASK)
    return MaskedDigits(count, len(number) - number.index(_MASK) - count if count else 0)


def _shapes(records: Iterable[CarrierRecord]) -> Sequence[tuple[bool, MaskedDigits]]:
    """(True if the kind is unknown, masked digits) of records, the most informative first."""
    return sorted({(each.kind is None, hidden_in(each.number)) for each in records})


def _similarity(
    hidden: MaskedDigits, with_caller: bool, with_seconds: bool, *, without_kind: bool
) -> _Similarity:
    def of_record(each: CarrierRecord) -> Hashable | None:
        fits = each.number and hidden_in(each.number) == hidden
        if not fits or (each.kind is None) != without_kind or (with_caller and not each.caller):
            return None
        return (
            each.kind,
            each.number,
            each.caller if with_caller else "",
            each.seconds if with_seconds else -1,
        )

    def of_leg(each: ProductLeg) -> Hashable | None:
        if with_caller and not each.caller:
            return None
        return (
            None if without_kind else each.kind,
            mask(each.number, hidden),
            each.caller if with_caller else "",
            each.seconds if with_seconds else -1,
        )

    return _Similarity(of_record, of_leg)


def mask(number: str, hidden: MaskedDigits) -> str:
    """A number whose digits are replaced by asterisks where they are hidden."""
    if not hidden.digits:
        return number
    end = len(number) - hidden.following
    return number[: end - hidden.digits] + _MASK * hidden.digits + number[end:]


@dataclass(slots=True)
class _Assignment:
    records: dict[int, CarrierRecord]
    legs: Mapping[str, ProductLeg]
    pairs: dict[int, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def free_records(self) -> dict[int, CarrierRecord]:
        return {line: each for line, each in self.records.items() if line not in self.pairs}

    def free_legs(self) -> dict[str, ProductLeg]:
        return {key: each for key, each in self.legs.items() if key not in self.taken}

    def by_id(self) -> None:
        """Of records with the same id the nearest to the leg takes it."""
        named: dict[str, list[ProductLeg]] = defaultdict(list)
        for leg in self.legs.values():
            named[leg.leg_id].append(leg)
        candidates = [
            (_apart(record, leg), abs(record.seconds - leg.seconds), record.line, leg.key)
            for record in self.records.values()
            if record.id is not None
            for leg in named.get(record.id, ())
        ]
        for _, _, line, key in sorted(candidates):
            self._assign(line, key)
        for line, record in self._twofold():
            paired, later = self.legs.get(self.pairs.get(line, "")), _later(record)
            if paired is not None and _apart(later, paired) < _apart(record, paired):
                self.records[line] = later

    def by_times(self, seconds_max: int) -> None:
        """Passes 2 and 3."""
        for similarity in _similarities(self.records.values()):
            self.by_time(similarity, seconds_max)

    def by_second_times(self, seconds_max: int) -> None:
        """The records again, with the second reading of a local time that occurred twice."""
        twofold = [each for each in self._twofold() if each[0] not in self.pairs]
        if not twofold:
            return
        self.records |= {line: _later(record) for line, record in twofold}
        self.by_times(seconds_max)
        self.records |= {line: record for line, record in twofold if line not in self.pairs}

    def _twofold(self) -> list[tuple[int, CarrierRecord]]:
        return [item for item in self.records.items() if item[1].second_at is not None]

    def by_time(self, similarity: _Similarity, seconds_max: int) -> None:
        """Nearest first within each group of similar records and legs."""
        groups: dict[Hashable, tuple[list[CarrierRecord], list[ProductLeg]]] = {}
        for record in self.free_records().values():
            if (name := similarity.of_record(record)) is not None:
                groups.setdefault(name, ([], []))[0].append(record)
        if not groups:
            return
        for leg in self.free_legs().values():
            name = similarity.of_leg(leg)
            if name in groups:
                groups[name][1].append(leg)
        for records, legs in groups.values():
            for line, key in _nearest_first(records, legs, seconds_max):
                self._assign(line, key)

    def duplicates(self, seconds_max: int) -> dict[int, int]:
        """By line of a record without a leg: the line of the assigned record that is the same call:
        the same row id or id, or without any the same numbers, seconds and, nearly, time."""
        assigned: dict[Hashable, list[CarrierRecord]] = defaultdict(list)
        for line in self.pairs:
            for name in _names(self.records[line]):
                assigned[name].append(self.records[line])
        line_of: dict[int, int] = {}
        for line, record in self.free_records().items():
            duplicates = (
                duplicate
                for name in _names(record)
                for duplicate in assigned.get(name, ())
                if abs((duplicate.answered_at - record.answered_at).total_seconds()) <= seconds_max
            )
            if (duplicate := next(duplicates, None)) is not None:
                line_of[line] = duplicate.line
        return line_of

    def by_elimination(self, duplicates: Iterable[int]) -> None:
        """Pass 4: a record and a leg of one kind and number, each the only one within a day."""
        excluded = set(duplicates)
        left = [
            each
            for line, each in self.free_records().items()
            if line not in excluded and each.number
        ]
        candidates: dict[str, list[CarrierRecord]] = defaultdict(list)
        rivals: dict[int, int] = defaultdict(int)
        for without_kind, hidden in _shapes(left):
            similarity = _similarity(hidden, False, False, without_kind=without_kind)
            records: dict[Hashable, list[CarrierRecord]] = defaultdict(list)
            for record in sorted(left, key=_answered_at):
                if (name := similarity.of_record(record)) is not None:
                    records[name].append(record)
            legs: dict[Hashable, list[ProductLeg]] = defaultdict(list)
            for leg in sorted(self.free_legs().values(), key=_time_of_leg):
                if (name := similarity.of_leg(leg)) in records:
                    legs[name].append(leg)
            for name, near in records.items():
                for leg in legs[name]:
                    candidates[leg.key] += _within_a_day(near, leg.answered_at)
                for record in near:
                    rivals[record.line] += len(_within_a_day(legs[name], record.answered_at))
        for key, contenders in candidates.items():
            if len(contenders) == 1 and rivals[contenders[0].line] == 1:
                self._assign(contenders[0].line, key)

    def _assign(self, line: int, key: str) -> None:
        if line not in self.pairs and key not in self.taken:
            self.pairs[line] = key
            self.taken.add(key)


def _pair(
    one: CarrierRecord | ProductLeg, other: CarrierRecord | ProductLeg
) -> tuple[CarrierRecord, ProductLeg] | None:
    if isinstance(one, CarrierRecord):
        return None if isinstance(other, CarrierRecord) else (one, other)
    return (other, one) if isinstance(other, CarrierRecord) else None


def _within_a_day[Each: (CarrierRecord, ProductLeg)](
    ordered: Sequence[Each], moment: datetime
) -> Sequence[Each]:
    """At most two of the records or legs within a day of a moment: more make no difference."""
    first = bisect_left(ordered, moment - SHIFT_MAX, key=_answered_at)
    last = bisect_right(ordered, moment + SHIFT_MAX, key=_answered_at)
    return ordered[first : min(last, first + 2)]


def _names(record: CarrierRecord) -> list[Hashable]:
    """The key by which a record is recognized as the same call as another one."""
    facts = record.kind, record.number, record.seconds
    if record.id is None and record.row_id is None:
        return [("facts", record.caller, *facts)]
    names: list[Hashable] = []
    if record.row_id is not None:
        names.append(("row", record.row_id))
    if record.id is not None:
        names.append(("id", record.id, *facts))
    return names


def _nearest_first(
    records: Sequence[CarrierRecord], legs: Sequence[ProductLeg], seconds_max: int
) -> Iterable[tuple[int, str]]:
    """Pairs of one group, nearest first. In the order of times the two nearest of both sides are
    adjacent; once they are removed, the records around them are adjacent."""
    if len(records) == 1 and len(legs) == 1:
        record, leg = records[0], legs[0]
        return [(record.line, leg.key)] if _apart(record, leg) <= seconds_max else []
    ordered: list[CarrierRecord | ProductLeg] = sorted([*records, *legs], key=_order)
    before = list(range(-1, len(ordered) - 1))
    after = [*range(1, len(ordered)), -1]
    heap: list[tuple[float, int, int, int, int]] = []

    def push(left: int, right: int) -> None:
        if left < 0 or right < 0:
            return
        pair = _pair(ordered[left], ordered[right])
        if pair is not None and (apart := _apart(*pair)) <= seconds_max:
            record, leg = pair
            unlike = abs(record.seconds - leg.seconds)
            heapq.heappush(heap, (apart, unlike, record.line, left, right))

    for at in range(len(ordered) - 1):
        push(at, at + 1)
    nearest: list[tuple[int, str]] = []
    is_taken = [False] * len(ordered)
    while heap:
        *_, left, right = heapq.heappop(heap)
        if is_taken[left] or is_taken[right]:
            continue
        is_taken[left] = is_taken[right] = True
        if (pair := _pair(ordered[left], ordered[right])) is not None:
            nearest.append((pair[0].line, pair[1].key))
        outer_left, outer_right = before[left], after[right]
        if outer_left >= 0:
            after[outer_left] = outer_right
        if outer_right >= 0:
            before[outer_right] = outer_left
        push(outer_left, outer_right)
    return nearest


def _later(record: CarrierRecord) -> CarrierRecord:
    """The record at the second of its two times."""
    assert record.second_at is not None
    return replace(record, answered_at=record.second_at, second_at=None)


def _answered_at(each: CarrierRecord | ProductLeg) -> datetime:
    return each.answered_at


def _order(each: CarrierRecord | ProductLeg) -> tuple[datetime, int, int, str]:
    if isinstance(each, CarrierRecord):
        return each.answered_at, each.seconds, each.line, ""
    return each.answered_at, each.seconds, 0, each.key


def _time_of_leg(leg: ProductLeg) -> tuple[datetime, str]:
    return leg.answered_at, leg.key


def _apart(record: CarrierRecord, leg: ProductLeg) -> float:
    return abs((record.answered_at - leg.answered_at).total_seconds())


def _differences(
    record: CarrierRecord, leg: ProductLeg, tolerance: Tolerance, currency: str
) -> tuple[ComparedField, ...]:
    differing: list[ComparedField] = []
    if record.kind not in {None, leg.kind}:
        differing.append(ComparedField.KIND)
    if record.number and record.number != mask(leg.number, hidden_in(record.number)):
        differing.append(ComparedField.NUMBER)
    if _apart(record, leg) > tolerance.seconds:
        differing.append(ComparedField.ANSWERED_AT)
    if abs(record.seconds - leg.seconds) > tolerance.seconds:
        differing.append(ComparedField.SECONDS)
    if record.amount_micros is not None:
        ours = leg.amounts.get(currency)
        if ours is None:
            differing.append(ComparedField.CURRENCY)
        elif abs(record.amount_micros - ours) > tolerance.amount_micros:
            differing.append(ComparedField.AMOUNT)
    return tuple(differing)
