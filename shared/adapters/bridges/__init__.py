"""The dialects that bridges speak, by name."""

from collections.abc import Callable, Mapping

from shared.adapters.bridges import freeswitch, perminute
from shared.domain.common.errors import TooLarge
from shared.domain.common.limits import CALL_ENDED_BODY_BYTES_MAX
from shared.domain.legs.bridge_payloads import BridgePayload, ParsedLeg

DIALECTS: Mapping[str, Callable[[BridgePayload], list[ParsedLeg]]] = {
    "freeswitch": freeswitch.parse,
    "perminute": perminute.parse,
}


def parse(dialect: str, post: BridgePayload) -> list[ParsedLeg]:
    """What `post` says, in the dialect of its bridge (a key of DIALECTS), in its order.

    Raises TooLarge, BadRequest and Invalid: for those a bridge of this dialect tries again or
    tells its people. What it would not send again comes back as Unreadable instead.
    """
    if len(post.body) > CALL_ENDED_BODY_BYTES_MAX:
        raise TooLarge(f"At most {CALL_ENDED_BODY_BYTES_MAX} bytes can be posted at once.")
    return DIALECTS[dialect](post)
