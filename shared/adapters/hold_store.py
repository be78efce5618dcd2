"""The hold book in Table storage: table `holds`, partition = account.

| row key                | what                                                         |
| ---------------------- | ------------------------------------------------------------ |
| `state`                | open holds, and the ledger as of the commit that they know   |
| `hold|{authorisation}` | the guard of a question, with the answer that it was given   |

Every decision catches up with the ledger first; its state row and the journal rows since then are
all that it reads.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from shared.adapters.group_commit import Answer, GroupCommitter, Loaded, Step
from shared.adapters.packed import pack, unpack
from shared.domain import holds, limits
from shared.domain.errors import LedgerCorrupt, NotFound, PerminuteError, RowExists
from shared.domain.holds import (
    CreditExhausted,
    Hold,
    HoldState,
    Placed,
    Posted,
    VelocityExceeded,
)
from shared.domain.legs import canonical_json, format_time, parse_time
from shared.ports import (
    Answered,
    Clock,
    HoldRecord,
    Ids,
    Insert,
    Ledger,
    Operation,
    PlaceHold,
    ReleaseHold,
    Replace,
    Row,
    TableStore,
    Value,
)

TABLE = "holds"
SCHEMA = 1
STATE = "state"

type HoldCommand = PlaceHold | ReleaseHold
type HoldResult = Answered | CreditExhausted | VelocityExceeded


@dataclass(frozen=True, slots=True)
class _Versioned:
    """The state with the number and id of the hold book's own last commit."""

    state: HoldState
    commit: int
    commit_id: str


class TableHoldBook:
    """Implements the port `HoldBook` on a TableStore and a Ledger."""

    def __init__(self, tables: TableStore, ledger: Ledger, clock: Clock, ids: Ids) -> None:
        self._tables = tables
        self._clock = clock
        self._book = _HoldBookRows(tables, ledger)
        self._committer = GroupCommitter(tables, self._book, clock, ids)

    async def view(self, account: str) -> HoldState:
        """The hold book, caught up with the ledger; nothing is written."""
        loaded = await self._book.view(account, await self._book.load(account))
        return loaded.state.state

    async def place(
        self, account: str, command: PlaceHold
    ) -> Answered | CreditExhausted | VelocityExceeded:
        """Place a hold and keep the answer under its authorisation (see the port)."""
        return await self._committer.submit(account, command)

    async def keep(self, account: str, record: HoldRecord) -> Answered:
        """Keep an answer that needs no hold, a denial; the first answer wins."""
        row = Insert(_hold_key(record.authorization), _hold_values(record))
        try:
            await self._tables.transact(TABLE, account, [row])
        except RowExists:
            first = await self.record(account, record.authorization)
            if first is None:
                raise LedgerCorrupt("An answer is there and can't be read.") from None
            return Answered(first, repeated=True)
        return Answered(record)

    async def record(self, account: str, authorization: str) -> HoldRecord | None:
        """The question and answer of an authorisation, or None."""
        row = await self._tables.get(TABLE, account, _hold_key(authorization))
        return _read_hold(row) if row else None

    async def release(self, account: str, authorization: str, bridge: str) -> None:
        """Give back what an authorisation holds. Raises NotFound when this bridge has none such."""
        record = await self.record(account, authorization)
        if record is None or record.bridge != bridge or not record.granted_seconds:
            raise NotFound("There is no such authorization.", code="authorization_unknown")
        await self._committer.submit(account, ReleaseHold(record))


class _HoldBookRows:
    """What the committer has to know of a hold book's partition."""

    table = TABLE
    commands_max = limits.GROUP_COMMIT_LEGS_MAX

    def __init__(self, tables: TableStore, ledger: Ledger) -> None:
        self._tables = tables
        self._ledger = ledger

    async def load(self, partition: str) -> Loaded[_Versioned]:
        row = await self._tables.get(TABLE, partition, STATE)
        if row is None:
            return Loaded(_Versioned(HoldState(), 0, ""), None)
        return Loaded(_read_state(row), row.etag)

    async def view(self, partition: str, loaded: Loaded[_Versioned]) -> Loaded[_Versioned]:
        """Catch up: the ledger's state, and whose holds the commits in between settled."""
        now_known = await self._ledger.state(partition)
        if now_known is None:
            return loaded
        state = loaded.state.state
        posted: list[Posted] = []
        after = state.ledger_commit
        # Without an open hold there is nothing that a journal row could settle.
        while state.holds and after < now_known.commit:
            commits = await self._ledger.journal(
                partition, after=after, limit=limits.JOURNAL_PAGE_ROWS
            )
            posted += [
                Posted(entry.authorization, entry.leg)
                for commit in commits
                for entry in commit.entries
                if commit.number <= now_known.commit
            ]
            if not commits:
                raise LedgerCorrupt("The journal ends before the ledger's state.")
            after = commits[-1].number
        caught_up = holds.catch_up(
            state,
            ledger_commit=now_known.commit,
            balance_micros=now_known.balance_micros,
            credit_limit_micros=now_known.credit_limit_micros,
            lapsing=tuple(
                (lot.expires_at, lot.remaining_micros)
                for lot in now_known.lots
                if lot.expires_at is not None
            ),
            posted=posted,
        )
        return Loaded(
            _Versioned(caught_up, loaded.state.commit, loaded.state.commit_id), loaded.etag
        )

    def guard(self, command: HoldCommand) -> str | None:
        return (
            _hold_key(command.authorise.authorization) if isinstance(command, PlaceHold) else None
        )

    def decide(
        self, partition: str, state: _Versioned, command: HoldCommand, now: datetime
    ) -> Step[_Versioned, HoldResult] | Answer[HoldResult]:
        match command:
            case PlaceHold():
                placed = holds.authorise(state.state, command.authorise, now)
                if not isinstance(placed, Placed):
                    return Answer(placed)
                record = command.record(placed.hold, placed.granted_seconds)
                return Step(
                    _Versioned(placed.state, state.commit, state.commit_id),
                    Answered(record),
                    record,
                )
            case ReleaseHold():
                released = holds.release(state.state, command.record.authorization)
                if released is None:
                    return Answer(Answered(command.record, repeated=True))
                return Step(
                    _Versioned(released, state.commit, state.commit_id),
                    Answered(command.record),
                    None,
                )

    def render(
        self,
        partition: str,
        before: Loaded[_Versioned],
        steps: Sequence[Step[_Versioned, HoldResult]],
        commit_id: str,
        now: datetime,
    ) -> tuple[_Versioned, list[Operation]]:
        state = _Versioned(steps[-1].state.state, before.state.commit + 1, commit_id)
        values = _state_values(state)
        guards = [
            Insert(_hold_key(step.decision.authorization), _hold_values(step.decision))
            for step in steps
            if isinstance(step.decision, HoldRecord)
        ]
        first: Operation = (
            Insert(STATE, values) if before.etag is None else Replace(STATE, values, before.etag)
        )
        return state, [first, *guards]

    async def prepare(
        self, partition: str, steps: Sequence[Step[_Versioned, HoldResult]], now: datetime
    ) -> None:
        """Holds expire by themselves: nothing has to be marked."""

    async def recorded(
        self, partition: str, command: HoldCommand
    ) -> HoldResult | PerminuteError | None:
        if not isinstance(command, PlaceHold):
            return None
        key = _hold_key(command.authorise.authorization)
        row = await self._tables.get(TABLE, partition, key)
        return Answered(_read_hold(row), repeated=True) if row else None

    async def landed(self, partition: str, after: _Versioned, commit_id: str) -> bool:
        """Our commit's id is in the state row; once somebody committed after us, the number that
        we meant is passed and If-Match keeps ours from landing later, so a guard tells."""
        row = await self._tables.get(TABLE, partition, STATE)
        return row is not None and row.values.get("commit_id") == commit_id


def _hold_key(authorization: str) -> str:
    return f"hold|{authorization}"


def _state_values(versioned: _Versioned) -> dict[str, Value]:
    state = versioned.state
    document = {
        "balance": state.balance_micros,
        "credit_limit": state.credit_limit_micros,
        "holds": [
            [hold.authorization, hold.amount_micros, format_time(hold.expires_at), hold.leg]
            for hold in state.holds
        ],
        "lapsing": [[format_time(when), micros] for when, micros in state.lapsing],
        "placed_minutes": [list(pair) for pair in state.placed_minutes],
    }
    return {
        "schema": SCHEMA,
        "commit": versioned.commit,
        "commit_id": versioned.commit_id,
        "ledger_commit": state.ledger_commit,
        **pack("data", document),
    }


def _read_state(row: Row) -> _Versioned:
    _check_schema(row)
    data = cast("dict[str, Any]", unpack("data", row.values))
    state = HoldState(
        ledger_commit=int(cast("int", row.values["ledger_commit"])),
        balance_micros=data["balance"],
        credit_limit_micros=data["credit_limit"],
        holds=tuple(
            Hold(authorization, micros, parse_time(expires_at), leg)
            for authorization, micros, expires_at, leg in data["holds"]
        ),
        lapsing=tuple((parse_time(when), micros) for when, micros in data["lapsing"]),
        placed_minutes=tuple((minute, count) for minute, count in data["placed_minutes"]),
    )
    return _Versioned(state, int(cast("int", row.values["commit"])), str(row.values["commit_id"]))


def _hold_values(record: HoldRecord) -> dict[str, Value]:
    return {
        "schema": SCHEMA,
        "bridge": record.bridge,
        "digest": record.digest,
        "granted_seconds": record.granted_seconds,
        "amount": record.amount_micros,
        "expires_at": format_time(record.expires_at) if record.expires_at else "",
        "answer": canonical_json(record.answer).decode(),
    }


def _read_hold(row: Row) -> HoldRecord:
    _check_schema(row)
    expires_at = str(row.values["expires_at"])
    return HoldRecord(
        authorization=row.key.removeprefix("hold|"),
        bridge=str(row.values["bridge"]),
        digest=str(row.values["digest"]),
        granted_seconds=int(cast("int", row.values["granted_seconds"])),
        amount_micros=int(cast("int", row.values["amount"])),
        expires_at=parse_time(expires_at) if expires_at else None,
        answer=cast("Mapping[str, object]", json.loads(str(row.values["answer"]))),
    )


def _check_schema(row: Row) -> None:
    schema = row.values.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise LedgerCorrupt(f"Row {row.key} has schema {schema!r}; this code knows {SCHEMA}.")
