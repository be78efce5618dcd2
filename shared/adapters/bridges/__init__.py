"""The dialects that bridges speak, by name: one module each."""

from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.adapters.bridges import (
    acs,
    asterisk,
    bigbluebutton,
    freeswitch,
    jitsi,
    livekit,
    meetings,
    perminute,
    twilio,
    zoom,
)
from shared.domain.common.errors import BadRequest, Invalid, TooLarge
from shared.domain.common.limits import CALL_ENDED_BODY_BYTES_MAX
from shared.domain.legs.assembly import (
    MEETING_DIALECTS,
    Assembled,
    CallEvent,
    DialectSettings,
    Posted,
    Waiting,
)
from shared.domain.legs.bridge_payloads import BridgePayload, Undecided, Unreadable
from shared.domain.legs.leg import EndedLeg


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect: it parses posts into legs and events, and assembles the events of one call into
    legs.

    `assemble` is None where one post holds the whole leg. A bridge that `posts_again` is answered
    with the error where its post can't be read; the post of any other is kept.
    """

    parse: Callable[[BridgePayload], Sequence[Posted]]
    assemble: Callable[[DialectSettings, Sequence[CallEvent]], list[Assembled]] | None = None
    posts_again: bool = False


DIALECTS: Mapping[str, Dialect] = {
    "acs": Dialect(acs.parse, acs.assemble),
    "asterisk": Dialect(asterisk.parse, asterisk.assemble),
    "bigbluebutton": Dialect(bigbluebutton.parse, meetings.assemble),
    "freeswitch": Dialect(freeswitch.parse),
    "jitsi": Dialect(jitsi.parse, meetings.assemble),
    "livekit": Dialect(livekit.parse, livekit.assemble),
    "perminute": Dialect(perminute.parse, posts_again=True),
    "twilio": Dialect(twilio.parse, twilio.assemble),
    "zoom": Dialect(zoom.parse, zoom.assemble),
}


_OTHERS = "events in the dialect of the bridge, which was another one when these came"


def parse(dialect: str, post: BridgePayload) -> list[Posted]:
    """The content of `post` in the dialect of its bridge (a key of DIALECTS), in its order. A
    record that a bridge would not send again is returned as Unreadable.

    Raises TooLarge, and BadRequest and Invalid for a bridge that posts again.
    """
    if len(post.body) > CALL_ENDED_BODY_BYTES_MAX:
        raise TooLarge(
            f"The post has more than {CALL_ENDED_BODY_BYTES_MAX} bytes. Send smaller posts."
        )
    reader = DIALECTS[dialect]
    read = replace(post, body=post.body.removeprefix(BOM_UTF8))
    try:
        parsed = list(reader.parse(read))
    except (BadRequest, Invalid) as error:
        if reader.posts_again:
            raise
        return [Unreadable(None, error.detail, post.body)]
    return [
        replace(each, original=post.body)
        if isinstance(each, Unreadable) and each.original is read.body
        else each
        for each in parsed
    ]


def assemble(
    dialect: str, settings: DialectSettings, events: Sequence[CallEvent]
) -> list[Assembled]:
    """The legs of a call, of all its events in any order, repeated or not. A bridge whose dialect
    changed has none."""
    reader = DIALECTS.get(dialect)
    if reader is None or reader.assemble is None:
        return []
    by_id = {event.id: event for event in events}
    ordered = [by_id[each] for each in sorted(by_id)]
    try:
        return reader.assemble(settings, ordered)
    except KeyError:  # a fact that the events of every other dialect lack
        ended_by = next((each.id for each in ordered if each.ends), None)
        return [Waiting(ordered[0].leg_id, (_OTHERS,), frozenset(by_id), ended_by)]


def meeting_event(dialect: str, leg: EndedLeg | Undecided) -> CallEvent | None:
    """A leg as an event of its conference at a bridge of `dialect`; None where that dialect reports
    no meetings, and where the leg has no conference or lacks nothing."""
    return meetings.of_leg(leg) if dialect in MEETING_DIALECTS else None
