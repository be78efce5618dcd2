"""LiveKit: authorize a SIP participant before it is created.

`livekit` is `livekit.api.LiveKitAPI()`, `request_of` is
`livekit.protocol.sip.CreateSIPParticipantRequest`, `duration_of` is
`google.protobuf.duration_pb2.Duration`. LiveKit ends the call after `max_call_duration`; it
accepts no later time, so register this bridge with `assumed_seconds`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from perminute import Perminute

RING_SECONDS = 90


async def add_participant(
    livekit: Any,
    request_of: Callable[..., Any],
    duration_of: Callable[..., Any],
    perminute: Perminute,
    room: str,
    to: str,
    *,
    trunk: str,
) -> dict[str, Any]:
    """Dial `to` into the room if that is allowed. The authorization travels as an attribute of the
    participant: the room's `participant_left` webhook carries it."""
    answer = await asyncio.to_thread(perminute.dial_out, to, conference_id=room)
    if answer["decision"] != "allow":
        return answer
    authorization = answer.get("authorization", "")
    request = request_of(
        sip_trunk_id=trunk,
        sip_call_to=answer.get("destination", {}).get("number", to),
        room_name=room,
        participant_identity=authorization or to,
        participant_attributes={"perminute.authorization": authorization},
        ringing_timeout=duration_of(seconds=RING_SECONDS),
        max_call_duration=duration_of(seconds=answer["granted_seconds"]),
    )
    try:
        await livekit.sip.create_sip_participant(request)
    except Exception:
        if authorization:
            await asyncio.to_thread(perminute.release, authorization)
        raise
    return answer
