"""Delivery of published events to customers' webhooks and an account's mail addresses.

A message from the topic becomes a delivery for every target that subscribes to it, stored before
anything is sent. The sending process leases the target, so that its events go out one after another
in their order: an event waits behind older ones that are tried again, for an hour, then it
overtakes them.

A receiver that hangs delays no other. A round waits for its receivers for a second; a longer
delivery continues in the background, and its due mark stays until the delivery ends. A receiver
that gave no answer is sent to from slots for such receivers only, of which an account has few.
"""

import asyncio
import contextlib
import functools
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from shared.domain.common import limits
from shared.domain.common.errors import PerminuteError, StoreError, Unavailable
from shared.domain.credits import mail_texts
from shared.domain.credits.alerts import EVENT_TYPES
from shared.domain.delivery.webhooks import (
    MAIL,
    Delivery,
    DeliveryStatus,
    ReceiverResponse,
    Webhook,
    has_lasted,
    keeps_order_until,
    pause_after,
    place_of,
    signed_headers,
)
from shared.domain.directory.entities import Account
from shared.ports.clock import Clock
from shared.ports.deliveries import Deliveries, Mail, Mailer, WebhookSender
from shared.ports.notices import DueMark, DueMarks
from shared.telemetry import event, failure
from shared.usecases.delivery.manage_webhooks import Webhooks
from shared.usecases.directory.directory_cache import DirectoryCache

_log = logging.getLogger(__name__)
MAILED = frozenset(kind for kind, record in EVENT_TYPES.items() if record.en is not None)
type _Target = tuple[str, str]
"""(account, name of the webhook, or MAIL)"""


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Counts of a round: deliveries that were accepted, that failed for now, that ended without
    acceptance; the targets that are still being sent to, or whose round broke off."""

    taken: int = 0
    failed: int = 0
    ended: int = 0
    busy: tuple[_Target, ...] = ()
    failures: tuple[str, ...] = ()

    def __add__(self, other: "DeliveryCounts") -> "DeliveryCounts":
        return DeliveryCounts(
            self.taken + other.taken,
            self.failed + other.failed,
            self.ended + other.ended,
            (*self.busy, *other.busy),
            (*self.failures, *other.failures),
        )


class _SendSlots:
    """Limits the concurrent sends, in all and for each account."""

    def __init__(self, at_once: int, of_account_at_once: int) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._of_account_at_once = of_account_at_once
        self._accounts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def of(self, account: str) -> AsyncIterator[None]:
        """A slot of the account's, then one of all: waiting for the first blocks no other
        account."""
        own = self._accounts.get(account)
        if own is None:
            own = self._accounts[account] = asyncio.Semaphore(self._of_account_at_once)
        async with own, self._all:
            yield


class DeliverEvents:
    """Sends published events. At least once, under ids that stay the same."""

    def __init__(
        self,
        facts: DirectoryCache,
        webhooks: Webhooks,
        deliveries: Deliveries,
        due: DueMarks,
        sender: WebhookSender,
        mailer: Mailer | None,
        clock: Clock,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._facts = facts
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._due = due
        self._sender = sender
        self._mailer = mailer
        self._clock = clock
        self._pause = pause
        self._slots = _SendSlots(limits.DELIVERIES_AT_ONCE, limits.DELIVERIES_OF_ACCOUNT_AT_ONCE)
        self._failing_slots = _SendSlots(
            limits.DELIVERIES_FAILING_AT_ONCE, limits.DELIVERIES_FAILING_OF_ACCOUNT_AT_ONCE
        )
        self._failing: set[_Target] = set()
        self._sending: dict[_Target, asyncio.Task[DeliveryCounts]] = {}
        self._wanted_again: set[_Target] = set()

    async def __call__(self, bodies: Sequence[bytes], *, seconds: float) -> DeliveryCounts:
        """Store the deliveries of the topic's messages. Raises Unavailable or a StoreError if they
        must be delivered again, because no deliveries could be stored in time."""
        ends_at = self._ends_at(seconds)
        by_account: dict[str, list[tuple[dict[str, object], bytes]]] = {}
        for body in bodies:
            event = _read(body)
            if event is not None:
                by_account.setdefault(str(event["source"])[len("/accounts/") :], []).append(
                    (event, body)
                )
        slots = asyncio.Semaphore(limits.ACCEPTS_AT_ONCE)
        accepted = await asyncio.gather(
            *(
                self._accept_in_time(account, events, slots, ends_at)
                for account, events in by_account.items()
            )
        )
        targets = [target for targets in accepted for target in targets]
        return await self._send_all(targets, ends_at, "topic")

    def _ends_at(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=min(seconds, limits.DELIVER_SECONDS_MAX))

    async def retry(self, *, seconds: float) -> DeliveryCounts:
        """Deliveries that are due again, or that a dead process left."""
        now, ends_at = self._clock.now(), self._ends_at(seconds)
        marks = await self._due.due(now, limit=limits.DELIVERY_MARKS_MAX)
        targets = dict.fromkeys((mark.account, mark.kind) for mark in marks)
        done = await self._send_all(list(targets), ends_at, "timer")
        settled = now - timedelta(seconds=limits.DUE_MARK_SETTLE_SECONDS)
        open_marks = [mark for mark in marks if (mark.account, mark.kind) not in done.busy]
        await self._due.clear([mark for mark in open_marks if mark.at <= settled])
        return done

    async def _accept_in_time(
        self,
        account: str,
        events: Sequence[tuple[Mapping[str, object], bytes]],
        slots: asyncio.Semaphore,
        ends_at: datetime,
    ) -> list[_Target]:
        """`_accept`, repeated while there is time: the broker delivers an abandoned message again
        at once, and only a few times."""
        pause_seconds = limits.ACCEPT_PAUSE_SECONDS
        while True:
            try:
                return await self._accept(account, events, slots)
            except (Unavailable, StoreError):
                if self._clock.now() + timedelta(seconds=pause_seconds) >= ends_at:
                    raise
            await self._pause(pause_seconds)
            pause_seconds = min(2 * pause_seconds, limits.ACCEPT_PAUSE_SECONDS_MAX)

    async def _accept(
        self,
        account: str,
        events: Sequence[tuple[Mapping[str, object], bytes]],
        slots: asyncio.Semaphore,
    ) -> list[_Target]:
        """Store a delivery for every target that subscribes to an event; returns the targets."""
        async with slots:
            now = self._clock.now()
            settings = await self._facts.account(account)
            if settings is None:
                return []
            hooks = await self._webhooks.of_account(account)
            deliveries = [
                (target, event, body)
                for event, body in events
                for target in self._targets(settings, hooks, str(event["type"]))
            ]
            targets = list(dict.fromkeys(target for target, _, _ in deliveries))
            await self._due.mark([DueMark(account, target, now) for target in targets])
            for target, event, body in deliveries:
                delivery = Delivery(
                    account=account,
                    target=target,
                    event=str(event["id"]),
                    type=str(event["type"]),
                    body=body,
                    accepted_at=now,
                )
                await self._deliveries.accept(delivery)
            return [(account, target) for target in targets]

    def _targets(self, account: Account, hooks: Sequence[Webhook], kind: str) -> list[str]:
        targets = [hook.name for hook in hooks if hook.wants(kind)]
        if self._mailer is not None and account.settings.emails and kind in MAILED:
            targets.append(MAIL)
        return targets

    async def _send_all(
        self, targets: Sequence[_Target], ends_at: datetime, by: str
    ) -> DeliveryCounts:
        """Send to every target, concurrently; a target that fails or hangs does not stop the
        others."""
        done, started = DeliveryCounts(), []
        for target in targets:
            if target in self._sending:
                self._wanted_again.add(target)
                done += DeliveryCounts(busy=(target,))
            else:
                task = asyncio.create_task(self._send_in_turn(target, ends_at))
                self._sending[target] = task
                task.add_done_callback(functools.partial(self._sent, target))
                started.append((target, task))
        if started:
            await asyncio.wait([task for _, task in started], timeout=limits.DELIVERY_WAIT_SECONDS)
        for target, task in started:
            if task.done():
                done += task.result()
            else:
                task.add_done_callback(functools.partial(_report_late, by))
                done += DeliveryCounts(busy=(target,))
        return done

    async def _send_in_turn(self, target: _Target, ends_at: datetime) -> DeliveryCounts:
        """Send to one target once a slot is free, and again if more came meanwhile."""
        done = DeliveryCounts()
        while True:
            slots = self._failing_slots if target in self._failing else self._slots
            self._wanted_again.discard(target)
            async with slots.of(target[0]):
                try:
                    done += await self._send(*target, ends_at)
                except PerminuteError as error:
                    broken = f"{target[0]}, {target[1]}: {error.detail}"
                    return done + DeliveryCounts(busy=(target,), failures=(broken,))
            if target not in self._wanted_again or self._clock.now() >= ends_at:
                return done

    def _sent(self, target: _Target, _: asyncio.Task[DeliveryCounts]) -> None:
        del self._sending[target]

    async def _send(self, account: str, target: str, ends_at: datetime) -> DeliveryCounts:
        """Send the waiting events of one target, in order, while its time and the lease last."""
        token = await self._deliveries.lease(account, target, self._clock.now())
        if token is None:
            return DeliveryCounts(busy=((account, target),))
        try:
            post = await self._way(account, target)
            if post is None or await self._deliveries.stopped_at(account, target):
                return await self._give_up(account, target)
            return await self._in_order(account, target, token, post, ends_at)
        finally:
            await self._deliveries.release(account, target, token)

    async def _in_order(
        self, account: str, target: str, token: str, post: "_Post", ends_at: datetime
    ) -> DeliveryCounts:
        done = DeliveryCounts()
        events = await self._deliveries.waiting(
            account, target, limit=limits.DELIVERIES_A_ROUND_MAX
        )
        again: list[datetime] = []
        for event_id in events:
            now = self._clock.now()
            if now >= ends_at:
                again.append(now)
                break
            delivery = await self._deliveries.get(account, target, event_id)
            if delivery is None:
                continue
            if delivery.next_at is None or delivery.next_at <= now:
                delivery = await self._try(delivery, post, ends_at)
                if delivery.status is DeliveryStatus.STOPPED:
                    await self._deliveries.stop(account, target, token, now)
                    return done + await self._give_up(account, target) + DeliveryCounts(ended=1)
                done += _counted(delivery)
            if delivery.next_at is not None:
                again.append(delivery.next_at)
                now = self._clock.now()
                if (until := keeps_order_until(delivery, now)) > now:
                    again.append(until)
                    break
        else:
            if len(events) == limits.DELIVERIES_A_ROUND_MAX:
                again.append(self._clock.now())
        if again:
            await self._due.mark([DueMark(account, target, min(again))])
        return done

    async def _try(self, delivery: Delivery, post: "_Post", ends_at: datetime) -> Delivery:
        """One attempt; after a first failed attempt another one soon after, if there is time."""
        while True:
            now = self._clock.now()
            delivery = replace(
                delivery, attempts=delivery.attempts + 1, first_at=delivery.first_at or now
            )
            try:
                async with asyncio.timeout(max(0.0, (ends_at - now).total_seconds())):
                    reply = await post(delivery)
            except TimeoutError:
                reply = ReceiverResponse(None, "there was no time left for an answer")
            self._note(delivery, reply)
            delivery = _after(delivery, reply, self._clock.now())
            if delivery.next_at is None or delivery.attempts >= limits.WEBHOOK_INLINE_TRIES:
                break
            if delivery.next_at >= ends_at:
                break
            await self._deliveries.update(delivery)
            await self._pause(limits.WEBHOOK_PAUSE_SECONDS[0])
        await self._deliveries.update(delivery)
        return delivery

    def _note(self, delivery: Delivery, reply: ReceiverResponse) -> None:
        """Record the receivers that gave no answer to the last attempt."""
        target = delivery.account, delivery.target
        (self._failing.add if reply.status is None else self._failing.discard)(target)

    async def _give_up(self, account: str, target: str) -> DeliveryCounts:
        """Drop the waiting events: the target was deleted, or its receiver refused all events."""
        ended = 0
        while events := await self._deliveries.waiting(
            account, target, limit=limits.DELIVERIES_A_ROUND_MAX
        ):
            for event_id in events:
                delivery = await self._deliveries.get(account, target, event_id)
                if delivery is not None:
                    now = self._clock.now()
                    stopped = replace(
                        delivery, status=DeliveryStatus.STOPPED, next_at=None, ended_at=now
                    )
                    await self._deliveries.update(stopped)
                    ended += 1
        return DeliveryCounts(ended=ended)

    async def _way(self, account: str, target: str) -> "_Post | None":
        """The sender for a target; None for a target that no longer exists."""
        if target == MAIL:
            settings, mailer = await self._facts.account(account), self._mailer
            if settings is None or mailer is None or not settings.settings.emails:
                return None
            return lambda delivery: mailer.send(_mail(settings, delivery))
        hooks = {hook.name: hook for hook in await self._webhooks.of_account(account)}
        hook = hooks.get(target)
        if hook is None:
            return None

        async def post(delivery: Delivery) -> ReceiverResponse:
            headers = {
                "content-type": "application/cloudevents+json; charset=utf-8",
                "user-agent": "perminute-webhooks",
                **signed_headers(hook.secrets, delivery.event, delivery.body, self._clock.now()),
            }
            return await self._sender.post(hook.url, headers, delivery.body)

        return post


def report(done: DeliveryCounts, by: str) -> None:
    """Log what a round did; `by` is what started it."""
    event(
        "events_delivered",
        by=by,
        taken=done.taken,
        failed=done.failed,
        ended=done.ended,
        failures=len(done.failures),
    )
    for detail in done.failures:
        event("delivery_failed", detail=detail)


def _report_late(by: str, task: asyncio.Task[DeliveryCounts]) -> None:
    """Log the result of a round in the background."""
    if task.cancelled():
        return
    if error := task.exception():
        failure("unexpected_error", error)
    else:
        report(task.result(), by)


type _Post = Callable[[Delivery], Awaitable[ReceiverResponse]]


def _counted(delivery: Delivery) -> DeliveryCounts:
    return DeliveryCounts(
        taken=int(delivery.status is DeliveryStatus.DELIVERED),
        failed=int(delivery.status is DeliveryStatus.PENDING),
        ended=int(delivery.status is DeliveryStatus.DEAD),
    )


def _after(delivery: Delivery, reply: ReceiverResponse, now: datetime) -> Delivery:
    """The delivery after an attempt; `reply` may be a missing one."""
    tried = replace(delivery, answer=reply.status, error=reply.error)
    if reply.taken:
        return replace(tried, status=DeliveryStatus.DELIVERED, next_at=None, ended_at=now)
    if reply.gone:
        return replace(tried, status=DeliveryStatus.STOPPED, next_at=None, ended_at=now)
    if has_lasted(delivery, now):
        return replace(tried, status=DeliveryStatus.DEAD, next_at=None, ended_at=now)
    jitter = random.random()  # noqa: S311 - spreads load, no secret
    return replace(tried, next_at=now + pause_after(delivery.attempts, jitter))


def _mail(account: Account, delivery: Delivery) -> Mail:
    event = json.loads(delivery.body)
    subject, text = mail_texts.written(
        account.settings.language, account.settings.name or account.id, event
    )
    return Mail(delivery.event, account.settings.emails, subject, text)


def _read(body: bytes) -> dict[str, object] | None:
    """The event in a message; None, and a line in the log, for an event of another product."""
    try:
        event: dict[str, object] = json.loads(body)
        place_of(str(event["id"]))
        if not str(event["source"]).startswith("/accounts/"):
            raise ValueError(event["source"])
        str(event["type"])
    except (ValueError, KeyError, TypeError, RecursionError):
        _log.error("a message of the topic is no event of Perminute")
        return None
    return event
