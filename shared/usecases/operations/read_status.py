"""The status of the product: what health finds, what the processes recorded, and what the queue's
management side reports."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.counts import counted
from shared.domain.common.errors import QueueUnavailable
from shared.domain.directory.access import Principal
from shared.domain.legs.dead_letters import QueueCounts
from shared.domain.legs.parking import ParkStatus
from shared.domain.operations.status import BridgeState, Cause, Status, SystemStatus, TimerState
from shared.ports.activity import BEGINNING, CHARGE, BridgePosts, Runs
from shared.ports.clock import Clock
from shared.ports.deliveries import Deliveries
from shared.ports.legs import ParkingLot
from shared.ports.notices import DueMarks
from shared.ports.queues import Inbox, QueueManagement
from shared.ports.records import RecordStore
from shared.usecases.credits.watch_balances import EVENTS, HOLD_EVENTS
from shared.usecases.directory.codecs import Kind
from shared.usecases.operations.health import Health

TIMERS: Mapping[str, int] = {
    "end_waits": limits.TIMER_LATE_SECONDS,
    "forward_inbox": limits.TIMER_LATE_SECONDS,
    "low_balance": limits.TIMER_LATE_SECONDS,
    "nightly_audit": limits.NIGHTLY_LATE_SECONDS,
    "retry_deliveries": limits.TIMER_LATE_SECONDS,
}
"""After how many seconds without a success a timer is late."""
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """Reads the status. Parked legs and webhooks are those of the caller's accounts; everything
    else is the product's."""

    health: Callable[[], Awaitable[Health]]
    runs: Runs
    management: QueueManagement
    webhooks_management: QueueManagement
    inbox: Inbox
    due: DueMarks
    delivery_marks: DueMarks
    deliveries: Deliveries
    parking: ParkingLot
    records: RecordStore
    posts: BridgePosts
    clock: Clock

    async def __call__(self, principal: Principal) -> SystemStatus:
        """The status now. Raises StoreUnavailable."""
        now = self.clock.now()
        health = await self.health()
        queue, webhooks = await asyncio.gather(
            _counts(self.management), _counts(self.webhooks_management)
        )
        inbox_messages, kept_at = await self.inbox.depth(limit=limits.STATUS_INBOX_MESSAGES_MAX)
        outbox_seconds = await self._outbox_seconds(now)
        last = await self.runs.last()
        timers = tuple(_timer(name, last, now) for name in TIMERS)
        accounts = None if principal.sees_all_accounts else principal.accounts
        parked = await self.parking.counts({"status": ParkStatus.OPEN.value}, accounts)
        failing = await self._webhooks_failing(principal, now)
        reasons = (*_reasons(health, queue, webhooks), *_delays(timers, outbox_seconds))
        worst = Status.DEGRADED if reasons and health.status is Status.OK else health.status
        return SystemStatus(
            status=worst,
            reasons=reasons,
            queue=queue,
            queue_oldest_seconds=health.queue_seconds,
            inbox_messages=inbox_messages,
            inbox_oldest_seconds=_age(now, kept_at),
            outbox_oldest_seconds=outbox_seconds,
            parked_by_reason=dict(sorted(parked.items())),
            timers=timers,
            last_charge_at=last.get(CHARGE),
            webhooks_failing=failing,
            bridges=await self._bridges() if principal.sees_all_accounts else (),
        )

    async def _bridges(self) -> tuple[BridgeState, ...]:
        """The first registered bridges, by id, with the counts of their posts."""
        records, _ = await self.records.list(
            Kind.BRIDGE, limit=limits.STATUS_BRIDGES_MAX, cursor=None, prefix=""
        )

        async def state(bridge: str) -> BridgeState:
            posted = await self.posts.last_day(bridge)
            return BridgeState(
                bridge,
                posted.last_post_at,
                posted.last_leg_at,
                posted.legs,
                posted.parked,
                posted.ignored,
            )

        return tuple(await gather_bounded(state, [each.key for each in records], at_once=8))

    async def _outbox_seconds(self, now: datetime) -> int | None:
        """The age of the oldest mark of an event, past the time for which marks stay anyway."""
        marks = await self.due.due(now, limit=limits.DUE_MARKS_MAX)
        ages = [now - mark.at for mark in marks if mark.kind in {EVENTS, HOLD_EVENTS}]
        stays = timedelta(seconds=limits.DUE_MARK_SETTLE_SECONDS)
        waits = [age for age in ages if age > stays]
        return max(waits) // timedelta(seconds=1) if waits else None

    async def _webhooks_failing(self, principal: Principal, now: datetime) -> int:
        """Receivers whose oldest waiting event was tried without success."""
        marks = await self.delivery_marks.due(now + _WEEK, limit=limits.DELIVERY_MARKS_MAX)
        targets = list(
            dict.fromkeys((m.account, m.kind) for m in marks if principal.sees(m.account))
        )

        async def has_failed(target: tuple[str, str]) -> bool:
            waiting = await self.deliveries.waiting(*target, limit=1)
            delivery = await self.deliveries.get(*target, waiting[0]) if waiting else None
            return delivery is not None and delivery.attempts > 0

        failed = await gather_bounded(has_failed, targets[: limits.STATUS_TARGETS_MAX], at_once=8)
        return sum(failed)


def _timer(name: str, last: Mapping[str, datetime], now: datetime) -> TimerState:
    """A timer that never succeeded is late once the records are old enough."""
    since = last.get(name) or last.get(BEGINNING) or now
    late = TIMERS[name]
    return TimerState(name, last.get(name), late, now - since >= timedelta(seconds=late))


async def _counts(management: QueueManagement) -> QueueCounts | None:
    try:
        return await management.counts()
    except QueueUnavailable:
        return None


def _reasons(
    health: Health, queue: QueueCounts | None, webhooks: QueueCounts | None
) -> list[Cause]:
    causes = [
        Cause(f"{name}_{outcome}", f"The check of the {name} answers: {outcome}.")
        for name, outcome in health.checks.items()
        if outcome != "ok"
    ]
    if health.legs_wait:
        causes.append(
            Cause(
                "legs_wait", f"A leg has waited {_duration(health.waiting_seconds)} to be charged."
            )
        )
    if health.has_forgotten_legs:
        causes.append(
            Cause(
                "parked_legs_wait", f"A leg has been parked for {_duration(health.parked_seconds)}."
            )
        )
    dead = max(queue.dead_letters if queue else 0, health.dead_letters or 0)
    if dead:
        causes.append(Cause("dead_letters", f"The queue has {counted(dead, 'dead letter')}."))
    if webhooks and webhooks.dead_letters:
        count = webhooks.dead_letters
        causes.append(Cause("dead_letters", f"The webhooks have {counted(count, 'dead letter')}."))
    return causes


def _duration(seconds: int | None) -> str:
    """Whole days from two days on, and exactly one; likewise hours and minutes; else seconds."""
    whole_seconds = seconds or 0
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if whole_seconds >= 2 * size or whole_seconds == size:
            return counted(whole_seconds // size, unit)
    return counted(whole_seconds, "second")


def _delays(timers: tuple[TimerState, ...], outbox_seconds: int | None) -> list[Cause]:
    causes = [
        Cause(
            "timer_late",
            f"The timer {timer.name} has had no success for {_duration(timer.late_after_seconds)}.",
        )
        for timer in timers
        if timer.is_late
    ]
    if outbox_seconds is not None and outbox_seconds >= limits.OUTBOX_AGE_SECONDS_MAX:
        causes.append(
            Cause(
                "outbox_waits", f"An event has waited {_duration(outbox_seconds)} to be published."
            )
        )
    return causes


def _age(now: datetime, moment: datetime | None) -> int | None:
    return None if moment is None else max(0, (now - moment) // timedelta(seconds=1))
