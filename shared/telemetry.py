"""One JSON line per event: what dashboards count and what an operator greps.

Phone numbers are masked wherever they stand in a text: logs are read by more people, and kept
elsewhere, than the ledger.
"""

import json
import logging
import re

_LOGGER = logging.getLogger("perminute")
_NUMBER = re.compile(r"\+[0-9]{7,15}", re.ASCII)
_NOISY = ("azure", "azure.core.pipeline.policies.http_logging_policy", "uamqp", "aiohttp.access")


def event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log `{"event": name, …fields}` as one line; what is no JSON value is written as its text."""
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, "%s", mask(_line(name, fields)))


def failure(name: str, error: BaseException, **fields: object) -> None:
    """An event for something unexpected, with the stack trace, which no caller ever sees."""
    line = mask(_line(name, {**fields, "error": type(error).__name__}))
    _LOGGER.error("%s", line, exc_info=error)


def mask(text: str) -> str:
    """The text with every E.164 number cut down to its first four and last two digits."""
    return _NUMBER.sub(lambda match: f"{match[0][:5]}…{match[0][-2:]}", text)


def quieten() -> None:
    """Libraries log only what is wrong: their requests are counted by our own events."""
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    _LOGGER.setLevel(logging.INFO)


def _line(name: str, fields: dict[str, object]) -> str:
    return json.dumps({"event": name, **fields}, ensure_ascii=False, default=str)
