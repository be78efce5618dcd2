"""Customers' webhooks: permitted URLs, signatures, and the times of retries. The sender connects to
the address that was checked here, so that a second resolution of the name can't lead to another
address. The denied addresses go beyond `is_global`: Azure's own services answer on addresses that
appear public.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit, urlunsplit

from shared.domain.common import limits
from shared.domain.credits.alerts import EVENT_TYPES
from shared.domain.directory.request_signatures import sign_webhook

ALL_EVENTS = "*"
MAIL = "@mail"  # the target of an account's mail: no webhook can be called so
HTTPS_PORT = 443
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*", re.ASCII)
_URL = re.compile(r"[!-~]+", re.ASCII)
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# Names that never are public: RFC 6761, 6762 (appendix G), 7686 and 8375, and ICANN's `internal`
_PRIVATE_NAMES = frozenset(
    {
        *("localhost", "local", "internal", "test", "invalid", "onion", "arpa"),
        *("intranet", "private", "corp", "home", "lan"),
    }
)
_DENIED = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's wire server
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),  # Teredo among them, and 6to4
    )
)
# IPv6 is denied outside of this: IPv4 addresses that are embedded in it, NAT64, loopback, local.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})  # an IPv4 address follows in the interface id

type Address = IPv4Address | IPv6Address


class DeliveryStatus(StrEnum):
    """The status of a delivery. `dead`: tried for three days; `stopped`: its receiver answered
    410."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret; a rotated secret signs until its expiry."""

    text: str = field(repr=False)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """The target of an account's events. `events` are types, or `"*"`."""

    account: str
    name: str
    url: str
    events: tuple[str, ...]
    secrets: tuple[Secret, ...]
    created_at: datetime

    def wants(self, kind: str) -> bool:
        """True if the webhook gets events of this type."""
        return ALL_EVENTS in self.events or kind in self.events


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of one event to one receiver. `next_at` is None once the delivery has ended."""

    account: str
    target: str
    event: str
    type: str
    body: bytes = field(repr=False)
    accepted_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    first_at: datetime | None = None
    next_at: datetime | None = None
    ended_at: datetime | None = None
    answer: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ReceiverResponse:
    """The response of a receiver: an HTTP status, or None and the reason for the missing
    response."""

    status: int | None
    error: str | None = None

    @property
    def taken(self) -> bool:
        """True for 2xx. A redirect is no success and is not followed."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """True if the receiver unsubscribed by 410."""
        return self.status == 410


def place_of(event_id: str) -> tuple[int, int]:
    """(commit, number) of an event's id. These order the events of an account.

    Raises ValueError for a text that is no such id.
    """
    _, commit, number = event_id.rsplit(":", 2)
    return int(commit), int(number)


def unknown_events(events: Sequence[str]) -> list[str]:
    """The names that are neither an event type nor `"*"`."""
    return [kind for kind in events if kind != ALL_EVENTS and kind not in EVENT_TYPES]


def url_fault(url: str, *, allow_loopback: bool) -> str | None:
    """The reason for which a URL is refused as a webhook, or None. Every delivery checks the
    addresses of its host name again."""
    if len(url) > limits.WEBHOOK_URL_CHARS_MAX or not _URL.fullmatch(url):
        return f"must have at most {limits.WEBHOOK_URL_CHARS_MAX} printable ASCII characters"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return "is no URL"
    if parts.username is not None or parts.password is not None or "#" in url or "\\" in url:
        return "must have no user, password or fragment"
    if allow_loopback and parts.scheme in {"http", "https"} and host in _LOOPBACK_NAMES:
        return None
    if parts.scheme != "https":
        return "must begin with https://"
    if port not in {None, HTTPS_PORT}:
        return "must use port 443"
    return host_fault(host, allow_loopback=allow_loopback)


def host_fault(host: str, *, allow_loopback: bool) -> str | None:
    """The reason for which a host name is refused as a receiver's, or None."""
    try:
        address = ip_address(host)
    except ValueError:
        pass
    else:
        return address_fault(address, allow_loopback=allow_loopback)
    labels = host.removesuffix(".").split(".")
    # Resolvers read 127.1, 0x7f000001 and 2130706433 as addresses.
    if not all(_LABEL.fullmatch(label) for label in labels) or _NUMBER.fullmatch(labels[-1]):
        return "must name a host"
    if len(host) > limits.HOST_CHARS_MAX:
        return "must name a host"
    if len(labels) < 2 or labels[-1].lower() in _PRIVATE_NAMES:
        return "must name a public host"
    return None


def address_fault(address: Address, *, allow_loopback: bool) -> str | None:
    """The reason for which an address is refused, or None."""
    if allow_loopback and address.is_loopback:
        return None
    if (
        not address.is_global
        or any(address.version == network.version and address in network for network in _DENIED)
        or (isinstance(address, IPv6Address) and not _is_plain_global(address))
    ):
        return "is no public address"
    return None


def _is_plain_global(address: IPv6Address) -> bool:
    """True if the address has no zone and embeds no IPv4 address."""
    return (
        address.scope_id is None
        and address in _GLOBAL_UNICAST
        and int(address) >> 32 & 0xFFFF_FFFF not in _ISATAP
    )


def masked_url(url: str) -> str:
    """The URL without possible secrets: user, password and query are `***`."""
    parts = urlsplit(url)
    _, at, host = parts.netloc.rpartition("@")
    netloc = f"***@{host}" if at else host
    return urlunsplit((parts.scheme, netloc, parts.path, "***" if parts.query else "", ""))


def pause_after(attempts: int, jitter: float) -> timedelta:
    """The pause after a number of failed attempts; `jitter` is between 0 and 1."""
    pauses = limits.WEBHOOK_PAUSE_SECONDS
    seconds = pauses[min(attempts, len(pauses)) - 1]
    return timedelta(seconds=seconds * (0.9 + 0.2 * jitter) if attempts > 1 else seconds)


def has_lasted(delivery: Delivery, now: datetime) -> bool:
    """True if the delivery was tried for the maximum time."""
    first = delivery.first_at or now
    return now - first >= timedelta(seconds=limits.WEBHOOK_LIFE_SECONDS)


def keeps_order_until(delivery: Delivery, now: datetime) -> datetime:
    """The time until which later events wait for this one: an hour after its first attempt."""
    return (delivery.first_at or now) + timedelta(seconds=limits.WEBHOOK_ORDER_SECONDS)


def valid_secrets(secrets: Sequence[Secret], now: datetime) -> tuple[Secret, ...]:
    """The secrets that sign at a time, the newest first; at most two."""
    valid = (secret for secret in secrets if secret.until is None or secret.until > now)
    return tuple(valid)[: limits.WEBHOOK_SECRETS_MAX]


def rotated(secrets: Sequence[Secret], text: str, now: datetime) -> tuple[Secret, ...]:
    """The secrets after a rotation: the newest former one signs together with the new one for a
    day, older ones are discarded."""
    until = now + timedelta(seconds=limits.WEBHOOK_OVERLAP_SECONDS)
    kept = valid_secrets(secrets, now)[: limits.WEBHOOK_SECRETS_MAX - 1]
    return (Secret(text), *(replace(each, until=each.until or until) for each in kept))


def signed_headers(
    secrets: Sequence[Secret], event_id: str, body: bytes, now: datetime
) -> Mapping[str, str]:
    """Standard Webhooks: id, timestamp, and a signature by every secret that is valid now."""
    timestamp = int(now.timestamp())
    valid = valid_secrets(secrets, now)
    signatures = [sign_webhook(secret.text, event_id, timestamp, body) for secret in valid]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
