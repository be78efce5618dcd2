"""Entries of commits put into columns."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.ledger.entry_columns import ColumnCommit, EntryColumns, LegGroup, LineKind
from shared.domain.ledger.model import Entry, EntryKind
from shared.domain.ledger.statements import statement_leg
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.usage.leg_facts import leg_facts

UNKNOWN_NUMBERS = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FINGERPRINTS = 65_535


def microseconds(moment: datetime) -> int:
    """A time in microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def fingerprint(account: str, number: object) -> int:
    """1 to 65,535: a number of 16 bits that about one in 65,535 telephone numbers shares; 0 for a
    leg without a number."""
    if not isinstance(number, str) or not number:
        return 0
    digest = hashlib.sha256(f"{account}|{number}".encode()).digest()
    return 1 + int.from_bytes(digest[:4]) % _FINGERPRINTS


def fingerprints(account: str, person: Mapping[str, object]) -> int:
    """Both numbers of a leg, as `EntryColumns.numbers` has them."""
    return fingerprint(account, person.get("from")) << 16 | fingerprint(account, person.get("to"))


@dataclass(slots=True)
class ColumnsBuilder:
    """Adds commits to columns, in order."""

    columns: EntryColumns
    _groups: dict[LegGroup, int] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)
    _rooms: dict[str, int] = field(default_factory=dict)

    def add(
        self, number: int, at: datetime, balance_micros: int, first: int, entries: Sequence[Entry]
    ) -> None:
        """One more commit."""
        at_us = microseconds(at)
        commit = ColumnCommit(number, at_us, balance_micros, first, len(entries))
        self.columns.commits.append(commit)
        for entry in entries:
            self._add(entry, at_us)

    def _add(self, entry: Entry, commit_us: int) -> None:
        columns = self.columns
        kind, group, called, seconds, pool_seconds = LineKind.OTHER, 0, 0, 0, 0
        target, room = 0, ""
        charge = entry.charge or {}
        if entry.kind is EntryKind.DEBIT:
            facts = leg_facts(charge, entry, entry.organizer)
            called = microseconds(facts.called_at) - commit_us
            seconds, pool_seconds = facts.billed_seconds, facts.pool_seconds
            group, room = self._group(charge, entry), facts.groups[2]
            kind, target = LineKind.FIRST, 0
            if entry.rerates is not None:
                kind, target = LineKind.RERATED, entry.rerates
                before = ChargeRecord(charge).replaced.document
                leg = statement_leg(before, None)
                columns.replaced[len(columns.kinds)] = (
                    self._group(before, entry),
                    leg.seconds,
                    leg.pool_seconds,
                )
        elif entry.kind is EntryKind.REVERSAL and not entry.restores_lot:
            kind, target = LineKind.REVERSED, entry.reverses or 0
        else:
            group = _place(self._names, columns.names, entry.kind.value)
        columns.kinds.append(kind)
        columns.amounts.append(entry.amount_micros)
        columns.groups_of.append(group)
        columns.rooms_of.append(_place(self._rooms, columns.rooms, room))
        columns.delays.append(microseconds(entry.at) - commit_us)
        columns.called.append(called)
        columns.targets.append(target)
        columns.seconds.append(seconds)
        columns.pool_seconds.append(pool_seconds)
        columns.legs.append(entry.leg or "")
        columns.organizers.append(entry.organizer)
        columns.numbers.append(UNKNOWN_NUMBERS)

    def _group(self, charge: Mapping[str, object], entry: Entry) -> int:
        _, cost_center, _, kind, region, destination, _, bridge = leg_facts(
            charge, entry, None
        ).groups
        leg = statement_leg(charge, None)
        record = ChargeRecord(charge)
        group = LegGroup(
            kind=kind,
            cost_center=cost_center,
            region=region,
            destination=destination,
            bridge=bridge,
            status=record.status,
            stated_destination=leg.destination,
            pool_destination=leg.pool_destination,
            flags=record.flags,
        )
        return _place(self._groups, self.columns.groups, group)


def _place[Item](places: dict[Item, int], items: list[Item], item: Item) -> int:
    """The place of an item in a list, added where it is new."""
    place = places.setdefault(item, len(places))
    if place == len(items):
        items.append(item)
    return place


def number_columns(
    account: str, columns: EntryColumns, persons: Mapping[str, Mapping[str, object]]
) -> list[int]:
    """The fingerprints of the numbers of first debits, 0 for other entries."""
    return [
        fingerprints(account, persons.get(leg, {})) if kind == LineKind.FIRST else 0
        for kind, leg in zip(columns.kinds, columns.legs, strict=True)
    ]


def first_legs(columns: EntryColumns) -> Iterable[str]:
    """The legs of the first debits."""
    return (
        leg for kind, leg in zip(columns.kinds, columns.legs, strict=True) if kind == LineKind.FIRST
    )
