"""Dialect `jitsi`: events of `event_sync`. They report the use of a room; the bridge of the SIP
trunk rates the legs. Any event of a room is sufficient, since lost ones are not sent again."""

from collections.abc import Mapping

from shared.adapters.bridges import meetings
from shared.adapters.bridges.fields import identifier, json_values, read_time, text_of
from shared.domain.legs.assembly import Posted
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Unreadable


def parse(post: BridgePayload) -> list[Posted]:
    """The events of a post. Raises BadRequest and TooLarge."""
    return [_event(post, item) for item in json_values(post.body)]


def _event(post: BridgePayload, item: object) -> Posted:
    event = item if isinstance(item, Mapping) else {}
    name = text_of(event.get("event_name"))
    room = identifier(event.get("room_name"))
    if name is None or room is None:
        return Unreadable(None, "The event has no event_name or no room_name.", post.body)
    if name not in {"muc-room-created", "muc-room-destroyed"}:
        return Ignored(room, f"{name} does not concern a phone leg.")
    created_at = read_time(event.get("created_at"))
    if created_at is None:
        return Unreadable(room, "The event has no created_at.", post.body)
    return meetings.meeting(room, created_at)
