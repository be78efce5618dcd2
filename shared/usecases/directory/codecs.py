"""How the directory's facts are kept as JSON documents: one writer and one reader each.

Stored documents never depend on the bodies of the API. A document that can't be read raises
SettingsUnreadable, which names it; fields that this version does not know are left alone.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import wraps
from typing import Any

from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.documents import from_document, to_document
from shared.domain.common.errors import SettingsUnreadable
from shared.domain.common.money import format_amount, format_price, parse_amount, parse_price
from shared.domain.delivery.webhooks import Webhook
from shared.domain.dial_out.budgets import Budget, BudgetMode, Budgets, NewRegion, Velocity
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.dial_out.policy import IDENTITIES, AccountPolicy, DialRules, GroupRules, License
from shared.domain.directory.entities import (
    Account,
    AccountSettings,
    ApiKey,
    Bridge,
    Registration,
)
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.numbers import prefix_digits
from shared.domain.proof.roots import ProofKey
from shared.ports.records import Record

type Document = Mapping[str, Any]


class Kind(StrEnum):
    """The kinds of documents in the directory."""

    ACCOUNT = "account"
    ORGANIZER = "organizer"
    CONFERENCE = "conference"
    SERVICE_NUMBER = "service_number"
    DIAL_OUT_POLICY = "dial_out_policy"
    BRIDGE = "bridge"
    API_KEY = "api_key"
    FORMER_ORGANIZER = "former_organizer"
    FORMER_BRIDGE = "former_bridge"
    ERASURE = "erasure"
    LOAD = "load"
    PROOF_KEY = "proof_key"


CONFERENCE_OF_ACCOUNT = "conference_of_account"
_OF_ACCOUNT = {Kind.ACCOUNT, Kind.ORGANIZER, Kind.FORMER_ORGANIZER, Kind.DIAL_OUT_POLICY}


def organizer_key(account: str, organizer: str) -> str:
    """Organizers of different accounts may have the same id; an account's id has no bar in it."""
    return f"{account}|{organizer}"


def _read_by[Fact](kind: Kind) -> Callable[[Callable[[Record], Fact]], Callable[[Record], Fact]]:
    """A reader of documents of a kind whose every failure is SettingsUnreadable."""

    def reading(read: Callable[[Record], Fact]) -> Callable[[Record], Fact]:
        @wraps(read)
        def checked(record: Record) -> Fact:
            try:
                return read(record)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                of_account = kind in _OF_ACCOUNT
                raise SettingsUnreadable(
                    f"The stored {kind.value.replace('_', ' ')} {record.key} can't be read"
                    f" ({type(error).__name__}): put it again, with If-Match {record.etag}.",
                    account=record.key.partition("|")[0] if of_account else None,
                    etag=record.etag,
                ) from error

        return checked

    return reading


def proof_key_document(key: ProofKey) -> Document:
    """A public key without its id, which the record carries."""
    return {
        "public_key": base64.b64encode(key.public_key).decode(),
        "since": format_time(key.since),
        "until": format_time(key.until) if key.until else None,
        "compromised_at": format_time(key.compromised_at) if key.compromised_at else None,
    }


@_read_by(Kind.PROOF_KEY)
def proof_key(record: Record) -> ProofKey:
    """The public key of a record."""
    document: Document = record.document
    until, compromised_at = document["until"], document["compromised_at"]
    return ProofKey(
        record.key,
        base64.b64decode(document["public_key"], validate=True),
        parse_time(document["since"]),
        parse_time(until) if until else None,
        parse_time(compromised_at) if compromised_at else None,
    )


def account_document(account: Account) -> Document:
    """An account without its id and version, which the record carries."""
    settings = account.settings
    return {
        **to_document(settings),
        "alerts": [to_document(rule, exclude={"armed"}) for rule in settings.alerts],
        "created_at": format_time(account.created_at),
        "shard": account.shard,
    }


@_read_by(Kind.ACCOUNT)
def account(record: Record) -> Account:
    """The account of a record."""
    document: Document = record.document
    return Account(
        id=record.key,
        settings=from_document(AccountSettings, document),
        settings_version=record.version,
        created_at=parse_time(document["created_at"]),
        shard=document["shard"],
    )


def organizer_document(organizer: OrganizerFacts) -> Document:
    """An organizer without its id, which the record carries."""
    return {
        "usage_location": organizer.usage_location,
        "license": organizer.license.value,
        "policy": organizer.identity,
        "toll_free_dial_in": organizer.toll_free_dial_in,
        "budgets": _budgets_document(organizer.budgets),
        "cost_center": organizer.cost_center,
        "groups": list(organizer.groups),
        "rules": _rules_document(organizer.rules) if organizer.rules else None,
    }


@_read_by(Kind.ORGANIZER)
def organizer(record: Record) -> OrganizerFacts:
    """The organizer of a record."""
    document: Document = record.document
    rules = document.get("rules")
    return OrganizerFacts(
        organizer=record.key.partition("|")[2],
        usage_location=_text_or_none(document, "usage_location"),
        license=License(document.get("license", License.PAY_PER_MINUTE)),
        identity=_identity(document.get("policy")),
        toll_free_dial_in=_flag(document, "toll_free_dial_in", default=True),
        groups=tuple(_of_type(str, name) for name in document.get("groups", ())),
        rules=_rules(rules) if rules else None,
        budgets=_budgets(document.get("budgets")),
        cost_center=_text_or_none(document, "cost_center"),
    )


def policy_document(policy: AccountPolicy) -> Document:
    """An account's dial-out policy."""
    return {
        **_rules_document(policy.rules),
        "suspended": policy.suspended,
        "default_policy": policy.default_identity,
        "served_regions": _listed(policy.served_regions),
        "unserved_regions": sorted(policy.unserved_regions),
        "class_ranges": [
            {"prefix": prefix, "class": number_class.value}
            for prefix, number_class in policy.class_ranges.items()
        ],
        "block_high_risk": policy.block_high_risk,
        "groups": {
            name: {**_rules_document(group.rules), "rank": group.rank, "policy": group.identity}
            for name, group in policy.groups.items()
        },
        "budgets": _budgets_document(policy.budgets),
        "cost_centers": {
            name: _budgets_document(budgets) for name, budgets in policy.cost_centers.items()
        },
        "velocity": _velocity_document(policy.velocity),
        "organizer_velocity": _velocity_document(policy.organizer_velocity),
    }


@_read_by(Kind.DIAL_OUT_POLICY)
def policy(record: Record) -> AccountPolicy:
    """The dial-out policy of a record."""
    document: Document = record.document
    default = AccountPolicy()
    return AccountPolicy(
        default_identity=_identity(document.get("default_policy")) or default.default_identity,
        served_regions=_texts_or_none(document, "served_regions"),
        unserved_regions=_texts(document, "unserved_regions"),
        class_ranges={
            prefix_digits(_of_type(str, item["prefix"])): NumberClass(item["class"])
            for item in document.get("class_ranges", ())
        },
        block_high_risk=_flag(document, "block_high_risk", default=False),
        rules=_rules(document),
        groups={
            name: GroupRules(int(group["rank"]), _identity(group.get("policy")), _rules(group))
            for name, group in document.get("groups", {}).items()
        },
        budgets=_budgets(document.get("budgets")),
        cost_centers={
            name: _budgets(budgets) for name, budgets in document.get("cost_centers", {}).items()
        },
        velocity=_velocity(document.get("velocity"), default.velocity),
        organizer_velocity=_velocity(
            document.get("organizer_velocity"), default.organizer_velocity
        ),
        suspended=_flag(document, "suspended", default=False),
    )


def _identity(name: str | None) -> str | None:
    if name is not None and name not in IDENTITIES:
        raise ValueError(f"no dial-out policy is named {name}")
    return name


def _rules_document(rules: DialRules) -> Document:
    ceiling = rules.rate_ceiling_picos
    return {
        "allowed_regions": _listed(rules.allowed_regions),
        "blocked_regions": sorted(rules.blocked_regions),
        "allowed_prefixes": _listed(rules.allowed_prefixes),
        "blocked_prefixes": sorted(rules.blocked_prefixes),
        "allowed_classes": sorted(rules.allowed_classes),
        "blocked_classes": sorted(rules.blocked_classes),
        "max_price_per_minute": None if ceiling is None else format_price(ceiling),
    }


def _rules(document: Document) -> DialRules:
    ceiling = document.get("max_price_per_minute")
    return DialRules(
        allowed_regions=_texts_or_none(document, "allowed_regions"),
        blocked_regions=_texts(document, "blocked_regions"),
        allowed_prefixes=_prefixes(document, "allowed_prefixes"),
        blocked_prefixes=_prefixes(document, "blocked_prefixes") or frozenset(),
        allowed_classes=frozenset(map(NumberClass, _texts(document, "allowed_classes"))),
        blocked_classes=frozenset(map(NumberClass, _texts(document, "blocked_classes"))),
        rate_ceiling_picos=None if ceiling is None else parse_price(ceiling),
    )


def _budgets_document(budgets: Budgets) -> Document:
    each = {"day": budgets.day, "month": budgets.month, "meeting": budgets.meeting}
    return {
        period: budget
        and {"amount": format_amount(budget.amount_micros), "mode": budget.mode.value}
        for period, budget in each.items()
    }


def _budgets(document: Document | None) -> Budgets:
    def budget(period: str) -> Budget | None:
        found = (document or {}).get(period)
        if found is None:
            return None
        return Budget(parse_amount(found["amount"]), BudgetMode(found.get("mode", BudgetMode.HARD)))

    return Budgets(budget("day"), budget("month"), budget("meeting"))


def _velocity_document(velocity: Velocity) -> Document:
    cost = velocity.cost_per_ten_minutes_micros
    return {
        "concurrent": velocity.concurrent_max,
        "per_hour": velocity.per_hour_max,
        "new_region": velocity.new_region.value,
        "cost_per_ten_minutes": None if cost is None else format_amount(cost),
    }


def _velocity(document: Document | None, default: Velocity) -> Velocity:
    document = document or {}
    cost = document.get("cost_per_ten_minutes")
    return Velocity(
        concurrent_max=_count_or_none(document, "concurrent", default.concurrent_max),
        per_hour_max=_count_or_none(document, "per_hour", default.per_hour_max),
        new_region=NewRegion(document.get("new_region", default.new_region)),
        cost_per_ten_minutes_micros=None if cost is None else parse_amount(cost),
    )


def _listed(items: Iterable[str] | None) -> list[str] | None:
    return None if items is None else sorted(items)


def _texts(document: Document, name: str) -> frozenset[str]:
    return _texts_or_none(document, name) or frozenset()


def _prefixes(document: Document, name: str) -> frozenset[str] | None:
    """A list of prefixes, in which a whole number is normalized: older rows have it as stated."""
    texts = _texts_or_none(document, name)
    return None if texts is None else frozenset(map(prefix_digits, texts))


def _texts_or_none(document: Document, name: str) -> frozenset[str] | None:
    items = document.get(name)
    if items is None:
        return None
    return frozenset(_of_type(str, item) for item in _of_type(list, items))


def _text_or_none(document: Document, name: str) -> str | None:
    text = document.get(name)
    return None if text is None else _of_type(str, text)


def _flag(document: Document, name: str, *, default: bool) -> bool:
    return _of_type(bool, document.get(name, default))


def _count_or_none(document: Document, name: str, default: int | None) -> int | None:
    count = document.get(name, default)
    return None if count is None else _of_type(int, count)


def _of_type[Value](kind: type[Value], value: Any) -> Value:
    if not isinstance(value, kind):
        raise TypeError(f"no {kind.__name__}")
    return value


def conference_kind(conference: str) -> str:
    """The kind of the registrations of a conference: one document for each account, its key.

    Before, all accounts' registrations of a conference were one document of `Kind.CONFERENCE`; it
    holds for an account without its own."""
    return f"{CONFERENCE_OF_ACCOUNT}|{hashlib.sha256(conference.encode()).hexdigest()}"


def conference_document(conference: str, history: Sequence[Registration]) -> Document:
    """An account's registrations of a conference."""
    return {"conference": conference, **registrations_document(history)}


def registrations_document(history: Sequence[Registration]) -> Document:
    """The registrations of a conference or a service number, in their order."""
    return {"registrations": [to_document(item) for item in history]}


@_read_by(Kind.CONFERENCE)
def registrations(record: Record) -> tuple[Registration, ...]:
    """The registrations of a record, in their order."""
    document: Document = record.document
    return tuple(from_document(Registration, item) for item in document["registrations"])


def bridge_document(bridge: Bridge) -> Document:
    """A bridge with its secrets, without its id, which the record carries."""
    return to_document(bridge, exclude={"id"})


@_read_by(Kind.BRIDGE)
def bridge(record: Record) -> Bridge:
    """The bridge of a record, with its secrets."""
    return from_document(Bridge, record.document, id=record.key)


def former_organizer_document(document: Document, until: datetime) -> Document:
    """The document of an organizer that was deleted at `until`."""
    return {"document": document, "until": format_time(until)}


@_read_by(Kind.FORMER_ORGANIZER)
def former_organizer(record: Record) -> tuple[OrganizerFacts, datetime]:
    """An organizer that was deleted, and when."""
    document: Document = record.document
    was = Record(record.key, document["document"], record.version)
    return organizer(was), parse_time(document["until"])


def webhook_kind(account: str) -> str:
    """The kind of an account's webhooks: each account's are listed apart."""
    return f"webhook|{account}"


def webhook_document(webhook: Webhook) -> Document:
    """A webhook with its secrets, without account and name, which the record carries."""
    return to_document(webhook, exclude={"account", "name"})


def webhook(account: str, record: Record) -> Webhook:
    """The webhook of a record, with its secrets."""
    return from_document(Webhook, record.document, account=account, name=record.key)


def api_key_document(key: ApiKey) -> Document:
    """An API key: never the secret, only its hash."""
    return to_document(key, exclude={"id"})


@_read_by(Kind.API_KEY)
def api_key(record: Record) -> ApiKey:
    """The API key of a record."""
    key = from_document(ApiKey, record.document, id=record.key)
    return replace(key, actor=key.actor or key.name)
