"""Dialect `zoom`: phone participants of meetings, and calls of Zoom Phone.

A participant with a phone number that joined and left is a leg. A second stay is another leg.
The events of a call-out of the same meeting and number make it a dial-out; without them it called
the bridge's service number. All phone events of a meeting are one call, since a call-out names no
participant.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

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
OTHER_ARRIVAL = "another arrival of the phone"
SERVICE_NUMBER = "the called number (setting service_number)"
_MEETING = re.compile(r"(?:meeting|webinar)\.participant_(joined|left)", re.ASCII)
_CALL_OUT = re.compile(r"meeting\.participant_phone_callout_(\w+)", re.ASCII)
_NOBODY = frozenset({"rejected", "missed"})
_PHONE = re.compile(r"phone\.(caller|callee)_(ended|rejected|missed)", re.ASCII)
_PUNCTUATION = re.compile(r"^\+|[ ().-]", re.ASCII)
_BEFORE_JOINING = timedelta(minutes=5)
_RINGS_MAX = timedelta(seconds=90)
_CLOCKS_DIFFER = timedelta(seconds=10)


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
    own = identifier(participant.get("participant_uuid"))
    at_place = f"{uuid}.{member}" if uuid and member else member
    leg_id = _leg_id(own, member) if own else identifier(at_place)
    phone = _number(participant.get("phone_number"))
    if phone is None:
        return Ignored(leg_id or "-", "The participant is no phone participant.")
    if leg_id is None or uuid is None:
        return Unreadable(leg_id, "The event names no meeting or no participant.", post.body)
    facts = {
        "type": what,
        "leg": own or leg_id,
        "member": member if own else None,
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
    participants: dict[str, list[CallEvent]] = {}
    for each in events:
        if "leg" in each.facts:
            participants.setdefault(str(each.facts["leg"]), []).append(each)
    for leg_id, all_own in sorted(participants.items()):
        if not all("member" in each.facts for each in all_own):  # some are of an earlier version
            made += _sessions(settings, leg_id, all_own, events)
            continue
        for member in sorted({str(each.facts["member"] or "") for each in all_own}):
            own = [each for each in all_own if str(each.facts["member"] or "") == member]
            made += _sessions(settings, _leg_id(leg_id, member), own, events)
    return made


def _leg_id(participant: str, member: str | None) -> str:
    """The id of a leg. A participant who joins again has the same `participant_uuid` and another
    `user_id`."""
    is_other = member and member != participant
    return (identifier(f"{participant}.{member}") if is_other else None) or participant


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
    joins = sorted(_times(each for each in own if each.facts["type"] == "joined"))
    lefts = [each for each in own if each.facts["type"] == "left"]
    lefts.sort(key=lambda each: (str(each.facts["at"]), each.id))
    uses = frozenset(each.id for each in own)
    if not lefts:
        return [Waiting(leg_id, ("participant_left",), uses)]
    began = {
        left.id: max((each for each in joins if each <= ended_at), default=None)
        for left in lefts
        for ended_at in _times([left])
    }
    first = min((each for each in began.values() if each), default=None)
    callouts = [each for each in events if each.facts["type"] == "callout"]
    # A call-out that arrives late may change the leg, so that the leg uses all of them.
    seen = uses | {each.id for each in callouts}
    made: list[Assembled] = []
    for left in lefts:
        joined_at, ended_at = began.get(left.id), read_time(left.facts["at"])
        phone = str(left.facts["phone"])
        fields = {"from": phone, "conference": left.facts["conference"]}
        slot = leg_id if left is lefts[0] else f"{leg_id}.{left.id[:12]}"
        if ended_at is None or joined_at is None:
            lacking = "leave_time" if ended_at is None else "participant_joined"
            made.append(Waiting(slot, (lacking,), uses, left.id, fields))
            continue
        of_phone = _times(
            each
            for each in events
            if each.facts["type"] == "joined" and each.facts["phone"] == phone
        )
        dialled = [
            at
            for at in _times(each for each in callouts if each.facts["phone"] == phone)
            if _arrival(at, of_phone, default=(joined_at, ended_at)) == joined_at
        ]
        if not dialled and settings.service_number is None:
            made.append(Waiting(slot, (SERVICE_NUMBER,), seen, left.id, fields))
            continue
        leg = EndedLeg(
            bridge=settings.bridge,
            leg_id=leg_id if joined_at == first else f"{leg_id}.{int(joined_at.timestamp())}",
            conference_id=text_of(left.facts["conference"]),
            kind=LegKind.DIAL_OUT if dialled else LegKind.DIAL_IN,
            from_number=settings.service_number if dialled else phone,
            to_number=phone if dialled else settings.service_number,
            started_at=joined_at,
            answered_at=joined_at,
            ended_at=ended_at,
            account=text_of(left.facts.get("account")),
            organizer=text_of(left.facts["organizer"]),
            authorization=text_of(left.facts.get("authorization")),
        )
        lacks: tuple[str, ...] = ()
        if not dialled:
            lacks = (CALL_OUT,)
        elif not any(-_RINGS_MAX <= at - joined_at <= _CLOCKS_DIFFER for at in dialled):
            lacks = (OTHER_ARRIVAL,)
        made.append(Complete(leg, seen, left.id, lacks, slot if slot != leg.leg_id else None))
    return made


def _times(events: Iterable[CallEvent]) -> list[datetime]:
    return [moment for each in events if (moment := read_time(each.facts["at"]))]


def _arrival(
    at: datetime, joins: Sequence[datetime], default: tuple[datetime, datetime]
) -> datetime | None:
    """The arrival to which an event of a call-out belongs: the one that it reports, else the next
    one, else that of the stay during which it happened."""
    reported = [each for each in joins if at - _CLOCKS_DIFFER <= each <= at]
    following = [each for each in joins if at < each <= at + _BEFORE_JOINING]
    if reported or following:
        return max(reported) if reported else min(following)
    return default[0] if default[0] <= at <= default[1] else None


def _number(value: object) -> str | None:
    """Zoom writes numbers with their country code and without a plus, also as JSON numbers and with
    spaces."""
    text = number_text(value)
    digits = _PUNCTUATION.sub("", text or "")
    return f"+{digits}" if re.fullmatch(r"[1-9][0-9]{6,14}", digits, re.ASCII) else text
