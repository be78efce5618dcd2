"""The events of an account: every type of event, thresholds, and the alerts that are raised.

Every type of event is one record: its fields, whether it is an alert, the end of the alert, and the
texts of its mail. An alert is listed and stays open until its cause ends. A repeated alert is sent
again until someone acknowledges it. An event of another type is sent once.

A rule fires when the balance falls and is below its threshold while it is armed: an account that
was just opened, or topped up by less than the threshold, is not warned about the balance that it
starts with. It is armed again only when the balance has risen to threshold + margin. The margin is
10 % of the threshold, or the last charge if that is larger (docs/alerts.md). A balance that moves
by a cent around the threshold is therefore one crossing. `ledger/alert_evaluation` evaluates the
rules, `event_payloads` has the fields of an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.common.errors import LedgerCorrupt

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
RUNNING_OUT = "credits.running_out"
SPEND_REACHED = "spend.reached"
NEW_REGION = "dial_out.new_region"
OVER_BUDGET = "dial_out.over_budget"
# These go no further than our own records and the ledger.
ALERT_OVER = "~alert.over"
RECHARGE_CHANGED = "~recharge"
DIAL_OUT_RESTARTED = "~dial_out.restarted"
CALLS_LAST = "~calls.last"


@dataclass(frozen=True, slots=True)
class MailWording:
    """The texts of a mail in one language: its subject and its advice."""

    subject: str
    advice: str


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event. `required` and `optional` are its own fields (`event_schemas` describes
    them); `ends` is the condition that ends the alert, "" if the type is no alert; `en` and `fr`
    are mailed."""

    name: str
    about: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    ends: str = ""
    is_repeated: bool = False
    en: MailWording | None = None
    fr: MailWording | None = None

    @property
    def is_alert(self) -> bool:
        """True if a person may have to act: the alert is listed until it ends."""
        return bool(self.ends)


_RECORDS = (
    EventType(
        LOW,
        "The balance fell below a threshold that the account set.",
        required=("alert", "threshold", "what_to_do"),
        optional=("below_percent", "threshold_hours", "runs_out"),
        ends="the balance has risen above the threshold and a margin, or the rule is gone",
        is_repeated=True,
        en=MailWording(
            "{name}: credits are below {threshold} {currency}",
            "Top up the account, or switch automatic recharge on.",
        ),
        fr=MailWording(
            "{name} : le solde est passé sous {threshold} {currency}",
            "Rechargez le compte ou activez la recharge automatique.",
        ),
    ),
    EventType(
        EMPTY,
        "The balance is zero or less.",
        required=("threshold", "what_to_do"),
        ends="the balance has risen above zero and a margin",
        is_repeated=True,
        en=MailWording(
            "{name}: no credits are left", "Top up the account: until then no call is dialled out."
        ),
        fr=MailWording(
            "{name} : les crédits sont épuisés",
            "Rechargez le compte. D'ici là, aucun appel sortant n'est possible.",
        ),
    ),
    EventType(
        OVERDRAWN,
        "The balance fell below what the credit limit allows.",
        required=("threshold", "what_to_do"),
        ends="the balance has risen above the credit limit and a margin",
        is_repeated=True,
        en=MailWording(
            "{name}: the credit limit is overdrawn",
            "Top up the account. The next credits pay the overdraft first.",
        ),
        fr=MailWording(
            "{name} : le découvert autorisé est dépassé",
            "Rechargez le compte. Le prochain versement couvre d'abord le découvert.",
        ),
    ),
    EventType(
        EXPIRING,
        "A lot expires soon.",
        required=("lot", "remaining", "expires_at", "days", "what_to_do"),
        ends="the lot is used up or has expired",
        en=MailWording(
            "{name}: {remaining} {currency} expire in {days}",
            "Use these credits before they expire. The rest is forfeited.",
        ),
        fr=MailWording(
            "{name} : {remaining} {currency} expirent dans {days}",
            "Utilisez ces crédits avant leur expiration. Le reste sera perdu.",
        ),
    ),
    EventType(
        TOPPED_UP,
        "Credits came in.",
        required=("amount",),
    ),
    EventType(
        RECHARGE_REQUESTED,
        "A payment is requested: collect it once, and post the result of the recharge.",
        required=("recharge", "amount", "ask", "requested_at", "what_to_do"),
        optional=("threshold",),
    ),
    EventType(
        RECHARGE_SUCCEEDED,
        "A recharge was paid, and credited.",
        required=("recharge", "amount"),
        optional=("reference",),
        en=MailWording("{name}: recharged by {amount} {currency}", "Nothing has to be done."),
        fr=MailWording(
            "{name} : compte rechargé de {amount} {currency}", "Aucune action n'est nécessaire."
        ),
    ),
    EventType(
        RECHARGE_DECLINED,
        "The payment provider declined a recharge.",
        required=("recharge", "amount", "declines", "what_to_do"),
        optional=("next_at",),
        ends="a recharge was paid, or the settings were put again",
        en=MailWording(
            "{name}: a recharge was declined",
            "Check the payment method, or top up by other means.",
        ),
        fr=MailWording(
            "{name} : une recharge a été refusée",
            "Vérifiez le moyen de paiement ou rechargez le compte d'une autre manière.",
        ),
    ),
    EventType(
        RECHARGE_SUSPENDED,
        "No recharge is requested, because of a ceiling or after declines.",
        required=("reason", "detail", "what_to_do"),
        optional=("recharge", "until"),
        ends="a recharge is requested again, was paid, or the settings were put again",
        is_repeated=True,
        en=MailWording(
            "{name}: automatic recharge is suspended",
            "Check the account's recharge settings and payment method.",
        ),
        fr=MailWording(
            "{name} : la recharge automatique est suspendue",
            "Vérifiez les réglages de la recharge et le moyen de paiement du compte.",
        ),
    ),
    EventType(
        RECHARGE_UNANSWERED,
        "The payment provider has not answered several requests.",
        required=("recharge", "amount", "asks", "requested_at", "what_to_do"),
        ends="the payment provider answered",
        is_repeated=True,
        en=MailWording(
            "{name}: a recharge has no answer",
            "Check the payment provider. The request is repeated.",
        ),
        fr=MailWording(
            "{name} : une demande de recharge reste sans réponse",
            "Vérifiez le service de paiement. La demande lui est adressée de nouveau.",
        ),
    ),
    EventType(
        POOL_USED,
        "Most, or all, of the month's included minutes are used.",
        required=("month", "percent", "used_seconds", "pool_seconds", "what_to_do"),
        ends="the month is over in the account's time zone",
        en=MailWording(
            "{name}: {percent} % of the month's minutes are used",
            "When the minutes are used up, credits pay for such calls.",
        ),
        fr=MailWording(
            "{name} : {percent} % des minutes incluses du mois sont utilisées",
            "Une fois ces minutes épuisées, ces appels sont payés par les crédits.",
        ),
    ),
    EventType(
        DIAL_OUT_STOPPED,
        "Dial-out was stopped, by the breaker or by a person.",
        required=("reason", "what_to_do"),
        optional=("since",),
        ends="dial-out was restarted",
        is_repeated=True,
        en=MailWording(
            "{name}: dial-out is stopped",
            "Check the calls of the last hour, then restart dial-out.",
        ),
        fr=MailWording(
            "{name} : les appels sortants sont bloqués",
            "Vérifiez les appels de la dernière heure, puis rétablissez les appels sortants.",
        ),
    ),
    EventType(
        LEG_PARKED,
        "A leg could not be charged and waits.",
        required=("parked", "leg", "reason", "detail", "what_to_do"),
    ),
    EventType(
        RUNNING_OUT,
        "Open calls use up the available credit within the minutes of a rule.",
        required=(
            *("alert", "minutes_left", "seconds_left", "exhausted_at", "burn_per_minute"),
            *("calls", "what_to_do"),
        ),
        ends="open calls no longer use up the available credit within the minutes and a margin",
        en=MailWording(
            "{name}: open calls use up the credits in {seconds_left}",
            "Top up the account, or end calls, the first of the list first.",
        ),
        fr=MailWording(
            "{name} : les appels en cours épuiseront les crédits dans {seconds_left}",
            "Rechargez le compte, ou mettez fin à des appels dans l'ordre de la liste.",
        ),
    ),
    EventType(
        SPEND_REACHED,
        "Charges of a day or month reached a step of a rule; emitted once a step and period.",
        required=("rule", "percent", "spend", "limit", "period", "since", "what_to_do"),
        en=MailWording(
            "{name}: {percent} % of {limit} {currency} are spent",
            "Check the usage of the period.",
        ),
        fr=MailWording(
            "{name} : {percent} % de {limit} {currency} ont été dépensés",
            "Vérifiez la consommation de la période.",
        ),
    ),
    EventType(
        NEW_REGION,
        "A region was dialed for the first time, and the policy requests a notice.",
        required=("scope", "region"),
    ),
    EventType(
        OVER_BUDGET,
        "A budget that only warns is exceeded; emitted once a period, for a meeting once a day.",
        required=("scope", "period", "amount", "spent", "what_to_do"),
    ),
)
EVENT_TYPES = {record.name: record for record in _RECORDS}


def event_type(name: str) -> EventType:
    """The record of a type. Raises LedgerCorrupt for one that this code does not know."""
    record = EVENT_TYPES.get(name)
    if record is None:
        raise LedgerCorrupt(f"The event type {name!r} is unknown.")
    return record


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A threshold on the balance: `below_micros`, per cent of the last top-up, or the
    expected cost of the coming `hours_left` at the present burn."""

    name: str
    below_micros: int | None = None
    below_percent: int | None = None
    armed: bool = True
    hours_left: int | None = None

    @property
    def identity(self) -> tuple[str, int | None, int | None, int | None]:
        """The fields that identify a rule."""
        return self.name, self.below_micros, self.below_percent, self.hours_left


@dataclass(frozen=True, slots=True)
class MinutesRule:
    """A rule that raises an alert if open calls use up the available credit within a number of
    minutes."""

    name: str
    minutes_left: int


@dataclass(frozen=True, slots=True)
class SpendRule:
    """Emits an event at each of `at_percent` of an amount that charges of a `period`, "day" or
    "month", reach, net of corrections. None: of any kind, organizer, cost center."""

    name: str
    limit_micros: int
    period: str
    at_percent: tuple[int, ...]
    kind: str | None = None
    organizer: str | None = None
    cost_center: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A notification for other systems (docs/alerts.md): a CloudEvent before it has an id.

    `alert` is the number of the alert that it raises or, with `repeat`, repeats; `recharge` is
    the number of its recharge. Both become ids where the account is known.
    """

    type: str
    data: Mapping[str, object] = field(hash=False)
    alert: int | None = None
    repeat: int = 0
    recharge: int | None = None

    @property
    def is_internal(self) -> bool:
        """True if the event is for internal records only."""
        return self.type.startswith("~")


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that is not over. `name` distinguishes alerts of a type, as those of two rules;
    `repeats` counts its repetitions."""

    number: int
    type: str
    name: str
    at: datetime
    repeats: int = 0
    acknowledged: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        """The key that at most one open alert has."""
        return self.type, self.name


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert for display; `repeats` counts its repetitions."""

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
    current: tuple[AlertRule, ...], changed: tuple[AlertRule, ...]
) -> tuple[AlertRule, ...]:
    """The requested rules; an unchanged rule keeps its state, a new rule is armed."""
    armed = {rule.identity: rule.armed for rule in current}
    return tuple(replace(rule, armed=armed.get(rule.identity, True)) for rule in changed)


def margin_micros(threshold_micros: int, last_charge_micros: int) -> int:
    """The distance above a threshold at which its rule is re-armed."""
    return max(abs(threshold_micros) * REARM_PER_CENT // 100, last_charge_micros)
