"""Meeting facts joined to the legs of another bridge, which names this one as `meetings_from`.

BigBlueButton and Jitsi report meetings, and rate no leg. A leg is an event of its conference here:
it takes account and organizer from the meeting that was in progress, and waits for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.adapters.bridges.fields import read_time, text_of, time_text
from shared.domain.legs.assembly import (
    CONFERENCE,
    Assembled,
    CallEvent,
    Complete,
    DialectSettings,
)
from shared.domain.legs.bridge_payloads import Undecided
from shared.domain.legs.leg import EndedLeg, leg_document, read_leg_document

_CLOCKS_DIFFER = timedelta(minutes=2)


def meeting(
    conference: str,
    created_at: datetime | None,
    *,
    account: str | None = None,
    organizer: str | None = None,
) -> CallEvent:
    """The event that a meeting began."""
    facts = {"created_at": time_text(created_at), "account": account, "organizer": organizer}
    return CallEvent(_call(conference), conference, facts)


def of_leg(leg: EndedLeg | Undecided) -> CallEvent | None:
    """A leg as an event of its conference; None where it has no conference or lacks nothing."""
    ended = leg.leg if isinstance(leg, Undecided) else leg
    if ended.conference_id is None or (ended.account and ended.organizer):
        return None
    why = leg.why if isinstance(leg, Undecided) else None
    facts = {"leg": leg_document(ended), "why": why}
    return CallEvent(_call(ended.conference_id), ended.leg_id, facts, ends=True)


def assemble(_: DialectSettings, events: Sequence[CallEvent]) -> list[Assembled]:
    """The legs of a conference, each with its meeting: the last that began before the leg did."""
    meetings = [event for event in events if "leg" not in event.facts]
    made: list[Assembled] = []
    for event in events:
        document = event.facts.get("leg")
        if isinstance(document, Mapping):
            leg = read_leg_document(document)
            meeting = _meeting_of(leg, meetings)
            # Any meeting that arrives may be the one that the leg waits for.
            uses = frozenset(
                {event.id, *(each.id for each in ([meeting] if meeting else meetings))}
            )
            whole = leg if meeting is None else _joined(leg, meeting.facts)
            why = text_of(event.facts.get("why"))
            lacks = () if meeting is not None else (CONFERENCE,)
            made.append(Complete(Undecided(whole, why) if why else whole, uses, event.id, lacks))
    return made


def _meeting_of(leg: EndedLeg, meetings: Sequence[CallEvent]) -> CallEvent | None:
    moment = (leg.answered_at or leg.started_at) + _CLOCKS_DIFFER
    begun = [
        (created_at, event.id, event)
        for event in meetings
        if (created_at := read_time(event.facts["created_at"])) and created_at <= moment
    ]
    return max(begun)[2] if begun else None


def _joined(leg: EndedLeg, facts: Mapping[str, object]) -> EndedLeg:
    return replace(
        leg,
        account=leg.account or text_of(facts["account"]),
        organizer=leg.organizer or text_of(facts["organizer"]),
    )


def _call(conference: str) -> str:
    return f"meeting|{conference}"
