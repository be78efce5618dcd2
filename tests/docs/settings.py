"""The page of settings: name, type, default and use of each setting of the product's process."""

import base64
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from shared.domain.common import limits
from shared.settings import ADMIN_KEY_CHARS_MIN, LOCK_SECONDS_MAX, LOCK_SECONDS_MIN
from tests.docs.markdown import code, page, table

ROOT = Path(__file__).resolve().parents[2]
KEY = base64.b64encode(bytes(32)).decode()


class Setting(NamedTuple):
    """A setting. `default` is the value of the field `field` of `Settings` if it is not set; the
    product takes the value `valid` and refuses the value `invalid`, "" if it refuses none."""

    name: str
    type: str
    field: str
    default: object = None
    shown: str = ""
    valid: str = "x"
    invalid: str = ""


NEEDED = {
    "TABLES_ENDPOINT": "https://tables.example.test",
    "ServiceBus__fullyQualifiedNamespace": "bus.example.test",
    "CALL_ENDED_QUEUE": "queue",
    "CREDIT_EVENTS_TOPIC": "topic",
    "CALL_ENDED_LOCK_SECONDS": "30",
    "PERMINUTE_CHAIN_KEY": KEY,
}
"""The least that a process needs."""
_ONE_OF = "one of both is needed"
_LOCK = f"whole seconds, {LOCK_SECONDS_MIN} to {LOCK_SECONDS_MAX}"
_RATE = "whole number above 0, per second"
SETTINGS = (
    Setting("TABLES_CONNECTION_STRING", "text, secret", "tables_connection_string", None, _ONE_OF),
    Setting("TABLES_ENDPOINT", "URL", "tables_endpoint", None, _ONE_OF),
    Setting("LEDGER_SHARDS", "URLs or connection strings with spaces between, secret",
            "ledger_shards", (), "no further accounts"),
    Setting("ServiceBus", "text, secret", "service_bus_connection_string", None, _ONE_OF),
    Setting("ServiceBus__fullyQualifiedNamespace", "host name", "service_bus_namespace", None,
            _ONE_OF),
    Setting("SERVICE_BUS_MANAGEMENT_ENDPOINT", "URL", "service_bus_management_endpoint", None,
            "the namespace"),
    Setting("AZURE_CLIENT_ID", "id of an identity", "identity_client_id", None,
            "the system-assigned identity"),
    Setting("ARCHIVE_CONNECTION_STRING", "text, secret", "archive_connection_string", None,
            "not used"),
    Setting("ARCHIVE_ENDPOINT", "URL", "archive_endpoint", None, "nothing is archived"),
    Setting("ARCHIVE_CONTAINER", "text", "archive_container", "accepted-legs"),
    Setting("ARCHIVE_CLIENT_ID", "id of an identity", "archive_client_id", None,
            "the system-assigned identity"),
    Setting("PERMINUTE_ARCHIVE_KEY", "base64 of 32 bytes, several with spaces between, secret",
            "archive_keys", (), "needed with an archive", KEY),
    Setting("CALL_ENDED_QUEUE", "text", "call_ended_queue", "queue", "needed"),
    Setting("CREDIT_EVENTS_TOPIC", "text", "credit_events_topic", "topic", "needed"),
    Setting("CALL_ENDED_LOCK_SECONDS", _LOCK, "call_ended_lock_seconds", 30, "needed", "30", "4"),
    Setting("WEBHOOKS_ALLOW_LOOPBACK", "`true` or `false`", "webhooks_allow_loopback", False,
            "", "true", "maybe"),
    Setting("SMTP_HOST", "host name", "smtp", None, "no mail is sent"),
    Setting("SMTP_PORT", "port", "smtp.port", 587, "", "25", "0"),
    Setting("SMTP_SECURITY", "`starttls`, `tls` or `none`", "smtp.security", "starttls", "", "tls",
            "ssl"),
    Setting("SMTP_USERNAME", "text", "smtp.username", None, "no authentication"),
    Setting("SMTP_PASSWORD", "text, secret", "smtp.password", None, "no authentication"),
    Setting("SMTP_FROM", "mail address", "smtp.sender", "a@example.test", "needed with a host"),
    Setting("ANCHORS_CONNECTION_STRING", "text, secret", "anchors_connection_string", None,
            "not used"),
    Setting("ANCHORS_ENDPOINT", "URL", "anchors_endpoint", None, "nothing is anchored"),
    Setting("ANCHORS_CONTAINER", "text", "anchors_container", "anchors"),
    Setting("ANCHORS_CLIENT_ID", "id of an identity", "anchors_client_id", None,
            "the system-assigned identity"),
    Setting("ENTRA_TENANT_ID", "UUID", "entra_tenant", None, "no Entra token is accepted", "",
            "contoso"),
    Setting("ENTRA_AUDIENCE", "UUID", "entra_audience", None, "no Entra token is accepted"),
    Setting("PERMINUTE_CHAIN_KEY", "base64 of at least 32 bytes, secret", "chain_key", bytes(32),
            "needed", KEY, "AAAA"),
    Setting("PERMINUTE_PROOF_KEY", "base64 of 32 bytes, secret", "proof_key", None,
            "no day is closed", KEY, "AAAA"),
    Setting("PERMINUTE_SECRETS_KEY", "base64 of 32 bytes, several with spaces between, secret",
            "secrets_keys", (), "secrets are stored as they are", KEY, "AAAA"),
    Setting("PERMINUTE_BOOTSTRAP_ADMIN_KEY",
            f"at least {ADMIN_KEY_CHARS_MIN} ASCII characters, secret", "bootstrap_admin_key", None,
            "no such key", "a" * ADMIN_KEY_CHARS_MIN, "short"),
    Setting("CALLER_REQUESTS_PER_SECOND", _RATE, "caller_allowance.requests_per_second",
            limits.CALLER_REQUESTS_PER_SECOND, "", "5", "0"),
    Setting("CALLER_WORK_PER_SECOND", f"{_RATE}: rows or KiB", "caller_allowance.work_per_second",
            limits.CALLER_WORK_PER_SECOND, "", "5", "-1"),
    Setting("BRIDGE_REQUESTS_PER_SECOND", _RATE, "bridge_allowance.requests_per_second",
            limits.BRIDGE_REQUESTS_PER_SECOND, "", "5", "1.5"),
    Setting("PERMINUTE_VERSION", "text", "version", "0.1.0", "the release of the package"),
)  # fmt: skip


_READ_AS = {"call_ended_lock_seconds": "batch_deadline_seconds"}


@cache
def _reads() -> dict[str, list[str]]:
    """The modules that read each attribute of settings."""
    found: dict[str, list[str]] = {}
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text("utf-8")
            for name in dict.fromkeys(re.findall(r"\bsettings\.(\w+)", text)):
                found.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    return found


def uses(field: str) -> list[str]:
    """The modules that read a field of the settings."""
    return _reads().get(_READ_AS.get(field, field.partition(".")[0]), [])


def _default(setting: Setting) -> str:
    if setting.shown:
        return setting.shown
    if isinstance(setting.default, bool):
        return code(str(setting.default).lower())
    return (
        f"{setting.default:,}" if isinstance(setting.default, int) else code(str(setting.default))
    )


def pages() -> dict[str, str]:
    """The text of docs/reference/settings.md."""
    rows = [
        (
            code(each.name),
            each.type,
            _default(each),
            ", ".join(map(code, uses(each.field))),
        )
        for each in SETTINGS
    ]
    about = """
A process of the product reads these settings from its environment when it starts. A test reads the
settings with each of them, without it, and with a wrong value.
[configuration.md](../configuration.md) explains the purpose of each setting, and lists those of the
timers and of the Functions host."""
    lines = table(("setting", "type and unit", "if it is not set", "read by"), rows)
    lines += ["A setting whose value is a reference to a Key Vault that Azure cannot resolve is "]
    lines[-1] += "refused at the start. The error names the setting, never its value."
    return {"docs/reference/settings.md": page("Settings", about, lines)}
