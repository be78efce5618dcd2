"""Erasure of a person: a number or an organizer leaves every table; money and chain stay.

Entries carry only the salted digest of a leg's person part, so the chain verifies without it. A leg
on the queue or in the inbox stays until it was charged: erase again then.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

from shared.adapters.dial_out import denial_store, hold_book_store
from shared.adapters.dial_out import rows as hold_rows
from shared.adapters.directory import account_index, audit_log, document_store
from shared.adapters.ledger import index
from shared.adapters.ledger import rows as ledger_rows
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.legs import call_store, claim_store, parking_store
from shared.adapters.tables.packing import pack, unpack, without
from shared.adapters.tables.scans import scan_rows
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import EtagMismatch, OutcomeUnknown, StoreUnavailable
from shared.domain.dial_out.applicable_limits import scope_key
from shared.domain.dial_out.budgets import Scope
from shared.domain.legs.parking import ParkStatus
from shared.domain.numbers.numbers import called_number, caller_number
from shared.ports.erasure import Erased
from shared.ports.tables import Delete, Operation, Replace, Row, TableStore, Value

_ERASED = "(erased)"
_NUMBER_FIELDS = ("from", "to", "from_received", "to_received")

type RowUpdate = dict[str, Value] | None
"""The properties of a row without the person, or None where the person is not in it."""
type RowChange = Callable[[Row], RowUpdate]


class TableEraser:
    """Implements the port `Eraser` on a TableStore: reads an account's rows, once each."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def erase(self, account: str, *, number: str | None, organizer: str | None) -> Erased:
        """Erase a person from an account. Again changes nothing. Raises StoreUnavailable when it
        is not certain: then erase again."""
        person = _Person(number, organizer)
        await self._ledger_copies(account, person, organizer)

        async def of_range(table: str, first: str, before: str, change: RowChange) -> int:
            rows = read_range(self._tables, account, first, before, table=table)
            return await self._clean(table, rows, change)

        async def of_table(table: str, change: RowChange, **where: str) -> int:
            return await self._clean(table, scan_rows(self._tables, table, where), change)

        legs = await of_range(ledger_rows.TABLE, "leg|", "leg}", person.of_leg)
        await of_range(ledger_rows.TABLE, "index|", "index}", person.of_columns)
        await of_table(call_store.TABLE, person.of_call)
        return Erased(
            legs=legs,
            parked=await of_table(parking_store.TABLE, person.of_parked, account=account),
            claims=await of_table(claim_store.TABLE, person.of_claim, account=account),
            holds=await of_range(hold_book_store.TABLE, "hold|", "hold}", person.of_hold)
            + await self._counters(account, organizer),
            directory=await self._directory(account, person),
            denials=await of_range(
                denial_store.TABLE, denial_store.FIRST, denial_store.BEFORE, person.of_denial
            ),
        )

    async def _ledger_copies(self, account: str, person: "_Person", organizer: str | None) -> None:
        """The organizer is removed from journal rows, segments and days of usage, where it is apart
        from the rest. A closed month that names it goes: the nightly job makes it again."""
        if organizer is None:
            return
        for kind in ("journal", "segment", "usage"):
            copies = read_range(self._tables, account, f"{kind}|", f"{kind}}}")
            await self._clean(ledger_rows.TABLE, copies, person.of_organizers)
        async for row in read_range(self._tables, account, "month|", "month}"):
            content = cast("dict[str, Any]", unpack("data", row.values))
            if organizer in content.get("by_organizer", ()):
                await self._write(ledger_rows.TABLE, account, Delete(row.key, row.etag))

    async def _clean(self, table: str, rows: AsyncIterator[Row], clean: RowChange) -> int:
        count = 0
        async for row in rows:
            cleaned = clean(row)
            if cleaned is not None:
                await self._write(table, row.partition, Replace(row.key, cleaned, row.etag))
                count += 1
        return count

    async def _counters(self, account: str, organizer: str | None) -> int:
        """The counters of an organizer, under a hash of its name."""
        if organizer is None:
            return 0
        key = hold_rows.spend_key(scope_key(Scope.ORGANIZER, organizer))
        row = await self._tables.get(hold_rows.TABLE, account, key)
        if row is None:
            return 0
        await self._write(hold_rows.TABLE, account, Delete(key, row.etag))
        return 1

    async def _directory(self, account: str, person: "_Person") -> int:
        count = 0
        async for row in scan_rows(self._tables, document_store.TABLE):
            if row.key.startswith(audit_log.MARKERS):
                continue
            if person.is_organizer_record(account, row):
                operation: Operation = Delete(row.key, row.etag)
            elif cleaned := (
                person.of_change(account, row)
                or person.of_registration(account, row)
                or person.of_rules(account, row)
            ):
                operation = Replace(row.key, cleaned, row.etag)
            else:
                continue
            await self._write(document_store.TABLE, row.partition, operation)
            count += 1
        return count

    async def _write(self, table: str, partition: str, operation: Operation) -> None:
        try:
            await self._tables.transact(table, partition, [operation])
        except (EtagMismatch, OutcomeUnknown) as error:
            raise StoreUnavailable("A row changed during the erasure.") from error


class _Person:
    """The place of a number or an organizer in a row, and the row without it."""

    def __init__(self, number: str | None, organizer: str | None) -> None:
        numbers = () if number is None else (number, called_number(number), caller_number(number))
        self._numbers = frozenset(each for each in numbers if each)
        self._organizer = organizer
        self._nameless: set[str] = set()

    def _is_in(self, document: Mapping[str, Any]) -> bool:
        texts = {document.get(name) for name in _NUMBER_FIELDS}
        return not self._numbers.isdisjoint(texts) or (
            self._organizer is not None and document.get("organizer") == self._organizer
        )

    def of_leg(self, row: Row) -> RowUpdate:
        """A leg's row without the whole person's part: its digest would not match a part of it."""
        person = cast("dict[str, Any]", unpack("person", row.values))
        if person and not self._is_in(person):
            return None
        if row.key.count("|") == 1:  # the row of a re-rating has no person's part
            self._nameless.add(str(row.values["leg"]))
        if not person:
            return None
        return {**without("person", row.values), **pack("person", {})}

    def of_organizers(self, row: Row) -> RowUpdate:
        """A journal row or a segment without the organizer of its entries."""
        named = ledger_rows.read_organizers(row)
        kept = [
            [self._other(name) for name in each] if isinstance(each, list) else self._other(each)
            for each in named
        ]
        if kept == named:
            return None
        return {**without("organizers", row.values), **ledger_rows.organizers_values(kept)}

    def of_columns(self, row: Row) -> RowUpdate:
        """Columns of entries without the organizer, and without the fingerprints of the numbers of
        legs that have no person's part any more."""
        cleaned = self.of_organizers(row) or dict(row.values)
        columns = index.read_columns(row)
        numbers = [
            0 if leg in self._nameless else both
            for leg, both in zip(columns.legs, columns.numbers, strict=True)
        ]
        if numbers != columns.numbers:
            cleaned = {**without("numbers", cleaned), **index.numbers_values(numbers)}
        return None if cleaned == row.values else cleaned

    def _other(self, name: object) -> object:
        return None if name == self._organizer else name

    def of_parked(self, row: Row) -> RowUpdate:
        """A parked leg without its original; it can then only be replayed with corrections."""
        original = cast("dict[str, Any]", unpack("original", row.values))
        named = {
            "from": caller_number(str(original.get("from"))),
            "to": called_number(str(original.get("to"))),
        }
        charged = cast("dict[str, Any]", original.get("charged") or {})
        if not (self._is_in(original) or self._is_in(named) or self._is_in(charged)):
            return None
        kept = without("original", row.values)
        kept["detail"] = "The person was erased."
        if kept["status"] == ParkStatus.OPEN.value:
            kept["status"] = ParkStatus.DISMISSED.value
        return {**kept, **pack("original", {})}

    def of_call(self, row: Row) -> RowUpdate:
        """An event of a call without its facts, wherever they name the person: its call, which was
        charged or parked, is not assembled again. Events name no account."""
        if "received_at" not in row.values or row.values.get("erased"):
            return None
        texts = _texts(unpack("facts", row.values))
        numbers = {each(text) for text in texts for each in (caller_number, called_number)}
        is_named = self._organizer is not None and self._organizer in texts
        if self._numbers.isdisjoint(texts | numbers) and not is_named:
            return None
        return {**without("facts", row.values), **pack("facts", {}), "erased": True}

    def of_claim(self, row: Row) -> RowUpdate:
        """A claim without its organizer."""
        if self._organizer is None or row.values.get("organizer") != self._organizer:
            return None
        return {**row.values, "organizer": ""}

    def of_hold(self, row: Row) -> RowUpdate:
        """A call's question and answer without the person, wherever the answer's words name it."""
        cleaned = dict(row.values)
        if not self._numbers.isdisjoint(
            {row.values.get("from"), caller_number(str(row.values.get("from", "")))}
        ):
            cleaned["from"] = ""
        if self._organizer is not None and row.values.get("organizer") == self._organizer:
            cleaned["organizer"] = ""
            own = scope_key(Scope.ORGANIZER, self._organizer)
            scopes = str(row.values.get("scopes", "")).split()
            cleaned["scopes"] = " ".join(key for key in scopes if key != own)
        answer = str(row.values.get("answer", ""))
        for name in (*self._numbers, self._organizer):
            if name is not None:  # as it is encoded within a text of JSON
                answer = answer.replace(canonical_json(name).decode()[1:-1], _ERASED)
        if answer != row.values.get("answer", ""):
            cleaned["answer"] = answer
        return cleaned if cleaned != row.values else None

    def of_denial(self, row: Row) -> RowUpdate:
        """A denied call without the person."""
        cleaned = dict(row.values)
        if self._organizer is not None and row.values["organizer"] == self._organizer:
            cleaned["organizer"] = ""
        for name in ("to", "message"):
            text = str(row.values[name])
            for identifier in (*self._numbers, self._organizer):
                text = text.replace(identifier, _ERASED) if identifier is not None else text
            cleaned[name] = text
        return cleaned if cleaned != row.values else None

    def of_change(self, account: str, row: Row) -> RowUpdate:
        """A change in the audit log without the person, wherever its words name it."""
        if not row.partition.startswith(audit_log.PARTITIONS) or row.values["account"] != account:
            return None
        cleaned: dict[str, Value] = {**row.values, "key": self._without(str(row.values["key"]))}
        for name in ("before", "after"):
            text = canonical_json(unpack(name, row.values)).decode()
            erased = json.loads(self._without(text, json.dumps))
            cleaned = {**without(name, cleaned), **pack(name, erased)}
        return cleaned if cleaned != row.values else None

    def _without(self, text: str, quoted: Callable[[str], str] | None = None) -> str:
        """A text, in JSON one of its strings, less the person."""
        for name in (*self._numbers, self._organizer):
            if name is not None and quoted is not None:
                text = text.replace(canonical_json(name).decode(), quoted(_ERASED))
            elif name is not None and text == name:
                text = _ERASED
        return text

    def is_organizer_record(self, account: str, row: Row) -> bool:
        """True if a row of the directory is a registration of the organizer."""
        if self._organizer is None:
            return False
        if row.partition == account_index.partition_of("organizer", account):
            return row.values.get("id") == self._organizer
        is_document = row.partition.startswith(("organizer", "former_organizer"))
        return is_document and row.values.get("id") == f"{account}|{self._organizer}"

    def of_registration(self, account: str, row: Row) -> RowUpdate:
        """A conference's registrations without the organizer."""
        if self._organizer is None or not row.partition.startswith("conference"):
            return None
        document = account_index.plain_document(row.values)
        named = [
            each
            for each in document["registrations"]
            if each.get("organizer") == self._organizer and each.get("account") == account
        ]
        if not named:
            return None
        for each in named:
            each["organizer"] = None
        kept = without("packed", without("document", row.values))
        return {**kept, **pack("packed", document)}

    def of_rules(self, account: str, row: Row) -> RowUpdate:
        """An account's settings without rules about the organizer's charges."""
        is_settings = row.partition.startswith("account") and row.values.get("id") == account
        if self._organizer is None or not is_settings:
            return None
        document = account_index.plain_document(row.values)
        rules = document.get("spend_rules", [])
        kept = [rule for rule in rules if rule["organizer"] != self._organizer]
        if len(kept) == len(rules):
            return None
        values = without("packed", without("document", row.values))
        return {**values, **pack("packed", {**document, "spend_rules": kept})}


def _texts(value: object) -> set[str]:
    """The texts in a JSON value."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return {text for item in items for text in _texts(item)}
    return {value} if isinstance(value, str) and value else set()
