"""How the directory's facts are kept as JSON documents: one writer and one reader each.

Organizers and dial-out policies are kept as their wire bodies, which `shared/contracts` reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from shared.domain.access import Role
from shared.domain.alerts import AlertRule
from shared.domain.directory import (
    Account,
    AccountSettings,
    ApiKey,
    Bridge,
    OnOutage,
    Registration,
)
from shared.domain.legs import ServiceNumberKind, format_time, parse_time
from shared.domain.recharge import AutoRecharge
from shared.domain.signatures import AuthScheme, BridgeAuth
from shared.domain.webhooks import Secret, Webhook
from shared.ports.records import Record

type Document = Mapping[str, Any]


class Kind(StrEnum):
    """What the directory holds."""

    ACCOUNT = "account"
    ORGANIZER = "organizer"
    CONFERENCE = "conference"
    SERVICE_NUMBER = "service_number"
    DIAL_OUT_POLICY = "dial_out_policy"
    BRIDGE = "bridge"
    API_KEY = "api_key"


def organizer_key(account: str, organizer: str) -> str:
    """Organizers of different accounts may have the same id; an account's id has no bar in it."""
    return f"{account}|{organizer}"


def account_document(account: Account) -> Document:
    """An account without its id and version, which the record carries."""
    settings = account.settings
    return {
        "currency": settings.currency,
        "name": settings.name,
        "usage_location": settings.usage_location,
        "time_zone": settings.time_zone,
        "credit_limit_micros": settings.credit_limit_micros,
        "rate_card": settings.rate_card,
        "alerts": [
            {
                "name": rule.name,
                "below_micros": rule.below_micros,
                "below_percent": rule.below_percent,
                "hours_left": rule.hours_left,
            }
            for rule in settings.alerts
        ],
        "auto_recharge": asdict(settings.auto_recharge) if settings.auto_recharge else None,
        "emails": list(settings.emails),
        "language": settings.language,
        "subscription_licenses": settings.subscription_licenses,
        "created_at": format_time(account.created_at),
        "shard": account.shard,
    }


def account(record: Record) -> Account:
    """The account of a record."""
    document: Document = record.document
    return Account(
        id=record.key,
        settings=AccountSettings(
            currency=document["currency"],
            name=document["name"],
            usage_location=document["usage_location"],
            time_zone=document["time_zone"],
            credit_limit_micros=document["credit_limit_micros"],
            rate_card=document["rate_card"],
            alerts=tuple(
                AlertRule(
                    rule["name"],
                    rule["below_micros"],
                    rule["below_percent"],
                    hours_left=rule.get("hours_left"),
                )
                for rule in document["alerts"]
            ),
            auto_recharge=_auto_recharge(document.get("auto_recharge")),
            emails=tuple(document.get("emails", ())),
            language=document.get("language", "en"),
            subscription_licenses=document.get("subscription_licenses", 0),
        ),
        settings_version=record.version,
        created_at=parse_time(document["created_at"]),
        shard=document["shard"],
    )


def _auto_recharge(document: Document | None) -> AutoRecharge | None:
    return AutoRecharge(**document) if document else None


def registrations_document(history: Sequence[Registration]) -> Document:
    """The registrations of a conference or a service number, in their order."""
    return {
        "registrations": [
            {
                "account": item.account,
                "since": format_time(item.since) if item.since else None,
                "organizer": item.organizer,
                "kind": item.kind.value if item.kind else None,
            }
            for item in history
        ]
    }


def registrations(record: Record) -> tuple[Registration, ...]:
    """The registrations of a record, in their order."""
    document: Document = record.document
    return tuple(
        Registration(
            account=item["account"],
            since=parse_time(item["since"]) if item["since"] else None,
            organizer=item["organizer"],
            kind=ServiceNumberKind(item["kind"]) if item["kind"] else None,
        )
        for item in document["registrations"]
    )


def bridge_document(bridge: Bridge) -> Document:
    """A bridge with its secrets."""
    return {
        "dialect": bridge.dialect,
        "auth": {
            "scheme": bridge.auth.scheme.value,
            "username": bridge.auth.username,
            "secrets": list(bridge.auth.secrets),
        },
        "accounts": sorted(bridge.accounts),
        "default_account": bridge.default_account,
        "country": bridge.country,
        "on_outage": bridge.on_outage.value,
        "assumed_seconds": bridge.assumed_seconds,
    }


def bridge(record: Record) -> Bridge:
    """The bridge of a record, with its secrets."""
    document: Document = record.document
    auth = document["auth"]
    return Bridge(
        id=record.key,
        dialect=document["dialect"],
        auth=BridgeAuth(AuthScheme(auth["scheme"]), tuple(auth["secrets"]), auth["username"]),
        accounts=frozenset(document["accounts"]),
        default_account=document["default_account"],
        country=document["country"],
        on_outage=OnOutage(document["on_outage"]),
        assumed_seconds=document.get("assumed_seconds"),
    )


def webhook_kind(account: str) -> str:
    """The kind of an account's webhooks: each account's are listed apart."""
    return f"webhook|{account}"


def webhook_document(webhook: Webhook) -> Document:
    """A webhook with its secrets."""
    return {
        "url": webhook.url,
        "events": list(webhook.events),
        "secrets": [
            {"text": secret.text, "until": format_time(secret.until) if secret.until else None}
            for secret in webhook.secrets
        ],
        "created_at": format_time(webhook.created_at),
    }


def webhook(account: str, record: Record) -> Webhook:
    """The webhook of a record, with its secrets."""
    document: Document = record.document
    return Webhook(
        account=account,
        name=record.key,
        url=document["url"],
        events=tuple(document["events"]),
        secrets=tuple(
            Secret(each["text"], parse_time(each["until"]) if each["until"] else None)
            for each in document["secrets"]
        ),
        created_at=parse_time(document["created_at"]),
    )


def api_key_document(key: ApiKey) -> Document:
    """An API key: never the secret, only its hash."""
    return {
        "name": key.name,
        "roles": sorted(role.value for role in key.roles),
        "accounts": sorted(key.accounts),
        "secret_hash": key.secret_hash,
        "created_at": format_time(key.created_at),
    }


def api_key(record: Record) -> ApiKey:
    """The API key of a record."""
    document: Document = record.document
    return ApiKey(
        id=record.key,
        name=document["name"],
        roles=frozenset(Role(role) for role in document["roles"]),
        accounts=frozenset(document["accounts"]),
        secret_hash=document["secret_hash"],
        created_at=parse_time(document["created_at"]),
    )
