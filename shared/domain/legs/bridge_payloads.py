"""The post of a bridge, and the result of a dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.legs.leg import EndedLeg


@dataclass(frozen=True, slots=True)
class BridgePayload:
    """An authenticated request of a bridge. Header names are lower case, `body` is as received;
    `country` is the country of the bridge, as far as it is known."""

    bridge: str
    body: bytes = field(repr=False)
    content_type: str = "application/json"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record that is no conference leg: acknowledged, and not stored."""

    leg_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An unreadable record. It is parked, since its bridge would not send a corrected one."""

    leg_id: str | None
    detail: str
    original: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Undecided:
    """An answered leg that reached no conference: a leg where a number that was called is a
    registered service number, else ignored for `why`."""

    leg: EndedLeg
    why: str


type ParsedLeg = EndedLeg | Ignored | Undecided | Unreadable
