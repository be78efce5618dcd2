"""The hold book for the group committer: load, catch up, decide, render."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.adapters.delivery.outbox import event_row
from shared.adapters.dial_out import rows
from shared.adapters.tables.committable import LoadedPartition, NoChange, StateChange
from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import PerminuteError
from shared.domain.credits.alerts import Event
from shared.domain.credits.event_payloads import dial_out_stopped
from shared.domain.dial_out import event_payloads, hold_book, hold_decisions
from shared.domain.dial_out.facts import Denial
from shared.domain.dial_out.hold_book import CounterCorrection, HoldState, LedgerView
from shared.domain.dial_out.hold_decisions import EndsBy, Granted
from shared.domain.dial_out.usage_counters import Counters, minute_of
from shared.domain.ledger.model import LedgerState, SettledDebit
from shared.ports.clock import Clock
from shared.ports.holds import DialOutControl, ExtendHold, HoldRecord, PlaceHold, StoredDecision
from shared.ports.ledger import Ledger
from shared.ports.notices import DueMark, DueMarks
from shared.ports.queues import Backlog
from shared.ports.tables import Insert, Operation, Replace, TableStore, Upsert

EVENTS_DUE = "hold_events"

_MEANS = {EndsBy.CREDIT, EndsBy.BUDGET, EndsBy.POOL}


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """Give back the reservation of an authorization."""

    authorization: str


@dataclass(frozen=True, slots=True)
class UpdateHold:
    """A call was answered, or its bridge took a signal."""

    authorization: str
    answered_at: datetime | None = None
    notified: str = ""


@dataclass(frozen=True, slots=True)
class SetDialOutControl:
    """Stop, restart, suspend; `marker` is written with it and records in the audit log that it was
    written."""

    switch: DialOutControl
    marker: Operation | None = None


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Read new commits of the ledger into the hold book; with `lag_commits`, only if the hold book
    is so far behind."""

    lag_commits: int


type HoldCommand = PlaceHold | ExtendHold | UpdateHold | ReleaseHold | SetDialOutControl | CatchUp
type HoldResult = StoredDecision | Denial | Granted | datetime | bool | None


@dataclass(frozen=True, slots=True)
class HoldPartitionState:
    """The state with the known rows that it comes from.

    `stored` are the counters in the table, `stored_ledger_commit` and `stored_holds` (how many of
    them are not released) are those of the state row; `viewed_at` is when the book caught up, None:
    not yet. `snapshot` was read together with the state row. `is_fresh`: both were read for the
    decision at hand.
    """

    state: HoldState
    commit: int
    commit_id: str
    stored: Mapping[str, Counters] = field(default_factory=dict)
    stored_ledger_commit: int = 0
    stored_holds: int = 0
    viewed_at: datetime | None = None
    snapshot: "_LedgerSnapshot | None" = None
    is_fresh: bool = False


@dataclass(frozen=True, slots=True)
class _LedgerSnapshot:
    """The ledger, and how far the queue is behind."""

    ledger: LedgerState | None
    backlog_seconds: int


@dataclass(frozen=True, slots=True)
class CounterWrite:
    """The addition of a step to the transaction."""

    operations: tuple[Operation, ...] = ()
    events: tuple[Event, ...] = ()


class HoldBookRows:
    """Implements `group_commit.Book` on table `holds`."""

    table = rows.TABLE
    commands_max = limits.GROUP_COMMIT_LEGS_MAX

    def __init__(
        self, tables: TableStore, ledger: Ledger, due: DueMarks, backlog: Backlog, clock: Clock
    ) -> None:
        self._tables = tables
        self._ledger = ledger
        self._due = due
        self._backlog = backlog
        self._clock = clock

    async def load(self, partition: str) -> LoadedPartition[HoldPartitionState]:
        row, snapshot = await asyncio.gather(
            self._tables.get(self.table, partition, rows.STATE), self._read_snapshot(partition)
        )
        if row is None:
            return LoadedPartition(HoldPartitionState(HoldState(), 0, "", snapshot=snapshot), None)
        state, commit, commit_id = rows.read_state(row)
        book = HoldPartitionState(
            state,
            commit,
            commit_id,
            stored_ledger_commit=state.ledger_commit,
            stored_holds=_unreleased(state),
            snapshot=snapshot,
        )
        return LoadedPartition(book, row.etag)

    async def _read_snapshot(self, partition: str) -> _LedgerSnapshot:
        ledger, backlog_seconds = await asyncio.gather(
            self._ledger.state(partition), self._backlog.seconds()
        )
        return _LedgerSnapshot(ledger, backlog_seconds)

    async def view(
        self,
        partition: str,
        loaded: LoadedPartition[HoldPartitionState],
        commands: Sequence[HoldCommand],
    ) -> LoadedPartition[HoldPartitionState]:
        """A view at most 2 s old, with the counters that the commands need."""
        scopes = [key for command in commands for key in _scopes(command)]
        return await self.caught_up(partition, loaded, scopes)

    async def caught_up(
        self, partition: str, loaded: LoadedPartition[HoldPartitionState], scopes: Iterable[str]
    ) -> LoadedPartition[HoldPartitionState]:
        """The book as of the ledger's newest commit where it is older than 2 s, and with counters.

        Counters are read after the state: should they be newer, the commit's If-Match fails.
        """
        book = loaded.state
        now = self._clock.now()
        oldest = now - timedelta(seconds=limits.HOLD_VIEW_SECONDS_MAX)
        if book.viewed_at is None or not oldest <= book.viewed_at <= now:
            book = await self._with_ledger(partition, book, now)
        book = await self._with_scopes(partition, book, scopes)
        return LoadedPartition(book, loaded.etag)

    async def _with_ledger(
        self, partition: str, book: HoldPartitionState, now: datetime
    ) -> HoldPartitionState:
        """Catch up: the ledger's state, and whose holds the commits in between settled."""
        is_fresh = book.snapshot is not None
        snapshot = book.snapshot or await self._read_snapshot(partition)
        if snapshot.ledger is not None and snapshot.ledger.commit < book.state.ledger_commit:
            # Read at the same time as a state that someone committed in between.
            snapshot = await self._read_snapshot(partition)
        ledger = snapshot.ledger
        state = replace(book.state, backlog_seconds=snapshot.backlog_seconds)
        if ledger is None:
            return replace(book, state=state, viewed_at=now, snapshot=None, is_fresh=is_fresh)
        posted: list[SettledDebit] = []
        # Without a call that is not over, and one that was charged, there is nothing that a journal
        # row could settle or correct.
        if state.holds or state.unconfirmed_calls or state.counters.months:
            posted = await self._ledger.posted(
                partition, after=state.ledger_commit, until=ledger.commit
            )
        corrections = await self._corrections(partition, posted)
        caught_up = hold_book.catch_up(state, _ledger_view(ledger), posted, now, corrections)
        return replace(book, state=caught_up, viewed_at=now, snapshot=None, is_fresh=is_fresh)

    async def _corrections(
        self, partition: str, posted: Iterable[SettledDebit]
    ) -> list[CounterCorrection]:
        """The periods in which changed charges were counted: the calls' records contain them."""
        changed: dict[str, int] = {}
        for post in posted:
            if post.corrects and post.authorization is not None:
                before = changed.get(post.authorization, 0)
                changed[post.authorization] = before + post.charged_micros

        async def read(authorization: str) -> HoldRecord | None:
            row = await self._tables.get(self.table, partition, rows.hold_key(authorization))
            return rows.read_record(row) if row else None

        records = await gather_bounded(read, changed, at_once=limits.SCOPES_READ_AT_ONCE)
        return [
            CounterCorrection(record.day, record.scopes, minute_of(record.requested_at), micros)
            for record, micros in zip(records, changed.values(), strict=True)
            if record is not None and record.day and record.requested_at is not None
        ]

    async def _with_scopes(
        self, partition: str, book: HoldPartitionState, scopes: Iterable[str]
    ) -> HoldPartitionState:
        needed = set(scopes)
        if len(book.state.unposted) > limits.UNPOSTED_CHARGES_MAX:
            needed |= {item.key for item in book.state.unposted[: limits.SCOPES_READ_AT_ONCE]}
        book = _without_idle_scopes(book, needed)
        missing = sorted(needed - book.stored.keys())
        if not missing:
            return book
        rows_read = await asyncio.gather(
            *(self._tables.get(self.table, partition, rows.spend_key(key)) for key in missing)
        )
        read = {
            key: rows.read_spend(row) if row else Counters()
            for key, row in zip(missing, rows_read, strict=True)
        }
        return replace(
            book, state=hold_book.with_scopes(book.state, read), stored={**book.stored, **read}
        )

    def guards(self, command: HoldCommand) -> tuple[str, ...]:
        if isinstance(command, PlaceHold):
            return (rows.hold_key(command.authorise.authorization),)
        return ()

    def decide(
        self, partition: str, state: HoldPartitionState, command: HoldCommand, now: datetime
    ) -> StateChange[HoldPartitionState, HoldResult] | NoChange[HoldResult]:
        match command:
            case PlaceHold():
                return _place(state, command, now)
            case ExtendHold():
                return _extend(state, command, now)
            case UpdateHold():
                return _update(state, command, now)
            case ReleaseHold():
                released = hold_book.release(state.state, command.authorization, now)
                row = Upsert(rows.released_key(command.authorization), rows.released_values())
                if released is None:
                    return NoChange(None)
                return _step(state, released, None, CounterWrite((row,)))
            case SetDialOutControl():
                return _switch(state, command.switch, command.marker, now)
            case CatchUp():
                new_commits = state.state.ledger_commit - state.stored_ledger_commit
                settled = _unreleased(state.state) != state.stored_holds
                changed = new_commits > command.lag_commits or (new_commits and settled)
                return _step_or_answer(state, state.state if changed else None, result=None)

    def render(
        self,
        partition: str,
        before: LoadedPartition[HoldPartitionState],
        steps: Sequence[StateChange[HoldPartitionState, HoldResult]],
        commit_id: str,
        now: datetime,
    ) -> tuple[HoldPartitionState, list[Operation]]:
        last = steps[-1].state
        commit = before.state.commit + 1
        values = rows.state_values(last.state, commit, commit_id)
        changed = {
            key: counters
            for key, counters in last.state.scopes.items()
            if last.stored.get(key) != counters
        }
        written = [step.decision for step in steps if isinstance(step.decision, CounterWrite)]
        # The newest word about an authorisation, should a group hold two extensions of it.
        others = {item.key: item for each in written for item in each.operations}
        operations: list[Operation] = [
            Insert(rows.STATE, values)
            if before.etag is None
            else Replace(rows.STATE, values, before.etag),
            *others.values(),
            *(
                Upsert(rows.spend_key(key), rows.spend_values(each))
                for key, each in changed.items()
            ),
        ]
        events = [event for each in written for event in each.events]
        if events:
            operations.append(event_row(rows.SCHEMA, commit, events, now))
        after = replace(
            last,
            commit=commit,
            commit_id=commit_id,
            stored={**last.stored, **changed},
            stored_ledger_commit=last.state.ledger_commit,
            stored_holds=_unreleased(last.state),
            is_fresh=False,
        )
        return after, operations

    async def prepare(
        self,
        partition: str,
        steps: Sequence[StateChange[HoldPartitionState, HoldResult]],
        now: datetime,
    ) -> None:
        """Holds expire by themselves; only events have to be marked."""
        written = [step.decision for step in steps if isinstance(step.decision, CounterWrite)]
        if any(each.events for each in written):
            await self._due.mark([DueMark(partition, EVENTS_DUE, now)])

    async def recorded(
        self, partition: str, command: HoldCommand
    ) -> HoldResult | PerminuteError | None:
        for key in self.guards(command):
            if row := await self._tables.get(self.table, partition, key):
                return StoredDecision(rows.read_record(row), repeated=True)
        return None

    async def is_committed(self, partition: str, after: HoldPartitionState, commit_id: str) -> bool:
        """The state row contains the commit id of this process. After another process committed,
        the intended number is passed and If-Match keeps this commit from landing later, so a guard
        decides."""
        row = await self._tables.get(self.table, partition, rows.STATE)
        return row is not None and row.values.get("commit_id") == commit_id


def _unreleased(state: HoldState) -> int:
    return sum(not hold.released for hold in state.holds)


def _place(
    book: HoldPartitionState, command: PlaceHold, now: datetime
) -> StateChange[HoldPartitionState, HoldResult] | NoChange[HoldResult]:
    granted = hold_decisions.place_hold(book.state, command.authorise, now)
    if isinstance(granted, Denial):
        return NoChange(granted)
    if _is_cut_short(book, granted):
        return NoChange(None)  # decided again: a refusal is never given from a state that was kept
    record = command.record(granted)
    if granted.hold.is_dial_out:
        record = replace(record, day=granted.hold.day, scopes=granted.hold.scopes)
    operations: list[Operation] = [
        Insert(rows.hold_key(record.authorization), rows.record_values(record))
    ]
    if granted.hold.leg is not None:
        values = rows.leg_values(record.authorization)
        operations.append(Upsert(rows.leg_key(granted.hold.leg), values))
    answer = StoredDecision(record, events=bool(granted.events))
    return _step(book, granted.state, answer, CounterWrite(tuple(operations), granted.events))


def _is_cut_short(book: HoldPartitionState, granted: Granted) -> bool:
    """True if a limit that may have grown since its read ends the call within its grant."""
    return not book.is_fresh and granted.ends_by in _MEANS


def _extend(
    book: HoldPartitionState, command: ExtendHold, now: datetime
) -> StateChange[HoldPartitionState, HoldResult] | NoChange[HoldResult]:
    granted = hold_decisions.extend_hold(book.state, command.extend, now)
    if granted is None or granted.state is None or _is_cut_short(book, granted):
        return NoChange(granted)
    hold = granted.hold
    longer = replace(
        command.record,
        granted_seconds=hold.granted_seconds,
        pool_seconds=hold.pool_seconds,
        amount_micros=hold.amount_micros,
        expires_at=hold.expires_at,
    )
    row = Upsert(rows.grant_key(hold.authorization), rows.grant_values(longer))
    before = book.state.find(hold.authorization, now)
    # Where only the reason of the end changed, nothing was granted.
    extended = before is None or hold.granted_seconds > before.granted_seconds
    written = CounterWrite((row,) if extended else (), granted.events)
    return _step(book, granted.state, granted, written)


def _update(
    book: HoldPartitionState, command: UpdateHold, now: datetime
) -> StateChange[HoldPartitionState, HoldResult] | NoChange[HoldResult]:
    state = hold_book.update_hold(
        book.state,
        command.authorization,
        now,
        answered_at=command.answered_at,
        notified=command.notified,
    )
    hold = (state or book.state).find(command.authorization, now)
    return _step_or_answer(book, state, result=hold.answered_at if hold else None)


def _switch(
    book: HoldPartitionState, switch: DialOutControl, marker: Operation | None, now: datetime
) -> StateChange[HoldPartitionState, HoldResult] | NoChange[HoldResult]:
    state: HoldState | None = None
    events: tuple[Event, ...] = ()
    if switch.suspended is not None:
        state = hold_decisions.suspend(book.state, now, suspended=switch.suspended)
    if switch.stop:
        stopped = hold_decisions.stop(state or book.state, switch.stop, now)
        events = (dial_out_stopped(switch.stop),) if stopped else ()
        state = stopped or state
    elif switch.stop is not None:
        restarted = hold_decisions.restart(state or book.state)
        events = (event_payloads.restarted(),) if restarted else ()
        state = restarted or state
    if state is None:
        return NoChange(False)
    return _step(book, state, True, CounterWrite((marker,) if marker else (), events))


def _step_or_answer(
    book: HoldPartitionState, state: HoldState | None, *, result: HoldResult
) -> StateChange[HoldPartitionState, HoldResult] | NoChange[HoldResult]:
    return NoChange(result) if state is None else _step(book, state, result, CounterWrite())


def _step(
    book: HoldPartitionState, state: HoldState | None, result: HoldResult, written: CounterWrite
) -> StateChange[HoldPartitionState, HoldResult]:
    assert state is not None
    return StateChange(replace(book, state=state), result, written)


def _scopes(command: HoldCommand) -> tuple[str, ...]:
    """The counters that a decision about a command needs besides the account's."""
    match command:
        case PlaceHold():
            return tuple(bound.key for bound in command.authorise.bounds if bound.key)
        case ExtendHold():
            return tuple(bound.key for bound in command.extend.bounds if bound.key)
        case _:
            return ()


def _without_idle_scopes(book: HoldPartitionState, needed: set[str]) -> HoldPartitionState:
    """A process keeps few counters in memory: the requested ones, and those that are not
    written."""
    if len(book.stored) <= limits.SCOPES_CACHED_MAX:
        return book
    kept = {
        key: counters
        for key, counters in book.state.scopes.items()
        if key in needed or book.stored.get(key) != counters
    }
    stored = {key: counters for key, counters in book.stored.items() if key in kept}
    return replace(book, state=replace(book.state, scopes=kept), stored=stored)


def _ledger_view(ledger: LedgerState) -> LedgerView:
    return LedgerView(
        commit=ledger.commit,
        balance_micros=ledger.balance_micros,
        credit_limit_micros=ledger.credit_limit_micros,
        expiring_lots=tuple(
            (lot.expires_at, lot.remaining_micros)
            for lot in ledger.lots
            if lot.expires_at is not None
        ),
        pool_seconds=ledger.pool_seconds,
        pools_used=tuple((pool.month, pool.used_seconds) for pool in ledger.pools),
    )
