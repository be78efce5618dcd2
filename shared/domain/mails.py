"""What a mail about an event says, in English and in French."""

from collections.abc import Mapping
from typing import Any

from shared.domain import alerts

type Data = Mapping[str, Any]

_SUBJECTS = {
    "en": {
        alerts.LOW: "{name}: credits are below {threshold} {currency}",
        alerts.EMPTY: "{name}: no credits are left",
        alerts.OVERDRAWN: "{name}: the credit limit is overdrawn",
        alerts.EXPIRING: "{name}: {remaining} {currency} will expire in {days} days",
        alerts.RECHARGE_SUCCEEDED: "{name}: recharged by {amount} {currency}",
        alerts.RECHARGE_DECLINED: "{name}: a recharge was declined",
        alerts.RECHARGE_SUSPENDED: "{name}: automatic recharge is suspended",
        alerts.RECHARGE_UNANSWERED: "{name}: a recharge has no answer",
        alerts.POOL_USED: "{name}: {percent} % of the month's minutes are used",
        alerts.DIAL_OUT_STOPPED: "{name}: dial-out is stopped",
    },
    "fr": {
        alerts.LOW: "{name} : le crédit est inférieur à {threshold} {currency}",
        alerts.EMPTY: "{name} : il ne reste plus de crédit",
        alerts.OVERDRAWN: "{name} : le découvert autorisé est dépassé",
        alerts.EXPIRING: "{name} : {remaining} {currency} expirent dans {days} jours",
        alerts.RECHARGE_SUCCEEDED: "{name} : rechargé de {amount} {currency}",
        alerts.RECHARGE_DECLINED: "{name} : une recharge a été refusée",
        alerts.RECHARGE_SUSPENDED: "{name} : la recharge automatique est suspendue",
        alerts.RECHARGE_UNANSWERED: "{name} : une recharge reste sans réponse",
        alerts.POOL_USED: "{name} : {percent} % des minutes du mois sont utilisés",
        alerts.DIAL_OUT_STOPPED: "{name} : les appels sortants sont arrêtés",
    },
}
_LABELS = {
    "en": {
        "balance": "Balance",
        "available": "Available",
        "threshold": "Threshold",
        "amount": "Amount",
        "remaining": "Will expire",
        "expires_at": "Expires at",
        "recharge": "Recharge",
        "reference": "Reference",
        "next_at": "Next attempt",
        "until": "Until",
        "reason": "Reason",
        "asks": "Asked",
        "runs_out_at": "Runs out about",
        "runs_out_between": "Between",
    },
    "fr": {
        "balance": "Solde",
        "available": "Disponible",
        "threshold": "Seuil",
        "amount": "Montant",
        "remaining": "Va expirer",
        "expires_at": "Expire le",
        "recharge": "Recharge",
        "reference": "Référence",
        "next_at": "Prochain essai",
        "until": "Jusqu'au",
        "reason": "Raison",
        "asks": "Demandes",
        "runs_out_at": "Épuisé vers",
        "runs_out_between": "Entre",
    },
}
_ADVICE = {
    "en": {
        alerts.LOW: "Top up the account, or switch automatic recharge on.",
        alerts.EMPTY: "Top up the account: until then no call is dialled out.",
        alerts.OVERDRAWN: "Top up the account: the next credits pay what is owed first.",
        alerts.EXPIRING: "Use these credits before they expire: what is left then is forfeited.",
        alerts.RECHARGE_SUCCEEDED: "Nothing has to be done.",
        alerts.RECHARGE_DECLINED: "Look at the payment method, or top up by other means.",
        alerts.RECHARGE_SUSPENDED: "Look at the account's recharge settings and payment method.",
        alerts.RECHARGE_UNANSWERED: "Look at the payment side: it is asked again.",
        alerts.POOL_USED: "When the minutes are used up, credits pay for such calls.",
        alerts.DIAL_OUT_STOPPED: "Look at the calls of the last hour, then let dial-out go on.",
    },
    "fr": {
        alerts.LOW: "Rechargez le compte, ou activez la recharge automatique.",
        alerts.EMPTY: "Rechargez le compte : d'ici là, aucun appel sortant n'est passé.",
        alerts.OVERDRAWN: "Rechargez le compte : le prochain crédit paie d'abord ce qui est dû.",
        alerts.EXPIRING: "Utilisez ce crédit avant qu'il n'expire : le reste est perdu.",
        alerts.RECHARGE_SUCCEEDED: "Il n'y a rien à faire.",
        alerts.RECHARGE_DECLINED: "Vérifiez le moyen de paiement, ou rechargez autrement.",
        alerts.RECHARGE_SUSPENDED: "Vérifiez les réglages de recharge et le moyen de paiement.",
        alerts.RECHARGE_UNANSWERED: "Vérifiez le service de paiement : la demande est répétée.",
        alerts.POOL_USED: "Une fois les minutes épuisées, le crédit paie ces appels.",
        alerts.DIAL_OUT_STOPPED: "Vérifiez les appels de la dernière heure, puis relancez-les.",
    },
}
_MONEY = frozenset({"balance", "available", "threshold", "amount", "remaining"})
_COLON = {"en": ": ", "fr": " : "}
_AGAIN = {"en": "Reminder {repeat}: ", "fr": "Rappel {repeat} : "}
_ESCALATED = {
    "en": "Nobody has acknowledged this alert.",
    "fr": "Personne n'a acquitté cette alerte.",
}
_FOOT = {
    "en": "Event {id} at {time}. Alert {alert} of account {account}.",
    "fr": "Événement {id} du {time}. Alerte {alert} du compte {account}.",
}


class _Known(dict[str, Any]):
    """What an event does not say is a dash."""

    def __missing__(self, key: str) -> str:
        return "–"


def written(language: str, name: str, event: Mapping[str, Any]) -> tuple[str, str]:
    """(subject, text) of the mail about an event; unknown languages get English."""
    spoken = language if language in _SUBJECTS else "en"
    data = _flat(event["data"])
    kind = str(event["type"])
    known = _Known({**data, "name": name})
    subject = _SUBJECTS[spoken].get(kind, f"{{name}}: {kind}").format_map(known)
    if data.get("repeat"):
        subject = _AGAIN[spoken].format_map(known) + subject
    lines = [
        f"{label}{_COLON[spoken]}{data[field]}{f' {data["currency"]}' if field in _MONEY else ''}"
        for field, label in _LABELS[spoken].items()
        if field in data
    ]
    foot = _FOOT[spoken].format_map(
        _Known(
            id=event["id"],
            time=event["time"],
            alert=data.get("alert_id", "–"),
            account=data["account"],
        )
    )
    parts = [
        *([_ESCALATED[spoken], ""] if data.get("escalated") else []),
        *lines,
        "",
        _ADVICE[spoken].get(kind, str(data.get("what_to_do", ""))),
        "",
        foot,
    ]
    return _one_line(subject), "\n".join(parts) + "\n"


def _flat(data: Data) -> Data:
    """What is said with the forecast in it as lines of its own."""
    ahead = data.get("runs_out")
    if ahead is None:
        return data
    early, late = (each or "…" for each in ahead["between"])
    between = f"{early} – {late} ({ahead['chance']})"
    return {**data, "runs_out_at": ahead["at"], "runs_out_between": between}


def _one_line(text: str) -> str:
    """A subject is one line, whatever an account is called."""
    return "".join(each if each.isprintable() else " " for each in text)
