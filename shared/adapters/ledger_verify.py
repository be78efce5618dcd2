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
from shared.ports import Commit, Row, TableStore, Upsert, Verification

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
    legs_before: int = 0
    legs: dict[str, Entry] = field(default_factory=dict)
    guards: dict[str, Entry] = field(default_factory=dict)
    newer: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def wrong(self, key: str, what: str) -> None:
        if len(self.problems) < limits.PROBLEMS_MAX:
            self.problems.append(f"{key}: {what}")


async def verify(
    tables: TableStore, account: str, chain_key: bytes, *, resume: bool = False
) -> Verification:
    """Read every row of the ledger once and recompute it.

    Checks the chain and numbers of the journal; replays its entries to the state, balance, every
    lot and the deficit; and that every debit has its leg row with the digests that its entry
    carries, every other command its guard, and nothing is there beside them. A person's part that
    was erased is no problem.

    With `resume` it goes on from where the last verification that found no problem ended, and looks
    at the guards of the entries since then only. What it finds sound is where the next one resumes.
    """
    run = await _resumed(tables, account) if resume else _Run()
    start = run.commit
    state_row = await _journal_and_state(run, tables, account, chain_key)
    if start:
        await _new_guards(run, tables, account)
    else:
        await _leg_rows(run, tables, account)
        await _command_rows(run, tables, account)
        await _newer_rows(run, tables, account)
    if state_row is not None:
        _state_row(run, state_row)
    elif run.commit:
        run.wrong(rows.STATE, "is missing although there are commits")
    if not run.problems and run.state is not None:
        await _remember(run, tables, account)
    return Verification(
        commits=run.commit,
        entries=run.entries,
        legs=run.legs_before + len(run.legs),
        balance_micros=run.state.balance_micros if run.state else 0,
        head=run.head,
        problems=tuple(run.problems),
    )


async def _journal_and_state(
    run: _Run, tables: TableStore, account: str, chain_key: bytes
) -> Row | None:
    """Read the journal, and then the state that belongs to its end although commits go on."""
    async for row in read_range(tables, account, rows.journal_key(run.commit + 1), "journal}"):
        _journal_row(run, account, chain_key, row)
    state_row = await tables.get(rows.TABLE, account, rows.STATE)
    end = state_row.values.get("commit") if state_row else None
    if isinstance(end, int) and end > run.commit:
        first, before = rows.journal_key(run.commit + 1), rows.journal_key(end + 1)
        async for row in read_range(tables, account, first, before):
            _journal_row(run, account, chain_key, row)
    return state_row


def _is_newer(run: _Run, row: Row) -> bool:
    """Whether a row says that it was written by a commit after those that were read."""
    commit = row.values.get("commit")
    if not isinstance(commit, int) or commit <= run.commit:
        return False
    run.newer[row.key] = commit
    return True


async def _newer_rows(run: _Run, tables: TableStore, account: str) -> None:
    """What came after the rows that were read must come from a commit that there is by now."""
    if not run.newer:
        return
    row = await tables.get(rows.TABLE, account, rows.STATE)
    last = row.values.get("commit") if row else None
    for key, commit in run.newer.items():
        if not isinstance(last, int) or commit > last:
            run.wrong(key, f"commit: there is no commit {commit}")


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
    elif guard := rows.command_guard(entry):
        run.guards[guard] = entry


async def _leg_rows(run: _Run, tables: TableStore, account: str) -> None:
    seen: set[str] = set()
    async for row in read_range(tables, account, "leg|", "leg}"):
        if _is_newer(run, row):
            continue
        leg = str(row.values.get("leg"))
        entry = run.legs.get(leg)
        if entry is None or row.key != rows.leg_row_key(leg):
            run.wrong(row.key, "leg: no entry of the journal debits it")
            continue
        seen.add(leg)
        _leg_row(run, row, entry)
    for leg in sorted(run.legs.keys() - seen):
        run.wrong(rows.leg_row_key(leg), f"the row of leg {leg} is missing")


def _leg_row(run: _Run, row: Row, entry: Entry) -> None:
    try:
        record = rows.read_leg(row)
    except _UNREADABLE as error:
        run.wrong(row.key, f"charge: can't be read ({type(error).__name__})")
        return
    if record.entry != entry:
        run.wrong(row.key, "entry: is not the one in the journal")
    if record.digest != entry.content_digest:
        run.wrong(row.key, "digest: is not that of the leg that was debited")
    if content_digest(record.charge) != entry.charge_digest:
        run.wrong(row.key, "charge: is not the one that was debited")
    if record.person and content_digest(record.person) != entry.person_digest:
        run.wrong(row.key, "person: is not the one that was debited")


async def _command_rows(run: _Run, tables: TableStore, account: str) -> None:
    seen: set[str] = set()
    async for row in read_range(tables, account, "command|", "command}"):
        if _is_newer(run, row):
            continue
        entry = run.guards.get(row.key)
        if entry is None:
            run.wrong(row.key, "no entry of the journal comes from it")
            continue
        seen.add(row.key)
        _command_row(run, row, entry)
    for key in sorted(run.guards.keys() - seen):
        run.wrong(key, f"the guard of entry {run.guards[key].sequence} is missing")


def _command_row(run: _Run, row: Row, entry: Entry) -> None:
    try:
        digest, recorded = rows.read_command(row)
    except _UNREADABLE as error:
        run.wrong(row.key, f"entry: can't be read ({type(error).__name__})")
        return
    if recorded != entry:
        run.wrong(row.key, "entry: is not the one in the journal")
    if digest != entry.content_digest:
        run.wrong(row.key, "digest: is not that of the command that was carried out")


async def _new_guards(run: _Run, tables: TableStore, account: str) -> None:
    """The guards of the entries since the last verification, each by its key."""
    for leg, entry in run.legs.items():
        key = rows.leg_row_key(leg)
        if row := await tables.get(rows.TABLE, account, key):
            _leg_row(run, row, entry)
        else:
            run.wrong(key, f"the row of leg {leg} is missing")
    for key, entry in run.guards.items():
        if row := await tables.get(rows.TABLE, account, key):
            _command_row(run, row, entry)
        else:
            run.wrong(key, f"the guard of entry {entry.sequence} is missing")


async def _resumed(tables: TableStore, account: str) -> _Run:
    """Where the last verification ended; the beginning if that can't be read."""
    row = await tables.get(rows.TABLE, account, rows.VERIFIED)
    if row is None:
        return _Run()
    try:
        state, head, opened, legs = rows.read_verified(row)
    except _UNREADABLE:
        return _Run()
    return _Run(
        head=head,
        commit=state.commit,
        entries=state.entry,
        state=state,
        opened=opened,
        legs_before=legs,
    )


async def _remember(run: _Run, tables: TableStore, account: str) -> None:
    if run.state is not None:
        legs = run.legs_before + len(run.legs)
        values = rows.verified_values(run.state, run.head, run.opened, legs)
        await tables.transact(rows.TABLE, account, [Upsert(rows.VERIFIED, values)])


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
