"""Audit log entries of changed settings: each setting as the API returns it, without secrets."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.domain.common.errors import PerminuteError
from shared.domain.delivery.webhooks import masked_url
from shared.ports.audit import Action, Change
from shared.ports.records import StoredDocument
from shared.usecases.directory import codecs
from shared.usecases.directory.codecs import Kind

type JsonBody = dict[str, object]

_WEBHOOK = "webhook"
_NOT_SETTINGS = frozenset({"etag", "id"})
_NOT_SET = {Kind.API_KEY: frozenset({"last_used_at"}), _WEBHOOK: frozenset({"status"})}
# Written just before the removal, or before each row of a load, which are logged themselves.
_LOGGED_OTHERWISE = frozenset({Kind.FORMER_ORGANIZER, Kind.FORMER_BRIDGE, Kind.LOAD})
_REGISTERED = {
    Kind.CONFERENCE: "conference",
    codecs.CONFERENCE_OF_ACCOUNT: "conference",
    Kind.SERVICE_NUMBER: "number",
}


def described(
    kind: str, before: StoredDocument | None, after: StoredDocument | None
) -> list[Change]:
    """A change of a document of the directory for each account that it is about."""
    record = after or before
    assert record is not None, "a change has a document before or after it"
    name, _, owner = kind.partition("|")
    if name in _REGISTERED:
        return _registrations(name, before, after)
    if name in _LOGGED_OTHERWISE:
        return []
    account, key = _place(name, owner, record.key)
    shown_before, shown_after = _shown(name, owner, before), _shown(name, owner, after)
    if shown_before and shown_after and _secrets(before) != _secrets(after):
        shown_after["secrets_changed"] = True
    return [Change(_action(before, after), name, key, account, shown_before, shown_after)]


def _place(name: str, owner: str, key: str) -> tuple[str | None, str]:
    """(account, displayed key)."""
    if name == _WEBHOOK:
        return owner, key
    if name in {Kind.ORGANIZER, Kind.ERASURE}:
        account, _, rest = key.partition("|")
        return account, rest if name == Kind.ORGANIZER else account
    return (key if name in {Kind.ACCOUNT, Kind.DIAL_OUT_POLICY} else None), key


def _shown(name: str, owner: str, record: StoredDocument | None) -> JsonBody | None:
    if record is None:
        return None
    try:
        body = _body(name, owner, record)
    except (KeyError, ValueError, TypeError, AttributeError, PerminuteError):
        # It can still be replaced and removed.
        return {"unreadable": True}
    hidden = _NOT_SETTINGS | _NOT_SET.get(name, frozenset())
    return {field: value for field, value in body.items() if field not in hidden}


def _registrations(
    name: str, before: StoredDocument | None, after: StoredDocument | None
) -> list[Change]:
    """For each account whose registrations differ, its own."""
    was, now = _of_accounts(name, before), _of_accounts(name, after)
    record = after or before
    key = str(record.document.get("conference", record.key)) if record else ""
    kind = Kind.CONFERENCE if name == codecs.CONFERENCE_OF_ACCOUNT else name
    return [
        Change(_action(was.get(each), now.get(each)), kind, key, each, was.get(each), now.get(each))
        for each in sorted({*was, *now})
        if was.get(each) != now.get(each)
    ]


def _of_accounts(name: str, record: StoredDocument | None) -> dict[str, JsonBody]:
    from shared.contracts.directory.registrations import registrations_body

    history = codecs.registrations(record) if record else ()
    dropped = {*_NOT_SETTINGS, "account", _REGISTERED[name]}
    return {
        account: {
            field: value
            for field, value in registrations_body(
                _REGISTERED[name], "", account, history, ""
            ).items()
            if field not in dropped
        }
        for account in {item.account for item in history if item.account}
    }


def _action(before: object, after: object) -> Action:
    if before is None:
        return Action.CREATED
    return Action.DELETED if after is None else Action.CHANGED


def _secrets(record: StoredDocument | None) -> object:
    document: Mapping[str, Any] = record.document if record else {}
    auth, control = document.get("auth") or {}, document.get("control") or {}
    return document.get("secrets"), auth.get("secrets"), control.get("secrets")


def _body(name: str, owner: str, record: StoredDocument) -> JsonBody:
    """A setting as the API returns it."""
    from shared.contracts.delivery.webhooks import webhook_body
    from shared.contracts.dial_out.policy import organizer_body, policy_body
    from shared.contracts.directory.accounts import settings_body
    from shared.contracts.directory.bridges_and_keys import api_key_body, bridge_body
    from shared.contracts.proof.keys import proof_key_body

    match name:
        case Kind.ACCOUNT:
            return settings_body(codecs.account(record))
        case Kind.ORGANIZER:
            return organizer_body(codecs.organizer(record))
        case Kind.DIAL_OUT_POLICY:
            return policy_body(codecs.policy(record))
        case Kind.BRIDGE:
            bridge = codecs.bridge(record)
            if control := bridge.control:
                bridge = replace(bridge, control=replace(control, url=masked_url(control.url)))
            return bridge_body(bridge, "", None)
        case Kind.API_KEY:
            return api_key_body(codecs.api_key(record), None)
        case Kind.PROOF_KEY:
            return proof_key_body(codecs.proof_key(record))
        case Kind.ERASURE:
            return dict(record.document)
        case _:
            assert name == _WEBHOOK, f"documents of kind {name} have no body"
            hook = codecs.webhook(owner, record)
            return webhook_body(hook, "", stopped=False, masked=True, new_secret=None)
