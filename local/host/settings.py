"""The settings of the host from host.json and from the environment (the app settings)."""

import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
_OVERRIDE = "AzureFunctionsJobHost__"


class SettingError(Exception):
    """A setting that a binding or host.json names is missing or makes no sense."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The part of host.json that this host applies; the defaults are Azure's."""

    route_prefix: str = "api"
    max_message_batch_size: int = 1000
    function_timeout_seconds: float | None = None
    log_level: int = logging.INFO


def read_host_json(app_dir: Path) -> HostSettings:
    """Read host.json of app_dir. Raises SettingError if it is missing or holds a wrong value."""
    try:
        document: dict[str, Any] = json.loads((app_dir / "host.json").read_text("utf-8"))
        _override(document)
        extensions = document.get("extensions", {})
        levels = document.get("logging", {}).get("logLevel", {})
        level = levels.get("Function", levels.get("default", "Information"))
        return HostSettings(
            route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
            max_message_batch_size=int(
                extensions.get("serviceBus", {}).get("maxMessageBatchSize", 1000)
            ),
            function_timeout_seconds=_time_span_seconds(document.get("functionTimeout")),
            log_level=_LEVELS[level.lower()],
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise SettingError(f"host.json of {app_dir}: {error!r}") from error


def _override(document: dict[str, Any]) -> None:
    """Settings named `AzureFunctionsJobHost__a__b` win over the value at a.b, as in Azure."""
    for name, value in os.environ.items():
        if name.startswith(_OVERRIDE):
            *path, leaf = name.removeprefix(_OVERRIDE).split("__")
            node = document
            for key in path:
                node = node.setdefault(key, {})
            node[leaf] = value


def _time_span_seconds(text: str | None) -> float | None:
    if text is None or text == "-1":
        return None
    match = re.fullmatch(r"(\d{2}):(\d{2}):(\d{2})", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a time span hh:mm:ss")
    hours, minutes, seconds = (int(part) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def app_setting(name: str) -> str:
    """The app setting of that name. Raises SettingError if it is missing or empty."""
    value = os.environ.get(name, "")
    if not value:
        raise SettingError(f"the app setting {name} is missing")
    return value


def substitute(text: str) -> str:
    """Replace every `%Name%` by the app setting of that name, as the host does in bindings."""
    return re.sub(r"%([^%]+)%", lambda match: app_setting(match.group(1)), text)
