"""The low-balance timer. It reads only the accounts that a due mark names.

Thresholds are checked at every commit. This timer handles the events of time: it expires lots and
warns of expiry, requests recharges (again), repeats alerts without acknowledgement, and publishes
events that a dead process left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import PerminuteError
from shared.domain.credits.alerts import DIAL_OUT_RESTARTED, DIAL_OUT_STOPPED
from shared.domain.ledger import alert_evaluation
from shared.domain.ledger.effects import LOT_DUE
from shared.domain.ledger.model import Announce, ExpireLot, LedgerState, Tick
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook
from shared.ports.ledger import IdempotencyConflict, Ledger
from shared.ports.notices import DueMark, DueMarks
from shared.usecases.delivery.publish_events import PublishEvents

EVENTS, HOLD_EVENTS, CALLS = "events", "hold_events", "calls"


@dataclass(frozen=True, slots=True)
class WatchCounts:
    """Counts of a tick: marks handled, events published, failures.

    `oldest_seconds` is the age of the oldest mark: marks live for minutes, unless nothing can be
    published.
    """

    marks: int
    events: int
    failures: tuple[str, ...]
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class WatchBalances:
    """Acts on due marks; a missed, doubled or simultaneous tick changes nothing. `watch_calls` acts
    on an account's calls in progress, `watch_spend` on its rules about charges."""

    due: DueMarks
    ledger: Ledger
    holds: HoldBook
    publish: PublishEvents
    clock: Clock
    watch_calls: Callable[[str], Awaitable[None]]
    watch_spend: Callable[[str], Awaitable[None]]

    async def __call__(self) -> WatchCounts:
        """One tick. A failing account does not stop the others; its marks stay.

        A mark is written before its commit, so it stays until its commit can no longer follow.
        """
        now = self.clock.now()
        marks = await self.due.due(now, limit=limits.DUE_MARKS_MAX)
        by_account: dict[str, list[DueMark]] = {}
        for mark in marks:
            by_account.setdefault(mark.account, []).append(mark)
        failures: list[str] = []

        async def one(item: tuple[str, Sequence[DueMark]]) -> tuple[int, Sequence[DueMark]]:
            account, named = item
            try:
                return await self.act_on(account, {mark.kind for mark in named}), named
            except PerminuteError as error:
                failures.append(f"{account}: {error.detail}")
                return 0, ()

        acted = await gather_bounded(one, by_account.items(), at_once=limits.WATCHED_AT_ONCE)
        settled = now - timedelta(seconds=limits.DUE_MARK_SETTLE_SECONDS)
        await self.due.clear([mark for _, done in acted for mark in done if mark.at <= settled])
        oldest = max((now - mark.at for mark in marks), default=timedelta(0))
        events = sum(count for count, _ in acted)
        return WatchCounts(len(marks), events, tuple(failures), oldest.total_seconds())

    async def act_on(self, account: str, kinds: set[str]) -> int:
        """Handle an account's due marks; the number of events published. `kinds` are its marks'."""
        if CALLS in kinds:
            await self.watch_calls(account)
            await self.watch_spend(account)
        if kinds - {EVENTS, HOLD_EVENTS, CALLS}:
            state = await self.ledger.state(account)
            if state is not None:
                await self.do_what_is_due(account, state)
        return await self.publish(account, hold_book=HOLD_EVENTS in kinds)

    async def do_what_is_due(self, account: str, state: LedgerState) -> bool:
        """Expire lots, and commit other scheduled work; True if there was any."""
        now = self.clock.now()
        expired = await self._expire(account, state, now)
        if await self.end_stops(account, state):
            state = await self.ledger.state(account) or state
        if alert_evaluation.on_timer(state, now) is None:
            return expired
        await self.ledger.submit(account, Tick())
        return True

    async def end_stops(self, account: str, state: LedgerState) -> bool:
        """End the alerts of a stop of dial-out if the ledger missed the restart; True if there were
        any."""
        stops = [each for each in state.raised if each.type == DIAL_OUT_STOPPED]
        if not stops or (await self.holds.view(account)).stopped:
            return False
        for each in stops:
            data = {"alert": each.number}
            await self.ledger.submit(
                account, Announce("holds", 0, DIAL_OUT_RESTARTED, each.name, data)
            )
        return True

    async def _expire(self, account: str, state: LedgerState, now: datetime) -> bool:
        lots = [lot for lot in state.lots if not lot.valid_at(now)]
        if not lots:
            return False
        # Read after the expiry: from then on no new hold counts on these lots.
        held = (await self.holds.view(account)).held_micros(now)
        outcomes = await asyncio.gather(
            *(self.ledger.submit(account, ExpireLot(lot.id, held)) for lot in lots)
        )
        entries = [
            None if isinstance(each, IdempotencyConflict) else each.entry for each in outcomes
        ]
        lapsed = -sum(entry.amount_micros for entry in entries if entry)
        if lapsed < sum(lot.remaining_micros for lot in lots):  # the rest is held
            again = now + timedelta(seconds=limits.LOT_RETRY_SECONDS)
            await self.due.mark([DueMark(account, LOT_DUE, again)])
        return lapsed > 0
