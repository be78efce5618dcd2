"""Sample posts of each dialect, with invented values: a leg of 183 s that ended a minute ago.

In a text, `{to}` and its like are placeholders of the values of `sample`, `{iso:-67}` of the time
67 s ago:
`iso`, `rfc` (RFC 2822), `epoch` and `ms` as numbers, `epochs` and `us` as texts.
"""

import json
import re
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from importlib import resources
from typing import Any

DIALECTS = (
    *("perminute", "freeswitch", "asterisk", "twilio", "livekit", "acs", "bigbluebutton"),
    *("jitsi", "zoom"),
)
_PLACE = re.compile(r"\{(\w+)(?::(-?\d+))?\}")


def sample(dialect: str, **values: str) -> bytes:
    """The sample of a dialect as JSON. `values`: account, organizer, conference, to, from_, id."""
    text = resources.files(__package__ or "").joinpath(f"{dialect}.json").read_text("utf-8")
    filled = _filled(json.loads(text), values, time.time())
    return json.dumps(filled, indent=2, ensure_ascii=False).encode()


def _filled(value: Any, values: dict[str, str], now: float) -> Any:
    match value:
        case dict():
            return {name: _filled(each, values, now) for name, each in value.items()}
        case list():
            return [_filled(each, values, now) for each in value]
        case str():
            whole = _PLACE.fullmatch(value)
            if whole is not None and whole[1] in {"epoch", "ms"}:
                return int(_of(whole, values, now))
            return _PLACE.sub(lambda found: _of(found, values, now), value)
        case _:
            return value


def _of(found: re.Match[str], values: dict[str, str], now: float) -> str:
    name = found[1]
    if found[2] is None:
        return values[name]
    seconds = int(now) + int(found[2])
    moment = datetime.fromtimestamp(seconds, UTC)
    times = {
        "iso": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "rfc": format_datetime(moment),
        "epoch": str(seconds),
        "epochs": str(seconds),
        "ms": str(seconds * 1000),
        "us": str(seconds * 1_000_000),
    }
    return times[name]
