"""Recompute an account's ledger from what is stored, and name the row and field that is wrong."""

import hmac
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields, replace

from shared.adapters import ledger_rows as rows
from shared.domain import limits
from shared.domain.errors import LedgerCorrupt
from shared.domain.ledger import Entry, EntryKind, LedgerState, check
from shared.domain.ledger_replay import Opened, replay
from shared.domain.legs import content_digest
from shared.ports import Commit, Row, TableStore, Verification

_UNREADABLE = (zlib.error, ValueError, KeyError, TypeError, LedgerCorrupt)


@dataclass(slots=True)
class _Run:
    """What has been recomputed so far. `broken`: the journal can't be replayed any further."""

    head: str = rows.GENESIS
    commit: int = 0
    entries: int = 0
    state: LedgerState | None = None
    opened: Opened = field(default_factory=dict)
    broken: bool = False
    legs: dict[str, Entry] = field(default_factory=dict)
    commands: int = 0
    problems: list[str] = field(default_factory=list)

    def wrong(self, key: str, what: str) -> None:
        if len(self.problems) < limits.PROBLEMS_MAX:
            self.problems.append(f"{key}: {what}")


async def verify(tables: TableStore, account: str, chain_key: bytes) -> Verification:
    """Read every row of the ledger once and recompute it.

    Checks the chain and numbers of the journal; replays its entries to the state, balance, every
    lot and the deficit; and that every debit has its leg row with the digests that its entry
    carries, every other command its guard, and nothing is there beside them. A person's part that
    was erased is no problem.
    """
    run = _Run()
    state_row = await tables.get(rows.TABLE, account, rows.STATE)
    async for row in read_range(tables, account, "journal|", "journal}"):
        _journal_row(run, account, chain_key, row)
    await _leg_rows(run, tables, account)
    await _command_rows(run, tables, account)
    if state_row is not None:
        _state_row(run, state_row)
    elif run.commit:
        run.wrong(rows.STATE, "is missing although there are commits")
    return Verification(
        commits=run.commit,
        entries=run.entries,
        legs=len(run.legs),
        balance_micros=run.state.balance_micros if run.state else 0,
        head=run.head,
        problems=tuple(run.problems),
    )


def _journal_row(run: _Run, account: str, chain_key: bytes, row: Row) -> None:
    if row.key != rows.journal_key(run.commit + 1):
        run.wrong(row.key, f"the commits have a gap: {run.commit + 1} is missing")
    run.commit = int(row.key.removeprefix("journal|"))
    if row.values.get("previous") != run.head:
        run.wrong(row.key, "previous: is not the hash of the row before")
    data = rows.journal_bytes(row)
    computed = rows.chain_hash(chain_key, account, run.commit, row.values, data)
    run.head = str(row.values.get("hash"))
    if not hmac.compare_digest(computed.encode(), run.head.encode()):
        run.wrong(row.key, "hash: is not that of the stored bytes")
    try:
        commit = rows.read_commit(row)
    except _UNREADABLE as error:
        run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
        run.broken = True
        return
    run.entries += len(commit.entries)
    if len(commit.entries) != row.values.get("entries"):
        run.wrong(row.key, "entries: is not their number")
    if commit.entries and commit.first != commit.entries[0].sequence:
        run.wrong(row.key, "first: is not the number of the first entry")
    for entry in commit.entries:
        _guarded(run, row.key, entry)
    _replayed(run, row.key, commit)


def _replayed(run: _Run, key: str, commit: Commit) -> None:
    """Go on from the state before; after the first error nothing more can be said of states."""
    if run.broken:
        return
    try:
        run.state = replay(
            run.state,
            run.opened,
            commit=commit.number,
            at=commit.at,
            entries=commit.entries,
            settings=commit.settings,
        )
        check(run.state)
    except LedgerCorrupt as error:
        run.wrong(key, error.detail)
        run.broken = True
        return
    if commit.balance_micros != run.state.balance_micros:
        run.wrong(key, "balance: is not the sum of the entries")


def _guarded(run: _Run, key: str, entry: Entry) -> None:
    """Note which guard row an entry must have."""
    if entry.kind is EntryKind.DEBIT:
        if entry.leg is None or entry.leg in run.legs:
            run.wrong(key, f"entry {entry.sequence}: its leg is missing or debited twice")
        else:
            run.legs[entry.leg] = entry
        if entry.charge is None or content_digest(entry.charge) != entry.charge_digest:
            run.wrong(key, f"entry {entry.sequence}: its charge is not the one that was debited")
    elif entry.kind is not EntryKind.EXPIRY and not entry.prelude:
        run.commands += 1


async def _leg_rows(run: _Run, tables: TableStore, account: str) -> None:
    seen: set[str] = set()
    async for row in read_range(tables, account, "leg|", "leg}"):
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
        if record.digest != entry.content_digest:
            run.wrong(row.key, "digest: is not that of the leg that was debited")
        if content_digest(record.charge) != entry.charge_digest:
            run.wrong(row.key, "charge: is not the one that was debited")
        if record.person and content_digest(record.person) != entry.person_digest:
            run.wrong(row.key, "person: is not the one that was debited")
    for leg in sorted(run.legs.keys() - seen):
        run.wrong(rows.leg_row_key(leg), f"the row of leg {leg} is missing")


async def _command_rows(run: _Run, tables: TableStore, account: str) -> None:
    found = 0
    async for row in read_range(tables, account, "command|", "command}"):
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
    if head != run.head:
        run.wrong(row.key, "head: is not the hash of the last journal row")
    if state.commit != run.commit:
        run.wrong(row.key, f"commit: says {state.commit}, the journal ends with {run.commit}")
    if run.broken or run.state is None:
        return
    expected = replace(run.state, commit=state.commit)
    for each in fields(LedgerState):
        if getattr(state, each.name) != getattr(expected, each.name):
            run.wrong(row.key, f"{each.name}: is not what the journal adds up to")


async def read_range(
    tables: TableStore, account: str, first: str, before: str
) -> AsyncIterator[Row]:
    """A range of a ledger's rows, a bounded page at a time."""
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
