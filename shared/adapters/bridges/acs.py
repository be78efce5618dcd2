"""Dialect `acs`: Azure Communication Services, events of Call Automation and of Event Grid.

An event of a call contains neither duration nor direction. A phone participant (`4:+…`) is a leg
from the first list that holds it to the first later list that does not, else to the end of the
call. `IncomingCall` makes it a dial-in. `AddParticipantSucceeded`, or `operationContext` of the
call for participants from its start, makes it a dial-out.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
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
SOURCE = "IncomingCall, AddParticipantSucceeded or an operationContext"
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
    found = mapping(data)
    facts = {
        "type": name,
        "at": time_text(read_time(event.get("time") or event.get("eventTime"))),
        "connection": identifier(found.get("callConnectionId")),
        "conference": identifier(found.get("serverCallId")),
        **facts_of(found),
    }
    leg_id = facts["connection"] or call
    ends = name in {"CallDisconnected", "AddParticipantFailed", "CreateCallFailed"}
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
        if (phone := _phone(mapping(each).get("identifier")))
    }
    sequence = data.get("sequenceNumber")
    is_number = isinstance(sequence, int) and not isinstance(sequence, bool)
    return {"sequence": sequence if is_number else None, "phones": sorted(phones)}


def _added(data: Mapping[str, object]) -> dict[str, object]:
    result = mapping(data.get("resultInformation"))
    code = text_of(result.get("code"))
    phone = _phone(data.get("participant"))
    return {"phone": phone, "cause": f"SIP {code}" if code else None, **_context(data)}


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
    "CreateCallFailed": _added,
    "IncomingCall": _incoming,
}


def _phone(value: object) -> str | None:
    """The number of a phone identifier, `anonymous` where it is withheld; None for others."""
    found = mapping(value)
    number = mapping(found.get("phoneNumber")).get("value")
    raw = text_of(found.get("rawId")) or ""
    if number is None and raw.startswith(_PHONE):
        number = raw.removeprefix(_PHONE)
    return number_text(number)


def assemble(settings: DialectSettings, events: Sequence[CallEvent]) -> list[Assembled]:
    """The legs of a call: one for each phone participant, and for each who did not answer."""
    uses = frozenset(event.id for event in events)
    made: list[Assembled] = [
        _unanswered(settings, event)
        for event in events
        if event.facts["type"] in {"AddParticipantFailed", "CreateCallFailed"}
    ]
    lists = sorted(
        (each for each in events if isinstance(each.facts.get("sequence"), int)),
        key=lambda each: (int(str(each.facts["sequence"])), each.id),
    )
    phones = {phone for each in lists for phone in _phones(each)}
    ends = [event for event in events if event.facts["type"] == "CallDisconnected"]
    made += [_participant(settings, events, lists, ends, phone, uses) for phone in sorted(phones)]
    is_started = any(each.facts["type"] == "CallConnected" for each in events)
    if not phones and not lists and (is_started or ends):
        ended_by = ends[0].id if ends else None
        made.append(Waiting(events[0].leg_id, ("ParticipantsUpdated",), uses, ended_by))
    return made


def _unanswered(settings: DialectSettings, event: CallEvent) -> Assembled:
    facts, uses = event.facts, frozenset({event.id})
    at, phone = read_time(facts["at"]), text_of(facts["phone"])
    leg_id = _leg_id(facts, event, phone or "")
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
) -> Assembled:
    """The leg of a phone participant. The lists must be gapless from the first to the one that it
    is gone from; who stays to the end may be gone from a list that is yet to come."""
    present = [each for each in lists if phone in _phones(each)]
    later = [each for each in lists if _sequence(each) > _sequence(present[0])]
    gone = next((each for each in later if phone not in _phones(each)), None)
    end = gone or (ends[0] if ends else None)
    slot = _hashed(events[0], phone)
    seen = {_sequence(each) for each in lists}
    last = _sequence(gone) if gone is not None else max(seen)
    # A number from outside may be huge: the search ends at as many gaps as are named.
    gaps = islice((number for number in range(1, last) if number not in seen), GAPS_NAMED_MAX)
    missing = [f"ParticipantsUpdated {number}" for number in gaps]
    if end is None:
        missing.append("CallDisconnected")
    source = _source(events, lists[0], phone)
    if source is None:
        missing.append(SOURCE)
    joined_at = read_time(present[0].facts["at"])
    ended_at = read_time(end.facts["at"]) if end is not None else None
    if joined_at is None or (end is not None and ended_at is None):
        missing.append("time")
    ended_by = end.id if end is not None else None
    if missing or source is None or ended_at is None or joined_at is None or ended_by is None:
        return Waiting(slot, tuple(missing), uses, ended_by, {"to": phone})
    leg = _leg(settings, source, phone, (joined_at, ended_at), present[0])
    return Complete(leg, uses, ended_by, () if gone is not None else (LATER_LISTS,), slot)


def _leg(
    settings: DialectSettings,
    source: CallEvent,
    phone: str,
    times: tuple[datetime, datetime],
    first: CallEvent,
) -> EndedLeg:
    facts = source.facts
    is_incoming = facts["type"] == "IncomingCall"
    main = first.facts["connection"] or first.call
    conference = None if is_incoming else text_of(facts["conference"])
    is_alone = facts["type"] == "CallConnected" and len(_phones(first)) == 1
    return EndedLeg(
        bridge=settings.bridge,
        leg_id=str(main) if is_incoming else _leg_id(facts, source, "" if is_alone else phone),
        conference_id=conference or text_of(first.facts["conference"]),
        kind=LegKind.DIAL_IN if is_incoming else LegKind.DIAL_OUT,
        from_number=phone if is_incoming else None,
        to_number=text_of(facts["to"]) if is_incoming else phone,
        started_at=times[0],
        answered_at=times[0],
        ended_at=end_of(*times),
        account=text_of(facts.get("account")),
        organizer=text_of(facts.get("organizer")),
        authorization=text_of(facts.get("authorization")),
    )


def _source(events: Sequence[CallEvent], first_list: CallEvent, phone: str) -> CallEvent | None:
    """The event that shows how a participant joined the call."""
    for event in events:
        facts = event.facts
        if facts["type"] == "AddParticipantSucceeded" and facts["phone"] == phone:
            return event
        if facts["type"] == "IncomingCall" and facts["from"] == phone:
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
