"""The texts of mails about events, in English and in French."""

from collections.abc import Mapping
from typing import Any

from shared.domain.common.counts import counted
from shared.domain.credits.alerts import event_type

type Data = Mapping[str, Any]

_LABELS = {
    "en": {
        "balance": "Balance",
        "available": "Available",
        "threshold": "Threshold",
        "amount": "Amount",
        "remaining": "Expiring amount",
        "expires_at": "Expires at",
        "recharge": "Recharge",
        "reference": "Reference",
        "next_at": "Next attempt",
        "until": "Until",
        "reason": "Reason",
        "asks": "Requests",
        "runs_out_at": "Runs out about",
        "runs_out_between": "Between",
    },
    "fr": {
        "balance": "Solde",
        "available": "Disponible",
        "threshold": "Seuil",
        "amount": "Montant",
        "remaining": "Montant qui expire",
        "expires_at": "Expire le",
        "recharge": "Recharge",
        "reference": "Référence",
        "next_at": "Prochaine tentative",
        "until": "Jusqu'au",
        "reason": "Motif",
        "asks": "Nombre de demandes",
        "runs_out_at": "Épuisement prévu vers",
        "runs_out_between": "Entre",
    },
}
_NOUNS = {
    "en": {"days": ("day", "days"), "seconds_left": ("second", "seconds")},
    "fr": {"days": ("jour", "jours"), "seconds_left": ("seconde", "secondes")},
}
_MONEY = frozenset({"balance", "available", "threshold", "amount", "remaining"})
_COLON = {"en": ": ", "fr": " : "}
_AGAIN = {"en": "Reminder {repeat}: ", "fr": "Rappel {repeat} : "}
_ESCALATED = {
    "en": "No one has acknowledged this alert.",
    "fr": "Cette alerte n'a pas encore été acquittée.",
}
_FOOT = {
    "en": "Event {id} at {time}. Alert {alert} of account {account}.",
    "fr": "Événement {id} du {time}. Alerte {alert} du compte {account}.",
}


class _FieldValues(dict[str, Any]):
    """A field that the event lacks is a dash."""

    def __missing__(self, key: str) -> str:
        return "–"


def written(language: str, name: str, event: Mapping[str, Any]) -> tuple[str, str]:
    """(subject, text) of the mail about an event; unknown languages get English."""
    spoken = language if language in _LABELS else "en"
    data = _flat(event["data"])
    kind = str(event["type"])
    counts = {
        field: counted(data[field], *nouns, language=spoken)
        for field, nouns in _NOUNS[spoken].items()
        if field in data
    }
    values = _FieldValues({**data, **counts, "name": name})
    record = event_type(kind)
    words = record.fr if spoken == "fr" else record.en
    subject = (words.subject if words else f"{{name}}: {kind}").format_map(values)
    if data.get("repeat"):
        subject = _AGAIN[spoken].format_map(values) + subject
    lines = [
        f"{label}{_COLON[spoken]}{data[field]}{f' {data["currency"]}' if field in _MONEY else ''}"
        for field, label in _LABELS[spoken].items()
        if field in data
    ]
    foot = _FOOT[spoken].format_map(
        _FieldValues(
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
        words.advice if words else str(data.get("what_to_do", "")),
        "",
        foot,
    ]
    return _one_line(subject), "\n".join(parts) + "\n"


def _flat(data: Data) -> Data:
    """The fields, with those of the forecast on separate lines."""
    ahead = data.get("runs_out")
    if ahead is None:
        return data
    early, late = (each or "…" for each in ahead["between"])
    between = f"{early} – {late} ({ahead['chance']})"
    return {**data, "runs_out_at": ahead["at"], "runs_out_between": between}


def _one_line(text: str) -> str:
    """The subject on one line; other characters of an account's name become spaces."""
    return "".join(each if each.isprintable() else " " for each in text)
