"""Codecs of the directory's facts as JSON documents: one encoder and one decoder each.

Stored documents never depend on the bodies of the API. A document that can't be read raises
SettingsUnreadable, which names it; fields that this version does not know are left alone.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import wraps
from typing import Any

from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.documents import from_document, to_document
from shared.domain.common.errors import SettingsUnreadable
from shared.domain.delivery.webhooks import Webhook
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.dial_out.policy import AccountPolicy
from shared.domain.directory.entities import (
    Account,
    AccountSettings,
    ApiKey,
    Bridge,
    Registration,
)
from shared.domain.proof.roots import ProofKey
from shared.ports.records import StoredDocument

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


def _read_by[Fact](
    kind: Kind,
) -> Callable[[Callable[[StoredDocument], Fact]], Callable[[StoredDocument], Fact]]:
    """A reader of documents of a kind whose every failure is SettingsUnreadable."""

    def reading(read: Callable[[StoredDocument], Fact]) -> Callable[[StoredDocument], Fact]:
        @wraps(read)
        def checked(record: StoredDocument) -> Fact:
            try:
                return read(record)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                of_account = kind in _OF_ACCOUNT
                raise SettingsUnreadable(
                    f"The stored {kind.value.replace('_', ' ')} {record.key} cannot be read. "
                    f"Put it again with If-Match {record.etag}.",
                    account=record.key.partition("|")[0] if of_account else None,
                    etag=record.etag,
                ) from error

        return checked

    return reading


def proof_key_document(key: ProofKey) -> Document:
    """A public key without its id, which the record carries."""
    return to_document(key, exclude={"id"})


@_read_by(Kind.PROOF_KEY)
def proof_key(record: StoredDocument) -> ProofKey:
    """The public key of a record."""
    return from_document(ProofKey, record.document, id=record.key)


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
def account(record: StoredDocument) -> Account:
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
    return to_document(organizer, exclude={"organizer"})


@_read_by(Kind.ORGANIZER)
def organizer(record: StoredDocument) -> OrganizerFacts:
    """The organizer of a record."""
    return from_document(OrganizerFacts, record.document, organizer=record.key.partition("|")[2])


def policy_document(policy: AccountPolicy) -> Document:
    """An account's dial-out policy."""
    return to_document(policy)


@_read_by(Kind.DIAL_OUT_POLICY)
def policy(record: StoredDocument) -> AccountPolicy:
    """The dial-out policy of a record."""
    return from_document(AccountPolicy, record.document)


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
def registrations(record: StoredDocument) -> tuple[Registration, ...]:
    """The registrations of a record, in their order."""
    document: Document = record.document
    return tuple(from_document(Registration, item) for item in document["registrations"])


def bridge_document(bridge: Bridge) -> Document:
    """A bridge with its secrets, without its id, which the record carries."""
    return to_document(bridge, exclude={"id"})


@_read_by(Kind.BRIDGE)
def bridge(record: StoredDocument) -> Bridge:
    """The bridge of a record, with its secrets."""
    return from_document(Bridge, record.document, id=record.key)


def former_organizer_document(document: Document, until: datetime) -> Document:
    """The document of an organizer that was deleted at `until`."""
    return {"document": document, "until": format_time(until)}


@_read_by(Kind.FORMER_ORGANIZER)
def former_organizer(record: StoredDocument) -> tuple[OrganizerFacts, datetime]:
    """An organizer that was deleted, and when."""
    document: Document = record.document
    was = StoredDocument(record.key, document["document"], record.version)
    return organizer(was), parse_time(document["until"])


def webhook_kind(account: str) -> str:
    """The kind of an account's webhooks: each account's are listed apart."""
    return f"webhook|{account}"


def webhook_document(webhook: Webhook) -> Document:
    """A webhook with its secrets, without account and name, which the record carries."""
    return to_document(webhook, exclude={"account", "name"})


def webhook(account: str, record: StoredDocument) -> Webhook:
    """The webhook of a record, with its secrets."""
    return from_document(Webhook, record.document, account=account, name=record.key)


def api_key_document(key: ApiKey) -> Document:
    """An API key: never the secret, only its hash."""
    return to_document(key, exclude={"id"})


@_read_by(Kind.API_KEY)
def api_key(record: StoredDocument) -> ApiKey:
    """The API key of a record."""
    key = from_document(ApiKey, record.document, id=record.key)
    return replace(key, actor=key.actor or key.name)
