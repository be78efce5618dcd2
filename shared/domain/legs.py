"""A leg: one participant's connection to a conference, as its bridge reported it."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LegKind(StrEnum):
    """What kind of connection a leg is. `voip` is free and never debited."""

    DIAL_IN = "dial_in"
    DIAL_OUT = "dial_out"
    VOIP = "voip"


class ServiceNumberKind(StrEnum):
    """An account's own conferencing number: who pays for the call to it."""

    TOLL = "toll"
    TOLL_FREE = "toll_free"


@dataclass(frozen=True, slots=True)
class EndedLeg:
    """A leg that ended, in our own words; what a dialect makes of a bridge's post.

    Times are aware UTC. `talk_seconds` is None when the bridge did not state it. `kind` is None
    when the service number has to tell.
    """

    bridge: str
    leg_id: str
    conference_id: str | None
    kind: LegKind | None
    from_number: str | None
    to_number: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    talk_seconds: int | None = None
    account: str | None = None
    organizer: str | None = None
    authorization: str | None = None
    hangup_cause: str | None = None

    @property
    def key(self) -> str:
        """`{bridge}~{leg_id}`: what makes a leg the same leg (CONTRACT 4)."""
        return f"{self.bridge}~{self.leg_id}"

    def content(self) -> dict[str, str | int | None]:
        """The facts whose change makes a conflict (CONTRACT 4), in a canonical shape."""
        return {
            "account": self.account,
            "answered_at": format_time(self.answered_at) if self.answered_at else None,
            "authorization": self.authorization,
            "conference": self.conference_id,
            "ended_at": format_time(self.ended_at),
            "from": self.from_number,
            "kind": self.kind.value if self.kind else None,
            "organizer": self.organizer,
            "started_at": format_time(self.started_at),
            "talk_seconds": self.talk_seconds,
            "to": self.to_number,
        }

    def digest(self) -> str:
        """SHA-256 of the content as canonical JSON, 64 hex digits."""
        return hashlib.sha256(canonical_json(self.content())).hexdigest()


def leg_key_hash(key: str) -> str:
    """SHA-256 of a leg key, hex: foreign ids never become row keys as they are."""
    return hashlib.sha256(key.encode()).hexdigest()


def canonical_json(value: object) -> bytes:
    """One spelling only: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`; microseconds only where there are any."""
    text = moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime:
    """The aware UTC time that `format_time` wrote."""
    return datetime.fromisoformat(text)
