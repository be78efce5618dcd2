"""The ways out of parked legs, as commands."""

FIELD = {
    "account_unknown": "account",
    "account_ambiguous": "account",
    "inconsistent": "talk_seconds",
    "kind_unknown": "kind",
    "number_invalid": "to",
    "rate_missing": "to",
    "authorization_used": "authorization",
}
SETTINGS = frozenset({"currency_mismatch", "settings_unreadable"})
"""Reasons that no correction of the leg removes."""
_VALUE = {"talk_seconds": "SECONDS", "kind": "dial_out", "to": "NUMBER", "authorization": "null"}


def commands(reason: str, leg: str) -> tuple[str, ...]:
    """The commands that may end the parking of a leg, the likeliest first."""
    field, dismiss = FIELD.get(reason), f"dismiss {leg} --note WHY"
    fix = f"fix {leg} --set {field}={_VALUE.get(str(field), str(field).upper())}"
    replay, whole = f"replay {leg}", f"fix {leg} --whole FILE"
    known = {
        "conflict": (dismiss, f"fix {leg} --charge-as ID"),
        "authorization_used": (dismiss, fix),
        "rate_missing": (replay, fix),
        "unreadable": (whole, dismiss),
        "incomplete": (whole,),
    }
    shown = known.get(reason) or ((fix,) if field else (replay,))
    return tuple(f"perminute parked {each}" for each in shown)


def way_out(reason: str, leg: str, sentence: str | None = None) -> tuple[str, ...]:
    """The lines about what to do with a parked leg: a sentence, and a command each."""
    about = sentence or "Correct the cause, then replay the leg."
    return about, *(f"  {each}" for each in commands(reason, leg))
