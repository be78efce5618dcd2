"""Log events, one JSON line each, for dashboards and operators.

Phone numbers, e-mail addresses and organizers' ids are masked in every field: logs are read by more
people, and stored in more places, than the ledger. docs/telemetry.md is the catalog of events and
fields.
"""

import hashlib
import json
import logging
import re
import traceback
from collections.abc import Mapping
from urllib.parse import unquote

from shared.domain.common import limits

_LOGGER = logging.getLogger("perminute")
_NUMBER = re.compile(r"(?:\+|%2[Bb])[0-9]{7,15}", re.ASCII)
_EMAIL = re.compile(r"[\w.!#$&'*+/=?^`{|}~-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")
# What may be a number in some national spelling; ids have such runs too, so only in free text.
_DIGITS = re.compile(r"(?<![\w.:-])\+?[0-9](?:[ ().-]{0,2}[0-9]){6,19}(?![\w:-])", re.ASCII)
_FREE_TEXT = frozenset({"detail", "why", "stack"})
_NUMBERS = frozenset({"to", "from_number", "number"})
_PERSONS = frozenset({"organizer"})
# Ids of customers: a run of digits in them may be a number.
_NAMES = frozenset({"conference", "path"})
_RUN = re.compile(r"(?<![A-Za-z0-9])[0-9]{7,15}(?![A-Za-z0-9])", re.ASCII)
_ORGANIZER_PATH = re.compile(r"(?<=/organizers/)[^/]+")
_NOISY = ("azure", "azure.core.pipeline.policies.http_logging_policy", "uamqp", "aiohttp.access")


def event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log `{"event": name, …fields}` as one line; a value that JSON lacks is written as its
    text."""
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, "%s", _line(name, fields))


def failure(name: str, error: BaseException, **fields: object) -> None:
    """An event for something unexpected, with the stack trace, which no caller ever sees."""
    stack = "".join(traceback.format_exception(error))[-limits.STACK_CHARS_MAX :]
    _LOGGER.error("%s", _line(name, {**fields, "error": type(error).__name__, "stack": stack}))


def mask(text: str) -> str:
    """The text with every E.164 number cut down to its first four and last two digits, and every
    e-mail address replaced by a digest of it."""
    if "@" in text or "%40" in text:
        text = _EMAIL.sub(lambda match: pseudonym(match[0]), text)
    if "+" not in text and "%2" not in text:
        return text  # most lines: finding a sign is much faster than searching for a pattern
    return _NUMBER.sub(lambda match: _short(match[0].replace("%2b", "+").replace("%2B", "+")), text)


def pseudonym(text: str) -> str:
    """The pseudonym of a person's id in logs: the same for the same person, in any notation."""
    plain = unquote(text).lower()
    return "person-" + hashlib.sha256(plain.encode()).hexdigest()[:12]


def silence_libraries() -> None:
    """Libraries log only errors: events of the product count their requests."""
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    _LOGGER.setLevel(logging.INFO)


def _line(name: str, fields: Mapping[str, object]) -> str:
    masked = {field: _masked(field, value) for field, value in fields.items()}
    return mask(json.dumps({"event": name, **masked}, ensure_ascii=False, default=str))


def _masked(field: str, value: object) -> object:
    """A value in the form of the log: the purpose of a field determines the possible notations of a
    number in it."""
    if field in _NUMBERS and value is not None:
        return _short(str(value))
    if field in _PERSONS and value is not None:
        return pseudonym(str(value))
    if field in _NAMES and value is not None:
        shown = _ORGANIZER_PATH.sub(lambda match: pseudonym(match[0]), str(value))
        return _RUN.sub(lambda match: _short(match[0]), mask(shown))[: limits.LOG_NAME_CHARS_MAX]
    if field not in _FREE_TEXT:
        return value
    if isinstance(value, list | tuple):
        return [_masked(field, each) for each in value]
    return _DIGITS.sub(lambda match: _short(match[0]), str(value)) if value is not None else None


def _short(number: str) -> str:
    """The beginning and the last two characters of a number or a possible number."""
    shown = 5 if number.startswith("+") else 4
    return f"{number[:shown]}…{number[-2:]}" if len(number) > shown + 2 else "…"
