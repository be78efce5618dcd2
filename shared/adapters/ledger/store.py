"""The ledger in Table storage: decisions committed in groups, reads, and the outbox."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.adapters.delivery.outbox import BEFORE, FIRST, event_key, event_row
from shared.adapters.ledger import bulk_reads, index, months, rows, segments, usage_days
from shared.adapters.ledger.state_codec import rules_document
from shared.adapters.ledger.verify import verify
from shared.adapters.tables.committable import LoadedPartition, NoChange, StateChange
from shared.adapters.tables.group_commit import GroupCommitter
from shared.adapters.tables.parts import write_parts
from shared.domain.common import limits
from shared.domain.common.errors import (
    EtagMismatch,
    LedgerCorrupt,
    PerminuteError,
    authorization_used,
)
from shared.domain.credits.recharge import RechargeStatus
from shared.domain.ledger.decide import decide
from shared.domain.ledger.entry_columns import EntryColumns
from shared.domain.ledger.model import (
    Acknowledge,
    Adjust,
    Announce,
    AnswerRecharge,
    Command,
    CommandRefused,
    Configure,
    DebitLeg,
    Decided,
    Entry,
    ExpireLot,
    HoldEffect,
    LedgerState,
    RerateLeg,
    ReverseLeg,
    SettingsChange,
    SettledDebit,
    Tick,
    TopUp,
    Unchanged,
)
from shared.domain.ledger.statements import ClosedMonth
from shared.domain.usage.usage import UsageSpan
from shared.pacing import BulkPace, yield_to_others
from shared.ports.clock import Clock, Ids
from shared.ports.ledger import (
    AuthorizationUse,
    Commit,
    CommitResult,
    IdempotencyConflict,
    LegRecord,
    Outbox,
    UsageDays,
    Verification,
)
from shared.ports.notices import DueMark, DueMarks
from shared.ports.tables import Delete, Insert, Operation, Replace, Row, TableStore

EVENTS_DUE = "events"
_QUIET = (Configure, Tick, AnswerRecharge, Acknowledge, Announce)


@dataclass(frozen=True, slots=True)
class _Head:
    """A ledger's state (None before it is opened) with the hash of its last journal row, and the
    public one where there is any."""

    state: LedgerState | None
    hash: str
    public: str | None


type SubmitResult = CommitResult | IdempotencyConflict


class TableLedger:
    """Implements the port `Ledger` on a TableStore."""

    def __init__(
        self,
        tables: TableStore,
        due: DueMarks,
        clock: Clock,
        ids: Ids,
        chain_key: bytes,
        pace: BulkPace | None = None,
    ) -> None:
        self._tables = tables
        self._chain_key = chain_key
        self._book = LedgerPartition(tables, due, chain_key, pace or BulkPace(clock))
        self._committer = GroupCommitter(tables, self._book, clock, ids, plans_ahead=True)

    async def state(self, account: str) -> LedgerState | None:
        return (await self._book.load(account)).state.state

    async def submit(self, account: str, command: Command) -> SubmitResult:
        return await self._committer.submit(account, command)

    async def leg(self, account: str, leg: str) -> LegRecord | None:
        row = await self._tables.get(rows.TABLE, account, rows.leg_row_key(leg))
        return rows.read_leg(row) if row else None

    async def use_of(self, account: str, authorization: str) -> AuthorizationUse:
        key = rows.authorization_row_key(authorization)
        page = await self._tables.query(rows.TABLE, account, first=key, before=f"{key}}}", limit=2)
        settled = next((rows.read_hold(row) for row in page if row.key == key), None)
        return AuthorizationUse(
            settled_by=settled[0] if settled else None,
            entry=settled[1] if settled else 0,
            is_freed=any(row.key != key for row in page),
        )

    async def debits(self, account: str, leg: str) -> list[LegRecord]:
        key = rows.leg_row_key(leg)
        page = await self._tables.query(rows.TABLE, account, first=key, before=f"{key}}}")
        return [rows.read_leg(row) for row in page]

    async def debits_of(self, account: str, legs: Sequence[str]) -> dict[str, list[LegRecord]]:
        keys = {rows.leg_row_key(leg): leg for leg in legs}
        rows_by_key = await bulk_reads.rows_of(
            self._tables, account, list(keys), await self._entries(account)
        )
        records: dict[str, list[LegRecord]] = {}
        for key, stored in rows_by_key.items():
            await yield_to_others()
            records[keys[key]] = [rows.read_leg(row) for row in stored]
        return records

    async def persons_of(
        self, account: str, legs: Sequence[str]
    ) -> dict[str, Mapping[str, object]]:
        keys = {rows.leg_row_key(leg): leg for leg in legs}
        rows_by_key = await bulk_reads.rows_of(
            self._tables, account, list(keys), await self._entries(account), rows.PERSON
        )
        persons: dict[str, Mapping[str, object]] = {}
        for key, stored in rows_by_key.items():
            await yield_to_others()
            persons[keys[key]] = rows.read_person(stored[0])
        return persons

    async def reversals_of(self, account: str, debits: Sequence[int]) -> dict[int, Entry]:
        keys = {rows.reversal_row_key(debit): debit for debit in debits}
        rows_by_key = await bulk_reads.rows_of(
            self._tables, account, list(keys), await self._entries(account)
        )
        return {keys[key]: rows.read_command(stored[0])[1] for key, stored in rows_by_key.items()}

    async def _entries(self, account: str) -> int:
        state = await self.state(account)
        return state.entry if state else 0

    async def journal(self, account: str, *, after: int, limit: int) -> list[Commit]:
        page = await self._tables.query(
            rows.TABLE,
            account,
            after=rows.journal_key(after),
            before="journal}",
            limit=limit,
        )
        return [rows.read_commit(row) for row in page]

    async def posted(self, account: str, *, after: int, until: int) -> list[SettledDebit]:
        posted: list[SettledDebit] = []
        while after < until:
            page = await self._tables.query(
                rows.TABLE,
                account,
                after=rows.journal_key(after),
                before=rows.journal_key(until + 1),
                limit=limits.JOURNAL_PAGE_ROWS,
            )
            if not page:
                raise LedgerCorrupt("The journal ends before the ledger's state.")
            posted += [each for row in page for each in rows.read_posted(row)]
            after = int(page[-1].key.removeprefix("journal|"))
        return posted

    async def history(self, account: str, *, after: int) -> list[Commit]:
        return await segments.history(self._tables, account, after=after)

    async def pack_until(self, account: str, before: datetime) -> int:
        packed = await segments.pack_until(self._tables, account, before)
        await index.index_until(self._tables, account, before, self.persons_of)
        return packed

    def columns(self, account: str, *, after: int) -> AsyncGenerator[EntryColumns]:
        """The entries of the commits after a number in columns (see the port)."""
        return index.columns_after(self._tables, account, after)

    async def close_usage_days(self, account: str, time_zone: str, before: datetime) -> int:
        """Store the usage of local days that ended before a time (see the port)."""
        return await usage_days.close_days(self._tables, account, time_zone, before)

    async def usage_days(self, account: str, span: UsageSpan) -> UsageDays | None:
        """The usage of the closed days of a span (see the port)."""
        return await usage_days.read_days(self._tables, account, span)

    async def closed_months(self, account: str) -> list[str]:
        return await months.closed_months(self._tables, account)

    async def closed_month(self, account: str, month: str) -> ClosedMonth | None:
        return await months.closed_month(self._tables, account, month)

    async def close_month(self, account: str, closed: ClosedMonth) -> None:
        await months.write_month(self._tables, account, closed)

    async def commit_at(self, account: str, moment: datetime) -> Commit | None:
        """The last commit at or before a moment: found by halving; None if there is none. Raises
        LedgerCorrupt."""
        state = await self.state(account)
        low, high = 1, state.commit if state else 0
        last_row: Row | None = None
        while low <= high:
            middle = (low + high) // 2
            row = await self._tables.get(rows.TABLE, account, rows.journal_key(middle))
            if row is None:
                raise LedgerCorrupt(f"commit {middle} is missing")
            if rows.commit_time(row) <= moment:
                last_row, low = row, middle + 1
            else:
                high = middle - 1
        return rows.read_commit(last_row) if last_row else None

    async def entry(self, account: str, sequence: int) -> Entry | None:
        commit = await self.commit_of(account, sequence)
        return commit.entries[sequence - commit.first] if commit else None

    async def commit_of(self, account: str, sequence: int) -> Commit | None:
        """The commit with this entry: found by halving, in a handful of reads."""
        state = await self.state(account)
        low, high = 1, state.commit if state else 0
        while low <= high:
            middle = (low + high) // 2
            row = await self._tables.get(rows.TABLE, account, rows.journal_key(middle))
            if row is None:
                return None
            commit = rows.read_commit(row)
            if commit.first > sequence:
                high = middle - 1
            elif commit.first + len(commit.entries) <= sequence:
                low = middle + 1
            else:
                return commit
        return None

    async def public_head(self, account: str) -> str | None:
        row = await self._tables.get(rows.TABLE, account, rows.STATE)
        return rows.public_hash(row) if row else None

    async def public_hashes(
        self, account: str, *, after: int, until: int | None = None
    ) -> list[str] | None:
        before = "journal}" if until is None else rows.journal_key(until + 1)
        publics: list[str] = []
        while page := await self._tables.query(
            rows.TABLE,
            account,
            after=rows.journal_key(after + len(publics)),
            before=before,
            limit=limits.TABLE_PAGE_ROWS_MAX,
            select=["schema", "public"],
        ):
            hashes = [rows.public_hash(row) for row in page]
            if not all(hashes):
                return None
            publics += [each for each in hashes if each]
        return publics

    async def begin_public_chain(self, account: str, commit: int, public: str) -> bool:
        row = await self._tables.get(rows.TABLE, account, rows.STATE)
        if row is None or row.values.get("commit") != commit:
            return False
        values = {**row.values, "schema": rows.PUBLIC_STATE_SCHEMA, "public": public}
        try:
            change = Replace(rows.STATE, values, row.etag)
            await self._tables.transact(rows.TABLE, account, [change])
        except EtagMismatch:
            return False
        return True

    async def reversal(self, account: str, debit: int) -> Entry | None:
        row = await self._tables.get(rows.TABLE, account, rows.reversal_row_key(debit))
        return rows.read_command(row)[1] if row else None

    async def outbox(self, account: str, *, limit: int) -> list[Outbox]:
        page = await self._tables.query(
            rows.TABLE, account, first=FIRST, before=BEFORE, limit=limit
        )
        return [rows.read_outbox(row) for row in page]

    async def published(self, account: str, commit: int) -> None:
        # Another publisher may have taken it out: it published the same events.
        await write_parts(self._tables, rows.TABLE, account, [Delete(event_key(commit))])

    async def head_at(self, account: str, commit: int) -> str | None:
        row = await self._tables.get(rows.TABLE, account, rows.journal_key(commit))
        return str(row.values["hash"]) if row else None

    async def verify(self, account: str, *, resume: bool = False) -> Verification:
        return await verify(self._tables, account, self._chain_key, resume=resume)


class LedgerPartition:
    """A ledger partition for the group committer."""

    table = rows.TABLE

    def __init__(self, tables: TableStore, due: DueMarks, chain_key: bytes, pace: BulkPace) -> None:
        self._pace = pace
        self._tables = tables
        self._due = due
        self._chain_key = chain_key

    @property
    def commands_max(self) -> int:
        """Commands of one transaction."""
        return self._pace.legs_max

    async def load(self, partition: str) -> LoadedPartition[_Head]:
        row = await self._tables.get(self.table, partition, rows.STATE)
        if row is None:
            return LoadedPartition(_Head(None, rows.GENESIS, rows.GENESIS), None)
        state, head = rows.read_state(row)
        return LoadedPartition(_Head(state, head, rows.public_hash(row)), row.etag)

    async def view(
        self, partition: str, loaded: LoadedPartition[_Head], commands: Sequence[Command]
    ) -> LoadedPartition[_Head]:
        return loaded

    def guards(self, command: Command) -> tuple[str, ...]:
        guard = _guard(command)
        return (guard, *_settled(command)) if guard else ()

    def decide(
        self, partition: str, state: _Head, command: Command, now: datetime
    ) -> StateChange[_Head, SubmitResult] | NoChange[SubmitResult]:
        decision = decide(state.state, command, now)
        match decision:
            case CommandRefused(error):
                return NoChange(error)
            case Unchanged():
                return NoChange(CommitResult(None, repeated=True))
            case Decided():
                return StateChange(
                    replace(state, state=decision.state),
                    CommitResult(_last(decision), events=bool(decision.events)),
                    decision,
                )

    def render(
        self,
        partition: str,
        before: LoadedPartition[_Head],
        steps: Sequence[StateChange[_Head, SubmitResult]],
        commit_id: str,
        now: datetime,
    ) -> tuple[_Head, list[Operation]]:
        decisions = _decisions(steps)
        last = decisions[-1].state
        number = (before.state.state.commit if before.state.state else 0) + 1
        state = replace(last, commit=number)
        at = state.at or now
        entries = tuple(entry for decision in decisions for entry in decision.entries)
        events = tuple(event for decision in decisions for event in decision.events)
        encoded = {entry.sequence: rows.encode_entry(entry) for entry in entries}
        journal = rows.journal_values(
            self._chain_key,
            partition,
            state,
            tuple(encoded.values()),
            settings=_settings(decisions),
            events=events,
            rules=rules_document(before.state.state, state),
            organizers=[entry.organizer for entry in entries],
            previous=before.state.hash,
            previous_public=before.state.public,
            commit_id=commit_id,
            at=at,
        )
        head = str(journal["hash"])
        public = str(journal["public"]) if "public" in journal else None
        values = rows.state_values(state, head, commit_id, public)
        operations: list[Operation] = [
            Insert(rows.STATE, values)
            if before.etag is None
            else Replace(rows.STATE, values, before.etag),
            Insert(rows.journal_key(number), journal),
            *(row for decision in decisions for row in _guard_rows(decision, number, encoded)),
        ]
        if events:
            operations.append(event_row(rows.SCHEMA, number, events, at))
        return _Head(state, head, public), operations

    async def prepare(
        self, partition: str, steps: Sequence[StateChange[_Head, SubmitResult]], now: datetime
    ) -> None:
        decisions = _decisions(steps)
        marks = {DueMark(partition, kind, at) for each in decisions for kind, at in each.due}
        if any(each.events for each in decisions):
            marks.add(DueMark(partition, EVENTS_DUE, now))
        if marks:
            await self._due.mark(sorted(marks, key=lambda mark: (mark.at, mark.kind)))

    async def recorded(
        self, partition: str, command: Command
    ) -> SubmitResult | PerminuteError | None:
        key = _guard(command)
        row = await self._tables.get(self.table, partition, key) if key else None
        if row is None:
            return await self._settled_before(partition, command)
        if isinstance(command, DebitLeg):
            record = rows.read_leg(row)
            digest, entry = record.digest, record.entry
        else:
            digest, entry = rows.read_command(row)
        if digest not in _digests(command):
            return IdempotencyConflict(entry)
        if isinstance(command, RerateLeg):
            entry = (await self._rerated(partition, entry)) or entry
        return CommitResult(entry, repeated=True)

    async def _settled_before(self, partition: str, command: Command) -> PerminuteError | None:
        """The refusal of a leg whose authorization another leg has settled."""
        for key in _settled(command):
            row = await self._tables.get(self.table, partition, key)
            if row is not None:
                leg, entry = rows.read_hold(row)
                return authorization_used(leg, entry)
        return None

    async def _rerated(self, partition: str, reversal: Entry) -> Entry | None:
        """The debit that a re-rating booked after it had taken one back."""
        key = rows.debit_row_key(reversal)
        row = await self._tables.get(self.table, partition, key)
        return rows.read_leg(row).entry if row else None

    async def is_committed(self, partition: str, after: _Head, commit_id: str) -> bool:
        number = after.state.commit if after.state else 0
        row = await self._tables.get(self.table, partition, rows.journal_key(number))
        return row is not None and row.values.get("commit_id") == commit_id


def _guard(command: Command) -> str | None:
    """The key of the row that makes a command happen once. Those without one request a state, not
    for a change."""
    match command:
        case DebitLeg():
            return rows.leg_row_key(command.leg)
        case TopUp() | Adjust():
            return rows.command_row_key(command.key)
        case ReverseLeg() | RerateLeg():
            return rows.reversal_row_key(command.debit.sequence)
        case AnswerRecharge(status=RechargeStatus.SUCCEEDED):
            return rows.command_row_key(command.key)
        case Configure() | ExpireLot() | Tick() | Acknowledge() | Announce() | AnswerRecharge():
            return None


def _digests(command: Command) -> tuple[str, ...]:
    """The digests by which a guard may know the command, its own first."""
    earlier = command.earlier_digests if isinstance(command, DebitLeg) else ()
    return (_digest(command), *earlier)


def _settled(command: Command) -> tuple[str, ...]:
    """The key of the row that makes one leg only settle an authorization."""
    if not isinstance(command, DebitLeg) or command.authorization is None:
        return ()
    is_settled = command.hold is HoldEffect.SETTLES
    return (rows.authorization_row_key(command.authorization),) if is_settled else ()


def _digest(command: Command) -> str:
    """The digest that a repeated command must share with the first one."""
    match command:
        case DebitLeg() | TopUp() | Adjust() | ReverseLeg() | RerateLeg() | AnswerRecharge():
            return command.digest
        case Configure() | ExpireLot() | Tick() | Acknowledge() | Announce():
            return ""


def _last(decision: Decided) -> Entry | None:
    """The entry that the command requested; those before it made it possible."""
    return decision.entries[-1] if decision.entries else None


def _decisions(steps: Sequence[StateChange[_Head, SubmitResult]]) -> list[Decided]:
    return [step.decision for step in steps if isinstance(step.decision, Decided)]


def _settings(decisions: Sequence[Decided]) -> list[SettingsChange]:
    """The changes of a commit without an entry, so that journals alone can rebuild the state."""
    return [
        SettingsChange(decision.state.entry, decision.command)
        for decision in decisions
        if isinstance(decision.command, _QUIET) and not decision.entries
    ]


def _guard_rows(
    decision: Decided, number: int, encoded: Mapping[int, rows.EncodedEntry]
) -> Iterator[Operation]:
    """The guard of a command, and of a re-rating the leg's new row too; `encoded` are the commit's
    entries by their numbers."""
    command, entry, key = decision.command, _last(decision), _guard(decision.command)
    if entry is None or key is None:
        return
    match command:
        case DebitLeg():
            record = LegRecord(command.leg, command.digest, command.charge, command.person, entry)
            yield Insert(key, rows.leg_values(record, number, encoded[entry.sequence]))
            if hold_key := rows.hold_row_key(entry):
                yield Insert(hold_key, rows.hold_values(entry, number))
        case RerateLeg():
            digest = entry.content_digest or ""
            record = LegRecord(command.leg, digest, command.charge, {}, entry)
            taken_back = rows.command_values(decision.entries[0], command.digest, number)
            yield Insert(key, taken_back)
            values = rows.leg_values(record, number, encoded[entry.sequence])
            yield Insert(rows.debit_row_key(entry), values)
        case _:
            yield Insert(key, rows.command_values(entry, _digest(command), number))
