"""Twilio: authorize a participant before it is added to a conference.

`client` is `twilio.rest.Client(...)`. Twilio ends the call at `time_limit` by itself and accepts
no later time, so register this bridge with `assumed_seconds`, which is granted at once.
"""

from typing import Any

from perminute import Perminute

RING_SECONDS = 90  # within the 120 that a hold allows for


def add_participant(
    client: Any, perminute: Perminute, conference: str, to: str, *, caller: str, callback: str
) -> dict[str, Any]:
    """Dial `to` into the conference if that is allowed; the answer has the reason of a denial.

    The authorization travels as the participant's label, which comes back with every event of the
    conference; the status callback's call ended event then names it.
    """
    answer = perminute.dial_out(to, conference_id=conference)
    if answer["decision"] != "allow":
        return answer
    try:
        client.conferences(conference).participants.create(
            from_=caller,
            to=answer.get("destination", {}).get("number", to),
            timeout=RING_SECONDS,
            time_limit=answer["granted_seconds"],
            label=answer.get("authorization", ""),
            status_callback=callback,
            status_callback_event=["completed"],
        )
    except Exception:
        if "authorization" in answer:
            perminute.release(answer["authorization"])
        raise
    return answer
