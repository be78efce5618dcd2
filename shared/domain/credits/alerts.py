"""What an account must hear of: thresholds, alerts that are raised, and the events that tell them.

A rule fires when the balance falls and is below its threshold while it is armed: an account that
was just opened, or topped up by less than the threshold, is not warned of what it has just been
told. It is armed again only when the balance has risen above threshold + margin, where the margin
is 10 % of the threshold or the last charge if that is larger (docs/credits.md): a balance that
oscillates around the threshold by a cent is one crossing. When it is looked at stands in
`watch`, what an event says in `notices`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

REARM_PER_CENT = 10

LOW = "credits.low"
EMPTY = "credits.empty"
OVERDRAWN = "credits.overdrawn"
EXPIRING = "credits.expiring"
TOPPED_UP = "credits.topped_up"
RECHARGE_REQUESTED = "recharge.requested"
RECHARGE_SUCCEEDED = "recharge.succeeded"
RECHARGE_DECLINED = "recharge.declined"
RECHARGE_SUSPENDED = "recharge.suspended"
RECHARGE_UNANSWERED = "recharge.unanswered"
POOL_USED = "pool.used"
DIAL_OUT_STOPPED = "dial_out.stopped"
LEG_PARKED = "leg.parked"
NEW_REGION = "dial_out.new_region"
OVER_BUDGET = "dial_out.over_budget"
# These go no further than our own records and the ledger.
ALERT_OVER = "~alert.over"
RECHARGE_CHANGED = "~recharge"
DIAL_OUT_RESTARTED = "~dial_out.restarted"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A threshold on the balance: `below_micros`, per cent of the last top-up, or as much as the
    coming `hours_left` will cost at the present burn."""

    name: str
    below_micros: int | None = None
    below_percent: int | None = None
    armed: bool = True
    hours_left: int | None = None

    @property
    def same(self) -> tuple[str, int | None, int | None, int | None]:
        """What makes two rules the same one."""
        return self.name, self.below_micros, self.below_percent, self.hours_left


@dataclass(frozen=True, slots=True)
class Event:
    """Something that others must hear of (docs/credits.md): a CloudEvent before it has an id.

    `alert` is the number of the alert that it raises or, with `repeat`, tells again; `recharge` the
    number of the recharge that it is about. Both become ids where the account is known.
    """

    type: str
    data: Mapping[str, object] = field(hash=False)
    alert: int | None = None
    repeat: int = 0
    recharge: int | None = None

    @property
    def internal(self) -> bool:
        """Whether it is for our own records only."""
        return self.type.startswith("~")


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert that is not over. `name` tells alerts of a type apart, such as a rule's; `repeats`
    counts how often it was told again."""

    number: int
    type: str
    name: str
    at: datetime
    repeats: int = 0
    acknowledged: bool = False

    @property
    def same(self) -> tuple[str, str]:
        """What at most one alert has that is not over."""
        return self.type, self.name


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is shown; `repeats` counts how often it was told again."""

    number: int
    type: str
    data: Mapping[str, object]
    raised_at: datetime
    repeats: int = 0
    recharge: int | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    over_at: datetime | None = None


def merge_rules(
    known: tuple[AlertRule, ...], wanted: tuple[AlertRule, ...]
) -> tuple[AlertRule, ...]:
    """The wanted rules; one that is unchanged keeps whether it is armed, a new one is armed."""
    armed = {rule.same: rule.armed for rule in known}
    return tuple(replace(rule, armed=armed.get(rule.same, True)) for rule in wanted)


def margin_micros(threshold_micros: int, last_charge_micros: int) -> int:
    """How far above a threshold its rule is armed again."""
    return max(abs(threshold_micros) * REARM_PER_CENT // 100, last_charge_micros)
