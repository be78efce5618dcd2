"""Cursors of lists: valid for one list with one query, and for callers who see the same accounts.

A cursor is a MAC of the position in the list and of the list's subject, then the position. Another
list's cursor, or one that was changed, is refused before it is used.
"""

import hashlib
import hmac
import json

from shared.domain.common.opaque import cursor_invalid, from_base64url, to_base64url

_LABEL = b"perminute cursor\n"
_MAC_BYTES = 12


def seal(key: bytes, about: object, place: str) -> str:
    """The cursor of a place in the list that `about` (plain JSON) describes."""
    return to_base64url(_mac(key, about, place) + place.encode())


def unseal(key: bytes, about: object, cursor: str) -> str:
    """The place. Raises Invalid `cursor_invalid` for a cursor that this list did not give out."""
    try:
        sealed = from_base64url(cursor)
        place = sealed[_MAC_BYTES:].decode()
    except ValueError:
        sealed, place = b"", ""
    if not hmac.compare_digest(sealed[:_MAC_BYTES], _mac(key, about, place)):
        raise cursor_invalid()
    return place


def _mac(key: bytes, about: object, place: str) -> bytes:
    content = _LABEL + json.dumps([about, place], sort_keys=True).encode()
    return hmac.digest(key, content, hashlib.sha256)[:_MAC_BYTES]
