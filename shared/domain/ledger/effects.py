"""The evaluation of an account: its state, events, recharges and due times."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.copying import fast_replace
from shared.domain.credits import alerts, event_payloads, recharge
from shared.domain.credits.alerts import Event, OpenAlert, event_type
from shared.domain.credits.recharge import Recharge
from shared.domain.ledger.model import LedgerState

LOT_DUE, RECHARGE_DUE, ALERT_DUE = "lot", "recharge", "alert"


@dataclass(slots=True)
class Evaluation:
    """A state with its events, recharges and due times, collected during an evaluation (see
    `Decided`)."""

    state: LedgerState
    at: datetime
    events: list[Event] = field(default_factory=list)
    due: list[tuple[str, datetime]] = field(default_factory=list)

    def change(self, **fields: object) -> None:
        """Replace fields of the state."""
        self.state = fast_replace(self.state, **fields)

    def emit(self, event: Event, name: str = "") -> None:
        """Emit an event. An alert stays open until it ends, and replaces an open alert of the same
        type and name."""
        if not event_type(event.type).is_alert:
            self.events.append(self._with_money(event))
            return
        self.end(event.type, name)
        for oldest in self.state.raised[: 1 - limits.ALERTS_RAISED_MAX]:
            self.end(oldest.type, oldest.name)
        raised = OpenAlert(self.state.alerts + 1, event.type, name, self.at)
        self.events.append(self._with_money(replace(event, alert=raised.number)))
        self.change(alerts=raised.number, raised=(*self.state.raised, raised))
        self._remind(raised)

    def end(self, kind: str, name: str | None = None) -> None:
        """End the alerts of a type, or only the one with this name."""
        self.end_where(lambda each: each.type == kind and (name is None or each.name == name))

    def end_where(self, is_over: Callable[[OpenAlert], bool]) -> None:
        """End the alerts for which the predicate is true."""
        ended = [each for each in self.state.raised if is_over(each)]
        if ended:
            self.events += [Event(alerts.ALERT_OVER, {}, alert=each.number) for each in ended]
            self.change(raised=tuple(each for each in self.state.raised if each not in ended))

    def record_recharge(self, made: Recharge) -> None:
        """Record a changed recharge."""
        document = recharge.recharge_document(made)
        self.events.append(Event(alerts.RECHARGE_CHANGED, document, recharge=made.number))

    def is_raised(self, kind: str) -> bool:
        """True if an alert of this type is not over."""
        return any(each.type == kind for each in self.state.raised)

    def repeat(self, raised: OpenAlert, event: Event) -> None:
        """Repeat an alert."""
        again = replace(raised, repeats=raised.repeats + 1)
        escalated = again.repeats >= limits.ALERT_ESCALATES_AT_REPEAT
        data = {**event.data, "repeat": again.repeats, "escalated": escalated}
        reminder = replace(event, data=data, alert=again.number, repeat=again.repeats)
        self.events.append(self._with_money(reminder))
        self.change(raised=tuple(again if each is raised else each for each in self.state.raised))
        self._remind(again)

    def _with_money(self, event: Event) -> Event:
        return event_payloads.with_money(event, self.state.balance_micros, self.state.currency)

    def _remind(self, raised: OpenAlert) -> None:
        at = repeat_at(raised)
        if at is not None:
            self.due.append((ALERT_DUE, at))


def repeat_at(raised: OpenAlert) -> datetime | None:
    """The time at which an alert is repeated, or None."""
    if raised.acknowledged or not event_type(raised.type).is_repeated:
        return None
    if raised.repeats >= len(limits.ALERT_REPEAT_HOURS):
        return None
    return raised.at + timedelta(hours=limits.ALERT_REPEAT_HOURS[raised.repeats])
