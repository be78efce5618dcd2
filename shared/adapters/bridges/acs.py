"""Dialect `acs`: Azure Communication Services, events of Call Automation and of Event Grid.

An event of a call contains neither duration nor direction. A phone participant (`4:+…`) is a leg
from each list that newly holds it to the first later list that does not, else to the end of the
call. `IncomingCall` makes it a dial-in. `AddParticipantSucceeded`, or `operationContext` of the
call for participants from its start, makes it a dial-out. A participant that was moved from another
call has no kind without an authorization.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from shared.adapters.bridges.fields import (
    authorization_in,
    end_of,
    identifier,
    json_values,
    labels,
    mapping,
    number_text,
    read_time,
    text_of,
    time_text,
    whole_seconds,
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

GAPS_NAMED_MAX = 10
LATER_LISTS = "later lists of participants"
CONNECTED, INCOMING = "CallConnected", "IncomingCall"
SOURCE = "IncomingCall, AddParticipantSucceeded or an operationContext"
_FAILED = frozenset({"AddParticipantFailed", "CreateCallFailed", "CancelAddParticipantSucceeded"})
_ADDED = frozenset({"AddParticipantSucceeded", "MoveParticipantSucceeded"})
# An invitation is one attempt: ACS tries no other route after these codes.
_NO_ANSWER = dict.fromkeys(("408", "480"), "NO_ANSWER")
_TIMES_DIFFER = timedelta(seconds=2)
_PREFIX = "Microsoft.Communication."
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_PHONE = "4:"


def validation_code(body: bytes) -> str | None:
    """The code of Event Grid's handshake, which goes back to it; None for other posts."""
    if _VALIDATION.encode() not in body:
        return None
    for item in json_values(body):
        event = mapping(item)
        if event.get("eventType") == _VALIDATION or event.get("type") == _VALIDATION:
            return text_of(mapping(event.get("data")).get("validationCode"))
    return None


def parse(post: BridgePayload) -> list[Posted]:
    """The events of a post, CloudEvents or of Event Grid's schema. Raises BadRequest, TooLarge."""
    return [_event(post, item) for item in json_values(post.body)]


def _event(post: BridgePayload, item: object) -> Posted:
    event = mapping(item)
    full = text_of(event.get("type")) or text_of(event.get("eventType"))
    if full is None:
        return Unreadable(None, "The event has no type.", post.body)
    name = full.removeprefix(_PREFIX)
    data = event.get("data")
    data = data[0] if isinstance(data, list) and data else data
    facts_of = _READ.get(name)
    named = ("correlationId", "serverCallId", "callConnectionId")
    call = next((text for each in named if (text := identifier(mapping(data).get(each)))), None)
    if facts_of is None:
        return Ignored(call or "-", f"{name} does not concern a phone leg.")
    if call is None:
        return Unreadable(None, f"{name} names no call.", post.body)
    fields = mapping(data)
    facts = {
        "type": name,
        "at": time_text(read_time(event.get("time") or event.get("eventTime"))),
        "connection": identifier(fields.get("callConnectionId")),
        "conference": identifier(fields.get("serverCallId")),
        **facts_of(fields),
    }
    leg_id = facts["connection"] or call
    is_phone = facts.get("phone") is not None or facts.get("authorization") is not None
    if name in _FAILED - {"CreateCallFailed"} and not is_phone:
        return Ignored(str(leg_id), f"{name} names neither a phone nor an authorization.")
    ends = name == "CallDisconnected" or name in _FAILED
    return CallEvent(call, str(leg_id), facts, ends=ends)


def _context(data: Mapping[str, object]) -> dict[str, object]:
    """Ids of Perminute in `operationContext`: an authorization alone, or JSON with several."""
    text = text_of(data.get("operationContext"))
    if text is None:
        return {"has_context": False}
    if authorization_in(text) is not None:
        return {"has_context": True, "authorization": text}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"has_context": True}
    stated = mapping(value)
    leg_id = identifier(stated.get("leg_id"))
    return {"has_context": True, **labels(stated), **({"leg_id": leg_id} if leg_id else {})}


def _list(data: Mapping[str, object]) -> dict[str, object]:
    participants = data.get("participants")
    phones = {
        phone
        for each in (participants if isinstance(participants, list) else [])
        if (phone := _participant_phone(mapping(each).get("identifier")))
    }
    sequence = data.get("sequenceNumber")
    is_number = isinstance(sequence, int) and not isinstance(sequence, bool)
    number = sequence if is_number else whole_seconds(sequence)
    return {"sequence": number, "phones": sorted(phones)}


def _added(data: Mapping[str, object]) -> dict[str, object]:
    result = mapping(data.get("resultInformation"))
    code = text_of(result.get("code"))
    cause = _NO_ANSWER.get(code or "", f"SIP {code}" if code else None)
    phone = _phone(data.get("participant"))
    return {"phone": phone, "cause": cause, **_context(data)}


def _incoming(data: Mapping[str, object]) -> dict[str, object]:
    caller = data.get("fromCommunicationIdentifier") or data.get("from")
    called = data.get("toCommunicationIdentifier") or data.get("to")
    return {"from": _phone(caller), "to": _phone(called)}


_READ: Mapping[str, Callable[[Mapping[str, object]], dict[str, object]]] = {
    "CallConnected": _context,
    "CallDisconnected": lambda _: {},
    "ParticipantsUpdated": _list,
    "AddParticipantSucceeded": _added,
    "AddParticipantFailed": _added,
    "CancelAddParticipantSucceeded": _added,
    "CreateCallFailed": _added,
    "MoveParticipantSucceeded": _added,
    "IncomingCall": _incoming,
}


def _phone(value: object) -> str | None:
    """The number of a phone identifier, `anonymous` where it is withheld; None for others."""
    phone = mapping(value)
    number = mapping(phone.get("phoneNumber")).get("value")
    raw = text_of(phone.get("rawId")) or ""
    if number is None and raw.startswith(_PHONE):
        number = raw.removeprefix(_PHONE).partition("_")[0]
    return number_text(number)


def _participant_phone(value: object) -> str | None:
    """The number of a phone participant. A further connection of one number has an asserted id
    (`4:+…_…`), which remains part of it."""
    phone = _phone(value)
    participant = mapping(value)
    raw = (text_of(participant.get("rawId")) or "").partition("_")[2]
    asserted = text_of(mapping(participant.get("phoneNumber")).get("assertedId")) or raw
    return f"{phone}_{asserted}" if phone and asserted else phone


def assemble(settings: DialectSettings, events: Sequence[CallEvent]) -> list[Assembled]:
    """The legs of a call: one for each stay of a phone participant, and for each who did not
    answer."""
    uses = frozenset(event.id for event in events)
    made: list[Assembled] = [
        _unanswered(settings, event) for event in events if event.facts["type"] in _FAILED
    ]
    lists = sorted(
        (each for each in events if isinstance(each.facts.get("sequence"), int)),
        key=lambda each: (_sequence(each), each.id),
    )
    phones = {phone for each in lists for phone in _phones(each)}
    ends = [event for event in events if event.facts["type"] == "CallDisconnected"]
    for phone in sorted(phones):
        made += _participant(settings, events, lists, ends, phone, uses)
    is_started = any(each.facts["type"] == "CallConnected" for each in events)
    ended_by = ends[0].id if ends else None
    listed = {phone.partition("_")[0] for phone in phones}
    unlisted = _joined(events, is_started=is_started) - listed
    for phone in sorted(unlisted):
        missing = (*_gaps(lists, None), "ParticipantsUpdated with the phone")
        slot = _hashed(events[0], phone)
        made.append(Waiting(slot, missing, uses, ended_by, {"to": phone}))
    if not unlisted and not lists and (is_started or ends):
        made.append(Waiting(events[0].leg_id, ("ParticipantsUpdated",), uses, ended_by))
    return made


def _joined(events: Sequence[CallEvent], *, is_started: bool) -> set[str]:
    """The phones that joined the call, by the events that show it."""
    return {
        phone
        for event in events
        for facts in (event.facts,)
        if facts["type"] in _ADDED or (facts["type"] == "IncomingCall" and is_started)
        if (phone := text_of(facts["phone" if facts["type"] in _ADDED else "from"]))
    }


def _gaps(lists: Sequence[CallEvent], until: CallEvent | None) -> list[str]:
    """The missing lists before `until`, or before the last one. A number from outside may be huge:
    the search ends at as many gaps as are named."""
    seen = {_sequence(each) for each in lists}
    last = _sequence(until) if until is not None else max(seen, default=0)
    gaps = islice((number for number in range(1, last) if number not in seen), GAPS_NAMED_MAX)
    return [f"ParticipantsUpdated {number}" for number in gaps]


def _unanswered(settings: DialectSettings, event: CallEvent) -> Assembled:
    facts, uses = event.facts, frozenset({event.id})
    at, phone = read_time(facts["at"]), text_of(facts["phone"])
    # One phone may be dialled again: each attempt has its own authorization.
    is_call = facts["type"] == "CreateCallFailed"
    leg_id = _leg_id(facts, event, "" if is_call else f"{phone or ''}|{event.id}")
    if at is None:
        return Waiting(leg_id, ("time",), uses, event.id)
    leg = EndedLeg(
        bridge=settings.bridge,
        leg_id=leg_id,
        conference_id=text_of(facts.get("conference")),
        kind=LegKind.DIAL_OUT,
        from_number=None,
        to_number=phone,
        started_at=at,
        answered_at=None,
        ended_at=at,
        account=text_of(facts.get("account")),
        organizer=text_of(facts.get("organizer")),
        authorization=text_of(facts.get("authorization")),
        hangup_cause=text_of(facts["cause"]),
    )
    return Complete(leg, uses, event.id)


def _participant(
    settings: DialectSettings,
    events: Sequence[CallEvent],
    lists: Sequence[CallEvent],
    ends: Sequence[CallEvent],
    phone: str,
    uses: frozenset[str],
) -> list[Assembled]:
    """The legs of a phone participant, one for each stay. The lists must be gapless from the first
    to the one that the participant is gone from; who stays to the end may be gone from a list that
    is yet to come."""
    stays = _stays(lists, phone)
    made: list[Assembled] = []
    since = None
    for count, (first, gone) in enumerate(stays, 1):
        end = gone or (ends[0] if ends else None)
        slot = _hashed(events[0], phone if count == 1 else f"{phone}|{count}")
        missing = _gaps(lists, gone)
        if end is None:
            missing.append("CallDisconnected")
        joined_at = read_time(first.facts["at"])
        ended_at = read_time(end.facts["at"]) if end is not None else None
        number = phone.partition("_")[0]
        until = ended_at if gone is not None else None
        source = _added_in(events, number, joined_at, since, until)
        if source is None and count == 1:
            source = _source(events, lists[0], phone)
        if source is None:
            missing.append(SOURCE)
        if joined_at is None or (end is not None and ended_at is None):
            missing.append("time")
        ended_by = end.id if end is not None else None
        since = ended_at
        if missing or source is None or ended_at is None or joined_at is None or ended_by is None:
            made.append(Waiting(slot, tuple(missing), uses, ended_by, {"to": number}))
            continue
        lacks = () if gone is not None else (LATER_LISTS,)
        connected: Mapping[str, object] = {}
        if source.facts["type"] == "IncomingCall":  # its context is stated when it is answered
            connected_facts = [event.facts for event in events if event.facts["type"] == CONNECTED]
            connected = next((each for each in connected_facts if each["has_context"]), {})
            lacks = lacks if connected_facts else (*lacks, CONNECTED)
        elif source.facts["type"] == CONNECTED and not source.facts.get("authorization"):
            lacks = (*lacks, INCOMING)  # the call may have been answered with the context
        leg = _leg(settings, source, phone, count, (joined_at, ended_at), first, connected)
        made.append(Complete(leg, uses, ended_by, lacks, slot))
    return made


def _stays(lists: Sequence[CallEvent], phone: str) -> list[tuple[CallEvent, CallEvent | None]]:
    """(the first list that contains a participant, the first later one that does not), for each
    stay; a list that is repeated with another content counts as the first of them."""
    stays: list[tuple[CallEvent, CallEvent | None]] = []
    for each in lists:
        is_present, is_open = phone in _phones(each), bool(stays) and stays[-1][1] is None
        if is_present and not is_open:
            stays.append((each, None))
        elif not is_present and is_open and _sequence(each) > _sequence(stays[-1][0]):
            stays[-1] = (stays[-1][0], each)
    return stays


def _added_in(
    events: Sequence[CallEvent],
    number: str,
    joined_at: datetime | None,
    since: datetime | None,
    until: datetime | None,
) -> CallEvent | None:
    """The event that added a phone after its former stay and before the end of this one, the one
    closest to its start."""
    candidates = [
        (abs(at - joined_at) if at and joined_at else timedelta.max, event.id, event)
        for event in events
        if event.facts["type"] in _ADDED and event.facts["phone"] == number
        for at in (read_time(event.facts["at"]),)
        if (since is None or (at is not None and at > since))
        and (until is None or at is None or at <= until + _TIMES_DIFFER)
    ]
    return min(candidates)[2] if candidates else None


def _leg(
    settings: DialectSettings,
    source: CallEvent,
    phone: str,
    count: int,
    times: tuple[datetime, datetime],
    first: CallEvent,
    connected: Mapping[str, object],
) -> EndedLeg:
    facts, number = source.facts, phone.partition("_")[0]
    is_incoming = facts["type"] == "IncomingCall"
    main = connected.get("leg_id") or first.facts["connection"] or first.call
    stated = connected if is_incoming else facts
    conference = text_of(stated.get("conference"))
    is_alone = facts["type"] == "CallConnected" and len(_phones(first)) == 1
    own = phone if count == 1 else f"{phone}|{count}"
    # A participant of another call may have called or been called.
    is_moved = facts["type"] == "MoveParticipantSucceeded" and not facts.get("authorization")
    return EndedLeg(
        bridge=settings.bridge,
        leg_id=str(main) if is_incoming else _leg_id(facts, source, "" if is_alone else own),
        conference_id=conference or text_of(first.facts["conference"]),
        kind=None if is_moved else LegKind.DIAL_IN if is_incoming else LegKind.DIAL_OUT,
        from_number=number if is_incoming or is_moved else None,
        to_number=text_of(facts["to"]) if is_incoming else number,
        started_at=times[0],
        answered_at=times[0],
        ended_at=end_of(*times),
        account=text_of(stated.get("account")),
        organizer=text_of(stated.get("organizer")),
        authorization=text_of(facts.get("authorization")),
    )


def _source(events: Sequence[CallEvent], first_list: CallEvent, phone: str) -> CallEvent | None:
    """The event that shows how a participant joined the call, unless an event added that one."""
    for event in events:
        if event.facts["type"] == "IncomingCall" and event.facts["from"] == phone.partition("_")[0]:
            return event
    if phone not in _phones(first_list):
        return None
    return next(
        (
            event
            for event in events
            if event.facts["type"] == "CallConnected" and event.facts["has_context"]
        ),
        None,
    )


def _leg_id(facts: Mapping[str, object], event: CallEvent, phone: str) -> str:
    """The stated id, the connection's id for the participant with whom the call began, else one
    made of connection and number."""
    stated = text_of(facts.get("leg_id"))
    if stated is not None:
        return stated
    return _hashed(event, phone) if phone else event.leg_id


def _hashed(event: CallEvent, phone: str) -> str:
    digest = hashlib.sha256(f"{event.call}|{phone}".encode()).hexdigest()[:12]
    return f"{event.call[:150]}.{digest}"


def _phones(event: CallEvent) -> list[str]:
    phones = event.facts["phones"]
    return phones if isinstance(phones, list) else []


def _sequence(event: CallEvent) -> int:
    sequence = event.facts["sequence"]
    return sequence if isinstance(sequence, int) else 0
