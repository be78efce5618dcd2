"""The lines of a month file (docs/proof.md)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from shared.domain.common.canonical import canonical_json, format_time
from shared.domain.common.money import format_amount
from shared.domain.ledger.model import EntryKind
from shared.domain.proof.commits import PublicCommit, entry_leaf
from shared.domain.proof.rates import rate_leaves
from shared.domain.proof.roots import DayRoot, SignedRoot

MONTH_FORMAT = "perminute-month/1"


class MonthFile:
    """Makes the lines one after the other, and adds up the statement on the way."""

    def __init__(self, first: DayRoot) -> None:
        self._first = first
        self._digest = hashlib.sha256()
        self._lines = 0
        self._closing = first.opening_micros
        self._last_entry = first.first_entry - 1
        self._kinds: dict[str, tuple[int, int]] = {}
        self._legs = self._charged = 0

    def head(
        self,
        month: str,
        *,
        is_interim: bool,
        persons: bool,
        created_at: datetime,
        checkpoint: SignedRoot | None,
        rates: Iterable[Mapping[str, Any]],
    ) -> Iterator[bytes]:
        """The lines before the days."""
        about = {
            "type": "file",
            "format": MONTH_FORMAT,
            "account": self._first.account,
            "month": month,
            "currency": self._first.currency,
            "time_zone": self._first.time_zone,
            "interim": is_interim,
            "persons": persons,
            "created_at": format_time(created_at),
        }
        yield self._line(canonical_json(about))
        if checkpoint is not None:
            yield self._line(canonical_json({"type": "checkpoint", **checkpoint.document()}))
        for rate in rate_leaves(rates):
            yield self._line(b'{"rate":' + rate + b',"type":"rate"}')

    def commit(
        self, commit: PublicCommit, persons: Mapping[int, Mapping[str, object]]
    ) -> tuple[bytes, str]:
        """(line, public hash) of a commit; `persons` by the number of the entry, as far
        as they are shown."""
        leaves = [entry_leaf(entry) for entry in commit.entries]
        parts: list[bytes] = []
        for entry, leaf in zip(commit.entries, leaves, strict=True):
            part = b'{"entry":' + leaf
            if entry.charge is not None:
                part = b'{"charge":' + canonical_json(entry.charge) + b"," + part[1:]
            if person := persons.get(entry.sequence):
                part += b',"person":' + canonical_json(person)
            parts.append(part + b"}")
            self._add(entry.kind, entry.amount_micros, is_leg=entry.leg is not None)
            self._legs += entry.is_first_debit
        self._closing = commit.balance_micros
        self._last_entry += len(parts)
        document = canonical_json(commit.document(leaves))
        body = b'{"commit":' + document + b',"entries":[' + b",".join(parts) + b"]"
        line = self._line(body + b',"type":"commit"}')
        return line, hashlib.sha256(document).hexdigest()

    def root(self, signed: SignedRoot) -> bytes:
        """The root of a day."""
        return self._line(canonical_json({"type": "root", **signed.document()}))

    def tail(self) -> Iterator[bytes]:
        """The statement, and the end."""
        statement = {
            "type": "statement",
            "opening": format_amount(self._first.opening_micros),
            "closing": format_amount(self._closing),
            "first_entry": self._first.first_entry,
            "last_entry": self._last_entry,
            "legs": self._legs,
            "charged": format_amount(self._charged),
            "by_kind": {
                kind: {"count": count, "amount": format_amount(micros)}
                for kind, (count, micros) in self._kinds.items()
            },
        }
        yield self._line(canonical_json(statement))
        end = {"type": "end", "lines": self._lines, "digest": self._digest.hexdigest()}
        yield canonical_json(end) + b"\n"

    def _add(self, kind: EntryKind, micros: int, *, is_leg: bool) -> None:
        count, amount = self._kinds.get(kind.value, (0, 0))
        self._kinds[kind.value] = (count + 1, amount + micros)
        if kind is EntryKind.DEBIT or (kind is EntryKind.REVERSAL and is_leg):
            self._charged -= micros

    def _line(self, content: bytes) -> bytes:
        line = content + b"\n"
        self._digest.update(line)
        self._lines += 1
        return line
