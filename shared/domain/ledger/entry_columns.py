"""Consecutive entries of a journal in columns: the parts of each that lists of legs and statements
need, without the explained charge."""

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple


class LineKind(IntEnum):
    """The kind of an entry in columns: the first debit of a leg, the debit of a re-rating, the
    reversal of a debit, any other entry."""

    FIRST = 0
    RERATED = 1
    REVERSED = 2
    OTHER = 3


class LegGroup(NamedTuple):
    """The texts of a charge that many legs share, "" where a charge has none. `destination` is that
    of usage, `stated_destination` that of statements, `pool_destination` the one that included
    minutes paid for."""

    kind: str = ""
    cost_center: str = ""
    region: str = ""
    destination: str = ""
    bridge: str = ""
    status: str = ""
    stated_destination: str = ""
    pool_destination: str = ""
    flags: tuple[str, ...] = ()


class ColumnCommit(NamedTuple):
    """A commit in columns: its number, time in microseconds since 1970, balance after it, the
    sequence of its first entry, and the number of its entries."""

    number: int
    at_us: int
    balance_micros: int
    first: int
    entries: int


@dataclass(slots=True)
class EntryColumns:
    """The entries of the commits after `after`, in order; each list below `rooms` has an item for
    each entry.

    `groups_of` is the place of the group in `groups`, of an entry without a leg that of its kind in
    `names`; `rooms_of` is the place of the conference in `rooms`. `delays` and `called` are the
    times of the entry and of the call, in microseconds after that of the commit. `targets` is the
    sequence of the debit that a correction corrects, else 0. `numbers` are two fingerprints of
    numbers, `from` * 65,536 + `to`, each 0 where the leg has no number; -1: not known. `replaced`
    has the group, billed seconds and pool seconds of the former charge of a re-rating, by place.
    """

    after: int
    commits: list[ColumnCommit] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    groups: list[LegGroup] = field(default_factory=list)
    rooms: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)
    groups_of: list[int] = field(default_factory=list)
    rooms_of: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    called: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    seconds: list[int] = field(default_factory=list)
    pool_seconds: list[int] = field(default_factory=list)
    legs: list[str] = field(default_factory=list)
    organizers: list[str | None] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    replaced: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The number of the last commit."""
        return self.commits[-1].number if self.commits else self.after

    def sequences(self) -> list[int]:
        """The sequence of each entry."""
        return [
            sequence
            for commit in self.commits
            for sequence in range(commit.first, commit.first + commit.entries)
        ]

    def times_us(self) -> list[int]:
        """The time of the commit of each entry, in microseconds since 1970."""
        return [commit.at_us for commit in self.commits for _ in range(commit.entries)]

    def place_of(self, sequence: int) -> int | None:
        """The place of the entry with this sequence; None where it is not among them."""
        at = bisect_right(self.commits, sequence, key=lambda commit: commit.first) - 1
        if at < 0 or sequence >= self.commits[at].first + self.commits[at].entries:
            return None
        before = sum(commit.entries for commit in self.commits[:at])
        return before + sequence - self.commits[at].first

    def commits_with_others(self) -> list[int]:
        """The numbers of the commits with an entry that is not the first debit of a leg."""
        numbers: list[int] = []
        place = 0
        for commit in self.commits:
            kinds = self.kinds[place : place + commit.entries]
            place += commit.entries
            if any(kind != LineKind.FIRST for kind in kinds):
                numbers.append(commit.number)
        return numbers

    def balance_after(self, places: int) -> int:
        """The balance in micros after the first so many entries, the last ones of a commit."""
        for commit in self.commits:
            places -= commit.entries
            if places <= 0:
                return commit.balance_micros
        raise IndexError("there are fewer entries")
