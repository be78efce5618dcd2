"""Recompute an account's ledger from what is stored, and name the row and field that is wrong."""

import hmac
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from shared.adapters import ledger_rows as rows
from shared.domain import limits
from shared.domain.errors import LedgerCorrupt
from shared.domain.ledger import Entry, EntryKind, LedgerState, check
from shared.domain.legs import content_digest
from shared.domain.lots import Draw, Lot
from shared.ports import Row, TableStore, Verification

_UNREADABLE = (zlib.error, ValueError, KeyError, TypeError, LedgerCorrupt)


@dataclass(slots=True)
class _Run:
    """What has been recomputed so far."""

    head: str = rows.GENESIS
    commit: int = 0
    entry: int = 0
    balance_micros: int = 0
    deficit_micros: int = 0
    lots: dict[str, Lot] = field(default_factory=dict)
    legs: dict[str, Entry] = field(default_factory=dict)
    commands: int = 0
    problems: list[str] = field(default_factory=list)

    def wrong(self, key: str, what: str) -> None:
        if len(self.problems) < limits.PROBLEMS_MAX:
            self.problems.append(f"{key}: {what}")


async def verify(tables: TableStore, account: str, chain_key: bytes) -> Verification:
    """Read every row of the ledger once and recompute it.

    Checks the chain and numbers of the journal, the running balance, every lot's remainder and the
    deficit, that every debit has its leg row with the digests that its entry carries (and the other
    way round), and the state row. A person's part that was erased is no problem.
    """
    run = _Run()
    state_row = await tables.get(rows.TABLE, account, rows.STATE)
    async for row in _rows(tables, account, "journal|", "journal}"):
        _journal_row(run, account, chain_key, row)
    await _leg_rows(run, tables, account)
    await _command_rows(run, tables, account)
    if state_row is not None:
        _state_row(run, state_row)
    elif run.commit:
        run.wrong(rows.STATE, "is missing although there are commits")
    return Verification(
        commits=run.commit,
        entries=run.entry,
        legs=len(run.legs),
        balance_micros=run.balance_micros,
        head=run.head,
        problems=tuple(run.problems),
    )


def _journal_row(run: _Run, account: str, chain_key: bytes, row: Row) -> None:
    number = run.commit + 1
    if row.key != rows.journal_key(number):
        run.wrong(row.key, f"the commits have a gap: {number} is missing")
        number = int(row.key.removeprefix("journal|"))
    run.commit = number
    if row.values.get("previous") != run.head:
        run.wrong(row.key, "previous: is not the hash of the row before")
    data = rows.journal_bytes(row)
    computed = rows.chain_hash(chain_key, account, number, row.values, data)
    stored = str(row.values.get("hash"))
    if not hmac.compare_digest(computed, stored):
        run.wrong(row.key, "hash: is not that of the stored bytes")
    run.head = stored
    try:
        commit = rows.read_commit(row)
    except _UNREADABLE as error:
        run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
        return
    for entry in commit.entries:
        _entry(run, row.key, entry)
    if commit.balance_micros != run.balance_micros:
        run.wrong(row.key, "balance: is not the sum of the entries")
    if len(commit.entries) != row.values.get("entries"):
        run.wrong(row.key, "entries: is not their number")


def _entry(run: _Run, key: str, entry: Entry) -> None:
    run.entry += 1
    if entry.sequence != run.entry:
        run.wrong(key, f"entry {entry.sequence}: should be number {run.entry}")
        run.entry = entry.sequence
    run.balance_micros += entry.amount_micros
    run.deficit_micros += entry.deficit_micros
    if entry.balance_micros != run.balance_micros:
        run.wrong(key, f"entry {entry.sequence}: its balance is not the running sum")
    if entry.lot is not None:
        run.lots[entry.lot.id] = entry.lot
    for draw in entry.draws:
        _draw(run, key, entry, draw)
    if entry.moved_micros != entry.amount_micros:
        run.wrong(key, f"entry {entry.sequence}: lots and deficit did not move by its amount")
    if entry.kind is EntryKind.DEBIT:
        if entry.leg is None or entry.leg in run.legs:
            run.wrong(key, f"entry {entry.sequence}: its leg is missing or debited twice")
        else:
            run.legs[entry.leg] = entry
    elif entry.kind is not EntryKind.EXPIRY and (entry.kind is not EntryKind.REVERSAL or entry.leg):
        run.commands += 1
    remaining = sum(lot.remaining_micros for lot in run.lots.values())
    if remaining - run.deficit_micros != run.balance_micros:
        run.wrong(key, f"entry {entry.sequence}: the lots do not add up to the balance")


def _draw(run: _Run, key: str, entry: Entry, draw: Draw) -> None:
    lot = run.lots.get(draw.lot)
    if lot is None or lot.remaining_micros < draw.amount_micros:
        run.wrong(key, f"entry {entry.sequence}: lot {draw.lot} does not hold what it paid")
        return
    left = lot.remaining_micros - draw.amount_micros
    run.lots[draw.lot] = replace(lot, remaining_micros=left)


async def _leg_rows(run: _Run, tables: TableStore, account: str) -> None:
    seen: set[str] = set()
    async for row in _rows(tables, account, "leg|", "leg}"):
        leg = str(row.values.get("leg"))
        entry = run.legs.get(leg)
        if entry is None or row.key != rows.leg_row_key(leg):
            run.wrong(row.key, "leg: no entry of the journal debits it")
            continue
        seen.add(leg)
        try:
            record = rows.read_leg(row)
        except _UNREADABLE as error:
            run.wrong(row.key, f"charge: can't be read ({type(error).__name__})")
            continue
        if record.entry != entry:
            run.wrong(row.key, "entry: is not the one in the journal")
        if content_digest(record.charge) != entry.charge_digest:
            run.wrong(row.key, "charge: is not the one that was debited")
        if record.person and content_digest(record.person) != entry.person_digest:
            run.wrong(row.key, "person: is not the one that was debited")
    for leg in run.legs.keys() - seen:
        run.wrong(rows.leg_row_key(leg), f"the row of leg {leg} is missing")


async def _command_rows(run: _Run, tables: TableStore, account: str) -> None:
    found = 0
    async for row in _rows(tables, account, "command|", "command}"):
        found += 1
        try:
            rows.read_command(row)
        except _UNREADABLE as error:
            run.wrong(row.key, f"entry: can't be read ({type(error).__name__})")
    if found != run.commands:
        run.wrong("command|", f"{found} rows, but {run.commands} entries that commands made")


def _state_row(run: _Run, row: Row) -> None:
    try:
        state, head = rows.read_state(row)
    except _UNREADABLE as error:
        run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
        return
    open_lots = {name: lot for name, lot in run.lots.items() if lot.remaining_micros}
    checks: dict[str, Callable[[LedgerState], bool]] = {
        "commit": lambda s: s.commit == run.commit,
        "entry": lambda s: s.entry == run.entry,
        "balance": lambda s: s.balance_micros == run.balance_micros,
        "deficit": lambda s: s.deficit_micros == run.deficit_micros,
        "lots": lambda s: {lot.id: lot for lot in s.lots} == open_lots,
        "head": lambda _: head == run.head,
    }
    for name, holds in checks.items():
        if not holds(state):
            run.wrong(row.key, f"{name}: is not what the journal adds up to")
    try:
        check(state)
    except LedgerCorrupt as error:
        run.wrong(row.key, error.detail)


async def _rows(tables: TableStore, account: str, first: str, before: str) -> AsyncIterator[Row]:
    """A range of rows, a bounded page at a time."""
    after: str | None = None
    while True:
        page = await tables.query(
            rows.TABLE,
            account,
            first=first,
            after=after,
            before=before,
            limit=limits.TABLE_PAGE_ROWS_MAX,
        )
        for row in page:
            yield row
        if len(page) < limits.TABLE_PAGE_ROWS_MAX:
            return
        after = page[-1].key
