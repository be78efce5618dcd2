"""Documents of denied calls."""

from shared.domain.common.canonical import format_time
from shared.domain.dial_out.denied_calls import DeniedCall

DENIAL_COLUMNS = (
    *("at", "bridge", "direction", "to", "region", "reason", "message", "organizer"),
    "conference",
)


def denial_body(denied: DeniedCall) -> dict[str, object]:
    """A denied call as a JSON object."""
    return {
        "at": format_time(denied.at),
        "bridge": denied.bridge,
        "direction": denied.direction.value,
        "to": denied.to,
        "region": denied.region,
        "reason": denied.reason,
        "message": denied.message,
        "organizer": denied.organizer,
        "conference": denied.conference,
    }
