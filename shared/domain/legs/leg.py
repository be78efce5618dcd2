"""A leg: one participant's connection to a conference, as its bridge reported it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any

from shared.domain.common import limits
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


class LegFieldType(StrEnum):
    """The type of a leg's field: what a bridge may post, and how the value is kept."""

    FOREIGN_ID = "foreign_id"
    ACCOUNT = "account"
    NUMBER = "number"
    KIND = "kind"
    TIME = "time"
    SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class LegField:
    """A field of a leg: its parser, its place on the queue and its description derive from this.

    `attribute` is the name in `EndedLeg`, `stored` the name on the queue and in the digest. A field
    that is no content changes no digest. A mandatory field has to be posted; answered_at may be
    null.
    """

    type: LegFieldType
    attribute: str
    stored: str
    is_content: bool = True
    is_mandatory: bool = False
    is_nullable: bool = True


_Type = LegFieldType
LEG_FIELDS = {
    "leg_id": LegField(_Type.FOREIGN_ID, "leg_id", "leg_id", False, True, False),
    "conference_id": LegField(_Type.FOREIGN_ID, "conference_id", "conference"),
    "kind": LegField(_Type.KIND, "kind", "kind"),
    "from": LegField(_Type.NUMBER, "from_number", "from"),
    "to": LegField(_Type.NUMBER, "to_number", "to"),
    "account": LegField(_Type.ACCOUNT, "account", "account"),
    "organizer_id": LegField(_Type.FOREIGN_ID, "organizer", "organizer"),
    "started_at": LegField(_Type.TIME, "started_at", "started_at", True, True, False),
    "answered_at": LegField(_Type.TIME, "answered_at", "answered_at", True, True),
    "ended_at": LegField(_Type.TIME, "ended_at", "ended_at", True, True, False),
    "talk_seconds": LegField(_Type.SECONDS, "talk_seconds", "talk_seconds"),
    "authorization": LegField(_Type.FOREIGN_ID, "authorization", "authorization"),
    "hangup_cause": LegField(_Type.FOREIGN_ID, "hangup_cause", "hangup_cause", False),
}
"""The fields by the names under which a leg is posted, in dialect `perminute`."""
_POSTED_NAMES = {field.stored: name for name, field in LEG_FIELDS.items()}
_ABSENT = {each.stored: None for each in LEG_FIELDS.values() if not each.is_mandatory}
_CONTENT = [each.stored for each in LEG_FIELDS.values() if each.is_content]
_content_of = attrgetter(*(each.attribute for each in LEG_FIELDS.values() if each.is_content))


@dataclass(frozen=True, slots=True)
class EndedLeg:
    """A leg that ended, as a dialect read it from a bridge's post.

    `from_number` and `to_number` are the texts as received; `ResolvedLeg` has the normalized
    numbers. Times are aware UTC. `talk_seconds` is None when the bridge did not state it. `kind` is
    None when the service number determines it. `to_candidates` are the texts that may be the number
    that a caller dialled, in order: the first that is a registered service number is that number;
    they are no content. Legs of earlier versions leave `to_number` out of them. `first_read` is
    (from, to) as the first release read the same record, where it chose others: only for digests.
    `flags` are put on its charge; they are no content.
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
        """`{bridge}~{leg_id}`, the identity of a leg (docs/leg-fields.md)."""
        return f"{self.bridge}~{self.leg_id}"

    def content(self) -> dict[str, str | int]:
        """The facts whose change makes a conflict, as received; absent ones are left out, so that
        a new optional field changes no digest of a leg without it (docs/leg-fields.md)."""
        return {name: value for name, value in self.facts().items() if value is not None}

    def facts(self) -> dict[str, str | int | None]:
        """The content with null for absent facts."""
        return dict(zip(_CONTENT, map(_plain, _content_of(self)), strict=True))

    def digest(self) -> str:
        """SHA-256 of the content and the version of this rule as canonical JSON, 64 hex digits."""
        return _digest_of(self)

    def earlier_digests(self) -> tuple[str, ...]:
        """The digests by which earlier versions of the product know the same content."""
        facts = self.facts()
        first = {name: facts[name] for name in _FIRST_DIGEST_FIELDS}
        readings = [first]
        if self.first_read is not None:
            caller, called = self.first_read
            readings.append({**first, "from": caller, "to": called})
        return tuple(map(content_digest, readings))


@lru_cache(maxsize=limits.LEG_DIGESTS_CACHED_MAX)
def _digest_of(leg: EndedLeg) -> str:
    """The digest of a content, cached: a leg is hashed when it is read, claimed, and debited."""
    return content_digest({"digest_version": _DIGEST_VERSION, **leg.content()})


@dataclass(frozen=True, slots=True)
class QueuedLeg:
    """A leg on its way to being rated. `attempt` counts how often the leg was put onto the queue;
    it is part of the message's id, since the broker drops a repeated one."""

    leg: EndedLeg
    received_at: datetime
    attempt: int = 0

    @property
    def message_id(self) -> str:
        """Hash of leg key, content digest and attempt; under 128 characters (docs/ledger.md)."""
        return f"{leg_key_hash(self.leg.key)[:40]}.{self.leg.digest()[:40]}.{self.attempt}"


def encode_leg_key(key: str) -> str:
    """The displayed form of a leg key: ids outside `[A-Za-z0-9._-]` as `{bridge}~~{base64url}`."""
    bridge, _, leg_id = key.partition("~")
    if _PLAIN_ID.fullmatch(leg_id):
        return key
    return f"{bridge}~~{to_base64url(leg_id.encode())}"


def decode_leg_key(shown: str) -> str:
    """The leg key of a displayed text; a text that is a key already is unchanged."""
    bridge, separator, coded = shown.partition("~~")
    if not separator:
        return shown
    try:
        return f"{bridge}~{from_base64url(coded).decode()}"
    except ValueError:
        return shown


def leg_document(leg: EndedLeg) -> dict[str, Any]:
    """A leg in plain JSON values, as stored on the queue and in the parking lot."""
    return {
        **leg.facts(),
        "bridge": leg.bridge,
        "leg_id": leg.leg_id,
        "hangup_cause": leg.hangup_cause,
        **({"to_candidates": list(leg.to_candidates)} if leg.to_candidates else {}),
        **({"first_read": list(leg.first_read)} if leg.first_read else {}),
        **({"flags": list(leg.flags)} if leg.flags else {}),
    }


def posted_leg(document: Mapping[str, Any]) -> dict[str, Any]:
    """A kept leg under the names by which legs are posted."""
    return {_POSTED_NAMES.get(name, name): value for name, value in document.items()}


def read_leg_document(data: Mapping[str, Any]) -> EndedLeg:
    """The leg that `leg_document` wrote. Raises KeyError, TypeError or ValueError on others."""
    kept = {**_ABSENT, **data}  # legs of earlier versions lack later fields
    fields: dict[str, Any] = {
        each.attribute: _read_field(each, kept[each.stored]) for each in LEG_FIELDS.values()
    }
    return EndedLeg(
        bridge=_text(data["bridge"]),
        **fields,
        to_candidates=tuple(_text(each) for each in data.get("to_candidates", ())),
        first_read=_pair(data["first_read"]) if data.get("first_read") else None,
        flags=tuple(_text(each) for each in data.get("flags", ())),
    )


def queued_leg_bytes(queued: QueuedLeg) -> bytes:
    """A leg on the queue `call-ended` and in the archive: schema 1."""
    return canonical_json(
        {
            "schema": 1,
            "received_at": format_time(queued.received_at),
            "attempt": queued.attempt,
            "leg": leg_document(queued.leg),
        }
    )


def queued_legs_bytes(encoded: Sequence[bytes]) -> bytes:
    """The body of a message that carries several legs, each as encoded by `queued_leg_bytes`:
    schema 2. The body of a message with one leg is the leg."""
    return encoded[0] if len(encoded) == 1 else b'{"legs":[%b],"schema":2}' % b",".join(encoded)


def read_queued_leg(body: bytes) -> QueuedLeg:
    """The leg in a message of one. Raises ValueError as `read_queued_legs`."""
    return _read_queued_leg(_loaded(body))


def read_queued_legs(body: bytes) -> list[QueuedLeg]:
    """The legs in a message, one at least. Raises ValueError for a foreign message, a newer schema,
    or one that can't be hashed."""
    data = _loaded(body)
    if not isinstance(data, dict) or data.get("schema") != 2:
        return [_read_queued_leg(data)]
    legs = data.get("legs")
    if not isinstance(legs, list) or not legs:
        raise ValueError("no queued legs")
    return [_read_queued_leg(each) for each in legs]


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError(f"no queued leg: {error}") from error


def _read_queued_leg(data: Any) -> QueuedLeg:
    try:
        if data["schema"] != 1:
            raise ValueError(f"schema {data['schema']!r} is not known")
        leg = read_leg_document(data["leg"])
        leg.key.encode()  # a lone surrogate would fail where it takes others down with it
        leg.digest()
        return QueuedLeg(leg, parse_time(data["received_at"]), int(data["attempt"]))
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"no queued leg: {error}") from error


def _plain(value: Any) -> str | int | None:
    return format_time(value) if isinstance(value, datetime) else value


def _read_field(field: LegField, value: Any) -> object:
    if value is None and field.is_nullable:
        return None
    match field.type:
        case LegFieldType.TIME:
            return parse_time(value)
        case LegFieldType.KIND:
            return LegKind(value)
        case LegFieldType.SECONDS:
            return int(value)
    return _text(value)


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
