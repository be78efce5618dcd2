"""Registered facts: accounts, conferences, service numbers, bridges, API keys.

Conferences and service numbers are effective-dated, since rooms and numbers are reused: each has
its registrations in the order of their start, and the first one applies from the beginning of time.
A service number is assigned to one account at a time; a conference is registered by each account
for itself, and several may claim the same one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.common import limits
from shared.domain.common.errors import Conflict
from shared.domain.common.kinds import ServiceNumberKind
from shared.domain.credits.alerts import AlertRule, MinutesRule, SpendRule
from shared.domain.credits.recharge import AutoRecharge
from shared.domain.directory.access import ALL_ACCOUNTS, Role
from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth


class OnOutage(StrEnum):
    """The behavior of a bridge at a dial-out that Perminute does not answer."""

    DENY = "deny"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """The settings of an account; amounts in micros. `emails` get alerts as mail, in `language`,
    `en` or `fr`. Each of its `subscription_licenses` brings an hour a month to the pool of included
    minutes. `carrier_card` prices what its calls cost in purchasing. `alerts` watch the balance,
    `minutes_rules` the open calls, `spend_rules` the charges; `alert_order` has the names of all as
    they were stated."""

    currency: str
    name: str | None = None
    usage_location: str | None = None
    time_zone: str = "UTC"
    credit_limit_micros: int = 0
    rate_card: str = "default"
    alerts: tuple[AlertRule, ...] = ()
    auto_recharge: AutoRecharge | None = None
    emails: tuple[str, ...] = ()
    language: str = "en"
    subscription_licenses: int = 0
    carrier_card: str | None = None
    minutes_rules: tuple[MinutesRule, ...] = ()
    spend_rules: tuple[SpendRule, ...] = ()
    alert_order: tuple[str, ...] = ()

    @property
    def cards(self) -> tuple[str, ...]:
        """The rate cards that the account uses."""
        return (self.rate_card, *filter(None, (self.carrier_card,)))


@dataclass(frozen=True, slots=True)
class Account:
    """An organization that holds credits. `shard` names its storage account permanently;
    `settings_version` counts the changes of `settings`."""

    id: str
    settings: AccountSettings
    settings_version: int
    created_at: datetime
    shard: str = "0"


@dataclass(frozen=True, slots=True)
class Registration:
    """From `since` on (None: from the beginning of time) a conference or a service number belongs
    to `account`, "" for no account. Conferences have an organizer, numbers a kind."""

    account: str
    since: datetime | None
    organizer: str | None = None
    kind: ServiceNumberKind | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """The address to which signals about a bridge's calls are posted, signed with each of the
    secrets."""

    url: str
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeOptions:
    """The options of a bridge.

    `assumed_seconds` is the assumed length of a call, for a bridge that requests once and never
    extends. None: the bridge extends, and a grant covers one slice at a time. The requests of a
    `disabled` bridge are refused like wrong credentials.

    For dialects: `public_url` is the URL that the vendor calls and signs, without its query;
    `wait_seconds` is the time that an ended leg waits for missing facts; `outbound_contexts` are
    the dial plan contexts of dial-outs (Asterisk). `service_number` is the number that callers dial
    (Zoom); `meetings_from` names the bridge that reports the meetings of this one's legs.
    """

    default_account: str | None = None
    country: str | None = None
    on_outage: OnOutage = OnOutage.DENY
    assumed_seconds: int | None = None
    disabled: bool = False
    public_url: str | None = None
    wait_seconds: int = limits.WAIT_SECONDS_DEFAULT
    outbound_contexts: tuple[str, ...] = ()
    service_number: str | None = None
    meetings_from: str | None = None
    control: Control | None = None


@dataclass(frozen=True, slots=True)
class Bridge(BridgeOptions):
    """A conferencing system. `accounts` holds `"*"` or the ids that it acts for."""

    id: str
    dialect: str
    auth: BridgeAuth
    accounts: frozenset[str]

    def serves(self, account: str) -> bool:
        """True if the bridge may act for the account."""
        return ALL_ACCOUNTS in self.accounts or account in self.accounts


@dataclass(frozen=True, slots=True)
class BridgeInput(BridgeOptions):
    """The settings of a bridge; `secrets`, also those of `control`, None or (): keep the existing
    ones, or create one."""

    dialect: str
    scheme: AuthScheme
    username: str | None
    secrets: tuple[str, ...] | None
    accounts: frozenset[str]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key: its hash, never the secret. `actor` is its name in the ledger and the audit
    log, which no other key has."""

    id: str
    name: str
    roles: frozenset[Role]
    accounts: frozenset[str]
    secret_hash: str
    created_at: datetime
    expires_at: datetime | None = None
    actor: str = ""

    def has_expired(self, now: datetime) -> bool:
        """True if the key is revoked or expired."""
        return self.expires_at is not None and self.expires_at <= now


def shard_for(account: str, shards: int) -> str:
    """The number of the storage account, of `shards`, for a new account's ledger."""
    digest = hashlib.sha256(account.encode()).digest()
    return str(int.from_bytes(digest[:4]) % shards)


def registration_at(history: Sequence[Registration], moment: datetime) -> Registration | None:
    """The registration in force at `moment`; None where none has begun, or it has ended."""
    in_force = None
    for registration in history:
        if registration.since is None or registration.since <= moment:
            in_force = registration
    return in_force if in_force is not None and in_force.account else None


def claims_at(
    histories: Mapping[str, Sequence[Registration]], moment: datetime
) -> list[Registration]:
    """The registrations of a conference in force at `moment`, one for each account that has one."""
    in_force = (registration_at(histories[account], moment) for account in sorted(histories))
    return [registration for registration in in_force if registration is not None]


def of_account(history: Sequence[Registration], account: str) -> tuple[Registration, ...]:
    """The part of a shared history that concerns one account."""
    in_force: list[Registration] = []
    for item in history:
        if item.account == account:
            in_force.append(item)
        elif in_force and in_force[-1].account:
            in_force.append(Registration("", item.since))
    return tuple(in_force)


def register(
    history: Sequence[Registration],
    registration: Registration,
    since: datetime,
    *,
    is_taken_over: bool = False,
) -> tuple[Registration, ...]:
    """The history once `registration` holds from `since` on, until the next registration after it.

    The first one applies from the beginning of time, with any `since`, unless it is taken over from
    another account. One with the same `since` is replaced; one equal to the registration in force
    is left out. Raises Conflict `too_many_registrations`.
    """
    if not history:
        return (_dated(registration, since if is_taken_over else None),)
    before = tuple(r for r in history if r.since is None or r.since < since)
    after = tuple(r for r in history if r.since is not None and r.since > since)
    changed = (
        before
        if before and _is_same(before[-1], registration)
        else (*before, _dated(registration, since))
    )
    if len(changed) + len(after) > limits.REGISTRATIONS_MAX:
        raise Conflict(
            f"The id has {limits.REGISTRATIONS_MAX} registrations. Use another id.",
            code="too_many_registrations",
        )
    return changed + after


def end(
    history: Sequence[Registration], account: str, moment: datetime
) -> tuple[Registration, ...]:
    """The history once `account` has nothing from `moment` on; earlier registrations remain."""
    kept = [r for r in history if r.since is None or r.since <= moment or r.account != account]
    current = registration_at(history, moment)
    if current is not None and current.account == account:
        place = sum(r.since is None or r.since <= moment for r in kept)
        kept.insert(place, Registration("", moment))
    return tuple(kept)


def accounts_from(history: Sequence[Registration], moment: datetime) -> frozenset[str]:
    """The accounts that the history names at `moment` or later; a change of the history concerns
    their rights."""
    current = registration_at(history, moment)
    later = (r.account for r in history if r.account and r.since is not None and r.since > moment)
    return frozenset([*later, *([current.account] if current else [])])


def _is_same(left: Registration, right: Registration) -> bool:
    return (left.account, left.organizer, left.kind) == (
        right.account,
        right.organizer,
        right.kind,
    )


def _dated(registration: Registration, since: datetime | None) -> Registration:
    return Registration(registration.account, since, registration.organizer, registration.kind)
