"""Cursors of a scan: opaque text that is good for one table and one condition."""

import base64
import hashlib
import json
from collections.abc import Mapping

from shared.domain.common import limits
from shared.domain.common.errors import Invalid


def pack_cursor(
    table: str, where: Mapping[str, str] | None, position: tuple[str, str | None]
) -> str:
    """A cursor that is good for this table and condition only."""
    content = json.dumps([1, _condition_digest(table, where), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def unpack_cursor(
    table: str, where: Mapping[str, str] | None, cursor: str
) -> tuple[str, str | None]:
    """Where the next page starts. Raises Invalid `cursor_invalid` on a cursor that is not ours."""
    if len(cursor) <= limits.TABLE_CURSOR_CHARS_MAX:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, RecursionError):
            content = None
        match content:
            case [1, str(digest), str(partition), str() | None as key] if (
                digest == _condition_digest(table, where)
            ):
                return partition, key
    raise Invalid("The cursor is not one that this list gave out.", code="cursor_invalid")


def _condition_digest(table: str, where: Mapping[str, str] | None) -> str:
    content = json.dumps([table, sorted((where or {}).items())])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
