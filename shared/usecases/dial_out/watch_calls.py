"""Watches calls in progress: sends their bridges the signals that are due, and evaluates the rules
of their accounts about them.

`call_control` derives the due signals from the hold book, which is read when a signal is due. An
extension, a release or a charged leg before that time removes the cause. The process that allowed a
call acts at the exact second; until then it reads nothing. Due marks name the accounts to the
timer, which sends the signals of an ended process some seconds later.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.calls import call_control
from shared.domain.calls.call_control import Signal
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json, format_time
from shared.domain.common.errors import PerminuteError
from shared.domain.delivery.webhooks import ReceiverResponse, Secret, signed_headers
from shared.domain.dial_out.hold_book import Hold
from shared.domain.directory.entities import Account, Bridge, Control
from shared.pacing import NO_REQUEST
from shared.ports.clock import Clock
from shared.ports.deliveries import WebhookSender
from shared.ports.holds import HoldBook
from shared.ports.notices import DueMark, DueMarks
from shared.telemetry import event, failure
from shared.usecases.credits.watch_balances import CALLS
from shared.usecases.dial_out.minutes_left import MinutesLeft
from shared.usecases.directory.directory_cache import DirectoryCache

_log = logging.getLogger(__name__)
_GRACE = timedelta(seconds=limits.CALL_TIMER_GRACE_SECONDS)
_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class _WatchedAccount:
    """The watched state of an account in this process. `own` are the calls that this process
    allowed or halted: their signals are sent at once, those of others once their process must have
    failed. `retries`: (tries, when again) of calls whose bridge did not take a signal. `at` is when
    `timer` runs."""

    own: set[str] = field(default_factory=set)
    sending: set[str] = field(default_factory=set)
    retries: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    at: datetime | None = None
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None
    is_halted: bool = False


class WatchCalls:
    """Signals are sent at least once, those of a call in order, under ids that stay the same."""

    def __init__(
        self,
        facts: DirectoryCache,
        hold_book: HoldBook,
        due: DueMarks,
        sender: WebhookSender,
        clock: Clock,
        minutes_left: MinutesLeft,
    ) -> None:
        self._facts = facts
        self._hold_book = hold_book
        self._due = due
        self._sender = sender
        self._clock = clock
        self._minutes_left = minutes_left
        self._watches: dict[str, _WatchedAccount] = {}
        self._marked: OrderedDict[tuple[str, datetime], None] = OrderedDict()
        self._slots: dict[str, asyncio.Semaphore] = {}

    def expect(self, account: Account, bridge: Bridge) -> asyncio.Task[None] | None:
        """Name the account to the timer while the call is decided. None where the bridge takes no
        signals and no rule is about calls."""
        if not _is_watched(account, bridge):
            return None
        return asyncio.get_running_loop().create_task(self.mark(account.id), context=NO_REQUEST())

    async def settle(self, marked: asyncio.Task[None]) -> None:
        """Wait until the account is named to the timer, for a short time at most: `expect` began to
        write the mark."""
        await asyncio.wait([marked], timeout=limits.CALL_MARK_WAIT_SECONDS)

    async def mark(self, account: str, at: datetime | None = None) -> None:
        """Name the account to the timer of the next minute, or of that after `at`. Best effort."""
        moment = max(at or self._clock.now(), self._clock.now())
        minute = moment.replace(second=0, microsecond=0) + _MINUTE
        if (account, minute) in self._marked:
            return
        try:
            await self._due.mark([DueMark(account, CALLS, minute)])
        except PerminuteError as error:
            _log.warning("calls in progress are known to one process only: %s", error.detail)
            return
        self._marked[account, minute] = None
        if len(self._marked) > limits.CALL_MARKS_KEPT_MAX:
            self._marked.popitem(last=False)

    def began(self, account: Account, authorization: str, granted_seconds: int) -> None:
        """Watch an allowed call, without a read before its first signal or the evaluation of the
        account's rules."""
        seconds: float = granted_seconds - limits.CALL_WARNING_SECONDS
        if account.settings.minutes_rules:
            seconds = min(seconds, limits.CALL_RULES_PAUSE_SECONDS)
        self.wake(account.id, self._clock.now() + timedelta(seconds=seconds), authorization)

    def changed(self, account: Account, bridge: Bridge, authorization: str) -> None:
        """A call was extended or answered."""
        if _is_watched(account, bridge):
            self.wake(account.id, own=authorization)

    def halted(self, account: str) -> None:
        """Dial-out was stopped, or the account suspended: end its calls."""
        self._watch(account).is_halted = True
        self.wake(account)

    def wake(self, account: str, at: datetime | None = None, own: str = "") -> None:
        """Watch the account's calls at a time, or now, in the background."""
        watch, now = self._watch(account), self._clock.now()
        if own:
            watch.own.add(own)
        at = max(at or now, now)
        if watch.at is not None and watch.at <= at:
            return
        if watch.timer is not None:
            watch.timer.cancel()
        watch.at = at
        seconds = min((at - now).total_seconds(), limits.CALL_EVALUATION_SECONDS_MAX)
        self._set_timer(account, watch, seconds)

    async def __call__(self, account: str, *, by_timer: bool = True) -> None:
        """Send the due events of an account's calls that were not accepted; by the timer, those
        that were due some seconds ago. Raises StoreUnavailable."""
        watch = self._watch(account)
        sends = await self._send_due(account, watch, by_timer=by_timer)
        if sends:
            await asyncio.wait(sends, timeout=limits.CALL_SIGNALS_SECONDS_MAX)
        self._forget(account, watch)

    def _watch(self, account: str) -> _WatchedAccount:
        return self._watches.setdefault(account, _WatchedAccount())

    def _set_timer(self, account: str, watch: _WatchedAccount, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        watch.timer = loop.call_later(seconds, self._run, account, context=NO_REQUEST())

    def _run(self, account: str) -> None:
        watch = self._watch(account)
        watch.at = watch.timer = None
        if watch.task is not None and not watch.task.done():
            self.wake(
                account,
                self._clock.now() + timedelta(seconds=limits.CALL_EVALUATION_SECONDS_MIN),
            )
            return
        watch.task = asyncio.get_running_loop().create_task(self._evaluate_in_background(account))

    async def _evaluate_in_background(self, account: str) -> None:
        watch = self._watch(account)
        try:
            await self._send_due(account, watch, by_timer=False)
        except PerminuteError as error:
            _log.warning("calls in progress could not be read: %s", error.detail)
            seconds = limits.CALL_SIGNAL_PAUSE_SECONDS[0]
            self.wake(account, self._clock.now() + timedelta(seconds=seconds))
        except Exception as error:  # noqa: BLE001 an error of ours
            failure("watch_failed", error, account=account)
        self._forget(account, watch)

    def _forget(self, account: str, watch: _WatchedAccount) -> None:
        if watch.at is None and not watch.sending:
            self._watches.pop(account, None)

    async def _send_due(
        self, account: str, watch: _WatchedAccount, *, by_timer: bool
    ) -> list[asyncio.Task[None]]:
        """Start to send the due signals and alerts; timers send later ones."""
        # What begins or is halted while the hold book is read may not be in it.
        own, is_halted = set(watch.own), watch.is_halted and not by_timer
        watch.is_halted &= by_timer
        try:
            view = await self._hold_book.view(account)
        except PerminuteError:
            watch.is_halted |= is_halted
            raise
        now = self._clock.now()
        holds = {hold.authorization: hold for hold in view.open_holds(now)}
        watch.own -= own - holds.keys()
        if is_halted:
            watch.own |= holds.keys()
        watch.retries = {name: each for name, each in watch.retries.items() if name in holds}
        sends: list[asyncio.Task[None]] = []
        later: list[datetime] = []
        for name, hold in holds.items():
            bridge = await self._facts.bridge(hold.bridge) if hold.bridge else None
            if bridge is None or bridge.control is None or name in watch.sending:
                continue
            grace = timedelta(0) if name in watch.own and not by_timer else _GRACE
            if (at := call_control.next_due(hold, now - grace)) is not None:
                later.append(at + grace)
            if not (signals := call_control.due_signals(view, hold, now - grace)):
                continue
            if name in watch.retries and watch.retries[name][1] > now:
                later.append(watch.retries[name][1])
                continue
            watch.sending.add(name)
            send = self._send(account, bridge.id, bridge.control, hold, signals)
            sends.append(asyncio.get_running_loop().create_task(send))
        facts = await self._facts.account(account)
        if facts is not None and (by_timer or facts.settings.minutes_rules):
            at = await self._minutes_left(facts, view)
            later += [at] if at is not None else []
        if later:
            await self.mark(account, min(later))
            if not by_timer:
                self.wake(account, min(later))
        return sends

    async def _send(
        self, account: str, bridge: str, control: Control, hold: Hold, signals: Sequence[Signal]
    ) -> None:
        """Send a call's signals in order, and keep the last one that was taken."""
        watch, name, taken = self._watch(account), hold.authorization, ""
        try:
            async with self._slot(bridge):
                record = await self._hold_book.record(account, name)
                conference = record.conference if record else None
                for signal in signals:
                    reply = await self._post(account, control, hold, conference, signal)
                    taken = signal.name if reply.taken else taken
                    event(
                        "call_signalled",
                        account=account,
                        bridge=bridge,
                        authorization=name,
                        type=signal.type,
                        reason=signal.reason,
                        status=reply.status,
                        detail=reply.error,
                    )
            if taken:
                await self._hold_book.notified(account, name, taken)
        except PerminuteError as error:
            _log.warning("a signal to a bridge is sent again: %s", error.detail)
            taken = ""
        except Exception as error:  # noqa: BLE001 an error of ours
            failure("watch_failed", error, account=account)
        finally:
            watch.sending.discard(name)
        if taken == signals[-1].name:
            watch.retries.pop(name, None)
            return
        tries, _ = watch.retries.get(name, (0, None))
        pauses = limits.CALL_SIGNAL_PAUSE_SECONDS
        at = self._clock.now() + timedelta(seconds=pauses[min(tries, len(pauses) - 1)])
        watch.retries[name] = tries + 1, at
        await self.mark(account, at)
        self.wake(account, at)

    async def _post(
        self, account: str, control: Control, hold: Hold, conference: str | None, signal: Signal
    ) -> ReceiverResponse:
        now = self._clock.now()
        event_id = f"{hold.authorization}:{signal.name}"
        document = {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/accounts/{account}",
            "type": signal.type,
            "time": format_time(now),
            "datacontenttype": "application/json",
            "data": call_control.signal_data(hold, conference, signal, now),
        }
        body = canonical_json(document)
        secrets = [Secret(text) for text in control.secrets]
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "user-agent": "perminute-webhooks",
            **signed_headers(secrets, event_id, body, now),
        }
        return await self._sender.post(control.url, headers, body)

    def _slot(self, bridge: str) -> asyncio.Semaphore:
        """Limits the concurrent sends to a bridge, so that a bridge that hangs delays no other."""
        return self._slots.setdefault(bridge, asyncio.Semaphore(limits.CALL_SIGNALS_AT_ONCE))


def _is_watched(account: Account, bridge: Bridge) -> bool:
    return bridge.control is not None or bool(account.settings.minutes_rules)
