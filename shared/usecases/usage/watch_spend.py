"""Rules `spend`: events when the charges of a day or month reach steps of an amount.

Charges are those of usage: net of corrections, by the time of the entry. The ledger numbers the
announcements of a rule and a period by their per cent, so each step is emitted once, even if
several processes evaluate it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.calendar import day_start, local_day, month_of
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import PerminuteError
from shared.domain.common.money import format_amount
from shared.domain.credits.alerts import SPEND_REACHED, SpendRule
from shared.domain.ledger.model import Announce
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.usage import UsageTotals
from shared.pacing import NO_REQUEST
from shared.ports.clock import Clock
from shared.ports.ledger import Ledger
from shared.telemetry import failure
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.usage.read_usage import ReadUsage

_log = logging.getLogger(__name__)
_GROUPS = ("kind", "organizer", "cost_center")
_SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class WatchSpend:
    """`mark` names an account to the timer, which evaluates its rules again."""

    facts: DirectoryCache
    read_usage: ReadUsage
    ledger: Ledger
    publish: PublishEvents
    clock: Clock
    mark: Callable[[str], Awaitable[None]]
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _again: set[str] = field(default_factory=set)

    def evaluate_later(self, account: str) -> None:
        """Evaluate the rules of the account in the background, after a change of its charges or
        rules. Evaluations take only a small part of the time."""
        if account in self._tasks:
            self._again.add(account)
            return
        task = asyncio.get_running_loop().create_task(self._follow(account), context=NO_REQUEST())
        self._tasks[account] = task
        task.add_done_callback(lambda _: self._tasks.pop(account, None))

    async def _follow(self, account: str) -> None:
        try:
            facts = await self.facts.account(account)
            if facts is None or not facts.settings.spend_rules:
                return
            while True:
                self._again.discard(account)
                await self.mark(account)
                began = asyncio.get_running_loop().time()
                await self(account)
                took = asyncio.get_running_loop().time() - began
                pause = max(limits.SPEND_PAUSE_SECONDS_MIN, limits.SPEND_PAUSE_RATIO * took)
                await asyncio.sleep(pause)
                if account not in self._again:
                    return
        except PerminuteError as error:
            _log.warning("rules about charges wait for the timer: %s", error.detail)
        except Exception as error:  # noqa: BLE001 an error of ours
            failure("watch_failed", error, account=account)

    async def __call__(self, account: str) -> None:
        """Evaluate the rules of an account, and announce the steps that were reached. Raises
        StoreUnavailable."""
        facts = await self.facts.account(account)
        state = await self.ledger.state(account) if facts and facts.settings.spend_rules else None
        if facts is None or state is None:
            return
        settings, now = facts.settings, self.clock.now()
        today = local_day(now, settings.time_zone)
        announced = dict(state.announced)
        commands: list[Announce] = []
        for period in dict.fromkeys(rule.period for rule in settings.spend_rules):
            name = today if period == "day" else month_of(today)
            since = day_start(today if period == "day" else f"{name}-01", settings.time_zone)
            usage = await self.read_usage(account, since, now + _SECOND, UsageTime.BOOKED, _GROUPS)
            for rule in settings.spend_rules:
                if rule.period != period:
                    continue
                source = f"spend|{rule.name}|{name}"
                spent = _spent(rule, usage.totals)
                for percent in rule.at_percent:
                    is_reached = spent * 100 >= rule.limit_micros * percent
                    if is_reached and percent > announced.get(source, 0):
                        data = _data(rule, percent, spent, since)
                        step = Announce(source, percent, SPEND_REACHED, rule.name, data)
                        commands.append(step)
        for command in commands:
            await self.ledger.submit(account, command)
        if commands:
            await self.publish.best_effort(account, hold_book=False)


def _spent(rule: SpendRule, totals: UsageTotals) -> int:
    """The charges of the rule's legs."""
    groups = (rule.kind, rule.organizer, rule.cost_center)
    return sum(
        total.amount_micros
        for group, total in totals.items()
        if all(each in {None, value} for each, value in zip(groups, group, strict=True))
    )


def _data(rule: SpendRule, percent: int, spent_micros: int, since: datetime) -> dict[str, object]:
    return {
        "rule": rule.name,
        "percent": percent,
        "spend": format_amount(spent_micros),
        "limit": format_amount(rule.limit_micros),
        "period": rule.period,
        "since": format_time(since.astimezone(UTC)),
        "what_to_do": "Check the usage of the period.",
    }
