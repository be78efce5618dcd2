"""Legs that could not be charged: kept with their reason, corrected, replayed, charged once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.legs.leg import EndedLeg, leg_key_hash


class ParkReason(StrEnum):
    """The reason for which a leg is parked. Each reason has a correction: of the card, the mapping
    or the leg; replay the leg after it."""

    UNREADABLE = "unreadable"
    INCOMPLETE = "incomplete"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_AMBIGUOUS = "account_ambiguous"
    INCONSISTENT = "inconsistent"
    KIND_UNKNOWN = "kind_unknown"
    NUMBER_INVALID = "number_invalid"
    RATE_MISSING = "rate_missing"
    CURRENCY_MISMATCH = "currency_mismatch"
    CONFLICT = "conflict"
    AUTHORIZATION_USED = "authorization_used"
    SETTINGS_UNREADABLE = "settings_unreadable"


WAYS_OUT: Mapping[ParkReason, str] = {
    ParkReason.UNREADABLE: "Replay with the whole leg, or dismiss the post.",
    ParkReason.INCOMPLETE: "Wait for the missing event, or replay with the whole leg.",
    ParkReason.ACCOUNT_UNKNOWN: (
        "Register the conference or the service number, or name the account. Then replay the leg."
    ),
    ParkReason.ACCOUNT_AMBIGUOUS: "Name the account, or end a registration. Then replay the leg.",
    ParkReason.INCONSISTENT: "Correct the times of the leg, and replay the leg.",
    ParkReason.KIND_UNKNOWN: "State the kind, or register the number. Then replay the leg.",
    ParkReason.NUMBER_INVALID: "Correct the number, and replay the leg.",
    ParkReason.RATE_MISSING: (
        "Add the rate with backdate, or correct the number. Then replay the leg."
    ),
    ParkReason.CURRENCY_MISMATCH: (
        "Give the account a rate card in its currency. Then replay the leg."
    ),
    ParkReason.CONFLICT: "Compare both versions. Dismiss the leg, or charge it under another id.",
    ParkReason.AUTHORIZATION_USED: (
        "Dismiss the leg. If it was a separate call, replay it without the authorization."
    ),
    ParkReason.SETTINGS_UNREADABLE: "Store the named setting again. Then replay the leg.",
}
"""The recommended action for a parked leg, by reason."""


class ParkStatus(StrEnum):
    """The status of a parked leg."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class ParkedLeg:
    """A leg in the parking lot. `original` is the leg as plain JSON values, or, where it could not
    be read, the text that was posted.

    `charged_as` is the key under which the leg was, or is to be, charged where that is not its own
    key. It is set once, before the charge, so that the leg is charged once. `note` is the reason of
    its dismissal; `announced`: the event was emitted.
    """

    id: str
    leg: str
    bridge: str
    reason: ParkReason
    detail: str
    received_at: datetime
    account: str | None = None
    original: Mapping[str, object] = field(default_factory=dict, hash=False)
    attempts: int = 1
    status: ParkStatus = ParkStatus.OPEN
    actor: str | None = None
    charged_as: str | None = None
    note: str | None = None
    announced: bool = False


def parked_id(leg: EndedLeg) -> str:
    """Leg key and content digest: the same leg with the same content is parked once."""
    return f"{leg_key_hash(leg.key)[:32]}.{leg.digest()[:32]}"


def earlier_parked_ids(leg: EndedLeg) -> tuple[str, ...]:
    """The ids under which earlier versions of the product parked the same content."""
    key = leg_key_hash(leg.key)[:32]
    return tuple(f"{key}.{digest[:32]}" for digest in leg.earlier_digests())


def unreadable_id(bridge: str, leg_id: str | None, original: bytes) -> str:
    """As `parked_id`, of a post that could not be read."""
    content = hashlib.sha256(original).hexdigest()
    key = f"{bridge}~{leg_id if leg_id is not None else content}"
    return f"{leg_key_hash(key)[:32]}.{content[:32]}"
