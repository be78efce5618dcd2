"""When an account must hear that its credits run low: once per crossing, re-armed with a margin.

A rule fires when the balance falls and is below its threshold while it is armed: an account that
was just opened, or topped up by less than the threshold, is not warned of what it has just been
told. It is armed again only when the balance has risen above threshold + margin, where the margin
is 10 % of the threshold or the last charge if that is larger (DESIGN 7): a balance that oscillates
around the threshold by a cent is one crossing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.domain.money import format_amount

REARM_PER_CENT = 10


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A threshold on the balance: `below_micros`, or per cent of the last top-up."""

    name: str
    below_micros: int | None = None
    below_percent: int | None = None
    armed: bool = True

    def threshold_micros(self, last_top_up_micros: int) -> int:
        """The balance below which this rule fires, in micros."""
        if self.below_micros is not None:
            return self.below_micros
        return last_top_up_micros * (self.below_percent or 0) // 100


@dataclass(frozen=True, slots=True)
class Event:
    """Something that others must hear of (CONTRACT 7): a CloudEvent before it has an id."""

    type: str
    data: Mapping[str, object] = field(hash=False)


def crossings(
    rules: tuple[AlertRule, ...],
    *,
    falling: bool,
    balance_micros: int,
    currency: str,
    last_top_up_micros: int,
    last_charge_micros: int,
) -> tuple[tuple[AlertRule, ...], tuple[Event, ...]]:
    """The rules after the balance moved, and one event for each threshold that it crossed."""
    after: list[AlertRule] = []
    events: list[Event] = []
    for rule in rules:
        threshold = rule.threshold_micros(last_top_up_micros)
        if falling and rule.armed and balance_micros < threshold:
            after.append(replace(rule, armed=False))
            events.append(_low(rule, threshold, balance_micros, currency))
        elif not rule.armed and balance_micros >= threshold + _margin(
            threshold, last_charge_micros
        ):
            after.append(replace(rule, armed=True))
        else:
            after.append(rule)
    return tuple(after), tuple(events)


def merge_rules(
    known: tuple[AlertRule, ...], wanted: tuple[AlertRule, ...]
) -> tuple[AlertRule, ...]:
    """The wanted rules; one that is unchanged keeps whether it is armed, a new one is armed."""
    armed = {(rule.name, rule.below_micros, rule.below_percent): rule.armed for rule in known}
    return tuple(
        replace(rule, armed=armed.get((rule.name, rule.below_micros, rule.below_percent), True))
        for rule in wanted
    )


def topped_up(amount_micros: int, balance_micros: int, currency: str) -> Event:
    """`credits.topped_up`."""
    return Event(
        "credits.topped_up",
        {
            "amount": format_amount(amount_micros),
            "balance": format_amount(balance_micros),
            "currency": currency,
        },
    )


def _low(rule: AlertRule, threshold_micros: int, balance_micros: int, currency: str) -> Event:
    return Event(
        "credits.low",
        {
            "alert": rule.name,
            "threshold": format_amount(threshold_micros),
            "balance": format_amount(balance_micros),
            "currency": currency,
            "what_to_do": "Top up the account, or switch automatic recharge on.",
        },
    )


def _margin(threshold_micros: int, last_charge_micros: int) -> int:
    return max(abs(threshold_micros) * REARM_PER_CENT // 100, last_charge_micros)
