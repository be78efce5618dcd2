"""Dialect `twilio`: status callbacks of calls and of conferences, joined by `CallSid`.

The callback of a call rates the leg; those of its conference name the conference and the label. An
answered leg without a conference waits for it. `Duration` is in minutes and is not read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.adapters.bridges.fields import (
    EARLIER_CONFERENCE,
    authorization_in,
    distinct,
    form_fields,
    identifier,
    json_values,
    labels,
    may_have_moved,
    number_text,
    read_time,
    text_of,
    time_text,
    whole_seconds,
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

_UNANSWERED = frozenset({"busy", "no-answer", "failed", "canceled", "cancelled"})
# An address that is no number: `client:`, `sip:`, `whatsapp:`
_NO_NUMBER = re.compile(r"(?!tel:)[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)


def parse(post: BridgePayload) -> list[Posted]:
    """The events of a post: a form, or its fields as JSON. Raises BadRequest and TooLarge."""
    if post.body.lstrip()[:1] in {b"{", b"["}:
        items = json_values(post.body)
    else:
        items = [form_fields(post.body)]
    return [_event(post, item) for item in items]


def _event(post: BridgePayload, fields: object) -> Posted:
    if not isinstance(fields, Mapping):
        return Unreadable(None, "The event is no object.", post.body)
    call = identifier(fields.get("CallSid"))
    kind = text_of(fields.get("StatusCallbackEvent")) or ""
    if call is None:
        conference = identifier(fields.get("ConferenceSid"))
        if conference is not None:
            return Ignored(conference, "The event is about no single call.")
        if (child := identifier(fields.get("DialCallSid"))) is not None:
            return Ignored(child, "The callback of the call itself rates the leg.")
        return Unreadable(None, "The event has no CallSid.", post.body)
    is_of_call = text_of(fields.get("CallbackSource")) == "call-progress-events"
    if kind or (identifier(fields.get("ConferenceSid")) is not None and not is_of_call):
        return _conference_event(call, fields, kind)
    status = text_of(fields.get("CallStatus"))
    seconds = whole_seconds(fields.get("CallDuration"))
    if status is None and seconds:
        status = "completed"
    if status is None or (status != "completed" and status not in _UNANSWERED):
        return Ignored(call, f"The call goes on: {status or 'no status'}.")
    sip = text_of(fields.get("SipResponseCode"))
    facts = {
        "type": "call",
        "status": status,
        "seconds": seconds,
        "at": time_text(read_time(fields.get("Timestamp"))),
        "from": number_text(fields.get("From")),
        "to": number_text(fields.get("To")),
        "direction": text_of(fields.get("Direction")),
        "cause": f"SIP {sip}" if sip and status == "failed" else status,
        **labels(post.query, fields),
    }
    if (label := authorization_in(fields.get("ParticipantLabel"))) and "authorization" not in facts:
        facts["authorization"] = label
    return CallEvent(call, call, facts, ends=True)


def _conference_event(call: str, fields: Mapping[str, object], kind: str) -> Posted:
    if not kind.startswith("participant-"):
        return Ignored(call, f"The event {kind or 'without a name'} is about the conference.")
    name = identifier(fields.get("FriendlyName")) or identifier(fields.get("ConferenceSid"))
    facts = {
        "type": "conference",
        "conference": name,
        "at": time_text(read_time(fields.get("Timestamp"))),
        "authorization": authorization_in(fields.get("ParticipantLabel")),
    }
    return CallEvent(call, call, facts)


def assemble(settings: DialectSettings, events: Sequence[CallEvent]) -> list[Assembled]:
    """The leg of a call. Callbacks that contradict each other make a leg each, of which the ledger
    takes one and parks the others as conflicts; one that lacks a fact waits only for another."""
    uses = frozenset(event.id for event in events)
    joined = distinct(event.facts for event in events if event.facts["type"] == "conference")
    joined.sort(key=lambda facts: str(facts["at"] or "~"))
    finals = [event for event in events if event.facts["type"] == "call"]
    if not finals and joined:
        return [Waiting(events[0].call, ("the callback of the completed call",), uses)]
    made: list[Assembled] = []
    for final in finals:
        made += _legs(settings, final, joined, uses)
    return [each for each in made if isinstance(each, Complete)] or made


def _legs(
    settings: DialectSettings,
    final: CallEvent,
    joined: Sequence[Mapping[str, object]],
    uses: frozenset[str],
) -> list[Assembled]:
    facts = final.facts
    ended_at, seconds = read_time(facts["at"]), facts["seconds"]
    missing = []
    if ended_at is None:
        missing.append("Timestamp")
    is_answered = facts["status"] == "completed"
    if is_answered and not isinstance(seconds, int):
        missing.append("CallDuration")
    if ended_at is None or missing:
        fields = {name: facts[name] for name in ("from", "to") if facts[name]}
        return [Waiting(final.call, tuple(missing), uses, final.id, fields)]
    talk = seconds if is_answered and isinstance(seconds, int) else 0
    named = next((each["authorization"] for each in joined if each["authorization"]), None)
    leg = _leg(settings, final, ended_at, talk if is_answered else None)
    if not is_answered:
        legs: list[Assembled] = [Complete(leg, uses, final.id)]
        if leg.authorization is None and isinstance(named, str):
            # The label frees the hold, whether it comes before the call ended or after that.
            labelled = replace(leg, leg_id=f"{leg.leg_id}.label", authorization=named)
            legs.append(Complete(labelled, uses, final.id))
        return legs
    conference = leg.conference_id or next(
        (str(each["conference"]) for each in joined if each["conference"]), None
    )
    authorization = leg.authorization or (named if isinstance(named, str) else None)
    whole = replace(leg, conference_id=conference, authorization=authorization)
    lacks: tuple[str, ...] = ()
    if conference is None:
        lacks = (CONFERENCE,)
    elif leg.conference_id is None:
        first_at = min((at for each in joined if (at := read_time(each["at"]))), default=None)
        if may_have_moved(leg.started_at, first_at, ended_at):
            lacks = (EARLIER_CONFERENCE,)
    return [Complete(whole, uses, final.id, lacks)]


def _leg(
    settings: DialectSettings, final: CallEvent, ended_at: datetime, talk_seconds: int | None
) -> EndedLeg:
    facts = final.facts
    answered_at = None
    if talk_seconds is not None:
        answered_at = ended_at - timedelta(seconds=talk_seconds)
    from_number, to_number = facts["from"], facts["to"]
    return EndedLeg(
        bridge=settings.bridge,
        leg_id=final.call,
        conference_id=identifier(facts.get("conference")) if talk_seconds is not None else None,
        kind=_kind(facts),
        from_number=from_number if isinstance(from_number, str) else None,
        to_number=to_number if isinstance(to_number, str) else None,
        started_at=answered_at or ended_at,
        answered_at=answered_at,
        ended_at=ended_at,
        talk_seconds=talk_seconds or 0,
        account=text_of(facts.get("account")),
        organizer=text_of(facts.get("organizer")),
        authorization=text_of(facts.get("authorization")),
        hangup_cause=text_of(facts["cause"]),
    )


def _kind(facts: Mapping[str, object]) -> LegKind | None:
    direction = str(facts["direction"] or "")
    is_outbound = direction.startswith("outbound") or direction == "trunking-terminating"
    other = facts["to"] if is_outbound else facts["from"]
    if isinstance(other, str) and _NO_NUMBER.match(other):
        return LegKind.VOIP
    if is_outbound:
        return LegKind.DIAL_OUT
    return LegKind.DIAL_IN if direction in {"inbound", "trunking-originating"} else None
