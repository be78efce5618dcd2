"""Every type of event as one record: what it says, whether it is an alert, how that ends, and what
a mail about it says.

An alert is listed and stays open until its cause ends. One that is repeated is sent again while
nobody acknowledges it, as things are by then (`watch`). A type that is neither is sent once.
"""

from dataclasses import dataclass

from shared.domain.common.errors import LedgerCorrupt
from shared.domain.credits import alerts


@dataclass(frozen=True, slots=True)
class Words:
    """What a mail says in one language: its subject, and what to do."""

    subject: str
    advice: str


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event. `required` and `optional` are its own fields (`event_schemas` describes
    them); `ends` says when the alert is over, "": it is no alert; `en` and `fr` are mailed."""

    name: str
    about: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    ends: str = ""
    is_repeated: bool = False
    en: Words | None = None
    fr: Words | None = None

    @property
    def is_alert(self) -> bool:
        """Whether somebody may have to act: it is listed until it ends."""
        return bool(self.ends)


_RECORDS = (
    EventType(
        alerts.LOW,
        "The balance fell below a threshold of the account's own.",
        required=("alert", "threshold", "what_to_do"),
        optional=("below_percent", "threshold_hours", "runs_out"),
        ends="the balance has risen above the threshold and a margin, or the rule is gone",
        is_repeated=True,
        en=Words(
            "{name}: credits are below {threshold} {currency}",
            "Top up the account, or switch automatic recharge on.",
        ),
        fr=Words(
            "{name} : le crédit est inférieur à {threshold} {currency}",
            "Rechargez le compte, ou activez la recharge automatique.",
        ),
    ),
    EventType(
        alerts.EMPTY,
        "Nothing is left.",
        required=("threshold", "what_to_do"),
        ends="the balance has risen above zero and a margin",
        is_repeated=True,
        en=Words(
            "{name}: no credits are left", "Top up the account: until then no call is dialled out."
        ),
        fr=Words(
            "{name} : il ne reste plus de crédit",
            "Rechargez le compte : d'ici là, aucun appel sortant n'est passé.",
        ),
    ),
    EventType(
        alerts.OVERDRAWN,
        "The balance fell below what the credit limit allows.",
        required=("threshold", "what_to_do"),
        ends="the balance has risen above the credit limit and a margin",
        is_repeated=True,
        en=Words(
            "{name}: the credit limit is overdrawn",
            "Top up the account: the next credits pay what is owed first.",
        ),
        fr=Words(
            "{name} : le découvert autorisé est dépassé",
            "Rechargez le compte : le prochain crédit paie d'abord ce qui est dû.",
        ),
    ),
    EventType(
        alerts.EXPIRING,
        "A lot expires soon.",
        required=("lot", "remaining", "expires_at", "days", "what_to_do"),
        ends="the lot is used up or has expired",
        en=Words(
            "{name}: {remaining} {currency} will expire in {days} days",
            "Use these credits before they expire: what is left then is forfeited.",
        ),
        fr=Words(
            "{name} : {remaining} {currency} expirent dans {days} jours",
            "Utilisez ce crédit avant qu'il n'expire : le reste est perdu.",
        ),
    ),
    EventType(
        alerts.TOPPED_UP,
        "Credits came in.",
        required=("amount",),
    ),
    EventType(
        alerts.RECHARGE_REQUESTED,
        "Money is wanted: collect it once, and post the recharge's result.",
        required=("recharge", "amount", "ask", "requested_at", "what_to_do"),
        optional=("threshold",),
    ),
    EventType(
        alerts.RECHARGE_SUCCEEDED,
        "A recharge was paid, and credited.",
        required=("recharge", "amount"),
        optional=("reference",),
        en=Words("{name}: recharged by {amount} {currency}", "Nothing has to be done."),
        fr=Words("{name} : rechargé de {amount} {currency}", "Il n'y a rien à faire."),
    ),
    EventType(
        alerts.RECHARGE_DECLINED,
        "The payment side said no.",
        required=("recharge", "amount", "declines", "what_to_do"),
        optional=("next_at",),
        ends="a recharge was paid, or the settings were put again",
        en=Words(
            "{name}: a recharge was declined",
            "Look at the payment method, or top up by other means.",
        ),
        fr=Words(
            "{name} : une recharge a été refusée",
            "Vérifiez le moyen de paiement, ou rechargez autrement.",
        ),
    ),
    EventType(
        alerts.RECHARGE_SUSPENDED,
        "No recharge is asked for, by a ceiling or after declines.",
        required=("reason", "detail", "what_to_do"),
        optional=("recharge", "until"),
        ends="a recharge is asked for again, was paid, or the settings were put again",
        is_repeated=True,
        en=Words(
            "{name}: automatic recharge is suspended",
            "Look at the account's recharge settings and payment method.",
        ),
        fr=Words(
            "{name} : la recharge automatique est suspendue",
            "Vérifiez les réglages de recharge et le moyen de paiement.",
        ),
    ),
    EventType(
        alerts.RECHARGE_UNANSWERED,
        "The payment side was asked often and said nothing.",
        required=("recharge", "amount", "asks", "requested_at", "what_to_do"),
        ends="the payment side answered",
        is_repeated=True,
        en=Words(
            "{name}: a recharge has no answer", "Look at the payment side: it is asked again."
        ),
        fr=Words(
            "{name} : une recharge reste sans réponse",
            "Vérifiez le service de paiement : la demande est répétée.",
        ),
    ),
    EventType(
        alerts.POOL_USED,
        "Most, or all, of the month's included minutes are used.",
        required=("month", "percent", "used_seconds", "pool_seconds", "what_to_do"),
        ends="the month is over in the account's time zone",
        en=Words(
            "{name}: {percent} % of the month's minutes are used",
            "When the minutes are used up, credits pay for such calls.",
        ),
        fr=Words(
            "{name} : {percent} % des minutes du mois sont utilisés",
            "Une fois les minutes épuisées, le crédit paie ces appels.",
        ),
    ),
    EventType(
        alerts.DIAL_OUT_STOPPED,
        "Dial-out was stopped, by the breaker or by a person.",
        required=("reason", "what_to_do"),
        optional=("since",),
        ends="dial-out was restarted",
        is_repeated=True,
        en=Words(
            "{name}: dial-out is stopped",
            "Look at the calls of the last hour, then let dial-out go on.",
        ),
        fr=Words(
            "{name} : les appels sortants sont arrêtés",
            "Vérifiez les appels de la dernière heure, puis relancez-les.",
        ),
    ),
    EventType(
        alerts.LEG_PARKED,
        "A leg could not be charged and waits.",
        required=("parked", "leg", "reason", "detail", "what_to_do"),
    ),
    EventType(
        alerts.NEW_REGION,
        "A region was dialled for the first time, where the policy wants to hear of it.",
        required=("scope", "region"),
    ),
    EventType(
        alerts.OVER_BUDGET,
        "A budget that only warns is exceeded; told once a period, for a meeting once a day.",
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
