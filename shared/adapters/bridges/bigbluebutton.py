"""Dialect `bigbluebutton`: webhook events. A created meeting contains the account and organizer of
a voice conference; the FreeSWITCH of the same host rates the legs."""

from collections.abc import Mapping

from shared.adapters.bridges import meetings
from shared.adapters.bridges.fields import form_fields, identifier, json_values, read_time, text_of
from shared.domain.common.ids import is_id
from shared.domain.legs.assembly import Posted
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Unreadable


def parse(post: BridgePayload) -> list[Posted]:
    """The events of a post: the form's field `event`, an array or one object in a text, or JSON.
    Raises BadRequest and TooLarge."""
    if post.body.lstrip()[:1] in {b"{", b"["}:
        items = json_values(post.body)
    else:
        items = json_values(form_fields(post.body).get("event", "").encode())
    return [_event(post, item) for item in items]


def _event(post: BridgePayload, item: object) -> Posted:
    if isinstance(item, Mapping) and isinstance(text := item.get("event"), str):
        item = next(iter(json_values(text.encode())), None)
    data = _mapping(_mapping(item).get("data"))
    name = text_of(data.get("id"))
    if name is None:
        core = _mapping(_mapping(item).get("core"))
        if core or _mapping(item).get("envelope"):
            return Ignored(
                "-", "The event is a raw message; the hook must not be made with getRaw."
            )
        return Unreadable(None, "The event has no data.id.", post.body)
    meeting = _mapping(_mapping(data.get("attributes")).get("meeting"))
    conference = identifier(meeting.get("voice-conf"))
    internal = identifier(meeting.get("internal-meeting-id")) or "-"
    if name != "meeting-created":
        return Ignored(internal, f"{name} does not concern a phone leg.")
    if conference is None:
        return Unreadable(internal, "The meeting has no voice-conf.", post.body)
    created_at = read_time(meeting.get("create-time")) or read_time(
        _mapping(data.get("event")).get("ts")
    )
    metadata = {
        str(key).lower().replace("_", "-"): value
        for key, value in _mapping(meeting.get("metadata")).items()
    }
    account = text_of(metadata.get("perminute-account"))
    return meetings.meeting(
        conference,
        created_at,
        account=account if account is not None and is_id(account) else None,
        organizer=identifier(metadata.get("perminute-organizer")),
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
