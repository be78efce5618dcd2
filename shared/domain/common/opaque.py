"""Opaque text: unpadded base64url (RFC 4648), and the cursors of stores and lists in that
encoding."""

import base64
from collections.abc import Callable

from shared.domain.common.errors import Invalid


def to_base64url(content: bytes) -> str:
    """The content as unpadded base64url."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """The content of unpadded base64url. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def to_cursor(position: str) -> str:
    """The cursor of a position in a list."""
    return to_base64url(position.encode())


def from_cursor[Position](cursor: str, parse: Callable[[str], Position | None]) -> Position:
    """The parsed position of a cursor.

    `parse` returns None, or raises ValueError or TypeError, for text that is no position of the
    list. Raises Invalid `cursor_invalid`.
    """
    try:
        position = parse(from_base64url(cursor).decode())
    except (ValueError, TypeError, RecursionError):
        position = None
    if position is None:
        raise cursor_invalid()
    return position


def cursor_invalid() -> Invalid:
    """The refusal of a cursor of another list."""
    return Invalid(
        "The cursor is not one that this list returned. Start again without a cursor.",
        code="cursor_invalid",
    )
