"""The hold book in Table storage: decisions committed in groups; reads, and the outbox.

A decision is made on a view of the ledger that is at most 2 s old; an older one catches up first,
from the ledger's state and the journal rows since the commit that the hold book knows. A refusal is
only given on a view that was caught up for it (the committer sees to that). `rows` describes the
rows.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.adapters.delivery.outbox import BEFORE, FIRST, event_key
from shared.adapters.dial_out import rows
from shared.adapters.dial_out.committable import (
    CatchUp,
    HoldBookRows,
    HoldCommand,
    HoldPartitionState,
    HoldResult,
    ReleaseHold,
    SetDialOutControl,
    UpdateHold,
)
from shared.adapters.directory.audit_log import TableAuditLog
from shared.adapters.tables.coalescing import Coalescer
from shared.adapters.tables.committable import LoadedPartition
from shared.adapters.tables.group_commit import GroupCommitter
from shared.adapters.tables.parts import write_parts
from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import (
    Conflict,
    LedgerCorrupt,
    OutcomeUnknown,
    PerminuteError,
    RowExists,
    Unavailable,
)
from shared.domain.dial_out.facts import Denial
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.hold_decisions import Granted
from shared.pacing import NO_REQUEST
from shared.ports.audit import Action, Change
from shared.ports.clock import Clock, Ids
from shared.ports.holds import DialOutControl, ExtendHold, HoldRecord, PlaceHold, StoredDecision
from shared.ports.ledger import Ledger, Outbox
from shared.ports.notices import DueMarks
from shared.ports.queues import Backlog
from shared.ports.tables import Delete, Insert, Operation, Row, TableStore

TABLE = rows.TABLE
_REFRESH_PAUSE = timedelta(seconds=limits.REFRESH_SECONDS_MIN)
_log = logging.getLogger(__name__)


class TableHoldBook:
    """Implements the port `HoldBook` on a TableStore and a Ledger."""

    def __init__(
        self,
        tables: TableStore,
        ledger: Ledger,
        due: DueMarks,
        backlog: Backlog,
        clock: Clock,
        ids: Ids,
        log: TableAuditLog | None = None,
    ) -> None:
        self._tables = tables
        self._log = log
        self._clock = clock
        self._refreshed_at: dict[str, datetime] = {}
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._placed = Coalescer(self._placed_for, items_max=lambda: limits.LEG_HOLDS_READ_MAX)
        self._book = HoldBookRows(tables, ledger, due, backlog, clock)
        self._committer: GroupCommitter[HoldPartitionState, HoldCommand, HoldResult] = (
            GroupCommitter(tables, self._book, clock, ids)
        )

    async def view(
        self, account: str, *, fresh: bool = True, scopes: Sequence[str] = ()
    ) -> HoldState:
        loaded = None if fresh else self._committer.cached(account)
        if loaded is None:
            loaded = await self._book.load(account)
        viewed = await self._book.caught_up(account, loaded, scopes)
        kept = replace(viewed.state, is_fresh=False)
        self._committer.prime_cache(account, LoadedPartition(kept, viewed.etag))
        return viewed.state.state

    async def place(self, account: str, command: PlaceHold) -> StoredDecision | Denial:
        result = await self._committer.submit(account, command)
        assert isinstance(result, StoredDecision | Denial)
        return result

    async def keep(self, account: str, record: HoldRecord) -> StoredDecision:
        row = Insert(rows.hold_key(record.authorization), rows.record_values(record))
        try:
            await self._tables.transact(TABLE, account, [row])
        except RowExists:
            first = await self.record(account, record.authorization)
            if first is None:
                raise LedgerCorrupt("An answer is there and can't be read.") from None
            return StoredDecision(first, repeated=True)
        except OutcomeUnknown as unknown:
            raise Unavailable(
                "The outcome is uncertain. Send the request again with the same key."
            ) from unknown
        return StoredDecision(record)

    async def record(self, account: str, authorization: str) -> HoldRecord | None:
        key, grant = rows.hold_key(authorization), rows.grant_key(authorization)
        released = rows.released_key(authorization)
        records = await self._tables.query(
            TABLE, account, first=key, before=f"{released}~", limit=3
        )
        by_key = {row.key: row for row in records}
        if key not in by_key:
            return None
        return rows.read_record(by_key[key], by_key.get(grant), released=released in by_key)

    async def placed_for(self, account: str, leg: str) -> str | None:
        return await self._placed.submit(account, leg)

    async def _placed_for(self, account: str, legs: Sequence[str]) -> list[str | None]:
        """The authorizations of legs. Few accounts place holds by leg: where all of an account's
        fit into a page, one read answers for every leg."""
        limit = limits.LEG_HOLDS_READ_MAX
        page: list[Row] | None = None
        if len(legs) > 1:
            first, before = f"{rows.LEGS}|", f"{rows.LEGS}}}"
            page = await self._tables.query(TABLE, account, first=first, before=before, limit=limit)
        if page is not None and len(page) < limit:
            by_key: dict[str, Row | None] = {row.key: row for row in page}
            placed = [by_key.get(rows.leg_key(leg)) for leg in legs]
        else:
            placed = await gather_bounded(
                lambda leg: self._tables.get(TABLE, account, rows.leg_key(leg)),
                legs,
                at_once=limits.GUARD_READS_AT_ONCE,
            )
        return [rows.read_leg(row) if row else None for row in placed]

    async def extend(self, account: str, command: ExtendHold) -> Granted | None:
        result = await self._committer.submit(account, command)
        assert result is None or isinstance(result, Granted)
        return result

    async def release(self, account: str, authorization: str) -> None:
        await self._committer.submit(account, ReleaseHold(authorization))

    async def answer(self, account: str, authorization: str, answered_at: datetime) -> datetime:
        kept = await self._committer.submit(account, UpdateHold(authorization, answered_at))
        if not isinstance(kept, datetime):
            raise Conflict(
                "The call is over: its hold was settled, released or has expired. "
                "Request a new authorization.",
                code="authorization_ended",
            )
        return kept

    async def notified(self, account: str, authorization: str, signal: str) -> None:
        await self._committer.submit(account, UpdateHold(authorization, notified=signal))

    async def switch(self, account: str, command: DialOutControl) -> bool:
        """Stop, restart, suspend: whether anything changed. A stop and a restart are logged in the
        commit that makes them; a suspension is part of the policy, whose change is logged."""
        marker: Operation | None = None
        if command.stop is not None and self._log is not None:
            was = (await self.view(account)).stopped
            change = Change(
                Action.STOPPED if command.stop else Action.RESTARTED,
                "dial_out",
                account,
                account,
                _stop_body(was),
                _stop_body(command.stop),
            )
            marker = await self._log.propose(TABLE, account, [change])
        return await self._committer.submit(account, SetDialOutControl(command, marker)) is True

    async def catch_up(self, account: str, *, lag_commits: int = 0) -> None:
        await self._committer.submit(account, CatchUp(lag_commits))

    async def refresh(self, account: str) -> None:
        try:
            async with asyncio.timeout(limits.REFRESH_WAIT_SECONDS_MAX):
                await self.catch_up(account)
        except (PerminuteError, TimeoutError) as error:
            _log.info("a hold book was not refreshed after credits: %s", error)

    def refresh_async(self, account: str) -> None:
        """The account was debited: catch up in the background, at most once a second, and write
        only where that settles something."""
        now = self._clock.now()
        last = self._refreshed_at.get(account)
        if account in self._refreshes or (last and now - last < _REFRESH_PAUSE):
            return
        self._refreshed_at[account] = now
        if len(self._refreshed_at) > limits.PARTITIONS_CACHED_MAX:
            del self._refreshed_at[next(iter(self._refreshed_at))]
        task = asyncio.get_running_loop().create_task(
            self._refresh_async(account), context=NO_REQUEST()
        )
        self._refreshes[account] = task
        task.add_done_callback(lambda _: self._refreshes.pop(account, None))

    async def _refresh_async(self, account: str) -> None:
        try:
            await self.catch_up(account, lag_commits=limits.REFRESH_LAG_COMMITS)
        except PerminuteError as error:
            _log.info("a hold book was not refreshed: %s", error.detail)

    async def outbox(self, account: str, *, limit: int) -> list[Outbox]:
        events = await self._tables.query(TABLE, account, first=FIRST, before=BEFORE, limit=limit)
        return [rows.read_outbox(row) for row in events]

    async def published(self, account: str, commit: int) -> None:
        # Another publisher may have taken it out: it published the same events.
        await write_parts(self._tables, TABLE, account, [Delete(event_key(commit))])


def _stop_body(why: str) -> dict[str, object]:
    return {"stopped": True, "reason": why} if why else {"stopped": False}
