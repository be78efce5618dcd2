"""Rules `minutes_left`: an alert where open calls use up the available credit within some
minutes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.calls.calls_in_progress import is_above_margin, running_out_data
from shared.domain.common import limits
from shared.domain.credits.alerts import CALLS_LAST, RUNNING_OUT
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.directory.entities import Account
from shared.domain.ledger.model import Announce
from shared.ports.ledger import Ledger
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.dial_out.calls_in_progress import CallsInProgress

_SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class MinutesLeft:
    """Raises each rule's alert once per crossing, in one of the processes that evaluate it, and
    ends it."""

    calls: CallsInProgress
    ledger: Ledger
    publish: PublishEvents

    async def __call__(self, account: Account, view: HoldState) -> datetime | None:
        """Evaluate the rules now, and return the time of the next evaluation; None: at the begin of
        a call. Raises StoreUnavailable."""
        rules = account.settings.minutes_rules
        state = await self.ledger.state(account.id)
        raised = {each.name for each in state.raised if each.type == RUNNING_OUT} if state else {}
        if not rules and not raised:
            return None
        now = await self.calls.evaluate(account, view)
        left = now.seconds_left
        again: list[int] = [limits.CALL_RULES_LOOK_SECONDS] if now.calls else []
        commands: list[Announce] = []
        for rule in rules:
            within = rule.minutes_left * _SECONDS_PER_MINUTE
            if rule.name in raised:
                if left is None or is_above_margin(left, within):
                    commands.append(Announce("calls", 0, CALLS_LAST, rule.name, {}))
            elif left is not None and left <= within:
                data = running_out_data(now, rule)
                commands.append(Announce("calls", 0, RUNNING_OUT, rule.name, data))
            elif left is not None:
                again.append(left - within)
        gone = sorted(set(raised) - {rule.name for rule in rules})
        commands += [Announce("calls", 0, CALLS_LAST, name, {}) for name in gone]
        for command in commands:
            await self.ledger.submit(account.id, command)
        if commands:
            await self.publish.best_effort(account.id, hold_book=False)
        return now.at + timedelta(seconds=min(again)) if again else None
