"""Leg assembly: a call whose leg is reported in several events (DESIGN 4).

A dialect reads each post into events and makes legs of all the events of a call. Both are pure. The
order and the repetition of events do not matter.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.common.canonical import canonical_json, content_digest
from shared.domain.legs.bridge_payloads import ParsedLeg, Undecided
from shared.domain.legs.leg import EndedLeg, leg_key_hash

CONFERENCE = "conference"
"""Facts without which a leg is charged nevertheless, with the flag `conference_unknown`."""
CONFERENCE_UNKNOWN = "conference_unknown"
MEETING_DIALECTS = frozenset({"bigbluebutton", "jitsi"})
"""The dialects of bridges that report meetings, which the legs of other bridges join."""


@dataclass(frozen=True, slots=True)
class DialectSettings:
    """The settings of a bridge that its dialect reads."""

    bridge: str
    country: str | None = None
    outbound_contexts: frozenset[str] = frozenset()
    service_number: str | None = None


@dataclass(frozen=True, slots=True)
class CallEvent:
    """An event of the call `call`. `facts` are plain JSON values, all that its dialect needs.
    `ends`: it ends a leg, which then waits for missing facts. `leg_id` names the leg in answers.
    `id` is the digest of the facts: an event that is repeated is the same event.
    """

    call: str
    leg_id: str
    facts: Mapping[str, object] = field(hash=False)
    ends: bool = False
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", content_digest({"ends": self.ends, "facts": self.facts}))


@dataclass(frozen=True, slots=True)
class Complete:
    """A leg that can be charged. `uses` are the ids of the events that it was made of, `ended_by`
    the one that ended it. The leg waits for the facts in `lacks`, then continues without them.
    `slot` is the leg id under which it waited, where that is another one."""

    leg: EndedLeg | Undecided
    uses: frozenset[str]
    ended_by: str
    lacks: tuple[str, ...] = ()
    slot: str | None = None

    @property
    def leg_id(self) -> str:
        """The leg's id at its bridge."""
        return self.ended_leg.leg_id

    @property
    def lacking(self) -> tuple[str, ...]:
        """The missing facts."""
        return self.lacks

    def key(self, bridge: str) -> str:
        """The leg's key; its bridge may be another than the one of the call."""
        return self.ended_leg.key

    @property
    def ended_leg(self) -> EndedLeg:
        """The leg itself."""
        return self.leg.leg if isinstance(self.leg, Undecided) else self.leg


@dataclass(frozen=True, slots=True)
class Waiting:
    """A leg that can't be charged before the facts in `missing` are known. `ended_by` None: the leg
    has not ended. `known` are its fields so far, under the names of `leg_document`."""

    leg_id: str
    missing: tuple[str, ...]
    uses: frozenset[str]
    ended_by: str | None = None
    known: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The missing facts."""
        return self.missing

    def key(self, bridge: str) -> str:
        """The leg's key."""
        return f"{bridge}~{self.leg_id}"


def event_bytes(bridge: str, event: CallEvent) -> bytes:
    """An event as the archive keeps it."""
    return canonical_json(
        {
            "bridge": bridge,
            "call": event.call,
            "leg_id": event.leg_id,
            "ends": event.ends,
            "facts": event.facts,
        }
    )


def read_event(body: bytes) -> tuple[str, CallEvent]:
    """(bridge, event) from the archive."""
    data = json.loads(body)
    return data["bridge"], CallEvent(data["call"], data["leg_id"], data["facts"], data["ends"])


type Assembled = Complete | Waiting
type Posted = ParsedLeg | CallEvent


def incomplete_id(bridge: str, leg_id: str) -> str:
    """The id of a parked leg whose wait ended without the facts: one for each leg."""
    key = leg_key_hash(f"{bridge}~{leg_id}")[:32]
    return f"{key}.{content_digest({'reason': 'incomplete'})[:32]}"
