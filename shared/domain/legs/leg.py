"""A leg: one participant's connection to a conference, as its bridge reported it."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain.common.canonical import canonical_json, content_digest, format_time, parse_time
from shared.domain.common.kinds import LegKind
from shared.domain.common.opaque import from_base64url, to_base64url

_DIGEST_VERSION = 2
_FIRST_DIGEST_FIELDS = (
    *("account", "answered_at", "authorization", "conference", "ended_at", "from", "kind"),
    *("organizer", "started_at", "talk_seconds", "to"),
)
"""The fields of digest version 1, which hashes an absent one as null. Never changed."""
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class EndedLeg:
    """A leg that ended, as a dialect read it from a bridge's post.

    `from_number` and `to_number` are the texts as received; `ResolvedLeg` has the numbers that they
    stand for. Times are aware UTC. `talk_seconds` is None when the bridge did not state it. `kind`
    is None when the service number has to tell. `to_candidates` are the texts that may be the
    number that a caller dialled, in order: the first that is a registered service number is that
    number; they are no content. Legs of earlier versions leave `to_number` out of them.
    `first_read` is (from, to) as the first release read the same record, where it chose others:
    only for digests. `flags` are put on its charge; they are no content.
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
    to_candidates: tuple[str, ...] = ()
    first_read: tuple[str | None, str | None] | None = None
    flags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`{bridge}~{leg_id}`: what makes a leg the same leg (docs/bridge-integration.md)."""
        return f"{self.bridge}~{self.leg_id}"

    def content(self) -> dict[str, str | int]:
        """The facts whose change makes a conflict, as received; absent ones are left out, so that
        a new optional field changes no digest of a leg without it (docs/bridge-integration.md)."""
        return {name: value for name, value in self.facts().items() if value is not None}

    def facts(self) -> dict[str, str | int | None]:
        """The content with null for what is absent."""
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
        """SHA-256 of the content and the version of this rule as canonical JSON, 64 hex digits."""
        return content_digest({"digest_version": _DIGEST_VERSION, **self.content()})

    def earlier_digests(self) -> tuple[str, ...]:
        """The digests by which earlier versions of the product know the same content."""
        facts = self.facts()
        first = {name: facts[name] for name in _FIRST_DIGEST_FIELDS}
        readings = [first]
        if self.first_read is not None:
            caller, called = self.first_read
            readings.append({**first, "from": caller, "to": called})
        return tuple(map(content_digest, readings))


@dataclass(frozen=True, slots=True)
class QueuedLeg:
    """A leg on its way to being rated. `attempt` counts how often we have put it onto the queue;
    it is part of the message's id, since the broker drops a repeated one."""

    leg: EndedLeg
    received_at: datetime
    attempt: int = 0

    @property
    def message_id(self) -> str:
        """Hash of leg key, content digest and attempt; under 128 characters (docs/ledger.md)."""
        return f"{leg_key_hash(self.leg.key)[:40]}.{self.leg.digest()[:40]}.{self.attempt}"


def encode_leg_key(key: str) -> str:
    """A leg key as it is shown: ids outside `[A-Za-z0-9._-]` as `{bridge}~~{base64url}`."""
    bridge, _, leg_id = key.partition("~")
    if _PLAIN_ID.fullmatch(leg_id):
        return key
    return f"{bridge}~~{to_base64url(leg_id.encode())}"


def decode_leg_key(shown: str) -> str:
    """The leg key behind what is shown; one that is written as it is stays as it is."""
    bridge, separator, coded = shown.partition("~~")
    if not separator:
        return shown
    try:
        return f"{bridge}~{from_base64url(coded).decode()}"
    except ValueError:
        return shown


def leg_document(leg: EndedLeg) -> dict[str, Any]:
    """All of a leg in plain JSON values: what goes onto the queue and into the parking lot."""
    return {
        **leg.facts(),
        "bridge": leg.bridge,
        "leg_id": leg.leg_id,
        "hangup_cause": leg.hangup_cause,
        **({"to_candidates": list(leg.to_candidates)} if leg.to_candidates else {}),
        **({"first_read": list(leg.first_read)} if leg.first_read else {}),
        **({"flags": list(leg.flags)} if leg.flags else {}),
    }


LEG_FIELDS = (
    *("leg_id", "conference_id", "kind", "from", "to", "account", "organizer_id"),
    *("started_at", "answered_at", "ended_at", "talk_seconds", "authorization", "hangup_cause"),
)
"""The names under which a leg is posted, in dialect `perminute`."""
_POSTED_NAMES = {"conference": "conference_id", "organizer": "organizer_id"}


def posted_leg(document: Mapping[str, Any]) -> dict[str, Any]:
    """A kept leg under the names by which legs are posted."""
    return {_POSTED_NAMES.get(name, name): value for name, value in document.items()}


def read_leg_document(data: Mapping[str, Any]) -> EndedLeg:
    """The leg that `leg_document` wrote. Raises KeyError, TypeError or ValueError on others."""
    return EndedLeg(
        bridge=_text(data["bridge"]),
        leg_id=_text(data["leg_id"]),
        conference_id=_optional(data["conference"]),
        kind=LegKind(data["kind"]) if data["kind"] is not None else None,
        from_number=_optional(data["from"]),
        to_number=_optional(data["to"]),
        started_at=parse_time(data["started_at"]),
        answered_at=parse_time(data["answered_at"]) if data["answered_at"] is not None else None,
        ended_at=parse_time(data["ended_at"]),
        talk_seconds=None if data["talk_seconds"] is None else int(data["talk_seconds"]),
        account=_optional(data["account"]),
        organizer=_optional(data["organizer"]),
        authorization=_optional(data["authorization"]),
        hangup_cause=_optional(data.get("hangup_cause")),
        to_candidates=tuple(_text(each) for each in data.get("to_candidates", ())),
        first_read=_pair(data["first_read"]) if data.get("first_read") else None,
        flags=tuple(_text(each) for each in data.get("flags", ())),
    )


def queued_leg_bytes(queued: QueuedLeg) -> bytes:
    """The body of a message on the queue `call-ended`."""
    return canonical_json(
        {
            "schema": 1,
            "received_at": format_time(queued.received_at),
            "attempt": queued.attempt,
            "leg": leg_document(queued.leg),
        }
    )


def read_queued_leg(body: bytes) -> QueuedLeg:
    """The leg in a message. Raises ValueError on what is none of ours, of a newer schema, or can't
    be hashed."""
    try:
        data = json.loads(body)
        if data["schema"] != 1:
            raise ValueError(f"schema {data['schema']!r} is not known")
        leg = read_leg_document(data["leg"])
        leg.key.encode()  # a lone surrogate would fail where it takes others down with it
        leg.digest()
        return QueuedLeg(leg, parse_time(data["received_at"]), int(data["attempt"]))
    except (KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"no queued leg: {error}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _pair(value: object) -> tuple[str | None, str | None]:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError("two texts were expected")
    return _optional(value[0]), _optional(value[1])


def leg_key_hash(key: str) -> str:
    """SHA-256 of a leg key, hex: foreign ids never become row keys as they are."""
    return hashlib.sha256(key.encode()).hexdigest()
