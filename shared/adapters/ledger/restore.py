"""Export of an account's journals, and the rebuilding of its ledger from them.

An export is JSON lines, one journal row each, with its stored bytes as they are: the chain verifies
after the way through the file. The persons' parts are not in journals and stay erased.
"""

import base64
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from itertools import batched
from typing import cast

from shared.adapters.ledger import rows
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.ledger.usage_days import close_days
from shared.adapters.tables.packing import without
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import Conflict, LedgerCorrupt
from shared.domain.ledger.model import Entry, EntryKind, LedgerState
from shared.domain.ledger.replay import LotsById, replay
from shared.ports.ledger import LegRecord
from shared.ports.tables import Operation, Row, TableStore, Upsert, Value

_PROOFS = ("proof|", "rate|")


async def export(tables: TableStore, account: str) -> AsyncIterator[bytes]:
    """The journal rows of an account in order, and its day roots with their rates, a line each."""
    for kind in ("journal|", *_PROOFS):
        async for row in read_range(tables, account, kind, f"{kind[:-1]}}}"):
            yield _line(row)


def _line(row: Row) -> bytes:
    values = {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in without("organizers", row.values).items()
    }
    return canonical_json({"key": row.key, "values": values}) + b"\n"


async def restore(
    tables: TableStore, account: str, lines: AsyncIterable[bytes], chain_key: bytes
) -> LedgerState:
    """Rebuild journal, leg, command and state rows from an export, and return the resulting state.

    Into an empty partition, or onto a restore that was broken off: every row is written as it must
    be. Onto a ledger that is there it only adds what comes after it. Raises Conflict
    `ledger_not_empty` when that ledger has gone on or is another one, and LedgerCorrupt when the
    export's chain is broken.
    """
    state: LedgerState | None = None
    opened: LotsById = {}
    head, public, commit_id = rows.GENESIS, rows.GENESIS, ""
    proofs: list[Row] = []
    present = await tables.get(rows.TABLE, account, rows.STATE)
    there = rows.read_state(present)[0].commit if present else 0
    async for line in lines:
        row = _read_line(account, line)
        if row.key.startswith(_PROOFS):
            proofs.append(row)
            continue
        _check_link(account, chain_key, row, head)
        head, commit_id = str(row.values["hash"]), str(row.values["commit_id"])
        commit = rows.read_commit(row)
        public = commit.public(account, public).public_hash()
        state = replay(
            state,
            opened,
            commit=commit.number,
            at=commit.at,
            entries=commit.entries,
            settings=commit.settings,
            rules=commit.rules,
        )
        if commit.number <= there:
            await _check_same(tables, row)
            continue
        guards = [row for entry in commit.entries for row in _guards(entry, commit.number)]
        await _write(tables, account, [Upsert(row.key, row.values), *guards])
    if state is None:
        raise LedgerCorrupt("The export is empty.")
    if state.commit < there:
        raise Conflict(
            "The account has a ledger with newer entries. Restore into an empty partition.",
            code="ledger_not_empty",
        )
    await _write(
        tables, account, [Upsert(rows.STATE, rows.state_values(state, head, commit_id, public))]
    )
    await _write(tables, account, [Upsert(row.key, row.values) for row in proofs])
    if state.at is not None:
        await close_days(tables, account, state.time_zone, state.at)
    return state


def _read_line(account: str, line: bytes) -> Row:
    data = json.loads(line)
    values = {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value
        for name, value in data["values"].items()
    }
    return Row(account, data["key"], cast("dict[str, Value]", values), "")


def _check_link(account: str, chain_key: bytes, row: Row, head: str) -> None:
    number = int(row.key.removeprefix("journal|"))
    data = rows.journal_bytes(row)
    computed = rows.chain_hash(chain_key, account, number, row.values, data)
    if row.values.get("previous") != head or row.values.get("hash") != computed:
        raise LedgerCorrupt(f"{row.key}: the chain is broken here.")


async def _check_same(tables: TableStore, row: Row) -> None:
    stored = await tables.get(rows.TABLE, row.partition, row.key)
    if stored is None or stored.values.get("hash") != row.values["hash"]:
        raise Conflict(
            "The account has another ledger. Restore into an empty partition.",
            code="ledger_not_empty",
        )


def _guards(entry: Entry, commit: int) -> Iterator[Operation]:
    if entry.kind is EntryKind.DEBIT and entry.leg is not None:
        record = LegRecord(
            leg=entry.leg,
            digest=entry.content_digest or "",
            charge=entry.charge or {},
            person={},
            entry=entry,
        )
        yield Upsert(rows.debit_row_key(entry), rows.leg_values(record, commit))
        if hold_row := rows.hold_row_key(entry):
            yield Upsert(hold_row, rows.hold_values(entry, commit))
    elif key := rows.command_guard(entry):
        yield Upsert(key, rows.command_values(entry, entry.content_digest or "", commit))


async def _write(tables: TableStore, account: str, operations: list[Operation]) -> None:
    for part in batched(operations, limits.RESTORE_ROWS_AT_ONCE, strict=False):
        await tables.transact(rows.TABLE, account, part)
