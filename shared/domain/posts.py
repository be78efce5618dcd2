"""What a bridge posted, and what a dialect makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.legs import EndedLeg


@dataclass(frozen=True, slots=True)
class BridgePost:
    """An authenticated request of a bridge. Header names are lower case, `body` is as received."""

    bridge: str
    body: bytes = field(repr=False)
    content_type: str = "application/json"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record that is no conference leg: answered, and not kept."""

    leg_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that its bridge would not send again and that we can't read: it is parked."""

    leg_id: str | None
    detail: str
    original: bytes = field(repr=False)


type ParsedLeg = EndedLeg | Ignored | Unreadable
