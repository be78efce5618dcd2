"""Dialect `zoom`: phone participants of meetings, and calls of Zoom Phone.

A participant with a phone number that joined and left is a leg. The events of a call-out of the
same meeting and number make it a dial-out; without them it called the bridge's service number. All
phone events of a meeting are one call, since a call-out names no participant.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from shared.adapters.bridges.fields import (
    end_of,
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
    Assembled,
    CallEvent,
    Complete,
    DialectSettings,
    Posted,
    Waiting,
)
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Unreadable
from shared.domain.legs.leg import EndedLeg

CALL_OUT = "an event of a call-out"
SERVICE_NUMBER = "the called number (setting service_number)"
_MEETING = re.compile(r"(?:meeting|webinar)\.participant_(joined|left)", re.ASCII)
_CALL_OUT = re.compile(r"meeting\.participant_phone_callout_(\w+)", re.ASCII)
_NOBODY = frozenset({"rejected", "missed"})
_PHONE = re.compile(r"phone\.(caller|callee)_(ended|rejected|missed)", re.ASCII)
_PUNCTUATION = re.compile(r"^\+|[ ().-]", re.ASCII)
_BEFORE_JOINING = timedelta(minutes=5)


def parse(post: BridgePayload) -> list[Posted]:
    """The events of a post. Raises BadRequest and TooLarge."""
    return [_event(post, item) for item in json_values(post.body)]


def _event(post: BridgePayload, item: object) -> Posted:
    event = item if isinstance(item, Mapping) else {}
    name = text_of(event.get("event"))
    if name is None:
        return Unreadable(None, "The webhook has no event.", post.body)
    meeting = mapping(mapping(event.get("payload")).get("object"))
    if match := _MEETING.fullmatch(name):
        return _participant(post, match[1], meeting)
    if match := _CALL_OUT.fullmatch(name):
        return _call_out(post, match[1], event, meeting)
    if match := _PHONE.fullmatch(name):
        return _phone(post, match[1], match[2], meeting)
    return Ignored(
        identifier(meeting.get("call_id")) or "-", f"{name} neither begins nor ends a leg."
    )


def _participant(post: BridgePayload, what: str, meeting: Mapping[str, object]) -> Posted:
    participant = mapping(meeting.get("participant"))
    uuid = identifier(meeting.get("uuid")) or identifier(meeting.get("id"))
    # A user_id is unique in its meeting only.
    member = identifier(participant.get("user_id"))
    leg_id = identifier(participant.get("participant_uuid")) or identifier(
        f"{uuid}.{member}" if uuid and member else member
    )
    phone = _number(participant.get("phone_number"))
    if phone is None:
        return Ignored(leg_id or "-", "The participant is no phone participant.")
    if leg_id is None or uuid is None:
        return Unreadable(leg_id, "The event names no meeting or no participant.", post.body)
    facts = {
        "type": what,
        "leg": leg_id,
        "at": time_text(
            read_time(participant.get("join_time" if what == "joined" else "leave_time"))
        ),
        "phone": phone,
        "conference": identifier(meeting.get("id")) or uuid,
        "organizer": identifier(meeting.get("host_id")),
        **labels(post.query),
    }
    return CallEvent(f"meeting|{uuid}", leg_id, facts, ends=what == "left")


def _call_out(
    post: BridgePayload, what: str, event: Mapping[str, object], meeting: Mapping[str, object]
) -> Posted:
    phone = _number(mapping(meeting.get("participant")).get("phone_number"))
    uuid = identifier(meeting.get("uuid")) or identifier(meeting.get("id"))
    if phone is None or uuid is None:
        return Unreadable(None, "The call-out names no meeting or no number.", post.body)
    if what in _NOBODY:
        return Ignored(uuid, "The call-out was not answered.")
    at = time_text(read_time(event.get("event_ts")))
    return CallEvent(f"meeting|{uuid}", uuid, {"type": "callout", "phone": phone, "at": at})


def _phone(post: BridgePayload, side: str, what: str, call: Mapping[str, object]) -> Posted:
    """A call of Zoom Phone, in one event. One between two users is no phone leg."""
    call_id = identifier(call.get("call_id"))
    if call_id is None:
        return Unreadable(None, "The event has no call_id.", post.body)
    caller, callee = mapping(call.get("caller")), mapping(call.get("callee"))
    other = callee if side == "caller" else caller
    extension = text_of(other.get("extension_type"))
    if (extension and extension.lower() != "pstn") or text_of(other.get("user_id")):
        return Ignored(call_id, "The call is between users of Zoom Phone.")
    if side == "callee" and read_time(call.get("answer_start_time")) is None:
        # Another member of a call queue may answer the same call.
        return Ignored(call_id, "The call was not answered by this user.")
    times = [
        time_text(read_time(call.get(name)))
        for name in ("ringing_start_time", "answer_start_time", "call_end_time")
    ]
    facts = {
        "type": "phone",
        "kind": (LegKind.DIAL_OUT if side == "caller" else LegKind.DIAL_IN).value,
        "from": number_text(caller.get("phone_number")),
        "to": number_text(callee.get("phone_number")),
        "started": times[0],
        "answered": times[1],
        "ended": times[2],
        "cause": text_of(call.get("hangup_result")) or (what if what != "ended" else None),
        **labels(post.query),
    }
    return CallEvent(f"call|{call_id}", call_id, facts, ends=True)


def assemble(settings: DialectSettings, events: Sequence[CallEvent]) -> list[Assembled]:
    """The legs of a meeting, or the leg of a call of Zoom Phone."""
    made: list[Assembled] = [
        _call(settings, each) for each in events if each.facts["type"] == "phone"
    ]
    legs = sorted({str(each.facts["leg"]) for each in events if "leg" in each.facts})
    for leg_id in legs:
        own = [each for each in events if each.facts.get("leg") == leg_id]
        made += _sessions(settings, leg_id, own, events)
    return made


def _call(settings: DialectSettings, event: CallEvent) -> Assembled:
    facts, uses = event.facts, frozenset({event.id})
    started, answered = read_time(facts["started"]), read_time(facts["answered"])
    ended = read_time(facts["ended"])
    if ended is None:
        return Waiting(event.leg_id, ("call_end_time",), uses, event.id)
    began = [each for each in (started, answered, ended) if each is not None]
    leg = EndedLeg(
        bridge=settings.bridge,
        leg_id=event.leg_id,
        conference_id=None,
        kind=LegKind(str(facts["kind"])),
        from_number=text_of(facts["from"]),
        to_number=text_of(facts["to"]),
        started_at=min(began),
        answered_at=answered,
        ended_at=end_of(answered or ended, ended),
        account=text_of(facts.get("account")),
        organizer=text_of(facts.get("organizer")),
        authorization=text_of(facts.get("authorization")),
        hangup_cause=text_of(facts["cause"]),
    )
    return Complete(leg, uses, event.id)


def _sessions(
    settings: DialectSettings,
    leg_id: str,
    own: Sequence[CallEvent],
    events: Sequence[CallEvent],
) -> list[Assembled]:
    joins = [each for each in own if each.facts["type"] == "joined"]
    lefts = [each for each in own if each.facts["type"] == "left"]
    uses = frozenset(each.id for each in own)
    if not lefts:
        return [Waiting(leg_id, ("participant_left",), uses)]
    made: list[Assembled] = []
    for left in lefts:
        ended_at = read_time(left.facts["at"])
        begun = [
            moment
            for each in joins
            if (moment := read_time(each.facts["at"])) and (ended_at is None or moment <= ended_at)
        ]
        fields = {"from": left.facts["phone"], "conference": left.facts["conference"]}
        if ended_at is None or not begun:
            lacking = "leave_time" if ended_at is None else "participant_joined"
            made.append(Waiting(leg_id, (lacking,), uses, left.id, fields))
            continue
        joined_at = max(begun)
        callouts = [
            each
            for each in events
            if each.facts["type"] == "callout"
            and each.facts["phone"] == left.facts["phone"]
            and (at := read_time(each.facts["at"])) is not None
            and joined_at - _BEFORE_JOINING <= at <= ended_at
        ]
        # A call-out that arrives late may change the leg, so all call-outs are read.
        seen = uses | {each.id for each in events if each.facts["type"] == "callout"}
        phone = str(left.facts["phone"])
        if not callouts and settings.service_number is None:
            made.append(Waiting(leg_id, (SERVICE_NUMBER,), seen, left.id, fields))
            continue
        leg = EndedLeg(
            bridge=settings.bridge,
            leg_id=leg_id,
            conference_id=text_of(left.facts["conference"]),
            kind=LegKind.DIAL_OUT if callouts else LegKind.DIAL_IN,
            from_number=settings.service_number if callouts else phone,
            to_number=phone if callouts else settings.service_number,
            started_at=joined_at,
            answered_at=joined_at,
            ended_at=ended_at,
            account=text_of(left.facts.get("account")),
            organizer=text_of(left.facts["organizer"]),
            authorization=text_of(left.facts.get("authorization")),
        )
        made.append(Complete(leg, seen, left.id, () if callouts else (CALL_OUT,)))
    return made


def _number(value: object) -> str | None:
    """Zoom writes numbers with their country code and without a plus, also as JSON numbers and with
    spaces."""
    text = number_text(value)
    digits = _PUNCTUATION.sub("", text or "")
    return f"+{digits}" if re.fullmatch(r"[1-9][0-9]{6,14}", digits, re.ASCII) else text
