"""The texts of mails about events, in English and in French."""

import re
from collections.abc import Mapping
from typing import Any

from shared.domain.common.counts import counted, french, french_amount
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
_AMOUNTS = _MONEY | {"limit", "spend"}
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}:\d{2})\S*Z")
_SPACES = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
_COLON = {"en": ": ", "fr": " : "}
_AGAIN = {"en": "Reminder {repeat}: ", "fr": "Rappel {repeat} : "}
_ESCALATED = {
    "en": "No one has acknowledged this alert.",
    "fr": "Personne n'a encore pris en compte cette alerte.",
}
_FOOT = {
    "en": "Event {id} at {time}. Alert {alert} of account {account}.",
    "fr": "Événement {id} du {time}. Alerte {alert} du compte {account}.",
}


class _FieldValues(dict[str, Any]):
    """The fields of an event for a template; a missing field is a dash."""

    def __missing__(self, key: str) -> str:
        return "–"


def written(language: str, name: str, event: Mapping[str, Any]) -> tuple[str, str]:
    """(subject, text) of the mail about an event, in English for an unknown language."""
    spoken = language if language in _LABELS else "en"
    data = _flat(event["data"])
    if spoken == "fr":
        data = {field: _in_french(field, value) for field, value in data.items()}
    kind = str(event["type"])
    counts = {
        field: counted(data[field], *nouns, language=spoken)
        for field, nouns in _NOUNS[spoken].items()
        if field in data
    }
    values = _FieldValues({**data, **counts, "name": name})
    record = event_type(kind)
    words = record.fr if spoken == "fr" else record.en
    typeset = french if spoken == "fr" else str
    subject = typeset(words.subject if words else f"{{name}}: {kind}").format_map(values)
    if data.get("repeat"):
        subject = typeset(_AGAIN[spoken]).format_map(values) + subject
    space = "\N{NO-BREAK SPACE}" if spoken == "fr" else " "
    lines = [
        typeset(label + _COLON[spoken])
        + str(data[field])
        + (f"{space}{data['currency']}" if field in _MONEY else "")
        for field, label in _LABELS[spoken].items()
        if field in data
    ]
    time = str(event["time"])
    foot = _FOOT[spoken].format_map(
        _FieldValues(
            id=event["id"],
            time=_french_times(time) if spoken == "fr" else time,
            alert=data.get("alert_id", "–"),
            account=data["account"],
        )
    )
    parts = [
        *([typeset(_ESCALATED[spoken]), ""] if data.get("escalated") else []),
        *lines,
        "",
        typeset(words.advice) if words else str(data.get("what_to_do", "")),
        "",
        foot,
    ]
    return _one_line(subject), "\n".join(parts) + "\n"


def _in_french(field: str, value: Any) -> Any:
    """A value of an event: amounts with a comma, times with the day first."""
    if not isinstance(value, str):
        return value
    if field in _AMOUNTS:
        return french_amount(value)
    return _french_times(value).replace(" %", "\N{NARROW NO-BREAK SPACE}%")


def _french_times(text: str) -> str:
    """The text with each time in UTC in French: 23/11/2026 à 10:00 UTC."""
    return _TIME.sub(r"\3/\2/\1 à \4 UTC", text)


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
    return "".join(each if each.isprintable() or each in _SPACES else " " for each in text)
