"""Handshakes by which vendors verify that an address accepts their events."""

from collections.abc import Mapping
from datetime import datetime

from shared.adapters.bridges import acs
from shared.domain.common.errors import BadRequest, NotAuthenticated
from shared.domain.common.strict_json import loads
from shared.domain.directory.entities import Bridge
from shared.domain.directory.vendor_signatures import verify_zoom, zoom_encrypted_token

_ZOOM = b"endpoint.url_validation"


def answer(
    bridge: Bridge, headers: Mapping[str, str], body: bytes, now: datetime
) -> dict[str, object] | None:
    """The answer to a handshake in an authenticated body; None where it is another post.

    Event Grid sends a code that goes back to it. Zoom requires a token signed with the secret that
    signed the request.
    """
    try:
        if bridge.dialect == "acs":
            code = acs.validation_code(body)
            return None if code is None else {"validationResponse": code}
        if bridge.dialect != "zoom" or _ZOOM not in body:
            return None
        event = loads(body)
    except BadRequest:
        return None
    if not isinstance(event, Mapping) or event.get("event") != _ZOOM.decode():
        return None
    payload = event.get("payload")
    token = payload.get("plainToken") if isinstance(payload, Mapping) else None
    if not isinstance(token, str):
        return None
    try:
        secret = verify_zoom(bridge.auth.secrets, headers, body, now)
    except NotAuthenticated:  # it came with a bearer token
        secret = bridge.auth.secrets[0]
    return {"plainToken": token, "encryptedToken": zoom_encrypted_token(secret, token)}
