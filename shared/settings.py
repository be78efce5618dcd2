"""The settings of the environment, read once. `docs/configuration.md` explains each setting.

A missing or senseless setting is named in the error, never its value.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from shared.domain.common import limits
from shared.pacing import RequestQuota

CHAIN_KEY_BYTES_MIN = 32
SEALING_KEY_BYTES = 32
ADMIN_KEY_CHARS_MIN = 20
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
VAULT_REFERENCE = "@Microsoft.KeyVault("
LOCK_SECONDS_MIN = 5
LOCK_SECONDS_MAX = 300  # Service Bus allows no longer lock


SMTP_SECURITIES = frozenset({"starttls", "tls", "none"})


class SettingsError(Exception):
    """A setting is missing or makes no sense; the text names it."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """The mail server. `security`: `starttls`, `tls` (from the first byte), or `none`."""

    host: str
    port: int
    sender: str
    security: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of this process. Of each pair (text to connect with, address to reach with a
    managed identity) exactly one is set; the other is None. Secrets stay out of `repr`."""

    tables_connection_string: str | None = field(repr=False)
    tables_endpoint: str | None
    service_bus_connection_string: str | None = field(repr=False)
    service_bus_namespace: str | None
    service_bus_management_endpoint: str | None
    ledger_shards: tuple[str, ...] = field(repr=False)
    identity_client_id: str | None
    anchors_connection_string: str | None = field(repr=False)
    anchors_endpoint: str | None
    anchors_container: str
    anchors_client_id: str | None
    call_ended_queue: str
    credit_events_topic: str
    call_ended_lock_seconds: int
    chain_key: bytes = field(repr=False)
    archive_connection_string: str | None = field(repr=False)
    archive_endpoint: str | None
    archive_container: str
    archive_client_id: str | None
    archive_keys: tuple[bytes, ...] = field(repr=False)
    secrets_keys: tuple[bytes, ...] = field(repr=False)
    proof_key: bytes | None = field(repr=False)
    entra_tenant: str | None
    entra_audience: str | None
    bootstrap_admin_key: str | None = field(repr=False)
    webhooks_allow_loopback: bool
    smtp: Smtp | None
    version: str
    caller_allowance: RequestQuota
    bridge_allowance: RequestQuota

    @property
    def batch_deadline_seconds(self) -> float:
        """The time limit of a batch: well below the lock, which is not renewed
        (docs/architecture.md)."""
        return self.call_ended_lock_seconds / 2

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The settings that `environment` (default: the process's own) holds.

        Raises SettingsError, which names the setting.
        """
        values = _resolved(os.environ if environment is None else environment)
        tables_text, tables_endpoint = _either(
            values, "TABLES_CONNECTION_STRING", "TABLES_ENDPOINT"
        )
        bus_text, bus_namespace = _either(
            values, "ServiceBus", "ServiceBus__fullyQualifiedNamespace"
        )
        tenant, audience = _entra(values)
        return cls(
            tables_connection_string=tables_text,
            tables_endpoint=tables_endpoint,
            service_bus_connection_string=bus_text,
            service_bus_namespace=bus_namespace,
            service_bus_management_endpoint=values.get("SERVICE_BUS_MANAGEMENT_ENDPOINT") or None,
            ledger_shards=tuple(values.get("LEDGER_SHARDS", "").split()),
            identity_client_id=values.get("AZURE_CLIENT_ID") or None,
            anchors_connection_string=values.get("ANCHORS_CONNECTION_STRING") or None,
            anchors_endpoint=values.get("ANCHORS_ENDPOINT") or None,
            anchors_container=values.get("ANCHORS_CONTAINER") or "anchors",
            anchors_client_id=values.get("ANCHORS_CLIENT_ID") or None,
            call_ended_queue=_needed(values, "CALL_ENDED_QUEUE"),
            credit_events_topic=_needed(values, "CREDIT_EVENTS_TOPIC"),
            call_ended_lock_seconds=_seconds(
                values, "CALL_ENDED_LOCK_SECONDS", LOCK_SECONDS_MIN, LOCK_SECONDS_MAX
            ),
            chain_key=_key(values, "PERMINUTE_CHAIN_KEY"),
            archive_connection_string=values.get("ARCHIVE_CONNECTION_STRING") or None,
            archive_endpoint=values.get("ARCHIVE_ENDPOINT") or None,
            archive_container=values.get("ARCHIVE_CONTAINER") or "accepted-legs",
            archive_client_id=values.get("ARCHIVE_CLIENT_ID") or None,
            archive_keys=_archive_keys(values),
            secrets_keys=_sealing_keys(values, "PERMINUTE_SECRETS_KEY"),
            proof_key=next(iter(_sealing_keys(values, "PERMINUTE_PROOF_KEY")), None),
            entra_tenant=tenant,
            entra_audience=audience,
            bootstrap_admin_key=_admin_key(values, "PERMINUTE_BOOTSTRAP_ADMIN_KEY"),
            webhooks_allow_loopback=_flag(values, "WEBHOOKS_ALLOW_LOOPBACK"),
            smtp=_smtp(values),
            version=values.get("PERMINUTE_VERSION") or _packaged_release(),
            caller_allowance=RequestQuota(
                _per_second(
                    values, "CALLER_REQUESTS_PER_SECOND", limits.CALLER_REQUESTS_PER_SECOND
                ),
                _per_second(values, "CALLER_WORK_PER_SECOND", limits.CALLER_WORK_PER_SECOND),
            ),
            bridge_allowance=RequestQuota(
                _per_second(
                    values, "BRIDGE_REQUESTS_PER_SECOND", limits.BRIDGE_REQUESTS_PER_SECOND
                ),
                _per_second(values, "CALLER_WORK_PER_SECOND", limits.CALLER_WORK_PER_SECOND),
            ),
        )


def _packaged_release() -> str:
    """The release that `make package` wrote next to this module; a checkout has none."""
    try:
        return Path(__file__).with_name("release.txt").read_text("utf-8").strip()
    except FileNotFoundError:
        return "0.1.0"


def is_address(place: str) -> bool:
    """True if a storage account is reached at an address, by identity, not by a connection
    string."""
    return place.startswith(("https://", "http://"))


def _resolved(values: Mapping[str, str]) -> Mapping[str, str]:
    """The values, once every reference to a vault is one. Azure passes a reference that it can't
    follow to the process unchanged: an administrator's key that anyone can guess."""
    for name, value in values.items():
        if value.strip().startswith(VAULT_REFERENCE):
            raise SettingsError(f"the setting {name} refers to a vault that does not give it out")
    return values


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower() or "false"
    if text not in {"true", "false", "1", "0"}:
        raise SettingsError(f"the setting {name} must be true or false")
    return text in {"true", "1"}


def _smtp(values: Mapping[str, str]) -> Smtp | None:
    host = values.get("SMTP_HOST", "").strip()
    if not host:
        return None
    security = values.get("SMTP_SECURITY", "").strip() or "starttls"
    if security not in SMTP_SECURITIES:
        raise SettingsError(
            f"the setting SMTP_SECURITY must be one of {', '.join(sorted(SMTP_SECURITIES))}"
        )
    port = values.get("SMTP_PORT", "").strip() or "587"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise SettingsError("the setting SMTP_PORT must be a port number")
    return Smtp(
        host=host,
        port=int(port),
        sender=_needed(values, "SMTP_FROM"),
        security=security,
        username=values.get("SMTP_USERNAME", "").strip() or None,
        password=values.get("SMTP_PASSWORD", "").strip() or None,
    )


def _needed(values: Mapping[str, str], name: str) -> str:
    value = values.get(name, "").strip()
    if not value:
        raise SettingsError(f"the setting {name} is missing")
    return value


def _either(values: Mapping[str, str], text: str, address: str) -> tuple[str | None, str | None]:
    """(connection string, None) or (None, address): the first wins, since it is only set where
    there is no managed identity."""
    if values.get(text, "").strip():
        return values[text].strip(), None
    if values.get(address, "").strip():
        return None, values[address].strip()
    raise SettingsError(f"one of the settings {text} and {address} is needed")


def _seconds(values: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = _needed(values, name)
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise SettingsError(f"the setting {name} must be whole seconds from {least} to {most}")
    return int(text)


def _per_second(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name, "").strip() or str(default)
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
        raise SettingsError(f"the setting {name} must be a whole number above 0")
    return int(text)


def _key(values: Mapping[str, str], name: str) -> bytes:
    try:
        key = base64.b64decode(_needed(values, name), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < CHAIN_KEY_BYTES_MIN:
        raise SettingsError(
            f"the setting {name} must be base64 of at least {CHAIN_KEY_BYTES_MIN} bytes"
        )
    return key


def _archive_keys(values: Mapping[str, str]) -> tuple[bytes, ...]:
    """The keys of the archive; none where nothing is archived."""
    places = ("ARCHIVE_CONNECTION_STRING", "ARCHIVE_ENDPOINT")
    name = "PERMINUTE_ARCHIVE_KEY"
    if not any(values.get(place, "").strip() for place in places):
        return ()
    _needed(values, name)
    return _sealing_keys(values, name)


def _sealing_keys(values: Mapping[str, str], name: str) -> tuple[bytes, ...]:
    """The keys that a setting holds, the one that seals first; none where it is not set."""
    keys: list[bytes] = []
    for text in values.get(name, "").split():
        try:
            keys.append(base64.b64decode(text, validate=True))
        except binascii.Error:
            keys.append(b"")
    if any(len(key) != SEALING_KEY_BYTES for key in keys):
        raise SettingsError(
            f"the setting {name} must be base64 of {SEALING_KEY_BYTES} bytes, or several of them"
        )
    return tuple(keys)


def _entra(values: Mapping[str, str]) -> tuple[str | None, str | None]:
    """(tenant, audience), ids of Microsoft Entra; (None, None) where its tokens are not taken."""
    names = ("ENTRA_TENANT_ID", "ENTRA_AUDIENCE")
    tenant, audience = (values.get(name, "").strip() or None for name in names)
    if (tenant is None) != (audience is None):
        raise SettingsError("the settings ENTRA_TENANT_ID and ENTRA_AUDIENCE need each other")
    if tenant is not None and not ID.fullmatch(tenant):
        raise SettingsError("the setting ENTRA_TENANT_ID must be the id of a tenant, not its name")
    return tenant, audience


def _admin_key(values: Mapping[str, str], name: str) -> str | None:
    key = values.get(name, "").strip()
    if key and (len(key) < ADMIN_KEY_CHARS_MIN or not key.isascii()):
        raise SettingsError(
            f"the setting {name} must have at least {ADMIN_KEY_CHARS_MIN} ASCII characters"
        )
    return key or None
