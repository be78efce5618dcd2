"""Recompute an account's ledger from the stored rows, and name the wrong row and field."""

import hmac
from dataclasses import fields, replace
from itertools import pairwise

from shared.adapters.delivery.outbox import event_key
from shared.adapters.ledger import rows
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.ledger.checkpoint import Checkpoint, read_verified, verified_values
from shared.adapters.ledger.state_codec import RULED_FIELDS
from shared.adapters.ledger.verify_months import compare_months, month_rows
from shared.adapters.ledger.verify_rows import (
    UNREADABLE,
    Guarded,
    PublicHead,
    Run,
    event_rows,
    guard_rows,
    index_rows,
    new_guard_rows,
    newer_rows,
    other_rows,
    own_properties,
    segment_rows,
)
from shared.adapters.ledger.verify_usage import usage_rows
from shared.adapters.proof.verify_proofs import proof_rows
from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.ledger.model import RULES, Entry, EntryKind, LedgerState, check
from shared.domain.ledger.replay import replay
from shared.ports.ledger import Commit, Verification
from shared.ports.tables import Row, TableStore, Upsert


async def verify(
    tables: TableStore, account: str, chain_key: bytes, *, resume: bool = False
) -> Verification:
    """Read every row of the ledger and recompute it.

    Checks the chain and numbers of the journal; replays its entries to the state, balance, every
    lot and the deficit. Every debit must have its leg row with the digests of its entry, every
    other command its guard. Segments and closed months must equal the journal, and waiting events
    those of their commit. No other rows may exist. A person's part that was erased is no problem.

    With `resume` it goes on from where the last verification that found no problem ended: it reads
    at the guards of the entries since then, and at the segments and closed months that came since
    then. The verified part is where the next one resumes.
    """
    verified = await tables.get(rows.TABLE, account, rows.VERIFIED)
    run = _resumed(verified, chain_key) if verified is not None else Run()
    if not resume:
        run = Run(problems=run.problems)
    start = run.commit
    since = run.state.at if start and run.state else None
    await month_rows(run, tables, account)
    state_row = await _journal_and_state(run, tables, account, chain_key)
    if start:
        await new_guard_rows(run, tables, account)
    else:
        await guard_rows(run, tables, account)
        await other_rows(run, tables, account)
    await segment_rows(run, tables, account)
    await index_rows(run, tables, account)
    await compare_months(run, tables, account)
    await usage_rows(run, tables, account, since)
    await proof_rows(run, tables, account, since)
    await event_rows(run, tables, account, after=start)
    await newer_rows(run, tables, account)
    if state_row is not None:
        _state_row(run, state_row)
    elif run.commit:
        run.wrong(rows.STATE, "is missing although there are commits")
    if run.state is not None and all(each.startswith(rows.VERIFIED) for each in run.problems):
        await _remember(run, tables, account, chain_key)
    return Verification(
        commits=run.commit,
        entries=run.entries,
        legs=run.legs_before + run.new_legs,
        balance_micros=run.state.balance_micros if run.state else 0,
        head=run.head,
        problems=tuple(run.problems),
    )


async def _journal_and_state(
    run: Run, tables: TableStore, account: str, chain_key: bytes
) -> Row | None:
    """Read the journal, and then the state that belongs to its end although commits go on."""
    first = rows.journal_key(run.commit + 1) if run.commit else "journal|"
    async for row in read_range(tables, account, first, "journal}"):
        _journal_row(run, account, chain_key, row)
    state_row = await tables.get(rows.TABLE, account, rows.STATE)
    end = state_row.values.get("commit") if state_row else None
    if isinstance(end, int) and end > run.commit:
        first, before = rows.journal_key(run.commit + 1), rows.journal_key(end + 1)
        async for row in read_range(tables, account, first, before):
            _journal_row(run, account, chain_key, row)
    return state_row


def _journal_row(run: Run, account: str, chain_key: bytes, row: Row) -> None:
    number = row.key.removeprefix("journal|")
    if not number.isdecimal() or row.key != rows.journal_key(int(number)):
        run.wrong(row.key, "is no row of a ledger")
        return
    if int(number) != run.commit + 1:
        run.wrong(row.key, f"the commits have a gap: {run.commit + 1} is missing")
    run.commit = int(number)
    run.commit_id = str(row.values.get("commit_id"))
    own_properties(run, row, "journal|")
    if row.values.get("previous") != run.head:
        run.wrong(row.key, "previous: is not the hash of the row before")
    data = rows.journal_bytes(row)
    computed = rows.chain_hash(chain_key, account, run.commit, row.values, data)
    run.head = str(row.values.get("hash"))
    if not hmac.compare_digest(computed.encode(), run.head.encode()):
        run.wrong(row.key, "hash: is not that of the stored bytes")
    try:
        commit = rows.read_commit(row)
    except UNREADABLE as error:
        run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
        run.broken = True
        return
    _public(run, account, row, commit)
    run.entries += len(commit.entries)
    for month in run.months:
        month.add(commit, run.head)
    if commit.events_digest is not None:
        run.events[event_key(commit.number)] = commit
    if len(commit.entries) != row.values.get("entries"):
        run.wrong(row.key, "entries: is not their number")
    if commit.entries and commit.first != commit.entries[0].sequence:
        run.wrong(row.key, "first: is not the number of the first entry")
    for entry in commit.entries:
        _guarded(run, row, entry)
    _rerated(run, row.key, commit)
    _replayed(run, row.key, commit)


def _public(run: Run, account: str, row: Row, commit: Commit) -> None:
    """Compute the public hash, which a row has if the one before it has."""
    run.public = commit.public(account, run.public).public_hash()
    last_entry = commit.first + len(commit.entries) - 1
    run.publics.append(PublicHead(run.public, commit.balance_micros, last_entry))
    stored = rows.public_hash(row)
    if stored is None and not run.has_public:
        return
    run.has_public = True
    if stored != run.public:
        run.wrong(row.key, "public: is not the hash of the commit's public parts")


def _replayed(run: Run, key: str, commit: Commit) -> None:
    """Continue from the state before; after the first error the states are unknown."""
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
            rules=commit.rules,
        )
        check(run.state)
    except LedgerCorrupt as error:
        run.wrong(key, error.detail)
        run.broken = True
        return
    if commit.balance_micros != run.state.balance_micros:
        run.wrong(key, "balance: is not the sum of the entries")


def _guarded(run: Run, row: Row, entry: Entry) -> None:
    """Note which guard row an entry must have."""
    key = row.key
    if not entry.is_first_debit and entry.leg is not None and entry.organizer is not None:
        first = run.legs.get(rows.leg_row_key(entry.leg))
        if first is not None and first.names_organizer and first.entry.organizer != entry.organizer:
            run.wrong(key, "organizers: are not those of its legs")
    if entry.kind is EntryKind.DEBIT:
        leg_row = rows.debit_row_key(entry)
        if entry.leg is None or leg_row in run.legs:
            run.wrong(key, f"entry {entry.sequence}: its leg is missing or debited twice")
        else:
            schema = row.values.get("schema")
            names_organizer = isinstance(schema, int) and schema >= rows.JOURNAL_SCHEMA
            run.legs[leg_row] = Guarded(entry, run.commit, names_organizer and entry.is_first_debit)
        if hold_row := rows.hold_row_key(entry):
            if hold_row in run.holds:
                run.wrong(key, f"entry {entry.sequence}: its authorization is settled twice")
            run.holds[hold_row] = Guarded(entry, run.commit)
        if entry.charge is None or content_digest(entry.charge) != entry.charge_digest:
            run.wrong(key, f"entry {entry.sequence}: its charge is not the one that was debited")
    elif guard := rows.command_guard(entry):
        run.guards[guard] = Guarded(entry, run.commit)


def _rerated(run: Run, key: str, commit: Commit) -> None:
    """A debit that replaces another one comes right after the entry that takes that one back."""
    for before, entry in pairwise((None, *commit.entries, None)):
        if before is not None and before.kind is EntryKind.REVERSAL and before.rerates is not None:
            follows = entry is not None and entry.kind is EntryKind.DEBIT
            if not (follows and _key(entry) == _key(before) and before.reverses == before.rerates):
                run.wrong(key, f"entry {before.sequence}: the leg is not debited again after it")
        elif entry is not None and entry.kind is EntryKind.DEBIT and entry.rerates is not None:
            run.wrong(key, f"entry {entry.sequence}: what it replaces is not taken back before it")


def _key(entry: Entry | None) -> tuple[str | None, int | None] | None:
    return None if entry is None else (entry.leg, entry.rerates)


def _resumed(row: Row, chain_key: bytes) -> Run:
    """The end of the last verification; the beginning, and a problem, if its seal is wrong."""
    try:
        checkpoint = read_verified(chain_key, row)
    except UNREADABLE as error:
        detail = error.detail if isinstance(error, LedgerCorrupt) else type(error).__name__
        return Run(problems=[f"{row.key}: seal: does not hold ({detail}); made again"])
    if checkpoint is None:
        return Run()
    return Run(
        head=checkpoint.head,
        public=checkpoint.public,
        commit=checkpoint.state.commit,
        commit_id=checkpoint.commit_id,
        entries=checkpoint.state.entry,
        state=checkpoint.state,
        opened=checkpoint.opened,
        legs_before=checkpoint.legs,
        packed_commit=checkpoint.packed_commit,
        indexed_commit=checkpoint.indexed_commit,
        month=checkpoint.month,
    )


async def _remember(run: Run, tables: TableStore, account: str, chain_key: bytes) -> None:
    if run.state is not None:
        checkpoint = Checkpoint(
            run.state,
            run.head,
            run.public,
            run.commit_id,
            run.opened,
            run.legs_before + run.new_legs,
            run.packed_commit,
            run.indexed_commit,
            run.month,
        )
        values = verified_values(chain_key, account, checkpoint)
        await tables.transact(rows.TABLE, account, [Upsert(rows.VERIFIED, values)])


def _state_row(run: Run, row: Row) -> None:
    own_properties(run, row, rows.STATE)
    try:
        state, head = rows.read_state(row)
    except UNREADABLE as error:
        run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
        return
    if head != run.head:
        run.wrong(row.key, "head: is not the hash of the last journal row")
    public = rows.public_hash(row)
    if public != run.public and (public is not None or run.has_public):
        run.wrong(row.key, "public: is not the public hash of the last commit")
    if row.values.get("commit_id") != run.commit_id:
        run.wrong(row.key, "commit_id: is not that of the last journal row")
    if state.commit != run.commit:
        run.wrong(row.key, f"commit: is {state.commit}, the journal ends with {run.commit}")
    if run.broken or run.state is None:
        return
    expected = replace(run.state, commit=state.commit)
    for each in fields(LedgerState):
        if state.rules < RULES and each.name in RULED_FIELDS:
            continue  # decided by rules that this code has no more
        if getattr(state, each.name) != getattr(expected, each.name):
            run.wrong(row.key, f"{each.name}: is not what the journal adds up to")
