"""Dialect `livekit`: webhooks of SIP participants. A participant who left was answered at the time
of joining; facts that the webhook of the departure lacks come from that of the arrival. Names are
read in both forms of protobuf JSON, `joinedAt` and `joined_at`. A connection that was aborted was
not answered.

Attributes contain the numbers: `sip.phoneNumber` is the other party, `sip.trunkPhoneNumber` the
number of the trunk. A dispatch rule makes a dial-in, a trunk without one a dial-out.
"""

import re
from collections.abc import Mapping, Sequence

from shared.adapters.bridges.fields import (
    authorization_in,
    end_of,
    first_of,
    identifier,
    json_values,
    labels,
    mapping,
    number_text,
    read_time,
    text_of,
    time_text,
)
from shared.domain.common.kinds import LegKind
from shared.domain.legs.assembly import (
    CONFERENCE,
    Assembled,
    CallEvent,
    Complete,
    DialectSettings,
    Posted,
    Waiting,
)
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Unreadable
from shared.domain.legs.leg import EndedLeg

NUMBER = "number"
SOURCE = "sip.ruleID or sip.trunkID"
_SIP_KINDS = frozenset({"sip", "3"})
_UNANSWERED = frozenset(
    {"USER_UNAVAILABLE", "USER_REJECTED", "SIP_TRUNK_FAILURE", "11", "12", "13"}
)
# A participant is one attempt, so that its end is the end of the attempt.
_ENDED_HERE = frozenset(
    {"CLIENT_INITIATED", "PARTICIPANT_REMOVED", "ROOM_DELETED", "ROOM_CLOSED", "1", "4", "5", "10"}
)
_CAUSES = {
    **dict.fromkeys(("USER_UNAVAILABLE", "11"), "NO_ANSWER"),
    "12": "USER_REJECTED",
    "13": "SIP_TRUNK_FAILURE",
    **dict.fromkeys(_ENDED_HERE, "ORIGINATOR_CANCEL"),
}
_NOT_ACTIVE = frozenset({"dialing", "ringing"})
_ENDS = frozenset({"participant_left", "participant_connection_aborted"})
_URI_USER = re.compile(r"sips?:([^@;>]+)", re.ASCII | re.IGNORECASE)


def parse(post: BridgePayload) -> list[Posted]:
    """The webhooks of a post. Raises BadRequest and TooLarge."""
    return [_event(post, item) for item in json_values(post.body)]


def _event(post: BridgePayload, item: object) -> Posted:
    event = item if isinstance(item, Mapping) else {}
    name = text_of(event.get("event"))
    if name is None:
        return Unreadable(None, "The webhook has no event.", post.body)
    participant = mapping(event.get("participant"))
    attributes = mapping(participant.get("attributes"))
    room = mapping(event.get("room"))
    place = identifier(room.get("sid")) or identifier(room.get("name"))
    identity = identifier(participant.get("identity"))
    # A phone has the same identity in each of its calls.
    at_place = f"{place}.{identity}" if place and identity else identity
    named = (attributes.get("sip.callID"), participant.get("sid"), at_place)
    leg_id = next((text for each in named if (text := identifier(each))), None)
    if name != "participant_joined" and name not in _ENDS:
        return Ignored(leg_id or "-", f"{name} neither answers nor ends a leg.")
    if leg_id is None:
        return Ignored("-", "The webhook names no participant.")
    is_sip = (text_of(participant.get("kind")) or "").lower() in _SIP_KINDS
    if not is_sip and not any(str(each).startswith("sip.") for each in attributes):
        return Ignored(leg_id, "The participant is no phone participant.")
    status = (text_of(attributes.get("sip.callStatus")) or "").lower()
    reason = (text_of(_field(participant, "disconnectReason")) or "").upper()
    is_aborted = name == "participant_connection_aborted"
    is_unanswered = is_aborted or reason in _UNANSWERED or status in _NOT_ACTIVE
    facts = {
        "type": "left" if name in _ENDS else "joined",
        "at": time_text(read_time(_field(event, "createdAt"))),
        "joined": time_text(read_time(_field(participant, "joinedAt"))),
        "leg": leg_id,
        "room": identifier(room.get("name")) or identifier(room.get("sid")),
        "phone": _number(attributes, "sip.phoneNumber", "sip.fromUser", "sip.from"),
        "trunk": _number(attributes, "sip.trunkPhoneNumber", "sip.toUser", "sip.requestURI"),
        "rule": bool(text_of(attributes.get("sip.ruleID"))),
        "has_trunk": bool(text_of(attributes.get("sip.trunkID"))),
        "is_unanswered": is_unanswered,
        "cause": (_CAUSES.get(reason, reason) if is_unanswered else reason) or None,
        **labels(post.query, _own(attributes)),
    }
    if (text := authorization_in(participant.get("identity"))) and "authorization" not in facts:
        facts["authorization"] = text
    call = identifier(participant.get("sid")) or leg_id
    return CallEvent(call, leg_id, facts, ends=name in _ENDS)


def _field(message: Mapping[str, object], name: str) -> object:
    """A field of a protobuf message, under its name in JSON or its original one."""
    original = re.sub(r"[A-Z]", lambda capital: f"_{capital[0].lower()}", name)
    return message[name] if name in message else message.get(original)


def _own(attributes: Mapping[str, object]) -> Mapping[str, object]:
    return {str(name).replace("perminute.", "perminute_"): attributes[name] for name in attributes}


def _number(attributes: Mapping[str, object], *names: str) -> str | None:
    for name in names:
        text = text_of(attributes.get(name))
        match = _URI_USER.match(text) if text else None
        if text and (number := number_text(match[1] if match else text)):
            return number
    return None


def assemble(settings: DialectSettings, events: Sequence[CallEvent]) -> list[Assembled]:
    """The leg of a participant."""
    uses = frozenset(event.id for event in events)
    ends = [event for event in events if event.ends]
    joined = [event.facts for event in events if not event.ends]
    if not ends:
        return [Waiting(str(joined[0]["leg"]), ("participant_left",), uses)]
    return [_leg(settings, end, [end.facts, *joined], uses) for end in ends]


def _leg(
    settings: DialectSettings,
    end: CallEvent,
    facts: Sequence[Mapping[str, object]],
    uses: frozenset[str],
) -> Assembled:
    times = [moment for each in facts if (moment := read_time(each["joined"]))]
    times += [
        moment for each in facts if each["type"] == "joined" and (moment := read_time(each["at"]))
    ]
    leg_id = end.leg_id
    ended_at, joined_at = read_time(end.facts["at"]), next(iter(times), None)
    if end.facts["is_unanswered"]:  # costs nothing: it needs no arrival, and one changes nothing
        joined_at = read_time(end.facts["joined"]) or ended_at
    phone, trunk = first_of(facts, "phone"), first_of(facts, "trunk")
    authorization = first_of(facts, "authorization")
    kind = _kind(facts, authorization)
    is_hidden = phone is None and kind is LegKind.DIAL_IN  # a dispatch rule may hide the caller
    missing = [
        name
        for name, is_missing in (
            ("createdAt", ended_at is None),
            ("joinedAt", joined_at is None),
            (NUMBER, phone is None and not is_hidden),
        )
        if is_missing
    ]
    if ended_at is None or joined_at is None or missing:
        fields = {"conference": first_of(facts, "room"), "from": phone, "to": trunk}
        return Waiting(leg_id, tuple(missing), uses, end.id, fields)
    numbers = (trunk, phone) if kind is LegKind.DIAL_OUT else (phone, trunk)
    if numbers[1] is None:
        return Waiting(leg_id, ("sip.trunkPhoneNumber",), uses, end.id, {"from": phone})
    answered_at = None if end.facts["is_unanswered"] else joined_at
    room = first_of(facts, "conference") or first_of(facts, "room")
    leg = EndedLeg(
        bridge=settings.bridge,
        leg_id=leg_id,
        conference_id=room,
        kind=kind,
        from_number=numbers[0],
        to_number=numbers[1],
        started_at=joined_at,
        answered_at=answered_at,
        ended_at=end_of(joined_at, ended_at),
        account=first_of(facts, "account"),
        organizer=first_of(facts, "organizer"),
        authorization=authorization,
        hangup_cause=text_of(end.facts["cause"]),
    )
    lacks = (CONFERENCE,) if room is None and answered_at is not None else ()
    if len(facts) == 1:  # the event of the arrival may name the caller, the rule or the trunk
        lacks = (*lacks, NUMBER) if is_hidden else lacks
        lacks = (*lacks, SOURCE) if kind is None else lacks
    return Complete(leg, uses, end.id, lacks)


def _kind(facts: Sequence[Mapping[str, object]], authorization: str | None) -> LegKind | None:
    if any(each["rule"] for each in facts):
        return LegKind.DIAL_IN
    is_dialled = authorization is not None or any(each["has_trunk"] for each in facts)
    return LegKind.DIAL_OUT if is_dialled else None
