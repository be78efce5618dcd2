"""Rules for ids and service numbers."""

import re

from shared.domain.common import limits

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)

_FOREIGN_ID = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{limits.FOREIGN_ID_CHARS_MAX}}}")

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)

ID_RULE = "1–63 characters of a–z, 0–9, '.', '_' and '-', the first a letter or digit"

FOREIGN_ID_RULE = f"1–{limits.FOREIGN_ID_CHARS_MAX} characters, none of them a control character"


def is_id(text: str) -> bool:
    """True if this can be the id of an account, a card or a bridge."""
    return _ID.fullmatch(text) is not None


def is_foreign_id(text: str) -> bool:
    """True if this can be the id of a leg, a conference or an organizer."""
    return _FOREIGN_ID.fullmatch(text) is not None


def is_service_number(text: str) -> bool:
    """True if this can be a service number: `+` and 7 to 15 digits, E.164."""
    return _NUMBER.fullmatch(text) is not None
